//! Rows for the search index, by the thousands.

use std::collections::HashMap;

use cml_core::{MemoryId, MessageId, Result};

#[cfg(feature = "lite")]
use super::packed;
#[cfg(feature = "standard")]
use super::rows::{self, TURN};
#[cfg(feature = "standard")]
use super::value::Columns;
use super::{connection::Connection, dialect::Dialect, statement::Sql};
use crate::store::{IndexedRow, ModelId, Select, TurnRow, Vector};

pub(in crate::store) async fn turns(
    connection: &mut Connection<'_>,
    tenant: &str,
    select: Select<'_, MessageId>,
) -> Result<Vec<TurnRow>> {
    match connection.dialect() {
        #[cfg(feature = "lite")]
        Dialect::Sqlite => packed::turns(connection, tenant, select).await,
        #[cfg(feature = "standard")]
        Dialect::Postgres => {
            let mut sql = Sql::new(Dialect::Postgres, "SELECT ");
            sql.push(TURN).push(" FROM terms WHERE tenant_id = ?").bind(tenant);
            sql.select(select, MessageId::as_uuid);
            sql.all(connection, rows::turn).await
        }
    }
}

/// Records with their vectors; the connection is a snapshot.
pub(in crate::store) async fn records(
    connection: &mut Connection<'_>,
    tenant: &str,
    model: ModelId,
    select: Select<'_, MemoryId>,
) -> Result<Vec<IndexedRow>> {
    let mut rows = match connection.dialect() {
        #[cfg(feature = "lite")]
        Dialect::Sqlite => packed::records(connection, tenant, select).await?,
        #[cfg(feature = "standard")]
        Dialect::Postgres => plain(connection, tenant, select).await?,
    };
    let (Some(first), Some(last)) = (rows.first(), rows.last()) else { return Ok(rows) };
    let span = (first.id, last.id);
    let mut own = vectors(connection, tenant, (model, 0), select, span).await?;
    let mut context = vectors(connection, tenant, (model, 1), select, span).await?;
    for row in &mut rows {
        (row.own, row.context) = (own.remove(&row.id), context.remove(&row.id));
    }
    Ok(rows)
}

/// Records without their vectors.
#[cfg(feature = "standard")]
async fn plain(
    connection: &mut Connection<'_>,
    tenant: &str,
    select: Select<'_, MemoryId>,
) -> Result<Vec<IndexedRow>> {
    let mut sql = Sql::new(
        connection.dialect(),
        "SELECT id, message_id, chunk_index, memory_type, status, agent_id, tags, nullif(CAST(metadata AS \
         TEXT), '{}'), event_start, event_end, valid_from, valid_to, expires_at, superseded_by_id IS NOT \
         NULL, written_at FROM records WHERE tenant_id = ?",
    );
    sql.bind(tenant).select(select, MemoryId::as_uuid);
    sql.all(connection, indexed).await
}

#[cfg(feature = "standard")]
fn indexed(columns: &mut Columns<'_>) -> Result<IndexedRow> {
    fn micros(columns: &mut Columns<'_>) -> Result<Option<i64>> {
        Ok(columns.optional_time()?.map(|instant| instant.timestamp_micros()))
    }
    Ok(IndexedRow {
        id: columns.id()?,
        turn: columns.id()?,
        chunk_index: columns.small()?,
        memory_type: columns.name()?,
        status: columns.name()?,
        agent: columns.text()?,
        tags: columns.texts()?,
        metadata: columns.get()?,
        event: {
            let (start, end) = (micros(columns)?, micros(columns)?);
            start.map(|start| (start, end.unwrap_or(start)))
        },
        valid_from: micros(columns)?,
        valid_to: micros(columns)?,
        expires_at: micros(columns)?,
        superseded: columns.get()?,
        written_at: columns.time()?.timestamp_micros(),
        own: None,
        context: None,
    })
}

async fn vectors(
    connection: &mut Connection<'_>,
    tenant: &str,
    (model, view): (ModelId, i64),
    select: Select<'_, MemoryId>,
    (first, last): (MemoryId, MemoryId),
) -> Result<HashMap<MemoryId, Vector>> {
    let mut sql =
        Sql::new(connection.dialect(), "SELECT record_id, norm, vector FROM embeddings WHERE tenant_id = ?");
    sql.bind(tenant).push(" AND model_id = ? AND view = ?").bind(model).bind(view);
    match select {
        Select::Ids(ids) => sql.in_ids(" AND record_id", ids.iter().map(MemoryId::as_uuid)),
        Select::After(..) => {
            sql.push(" AND record_id BETWEEN ? AND ?").bind_id(first.as_uuid()).bind_id(last.as_uuid())
        }
    };
    let rows = sql.all(connection, |columns| Ok((columns.id()?, columns.vector()?))).await?;
    Ok(rows.into_iter().collect())
}
