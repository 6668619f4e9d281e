//! The knowledge graph: in the store's own tables, and where one is configured in a graph database that
//! follows them.

mod channel;
mod project;
mod repair;
mod worker;

use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use cml_core::{
    Error, ErrorKind, Result, Scope,
    ops::{ExploreGraph, GraphNode, GraphRepair, GraphStats, GraphSync, MAX_NODES, SearchEntities, Subgraph},
};
use serde_json::Value;

pub(super) use self::channel::Proposal;
use self::{
    project::{Projector, is_away},
    worker::Worker,
};
use super::Engine;
use crate::store::{GraphDatabase, GraphStore, GraphTables, Near, NearMemory, Outbox, Store};

/// Where the graph is asked, and who keeps it up to date.
#[derive(Debug)]
pub(super) struct Graph {
    store: Arc<dyn Store>,
    database: Option<Database>,
}

/// A graph database with what carries changes into it.
#[derive(Debug)]
struct Database {
    graph: Arc<dyn GraphDatabase>,
    projector: Projector<dyn GraphDatabase>,
    worker: Worker,
    /// Whether the last question found it away.
    away: AtomicBool,
}

/// Asks the graph database, and the store's own tables while it is away.
macro_rules! ask {
    ($self:ident, |$graph:ident| $call:expr) => {{
        let answer = match $self.database.as_ref() {
            Some(database) => {
                let $graph: &dyn GraphStore = database.graph.as_ref();
                database.note($call.await)
            }
            None => None,
        };
        match answer {
            Some(answer) => answer,
            None => {
                let $graph = $self.store.graph();
                $call.await
            }
        }
    }};
}

impl Graph {
    /// The graph of a store; with a graph database beside it, starts to carry changes there on the current
    /// runtime.
    ///
    /// # Errors
    /// `Config` for a graph database beside a store whose commits leave nothing behind for it.
    pub(super) fn new(store: Arc<dyn Store>, graph: Option<Arc<dyn GraphDatabase>>) -> Result<Self> {
        let Some(graph) = graph else { return Ok(Self { store, database: None }) };
        let Some(outbox) = store.outbox() else {
            return Err(Error::new(ErrorKind::Config, "the store does not note what a graph database lacks")
                .with_suggestion("use a graph database with a store that projects"));
        };
        let added = outbox.added();
        let tables: Arc<dyn GraphTables> = Arc::clone(&store) as Arc<dyn GraphTables>;
        let projector = Projector { tables, graph: Arc::clone(&graph) };
        let worker = Worker::start(projector.clone(), added);
        let database = Database { graph, projector, worker, away: AtomicBool::new(false) };
        Ok(Self { store, database: Some(database) })
    }

    /// Says that something was committed.
    pub(super) fn hint(&self) {
        if let Some(database) = &self.database {
            database.worker.wake();
        }
    }

    /// Ends the worker, which gives back what it holds.
    pub(super) async fn close(&self) {
        if let Some(database) = &self.database {
            database.worker.stop().await;
        }
    }

    async fn near(&self, scope: &Scope, request: &Near) -> Result<Vec<NearMemory>> {
        ask!(self, |graph| graph.near(scope, request))
    }

    fn outbox(&self) -> Option<(&Database, &dyn Outbox)> {
        self.database.as_ref().zip(self.store.outbox())
    }

    async fn sync(&self, tenant: Option<&str>) -> Result<GraphSync> {
        let mut sync = GraphSync::default();
        sync.kept_in = if self.database.is_some() { "neo4j" } else { "sql" }.to_owned();
        if let Some((_, outbox)) = self.outbox() {
            let status = outbox.status(tenant).await?;
            (sync.pending, sync.dead) = (status.pending, status.dead);
            (sync.oldest_pending_at, sync.error) = (status.oldest, status.error);
        }
        Ok(sync)
    }
}

impl Database {
    /// The answer, unless the database is away; says so once per outage.
    fn note<T>(&self, answer: Result<T>) -> Option<Result<T>> {
        match answer {
            Err(error) if is_away(&error) => {
                if !self.away.swap(true, Ordering::Relaxed) {
                    tracing::warn!(%error, "the graph database is away, the memories' own tables answer");
                }
                None
            }
            answer => {
                if self.away.swap(false, Ordering::Relaxed) {
                    tracing::info!("the graph database is back");
                }
                Some(answer)
            }
        }
    }
}

/// How the graph does: what is known of it, and what is wrong.
#[derive(Debug)]
#[expect(clippy::exhaustive_structs, reason = "what further is known goes into the details")]
pub struct GraphHealth {
    /// `kept_in`, and of a graph database `pending`, `dead`, `oldest_pending_at` and its own.
    pub details: BTreeMap<String, Value>,
    /// What is wrong; memories are written and read all the same.
    pub error: Option<String>,
}

impl Engine {
    /// Size of the graph.
    ///
    /// # Errors
    /// `Unavailable`.
    pub async fn graph_stats(&self, scope: Option<&Scope>) -> Result<GraphStats> {
        let graph = &self.graph;
        ask!(graph, |graph| graph.stats(scope))
    }

    /// The best connected entities.
    ///
    /// # Errors
    /// `InvalidInput` for a limit out of range.
    pub async fn graph_overview(&self, scope: &Scope, limit: usize) -> Result<Subgraph> {
        if !(1..=MAX_NODES).contains(&limit) {
            return Err(Error::invalid("limit", format!("must be 1 to {MAX_NODES}")));
        }
        let graph = &self.graph;
        ask!(graph, |graph| graph.overview(scope, limit))
    }

    /// The neighbourhood of an entity.
    ///
    /// # Errors
    /// `InvalidInput`.
    pub async fn explore_graph(&self, scope: &Scope, request: &ExploreGraph) -> Result<Subgraph> {
        request.validate()?;
        let graph = &self.graph;
        ask!(graph, |graph| graph.explore(scope, request))
    }

    /// Entities by a part of their name.
    ///
    /// # Errors
    /// `InvalidInput`.
    pub async fn search_entities(
        &self,
        scope: Option<&Scope>,
        request: &SearchEntities,
    ) -> Result<Vec<GraphNode>> {
        request.validate()?;
        let graph = &self.graph;
        ask!(graph, |graph| graph.search(scope, request))
    }

    /// How far the graph is behind the memories.
    ///
    /// # Errors
    /// `Unavailable`.
    pub async fn graph_sync(&self, scope: Option<&Scope>) -> Result<GraphSync> {
        self.graph.sync(scope.map(Scope::tenant)).await
    }

    /// Tries again what did not reach the graph, and says how many changes that are.
    ///
    /// # Errors
    /// `Unavailable`.
    pub async fn replay_graph(&self, scope: &Scope) -> Result<u64> {
        let Some((database, outbox)) = self.graph.outbox() else { return Ok(0) };
        let replayed = outbox.replay(scope.tenant()).await?;
        database.worker.wake();
        Ok(replayed)
    }

    /// Makes the tenant's graph anew, in the background.
    ///
    /// # Errors
    /// `Unavailable`.
    pub async fn rebuild_graph(&self, scope: &Scope) -> Result<()> {
        let Some((database, outbox)) = self.graph.outbox() else { return Ok(()) };
        outbox.rebuild(scope.tenant()).await?;
        database.worker.wake();
        Ok(())
    }

    /// Compares the tenant's graph with the tables and mends what differs. A graph that is kept in the tables
    /// never differs.
    ///
    /// # Errors
    /// `Unavailable` when the graph is away, `Conflict` when others keep changing it.
    pub async fn repair_graph(&self, scope: &Scope) -> Result<GraphRepair> {
        match &self.graph.database {
            Some(database) => database.projector.repair(scope.tenant()).await,
            None => Ok(GraphRepair::default()),
        }
    }

    /// How the graph does.
    pub async fn graph_health(&self) -> GraphHealth {
        let mut details = BTreeMap::new();
        let mut error = None;
        let mut failed = |wrong: Error| _ = error.get_or_insert_with(|| wrong.message().to_owned());
        match self.graph.sync(None).await {
            Ok(sync) => {
                details.insert("kept_in".to_owned(), sync.kept_in.into());
                if self.graph.database.is_some() {
                    details.insert("pending".to_owned(), sync.pending.into());
                    details.insert("dead".to_owned(), sync.dead.into());
                    let oldest = sync.oldest_pending_at.map(|oldest| oldest.to_rfc3339());
                    details.insert("oldest_pending_at".to_owned(), oldest.into());
                }
            }
            Err(wrong) => failed(wrong),
        }
        if let Some(database) = &self.graph.database {
            match database.graph.ping().await {
                Ok(found) => details.extend(found),
                Err(wrong) => failed(wrong),
            }
        }
        GraphHealth { details, error }
    }
}
