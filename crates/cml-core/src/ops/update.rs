//! Changing a memory.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::{
    Checks, setters,
    write::{check_content, check_metadata},
};
use crate::{
    MemoryId, Result,
    memory::{MemoryType, Metadata},
    scope::{MAX_KEY_CHARS, check_id},
    string_enum, time,
};

string_enum! {
    /// What somebody says of a memory.
    pub enum Feedback("feedback") {
        /// It is right: confidence + 0.2, at most 1.
        Correct = "correct",
        /// It is wrong: confidence 0, status `deleted`.
        Incorrect = "incorrect",
        /// It was right: `valid_to` becomes now.
        Outdated = "outdated",
    }
}

/// What to change on a memory; absent fields stay.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct UpdateRequest {
    /// The memory.
    pub memory_id: MemoryId,
    /// The new text: vectors, words, dates and facts are made again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
    /// 0..=1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub confidence: Option<f64>,
    /// 0..=1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub importance: Option<f64>,
    /// Fields to merge; a null deletes its key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub metadata: Option<Metadata>,
    /// What somebody says of the memory.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub feedback: Option<Feedback>,
    /// The new tags.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub context_tags: Option<Vec<String>>,
    /// The new type.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub memory_type: Option<MemoryType>,
    /// From when the statement holds.
    #[serde(default, deserialize_with = "time::optional", skip_serializing_if = "Option::is_none")]
    pub valid_from: Option<DateTime<Utc>>,
    /// Until when the statement held.
    #[serde(default, deserialize_with = "time::optional", skip_serializing_if = "Option::is_none")]
    pub valid_to: Option<DateTime<Utc>>,
    /// The version that the change is meant for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expected_version: Option<u64>,
    /// IANA zone in which dates in the new text are meant; UTC when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user_timezone: Option<String>,
    /// Makes a repeat of this very request return the first answer, for 24 hours.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub idempotency_key: Option<String>,
}

impl UpdateRequest {
    /// A request that changes nothing yet.
    #[must_use]
    pub fn new(memory_id: MemoryId) -> Self {
        Self {
            memory_id,
            text: None,
            confidence: None,
            importance: None,
            metadata: None,
            feedback: None,
            context_tags: None,
            memory_type: None,
            valid_from: None,
            valid_to: None,
            expected_version: None,
            user_timezone: None,
            idempotency_key: None,
        }
    }

    setters! {
        /// Sets the new text.
        with_text => text: some <String>;
        /// Sets the confidence, 0..=1.
        with_confidence => confidence: some <f64>;
        /// Sets the importance, 0..=1.
        with_importance => importance: some <f64>;
        /// Sets the fields to merge.
        with_metadata => metadata: some <Metadata>;
        /// Sets what somebody says of it.
        with_feedback => feedback: some <Feedback>;
        /// Sets the new type.
        with_memory_type => memory_type: some <MemoryType>;
        /// Sets from when the statement holds.
        with_valid_from => valid_from: some <DateTime<Utc>>;
        /// Sets until when the statement held.
        with_valid_to => valid_to: some <DateTime<Utc>>;
        /// Sets the version that the change is meant for.
        with_expected_version => expected_version: some <u64>;
        /// Sets the IANA zone of dates in the new text.
        with_user_timezone => user_timezone: some <String>;
        /// Sets the idempotency key.
        with_idempotency_key => idempotency_key: some <String>;
    }

    /// Sets the new tags.
    #[must_use]
    pub fn with_tags<T: Into<String>>(mut self, tags: impl IntoIterator<Item = T>) -> Self {
        self.context_tags = Some(tags.into_iter().map(Into::into).collect());
        self
    }

    /// Checks what can be checked without a store.
    ///
    /// # Errors
    /// `InvalidInput` that lists every field that breaks a rule.
    pub fn validate(&self) -> Result<()> {
        let mut checks = Checks::default();
        if let Some(text) = &self.text {
            checks.add(check_content("text", text));
        }
        for (field, value) in [("confidence", self.confidence), ("importance", self.importance)] {
            let valid = value.is_none_or(|value| (0.0..=1.0).contains(&value));
            checks.require(valid, field, "must be a number from 0 to 1");
        }
        if let Some(metadata) = &self.metadata {
            checks.add(check_metadata(metadata));
        }
        for tag in self.context_tags.iter().flatten() {
            checks.add(check_id("context_tags", tag, MAX_KEY_CHARS));
        }
        checks.require(
            self.valid_from.zip(self.valid_to).is_none_or(|(from, to)| from < to),
            "valid_to",
            "must be after valid_from",
        );
        checks.zone(self.user_timezone.as_ref());
        checks.id("idempotency_key", self.idempotency_key.as_ref());
        checks.finish()
    }
}

/// What became of an update.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct UpdateResponse {
    /// Whether the change was made.
    pub success: bool,
    /// The memory.
    pub memory_id: MemoryId,
    /// Its version now.
    pub version: u64,
    /// The outcome in words.
    pub message: String,
}
