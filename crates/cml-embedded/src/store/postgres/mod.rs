//! The store in PostgreSQL with pgvector.
//!
//! It has a schema of its own beside what else the database holds. Tenants commit in parallel, the
//! change sets of one of them one after the other, whatever the number of processes: a transaction
//! holds the row of its tenant. Reads see what was committed before they began. Connections that are
//! lost and servers that restart are survived; see the modules `pool` and `writer`.

pub(in crate::store) mod error;
mod extensions;
mod hnsw;
mod listen;
mod open;
mod outbox;
mod pool;
mod rls;
pub(in crate::store) mod values;
mod writer;

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use cml_core::{
    FactId, MemoryId, MessageId, Result, Scope,
    config::SecretString,
    memory::{Fact, MemoryRecord, Message, RecordVersion, Session},
    ops::{EventPage, ExportLine, FactList, ListEvents, ListFacts, ListRequest, Stats, TenantSummary},
    provider::EmbeddingModel,
};
use serde_json::{Value, json};
use sqlx::Connection as _;
use tokio::{sync::broadcast, task::JoinHandle};

pub use self::hnsw::HnswOptions;
use self::{
    error::{Class, class},
    listen::Hints,
    pool::{Member, Pool, Reader, View, Whose},
    writer::Writer,
};
use super::{
    CandidateSource, ChangeSet, Follower, Generations, GraphStore, IndexedRow, Known, ModelId, Observed,
    Outbox, Outcome, PageKey, Removal, RowKind, Select, Store, Tail, TenantState, TurnRow, Unembedded,
    Wanted,
    sql::{
        connection::Connection, error::closed, export, follow, generations, graph::sql_graph, index, known,
        list, lookup, read, value::Binds,
    },
};

/// Where and how to open a [`PostgresStore`].
#[derive(Debug, Clone, PartialEq)]
pub struct PostgresOptions {
    /// `postgres://user:password@host:port/database`, with `?sslmode=...` and further parameters.
    pub url: SecretString,
    /// The schema, made when it does not exist: 1 to 40 lower-case letters, digits and underscores.
    pub schema: String,
    /// The model whose vectors a new schema serves. A schema that exists keeps its own.
    pub model: EmbeddingModel,
    /// Most connections of this process, at least 1; stores with equal options share them.
    pub max_connections: u32,
    /// Longest wait for the server to answer a new connection.
    pub connect_timeout: Duration,
    /// Longest wait for a connection while all are busy.
    pub acquire_timeout: Duration,
    /// Longest time for one statement; erasures take what they need. Zero is without limit.
    pub statement_timeout: Duration,
    /// A connection that is idle for longer is closed.
    pub idle_timeout: Option<Duration>,
    /// A connection that is older is closed.
    pub max_lifetime: Option<Duration>,
    /// Turns on row-level security: the database itself shows a tenant's statements no rows of others.
    /// It stays on in the schema for every program.
    pub row_level_security: bool,
    /// Whether each commit fills the outbox of a graph database and notifies those who project it.
    pub projects: bool,
    /// How near vectors are indexed and found.
    pub hnsw: HnswOptions,
}

impl PostgresOptions {
    /// The schema `cml` of the database at `url`, with ten connections, a connect timeout of 10 s, an
    /// acquire timeout of 30 s, a statement timeout of 30 s, an idle timeout of 10 minutes and a
    /// lifetime of 30.
    #[must_use]
    pub fn new(url: SecretString, model: EmbeddingModel) -> Self {
        Self {
            url,
            schema: "cml".to_owned(),
            model,
            max_connections: 10,
            connect_timeout: Duration::from_secs(10),
            acquire_timeout: Duration::from_secs(30),
            statement_timeout: Duration::from_secs(30),
            idle_timeout: Some(Duration::from_secs(600)),
            max_lifetime: Some(Duration::from_secs(1800)),
            row_level_security: false,
            projects: false,
            hnsw: HnswOptions::default(),
        }
    }
}

/// A [`Store`] in PostgreSQL. Clones share the connections.
#[derive(Debug, Clone)]
pub struct PostgresStore(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    member: Member,
    writer: Writer,
    hints: Hints,
    schema: String,
    hnsw: HnswOptions,
    projects: bool,
    closed: AtomicBool,
    /// The task that makes and removes indexes of vectors.
    tending: Mutex<Option<JoinHandle<()>>>,
}

impl PostgresStore {
    /// Checks the server, makes or updates the schema, and connects.
    ///
    /// # Errors
    /// `Config` naming the setting when the address, the user, the database, the server's version, an
    /// extension, a right or the schema does not do, with what mends it; `Conflict` when the schema is
    /// newer than this program; `Unavailable` when the server cannot be reached or does not answer.
    pub async fn open(options: PostgresOptions) -> Result<Self> {
        let opened = open::open(&options).await?;
        let tidy = opened.tidy;
        let member = Pool::join(&options, opened);
        let channel = listen::channel(&options.schema);
        let store = Self(Arc::new(Inner {
            writer: Writer::new(Arc::clone(member.pool()), options.projects, channel.clone()),
            hints: Hints::new(channel, member.pool().connect_options().clone()),
            projects: options.projects,
            member,
            schema: options.schema,
            hnsw: options.hnsw,
            closed: AtomicBool::new(false),
            tending: Mutex::default(),
        }));
        if !tidy {
            store.tend();
        }
        Ok(store)
    }

    /// Names of tenants for whom something was committed by a store that projects, in any process: a
    /// hint, which may be lost. The first call begins to listen.
    #[must_use]
    pub fn subscribe(&self) -> broadcast::Receiver<String> {
        self.0.hints.subscribe()
    }

    fn pool(&self) -> Result<&Arc<Pool>> {
        if self.0.closed.load(Ordering::Acquire) { Err(closed()) } else { Ok(self.0.member.pool()) }
    }

    /// Makes and removes indexes of vectors in the background.
    fn tend(&self) {
        let (pool, hnsw) = (Arc::clone(self.0.member.pool()), self.0.hnsw);
        let task = tokio::spawn(async move {
            if let Err(error) = hnsw::tend(&pool, &hnsw).await {
                // Searches find the same without an index, only slower; the next opening tries again.
                tracing::warn!(%error, "the indexes of vectors could not be brought up to date");
            }
        });
        let former = self.0.tending.lock().unwrap_or_else(PoisonError::into_inner).replace(task);
        if let Some(former) = former {
            former.abort();
        }
    }

    /// A connection that reads.
    async fn reader(&self, whose: Whose<'_>, view: View) -> Result<Reader> {
        self.pool()?.reader(whose, view).await
    }

    /// Whether a read that ended so may be tried on another connection.
    fn may_repeat<T>(&self, answer: &Result<T>) -> bool {
        let Err(error) = answer else { return false };
        self.0.member.pool().note(error);
        class(error) != Class::Lasting
    }
}

/// Reads on a connection, and once more on another one where that was lost.
macro_rules! read {
    ($store:expr, $whose:expr, $view:expr, |$connection:ident| $read:expr) => {{
        let mut repeated = false;
        loop {
            let answer = async {
                let mut reader = $store.reader($whose, $view).await?;
                let $connection = &mut reader.connection();
                $read.await
            }
            .await;
            if repeated || !$store.may_repeat(&answer) {
                break answer;
            }
            repeated = true;
        }
    }};
}

/// Reads of the graph, of one tenant or of all.
macro_rules! ask {
    ($store:expr, $tenant:expr, |$connection:ident| $read:expr) => {{
        let whose = $tenant.map_or(Whose::All, Whose::Tenant);
        read!($store, whose, View::Each, |$connection| $read)
    }};
}

sql_graph!(PostgresStore, ask);

impl PostgresStore {
    fn projected(&self) -> Option<&dyn Outbox> {
        self.0.projects.then_some(self as &dyn Outbox)
    }
}

// Below the macro that it uses.
mod candidates;

#[async_trait]
impl Store for PostgresStore {
    fn graph(&self) -> &dyn GraphStore {
        self
    }

    async fn commit(&self, changes: ChangeSet) -> Result<Outcome> {
        self.pool()?;
        self.0.writer.commit(changes).await
    }

    async fn tenant(&self, tenant: &str) -> Result<TenantState> {
        read!(self, Whose::Tenant(tenant), View::Each, |c| lookup::tenant(c, tenant))
    }

    async fn changes(&self, tenant: &str, seq: u64, limit: usize) -> Result<Tail> {
        read!(self, Whose::Tenant(tenant), View::Each, |c| read::changes(c, tenant, seq, limit))
    }

    async fn observe(&self, tenant: &str, wanted: &Wanted) -> Result<Observed> {
        read!(self, Whose::Tenant(tenant), View::Snapshot, |c| read::observe(c, tenant, wanted))
    }

    async fn turns(&self, tenant: &str, select: Select<'_, MessageId>) -> Result<Vec<TurnRow>> {
        read!(self, Whose::Tenant(tenant), View::Each, |c| index::turns(c, tenant, select))
    }

    async fn indexed(
        &self,
        tenant: &str,
        model: ModelId,
        select: Select<'_, MemoryId>,
    ) -> Result<Vec<IndexedRow>> {
        read!(self, Whose::Tenant(tenant), View::Snapshot, |c| index::records(c, tenant, model, select))
    }

    async fn indexed_facts(&self, tenant: &str, select: Select<'_, FactId>) -> Result<Vec<Fact>> {
        read!(self, Whose::Tenant(tenant), View::Snapshot, |c| read::indexed_facts(c, tenant, select))
    }

    async fn records(&self, tenant: &str, ids: &[MemoryId]) -> Result<Vec<MemoryRecord>> {
        read!(self, Whose::Tenant(tenant), View::Each, |c| read::records(c, tenant, ids))
    }

    async fn records_of(&self, tenant: &str, messages: &[MessageId]) -> Result<Vec<MemoryRecord>> {
        read!(self, Whose::Tenant(tenant), View::Each, |c| read::records_of(c, tenant, messages))
    }

    async fn versions(&self, tenant: &str, id: MemoryId) -> Result<Vec<RecordVersion>> {
        read!(self, Whose::Tenant(tenant), View::Each, |c| read::versions(c, tenant, id))
    }

    async fn list(
        &self,
        scope: &Scope,
        request: &ListRequest,
        after: Option<&PageKey>,
        limit: usize,
    ) -> Result<Vec<MemoryRecord>> {
        read!(self, Whose::Tenant(scope.tenant()), View::Snapshot, |c| list::records(
            c, scope, request, after, limit
        ))
    }

    async fn facts_of(&self, tenant: &str, records: &[MemoryId]) -> Result<Vec<Fact>> {
        read!(self, Whose::Tenant(tenant), View::Snapshot, |c| read::facts_of(c, tenant, records))
    }

    async fn facts(&self, scope: &Scope, request: &ListFacts) -> Result<FactList> {
        read!(self, Whose::Tenant(scope.tenant()), View::Snapshot, |c| list::facts(c, scope, request))
    }

    async fn fact(&self, tenant: &str, id: FactId) -> Result<Option<Fact>> {
        read!(self, Whose::Tenant(tenant), View::Snapshot, |c| async {
            Ok(read::facts(c, tenant, &[id]).await?.pop())
        })
    }

    async fn sessions(&self, scope: &Scope) -> Result<Vec<Session>> {
        read!(self, Whose::Tenant(scope.tenant()), View::Each, |c| list::sessions(c, scope))
    }

    async fn session(&self, tenant: &str, session: &str) -> Result<Option<Session>> {
        read!(self, Whose::Tenant(tenant), View::Each, |c| read::session(c, tenant, session))
    }

    async fn messages(&self, scope: &Scope, session: &str, after: u64, limit: usize) -> Result<Vec<Message>> {
        read!(self, Whose::Tenant(scope.tenant()), View::Each, |c| list::messages(
            c, scope, session, after, limit
        ))
    }

    async fn messages_by_id(&self, tenant: &str, ids: &[MessageId]) -> Result<Vec<Message>> {
        read!(self, Whose::Tenant(tenant), View::Each, |c| read::messages(c, tenant, ids))
    }

    async fn followers(&self, tenant: &str, removed: &Removal) -> Result<Vec<Follower>> {
        read!(self, Whose::Tenant(tenant), View::Snapshot, |c| follow::followers(c, tenant, removed))
    }

    async fn stats(&self, scope: &Scope) -> Result<Stats> {
        read!(self, Whose::Tenant(scope.tenant()), View::Snapshot, |c| list::stats(c, scope))
    }

    async fn events(&self, scope: &Scope, request: &ListEvents) -> Result<EventPage> {
        read!(self, Whose::Tenant(scope.tenant()), View::Snapshot, |c| list::events(c, scope, request))
    }

    async fn tenants(&self) -> Result<Vec<TenantSummary>> {
        read!(self, Whose::All, View::Snapshot, |c| list::tenants(c))
    }

    async fn generations(&self) -> Result<Generations> {
        read!(self, Whose::All, View::Each, |c| generations::generations(c))
    }

    async fn open_generation(&self, model: &EmbeddingModel) -> Result<ModelId> {
        hnsw::check(model)?;
        let mut connection = self.pool()?.apart().await?;
        let id = generations::open(&mut Connection::Postgres(&mut connection), model).await?;
        // What was asked for is done; a connection that cannot be closed in order is dropped.
        let _closed = connection.close().await;
        self.tend();
        Ok(id)
    }

    async fn close_generation(&self, model: ModelId) -> Result<bool> {
        let mut connection = self.pool()?.apart().await?;
        let closed = generations::close(&mut Connection::Postgres(&mut connection), model).await?;
        let _closed = connection.close().await;
        if closed {
            self.tend();
        }
        Ok(closed)
    }

    async fn unembedded(
        &self,
        model: ModelId,
        tenant: Option<&str>,
        after: Option<(&str, MemoryId)>,
        limit: usize,
    ) -> Result<Vec<Unembedded>> {
        let whose = tenant.map_or(Whose::All, Whose::Tenant);
        read!(self, whose, View::Each, |c| generations::unembedded(c, model, tenant, after, limit))
    }

    async fn count_unembedded(&self, model: ModelId) -> Result<u64> {
        read!(self, Whose::All, View::Each, |c| generations::count_unembedded(c, model))
    }

    async fn export(
        &self,
        scope: &Scope,
        kind: RowKind,
        after: Option<&ExportLine>,
        limit: usize,
    ) -> Result<Vec<ExportLine>> {
        read!(self, Whose::Tenant(scope.tenant()), View::Each, |c| export::page(c, scope, kind, after, limit))
    }

    async fn known(&self, scope: &Scope, rows: &[ExportLine]) -> Result<Vec<Known>> {
        read!(self, Whose::Tenant(scope.tenant()), View::Snapshot, |c| known::known(c, scope, rows))
    }

    fn candidates(&self) -> Option<&dyn CandidateSource> {
        Some(self)
    }

    async fn ping(&self) -> Result<BTreeMap<String, Value>> {
        let sql = "SELECT current_setting('server_version'), (SELECT extversion FROM pg_extension WHERE extname = \
                   'vector')";
        let versions = read!(self, Whose::All, View::Each, |c| c.first(
            sql,
            Binds::default(),
            |columns| Ok((columns.text()?, columns.get::<Option<String>>()?))
        ))?;
        let (server, vector) = versions.unwrap_or_default();
        let (size, idle) = self.pool()?.size();
        Ok([
            ("postgresql", json!(server)),
            ("pgvector", json!(vector)),
            ("schema", json!(self.0.schema)),
            ("connections", json!(size)),
            ("idle", json!(idle)),
        ]
        .map(|(name, value)| (name.to_owned(), value))
        .into())
    }

    async fn close(&self) -> Result<()> {
        self.0.writer.stop().await;
        if self.0.closed.swap(true, Ordering::AcqRel) {
            return Ok(());
        }
        self.0.hints.stop();
        let tending = self.0.tending.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(tending) = tending {
            // An index that is left unfinished is made again after the next opening.
            tending.abort();
        }
        self.0.member.leave().await;
        Ok(())
    }
}
