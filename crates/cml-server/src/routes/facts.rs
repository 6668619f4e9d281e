//! Facts and constraints.

use axum::{Json, extract::State};
use cml_core::{
    Error, FactId,
    memory::Fact,
    ops::{FactList, ListFacts},
    scope::ScopeParts,
    wire::path,
};

use super::{Doc, Routes, memory::in_query};
use crate::{
    app::App,
    auth::Caller,
    error::Answer,
    extract::{Body, Id, Query},
};

pub(super) fn routes() -> Routes {
    let doc = |summary| Doc::new(summary).tag("facts").answer::<Fact>();
    Routes::new()
        .get(
            path::FACTS,
            list,
            Doc::new("List facts")
                .tag("facts")
                .query::<ScopeParts>()
                .query::<ListFacts>()
                .answer::<FactList>(),
        )
        .get(path::FACT, get, doc("One fact").query::<ScopeParts>())
        .post(path::RETRACT, retract, doc("Withdraw a fact").body::<ScopeParts>())
        .patch(path::FACT, edit, doc("Edit a fact"))
        .post("/facts/{id}/supersede", edit, doc("Give a fact a successor"))
        .post("/facts/{id}/merge", edit, doc("Join a fact with another"))
        .get("/facts/{id}/lineage", edit, doc("What a fact replaced"))
}

async fn list(
    State(app): State<App>,
    caller: Caller,
    Query(parts): Query<ScopeParts>,
    Query(request): Query<ListFacts>,
) -> Answer<FactList> {
    let scope = caller.scope(&parts).map_err(in_query)?;
    Ok(Json(app.backend().facts()?.list(&scope, request).await.map_err(in_query)?))
}

async fn get(
    State(app): State<App>,
    caller: Caller,
    Id(id): Id<FactId>,
    Query(parts): Query<ScopeParts>,
) -> Answer<Fact> {
    let scope = caller.scope(&parts).map_err(in_query)?;
    Ok(Json(app.backend().facts()?.get(&scope, id).await?))
}

async fn retract(
    State(app): State<App>,
    caller: Caller,
    Id(id): Id<FactId>,
    Body(parts): Body<ScopeParts>,
) -> Answer<Fact> {
    Ok(Json(app.backend().facts()?.retract(&caller.scope(&parts)?, id).await?))
}

async fn edit(_caller: Caller, Id(_): Id<FactId>) -> Answer<Fact> {
    Err(Error::unsupported("fact editing", "see the capabilities of GET /health").into())
}
