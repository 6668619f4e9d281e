//! The knowledge graph on the wire: the published SDK's names beside ours.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::{
    Result, Scope,
    ops::{GraphNode, GraphStats, Subgraph},
    scope::{DEFAULT_NAMESPACE, ScopeParts},
};

/// Query of the graph routes: whose graph is meant.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[expect(clippy::exhaustive_structs, reason = "the wire fixes it")]
pub struct GraphScope {
    /// Only this tenant.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tenant_id: Option<String>,
    /// Only this namespace. `default`, which the published SDK sends where nothing was chosen, and the
    /// name of the tenant stand for the whole tenant; `namespace` means what it says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scope_id: Option<String>,
    /// Only this namespace.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub namespace: Option<String>,
    /// Only this user, and what belongs to nobody.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user_id: Option<String>,
}

impl GraphScope {
    /// Whether it chooses nothing.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// The part of `tenant` that it chooses.
    ///
    /// # Errors
    /// `InvalidInput` for a part that is no valid id, and for two different namespaces.
    pub fn within(self, tenant: &Scope) -> Result<Scope> {
        let whole = |id: &str| id.is_empty() || id == DEFAULT_NAMESPACE || id == tenant.tenant();
        let parts = |namespace| ScopeParts { namespace, ..ScopeParts::default() };
        let scope = tenant.narrow(&parts(self.scope_id.filter(|id| !whole(id))))?;
        scope.narrow(&ScopeParts { user_id: self.user_id, ..parts(self.namespace) })
    }
}

impl From<&Scope> for GraphScope {
    fn from(scope: &Scope) -> Self {
        let ScopeParts { namespace, user_id, .. } = scope.into();
        Self { tenant_id: Some(scope.tenant().to_owned()), scope_id: None, namespace, user_id }
    }
}

/// Answer to `GET /dashboard/graph/stats`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[expect(clippy::exhaustive_structs, reason = "the wire fixes it")]
pub struct GraphStatsBody {
    /// Entities.
    pub total_nodes: u64,
    /// Stored relations between entities.
    pub total_edges: u64,
    /// Entities by type.
    pub entity_types: BTreeMap<String, u64>,
    /// Tenants that have entities, by id.
    pub tenants_with_graph: Vec<String>,
}

impl From<GraphStats> for GraphStatsBody {
    fn from(stats: GraphStats) -> Self {
        let GraphStats { nodes, edges, entity_types, tenants } = stats;
        Self { total_nodes: nodes, total_edges: edges, entity_types, tenants_with_graph: tenants }
    }
}

impl From<GraphStatsBody> for GraphStats {
    fn from(body: GraphStatsBody) -> Self {
        let GraphStatsBody { total_nodes, total_edges, entity_types, tenants_with_graph } = body;
        Self { nodes: total_nodes, edges: total_edges, entity_types, tenants: tenants_with_graph }
    }
}

/// Answer to `GET /dashboard/graph/overview` and `explore`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[expect(clippy::exhaustive_structs, reason = "the wire fixes it")]
pub struct SubgraphBody {
    /// The part of the graph.
    #[serde(flatten)]
    pub graph: Subgraph,
    /// Name of the entity in the middle, if one was asked for and is known.
    pub center_entity: Option<String>,
}

impl From<Subgraph> for SubgraphBody {
    fn from(graph: Subgraph) -> Self {
        let center = graph.nodes.iter().find(|node| Some(node.id) == graph.center);
        Self { center_entity: center.map(|node| node.entity.clone()), graph }
    }
}

/// Answer to `GET /dashboard/graph/search`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[expect(clippy::exhaustive_structs, reason = "the wire fixes it")]
pub struct GraphHits {
    /// Entities, best connected first.
    pub results: Vec<GraphHit>,
}

/// An entity found by name.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[expect(clippy::exhaustive_structs, reason = "the wire fixes it")]
pub struct GraphHit {
    /// The entity.
    #[serde(flatten)]
    pub node: GraphNode,
    /// Its namespace, as the published SDK names it.
    pub scope_id: String,
}

impl From<GraphNode> for GraphHit {
    fn from(node: GraphNode) -> Self {
        Self { scope_id: node.namespace.clone(), node }
    }
}

/// Query of `GET /dashboard/graph/overview`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[expect(clippy::exhaustive_structs, reason = "the wire fixes it")]
pub struct OverviewQuery {
    /// Most entities, 1..=1000; 100 when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<usize>,
}

/// Answer to `POST /graph/replay`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[expect(clippy::exhaustive_structs, reason = "the wire fixes it")]
pub struct GraphReplay {
    /// Changes that are tried again.
    pub replayed: u64,
}

/// Answer to `POST /graph/rebuild`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[expect(clippy::exhaustive_structs, reason = "the wire fixes it")]
pub struct GraphRebuild {
    /// Whether it was begun; `GET /graph/sync` says how far it is.
    pub started: bool,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_published_sdk_sends_is_the_whole_tenant() -> Result<()> {
        let acme = Scope::new("acme")?;
        let chosen = |scope_id: Option<&str>, namespace: Option<&str>| {
            let scope = GraphScope {
                scope_id: scope_id.map(str::to_owned),
                namespace: namespace.map(str::to_owned),
                ..GraphScope::default()
            };
            scope.within(&acme).map(|scope| scope.namespace().to_owned())
        };
        for whole in [None, Some(""), Some("default"), Some("acme")] {
            assert_eq!(chosen(whole, None)?, "");
        }
        assert_eq!(chosen(Some("notes"), None)?, "notes");
        assert_eq!(chosen(Some("default"), Some("default"))?, "default");
        assert!(chosen(Some("notes"), Some("other")).is_err());
        let scope = acme.with_namespace("default")?.with_user("ana")?;
        assert_eq!(GraphScope::from(&scope).within(&Scope::new("acme")?)?, scope);
        Ok(())
    }
}
