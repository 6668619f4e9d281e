//! Conversations.

use serde::{Deserialize, Serialize};

use super::{Checks, setters};
use crate::{
    Result,
    memory::{MemoryItem, Message, Metadata},
};

/// A conversation to open.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct CreateSession {
    /// A name for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// What it is for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
    /// Names of those who speak in it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub participants: Vec<String>,
    /// Hours until its working context ends, 1..=87 600; 24 when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ttl_hours: Option<u32>,
    /// The caller's fields.
    #[serde(default, skip_serializing_if = "Metadata::is_empty")]
    pub metadata: Metadata,
    /// Makes a repeat of this very request return the first session, for 24 hours.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub idempotency_key: Option<String>,
}

impl CreateSession {
    /// A session without a name that ends after 24 hours.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    setters! {
        /// Sets the name.
        with_name => name: some <String>;
        /// Sets what it is for.
        with_kind => kind: some <String>;
        /// Sets who speaks in it.
        with_participants => participants: <Vec<String>>;
        /// Sets the hours until its working context ends.
        with_ttl_hours => ttl_hours: some <u32>;
        /// Sets the caller's fields.
        with_metadata => metadata: <Metadata>;
        /// Sets the idempotency key.
        with_idempotency_key => idempotency_key: some <String>;
    }

    /// Checks what can be checked without a store.
    ///
    /// # Errors
    /// `InvalidInput` that lists every field that breaks a rule.
    pub fn validate(&self) -> Result<()> {
        let mut checks = Checks::default();
        checks.id("name", self.name.as_ref());
        checks.id("kind", self.kind.as_ref());
        for participant in &self.participants {
            checks.id("participants", Some(participant));
        }
        checks.require(
            self.ttl_hours.is_none_or(|hours| (1..=87_600).contains(&hours)),
            "ttl_hours",
            "must be 1 to 87600",
        );
        checks.add(super::write::check_metadata(&self.metadata));
        checks.id("idempotency_key", self.idempotency_key.as_ref());
        checks.finish()
    }
}

/// The working context of a conversation.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct SessionContext {
    /// The conversation.
    pub session_id: String,
    /// What was said, in order.
    #[serde(default)]
    pub messages: Vec<MemoryItem>,
    /// What tools returned, in order; not repeated among the messages.
    #[serde(default)]
    pub tool_results: Vec<MemoryItem>,
    /// Working notes, in order; not repeated among the messages.
    #[serde(default)]
    pub scratch_pad: Vec<MemoryItem>,
    /// The end of the conversation as text, within the token budget.
    #[serde(default)]
    pub context_string: String,
}

/// A page of a session log.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct MessagePage {
    /// Messages in order.
    pub messages: Vec<Message>,
    /// Pass it as `after` for the next page; none on the last one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_after: Option<u64>,
}
