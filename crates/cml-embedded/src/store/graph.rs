//! The knowledge graph: what is asked of it, and how it follows the rows of a store.
//!
//! SQL is the truth. A store answers [`GraphStore`] from its own tables; where a graph database is
//! configured, it gets the rows through the [`Outbox`](super::Outbox) by [`GraphProjection`] and answers
//! instead. Either proposes candidates and never scores them.

#[cfg_attr(
    not(any(feature = "lite", feature = "standard")),
    expect(dead_code, reason = "no store is compiled in whose graph could be walked")
)]
pub(in crate::store) mod walk;

use std::{collections::BTreeMap, fmt::Debug};

use async_trait::async_trait;
use cml_core::{
    EntityId, FactId, MemoryId, Result, Scope,
    memory::{Fact, MemoryStatus, MemoryType, Session},
    ops::{Edge, Entity, ExploreGraph, GraphNode, GraphStats, SearchEntities, Subgraph},
};

use super::Outbox;
use crate::digest::digest;

/// A graph that can be asked.
///
/// A scope sees the entities of its namespace and user and of nobody in particular; a session does not
/// narrow it. Two entities that one memory mentions are neighbours, as those of a stored edge are.
#[async_trait]
pub trait GraphStore: Debug + Send + Sync + 'static {
    /// How large the graph of a scope is; of every tenant without one.
    async fn stats(&self, scope: Option<&Scope>) -> Result<GraphStats>;

    /// The best connected entities, at most `limit`, with the edges between them.
    async fn overview(&self, scope: &Scope, limit: usize) -> Result<Subgraph>;

    /// What is around an entity; empty for an unknown one.
    async fn explore(&self, scope: &Scope, request: &ExploreGraph) -> Result<Subgraph>;

    /// Entities by a part of their name in any case, best connected first, then by name and id; of every
    /// tenant without a scope.
    async fn search(&self, scope: Option<&Scope>, request: &SearchEntities) -> Result<Vec<GraphNode>>;

    /// Memories that mention what is near to the named entities.
    async fn near(&self, scope: &Scope, request: &Near) -> Result<Vec<NearMemory>>;

    /// A small request, for health checks.
    async fn ping(&self) -> Result<BTreeMap<String, serde_json::Value>>;
}

/// Which memories to propose.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Near {
    /// Names of entities, compared in any case.
    pub names: Vec<String>,
    /// Edges followed at most, 0..=2; 0 is the memories that mention the entities themselves.
    pub hops: u8,
    /// Neighbours followed per entity, the surest and most often mentioned first.
    pub fan_out: usize,
    /// Most memories, nearest first, then newest by id.
    pub limit: usize,
}

/// A memory that mentions something near.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NearMemory {
    /// The memory.
    pub id: MemoryId,
    /// Edges between it and the nearest of the named entities.
    pub hops: u8,
}

/// A graph database that follows the rows of a store.
#[async_trait]
pub trait GraphProjection: Debug + Send + Sync + 'static {
    /// Makes the graph hold exactly this of the keys that are named: idempotent, whatever it held. What leads
    /// from them to a node that is not there is kept and seen once it is; what leads to one that is removed
    /// stays with the node where it begins.
    async fn apply(&self, tenant: &str, changes: &GraphChanges) -> Result<()>;

    /// Removes a part of what is there of a tenant; `true` when nothing is left.
    async fn clear(&self, tenant: &str) -> Result<bool>;

    /// Keys of a kind that the graph holds, in ascending order after `after`, at most `limit`.
    async fn keys(
        &self,
        tenant: &str,
        kind: GraphKind,
        after: Option<&GraphKey>,
        limit: usize,
    ) -> Result<Vec<GraphKey>>;

    /// What the graph holds of these keys, in the form in which it was applied.
    async fn rows(&self, tenant: &str, keys: &[GraphKey]) -> Result<GraphChanges>;
}

/// A graph in a database of its own: it is asked, and it follows.
pub trait GraphDatabase: GraphStore + GraphProjection {}

impl<G: GraphStore + GraphProjection> GraphDatabase for G {}

/// The tables that a graph follows.
#[async_trait]
pub trait GraphTables: Debug + Send + Sync + 'static {
    /// Nodes as they are now; every key has its entry.
    async fn graph_rows(&self, tenant: &str, keys: &[GraphKey]) -> Result<GraphChanges>;

    /// Keys of a kind in ascending order after `after`, at most `limit`.
    async fn graph_keys(
        &self,
        tenant: &str,
        kind: GraphKind,
        after: Option<&GraphKey>,
        limit: usize,
    ) -> Result<Vec<GraphKey>>;

    /// What waits to be projected; `None` for a store whose commits leave nothing behind.
    fn outbox(&self) -> Option<&dyn Outbox>;
}

/// Identity of an edge: from, to, predicate.
pub type EdgeKey = (EntityId, EntityId, String);

/// Identity of the entity of a name, which is one per namespace and user. It does not depend on the
/// tenant, so that it is the same after a move to another one.
#[must_use]
pub fn entity_id(namespace: &str, user: &str, name: &str) -> EntityId {
    let name = walk::folded(name);
    let parts = [namespace, user, &name];
    EntityId::from_uuid(uuid::Builder::from_custom_bytes(digest(&parts.map(str::as_bytes))).into_uuid())
}

/// Name of the entity that a fact of the user `user` is about: the subject `user` goes by the user's id,
/// where there is one.
#[must_use]
pub fn subject_name<'a>(user: &'a str, subject: &'a str) -> &'a str {
    if subject == "user" && !user.is_empty() { user } else { subject }
}

/// The edge in which a fact shows, if its value names an entity.
#[must_use]
pub fn edge_key(namespace: &str, user: &str, subject: &str, predicate: &str, value: &str) -> EdgeKey {
    let source = entity_id(namespace, user, subject_name(user, subject));
    (source, entity_id(namespace, user, value), predicate.to_owned())
}

/// A kind of node.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum GraphKind {
    /// A memory with what it mentions.
    Record,
    /// A fact with what it rests on.
    Fact,
    /// A conversation.
    Session,
    /// An entity with the edges that begin at it.
    Entity,
}

impl GraphKind {
    /// Every kind, entities and sessions before what points at them.
    pub const ALL: [Self; 4] = [Self::Session, Self::Entity, Self::Record, Self::Fact];
}

/// Identity of a node.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum GraphKey {
    /// A memory.
    Record(MemoryId),
    /// A fact.
    Fact(FactId),
    /// A conversation.
    Session(String),
    /// An entity.
    Entity(EntityId),
}

impl GraphKey {
    /// Its kind.
    #[must_use]
    pub const fn kind(&self) -> GraphKind {
        match self {
            Self::Record(_) => GraphKind::Record,
            Self::Fact(_) => GraphKind::Fact,
            Self::Session(_) => GraphKind::Session,
            Self::Entity(_) => GraphKind::Entity,
        }
    }
}

/// Nodes as they are now, by key; those that no longer exist are `None`.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct GraphChanges {
    /// Conversations.
    pub sessions: BTreeMap<String, Option<Session>>,
    /// Entities with the edges that begin at them.
    pub entities: BTreeMap<EntityId, Option<EntityNode>>,
    /// Memories with what they mention.
    pub records: BTreeMap<MemoryId, Option<RecordNode>>,
    /// Facts with their evidence.
    pub facts: BTreeMap<FactId, Option<Fact>>,
}

/// An entity with the edges that begin at it.
#[derive(Debug, Clone, PartialEq)]
pub struct EntityNode {
    /// The entity.
    pub entity: Entity,
    /// By target and predicate.
    pub edges: Vec<Edge>,
}

/// A memory as a graph holds it: no text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecordNode {
    /// Its namespace.
    pub namespace: String,
    /// Its user, or empty.
    pub user: String,
    /// Its session, or empty.
    pub session: String,
    /// Its type.
    pub memory_type: MemoryType,
    /// Its status.
    pub status: MemoryStatus,
    /// What it mentions, by id.
    pub mentions: Vec<EntityId>,
}
