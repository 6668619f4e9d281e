//! The portable format: one JSON object a line.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::{
    EntityId, MemoryId, MessageId,
    memory::{Event, Evidence, Fact, MemoryRecord, Message, RecordVersion, Session},
    provider::EmbeddingModel,
    time,
};

/// `format` of a header.
pub const FORMAT_NAME: &str = "cml-export";
/// The version that this library writes, and the newest that it reads.
pub const FORMAT_VERSION: u32 = 1;

/// A line of an export. The order is header, sessions, messages, records, record versions,
/// embeddings, entities, mentions, edges, facts, fact versions, evidence, events, trailer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(tag = "kind", content = "value", rename_all = "snake_case")]
#[non_exhaustive]
pub enum ExportLine {
    /// The first line.
    Header(ExportHeader),
    /// A conversation.
    Session(Session),
    /// A message of a session log.
    Message(Message),
    /// A memory as it is now.
    Record(Box<MemoryRecord>),
    /// A former state of a memory.
    RecordVersion(Box<RecordVersion>),
    /// A vector of a memory.
    Embedding(EmbeddingRow),
    /// An entity of the knowledge graph.
    Entity(Entity),
    /// Where an entity is mentioned.
    Mention(Mention),
    /// A relation between entities.
    Edge(Edge),
    /// A fact or constraint, without its evidence.
    Fact(Fact),
    /// A former state of a fact.
    FactVersion(FactVersion),
    /// What a fact rests on.
    Evidence {
        /// The fact.
        fact_id: crate::FactId,
        /// What it rests on.
        evidence: Evidence,
    },
    /// What happened.
    Event(Event),
    /// The last line.
    Trailer(ExportTrailer),
}

impl ExportLine {
    /// The names of the kinds, as they stand in `kind`.
    pub const KINDS: &'static [&'static str] = &[
        "header",
        "session",
        "message",
        "record",
        "record_version",
        "embedding",
        "entity",
        "mention",
        "edge",
        "fact",
        "fact_version",
        "evidence",
        "event",
        "trailer",
    ];

    /// The name of this kind.
    #[must_use]
    pub const fn kind(&self) -> &'static str {
        Self::KINDS[match self {
            Self::Header(_) => 0,
            Self::Session(_) => 1,
            Self::Message(_) => 2,
            Self::Record(_) => 3,
            Self::RecordVersion(_) => 4,
            Self::Embedding(_) => 5,
            Self::Entity(_) => 6,
            Self::Mention(_) => 7,
            Self::Edge(_) => 8,
            Self::Fact(_) => 9,
            Self::FactVersion(_) => 10,
            Self::Evidence { .. } => 11,
            Self::Event(_) => 12,
            Self::Trailer(_) => 13,
        }]
    }
}

/// The first line of an export.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct ExportHeader {
    /// [`FORMAT_NAME`].
    pub format: String,
    /// [`FORMAT_VERSION`].
    pub version: u32,
    /// When the export began.
    #[serde(deserialize_with = "time::required")]
    pub created_at: DateTime<Utc>,
    /// Models of the embeddings in it.
    pub models: Vec<EmbeddingModel>,
    /// Objects by kind, as far as they were counted beforehand.
    #[serde(default)]
    pub counts: BTreeMap<String, u64>,
    /// The system that the rows come from, if it is no engine of ours: its records are written as new
    /// texts (gate, chunks, extraction) instead of being put as they are.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub origin: Option<String>,
    /// What the exporting system could not give, one sentence each.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub losses: Vec<String>,
}

/// The last line of an export.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct ExportTrailer {
    /// Objects by kind.
    pub counts: BTreeMap<String, u64>,
    /// SHA-256 of every byte before this line, hexadecimal.
    pub sha256: String,
}

/// A vector of a memory.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct EmbeddingRow {
    /// The memory.
    pub memory_id: MemoryId,
    /// Name of the model.
    pub model: String,
    /// `own` (of the text) or `context` (of the text after the message before it).
    pub view: String,
    /// Unit vector; each component is exactly representable as an IEEE 754 half.
    pub vector: Vec<f32>,
    /// Length before normalisation.
    pub norm: f32,
}

/// An entity of the knowledge graph.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Entity {
    /// Identity.
    pub id: EntityId,
    /// The tenant that owns it.
    pub tenant_id: String,
    /// The namespace that it is in.
    pub namespace: String,
    /// The data subject, or empty.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub user_id: String,
    /// Its name as first mentioned.
    pub name: String,
    /// `person`, `place`, `organisation`, `thing` ...
    pub entity_type: String,
}

/// Where an entity is mentioned.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Mention {
    /// The entity.
    pub entity_id: EntityId,
    /// The memory.
    pub memory_id: MemoryId,
    /// The message of that memory.
    pub message_id: MessageId,
}

/// A relation between entities, read off a fact.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Edge {
    /// From.
    pub source: EntityId,
    /// To.
    pub target: EntityId,
    /// What relates them.
    pub predicate: String,
    /// How sure we are, 0..=1.
    pub confidence: f64,
}

/// A former state of a fact.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct FactVersion {
    /// The whole row as it was, without its evidence.
    pub fact: Fact,
    /// When the next version replaced it.
    #[serde(deserialize_with = "time::required")]
    pub recorded_at: DateTime<Utc>,
}

/// What to export.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct ExportOptions {
    /// Whether vectors are included.
    pub vectors: bool,
}

impl Default for ExportOptions {
    fn default() -> Self {
        Self { vectors: true }
    }
}

/// What an import did.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct ImportReport {
    /// Objects put in, by kind.
    pub imported: BTreeMap<String, u64>,
    /// Objects that were there already in this version or a later one, by kind.
    pub skipped: BTreeMap<String, u64>,
    /// What could not be carried over, one sentence each.
    pub losses: Vec<String>,
}
