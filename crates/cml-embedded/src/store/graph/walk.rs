//! What is asked of a graph, put together from small questions to whatever keeps its rows.
//!
//! The order of entities, the steps from one to the next, what is shown and what is cut are decided here,
//! once. A database answers [`GraphRows`].

use std::{cmp::Reverse, collections::BTreeSet, fmt::Debug};

use async_trait::async_trait;
use cml_core::{
    EntityId, MemoryId, Result, Scope, Score,
    memory::Metadata,
    ops::{ExploreGraph, GraphEdge, GraphNode, MENTIONED_WITH, Subgraph},
};

use super::{Near, NearMemory};

/// Most relations of one answer; of more the surest are shown.
const MAX_EDGES: usize = 5_000;

/// Newest memories of an entity by which its neighbours are found, so that one which everything mentions
/// costs no more than others.
pub(in crate::store) const COUNTED: usize = 1_000;

/// Most entities that one question names.
const AT_ONCE: usize = 1_000;

/// How sure a relation is that rests on `memories` memories which mention both ends: `n / (n + 1)`, half for
/// one memory and rising towards 1.
pub(in crate::store) fn together(memories: u64) -> Score {
    #[expect(clippy::cast_precision_loss, reason = "a count of memories stays below 2^53")]
    let memories = memories as f64;
    Score::clamped(memories / (memories + 1.0))
}

/// [`together`] of a column `memories`, to order by; the same text in SQL and Cypher.
pub(in crate::store) const TOGETHER: &str = "(memories / (memories + 1.0))";

/// A name as names are compared: without white space around it and in lower case.
pub(in crate::store) fn folded(name: &str) -> String {
    name.trim().to_lowercase()
}

/// Rows of a graph, as a database gives them.
///
/// A row is seen when its namespace and user are ([`Scope::sees`] with an empty session), whatever its
/// session and, of a record, whatever its status. An entity that is not seen, or that an edge names and
/// nobody has stored, does not exist; neither do edges and mentions at it, nor mentions by a record that
/// is not seen. An entity is never its own neighbour. The order of an answer matters only where it is given.
#[async_trait]
pub(in crate::store) trait GraphRows: Debug + Send + Sync {
    /// Entities whose [`folded`] name is one of these.
    async fn named(&self, scope: &Scope, names: &[String]) -> Result<Vec<EntityId>>;

    /// These entities; those not seen are left out.
    async fn entities(&self, scope: &Scope, ids: &[EntityId]) -> Result<Vec<ConnectedEntity>>;

    /// The `limit` best connected entities, then by id.
    async fn best(&self, scope: &Scope, limit: usize) -> Result<Vec<ConnectedEntity>>;

    /// Neighbours of these entities, without repetition: of each the first `fan_out` by confidence (the
    /// largest of its edges with it, in either direction, and [`together`]), then by the number of memories
    /// that mention both, largest first, then by id. Of the memories that mention an entity the [`COUNTED`]
    /// newest are regarded.
    async fn neighbours(&self, scope: &Scope, ids: &[EntityId], fan_out: usize) -> Result<Vec<EntityId>>;

    /// Stored edges from one of these to one of these, an entity to itself included: the `limit` surest,
    /// then by source, target and predicate.
    async fn edges(&self, scope: &Scope, ids: &[EntityId], limit: usize) -> Result<Vec<GraphEdge>>;

    /// Pairs of these that memories mention together, the smaller id first, with the number of memories: the
    /// `limit` most often mentioned, then by both ids.
    async fn pairs(
        &self,
        scope: &Scope,
        ids: &[EntityId],
        limit: usize,
    ) -> Result<Vec<(EntityId, EntityId, u64)>>;

    /// Records that mention any of these, without repetition: the `limit` newest by id.
    async fn mentioning(&self, scope: &Scope, ids: &[EntityId], limit: usize) -> Result<Vec<MemoryId>>;
}

/// An entity and how well it is connected.
#[derive(Debug, Clone, PartialEq)]
pub(in crate::store) struct ConnectedEntity {
    /// The entity, with its property `mentions`.
    pub node: GraphNode,
    /// Records that mention it and stored edges at it, in either direction but to itself.
    pub connections: u64,
}

impl ConnectedEntity {
    /// An entity that `mentions` records mention and `edges` stored edges lead to or from.
    pub(in crate::store) fn new(mut node: GraphNode, mentions: u64, edges: u64) -> Self {
        node.properties.insert("mentions".into(), mentions.into());
        Self { node, connections: mentions + edges }
    }
}

/// The `limit` best connected entities with the relations between them.
pub(in crate::store) async fn overview(
    rows: &dyn GraphRows,
    scope: &Scope,
    limit: usize,
) -> Result<Subgraph> {
    let nodes = rows.best(scope, limit).await?;
    shown(rows, scope, nodes, None).await
}

/// What is around an entity.
pub(in crate::store) async fn explore(
    rows: &dyn GraphRows,
    scope: &Scope,
    request: &ExploreGraph,
) -> Result<Subgraph> {
    let mut steps = Steps::begin(rows, scope, &[folded(&request.entity)]).await?;
    let mut nodes = steps.level(request.limit).await?;
    let center = nodes.first().map(|entity| entity.node.id);
    for _ in 0..request.depth {
        if nodes.len() >= request.limit || !steps.go(request.fan_out).await? {
            break;
        }
        nodes.extend(steps.level(request.limit - nodes.len()).await?);
    }
    shown(rows, scope, nodes, center).await
}

/// Memories that mention what is near to the named entities.
pub(in crate::store) async fn near(
    rows: &dyn GraphRows,
    scope: &Scope,
    request: &Near,
) -> Result<Vec<NearMemory>> {
    let names: BTreeSet<String> = request.names.iter().map(|name| folded(name)).collect();
    let mut steps = Steps::begin(rows, scope, &names.into_iter().collect::<Vec<_>>()).await?;
    let mut seen = BTreeSet::new();
    let mut found = Vec::new();
    for hops in 0..=request.hops {
        if hops > 0 && !steps.go(request.fan_out).await? {
            break;
        }
        // As many as are wanted in all: those already seen can be no more than those already found.
        let mut ids = Vec::new();
        for part in steps.frontier.chunks(AT_ONCE) {
            ids.extend(rows.mentioning(scope, part, request.limit).await?);
        }
        ids.sort_unstable_by_key(|id| Reverse(*id));
        let new = ids.into_iter().filter(|id| seen.insert(*id)).map(|id| NearMemory { id, hops });
        found.extend(new.take(request.limit - found.len()));
        if found.len() >= request.limit {
            break;
        }
    }
    Ok(found)
}

/// A walk over neighbours that enters each entity once.
struct Steps<'a> {
    rows: &'a dyn GraphRows,
    scope: &'a Scope,
    seen: BTreeSet<EntityId>,
    frontier: Vec<EntityId>,
}

impl<'a> Steps<'a> {
    /// Begins at the entities of these folded names.
    async fn begin(rows: &'a dyn GraphRows, scope: &'a Scope, names: &[String]) -> Result<Self> {
        let seen: BTreeSet<EntityId> = rows.named(scope, names).await?.into_iter().collect();
        let frontier = seen.iter().copied().collect();
        Ok(Self { rows, scope, seen, frontier })
    }

    /// Goes on to the neighbours of the present entities that were not entered yet; `false` without any.
    async fn go(&mut self, fan_out: usize) -> Result<bool> {
        let mut next = Vec::new();
        for part in self.frontier.chunks(AT_ONCE) {
            let neighbours = self.rows.neighbours(self.scope, part, fan_out).await?;
            next.extend(neighbours.into_iter().filter(|id| self.seen.insert(*id)));
        }
        self.frontier = next;
        Ok(!self.frontier.is_empty())
    }

    /// The present entities, the best connected first; only the first `limit` of them are gone on from.
    async fn level(&mut self, limit: usize) -> Result<Vec<ConnectedEntity>> {
        let mut level = Vec::new();
        for part in self.frontier.chunks(AT_ONCE) {
            level.extend(self.rows.entities(self.scope, part).await?);
        }
        level.sort_by_key(|entity| (Reverse(entity.connections), entity.node.id));
        level.truncate(limit);
        self.frontier = level.iter().map(|entity| entity.node.id).collect();
        Ok(level)
    }
}

/// Entities in their order, with the relations between them.
async fn shown(
    rows: &dyn GraphRows,
    scope: &Scope,
    entities: Vec<ConnectedEntity>,
    center: Option<EntityId>,
) -> Result<Subgraph> {
    let ids: Vec<EntityId> = entities.iter().map(|entity| entity.node.id).collect();
    let mut edges = Vec::new();
    if !ids.is_empty() {
        edges = rows.edges(scope, &ids, MAX_EDGES).await?;
        edges.extend(rows.pairs(scope, &ids, MAX_EDGES).await?.into_iter().map(pair));
    }
    let by_ends = |edge: &GraphEdge| (edge.source, edge.target, edge.predicate.clone());
    edges.sort_by_cached_key(by_ends);
    // A stable sort: of those that are as sure the first by their ends stay.
    edges.sort_by(|a, b| b.confidence.get().total_cmp(&a.confidence.get()));
    edges.truncate(MAX_EDGES);
    edges.sort_by_cached_key(by_ends);
    let mut graph = Subgraph::default();
    graph.nodes = entities.into_iter().map(|entity| entity.node).collect();
    graph.edges = edges;
    graph.center = center;
    Ok(graph)
}

fn pair((source, target, memories): (EntityId, EntityId, u64)) -> GraphEdge {
    GraphEdge {
        source,
        target,
        predicate: MENTIONED_WITH.to_owned(),
        confidence: together(memories),
        properties: Metadata::from_iter([("memories".to_owned(), memories.into())]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_relation_is_surer_the_more_memories_mention_both() {
        assert_eq!(together(0), Score::ZERO);
        assert_eq!(together(1).get(), 0.5);
        assert_eq!(together(3).get(), 0.75);
        assert!((1..1000).all(|n| together(n) < together(n + 1)));
    }

    #[test]
    fn names_are_compared_in_any_case_and_without_space_around_them() {
        assert_eq!(folded("  ÅSA Lind "), "åsa lind");
    }
}
