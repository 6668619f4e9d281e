//! Tenants.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::time;

/// A tenant with what it holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct TenantSummary {
    /// The tenant.
    pub tenant_id: String,
    /// Memories of every status.
    pub memory_count: u64,
    /// Memories of status `active`.
    pub active_memory_count: u64,
    /// Facts and constraints that hold.
    pub fact_count: u64,
    /// When the newest memory was said.
    #[serde(default, deserialize_with = "time::optional")]
    pub last_memory_at: Option<DateTime<Utc>>,
    /// Events recorded.
    #[serde(default)]
    pub event_count: u64,
    /// When the last event happened.
    #[serde(default, deserialize_with = "time::optional")]
    pub last_event_at: Option<DateTime<Utc>>,
}
