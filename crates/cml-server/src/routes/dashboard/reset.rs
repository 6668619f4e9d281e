//! Emptying the whole store.

use axum::{Json, extract::State};
use cml_core::{Error, ErrorKind, Subject, ops::EraseRequest};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{doc, scopes};
use crate::{app::App, auth::AdminCaller, error::Answer, extract::Body, routes::Routes};

pub(super) fn routes() -> Routes {
    Routes::new().post(
        "/dashboard/database/reset",
        reset,
        doc("Erases every tenant; off unless server.allow_reset is on")
            .unbounded()
            .body::<Reset>()
            .answer::<ResetResult>(),
    )
}

/// The consent to lose everything.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
struct Reset {
    /// Must be true.
    confirm: bool,
}

/// What was erased.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
struct ResetResult {
    success: bool,
    message: String,
}

async fn reset(
    State(app): State<App>,
    AdminCaller(caller): AdminCaller,
    Body(Reset { confirm }): Body<Reset>,
) -> Answer<ResetResult> {
    if !app.config().server.allow_reset {
        let error = Error::new(ErrorKind::PermissionDenied, "this server does not allow a reset")
            .with_suggestion("start it with server.allow_reset (CML_ALLOW_RESET) on");
        return Err(error.into());
    }
    if !confirm {
        return Err(Error::invalid("confirm", "must be true").into());
    }
    let scopes = scopes::all(&app, &caller).await?;
    let mut memories = 0;
    for scope in &scopes {
        let erased = app.backend().erase(scope, EraseRequest::new(Subject::Tenant)).await?;
        memories += erased.affected_count;
    }
    let message = format!("{memories} memories of {} tenants are erased", scopes.len());
    Ok(Json(ResetResult { success: true, message }))
}
