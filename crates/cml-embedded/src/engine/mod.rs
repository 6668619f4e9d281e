//! The mind: what is kept, what is recalled, what is forgotten. Knows no database.
//!
//! Every verb plans first and commits once: it observes, makes a [`ChangeSet`]
//! without I/O, and has the store apply it in one transaction. A precondition that fails makes it plan
//! again from what then holds.

mod access;
mod answers;
mod draft;
mod erase;
mod export;
mod facts;
mod filter;
mod forget;
mod generation;
mod graph;
mod health;
mod import;
mod kept;
mod kept_context;
mod labile;
mod list;
mod plan;
mod propose;
mod read;
mod recall;
mod reembed;
mod relations;
mod session;
mod survey;
mod traits;
mod turn;
mod update;
mod vectors;
mod write;

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use cml_core::{
    Error, ErrorKind, Result,
    config::EngineConfig,
    provider::{Embedder, TokenCounter},
};

pub(crate) use self::reembed::make_generation;
pub use self::traits::{DECAY_RATES, decay_rate};
use self::{
    access::AccessLog, draft::Drafter, generation::Generation, graph::Graph, kept::KeptUses, recall::Indexes,
    survey::Surveys,
};
pub use self::{forget::FORGET_FLOOR, graph::GraphHealth};
use crate::{
    clock::Clock,
    extract::Extractor,
    store::{Cache, ChangeSet, GraphDatabase, Outcome, Store},
};

/// How often a verb plans before it gives up against other writers.
const ATTEMPTS: u32 = 64;

/// One memory over one store. Cheap to share behind an [`Arc`].
#[derive(Debug)]
pub struct Engine {
    store: Arc<dyn Store>,
    cache: Arc<dyn Cache>,
    kept: KeptUses,
    generation: Generation,
    counter: Arc<dyn TokenCounter>,
    clock: Arc<dyn Clock>,
    config: EngineConfig,
    extractor: Extractor,
    drafter: Arc<Drafter>,
    indexes: Indexes,
    graph: Graph,
    surveys: Surveys,
    accesses: AccessLog,
    /// Held by writers of a tenant whose first plan was refused, so that they take turns.
    turns: Mutex<HashMap<String, Arc<tokio::sync::Mutex<()>>>>,
    /// Bounds the work that runs off the async threads.
    workers: Arc<tokio::sync::Semaphore>,
}

/// What an engine is made of.
#[derive(Debug, Clone)]
#[expect(clippy::exhaustive_structs, reason = "every part is needed")]
pub struct Parts {
    /// The database.
    pub store: Arc<dyn Store>,
    /// What is kept beside it.
    pub cache: Arc<dyn Cache>,
    /// What makes vectors.
    pub embedder: Arc<dyn Embedder>,
    /// What counts tokens for chunks and context budgets.
    pub counter: Arc<dyn TokenCounter>,
    /// What time it is.
    pub clock: Arc<dyn Clock>,
    /// How text is treated.
    pub config: EngineConfig,
    /// A graph database that follows the store and answers instead of its tables.
    pub graph: Option<Arc<dyn GraphDatabase>>,
}

impl Engine {
    /// An engine over these parts.
    ///
    /// # Errors
    /// `Conflict` when the store's vectors were made with another model than the embedder's; `Config` for a
    /// graph database beside a store that does not project, and when candidates are to come from a
    /// database that cannot propose them.
    pub async fn new(parts: Parts) -> Result<Self> {
        let Parts { store, cache, embedder, counter, clock, config, graph } = parts;
        propose::check(store.as_ref(), &config)?;
        let generation = Generation::serving(store.as_ref(), embedder).await?;
        let cores = std::thread::available_parallelism().map_or(2, usize::from);
        Ok(Self {
            drafter: Arc::new(Drafter::new(Arc::clone(&counter), &config)),
            indexes: Indexes::new(Arc::clone(&store), config.index_memory_mb << 20),
            graph: Graph::new(Arc::clone(&store), graph)?,
            surveys: Surveys::default(),
            extractor: Extractor::default(),
            accesses: AccessLog::default(),
            turns: Mutex::default(),
            workers: Arc::new(tokio::sync::Semaphore::new(cores)),
            store,
            cache,
            kept: KeptUses::default(),
            generation,
            counter,
            clock,
            config,
        })
    }

    /// The database.
    #[must_use]
    pub fn store(&self) -> &dyn Store {
        self.store.as_ref()
    }

    /// Writes down pending access counts and closes the store, in any case.
    ///
    /// # Errors
    /// `Unavailable` when the store is away.
    pub async fn close(&self) -> Result<()> {
        let mut written = Ok(());
        for (tenant, accessed) in self.accesses.take_all() {
            let outcome = self.store.commit(access::changes(&tenant, accessed)).await;
            written = written.and(outcome.map(drop));
        }
        self.graph.close().await;
        written.and(self.store.close().await)
    }

    /// Commits, and lets those who follow know.
    async fn commit(&self, changes: ChangeSet) -> Result<Outcome> {
        let outcome = self.store.commit(changes).await?;
        if matches!(outcome, Outcome::Committed(_)) {
            self.graph.hint();
        }
        Ok(outcome)
    }

    /// Runs `work` on a blocking thread, at most one per core at a time.
    async fn off_thread<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> Result<T> {
        let permit = Arc::clone(&self.workers).acquire_owned().await.map_err(worker_lost)?;
        tokio::task::spawn_blocking(move || {
            let done = work();
            drop(permit);
            done
        })
        .await
        .map_err(worker_lost)
    }

    /// The queue in which writers of `tenant` take turns once they got into each other's way.
    fn queue(&self, tenant: &str) -> Arc<tokio::sync::Mutex<()>> {
        let mut turns = self.turns.lock().unwrap_or_else(PoisonError::into_inner);
        turns.retain(|_, queue| Arc::strong_count(queue) > 1);
        Arc::clone(turns.entry(tenant.to_owned()).or_default())
    }
}

/// Counts the plans of a verb and lets contenders take turns from the second one on.
struct Attempts<'a> {
    engine: &'a Engine,
    tenant: &'a str,
    made: u32,
    turn: Option<tokio::sync::OwnedMutexGuard<()>>,
}

impl<'a> Attempts<'a> {
    fn new(engine: &'a Engine, tenant: &'a str) -> Self {
        Self { engine, tenant, made: 0, turn: None }
    }

    /// Passes unless the verb planned too often already.
    async fn next(&mut self) -> Result<()> {
        if self.made == 1 {
            self.turn = Some(self.engine.queue(self.tenant).lock_owned().await);
        }
        if self.made > 2 {
            // Only writers of other processes are left to contend with.
            tokio::time::sleep(Duration::from_millis(u64::from(self.made.min(20)))).await;
        }
        self.made += 1;
        if self.made > ATTEMPTS {
            return Err(Error::new(ErrorKind::Unavailable, "other writers kept changing the same memories"));
        }
        Ok(())
    }
}

fn worker_lost(error: impl std::error::Error + Send + Sync + 'static) -> Error {
    Error::new(ErrorKind::Internal, "a worker thread was lost").with_source(error)
}
