//! Stores, and rows to put.

use std::{any::Any, ops::Deref, sync::Arc};

use chrono::{DateTime, TimeDelta, Utc};
use cml_core::{
    DecayRate, EventId, FactId, MemoryId, MessageId, Scope, Score,
    memory::{
        Event, EventType, Evidence, Fact, FactCategory, FactStatus, MemoryRecord, MemorySource, MemoryStatus,
        MemoryType, Message, Metadata, OperationType, Role, Session,
    },
    provider::EmbeddingModel,
};
#[cfg(feature = "lite")]
use cml_embedded::store::sqlite::{SqliteOptions, SqliteStore};
use cml_embedded::store::{
    ChangeSet, Committed, EmbeddingPut, Outcome, Precondition, RecordPut, Store, TurnRow, Vector, View,
};
use half::f16;
#[cfg(feature = "lite")]
use tempfile::TempDir;

#[cfg(feature = "standard")]
use crate::postgres::fixture::{PostgresStore, Schema, url};

pub(crate) type TestResult<T = ()> = Result<T, Box<dyn std::error::Error + Send + Sync>>;

pub(crate) const DIMENSIONS: usize = 8;

pub(crate) fn model() -> EmbeddingModel {
    EmbeddingModel::new("test", DIMENSIONS)
}

/// A database that the cases run on.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Kind {
    #[cfg(feature = "lite")]
    Sqlite,
    #[cfg(feature = "standard")]
    Postgres,
    /// PostgreSQL with row-level security.
    #[cfg(feature = "standard")]
    Guarded,
}

impl Kind {
    /// Whether this kind can be had here; a service that is missing is said loudly.
    pub(crate) fn is_there(self) -> bool {
        match self {
            #[cfg(feature = "lite")]
            Self::Sqlite => true,
            #[cfg(feature = "standard")]
            Self::Postgres | Self::Guarded => url().is_some(),
        }
    }

    /// A new, empty store.
    pub(crate) async fn store(self) -> TestResult<TestStore> {
        match self {
            #[cfg(feature = "lite")]
            Self::Sqlite => Ok(TestStore::new(memory().await?, ())),
            #[cfg(feature = "standard")]
            Self::Postgres => {
                let schema = Schema::new().ok_or("no server")?;
                Ok(TestStore::new(schema.open().await?, schema))
            }
            #[cfg(feature = "standard")]
            Self::Guarded => {
                let mut schema = Schema::new().ok_or("no server")?;
                let options = schema.guarded().await?;
                Ok(TestStore::new(PostgresStore::open(options).await?, schema))
            }
        }
    }

    /// A new, empty store that reads while it writes.
    pub(crate) async fn shared_store(self) -> TestResult<TestStore> {
        match self {
            #[cfg(feature = "lite")]
            Self::Sqlite => {
                let (folder, store) = file().await?;
                Ok(TestStore::new(store, folder))
            }
            #[cfg(feature = "standard")]
            Self::Postgres | Self::Guarded => self.store().await,
        }
    }
}

/// A store of some kind, and the place that goes with its last clone.
#[derive(Clone)]
pub(crate) struct TestStore {
    store: Arc<dyn Store>,
    _place: Arc<dyn Any + Send + Sync>,
}

impl TestStore {
    fn new(store: impl Store, place: impl Any + Send + Sync) -> Self {
        Self { store: Arc::new(store), _place: Arc::new(place) }
    }
}

impl Deref for TestStore {
    type Target = dyn Store;

    fn deref(&self) -> &Self::Target {
        &*self.store
    }
}

/// Makes a test of each case for every kind of store.
macro_rules! on_each_store {
    ($($case:ident),+ $(,)?) => {
        #[cfg(feature = "lite")]
        mod sqlite {
            crate::fixtures::on_each_store!(Sqlite: $($case),+);
        }
        #[cfg(feature = "standard")]
        mod postgres {
            crate::fixtures::on_each_store!(Postgres: $($case),+);
        }
        #[cfg(feature = "standard")]
        mod postgres_with_row_level_security {
            crate::fixtures::on_each_store!(Guarded: $($case),+);
        }
    };
    ($kind:ident: $($case:ident),+) => {
        $(#[tokio::test]
        async fn $case() -> crate::fixtures::TestResult {
            let kind = crate::fixtures::Kind::$kind;
            if kind.is_there() { super::$case(kind).await } else { Ok(()) }
        })+
    };
}
pub(crate) use on_each_store;

#[cfg(feature = "lite")]
pub(crate) async fn memory() -> TestResult<SqliteStore> {
    Ok(SqliteStore::open(SqliteOptions::in_memory(model())).await?)
}

#[cfg(feature = "lite")]
pub(crate) async fn file() -> TestResult<(TempDir, SqliteStore)> {
    let folder = tempfile::tempdir()?;
    let store = SqliteStore::open(SqliteOptions::file(folder.path().join("memory.db"), model())).await?;
    Ok((folder, store))
}

/// `seconds` after a fixed instant.
pub(crate) fn at(seconds: i64) -> DateTime<Utc> {
    DateTime::UNIX_EPOCH + TimeDelta::seconds(1_700_000_000 + seconds)
}

pub(crate) fn scope() -> TestResult<Scope> {
    Ok(Scope::new("acme")?)
}

pub(crate) fn record(text: &str) -> MemoryRecord {
    MemoryRecord {
        id: MemoryId::new(),
        tenant_id: "acme".into(),
        namespace: "default".into(),
        user_id: String::new(),
        agent_id: String::new(),
        session_id: String::new(),
        text: text.into(),
        memory_type: MemoryType::EpisodicEvent,
        status: MemoryStatus::Active,
        key: None,
        context_tags: Vec::new(),
        metadata: Metadata::new(),
        confidence: Score::clamped(0.8),
        importance: Score::clamped(0.5),
        decay_rate: DecayRate::half_life_days(69.0),
        access_count: 0,
        last_accessed_at: None,
        timestamp: at(0),
        event_start: None,
        event_end: None,
        written_at: at(0),
        valid_from: None,
        valid_to: None,
        expires_at: None,
        source: MemorySource::UserExplicit,
        role: Role::User,
        speaker: String::new(),
        message_id: MessageId::new(),
        chunk_index: 0,
        content_hash: "c0ffee".repeat(11)[..64].to_owned(),
        version: 1,
        supersedes_id: None,
        superseded_by_id: None,
    }
}

pub(crate) fn message(record: &MemoryRecord) -> Message {
    Message {
        id: record.message_id,
        tenant_id: record.tenant_id.clone(),
        namespace: record.namespace.clone(),
        user_id: record.user_id.clone(),
        agent_id: record.agent_id.clone(),
        session_id: record.session_id.clone(),
        seq: 0,
        role: record.role,
        speaker: record.speaker.clone(),
        text: record.text.clone(),
        metadata: record.metadata.clone(),
        said_at: record.timestamp,
        turn_id: String::new(),
        memory_id: Some(record.id),
    }
}

pub(crate) fn turn(record: &MemoryRecord) -> TurnRow {
    TurnRow {
        id: record.message_id,
        namespace: record.namespace.clone(),
        user: record.user_id.clone(),
        agent: record.agent_id.clone(),
        session: record.session_id.clone(),
        seq: 0,
        role: record.role,
        speaker: record.speaker.clone(),
        said_at: record.timestamp,
        terms: record.text.to_lowercase(),
        length: record.text.split_whitespace().count().try_into().unwrap_or(u32::MAX),
        flags: 0,
    }
}

pub(crate) fn vector(dimensions: usize, seed: usize) -> Vector {
    let values =
        (0..dimensions).map(|index| f16::from_f32(((index * 31 + seed * 7) % 100) as f32 / 100.0)).collect();
    Vector { values, norm: 1.5 }
}

pub(crate) fn embedding(record: MemoryId, dimensions: usize) -> EmbeddingPut {
    EmbeddingPut {
        record,
        model: 1,
        view: View::Own,
        vector: vector(dimensions, record.as_uuid().as_bytes()[15].into()),
    }
}

pub(crate) fn event(record: &MemoryRecord) -> Event {
    Event {
        id: EventId::new(),
        tenant_id: record.tenant_id.clone(),
        namespace: record.namespace.clone(),
        user_id: record.user_id.clone(),
        agent_id: record.agent_id.clone(),
        session_id: record.session_id.clone(),
        event_type: EventType::Memory,
        operation: OperationType::Write,
        payload: Metadata::new(),
        memory_ids: vec![record.id],
        created_at: record.written_at,
    }
}

pub(crate) fn session(record: &MemoryRecord) -> Session {
    Session {
        session_id: record.session_id.clone(),
        tenant_id: record.tenant_id.clone(),
        namespace: record.namespace.clone(),
        user_id: record.user_id.clone(),
        agent_id: record.agent_id.clone(),
        name: String::new(),
        kind: String::new(),
        participants: Vec::new(),
        metadata: Metadata::new(),
        created_at: record.timestamp,
        expires_at: None,
    }
}

/// A fact in the slot `residence` that rests on the record.
pub(crate) fn fact(record: &MemoryRecord, value: &str) -> Fact {
    Fact {
        id: FactId::new(),
        tenant_id: record.tenant_id.clone(),
        namespace: record.namespace.clone(),
        user_id: record.user_id.clone(),
        agent_id: record.agent_id.clone(),
        session_id: record.session_id.clone(),
        subject: "user".into(),
        predicate: "current_city".into(),
        value: value.into(),
        category: FactCategory::Location,
        slot: "residence".into(),
        situations: vec!["travel".into()],
        confidence: Score::clamped(0.9),
        source: MemorySource::UserExplicit,
        status: FactStatus::Current,
        valid_from: record.timestamp,
        valid_to: None,
        recorded_at: record.written_at,
        version: 1,
        supersedes_id: None,
        superseded_by_id: None,
        evidence: vec![Evidence::Memory(record.id)],
    }
}

/// A record with all that a write puts beside it.
pub(crate) fn add(changes: &mut ChangeSet, record: &MemoryRecord, dimensions: usize) {
    if !record.session_id.is_empty() {
        changes.messages.push(message(record));
    }
    changes.turns.push(turn(record));
    changes.embeddings.push(embedding(record.id, dimensions));
    changes.events.push(event(record));
    changes.records.push(RecordPut { record: record.clone(), dedup: Some(*record.id.as_uuid().as_bytes()) });
}

pub(crate) fn write(record: &MemoryRecord) -> ChangeSet {
    let mut changes = ChangeSet::new(&*record.tenant_id);
    add(&mut changes, record, DIMENSIONS);
    changes
}

pub(crate) fn add_fact(changes: &mut ChangeSet, fact: &Fact) {
    changes.evidence.extend(fact.evidence.iter().map(|evidence| (fact.id, *evidence)));
    changes.facts.push(fact.clone());
}

/// Commits what must not be refused.
pub(crate) async fn commit(store: &dyn Store, changes: ChangeSet) -> TestResult<Committed> {
    match store.commit(changes).await? {
        Outcome::Committed(committed) => Ok(committed),
        Outcome::Refused(precondition) => Err(format!("refused by {precondition:?}").into()),
    }
}

/// An otherwise empty change set with one precondition.
pub(crate) async fn holds(store: &dyn Store, precondition: Precondition) -> TestResult<bool> {
    let mut changes = ChangeSet::new("acme");
    changes.require.push(precondition.clone());
    match store.commit(changes).await? {
        Outcome::Committed(_) => Ok(true),
        Outcome::Refused(refused) if refused == precondition => Ok(false),
        Outcome::Refused(other) => Err(format!("refused by {other:?}").into()),
    }
}
