//! How good the memories are, how busy the server is, how much of what is kept is used.

use std::collections::BTreeMap;

use axum::{Json, extract::State};
use chrono::{DateTime, Duration, Utc};
use cml_core::{memory::OperationType, ops::Component};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    components, doc,
    export::TenantQuery,
    scopes,
    tally::{self, Events, Facts, Memories},
};
use crate::{app::App, auth::AdminCaller, error::Answer, extract::Query, routes::Routes};

pub(super) fn routes() -> Routes {
    Routes::new()
        .get(
            "/dashboard/quality/overview",
            quality,
            doc("Doubtful, outdated and unused memories, facts without evidence")
                .query::<TenantQuery>()
                .answer::<Quality>(),
        )
        .get(
            "/dashboard/ops/metrics",
            operations,
            doc("State of the server, requests and operations of the last day")
                .query::<TenantQuery>()
                .answer::<Operations>(),
        )
        .get(
            "/dashboard/evaluation/summary",
            evaluation,
            doc("How much of what is kept was recalled and rests on evidence")
                .query::<TenantQuery>()
                .answer::<Evaluation>(),
        )
}

/// How good the memories are.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
struct Quality {
    total_memories: u64,
    avg_confidence: f64,
    avg_importance: f64,
    avg_access_count: f64,
    /// Memories with a confidence below 0.5.
    low_confidence_memories: u64,
    never_recalled_memories: u64,
    superseded_memories: u64,
    /// Memories whose validity ended and that nothing replaced.
    outdated_memories: u64,
    expired_memories: u64,
    total_facts: u64,
    current_facts: u64,
    superseded_facts: u64,
    retracted_facts: u64,
    avg_fact_confidence: f64,
    avg_evidence_count: f64,
    facts_without_evidence: u64,
}

async fn quality(
    State(app): State<App>,
    AdminCaller(caller): AdminCaller,
    Query(query): Query<TenantQuery>,
) -> Answer<Quality> {
    let scopes = scopes::named_or_all(&app, &caller, query.tenant_id.as_deref()).await?;
    let memories = Memories::of(app.backend(), &scopes).await?;
    let facts = Facts::of(app.backend(), &scopes).await?;
    Ok(Json(Quality {
        total_memories: memories.total,
        avg_confidence: memories.mean(memories.confidence),
        avg_importance: memories.mean(memories.importance),
        avg_access_count: memories.mean(memories.accesses as f64),
        low_confidence_memories: memories.doubtful,
        never_recalled_memories: memories.total - memories.recalled,
        superseded_memories: memories.superseded,
        outdated_memories: memories.outdated,
        expired_memories: memories.expired,
        total_facts: facts.total,
        current_facts: facts.current,
        superseded_facts: facts.superseded,
        retracted_facts: facts.retracted,
        avg_fact_confidence: facts.avg_confidence(),
        avg_evidence_count: facts.avg_evidence(),
        facts_without_evidence: facts.total - facts.with_evidence,
    }))
}

/// How busy the server is.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
struct Operations {
    /// `healthy`, `degraded` or `unhealthy`.
    status: String,
    version: String,
    mode: String,
    uptime_seconds: u64,
    components: Vec<Component>,
    /// Requests of the present hour.
    requests_this_hour: u64,
    requests_last_24h: u64,
    /// Requests that a key may make in a minute; 0 for no limit.
    configured_rpm: u32,
    /// Events of the last 24 hours, by operation.
    operations_last_24h: BTreeMap<OperationType, u64>,
    events_last_24h: u64,
}

async fn operations(
    State(app): State<App>,
    AdminCaller(caller): AdminCaller,
    Query(query): Query<TenantQuery>,
) -> Answer<Operations> {
    let scopes = scopes::named_or_all(&app, &caller, query.tenant_id.as_deref()).await?;
    let events = Events::of(app.backend(), &scopes, Some(Utc::now() - Duration::hours(24))).await?;
    let health = app.backend().health().await?;
    let hours = app.traffic().hours(24);
    Ok(Json(Operations {
        status: health.status.clone(),
        version: health.version.clone(),
        mode: health.mode.clone(),
        uptime_seconds: app.started().elapsed().as_secs(),
        components: components::all(&app, health),
        requests_this_hour: hours.last().map_or(0, |(_, count)| *count),
        requests_last_24h: hours.iter().map(|(_, count)| count).sum(),
        configured_rpm: app.limits().configured_rpm(),
        operations_last_24h: events.by_operation,
        events_last_24h: events.total,
    }))
}

/// How much of what is kept is used.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
struct Evaluation {
    total_memories: u64,
    /// Memories that a read returned at least once.
    recalled_memories: u64,
    /// Their share, 0 to 1.
    recall_rate: f64,
    avg_access_count: f64,
    last_recalled_at: Option<DateTime<Utc>>,
    total_facts: u64,
    facts_with_evidence: u64,
    /// Their share, 0 to 1.
    evidence_rate: f64,
    /// Events of all time, by operation.
    operations: BTreeMap<OperationType, u64>,
}

async fn evaluation(
    State(app): State<App>,
    AdminCaller(caller): AdminCaller,
    Query(query): Query<TenantQuery>,
) -> Answer<Evaluation> {
    let scopes = scopes::named_or_all(&app, &caller, query.tenant_id.as_deref()).await?;
    let memories = Memories::of(app.backend(), &scopes).await?;
    let facts = Facts::of(app.backend(), &scopes).await?;
    let events = Events::of(app.backend(), &scopes, None).await?;
    Ok(Json(Evaluation {
        total_memories: memories.total,
        recalled_memories: memories.recalled,
        recall_rate: memories.mean(memories.recalled as f64),
        avg_access_count: memories.mean(memories.accesses as f64),
        last_recalled_at: memories.last_recalled_at,
        total_facts: facts.total,
        facts_with_evidence: facts.with_evidence,
        evidence_rate: tally::mean(facts.with_evidence as f64, facts.total),
        operations: events.by_operation,
    }))
}
