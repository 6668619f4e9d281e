//! The knowledge graph: what to ask, what comes back.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::{EntityId, Error, Result, Score, memory::Metadata, time};

/// Most steps from an entity that can be explored.
pub const MAX_DEPTH: u8 = 5;

/// Most entities of one answer.
pub const MAX_NODES: usize = 1_000;

/// Size of the graph.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct GraphStats {
    /// Entities.
    pub nodes: u64,
    /// Stored relations between entities.
    pub edges: u64,
    /// Entities by type.
    pub entity_types: BTreeMap<String, u64>,
    /// Tenants that have entities, by id.
    pub tenants: Vec<String>,
}

/// An entity and how it is connected.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[expect(clippy::exhaustive_structs, reason = "what further is known goes into the properties")]
pub struct GraphNode {
    /// Identity.
    pub id: EntityId,
    /// The tenant that owns it.
    pub tenant_id: String,
    /// The namespace that it is in.
    pub namespace: String,
    /// Its name as first mentioned.
    pub entity: String,
    /// `person`, `place`, `organisation`, `thing` ...
    pub entity_type: String,
    /// What further is known: `mentions`, the number of memories that mention it.
    pub properties: Metadata,
}

/// A relation between two entities.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[expect(clippy::exhaustive_structs, reason = "what further is known goes into the properties")]
pub struct GraphEdge {
    /// From.
    pub source: EntityId,
    /// To.
    pub target: EntityId,
    /// What relates them: of a fact, or [`MENTIONED_WITH`].
    pub predicate: String,
    /// How sure we are.
    pub confidence: Score,
    /// What further is known: of [`MENTIONED_WITH`] `memories`, the number of memories that mention both.
    pub properties: Metadata,
}

/// Predicate of two entities that one memory mentions.
pub const MENTIONED_WITH: &str = "mentioned_with";

/// A part of the graph.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct Subgraph {
    /// Entities, nearest first, then best connected, then by id.
    pub nodes: Vec<GraphNode>,
    /// Relations between them, by source, target and predicate; of more than 5000 the surest. Those by
    /// [`MENTIONED_WITH`] have no direction: the smaller id is the source.
    pub edges: Vec<GraphEdge>,
    /// The entity in the middle, if one was asked for and is known.
    pub center: Option<EntityId>,
}

/// Which neighbourhood to show.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct ExploreGraph {
    /// Name of the entity in the middle, in any case; several of one name are all in the middle.
    pub entity: String,
    /// Steps from it, 1..=[`MAX_DEPTH`].
    #[serde(default = "usual::depth")]
    pub depth: u8,
    /// Neighbours followed per entity, the surest first, 1..=100.
    #[serde(default = "usual::fan_out")]
    pub fan_out: usize,
    /// Most entities, 1..=[`MAX_NODES`].
    #[serde(default = "usual::explored")]
    pub limit: usize,
}

impl ExploreGraph {
    /// Two steps around `entity`, at most 25 neighbours each and 200 entities.
    #[must_use]
    pub fn new(entity: impl Into<String>) -> Self {
        Self {
            entity: entity.into(),
            depth: usual::depth(),
            fan_out: usual::fan_out(),
            limit: usual::explored(),
        }
    }

    /// Goes `depth` steps.
    #[must_use]
    pub const fn with_depth(mut self, depth: u8) -> Self {
        self.depth = depth;
        self
    }

    /// Follows `fan_out` neighbours per entity.
    #[must_use]
    pub const fn with_fan_out(mut self, fan_out: usize) -> Self {
        self.fan_out = fan_out;
        self
    }

    /// Shows at most `limit` entities.
    #[must_use]
    pub const fn with_limit(mut self, limit: usize) -> Self {
        self.limit = limit;
        self
    }

    /// Checks every field.
    ///
    /// # Errors
    /// `InvalidInput` naming the field.
    pub fn validate(&self) -> Result<()> {
        if self.entity.trim().is_empty() {
            return Err(Error::invalid("entity", "must not be empty"));
        }
        within("depth", self.depth.into(), MAX_DEPTH.into())?;
        within("fan_out", self.fan_out, 100)?;
        within("limit", self.limit, MAX_NODES)
    }
}

/// Which entities to find.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct SearchEntities {
    /// A part of the name, in any case.
    pub query: String,
    /// Most entities, 1..=100.
    #[serde(default = "usual::found")]
    pub limit: usize,
}

impl SearchEntities {
    /// At most 25 entities whose names hold `query`.
    #[must_use]
    pub fn new(query: impl Into<String>) -> Self {
        Self { query: query.into(), limit: usual::found() }
    }

    /// Finds at most `limit`.
    #[must_use]
    pub const fn with_limit(mut self, limit: usize) -> Self {
        self.limit = limit;
        self
    }

    /// Checks every field.
    ///
    /// # Errors
    /// `InvalidInput` naming the field.
    pub fn validate(&self) -> Result<()> {
        if self.query.trim().is_empty() {
            return Err(Error::invalid("query", "must not be empty"));
        }
        within("limit", self.limit, 100)
    }
}

macro_rules! from_text {
    ($($request:ty),*) => {$(
        impl From<&str> for $request {
            fn from(text: &str) -> Self {
                Self::new(text)
            }
        }

        impl From<String> for $request {
            fn from(text: String) -> Self {
                Self::new(text)
            }
        }
    )*};
}

from_text!(ExploreGraph, SearchEntities);

/// What a request asks for where it does not say.
mod usual {
    pub(super) const fn depth() -> u8 {
        2
    }

    pub(super) const fn fan_out() -> usize {
        25
    }

    pub(super) const fn explored() -> usize {
        200
    }

    pub(super) const fn found() -> usize {
        25
    }
}

fn within(field: &'static str, value: usize, most: usize) -> Result<()> {
    if (1..=most).contains(&value) {
        Ok(())
    } else {
        Err(Error::invalid(field, format!("must be 1 to {most}")))
    }
}

/// How far a graph database is behind.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct GraphSync {
    /// Where the graph is kept: `sql`, which is never behind, or `neo4j`.
    pub kept_in: String,
    /// Changes that wait to be projected.
    pub pending: u64,
    /// Changes that failed too often and wait to be replayed.
    pub dead: u64,
    /// Since when the oldest change waits.
    #[serde(default, deserialize_with = "time::optional")]
    pub oldest_pending_at: Option<DateTime<Utc>>,
    /// What the last failed change failed with.
    pub error: Option<String>,
}

/// What a comparison of a graph database with the tables found and mended.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct GraphRepair {
    /// Nodes that the tables hold.
    pub checked: u64,
    /// Nodes of the graph that the tables do not hold.
    pub orphans: u64,
    /// Nodes that the graph lacked.
    pub missing: u64,
    /// Nodes that differed.
    pub different: u64,
}
