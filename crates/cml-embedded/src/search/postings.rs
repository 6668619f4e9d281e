//! Words to turns, and the collection statistics of BM25.

use rustc_hash::FxHashMap;

/// Number of a term or name in a tenant's index.
pub(crate) type TermId = u32;

/// How often a term occurs in a turn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Posting {
    /// Slot of the turn in its partition.
    pub(crate) slot: u32,
    /// Occurrences, at least 1.
    pub(crate) count: u16,
}

/// The inverted index of one partition.
#[derive(Debug, Default)]
pub(crate) struct Postings {
    lists: FxHashMap<TermId, Vec<Posting>>,
}

impl Postings {
    /// The turns with a term, by slot.
    pub(crate) fn of(&self, term: TermId) -> &[Posting] {
        self.lists.get(&term).map_or(&[], Vec::as_slice)
    }

    pub(crate) fn insert(&mut self, term: TermId, slot: u32, count: u16) {
        let list = self.lists.entry(term).or_default();
        match list.last() {
            Some(last) if last.slot >= slot => match list.binary_search_by_key(&slot, |posting| posting.slot)
            {
                Ok(place) => list[place].count = count,
                Err(place) => list.insert(place, Posting { slot, count }),
            },
            _ => list.push(Posting { slot, count }),
        }
    }

    pub(crate) fn remove(&mut self, term: TermId, slot: u32) {
        if let Some(list) = self.lists.get_mut(&term) {
            if let Ok(place) = list.binary_search_by_key(&slot, |posting| posting.slot) {
                list.remove(place);
            }
            if list.is_empty() {
                self.lists.remove(&term);
            }
        }
    }

    pub(crate) fn memory_bytes(&self) -> usize {
        let lists: usize = self.lists.values().map(|list| list.capacity() * size_of::<Posting>()).sum();
        lists + self.lists.capacity() * (size_of::<(TermId, Vec<Posting>)>() + 1)
    }
}

/// Numbers for strings, given in order of first use and kept for the index's life.
#[derive(Debug, Default)]
pub(crate) struct Interner {
    ids: FxHashMap<Box<str>, u32>,
}

impl Interner {
    pub(crate) fn id(&self, text: &str) -> Option<u32> {
        self.ids.get(text).copied()
    }

    pub(crate) fn intern(&mut self, text: &str) -> u32 {
        if let Some(id) = self.id(text) {
            return id;
        }
        let id = u32::try_from(self.ids.len()).unwrap_or(u32::MAX);
        self.ids.insert(text.into(), id);
        id
    }

    pub(crate) fn memory_bytes(&self) -> usize {
        let texts: usize = self.ids.keys().map(|text| text.len() + 16).sum();
        texts + self.ids.capacity() * (size_of::<(Box<str>, u32)>() + 1)
    }
}

/// How much a term's rarity says, in nats.
///
/// `ln(1 + (n - df + 0.5) / (df + 0.5))` for a term in `df` of `n` documents: the Robertson-Spärck Jones
/// weight of Robertson & Zaragoza (2009, eq. 3.3) with 1 added under the logarithm, so that it is never
/// negative.
pub(crate) fn idf(n: f32, df: f32) -> f32 {
    (1.0 + (n - df + 0.5).max(0.0) / (df + 0.5)).ln()
}

/// Term frequency with BM25's saturation and length normalisation.
///
/// `(k1 + 1) tf / (tf + k1 (1 - b + b length / average))`, Robertson & Zaragoza (2009, eq. 3.15), here with
/// the factor `k1 + 1` that makes it 1 for a single occurrence in a document of average length.
pub(crate) fn saturation(tf: f32, length: f32, average: f32) -> f32 {
    let share = if average > 0.0 { length / average } else { 1.0 };
    (K1 + 1.0) * tf / (tf + K1 * (1.0 - B + B * share))
}

/// How slowly repeats saturate.
const K1: f32 = 0.9;

/// How much long documents are held back, 0..=1.
const B: f32 = 0.4;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bm25_of_a_worked_example() {
        // 10 documents, the term in 2 of them: ln(1 + 8.5 / 2.5) = ln 4.4 = 1.4816.
        let idf = idf(10.0, 2.0);
        assert!((idf - 1.481_605).abs() < 1e-5);
        // Three times in a document twice the average: 1.9 * 3 / (3 + 0.9 * 1.4) = 5.7 / 4.26 = 1.3380.
        let tf = saturation(3.0, 20.0, 10.0);
        assert!((tf - 1.338_028).abs() < 1e-5);
        assert!((idf * tf - 1.982_429).abs() < 1e-4);
        assert!((saturation(1.0, 7.0, 7.0) - 1.0).abs() < 1e-6);
    }

    #[test]
    fn idf_is_never_negative_and_falls_with_frequency() {
        assert!(idf(4.0, 4.0) > 0.0 && idf(4.0, 5.0) >= 0.0);
        assert!(idf(100.0, 1.0) > idf(100.0, 50.0));
    }

    #[test]
    fn lists_stay_sorted_and_forget() {
        let mut postings = Postings::default();
        for slot in [5, 1, 3, 9, 1] {
            postings.insert(7, slot, 2);
        }
        let slots =
            |postings: &Postings| postings.of(7).iter().map(|posting| posting.slot).collect::<Vec<_>>();
        assert_eq!(slots(&postings), [1, 3, 5, 9]);
        postings.remove(7, 3);
        postings.remove(7, 4);
        assert_eq!(slots(&postings), [1, 5, 9]);
        assert!(postings.of(8).is_empty());
    }
}
