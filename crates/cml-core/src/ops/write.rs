//! Storing a memory.

use std::fmt;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::{Checks, setters};
use crate::{
    Error, MemoryId, Result,
    memory::{MemoryType, Metadata, Role},
    scope::{MAX_KEY_CHARS, ScopeParts, check_id},
    string_enum, time,
};

/// Longest text of one write, in characters after trimming.
pub const MAX_CONTENT_CHARS: usize = 100_000;
/// Largest metadata object, in bytes of compact JSON.
pub const MAX_METADATA_BYTES: usize = 64 * 1024;

string_enum! {
    /// What is made of a text.
    pub enum Extract("extract") {
        /// Type, dates, entities, facts and constraints are derived from it.
        Full = "full",
        /// It is stored as it is (after the gate): documents, source code.
        Raw = "raw",
    }
}

string_enum! {
    /// Whether a write waits for its enrichment by a language model.
    pub enum Enrich("enrich") {
        /// A durable job does it afterwards.
        Later = "later",
        /// The write returns when it is done.
        Wait = "wait",
    }
}

string_enum! {
    /// What became of a write.
    pub enum WriteOutcome("eval_outcome") {
        /// A memory holds it.
        Stored = "stored",
        /// The gate kept it out; a session log still has the message.
        Skipped = "skipped",
    }
}

/// A text to remember.
///
/// ```
/// use cml_core::{memory::MemoryType, ops::WriteRequest};
///
/// let request = WriteRequest::new("I am allergic to shellfish")
///     .with_memory_type(MemoryType::Constraint)
///     .with_tags(["health"]);
/// assert!(request.validate().is_ok());
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct WriteRequest {
    /// The text, 1..=100 000 characters after trimming, without NUL.
    pub content: String,
    /// Tags to filter by.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub context_tags: Vec<String>,
    /// The kind of memory; detected when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub memory_type: Option<MemoryType>,
    /// The caller's fields, at most 64 KiB of JSON.
    #[serde(default, skip_serializing_if = "Metadata::is_empty")]
    pub metadata: Metadata,
    /// The caller's id of the turn: a repeat of it in the session returns the first answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub turn_id: Option<String>,
    /// When it was said; now when absent.
    #[serde(default, deserialize_with = "time::optional", skip_serializing_if = "Option::is_none")]
    pub timestamp: Option<DateTime<Utc>>,
    /// Who says it; the user when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub role: Option<Role>,
    /// Name of who says it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub speaker: Option<String>,
    /// The caller's own identity for the memory: a later write with it replaces the text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
    /// From when it is no longer returned.
    #[serde(default, deserialize_with = "time::optional", skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<DateTime<Utc>>,
    /// IANA zone in which dates in the text are meant; UTC when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user_timezone: Option<String>,
    /// What is made of the text; `full` when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub extract: Option<Extract>,
    /// Whether to wait for enrichment; `later` when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub enrich: Option<Enrich>,
    /// Makes a repeat of this very request return the first answer, for 24 hours.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub idempotency_key: Option<String>,
    /// Asks for [`WriteResponse::eval_outcome`] and its reason.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub eval_mode: bool,
    /// Where it goes, as far as this request says so itself.
    #[serde(flatten)]
    pub scope: ScopeParts,
}

impl WriteRequest {
    /// A request to remember `content`.
    #[must_use]
    pub fn new(content: impl Into<String>) -> Self {
        Self {
            content: content.into(),
            context_tags: Vec::new(),
            memory_type: None,
            metadata: Metadata::new(),
            turn_id: None,
            timestamp: None,
            role: None,
            speaker: None,
            key: None,
            expires_at: None,
            user_timezone: None,
            extract: None,
            enrich: None,
            idempotency_key: None,
            eval_mode: false,
            scope: ScopeParts::default(),
        }
    }

    setters! {
        /// Sets the kind of memory.
        with_memory_type => memory_type: some <MemoryType>;
        /// Sets the caller's fields.
        with_metadata => metadata: <Metadata>;
        /// Sets the caller's id of the turn.
        with_turn_id => turn_id: some <String>;
        /// Sets when it was said.
        with_timestamp => timestamp: some <DateTime<Utc>>;
        /// Sets who says it.
        with_role => role: some <Role>;
        /// Sets the name of who says it.
        with_speaker => speaker: some <String>;
        /// Sets the caller's own identity for the memory.
        with_key => key: some <String>;
        /// Sets from when it is no longer returned.
        with_expires_at => expires_at: some <DateTime<Utc>>;
        /// Sets the IANA zone in which dates in the text are meant.
        with_user_timezone => user_timezone: some <String>;
        /// Sets what is made of the text.
        with_extract => extract: some <Extract>;
        /// Sets whether to wait for enrichment.
        with_enrich => enrich: some <Enrich>;
        /// Sets the idempotency key.
        with_idempotency_key => idempotency_key: some <String>;
        /// Asks for the gate's decision and reason.
        with_eval_mode => eval_mode: <bool>;
    }

    /// Sets the tags.
    #[must_use]
    pub fn with_tags<T: Into<String>>(mut self, tags: impl IntoIterator<Item = T>) -> Self {
        self.context_tags = tags.into_iter().map(Into::into).collect();
        self
    }

    /// Puts it into this session.
    #[must_use]
    pub fn with_session(mut self, session: impl Into<String>) -> Self {
        self.scope.session_id = Some(session.into());
        self
    }

    /// Checks what can be checked without a store.
    ///
    /// # Errors
    /// `InvalidInput` that lists every field that breaks a rule.
    pub fn validate(&self) -> Result<()> {
        let mut checks = Checks::default();
        checks.add(check_content("content", &self.content));
        checks.add(check_metadata(&self.metadata));
        checks.id("turn_id", self.turn_id.as_ref());
        checks.id("speaker", self.speaker.as_ref());
        checks.id("idempotency_key", self.idempotency_key.as_ref());
        checks.zone(self.user_timezone.as_ref());
        if let Some(key) = &self.key {
            checks.add(check_id("key", key, MAX_KEY_CHARS));
        }
        for tag in &self.context_tags {
            checks.add(check_id("context_tags", tag, MAX_KEY_CHARS));
        }
        checks.finish()
    }
}

impl From<&str> for WriteRequest {
    fn from(content: &str) -> Self {
        Self::new(content)
    }
}

impl From<String> for WriteRequest {
    fn from(content: String) -> Self {
        Self::new(content)
    }
}

pub(crate) fn check_content(field: &str, text: &str) -> Result<()> {
    let trimmed = text.trim();
    if trimmed.is_empty() {
        Err(Error::invalid(field, "must not be empty"))
    } else if trimmed.len() > MAX_CONTENT_CHARS && trimmed.chars().count() > MAX_CONTENT_CHARS {
        Err(Error::invalid(field, format!("must not have more than {MAX_CONTENT_CHARS} characters")))
    } else if text.contains('\0') {
        Err(Error::invalid(field, "must not contain NUL"))
    } else {
        Ok(())
    }
}

pub(crate) fn check_metadata(metadata: &Metadata) -> Result<()> {
    let size = serde_json::to_string(metadata).map_or(usize::MAX, |json| json.len());
    if size > MAX_METADATA_BYTES {
        return Err(Error::invalid(
            "metadata",
            format!("must not exceed {MAX_METADATA_BYTES} bytes of JSON"),
        ));
    }
    Ok(())
}

/// What became of a write.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct WriteResponse {
    /// Whether the request was carried out; a skipped text is carried out as well.
    pub success: bool,
    /// The memory (first chunk), or none when the gate skipped the text.
    pub memory_id: Option<MemoryId>,
    /// Number of records that the text became, 0 when nothing new was stored.
    pub chunks_created: u32,
    /// The outcome in words.
    pub message: String,
    /// Stored or skipped; only when `eval_mode` asked for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub eval_outcome: Option<WriteOutcome>,
    /// Why; only when `eval_mode` asked for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub eval_reason: Option<String>,
}

impl fmt::Display for WriteResponse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.memory_id {
            Some(id) => write!(f, "{} ({id})", self.message),
            None => f.write_str(&self.message),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn field_of(request: &WriteRequest) -> Option<String> {
        request.validate().err().map(|error| error.fields()[0].field.clone())
    }

    #[test]
    fn content_is_measured_after_trimming() {
        assert_eq!(field_of(&WriteRequest::new(format!(" {} ", "é".repeat(100_000)))), None);
        for bad in ["", " \n\t", "nul\0"].map(str::to_owned).into_iter().chain(["x".repeat(100_001)]) {
            assert_eq!(field_of(&WriteRequest::new(bad)).as_deref(), Some("content"));
        }
    }

    #[test]
    fn every_broken_field_is_named_at_once() {
        let error = WriteRequest::new("")
            .with_key("")
            .with_user_timezone("Nowhere")
            .validate()
            .expect_err("three faults");
        let fields: Vec<_> = error.fields().iter().map(|field| field.field.as_str()).collect();
        assert_eq!(fields, ["content", "user_timezone", "key"]);
    }

    #[test]
    fn metadata_that_is_no_object_is_refused() {
        let json = r#"{"content": "x", "metadata": [1]}"#;
        assert!(serde_json::from_str::<WriteRequest>(json).is_err());
    }
}
