//! Export and import.

use std::{sync::Arc, time::Duration};

use axum::{
    Json,
    body::{Body as RawBody, BodyDataStream},
    extract::{Request, State},
    http::{HeaderValue, header::CONTENT_TYPE},
    response::{IntoResponse as _, Response},
};
use cml_core::{
    BoxStream, Error, ErrorKind, Result, Scope,
    ops::{ExportOptions, ImportReport},
    portable,
    scope::ScopeParts,
    wire::{ExportQuery, NDJSON, path},
};
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use tokio::{sync::Mutex, time::timeout};

use super::{Doc, Routes, memory::in_query};
use crate::{
    app::App,
    auth::Caller,
    error::{Answer, Failure},
    extract::{DRAIN_BYTES, Query, check_encoding, drain},
};

pub(super) fn routes() -> Routes {
    let doc = |summary| Doc::new(summary).tag("transfer").admin();
    Routes::new()
        .get(
            path::EXPORT,
            export,
            doc("Every row in the portable format").query::<ScopeParts>().query::<ExportQuery>().text(NDJSON),
        )
        .post(
            path::IMPORT,
            import,
            doc("Put in the rows of an export")
                .query::<ScopeParts>()
                .body_stream(NDJSON)
                .answer::<ImportReport>(),
        )
}

/// An error at the beginning is an answer; one in mid-stream cuts the body, so that nobody takes it for
/// complete.
async fn export(
    State(app): State<App>,
    caller: Caller,
    Query(parts): Query<ScopeParts>,
    Query(query): Query<ExportQuery>,
) -> Result<Response, Failure> {
    let scope = caller.scope(&parts).map_err(in_query)?;
    let mut options = ExportOptions::default();
    options.vectors = query.vectors.unwrap_or(options.vectors);
    let lines = app.backend().transfer()?.export(&scope, options).await?;
    let mut chunks =
        portable::encode(lines).inspect_err(|error| tracing::error!(?error, "an export was cut"));
    let first = chunks.try_next().await?;
    let body = stream::iter(first.map(Ok)).chain(chunks);
    let mut response = RawBody::from_stream(body).into_response();
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(NDJSON));
    Ok(response)
}

async fn import(
    State(app): State<App>,
    caller: Caller,
    Query(parts): Query<ScopeParts>,
    request: Request,
) -> Answer<ImportReport> {
    let scope = check_encoding(request.headers()).and_then(|()| caller.scope(&parts).map_err(in_query));
    let body = Arc::new(Mutex::new(request.into_body().into_data_stream()));
    let imported = match scope {
        Ok(scope) => put(&app, &scope, &body).await.map_err(Failure::from),
        Err(failure) => Err(failure),
    };
    if imported.is_err() {
        drain(&mut *body.lock().await, DRAIN_BYTES).await;
    }
    imported.map(Json)
}

async fn put(app: &App, scope: &Scope, body: &Arc<Mutex<BodyDataStream>>) -> Result<ImportReport> {
    let chunks = chunks(body, app.config().server.request_timeout);
    app.backend().transfer()?.import(scope, portable::decode(chunks)).await
}

/// The body as it arrives. A sender that sends nothing for `patience` would hold its place for ever.
fn chunks(body: &Arc<Mutex<BodyDataStream>>, patience: Duration) -> BoxStream<'static, Result<Vec<u8>>> {
    stream::unfold(Some(Arc::clone(body)), move |body| async move {
        let body = body?;
        let next = timeout(patience, async { body.lock().await.next().await }).await;
        let Ok(next) = next else { return Some((Err(stalled(patience)), None)) };
        let chunk = next?.map(|bytes| bytes.to_vec()).map_err(|error| {
            Error::new(ErrorKind::InvalidInput, "the body ended early; nothing was imported")
                .with_source(error)
        });
        Some((chunk, Some(body)))
    })
    .boxed()
}

fn stalled(patience: Duration) -> Error {
    let message = format!("nothing of the body came for {} s; nothing was imported", patience.as_secs_f64());
    Error::new(ErrorKind::Timeout, message).with_suggestion("send the export again")
}
