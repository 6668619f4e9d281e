//! The list of tenants.

use axum::{Json, extract::State};
use cml_core::ops::TenantSummary;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::doc;
use crate::{app::App, auth::AdminCaller, error::Answer, routes::Routes};

pub(super) fn routes() -> Routes {
    let described = || doc("Tenants with their counts").answer::<TenantList>();
    Routes::new().get("/dashboard/tenants", tenants, described()).get("/admin/tenants", tenants, described())
}

/// Every tenant, by id.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
struct TenantList {
    tenants: Vec<TenantSummary>,
}

async fn tenants(State(app): State<App>, _: AdminCaller) -> Answer<TenantList> {
    let tenants = app.backend().admin()?.tenants().await?;
    Ok(Json(TenantList { tenants }))
}
