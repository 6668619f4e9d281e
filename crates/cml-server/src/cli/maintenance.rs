//! `cml stats`, `health`, `tenants`, `events`, `jobs`.

use std::fmt::Write as _;

use chrono::{DateTime, Utc};
use clap::{Args, Subcommand};
use cml::{
    JobId, Memory,
    memory::{Event, EventType, Job, JobKind, OperationType},
    ops::{Health, ListEvents, ListJobs, TenantSummary},
};
use cml_core::wire::JobList;

use super::{
    exit::{Done, Failure},
    output::Output,
    parse::{self, names},
};

pub(crate) async fn stats(memory: &Memory, output: &Output) -> Done {
    output.show(&memory.stats().await?)
}

/// Ends with 1 unless reads and writes work.
pub(crate) async fn health(memory: &Memory, output: &Output) -> Done {
    let health = memory.health().await?;
    output.answer(&health, || sheet(&health))?;
    if health.is_working() { Ok(()) } else { Err(Failure::Code(1)) }
}

fn sheet(health: &Health) -> String {
    let mut sheet =
        format!("{}: {} {}, version {}", health.status, health.backend, health.mode, health.version);
    for component in &health.components {
        let latency = component.latency_ms.map(|latency| format!(" in {latency:.1} ms"));
        // Writing into a string cannot fail.
        let _written =
            write!(sheet, "\n  {:<16} {}{}", component.name, component.status, latency.unwrap_or_default());
        if let Some(error) = &component.error {
            let _written = write!(sheet, ": {error}");
        }
    }
    sheet
}

pub(crate) async fn tenants(memory: &Memory, output: &Output) -> Done {
    let tenants = memory.tenants().await?;
    let row = |tenant: &TenantSummary| {
        let TenantSummary { tenant_id, memory_count, active_memory_count, fact_count, .. } = tenant;
        format!("{tenant_id}  {memory_count} memories ({active_memory_count} active), {fact_count} facts")
    };
    output.answer(&serde_json::json!({ "tenants": tenants }), || {
        tenants.iter().map(row).collect::<Vec<_>>().join("\n")
    })
}

#[derive(Debug, Args)]
pub(crate) struct Events {
    /// Only what happened to this kind of thing
    #[arg(long = "type", value_name = "TYPE", value_parser = names!(EventType))]
    event_type: Option<EventType>,
    /// Only what this operation did
    #[arg(long, value_parser = names!(OperationType))]
    operation: Option<OperationType>,
    /// Only what happened at or after this instant
    #[arg(long, value_name = "TIME", value_parser = parse::instant)]
    since: Option<DateTime<Utc>>,
    /// Most events returned, 1 to 1000
    #[arg(long, short = 'n', value_name = "N", default_value_t = 100)]
    limit: usize,
    /// Events to pass over
    #[arg(long, value_name = "N", default_value_t = 0)]
    offset: usize,
}

impl Events {
    pub(crate) async fn run(self, memory: &Memory, output: &Output) -> Done {
        let mut request = ListEvents::new();
        request.event_type = self.event_type;
        request.operation = self.operation;
        request.since = self.since;
        request.limit = self.limit;
        request.offset = self.offset;
        let page = memory.events(request).await?;
        let row = |event: &Event| {
            let (time, memories) = (event.created_at.to_rfc3339(), event.memory_ids.len());
            format!("{time}  {} {}, memories: {memories}", event.operation, event.event_type)
        };
        output.answer(&page, || page.items.iter().map(row).collect::<Vec<_>>().join("\n"))
    }
}

#[derive(Debug, Subcommand)]
pub(crate) enum Jobs {
    /// Background work, newest first
    List {
        /// Only this kind of work
        #[arg(long = "type", value_name = "TYPE", value_parser = names!(JobKind))]
        job_type: Option<JobKind>,
    },
    /// One job
    Get {
        /// The job
        #[arg(value_parser = parse::id::<JobId>)]
        id: JobId,
    },
}

impl Jobs {
    pub(crate) async fn run(self, memory: &Memory, output: &Output) -> Done {
        let maintenance = memory.backend().maintenance()?;
        match self {
            Self::List { job_type } => {
                let mut request = ListJobs::default();
                request.job_type = job_type;
                let jobs = JobList { items: maintenance.jobs(memory.scope(), request).await? };
                output.answer(&jobs, || jobs.items.iter().map(job).collect::<Vec<_>>().join("\n"))
            }
            Self::Get { id } => {
                let found = maintenance.job(memory.scope(), id).await?;
                output.answer(&found, || job(&found))
            }
        }
    }
}

fn job(job: &Job) -> String {
    let error = job.error.as_ref().map(|error| format!(": {error}")).unwrap_or_default();
    format!("{}  {} {} {:.0} %{error}", job.id, job.job_type, job.status, job.progress * 100.0)
}
