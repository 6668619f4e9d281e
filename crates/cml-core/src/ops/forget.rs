//! Archiving, silencing and deleting on request.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::{Checks, setters};
use crate::{
    MemoryId, Result,
    memory::{MemoryItem, MetadataFilter},
    string_enum, time,
};

string_enum! {
    /// What happens to the selected memories.
    pub enum ForgetAction("action") {
        /// Rows, vectors, words, evidence and graph nodes are removed.
        Delete = "delete",
        /// Kept, and never returned by reads.
        Archive = "archive",
        /// Returned only for a strong cue.
        Silence = "silence",
    }
}

/// Which memories to forget, and how. Several selectors narrow each other; at least one is needed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct ForgetRequest {
    /// These memories; unknown and foreign ids are skipped.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub memory_ids: Vec<MemoryId>,
    /// Strong matches of this query.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub query: Option<String>,
    /// Memories said before this instant.
    #[serde(default, deserialize_with = "time::optional", skip_serializing_if = "Option::is_none")]
    pub before: Option<DateTime<Utc>>,
    /// Memories whose metadata satisfies this.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub filter: Option<MetadataFilter>,
    /// Memories of this session.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub session_id: Option<String>,
    /// What happens to them; `delete` when absent.
    #[serde(default = "default_action")]
    pub action: ForgetAction,
    /// Lists the matches and changes nothing.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub dry_run: bool,
    /// Makes a repeat of this very request return the first answer, for 24 hours.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub idempotency_key: Option<String>,
}

const fn default_action() -> ForgetAction {
    ForgetAction::Delete
}

impl Default for ForgetRequest {
    fn default() -> Self {
        Self::new()
    }
}

impl ForgetRequest {
    /// A request without a selector yet; it deletes.
    #[must_use]
    pub fn new() -> Self {
        Self {
            memory_ids: Vec::new(),
            query: None,
            before: None,
            filter: None,
            session_id: None,
            action: default_action(),
            dry_run: false,
            idempotency_key: None,
        }
    }

    /// A request to delete these memories.
    #[must_use]
    pub fn ids(ids: impl IntoIterator<Item = MemoryId>) -> Self {
        Self { memory_ids: ids.into_iter().collect(), ..Self::new() }
    }

    setters! {
        /// Selects strong matches of a query.
        with_query => query: some <String>;
        /// Selects what was said before an instant.
        with_before => before: some <DateTime<Utc>>;
        /// Selects by metadata.
        with_filter => filter: some <MetadataFilter>;
        /// Selects a session.
        with_session => session_id: some <String>;
        /// Sets what happens to the selected memories.
        with_action => action: <ForgetAction>;
        /// Only lists the matches.
        with_dry_run => dry_run: <bool>;
        /// Sets the idempotency key.
        with_idempotency_key => idempotency_key: some <String>;
    }

    /// Checks what can be checked without a store.
    ///
    /// # Errors
    /// `InvalidInput` that lists every field that breaks a rule.
    pub fn validate(&self) -> Result<()> {
        let mut checks = Checks::default();
        let query = self.query.as_ref();
        checks.require(
            !self.memory_ids.is_empty()
                || query.is_some()
                || self.before.is_some()
                || self.filter.is_some()
                || self.session_id.is_some(),
            "memory_ids",
            "needs a selector: memory_ids, query, before, filter or session_id",
        );
        checks.require(
            query.is_none_or(|query| !query.trim().is_empty() && !query.contains('\0')),
            "query",
            "must not be empty and must not contain NUL",
        );
        if let Some(filter) = &self.filter {
            checks.add(filter.validate());
        }
        checks.id("session_id", self.session_id.as_ref());
        checks.id("idempotency_key", self.idempotency_key.as_ref());
        checks.finish()
    }
}

/// What was forgotten.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct ForgetResponse {
    /// Whether the request was carried out.
    pub success: bool,
    /// Number of memories changed or removed; of a dry run, that would be.
    pub affected_count: u64,
    /// The outcome in words.
    pub message: String,
    /// The selected memories; filled by a dry run.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub matches: Vec<MemoryItem>,
}
