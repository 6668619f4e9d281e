//! The contract, in process.

use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use async_trait::async_trait;
use cml_core::{
    Admin, BoxStream, Capabilities, Capability, Error, ErrorKind, FactId, Facts, Graph, Maintenance,
    MemoryBackend, Progress, Result, Scope, Sessions, Transfer,
    memory::{Fact, MemoryDetail, MemoryItem, Session},
    ops::{
        Component, ComponentStatus, CreateSession, EraseRequest, EraseResponse, EventPage, ExploreGraph,
        ExportLine, ExportOptions, FactList, ForgetRequest, ForgetResponse, GetRequest, GraphNode,
        GraphRepair, GraphStats, GraphSync, Health, ImportReport, LabileStatus, ListEvents, ListFacts,
        ListPage, ListRequest, MessagePage, ReadRequest, ReadResponse, SearchEntities, SessionContext, Stats,
        Subgraph, TenantSummary, TurnRequest, TurnResponse, UpdateRequest, UpdateResponse, WriteRequest,
        WriteResponse,
    },
    provider::Embedder,
};
use futures_util::{StreamExt as _, stream};
use tracing::{Instrument as _, debug_span};

use crate::engine::Engine;

/// One engine behind the contract: lite, standard and full differ in its stores only.
#[derive(Debug)]
pub struct EmbeddedBackend {
    engine: Engine,
    mode: &'static str,
    closed: AtomicBool,
}

impl EmbeddedBackend {
    /// A backend of this mode over `engine`.
    #[must_use]
    pub fn new(engine: Engine, mode: &'static str) -> Self {
        Self { engine, mode, closed: AtomicBool::new(false) }
    }

    /// The engine, unless the backend was closed.
    fn open(&self) -> Result<&Engine> {
        if self.closed.load(Ordering::Acquire) {
            Err(Error::new(ErrorKind::Unavailable, "the memory was closed"))
        } else {
            Ok(&self.engine)
        }
    }

    /// How a part does; `failed` when its check fails.
    async fn component(
        &self,
        name: &str,
        failed: ComponentStatus,
        check: impl Future<Output = Result<Details>>,
    ) -> Component {
        let started = Instant::now();
        let outcome = answered(check).await.unwrap_or_else(Err);
        let latency_ms = Some(started.elapsed().as_secs_f64() * 1000.0);
        let (status, details, error) = match outcome {
            Ok(details) => (ComponentStatus::Ok, details, None),
            Err(error) => (failed, Details::new(), Some(error.message().to_owned())),
        };
        let details = details.into_iter().collect();
        Component { name: name.to_owned(), status, latency_ms, details, error }
    }
}

/// Memories are written and read without the graph, so that what is wrong with it only degrades.
async fn graph_component(engine: &Engine) -> Component {
    let started = Instant::now();
    let (details, error) = match answered(engine.graph_health()).await {
        Ok(health) => (health.details, health.error),
        Err(silent) => (Details::new(), Some(silent.message().to_owned())),
    };
    Component {
        name: "Graph".to_owned(),
        status: if error.is_none() { ComponentStatus::Ok } else { ComponentStatus::Degraded },
        latency_ms: Some(started.elapsed().as_secs_f64() * 1000.0),
        details: details.into_iter().collect(),
        error,
    }
}

/// Longest wait for the answer of a part to a question about its health.
const PATIENCE: Duration = Duration::from_secs(3);

async fn answered<T>(check: impl Future<Output = T>) -> Result<T> {
    tokio::time::timeout(PATIENCE, check)
        .await
        .map_err(|late| Error::new(ErrorKind::Unavailable, "no answer in 3 s").with_source(late))
}

type Details = BTreeMap<String, serde_json::Value>;

/// Runs a verb in its span and names it in its errors.
macro_rules! verb {
    ($self:ident, $scope:expr, $name:literal, $call:expr) => {{
        let span = debug_span!($name, tenant = $scope.tenant());
        async { $call }.instrument(span).await.map_err(|error: Error| error.with_operation($name))
    }};
}

#[async_trait]
impl MemoryBackend for EmbeddedBackend {
    async fn write_batch(
        &self,
        scope: &Scope,
        requests: Vec<WriteRequest>,
    ) -> Result<Vec<Result<WriteResponse>>> {
        let results = verb!(self, scope, "write", self.open()?.write_batch(scope, requests).await)?;
        Ok(results.into_iter().map(|result| result.map_err(|error| error.with_operation("write"))).collect())
    }

    async fn read(&self, scope: &Scope, request: ReadRequest) -> Result<ReadResponse> {
        verb!(self, scope, "read", self.open()?.read(scope, request).await)
    }

    async fn read_stream(
        &self,
        scope: &Scope,
        request: ReadRequest,
    ) -> Result<BoxStream<'static, Result<MemoryItem>>> {
        let response = verb!(self, scope, "read_stream", self.open()?.read(scope, request).await)?;
        Ok(stream::iter(response.memories.into_iter().map(Ok)).boxed())
    }

    async fn turn(&self, scope: &Scope, request: TurnRequest) -> Result<TurnResponse> {
        verb!(self, scope, "turn", self.open()?.turn(scope, request).await)
    }

    async fn get(&self, scope: &Scope, request: GetRequest) -> Result<MemoryDetail> {
        verb!(self, scope, "get", self.open()?.get(scope, request).await)
    }

    async fn list(&self, scope: &Scope, request: ListRequest) -> Result<ListPage> {
        verb!(self, scope, "list", self.open()?.list(scope, request).await)
    }

    async fn update(&self, scope: &Scope, request: UpdateRequest) -> Result<UpdateResponse> {
        verb!(self, scope, "update", self.open()?.update(scope, request).await)
    }

    async fn forget(&self, scope: &Scope, request: ForgetRequest) -> Result<ForgetResponse> {
        verb!(self, scope, "forget", self.open()?.forget(scope, request).await)
    }

    async fn erase(&self, scope: &Scope, request: EraseRequest) -> Result<EraseResponse> {
        verb!(self, scope, "erase", self.open()?.erase(scope, request).await)
    }

    async fn stats(&self, scope: &Scope) -> Result<Stats> {
        verb!(self, scope, "stats", self.open()?.stats(scope).await)
    }

    async fn health(&self) -> Result<Health> {
        let engine = self.open()?;
        let needed = ComponentStatus::Error;
        let cache = async {
            Ok(Details::from_iter(engine.cache().ping().await?.into_iter().chain(engine.cache_uses())))
        };
        let (store, embedding, graph, cache) = tokio::join!(
            self.component("Store", needed, engine.store().ping()),
            self.component("Embedding", needed, engine.probe_embedder()),
            graph_component(engine),
            self.component("Cache", ComponentStatus::Degraded, cache),
        );
        let index = self.component("Index", needed, async { Ok(engine.index_details()) }).await;
        let mut components = vec![store, embedding, index, graph];
        if engine.cache().is_shared() {
            components.push(cache);
        }
        Ok(Health {
            status: Health::status_of(&components).to_owned(),
            timestamp: engine.now(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            backend: "embedded".to_owned(),
            mode: self.mode.to_owned(),
            components,
        })
    }

    fn capabilities(&self) -> Capabilities {
        use Capability as C;
        Capabilities::new(
            "embedded",
            self.mode,
            env!("CARGO_PKG_VERSION"),
            [
                C::Namespaces,
                C::Users,
                C::MetadataFilter,
                C::AsOf,
                C::MinRelevance,
                C::Idempotency,
                C::Keys,
                C::ExpectedVersion,
                C::ForgetDryRun,
                C::List,
                C::Erase,
                C::Sessions,
                C::Facts,
                C::Events,
                C::Tenants,
                C::Reembed,
                C::Graph,
                C::Transfer,
            ],
        )
    }

    async fn close(&self) -> Result<()> {
        if self.closed.swap(true, Ordering::AcqRel) {
            return Ok(());
        }
        self.engine.close().await.map_err(|error| error.with_operation("close"))
    }

    fn sessions(&self) -> Result<&dyn Sessions> {
        Ok(self)
    }

    fn facts(&self) -> Result<&dyn Facts> {
        Ok(self)
    }

    fn maintenance(&self) -> Result<&dyn Maintenance> {
        Ok(self)
    }

    fn admin(&self) -> Result<&dyn Admin> {
        Ok(self)
    }

    fn graph(&self) -> Result<&dyn Graph> {
        Ok(self)
    }

    fn transfer(&self) -> Result<&dyn Transfer> {
        Ok(self)
    }
}

#[async_trait]
impl Sessions for EmbeddedBackend {
    async fn create(&self, scope: &Scope, request: CreateSession) -> Result<Session> {
        verb!(self, scope, "create_session", self.open()?.create_session(scope, request).await)
    }

    async fn list(&self, scope: &Scope) -> Result<Vec<Session>> {
        verb!(self, scope, "list_sessions", self.open()?.sessions(scope).await)
    }

    async fn messages(&self, scope: &Scope, session: &str, after: u64, limit: usize) -> Result<MessagePage> {
        verb!(self, scope, "messages", self.open()?.messages(scope, session, after, limit).await)
    }

    async fn context(&self, scope: &Scope, session: &str, max_tokens: usize) -> Result<SessionContext> {
        verb!(self, scope, "session_context", self.open()?.session_context(scope, session, max_tokens).await)
    }

    async fn clear(&self, scope: &Scope, session: &str) -> Result<EraseResponse> {
        verb!(self, scope, "clear_session", self.open()?.clear_session(scope, session).await)
    }
}

#[async_trait]
impl Facts for EmbeddedBackend {
    async fn list(&self, scope: &Scope, request: ListFacts) -> Result<FactList> {
        verb!(self, scope, "list_facts", self.open()?.list_facts(scope, request).await)
    }

    async fn get(&self, scope: &Scope, id: FactId) -> Result<Fact> {
        verb!(self, scope, "get_fact", self.open()?.fact(scope, id).await)
    }

    async fn retract(&self, scope: &Scope, id: FactId) -> Result<Fact> {
        verb!(self, scope, "retract_fact", self.open()?.retract(scope, id).await)
    }
}

#[async_trait]
impl Maintenance for EmbeddedBackend {
    async fn events(&self, scope: &Scope, request: ListEvents) -> Result<EventPage> {
        verb!(self, scope, "events", self.open()?.events(scope, request).await)
    }

    async fn labile(&self, scope: &Scope) -> Result<LabileStatus> {
        verb!(self, scope, "labile", self.open()?.labile(scope).await)
    }

    async fn reembed(&self, embedder: Arc<dyn Embedder>, progress: Progress) -> Result<u64> {
        let engine = self.open()?;
        engine.reembed(embedder, progress).await.map_err(|error| error.with_operation("reembed"))
    }
}

#[async_trait]
impl Admin for EmbeddedBackend {
    async fn tenants(&self) -> Result<Vec<TenantSummary>> {
        self.open()?.tenants().await.map_err(|error| error.with_operation("tenants"))
    }

    async fn count_request(&self, key: &str, window: Duration) -> Result<Option<(u64, Duration)>> {
        self.open()?.count_request(key, window).await
    }
}

#[async_trait]
impl Graph for EmbeddedBackend {
    async fn stats(&self, scope: Option<&Scope>) -> Result<GraphStats> {
        self.open()?.graph_stats(scope).await.map_err(|error| error.with_operation("graph_stats"))
    }

    async fn overview(&self, scope: &Scope, limit: usize) -> Result<Subgraph> {
        verb!(self, scope, "graph_overview", self.open()?.graph_overview(scope, limit).await)
    }

    async fn explore(&self, scope: &Scope, request: ExploreGraph) -> Result<Subgraph> {
        verb!(self, scope, "explore_graph", self.open()?.explore_graph(scope, &request).await)
    }

    async fn search(&self, scope: Option<&Scope>, request: SearchEntities) -> Result<Vec<GraphNode>> {
        let found = self.open()?.search_entities(scope, &request).await;
        found.map_err(|error| error.with_operation("search_entities"))
    }

    async fn sync(&self, scope: Option<&Scope>) -> Result<GraphSync> {
        self.open()?.graph_sync(scope).await.map_err(|error| error.with_operation("graph_sync"))
    }

    async fn replay(&self, scope: &Scope) -> Result<u64> {
        verb!(self, scope, "replay_graph", self.open()?.replay_graph(scope).await)
    }

    async fn rebuild(&self, scope: &Scope) -> Result<()> {
        verb!(self, scope, "rebuild_graph", self.open()?.rebuild_graph(scope).await)
    }

    async fn repair(&self, scope: &Scope) -> Result<GraphRepair> {
        verb!(self, scope, "repair_graph", self.open()?.repair_graph(scope).await)
    }
}

#[async_trait]
impl Transfer for EmbeddedBackend {
    async fn export(
        &self,
        scope: &Scope,
        options: ExportOptions,
    ) -> Result<BoxStream<'static, Result<ExportLine>>> {
        verb!(self, scope, "export", self.open()?.export(scope, options).await)
    }

    async fn import(
        &self,
        scope: &Scope,
        lines: BoxStream<'static, Result<ExportLine>>,
    ) -> Result<ImportReport> {
        verb!(self, scope, "import", self.open()?.import(scope, lines).await)
    }
}
