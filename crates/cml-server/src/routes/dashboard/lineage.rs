//! How a memory came to be what it is: its versions, what it replaced, what replaced it.

use std::collections::HashSet;

use axum::{Json, extract::State};
use chrono::{DateTime, Utc};
use cml_core::{
    ErrorKind, MemoryBackend, MemoryId, Result, Scope,
    memory::{MemoryRecord, MemoryStatus},
    ops::GetRequest,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{detail, doc, facts::FactRow};
use crate::{app::App, auth::AdminCaller, error::Answer, extract::Id, routes::Routes};

/// Longest chain that is followed in one direction.
const LINKS: usize = 100;

pub(super) fn routes() -> Routes {
    Routes::new().get(
        "/dashboard/memories/{id}/lineage",
        lineage,
        doc("Versions of a memory, what it replaced and what replaced it").answer::<Lineage>(),
    )
}

/// How a memory came to be what it is.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
struct Lineage {
    memory_id: MemoryId,
    tenant_id: String,
    /// As it is now.
    current: Step,
    /// Its former states, oldest first.
    versions: Vec<Step>,
    /// What it replaced, nearest first, at most 100.
    supersedes: Vec<Step>,
    /// What replaced it, nearest first, at most 100.
    superseded_by: Vec<Step>,
    /// The facts it is evidence of.
    facts: Vec<FactRow>,
}

/// A state of a memory.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
struct Step {
    id: MemoryId,
    version: u64,
    status: MemoryStatus,
    text: String,
    /// When this version was stored.
    written_at: DateTime<Utc>,
    /// When the next version replaced it.
    replaced_at: Option<DateTime<Utc>>,
    valid_from: Option<DateTime<Utc>>,
    valid_to: Option<DateTime<Utc>>,
    supersedes_id: Option<MemoryId>,
    superseded_by_id: Option<MemoryId>,
}

impl Step {
    fn new(record: MemoryRecord, replaced_at: Option<DateTime<Utc>>) -> Self {
        Self {
            id: record.id,
            version: record.version,
            status: record.status,
            text: record.text,
            written_at: record.written_at,
            replaced_at,
            valid_from: record.valid_from,
            valid_to: record.valid_to,
            supersedes_id: record.supersedes_id,
            superseded_by_id: record.superseded_by_id,
        }
    }
}

async fn lineage(
    State(app): State<App>,
    AdminCaller(caller): AdminCaller,
    Id(id): Id<MemoryId>,
) -> Answer<Lineage> {
    let request = GetRequest::new(id).with_versions(true).with_facts(true);
    let (scope, found) = detail::find(&app, &caller, request).await?;
    let versions =
        found.versions.into_iter().map(|former| Step::new(former.record, Some(former.recorded_at)));
    let backend = app.backend();
    Ok(Json(Lineage {
        memory_id: id,
        tenant_id: scope.tenant().to_owned(),
        versions: versions.collect(),
        supersedes: chain(backend, &scope, id, found.record.supersedes_id, |step| step.supersedes_id).await?,
        superseded_by: chain(backend, &scope, id, found.record.superseded_by_id, |step| {
            step.superseded_by_id
        })
        .await?,
        facts: found.facts.iter().map(FactRow::from).collect(),
        current: Step::new(found.record, None),
    }))
}

/// The memories that `next` leads to, from `first` on, until one is missing or comes again.
async fn chain(
    backend: &dyn MemoryBackend,
    scope: &Scope,
    start: MemoryId,
    first: Option<MemoryId>,
    next: impl Fn(&Step) -> Option<MemoryId>,
) -> Result<Vec<Step>> {
    let mut seen = HashSet::from([start]);
    let mut states = Vec::new();
    let mut link = first;
    while let Some(id) = link.filter(|id| states.len() < LINKS && seen.insert(*id)) {
        let state = match backend.get(scope, GetRequest::new(id)).await {
            Ok(detail) => Step::new(detail.record, None),
            Err(error) if error.kind() == ErrorKind::NotFound => break,
            Err(error) => return Err(error),
        };
        link = next(&state);
        states.push(state);
    }
    Ok(states)
}
