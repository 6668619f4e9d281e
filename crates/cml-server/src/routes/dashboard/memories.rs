//! Memories page by page, in the order of any column.

use std::collections::BTreeSet;

use axum::{Json, extract::State};
use chrono::{DateTime, Utc};
use cml_core::{
    DecayRate, Error, MemoryBackend, MemoryId, Result, Scope, Score,
    memory::{MemoryRecord, MemoryStatus, MemoryType},
    ops::{ListOrder, ListRequest, OrderBy},
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{doc, in_query, labile, page_count, scopes, some, walk};
use crate::{app::App, auth::AdminCaller, error::Answer, extract::Query, routes::Routes};

/// Characters of a text in a list.
const SHORT_TEXT: usize = 300;

pub(super) fn routes() -> Routes {
    let described =
        || doc("Memories of every tenant or of one").query::<MemoryQuery>().answer::<MemoryPage>();
    Routes::new().get("/dashboard/memories", memories, described()).get(
        "/admin/memories",
        memories,
        described(),
    )
}

/// Which memories to show.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
struct MemoryQuery {
    /// Only this tenant; every tenant when absent.
    tenant_id: Option<String>,
    /// Number of the page, from 1.
    #[serde(default = "first_page")]
    page: usize,
    /// Memories of a page, 1..=200.
    #[serde(default = "usual_page")]
    per_page: usize,
    /// Only this type.
    #[serde(rename = "type")]
    memory_type: Option<MemoryType>,
    /// Only this status.
    status: Option<MemoryStatus>,
    /// Only texts that hold this, letter case ignored.
    search: Option<String>,
    /// Only this session.
    source_session_id: Option<String>,
    /// The column that orders them.
    #[serde(default = "usual_column")]
    sort_by: OrderBy,
    /// The direction.
    #[serde(default = "usual_order")]
    order: ListOrder,
}

impl MemoryQuery {
    /// Whether it leaves out any memory of its tenants.
    fn filters(&self) -> bool {
        self.memory_type.is_some()
            || self.status.is_some()
            || self.search.as_ref().is_some_and(|search| !search.is_empty())
            || self.source_session_id.is_some()
    }
}

pub(super) const fn first_page() -> usize {
    1
}

pub(super) const fn usual_page() -> usize {
    25
}

const fn usual_column() -> OrderBy {
    OrderBy::Timestamp
}

const fn usual_order() -> ListOrder {
    ListOrder::Desc
}

/// Checks the numbers of a page.
///
/// # Errors
/// `InvalidInput` naming both where both are wrong.
pub(super) fn check_page(page: usize, per_page: usize) -> Result<()> {
    let mut errors = Vec::new();
    if page == 0 {
        errors.push(Error::invalid("page", "must be 1 or more"));
    }
    if !(1..=200).contains(&per_page) {
        errors.push(Error::invalid("per_page", "must be 1 to 200"));
    }
    Error::join(errors).map_or(Ok(()), Err)
}

/// A memory in a list.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub(super) struct MemoryRow {
    pub(super) id: MemoryId,
    pub(super) tenant_id: String,
    pub(super) agent_id: Option<String>,
    #[serde(rename = "type")]
    pub(super) memory_type: MemoryType,
    pub(super) status: MemoryStatus,
    /// In lists its first 300 characters.
    pub(super) text: String,
    pub(super) key: Option<String>,
    pub(super) namespace: Option<String>,
    pub(super) context_tags: Vec<String>,
    pub(super) confidence: Score,
    pub(super) importance: Score,
    pub(super) access_count: u64,
    /// Loss of strength per day.
    pub(super) decay_rate: DecayRate,
    /// Whether it is open to revision.
    pub(super) labile: bool,
    pub(super) version: u64,
    /// When it was said.
    pub(super) timestamp: DateTime<Utc>,
    /// When it was stored.
    pub(super) written_at: DateTime<Utc>,
}

impl MemoryRow {
    /// The record with its whole text.
    pub(super) fn full(record: MemoryRecord) -> Self {
        Self {
            id: record.id,
            tenant_id: record.tenant_id,
            agent_id: some(record.agent_id),
            memory_type: record.memory_type,
            status: record.status,
            text: record.text,
            key: record.key,
            namespace: some(record.namespace),
            context_tags: record.context_tags,
            confidence: record.confidence,
            importance: record.importance,
            access_count: record.access_count,
            decay_rate: record.decay_rate,
            labile: false,
            version: record.version,
            timestamp: record.timestamp,
            written_at: record.written_at,
        }
    }

    fn short(record: MemoryRecord) -> Self {
        let mut row = Self::full(record);
        if let Some((end, _)) = row.text.char_indices().nth(SHORT_TEXT) {
            row.text.truncate(end);
        }
        row
    }
}

/// A page of memories.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
struct MemoryPage {
    items: Vec<MemoryRow>,
    /// Memories on all pages.
    total: u64,
    page: usize,
    per_page: usize,
    /// At least 1.
    total_pages: u64,
}

async fn memories(
    State(app): State<App>,
    AdminCaller(caller): AdminCaller,
    Query(query): Query<MemoryQuery>,
) -> Answer<MemoryPage> {
    let MemoryQuery { page, per_page, .. } = query;
    check_page(page, per_page).map_err(in_query)?;
    let (scopes, total) = match &query.tenant_id {
        None if !query.filters() => {
            let counted = scopes::counted(&app, &caller).await?;
            let total = counted.iter().map(|(_, memories)| memories).sum();
            (counted.into_iter().map(|(scope, _)| scope).collect(), total)
        }
        tenant => {
            let scopes = scopes::named_or_all(&app, &caller, tenant.as_deref()).await?;
            let mut total = 0;
            for scope in &scopes {
                total += count(app.backend(), scope, &query).await?;
            }
            (scopes, total)
        }
    };
    let skip = (page - 1).saturating_mul(per_page);
    let mut items = Vec::new();
    if (skip as u64) < total {
        let request = request(&query).with_limit(skip.saturating_add(per_page).min(walk::PAGE));
        items = walk::page(walk::records_of(app.backend(), scopes, request), skip, per_page).await?;
    }
    let tenants: BTreeSet<&str> = items.iter().map(|record| record.tenant_id.as_str()).collect();
    let scopes: Vec<Scope> =
        tenants.into_iter().map(|tenant| caller.scope_of_tenant(tenant)).collect::<Result<_>>()?;
    let labile = labile::memories(app.backend(), &scopes).await?;
    let row = |record: MemoryRecord| {
        let labile = labile.contains(&record.id);
        MemoryRow { labile, ..MemoryRow::short(record) }
    };
    let items = items.into_iter().map(row).collect();
    Ok(Json(MemoryPage { items, total, page, per_page, total_pages: page_count(total, per_page) }))
}

fn request(query: &MemoryQuery) -> ListRequest {
    let mut request = ListRequest::new()
        .with_memory_types(query.memory_type)
        .with_statuses(query.status)
        .with_order_by(query.sort_by)
        .with_order(query.order);
    request.search = query.search.clone().filter(|search| !search.is_empty());
    request.session_id.clone_from(&query.source_session_id);
    request
}

/// Number of memories of a tenant that match: counted by the store where its counts say it, else one by one.
async fn count(backend: &dyn MemoryBackend, scope: &Scope, query: &MemoryQuery) -> Result<u64> {
    let request = request(query);
    if request.search.is_some() || (query.memory_type.is_some() && query.status.is_some()) {
        let mut request = request.with_limit(walk::PAGE);
        let mut count = 0;
        loop {
            let page = backend.list(scope, request.clone()).await?;
            count += page.items.len() as u64;
            match page.next_cursor {
                Some(cursor) => request = request.with_cursor(cursor),
                None => return Ok(count),
            }
        }
    }
    let scope = match &query.source_session_id {
        Some(session) => scope.clone().with_session(session.clone())?,
        None => scope.clone(),
    };
    let stats = backend.stats(&scope).await?;
    Ok(match (query.memory_type, query.status) {
        (Some(memory_type), _) => stats.by_type.get(&memory_type).copied().unwrap_or_default(),
        (None, Some(status)) => stats.by_status.get(&status).copied().unwrap_or_default(),
        (None, None) => stats.total_memories,
    })
}
