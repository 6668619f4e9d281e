//! What comes in, checked and kept in temporary files until the stream has ended.

use std::{
    collections::BTreeMap,
    fs::File,
    io::{self, BufRead as _, BufReader, BufWriter, Seek as _, Write as _},
};

use cml_core::{
    Error, ErrorKind, Result, Scope,
    ops::{ExportHeader, ExportLine, FORMAT_NAME, FORMAT_VERSION},
};

use super::check::{self, json_bytes};
use crate::store::RowKind;

/// Most rows of one batch: one commit.
pub(super) const BATCH: usize = 500;
/// Bytes of JSON from which on a batch takes no further row.
pub(super) const BATCH_BYTES: usize = 4 << 20;

/// Takes lines in any order behind the header. Each kind has a file of its own, without a name, so
/// that the rows can be applied in the order that they need.
#[derive(Debug)]
pub(super) struct Spool {
    scope: Scope,
    /// Lines taken so far.
    taken: u64,
    header: Option<ExportHeader>,
    files: BTreeMap<RowKind, BufWriter<File>>,
    /// Rows of a foreign system that have no way in, by kind.
    left_out: BTreeMap<RowKind, u64>,
    /// Records of a foreign system that are where nothing can be here.
    misplaced: u64,
}

impl Spool {
    pub(super) fn new(scope: Scope) -> Self {
        Self {
            scope,
            taken: 0,
            header: None,
            files: BTreeMap::new(),
            left_out: BTreeMap::new(),
            misplaced: 0,
        }
    }

    /// Checks lines and keeps them.
    ///
    /// # Errors
    /// `InvalidInput` naming the line, `Unavailable` when the disk is full.
    pub(super) fn take(&mut self, lines: Vec<ExportLine>) -> Result<()> {
        for line in lines {
            self.taken += 1;
            self.take_one(line).map_err(|error| self.at_line(error))?;
        }
        Ok(())
    }

    fn take_one(&mut self, mut line: ExportLine) -> Result<()> {
        let Some(header) = &self.header else {
            return match line {
                ExportLine::Header(header) => {
                    check_header(&header)?;
                    self.header = Some(header);
                    Ok(())
                }
                _ => Err(broken("must be the header")),
            };
        };
        let Some(kind) = RowKind::of(&line) else {
            return Err(broken(format!("must be no {} here", line.kind())));
        };
        if header.origin.is_some() {
            if kind != RowKind::Record {
                *self.left_out.entry(kind).or_default() += 1;
                return Ok(());
            }
            if !check::foreign(&self.scope, &line)? {
                self.misplaced += 1;
                return Ok(());
            }
        } else {
            check::own(&self.scope, header, &line)?;
            check::move_to(self.scope.tenant(), &mut line);
        }
        let file = match self.files.entry(kind) {
            std::collections::btree_map::Entry::Occupied(entry) => entry.into_mut(),
            std::collections::btree_map::Entry::Vacant(entry) => {
                entry.insert(BufWriter::new(tempfile::tempfile().map_err(spool_failed)?))
            }
        };
        serde_json::to_writer(&mut *file, &line).map_err(spool_failed)?;
        file.write_all(b"\n").map_err(spool_failed)
    }

    /// Names the line in what is wrong with it.
    fn at_line(&self, error: Error) -> Error {
        if error.kind() != ErrorKind::InvalidInput {
            return error;
        }
        Error::invalid(format!("line {}", self.taken), error.message()).with_source(error)
    }

    /// Ends the taking.
    ///
    /// # Errors
    /// `InvalidInput` when there was no line, `Unavailable` when the disk is full.
    pub(super) fn finish(self) -> Result<Spooled> {
        let header = self.header.ok_or_else(|| Error::invalid("line 1", "must be the header"))?;
        let mut files = BTreeMap::new();
        for (kind, file) in self.files {
            let mut file = file.into_inner().map_err(|error| spool_failed(error.into_error()))?;
            file.rewind().map_err(spool_failed)?;
            files.insert(kind, file);
        }
        Ok(Spooled { header, files, left_out: self.left_out, misplaced: self.misplaced })
    }
}

/// Rows that wait to be applied.
#[derive(Debug)]
pub(super) struct Spooled {
    pub(super) header: ExportHeader,
    files: BTreeMap<RowKind, File>,
    pub(super) left_out: BTreeMap<RowKind, u64>,
    pub(super) misplaced: u64,
}

impl Spooled {
    /// The rows of a kind, once.
    pub(super) fn rows(&mut self, kind: RowKind) -> Option<Rows> {
        self.files.remove(&kind).map(|file| Rows(BufReader::with_capacity(1 << 16, file)))
    }
}

/// Rows of one kind, in the order in which they came.
#[derive(Debug)]
pub(super) struct Rows(BufReader<File>);

impl Rows {
    /// The next batch; empty at the end.
    pub(super) fn next(&mut self) -> Result<Vec<ExportLine>> {
        let (mut rows, mut bytes) = (Vec::new(), 0);
        let mut line = Vec::new();
        while rows.len() < BATCH && bytes < BATCH_BYTES {
            line.clear();
            let read = self.0.read_until(b'\n', &mut line).map_err(spool_failed)?;
            if read == 0 {
                break;
            }
            bytes += read;
            rows.push(serde_json::from_slice(&line).map_err(spool_failed)?);
        }
        Ok(rows)
    }
}

/// Bytes of what makes a line long; the rest of it is short.
pub(super) fn weight(line: &ExportLine) -> usize {
    match line {
        ExportLine::Session(row) => json_bytes(&row.metadata),
        ExportLine::Message(row) => row.text.len() + json_bytes(&row.metadata),
        ExportLine::Record(row) => row.text.len() + json_bytes(&row.metadata),
        ExportLine::RecordVersion(row) => row.record.text.len() + json_bytes(&row.record.metadata),
        ExportLine::Embedding(row) => size_of_val(row.vector.as_slice()),
        ExportLine::Fact(row) => row.value.len(),
        ExportLine::FactVersion(row) => row.fact.value.len(),
        ExportLine::Event(row) => json_bytes(&row.payload),
        _ => 0,
    }
}

fn check_header(header: &ExportHeader) -> Result<()> {
    if header.format != FORMAT_NAME {
        return Err(broken(format!("is no header of the format {FORMAT_NAME}")));
    }
    if !(1..=FORMAT_VERSION).contains(&header.version) {
        let message = format!(
            "is from version {} of the format, this program reads up to {FORMAT_VERSION}",
            header.version
        );
        return Err(broken(message));
    }
    Ok(())
}

/// An error about the line at hand; the spool names it.
pub(super) fn broken(message: impl Into<String>) -> Error {
    Error::new(ErrorKind::InvalidInput, message)
}

fn spool_failed(error: impl Into<io::Error>) -> Error {
    Error::new(ErrorKind::Unavailable, "the temporary file of the import failed")
        .with_source(error.into())
        .with_suggestion("make room in the folder for temporary files (TMPDIR)")
}

#[cfg(test)]
mod tests {
    use cml_core::{
        EntityId, MemoryId, MessageId,
        memory::{EventType, Metadata, OperationType},
        ops::Mention,
    };

    use super::*;
    use crate::engine::plan::event;

    fn header(origin: Option<&str>) -> ExportHeader {
        ExportHeader {
            format: FORMAT_NAME.to_owned(),
            version: FORMAT_VERSION,
            created_at: chrono::DateTime::UNIX_EPOCH,
            models: Vec::new(),
            counts: BTreeMap::new(),
            origin: origin.map(str::to_owned),
            losses: Vec::new(),
        }
    }

    fn mention() -> ExportLine {
        ExportLine::Mention(Mention {
            entity_id: EntityId::new(),
            memory_id: MemoryId::new(),
            message_id: MessageId::new(),
        })
    }

    fn an_event(scope: &Scope) -> ExportLine {
        let at = chrono::DateTime::UNIX_EPOCH;
        let none = Metadata::new();
        ExportLine::Event(event(scope, EventType::Memory, OperationType::Write, Vec::new(), none, at))
    }

    fn fault(lines: Vec<ExportLine>) -> String {
        let mut spool = Spool::new(Scope::default());
        let error = spool.take(lines).and_then(|()| spool.finish().map(drop)).expect_err("broken");
        assert_eq!(error.kind(), ErrorKind::InvalidInput);
        error.message().to_owned()
    }

    #[test]
    fn rows_come_back_by_kind_in_batches_and_name_the_tenant_they_go_to() -> Result<()> {
        let scope = Scope::new("acme")?;
        let mut spool = Spool::new(scope);
        let mentions: Vec<ExportLine> = (0..=BATCH).map(|_| mention()).collect();
        let mut lines = vec![ExportLine::Header(header(None)), an_event(&Scope::default())];
        lines.extend(mentions.clone());
        spool.take(lines)?;
        let mut spooled = spool.finish()?;
        let mut rows = spooled.rows(RowKind::Mention).expect("mentions");
        assert_eq!([rows.next()?, rows.next()?, rows.next()?].concat(), mentions);
        let events = spooled.rows(RowKind::Event).expect("an event").next()?;
        assert!(matches!(&events[..], [ExportLine::Event(event)] if event.tenant_id == "acme"));
        assert!(spooled.rows(RowKind::Fact).is_none());
        Ok(())
    }

    #[test]
    fn a_line_that_does_not_belong_is_named() {
        let newer = ExportHeader { version: FORMAT_VERSION + 1, ..header(None) };
        let other = ExportHeader { format: "other".to_owned(), ..header(None) };
        for (lines, expected) in [
            (Vec::new(), "line 1: must be the header"),
            (vec![mention()], "line 1: must be the header"),
            (vec![ExportLine::Header(newer)], "line 1: is from version 2"),
            (vec![ExportLine::Header(other)], "line 1: is no header"),
            (
                vec![ExportLine::Header(header(None)), ExportLine::Header(header(None))],
                "line 2: must be no header",
            ),
        ] {
            let fault = fault(lines);
            assert!(fault.starts_with(expected), "{fault}");
        }
    }

    #[test]
    fn of_a_foreign_system_only_records_are_kept() -> Result<()> {
        let mut spool = Spool::new(Scope::default());
        spool.take(vec![ExportLine::Header(header(Some("elsewhere"))), mention(), mention()])?;
        let mut spooled = spool.finish()?;
        assert_eq!(spooled.left_out, BTreeMap::from([(RowKind::Mention, 2)]));
        assert!(spooled.rows(RowKind::Mention).is_none());
        Ok(())
    }
}
