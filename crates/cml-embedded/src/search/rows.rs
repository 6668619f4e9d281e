//! What goes into the index and what filters see of it.

use cml_core::memory::{MemoryStatus, MemoryType, Role};
use cml_core::{MemoryId, MessageId};

use super::analysis::TurnAnalysis;

/// A message of a session, or the text of a memory that belongs to no session.
///
/// Turns carry the words; the records of a turn carry vectors and what filters ask for. A turn without
/// records is a neighbour to others and is never returned.
#[derive(Debug, Clone)]
#[expect(clippy::exhaustive_structs, reason = "a row is built field by field by the caller")]
pub struct TurnRow {
    /// Identity; putting a turn again replaces it.
    pub id: MessageId,
    /// Namespace, the first half of the partition.
    pub namespace: String,
    /// User, the second half of the partition; empty for shared knowledge.
    pub user: String,
    /// Session in the tenant; empty for a memory of its own.
    pub session: String,
    /// Order within the session; equal numbers are ordered by id.
    pub seq: i64,
    /// Who speaks, where it is a conversation with an assistant.
    pub role: Option<Role>,
    /// Name of the person who speaks, or empty. Its words count as words of the turn.
    pub speaker: String,
    /// When it was said, microseconds since 1970 UTC.
    pub said_at: i64,
    /// The analysed text.
    pub analysis: TurnAnalysis,
}

/// A memory: a whole turn or one chunk of it.
#[derive(Debug, Clone)]
#[expect(clippy::exhaustive_structs, reason = "a row is built field by field by the caller")]
pub struct RecordRow {
    /// Identity; putting a record again replaces it.
    pub id: MemoryId,
    /// The turn it is part of.
    pub turn: MessageId,
    /// Place among the turn's chunks, from 0.
    pub chunk_index: u32,
    /// Type of memory.
    pub kind: MemoryType,
    /// Status.
    pub status: MemoryStatus,
    /// Author, or empty.
    pub agent: String,
    /// Tags.
    pub tags: Vec<String>,
    /// Canonical JSON object, or nothing.
    pub metadata: Option<Box<str>>,
    /// When what it tells of took place, first and last microsecond since 1970 UTC.
    pub event: Option<(i64, i64)>,
    /// When it stopped being true, microseconds since 1970 UTC.
    pub valid_to: Option<i64>,
    /// From when on it is not returned, microseconds since 1970 UTC.
    pub expires_at: Option<i64>,
    /// Whether a newer record took its place.
    pub superseded: bool,
    /// When it was stored, microseconds since 1970 UTC.
    pub written_at: i64,
    /// Unit vector of the index's dimensions and its length before normalisation.
    pub vector: Option<(Vec<f32>, f32)>,
    /// Unit vector of "previous turn, newline, turn"; only read where the model is not additive.
    pub context: Option<Vec<f32>>,
}

/// A record as filters see it.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub struct IndexedRecord<'a> {
    /// The row as it was put, without its vectors.
    pub row: &'a RecordRow,
    /// Namespace of its turn.
    pub namespace: &'a str,
    /// User of its turn, or empty.
    pub user: &'a str,
    /// Session of its turn, or empty.
    pub session: &'a str,
    /// Role of its turn.
    pub role: Option<Role>,
    /// Speaker of its turn, or empty.
    pub speaker: &'a str,
    /// When it was said, microseconds since 1970 UTC.
    pub said_at: i64,
}
