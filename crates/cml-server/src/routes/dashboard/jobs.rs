//! Background work and its history.

use axum::{Json, extract::State};
use chrono::{DateTime, Utc};
use cml_core::{
    Error, JobId, Result, Scope,
    memory::{Job, JobKind, JobStatus, Metadata},
    ops::ListJobs,
};
use futures_util::FutureExt as _;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{doc, in_query, outcome::seconds, scopes, some};
use crate::{
    app::App,
    auth::{AdminCaller, Caller},
    error::Answer,
    extract::{Id, Query},
    routes::Routes,
};

pub(super) fn routes() -> Routes {
    Routes::new()
        .get(
            "/dashboard/jobs",
            jobs,
            doc("Background work of every tenant or of one, newest first")
                .query::<JobQuery>()
                .answer::<JobRows>(),
        )
        .get("/dashboard/jobs/{id}", job, doc("One job, the caller's tenant first").answer::<JobRow>())
        .get(
            "/dashboard/consolidation/runs",
            consolidations,
            doc("Runs of consolidation, newest first").query::<RunQuery>().answer::<JobRows>(),
        )
        .get(
            "/dashboard/reconsolidation/runs",
            reconsolidations,
            doc("Runs of reconsolidation, newest first").query::<RunQuery>().answer::<JobRows>(),
        )
        .get(
            "/admin/consolidation/status",
            consolidation_status,
            doc("Whether the caller's tenant is being consolidated, and its last run")
                .answer::<ConsolidationStatus>(),
        )
}

/// Which jobs to show.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
struct JobQuery {
    /// Only this tenant; every tenant when absent.
    tenant_id: Option<String>,
    /// Only this kind of work.
    job_type: Option<JobKind>,
    /// Most jobs, 1..=200.
    #[serde(default = "usual_limit")]
    limit: usize,
}

/// Which runs to show.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
struct RunQuery {
    /// Only this tenant; every tenant when absent.
    tenant_id: Option<String>,
    /// Most runs, 1..=200.
    #[serde(default = "usual_limit")]
    limit: usize,
}

const fn usual_limit() -> usize {
    50
}

/// A piece of background work.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
struct JobRow {
    id: JobId,
    job_type: JobKind,
    tenant_id: String,
    user_id: Option<String>,
    dry_run: bool,
    status: JobStatus,
    result: Option<Metadata>,
    error: Option<String>,
    /// Share done, 0 to 1.
    progress: f64,
    created_at: DateTime<Utc>,
    started_at: Option<DateTime<Utc>>,
    completed_at: Option<DateTime<Utc>>,
    duration_seconds: Option<f64>,
}

impl From<Job> for JobRow {
    fn from(job: Job) -> Self {
        Self {
            duration_seconds: seconds(&job),
            id: job.id,
            job_type: job.job_type,
            tenant_id: job.tenant_id,
            user_id: some(job.user_id),
            dry_run: job.dry_run,
            status: job.status,
            result: job.result,
            error: job.error,
            progress: job.progress,
            created_at: job.created_at,
            started_at: job.started_at,
            completed_at: job.completed_at,
        }
    }
}

/// Jobs, newest first.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
struct JobRows {
    items: Vec<JobRow>,
    /// Jobs that match, beyond the limit too.
    total: usize,
}

/// Where consolidation stands.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
struct ConsolidationStatus {
    tenant_id: String,
    /// `idle` or `running`.
    status: String,
    last_run: Option<JobRow>,
}

async fn jobs(
    State(app): State<App>,
    AdminCaller(caller): AdminCaller,
    Query(query): Query<JobQuery>,
) -> Answer<JobRows> {
    list(&app, &caller, query).await
}

async fn consolidations(
    State(app): State<App>,
    AdminCaller(caller): AdminCaller,
    Query(RunQuery { tenant_id, limit }): Query<RunQuery>,
) -> Answer<JobRows> {
    list(&app, &caller, JobQuery { tenant_id, limit, job_type: Some(JobKind::Consolidate) }).await
}

async fn reconsolidations(
    State(app): State<App>,
    AdminCaller(caller): AdminCaller,
    Query(RunQuery { tenant_id, limit }): Query<RunQuery>,
) -> Answer<JobRows> {
    list(&app, &caller, JobQuery { tenant_id, limit, job_type: Some(JobKind::Reconsolidate) }).await
}

async fn job(State(app): State<App>, AdminCaller(caller): AdminCaller, Id(id): Id<JobId>) -> Answer<JobRow> {
    let backend = app.backend();
    let get = |scope: Scope| async move { backend.maintenance()?.job(&scope, id).await }.boxed();
    let (_, job) = scopes::find(&app, &caller, get).await?;
    Ok(Json(job.into()))
}

async fn consolidation_status(
    State(app): State<App>,
    AdminCaller(caller): AdminCaller,
) -> Answer<ConsolidationStatus> {
    let scope = scopes::named_or_own(&caller, None)?;
    let runs = of(&app, vec![scope], Some(JobKind::Consolidate)).await?;
    let active = |job: &Job| matches!(job.status, JobStatus::Pending | JobStatus::Running);
    let status = if runs.iter().any(active) { "running" } else { "idle" };
    Ok(Json(ConsolidationStatus {
        tenant_id: caller.tenant().to_owned(),
        status: status.to_owned(),
        last_run: runs.into_iter().next().map(JobRow::from),
    }))
}

async fn list(app: &App, caller: &Caller, query: JobQuery) -> Answer<JobRows> {
    if !(1..=200).contains(&query.limit) {
        return Err(in_query(Error::invalid("limit", "must be 1 to 200")));
    }
    let mut scopes = scopes::named_or_all(app, caller, query.tenant_id.as_deref()).await?;
    if scopes.is_empty() {
        scopes.push(scopes::named_or_own(caller, None)?);
    }
    let jobs = of(app, scopes, query.job_type).await?;
    let total = jobs.len();
    Ok(Json(JobRows { items: jobs.into_iter().take(query.limit).map(JobRow::from).collect(), total }))
}

/// The jobs of some tenants, newest first.
async fn of(app: &App, scopes: Vec<Scope>, job_type: Option<JobKind>) -> Result<Vec<Job>> {
    let mut request = ListJobs::default();
    request.job_type = job_type;
    let mut jobs = Vec::new();
    for scope in scopes {
        jobs.extend(app.backend().maintenance()?.jobs(&scope, request.clone()).await?);
    }
    jobs.sort_by_key(|job| std::cmp::Reverse((job.created_at, job.id)));
    Ok(jobs)
}
