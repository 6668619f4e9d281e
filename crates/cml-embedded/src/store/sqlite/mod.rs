//! The store in one SQLite file, or in memory.
//!
//! One task writes: it joins the change sets that wait into one transaction with a savepoint each, so
//! that they share the sync of the disk. Reads of a file have connections of their own and see what
//! was committed before they began; a database in memory has one connection for everything. Several
//! processes may use one file.

mod clean;
mod connection;
pub(in crate::store) mod error;
mod open;
pub(in crate::store) mod values;
mod writer;

use std::{collections::BTreeMap, path::PathBuf, sync::Arc, time::Duration};

use async_trait::async_trait;
use cml_core::{
    FactId, MemoryId, MessageId, Result, Scope,
    memory::{Fact, MemoryRecord, Message, RecordVersion, Session},
    ops::{EventPage, ExportLine, FactList, ListEvents, ListFacts, ListRequest, Stats, TenantSummary},
    provider::EmbeddingModel,
};
use serde_json::Value;
use tokio::sync::Mutex;

use self::{
    connection::{Pool, Readers},
    writer::{Target, Writer},
};
use super::sql::{
    connection::Connection, export, follow, generations, graph::sql_graph, index, known, list, lookup, read,
    value::Binds,
};
use super::{
    ChangeSet, Follower, Generations, GraphStore, IndexedRow, Known, ModelId, Observed, Outbox, Outcome,
    PageKey, Removal, RowKind, Select, Store, Tail, TenantState, TurnRow, Unembedded, Wanted,
};

/// Where and how to open a [`SqliteStore`].
#[derive(Debug, Clone)]
pub struct SqliteOptions {
    /// The file, made when it does not exist; in memory without one.
    pub path: Option<PathBuf>,
    /// Longest wait for another process that writes.
    pub busy_timeout: Duration,
    /// The model whose vectors a new database serves. A database that exists keeps its own.
    pub model: EmbeddingModel,
}

impl SqliteOptions {
    /// A database in memory.
    #[must_use]
    pub fn in_memory(model: EmbeddingModel) -> Self {
        Self { path: None, busy_timeout: Duration::from_secs(5), model }
    }

    /// The file at `path`, with a busy timeout of five seconds.
    #[must_use]
    pub fn file(path: impl Into<PathBuf>, model: EmbeddingModel) -> Self {
        Self { path: Some(path.into()), ..Self::in_memory(model) }
    }
}

/// A [`Store`] in SQLite. Clones share the connections; dropping the last one ends the task that
/// writes after what is queued.
#[derive(Debug, Clone)]
pub struct SqliteStore {
    readers: Readers,
    writer: Writer,
    path: Option<PathBuf>,
}

impl SqliteStore {
    /// Opens or makes the database and starts the task that writes on the current runtime.
    ///
    /// # Errors
    /// `Config` naming `db_path` when the file is not ours, or cannot be opened, made or written;
    /// `Conflict` when its schema is newer than this program; `Unavailable` when it is locked beyond
    /// the busy timeout, or the disk is full or fails.
    pub async fn open(options: SqliteOptions) -> Result<Self> {
        let SqliteOptions { path, busy_timeout, model } = options;
        let (connect, connection) = open::open(path.as_deref(), busy_timeout, &model).await?;
        let (readers, target) = if path.is_some() {
            (Readers::Pool(Arc::new(Pool::new(connect))), Target::File(Box::new(connection), busy_timeout))
        } else {
            let shared = Arc::new(Mutex::new(Some(connection)));
            (Readers::Shared(Arc::clone(&shared)), Target::Memory(shared))
        };
        Ok(Self { readers, writer: Writer::start(target), path })
    }
}

impl SqliteStore {
    #[expect(clippy::unused_self, reason = "every store in an SQL database is asked")]
    fn projected(&self) -> Option<&dyn Outbox> {
        None
    }
}

/// Reads on a connection of its own.
macro_rules! ask {
    ($store:expr, $tenant:expr, |$connection:ident| $read:expr) => {{
        let _of_all: Option<&str> = $tenant;
        let mut reader = $store.readers.get().await?;
        let $connection = &mut reader.connection()?;
        $read.await
    }};
}

sql_graph!(SqliteStore, ask);

#[async_trait]
impl Store for SqliteStore {
    fn graph(&self) -> &dyn GraphStore {
        self
    }

    async fn commit(&self, changes: ChangeSet) -> Result<Outcome> {
        self.writer.commit(changes).await
    }

    async fn tenant(&self, tenant: &str) -> Result<TenantState> {
        lookup::tenant(&mut self.readers.get().await?.connection()?, tenant).await
    }

    async fn changes(&self, tenant: &str, seq: u64, limit: usize) -> Result<Tail> {
        read::changes(&mut self.readers.get().await?.connection()?, tenant, seq, limit).await
    }

    async fn observe(&self, tenant: &str, wanted: &Wanted) -> Result<Observed> {
        let mut reader = self.readers.get().await?;
        let mut snapshot = reader.snapshot().await?;
        read::observe(&mut Connection::Sqlite(&mut snapshot), tenant, wanted).await
    }

    async fn turns(&self, tenant: &str, select: Select<'_, MessageId>) -> Result<Vec<TurnRow>> {
        index::turns(&mut self.readers.get().await?.connection()?, tenant, select).await
    }

    async fn indexed(
        &self,
        tenant: &str,
        model: ModelId,
        select: Select<'_, MemoryId>,
    ) -> Result<Vec<IndexedRow>> {
        let mut reader = self.readers.get().await?;
        let mut snapshot = reader.snapshot().await?;
        index::records(&mut Connection::Sqlite(&mut snapshot), tenant, model, select).await
    }

    async fn indexed_facts(&self, tenant: &str, select: Select<'_, FactId>) -> Result<Vec<Fact>> {
        read::indexed_facts(&mut self.readers.get().await?.connection()?, tenant, select).await
    }

    async fn records(&self, tenant: &str, ids: &[MemoryId]) -> Result<Vec<MemoryRecord>> {
        read::records(&mut self.readers.get().await?.connection()?, tenant, ids).await
    }

    async fn records_of(&self, tenant: &str, messages: &[MessageId]) -> Result<Vec<MemoryRecord>> {
        read::records_of(&mut self.readers.get().await?.connection()?, tenant, messages).await
    }

    async fn versions(&self, tenant: &str, id: MemoryId) -> Result<Vec<RecordVersion>> {
        read::versions(&mut self.readers.get().await?.connection()?, tenant, id).await
    }

    async fn list(
        &self,
        scope: &Scope,
        request: &ListRequest,
        after: Option<&PageKey>,
        limit: usize,
    ) -> Result<Vec<MemoryRecord>> {
        let mut reader = self.readers.get().await?;
        let mut snapshot = reader.snapshot().await?;
        list::records(&mut Connection::Sqlite(&mut snapshot), scope, request, after, limit).await
    }

    async fn facts_of(&self, tenant: &str, records: &[MemoryId]) -> Result<Vec<Fact>> {
        let mut reader = self.readers.get().await?;
        let mut snapshot = reader.snapshot().await?;
        read::facts_of(&mut Connection::Sqlite(&mut snapshot), tenant, records).await
    }

    async fn facts(&self, scope: &Scope, request: &ListFacts) -> Result<FactList> {
        let mut reader = self.readers.get().await?;
        let mut snapshot = reader.snapshot().await?;
        list::facts(&mut Connection::Sqlite(&mut snapshot), scope, request).await
    }

    async fn fact(&self, tenant: &str, id: FactId) -> Result<Option<Fact>> {
        let mut reader = self.readers.get().await?;
        let mut snapshot = reader.snapshot().await?;
        Ok(read::facts(&mut Connection::Sqlite(&mut snapshot), tenant, &[id]).await?.pop())
    }

    async fn sessions(&self, scope: &Scope) -> Result<Vec<Session>> {
        list::sessions(&mut self.readers.get().await?.connection()?, scope).await
    }

    async fn session(&self, tenant: &str, session: &str) -> Result<Option<Session>> {
        read::session(&mut self.readers.get().await?.connection()?, tenant, session).await
    }

    async fn messages(&self, scope: &Scope, session: &str, after: u64, limit: usize) -> Result<Vec<Message>> {
        list::messages(&mut self.readers.get().await?.connection()?, scope, session, after, limit).await
    }

    async fn messages_by_id(&self, tenant: &str, ids: &[MessageId]) -> Result<Vec<Message>> {
        read::messages(&mut self.readers.get().await?.connection()?, tenant, ids).await
    }

    async fn followers(&self, tenant: &str, removed: &Removal) -> Result<Vec<Follower>> {
        let mut reader = self.readers.get().await?;
        let mut snapshot = reader.snapshot().await?;
        follow::followers(&mut Connection::Sqlite(&mut snapshot), tenant, removed).await
    }

    async fn stats(&self, scope: &Scope) -> Result<Stats> {
        list::stats(&mut self.readers.get().await?.connection()?, scope).await
    }

    async fn events(&self, scope: &Scope, request: &ListEvents) -> Result<EventPage> {
        let mut reader = self.readers.get().await?;
        let mut snapshot = reader.snapshot().await?;
        list::events(&mut Connection::Sqlite(&mut snapshot), scope, request).await
    }

    async fn tenants(&self) -> Result<Vec<TenantSummary>> {
        list::tenants(&mut self.readers.get().await?.connection()?).await
    }

    async fn generations(&self) -> Result<Generations> {
        generations::generations(&mut self.readers.get().await?.connection()?).await
    }

    async fn open_generation(&self, model: &EmbeddingModel) -> Result<ModelId> {
        self.writer.open_generation(model.clone()).await
    }

    async fn close_generation(&self, model: ModelId) -> Result<bool> {
        self.writer.close_generation(model).await
    }

    async fn unembedded(
        &self,
        model: ModelId,
        tenant: Option<&str>,
        after: Option<(&str, MemoryId)>,
        limit: usize,
    ) -> Result<Vec<Unembedded>> {
        generations::unembedded(&mut self.readers.get().await?.connection()?, model, tenant, after, limit)
            .await
    }

    async fn count_unembedded(&self, model: ModelId) -> Result<u64> {
        generations::count_unembedded(&mut self.readers.get().await?.connection()?, model).await
    }

    async fn export(
        &self,
        scope: &Scope,
        kind: RowKind,
        after: Option<&ExportLine>,
        limit: usize,
    ) -> Result<Vec<ExportLine>> {
        export::page(&mut self.readers.get().await?.connection()?, scope, kind, after, limit).await
    }

    async fn known(&self, scope: &Scope, rows: &[ExportLine]) -> Result<Vec<Known>> {
        let mut reader = self.readers.get().await?;
        let mut snapshot = reader.snapshot().await?;
        known::known(&mut Connection::Sqlite(&mut snapshot), scope, rows).await
    }

    async fn ping(&self) -> Result<BTreeMap<String, Value>> {
        let mut reader = self.readers.get().await?;
        let sql = "SELECT sqlite_version()";
        let version = reader.connection()?.first(sql, Binds::default(), |columns| columns.text()).await?;
        let place = self.path.as_ref().map_or_else(|| "memory".to_owned(), |path| path.display().to_string());
        Ok([("sqlite", version.unwrap_or_default()), ("path", place)]
            .map(|(name, value)| (name.to_owned(), Value::String(value)))
            .into())
    }

    async fn close(&self) -> Result<()> {
        let closed = self.readers.close().await;
        self.writer.stop().await;
        closed
    }
}
