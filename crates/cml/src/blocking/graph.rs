//! [`MemoryGraph`](crate::MemoryGraph) for programs without an async runtime.

use std::sync::Arc;

use cml_core::{
    Result,
    ops::{ExploreGraph, GraphNode, GraphRepair, GraphStats, GraphSync, SearchEntities, Subgraph},
};

use super::{Memory, Runtime};

/// The knowledge graph of a memory; its calls block the calling thread.
#[derive(Debug, Clone)]
pub struct MemoryGraph {
    graph: crate::MemoryGraph,
    runtime: Arc<Runtime>,
}

impl Memory {
    /// The knowledge graph of what this handle can see.
    #[must_use]
    pub fn graph(&self) -> MemoryGraph {
        MemoryGraph { graph: self.memory.graph(), runtime: Arc::clone(&self.runtime) }
    }
}

macro_rules! verbs {
    ($($(#[$doc:meta])* $name:ident($($arg:ident: $type:ty),*) -> $answer:ty;)*) => {$(
        $(#[$doc])*
        ///
        /// # Errors
        #[doc = concat!("As [`MemoryGraph::", stringify!($name), "`](crate::MemoryGraph::", stringify!($name), ").")]
        pub fn $name(&self, $($arg: $type),*) -> Result<$answer> {
            let graph = self.graph.clone();
            self.runtime.wait(async move { graph.$name($($arg),*).await })?
        }
    )*};
}

impl MemoryGraph {
    /// The neighbourhood of an entity; empty for an unknown one.
    ///
    /// # Errors
    /// As [`MemoryGraph::explore`](crate::MemoryGraph::explore).
    pub fn explore(&self, request: impl Into<ExploreGraph>) -> Result<Subgraph> {
        let (graph, request) = (self.graph.clone(), request.into());
        self.runtime.wait(async move { graph.explore(request).await })?
    }

    /// Entities by a part of their name, best connected first.
    ///
    /// # Errors
    /// As [`MemoryGraph::search`](crate::MemoryGraph::search).
    pub fn search(&self, request: impl Into<SearchEntities>) -> Result<Vec<GraphNode>> {
        let (graph, request) = (self.graph.clone(), request.into());
        self.runtime.wait(async move { graph.search(request).await })?
    }

    verbs! {
        /// Size of the graph.
        stats() -> GraphStats;
        /// The best connected entities, with the relations between them.
        overview(limit: usize) -> Subgraph;
        /// How far the graph of the tenant is behind its memories.
        sync() -> GraphSync;
        /// Tries again what failed too often, and says how many changes that are.
        replay() -> u64;
        /// Makes the tenant's graph anew from its memories, in the background.
        rebuild() -> ();
        /// Compares the tenant's graph with its memories and mends what differs.
        repair() -> GraphRepair;
    }
}
