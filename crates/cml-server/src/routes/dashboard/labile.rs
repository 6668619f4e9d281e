//! Recalled memories that are open to revision.

use std::collections::HashSet;

use axum::{Json, extract::State};
use cml_core::{ErrorKind, MemoryBackend, MemoryId, Result, Scope, ops::LabileStatus};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{doc, export::TenantQuery, scopes};
use crate::{app::App, auth::AdminCaller, error::Answer, extract::Query, routes::Routes};

pub(super) fn routes() -> Routes {
    Routes::new().get(
        "/dashboard/labile",
        labile,
        doc("Recalled memories open to revision").query::<TenantQuery>().answer::<Labile>(),
    )
}

/// Memories open to revision. They are known beside the database, in Redis or in the process.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
pub(super) struct Labile {
    tenants: Vec<LabileTenant>,
    /// Always 0: the database keeps no such mark.
    total_db_labile: u64,
    total_redis_scopes: u64,
    total_redis_sessions: u64,
    total_redis_memories: u64,
}

/// Memories of a tenant open to revision.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
struct LabileTenant {
    tenant_id: String,
    /// Always 0.
    db_labile_count: u64,
    /// As many as sessions: revision is bound to a conversation.
    redis_scope_count: u64,
    redis_session_count: u64,
    redis_memory_count: u64,
}

impl From<LabileStatus> for LabileTenant {
    fn from(status: LabileStatus) -> Self {
        let sessions = status.sessions.len() as u64;
        Self {
            redis_memory_count: status.memory_count() as u64,
            tenant_id: status.tenant_id,
            db_labile_count: 0,
            redis_scope_count: sessions,
            redis_session_count: sessions,
        }
    }
}

async fn labile(
    State(app): State<App>,
    AdminCaller(caller): AdminCaller,
    Query(query): Query<TenantQuery>,
) -> Answer<Labile> {
    let mut answer = Labile::default();
    for scope in scopes::named_or_all(&app, &caller, query.tenant_id.as_deref()).await? {
        let tenant = LabileTenant::from(app.backend().maintenance()?.labile(&scope).await?);
        answer.total_redis_scopes += tenant.redis_scope_count;
        answer.total_redis_sessions += tenant.redis_session_count;
        answer.total_redis_memories += tenant.redis_memory_count;
        answer.tenants.push(tenant);
    }
    Ok(Json(answer))
}

/// The memories of these tenants that are open to revision; none in a backend that knows no revision.
pub(super) async fn memories(
    backend: &dyn MemoryBackend,
    scopes: impl IntoIterator<Item = &Scope>,
) -> Result<HashSet<MemoryId>> {
    let mut memories = HashSet::new();
    for scope in scopes {
        match backend.maintenance()?.labile(scope).await {
            Ok(status) => memories.extend(status.sessions.into_iter().flat_map(|session| session.memories)),
            Err(error) if error.kind() == ErrorKind::Unsupported => break,
            Err(error) => return Err(error),
        }
    }
    Ok(memories)
}
