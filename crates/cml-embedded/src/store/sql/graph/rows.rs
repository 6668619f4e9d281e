//! Nodes as a graph database gets them.

use cml_core::{EntityId, FactId, MemoryId, Result, memory::Session};

use super::super::{connection::Connection, read, rows, statement::Sql, value::Columns};
use crate::store::{EntityNode, GraphChanges, GraphKey, GraphKind, RecordNode};

/// Nodes as they are now; every key has its entry.
pub(in crate::store) async fn changes(
    connection: &mut Connection<'_>,
    tenant: &str,
    keys: &[GraphKey],
) -> Result<GraphChanges> {
    let mut changes = GraphChanges::default();
    for key in keys {
        match key {
            GraphKey::Record(id) => _ = changes.records.insert(*id, None),
            GraphKey::Fact(id) => _ = changes.facts.insert(*id, None),
            GraphKey::Session(name) => _ = changes.sessions.insert(name.clone(), None),
            GraphKey::Entity(id) => _ = changes.entities.insert(*id, None),
        }
    }
    sessions(connection, tenant, &mut changes).await?;
    entities(connection, tenant, &mut changes).await?;
    records(connection, tenant, &mut changes).await?;
    let ids: Vec<FactId> = changes.facts.keys().copied().collect();
    if !ids.is_empty() {
        for fact in read::facts(connection, tenant, &ids).await? {
            changes.facts.insert(fact.id, Some(fact));
        }
    }
    Ok(changes)
}

/// Keys of a kind after `after`, at most `limit`.
pub(in crate::store) async fn keys(
    connection: &mut Connection<'_>,
    tenant: &str,
    kind: GraphKind,
    after: Option<&GraphKey>,
    limit: usize,
) -> Result<Vec<GraphKey>> {
    let (column, table) = match kind {
        GraphKind::Record => ("id", "records"),
        GraphKind::Fact => ("id", "facts"),
        GraphKind::Session => ("session_id", "sessions"),
        GraphKind::Entity => ("id", "entities"),
    };
    let mut sql = Sql::new(connection.dialect(), "SELECT ");
    sql.push(column).push(" FROM ").push(table).push(" WHERE tenant_id = ?").bind(tenant);
    if let Some(after) = after {
        sql.push(" AND ").push(column).push(" > ?");
        match after {
            GraphKey::Record(id) => sql.bind_id(id.as_uuid()),
            GraphKey::Fact(id) => sql.bind_id(id.as_uuid()),
            GraphKey::Session(name) => sql.bind(name.as_str()),
            GraphKey::Entity(id) => sql.bind_id(id.as_uuid()),
        };
    }
    sql.push(" ORDER BY ").push(column).limit(limit, 0);
    let key = |columns: &mut Columns<'_>| {
        Ok(match kind {
            GraphKind::Record => GraphKey::Record(columns.id()?),
            GraphKind::Fact => GraphKey::Fact(columns.id()?),
            GraphKind::Session => GraphKey::Session(columns.text()?),
            GraphKind::Entity => GraphKey::Entity(columns.id()?),
        })
    };
    sql.all(connection, key).await
}

async fn sessions(connection: &mut Connection<'_>, tenant: &str, changes: &mut GraphChanges) -> Result<()> {
    if changes.sessions.is_empty() {
        return Ok(());
    }
    let mut sql = Sql::new(connection.dialect(), "SELECT ");
    sql.push(rows::SESSION).push(" FROM sessions WHERE tenant_id = ?").bind(tenant);
    sql.any_of("session_id", changes.sessions.keys().map(String::as_str));
    let found: Vec<Session> = sql.all(connection, rows::session).await?;
    changes.sessions.extend(found.into_iter().map(|session| (session.session_id.clone(), Some(session))));
    Ok(())
}

async fn entities(connection: &mut Connection<'_>, tenant: &str, changes: &mut GraphChanges) -> Result<()> {
    if changes.entities.is_empty() {
        return Ok(());
    }
    let mut sql = Sql::new(
        connection.dialect(),
        "SELECT tenant_id, id, namespace, user_id, name, entity_type FROM entities WHERE tenant_id = ?",
    );
    sql.bind(tenant).in_ids(" AND id", changes.entities.keys().map(EntityId::as_uuid));
    for entity in sql.all(connection, rows::entity).await? {
        changes.entities.insert(entity.id, Some(EntityNode { entity, edges: Vec::new() }));
    }
    let mut sql = Sql::new(
        connection.dialect(),
        "SELECT source, target, predicate, confidence FROM edges WHERE tenant_id = ?",
    );
    sql.bind(tenant).in_ids(" AND source", changes.entities.keys().map(EntityId::as_uuid));
    sql.push(" ORDER BY source, target, predicate");
    for edge in sql.all(connection, rows::edge).await? {
        if let Some(Some(node)) = changes.entities.get_mut(&edge.source) {
            node.edges.push(edge);
        }
    }
    Ok(())
}

async fn records(connection: &mut Connection<'_>, tenant: &str, changes: &mut GraphChanges) -> Result<()> {
    if changes.records.is_empty() {
        return Ok(());
    }
    let mut sql = Sql::new(
        connection.dialect(),
        "SELECT id, namespace, user_id, session_id, memory_type, status FROM records WHERE tenant_id = ?",
    );
    sql.bind(tenant).in_ids(" AND id", changes.records.keys().map(MemoryId::as_uuid));
    let found: Vec<(MemoryId, RecordNode)> = sql.all(connection, record).await?;
    changes.records.extend(found.into_iter().map(|(id, node)| (id, Some(node))));
    let mut sql =
        Sql::new(connection.dialect(), "SELECT memory_id, entity_id FROM mentions WHERE tenant_id = ?");
    sql.bind(tenant).in_ids(" AND memory_id", changes.records.keys().map(MemoryId::as_uuid));
    sql.push(" ORDER BY memory_id, entity_id");
    let mentions: Vec<(MemoryId, EntityId)> =
        sql.all(connection, |columns| Ok((columns.id()?, columns.id()?))).await?;
    for (record, entity) in mentions {
        if let Some(Some(node)) = changes.records.get_mut(&record) {
            node.mentions.push(entity);
        }
    }
    Ok(())
}

fn record(columns: &mut Columns<'_>) -> Result<(MemoryId, RecordNode)> {
    let id = columns.id()?;
    let node = RecordNode {
        namespace: columns.text()?,
        user: columns.text()?,
        session: columns.text()?,
        memory_type: columns.name()?,
        status: columns.name()?,
        mentions: Vec::new(),
    };
    Ok((id, node))
}
