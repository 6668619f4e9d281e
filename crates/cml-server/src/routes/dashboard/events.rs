//! What happened, page by page.

use axum::{Json, extract::State};
use chrono::{DateTime, Utc};
use cml_core::{
    EventId, MemoryId, Result,
    memory::{Event, EventType, Metadata, OperationType},
    ops::ListEvents,
    time,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    doc, in_query,
    memories::{check_page, first_page, usual_page},
    page_count, scopes, some, walk,
};
use crate::{app::App, auth::AdminCaller, error::Answer, extract::Query, routes::Routes};

pub(super) fn routes() -> Routes {
    let described =
        || doc("Events of every tenant or of one, newest first").query::<EventQuery>().answer::<EventRows>();
    Routes::new().get("/dashboard/events", events, described()).get("/admin/events", events, described())
}

/// Which events to show.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
struct EventQuery {
    /// Only this tenant; every tenant when absent.
    tenant_id: Option<String>,
    /// Number of the page, from 1.
    #[serde(default = "first_page")]
    page: usize,
    /// Events of a page, 1..=200.
    #[serde(default = "usual_page")]
    per_page: usize,
    /// Only what happened to this kind of thing.
    event_type: Option<EventType>,
    /// Only what this operation did.
    operation: Option<OperationType>,
    /// Only what happened at or after this instant.
    since: Option<String>,
}

/// An event.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub(super) struct EventRow {
    id: EventId,
    tenant_id: String,
    /// The session it happened in, or else the namespace, or else the tenant.
    scope_id: String,
    agent_id: Option<String>,
    event_type: EventType,
    operation: OperationType,
    payload: Metadata,
    memory_ids: Vec<MemoryId>,
    /// Always null: events have no parents here.
    parent_event_id: Option<EventId>,
    created_at: DateTime<Utc>,
}

impl From<Event> for EventRow {
    fn from(event: Event) -> Self {
        let scope = some(event.session_id).or_else(|| some(event.namespace));
        Self {
            id: event.id,
            scope_id: scope.unwrap_or_else(|| event.tenant_id.clone()),
            tenant_id: event.tenant_id,
            agent_id: some(event.agent_id),
            event_type: event.event_type,
            operation: event.operation,
            payload: event.payload,
            memory_ids: event.memory_ids,
            parent_event_id: None,
            created_at: event.created_at,
        }
    }
}

/// A page of events.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
struct EventRows {
    items: Vec<EventRow>,
    /// Events on all pages.
    total: u64,
    page: usize,
    per_page: usize,
    /// At least 1.
    total_pages: u64,
}

async fn events(
    State(app): State<App>,
    AdminCaller(caller): AdminCaller,
    Query(query): Query<EventQuery>,
) -> Answer<EventRows> {
    let EventQuery { page, per_page, .. } = query;
    check_page(page, per_page).map_err(in_query)?;
    let request = request(&query).map_err(in_query)?;
    let scopes = scopes::named_or_all(&app, &caller, query.tenant_id.as_deref()).await?;
    let mut total = 0;
    for scope in &scopes {
        let first = request.clone().with_limit(1usize);
        total += app.backend().maintenance()?.events(scope, first).await?.total;
    }
    let skip = (page - 1).saturating_mul(per_page);
    let mut items = Vec::new();
    if (skip as u64) < total {
        let wanted = skip.saturating_add(per_page).min(walk::PAGE);
        let request = request.with_limit(walk::share(wanted, scopes.len()));
        let sources = scopes.into_iter().map(|scope| walk::events(app.backend(), scope, request.clone()));
        let newest = |a: &Event, b: &Event| (b.created_at, b.id).cmp(&(a.created_at, a.id));
        items = walk::page(walk::merged(sources.collect(), newest), skip, per_page).await?;
    }
    let items = items.into_iter().map(EventRow::from).collect();
    Ok(Json(EventRows { items, total, page, per_page, total_pages: page_count(total, per_page) }))
}

fn request(query: &EventQuery) -> Result<ListEvents> {
    let mut request = ListEvents::new();
    request.event_type = query.event_type;
    request.operation = query.operation;
    request.since = query.since.as_deref().map(|since| time::parse("since", since)).transpose()?;
    Ok(request)
}
