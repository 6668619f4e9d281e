//! The questions to the graph in the tables of a store.

use async_trait::async_trait;
use cml_core::{
    DecayRate, MemoryId, MessageId, Score,
    memory::{MemoryRecord, MemorySource, Metadata, Role},
    ops::Mention,
    provider::EmbeddingModel,
};
use cml_embedded::store::{
    ChangeSet, GraphChanges, GraphStore, Outcome, RecordNode, RecordPut, Store,
    sqlite::{SqliteOptions, SqliteStore},
};

use super::{
    fixtures::{Subject, TestResult, at},
    questions::{self, questions},
};

/// A store whose graph is asked.
pub(crate) struct SqlSubject<S> {
    pub(crate) store: S,
    pub(crate) tenant: String,
}

#[async_trait]
impl<S: Store + GraphStore> Subject for SqlSubject<S> {
    fn graph(&self) -> &dyn GraphStore {
        &self.store
    }

    fn tenant(&self) -> &str {
        &self.tenant
    }

    async fn put(&self, tenant: &str, rows: &GraphChanges) -> TestResult {
        match self.store.commit(changes(tenant, rows)).await? {
            Outcome::Committed(_) => Ok(()),
            Outcome::Refused(precondition) => Err(format!("refused by {precondition:?}").into()),
        }
    }
}

/// The rows as a write would put them.
fn changes(tenant: &str, rows: &GraphChanges) -> ChangeSet {
    let mut changes = ChangeSet::new(tenant);
    changes.sessions = rows.sessions.values().flatten().cloned().collect();
    for node in rows.entities.values().flatten() {
        changes.entities.push(node.entity.clone());
        changes.edges.extend(node.edges.iter().cloned());
    }
    for (id, node) in &rows.records {
        let Some(node) = node else { continue };
        let record = record(tenant, *id, node);
        changes.mentions.extend(node.mentions.iter().map(|entity_id| Mention {
            entity_id: *entity_id,
            memory_id: *id,
            message_id: record.message_id,
        }));
        changes.records.push(RecordPut { record, dedup: None });
    }
    for fact in rows.facts.values().flatten() {
        changes.evidence.extend(fact.evidence.iter().map(|evidence| (fact.id, *evidence)));
        changes.facts.push(fact.clone());
    }
    changes
}

fn record(tenant: &str, id: MemoryId, node: &RecordNode) -> MemoryRecord {
    MemoryRecord {
        id,
        tenant_id: tenant.into(),
        namespace: node.namespace.clone(),
        user_id: node.user.clone(),
        agent_id: String::new(),
        session_id: node.session.clone(),
        text: "said".into(),
        memory_type: node.memory_type,
        status: node.status,
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
        message_id: MessageId::from_uuid(*id.as_uuid()),
        chunk_index: 0,
        content_hash: "c0ffee".repeat(11)[..64].to_owned(),
        version: 1,
        supersedes_id: None,
        superseded_by_id: None,
    }
}

macro_rules! answers {
    ($($case:ident,)+) => {$(
        #[tokio::test]
        async fn $case() -> TestResult {
            let store = SqliteStore::open(SqliteOptions::in_memory(EmbeddingModel::new("test", 8))).await?;
            questions::$case(&SqlSubject { store, tenant: "acme".into() }).await
        }
    )+};
}

questions!(answers);
