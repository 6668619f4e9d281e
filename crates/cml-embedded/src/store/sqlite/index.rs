//! Rows for the search index, by the thousands.
//!
//! Handing a value from SQLite to Rust costs about a fifth of a microsecond whatever it holds, so that
//! ten thousand rows of fifteen columns take longer than reading them. These queries give one row with
//! a JSON list instead, and vectors alone as rows of their own.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use cml_core::{
    MemoryId, MessageId, Result,
    memory::{MemoryStatus, MemoryType, Role},
};
use serde::{Deserialize, de::DeserializeOwned};
use sqlx::SqliteConnection;

use super::{
    error::malformed,
    sql::{Sql, all, first},
};
use crate::store::{IndexedRow, ModelId, Select, TurnRow, Vector};

pub(super) async fn turns(
    connection: &mut SqliteConnection,
    tenant: &str,
    select: Select<'_, MessageId>,
) -> Result<Vec<TurnRow>> {
    let mut sql = Sql::new(
        "SELECT '[' || coalesce(group_concat(turn), '') || ']' FROM (SELECT json_array(hex(id), namespace, \
         user_id, agent_id, session_id, seq, role, speaker, said_at, terms, length, flags) AS turn FROM \
         terms WHERE tenant_id = ?",
    );
    sql.bind(tenant).select(select, MessageId::as_uuid).push(")");
    let rows: Vec<Turn> = list(connection, sql).await?;
    rows.into_iter().map(Turn::into_row).collect()
}

/// Records with their vectors; the connection is a snapshot.
pub(super) async fn records(
    connection: &mut SqliteConnection,
    tenant: &str,
    model: ModelId,
    select: Select<'_, MemoryId>,
) -> Result<Vec<IndexedRow>> {
    let mut sql = Sql::new(
        "SELECT '[' || coalesce(group_concat(record), '') || ']' FROM (SELECT json_array(hex(id), \
         hex(message_id), chunk_index, memory_type, status, agent_id, nullif(tags, '[]'), nullif(metadata, \
         '{}'), event_start, event_end, valid_from, valid_to, expires_at, superseded_by_id IS NOT NULL, \
         written_at) AS record FROM records WHERE tenant_id = ?",
    );
    sql.bind(tenant).select(select, MemoryId::as_uuid).push(")");
    let rows: Vec<Record> = list(connection, sql).await?;
    let (Some(first), Some(last)) = (rows.first(), rows.last()) else { return Ok(Vec::new()) };
    let span = (first.id, last.id);
    let mut own = vectors(connection, tenant, (model, 0), select, span).await?;
    let mut context = vectors(connection, tenant, (model, 1), select, span).await?;
    rows.into_iter()
        .map(|record| {
            let (own, context) = (own.remove(&record.id), context.remove(&record.id));
            record.into_row(own, context)
        })
        .collect()
}

async fn vectors(
    connection: &mut SqliteConnection,
    tenant: &str,
    (model, view): (ModelId, i64),
    select: Select<'_, MemoryId>,
    (first, last): (MemoryId, MemoryId),
) -> Result<HashMap<MemoryId, Vector>> {
    let mut sql = Sql::new("SELECT record_id, norm, vector FROM embeddings WHERE tenant_id = ?");
    sql.bind(tenant).push(" AND model_id = ? AND view = ?").bind(model).bind(view);
    match select {
        Select::Ids(ids) => sql.in_ids(" AND record_id", ids.iter().map(MemoryId::as_uuid)),
        Select::After(..) => sql
            .push(" AND record_id BETWEEN ? AND ?")
            .bind(first.as_uuid().as_bytes().as_slice())
            .bind(last.as_uuid().as_bytes().as_slice()),
    };
    let (text, binds) = sql.into_parts();
    let rows = all(connection, text, binds, |columns| Ok((columns.id()?, columns.vector()?))).await?;
    Ok(rows.into_iter().collect())
}

/// The list in the only row of a query.
async fn list<T: DeserializeOwned>(connection: &mut SqliteConnection, sql: Sql) -> Result<Vec<T>> {
    let (text, binds) = sql.into_parts();
    let rows = first(connection, text, binds, |columns| columns.json()).await?;
    Ok(rows.unwrap_or_default())
}

/// A row of `terms`, in the order of its query.
#[derive(Deserialize)]
struct Turn {
    id: MessageId,
    namespace: String,
    user: String,
    agent: String,
    session: String,
    seq: u64,
    role: Role,
    speaker: String,
    said_at: i64,
    terms: String,
    length: u32,
    flags: u32,
}

impl Turn {
    fn into_row(self) -> Result<TurnRow> {
        let said_at: DateTime<Utc> =
            DateTime::from_timestamp_micros(self.said_at).ok_or_else(|| malformed("instant"))?;
        Ok(TurnRow {
            id: self.id,
            namespace: self.namespace,
            user: self.user,
            agent: self.agent,
            session: self.session,
            seq: self.seq,
            role: self.role,
            speaker: self.speaker,
            said_at,
            terms: self.terms,
            length: self.length,
            flags: self.flags,
        })
    }
}

/// A row of `records`, in the order of its query.
#[derive(Deserialize)]
struct Record {
    id: MemoryId,
    turn: MessageId,
    chunk_index: u32,
    memory_type: MemoryType,
    status: MemoryStatus,
    agent: String,
    tags: Option<String>,
    metadata: Option<String>,
    event_start: Option<i64>,
    event_end: Option<i64>,
    valid_from: Option<i64>,
    valid_to: Option<i64>,
    expires_at: Option<i64>,
    superseded: u8,
    written_at: i64,
}

impl Record {
    fn into_row(self, own: Option<Vector>, context: Option<Vector>) -> Result<IndexedRow> {
        let tags = self.tags.map(|tags| serde_json::from_str(&tags)).transpose();
        Ok(IndexedRow {
            id: self.id,
            turn: self.turn,
            chunk_index: self.chunk_index,
            memory_type: self.memory_type,
            status: self.status,
            agent: self.agent,
            tags: tags.map_err(|error| malformed("JSON").with_source(error))?.unwrap_or_default(),
            metadata: self.metadata,
            event: self.event_start.map(|start| (start, self.event_end.unwrap_or(start))),
            valid_from: self.valid_from,
            valid_to: self.valid_to,
            expires_at: self.expires_at,
            superseded: self.superseded != 0,
            written_at: self.written_at,
            own,
            context,
        })
    }
}
