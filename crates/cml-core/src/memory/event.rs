//! What happened, and what is to be done.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::{EventType, JobKind, JobStatus, Metadata, OperationType};
use crate::{EventId, JobId, MemoryId, time};

/// What happened to what, by which operation, when and why. Never holds memory text.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Event {
    /// Identity; sorts by time.
    pub id: EventId,
    /// The tenant it happened in.
    pub tenant_id: String,
    /// The namespace, or empty.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub namespace: String,
    /// The data subject, or empty.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub user_id: String,
    /// The agent that caused it, or empty.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub agent_id: String,
    /// The conversation, or empty.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub session_id: String,
    /// What it happened to.
    pub event_type: EventType,
    /// By which operation.
    pub operation: OperationType,
    /// Details: counts, statuses, reasons.
    #[serde(default)]
    pub payload: Metadata,
    /// The memories concerned.
    #[serde(default)]
    pub memory_ids: Vec<MemoryId>,
    /// When.
    #[serde(deserialize_with = "time::required")]
    pub created_at: DateTime<Utc>,
}

/// A piece of durable background work.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Job {
    /// Identity.
    pub id: JobId,
    /// The tenant it works for.
    pub tenant_id: String,
    /// The data subject it is limited to, or empty.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub user_id: String,
    /// What it does.
    pub job_type: JobKind,
    /// Where it stands.
    pub status: JobStatus,
    /// Whether it only plans.
    #[serde(default)]
    pub dry_run: bool,
    /// Share done, 0.0..=1.0.
    pub progress: f64,
    /// How often it was tried.
    pub attempts: u32,
    /// Its counts, when done.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub result: Option<Metadata>,
    /// Why it failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// When it was asked for.
    #[serde(deserialize_with = "time::required")]
    pub created_at: DateTime<Utc>,
    /// When a worker took it.
    #[serde(default, deserialize_with = "time::optional", skip_serializing_if = "Option::is_none")]
    pub started_at: Option<DateTime<Utc>>,
    /// When it ended.
    #[serde(default, deserialize_with = "time::optional", skip_serializing_if = "Option::is_none")]
    pub completed_at: Option<DateTime<Utc>>,
}
