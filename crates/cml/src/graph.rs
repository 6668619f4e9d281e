//! The knowledge graph of a [`Memory`].

use cml_core::{
    Result,
    ops::{ExploreGraph, GraphNode, GraphRepair, GraphStats, GraphSync, SearchEntities, Subgraph},
};

use crate::Memory;

/// The knowledge graph of a memory: who and what the memories mention, and what relates them.
///
/// It sees what the handle sees: its namespace and user, or the whole tenant. Every call is `Unsupported`
/// where the backend has no graph; [`Memory::capabilities`] says it beforehand.
///
/// ```no_run
/// # async fn example(memory: cml::Memory) -> cml::Result<()> {
/// for node in memory.graph().explore("Ana").await?.nodes {
///     println!("{} ({})", node.entity, node.entity_type);
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct MemoryGraph {
    memory: Memory,
}

impl Memory {
    /// The knowledge graph of what this handle can see.
    #[must_use]
    pub fn graph(&self) -> MemoryGraph {
        MemoryGraph { memory: self.clone() }
    }
}

impl MemoryGraph {
    /// Size of the graph.
    ///
    /// # Errors
    /// `Unsupported` without a graph.
    pub async fn stats(&self) -> Result<GraphStats> {
        self.memory.backend.graph()?.stats(Some(&self.memory.scope)).await
    }

    /// The best connected entities, at most `limit` (1..=1000), with the relations between them.
    ///
    /// # Errors
    /// `InvalidInput` for a limit out of range; `Unsupported` without a graph.
    pub async fn overview(&self, limit: usize) -> Result<Subgraph> {
        self.memory.backend.graph()?.overview(&self.memory.scope, limit).await
    }

    /// The neighbourhood of an entity; empty for an unknown one.
    ///
    /// # Errors
    /// `InvalidInput`; `Unsupported` without a graph.
    pub async fn explore(&self, request: impl Into<ExploreGraph>) -> Result<Subgraph> {
        self.memory.backend.graph()?.explore(&self.memory.scope, request.into()).await
    }

    /// Entities by a part of their name, best connected first.
    ///
    /// # Errors
    /// `InvalidInput`; `Unsupported` without a graph.
    pub async fn search(&self, request: impl Into<SearchEntities>) -> Result<Vec<GraphNode>> {
        self.memory.backend.graph()?.search(Some(&self.memory.scope), request.into()).await
    }

    /// How far the graph of the tenant is behind its memories.
    ///
    /// # Errors
    /// `Unsupported` without a graph.
    pub async fn sync(&self) -> Result<GraphSync> {
        self.memory.backend.graph()?.sync(Some(&self.memory.scope)).await
    }

    /// Tries again what failed too often, and says how many changes that are.
    ///
    /// # Errors
    /// `Unsupported` without a graph.
    pub async fn replay(&self) -> Result<u64> {
        self.memory.backend.graph()?.replay(&self.memory.scope).await
    }

    /// Makes the tenant's graph anew from its memories, in the background.
    ///
    /// # Errors
    /// `Unsupported` without a graph.
    pub async fn rebuild(&self) -> Result<()> {
        self.memory.backend.graph()?.rebuild(&self.memory.scope).await
    }

    /// Compares the tenant's graph with its memories and mends what differs.
    ///
    /// # Errors
    /// `Unavailable` when the graph database is away; `Unsupported` without a graph.
    pub async fn repair(&self) -> Result<GraphRepair> {
        self.memory.backend.graph()?.repair(&self.memory.scope).await
    }
}
