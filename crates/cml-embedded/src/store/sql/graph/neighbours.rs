//! Who is near to whom: by stored edges, and by the memories that mention both.

use std::{cmp::Reverse, collections::BTreeSet};

use cml_core::{EntityId, MemoryId, Result, Scope};

use super::super::{connection::Connection, statement::Sql};
use crate::store::graph::walk::{COUNTED, TOGETHER};

/// Entities per statement: few counts, so that few statements are kept prepared.
const BLOCKS: [usize; 5] = [50, 20, 5, 2, 1];

/// Of each of these the first `fan_out` neighbours.
pub(in crate::store) async fn of(
    connection: &mut Connection<'_>,
    scope: &Scope,
    ids: &[EntityId],
    fan_out: usize,
) -> Result<Vec<EntityId>> {
    let tenant = scope.tenant();
    let mut found = BTreeSet::new();
    for block in blocks(ids) {
        let mut sql = Sql::new(connection.dialect(), "WITH recent AS (");
        recent(&mut sql, tenant, block, COUNTED);
        sql.push(") SELECT other FROM (SELECT other, row_number() OVER (PARTITION BY one ORDER BY ");
        sql.push(connection.dialect().greatest()).push("(stored, ").push(TOGETHER).push(
            ") DESC, memories DESC, other) AS place FROM (SELECT one, other, max(stored) AS stored, \
             sum(memories) AS memories FROM (SELECT a.entity_id AS one, b.entity_id AS other, 0.0 AS stored, \
             count(*) AS memories FROM recent a JOIN mentions b ON b.tenant_id = ? AND b.memory_id = a.memory_id \
             AND b.entity_id <> a.entity_id GROUP BY a.entity_id, b.entity_id",
        );
        sql.bind(tenant);
        for (one, other) in [("source", "target"), ("target", "source")] {
            sql.push(" UNION ALL SELECT ").push(one).push(", ").push(other);
            sql.push(", confidence, 0 FROM edges WHERE tenant_id = ? AND source <> target").bind(tenant);
            sql.push(" AND ").push(one).in_ids("", block.iter().map(EntityId::as_uuid));
        }
        sql.push(") r GROUP BY one, other) s WHERE EXISTS (SELECT 1 FROM entities WHERE ");
        sql.visible(&scope.without_session()).push(" AND id = s.other)) t WHERE place <= ?");
        sql.bind(i64::try_from(fan_out).unwrap_or(i64::MAX));
        found.extend(sql.all(connection, |columns| columns.id::<EntityId>()).await?);
    }
    Ok(found.into_iter().collect())
}

/// Pairs of these that memories mention together.
pub(in crate::store) async fn pairs(
    connection: &mut Connection<'_>,
    tenant: &str,
    ids: &[EntityId],
    limit: usize,
) -> Result<Vec<(EntityId, EntityId, u64)>> {
    let mut sql = Sql::new(
        connection.dialect(),
        "SELECT a.entity_id, b.entity_id, count(*) AS memories FROM mentions a JOIN mentions b ON b.tenant_id = \
         a.tenant_id AND b.memory_id = a.memory_id AND b.entity_id > a.entity_id WHERE a.tenant_id = ?",
    );
    sql.bind(tenant);
    sql.in_ids(" AND a.entity_id", ids.iter().map(EntityId::as_uuid));
    sql.in_ids(" AND b.entity_id", ids.iter().map(EntityId::as_uuid));
    sql.push(" GROUP BY a.entity_id, b.entity_id ORDER BY memories DESC, a.entity_id, b.entity_id");
    sql.limit(limit, 0);
    sql.all(connection, |columns| Ok((columns.id()?, columns.id()?, columns.number()?))).await
}

/// The newest records that mention any of these.
pub(in crate::store) async fn mentioning(
    connection: &mut Connection<'_>,
    tenant: &str,
    ids: &[EntityId],
    limit: usize,
) -> Result<Vec<MemoryId>> {
    let mut found: Vec<MemoryId> = Vec::new();
    for block in blocks(ids) {
        let mut sql = Sql::new(connection.dialect(), "SELECT DISTINCT memory_id FROM (");
        recent(&mut sql, tenant, block, limit);
        sql.push(") r");
        found.extend(sql.all(connection, |columns| columns.id::<MemoryId>()).await?);
    }
    found.sort_unstable_by_key(|id| Reverse(*id));
    found.dedup();
    found.truncate(limit);
    Ok(found)
}

/// `SELECT` of the newest mentions of each of these, by the key of `mentions`.
fn recent(sql: &mut Sql, tenant: &str, ids: &[EntityId], limit: usize) {
    for (at, id) in ids.iter().enumerate() {
        sql.push(if at > 0 { " UNION ALL " } else { "" });
        sql.push(
            "SELECT entity_id, memory_id FROM (SELECT entity_id, memory_id FROM mentions WHERE tenant_id = ?",
        );
        sql.bind(tenant).push(" AND entity_id = ?").bind_id(id.as_uuid());
        sql.push(" ORDER BY memory_id DESC").limit(limit, 0).push(") m");
    }
}

fn blocks(ids: &[EntityId]) -> impl Iterator<Item = &[EntityId]> {
    let mut left = ids;
    std::iter::from_fn(move || {
        let size = BLOCKS.into_iter().find(|size| *size <= left.len())?;
        let (block, rest) = left.split_at(size);
        left = rest;
        Some(block)
    })
}
