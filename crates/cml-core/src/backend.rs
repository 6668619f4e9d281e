//! The contract that every backend fulfils.

use std::{fmt::Debug, sync::Arc, time::Duration};

use async_trait::async_trait;
use futures_util::stream::BoxStream;

use crate::{
    Capabilities, Error, FactId, JobId, Result,
    memory::{Fact, Job, MemoryDetail, MemoryItem, Session},
    ops::{
        CreateSession, EraseRequest, EraseResponse, EventPage, ExploreGraph, ExportLine, ExportOptions,
        FactList, ForgetRequest, ForgetResponse, GetRequest, GraphNode, GraphRepair, GraphStats, GraphSync,
        Health, ImportReport, LabileStatus, ListEvents, ListFacts, ListJobs, ListPage, ListRequest,
        MessagePage, ReadRequest, ReadResponse, ReembedProgress, SearchEntities, SessionContext, Stats,
        Subgraph, TenantSummary, TurnRequest, TurnResponse, UpdateRequest, UpdateResponse, WriteRequest,
        WriteResponse,
    },
    provider::Embedder,
    scope::Scope,
};

/// Called with the state of a long run, on the task that does the work.
pub type Progress = Arc<dyn Fn(ReembedProgress) + Send + Sync>;

/// Memory behind one door: in this process, or on a server.
///
/// Every verb acts inside its [`Scope`]. No call returns, changes or counts rows of another tenant;
/// what lies outside the scope does not exist for the call. A call that fails leaves no partial rows.
/// Dropping a future neither undoes nor splits what it had begun to commit.
///
/// Errors that any verb may return: `InvalidInput` (every broken field is listed), `Unavailable` (the
/// store cannot be reached, the disk is full, it is locked beyond the busy timeout), `Timeout`,
/// `Unsupported`, `Internal`; over HTTP also `Unauthenticated`, `PermissionDenied`, `RateLimited`.
/// Each verb documents what it returns beyond these.
#[async_trait]
pub trait MemoryBackend: Debug + Send + Sync + 'static {
    /// Stores texts.
    ///
    /// The result has one entry per request, in order; an item that fails does not take the others
    /// with it. What returned `Ok` is durable. Secrets and pure acknowledgements are not stored
    /// (`memory_id` is `None`), personal data is replaced by marks. The same text by the same role in
    /// the same namespace, user and session strengthens the existing memory and returns its id. A
    /// repeated `idempotency_key`, or `turn_id` in a session, returns the first answer. A `key` that
    /// exists replaces that memory's text as a new version.
    ///
    /// # Errors
    /// Per item: `Conflict` for an `idempotency_key` that was used with another body. An empty vector
    /// of requests gives an empty vector of results.
    async fn write_batch(
        &self,
        scope: &Scope,
        requests: Vec<WriteRequest>,
    ) -> Result<Vec<Result<WriteResponse>>>;

    /// Recalls what answers the query, best first; an empty query lists the newest first.
    ///
    /// `relevance` never rises down the list. Ties are broken by time said, newest first, then id.
    /// Nothing that fits is an empty answer. The call records access and changes nothing else.
    async fn read(&self, scope: &Scope, request: ReadRequest) -> Result<ReadResponse>;

    /// The items of [`read`](Self::read) in the same order, each as soon as it is known.
    ///
    /// # Errors
    /// A broken request fails before the stream begins; what fails later is the stream's last item.
    async fn read_stream(
        &self,
        scope: &Scope,
        request: ReadRequest,
    ) -> Result<BoxStream<'static, Result<MemoryItem>>>;

    /// Recalls for a user's message, session first; then logs and stores the exchange if there is an
    /// answer. The message is not part of its own recall.
    async fn turn(&self, scope: &Scope, request: TurnRequest) -> Result<TurnResponse>;

    /// One record in full, whatever its status.
    ///
    /// # Errors
    /// `NotFound` for an unknown id, an id outside the scope, or a state that never was.
    async fn get(&self, scope: &Scope, request: GetRequest) -> Result<MemoryDetail>;

    /// A page of records in full, of any status, ordered by the named column and id.
    ///
    /// Following `next_cursor` neither skips nor repeats a row that did not change meanwhile.
    ///
    /// # Errors
    /// `InvalidInput` for a cursor that no page of this order returned.
    async fn list(&self, scope: &Scope, request: ListRequest) -> Result<ListPage>;

    /// Changes what is given on a memory and keeps its former state as a version.
    ///
    /// A new text is embedded and analysed again. A request that changes nothing leaves the version.
    ///
    /// # Errors
    /// `NotFound` for an unknown id or one outside the scope, `Conflict` for another version than
    /// `expected_version`.
    async fn update(&self, scope: &Scope, request: UpdateRequest) -> Result<UpdateResponse>;

    /// Archives, silences or deletes the selected memories; repeating it changes nothing more.
    ///
    /// Unknown ids and ids outside the scope are skipped and not counted.
    ///
    /// # Errors
    /// `InvalidInput` without a selector.
    async fn forget(&self, scope: &Scope, request: ForgetRequest) -> Result<ForgetResponse>;

    /// Removes every row of a subject inside the scope's tenant, on every surface. Repeating it
    /// removes nothing more and counts zero.
    async fn erase(&self, scope: &Scope, request: EraseRequest) -> Result<EraseResponse>;

    /// Counts what the scope can see, by status and type.
    async fn stats(&self, scope: &Scope) -> Result<Stats>;

    /// Whether the backend and its components work. A component that is away is reported, not an error.
    async fn health(&self) -> Result<Health>;

    /// What the backend can do, without asking it.
    fn capabilities(&self) -> Capabilities;

    /// Writes down what is pending and gives back what is held. Calls after it are `Unavailable`;
    /// closing twice is no error.
    async fn close(&self) -> Result<()>;

    /// Conversations.
    ///
    /// # Errors
    /// `Unsupported` unless the backend keeps them.
    fn sessions(&self) -> Result<&dyn Sessions> {
        unsupported("sessions")
    }

    /// Facts and constraints.
    ///
    /// # Errors
    /// `Unsupported` unless the backend shows them.
    fn facts(&self) -> Result<&dyn Facts> {
        unsupported("facts")
    }

    /// Events, jobs and runs over many memories.
    ///
    /// # Errors
    /// `Unsupported` unless the backend has them.
    fn maintenance(&self) -> Result<&dyn Maintenance> {
        unsupported("maintenance")
    }

    /// What spans tenants.
    ///
    /// # Errors
    /// `Unsupported` unless the backend allows it.
    fn admin(&self) -> Result<&dyn Admin> {
        unsupported("admin")
    }

    /// The knowledge graph.
    ///
    /// # Errors
    /// `Unsupported` unless the backend has one.
    fn graph(&self) -> Result<&dyn Graph> {
        unsupported("graph")
    }

    /// Export and import.
    ///
    /// # Errors
    /// `Unsupported` unless the backend can move memories.
    fn transfer(&self) -> Result<&dyn Transfer> {
        unsupported("transfer")
    }
}

fn unsupported<T>(what: &'static str) -> Result<T> {
    Err(Error::unsupported(what, "see `capabilities` for what this backend can do"))
}

/// Conversations: header, log, working context.
#[async_trait]
pub trait Sessions: Send + Sync {
    /// Opens a conversation with a fresh id. A session id of the caller's own needs no opening: the
    /// first write into it does.
    async fn create(&self, scope: &Scope, request: CreateSession) -> Result<Session>;

    /// Conversations of the scope, newest first, expired ones included.
    async fn list(&self, scope: &Scope) -> Result<Vec<Session>>;

    /// The log in order, after message number `after` (0 for the beginning), at most `limit`
    /// (1..=1000). An unknown session is empty.
    async fn messages(&self, scope: &Scope, session: &str, after: u64, limit: usize) -> Result<MessagePage>;

    /// The working context: messages in order, tool results and notes apart, and the end of the
    /// conversation as text of at most `max_tokens` tokens. Unknown and expired sessions are empty.
    async fn context(&self, scope: &Scope, session: &str, max_tokens: usize) -> Result<SessionContext>;

    /// Removes the session's memories, messages and the facts without other evidence; the counts are
    /// those of [`MemoryBackend::erase`] of the session.
    async fn clear(&self, scope: &Scope, session: &str) -> Result<EraseResponse>;
}

/// Facts and constraints.
#[async_trait]
pub trait Facts: Send + Sync {
    /// Facts of the scope, newest validity first, then id.
    async fn list(&self, scope: &Scope, request: ListFacts) -> Result<FactList>;

    /// One fact of any status.
    ///
    /// # Errors
    /// `NotFound` for an unknown id or one outside the scope.
    async fn get(&self, scope: &Scope, id: FactId) -> Result<Fact>;

    /// Withdraws a fact without a successor: its validity ends now. Retracting it again changes nothing.
    ///
    /// # Errors
    /// `NotFound` for an unknown id or one outside the scope.
    async fn retract(&self, scope: &Scope, id: FactId) -> Result<Fact>;
}

/// Events, jobs and runs over many memories.
#[async_trait]
pub trait Maintenance: Send + Sync {
    /// What happened in the scope, newest first.
    async fn events(&self, scope: &Scope, request: ListEvents) -> Result<EventPage>;

    /// Background work of the tenant, newest first.
    async fn jobs(&self, scope: &Scope, request: ListJobs) -> Result<Vec<Job>> {
        let _ = (scope, request);
        unsupported("jobs")
    }

    /// One job.
    ///
    /// # Errors
    /// `NotFound` for an unknown id.
    async fn job(&self, scope: &Scope, id: JobId) -> Result<Job> {
        let _ = (scope, id);
        unsupported("jobs")
    }

    /// Turns episodes into gists and facts.
    async fn consolidate(&self, scope: &Scope) -> Result<Job> {
        let _ = scope;
        unsupported("consolidate")
    }

    /// Runs the forgetting policy; a dry run changes nothing and returns the plan.
    async fn run_forgetting(&self, scope: &Scope, dry_run: bool) -> Result<Job> {
        let _ = (scope, dry_run);
        unsupported("run_forgetting")
    }

    /// Ends the revision of recalled memories.
    async fn reconsolidate(&self, scope: &Scope) -> Result<Job> {
        let _ = scope;
        unsupported("reconsolidate")
    }

    /// Memories of the scope that were recalled lately and are open to revision, by conversation.
    async fn labile(&self, scope: &Scope) -> Result<LabileStatus> {
        let _ = scope;
        unsupported("labile status")
    }

    /// Makes every vector of the store again with `embedder`, which then serves the backend. Reads
    /// and writes go on with the former model until the last vector is there. Returns the number of
    /// records. A run that was cut off is taken up where it stopped.
    async fn reembed(&self, embedder: Arc<dyn Embedder>, progress: Progress) -> Result<u64> {
        let _ = (embedder, progress);
        unsupported("reembed")
    }
}

/// What spans tenants.
#[async_trait]
pub trait Admin: Send + Sync {
    /// Every tenant with its counts, by id.
    async fn tenants(&self) -> Result<Vec<TenantSummary>>;

    /// Adds one to the counter `key`, which the processes of one store share and which begins anew after
    /// each `window`; gives its value and what is left of the window. `None` where nothing is shared at
    /// the moment: then callers count for themselves.
    async fn count_request(&self, key: &str, window: Duration) -> Result<Option<(u64, Duration)>> {
        let _ = (key, window);
        Ok(None)
    }
}

/// The knowledge graph: entities, what mentions them, what relates them.
///
/// A scope sees the entities of its namespace and user and of nobody in particular; a session does not
/// narrow it. Where the graph is kept in a database of its own it follows the memories within seconds,
/// and while that database is away the answers come from the memories' own tables.
#[async_trait]
pub trait Graph: Send + Sync {
    /// Size of the graph: of a scope, or of every tenant without one.
    async fn stats(&self, scope: Option<&Scope>) -> Result<GraphStats>;

    /// The best connected entities, at most `limit` (1..=1000), with the relations between them.
    ///
    /// # Errors
    /// `InvalidInput` for a limit out of range.
    async fn overview(&self, scope: &Scope, limit: usize) -> Result<Subgraph>;

    /// The neighbourhood of an entity; empty for an unknown one.
    async fn explore(&self, scope: &Scope, request: ExploreGraph) -> Result<Subgraph>;

    /// Entities by a part of their name, best connected first; of every tenant without a scope.
    async fn search(&self, scope: Option<&Scope>, request: SearchEntities) -> Result<Vec<GraphNode>>;

    /// How far the graph is behind the memories: those of a scope's tenant, or all.
    async fn sync(&self, scope: Option<&Scope>) -> Result<GraphSync>;

    /// Tries again what failed too often, and says how many changes that are.
    async fn replay(&self, scope: &Scope) -> Result<u64>;

    /// Makes the tenant's graph anew from the memories' tables, in the background.
    async fn rebuild(&self, scope: &Scope) -> Result<()>;

    /// Compares the tenant's graph with the memories' tables and mends what differs.
    async fn repair(&self, scope: &Scope) -> Result<GraphRepair>;
}

/// Export and import in the portable format.
#[async_trait]
pub trait Transfer: Send + Sync {
    /// The scope's rows in the order of [`ExportLine`]: the header first, no trailer. The export is
    /// complete when the stream ends without an error.
    async fn export(
        &self,
        scope: &Scope,
        options: ExportOptions,
    ) -> Result<BoxStream<'static, Result<ExportLine>>>;

    /// Puts rows into the scope's tenant, whatever tenant they come from. Nothing is stored before the
    /// stream ended without an error. Idempotent by id: the higher version wins, ties skip; so a run
    /// that was cut off is finished by running it again. What was erased since does not come back. Rows
    /// of a foreign `origin` are written as new texts.
    ///
    /// # Errors
    /// `InvalidInput` naming the line of a broken export.
    async fn import(
        &self,
        scope: &Scope,
        lines: BoxStream<'static, Result<ExportLine>>,
    ) -> Result<ImportReport>;
}
