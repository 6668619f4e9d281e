//! Events and jobs.

use axum::{Json, extract::State};
use cml_core::{
    JobId,
    memory::Job,
    ops::{EventPage, ListEvents, ListJobs},
    scope::ScopeParts,
    wire::{JobList, path},
};

use super::{Doc, Routes, memory::in_query};
use crate::{
    app::App,
    auth::Caller,
    error::Answer,
    extract::{Id, Query},
};

pub(super) fn routes() -> Routes {
    let doc = |summary| Doc::new(summary).tag("log");
    Routes::new()
        .get(
            path::EVENTS,
            events,
            doc("What happened").query::<ScopeParts>().query::<ListEvents>().answer::<EventPage>(),
        )
        .get(path::JOBS, jobs, doc("Background work").query::<ListJobs>().answer::<JobList>())
        .get(path::JOB, job, doc("One job").answer::<Job>())
}

async fn events(
    State(app): State<App>,
    caller: Caller,
    Query(parts): Query<ScopeParts>,
    Query(request): Query<ListEvents>,
) -> Answer<EventPage> {
    let scope = caller.scope(&parts).map_err(in_query)?;
    Ok(Json(app.backend().maintenance()?.events(&scope, request).await.map_err(in_query)?))
}

async fn jobs(State(app): State<App>, caller: Caller, Query(request): Query<ListJobs>) -> Answer<JobList> {
    let scope = caller.scope(&ScopeParts::default())?;
    Ok(Json(JobList { items: app.backend().maintenance()?.jobs(&scope, request).await? }))
}

async fn job(State(app): State<App>, caller: Caller, Id(id): Id<JobId>) -> Answer<Job> {
    let scope = caller.scope(&ScopeParts::default())?;
    Ok(Json(app.backend().maintenance()?.job(&scope, id).await?))
}
