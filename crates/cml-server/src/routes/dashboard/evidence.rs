//! What a fact rests on.

use axum::{Json, extract::State};
use chrono::{DateTime, Utc};
use cml_core::{
    Error, ErrorKind, FactId, MemoryBackend, MemoryId, MessageId, Result, Scope, Score,
    memory::{Evidence, MemoryStatus, MemoryType, Role},
    ops::GetRequest,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{doc, facts, some};
use crate::{app::App, auth::AdminCaller, error::Answer, extract::Id, routes::Routes};

pub(super) fn routes() -> Routes {
    let described = || doc("The memories and messages that a fact rests on").answer::<EvidenceRows>();
    Routes::new().get("/dashboard/facts/{id}/evidence", evidence, described()).get(
        "/facts/{id}/evidence",
        evidence,
        described(),
    )
}

/// What a fact rests on.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
struct EvidenceRows {
    fact_id: FactId,
    tenant_id: String,
    items: Vec<EvidenceRow>,
    total: usize,
}

/// A piece of evidence.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "kind", rename_all = "snake_case")]
enum EvidenceRow {
    /// A memory.
    Memory {
        id: MemoryId,
        #[serde(rename = "type")]
        memory_type: MemoryType,
        status: MemoryStatus,
        text: String,
        confidence: Score,
        role: Role,
        session_id: Option<String>,
        /// When it was said.
        timestamp: DateTime<Utc>,
    },
    /// A message of a session log.
    Message {
        id: MessageId,
        /// The session of the fact.
        session_id: Option<String>,
    },
}

async fn evidence(
    State(app): State<App>,
    AdminCaller(caller): AdminCaller,
    Id(id): Id<FactId>,
) -> Answer<EvidenceRows> {
    let (scope, fact) = facts::find(&app, &caller, id).await?;
    let mut items = Vec::new();
    for evidence in &fact.evidence {
        match evidence {
            Evidence::Memory(id) => items.extend(memory(app.backend(), &scope, *id).await?),
            Evidence::Message(id) => {
                items.push(EvidenceRow::Message { id: *id, session_id: some(fact.session_id.clone()) });
            }
            other => {
                let message = format!("evidence of an unknown kind: {other:?}");
                return Err(Error::new(ErrorKind::Internal, message).into());
            }
        }
    }
    Ok(Json(EvidenceRows { fact_id: id, tenant_id: fact.tenant_id, total: items.len(), items }))
}

/// The memory as evidence; none where it was removed meanwhile.
async fn memory(backend: &dyn MemoryBackend, scope: &Scope, id: MemoryId) -> Result<Option<EvidenceRow>> {
    let record = match backend.get(scope, GetRequest::new(id)).await {
        Ok(detail) => detail.record,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    Ok(Some(EvidenceRow::Memory {
        id,
        memory_type: record.memory_type,
        status: record.status,
        text: record.text,
        confidence: record.confidence,
        role: record.role,
        session_id: some(record.session_id),
        timestamp: record.timestamp,
    }))
}
