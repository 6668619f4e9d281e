//! The file and its connections.

use std::{
    fmt,
    path::Path,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use cml_core::{Error, ErrorKind, Result};
use sqlx::{
    ConnectOptions as _, Connection as _, Sqlite, SqliteConnection, Transaction, sqlite::SqliteConnectOptions,
};
use tokio::sync::{
    Mutex as AsyncMutex, OwnedMappedMutexGuard, OwnedMutexGuard, OwnedSemaphorePermit, Semaphore,
};

use super::error::failed;
use crate::store::sql::{connection::Connection, error::closed};

/// Connections that read at the same time.
const READERS: usize = 4;
/// Longest wait for one of them.
const READER_WAIT: Duration = Duration::from_secs(30);
/// Prepared statements kept by the writer: about twenty tables in four block sizes, and the rest.
const STATEMENTS: usize = 256;
/// Rows that the thread of a connection may be ahead of the one who reads them.
const ROWS_AHEAD: usize = 512;

/// How to connect to the file at `path`, or to a database in memory.
pub(super) fn options(path: Option<&Path>, busy_timeout: Duration) -> SqliteConnectOptions {
    let options = SqliteConnectOptions::new()
        .busy_timeout(busy_timeout)
        .foreign_keys(false)
        .statement_cache_capacity(STATEMENTS)
        .row_buffer_size(ROWS_AHEAD)
        .pragma("synchronous", "FULL")
        .pragma("secure_delete", "ON")
        .pragma("temp_store", "MEMORY")
        .pragma("cache_size", "-16384")
        .disable_statement_logging();
    match path {
        Some(path) => options.filename(path).create_if_missing(true),
        None => options,
    }
}

/// The only connection of a database in memory; `None` once it is closed.
pub(super) type Shared = Arc<AsyncMutex<Option<SqliteConnection>>>;

/// Waits for the connection of a database in memory.
pub(super) async fn lock(
    shared: &Shared,
) -> Result<OwnedMappedMutexGuard<Option<SqliteConnection>, SqliteConnection>> {
    let guard = Arc::clone(shared).lock_owned().await;
    OwnedMutexGuard::try_map(guard, Option::as_mut).map_err(|_none| closed())
}

/// Where reads get a connection.
#[derive(Debug, Clone)]
pub(super) enum Readers {
    /// Of a file: connections of their own.
    Pool(Arc<Pool>),
    /// In memory: the writer's, between its transactions.
    Shared(Shared),
}

impl Readers {
    /// A connection that reads.
    pub(super) async fn get(&self) -> Result<Reader> {
        match self {
            Self::Pool(pool) => Ok(Reader::Pooled(pool.acquire().await?)),
            Self::Shared(shared) => Ok(Reader::Shared(lock(shared).await?)),
        }
    }

    /// Waits for the reads that run and closes their connections: the writer's is the last one, which
    /// moves the log into the file.
    pub(super) async fn close(&self) -> Result<()> {
        let Self::Pool(pool) = self else { return Ok(()) };
        let all = u32::try_from(READERS).unwrap_or(u32::MAX);
        // An error says that it was closed before.
        let Ok(permits) = pool.permits.acquire_many(all).await else { return Ok(()) };
        pool.permits.close();
        let idle = std::mem::take(&mut *pool.idle.lock().unwrap_or_else(PoisonError::into_inner));
        for connection in idle {
            sqlx::Connection::close(connection).await.map_err(failed)?;
        }
        drop(permits);
        Ok(())
    }
}

/// A connection that reads.
pub(super) enum Reader {
    Pooled(Pooled),
    Shared(OwnedMappedMutexGuard<Option<SqliteConnection>, SqliteConnection>),
}

impl Reader {
    pub(super) fn connection(&mut self) -> Result<Connection<'_>> {
        Ok(Connection::Sqlite(self.own()?))
    }

    fn own(&mut self) -> Result<&mut SqliteConnection> {
        match self {
            Self::Pooled(pooled) => pooled.connection(),
            Self::Shared(guard) => Ok(guard),
        }
    }

    /// The connection for several statements that see one state.
    pub(super) async fn snapshot(&mut self) -> Result<Transaction<'_, Sqlite>> {
        self.own()?.begin().await.map_err(failed)
    }
}

/// Connections that read a file, opened when they are needed.
///
/// sqlx's own pool asks a connection for a sign of life whenever it is given back; beside a lookup by
/// key that is as much work again.
pub(super) struct Pool {
    options: SqliteConnectOptions,
    permits: Arc<Semaphore>,
    idle: Mutex<Vec<SqliteConnection>>,
}

impl Pool {
    pub(super) fn new(options: SqliteConnectOptions) -> Self {
        Self {
            options: options.create_if_missing(false).pragma("query_only", "ON"),
            permits: Arc::new(Semaphore::new(READERS)),
            idle: Mutex::new(Vec::with_capacity(READERS)),
        }
    }

    async fn acquire(self: &Arc<Self>) -> Result<Pooled> {
        let permit = tokio::time::timeout(READER_WAIT, Arc::clone(&self.permits).acquire_owned())
            .await
            .map_err(|elapsed| {
                Error::new(ErrorKind::Unavailable, "all connections of the database are busy")
                    .with_source(elapsed)
            })?
            .map_err(|_closed| closed())?;
        let idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let connection = match idle {
            Some(connection) => connection,
            None => self.options.connect().await.map_err(failed)?,
        };
        Ok(Pooled { connection: Some(connection), pool: Arc::clone(self), _permit: permit })
    }
}

impl fmt::Debug for Pool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pool").field("free", &self.permits.available_permits()).finish_non_exhaustive()
    }
}

/// A connection of a [`Pool`], given back when it is dropped.
pub(super) struct Pooled {
    connection: Option<SqliteConnection>,
    pool: Arc<Pool>,
    // Freed after the connection is back, fields being dropped after `drop`.
    _permit: OwnedSemaphorePermit,
}

impl Pooled {
    fn connection(&mut self) -> Result<&mut SqliteConnection> {
        self.connection.as_mut().ok_or_else(closed)
    }
}

impl Drop for Pooled {
    fn drop(&mut self) {
        let Some(connection) = self.connection.take() else { return };
        if !self.pool.permits.is_closed() {
            self.pool.idle.lock().unwrap_or_else(PoisonError::into_inner).push(connection);
        }
    }
}
