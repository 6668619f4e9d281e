//! What travels between `cml-http` and `cml-server` beside the requests and answers of the verbs: paths,
//! headers, error bodies, and the parts of the scope that a call carries.
//!
//! The tenant travels in the header [`header::TENANT`], every other part of the scope as a field of the
//! body, or of the query on `GET`: `namespace`, `user_id`, `agent_id`, `session_id`. In a query lists are
//! repeated keys, and an object such as `filter` is its JSON text.

mod error;
mod graph;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::Value;

pub use self::{
    error::{Detail, ErrorBody, FieldDetail, kind_of, status_of},
    graph::{
        GraphHit, GraphHits, GraphRebuild, GraphReplay, GraphScope, GraphStatsBody, OverviewQuery,
        SubgraphBody,
    },
};
use crate::{
    Capability, Result, Scope,
    memory::{Job, Session},
    ops::{At, GetRequest, Health, WriteRequest, WriteResponse},
    scope::ScopeParts,
    time,
};

/// Prefix of every path of [`path`].
pub const API: &str = "/api/v1";
/// Most items of one `POST /memory/write_batch`.
pub const MAX_BATCH: usize = 500;
/// Content type of an export.
pub const NDJSON: &str = "application/x-ndjson";

/// Paths below [`API`]. `{id}` stands for an id, percent-encoded.
pub mod path {
    /// `GET`, no key.
    pub const HEALTH: &str = "/health";
    /// `GET`: the tenant that this key uses and whether it is an admin key. Ours only.
    pub const WHOAMI: &str = "/whoami";
    /// `POST`.
    pub const WRITE: &str = "/memory/write";
    /// `POST`.
    pub const WRITE_BATCH: &str = "/memory/write_batch";
    /// `POST`.
    pub const READ: &str = "/memory/read";
    /// `POST`, answered by server-sent events.
    pub const READ_STREAM: &str = "/memory/read/stream";
    /// `POST`.
    pub const TURN: &str = "/memory/turn";
    /// `POST`.
    pub const UPDATE: &str = "/memory/update";
    /// `POST`.
    pub const FORGET: &str = "/memory/forget";
    /// `GET`.
    pub const STATS: &str = "/memory/stats";
    /// `DELETE`, admin.
    pub const DELETE_ALL: &str = "/memory/all";
    /// `POST`.
    pub const SESSION_CREATE: &str = "/session/create";
    /// `POST`.
    pub const SESSION_WRITE: &str = "/session/{id}/write";
    /// `POST`.
    pub const SESSION_READ: &str = "/session/{id}/read";
    /// `GET`.
    pub const SESSION_CONTEXT: &str = "/session/{id}/context";
    /// `GET`: records in full. Ours only, as all below it.
    pub const MEMORIES: &str = "/memories";
    /// `GET`.
    pub const MEMORY: &str = "/memories/{id}";
    /// `GET`: conversations of the scope.
    pub const SESSIONS: &str = "/sessions";
    /// `DELETE`.
    pub const SESSION: &str = "/sessions/{id}";
    /// `GET`.
    pub const MESSAGES: &str = "/sessions/{id}/messages";
    /// `GET`.
    pub const FACTS: &str = "/facts";
    /// `GET`.
    pub const FACT: &str = "/facts/{id}";
    /// `POST`.
    pub const RETRACT: &str = "/facts/{id}/retract";
    /// `GET`.
    pub const EVENTS: &str = "/events";
    /// `GET`.
    pub const JOBS: &str = "/jobs";
    /// `GET`.
    pub const JOB: &str = "/jobs/{id}";
    /// `POST`, admin.
    pub const ERASE: &str = "/erase";
    /// `GET`, admin.
    pub const EXPORT: &str = "/export";
    /// `POST`, admin.
    pub const IMPORT: &str = "/import";
    /// `GET`, admin.
    pub const TENANTS: &str = "/dashboard/tenants";
    /// `GET`, admin.
    pub const GRAPH_STATS: &str = "/dashboard/graph/stats";
    /// `GET`, admin.
    pub const GRAPH_OVERVIEW: &str = "/dashboard/graph/overview";
    /// `GET`, admin.
    pub const GRAPH_EXPLORE: &str = "/dashboard/graph/explore";
    /// `GET`, admin.
    pub const GRAPH_SEARCH: &str = "/dashboard/graph/search";
    /// `GET`, admin. Ours only.
    pub const GRAPH_SYNC: &str = "/graph/sync";
    /// `POST`, admin. Ours only.
    pub const GRAPH_REPLAY: &str = "/graph/replay";
    /// `POST`, admin. Ours only.
    pub const GRAPH_REBUILD: &str = "/graph/rebuild";
    /// `POST`, admin. Ours only.
    pub const GRAPH_REPAIR: &str = "/graph/repair";
    /// `POST`, admin.
    pub const CONSOLIDATE: &str = "/dashboard/consolidate";
    /// `POST`, admin.
    pub const RUN_FORGETTING: &str = "/dashboard/forget";
    /// `POST`, admin.
    pub const RECONSOLIDATE: &str = "/dashboard/reconsolidate";
}

/// Names of headers, in lower case.
pub mod header {
    /// The caller's key.
    pub const API_KEY: &str = "x-api-key";
    /// The tenant asked for; in an answer, the one that the call used.
    pub const TENANT: &str = "x-tenant-id";
    /// Identity of a request, in and out.
    pub const REQUEST_ID: &str = "x-request-id";
    /// Time that the server took, such as `12.34ms`.
    pub const RESPONSE_TIME: &str = "x-response-time";
    /// Makes a repeat of a `POST` return the first answer.
    pub const IDEMPOTENCY_KEY: &str = "idempotency-key";
    /// `true` asks a write for the gate's decision.
    pub const EVAL_MODE: &str = "x-eval-mode";
    /// `XMLHttpRequest` on every change below `/dashboard`.
    pub const REQUESTED_WITH: &str = "x-requested-with";
    /// Seconds to wait, or an HTTP date.
    pub const RETRY_AFTER: &str = "retry-after";
}

/// A request with the parts of the scope that it does not hold itself.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema), schemars(rename = "{T}"))]
#[expect(clippy::exhaustive_structs, reason = "a pair")]
pub struct Scoped<P, T> {
    /// Where it acts.
    #[serde(flatten)]
    pub parts: P,
    /// What it asks.
    #[serde(flatten)]
    pub request: T,
}

/// The parts of a scope beside tenant and session, for requests with a `session_id` of their own.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct CallScope {
    /// Narrows to a namespace.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub namespace: Option<String>,
    /// Narrows to a user.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user_id: Option<String>,
    /// The author.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub agent_id: Option<String>,
}

impl From<CallScope> for ScopeParts {
    fn from(scope: CallScope) -> Self {
        Self {
            namespace: scope.namespace,
            user_id: scope.user_id,
            agent_id: scope.agent_id,
            session_id: None,
        }
    }
}

impl From<&Scope> for CallScope {
    fn from(scope: &Scope) -> Self {
        let ScopeParts { namespace, user_id, agent_id, .. } = scope.into();
        Self { namespace, user_id, agent_id }
    }
}

/// `request` with the session of `scope`, for requests that name their session themselves.
///
/// # Errors
/// `InvalidInput` when both name one and they differ.
pub fn join_session(scope: &Scope, session: Option<String>) -> Result<Option<String>> {
    let parts = ScopeParts { session_id: session, ..ScopeParts::default() };
    let joined = scope.narrow(&parts)?;
    Ok(Some(joined.session().to_owned()).filter(|session| !session.is_empty()))
}

/// Body of `POST /memory/write_batch`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[expect(clippy::exhaustive_structs, reason = "the wire fixes it")]
pub struct WriteBatch {
    /// The texts, 1..=500, in order.
    pub turns: Vec<WriteRequest>,
}

/// Answer to a batch.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[expect(clippy::exhaustive_structs, reason = "the wire fixes it")]
pub struct WriteBatchResponse {
    /// Whether every item was carried out.
    pub success: bool,
    /// Items that were carried out.
    pub turns_processed: usize,
    /// Records that the texts became.
    pub chunks_created: u32,
    /// The outcome in words.
    pub message: String,
    /// One result per item, in order; absent from the original server's answer.
    #[serde(default)]
    pub results: Vec<WriteResult>,
}

/// What became of an item of a batch.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(untagged)]
#[expect(clippy::exhaustive_enums, reason = "the wire fixes it")]
pub enum WriteResult {
    /// It failed.
    Failed {
        /// Why.
        error: ErrorBody,
    },
    /// It was carried out.
    Done(WriteResponse),
}

/// Answer to `GET /health`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[expect(clippy::exhaustive_structs, reason = "the wire fixes it")]
pub struct HealthBody {
    /// Whether the backend and its components work.
    #[serde(flatten)]
    pub health: Health,
    /// Names of the parts of the contract that the backend has; the original server sends none.
    #[serde(default)]
    pub capabilities: Vec<String>,
    /// Most results of one read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_results: Option<usize>,
}

impl HealthBody {
    /// The capabilities that this program knows.
    pub fn known(&self) -> impl Iterator<Item = Capability> {
        self.capabilities.iter().filter_map(|name| name.parse().ok())
    }
}

/// Answer to `GET /whoami`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[expect(clippy::exhaustive_structs, reason = "the wire fixes it")]
pub struct WhoAmI {
    /// The tenant that this call uses.
    pub tenant_id: String,
    /// Whether the key may choose a tenant and use administrative routes.
    pub admin: bool,
}

/// Answer to `GET /sessions`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[expect(clippy::exhaustive_structs, reason = "the wire fixes it")]
pub struct SessionList {
    /// Conversations, newest first.
    pub sessions: Vec<Session>,
}

/// Answer to `GET /jobs`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[expect(clippy::exhaustive_structs, reason = "the wire fixes it")]
pub struct JobList {
    /// Jobs, newest first.
    pub items: Vec<Job>,
}

/// Query of `GET /memories/{id}`: the state of `version`, or the one held `at` an instant, or the latest.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[expect(clippy::exhaustive_structs, reason = "the wire fixes it")]
pub struct GetQuery {
    /// As of this version.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<u64>,
    /// As we had it stored at this instant.
    #[serde(default, deserialize_with = "time::optional", skip_serializing_if = "Option::is_none")]
    pub at: Option<DateTime<Utc>>,
    /// Adds its former states.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub versions: bool,
    /// Adds the facts it is evidence of.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub facts: bool,
}

impl GetQuery {
    /// The request for the memory `id`.
    #[must_use]
    pub fn request(self, id: crate::MemoryId) -> GetRequest {
        let at = match (self.version, self.at) {
            (Some(version), _) => At::Version(version),
            (None, Some(instant)) => At::Time(instant),
            (None, None) => At::Latest,
        };
        GetRequest::new(id).with_at(at).with_versions(self.versions).with_facts(self.facts)
    }
}

impl From<GetRequest> for GetQuery {
    fn from(request: GetRequest) -> Self {
        let (version, at) = match request.at {
            At::Version(version) => (Some(version), None),
            At::Time(instant) => (None, Some(instant)),
            At::Latest => (None, None),
        };
        Self { version, at, versions: request.versions, facts: request.facts }
    }
}

/// Query of `GET /session/{id}/context`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[expect(clippy::exhaustive_structs, reason = "the wire fixes it")]
pub struct ContextQuery {
    /// Token budget of the text; 2000 when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_tokens: Option<usize>,
}

/// Query of `GET /sessions/{id}/messages`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[expect(clippy::exhaustive_structs, reason = "the wire fixes it")]
pub struct MessagesQuery {
    /// Number of the message after which the page begins; 0 when absent.
    #[serde(default)]
    pub after: u64,
    /// Most messages, 1..=1000; 100 when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<usize>,
}

/// Query of `GET /export`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[expect(clippy::exhaustive_structs, reason = "the wire fixes it")]
pub struct ExportQuery {
    /// Whether vectors are included; they are when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub vectors: Option<bool>,
}

/// The pairs of a query string that say what `value`, an object, says: lists are repeated keys, objects
/// inside are JSON text, nulls are left out.
#[must_use]
pub fn query_pairs(value: &impl Serialize) -> Vec<(String, String)> {
    let Ok(Value::Object(fields)) = serde_json::to_value(value) else { return Vec::new() };
    let text = |value: Value| match value {
        Value::String(text) => text,
        other => other.to_string(),
    };
    let mut pairs = Vec::new();
    for (name, value) in fields {
        match value {
            Value::Null => {}
            Value::Array(values) => {
                pairs.extend(values.into_iter().map(|value| (name.clone(), text(value))));
            }
            value => pairs.push((name, text(value))),
        }
    }
    pairs
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{memory::MetadataFilter, ops::ListRequest};

    #[test]
    fn a_query_repeats_lists_and_writes_objects_as_json() {
        let request = ListRequest::new()
            .with_tags(["a", "b,c"])
            .with_filter(MetadataFilter::eq("topic", "billing"))
            .with_limit(5usize);
        let pairs = query_pairs(&request);
        let of = |name: &str| -> Vec<_> {
            pairs.iter().filter(|(key, _)| key == name).map(|(_, value)| value.as_str()).collect()
        };
        assert_eq!(of("context_filter"), ["a", "b,c"]);
        assert_eq!(of("filter"), [r#"{"eq":{"field":"topic","value":"billing"}}"#]);
        assert_eq!(of("limit"), ["5"]);
        assert!(of("cursor").is_empty());
    }

    #[test]
    fn a_session_is_named_by_the_scope_or_the_request_and_never_by_two() -> Result<()> {
        let scope = Scope::new("acme")?.with_session("monday")?;
        assert_eq!(join_session(&scope, None)?.as_deref(), Some("monday"));
        assert_eq!(join_session(&scope, Some("monday".to_owned()))?.as_deref(), Some("monday"));
        assert!(join_session(&scope, Some("tuesday".to_owned())).is_err());
        assert_eq!(join_session(&Scope::new("acme")?, None)?, None);
        Ok(())
    }
}
