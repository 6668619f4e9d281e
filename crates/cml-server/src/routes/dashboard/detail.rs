//! One memory in full.

use axum::{Json, extract::State};
use chrono::{DateTime, TimeDelta, Utc};
use cml_core::{
    Error, ErrorKind, MemoryId, MessageId, Result, Scope,
    memory::{MemoryDetail, MemoryRecord, MemorySource, Metadata, Role},
    ops::{GetRequest, ListEvents},
};
use futures_util::{FutureExt as _, TryStreamExt as _};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{doc, events::EventRow, labile, memories::MemoryRow, scopes, some, walk};
use crate::{
    app::App,
    auth::{AdminCaller, Caller},
    error::Answer,
    extract::Id,
    routes::Routes,
};

/// Newest events since a memory was written that are searched for its id.
const EVENTS_SEARCHED: usize = 2000;

pub(super) fn routes() -> Routes {
    Routes::new().get(
        "/dashboard/memories/{id}",
        detail,
        doc("One memory in full, the caller's tenant first").answer::<Detail>(),
    )
}

/// A memory in full.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
struct Detail {
    #[serde(flatten)]
    row: MemoryRow,
    source_session_id: Option<String>,
    user_id: Option<String>,
    /// Entities of the knowledge graph that it names; empty where there is no graph.
    entities: Vec<Value>,
    /// Relations of the knowledge graph that it states; empty where there is no graph.
    relations: Vec<Value>,
    metadata: Metadata,
    last_accessed_at: Option<DateTime<Utc>>,
    provenance: Provenance,
    supersedes_id: Option<MemoryId>,
    superseded_by_id: Option<MemoryId>,
    content_hash: Option<String>,
    valid_from: Option<DateTime<Utc>>,
    valid_to: Option<DateTime<Utc>>,
    event_start: Option<DateTime<Utc>>,
    event_end: Option<DateTime<Utc>>,
    expires_at: Option<DateTime<Utc>>,
    /// Events that name it among the newest 2000 since it was written, newest first.
    related_events: Vec<EventRow>,
}

/// Where a memory comes from.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
struct Provenance {
    source: MemorySource,
    role: Role,
    speaker: Option<String>,
    /// The message it was part of.
    message_id: MessageId,
    /// Position among the chunks of that message.
    chunk_index: u32,
}

async fn detail(
    State(app): State<App>,
    AdminCaller(caller): AdminCaller,
    Id(id): Id<MemoryId>,
) -> Answer<Detail> {
    let (scope, found) = find(&app, &caller, GetRequest::new(id)).await?;
    let labile = labile::memories(app.backend(), [&scope]).await?.contains(&id);
    let events = related(&app, scope, &found.record).await?;
    let mut record = found.record;
    let text = |part: &mut String| some(std::mem::take(part));
    Ok(Json(Detail {
        source_session_id: text(&mut record.session_id),
        user_id: text(&mut record.user_id),
        entities: Vec::new(),
        relations: Vec::new(),
        metadata: std::mem::take(&mut record.metadata),
        last_accessed_at: record.last_accessed_at,
        provenance: Provenance {
            source: record.source,
            role: record.role,
            speaker: text(&mut record.speaker),
            message_id: record.message_id,
            chunk_index: record.chunk_index,
        },
        supersedes_id: record.supersedes_id,
        superseded_by_id: record.superseded_by_id,
        content_hash: text(&mut record.content_hash),
        valid_from: record.valid_from,
        valid_to: record.valid_to,
        event_start: record.event_start,
        event_end: record.event_end,
        expires_at: record.expires_at,
        related_events: events,
        row: MemoryRow { labile, ..MemoryRow::full(record) },
    }))
}

/// A memory with its tenant, the caller's tenant first.
///
/// # Errors
/// `NotFound` when no tenant has it.
pub(super) async fn find(app: &App, caller: &Caller, request: GetRequest) -> Result<(Scope, MemoryDetail)> {
    let get = |scope: Scope| async move { app.backend().get(&scope, request).await }.boxed();
    scopes::find(app, caller, get).await.map_err(|error| match error.kind() {
        ErrorKind::NotFound => Error::new(ErrorKind::NotFound, "Memory not found"),
        _ => error,
    })
}

async fn related(app: &App, scope: Scope, record: &MemoryRecord) -> Result<Vec<EventRow>> {
    // The id holds the millisecond in which the engine made it; an imported one may hold any.
    let made = record.id.as_uuid().get_timestamp().and_then(|stamp| {
        let (seconds, nanos) = stamp.to_unix();
        DateTime::from_timestamp(i64::try_from(seconds).ok()?, nanos)
    });
    // An id is made a moment before or after the instant that its event names.
    let since = made.unwrap_or(record.written_at).min(record.written_at) - TimeDelta::seconds(1);
    let request = ListEvents::new().with_since(since).with_limit(walk::PAGE);
    let mut events = walk::events(app.backend(), scope, request);
    let mut related = Vec::new();
    let mut searched = 0;
    while searched < EVENTS_SEARCHED
        && let Some(event) = events.try_next().await?
    {
        searched += 1;
        if event.memory_ids.contains(&record.id) {
            related.push(EventRow::from(event));
        }
    }
    Ok(related)
}
