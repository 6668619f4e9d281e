//! Small graphs to put, and what they are put into.

use async_trait::async_trait;
use chrono::{DateTime, TimeDelta, Utc};
use cml_core::{
    EntityId, FactId, MemoryId, Scope, Score,
    memory::{
        Evidence, Fact, FactCategory, FactStatus, MemorySource, MemoryStatus, MemoryType, Metadata, Session,
    },
    ops::{Edge, Entity, ExploreGraph, Subgraph},
};
use cml_embedded::store::{EntityNode, GraphChanges, GraphStore, Near, NearMemory, RecordNode};
use uuid::Uuid;

pub(crate) type TestResult<T = ()> = Result<T, Box<dyn std::error::Error + Send + Sync>>;

/// A graph under test.
#[async_trait]
pub(crate) trait Subject: Send + Sync {
    /// The graph that is asked.
    fn graph(&self) -> &dyn GraphStore;

    /// A tenant of the test's own; others begin with its name.
    fn tenant(&self) -> &str;

    /// Puts the rows of a tenant that had none.
    async fn put(&self, tenant: &str, rows: &GraphChanges) -> TestResult;
}

/// A graph in the making.
#[derive(Default)]
pub(crate) struct Sketch {
    pub(crate) rows: GraphChanges,
    tenant: String,
    namespace: String,
    user: String,
}

impl Sketch {
    /// Of nobody in particular in the namespace `default`.
    pub(crate) fn new(tenant: &str) -> Self {
        Self { tenant: tenant.into(), namespace: "default".into(), ..Self::default() }
    }

    /// What follows is in this namespace and of this user.
    pub(crate) fn of(&mut self, namespace: &str, user: &str) {
        self.namespace = namespace.into();
        self.user = user.into();
    }

    pub(crate) fn entity(&mut self, name: &str) -> EntityId {
        // Rising, so that the order of ids is that of the lines of a test.
        let id = EntityId::from_uuid(Uuid::from_u128(0x1000 + self.rows.entities.len() as u128));
        let entity = Entity {
            id,
            tenant_id: self.tenant.clone(),
            namespace: self.namespace.clone(),
            user_id: self.user.clone(),
            name: name.into(),
            entity_type: "person".into(),
        };
        self.rows.entities.insert(id, Some(EntityNode { entity, edges: Vec::new() }));
        id
    }

    pub(crate) fn entities<const N: usize>(&mut self, names: [&str; N]) -> [EntityId; N] {
        names.map(|name| self.entity(name))
    }

    /// A memory newer than those before it.
    pub(crate) fn record(&mut self, mentions: &[EntityId]) -> MemoryId {
        let id = MemoryId::from_uuid(Uuid::from_u128(0x2000 + self.rows.records.len() as u128));
        let mut mentions = mentions.to_vec();
        mentions.sort_unstable();
        let record = RecordNode {
            namespace: self.namespace.clone(),
            user: self.user.clone(),
            session: String::new(),
            memory_type: MemoryType::EpisodicEvent,
            status: MemoryStatus::Active,
            mentions,
        };
        self.rows.records.insert(id, Some(record));
        id
    }

    pub(crate) fn edge(&mut self, source: EntityId, predicate: &str, target: EntityId, confidence: f64) {
        if let Some(Some(node)) = self.rows.entities.get_mut(&source) {
            node.edges.push(Edge { source, target, predicate: predicate.into(), confidence });
            node.edges.sort_by(|a, b| (a.target, &a.predicate).cmp(&(b.target, &b.predicate)));
        }
    }

    pub(crate) fn fact(&mut self, evidence: &[Evidence]) -> FactId {
        let id = FactId::from_uuid(Uuid::from_u128(0x3000 + self.rows.facts.len() as u128));
        let fact = Fact {
            id,
            tenant_id: self.tenant.clone(),
            namespace: self.namespace.clone(),
            user_id: self.user.clone(),
            agent_id: "guide".into(),
            session_id: String::new(),
            subject: "user".into(),
            predicate: "current_city".into(),
            value: "Åre \"north\"".into(),
            category: FactCategory::Location,
            slot: "residence".into(),
            situations: vec!["travel".into()],
            confidence: Score::clamped(0.1 + 0.2),
            source: MemorySource::UserExplicit,
            status: FactStatus::Current,
            valid_from: at(1),
            valid_to: Some(at(2)),
            recorded_at: at(3),
            version: 2,
            supersedes_id: Some(FactId::from_uuid(Uuid::from_u128(7))),
            superseded_by_id: None,
            evidence: evidence.to_vec(),
        };
        self.rows.facts.insert(id, Some(fact));
        id
    }

    pub(crate) fn session(&mut self, id: &str) {
        let session = Session {
            session_id: id.into(),
            tenant_id: self.tenant.clone(),
            namespace: self.namespace.clone(),
            user_id: self.user.clone(),
            agent_id: String::new(),
            name: "A talk".into(),
            kind: "chat".into(),
            participants: vec!["Ana".into(), "Bo".into()],
            metadata: Metadata::from_iter([("weight".to_owned(), (0.1 + 0.2).into())]),
            created_at: at(0),
            expires_at: Some(at(60)),
        };
        self.rows.sessions.insert(id.into(), Some(session));
    }
}

/// So many seconds and one microsecond after a fixed instant.
pub(crate) fn at(seconds: i64) -> DateTime<Utc> {
    DateTime::UNIX_EPOCH + TimeDelta::seconds(1_700_000_000 + seconds) + TimeDelta::microseconds(1)
}

pub(crate) fn scope(tenant: &str) -> TestResult<Scope> {
    Ok(Scope::new(tenant)?)
}

/// Names of the entities, in their order.
pub(crate) fn names(graph: &Subgraph) -> Vec<&str> {
    graph.nodes.iter().map(|node| &*node.entity).collect()
}

/// Names of what is around an entity.
pub(crate) async fn around(
    graph: &dyn GraphStore,
    scope: &Scope,
    request: ExploreGraph,
) -> TestResult<Vec<String>> {
    let found = graph.explore(scope, &request).await?;
    Ok(names(&found).into_iter().map(str::to_owned).collect())
}

pub(crate) fn near(names: &[&str], hops: u8) -> Near {
    Near { names: names.iter().map(|name| (*name).to_owned()).collect(), hops, fan_out: 25, limit: 100 }
}

pub(crate) fn hops(found: &[NearMemory]) -> Vec<(MemoryId, u8)> {
    found.iter().map(|memory| (memory.id, memory.hops)).collect()
}
