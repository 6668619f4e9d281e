//! One message with its answer: recall first, then log and store.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::{Checks, DEFAULT_CONTEXT_TOKENS, setters, write::check_content};
use crate::{Result, memory::MemoryItem, scope::ScopeParts, time};

/// A user's message, and the answer to it once there is one.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct TurnRequest {
    /// What the user said.
    pub user_message: String,
    /// What was answered; the exchange is stored only when it is given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub assistant_response: Option<String>,
    /// Token budget of the recalled context, at least 1.
    #[serde(default = "default_tokens")]
    pub max_context_tokens: usize,
    /// When it was said; now when absent.
    #[serde(default, deserialize_with = "time::optional", skip_serializing_if = "Option::is_none")]
    pub timestamp: Option<DateTime<Utc>>,
    /// IANA zone in which dates are meant; UTC when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user_timezone: Option<String>,
    /// The caller's id of the turn: a repeat of it in the session stores nothing new.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub turn_id: Option<String>,
    /// Makes a repeat of this very request store nothing new, for 24 hours.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub idempotency_key: Option<String>,
    /// Where it happens, as far as this request says so itself.
    #[serde(flatten)]
    pub scope: ScopeParts,
}

const fn default_tokens() -> usize {
    DEFAULT_CONTEXT_TOKENS
}

impl TurnRequest {
    /// A user's message without an answer: recall only.
    #[must_use]
    pub fn new(user_message: impl Into<String>) -> Self {
        Self {
            user_message: user_message.into(),
            assistant_response: None,
            max_context_tokens: default_tokens(),
            timestamp: None,
            user_timezone: None,
            turn_id: None,
            idempotency_key: None,
            scope: ScopeParts::default(),
        }
    }

    setters! {
        /// Adds the answer, so that the exchange is stored.
        with_assistant_response => assistant_response: some <String>;
        /// Sets the token budget of the recalled context.
        with_max_context_tokens => max_context_tokens: <usize>;
        /// Sets when it was said.
        with_timestamp => timestamp: some <DateTime<Utc>>;
        /// Sets the IANA zone in which dates are meant.
        with_user_timezone => user_timezone: some <String>;
        /// Sets the caller's id of the turn.
        with_turn_id => turn_id: some <String>;
        /// Sets the idempotency key.
        with_idempotency_key => idempotency_key: some <String>;
    }

    /// Checks what can be checked without a store.
    ///
    /// # Errors
    /// `InvalidInput` that lists every field that breaks a rule.
    pub fn validate(&self) -> Result<()> {
        let mut checks = Checks::default();
        checks.add(check_content("user_message", &self.user_message));
        if let Some(answer) = &self.assistant_response {
            checks.add(check_content("assistant_response", answer));
        }
        checks.require(self.max_context_tokens > 0, "max_context_tokens", "must be at least 1");
        checks.zone(self.user_timezone.as_ref());
        checks.id("turn_id", self.turn_id.as_ref());
        checks.id("idempotency_key", self.idempotency_key.as_ref());
        checks.finish()
    }
}

/// What a turn recalled and stored.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct TurnResponse {
    /// The recalled context, rendered for a prompt; empty when nothing was recalled.
    pub memory_context: String,
    /// Number of memories in the context.
    pub memories_retrieved: usize,
    /// Number of new memories.
    pub memories_stored: usize,
    /// Whether a recalled memory was revised.
    pub reconsolidation_applied: bool,
    /// The memories of the context, best first.
    #[serde(default)]
    pub memories: Vec<MemoryItem>,
}
