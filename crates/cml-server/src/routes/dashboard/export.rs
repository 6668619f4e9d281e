//! The newest rows as one list of JSON.

use axum::{Json, extract::State};
use chrono::{DateTime, Utc};
use cml_core::{
    MemoryId, Score,
    memory::{MemoryRecord, MemoryStatus, MemoryType},
    ops::{ListRequest, OrderBy},
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{doc, scopes, walk};
use crate::{app::App, auth::AdminCaller, error::Answer, extract::Query, routes::Routes};

/// Most rows of an export.
pub(super) const EXPORTED: usize = 10_000;

pub(super) fn routes() -> Routes {
    Routes::new().get(
        "/dashboard/export/memories",
        memories,
        doc("The newest 10000 memories of every tenant or of one, as a list")
            .query::<TenantQuery>()
            .answer::<Vec<Exported>>(),
    )
}

/// Whose rows to show.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
pub(super) struct TenantQuery {
    /// Only this tenant; every tenant when absent.
    pub(super) tenant_id: Option<String>,
}

/// A memory of an export.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
struct Exported {
    id: MemoryId,
    tenant_id: String,
    #[serde(rename = "type")]
    memory_type: MemoryType,
    status: MemoryStatus,
    text: String,
    key: Option<String>,
    confidence: Score,
    importance: Score,
    access_count: u64,
    /// When it was said.
    timestamp: DateTime<Utc>,
}

impl From<MemoryRecord> for Exported {
    fn from(record: MemoryRecord) -> Self {
        Self {
            id: record.id,
            tenant_id: record.tenant_id,
            memory_type: record.memory_type,
            status: record.status,
            text: record.text,
            key: record.key,
            confidence: record.confidence,
            importance: record.importance,
            access_count: record.access_count,
            timestamp: record.timestamp,
        }
    }
}

async fn memories(
    State(app): State<App>,
    AdminCaller(caller): AdminCaller,
    Query(query): Query<TenantQuery>,
) -> Answer<Vec<Exported>> {
    let scopes = scopes::named_or_all(&app, &caller, query.tenant_id.as_deref()).await?;
    let request = ListRequest::new().with_order_by(OrderBy::Timestamp).with_limit(walk::PAGE);
    let newest = walk::page(walk::records_of(app.backend(), scopes, request), 0, EXPORTED).await?;
    Ok(Json(newest.into_iter().map(Exported::from).collect()))
}
