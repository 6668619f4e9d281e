//! The server itself: health, identity, metrics, documentation.

use axum::{
    Json,
    extract::State,
    http::{HeaderMap, HeaderValue, header::CONTENT_TYPE},
    response::{IntoResponse as _, Response},
};
use cml_core::{
    Error,
    ops::Health,
    wire::{HealthBody, WhoAmI, path},
};

use super::{Doc, Routes};
use crate::{
    app::App,
    auth::{self, Caller},
    error::Answer,
};

const PROMETHEUS: &str = "text/plain; version=0.0.4; charset=utf-8";
const JSON: &str = "application/json";

pub(super) fn routes() -> Routes {
    Routes::new()
        .get(
            path::HEALTH,
            health,
            Doc::new("Whether the server works").tag("system").open().answer::<HealthBody>(),
        )
        .get(path::WHOAMI, whoami, Doc::new("Tenant and rights of the key").tag("system").answer::<WhoAmI>())
}

pub(super) fn root() -> Routes {
    let metrics_doc = || Doc::new("Counters for Prometheus").tag("system").open().text(PROMETHEUS);
    Routes::at_root().get("/metrics", metrics, metrics_doc()).get("/metrics/", metrics, metrics_doc()).get(
        "/openapi.json",
        openapi,
        Doc::new("This document").tag("system").open().text(JSON),
    )
}

/// Who has no key hears which parts work, not what they are and what is wrong with them.
async fn health(State(app): State<App>, headers: HeaderMap) -> Answer<HealthBody> {
    let health = match (app.health().get().await, auth::is_known(&app, &headers)) {
        (Ok(health), true) => health,
        (Ok(health), false) => without_details(health),
        (Err(error), true) => return Err(error.into()),
        (Err(error), false) => {
            tracing::warn!(?error, "the backend does not tell how it does");
            return Err(Error::new(error.kind(), "the backend does not tell how it does").into());
        }
    };
    let capabilities = app.backend().capabilities();
    Ok(Json(HealthBody {
        health,
        capabilities: capabilities.supported.iter().map(ToString::to_string).collect(),
        max_results: Some(capabilities.max_results),
    }))
}

fn without_details(mut health: Health) -> Health {
    for component in &mut health.components {
        component.details.clear();
        component.error = None;
    }
    health
}

async fn whoami(caller: Caller) -> Json<WhoAmI> {
    Json(WhoAmI { tenant_id: caller.tenant().to_owned(), admin: caller.admin() })
}

async fn metrics(State(app): State<App>) -> Response {
    typed(app.metrics().text(), PROMETHEUS)
}

async fn openapi(State(app): State<App>) -> Response {
    typed(app.openapi().clone(), JSON)
}

fn typed(body: impl Into<axum::body::Body>, content_type: &'static str) -> Response {
    let mut response = body.into().into_response();
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    response
}
