//! Records in full: one by id, or page by page.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::{Checks, setters};
use crate::{
    MemoryId, Result,
    memory::{MemoryRecord, MemoryStatus, MemoryType, MetadataFilter, filter},
    string_enum, time,
};

/// Which state of a record is meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum At {
    /// As it is now.
    #[default]
    Latest,
    /// As of a version, from 1.
    Version(u64),
    /// As we had it stored at an instant.
    Time(DateTime<Utc>),
}

/// A record to get.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct GetRequest {
    /// The memory.
    pub memory_id: MemoryId,
    /// Which state of it.
    #[serde(default)]
    pub at: At,
    /// Adds its former states.
    #[serde(default)]
    pub versions: bool,
    /// Adds the facts it is evidence of.
    #[serde(default)]
    pub facts: bool,
}

impl GetRequest {
    /// The record alone, as it is now.
    #[must_use]
    pub fn new(memory_id: MemoryId) -> Self {
        Self { memory_id, at: At::Latest, versions: false, facts: false }
    }

    setters! {
        /// Sets which state of it is meant.
        with_at => at: <At>;
        /// Adds its former states.
        with_versions => versions: <bool>;
        /// Adds the facts it is evidence of.
        with_facts => facts: <bool>;
    }
}

impl From<MemoryId> for GetRequest {
    fn from(id: MemoryId) -> Self {
        Self::new(id)
    }
}

string_enum! {
    /// The column that orders a list. Ties are broken by id.
    pub enum OrderBy("order_by") {
        /// When it was said.
        Timestamp = "timestamp",
        /// When it was stored.
        WrittenAt = "written_at",
        /// How sure we are.
        Confidence = "confidence",
        /// How much it matters.
        Importance = "importance",
        /// How often it was recalled.
        AccessCount = "access_count",
        /// Its type, by name.
        Type = "type",
        /// Its status, by name.
        Status = "status",
    }
}

string_enum! {
    /// The direction of a list.
    pub enum ListOrder("order") {
        /// Smallest first.
        Asc = "asc",
        /// Largest first.
        Desc = "desc",
    }
}

/// A page of a list.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct ListRequest {
    /// Only these types.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub memory_types: Vec<MemoryType>,
    /// Only these statuses; every status when empty.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub statuses: Vec<MemoryStatus>,
    /// Only memories that carry at least one of these tags.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub context_filter: Vec<String>,
    /// Only memories said, or telling of something, at or after this instant.
    #[serde(default, deserialize_with = "time::optional", skip_serializing_if = "Option::is_none")]
    pub since: Option<DateTime<Utc>>,
    /// Only memories said, or telling of something, before this instant.
    #[serde(default, deserialize_with = "time::optional", skip_serializing_if = "Option::is_none")]
    pub until: Option<DateTime<Utc>>,
    /// Only memories whose metadata satisfies this.
    #[serde(default, deserialize_with = "filter::optional", skip_serializing_if = "Option::is_none")]
    pub filter: Option<MetadataFilter>,
    /// Only memories whose text holds this, letter case ignored.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub search: Option<String>,
    /// Only these namespaces.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub namespaces: Vec<String>,
    /// Only memories written by these agents.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub agents: Vec<String>,
    /// Only this session.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub session_id: Option<String>,
    /// The column that orders it.
    #[serde(default = "default_order_by")]
    pub order_by: OrderBy,
    /// The direction.
    #[serde(default = "default_order")]
    pub order: ListOrder,
    /// Where the former page ended: its `next_cursor`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cursor: Option<String>,
    /// Most items of the page, 1..=1000.
    #[serde(default = "default_limit")]
    pub limit: usize,
}

const fn default_order_by() -> OrderBy {
    OrderBy::WrittenAt
}

const fn default_order() -> ListOrder {
    ListOrder::Desc
}

const fn default_limit() -> usize {
    100
}

impl Default for ListRequest {
    fn default() -> Self {
        Self::new()
    }
}

impl ListRequest {
    /// The newest 100 records of any status.
    #[must_use]
    pub fn new() -> Self {
        Self {
            memory_types: Vec::new(),
            statuses: Vec::new(),
            context_filter: Vec::new(),
            since: None,
            until: None,
            filter: None,
            search: None,
            namespaces: Vec::new(),
            agents: Vec::new(),
            session_id: None,
            order_by: default_order_by(),
            order: default_order(),
            cursor: None,
            limit: default_limit(),
        }
    }

    setters! {
        /// Sets the earliest instant said or told of.
        with_since => since: some <DateTime<Utc>>;
        /// Sets the instant before which it was said or told of.
        with_until => until: some <DateTime<Utc>>;
        /// Sets the condition on metadata.
        with_filter => filter: some <MetadataFilter>;
        /// Sets the text to look for.
        with_search => search: some <String>;
        /// Limits the list to one session.
        with_session => session_id: some <String>;
        /// Sets the column that orders it.
        with_order_by => order_by: <OrderBy>;
        /// Sets the direction.
        with_order => order: <ListOrder>;
        /// Continues after the former page.
        with_cursor => cursor: some <String>;
        /// Sets the most items of the page.
        with_limit => limit: <usize>;
    }

    /// Only these types.
    #[must_use]
    pub fn with_memory_types(mut self, types: impl IntoIterator<Item = MemoryType>) -> Self {
        self.memory_types = types.into_iter().collect();
        self
    }

    /// Only these statuses.
    #[must_use]
    pub fn with_statuses(mut self, statuses: impl IntoIterator<Item = MemoryStatus>) -> Self {
        self.statuses = statuses.into_iter().collect();
        self
    }

    /// Only memories that carry at least one of these tags.
    #[must_use]
    pub fn with_tags<T: Into<String>>(mut self, tags: impl IntoIterator<Item = T>) -> Self {
        self.context_filter = tags.into_iter().map(Into::into).collect();
        self
    }

    /// Checks what can be checked without a store.
    ///
    /// # Errors
    /// `InvalidInput` that lists every field that breaks a rule.
    pub fn validate(&self) -> Result<()> {
        let mut checks = Checks::default();
        checks.require((1..=1000).contains(&self.limit), "limit", "must be 1 to 1000");
        checks.require(
            self.since.zip(self.until).is_none_or(|(since, until)| since < until),
            "until",
            "must be after since",
        );
        checks.id("session_id", self.session_id.as_ref());
        for namespace in &self.namespaces {
            checks.id("namespaces", Some(namespace));
        }
        for agent in &self.agents {
            checks.id("agents", Some(agent));
        }
        if let Some(filter) = &self.filter {
            checks.add(filter.validate());
        }
        checks.finish()
    }
}

/// A page of records.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct ListPage {
    /// The records, in the order asked for.
    pub items: Vec<MemoryRecord>,
    /// Pass it as `cursor` for the next page; none on the last one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_cursor: Option<String>,
}
