//! Connections: how they are made, shared by the stores of a process, and told to be gone.

use std::{
    fmt,
    sync::{
        Arc, Mutex, PoisonError, Weak,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use cml_core::{Error, ErrorKind, Result, provider::EmbeddingModel};
use sqlx::{
    Connection as _, Executor as _, PgConnection, PgPool, Postgres, Transaction,
    pool::PoolConnection,
    postgres::{PgConnectOptions, PgPoolOptions},
};
use tokio::{
    runtime,
    sync::{OwnedSemaphorePermit, Semaphore},
};

use super::{
    PostgresOptions,
    error::{Class, class, failed},
    open::Opened,
};
use crate::store::sql::{connection::Connection, error::closed};

/// A connection that was idle for longer is asked for a sign of life before it is used.
const FRESH: Duration = Duration::from_secs(30);
/// Longest wait for that sign.
const SIGN_OF_LIFE: Duration = Duration::from_secs(2);
/// A transaction without a statement for so long is one whose client is gone.
const ABANDONED: Duration = Duration::from_secs(60);
/// The request that begins a transaction whose statements see one state.
const SNAPSHOT: &str = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY";

/// Pools of this process that are in use.
static POOLS: Mutex<Vec<(Key, Weak<Pool>)>> = Mutex::new(Vec::new());

/// What stores have in common that share a pool. A connection belongs to the runtime that made it.
#[derive(PartialEq)]
struct Key(runtime::Id, PostgresOptions);

/// Whose rows statements are about.
#[derive(Debug, Clone, Copy)]
pub(super) enum Whose<'t> {
    /// One tenant's.
    Tenant(&'t str),
    /// Everybody's: administration.
    All,
}

/// What the statements of a read see.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum View {
    /// Each what is committed when it begins.
    Each,
    /// All the same.
    Snapshot,
}

/// Connections to one schema.
pub(super) struct Pool {
    connections: PgPool,
    /// One per connection, so that waiting for a free one is told from waiting for the server.
    permits: Arc<Semaphore>,
    busy_after: Duration,
    connect: PgConnectOptions,
    setup: String,
    row_level_security: bool,
    lost: Arc<Mutex<Option<Instant>>>,
    members: AtomicUsize,
}

impl fmt::Debug for Pool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pool")
            .field("size", &self.connections.size())
            .field("idle", &self.connections.num_idle())
            .finish_non_exhaustive()
    }
}

impl Pool {
    /// A part in the pool of this process and runtime for `options`, which is made when there is none.
    pub(super) fn join(options: &PostgresOptions, opened: Opened) -> Member {
        let key = Key(
            runtime::Handle::current().id(),
            PostgresOptions { model: EmbeddingModel::new("", 0), projects: false, ..options.clone() },
        );
        let mut pools = POOLS.lock().unwrap_or_else(PoisonError::into_inner);
        pools.retain(|(_, pool)| pool.strong_count() > 0);
        let found = pools.iter().find(|(known, _)| *known == key).and_then(|(_, pool)| pool.upgrade());
        let found = found.filter(|pool| pool.row_level_security == opened.row_level_security);
        let pool = found.unwrap_or_else(|| {
            let pool = Arc::new(Self::new(options, opened));
            pools.push((key, Arc::downgrade(&pool)));
            pool
        });
        pool.members.fetch_add(1, Ordering::AcqRel);
        Member(pool)
    }

    fn new(options: &PostgresOptions, opened: Opened) -> Self {
        let lost: Arc<Mutex<Option<Instant>>> = Arc::default();
        let setup = setup(options, &opened.search_path);
        let connections = PgPoolOptions::new()
            .max_connections(options.max_connections)
            .acquire_timeout(options.connect_timeout)
            .idle_timeout(options.idle_timeout)
            .max_lifetime(options.max_lifetime)
            .test_before_acquire(false)
            .after_connect({
                let setup = setup.clone();
                move |connection, _meta| {
                    let setup = setup.clone();
                    Box::pin(async move {
                        connection.execute(sqlx::raw_sql(sqlx::AssertSqlSafe(setup))).await.map(|_done| ())
                    })
                }
            })
            .before_acquire({
                let lost = Arc::clone(&lost);
                move |connection, meta| {
                    let lost = *lost.lock().unwrap_or_else(PoisonError::into_inner);
                    let suspect = lost.is_some_and(|lost| meta.idle_for >= lost.elapsed());
                    Box::pin(async move {
                        if !suspect && meta.idle_for < FRESH {
                            return Ok(true);
                        }
                        let ping = tokio::time::timeout(SIGN_OF_LIFE, connection.ping());
                        ping.await.map_err(|_elapsed| sqlx::Error::PoolTimedOut)?.map(|()| true)
                    })
                }
            })
            .connect_lazy_with(opened.connect.clone());
        Self {
            connections,
            permits: Arc::new(Semaphore::new(usize::try_from(options.max_connections).unwrap_or(1))),
            busy_after: options.acquire_timeout,
            connect: opened.connect,
            setup,
            row_level_security: opened.row_level_security,
            lost,
            members: AtomicUsize::new(0),
        }
    }

    /// A transaction that writes rows of `whose`.
    ///
    /// # Errors
    /// `Unavailable` when no connection becomes free in time or the server cannot be reached.
    pub(super) async fn begin(&self, whose: Whose<'_>) -> Result<Begun> {
        let permit = self.permit().await?;
        let mut transaction = self.connections.begin().await.map_err(failed)?;
        self.admit(&mut transaction, whose).await?;
        Ok(Begun { transaction, _permit: permit })
    }

    /// A connection that reads rows of `whose`.
    ///
    /// # Errors
    /// As [`begin`](Self::begin).
    pub(super) async fn reader(&self, whose: Whose<'_>, view: View) -> Result<Reader> {
        let permit = self.permit().await?;
        if view == View::Each && !self.row_level_security {
            let connection = self.connections.acquire().await.map_err(failed)?;
            return Ok(Reader::Plain { connection, _permit: permit });
        }
        let mut transaction = self.connections.begin_with(SNAPSHOT).await.map_err(failed)?;
        self.admit(&mut transaction, whose).await?;
        Ok(Reader::Snapshot { transaction, _permit: permit })
    }

    async fn permit(&self) -> Result<OwnedSemaphorePermit> {
        tokio::time::timeout(self.busy_after, Arc::clone(&self.permits).acquire_owned())
            .await
            .map_err(|elapsed| {
                Error::new(ErrorKind::Unavailable, "all connections of the database are busy")
                    .with_source(elapsed)
            })?
            .map_err(|_closed| closed())
    }

    /// Tells a database that guards its rows, within a transaction, whose it is to show.
    async fn admit(&self, connection: &mut PgConnection, whose: Whose<'_>) -> Result<()> {
        if !self.row_level_security {
            return Ok(());
        }
        let (name, value) = match whose {
            Whose::Tenant(tenant) => ("cml.tenant", tenant),
            Whose::All => ("cml.admin", "on"),
        };
        sqlx::query("SELECT set_config($1, $2, true)")
            .bind(name)
            .bind(value)
            .execute(connection)
            .await
            .map_err(failed)?;
        Ok(())
    }

    /// A connection beside the pool, without a limit of time for its statements.
    pub(super) async fn apart(&self) -> Result<PgConnection> {
        let mut connection = PgConnection::connect_with(&self.connect).await.map_err(failed)?;
        for sql in [&*self.setup, "SET statement_timeout = 0; SET cml.admin = 'on'"] {
            let sql = sqlx::raw_sql(sqlx::AssertSqlSafe(sql.to_owned()));
            connection.execute(sql).await.map_err(failed)?;
        }
        Ok(connection)
    }

    /// How to make a connection of one's own.
    pub(super) const fn connect_options(&self) -> &PgConnectOptions {
        &self.connect
    }

    /// Takes note of an error: after a lost connection those that were idle then are suspect too.
    pub(super) fn note(&self, error: &Error) {
        if class(error) == Class::Lost {
            *self.lost.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now());
        }
    }

    /// Connections that exist, and those of them that are idle.
    pub(super) fn size(&self) -> (u32, usize) {
        (self.connections.size(), self.connections.num_idle())
    }
}

/// A store's part in a [`Pool`].
#[derive(Debug)]
pub(super) struct Member(Arc<Pool>);

impl Member {
    pub(super) const fn pool(&self) -> &Arc<Pool> {
        &self.0
    }

    /// Closes the connections unless another store uses them.
    pub(super) async fn leave(&self) {
        let last = {
            let mut pools = POOLS.lock().unwrap_or_else(PoisonError::into_inner);
            let last = self.0.members.load(Ordering::Acquire) <= 1;
            if last {
                pools.retain(|(_, pool)| !std::ptr::eq(pool.as_ptr(), Arc::as_ptr(&self.0)));
            }
            last
        };
        if last {
            self.0.connections.close().await;
        }
    }
}

impl Drop for Member {
    fn drop(&mut self) {
        self.0.members.fetch_sub(1, Ordering::AcqRel);
    }
}

/// What each connection is told first.
fn setup(options: &PostgresOptions, search_path: &str) -> String {
    let PostgresOptions { statement_timeout, hnsw, .. } = options;
    format!(
        "SET search_path TO {search_path}; SET timezone TO 'UTC'; SET client_min_messages TO warning; SET \
         jit TO off; SET statement_timeout TO {}; SET idle_in_transaction_session_timeout TO {}; SET \
         hnsw.ef_search TO {}; SET hnsw.iterative_scan TO relaxed_order",
        statement_timeout.as_millis(),
        ABANDONED.as_millis(),
        hnsw.ef_search,
    )
}

/// A connection that reads, given back when it is dropped.
pub(super) enum Reader {
    Plain { connection: PoolConnection<Postgres>, _permit: OwnedSemaphorePermit },
    Snapshot { transaction: Transaction<'static, Postgres>, _permit: OwnedSemaphorePermit },
}

impl Reader {
    pub(super) fn connection(&mut self) -> Connection<'_> {
        match self {
            Self::Plain { connection, .. } => Connection::Postgres(connection),
            Self::Snapshot { transaction, .. } => Connection::Postgres(transaction),
        }
    }
}

/// A transaction that writes, undone when it is dropped.
pub(super) struct Begun {
    transaction: Transaction<'static, Postgres>,
    _permit: OwnedSemaphorePermit,
}

impl Begun {
    pub(super) fn connection(&mut self) -> Connection<'_> {
        Connection::Postgres(&mut self.transaction)
    }

    pub(super) async fn commit(self) -> Result<()> {
        self.transaction.commit().await.map_err(failed)
    }
}
