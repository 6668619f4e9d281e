//! What an import did, counted by kind.

use std::collections::BTreeMap;

use cml_core::ops::{ExportLine, ImportReport};

use crate::store::{Known, RowKind};

/// Numbers of rows by kind; kinds without one are absent.
type Counts = BTreeMap<RowKind, u64>;

/// Counts of a batch, or of a whole import.
#[derive(Debug, Default)]
pub(super) struct Tally {
    imported: Counts,
    skipped: Counts,
    erased: Counts,
    out_of_reach: Counts,
    /// Messages that got another number.
    pub(super) moved: u64,
    /// Records that lost their key to another memory.
    pub(super) keyless: u64,
    /// Facts that a later value of their slot closed.
    pub(super) closed: u64,
    /// Vectors of another model than the one that serves.
    pub(super) other_vectors: u64,
}

/// Rows of a batch, by what is known of them.
#[derive(Debug, Default)]
pub(super) struct Sorted<'b> {
    /// Rows that are not there, with the version of the record on which they hang, or 0.
    pub(super) absent: Vec<(&'b ExportLine, u64)>,
    /// Rows that are there, with their version.
    pub(super) stored: Vec<(&'b ExportLine, u64)>,
}

impl Tally {
    /// Sorts a batch; what cannot be put is counted.
    pub(super) fn sort<'b>(&mut self, kind: RowKind, batch: &'b [ExportLine], known: &[Known]) -> Sorted<'b> {
        let mut sorted = Sorted::default();
        for (line, known) in batch.iter().zip(known) {
            match known {
                Known::Absent(holder) => sorted.absent.push((line, *holder)),
                Known::Stored(version) => sorted.stored.push((line, *version)),
                // A relation that does not hold any more is no loss.
                Known::Erased if kind == RowKind::Edge => count(&mut self.skipped, kind, 1),
                Known::Erased => count(&mut self.erased, kind, 1),
                Known::OutOfReach => count(&mut self.out_of_reach, kind, 1),
            }
        }
        sorted
    }

    pub(super) fn imported(&mut self, kind: RowKind, rows: usize) {
        count(&mut self.imported, kind, rows as u64);
    }

    pub(super) fn skipped(&mut self, kind: RowKind, rows: usize) {
        count(&mut self.skipped, kind, rows as u64);
    }

    pub(super) fn has_imported(&self) -> bool {
        !self.imported.is_empty()
    }

    pub(super) fn has_erased(&self) -> bool {
        !self.erased.is_empty()
    }

    pub(super) fn add(&mut self, other: Self) {
        for (own, others) in [
            (&mut self.imported, other.imported),
            (&mut self.skipped, other.skipped),
            (&mut self.erased, other.erased),
            (&mut self.out_of_reach, other.out_of_reach),
        ] {
            for (kind, rows) in others {
                count(own, kind, rows);
            }
        }
        self.moved += other.moved;
        self.keyless += other.keyless;
        self.closed += other.closed;
        self.other_vectors += other.other_vectors;
    }

    /// The report, with the losses that the exporting system told of; `model` is the one that serves.
    pub(super) fn report(self, mut losses: Vec<String>, model: &str) -> ImportReport {
        if !self.erased.is_empty() {
            losses.push(format!("erased here and not brought back: {}", listed(&self.erased)));
        }
        if !self.out_of_reach.is_empty() {
            let what = listed(&self.out_of_reach);
            losses.push(format!("left out, because what they belong to is not within reach: {what}"));
        }
        for (kind, rows, what) in [
            (RowKind::Message, self.moved, "moved to the end of their session, their number being taken"),
            (RowKind::Record, self.keyless, "put without their key, which another memory has"),
            (RowKind::Fact, self.closed, "closed, because a later value of the same slot holds"),
        ] {
            if rows > 0 {
                losses.push(format!("{} {what}", kind.counted(rows)));
            }
        }
        if self.other_vectors > 0 {
            let vectors = RowKind::Embedding.counted(self.other_vectors);
            losses.push(format!("{vectors} of another model left out, those of {model} made instead"));
        }
        let mut skipped = self.skipped;
        for (kind, rows) in self.erased {
            count(&mut skipped, kind, rows);
        }
        ImportReport { imported: named(self.imported), skipped: named(skipped), losses }
    }
}

/// Counts by the names of the portable format.
fn named(counts: Counts) -> BTreeMap<String, u64> {
    counts.into_iter().map(|(kind, rows)| (kind.as_str().to_owned(), rows)).collect()
}

/// Counts in words.
pub(super) fn listed(counts: &Counts) -> String {
    counts.iter().map(|(kind, rows)| kind.counted(*rows)).collect::<Vec<_>>().join(", ")
}

fn count(counts: &mut Counts, kind: RowKind, rows: u64) {
    if rows > 0 {
        *counts.entry(kind).or_default() += rows;
    }
}
