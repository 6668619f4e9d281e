//! Reads by key.

use std::collections::HashMap;

use cml_core::{
    FactId, MemoryId, MessageId, Result,
    memory::{Fact, MemoryRecord, Message, RecordVersion, Session},
};
use uuid::Uuid;

use super::{
    connection::Connection,
    error::malformed,
    lookup,
    rows::{self, FACT, MESSAGE, RECORD, SESSION},
    statement::Sql,
    value::{Columns, binds},
};
use crate::store::{Changed, Observed, Select, Tail, Wanted};

pub(in crate::store) async fn records(
    connection: &mut Connection<'_>,
    tenant: &str,
    ids: &[MemoryId],
) -> Result<Vec<MemoryRecord>> {
    let found =
        by_ids(connection, "records", RECORD, tenant, ids.iter().map(MemoryId::as_uuid), rows::record)
            .await?;
    let found: HashMap<MemoryId, MemoryRecord> =
        found.into_iter().map(|record| (record.id, record)).collect();
    Ok(in_order(ids, found))
}

pub(in crate::store) async fn records_of(
    connection: &mut Connection<'_>,
    tenant: &str,
    messages: &[MessageId],
) -> Result<Vec<MemoryRecord>> {
    let mut sql = Sql::new(connection.dialect(), "SELECT ");
    sql.push(RECORD).push(" FROM records WHERE tenant_id = ?").bind(tenant);
    sql.in_ids(" AND message_id", messages.iter().map(MessageId::as_uuid));
    sql.push(" ORDER BY message_id, chunk_index, id");
    sql.all(connection, rows::record).await
}

pub(in crate::store) async fn versions(
    connection: &mut Connection<'_>,
    tenant: &str,
    id: MemoryId,
) -> Result<Vec<RecordVersion>> {
    let mut sql = Sql::new(connection.dialect(), "SELECT ");
    sql.push(RECORD).push(", recorded_at FROM record_versions WHERE tenant_id = ?").bind(tenant);
    sql.push(" AND id = ?").bind_id(id.as_uuid()).push(" ORDER BY version");
    sql.all(connection, |columns| Ok(RecordVersion::new(rows::record(columns)?, columns.time()?))).await
}

pub(in crate::store) async fn messages(
    connection: &mut Connection<'_>,
    tenant: &str,
    ids: &[MessageId],
) -> Result<Vec<Message>> {
    by_ids(connection, "messages", MESSAGE, tenant, ids.iter().map(MessageId::as_uuid), rows::message).await
}

pub(in crate::store) async fn session(
    connection: &mut Connection<'_>,
    tenant: &str,
    session: &str,
) -> Result<Option<Session>> {
    let mut sql = Sql::new(connection.dialect(), "SELECT ");
    sql.push(SESSION).push(" FROM sessions WHERE tenant_id = ?").bind(tenant);
    sql.push(" AND session_id = ?").bind(session);
    sql.first(connection, rows::session).await
}

/// What a write needs to know; the connection is a snapshot.
pub(in crate::store) async fn observe(
    connection: &mut Connection<'_>,
    tenant: &str,
    wanted: &Wanted,
) -> Result<Observed> {
    let dedup = lookup::by_dedup(connection, tenant, &wanted.dedup).await?;
    let keys = lookup::by_key(connection, tenant, &wanted.keys).await?;
    let slots = lookup::by_slot(connection, tenant, &wanted.slots).await?;
    let turns = lookup::by_turn(connection, tenant, &wanted.turns).await?;
    let last = lookup::last_messages(connection, tenant, &wanted.last_messages).await?;

    let ids: Vec<MemoryId> = dedup.values().chain(keys.values()).copied().collect();
    let records = keyed(records(connection, tenant, &ids).await?, |record| record.id);
    let ids: Vec<FactId> = slots.values().flatten().copied().collect();
    let facts = keyed(facts(connection, tenant, &ids).await?, |fact| fact.id);
    let ids: Vec<MessageId> = turns.values().chain(&last).copied().collect();
    let messages = keyed(messages(connection, tenant, &ids).await?, |message| message.id);
    let sizes = memory_sizes(connection, tenant, &turns.values().copied().collect::<Vec<_>>()).await?;

    let fact = |id: &FactId| facts.get(id).cloned();
    Ok(Observed {
        state: lookup::tenant(connection, tenant).await?,
        model: lookup::serving(connection).await?,
        dedup: dedup.into_iter().filter_map(|(of, id)| Some((of, records.get(&id)?.clone()))).collect(),
        keys: keys.into_iter().filter_map(|(of, id)| Some((of, records.get(&id)?.clone()))).collect(),
        slots: slots.into_iter().map(|(of, ids)| (of, ids.iter().filter_map(fact).collect())).collect(),
        turns: turns
            .into_iter()
            .filter_map(|(of, id)| {
                Some((of, (messages.get(&id)?.clone(), sizes.get(&id).copied().unwrap_or_default())))
            })
            .collect(),
        idempotency: lookup::by_idempotency(connection, tenant, &wanted.idempotency, wanted.now).await?,
        last_messages: last
            .iter()
            .filter_map(|id| messages.get(id))
            .map(|message| (message.session_id.clone(), message.clone()))
            .collect(),
    })
}

/// How many records the memory of each message has.
async fn memory_sizes(
    connection: &mut Connection<'_>,
    tenant: &str,
    messages: &[MessageId],
) -> Result<HashMap<MessageId, u32>> {
    if messages.is_empty() {
        return Ok(HashMap::new());
    }
    let mut sql = Sql::new(
        connection.dialect(),
        "SELECT m.id, (SELECT count(*) FROM records r JOIN records c ON c.tenant_id = r.tenant_id AND \
         c.message_id = r.message_id WHERE r.tenant_id = m.tenant_id AND r.id = m.memory_id) FROM messages \
         m WHERE m.tenant_id = ?",
    );
    sql.bind(tenant).in_ids(" AND m.id", messages.iter().map(MessageId::as_uuid));
    let sizes = sql.all(connection, |columns| Ok((columns.id()?, columns.small()?))).await?;
    Ok(sizes.into_iter().collect())
}

pub(in crate::store) async fn changes(
    connection: &mut Connection<'_>,
    tenant: &str,
    seq: u64,
    limit: usize,
) -> Result<Tail> {
    // One statement, so that a list that is cut meanwhile cannot look complete.
    let rows = connection
        .all(
            "SELECT t.last_seq, t.kept_from, c.seq, c.kind, c.id FROM tenants t LEFT JOIN changes c ON \
         c.tenant_id = t.tenant_id AND c.seq > ? WHERE t.tenant_id = ? ORDER BY c.seq LIMIT ?",
            binds(|binds| {
                binds.add(seq.cast_signed()).add(tenant).add(i64::try_from(limit).unwrap_or(i64::MAX));
            }),
            |columns| {
                let reaches = (columns.number()?..=u64::MAX, columns.number()?);
                let number: Option<i64> = columns.get()?;
                let Some(number) = number else { return Ok((reaches, None)) };
                let changed = match columns.get::<i64>()? {
                    0 => Changed::Record(columns.id()?),
                    1 => Changed::Turn(columns.id()?),
                    2 => Changed::Fact(columns.id()?),
                    _ => return Err(malformed("kind of change")),
                };
                Ok((reaches, Some((number.cast_unsigned(), changed))))
            },
        )
        .await?;
    let Some(((beyond, kept_from), _)) = rows.first() else {
        return Ok(if seq == 0 { Tail::Rows(Vec::new()) } else { Tail::Gone });
    };
    // A number that was never given is one of another file's history.
    if seq < *kept_from || seq > *beyond.start() {
        return Ok(Tail::Gone);
    }
    Ok(Tail::Rows(rows.into_iter().filter_map(|(_, row)| row).collect()))
}

/// Facts for the index, with their evidence.
pub(in crate::store) async fn indexed_facts(
    connection: &mut Connection<'_>,
    tenant: &str,
    select: Select<'_, FactId>,
) -> Result<Vec<Fact>> {
    let mut sql = Sql::new(connection.dialect(), "SELECT ");
    sql.push(FACT).push(" FROM facts WHERE tenant_id = ?").bind(tenant).select(select, FactId::as_uuid);
    let mut facts = sql.all(connection, rows::fact).await?;
    add_evidence(connection, tenant, &mut facts).await?;
    Ok(facts)
}

/// Facts with their evidence, in the order of `ids`.
pub(in crate::store) async fn facts(
    connection: &mut Connection<'_>,
    tenant: &str,
    ids: &[FactId],
) -> Result<Vec<Fact>> {
    let found =
        by_ids(connection, "facts", FACT, tenant, ids.iter().map(FactId::as_uuid), rows::fact).await?;
    let mut facts = in_order(ids, keyed(found, |fact| fact.id));
    add_evidence(connection, tenant, &mut facts).await?;
    Ok(facts)
}

/// Facts that rest on any of the records, by id, with their evidence.
pub(in crate::store) async fn facts_of(
    connection: &mut Connection<'_>,
    tenant: &str,
    records: &[MemoryId],
) -> Result<Vec<Fact>> {
    let mut sql =
        Sql::new(connection.dialect(), "SELECT DISTINCT fact_id FROM fact_evidence WHERE tenant_id = ?");
    sql.bind(tenant)
        .in_ids(" AND target_id", records.iter().map(MemoryId::as_uuid))
        .push(" AND kind = 0 ORDER BY 1");
    let ids: Vec<FactId> = sql.all(connection, |columns| columns.id()).await?;
    facts(connection, tenant, &ids).await
}

/// Gives each fact what it rests on.
pub(in crate::store) async fn add_evidence(
    connection: &mut Connection<'_>,
    tenant: &str,
    facts: &mut [Fact],
) -> Result<()> {
    if facts.is_empty() {
        return Ok(());
    }
    let mut sql = Sql::new(
        connection.dialect(),
        "SELECT fact_id, kind, target_id FROM fact_evidence WHERE tenant_id = ?",
    );
    sql.bind(tenant).in_ids(" AND fact_id", facts.iter().map(|fact| fact.id.as_uuid()));
    sql.push(" ORDER BY fact_id, kind, target_id");
    let rows = sql.all(connection, |columns| Ok((columns.id::<FactId>()?, rows::evidence(columns)?))).await?;
    let mut evidence: HashMap<FactId, Vec<_>> = HashMap::new();
    for (fact, row) in rows {
        evidence.entry(fact).or_default().push(row);
    }
    for fact in facts {
        fact.evidence = evidence.remove(&fact.id).unwrap_or_default();
    }
    Ok(())
}

async fn by_ids<'i, T>(
    connection: &mut Connection<'_>,
    table: &'static str,
    columns: &'static str,
    tenant: &str,
    ids: impl Iterator<Item = &'i Uuid>,
    read: impl Fn(&mut Columns<'_>) -> Result<T>,
) -> Result<Vec<T>> {
    let mut ids = ids.peekable();
    if ids.peek().is_none() {
        return Ok(Vec::new());
    }
    let mut sql = Sql::new(connection.dialect(), "SELECT ");
    sql.push(columns).push(" FROM ").push(table).push(" WHERE tenant_id = ?").bind(tenant);
    sql.in_ids(" AND id", ids);
    sql.all(connection, read).await
}

fn keyed<K: std::hash::Hash + Eq, V>(rows: Vec<V>, key: impl Fn(&V) -> K) -> HashMap<K, V> {
    rows.into_iter().map(|row| (key(&row), row)).collect()
}

/// The values of `ids` in their order; an id that is given twice comes twice.
fn in_order<K: std::hash::Hash + Eq, V: Clone>(ids: &[K], mut found: HashMap<K, V>) -> Vec<V> {
    let distinct = found.len() == ids.len();
    ids.iter().filter_map(|id| if distinct { found.remove(id) } else { found.get(id).cloned() }).collect()
}
