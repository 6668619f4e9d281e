//! Recalling memories.

use std::fmt;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::{Checks, setters};
use crate::{
    Result, Score,
    memory::{MemoryItem, MemoryType, MetadataFilter},
    string_enum, time,
};

/// Most results of one read.
pub const MAX_RESULTS: usize = 1000;
/// Token budget of a rendered context where the request names none.
pub const DEFAULT_CONTEXT_TOKENS: usize = 1500;

string_enum! {
    /// How the answer is laid out.
    pub enum ReadFormat("format") {
        /// Grouped into constraints, facts, preferences and episodes.
        Packet = "packet",
        /// One flat list.
        List = "list",
        /// Grouped, with the rendered text for a prompt.
        LlmContext = "llm_context",
    }
}

/// A question to memory. An empty query lists the newest first.
///
/// ```
/// use cml_core::{memory::MemoryType, ops::ReadRequest};
///
/// let request = ReadRequest::new("dietary restrictions")
///     .with_max_results(5usize)
///     .with_memory_types([MemoryType::Constraint, MemoryType::Preference]);
/// assert!(request.validate().is_ok());
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct ReadRequest {
    /// What to recall, in words.
    #[serde(default)]
    pub query: String,
    /// Most items returned, 1..=1000.
    #[serde(default = "default_results")]
    pub max_results: usize,
    /// Only memories that carry at least one of these tags.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub context_filter: Vec<String>,
    /// Only memories of these types.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub memory_types: Vec<MemoryType>,
    /// Only memories said, or telling of something, at or after this instant.
    #[serde(default, deserialize_with = "time::optional", skip_serializing_if = "Option::is_none")]
    pub since: Option<DateTime<Utc>>,
    /// Only memories said, or telling of something, before this instant.
    #[serde(default, deserialize_with = "time::optional", skip_serializing_if = "Option::is_none")]
    pub until: Option<DateTime<Utc>>,
    /// How the answer is laid out.
    #[serde(default = "default_format", alias = "response_format")]
    pub format: ReadFormat,
    /// IANA zone in which dates in the query are meant; UTC when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user_timezone: Option<String>,
    /// Only these namespaces.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub namespaces: Vec<String>,
    /// Only memories written by these agents.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub agents: Vec<String>,
    /// Only this session.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub session_id: Option<String>,
    /// Only memories whose metadata satisfies this.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub filter: Option<MetadataFilter>,
    /// What held at this instant, superseded statements included.
    #[serde(default, deserialize_with = "time::optional", skip_serializing_if = "Option::is_none")]
    pub as_of: Option<DateTime<Utc>>,
    /// What "now" is for relative dates in the query; the present when absent.
    #[serde(default, deserialize_with = "time::optional", skip_serializing_if = "Option::is_none")]
    pub reference_time: Option<DateTime<Utc>>,
    /// Who asks, where several people speak in the scope.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub speaker: Option<String>,
    /// Least relevance of a returned item; the backend's measured floor when absent, 0 for none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub min_relevance: Option<f64>,
    /// Token budget of the rendered context.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_context_tokens: Option<usize>,
    /// Asks why each item is there.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub explain: bool,
}

const fn default_results() -> usize {
    10
}

const fn default_format() -> ReadFormat {
    ReadFormat::Packet
}

impl ReadRequest {
    /// A request to recall what answers `query`: 10 results, as a packet.
    #[must_use]
    pub fn new(query: impl Into<String>) -> Self {
        Self {
            query: query.into(),
            max_results: default_results(),
            context_filter: Vec::new(),
            memory_types: Vec::new(),
            since: None,
            until: None,
            format: default_format(),
            user_timezone: None,
            namespaces: Vec::new(),
            agents: Vec::new(),
            session_id: None,
            filter: None,
            as_of: None,
            reference_time: None,
            speaker: None,
            min_relevance: None,
            max_context_tokens: None,
            explain: false,
        }
    }

    setters! {
        /// Sets the most items returned, 1..=1000.
        with_max_results => max_results: <usize>;
        /// Sets the earliest instant said or told of.
        with_since => since: some <DateTime<Utc>>;
        /// Sets the instant before which it was said or told of.
        with_until => until: some <DateTime<Utc>>;
        /// Sets the layout of the answer.
        with_format => format: <ReadFormat>;
        /// Sets the IANA zone in which dates in the query are meant.
        with_user_timezone => user_timezone: some <String>;
        /// Sets the condition on metadata.
        with_filter => filter: some <MetadataFilter>;
        /// Limits the read to one session.
        with_session => session_id: some <String>;
        /// Asks for what held at an instant.
        with_as_of => as_of: some <DateTime<Utc>>;
        /// Sets what "now" is for relative dates in the query.
        with_reference_time => reference_time: some <DateTime<Utc>>;
        /// Sets who asks.
        with_speaker => speaker: some <String>;
        /// Sets the least relevance of a returned item.
        with_min_relevance => min_relevance: some <f64>;
        /// Sets the token budget of the rendered context.
        with_max_context_tokens => max_context_tokens: some <usize>;
        /// Asks why each item is there.
        with_explain => explain: <bool>;
    }

    /// Only memories of these types.
    #[must_use]
    pub fn with_memory_types(mut self, types: impl IntoIterator<Item = MemoryType>) -> Self {
        self.memory_types = types.into_iter().collect();
        self
    }

    /// Only memories that carry at least one of these tags.
    #[must_use]
    pub fn with_tags<T: Into<String>>(mut self, tags: impl IntoIterator<Item = T>) -> Self {
        self.context_filter = tags.into_iter().map(Into::into).collect();
        self
    }

    /// Only these namespaces.
    #[must_use]
    pub fn with_namespaces<T: Into<String>>(mut self, namespaces: impl IntoIterator<Item = T>) -> Self {
        self.namespaces = namespaces.into_iter().map(Into::into).collect();
        self
    }

    /// Only memories written by these agents.
    #[must_use]
    pub fn with_agents<T: Into<String>>(mut self, agents: impl IntoIterator<Item = T>) -> Self {
        self.agents = agents.into_iter().map(Into::into).collect();
        self
    }

    /// Checks what can be checked without a store.
    ///
    /// # Errors
    /// `InvalidInput` that lists every field that breaks a rule.
    pub fn validate(&self) -> Result<()> {
        let mut checks = Checks::default();
        checks.require(
            (1..=MAX_RESULTS).contains(&self.max_results),
            "max_results",
            format!("must be 1 to {MAX_RESULTS}"),
        );
        checks.require(
            self.query.chars().count() <= super::MAX_CONTENT_CHARS,
            "query",
            format!("must not have more than {} characters", super::MAX_CONTENT_CHARS),
        );
        checks.require(!self.query.contains('\0'), "query", "must not contain NUL");
        checks.require(
            self.since.zip(self.until).is_none_or(|(since, until)| since < until),
            "until",
            "must be after since",
        );
        checks.require(
            self.min_relevance.is_none_or(|least| (0.0..=1.0).contains(&least)),
            "min_relevance",
            "must be a number from 0 to 1",
        );
        checks.zone(self.user_timezone.as_ref());
        checks.id("session_id", self.session_id.as_ref());
        checks.id("speaker", self.speaker.as_ref());
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

impl From<&str> for ReadRequest {
    fn from(query: &str) -> Self {
        Self::new(query)
    }
}

impl From<String> for ReadRequest {
    fn from(query: String) -> Self {
        Self::new(query)
    }
}

/// Whether the answer suffices, from the absolute evidence of its items.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Sufficiency {
    /// Whether at least one item is strong enough to answer.
    pub sufficient: bool,
    /// Relevance of the strongest item.
    pub confidence: Score,
    /// Number of items that are strong enough.
    pub support: usize,
}

/// What one source of candidates contributed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Channel {
    /// `vectors`, `words`, `facts`, `constraints`, `session`, `time` ...
    pub name: String,
    /// Number of candidates that it proposed.
    pub candidates: usize,
    /// Why it was left out, if it was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

/// How a read came about.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct RetrievalMeta {
    /// The weight profile that ordered the items.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub profile: String,
    /// The sources of candidates.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub channels: Vec<Channel>,
    /// Number of candidates that were scored.
    #[serde(default)]
    pub candidates: usize,
    /// The relevance below which items were cut.
    #[serde(default)]
    pub min_relevance: f64,
    /// Name of the tokenizer that counted the budget.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub tokenizer: String,
    /// Tokens of the rendered context.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub context_tokens: Option<usize>,
    /// Items that the rendered context has room for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub context_items: Option<usize>,
}

/// What was recalled, best first.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct ReadResponse {
    /// The query as it was asked.
    pub query: String,
    /// Every item, best first.
    pub memories: Vec<MemoryItem>,
    /// Items that state facts; empty in the format `list`.
    #[serde(default)]
    pub facts: Vec<MemoryItem>,
    /// Items that state preferences; empty in the format `list`.
    #[serde(default)]
    pub preferences: Vec<MemoryItem>,
    /// All other items; empty in the format `list`.
    #[serde(default)]
    pub episodes: Vec<MemoryItem>,
    /// Items that hold constraints; empty in the format `list`.
    #[serde(default)]
    pub constraints: Vec<MemoryItem>,
    /// The rendered text, in the format `llm_context`.
    #[serde(default)]
    pub llm_context: Option<String>,
    /// How the answer came about.
    #[serde(default)]
    pub retrieval_meta: RetrievalMeta,
    /// Whether the answer suffices.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sufficiency: Option<Sufficiency>,
    /// What went wrong without failing the read.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<String>,
    /// Number of `memories`.
    pub total_count: usize,
    /// Time it took, in milliseconds.
    pub elapsed_ms: f64,
}

impl ReadResponse {
    /// The text for a prompt: the rendered context, or the items one per line when it was not
    /// asked for.
    #[must_use]
    pub fn context(&self) -> String {
        self.llm_context
            .clone()
            .unwrap_or_else(|| self.memories.iter().map(crate::packet::line).collect::<Vec<_>>().join("\n"))
    }

    /// Whether nothing was recalled.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.memories.is_empty()
    }
}

impl fmt::Display for ReadResponse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let plural = if self.total_count == 1 { "memory" } else { "memories" };
        write!(f, "{} {plural} for \"{}\" in {:.1} ms", self.total_count, self.query, self.elapsed_ms)?;
        for item in &self.memories {
            write!(f, "\n{} {}", item.relevance, crate::packet::line(item))?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_and_upside_down_ranges_are_refused() {
        let now = Utc::now();
        for (request, field) in [
            (ReadRequest::new("x").with_max_results(0usize), "max_results"),
            (ReadRequest::new("x").with_max_results(1001usize), "max_results"),
            (ReadRequest::new("x").with_since(now).with_until(now), "until"),
            (ReadRequest::new("x").with_min_relevance(f64::NAN), "min_relevance"),
            (ReadRequest::new("x").with_namespaces([""]), "namespaces"),
        ] {
            let error = request.validate().expect_err(field);
            assert_eq!(error.fields()[0].field, field);
        }
    }

    #[test]
    fn both_wire_names_of_the_format_are_read() -> Result<(), serde_json::Error> {
        let request: ReadRequest = serde_json::from_str(r#"{"query": "", "response_format": "list"}"#)?;
        assert_eq!(request.format, ReadFormat::List);
        assert_eq!(request.max_results, 10);
        Ok(())
    }
}
