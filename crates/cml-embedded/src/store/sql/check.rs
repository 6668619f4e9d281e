//! Preconditions of a change set.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use cml_core::{FactId, MemoryId, Result};

use super::{connection::Connection, lookup, statement::Sql};
use crate::store::{Precondition, TenantState};

/// The first precondition that does not hold; each kind is looked up by one statement.
pub(in crate::store) async fn refused(
    connection: &mut Connection<'_>,
    tenant: &str,
    state: TenantState,
    require: &[Precondition],
    now: DateTime<Utc>,
) -> Result<Option<Precondition>> {
    if require.is_empty() {
        return Ok(None);
    }
    let (mut ids, mut digests, mut keys, mut slots) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    let (mut turns, mut unused, mut models) = (Vec::new(), Vec::new(), false);
    for precondition in require {
        match precondition {
            Precondition::Version(id, _) => ids.push(*id),
            Precondition::Dedup(digest, _) => digests.push(*digest),
            Precondition::Key(of, _) => keys.push(of.clone()),
            Precondition::Slot(of, _) => slots.push(of.clone()),
            Precondition::Turn(of) => turns.push(of.clone()),
            Precondition::Unused(key) => unused.push(key.clone()),
            Precondition::Model(_) => models = true,
            Precondition::Epoch(_) | Precondition::Seq(_) => {}
        }
    }
    let versions = versions(connection, tenant, &ids).await?;
    let by_dedup = lookup::by_dedup(connection, tenant, &digests).await?;
    let by_key = lookup::by_key(connection, tenant, &keys).await?;
    let by_slot = lookup::by_slot(connection, tenant, &slots).await?;
    let by_turn = lookup::by_turn(connection, tenant, &turns).await?;
    let used = lookup::by_idempotency(connection, tenant, &unused, now).await?;
    let serving = if models { Some(lookup::serving(connection).await?) } else { None };

    let holds = |precondition: &Precondition| match precondition {
        Precondition::Version(id, version) => versions.get(id) == Some(version),
        Precondition::Dedup(digest, id) => by_dedup.get(digest) == id.as_ref(),
        Precondition::Key(of, id) => by_key.get(of) == id.as_ref(),
        Precondition::Slot(of, facts) => same_facts(by_slot.get(of).map_or(&[], Vec::as_slice), facts),
        Precondition::Turn(of) => !by_turn.contains_key(of),
        Precondition::Unused(key) => !used.contains_key(key),
        Precondition::Epoch(epoch) => state.epoch == *epoch,
        Precondition::Seq(seq) => state.last_seq == *seq,
        Precondition::Model(model) => serving == Some(*model),
    };
    Ok(require.iter().find(|precondition| !holds(precondition)).cloned())
}

fn same_facts(stored: &[FactId], expected: &[FactId]) -> bool {
    let mut expected = expected.to_vec();
    expected.sort_unstable();
    expected == stored
}

async fn versions(
    connection: &mut Connection<'_>,
    tenant: &str,
    ids: &[MemoryId],
) -> Result<HashMap<MemoryId, u64>> {
    if ids.is_empty() {
        return Ok(HashMap::new());
    }
    let mut sql = Sql::new(connection.dialect(), "SELECT id, version FROM records WHERE tenant_id = ?");
    sql.bind(tenant).in_ids(" AND id", ids.iter().map(MemoryId::as_uuid));
    let rows = sql.all(connection, |columns| Ok((columns.id()?, columns.number()?))).await?;
    Ok(rows.into_iter().collect())
}
