//! Conversations.

use axum::{Json, extract::State, http::HeaderMap};
use cml_core::{
    memory::Session,
    ops::{CreateSession, EraseResponse, MessagePage, SessionContext},
    scope::ScopeParts,
    wire::{CallScope, ContextQuery, MessagesQuery, Scoped, SessionList, path},
};

use super::{
    Doc, Routes,
    memory::{idempotency, in_query},
};
use crate::{
    app::App,
    auth::Caller,
    error::Answer,
    extract::{Call, Name, Query},
};

/// Token budget of a context that names none.
const CONTEXT_TOKENS: usize = 2000;
/// Messages of a page that names no number.
const PAGE: usize = 100;

pub(super) fn routes() -> Routes {
    let doc = |summary| Doc::new(summary).tag("sessions");
    Routes::new()
        .post(
            path::SESSION_CREATE,
            create,
            doc("Open a conversation").body::<Scoped<CallScope, CreateSession>>().answer::<Session>(),
        )
        .get(
            path::SESSION_CONTEXT,
            context,
            doc("The working context")
                .query::<CallScope>()
                .query::<ContextQuery>()
                .answer::<SessionContext>(),
        )
        .get(path::SESSIONS, list, doc("List conversations").query::<ScopeParts>().answer::<SessionList>())
        .delete(
            path::SESSION,
            clear,
            doc("Remove a conversation with what rests on it alone")
                .unbounded()
                .query::<CallScope>()
                .answer::<EraseResponse>(),
        )
        .get(
            path::MESSAGES,
            messages,
            doc("The log in order").query::<CallScope>().query::<MessagesQuery>().answer::<MessagePage>(),
        )
}

async fn create(
    State(app): State<App>,
    caller: Caller,
    headers: HeaderMap,
    Call(parts, mut request): Call<CallScope, CreateSession>,
) -> Answer<Session> {
    idempotency(&headers, &mut request.idempotency_key)?;
    let scope = caller.scope(&parts.into())?;
    Ok(Json(app.backend().sessions()?.create(&scope, request).await?))
}

async fn context(
    State(app): State<App>,
    caller: Caller,
    Name(session): Name,
    Query(parts): Query<CallScope>,
    Query(query): Query<ContextQuery>,
) -> Answer<SessionContext> {
    let scope = caller.scope(&parts.into()).map_err(in_query)?;
    let tokens = query.max_tokens.unwrap_or(CONTEXT_TOKENS);
    let sessions = app.backend().sessions()?;
    Ok(Json(sessions.context(&scope, &session, tokens).await.map_err(in_query)?))
}

async fn list(
    State(app): State<App>,
    caller: Caller,
    Query(parts): Query<ScopeParts>,
) -> Answer<SessionList> {
    let scope = caller.scope(&parts).map_err(in_query)?;
    Ok(Json(SessionList { sessions: app.backend().sessions()?.list(&scope).await? }))
}

async fn clear(
    State(app): State<App>,
    caller: Caller,
    Name(session): Name,
    Query(parts): Query<CallScope>,
) -> Answer<EraseResponse> {
    let scope = caller.scope(&parts.into()).map_err(in_query)?;
    Ok(Json(app.backend().sessions()?.clear(&scope, &session).await?))
}

async fn messages(
    State(app): State<App>,
    caller: Caller,
    Name(session): Name,
    Query(parts): Query<CallScope>,
    Query(query): Query<MessagesQuery>,
) -> Answer<MessagePage> {
    let scope = caller.scope(&parts.into()).map_err(in_query)?;
    let sessions = app.backend().sessions()?;
    let limit = query.limit.unwrap_or(PAGE);
    Ok(Json(sessions.messages(&scope, &session, query.after, limit).await.map_err(in_query)?))
}
