//! The part of an index that one query may see, with its turns numbered from 0.

use super::index::TenantIndex;
use super::partition::{NONE, Partition, Turn};
use super::sessions::TurnRef;
use super::statistics::{CorpusStatistics, Counts};

/// The visible partitions of an index, end to end.
#[derive(Debug)]
pub(crate) struct View<'a> {
    pub(crate) index: &'a TenantIndex,
    /// The visible partitions, each with the numbers of its first turn and record.
    pub(crate) parts: Vec<Part<'a>>,
    /// Place in `parts` of each partition of the index, or `NONE`.
    places: Vec<u32>,
    /// Turn slots, free ones included.
    pub(crate) turns: usize,
    /// Record slots, free ones included.
    pub(crate) records: usize,
    /// Statistics from outside, where the index holds a part of the turns only.
    pub(crate) statistics: Option<&'a CorpusStatistics>,
    pub(crate) counts: Counts,
    /// Turns in use.
    pub(crate) count: f32,
    /// Mean number of terms of a turn, of a turn with its predecessor, of a session, of a session without
    /// its assistant.
    pub(crate) mean_length: f32,
    pub(crate) mean_context: f32,
    pub(crate) mean_session: f32,
    pub(crate) mean_user_session: f32,
    /// Sessions and turns without one.
    pub(crate) units: f32,
}

#[derive(Debug)]
pub(crate) struct Part<'a> {
    pub(crate) partition: &'a Partition,
    pub(crate) first_turn: usize,
    pub(crate) first_record: usize,
}

impl<'a> View<'a> {
    pub(crate) fn new(
        index: &'a TenantIndex,
        visible: &dyn Fn(&str, &str) -> bool,
        statistics: Option<&'a CorpusStatistics>,
    ) -> Self {
        let mut parts = Vec::new();
        let mut places = vec![NONE; index.partitions.len()];
        let (mut turns, mut records) = (0, 0);
        let mut counts = Counts::default();
        for (place, partition) in index.partitions.iter().enumerate() {
            if partition.stats.turns == 0 || !visible(&partition.namespace, &partition.user) {
                continue;
            }
            places[place] = parts.len() as u32;
            parts.push(Part { partition, first_turn: turns, first_record: records });
            turns += partition.turns.len();
            records += partition.records.len();
            counts = counts.plus(partition.stats.counts());
        }
        let counts = statistics.map_or(counts, |statistics| statistics.counts);
        let Counts { turns: count, in_session, sessions, terms, user_terms } = counts;
        let units = counts.units();
        let mean = |terms: u64, of: u64| terms as f32 / of.max(1) as f32;
        let mean_length = mean(terms, count);
        Self {
            index,
            parts,
            places,
            turns,
            records,
            statistics,
            counts,
            count: count as f32,
            mean_length,
            // Every turn but a session's first has a predecessor, of mean length.
            mean_context: mean_length * (1.0 + (in_session - sessions) as f32 / count.max(1) as f32),
            mean_session: mean(terms, units),
            mean_user_session: mean(user_terms, units),
            units: units as f32,
        }
    }

    /// The number of a turn in this view, if its partition is visible.
    pub(crate) fn number(&self, turn: TurnRef) -> Option<usize> {
        let part = *self.places.get(turn.partition as usize)?;
        Some(self.parts.get(part as usize)?.first_turn + turn.slot as usize)
    }

    /// The part that a turn is in, and its slot there.
    pub(crate) fn part(&self, number: usize) -> (&Part<'a>, usize) {
        let after = if self.parts.len() == 1 {
            1
        } else {
            self.parts.partition_point(|part| part.first_turn <= number)
        };
        let part = &self.parts[after - 1];
        (part, number - part.first_turn)
    }

    pub(crate) fn turn(&self, number: usize) -> &'a Turn {
        let (part, slot) = self.part(number);
        &part.partition.turns[slot]
    }

    pub(crate) fn prev(&self, number: usize) -> Option<usize> {
        self.number(self.turn(number).prev)
    }

    pub(crate) fn next(&self, number: usize) -> Option<usize> {
        self.number(self.turn(number).next)
    }

    /// The visible turns within two places either side, the turn itself included, in order.
    pub(crate) fn around(&self, number: usize) -> [Option<usize>; 1 + 2 * NEIGHBOURHOOD] {
        let prev = self.prev(number);
        let next = self.next(number);
        let prev2 = prev.and_then(|turn| self.prev(turn));
        let next2 = next.and_then(|turn| self.next(turn));
        [prev2, prev, Some(number), next, next2]
    }

    /// Sessions are numbered as in the index; a turn without one is a unit of its own after them.
    pub(crate) fn unit(&self, session: u32, number: usize) -> usize {
        if session == NONE { self.index.sessions.len() + number } else { session as usize }
    }

    /// Number of units that [`unit`](Self::unit) can give.
    pub(crate) fn unit_slots(&self) -> usize {
        self.index.sessions.len() + self.turns
    }

    /// Visible terms of a session: all of them, and those not by an assistant.
    pub(crate) fn session_terms(&self, session: u32) -> (f32, f32) {
        let parts = self.index.sessions.get(session as usize).map_or(&[][..], |session| session.parts());
        let visible = parts.iter().filter(|part| self.places[part.partition as usize] != NONE);
        let (terms, user_terms) =
            visible.fold((0, 0), |(terms, user), part| (terms + part.terms, user + part.user_terms));
        (terms as f32, user_terms as f32)
    }

    /// Calls `each` for every turn in use, with its number.
    pub(crate) fn for_each_turn(&self, mut each: impl FnMut(usize, &Part<'a>, usize, &'a Turn)) {
        for part in &self.parts {
            for (slot, turn) in part.partition.turns.iter().enumerate() {
                if turn.alive {
                    each(part.first_turn + slot, part, slot, turn);
                }
            }
        }
    }
}

/// Turns either side of a candidate that are read with it.
pub const NEIGHBOURHOOD: usize = 2;
