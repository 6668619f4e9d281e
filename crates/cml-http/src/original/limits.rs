//! What the original server would ignore.

use cml_core::{
    Capability, Error, Result, Scope,
    memory::Role,
    ops::{
        At, CreateSession, Enrich, Extract, ForgetRequest, GetRequest, ListEvents, ReadRequest, TurnRequest,
        UpdateRequest, WriteRequest,
    },
};

/// The error for something that the original has not.
pub(super) fn lacks(what: &str) -> Error {
    Error::unsupported(what, "the server is not a cml server; a cml server has it")
}

/// Refuses everything whose condition holds, by name.
fn refuse(asked: &[(bool, &str)]) -> Result<()> {
    let missing: Vec<_> = asked.iter().filter(|(asked, _)| *asked).map(|(_, what)| *what).collect();
    if missing.is_empty() { Ok(()) } else { Err(lacks(&missing.join(", "))) }
}

const NAMESPACES: &str = Capability::Namespaces.as_str();
const USERS: &str = Capability::Users.as_str();
const KEYS: &str = Capability::Keys.as_str();
const IDEMPOTENCY: &str = Capability::Idempotency.as_str();
const FILTER: &str = Capability::MetadataFilter.as_str();

/// Calls that reach the whole tenant, whatever their scope.
pub(super) fn whole_tenant(scope: &Scope) -> Result<()> {
    refuse(&[
        (!scope.namespace().is_empty(), NAMESPACES),
        (!scope.user().is_empty(), USERS),
        (!scope.session().is_empty(), "the scope of a session"),
    ])
}

/// There are no data subjects.
pub(super) fn no_user(scope: &Scope) -> Result<()> {
    refuse(&[(!scope.user().is_empty(), USERS)])
}

pub(super) fn write(request: &WriteRequest) -> Result<()> {
    refuse(&[
        (request.scope.user_id.is_some(), USERS),
        (request.key.is_some() || request.expires_at.is_some(), KEYS),
        (request.idempotency_key.is_some(), IDEMPOTENCY),
        (request.role.is_some_and(|role| role != Role::User), "role"),
        (request.speaker.is_some(), "speaker"),
        (request.user_timezone.is_some(), "user_timezone of a write"),
        (request.extract == Some(Extract::Raw), "extract"),
        (request.enrich == Some(Enrich::Wait), "enrich"),
    ])
}

pub(super) fn read(scope: &Scope, request: &ReadRequest) -> Result<()> {
    if request.max_results > super::MAX_RESULTS {
        let message = format!("must be 1 to {} on this server", super::MAX_RESULTS);
        return Err(Error::invalid("max_results", message));
    }
    refuse(&[
        (!scope.namespace().is_empty() || !request.namespaces.is_empty(), NAMESPACES),
        (!scope.user().is_empty(), USERS),
        (request.filter.is_some(), FILTER),
        (request.as_of.is_some(), Capability::AsOf.as_str()),
        (request.min_relevance.is_some(), Capability::MinRelevance.as_str()),
        (!request.agents.is_empty(), "agents"),
        (request.reference_time.is_some(), "reference_time"),
        (request.speaker.is_some(), "speaker"),
        (request.max_context_tokens.is_some(), "max_context_tokens of a read"),
        (request.explain, "explain"),
    ])
}

pub(super) fn turn(request: &TurnRequest) -> Result<()> {
    let scope = &request.scope;
    refuse(&[
        (scope.namespace.is_some(), NAMESPACES),
        (scope.user_id.is_some(), USERS),
        (scope.agent_id.is_some() && request.assistant_response.is_some(), "the agent of a turn"),
        (request.idempotency_key.is_some(), IDEMPOTENCY),
        (request.turn_id.is_some(), "turn_id of a turn"),
    ])
}

pub(super) fn get(scope: &Scope, request: &GetRequest) -> Result<()> {
    refuse(&[
        (!scope.user().is_empty(), USERS),
        (request.at != At::Latest || request.versions, "former states of a record"),
        (request.facts, "the facts of a record"),
    ])
}

pub(super) fn update(scope: &Scope, request: &UpdateRequest) -> Result<()> {
    whole_tenant(scope)?;
    let deletes_key = request.metadata.iter().flatten().any(|(_, value)| value.is_null());
    refuse(&[
        (request.expected_version.is_some(), Capability::ExpectedVersion.as_str()),
        (request.idempotency_key.is_some(), IDEMPOTENCY),
        (request.context_tags.is_some(), "context_tags of an update"),
        (request.memory_type.is_some(), "memory_type of an update"),
        (request.valid_from.is_some() || request.valid_to.is_some(), "the validity of an update"),
        (request.user_timezone.is_some(), "user_timezone of an update"),
        (deletes_key, "deleting keys of metadata"),
    ])
}

/// A query forgets everything that it finds there, and several selectors do not narrow each other.
pub(super) fn forget(scope: &Scope, request: &ForgetRequest) -> Result<()> {
    whole_tenant(scope)?;
    refuse(&[
        (request.dry_run, Capability::ForgetDryRun.as_str()),
        (request.filter.is_some(), FILTER),
        (request.session_id.is_some(), "forgetting a session"),
        (request.query.is_some(), "forgetting by query"),
        (!request.memory_ids.is_empty() && request.before.is_some(), "several selectors"),
        (request.idempotency_key.is_some(), IDEMPOTENCY),
    ])
}

pub(super) fn create_session(scope: &Scope, request: &CreateSession) -> Result<()> {
    refuse(&[
        (!scope.namespace().is_empty(), NAMESPACES),
        (!scope.user().is_empty(), USERS),
        (request.kind.is_some(), "the kind of a session"),
        (!request.participants.is_empty(), "the participants of a session"),
        (request.idempotency_key.is_some(), IDEMPOTENCY),
    ])
}

/// Pages of at most 200, by number.
pub(super) fn events(scope: &Scope, request: &ListEvents) -> Result<()> {
    whole_tenant(scope)?;
    let paged = request.limit <= 200 && request.offset.is_multiple_of(request.limit);
    refuse(&[(request.since.is_some(), "since"), (!paged, "such an offset and limit")])
}
