//! The order of turns within sessions, across partitions.

use cml_core::MessageId;

/// A turn's place: its partition and the slot in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct TurnRef {
    pub(crate) partition: u32,
    pub(crate) slot: u32,
}

impl TurnRef {
    /// No turn.
    pub(crate) const NONE: Self = Self { partition: u32::MAX, slot: u32::MAX };
}

/// What a session holds of one partition.
#[derive(Debug, Clone, Copy)]
pub(crate) struct SessionPart {
    pub(crate) partition: u32,
    pub(crate) turns: u32,
    /// Terms of its turns, repeats counted.
    pub(crate) terms: u64,
    /// Terms of its turns that are not by an assistant.
    pub(crate) user_terms: u64,
}

/// The turns of a session in order.
#[derive(Debug, Default)]
pub(crate) struct Session {
    turns: Vec<(i64, MessageId, TurnRef)>,
    parts: Vec<SessionPart>,
}

impl Session {
    pub(crate) fn turns(&self) -> impl Iterator<Item = TurnRef> {
        self.turns.iter().map(|&(_, _, turn)| turn)
    }

    pub(crate) fn parts(&self) -> &[SessionPart] {
        &self.parts
    }

    /// Adds a turn; returns the turns before and after it.
    pub(crate) fn insert(&mut self, seq: i64, id: MessageId, turn: TurnRef) -> (TurnRef, TurnRef) {
        let place = match self.turns.last() {
            Some(&(last, last_id, _)) if (last, last_id) > (seq, id) => self.place(seq, id),
            _ => self.turns.len(),
        };
        self.turns.insert(place, (seq, id, turn));
        self.around(place)
    }

    /// Removes a turn; returns the turns that were before and after it.
    pub(crate) fn remove(&mut self, seq: i64, id: MessageId) -> (TurnRef, TurnRef) {
        let place = self.place(seq, id);
        let around = self.around(place);
        if self.turns.get(place).is_some_and(|turn| turn.1 == id) {
            self.turns.remove(place);
        }
        around
    }

    /// Adds to or takes from the counts of a partition.
    pub(crate) fn count(&mut self, partition: u32, terms: u32, assistant: bool, added: bool) {
        let place = self.parts.iter().position(|part| part.partition == partition).unwrap_or_else(|| {
            self.parts.push(SessionPart { partition, turns: 0, terms: 0, user_terms: 0 });
            self.parts.len() - 1
        });
        let (terms, user_terms) = (u64::from(terms), if assistant { 0 } else { u64::from(terms) });
        let part = &mut self.parts[place];
        if added {
            part.turns += 1;
            part.terms += terms;
            part.user_terms += user_terms;
        } else {
            part.turns -= 1;
            part.terms -= terms;
            part.user_terms -= user_terms;
            if part.turns == 0 {
                self.parts.swap_remove(place);
            }
        }
    }

    pub(crate) fn memory_bytes(&self) -> usize {
        self.turns.capacity() * size_of::<(i64, MessageId, TurnRef)>()
            + self.parts.capacity() * size_of::<SessionPart>()
    }

    fn place(&self, seq: i64, id: MessageId) -> usize {
        self.turns.partition_point(|&(other, other_id, _)| (other, other_id) < (seq, id))
    }

    fn around(&self, place: usize) -> (TurnRef, TurnRef) {
        let at = |place: Option<usize>| {
            place.and_then(|place| self.turns.get(place)).map_or(TurnRef::NONE, |&(_, _, turn)| turn)
        };
        (at(place.checked_sub(1)), at(place.checked_add(1)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn turn(slot: u32) -> TurnRef {
        TurnRef { partition: 0, slot }
    }

    #[test]
    fn turns_are_ordered_by_number_whatever_order_they_come_in() {
        let mut session = Session::default();
        let ids: Vec<MessageId> = (0..3).map(|_| MessageId::new()).collect();
        assert_eq!(session.insert(20, ids[1], turn(1)), (TurnRef::NONE, TurnRef::NONE));
        assert_eq!(session.insert(30, ids[2], turn(2)), (turn(1), TurnRef::NONE));
        assert_eq!(session.insert(10, ids[0], turn(0)), (TurnRef::NONE, turn(1)));
        assert_eq!(session.turns().collect::<Vec<_>>(), [turn(0), turn(1), turn(2)]);
        assert_eq!(session.remove(20, ids[1]), (turn(0), turn(2)));
        assert_eq!(session.turns().count(), 2);
    }

    #[test]
    fn counts_are_kept_by_partition() {
        let mut session = Session::default();
        session.count(4, 10, false, true);
        session.count(4, 5, true, true);
        session.count(9, 1, false, true);
        let part = session.parts()[0];
        assert_eq!((part.partition, part.turns, part.terms, part.user_terms), (4, 2, 15, 10));
        session.count(9, 1, false, false);
        assert_eq!(session.parts().len(), 1);
    }
}
