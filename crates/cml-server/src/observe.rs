//! One identity, one log line and one count per request.

use std::time::Instant;

use axum::{
    extract::{MatchedPath, Request, State},
    http::{HeaderMap, HeaderValue},
    middleware::Next,
    response::Response,
};
use chrono::Utc;
use cml_core::wire::header;

use crate::{app::App, context::Context};

const MAX_REQUEST_ID: usize = 100;

/// Gives the request its id, and writes down how it was answered: no texts, no keys.
pub(crate) async fn observe(State(app): State<App>, request: Request, next: Next) -> Response {
    let start = Instant::now();
    let context = Context::new(request_id(request.headers()));
    let method = request.method().clone();
    let route = request.extensions().get::<MatchedPath>().cloned();
    let route = route.as_ref().map_or("unknown", MatchedPath::as_str);
    app.traffic().count(Utc::now());
    let mut response = context.run(next.run(request)).await;
    let (took, status) = (start.elapsed(), response.status().as_u16());
    let ms = took.as_secs_f64() * 1000.0;
    app.metrics().answered(known(method.as_str()), route, status, took);
    let (tenant, key) = context.caller().unwrap_or_default();
    tracing::info!(
        %method,
        path = route,
        status,
        ms = (ms * 100.0).round() / 100.0,
        request_id = context.id(),
        tenant,
        key,
        "request"
    );
    let headers = response.headers_mut();
    for (name, value) in [
        (header::REQUEST_ID, context.id()),
        (header::RESPONSE_TIME, &format!("{ms:.2}ms")),
        (header::TENANT, tenant),
    ] {
        if let (false, Ok(value)) = (value.is_empty(), HeaderValue::from_bytes(value.as_bytes())) {
            headers.insert(name, value);
        }
    }
    response
}

/// The caller's id where it is 1 to 100 visible ASCII characters, else a fresh one.
fn request_id(headers: &HeaderMap) -> String {
    let given = headers.get(header::REQUEST_ID).and_then(|value| value.to_str().ok());
    let valid =
        |id: &&str| (1..=MAX_REQUEST_ID).contains(&id.len()) && id.bytes().all(|b| b.is_ascii_graphic());
    given.filter(valid).map_or_else(|| uuid::Uuid::new_v4().to_string(), str::to_owned)
}

/// Methods that a caller may make up do not become labels.
fn known(method: &str) -> &str {
    match method {
        "GET" | "HEAD" | "POST" | "PUT" | "PATCH" | "DELETE" | "OPTIONS" => method,
        _ => "other",
    }
}
