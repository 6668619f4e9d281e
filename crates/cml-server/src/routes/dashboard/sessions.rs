//! Conversations with what they hold.

use axum::{Json, extract::State};
use chrono::{DateTime, Utc};
use cml_core::{
    Result, Scope,
    memory::{Metadata, Session},
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{doc, export::TenantQuery, scopes};
use crate::{app::App, auth::AdminCaller, error::Answer, extract::Query, routes::Routes};

pub(super) fn routes() -> Routes {
    Routes::new().get(
        "/dashboard/sessions",
        sessions,
        doc("Conversations of every tenant or of one, newest first")
            .query::<TenantQuery>()
            .answer::<SessionRows>(),
    )
}

/// A conversation.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
struct SessionRow {
    session_id: String,
    tenant_id: String,
    created_at: DateTime<Utc>,
    expires_at: Option<DateTime<Utc>>,
    /// Seconds until its working context ends: 0 when it has, -1 when it never does.
    ttl_seconds: i64,
    memory_count: u64,
    /// The caller's fields, and the session's `name`.
    metadata: Metadata,
}

impl SessionRow {
    fn new(session: Session, memory_count: u64, now: DateTime<Utc>) -> Self {
        let mut metadata = session.metadata;
        if !session.name.is_empty() {
            metadata.insert("name".to_owned(), session.name.into());
        }
        Self {
            session_id: session.session_id,
            tenant_id: session.tenant_id,
            created_at: session.created_at,
            expires_at: session.expires_at,
            ttl_seconds: session.expires_at.map_or(-1, |end| (end - now).num_seconds().max(0)),
            memory_count,
            metadata,
        }
    }
}

/// Conversations, newest first.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
struct SessionRows {
    sessions: Vec<SessionRow>,
    /// Those whose working context has not ended.
    total_active: usize,
    total_memories_with_session: u64,
}

async fn sessions(
    State(app): State<App>,
    AdminCaller(caller): AdminCaller,
    Query(query): Query<TenantQuery>,
) -> Answer<SessionRows> {
    let now = Utc::now();
    let mut sessions = Vec::new();
    for scope in scopes::named_or_all(&app, &caller, query.tenant_id.as_deref()).await? {
        for session in app.backend().sessions()?.list(&scope).await? {
            let count = memories(&app, &scope, &session.session_id).await?;
            sessions.push(SessionRow::new(session, count, now));
        }
    }
    sessions.sort_by(|a, b| {
        b.created_at
            .cmp(&a.created_at)
            .then_with(|| (&a.tenant_id, &a.session_id).cmp(&(&b.tenant_id, &b.session_id)))
    });
    Ok(Json(SessionRows {
        total_active: sessions
            .iter()
            .filter(|session| session.expires_at.is_none_or(|end| end > now))
            .count(),
        total_memories_with_session: sessions.iter().map(|session| session.memory_count).sum(),
        sessions,
    }))
}

async fn memories(app: &App, scope: &Scope, session: &str) -> Result<u64> {
    let of_session = scope.clone().with_session(session)?;
    Ok(app.backend().stats(&of_session).await?.total_memories)
}
