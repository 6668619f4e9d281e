//! A memory as it is stored, and as a read returns it.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::{Fact, MemorySource, MemoryStatus, MemoryType, Role};
use crate::{DecayRate, MemoryId, MessageId, Score, time, units};

/// JSON object of a caller's own fields.
pub type Metadata = Map<String, Value>;

/// A memory in full.
///
/// A text longer than the chunk size is several records with the same [`message_id`](Self::message_id)
/// and rising [`chunk_index`](Self::chunk_index).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct MemoryRecord {
    /// Identity; made by the engine, sorts by time of writing.
    pub id: MemoryId,
    /// The tenant that owns it.
    pub tenant_id: String,
    /// The namespace that it is in.
    pub namespace: String,
    /// The data subject, or empty for shared knowledge.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub user_id: String,
    /// The author, or empty.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub agent_id: String,
    /// The conversation, or empty.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub session_id: String,
    /// The text after redaction.
    pub text: String,
    /// What kind of memory it is.
    #[serde(rename = "type")]
    pub memory_type: MemoryType,
    /// Whether it takes part in recall.
    pub status: MemoryStatus,
    /// The caller's own identity for it, unique per (tenant, namespace, user).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
    /// The caller's tags, in the order given.
    #[serde(default)]
    pub context_tags: Vec<String>,
    /// The caller's fields.
    #[serde(default)]
    pub metadata: Metadata,
    /// How sure we are that it is true.
    pub confidence: Score,
    /// How much it matters to keep.
    pub importance: Score,
    /// Loss of strength per day.
    pub decay_rate: DecayRate,
    /// How often a read returned it.
    #[serde(default)]
    pub access_count: u64,
    /// When a read last returned it.
    #[serde(default, deserialize_with = "time::optional", skip_serializing_if = "Option::is_none")]
    pub last_accessed_at: Option<DateTime<Utc>>,
    /// When it was said.
    #[serde(deserialize_with = "time::required")]
    pub timestamp: DateTime<Utc>,
    /// Start of what the text tells about, where it names a date.
    #[serde(default, deserialize_with = "time::optional", skip_serializing_if = "Option::is_none")]
    pub event_start: Option<DateTime<Utc>>,
    /// End (exclusive) of what the text tells about.
    #[serde(default, deserialize_with = "time::optional", skip_serializing_if = "Option::is_none")]
    pub event_end: Option<DateTime<Utc>>,
    /// When we stored this version.
    #[serde(deserialize_with = "time::required")]
    pub written_at: DateTime<Utc>,
    /// From when the statement holds.
    #[serde(default, deserialize_with = "time::optional", skip_serializing_if = "Option::is_none")]
    pub valid_from: Option<DateTime<Utc>>,
    /// Until when the statement held (exclusive).
    #[serde(default, deserialize_with = "time::optional", skip_serializing_if = "Option::is_none")]
    pub valid_to: Option<DateTime<Utc>>,
    /// From when it is no longer returned.
    #[serde(default, deserialize_with = "time::optional", skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<DateTime<Utc>>,
    /// Where it comes from.
    pub source: MemorySource,
    /// Who said it.
    pub role: Role,
    /// Name of who said it, or empty.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub speaker: String,
    /// The message it was part of; joins the chunks of one text.
    pub message_id: MessageId,
    /// Position among the chunks of its text, from 0.
    #[serde(default)]
    pub chunk_index: u32,
    /// SHA-256 of the whole text it was part of, hexadecimal.
    pub content_hash: String,
    /// 1 when written, one more at each change.
    pub version: u64,
    /// The memory whose statement this one replaced.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub supersedes_id: Option<MemoryId>,
    /// The memory that replaced this statement.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub superseded_by_id: Option<MemoryId>,
}

/// A former state of a record.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct RecordVersion {
    /// The whole row as it was.
    pub record: MemoryRecord,
    /// When the next version replaced it.
    #[serde(deserialize_with = "time::required")]
    pub recorded_at: DateTime<Utc>,
}

impl RecordVersion {
    /// `record` as it was until `recorded_at`.
    #[must_use]
    pub fn new(record: MemoryRecord, recorded_at: DateTime<Utc>) -> Self {
        Self { record, recorded_at }
    }
}

/// A record with what was asked for beside it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct MemoryDetail {
    /// The record.
    #[serde(flatten)]
    pub record: MemoryRecord,
    /// Its former states, oldest first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub versions: Vec<RecordVersion>,
    /// The facts it is evidence of.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub facts: Vec<Fact>,
}

impl MemoryDetail {
    /// A record alone.
    #[must_use]
    pub fn new(record: MemoryRecord) -> Self {
        Self { record, versions: Vec::new(), facts: Vec::new() }
    }
}

/// A memory as a read returns it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct MemoryItem {
    /// Identity of the record.
    pub id: MemoryId,
    /// The text.
    pub text: String,
    /// What kind of memory it is.
    #[serde(rename = "type")]
    pub memory_type: MemoryType,
    /// How sure we are that it is true.
    #[serde(deserialize_with = "units::clamped")]
    pub confidence: Score,
    /// How well it answers the query, from absolute evidence; comparable between queries.
    #[serde(deserialize_with = "units::clamped")]
    pub relevance: Score,
    /// When it was said.
    #[serde(deserialize_with = "time::required")]
    pub timestamp: DateTime<Utc>,
    /// The caller's fields.
    #[serde(default)]
    pub metadata: Metadata,
    /// The caller's tags.
    #[serde(default)]
    pub context_tags: Vec<String>,
    /// The namespace it is in.
    #[serde(default)]
    pub namespace: String,
    /// When it was said; the same instant as `timestamp`.
    #[serde(default, deserialize_with = "time::optional", skip_serializing_if = "Option::is_none")]
    pub said_at: Option<DateTime<Utc>>,
    /// Start of what the text tells about.
    #[serde(default, deserialize_with = "time::optional", skip_serializing_if = "Option::is_none")]
    pub event_start: Option<DateTime<Utc>>,
    /// End (exclusive) of what the text tells about.
    #[serde(default, deserialize_with = "time::optional", skip_serializing_if = "Option::is_none")]
    pub event_end: Option<DateTime<Utc>>,
    /// The conversation it belongs to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub session_id: Option<String>,
    /// Who said it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub role: Option<Role>,
    /// Name of who said it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub speaker: Option<String>,
    /// Why it is here; only when the read asked for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub explain: Option<Value>,
}

impl MemoryItem {
    /// What a read shows of `record`.
    #[must_use]
    pub fn new(record: MemoryRecord, relevance: Score) -> Self {
        let some = |text: String| Some(text).filter(|text| !text.is_empty());
        Self {
            id: record.id,
            text: record.text,
            memory_type: record.memory_type,
            confidence: record.confidence,
            relevance,
            timestamp: record.timestamp,
            metadata: record.metadata,
            context_tags: record.context_tags,
            namespace: record.namespace,
            said_at: Some(record.timestamp),
            event_start: record.event_start,
            event_end: record.event_end,
            session_id: some(record.session_id),
            role: Some(record.role),
            speaker: some(record.speaker),
            explain: None,
        }
    }
}
