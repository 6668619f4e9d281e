//! Connecting, and running statements within their time.

use std::{
    fmt,
    future::Future,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use cml_core::{Error, ErrorKind, Result};
use neo4rs::{ConfigBuilder, Graph, Query};
use serde::de::DeserializeOwned;
use tokio::sync::OnceCell;

use super::{
    Neo4jOptions,
    error::{away, failed, late, refused, unusable},
    schema::Names,
};

/// How long a refused password is not tried again: the server locks a user out who tries too often.
const REFUSED_PAUSE: Duration = Duration::from_secs(10);

/// Rows fetched at once.
const FETCH: usize = 1_000;

/// The connections to one server.
#[derive(Clone)]
pub(super) struct Client(Arc<Inner>);

struct Inner {
    options: Neo4jOptions,
    names: Names,
    open: Mutex<Option<Arc<Open>>>,
    refused_at: Mutex<Option<Instant>>,
}

/// A pool of connections and whether the schema was seen through it.
struct Open {
    graph: Graph,
    schema: OnceCell<()>,
}

impl Client {
    pub(super) fn new(options: Neo4jOptions) -> Self {
        let names = Names::new(&options.prefix);
        Self(Arc::new(Inner { options, names, open: Mutex::default(), refused_at: Mutex::default() }))
    }

    pub(super) fn names(&self) -> &Names {
        &self.0.names
    }

    /// Rows of a statement that reads, each as a `T`.
    pub(super) async fn read<T: DeserializeOwned + Send + 'static>(&self, query: Query) -> Result<Vec<T>> {
        self.bounded(|graph| async move {
            let mut stream = graph.execute_read(query).await?;
            let mut rows = Vec::new();
            while let Some(row) = stream.next().await? {
                rows.push(row.to_strict()?);
            }
            Ok(rows)
        })
        .await
    }

    /// Runs statements in one transaction.
    pub(super) async fn write(&self, queries: Vec<Query>) -> Result<()> {
        self.bounded(|graph| async move {
            let mut transaction = graph.start_txn().await?;
            transaction.run_queries(queries).await?;
            transaction.commit().await
        })
        .await
    }

    /// The one row of a statement that writes.
    pub(super) async fn write_one<T: DeserializeOwned + Send + 'static>(&self, query: Query) -> Result<T> {
        self.bounded(|graph| async move { graph.execute(query).await?.single_as().await }).await
    }

    /// Does `work` within the time of a call, on a task of its own: a caller who goes away would leave a
    /// connection in the middle of an exchange, and a transaction open.
    async fn bounded<T, Work, Run>(&self, work: Work) -> Result<T>
    where
        T: Send + 'static,
        Work: FnOnce(Graph) -> Run + Send + 'static,
        Run: Future<Output = Result<T, neo4rs::Error>> + Send,
    {
        let inner = Arc::clone(&self.0);
        let task = tokio::spawn(async move {
            let timeout = inner.options.timeout;
            let run = async {
                let open = inner.open()?;
                open.schema.get_or_try_init(|| inner.make_schema(&open.graph)).await?;
                work(open.graph.clone()).await.map_err(failed)
            };
            let result = tokio::time::timeout(timeout, run).await.unwrap_or_else(|_| Err(late(timeout)));
            result.inspect_err(|error| inner.note(error))
        });
        // Only a runtime that shuts down cancels the task.
        task.await.unwrap_or_else(|error| Err(away().with_source(error)))
    }
}

impl Inner {
    fn open(&self) -> Result<Arc<Open>> {
        let mut open = lock(&self.open);
        if let Some(open) = &*open {
            return Ok(Arc::clone(open));
        }
        let options = &self.options;
        if options.is_encrypted() {
            // A connection takes the provider of the process: the host's choice, where it made one.
            let _ = rustls::crypto::ring::default_provider().install_default();
        }
        let mut config = ConfigBuilder::default()
            .uri(&*options.url)
            .user(&*options.user)
            .password(options.password.expose())
            .max_connections(options.max_connections)
            .fetch_size(FETCH)
            .connection_timeout(options.timeout);
        if let Some(database) = &options.database {
            config = config.db(&**database);
        }
        let graph = config.build().and_then(Graph::connect).map_err(unusable)?;
        Ok(Arc::clone(open.insert(Arc::new(Open { graph, schema: OnceCell::new() }))))
    }

    /// What a pool does first, by one call at a time: so a password that is refused is tried once.
    async fn make_schema(&self, graph: &Graph) -> Result<()> {
        if self.is_refused() {
            return Err(refused());
        }
        for query in self.names.schema() {
            match graph.run(query).await {
                Ok(()) => {}
                // Another process made it at the same time.
                Err(neo4rs::Error::Neo4j(error)) if error.code().ends_with("AlreadyExists") => {}
                Err(error) => return Err(failed(error)).inspect_err(|error| self.note(error)),
            }
        }
        Ok(())
    }

    fn is_refused(&self) -> bool {
        lock(&self.refused_at).is_some_and(|at| at.elapsed() < REFUSED_PAUSE)
    }

    /// After any failure the connections are given up: one in the middle of an exchange is of no use, its
    /// transaction ends with it, and the server that answers next may be another one.
    fn note(&self, error: &Error) {
        *lock(&self.open) = None;
        if error.kind() != ErrorKind::Config || error.message() != refused().message() {
            *lock(&self.refused_at) = None;
        } else if !self.is_refused() {
            *lock(&self.refused_at) = Some(Instant::now());
        }
    }
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client").field("options", &self.0.options).finish_non_exhaustive()
    }
}

/// Nothing panics while it holds one of these locks, and what they hold is whole at any time.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
