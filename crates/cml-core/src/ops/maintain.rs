//! Events, jobs, new vectors, memories open to revision.

use std::collections::BTreeSet;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::{Checks, setters};
use crate::{
    MemoryId, Result,
    memory::{Event, EventType, JobKind, OperationType},
    time,
};

/// Which events to list.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct ListEvents {
    /// Only what happened to this kind of thing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub event_type: Option<EventType>,
    /// Only what this operation did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub operation: Option<OperationType>,
    /// Only what happened at or after this instant.
    #[serde(default, deserialize_with = "time::optional", skip_serializing_if = "Option::is_none")]
    pub since: Option<DateTime<Utc>>,
    /// Most events returned, 1..=1000.
    #[serde(default = "default_limit")]
    pub limit: usize,
    /// Events to pass over.
    #[serde(default)]
    pub offset: usize,
}

const fn default_limit() -> usize {
    100
}

impl Default for ListEvents {
    fn default() -> Self {
        Self::new()
    }
}

impl ListEvents {
    /// The newest 100 events.
    #[must_use]
    pub fn new() -> Self {
        Self { event_type: None, operation: None, since: None, limit: default_limit(), offset: 0 }
    }

    setters! {
        /// Only what happened to this kind of thing.
        with_event_type => event_type: some <EventType>;
        /// Only what this operation did.
        with_operation => operation: some <OperationType>;
        /// Only what happened at or after this instant.
        with_since => since: some <DateTime<Utc>>;
        /// Sets the most events returned.
        with_limit => limit: <usize>;
        /// Sets the events to pass over.
        with_offset => offset: <usize>;
    }

    /// Checks what can be checked without a store.
    ///
    /// # Errors
    /// `InvalidInput` that lists every field that breaks a rule.
    pub fn validate(&self) -> Result<()> {
        let mut checks = Checks::default();
        checks.require((1..=1000).contains(&self.limit), "limit", "must be 1 to 1000");
        checks.finish()
    }
}

/// Events, newest first.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct EventPage {
    /// The events of this page.
    pub items: Vec<Event>,
    /// Number of events that match, on all pages.
    pub total: u64,
}

/// Which jobs to list, newest first.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct ListJobs {
    /// Only this kind of work.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub job_type: Option<JobKind>,
}

/// How far making vectors with another model has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct ReembedProgress {
    /// Records done.
    pub done: u64,
    /// Records in all; may rise while others write.
    pub total: u64,
}

impl ReembedProgress {
    /// `done` of `total` records.
    #[must_use]
    pub const fn new(done: u64, total: u64) -> Self {
        Self { done, total }
    }
}

/// Memories that were recalled lately and are open to revision.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct LabileStatus {
    /// The tenant.
    pub tenant_id: String,
    /// The conversations that recalled them, by id.
    pub sessions: Vec<LabileSession>,
}

impl LabileStatus {
    /// Number of memories open to revision, each counted once.
    #[must_use]
    pub fn memory_count(&self) -> usize {
        let memories = self.sessions.iter().flat_map(|session| &session.memories);
        memories.collect::<BTreeSet<_>>().len()
    }
}

/// Memories that a conversation recalled lately.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct LabileSession {
    /// The conversation.
    pub session_id: String,
    /// What it recalled, by id.
    pub memories: Vec<MemoryId>,
}

impl LabileSession {
    /// `memories` that the conversation `session_id` recalled.
    #[must_use]
    pub fn new(session_id: impl Into<String>, memories: Vec<MemoryId>) -> Self {
        Self { session_id: session_id.into(), memories }
    }
}
