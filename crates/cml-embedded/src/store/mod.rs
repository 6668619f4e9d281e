//! What the engine asks of a database: commit a [`ChangeSet`], and read.
//!
//! A store decides nothing. It keeps rows, applies a change set in one transaction when its
//! preconditions hold, and answers questions by key, by page and by scope. Everything here acts
//! inside one tenant but for [`Store::tenants`] and the generations of the embedding model.

#![expect(clippy::exhaustive_enums, reason = "a store must know every case")]

mod cache;
mod candidates;
mod graph;
#[cfg(feature = "full")]
pub mod neo4j;
mod outbox;
#[cfg(feature = "standard")]
pub mod postgres;
#[cfg(feature = "full")]
pub mod redis;
#[cfg(any(feature = "lite", feature = "standard"))]
pub(crate) mod sql;
#[cfg(feature = "lite")]
pub mod sqlite;
#[cfg(feature = "full")]
mod tls;
mod transfer;

use std::{
    collections::{BTreeMap, HashMap},
    fmt::Debug,
};

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use cml_core::{
    FactId, MemoryId, MessageId, Result, Scope, Score, Subject,
    memory::{Event, Evidence, Fact, MemoryRecord, Message, RecordVersion, Role, Session},
    ops::{
        Edge, Entity, EventPage, ExportLine, FactList, FactVersion, ListEvents, ListFacts, ListOrder,
        ListRequest, Mention, OrderBy, Stats, TenantSummary,
    },
    provider::EmbeddingModel,
};
use half::f16;

pub use self::{
    cache::{Cache, CacheKey, Kept, LocalCache, Settled, Ticket},
    candidates::{CandidateFilter, CandidateSource, Census, StemFrequency, Visible, Voice, WantedWords},
    graph::{
        EdgeKey, EntityNode, GraphChanges, GraphDatabase, GraphKey, GraphKind, GraphProjection, GraphStore,
        GraphTables, Near, NearMemory, RecordNode, edge_key, entity_id, subject_name,
    },
    outbox::{Lease, Outbox, OutboxRow, OutboxStatus, Projected},
    transfer::{Known, RowKind},
};

/// First 16 bytes of a SHA-256.
pub type Digest = [u8; 16];

/// Number of an embedding model in one store, from 1.
pub type ModelId = i64;

/// A database that keeps memories.
///
/// Every method is a read but for [`commit`](Self::commit) and the two that open and close a
/// generation of vectors. Reads see what was committed before they began.
#[async_trait]
pub trait Store: GraphTables {
    /// The knowledge graph in the store's own tables.
    fn graph(&self) -> &dyn GraphStore;

    /// Applies the whole change set in one transaction, or nothing of it.
    ///
    /// When this returns [`Outcome::Committed`] the rows are durable. A dropped future neither undoes
    /// nor splits the transaction.
    ///
    /// # Errors
    /// `Unavailable` when the database is away, full, or locked beyond the busy timeout.
    async fn commit(&self, changes: ChangeSet) -> Result<Outcome>;

    /// Where the tenant stands; zeros for a tenant that was never written to.
    async fn tenant(&self, tenant: &str) -> Result<TenantState>;

    /// Rows changed after `seq`, oldest first, at most `limit`.
    async fn changes(&self, tenant: &str, seq: u64, limit: usize) -> Result<Tail>;

    /// What a write needs to know before it plans, in one consistent read.
    async fn observe(&self, tenant: &str, wanted: &Wanted) -> Result<Observed>;

    /// Turns for the search index, by id.
    async fn turns(&self, tenant: &str, select: Select<'_, MessageId>) -> Result<Vec<TurnRow>>;

    /// Records for the search index, with their vectors by `model`, by id.
    async fn indexed(
        &self,
        tenant: &str,
        model: ModelId,
        select: Select<'_, MemoryId>,
    ) -> Result<Vec<IndexedRow>>;

    /// Facts with their evidence for the search index, by id.
    async fn indexed_facts(&self, tenant: &str, select: Select<'_, FactId>) -> Result<Vec<Fact>>;

    /// Records in full, in the order of `ids`; unknown ids are left out.
    async fn records(&self, tenant: &str, ids: &[MemoryId]) -> Result<Vec<MemoryRecord>>;

    /// Records of the messages, by message and chunk index.
    async fn records_of(&self, tenant: &str, messages: &[MessageId]) -> Result<Vec<MemoryRecord>>;

    /// Former states of a record, oldest first.
    async fn versions(&self, tenant: &str, id: MemoryId) -> Result<Vec<RecordVersion>>;

    /// Records that the scope sees and the request matches but for its metadata filter, after `after`
    /// in its order, at most `limit`.
    async fn list(
        &self,
        scope: &Scope,
        request: &ListRequest,
        after: Option<&PageKey>,
        limit: usize,
    ) -> Result<Vec<MemoryRecord>>;

    /// Facts that rest on any of these records, with all their evidence.
    async fn facts_of(&self, tenant: &str, records: &[MemoryId]) -> Result<Vec<Fact>>;

    /// Facts that the scope sees, newest validity first, then id; `total` counts all pages.
    async fn facts(&self, scope: &Scope, request: &ListFacts) -> Result<FactList>;

    /// One fact with its evidence.
    async fn fact(&self, tenant: &str, id: FactId) -> Result<Option<Fact>>;

    /// Sessions that the scope sees, newest first.
    async fn sessions(&self, scope: &Scope) -> Result<Vec<Session>>;

    /// One session header.
    async fn session(&self, tenant: &str, session: &str) -> Result<Option<Session>>;

    /// Messages of a session that the scope sees, after `after`, at most `limit`, in order.
    async fn messages(&self, scope: &Scope, session: &str, after: u64, limit: usize) -> Result<Vec<Message>>;

    /// Messages by id, in any order.
    async fn messages_by_id(&self, tenant: &str, ids: &[MessageId]) -> Result<Vec<Message>>;

    /// For each message the one that follows it in its session, with the one that then comes before
    /// that: what a removal of `messages` leaves with a stale context vector.
    async fn followers(&self, tenant: &str, removed: &Removal) -> Result<Vec<Follower>>;

    /// Counts of what the scope sees.
    async fn stats(&self, scope: &Scope) -> Result<Stats>;

    /// Events that the scope sees, newest first; `total` counts all pages.
    async fn events(&self, scope: &Scope, request: &ListEvents) -> Result<EventPage>;

    /// Every tenant with its counts, by id.
    async fn tenants(&self) -> Result<Vec<TenantSummary>>;

    /// The generation that serves, and the one that is being made, if any.
    async fn generations(&self) -> Result<Generations>;

    /// Opens a generation for `model` beside the one that serves, or takes up the one opened before.
    async fn open_generation(&self, model: &EmbeddingModel) -> Result<ModelId>;

    /// Makes `model` the generation that serves and removes the vectors of all others, if every record
    /// of every tenant has its vector; `false`, and nothing changed, otherwise.
    async fn close_generation(&self, model: ModelId) -> Result<bool>;

    /// Records that have no vector by `model`, of one tenant or of all, with the text before them in
    /// their session, by tenant and id after `after`, at most `limit`.
    async fn unembedded(
        &self,
        model: ModelId,
        tenant: Option<&str>,
        after: Option<(&str, MemoryId)>,
        limit: usize,
    ) -> Result<Vec<Unembedded>>;

    /// How many records have no vector by `model`.
    async fn count_unembedded(&self, model: ModelId) -> Result<u64>;

    /// Rows of `kind` that the scope sees, as lines of the portable format, in the order of their keys:
    /// those after the row of `after`, at most `limit`. Versions, vectors, mentions, edges and evidence
    /// are seen with what they hang on; facts come without their evidence.
    async fn export(
        &self,
        scope: &Scope,
        kind: RowKind,
        after: Option<&ExportLine>,
        limit: usize,
    ) -> Result<Vec<ExportLine>>;

    /// What is known of each of these rows, all of one kind, in their order. The scope's tenant counts,
    /// not the one that the rows name. An embedding is compared with the vectors of the model that serves.
    async fn known(&self, scope: &Scope, rows: &[ExportLine]) -> Result<Vec<Known>>;

    /// What proposes candidates of reads, where this database can.
    fn candidates(&self) -> Option<&dyn CandidateSource> {
        None
    }

    /// A small request, for health checks: version of the database and where it keeps its rows.
    async fn ping(&self) -> Result<BTreeMap<String, serde_json::Value>>;

    /// Finishes what was begun and closes connections; later calls are `Unavailable`.
    async fn close(&self) -> Result<()>;
}

/// What must hold when a change set is applied. Each compares with what the plan was made from.
#[derive(Debug, Clone, PartialEq)]
pub enum Precondition {
    /// The record exists in this version.
    Version(MemoryId, u64),
    /// The newest record with this dedup digest is this one, or there is none.
    Dedup(Digest, Option<MemoryId>),
    /// The record under the caller's key is this one, or there is none.
    Key(KeyOf, Option<MemoryId>),
    /// These facts of the slot are current, by id, and no others.
    Slot(SlotOf, Vec<FactId>),
    /// No message of the session has this turn id and role.
    Turn(TurnOf),
    /// No live entry has this idempotency key.
    Unused(String),
    /// Nothing of the tenant was erased since.
    Epoch(u64),
    /// Nothing of the tenant changed since.
    Seq(u64),
    /// This generation of vectors serves.
    Model(ModelId),
}

/// A caller's key, unique per namespace and user.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct KeyOf {
    /// The namespace.
    pub namespace: String,
    /// The user, or empty.
    pub user: String,
    /// The key.
    pub key: String,
}

/// What has one current value (or a set of them) per namespace and user.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct SlotOf {
    /// The namespace.
    pub namespace: String,
    /// The user, or empty.
    pub user: String,
    /// Whom it is about.
    pub subject: String,
    /// The slot.
    pub slot: String,
}

/// A caller's turn in a session.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct TurnOf {
    /// The session.
    pub session: String,
    /// Who speaks.
    pub role: Role,
    /// The caller's id of the turn.
    pub turn_id: String,
}

/// Rows to put, change and remove in one transaction of one tenant.
///
/// Applied in the order of the fields. `put` means insert, or replace the row of the same id.
#[derive(Debug, Clone, Default)]
pub struct ChangeSet {
    /// The tenant; its row is made when it is new.
    pub tenant: String,
    /// What must hold, else nothing is applied.
    pub require: Vec<Precondition>,
    /// Removes every row of the subject from every table, facts and entities that lose their last
    /// evidence or mention, with the edges of either, leaves tombstones, raises the epoch, and clears free pages.
    pub erase: Option<Subject>,
    /// Removes records with versions, vectors, words, mentions, evidence and the facts and entities
    /// that lose their last evidence or mention, with the edges of either. A message or turn that loses its last record goes too.
    pub delete_records: Vec<MemoryId>,
    /// Opened where no session of this id exists; an existing one is left as it is.
    pub sessions: Vec<Session>,
    /// Put at their own number in their session; one whose number is taken, or that would come before
    /// one placed by this change set, is appended instead. Left out where the id is taken.
    pub placed: Vec<Message>,
    /// Appended to their sessions: the store numbers them (`seq` is ignored).
    pub messages: Vec<Message>,
    /// Put. The row's former state goes to `versions`, given apart.
    pub records: Vec<RecordPut>,
    /// Former states of records.
    pub versions: Vec<RecordVersion>,
    /// Put; those of a session take the number of their message.
    pub turns: Vec<TurnRow>,
    /// Records whose vectors are removed: they stand for a former text.
    pub unembed: Vec<MemoryId>,
    /// Put, one per (record, model, view).
    pub embeddings: Vec<EmbeddingPut>,
    /// Put; the evidence inside is ignored.
    pub facts: Vec<Fact>,
    /// Former states of facts.
    pub fact_versions: Vec<FactVersion>,
    /// Added unless there.
    pub evidence: Vec<(FactId, Evidence)>,
    /// Added unless an entity of the same id is there.
    pub entities: Vec<Entity>,
    /// Added unless there.
    pub mentions: Vec<Mention>,
    /// Edges that are removed; those without a row are passed over.
    pub cut: Vec<EdgeKey>,
    /// Put, one per (source, target, predicate).
    pub edges: Vec<Edge>,
    /// Strengthens records that were said again; no new version.
    pub reinforced: Vec<Reinforcement>,
    /// Counts accesses; not a change that the index sees.
    pub accessed: Vec<Access>,
    /// Added.
    pub events: Vec<Event>,
    /// Added; expired entries are removed on the way.
    pub idempotency: Vec<IdempotencyRow>,
}

impl ChangeSet {
    /// A change set of `tenant` that changes nothing yet.
    #[must_use]
    pub fn new(tenant: impl Into<String>) -> Self {
        Self { tenant: tenant.into(), ..Self::default() }
    }
}

/// What became of a change set.
#[derive(Debug, Clone, PartialEq)]
pub enum Outcome {
    /// Applied.
    Committed(Committed),
    /// Nothing was applied: this precondition does not hold.
    Refused(Precondition),
}

/// What an applied change set left behind.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Committed {
    /// `last_seq` of the tenant after it.
    pub seq: u64,
    /// Rows removed by `erase` and `delete_records`, by table.
    pub removed: BTreeMap<String, u64>,
    /// Placed messages that got another number than their own.
    pub moved: u64,
}

/// Where a tenant stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct TenantState {
    /// Number of its last change.
    pub last_seq: u64,
    /// Number of erasures.
    pub epoch: u64,
}

/// A change that an index follows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Changed {
    /// A record was put or removed.
    Record(MemoryId),
    /// A turn (message or memory without a session) was put or removed.
    Turn(MessageId),
    /// A fact was put or removed.
    Fact(FactId),
}

/// The end of a tenant's list of changes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Tail {
    /// Numbers and rows, oldest first.
    Rows(Vec<(u64, Changed)>),
    /// The list no longer reaches back that far: read everything.
    Gone,
}

/// Which rows of a table to read.
#[derive(Debug, Clone, Copy)]
pub enum Select<'a, Id> {
    /// These, in any order; unknown ids are left out.
    Ids(&'a [Id]),
    /// A page: those after this id (`None` for the beginning), in the order of ids, at most this many.
    After(Option<Id>, usize),
}

/// What a write wants to know.
#[derive(Debug, Clone, Default)]
pub struct Wanted {
    /// The newest record of each dedup digest.
    pub dedup: Vec<Digest>,
    /// The record under each key.
    pub keys: Vec<KeyOf>,
    /// The current facts of each slot.
    pub slots: Vec<SlotOf>,
    /// The message of each turn id.
    pub turns: Vec<TurnOf>,
    /// The live entry of each idempotency key.
    pub idempotency: Vec<String>,
    /// The last message of each session.
    pub last_messages: Vec<String>,
    /// The instant at which idempotency entries must be live.
    pub now: DateTime<Utc>,
}

/// The answer to [`Wanted`]; what does not exist is absent.
#[derive(Debug, Clone, Default)]
pub struct Observed {
    /// Where the tenant stands.
    pub state: TenantState,
    /// The generation of vectors that serves.
    pub model: ModelId,
    /// Newest record by dedup digest.
    pub dedup: HashMap<Digest, MemoryRecord>,
    /// Record by key.
    pub keys: HashMap<KeyOf, MemoryRecord>,
    /// Current facts by slot, by id, with their evidence.
    pub slots: HashMap<SlotOf, Vec<Fact>>,
    /// Message by turn, with the number of records of that message's memory.
    pub turns: HashMap<TurnOf, (Message, u32)>,
    /// Entry by idempotency key.
    pub idempotency: HashMap<String, IdempotencyRow>,
    /// Last message by session.
    pub last_messages: HashMap<String, Message>,
}

/// A record to put.
#[derive(Debug, Clone)]
pub struct RecordPut {
    /// The row.
    pub record: MemoryRecord,
    /// Digest of what makes it the same text; only on the first chunk of a text that may be said again.
    pub dedup: Option<Digest>,
}

/// A turn: a message of a session, or a memory without one, as the search index needs it.
#[derive(Debug, Clone, PartialEq)]
pub struct TurnRow {
    /// The message; for a memory without a session the id that joins its chunks.
    pub id: MessageId,
    /// Its namespace.
    pub namespace: String,
    /// Its user, or empty.
    pub user: String,
    /// Its agent, or empty.
    pub agent: String,
    /// Its session, or empty.
    pub session: String,
    /// Its number in the session; 0 without one.
    pub seq: u64,
    /// Who speaks.
    pub role: Role,
    /// Name of who speaks, or empty.
    pub speaker: String,
    /// When it was said.
    pub said_at: DateTime<Utc>,
    /// Its analysed words, in the stored form of the search module.
    pub terms: String,
    /// Number of words.
    pub length: u32,
    /// Marks of the analysis.
    pub flags: u32,
}

/// A vector and its length before it was normalised.
#[derive(Debug, Clone, PartialEq)]
pub struct Vector {
    /// Unit vector.
    pub values: Vec<f16>,
    /// Length before normalisation.
    pub norm: f32,
}

/// What a vector stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum View {
    /// The record's own text.
    Own,
    /// The message before it and the text.
    Context,
}

/// A vector to put.
#[derive(Debug, Clone)]
pub struct EmbeddingPut {
    /// The record.
    pub record: MemoryId,
    /// The model that made it.
    pub model: ModelId,
    /// What it stands for.
    pub view: View,
    /// The vector.
    pub vector: Vector,
}

/// A record as the search index needs it.
#[derive(Debug, Clone)]
pub struct IndexedRow {
    /// The record.
    pub id: MemoryId,
    /// Its turn.
    pub turn: MessageId,
    /// Position among the chunks of its text.
    pub chunk_index: u32,
    /// Its type.
    pub memory_type: cml_core::memory::MemoryType,
    /// Its status.
    pub status: cml_core::memory::MemoryStatus,
    /// Its agent, or empty.
    pub agent: String,
    /// Its tags.
    pub tags: Vec<String>,
    /// Its metadata as canonical JSON; absent when empty.
    pub metadata: Option<String>,
    /// Start and end of what it tells about, in microseconds since 1970.
    pub event: Option<(i64, i64)>,
    /// From when it holds, in microseconds.
    pub valid_from: Option<i64>,
    /// Until when it held, in microseconds.
    pub valid_to: Option<i64>,
    /// From when it is not returned, in microseconds.
    pub expires_at: Option<i64>,
    /// Whether a newer statement took its place.
    pub superseded: bool,
    /// When it was stored, in microseconds.
    pub written_at: i64,
    /// Its own vector.
    pub own: Option<Vector>,
    /// Its context vector, where it is stored.
    pub context: Option<Vector>,
}

/// Strengthens a record that was said again.
#[derive(Debug, Clone, PartialEq)]
pub struct Reinforcement {
    /// The record.
    pub id: MemoryId,
    /// Its confidence afterwards is the larger of the present one and this.
    pub confidence: Score,
    /// When.
    pub at: DateTime<Utc>,
}

/// A record that reads returned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Access {
    /// The record.
    pub id: MemoryId,
    /// How often.
    pub count: u64,
    /// When last.
    pub at: DateTime<Utc>,
}

/// The first answer to a request with an idempotency key. Holds ids, never text.
#[derive(Debug, Clone, PartialEq)]
pub struct IdempotencyRow {
    /// The key, with the verb in front.
    pub key: String,
    /// Digest of the request.
    pub request: Digest,
    /// The answer as JSON, without text.
    pub answer: serde_json::Value,
    /// Whose it is.
    pub scope: Scope,
    /// Until when it is kept.
    pub expires_at: DateTime<Utc>,
}

/// Where a page of a list ended: the value of the ordering column and the id.
#[derive(Debug, Clone, PartialEq)]
pub struct PageKey {
    /// The ordering column.
    pub order_by: OrderBy,
    /// The direction.
    pub order: ListOrder,
    /// Microseconds, a count, or a score; names are in `text`.
    pub number: f64,
    /// The name, where the column is one.
    pub text: String,
    /// The record.
    pub id: MemoryId,
}

impl PageKey {
    /// Where a page in the order of `request` ends whose last record is `record`.
    #[must_use]
    #[expect(
        clippy::cast_precision_loss,
        reason = "microseconds since 1970 stay below 2^53 until the year 2255"
    )]
    pub fn of(record: &MemoryRecord, request: &ListRequest) -> Self {
        let (number, text) = match request.order_by {
            OrderBy::Timestamp => (record.timestamp.timestamp_micros() as f64, ""),
            OrderBy::Confidence => (record.confidence.get(), ""),
            OrderBy::Importance => (record.importance.get(), ""),
            OrderBy::AccessCount => (record.access_count as f64, ""),
            OrderBy::Type => (0.0, record.memory_type.as_str()),
            OrderBy::Status => (0.0, record.status.as_str()),
            _ => (record.written_at.timestamp_micros() as f64, ""),
        };
        Self {
            order_by: request.order_by,
            order: request.order,
            number,
            text: text.to_owned(),
            id: record.id,
        }
    }
}

/// What is about to be removed.
#[derive(Debug, Clone)]
pub enum Removal {
    /// A subject.
    Subject(Subject),
    /// Records, each with its message.
    Records(Vec<MemoryId>),
}

/// A message that stays while the one before it goes.
#[derive(Debug, Clone)]
pub struct Follower {
    /// Its records.
    pub records: Vec<MemoryRecord>,
    /// The text that then comes before it; none at the beginning of the session.
    pub before: Option<String>,
}

/// A record that waits for its vector.
#[derive(Debug, Clone)]
pub struct Unembedded {
    /// The record.
    pub record: MemoryRecord,
    /// The text before it in its session.
    pub before: Option<String>,
}

/// The generations of vectors in a store.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Generations {
    /// The one that serves; none in a new store.
    pub serving: Option<(ModelId, EmbeddingModel)>,
    /// The one that is being made.
    pub opened: Option<(ModelId, EmbeddingModel)>,
}
