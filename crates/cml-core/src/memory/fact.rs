//! Statements extracted from memories.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::{FactCategory, FactStatus, MemorySource};
use crate::{FactId, MemoryId, MessageId, Score, time};

/// A statement by subject and predicate, with the span in which it held.
///
/// A fact of one of the five constraint categories is a constraint: it applies to requests in its
/// [`situations`](Self::situations) even when they do not resemble it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Fact {
    /// Identity.
    pub id: FactId,
    /// The tenant that owns it.
    pub tenant_id: String,
    /// The namespace that it is in.
    pub namespace: String,
    /// The data subject, or empty.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub user_id: String,
    /// The author of the statement, or empty.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub agent_id: String,
    /// The conversation it was first said in, or empty.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub session_id: String,
    /// Whom it is about: `user`, a relation of the user such as `user/sister`, or a name.
    pub subject: String,
    /// What is said: `current_city`, `employer`, `allergy` ...
    pub predicate: String,
    /// The value as the text has it.
    pub value: String,
    /// What it is about.
    pub category: FactCategory,
    /// Facts of one slot and subject exclude each other; empty when several may hold at once.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub slot: String,
    /// Situations it bears on (constraints): `food`, `travel`, `schedule` ...
    #[serde(default)]
    pub situations: Vec<String>,
    /// How sure we are that it is true.
    pub confidence: Score,
    /// Where it comes from.
    pub source: MemorySource,
    /// Whether it holds.
    pub status: FactStatus,
    /// From when it holds.
    #[serde(deserialize_with = "time::required")]
    pub valid_from: DateTime<Utc>,
    /// Until when it held (exclusive).
    #[serde(default, deserialize_with = "time::optional", skip_serializing_if = "Option::is_none")]
    pub valid_to: Option<DateTime<Utc>>,
    /// When we learned it.
    #[serde(deserialize_with = "time::required")]
    pub recorded_at: DateTime<Utc>,
    /// 1 for the first value of a slot, its predecessor's + 1 after that.
    pub version: u64,
    /// The fact it replaced.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub supersedes_id: Option<FactId>,
    /// The fact that replaced it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub superseded_by_id: Option<FactId>,
    /// What it rests on.
    #[serde(default)]
    pub evidence: Vec<Evidence>,
}

impl Fact {
    /// `subject:category:predicate`, the key under which the dashboard shows a fact.
    #[must_use]
    pub fn key(&self) -> String {
        format!("{}:{}:{}", self.subject, self.category, self.predicate)
    }

    /// Whether it is a constraint.
    #[must_use]
    pub fn is_constraint(&self) -> bool {
        self.category.is_constraint()
    }
}

/// What a fact rests on: a memory, or a message of a session log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Evidence {
    /// A memory.
    Memory(MemoryId),
    /// A message.
    Message(MessageId),
}
