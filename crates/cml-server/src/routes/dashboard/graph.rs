//! The knowledge graph, which no backend has yet.

use std::collections::BTreeMap;

use axum::Json;
use cml_core::{Error, Score, memory::Metadata};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{doc, in_query};
use crate::{
    auth::AdminCaller,
    error::{Answer, Failure},
    extract::Query,
    routes::Routes,
};

pub(super) fn routes() -> Routes {
    Routes::new()
        .get("/dashboard/graph/stats", stats, doc("Size of the knowledge graph").answer::<GraphStats>())
        .get(
            "/dashboard/graph/overview",
            overview,
            doc("The best connected entities of a tenant").query::<OverviewQuery>().answer::<Graph>(),
        )
        .get(
            "/dashboard/graph/explore",
            explore,
            doc("The neighbourhood of an entity").query::<ExploreQuery>().answer::<Graph>(),
        )
        .get(
            "/dashboard/graph/search",
            search,
            doc("Entities by name").query::<SearchQuery>().answer::<GraphHits>(),
        )
        .get(
            "/dashboard/graph/neo4j-config",
            neo4j_config,
            doc("Where Neo4j is; never its password").answer::<Neo4jConfig>(),
        )
}

/// Size of the graph.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
struct GraphStats {
    total_nodes: u64,
    total_edges: u64,
    entity_types: BTreeMap<String, u64>,
    tenants_with_graph: Vec<String>,
}

/// A part of the graph.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
struct Graph {
    nodes: Vec<Node>,
    edges: Vec<Link>,
    center_entity: Option<String>,
}

/// An entity.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
struct Node {
    id: String,
    entity: String,
    entity_type: String,
    properties: Metadata,
}

/// A relation between two entities.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
struct Link {
    source: String,
    target: String,
    predicate: String,
    confidence: Score,
    properties: Metadata,
}

/// Entities found by name.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
struct GraphHits {
    results: Vec<GraphHit>,
}

/// An entity found by name.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
struct GraphHit {
    entity: String,
    entity_type: String,
    tenant_id: String,
    scope_id: String,
}

/// Where Neo4j is.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
struct Neo4jConfig {
    /// Empty without Neo4j.
    server_url: String,
    server_user: String,
    /// Always `***`.
    server_password: String,
}

/// Which graph to show.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[expect(dead_code, reason = "read once a backend has a graph")]
struct OverviewQuery {
    /// The tenant; the caller's when absent.
    tenant_id: Option<String>,
    /// The tenant when absent.
    scope_id: Option<String>,
}

/// Which neighbourhood to show.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[expect(dead_code, reason = "read once a backend has a graph")]
struct ExploreQuery {
    /// The tenant; the caller's when absent.
    tenant_id: Option<String>,
    /// Name of the entity in the middle.
    entity: String,
    /// The tenant when absent.
    scope_id: Option<String>,
    /// Steps from it, 1..=5.
    #[serde(default = "usual_depth")]
    depth: usize,
}

const fn usual_depth() -> usize {
    2
}

/// Which entities to find.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[expect(dead_code, reason = "read once a backend has a graph")]
struct SearchQuery {
    /// Part of the name, at least one character.
    query: String,
    /// Only this tenant; every tenant when absent.
    tenant_id: Option<String>,
    /// Most entities, 1..=100.
    #[serde(default = "usual_limit")]
    limit: usize,
}

const fn usual_limit() -> usize {
    25
}

async fn stats(_: AdminCaller) -> Answer<GraphStats> {
    Err(no_graph())
}

async fn overview(_: AdminCaller, Query(_): Query<OverviewQuery>) -> Answer<Graph> {
    Err(no_graph())
}

async fn explore(_: AdminCaller, Query(query): Query<ExploreQuery>) -> Answer<Graph> {
    if !(1..=5).contains(&query.depth) {
        return Err(in_query(Error::invalid("depth", "must be 1 to 5")));
    }
    Err(no_graph())
}

async fn search(_: AdminCaller, Query(query): Query<SearchQuery>) -> Answer<GraphHits> {
    if query.query.is_empty() {
        return Err(in_query(Error::invalid("query", "must not be empty")));
    }
    if !(1..=100).contains(&query.limit) {
        return Err(in_query(Error::invalid("limit", "must be 1 to 100")));
    }
    Err(no_graph())
}

async fn neo4j_config(_: AdminCaller) -> Answer<Neo4jConfig> {
    Ok(Json(Neo4jConfig {
        server_url: String::new(),
        server_user: String::new(),
        server_password: "***".to_owned(),
    }))
}

fn no_graph() -> Failure {
    Error::unsupported("graph", "see the capabilities of GET /health").into()
}
