//! A read as server-sent events.

use std::time::Instant;

use axum::{
    body::Body as RawBody,
    extract::State,
    http::{HeaderValue, header::CACHE_CONTROL, header::CONTENT_TYPE},
    response::{IntoResponse as _, Response},
};
use cml_core::{
    BoxStream, Error, Result,
    memory::MemoryItem,
    ops::ReadRequest,
    wire::{CallScope, ErrorBody},
};
use futures_util::{StreamExt as _, stream};
use serde::Serialize;
use serde_json::json;

use crate::{app::App, auth::Caller, context::Context, error::Failure, extract::Call};

/// One `data` event per memory, then `done` or `error`. Who hangs up drops the backend's stream.
pub(super) async fn read_stream(
    State(app): State<App>,
    caller: Caller,
    Call(parts, request): Call<CallScope, ReadRequest>,
) -> Result<Response, Failure> {
    let start = Instant::now();
    let items = app.backend().read_stream(&caller.scope(&parts.into())?, request).await?;
    let events = Events {
        items,
        sent: 0,
        start,
        request_id: Context::current().map(|context| context.id().to_owned()),
        app,
    };
    let body = stream::unfold(Some(events), |events| async move { Some(events?.next().await) });
    let mut response = RawBody::from_stream(body.map(Ok::<_, std::convert::Infallible>)).into_response();
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/event-stream"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    Ok(response)
}

struct Events {
    items: BoxStream<'static, Result<MemoryItem>>,
    sent: usize,
    start: Instant,
    request_id: Option<String>,
    app: App,
}

impl Events {
    /// The next event, and what comes after it.
    async fn next(mut self) -> (String, Option<Self>) {
        match self.items.next().await {
            Some(Ok(item)) => match event("", &item) {
                Some(text) => {
                    self.sent += 1;
                    (text, Some(self))
                }
                None => (self.failed(&Error::new(cml_core::ErrorKind::Internal, "an item is no JSON")), None),
            },
            Some(Err(error)) => (self.failed(&error), None),
            None => {
                self.app.metrics().read(self.sent);
                let end = json!({
                    "total_count": self.sent,
                    "elapsed_ms": self.start.elapsed().as_secs_f64() * 1000.0,
                    "retrieval_meta": {},
                });
                (event("event: done\n", &end).unwrap_or_default(), None)
            }
        }
    }

    fn failed(&self, error: &Error) -> String {
        tracing::warn!(request_id = self.request_id.as_deref(), ?error, "a stream failed");
        let body = ErrorBody::new(error, "body", self.request_id.clone());
        event("event: error\n", &body).unwrap_or_default()
    }
}

/// JSON escapes line feeds, so that one line holds the data.
fn event(name: &str, data: &impl Serialize) -> Option<String> {
    serde_json::to_string(data).ok().map(|data| format!("{name}data: {data}\n\n"))
}
