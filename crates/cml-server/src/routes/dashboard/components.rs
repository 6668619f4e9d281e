//! How the parts of the server do.

use axum::{Json, extract::State};
use cml_core::ops::{Component, ComponentStatus, Health};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::doc;
use crate::{app::App, auth::AdminCaller, error::Answer, routes::Routes};

pub(super) fn routes() -> Routes {
    let described = || doc("Parts of the backend and of the server, each asked now").answer::<Components>();
    Routes::new().get("/dashboard/components", components, described()).get(
        "/admin/components",
        components,
        described(),
    )
}

/// Every part with its state.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
struct Components {
    components: Vec<Component>,
}

async fn components(State(app): State<App>, _: AdminCaller) -> Answer<Components> {
    let health = app.backend().health().await?;
    Ok(Json(Components { components: all(&app, health) }))
}

/// The backend's parts and the server itself.
pub(super) fn all(app: &App, health: Health) -> Vec<Component> {
    let details = json!({
        "version": env!("CARGO_PKG_VERSION"),
        "backend": health.backend,
        "mode": health.mode,
        "uptime_seconds": app.started().elapsed().as_secs(),
    });
    let server = Component {
        name: "Server".to_owned(),
        status: ComponentStatus::Ok,
        latency_ms: None,
        details: details.as_object().cloned().unwrap_or_default(),
        error: None,
    };
    let mut components = health.components;
    components.push(server);
    components
}
