//! The knowledge graph of a server.

use async_trait::async_trait;
use cml_core::{
    Capability, Error, Graph, Result, Scope,
    ops::{ExploreGraph, GraphNode, GraphRepair, GraphStats, GraphSync, SearchEntities, Subgraph},
    wire::{
        GraphHits, GraphRebuild, GraphReplay, GraphScope, GraphStatsBody, OverviewQuery, Scoped,
        SubgraphBody, path,
    },
};
use serde::Serialize;

use crate::{
    HttpBackend,
    backend::{Open, verb},
    call::Call,
    retry::Repeat,
};

#[async_trait]
impl Graph for HttpBackend {
    async fn stats(&self, scope: Option<&Scope>) -> Result<GraphStats> {
        let ask = async {
            let open = self.open_graph(scope).await?;
            let call = Call::get(path::GRAPH_STATS).query(&whose(scope));
            Ok(open.client.json::<GraphStatsBody>(within(call, scope)).await?.into())
        };
        ask.await.map_err(|error: Error| error.with_operation("graph_stats"))
    }

    async fn overview(&self, scope: &Scope, limit: usize) -> Result<Subgraph> {
        verb!(scope, "graph_overview", {
            let query = asked(Some(scope), OverviewQuery { limit: Some(limit) });
            self.subgraph(scope, Call::get(path::GRAPH_OVERVIEW).query(&query)).await
        })
    }

    async fn explore(&self, scope: &Scope, request: ExploreGraph) -> Result<Subgraph> {
        verb!(scope, "explore_graph", {
            request.validate()?;
            self.subgraph(scope, Call::get(path::GRAPH_EXPLORE).query(&asked(Some(scope), request))).await
        })
    }

    async fn search(&self, scope: Option<&Scope>, request: SearchEntities) -> Result<Vec<GraphNode>> {
        let ask = async {
            request.validate()?;
            let open = self.open_graph(scope).await?;
            let call = Call::get(path::GRAPH_SEARCH).query(&asked(scope, request));
            let hits: GraphHits = open.client.json(within(call, scope)).await?;
            Ok(hits.results.into_iter().map(|hit| hit.node).collect())
        };
        ask.await.map_err(|error: Error| error.with_operation("search_graph"))
    }

    async fn sync(&self, scope: Option<&Scope>) -> Result<GraphSync> {
        let ask = async {
            let open = self.open_graph(scope).await?;
            open.client.json(within(Call::get(path::GRAPH_SYNC).query(&whose(scope)), scope)).await
        };
        ask.await.map_err(|error: Error| error.with_operation("graph_sync"))
    }

    async fn replay(&self, scope: &Scope) -> Result<u64> {
        verb!(scope, "graph_replay", {
            // A repeat would count nothing, and the count is the answer.
            let answer: GraphReplay = self.mend(scope, path::GRAPH_REPLAY, Repeat::Twice).await?;
            Ok(answer.replayed)
        })
    }

    async fn rebuild(&self, scope: &Scope) -> Result<()> {
        verb!(scope, "graph_rebuild", {
            let _started: GraphRebuild = self.mend(scope, path::GRAPH_REBUILD, Repeat::Same).await?;
            Ok(())
        })
    }

    async fn repair(&self, scope: &Scope) -> Result<GraphRepair> {
        verb!(scope, "graph_repair", self.mend(scope, path::GRAPH_REPAIR, Repeat::Twice).await)
    }
}

impl HttpBackend {
    /// The server, if it has a graph and the key may use the tenant.
    async fn open_graph(&self, scope: Option<&Scope>) -> Result<Open<'_>> {
        let open = self.open_unscoped().await?;
        if let Some(original) = open.original() {
            return Err(original.lacks("the knowledge graph"));
        }
        open.seen.capabilities.require(Capability::Graph)?;
        match scope {
            Some(scope) => self.open_admin(scope).await,
            None => Ok(open),
        }
    }

    async fn subgraph(&self, scope: &Scope, call: Call) -> Result<Subgraph> {
        let open = self.open_graph(Some(scope)).await?;
        let body: SubgraphBody = open.client.json(within(call, Some(scope))).await?;
        Ok(body.graph)
    }

    /// Asks for work on the graph of a tenant, for as long as it takes.
    async fn mend<T: serde::de::DeserializeOwned>(
        &self,
        scope: &Scope,
        route: &'static str,
        repeat: Repeat,
    ) -> Result<T> {
        let open = self.open_graph(Some(scope)).await?;
        let call = Call::post(route, &serde_json::Map::new(), repeat)?.unhurried();
        open.client.json(within(call, Some(scope))).await
    }
}

fn whose(scope: Option<&Scope>) -> GraphScope {
    scope.map(GraphScope::from).unwrap_or_default()
}

/// A question about the graph of a scope, or of every tenant.
fn asked<T: Serialize>(scope: Option<&Scope>, request: T) -> Scoped<GraphScope, T> {
    Scoped { parts: whose(scope), request }
}

fn within(call: Call, scope: Option<&Scope>) -> Call {
    match scope {
        Some(scope) => call.admin().of(scope),
        None => call.admin(),
    }
}
