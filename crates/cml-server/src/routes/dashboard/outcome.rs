//! What a run of maintenance answers: its job, or the job's counts once it is done.

use std::time::Duration;

use cml_core::{
    Result, Scope,
    memory::{Job, JobStatus},
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::some;
use crate::app::App;

/// Wait between two looks at a running job.
const POLL: Duration = Duration::from_millis(50);

/// What a run of maintenance answers.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub(super) enum Outcome<T> {
    /// The job, with `wait=false`.
    Started(Job),
    /// Its counts.
    Done(T),
}

impl<T: From<Job>> Outcome<T> {
    /// The outcome of `job`, at once or when it ended.
    pub(super) async fn of(app: &App, scope: &Scope, mut job: Job, wait: bool) -> Result<Self> {
        if !wait {
            return Ok(Self::Started(job));
        }
        while matches!(job.status, JobStatus::Pending | JobStatus::Running) {
            tokio::time::sleep(POLL).await;
            job = app.backend().maintenance()?.job(&scope.whole_tenant(), job.id).await?;
        }
        Ok(Self::Done(job.into()))
    }
}

/// Seconds that a job took, once it ended.
pub(super) fn seconds(job: &Job) -> Option<f64> {
    let took = job.completed_at? - job.started_at.unwrap_or(job.created_at);
    Some(took.as_seconds_f64().max(0.0))
}

/// A count of the job's result, 0 where it has none of that name.
fn count(job: &Job, name: &str) -> u64 {
    job.result.as_ref().and_then(|result| result.get(name)).and_then(Value::as_u64).unwrap_or_default()
}

/// A part of the job's result, null where it has none of that name.
fn part(job: &Job, name: &str) -> Value {
    job.result.as_ref().and_then(|result| result.get(name)).cloned().unwrap_or_default()
}

/// What went wrong in the run, and why it failed if it did.
fn errors(job: &Job) -> Vec<String> {
    let listed: Vec<String> = serde_json::from_value(part(job, "errors")).unwrap_or_default();
    listed.into_iter().chain(job.error.clone()).collect()
}

/// `completed` or `failed`, after `prefix`.
fn status(job: &Job, prefix: &str) -> String {
    let end = if job.status == JobStatus::Failed { "failed" } else { "completed" };
    format!("{prefix}{end}")
}

/// A run of consolidation.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub(super) struct Consolidated {
    /// `completed` or `failed`.
    status: String,
    tenant_id: String,
    user_id: Option<String>,
    episodes_sampled: u64,
    clusters_formed: u64,
    gists_extracted: u64,
    gists_processed: u64,
    facts_created: u64,
    facts_updated: u64,
    episodes_marked: u64,
    errors: Vec<String>,
    elapsed_seconds: f64,
    artifacts: Value,
}

impl From<Job> for Consolidated {
    fn from(job: Job) -> Self {
        Self {
            status: status(&job, ""),
            episodes_sampled: count(&job, "episodes_sampled"),
            clusters_formed: count(&job, "clusters_formed"),
            gists_extracted: count(&job, "gists_extracted"),
            gists_processed: count(&job, "gists_processed"),
            facts_created: count(&job, "facts_created"),
            facts_updated: count(&job, "facts_updated"),
            episodes_marked: count(&job, "episodes_marked"),
            errors: errors(&job),
            elapsed_seconds: seconds(&job).unwrap_or_default(),
            artifacts: part(&job, "artifacts"),
            tenant_id: job.tenant_id,
            user_id: some(job.user_id),
        }
    }
}

/// A run of consolidation for one user.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub(super) struct UserConsolidated {
    /// `consolidation_completed` or `consolidation_failed`.
    status: String,
    user_id: String,
    episodes_sampled: u64,
    clusters_formed: u64,
    clusters_skipped_no_recurrence: u64,
    gists_extracted: u64,
    details_recovered: u64,
}

impl From<Job> for UserConsolidated {
    fn from(job: Job) -> Self {
        Self {
            status: status(&job, "consolidation_"),
            episodes_sampled: count(&job, "episodes_sampled"),
            clusters_formed: count(&job, "clusters_formed"),
            clusters_skipped_no_recurrence: count(&job, "clusters_skipped_no_recurrence"),
            gists_extracted: count(&job, "gists_extracted"),
            details_recovered: count(&job, "details_recovered"),
            user_id: job.user_id,
        }
    }
}

/// A run of the forgetting policy.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub(super) struct Forgotten {
    /// `completed` or `failed`.
    status: String,
    tenant_id: String,
    user_id: Option<String>,
    dry_run: bool,
    memories_scanned: u64,
    memories_scored: u64,
    operations_planned: u64,
    operations_applied: u64,
    deleted: u64,
    decayed: u64,
    silenced: u64,
    compressed: u64,
    duplicates_found: u64,
    duplicates_resolved: u64,
    elapsed_seconds: f64,
    errors: Vec<String>,
    /// What is planned for which memory, as the job lists it.
    plan: Value,
}

impl From<Job> for Forgotten {
    fn from(job: Job) -> Self {
        Self {
            status: status(&job, ""),
            dry_run: job.dry_run,
            memories_scanned: count(&job, "memories_scanned"),
            memories_scored: count(&job, "memories_scored"),
            operations_planned: count(&job, "operations_planned"),
            operations_applied: count(&job, "operations_applied"),
            deleted: count(&job, "deleted"),
            decayed: count(&job, "decayed"),
            silenced: count(&job, "silenced"),
            compressed: count(&job, "compressed"),
            duplicates_found: count(&job, "duplicates_found"),
            duplicates_resolved: count(&job, "duplicates_resolved"),
            elapsed_seconds: seconds(&job).unwrap_or_default(),
            errors: errors(&job),
            plan: part(&job, "plan"),
            tenant_id: job.tenant_id,
            user_id: some(job.user_id),
        }
    }
}

/// A run of the forgetting policy for one user.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub(super) struct UserForgotten {
    /// `forgetting_completed` or `forgetting_failed`.
    status: String,
    user_id: String,
    dry_run: bool,
    memories_scanned: u64,
    operations_applied: u64,
}

impl From<Job> for UserForgotten {
    fn from(job: Job) -> Self {
        Self {
            status: status(&job, "forgetting_"),
            dry_run: job.dry_run,
            memories_scanned: count(&job, "memories_scanned"),
            operations_applied: count(&job, "operations_applied"),
            user_id: job.user_id,
        }
    }
}

/// The end of the revision of recalled memories.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub(super) struct Reconsolidated {
    /// `completed` or `failed`.
    status: String,
    tenant_id: String,
    user_id: Option<String>,
    sessions_released: u64,
}

impl From<Job> for Reconsolidated {
    fn from(job: Job) -> Self {
        Self {
            status: status(&job, ""),
            sessions_released: count(&job, "sessions_released"),
            tenant_id: job.tenant_id,
            user_id: some(job.user_id),
        }
    }
}

#[cfg(test)]
mod tests {
    use cml_core::{JobId, memory::JobKind};
    use serde_json::json;

    use super::*;

    fn job(status: JobStatus, result: &Value) -> Job {
        let at = |second| chrono::DateTime::from_timestamp(second, 0).unwrap_or_default();
        Job {
            id: JobId::new(),
            tenant_id: "acme".to_owned(),
            user_id: "ana".to_owned(),
            job_type: JobKind::Forget,
            status,
            dry_run: true,
            progress: 1.0,
            attempts: 1,
            result: result.as_object().cloned(),
            error: None,
            created_at: at(0),
            started_at: Some(at(10)),
            completed_at: Some(at(12)),
        }
    }

    #[test]
    fn the_counts_of_a_job_become_the_fields_of_the_answer() -> Result<(), serde_json::Error> {
        let result = json!({
            "memories_scanned": 7, "operations_applied": 2, "silenced": 2, "errors": ["one record was locked"],
            "plan": [{"id": 1}], "episodes_sampled": 5, "details_recovered": 3,
        });
        let job = job(JobStatus::Completed, &result);
        let forgotten = serde_json::to_value(Forgotten::from(job.clone()))?;
        assert_eq!(forgotten["status"], "completed");
        assert_eq!(forgotten["memories_scanned"], 7);
        assert_eq!(forgotten["silenced"], 2);
        assert_eq!(forgotten["deleted"], 0);
        assert_eq!(forgotten["elapsed_seconds"], 2.0);
        assert_eq!(forgotten["errors"], json!(["one record was locked"]));
        assert_eq!(forgotten["plan"], json!([{"id": 1}]));
        let user = serde_json::to_value(UserForgotten::from(job.clone()))?;
        assert_eq!(
            user,
            json!({
                "status": "forgetting_completed", "user_id": "ana", "dry_run": true, "memories_scanned": 7,
                "operations_applied": 2,
            })
        );
        let consolidated = serde_json::to_value(UserConsolidated::from(job))?;
        assert_eq!(consolidated["status"], "consolidation_completed");
        assert_eq!(consolidated["details_recovered"], 3);
        Ok(())
    }

    #[test]
    fn a_failed_job_says_so_and_why() -> Result<(), serde_json::Error> {
        let mut failed = job(JobStatus::Failed, &Value::Null);
        failed.error = Some("the store is away".to_owned());
        let answer = serde_json::to_value(Consolidated::from(failed))?;
        assert_eq!(answer["status"], "failed");
        assert_eq!(answer["errors"], json!(["the store is away"]));
        assert_eq!(answer["episodes_sampled"], 0);
        Ok(())
    }
}
