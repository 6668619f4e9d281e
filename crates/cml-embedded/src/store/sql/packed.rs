//! Rows for the search index as SQLite gives them fastest.
//!
//! Handing a value from SQLite to Rust costs about a fifth of a microsecond whatever it holds, so that
//! ten thousand rows of fifteen columns take longer than reading them. These queries give one row with
//! a JSON list instead.

use chrono::{DateTime, Utc};
use cml_core::{
    MemoryId, MessageId, Result,
    memory::{MemoryStatus, MemoryType, Role},
};
use serde::{Deserialize, de::DeserializeOwned};

use super::{connection::Connection, error::malformed, statement::Sql};
use crate::store::{IndexedRow, Select, TurnRow};

pub(super) async fn turns(
    connection: &mut Connection<'_>,
    tenant: &str,
    select: Select<'_, MessageId>,
) -> Result<Vec<TurnRow>> {
    let mut sql = Sql::new(
        connection.dialect(),
        "SELECT '[' || coalesce(group_concat(turn), '') || ']' FROM (SELECT json_array(hex(id), namespace, \
         user_id, agent_id, session_id, seq, role, speaker, said_at, terms, length, flags) AS turn FROM \
         terms WHERE tenant_id = ?",
    );
    sql.bind(tenant).select(select, MessageId::as_uuid).push(")");
    let rows: Vec<Turn> = list(connection, sql).await?;
    rows.into_iter().map(Turn::into_row).collect()
}

/// Records without their vectors.
pub(super) async fn records(
    connection: &mut Connection<'_>,
    tenant: &str,
    select: Select<'_, MemoryId>,
) -> Result<Vec<IndexedRow>> {
    let mut sql = Sql::new(
        connection.dialect(),
        "SELECT '[' || coalesce(group_concat(record), '') || ']' FROM (SELECT json_array(hex(id), \
         hex(message_id), chunk_index, memory_type, status, agent_id, nullif(tags, '[]'), nullif(metadata, \
         '{}'), event_start, event_end, valid_from, valid_to, expires_at, superseded_by_id IS NOT NULL, \
         written_at) AS record FROM records WHERE tenant_id = ?",
    );
    sql.bind(tenant).select(select, MemoryId::as_uuid).push(")");
    let rows: Vec<Record> = list(connection, sql).await?;
    rows.into_iter().map(Record::into_row).collect()
}

/// The list in the only row of a query.
async fn list<T: DeserializeOwned>(connection: &mut Connection<'_>, sql: Sql) -> Result<Vec<T>> {
    let rows = sql.first(connection, |columns| columns.json()).await?;
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
    fn into_row(self) -> Result<IndexedRow> {
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
            own: None,
            context: None,
        })
    }
}
