//! Facts and constraints: list, one, withdrawal, export.

use axum::{Json, extract::State};
use chrono::{DateTime, Utc};
use cml_core::{
    Error, FactId, Result, Scope, Score,
    memory::{Evidence, Fact, FactCategory, FactStatus, MemorySource},
    ops::ListFacts,
};
use futures_util::FutureExt as _;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    doc,
    export::{EXPORTED, TenantQuery},
    in_query, scopes, some, walk,
};
use crate::{
    app::App,
    auth::{AdminCaller, Caller},
    error::Answer,
    extract::{Id, Query},
    routes::Routes,
};

pub(super) fn routes() -> Routes {
    Routes::new()
        .get(
            "/dashboard/facts",
            facts,
            doc("Facts of one tenant, newest validity first").query::<FactQuery>().answer::<FactRows>(),
        )
        .get(
            "/dashboard/facts/export",
            export,
            doc("The newest 10000 facts of every tenant or of one, as a list")
                .query::<TenantQuery>()
                .answer::<Vec<FactRow>>(),
        )
        .get(
            "/dashboard/facts/{id}",
            fact,
            doc("One fact in full, the caller's tenant first").answer::<FactDetail>(),
        )
        .post(
            "/dashboard/facts/{id}/invalidate",
            invalidate,
            doc("Withdraws a fact: its validity ends now").answer::<Invalidated>(),
        )
}

/// Which facts to show.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
struct FactQuery {
    /// The tenant; the caller's when absent.
    tenant_id: Option<String>,
    /// Only this category.
    category: Option<FactCategory>,
    /// Leaves out superseded and withdrawn facts.
    #[serde(default = "usual_current")]
    current_only: bool,
    /// Most facts, 1..=200.
    #[serde(default = "usual_limit")]
    limit: usize,
    /// Facts to pass over.
    #[serde(default)]
    offset: usize,
}

const fn usual_current() -> bool {
    true
}

const fn usual_limit() -> usize {
    50
}

/// A fact in a list.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub(super) struct FactRow {
    id: FactId,
    tenant_id: String,
    category: FactCategory,
    /// `subject:category:predicate`.
    key: String,
    value: String,
    confidence: Score,
    evidence_count: usize,
    is_current: bool,
    version: u64,
    /// When it was learned.
    created_at: DateTime<Utc>,
    /// When it was learned or, if later, ended.
    updated_at: DateTime<Utc>,
}

impl From<&Fact> for FactRow {
    fn from(fact: &Fact) -> Self {
        let is_current = fact.status == FactStatus::Current;
        let ended = fact.valid_to.filter(|_| !is_current);
        Self {
            id: fact.id,
            tenant_id: fact.tenant_id.clone(),
            category: fact.category,
            key: fact.key(),
            value: fact.value.clone(),
            confidence: fact.confidence,
            evidence_count: fact.evidence.len(),
            is_current,
            version: fact.version,
            created_at: fact.recorded_at,
            updated_at: ended.map_or(fact.recorded_at, |ended| ended.max(fact.recorded_at)),
        }
    }
}

/// Some of the facts.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
struct FactRows {
    items: Vec<FactRow>,
    /// Facts that match, on all pages.
    total: u64,
}

/// A fact in full.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
struct FactDetail {
    #[serde(flatten)]
    row: FactRow,
    namespace: String,
    user_id: Option<String>,
    agent_id: Option<String>,
    session_id: Option<String>,
    subject: String,
    predicate: String,
    /// Facts of one slot and subject exclude each other; none when several may hold at once.
    slot: Option<String>,
    situations: Vec<String>,
    source: MemorySource,
    status: FactStatus,
    valid_from: DateTime<Utc>,
    valid_to: Option<DateTime<Utc>>,
    supersedes_id: Option<FactId>,
    superseded_by_id: Option<FactId>,
    evidence: Vec<Evidence>,
}

impl From<Fact> for FactDetail {
    fn from(fact: Fact) -> Self {
        Self {
            row: FactRow::from(&fact),
            namespace: fact.namespace,
            user_id: some(fact.user_id),
            agent_id: some(fact.agent_id),
            session_id: some(fact.session_id),
            subject: fact.subject,
            predicate: fact.predicate,
            slot: some(fact.slot),
            situations: fact.situations,
            source: fact.source,
            status: fact.status,
            valid_from: fact.valid_from,
            valid_to: fact.valid_to,
            supersedes_id: fact.supersedes_id,
            superseded_by_id: fact.superseded_by_id,
            evidence: fact.evidence,
        }
    }
}

/// What became of a withdrawal.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
struct Invalidated {
    success: bool,
    message: String,
}

async fn facts(
    State(app): State<App>,
    AdminCaller(caller): AdminCaller,
    Query(query): Query<FactQuery>,
) -> Answer<FactRows> {
    if !(1..=200).contains(&query.limit) {
        return Err(in_query(Error::invalid("limit", "must be 1 to 200")));
    }
    let scope = scopes::named_or_own(&caller, query.tenant_id.as_deref()).map_err(in_query)?;
    let mut request = ListFacts::new()
        .with_current_only(query.current_only)
        .with_limit(query.limit)
        .with_offset(query.offset);
    request.category = query.category;
    let found = app.backend().facts()?.list(&scope, request).await?;
    Ok(Json(FactRows { items: found.items.iter().map(FactRow::from).collect(), total: found.total }))
}

async fn export(
    State(app): State<App>,
    AdminCaller(caller): AdminCaller,
    Query(query): Query<TenantQuery>,
) -> Answer<Vec<FactRow>> {
    let scopes = scopes::named_or_all(&app, &caller, query.tenant_id.as_deref()).await?;
    let limit = walk::share(walk::PAGE, scopes.len());
    let request = ListFacts::new().with_current_only(false).with_limit(limit);
    let sources = scopes.into_iter().map(|scope| walk::facts(app.backend(), scope, request.clone()));
    let newest = |a: &Fact, b: &Fact| (b.valid_from, b.id).cmp(&(a.valid_from, a.id));
    let facts = walk::page(walk::merged(sources.collect(), newest), 0, EXPORTED).await?;
    Ok(Json(facts.iter().map(FactRow::from).collect()))
}

async fn fact(
    State(app): State<App>,
    AdminCaller(caller): AdminCaller,
    Id(id): Id<FactId>,
) -> Answer<FactDetail> {
    let (_, fact) = find(&app, &caller, id).await?;
    Ok(Json(fact.into()))
}

async fn invalidate(
    State(app): State<App>,
    AdminCaller(caller): AdminCaller,
    Id(id): Id<FactId>,
) -> Answer<Invalidated> {
    let backend = app.backend();
    let retract = |scope: Scope| async move { backend.facts()?.retract(&scope, id).await }.boxed();
    let (_, fact) = scopes::find(&app, &caller, retract).await?;
    Ok(Json(Invalidated { success: true, message: format!("fact {} is withdrawn", fact.id) }))
}

/// A fact with its tenant, the caller's tenant first.
///
/// # Errors
/// `NotFound` when no tenant has it.
pub(super) async fn find(app: &App, caller: &Caller, id: FactId) -> Result<(Scope, Fact)> {
    let get = |scope: Scope| async move { app.backend().facts()?.get(&scope, id).await }.boxed();
    scopes::find(app, caller, get).await
}
