//! The in-memory index of a tenant: kept up to date row by row, searched in one pass.

use cml_core::memory::Role;
use cml_core::{MemoryId, MessageId};
use rustc_hash::FxHashMap;

use super::analysis::stems;
use super::partition::{Date, NONE, Partition, Turn};
use super::postings::{Interner, TermId};
use super::rows::{IndexedRecord, RecordRow, TurnRow};
use super::sessions::{Session, TurnRef};

/// What an index is made for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(clippy::exhaustive_structs, reason = "both settings follow from the embedding model")]
pub struct IndexOptions {
    /// Length of every vector; vectors of another length are ignored.
    pub dimensions: usize,
    /// Whether sums of unnormalised vectors are vectors of joined texts: context vectors are derived then.
    pub additive: bool,
}

/// Search index of one tenant.
///
/// Turns are partitioned by namespace and user; each partition has its own words, vectors and statistics,
/// so that a query over one of them reads nothing of the others, not even a count. Sessions run across
/// partitions, and a neighbour counts only if its partition is visible.
///
/// Rows may come in any order, except that a record follows its turn; the same rows give the same results
/// whatever the order. Terms of removed rows stay in the table that numbers them until the index is dropped.
#[derive(Debug)]
pub struct TenantIndex {
    pub(crate) options: IndexOptions,
    pub(crate) terms: Interner,
    partition_ids: FxHashMap<(Box<str>, Box<str>), u32>,
    pub(crate) partitions: Vec<Partition>,
    session_ids: Interner,
    session_names: Vec<Box<str>>,
    pub(crate) sessions: Vec<Session>,
    speaker_ids: Interner,
    pub(crate) speakers: Vec<Speaker>,
    turns: FxHashMap<MessageId, TurnRef>,
    /// Partition and slot of each record.
    records: FxHashMap<MemoryId, (u32, u32)>,
}

/// A name that turns are spoken under.
#[derive(Debug)]
pub(crate) struct Speaker {
    pub(crate) name: Box<str>,
    /// The name's terms, which count as words of the turn.
    pub(crate) terms: Box<[TermId]>,
}

impl TenantIndex {
    /// An empty index.
    #[must_use]
    pub fn new(options: IndexOptions) -> Self {
        Self {
            options,
            terms: Interner::default(),
            partition_ids: FxHashMap::default(),
            partitions: Vec::new(),
            session_ids: Interner::default(),
            session_names: Vec::new(),
            sessions: Vec::new(),
            speaker_ids: Interner::default(),
            speakers: Vec::new(),
            turns: FxHashMap::default(),
            records: FxHashMap::default(),
        }
    }

    /// Number of records.
    #[must_use]
    pub fn len(&self) -> usize {
        self.records.len()
    }

    /// Whether there is no record.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.records.is_empty()
    }

    /// Number of turns, those without records included.
    #[must_use]
    pub fn turn_count(&self) -> usize {
        self.turns.len()
    }

    /// Memory in use, in bytes, to within about a tenth.
    #[must_use]
    pub fn memory_bytes(&self) -> usize {
        self.partitions.iter().map(Partition::memory_bytes).sum::<usize>()
            + self.sessions.iter().map(|session| session.memory_bytes() + size_of::<Session>()).sum::<usize>()
            + self.terms.memory_bytes()
            + self.session_ids.memory_bytes() * 2
            + self.turns.capacity() * (size_of::<(MessageId, TurnRef)>() + 1)
            + self.records.capacity() * (size_of::<(MemoryId, (u32, u32))>() + 1)
    }

    /// Adds a turn or replaces the one with its id; a replaced turn keeps its records.
    pub fn put_turn(&mut self, row: &TurnRow) {
        let partition = self.partition_id(&row.namespace, &row.user);
        let old = self.turns.get(&row.id).copied();
        let mut slot = None;
        let mut first_record = NONE;
        let mut moved = Vec::new();
        if let Some(old) = old {
            self.detach(old);
            if old.partition == partition {
                slot = Some(old.slot);
                first_record = self.partitions[partition as usize].turns[old.slot as usize].first_record;
            } else {
                moved = self.take_records(old);
                self.partitions[old.partition as usize].free_turn(old.slot);
            }
        }
        let turn = self.turn_of(row, first_record);
        let terms = self.terms_of(row, turn.speaker);
        let session = turn.session;
        let slot = self.partitions[partition as usize].insert_turn(slot, turn, terms);
        let place = TurnRef { partition, slot };
        self.turns.insert(row.id, place);
        if session != NONE {
            let length = self.partitions[partition as usize].lengths[slot as usize];
            let session = &mut self.sessions[session as usize];
            session.count(partition, length, row.role == Some(Role::Assistant), true);
            let (prev, next) = session.insert(row.seq, row.id, place);
            self.link(prev, place);
            self.link(place, next);
        }
        for record in moved {
            self.put_record(record);
        }
        self.refresh_norms(place);
    }

    /// Adds a record or replaces the one with its id. Returns whether its turn is known; without it
    /// nothing changes.
    pub fn put_record(&mut self, row: RecordRow) -> bool {
        let Some(&turn) = self.turns.get(&row.turn) else {
            return false;
        };
        let id = row.id;
        self.remove_record(id);
        let slot = self.partitions[turn.partition as usize].insert_record(turn.slot, row);
        self.records.insert(id, (turn.partition, slot));
        self.refresh_norms(turn);
        true
    }

    /// Removes a turn with its records. Returns whether it was there.
    pub fn remove_turn(&mut self, id: MessageId) -> bool {
        let Some(turn) = self.turns.get(&id).copied() else {
            return false;
        };
        self.take_records(turn);
        self.detach(turn);
        self.turns.remove(&id);
        self.partitions[turn.partition as usize].free_turn(turn.slot);
        true
    }

    /// Removes a record; its turn stays as a neighbour. Returns whether it was there.
    pub fn remove_record(&mut self, id: MemoryId) -> bool {
        let Some((partition, slot)) = self.records.remove(&id) else {
            return false;
        };
        let turn = self.partitions[partition as usize].record_turns[slot as usize];
        self.partitions[partition as usize].remove_record(slot);
        self.refresh_norms(TurnRef { partition, slot: turn });
        true
    }

    /// The record with this id, as filters see it.
    #[must_use]
    pub fn record(&self, id: MemoryId) -> Option<IndexedRecord<'_>> {
        let &(partition, slot) = self.records.get(&id)?;
        self.record_at(&self.partitions[partition as usize], slot as usize)
    }

    /// Names under which visible turns are spoken, in no particular order.
    #[must_use]
    pub fn participants(&self, visible: &dyn Fn(&str, &str) -> bool) -> Vec<&str> {
        let mut numbers: Vec<u32> =
            self.visible(visible).flat_map(|partition| partition.stats.speakers.keys().copied()).collect();
        numbers.sort_unstable();
        numbers.dedup();
        numbers.iter().map(|&number| &*self.speakers[number as usize].name).collect()
    }

    /// Number of visible turns, those that were removed and not yet replaced included.
    #[must_use]
    pub fn turns(&self, visible: &dyn Fn(&str, &str) -> bool) -> usize {
        self.visible(visible).map(|partition| partition.turns.len()).sum()
    }

    /// Whether an assistant speaks in a visible turn.
    #[must_use]
    pub fn has_assistant(&self, visible: &dyn Fn(&str, &str) -> bool) -> bool {
        self.visible(visible).any(|partition| partition.stats.assistant > 0)
    }

    fn visible(&self, visible: &dyn Fn(&str, &str) -> bool) -> impl Iterator<Item = &Partition> {
        self.partitions.iter().filter(move |partition| visible(&partition.namespace, &partition.user))
    }

    pub(crate) fn record_at<'a>(
        &'a self,
        partition: &'a Partition,
        slot: usize,
    ) -> Option<IndexedRecord<'a>> {
        let row = partition.records.get(slot)?.as_ref()?;
        let turn = &partition.turns[partition.record_turns[slot] as usize];
        Some(IndexedRecord {
            row,
            namespace: &partition.namespace,
            user: &partition.user,
            session: self.session_names.get(turn.session as usize).map_or("", |name| name),
            role: turn.role,
            speaker: self.speakers.get(turn.speaker as usize).map_or("", |speaker| &speaker.name),
            said_at: turn.said_at,
        })
    }

    pub(crate) fn place_of_record(&self, id: MemoryId) -> Option<(u32, u32)> {
        self.records.get(&id).copied()
    }

    pub(crate) fn session_id(&self, name: &str) -> Option<u32> {
        self.session_ids.id(name)
    }

    pub(crate) fn turn(&self, place: TurnRef) -> Option<&Turn> {
        self.partitions.get(place.partition as usize)?.turns.get(place.slot as usize)
    }

    fn turn_mut(&mut self, place: TurnRef) -> Option<&mut Turn> {
        self.partitions.get_mut(place.partition as usize)?.turns.get_mut(place.slot as usize)
    }

    fn partition_id(&mut self, namespace: &str, user: &str) -> u32 {
        let key = (Box::from(namespace), Box::from(user));
        if let Some(&id) = self.partition_ids.get(&key) {
            return id;
        }
        let id = self.partitions.len() as u32;
        self.partitions.push(Partition::new(namespace, user, self.options.dimensions));
        self.partition_ids.insert(key, id);
        id
    }

    fn turn_of(&mut self, row: &TurnRow, first_record: u32) -> Turn {
        let session = if row.session.is_empty() { NONE } else { self.session_ids.intern(&row.session) };
        if session != NONE && session as usize == self.sessions.len() {
            self.sessions.push(Session::default());
            self.session_names.push(row.session.as_str().into());
        }
        let speaker = if row.speaker.is_empty() { NONE } else { self.speaker_ids.intern(&row.speaker) };
        if speaker != NONE && speaker as usize == self.speakers.len() {
            let terms = stems(&row.speaker).iter().map(|term| self.terms.intern(term)).collect();
            self.speakers.push(Speaker { name: row.speaker.as_str().into(), terms });
        }
        Turn {
            id: row.id,
            seq: row.seq,
            said_at: row.said_at,
            prev: TurnRef::NONE,
            next: TurnRef::NONE,
            session,
            speaker,
            first_record,
            words: row.analysis.length,
            norm: 0.0,
            context_norm: 0.0,
            date: Date::of(row.said_at),
            role: row.role,
            flags: row.analysis.flags,
            alive: true,
        }
    }

    fn terms_of(&mut self, row: &TurnRow, speaker: u32) -> Box<[(TermId, u16)]> {
        let mut terms: Vec<(TermId, u16)> =
            row.analysis.terms.iter().map(|(term, count)| (self.terms.intern(term), *count)).collect();
        for &name in self.speakers.get(speaker as usize).map_or(&[][..], |speaker| &speaker.terms) {
            match terms.iter_mut().find(|(term, _)| *term == name) {
                Some((_, count)) => *count = count.saturating_add(1),
                None => terms.push((name, 1)),
            }
        }
        terms.into()
    }

    /// Takes a turn out of its session and its words out of the postings.
    fn detach(&mut self, place: TurnRef) {
        let Some(turn) = self.turn(place).filter(|turn| turn.alive) else {
            return;
        };
        let (id, seq, session, role) = (turn.id, turn.seq, turn.session, turn.role);
        let partition = &mut self.partitions[place.partition as usize];
        let length = partition.lengths[place.slot as usize];
        partition.clear_turn(place.slot);
        if let Some(session) = self.sessions.get_mut(session as usize) {
            session.count(place.partition, length, role == Some(Role::Assistant), false);
            let (prev, next) = session.remove(seq, id);
            self.link(prev, next);
            self.refresh_context(next);
        }
    }

    /// Takes a turn's records out, with their vectors.
    fn take_records(&mut self, place: TurnRef) -> Vec<RecordRow> {
        let partition = &mut self.partitions[place.partition as usize];
        let slots: Vec<usize> = partition.chunks(place.slot).collect();
        let mut rows = Vec::with_capacity(slots.len());
        for slot in slots {
            let vector = partition.vectors.get(slot).map(|vector| (vector, partition.norms[slot]));
            let context = partition.contexts.get(slot);
            if let Some(row) = partition.remove_record(slot as u32) {
                self.records.remove(&row.id);
                rows.push(RecordRow { vector, context, ..row });
            }
        }
        rows
    }

    fn link(&mut self, prev: TurnRef, next: TurnRef) {
        if let Some(turn) = self.turn_mut(prev) {
            turn.next = next;
        }
        if let Some(turn) = self.turn_mut(next) {
            turn.prev = prev;
        }
    }

    /// Computes a turn's vector lengths again, after its records or its place changed.
    fn refresh_norms(&mut self, place: TurnRef) {
        let norm = self.cross(place, place).max(0.0).sqrt();
        if let Some(turn) = self.turn_mut(place) {
            turn.norm = norm;
            let next = turn.next;
            self.refresh_context(place);
            self.refresh_context(next);
        }
    }

    fn refresh_context(&mut self, place: TurnRef) {
        let Some(turn) = self.turn(place).filter(|_| self.options.additive) else {
            return;
        };
        let mut context_norm = turn.norm;
        if let Some(prev) = self.turn(turn.prev).filter(|prev| prev.norm > 0.0) {
            let square = prev.norm * prev.norm + turn.norm * turn.norm + 2.0 * self.cross(turn.prev, place);
            context_norm = square.max(0.0).sqrt();
        }
        if let Some(turn) = self.turn_mut(place) {
            turn.context_norm = context_norm;
        }
    }

    /// Dot product of two turns' unnormalised vectors, each the sum of its chunks'.
    fn cross(&self, a: TurnRef, b: TurnRef) -> f32 {
        let (Some(of_a), Some(of_b)) =
            (self.partitions.get(a.partition as usize), self.partitions.get(b.partition as usize))
        else {
            return 0.0;
        };
        let mut sum = 0.0;
        for chunk in of_a.chunks(a.slot) {
            for other in of_b.chunks(b.slot) {
                let cosine = of_a.vectors.cosine_of_rows(chunk, &of_b.vectors, other);
                sum += cosine * of_a.norms[chunk] * of_b.norms[other];
            }
        }
        sum
    }
}
