//! The JSON export of the original system: one list of memories, `[{"id": ..., "text": ...}, ...]`.
//!
//! It knows ten fields of a memory and nothing else. Reading it gives an export of foreign
//! [`origin`](ExportHeader::origin), whose memories are written as new texts; writing it counts what it
//! has no place for.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use futures_util::{StreamExt as _, stream, stream::BoxStream};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use super::{MAX_LINE_BYTES, split::Splitter};
use crate::{
    DecayRate, Error, ErrorKind, MemoryId, MessageId, Result, Score,
    memory::{MemoryRecord, MemorySource, MemoryStatus, MemoryType, Metadata, Role},
    ops::{ExportHeader, ExportLine, FORMAT_NAME, FORMAT_VERSION},
    scope::DEFAULT_NAMESPACE,
    time,
};

/// [`ExportHeader::origin`] of what comes from the original system.
pub const ORIGIN: &str = "cognitive-memory-layer";

/// Stands where the original's export has no rate; a memory that is written as a new text gets its own.
const UNKNOWN_HALF_LIFE_DAYS: f64 = 69.0;

/// What that export never holds, one sentence each.
const LOSSES: [&str; 3] = [
    "tags, metadata, namespaces, users, sessions and validity are not part of the original's export",
    "facts, messages, vectors and events are not part of the original's export; facts and vectors are made again from the texts",
    "the original exports its newest 10000 memories at most; older ones are not in the file",
];

/// A memory in the original's export.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct OriginalMemory {
    /// Identity.
    pub id: MemoryId,
    /// The tenant that owns it.
    #[serde(default)]
    pub tenant_id: String,
    /// What kind of memory it is.
    #[serde(rename = "type")]
    pub memory_type: MemoryType,
    /// Whether it takes part in recall.
    pub status: MemoryStatus,
    /// The text.
    pub text: String,
    /// The caller's own identity for it.
    #[serde(default)]
    pub key: Option<String>,
    /// How sure the system is; meant to be 0..=1, which the original does not check.
    pub confidence: f64,
    /// How much it matters; meant to be 0..=1, which the original does not check.
    pub importance: f64,
    /// How often it was recalled.
    #[serde(default)]
    pub access_count: u64,
    /// When it was said; UTC where the text names no offset.
    #[serde(deserialize_with = "time::required")]
    pub timestamp: DateTime<Utc>,
}

impl From<OriginalMemory> for MemoryRecord {
    fn from(memory: OriginalMemory) -> Self {
        let hash = Sha256::digest(memory.text.as_bytes());
        Self {
            id: memory.id,
            tenant_id: memory.tenant_id,
            namespace: DEFAULT_NAMESPACE.to_owned(),
            user_id: String::new(),
            agent_id: String::new(),
            session_id: String::new(),
            content_hash: hash.iter().map(|byte| format!("{byte:02x}")).collect(),
            text: memory.text,
            memory_type: memory.memory_type,
            status: memory.status,
            key: memory.key.filter(|key| !key.is_empty()),
            context_tags: Vec::new(),
            metadata: Metadata::new(),
            confidence: Score::clamped(memory.confidence),
            importance: Score::clamped(memory.importance),
            decay_rate: DecayRate::half_life_days(UNKNOWN_HALF_LIFE_DAYS),
            access_count: memory.access_count,
            last_accessed_at: None,
            timestamp: memory.timestamp,
            event_start: None,
            event_end: None,
            written_at: memory.timestamp,
            valid_from: None,
            valid_to: None,
            expires_at: None,
            source: MemorySource::UserExplicit,
            role: Role::User,
            speaker: String::new(),
            message_id: MessageId::from_uuid(*memory.id.as_uuid()),
            chunk_index: 0,
            version: 1,
            supersedes_id: None,
            superseded_by_id: None,
        }
    }
}

impl From<&MemoryRecord> for OriginalMemory {
    fn from(record: &MemoryRecord) -> Self {
        Self {
            id: record.id,
            tenant_id: record.tenant_id.clone(),
            memory_type: record.memory_type,
            status: record.status,
            text: record.text.clone(),
            key: record.key.clone(),
            confidence: record.confidence.get(),
            importance: record.importance.get(),
            access_count: record.access_count,
            timestamp: record.timestamp,
        }
    }
}

/// Bytes of such a list to lines: a header that names the origin and the losses, then records.
///
/// # Errors
/// The stream's last item is `InvalidInput` naming the entry (from 1) that is no memory, or the end of
/// the list that is missing; an error of `chunks` is passed on.
#[must_use]
pub fn decode(chunks: BoxStream<'static, Result<Vec<u8>>>) -> BoxStream<'static, Result<ExportLine>> {
    let header = stream::iter([Ok(ExportLine::Header(header()))]);
    let state = Some((chunks, Splitter::default(), 0u64));
    let records = stream::unfold(state, |state| async move {
        let (mut chunks, mut splitter, taken) = state?;
        loop {
            let place = || format!("entry {}", taken + 1);
            match splitter.next() {
                Ok(Some(bytes)) => {
                    let record = record(&bytes, &place());
                    let state = record.is_ok().then_some((chunks, splitter, taken + 1));
                    return Some((record, state));
                }
                Ok(None) if splitter.held() > MAX_LINE_BYTES => {
                    return Some((Err(Error::invalid(place(), "is too long")), None));
                }
                Ok(None) => {}
                Err(what) => return Some((Err(Error::invalid(place(), what)), None)),
            }
            match chunks.next().await {
                Some(Ok(chunk)) => splitter.push(&chunk),
                Some(Err(error)) => return Some((Err(error), None)),
                None if splitter.is_complete() => return None,
                None => return Some((Err(Error::invalid(place(), "the file is cut inside the list")), None)),
            }
        }
    });
    header.chain(records).fuse().boxed()
}

fn header() -> ExportHeader {
    ExportHeader {
        format: FORMAT_NAME.to_owned(),
        version: FORMAT_VERSION,
        created_at: time::truncate(Utc::now()),
        models: Vec::new(),
        counts: BTreeMap::new(),
        origin: Some(ORIGIN.to_owned()),
        losses: LOSSES.iter().map(|loss| (*loss).to_owned()).collect(),
    }
}

fn record(bytes: &[u8], place: &str) -> Result<ExportLine> {
    let memory: OriginalMemory = serde_json::from_slice(bytes).map_err(|error| {
        // The parser's own line and column count inside the entry and would mislead.
        let text = error.to_string();
        let what = text.split(" at line ").next().unwrap_or_default();
        Error::invalid(place, format!("is no memory of the original's export: {what}"))
    })?;
    Ok(ExportLine::Record(Box::new(memory.into())))
}

/// Writes the list line by line and counts what it has no place for.
#[derive(Debug, Default)]
pub struct Encoder {
    memories: u64,
    /// Objects that are no memories, by kind.
    objects: BTreeMap<&'static str, u64>,
    /// Memories that lose a field, by field.
    fields: BTreeMap<&'static str, u64>,
    losses: Vec<String>,
}

impl Encoder {
    /// An encoder that has written nothing.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The bytes that `line` adds to the list.
    ///
    /// # Errors
    /// `Internal` when a text is no JSON, which cannot happen.
    pub fn push(&mut self, line: &ExportLine) -> Result<Vec<u8>> {
        match line {
            ExportLine::Header(header) => self.losses.clone_from(&header.losses),
            ExportLine::Record(record) => return self.memory(record),
            ExportLine::Trailer(_) => {}
            other => *self.objects.entry(other.kind()).or_default() += 1,
        }
        Ok(Vec::new())
    }

    /// The bytes that end the list.
    #[must_use]
    pub fn finish(&self) -> Vec<u8> {
        if self.memories == 0 { b"[]\n".to_vec() } else { b"\n]\n".to_vec() }
    }

    /// Memories written so far.
    #[must_use]
    pub fn memories(&self) -> u64 {
        self.memories
    }

    /// What was lost so far, one sentence each.
    #[must_use]
    pub fn losses(&self) -> Vec<String> {
        let objects = self.objects.iter().map(|(kind, count)| {
            format!("rows of the kind {kind} have no place in the original's export: {count} left out")
        });
        let fields = self.fields.iter().map(|(field, count)| {
            format!("the field {field} has no place in the original's export: left out of {count} memories")
        });
        self.losses.iter().cloned().chain(objects).chain(fields).collect()
    }

    fn memory(&mut self, record: &MemoryRecord) -> Result<Vec<u8>> {
        for (field, lost) in [
            ("namespace", record.namespace != DEFAULT_NAMESPACE),
            ("user_id", !record.user_id.is_empty()),
            ("agent_id", !record.agent_id.is_empty()),
            ("session_id", !record.session_id.is_empty()),
            ("context_tags", !record.context_tags.is_empty()),
            ("metadata", !record.metadata.is_empty()),
            ("event_start", record.event_start.is_some()),
            ("valid_from", record.valid_from.is_some()),
            ("valid_to", record.valid_to.is_some()),
            ("expires_at", record.expires_at.is_some()),
            ("role", record.role != Role::User),
            ("speaker", !record.speaker.is_empty()),
            ("chunk_index", record.chunk_index > 0),
            ("supersedes_id", record.supersedes_id.is_some()),
        ] {
            if lost {
                *self.fields.entry(field).or_default() += 1;
            }
        }
        let mut bytes = if self.memories == 0 { b"[\n".to_vec() } else { b",\n".to_vec() };
        serde_json::to_writer(&mut bytes, &OriginalMemory::from(record)).map_err(|error| {
            Error::new(ErrorKind::Internal, "a memory cannot be written as JSON").with_source(error)
        })?;
        self.memories += 1;
        Ok(bytes)
    }
}

/// Lines to the bytes of the list. `done` learns of what was lost when the list is complete.
#[must_use]
pub fn encode(
    lines: BoxStream<'static, Result<ExportLine>>,
    done: impl FnOnce(&Encoder) + Send + 'static,
) -> BoxStream<'static, Result<Vec<u8>>> {
    let state = Some((lines, Encoder::new(), done));
    stream::unfold(state, |state| async move {
        let (mut lines, mut encoder, done) = state?;
        let mut chunk = Vec::new();
        while chunk.len() < super::CHUNK_BYTES {
            match lines.next().await {
                Some(line) => match line.and_then(|line| encoder.push(&line)) {
                    Ok(bytes) => chunk.extend(bytes),
                    Err(error) => return Some((Err(error), None)),
                },
                None => {
                    chunk.extend(encoder.finish());
                    done(&encoder);
                    return Some((Ok(chunk), None));
                }
            }
        }
        Some((Ok(chunk), Some((lines, encoder, done))))
    })
    .fuse()
    .boxed()
}

#[cfg(test)]
mod tests {
    use futures_executor::block_on;
    use futures_util::TryStreamExt as _;
    use serde_json::json;

    use super::*;

    fn entry(id: u32, text: &str) -> serde_json::Value {
        json!({
            "id": format!("00000000-0000-4000-8000-{id:012}"), "tenant_id": "acme",
            "type": "preference", "status": "active", "text": text, "key": null,
            "confidence": 0.9, "importance": 1.5, "access_count": 3, "timestamp": "2025-03-01T12:00:00.5",
        })
    }

    fn read(bytes: &[u8], chunk: usize) -> Result<Vec<ExportLine>> {
        let chunks: Vec<_> = bytes.chunks(chunk).map(|chunk| Ok(chunk.to_vec())).collect();
        block_on(decode(stream::iter(chunks).boxed()).try_collect())
    }

    fn records(lines: &[ExportLine]) -> Vec<&MemoryRecord> {
        let mut records = Vec::new();
        for line in lines {
            if let ExportLine::Record(record) = line {
                records.push(record.as_ref());
            }
        }
        records
    }

    #[test]
    fn a_list_becomes_records_however_it_is_cut_into_chunks() -> Result<()> {
        let list = json!([entry(1, "likes [\"tea\"], {really}\\"), entry(2, "x")]).to_string();
        for chunk in [1, 7, 100_000] {
            let lines = read(format!(" \n{list}\n ").as_bytes(), chunk)?;
            let ExportLine::Header(header) = &lines[0] else {
                return Err(Error::invalid("line 1", "no header"));
            };
            assert_eq!(header.origin.as_deref(), Some(ORIGIN));
            assert!(!header.losses.is_empty());
            let records = records(&lines);
            assert_eq!(records.len(), 2);
            assert_eq!(records[0].text, "likes [\"tea\"], {really}\\");
            assert_eq!(records[0].importance, Score::ONE);
            assert_eq!(records[0].timestamp.to_rfc3339(), "2025-03-01T12:00:00.500+00:00");
        }
        assert_eq!(read(b"[]", 1)?.len(), 1);
        Ok(())
    }

    #[test]
    fn a_broken_list_names_its_entry() {
        let good = entry(1, "x").to_string();
        let unknown = good.replace("preference", "dream");
        for (text, expected) in [
            (format!("[{good}, {unknown}]"), "entry 2: is no memory of the original's export: "),
            (format!("[{good}, 7]"), "entry 2: is no memory"),
            (format!("[{good}, {{\"id\""), "entry 2: the file is cut"),
            (format!("[{good}"), "entry 1: the file is cut"),
            (format!("[{good} {good}]"), "entry 1: must be followed by a comma"),
            (format!("[{good},]"), "entry 2: is empty"),
            (format!("[{good}] x"), "entry 2: something follows the list"),
            ("{}".to_owned(), "entry 1: is in no JSON list"),
            (String::new(), "entry 1: the file is cut"),
        ] {
            let fault = read(text.as_bytes(), 5).expect_err("a broken list").to_string();
            assert!(fault.starts_with(expected), "{fault}");
        }
    }

    #[test]
    fn what_is_written_is_read_again_and_losses_are_counted() -> Result<()> {
        let list = json!([entry(1, "a"), entry(2, "b")]).to_string();
        let mut lines = read(list.as_bytes(), 64)?;
        if let ExportLine::Header(header) = &mut lines[0] {
            header.losses.clear();
        }
        if let ExportLine::Record(record) = &mut lines[1] {
            record.context_tags.push("food".to_owned());
            record.namespace = "notes".to_owned();
        }
        let mut encoder = Encoder::new();
        let mut bytes = Vec::new();
        for line in &lines {
            bytes.extend(encoder.push(line)?);
        }
        bytes.extend(encoder.finish());
        let back: Vec<OriginalMemory> =
            serde_json::from_slice(&bytes).map_err(|error| Error::invalid("list", error.to_string()))?;
        let texts: Vec<_> = back.iter().map(|memory| memory.text.as_str()).collect();
        assert_eq!(texts, ["a", "b"]);
        assert_eq!(
            encoder.losses(),
            [
                "the field context_tags has no place in the original's export: left out of 1 memories",
                "the field namespace has no place in the original's export: left out of 1 memories",
            ]
        );
        assert_eq!(Encoder::new().finish(), b"[]\n");
        Ok(())
    }
}
