//! Everything in numbers.

use std::collections::BTreeMap;

use axum::{Json, extract::State};
use chrono::{DateTime, Utc};
use cml_core::memory::{EventType, FactCategory, MemoryStatus, MemoryType, OperationType};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    doc,
    export::TenantQuery,
    labile, scopes,
    tally::{self, Events, Facts, Memories},
};
use crate::{app::App, auth::AdminCaller, error::Answer, extract::Query, routes::Routes};

pub(super) fn routes() -> Routes {
    Routes::new().get(
        "/dashboard/overview",
        overview,
        doc("Counts and means of every tenant or of one").query::<TenantQuery>().answer::<Overview>(),
    )
}

/// Counts and means over all memories, facts and events.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
struct Overview {
    total_memories: u64,
    active_memories: u64,
    silent_memories: u64,
    compressed_memories: u64,
    archived_memories: u64,
    deleted_memories: u64,
    /// Memories open to revision.
    labile_memories: u64,
    by_type: BTreeMap<MemoryType, u64>,
    by_status: BTreeMap<MemoryStatus, u64>,
    avg_confidence: f64,
    avg_importance: f64,
    avg_access_count: f64,
    avg_decay_rate: f64,
    oldest_memory: Option<DateTime<Utc>>,
    newest_memory: Option<DateTime<Utc>>,
    estimated_size_mb: f64,
    /// Facts of every status.
    total_semantic_facts: u64,
    current_semantic_facts: u64,
    /// Facts of every status.
    facts_by_category: BTreeMap<FactCategory, u64>,
    avg_fact_confidence: f64,
    avg_evidence_count: f64,
    total_events: u64,
    events_by_type: BTreeMap<EventType, u64>,
    events_by_operation: BTreeMap<OperationType, u64>,
}

async fn overview(
    State(app): State<App>,
    AdminCaller(caller): AdminCaller,
    Query(query): Query<TenantQuery>,
) -> Answer<Overview> {
    let scopes = scopes::named_or_all(&app, &caller, query.tenant_id.as_deref()).await?;
    let backend = app.backend();
    let stats = tally::stats(backend, &scopes).await?;
    let memories = Memories::of(backend, &scopes).await?;
    let facts = Facts::of(backend, &scopes).await?;
    let events = Events::of(backend, &scopes, None).await?;
    let labile_memories = labile::memories(backend, &scopes).await?.len() as u64;
    let of = |status| stats.by_status.get(&status).copied().unwrap_or_default();
    Ok(Json(Overview {
        total_memories: stats.total_memories,
        active_memories: stats.active_memories,
        silent_memories: stats.silent_memories,
        compressed_memories: of(MemoryStatus::Compressed),
        archived_memories: stats.archived_memories,
        deleted_memories: of(MemoryStatus::Deleted),
        labile_memories,
        avg_confidence: stats.avg_confidence,
        avg_importance: stats.avg_importance,
        avg_access_count: memories.mean(memories.accesses as f64),
        avg_decay_rate: memories.mean(memories.decay_rates),
        oldest_memory: stats.oldest_memory,
        newest_memory: stats.newest_memory,
        estimated_size_mb: stats.estimated_size_mb,
        by_type: stats.by_type,
        by_status: stats.by_status,
        total_semantic_facts: facts.total,
        current_semantic_facts: facts.current,
        avg_fact_confidence: facts.avg_confidence(),
        avg_evidence_count: facts.avg_evidence(),
        facts_by_category: facts.by_category,
        total_events: events.total,
        events_by_type: events.by_type,
        events_by_operation: events.by_operation,
    }))
}
