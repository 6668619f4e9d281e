//! Removing every trace of a subject.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::scope::Subject;

/// Whose rows are removed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct EraseRequest {
    /// The subject, inside the tenant of the call.
    pub subject: Subject,
}

impl EraseRequest {
    /// A request to remove every row of `subject`.
    #[must_use]
    pub fn new(subject: Subject) -> Self {
        Self { subject }
    }
}

/// What was removed.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct EraseResponse {
    /// Rows removed, by table.
    pub counts: BTreeMap<String, u64>,
    /// Number of memories removed.
    pub affected_count: u64,
}
