//! The knowledge graph: what it holds, and how far it follows the memories.

use axum::{Json, extract::State};
use cml_core::{
    Graph, Result, Scope,
    config::{Mode, without_secrets},
    ops::{ExploreGraph, GraphRepair, GraphSync, SearchEntities},
    wire::{
        GraphHits, GraphRebuild, GraphReplay, GraphScope, GraphStatsBody, OverviewQuery, SubgraphBody, path,
    },
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{doc, in_query, scopes};
use crate::{
    app::App,
    auth::{AdminCaller, Caller},
    error::Answer,
    extract::Query,
    routes::{Doc, Routes},
};

/// Entities of an overview where no number is asked for.
const USUAL_OVERVIEW: usize = 100;

pub(super) fn routes() -> Routes {
    let ours = |summary| Doc::new(summary).admin().tag("graph");
    Routes::new()
        .get(
            path::GRAPH_STATS,
            stats,
            doc("Size of the knowledge graph of every tenant, or of what is chosen")
                .query::<GraphScope>()
                .answer::<GraphStatsBody>(),
        )
        .get(
            path::GRAPH_OVERVIEW,
            overview,
            doc("The best connected entities of a tenant")
                .query::<GraphScope>()
                .query::<OverviewQuery>()
                .answer::<SubgraphBody>(),
        )
        .get(
            path::GRAPH_EXPLORE,
            explore,
            doc("The neighbourhood of an entity")
                .query::<GraphScope>()
                .query::<ExploreGraph>()
                .answer::<SubgraphBody>(),
        )
        .get(
            path::GRAPH_SEARCH,
            search,
            doc("Entities by a part of their name")
                .query::<GraphScope>()
                .query::<SearchEntities>()
                .answer::<GraphHits>(),
        )
        .get(
            "/dashboard/graph/neo4j-config",
            neo4j_config,
            doc("Where Neo4j is; never its password").answer::<Neo4jPlace>(),
        )
        .get(
            path::GRAPH_SYNC,
            sync,
            ours("How far the graph of every tenant, or of one, is behind the memories")
                .query::<GraphScope>()
                .answer::<GraphSync>(),
        )
        .post(
            path::GRAPH_REPLAY,
            replay,
            ours("Try again what the graph of the caller's tenant failed to take").answer::<GraphReplay>(),
        )
        .post(
            path::GRAPH_REBUILD,
            rebuild,
            ours("Make the graph of the caller's tenant anew from its memories").answer::<GraphRebuild>(),
        )
        .post(
            path::GRAPH_REPAIR,
            repair,
            ours("Compare the graph of the caller's tenant with its memories and mend it")
                .unbounded()
                .answer::<GraphRepair>(),
        )
}

/// Where Neo4j is.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
struct Neo4jPlace {
    /// Empty without Neo4j.
    server_url: String,
    server_user: String,
    /// Always `***`.
    server_password: String,
}

async fn stats(
    State(app): State<App>,
    AdminCaller(caller): AdminCaller,
    Query(whose): Query<GraphScope>,
) -> Answer<GraphStatsBody> {
    let scope = chosen_or_all(&caller, whose).map_err(in_query)?;
    Ok(Json(graph(&app)?.stats(scope.as_ref()).await?.into()))
}

async fn overview(
    State(app): State<App>,
    AdminCaller(caller): AdminCaller,
    Query(whose): Query<GraphScope>,
    Query(OverviewQuery { limit }): Query<OverviewQuery>,
) -> Answer<SubgraphBody> {
    let scope = chosen(&caller, whose).map_err(in_query)?;
    let limit = limit.unwrap_or(USUAL_OVERVIEW);
    Ok(Json(graph(&app)?.overview(&scope, limit).await.map_err(in_query)?.into()))
}

async fn explore(
    State(app): State<App>,
    AdminCaller(caller): AdminCaller,
    Query(whose): Query<GraphScope>,
    Query(request): Query<ExploreGraph>,
) -> Answer<SubgraphBody> {
    let scope = chosen(&caller, whose).map_err(in_query)?;
    request.validate().map_err(in_query)?;
    Ok(Json(graph(&app)?.explore(&scope, request).await.map_err(in_query)?.into()))
}

async fn search(
    State(app): State<App>,
    AdminCaller(caller): AdminCaller,
    Query(whose): Query<GraphScope>,
    Query(request): Query<SearchEntities>,
) -> Answer<GraphHits> {
    let scope = chosen_or_all(&caller, whose).map_err(in_query)?;
    request.validate().map_err(in_query)?;
    let nodes = graph(&app)?.search(scope.as_ref(), request).await.map_err(in_query)?;
    Ok(Json(GraphHits { results: nodes.into_iter().map(Into::into).collect() }))
}

async fn neo4j_config(State(app): State<App>, _: AdminCaller) -> Json<Neo4jPlace> {
    let neo4j = &app.config().neo4j;
    let url = neo4j.url.as_deref().filter(|_| app.config().mode == Mode::Full);
    Json(Neo4jPlace {
        server_url: url.map(without_secrets).unwrap_or_default(),
        server_user: url.map(|_url| neo4j.user.clone()).unwrap_or_default(),
        server_password: "***".to_owned(),
    })
}

async fn sync(
    State(app): State<App>,
    AdminCaller(caller): AdminCaller,
    Query(whose): Query<GraphScope>,
) -> Answer<GraphSync> {
    let scope = chosen_or_all(&caller, whose).map_err(in_query)?;
    Ok(Json(graph(&app)?.sync(scope.as_ref()).await?))
}

async fn replay(State(app): State<App>, AdminCaller(caller): AdminCaller) -> Answer<GraphReplay> {
    let scope = scopes::named_or_own(&caller, None)?;
    Ok(Json(GraphReplay { replayed: graph(&app)?.replay(&scope).await? }))
}

async fn rebuild(State(app): State<App>, AdminCaller(caller): AdminCaller) -> Answer<GraphRebuild> {
    let scope = scopes::named_or_own(&caller, None)?;
    graph(&app)?.rebuild(&scope).await?;
    Ok(Json(GraphRebuild { started: true }))
}

async fn repair(State(app): State<App>, AdminCaller(caller): AdminCaller) -> Answer<GraphRepair> {
    let scope = scopes::named_or_own(&caller, None)?;
    Ok(Json(graph(&app)?.repair(&scope).await?))
}

fn graph(app: &App) -> Result<&dyn Graph> {
    app.backend().graph()
}

/// What a query chooses of the tenant that it names, or of the caller's.
fn chosen(caller: &Caller, whose: GraphScope) -> Result<Scope> {
    let tenant = scopes::named_or_own(caller, whose.tenant_id.as_deref())?;
    whose.within(&tenant)
}

/// The same, or every tenant where it chooses nothing.
fn chosen_or_all(caller: &Caller, whose: GraphScope) -> Result<Option<Scope>> {
    if whose.is_empty() { Ok(None) } else { chosen(caller, whose).map(Some) }
}
