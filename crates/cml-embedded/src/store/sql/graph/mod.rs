//! The knowledge graph in the tables `entities`, `mentions` and `edges`.
//!
//! What a record mentions is in the record's namespace and of its user, so that whoever sees the entity
//! sees the records that mention it.

mod neighbours;
mod rows;

use cml_core::{
    EntityId, Result, Scope, Score,
    memory::Metadata,
    ops::{GraphEdge, GraphNode, GraphStats, SearchEntities},
};

pub(in crate::store) use self::{
    neighbours::{mentioning, of as neighbours, pairs},
    rows::{changes, keys},
};
use super::{
    connection::Connection, dialect::Dialect, rows::edge as stored_edge, statement::Sql, value::Columns,
};
use crate::store::graph::walk::{ConnectedEntity, folded};

/// Implements the traits of the graph for a store in an SQL database. The store has a method
/// `fn projected(&self) -> Option<&dyn Outbox>`, and a macro `$ask!(store, tenant, |connection| read)` that
/// reads of one tenant or of all with the `&mut Connection` that `connection` is.
macro_rules! sql_graph {
    ($store:ty, $ask:ident) => {
        const _: () = {
            use std::collections::BTreeMap;

            use cml_core::{
                EntityId, MemoryId, Result, Scope,
                ops::{ExploreGraph, GraphEdge, GraphNode, GraphStats, SearchEntities, Subgraph},
            };

            use $crate::store::{
                GraphChanges, GraphKey, GraphKind, GraphStore, GraphTables, Near, NearMemory, Outbox,
                graph::walk::{self, ConnectedEntity, GraphRows},
                sql::{graph, value::Binds},
            };

            #[async_trait::async_trait]
            impl GraphTables for $store {
                async fn graph_rows(&self, tenant: &str, keys: &[GraphKey]) -> Result<GraphChanges> {
                    $ask!(self, Some(tenant), |c| graph::changes(c, tenant, keys))
                }

                async fn graph_keys(
                    &self,
                    tenant: &str,
                    kind: GraphKind,
                    after: Option<&GraphKey>,
                    limit: usize,
                ) -> Result<Vec<GraphKey>> {
                    $ask!(self, Some(tenant), |c| graph::keys(c, tenant, kind, after, limit))
                }

                fn outbox(&self) -> Option<&dyn Outbox> {
                    self.projected()
                }
            }

            #[async_trait::async_trait]
            impl GraphStore for $store {
                async fn stats(&self, scope: Option<&Scope>) -> Result<GraphStats> {
                    let tenant = scope.map(Scope::tenant);
                    $ask!(self, tenant, |c| graph::stats(c, scope))
                }

                async fn overview(&self, scope: &Scope, limit: usize) -> Result<Subgraph> {
                    walk::overview(self, scope, limit).await
                }

                async fn explore(&self, scope: &Scope, request: &ExploreGraph) -> Result<Subgraph> {
                    walk::explore(self, scope, request).await
                }

                async fn search(
                    &self,
                    scope: Option<&Scope>,
                    request: &SearchEntities,
                ) -> Result<Vec<GraphNode>> {
                    let tenant = scope.map(Scope::tenant);
                    $ask!(self, tenant, |c| graph::search(c, scope, request))
                }

                async fn near(&self, scope: &Scope, request: &Near) -> Result<Vec<NearMemory>> {
                    walk::near(self, scope, request).await
                }

                async fn ping(&self) -> Result<BTreeMap<String, serde_json::Value>> {
                    let answered: Result<Option<BTreeMap<_, _>>> = $ask!(self, None, |c| {
                        c.first("SELECT 1", Binds::default(), |_row| Ok(BTreeMap::new()))
                    });
                    Ok(answered?.unwrap_or_default())
                }
            }

            #[async_trait::async_trait]
            impl GraphRows for $store {
                async fn named(&self, scope: &Scope, names: &[String]) -> Result<Vec<EntityId>> {
                    $ask!(self, Some(scope.tenant()), |c| graph::named(c, scope, names))
                }

                async fn entities(&self, scope: &Scope, ids: &[EntityId]) -> Result<Vec<ConnectedEntity>> {
                    $ask!(self, Some(scope.tenant()), |c| graph::entities(c, scope, ids))
                }

                async fn best(&self, scope: &Scope, limit: usize) -> Result<Vec<ConnectedEntity>> {
                    $ask!(self, Some(scope.tenant()), |c| graph::best(c, scope, limit))
                }

                async fn neighbours(
                    &self,
                    scope: &Scope,
                    ids: &[EntityId],
                    fan_out: usize,
                ) -> Result<Vec<EntityId>> {
                    $ask!(self, Some(scope.tenant()), |c| graph::neighbours(c, scope, ids, fan_out))
                }

                async fn edges(
                    &self,
                    scope: &Scope,
                    ids: &[EntityId],
                    limit: usize,
                ) -> Result<Vec<GraphEdge>> {
                    $ask!(self, Some(scope.tenant()), |c| graph::edges(c, scope, ids, limit))
                }

                async fn pairs(
                    &self,
                    scope: &Scope,
                    ids: &[EntityId],
                    limit: usize,
                ) -> Result<Vec<(EntityId, EntityId, u64)>> {
                    let tenant = scope.tenant();
                    $ask!(self, Some(tenant), |c| graph::pairs(c, tenant, ids, limit))
                }

                async fn mentioning(
                    &self,
                    scope: &Scope,
                    ids: &[EntityId],
                    limit: usize,
                ) -> Result<Vec<MemoryId>> {
                    let tenant = scope.tenant();
                    $ask!(self, Some(tenant), |c| graph::mentioning(c, tenant, ids, limit))
                }
            }
        };
    };
}
pub(in crate::store) use sql_graph;

/// Entities whose folded name is one of these.
pub(in crate::store) async fn named(
    connection: &mut Connection<'_>,
    scope: &Scope,
    names: &[String],
) -> Result<Vec<EntityId>> {
    if names.is_empty() {
        return Ok(Vec::new());
    }
    let mut sql = Sql::new(connection.dialect(), "SELECT id FROM entities WHERE ");
    sql.visible(&scope.without_session()).any_of("name_key", names.iter().map(String::as_str));
    sql.all(connection, |columns| columns.id()).await
}

/// These entities, as far as they are seen.
pub(in crate::store) async fn entities(
    connection: &mut Connection<'_>,
    scope: &Scope,
    ids: &[EntityId],
) -> Result<Vec<ConnectedEntity>> {
    let mut sql = connected(connection.dialect(), Some(scope));
    sql.in_ids(" AND e.id", ids.iter().map(EntityId::as_uuid)).push(") c");
    sql.all(connection, entity).await
}

/// The best connected entities.
pub(in crate::store) async fn best(
    connection: &mut Connection<'_>,
    scope: &Scope,
    limit: usize,
) -> Result<Vec<ConnectedEntity>> {
    let mut sql = connected(connection.dialect(), Some(scope));
    sql.push(") c ORDER BY mentions + edges DESC, id").limit(limit, 0);
    sql.all(connection, entity).await
}

/// Entities by a part of their name.
pub(in crate::store) async fn search(
    connection: &mut Connection<'_>,
    scope: Option<&Scope>,
    request: &SearchEntities,
) -> Result<Vec<GraphNode>> {
    let mut sql = connected(connection.dialect(), scope);
    sql.push(" AND ").push(connection.dialect().position()).push("(name_key, ?) > 0");
    sql.bind(folded(&request.query));
    sql.push(") c ORDER BY mentions + edges DESC, name, id").limit(request.limit, 0);
    let found = sql.all(connection, entity).await?;
    Ok(found.into_iter().map(|entity| entity.node).collect())
}

/// Stored edges between these.
pub(in crate::store) async fn edges(
    connection: &mut Connection<'_>,
    scope: &Scope,
    ids: &[EntityId],
    limit: usize,
) -> Result<Vec<GraphEdge>> {
    let mut sql = Sql::new(
        connection.dialect(),
        "SELECT source, target, predicate, confidence FROM edges WHERE tenant_id = ?",
    );
    sql.bind(scope.tenant());
    sql.in_ids(" AND source", ids.iter().map(EntityId::as_uuid));
    sql.in_ids(" AND target", ids.iter().map(EntityId::as_uuid));
    sql.push(" ORDER BY confidence DESC, source, target, predicate").limit(limit, 0);
    sql.all(connection, edge).await
}

/// How large the graph is.
pub(in crate::store) async fn stats(
    connection: &mut Connection<'_>,
    scope: Option<&Scope>,
) -> Result<GraphStats> {
    let mut sql = Sql::new(connection.dialect(), "SELECT tenant_id, entity_type, count(*) FROM entities e");
    sql.push(" WHERE ");
    seen(&mut sql, scope);
    sql.push(" GROUP BY tenant_id, entity_type ORDER BY tenant_id, entity_type");
    let found: Vec<(String, String, u64)> =
        sql.all(connection, |columns| Ok((columns.text()?, columns.text()?, columns.number()?))).await?;
    let mut stats = GraphStats::default();
    for (tenant, entity_type, count) in found {
        stats.nodes += count;
        *stats.entity_types.entry(entity_type).or_default() += count;
        if stats.tenants.last() != Some(&tenant) {
            stats.tenants.push(tenant);
        }
    }
    let mut sql = Sql::new(connection.dialect(), "SELECT count(*) FROM edges x WHERE ");
    if let Some(scope) = scope {
        sql.push("x.tenant_id = ? AND ").bind(scope.tenant());
    }
    end_seen(&mut sql, scope, "x.source");
    sql.push(" AND ");
    end_seen(&mut sql, scope, "x.target");
    stats.edges = sql.first(connection, |columns| columns.number()).await?.unwrap_or_default();
    Ok(stats)
}

/// `SELECT` of the columns of [`entity`] of what `scope` sees; a further condition on `entities e` may
/// follow, then `) c`.
fn connected(dialect: Dialect, scope: Option<&Scope>) -> Sql {
    let mut sql = Sql::new(
        dialect,
        "SELECT tenant_id, id, namespace, name, entity_type, mentions, edges FROM (SELECT e.tenant_id, e.id, \
         e.namespace, e.name, e.entity_type, (SELECT count(*) FROM mentions m WHERE m.tenant_id = e.tenant_id \
         AND m.entity_id = e.id) AS mentions",
    );
    sql.push(
        ", (SELECT count(*) FROM edges x WHERE x.tenant_id = e.tenant_id AND x.source = e.id AND x.target <> \
         e.id AND ",
    );
    end_seen(&mut sql, scope, "x.target");
    sql.push(
        ") + (SELECT count(*) FROM edges x WHERE x.tenant_id = e.tenant_id AND x.target = e.id AND x.source <> \
         e.id AND ",
    );
    end_seen(&mut sql, scope, "x.source");
    sql.push(") AS edges FROM entities e WHERE ");
    seen(&mut sql, scope);
    sql
}

/// The condition that an entity is seen.
fn seen(sql: &mut Sql, scope: Option<&Scope>) {
    match scope {
        Some(scope) => sql.visible(&scope.without_session()),
        None => sql.push("tenant_id <> ''"),
    };
}

/// The condition that the entity at this end of the edge `x` exists and is seen.
fn end_seen(sql: &mut Sql, scope: Option<&Scope>, end: &'static str) {
    sql.push("EXISTS (SELECT 1 FROM entities WHERE ");
    seen(sql, scope);
    sql.push(" AND tenant_id = x.tenant_id AND id = ").push(end).push(")");
}

fn entity(columns: &mut Columns<'_>) -> Result<ConnectedEntity> {
    let tenant_id = columns.text()?;
    let id = columns.id()?;
    let node = GraphNode {
        tenant_id,
        id,
        namespace: columns.text()?,
        entity: columns.text()?,
        entity_type: columns.text()?,
        properties: Metadata::new(),
    };
    Ok(ConnectedEntity::new(node, columns.number()?, columns.number()?))
}

fn edge(columns: &mut Columns<'_>) -> Result<GraphEdge> {
    let edge = stored_edge(columns)?;
    Ok(GraphEdge {
        source: edge.source,
        target: edge.target,
        predicate: edge.predicate,
        confidence: Score::new(edge.confidence)?,
        properties: Metadata::new(),
    })
}
