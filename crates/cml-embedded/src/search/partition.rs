//! The turns and records of one namespace and user.

use chrono::{DateTime, Datelike};
use cml_core::MessageId;
use cml_core::memory::Role;
use rustc_hash::FxHashMap;

use super::analysis::TextFlags;
use super::postings::{Postings, TermId};
use super::rows::RecordRow;
use super::sessions::TurnRef;
use super::statistics::Counts;
use super::vectors::VectorRows;

/// No slot, session or name.
pub(crate) const NONE: u32 = u32::MAX;

/// What ranking asks of a turn.
#[derive(Debug, Clone)]
pub(crate) struct Turn {
    pub(crate) id: MessageId,
    pub(crate) seq: i64,
    /// Microseconds since 1970 UTC.
    pub(crate) said_at: i64,
    /// Neighbours in the session.
    pub(crate) prev: TurnRef,
    pub(crate) next: TurnRef,
    /// Number of the session, or `NONE`.
    pub(crate) session: u32,
    /// Number of the speaker's name, or `NONE`.
    pub(crate) speaker: u32,
    /// Its first chunk, or `NONE`.
    pub(crate) first_record: u32,
    /// Words of the text, stop words included.
    pub(crate) words: u32,
    /// Length of the turn's unnormalised vector; 0 without vectors.
    pub(crate) norm: f32,
    /// Length of the sum of the previous turn's and this turn's unnormalised vectors.
    pub(crate) context_norm: f32,
    pub(crate) date: Date,
    pub(crate) role: Option<Role>,
    pub(crate) flags: TextFlags,
    /// Whether the slot is in use.
    pub(crate) alive: bool,
}

/// Calendar day of an instant, UTC.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Date {
    pub(crate) year: u16,
    /// 1..=12, or 0 for an instant out of range.
    pub(crate) month: u8,
    pub(crate) day: u8,
}

impl Date {
    /// The day of an instant in microseconds since 1970 UTC.
    pub(crate) fn of(micros: i64) -> Self {
        DateTime::from_timestamp_micros(micros).map_or_else(Self::default, |time| Self {
            year: u16::try_from(time.year()).unwrap_or(0),
            month: time.month() as u8,
            day: time.day() as u8,
        })
    }
}

/// The turns of one namespace and user, with their own words, vectors and statistics.
#[derive(Debug)]
pub(crate) struct Partition {
    pub(crate) namespace: Box<str>,
    pub(crate) user: Box<str>,
    pub(crate) postings: Postings,
    pub(crate) turns: Vec<Turn>,
    /// Terms of each turn, repeats counted: the length in BM25.
    pub(crate) lengths: Vec<u32>,
    /// Terms of each turn, for taking it out again.
    pub(crate) forward: Vec<Box<[(TermId, u16)]>>,
    free_turns: Vec<u32>,
    pub(crate) records: Vec<Option<RecordRow>>,
    /// Slot of the turn of each record.
    pub(crate) record_turns: Vec<u32>,
    /// The next chunk of the same turn, or `NONE`.
    pub(crate) next_record: Vec<u32>,
    /// Length of each record's vector before normalisation.
    pub(crate) norms: Vec<f32>,
    free_records: Vec<u32>,
    pub(crate) vectors: VectorRows,
    pub(crate) contexts: VectorRows,
    pub(crate) stats: Stats,
}

/// Counts of the turns in use.
#[derive(Debug, Default)]
pub(crate) struct Stats {
    pub(crate) turns: u32,
    /// Turns that belong to a session.
    pub(crate) in_session: u32,
    pub(crate) terms: u64,
    /// Terms of turns that are not by an assistant.
    pub(crate) user_terms: u64,
    /// Turns by session.
    pub(crate) sessions: FxHashMap<u32, u32>,
    /// Turns by speaker.
    pub(crate) speakers: FxHashMap<u32, u32>,
    /// Turns by an assistant.
    pub(crate) assistant: u32,
}

impl Stats {
    pub(crate) fn counts(&self) -> Counts {
        Counts {
            turns: self.turns.into(),
            in_session: self.in_session.into(),
            sessions: self.sessions.len() as u64,
            terms: self.terms,
            user_terms: self.user_terms,
        }
    }

    /// Adds or takes one turn.
    pub(crate) fn count(&mut self, turn: &Turn, length: u32, added: bool) {
        let assistant = turn.role == Some(Role::Assistant);
        let user_terms = if assistant { 0 } else { u64::from(length) };
        let in_session = u32::from(turn.session != NONE);
        let step = |map: &mut FxHashMap<u32, u32>, key: u32| {
            if key == NONE {
                return;
            }
            let count = map.entry(key).or_default();
            *count = if added { *count + 1 } else { count.saturating_sub(1) };
            if *count == 0 {
                map.remove(&key);
            }
        };
        step(&mut self.sessions, turn.session);
        step(&mut self.speakers, turn.speaker);
        if added {
            self.turns += 1;
            self.in_session += in_session;
            self.terms += u64::from(length);
            self.user_terms += user_terms;
            self.assistant += u32::from(assistant);
        } else {
            self.turns -= 1;
            self.in_session -= in_session;
            self.terms -= u64::from(length);
            self.user_terms -= user_terms;
            self.assistant -= u32::from(assistant);
        }
    }
}

impl Partition {
    pub(crate) fn new(namespace: &str, user: &str, dimensions: usize) -> Self {
        Self {
            namespace: namespace.into(),
            user: user.into(),
            postings: Postings::default(),
            turns: Vec::new(),
            lengths: Vec::new(),
            forward: Vec::new(),
            free_turns: Vec::new(),
            records: Vec::new(),
            record_turns: Vec::new(),
            next_record: Vec::new(),
            norms: Vec::new(),
            free_records: Vec::new(),
            vectors: VectorRows::new(dimensions),
            contexts: VectorRows::new(dimensions),
            stats: Stats::default(),
        }
    }

    /// Puts a turn with its words into `slot`, or into a free one.
    pub(crate) fn insert_turn(&mut self, slot: Option<u32>, turn: Turn, terms: Box<[(TermId, u16)]>) -> u32 {
        let length = terms.iter().map(|&(_, count)| u32::from(count)).sum();
        self.stats.count(&turn, length, true);
        let slot = slot.or_else(|| self.free_turns.pop()).unwrap_or(self.turns.len() as u32);
        for &(term, count) in &terms {
            self.postings.insert(term, slot, count);
        }
        let place = slot as usize;
        if place == self.turns.len() {
            self.turns.push(turn);
            self.lengths.push(length);
            self.forward.push(terms);
        } else {
            self.turns[place] = turn;
            self.lengths[place] = length;
            self.forward[place] = terms;
        }
        slot
    }

    /// Takes a turn's words and counts out; its slot stays taken until `free_turn`.
    pub(crate) fn clear_turn(&mut self, slot: u32) {
        let place = slot as usize;
        for &(term, _) in &std::mem::take(&mut self.forward[place]) {
            self.postings.remove(term, slot);
        }
        self.stats.count(&self.turns[place], self.lengths[place], false);
        self.lengths[place] = 0;
        self.turns[place].alive = false;
    }

    pub(crate) fn free_turn(&mut self, slot: u32) {
        self.free_turns.push(slot);
    }

    /// Puts a record into a free slot and into its turn's list of chunks.
    pub(crate) fn insert_record(&mut self, turn: u32, mut row: RecordRow) -> u32 {
        let vector = row.vector.take();
        let context = row.context.take();
        let order = (row.chunk_index, row.id);
        let slot = self.free_records.pop().unwrap_or(self.records.len() as u32);
        let place = slot as usize;
        if place == self.records.len() {
            self.records.push(None);
            self.record_turns.push(turn);
            self.next_record.push(NONE);
            self.norms.push(0.0);
        }
        self.records[place] = Some(row);
        self.record_turns[place] = turn;
        self.norms[place] = vector.as_ref().map_or(0.0, |(_, norm)| *norm);
        self.vectors.set(place, vector.as_ref().map(|(vector, _)| vector.as_slice()));
        self.contexts.set(place, context.as_deref());
        // Chunks stand in order, so that they are counted and compared the same way at every build.
        let (mut before, mut after) = (NONE, self.turns[turn as usize].first_record);
        while let Some(other) = self.records.get(after as usize).and_then(Option::as_ref) {
            if (other.chunk_index, other.id) > order {
                break;
            }
            (before, after) = (after, self.next_record[after as usize]);
        }
        self.next_record[place] = after;
        match self.next_record.get_mut(before as usize) {
            Some(next) => *next = slot,
            None => self.turns[turn as usize].first_record = slot,
        }
        slot
    }

    /// Takes a record out of its turn and gives it back without its vectors.
    pub(crate) fn remove_record(&mut self, slot: u32) -> Option<RecordRow> {
        let place = slot as usize;
        let row = self.records.get_mut(place)?.take()?;
        let turn = self.record_turns[place] as usize;
        let after = self.next_record[place];
        if self.turns[turn].first_record == slot {
            self.turns[turn].first_record = after;
        } else {
            let before = self.chunks(turn as u32).find(|&other| self.next_record[other] == slot);
            if let Some(before) = before {
                self.next_record[before] = after;
            }
        }
        self.vectors.set(place, None);
        self.contexts.set(place, None);
        self.norms[place] = 0.0;
        self.free_records.push(slot);
        Some(row)
    }

    /// Slots of a turn's records, in order of their chunks.
    pub(crate) fn chunks(&self, turn: u32) -> impl Iterator<Item = usize> {
        let mut slot = self.turns.get(turn as usize).map_or(NONE, |turn| turn.first_record);
        std::iter::from_fn(move || {
            let here = slot;
            slot = *self.next_record.get(here as usize)?;
            Some(here as usize)
        })
    }

    pub(crate) fn memory_bytes(&self) -> usize {
        let texts = |row: &RecordRow| {
            row.agent.capacity()
                + row.tags.iter().map(|tag| tag.capacity() + size_of::<String>()).sum::<usize>()
                + row.metadata.as_ref().map_or(0, |text| text.len())
        };
        self.postings.memory_bytes()
            + self.turns.capacity() * (size_of::<Turn>() + 4 + size_of::<Box<[(TermId, u16)]>>())
            + self.forward.iter().map(|terms| size_of_val::<[_]>(terms) + 16).sum::<usize>()
            + self.records.capacity() * (size_of::<Option<RecordRow>>() + 12)
            + self.records.iter().flatten().map(texts).sum::<usize>()
            + self.vectors.memory_bytes()
            + self.contexts.memory_bytes()
    }
}
