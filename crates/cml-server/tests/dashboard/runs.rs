//! Runs of maintenance, over a backend that has them; its graph stands in `graph.rs`.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use async_trait::async_trait;
use chrono::DateTime;
use cml_core::{
    Admin, Config, Error, JobId, Maintenance, Result, Scope,
    memory::{Job, JobKind, JobStatus},
    ops::{EventPage, ListEvents, ListJobs, TenantSummary},
};
use serde_json::json;

use crate::{
    Outcome, World,
    fake::{Fake, Runs},
    field,
};

const RUNNING: &str = "0192d1f0-0000-7000-8000-000000000001";
const DONE: &str = "0192d1f0-0000-7000-8000-000000000002";

/// Jobs that run until they were looked at twice; each tenant has a finished one.
#[derive(Debug, Default)]
pub(crate) struct Jobs {
    looks: AtomicUsize,
}

fn job(scope: &Scope, id: &str, kind: JobKind, status: JobStatus) -> Result<Job> {
    let at = |second: i64| DateTime::from_timestamp(1_800_000_000 + second, 0).unwrap_or_default();
    let ended = status == JobStatus::Completed;
    let result = json!({
        "episodes_sampled": 9, "clusters_formed": 3, "gists_extracted": 2, "memories_scanned": 9,
        "operations_planned": 4, "sessions_released": 1,
    });
    Ok(Job {
        id: id.parse()?,
        tenant_id: scope.tenant().to_owned(),
        user_id: scope.user().to_owned(),
        job_type: kind,
        status,
        dry_run: kind == JobKind::Forget,
        progress: if ended { 1.0 } else { 0.5 },
        attempts: 1,
        result: result.as_object().filter(|_| ended).cloned(),
        error: None,
        created_at: at(if id == RUNNING { 10 } else { 0 }),
        started_at: Some(at(10)),
        completed_at: ended.then(|| at(13)),
    })
}

#[async_trait]
impl Maintenance for Jobs {
    async fn events(&self, _: &Scope, _: ListEvents) -> Result<EventPage> {
        Ok(EventPage::default())
    }

    async fn jobs(&self, scope: &Scope, request: ListJobs) -> Result<Vec<Job>> {
        let all = [
            job(scope, DONE, JobKind::Consolidate, JobStatus::Completed)?,
            job(scope, RUNNING, JobKind::Forget, JobStatus::Running)?,
        ];
        Ok(all.into_iter().filter(|job| request.job_type.is_none_or(|kind| kind == job.job_type)).collect())
    }

    async fn job(&self, scope: &Scope, id: JobId) -> Result<Job> {
        if scope.tenant() != "acme" || id.to_string() != RUNNING {
            return Err(Error::not_found("job", id));
        }
        let status = match self.looks.fetch_add(1, Ordering::SeqCst) {
            0 => JobStatus::Running,
            _ => JobStatus::Completed,
        };
        job(&scope.clone().with_user("ana")?, RUNNING, JobKind::Forget, status)
    }

    async fn consolidate(&self, scope: &Scope) -> Result<Job> {
        job(scope, DONE, JobKind::Consolidate, JobStatus::Completed)
    }

    async fn run_forgetting(&self, scope: &Scope, dry_run: bool) -> Result<Job> {
        let mut job = job(scope, RUNNING, JobKind::Forget, JobStatus::Pending)?;
        job.dry_run = dry_run;
        Ok(job)
    }

    async fn reconsolidate(&self, scope: &Scope) -> Result<Job> {
        job(scope, DONE, JobKind::Reconsolidate, JobStatus::Completed)
    }
}

#[async_trait]
impl Admin for Jobs {
    async fn tenants(&self) -> Result<Vec<TenantSummary>> {
        let tenant = |id: &str| TenantSummary {
            tenant_id: id.to_owned(),
            memory_count: 0,
            active_memory_count: 0,
            fact_count: 0,
            last_memory_at: None,
            event_count: 0,
            last_event_at: None,
        };
        Ok(vec![tenant("acme"), tenant("globex")])
    }
}

impl Runs for Jobs {}

/// A backend with these jobs.
pub(crate) fn with_jobs() -> Fake {
    Fake { runs: Some(Box::new(Jobs::default())), ..Fake::default() }
}

async fn world() -> Outcome<World> {
    World::over(Arc::new(with_jobs()), &Config::default()).await
}

#[tokio::test]
async fn a_run_answers_with_the_counts_of_its_job() -> Outcome {
    let world = world().await?;
    let body = json!({ "tenant_id": "acme", "user_id": "ana" });
    let run = world.post("/dashboard/consolidate", &body).await?;
    assert_eq!(
        run,
        json!({
            "status": "completed", "tenant_id": "acme", "user_id": "ana", "episodes_sampled": 9,
            "clusters_formed": 3, "gists_extracted": 2, "gists_processed": 0, "facts_created": 0,
            "facts_updated": 0, "episodes_marked": 0, "errors": [], "elapsed_seconds": 3.0, "artifacts": null,
        })
    );
    let user =
        world.admin("POST", "/admin/consolidate/ana").header("X-Tenant-ID", "acme").send().await?.ok()?;
    assert_eq!((&user["status"], &user["user_id"]), (&json!("consolidation_completed"), &json!("ana")));
    let released = world.post("/dashboard/reconsolidate", &json!({ "tenant_id": "acme" })).await?;
    assert_eq!(
        released,
        json!({ "status": "completed", "tenant_id": "acme", "user_id": null, "sessions_released": 1 })
    );
    Ok(())
}

#[tokio::test]
async fn a_run_waits_for_its_job_unless_told_not_to() -> Outcome {
    let world = world().await?;
    let body = json!({ "tenant_id": "acme", "user_id": "ana", "dry_run": false });
    let started = world.post("/dashboard/forget?wait=false", &body).await?;
    assert_eq!((&started["id"], &started["status"]), (&json!(RUNNING), &json!("pending")));
    assert_eq!((&started["dry_run"], &started["tenant_id"]), (&json!(false), &json!("acme")));
    let done = world.post("/dashboard/forget", &body).await?;
    assert_eq!((&done["status"], &done["memories_scanned"]), (&json!("completed"), &json!(9)));
    assert_eq!((&done["operations_planned"], &done["user_id"]), (&json!(4), &json!("ana")));
    let preview = world.get("/dashboard/forgetting/preview?tenant_id=acme").await?;
    assert_eq!((&preview["status"], &preview["dry_run"]), (&json!("completed"), &json!(true)));
    let user = world.admin("POST", "/admin/forget/ana?dry_run=true").header("X-Tenant-ID", "acme");
    let user = user.send().await?.ok()?;
    assert_eq!((&user["status"], &user["dry_run"]), (&json!("forgetting_completed"), &json!(true)));
    Ok(())
}

#[tokio::test]
async fn jobs_of_every_tenant_are_listed_newest_first() -> Outcome {
    let world = world().await?;
    let all = world.get("/dashboard/jobs").await?;
    assert_eq!(field(&all["items"], "job_type"), ["forget", "forget", "consolidate", "consolidate"]);
    assert_eq!(all["total"], 4);
    let one = world.get("/dashboard/jobs?tenant_id=globex&job_type=consolidate").await?;
    assert_eq!((field(&one["items"], "tenant_id"), &one["total"]), (vec!["globex"], &json!(1)));
    assert_eq!(
        (&one["items"][0]["duration_seconds"], &one["items"][0]["user_id"]),
        (&json!(3.0), &json!(null))
    );
    let cut = world.get("/dashboard/consolidation/runs?limit=1").await?;
    assert_eq!((field(&cut["items"], "status"), &cut["total"]), (vec!["completed"], &json!(2)));
    assert_eq!(world.get("/dashboard/reconsolidation/runs").await?, json!({ "items": [], "total": 0 }));
    let found = world.get(&format!("/dashboard/jobs/{RUNNING}")).await?;
    assert_eq!((&found["tenant_id"], &found["progress"]), (&json!("acme"), &json!(0.5)));
    let unknown = world.refused("GET", &format!("/dashboard/jobs/{DONE}"), &json!({})).await?;
    assert_eq!(unknown.0, 404);
    let status = world.get("/admin/consolidation/status").await?;
    assert_eq!((&status["status"], &status["tenant_id"]), (&json!("idle"), &json!("default")));
    assert_eq!(status["last_run"]["id"], DONE);
    Ok(())
}
