//! One action on many memories.

use axum::{Json, extract::State};
use cml_core::{
    MemoryId,
    ops::{ForgetAction, ForgetRequest},
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{doc, scopes};
use crate::{app::App, auth::AdminCaller, error::Answer, extract::Body, routes::Routes};

pub(super) fn routes() -> Routes {
    Routes::new().post(
        "/dashboard/memories/bulk-action",
        bulk_action,
        doc("Archives, silences or deletes memories of any tenant")
            .body::<BulkAction>()
            .answer::<BulkResult>(),
    )
}

/// What to do with which memories.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
struct BulkAction {
    /// At least one; unknown ids are skipped.
    memory_ids: Vec<MemoryId>,
    /// What happens to them.
    action: ForgetAction,
}

/// What was done.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
struct BulkResult {
    success: bool,
    /// Memories changed or removed.
    affected: u64,
    action: ForgetAction,
}

async fn bulk_action(
    State(app): State<App>,
    AdminCaller(caller): AdminCaller,
    Body(BulkAction { memory_ids, action }): Body<BulkAction>,
) -> Answer<BulkResult> {
    let request = ForgetRequest::ids(memory_ids).with_action(action);
    request.validate()?;
    let mut affected = 0;
    for scope in scopes::all(&app, &caller).await? {
        affected += app.backend().forget(&scope, request.clone()).await?.affected_count;
    }
    Ok(Json(BulkResult { success: true, affected, action }))
}
