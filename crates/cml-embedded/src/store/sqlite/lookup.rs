//! Lookups by what a write compares: digest, key, slot, turn. Used before a plan and again at its commit.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use cml_core::{FactId, MemoryId, MessageId, Result, Scope};
use sqlx::{AssertSqlSafe, SqliteConnection};
use uuid::Uuid;

use super::{
    error::malformed,
    sql::{all, binds, first},
    values::{Binds, Columns},
};
use crate::store::{Digest, IdempotencyRow, KeyOf, ModelId, SlotOf, TenantState, TurnOf};

/// Where the tenant stands.
pub(super) async fn tenant(connection: &mut SqliteConnection, tenant: &str) -> Result<TenantState> {
    begin(connection, tenant, "").await
}

/// Runs the statement `first_of_all`, and then says where the tenant stands.
pub(super) async fn begin(
    connection: &mut SqliteConnection,
    tenant: &str,
    first_of_all: &'static str,
) -> Result<TenantState> {
    let sql = format!("{first_of_all}; SELECT last_seq, epoch FROM tenants WHERE tenant_id = ?");
    let state = first(
        connection,
        AssertSqlSafe(sql),
        binds(|binds| {
            binds.add(tenant);
        }),
        |columns| Ok(TenantState { last_seq: columns.number()?, epoch: columns.number()? }),
    )
    .await?;
    Ok(state.unwrap_or_default())
}

/// The generation of vectors that serves.
pub(super) async fn serving(connection: &mut SqliteConnection) -> Result<ModelId> {
    let id =
        first(connection, "SELECT id FROM models WHERE state = 'serving'", Binds::default(), |columns| {
            columns.get()
        })
        .await?;
    id.ok_or_else(|| malformed("model"))
}

/// The newest record of each digest.
pub(super) async fn by_dedup(
    connection: &mut SqliteConnection,
    tenant: &str,
    digests: &[Digest],
) -> Result<HashMap<Digest, MemoryId>> {
    if digests.is_empty() {
        return Ok(HashMap::new());
    }
    let found = all(
        connection,
        "SELECT w.digest, (SELECT max(r.id) FROM records r WHERE r.tenant_id = ? AND r.dedup = w.digest) \
         FROM (SELECT unhex(value) AS digest FROM json_each(?)) w",
        binds(|binds| {
            let digests: Vec<Uuid> = digests.iter().map(|digest| Uuid::from_bytes(*digest)).collect();
            binds.add(tenant).ids(&digests);
        }),
        |columns| Ok((columns.id::<Uuid>()?.into_bytes(), columns.optional_id()?)),
    )
    .await?;
    Ok(present(found))
}

/// The record under each key.
pub(super) async fn by_key(
    connection: &mut SqliteConnection,
    tenant: &str,
    keys: &[KeyOf],
) -> Result<HashMap<KeyOf, MemoryId>> {
    if keys.is_empty() {
        return Ok(HashMap::new());
    }
    let found = all(
        connection,
        "SELECT w.key, r.id FROM json_each(?) w CROSS JOIN records r ON r.tenant_id = ? AND r.namespace = \
         w.value ->> 0 AND r.user_id = w.value ->> 1 AND r.key = w.value ->> 2",
        binds(|binds| {
            let wanted: Vec<_> = keys.iter().map(|of| (&of.namespace, &of.user, &of.key)).collect();
            binds.json(&wanted).add(tenant);
        }),
        |columns| Ok((nth(columns, keys)?, columns.optional_id()?)),
    )
    .await?;
    Ok(present(found))
}

/// The current facts of each slot, by id; slots without one are absent.
pub(super) async fn by_slot(
    connection: &mut SqliteConnection,
    tenant: &str,
    slots: &[SlotOf],
) -> Result<HashMap<SlotOf, Vec<FactId>>> {
    let mut found: HashMap<SlotOf, Vec<FactId>> = HashMap::new();
    if slots.is_empty() {
        return Ok(found);
    }
    let rows: Vec<(SlotOf, FactId)> = all(
        connection,
        "SELECT w.key, f.id FROM json_each(?) w CROSS JOIN facts f ON f.tenant_id = ? AND f.namespace = \
         w.value ->> 0 AND f.user_id = w.value ->> 1 AND f.subject = w.value ->> 2 AND f.slot = w.value ->> \
         3 AND f.status = 'current' AND f.slot <> '' ORDER BY f.id",
        binds(|binds| {
            let wanted: Vec<_> =
                slots.iter().map(|of| (&of.namespace, &of.user, &of.subject, &of.slot)).collect();
            binds.json(&wanted).add(tenant);
        }),
        |columns| Ok((nth(columns, slots)?, columns.id()?)),
    )
    .await?;
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
pub(super) async fn by_turn(
    connection: &mut SqliteConnection,
    tenant: &str,
    turns: &[TurnOf],
) -> Result<HashMap<TurnOf, MessageId>> {
    if turns.is_empty() {
        return Ok(HashMap::new());
    }
    let found = all(
        connection,
        "SELECT w.key, m.id FROM json_each(?) w CROSS JOIN messages m ON m.tenant_id = ? AND m.session_id = \
         w.value ->> 0 AND m.turn_id = w.value ->> 2 AND m.turn_id <> '' AND m.role = w.value ->> 1 ORDER \
         BY m.seq DESC",
        binds(|binds| {
            let wanted: Vec<_> = turns.iter().map(|of| (&of.session, of.role, &of.turn_id)).collect();
            binds.json(&wanted).add(tenant);
        }),
        |columns| Ok((nth(columns, turns)?, columns.optional_id()?)),
    )
    .await?;
    Ok(present(found))
}

/// The entry of each idempotency key that lives at `now`.
pub(super) async fn by_idempotency(
    connection: &mut SqliteConnection,
    tenant: &str,
    keys: &[String],
    now: DateTime<Utc>,
) -> Result<HashMap<String, IdempotencyRow>> {
    if keys.is_empty() {
        return Ok(HashMap::new());
    }
    let found = all(
        connection,
        "SELECT key, request, answer, namespace, user_id, agent_id, session_id, expires_at FROM idempotency \
         WHERE tenant_id = ? AND key IN (SELECT value FROM json_each(?)) AND expires_at > ?",
        binds(|binds| {
            binds.add(tenant).json(&keys).time(now);
        }),
        |columns| {
            let key = columns.text()?;
            let row = IdempotencyRow {
                key: key.clone(),
                request: columns.id::<Uuid>()?.into_bytes(),
                answer: columns.json()?,
                scope: scope(tenant, columns)?,
                expires_at: columns.time()?,
            };
            Ok((key, row))
        },
    )
    .await?;
    Ok(found.into_iter().collect())
}

/// The last message of each session that has one.
pub(super) async fn last_messages(
    connection: &mut SqliteConnection,
    tenant: &str,
    sessions: &[String],
) -> Result<Vec<MessageId>> {
    if sessions.is_empty() {
        return Ok(Vec::new());
    }
    let found = all(
        connection,
        "SELECT (SELECT m.id FROM messages m WHERE m.tenant_id = ? AND m.session_id = w.value ORDER BY \
         m.seq DESC LIMIT 1) FROM json_each(?) w",
        binds(|binds| {
            binds.add(tenant).json(&sessions);
        }),
        |columns| columns.optional_id(),
    )
    .await?;
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
