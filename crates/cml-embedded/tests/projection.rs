//! A graph database follows the store of an engine, whatever happens to it on the way.

#![cfg(feature = "standard")]

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use cml_core::{
    Config, EntityId, Error, ErrorKind, Graph as _, MemoryBackend as _, MemoryId, Result, Scope, Subject,
    config::SecretString,
    ops::{
        ComponentStatus, EraseRequest, ExploreGraph, ForgetRequest, GraphNode, GraphStats, SearchEntities,
        Subgraph, WriteRequest,
    },
    provider::Embedder as _,
};
use cml_embedded::{
    EmbeddedBackend,
    clock::SystemClock,
    embed::{StaticEmbedder, WordPieceCounter},
    engine::{Engine, Parts},
    store::{
        EntityNode, GraphChanges, GraphKey, GraphKind, GraphProjection, GraphStore, LocalCache, Near,
        NearMemory, RecordNode, Store,
        postgres::{PostgresOptions, PostgresStore},
    },
};
use sqlx::{AssertSqlSafe, Connection as _, Executor as _, PgConnection};

type TestResult = std::result::Result<(), Box<dyn std::error::Error + Send + Sync>>;

/// A graph in memory that can be away. It answers with nothing, so that an answer with something is that
/// of the tables.
#[derive(Debug, Default)]
struct InMemory {
    away: AtomicBool,
    nodes: Mutex<Nodes>,
}

#[derive(Debug, Default, Clone, PartialEq)]
struct Nodes {
    entities: BTreeMap<EntityId, EntityNode>,
    records: BTreeMap<MemoryId, RecordNode>,
    others: Vec<GraphKey>,
}

impl InMemory {
    fn nodes(&self) -> Result<MutexGuard<'_, Nodes>> {
        if self.away.load(Ordering::Relaxed) {
            return Err(Error::new(ErrorKind::Unavailable, "the graph is away"));
        }
        Ok(self.nodes.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

#[async_trait]
impl GraphStore for InMemory {
    async fn stats(&self, _scope: Option<&Scope>) -> Result<GraphStats> {
        self.nodes().map(|_| GraphStats::default())
    }

    async fn overview(&self, _scope: &Scope, _limit: usize) -> Result<Subgraph> {
        self.nodes().map(|_| Subgraph::default())
    }

    async fn explore(&self, _scope: &Scope, _request: &ExploreGraph) -> Result<Subgraph> {
        self.nodes().map(|_| Subgraph::default())
    }

    async fn search(&self, _scope: Option<&Scope>, _request: &SearchEntities) -> Result<Vec<GraphNode>> {
        self.nodes().map(|_| Vec::new())
    }

    async fn near(&self, _scope: &Scope, _request: &Near) -> Result<Vec<NearMemory>> {
        self.nodes().map(|_| Vec::new())
    }

    async fn ping(&self) -> Result<BTreeMap<String, serde_json::Value>> {
        self.nodes().map(|_| BTreeMap::new())
    }
}

#[async_trait]
impl GraphProjection for InMemory {
    async fn apply(&self, _tenant: &str, changes: &GraphChanges) -> Result<()> {
        let mut nodes = self.nodes()?;
        for (id, node) in &changes.entities {
            put(&mut nodes.entities, *id, node.clone());
        }
        for (id, node) in &changes.records {
            put(&mut nodes.records, *id, node.clone());
        }
        let sessions =
            changes.sessions.iter().map(|(id, row)| (GraphKey::Session(id.clone()), row.is_some()));
        let facts = changes.facts.iter().map(|(id, row)| (GraphKey::Fact(*id), row.is_some()));
        for (key, held) in sessions.chain(facts) {
            nodes.others.retain(|other| *other != key);
            if held {
                nodes.others.push(key);
            }
        }
        nodes.others.sort();
        Ok(())
    }

    async fn clear(&self, _tenant: &str) -> Result<bool> {
        *self.nodes()? = Nodes::default();
        Ok(true)
    }

    async fn keys(
        &self,
        _tenant: &str,
        kind: GraphKind,
        after: Option<&GraphKey>,
        limit: usize,
    ) -> Result<Vec<GraphKey>> {
        let nodes = self.nodes()?;
        let entities = nodes.entities.keys().map(|id| GraphKey::Entity(*id));
        let records = nodes.records.keys().map(|id| GraphKey::Record(*id));
        let all = entities.chain(records).chain(nodes.others.iter().cloned());
        let wanted = all.filter(|key| key.kind() == kind && after.is_none_or(|after| key > after));
        Ok(wanted.take(limit).collect())
    }

    async fn rows(&self, _tenant: &str, keys: &[GraphKey]) -> Result<GraphChanges> {
        let nodes = self.nodes()?;
        let mut changes = GraphChanges::default();
        for key in keys {
            match key {
                GraphKey::Entity(id) => _ = changes.entities.insert(*id, nodes.entities.get(id).cloned()),
                GraphKey::Record(id) => _ = changes.records.insert(*id, nodes.records.get(id).cloned()),
                _ => {}
            }
        }
        Ok(changes)
    }
}

fn put<K: Ord, V>(rows: &mut BTreeMap<K, V>, key: K, row: Option<V>) {
    match row {
        Some(row) => _ = rows.insert(key, row),
        None => _ = rows.remove(&key),
    }
}

async fn backend(url: &str, schema: &str, graph: &Arc<InMemory>) -> Result<EmbeddedBackend> {
    let embedder = Arc::new(StaticEmbedder::new()?);
    let options = PostgresOptions {
        schema: schema.to_owned(),
        projects: true,
        max_connections: 4,
        ..PostgresOptions::new(SecretString::new(url), embedder.model().clone())
    };
    let store: Arc<dyn Store> = Arc::new(PostgresStore::open(options).await?);
    let parts = Parts {
        store,
        cache: Arc::new(LocalCache::new(Arc::new(SystemClock))),
        embedder,
        counter: Arc::new(WordPieceCounter::new()?),
        clock: Arc::new(SystemClock),
        config: Config::default().engine,
        graph: Some(Arc::clone(graph) as Arc<_>),
    };
    Ok(EmbeddedBackend::new(Engine::new(parts).await?, "full"))
}

/// Waits until nothing waits to be projected.
async fn caught_up(backend: &EmbeddedBackend) -> TestResult {
    for _ in 0..600 {
        if backend.sync(None).await?.pending == 0 {
            return Ok(());
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    Err("the graph did not catch up".into())
}

async fn write(backend: &EmbeddedBackend, scope: &Scope, text: &str) -> Result<Option<MemoryId>> {
    backend.write_batch(scope, vec![WriteRequest::new(text)]).await?.remove(0).map(|answer| answer.memory_id)
}

async fn story(url: &str, schema: &str) -> TestResult {
    let graph = Arc::new(InMemory::default());
    graph.away.store(true, Ordering::Relaxed);
    let first = backend(url, schema, &graph).await?;
    let scope = Scope::new("acme")?.with_session("talk")?;

    // Away from the start: memories are written, and the tables answer.
    let id = write(&first, &scope, "I met my friend Anna in Berlin.").await?.ok_or("not stored")?;
    let found = first.explore(&scope, ExploreGraph::new("Anna")).await?;
    assert_eq!(found.nodes.len(), 2);
    let health = first.health().await?;
    let component = health.components.iter().find(|component| component.name == "Graph");
    let component = component.ok_or("no component Graph")?;
    assert_eq!((health.status.as_str(), component.status), ("degraded", ComponentStatus::Degraded));
    assert_eq!(component.details["kept_in"], "neo4j");
    assert!(component.details["pending"].as_u64() > Some(0), "{:?}", component.details);

    // Back: it catches up and answers itself.
    graph.away.store(false, Ordering::Relaxed);
    caught_up(&first).await?;
    assert!(first.explore(&scope, ExploreGraph::new("Anna")).await?.nodes.is_empty());
    assert_eq!(first.health().await?.status, "healthy");
    let held = graph.nodes()?.clone();
    assert_eq!((held.entities.len(), held.records.len()), (2, 1));
    assert!(held.others.contains(&GraphKey::Session("talk".to_owned())));
    assert_eq!(held.records[&id].mentions.len(), 2);

    // What was made anew is what was projected step by step.
    first.rebuild(&scope).await?;
    caught_up(&first).await?;
    assert_eq!(*graph.nodes()?, held);

    // What somebody else broke is found and mended.
    graph.nodes()?.entities.clear();
    let report = first.repair(&scope).await?;
    assert_eq!((report.missing, report.orphans), (2, 0), "{report:?}");
    assert_eq!(*graph.nodes()?, held);

    // Another process goes on where this one ends.
    first.close().await?;
    let second = backend(url, schema, &graph).await?;
    write(&second, &scope, "I live in Lisbon.").await?;
    caught_up(&second).await?;
    assert_eq!(graph.nodes()?.entities.values().map(|node| node.edges.len()).sum::<usize>(), 1);
    second.forget(&scope, ForgetRequest::ids([id])).await?;
    caught_up(&second).await?;
    let held = graph.nodes()?.clone();
    assert_eq!((held.entities.len(), held.records.len()), (2, 1));
    second.erase(&scope, EraseRequest::new(Subject::Tenant)).await?;
    caught_up(&second).await?;
    assert_eq!(*graph.nodes()?, Nodes::default());
    second.close().await?;
    Ok(())
}

#[tokio::test]
async fn a_graph_that_was_away_catches_up_and_equals_the_tables() -> TestResult {
    let Some(url) = std::env::var("CML_TEST_POSTGRES_URL").ok().filter(|url| !url.is_empty()) else {
        eprintln!("SKIPPED: CML_TEST_POSTGRES_URL is not set, nothing was tested against PostgreSQL");
        return Ok(());
    };
    let schema = format!("cml_test_projection_{}", std::process::id());
    let told = story(&url, &schema).await;
    let drop = format!("SET client_min_messages TO error; DROP SCHEMA IF EXISTS {schema} CASCADE");
    PgConnection::connect(&url).await?.execute(sqlx::raw_sql(AssertSqlSafe(drop))).await?;
    told
}
