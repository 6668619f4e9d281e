//! Lookups by what a write compares: digest, key, slot, turn. Used before a plan and again at its commit.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use cml_core::{FactId, MemoryId, MessageId, Result, Scope};
use uuid::Uuid;

use super::{
    connection::Connection,
    dialect::Part,
    error::malformed,
    statement::Sql,
    value::{Binds, Columns, binds},
};
use crate::store::{Digest, IdempotencyRow, KeyOf, ModelId, SlotOf, TenantState, TurnOf};

const TENANT: &str = "SELECT last_seq, epoch FROM tenants WHERE tenant_id = ?";

/// Where the tenant stands.
pub(in crate::store) async fn tenant(connection: &mut Connection<'_>, tenant: &str) -> Result<TenantState> {
    Ok(state(connection, TENANT.to_owned(), tenant).await?.unwrap_or_default())
}

/// Begins a change set by the statement `begin`, and then says where the tenant stands. Other change
/// sets of the tenant wait until the transaction ends; with `models`, those that change the generations
/// of vectors do, too.
pub(in crate::store) async fn begin(
    connection: &mut Connection<'_>,
    tenant: &str,
    begin: &'static str,
    models: bool,
) -> Result<TenantState> {
    let dialect = connection.dialect();
    let Some(locked) = dialect.keeps_row() else {
        // A transaction that writes is alone.
        return Ok(state(connection, format!("{begin}; {TENANT}"), tenant).await?.unwrap_or_default());
    };
    if !begin.is_empty() {
        connection.run_plain(begin).await?;
    }
    // Before the row of the tenant, so that nobody waits for it in turn.
    if let Some(keep) = dialect.keep_models().filter(|_| models) {
        connection.run_plain(keep).await?;
    }
    let locked = format!("{TENANT}{locked}");
    if let Some(found) = state(connection, locked.clone(), tenant).await? {
        return Ok(found);
    }
    let values = binds(|binds| {
        binds.add(tenant);
    });
    let sql = "INSERT INTO tenants (tenant_id, last_seq, epoch) VALUES (?, 0, 0) ON CONFLICT DO NOTHING";
    connection.run(sql, values).await?;
    Ok(state(connection, locked, tenant).await?.unwrap_or_default())
}

async fn state(connection: &mut Connection<'_>, sql: String, tenant: &str) -> Result<Option<TenantState>> {
    let values = binds(|binds| {
        binds.add(tenant);
    });
    let read =
        |columns: &mut Columns<'_>| Ok(TenantState { last_seq: columns.number()?, epoch: columns.number()? });
    connection.first(sql, values, read).await
}

/// The generation of vectors that serves.
pub(in crate::store) async fn serving(connection: &mut Connection<'_>) -> Result<ModelId> {
    let id = connection
        .first("SELECT id FROM models WHERE state = 'serving'", Binds::default(), |columns| columns.get())
        .await?;
    id.ok_or_else(|| malformed("model"))
}

/// The newest record of each digest.
pub(in crate::store) async fn by_dedup(
    connection: &mut Connection<'_>,
    tenant: &str,
    digests: &[Digest],
) -> Result<HashMap<Digest, MemoryId>> {
    if digests.is_empty() {
        return Ok(HashMap::new());
    }
    let dialect = connection.dialect();
    let mut sql = Sql::new(dialect, "SELECT w.digest, (SELECT r.id FROM records r WHERE r.tenant_id = ?");
    sql.bind(tenant).push(" AND r.dedup = w.digest ORDER BY r.id DESC LIMIT 1) FROM (SELECT ");
    sql.push(dialect.id_of_value()).push(" AS digest FROM ");
    let wanted: Vec<String> =
        digests.iter().map(|digest| Uuid::from_bytes(*digest).simple().to_string()).collect();
    sql.each(&wanted).push(") w");
    let found = sql
        .all(connection, |columns| Ok((columns.id::<Uuid>()?.into_bytes(), columns.optional_id()?)))
        .await?;
    Ok(present(found))
}

/// The record under each key.
pub(in crate::store) async fn by_key(
    connection: &mut Connection<'_>,
    tenant: &str,
    keys: &[KeyOf],
) -> Result<HashMap<KeyOf, MemoryId>> {
    if keys.is_empty() {
        return Ok(HashMap::new());
    }
    let wanted: Vec<_> = keys.iter().map(|of| (&of.namespace, &of.user, &of.key)).collect();
    let mut sql = Sql::new(connection.dialect(), "SELECT w.key, r.id FROM ");
    sql.each(&wanted).join("records r", tenant, "r.tenant_id");
    sql.equal(&[("r.namespace", Part::Text), ("r.user_id", Part::Text), ("r.key", Part::Text)]);
    let found = sql.all(connection, |columns| Ok((nth(columns, keys)?, columns.optional_id()?))).await?;
    Ok(present(found))
}

/// The current facts of each slot, by id; slots without one are absent.
pub(in crate::store) async fn by_slot(
    connection: &mut Connection<'_>,
    tenant: &str,
    slots: &[SlotOf],
) -> Result<HashMap<SlotOf, Vec<FactId>>> {
    let mut found: HashMap<SlotOf, Vec<FactId>> = HashMap::new();
    if slots.is_empty() {
        return Ok(found);
    }
    let wanted: Vec<_> = slots.iter().map(|of| (&of.namespace, &of.user, &of.subject, &of.slot)).collect();
    let mut sql = Sql::new(connection.dialect(), "SELECT w.key, f.id FROM ");
    sql.each(&wanted).join("facts f", tenant, "f.tenant_id");
    sql.equal(&[
        ("f.namespace", Part::Text),
        ("f.user_id", Part::Text),
        ("f.subject", Part::Text),
        ("f.slot", Part::Text),
    ]);
    sql.push(" AND f.status = 'current' AND f.slot <> '' ORDER BY f.id");
    let rows: Vec<(SlotOf, FactId)> =
        sql.all(connection, |columns| Ok((nth(columns, slots)?, columns.id()?))).await?;
    for (slot, fact) in rows {
        let facts = found.entry(slot).or_default();
        // The same slot may have been asked for twice.
        if facts.last() != Some(&fact) {
            facts.push(fact);
        }
    }
    Ok(found)
}

/// The message of each turn id.
pub(in crate::store) async fn by_turn(
    connection: &mut Connection<'_>,
    tenant: &str,
    turns: &[TurnOf],
) -> Result<HashMap<TurnOf, MessageId>> {
    if turns.is_empty() {
        return Ok(HashMap::new());
    }
    let wanted: Vec<_> = turns.iter().map(|of| (&of.session, of.role, &of.turn_id)).collect();
    let mut sql = Sql::new(connection.dialect(), "SELECT w.key, m.id FROM ");
    sql.each(&wanted).join("messages m", tenant, "m.tenant_id");
    sql.equal(&[("m.session_id", Part::Text), ("m.role", Part::Text), ("m.turn_id", Part::Text)]);
    sql.push(" AND m.turn_id <> '' ORDER BY m.seq DESC");
    let found = sql.all(connection, |columns| Ok((nth(columns, turns)?, columns.optional_id()?))).await?;
    Ok(present(found))
}

/// The entry of each idempotency key that lives at `now`.
pub(in crate::store) async fn by_idempotency(
    connection: &mut Connection<'_>,
    tenant: &str,
    keys: &[String],
    now: DateTime<Utc>,
) -> Result<HashMap<String, IdempotencyRow>> {
    if keys.is_empty() {
        return Ok(HashMap::new());
    }
    let mut sql = Sql::new(
        connection.dialect(),
        "SELECT key, request, answer, namespace, user_id, agent_id, session_id, expires_at FROM idempotency \
         WHERE tenant_id = ?",
    );
    sql.bind(tenant).any_of("key", keys.iter().map(String::as_str));
    sql.push(" AND expires_at > ?").bind_time(now);
    let found = sql
        .all(connection, |columns| {
            let key = columns.text()?;
            let row = IdempotencyRow {
                key: key.clone(),
                request: columns.id::<Uuid>()?.into_bytes(),
                answer: columns.json()?,
                scope: scope(tenant, columns)?,
                expires_at: columns.time()?,
            };
            Ok((key, row))
        })
        .await?;
    Ok(found.into_iter().collect())
}

/// The last message of each session that has one.
pub(in crate::store) async fn last_messages(
    connection: &mut Connection<'_>,
    tenant: &str,
    sessions: &[String],
) -> Result<Vec<MessageId>> {
    if sessions.is_empty() {
        return Ok(Vec::new());
    }
    let dialect = connection.dialect();
    let mut sql = Sql::new(dialect, "SELECT (SELECT m.id FROM messages m WHERE m.tenant_id = ?");
    sql.bind(tenant).push(" AND m.session_id = ").push(dialect.text_of_value());
    sql.push(" ORDER BY m.seq DESC LIMIT 1) FROM ").each(&sessions);
    let found = sql.all(connection, |columns| columns.optional_id()).await?;
    Ok(found.into_iter().flatten().collect())
}

fn scope(tenant: &str, columns: &mut Columns<'_>) -> Result<Scope> {
    let mut scope = Scope::new(tenant)?;
    let parts: [fn(Scope, String) -> Result<Scope>; 4] =
        [Scope::with_namespace, Scope::with_user, Scope::with_agent, Scope::with_session];
    for with in parts {
        let part = columns.text()?;
        if !part.is_empty() {
            scope = with(scope, part)?;
        }
    }
    Ok(scope)
}

/// What stands at the position that the row names.
fn nth<T: Clone>(columns: &mut Columns<'_>, wanted: &[T]) -> Result<T> {
    let index = columns.number()?;
    usize::try_from(index)
        .ok()
        .and_then(|index| wanted.get(index))
        .cloned()
        .ok_or_else(|| malformed("position"))
}

fn present<K: std::hash::Hash + Eq, V>(found: Vec<(K, Option<V>)>) -> HashMap<K, V> {
    found.into_iter().filter_map(|(key, value)| Some((key, value?))).collect()
}
