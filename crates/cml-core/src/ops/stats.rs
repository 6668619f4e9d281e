//! Counts of what a scope can see.

use std::{collections::BTreeMap, fmt};

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::{
    memory::{MemoryStatus, MemoryType},
    time,
};

/// Counts and means over the memories that a scope can see.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Stats {
    /// Memories of every status.
    pub total_memories: u64,
    /// Memories of status `active`.
    pub active_memories: u64,
    /// Memories of status `silent`.
    pub silent_memories: u64,
    /// Memories of status `archived`.
    pub archived_memories: u64,
    /// Memories by type; types without a memory are absent.
    pub by_type: BTreeMap<MemoryType, u64>,
    /// Memories by status; statuses without a memory are absent.
    #[serde(default)]
    pub by_status: BTreeMap<MemoryStatus, u64>,
    /// Mean confidence, 0 when there are none.
    pub avg_confidence: f64,
    /// Mean importance, 0 when there are none.
    pub avg_importance: f64,
    /// When the oldest was said.
    #[serde(default, deserialize_with = "time::optional")]
    pub oldest_memory: Option<DateTime<Utc>>,
    /// When the newest was said.
    #[serde(default, deserialize_with = "time::optional")]
    pub newest_memory: Option<DateTime<Utc>>,
    /// Text, metadata and vectors, in megabytes (10^6 bytes).
    pub estimated_size_mb: f64,
}

impl fmt::Display for Stats {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} memories ({} active, {} silent, {} archived), {:.2} MB",
            self.total_memories,
            self.active_memories,
            self.silent_memories,
            self.archived_memories,
            self.estimated_size_mb
        )?;
        for (memory_type, count) in &self.by_type {
            write!(f, "\n  {memory_type:<16} {count}")?;
        }
        Ok(())
    }
}
