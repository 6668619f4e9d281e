//! Runs over many memories: consolidation, forgetting, reconsolidation.

use axum::{Json, extract::State};
use cml_core::{Error, Result, Scope};
use schemars::JsonSchema;
use serde::Deserialize;

use super::{
    doc,
    export::TenantQuery,
    in_query,
    labile::Labile,
    outcome::{Consolidated, Forgotten, Outcome, Reconsolidated, UserConsolidated, UserForgotten},
    scopes,
};
use crate::{
    app::App,
    auth::{AdminCaller, Caller},
    error::{Answer, Failure},
    extract::{Body, Name, Query},
    routes::{Doc, Routes},
};

pub(super) fn routes() -> Routes {
    let consolidation = || {
        run("Turns episodes into gists and facts")
            .query::<WaitQuery>()
            .body::<Target>()
            .answer::<Outcome<Consolidated>>()
    };
    let forgetting = || {
        run("Runs the forgetting policy")
            .query::<WaitQuery>()
            .body::<ForgettingTarget>()
            .answer::<Outcome<Forgotten>>()
    };
    Routes::new()
        .post("/dashboard/consolidate", consolidate, consolidation())
        .post("/admin/consolidate", consolidate, consolidation())
        .post(
            "/admin/consolidate/{id}",
            consolidate_user,
            run("Turns a user's episodes into gists and facts")
                .query::<WaitQuery>()
                .answer::<Outcome<UserConsolidated>>(),
        )
        .post("/dashboard/forget", forget, forgetting())
        .post("/admin/forget", forget, forgetting())
        .post(
            "/admin/forget/{id}",
            forget_user,
            run("Runs the forgetting policy over a user's memories")
                .query::<ForgetUserQuery>()
                .answer::<Outcome<UserForgotten>>(),
        )
        .get(
            "/dashboard/forgetting/preview",
            preview,
            run("What a run of the forgetting policy would do")
                .query::<PreviewQuery>()
                .answer::<Outcome<Forgotten>>(),
        )
        .post(
            "/dashboard/reconsolidate",
            reconsolidate,
            run("Ends the revision of recalled memories")
                .query::<WaitQuery>()
                .body::<Target>()
                .answer::<Outcome<Reconsolidated>>(),
        )
        .get(
            "/dashboard/reconsolidation/sessions",
            revisions,
            doc("Sessions with memories open to revision").query::<TenantQuery>().answer::<Labile>(),
        )
}

/// Whether to wait for the job.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
struct WaitQuery {
    /// With `false` the answer is the job.
    #[serde(default = "yes")]
    wait: bool,
}

/// Whose memories the run is about.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
struct Target {
    /// The tenant; the caller's when absent.
    tenant_id: Option<String>,
    /// That user's rows and those without a user.
    user_id: Option<String>,
}

/// Whose memories the policy looks at, and whether it acts.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
struct ForgettingTarget {
    /// The tenant; the caller's when absent.
    tenant_id: Option<String>,
    /// That user's rows and those without a user.
    user_id: Option<String>,
    /// Only plans.
    #[serde(default = "yes")]
    dry_run: bool,
    /// Accepted from clients of the original server and without effect: the policy looks at every memory.
    #[serde(default = "usual_memories", rename = "max_memories")]
    _max_memories: u64,
}

/// Whether the policy acts, and whether to wait for it.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
struct ForgetUserQuery {
    /// Only plans.
    #[serde(default = "yes")]
    dry_run: bool,
    /// With `false` the answer is the job.
    #[serde(default = "yes")]
    wait: bool,
}

/// Whose memories to look at.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
struct PreviewQuery {
    /// The tenant; the caller's when absent.
    tenant_id: Option<String>,
    /// That user's rows and those without a user.
    user_id: Option<String>,
}

const fn yes() -> bool {
    true
}

const fn usual_memories() -> u64 {
    5000
}

async fn consolidate(
    State(app): State<App>,
    AdminCaller(caller): AdminCaller,
    Query(WaitQuery { wait }): Query<WaitQuery>,
    Body(Target { tenant_id, user_id }): Body<Target>,
) -> Answer<Outcome<Consolidated>> {
    let scope = target(&caller, tenant_id.as_deref(), user_id)?;
    let job = app.backend().maintenance()?.consolidate(&scope).await?;
    Ok(Json(Outcome::of(&app, &scope, job, wait).await?))
}

async fn consolidate_user(
    State(app): State<App>,
    AdminCaller(caller): AdminCaller,
    Name(user): Name,
    Query(WaitQuery { wait }): Query<WaitQuery>,
) -> Answer<Outcome<UserConsolidated>> {
    let scope = target(&caller, None, Some(user))?;
    let job = app.backend().maintenance()?.consolidate(&scope).await?;
    Ok(Json(Outcome::of(&app, &scope, job, wait).await?))
}

async fn forget(
    State(app): State<App>,
    AdminCaller(caller): AdminCaller,
    Query(WaitQuery { wait }): Query<WaitQuery>,
    Body(ForgettingTarget { tenant_id, user_id, dry_run, .. }): Body<ForgettingTarget>,
) -> Answer<Outcome<Forgotten>> {
    let scope = target(&caller, tenant_id.as_deref(), user_id)?;
    let job = app.backend().maintenance()?.run_forgetting(&scope, dry_run).await?;
    Ok(Json(Outcome::of(&app, &scope, job, wait).await?))
}

async fn forget_user(
    State(app): State<App>,
    AdminCaller(caller): AdminCaller,
    Name(user): Name,
    Query(ForgetUserQuery { dry_run, wait }): Query<ForgetUserQuery>,
) -> Answer<Outcome<UserForgotten>> {
    let scope = target(&caller, None, Some(user))?;
    let job = app.backend().maintenance()?.run_forgetting(&scope, dry_run).await?;
    Ok(Json(Outcome::of(&app, &scope, job, wait).await?))
}

async fn preview(
    State(app): State<App>,
    AdminCaller(caller): AdminCaller,
    Query(PreviewQuery { tenant_id, user_id }): Query<PreviewQuery>,
) -> Answer<Outcome<Forgotten>> {
    let scope = target(&caller, tenant_id.as_deref(), user_id).map_err(in_query)?;
    let job = app.backend().maintenance()?.run_forgetting(&scope, true).await?;
    Ok(Json(Outcome::of(&app, &scope, job, true).await?))
}

async fn reconsolidate(
    State(app): State<App>,
    AdminCaller(caller): AdminCaller,
    Query(WaitQuery { wait }): Query<WaitQuery>,
    Body(Target { tenant_id, user_id }): Body<Target>,
) -> Answer<Outcome<Reconsolidated>> {
    let scope = target(&caller, tenant_id.as_deref(), user_id)?;
    let job = app.backend().maintenance()?.reconsolidate(&scope).await?;
    Ok(Json(Outcome::of(&app, &scope, job, wait).await?))
}

async fn revisions(_: AdminCaller, Query(_): Query<TenantQuery>) -> Answer<Labile> {
    Err(no_revision("reconsolidation sessions"))
}

/// What OpenAPI says of a route that may wait for a job as long as it takes.
fn run(summary: &'static str) -> Doc {
    doc(summary).unbounded()
}

fn target(caller: &Caller, tenant: Option<&str>, user: Option<String>) -> Result<Scope> {
    let scope = scopes::named_or_own(caller, tenant)?;
    match user {
        Some(user) => scope.with_user(user),
        None => Ok(scope),
    }
}

fn no_revision(what: &str) -> Failure {
    Error::unsupported(what, "see the capabilities of GET /health").into()
}
