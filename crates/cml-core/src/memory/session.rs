//! Conversations and what was said in them.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::{Metadata, Role};
use crate::{MemoryId, MessageId, time};

/// Header of a conversation.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Session {
    /// The caller's or the engine's id of it.
    pub session_id: String,
    /// The tenant that owns it.
    pub tenant_id: String,
    /// The namespace it was opened in.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub namespace: String,
    /// The user it was opened for, or empty.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub user_id: String,
    /// The agent that opened it, or empty.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub agent_id: String,
    /// A name for people, or empty.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub name: String,
    /// What it is for, such as `chat` or `task`; empty when not said.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub kind: String,
    /// Names of those who speak in it.
    #[serde(default)]
    pub participants: Vec<String>,
    /// The caller's fields.
    #[serde(default)]
    pub metadata: Metadata,
    /// When it was opened.
    #[serde(deserialize_with = "time::required")]
    pub created_at: DateTime<Utc>,
    /// When its working context ends; the log stays.
    #[serde(default, deserialize_with = "time::optional", skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<DateTime<Utc>>,
}

/// One message of a session log.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Message {
    /// Identity.
    pub id: MessageId,
    /// The tenant that owns it.
    pub tenant_id: String,
    /// The namespace it was said in.
    pub namespace: String,
    /// The data subject, or empty.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub user_id: String,
    /// The author, or empty.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub agent_id: String,
    /// The conversation.
    pub session_id: String,
    /// Position in the conversation, from 1, rising.
    pub seq: u64,
    /// Who speaks.
    pub role: Role,
    /// Name of who speaks, or empty.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub speaker: String,
    /// The text after redaction; empty where it held a secret.
    pub text: String,
    /// The caller's fields.
    #[serde(default)]
    pub metadata: Metadata,
    /// When it was said.
    #[serde(deserialize_with = "time::required")]
    pub said_at: DateTime<Utc>,
    /// The caller's id of the turn, or empty.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub turn_id: String,
    /// The memory that it became or strengthened; none where the gate skipped it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub memory_id: Option<MemoryId>,
}
