//! Statements, listed and retracted.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::{Checks, setters};
use crate::{
    Result,
    memory::{Fact, FactCategory},
    time,
};

/// Which facts to list.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct ListFacts {
    /// Only this category.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub category: Option<FactCategory>,
    /// Only about this subject.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subject: Option<String>,
    /// Only this slot.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub slot: Option<String>,
    /// Leaves out superseded and retracted facts.
    #[serde(default = "default_current")]
    pub current_only: bool,
    /// What held at this instant; overrides `current_only`.
    #[serde(default, deserialize_with = "time::optional", skip_serializing_if = "Option::is_none")]
    pub as_of: Option<DateTime<Utc>>,
    /// Most facts returned, 1..=1000.
    #[serde(default = "default_limit")]
    pub limit: usize,
    /// Facts to pass over.
    #[serde(default)]
    pub offset: usize,
}

const fn default_current() -> bool {
    true
}

const fn default_limit() -> usize {
    100
}

impl Default for ListFacts {
    fn default() -> Self {
        Self::new()
    }
}

impl ListFacts {
    /// The first 100 facts that hold now.
    #[must_use]
    pub fn new() -> Self {
        Self {
            category: None,
            subject: None,
            slot: None,
            current_only: default_current(),
            as_of: None,
            limit: default_limit(),
            offset: 0,
        }
    }

    setters! {
        /// Only this category.
        with_category => category: some <FactCategory>;
        /// Only about this subject.
        with_subject => subject: some <String>;
        /// Only this slot.
        with_slot => slot: some <String>;
        /// Whether superseded and retracted facts are left out.
        with_current_only => current_only: <bool>;
        /// What held at this instant.
        with_as_of => as_of: some <DateTime<Utc>>;
        /// Sets the most facts returned.
        with_limit => limit: <usize>;
        /// Sets the facts to pass over.
        with_offset => offset: <usize>;
    }

    /// Checks what can be checked without a store.
    ///
    /// # Errors
    /// `InvalidInput` that lists every field that breaks a rule.
    pub fn validate(&self) -> Result<()> {
        let mut checks = Checks::default();
        checks.require((1..=1000).contains(&self.limit), "limit", "must be 1 to 1000");
        checks.finish()
    }
}

/// Facts, newest validity first.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct FactList {
    /// The facts of this page.
    pub items: Vec<Fact>,
    /// Number of facts that match, on all pages.
    pub total: u64,
}
