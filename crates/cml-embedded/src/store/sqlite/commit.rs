//! Applies one change set inside the writer's transaction.

use std::collections::{BTreeMap, HashMap};

use chrono::{DateTime, Utc};
use cml_core::{
    MemoryId, MessageId, Result,
    memory::Message,
};
use sqlx::SqliteConnection;
use uuid::Uuid;

use super::{
    check, erase, lookup, puts,
    sql::{all, binds, put, run},
};
use crate::store::{Access, ChangeSet, Changed, Committed, Outcome, Reinforcement, TurnRow};

/// Changes kept per tenant for those who follow them.
const KEPT_CHANGES: u64 = 200_000;
/// How many more may gather before the list is cut.
const CHANGES_SLACK: u64 = 10_000;

/// Applies `changes` or says which precondition does not hold; the caller undoes what an error leaves.
pub(super) async fn apply(connection: &mut SqliteConnection, changes: &ChangeSet) -> Result<Outcome> {
    let tenant = &*changes.tenant;
    let mut state = lookup::tenant(connection, tenant).await?;
    let now = instant_of(changes);
    if let Some(refused) = check::refused(connection, tenant, state, &changes.require, now).await? {
        return Ok(Outcome::Refused(refused));
    }
    let mut log = Log::default();
    if let Some(subject) = &changes.erase {
        erase::subject(connection, tenant, subject, &mut log).await?;
        state.epoch += 1;
    }
    erase::records(connection, tenant, &changes.delete_records, &mut log).await?;
    put(connection, &puts::SESSION, &changes.sessions, puts::session).await?;
    let numbers = messages(connection, tenant, &changes.messages).await?;
    put(connection, &puts::RECORD, &changes.records, puts::record).await?;
    put(connection, &puts::RECORD_VERSION, &changes.versions, puts::record_version).await?;
    turns(connection, tenant, &changes.turns, &numbers).await?;
    put(connection, &puts::EMBEDDING, &changes.embeddings, puts::embedding(tenant)).await?;
    put(connection, &puts::FACT, &changes.facts, puts::fact).await?;
    put(connection, &puts::FACT_VERSION, &changes.fact_versions, puts::fact_version).await?;
    put(connection, &puts::EVIDENCE, &changes.evidence, puts::evidence(tenant)).await?;
    put(connection, &puts::ENTITY, &changes.entities, puts::entity).await?;
    put(connection, &puts::MENTION, &changes.mentions, puts::mention(tenant)).await?;
    put(connection, &puts::EDGE, &changes.edges, puts::edge(tenant)).await?;
    reinforce(connection, tenant, &changes.reinforced).await?;
    access(connection, tenant, &changes.accessed).await?;
    put(connection, &puts::EVENT, &changes.events, puts::event).await?;
    if !changes.idempotency.is_empty() {
        expire(connection, tenant, now).await?;
        put(connection, &puts::IDEMPOTENCY, &changes.idempotency, puts::idempotency(tenant)).await?;
    }
    log.changed.extend(changes.records.iter().map(|put| Changed::Record(put.record.id)));
    log.changed.extend(changes.turns.iter().map(|turn| Changed::Turn(turn.id)));
    log.changed.extend(changes.facts.iter().map(|fact| Changed::Fact(fact.id)));
    log.changed.extend(changes.reinforced.iter().map(|reinforced| Changed::Record(reinforced.id)));
    state.last_seq = log.write(connection, tenant, state.last_seq).await?;
    run(
        connection,
        "INSERT INTO tenants (tenant_id, last_seq, epoch) VALUES (?, ?, ?) \
         ON CONFLICT (tenant_id) DO UPDATE SET last_seq = excluded.last_seq, epoch = excluded.epoch",
        binds(|binds| {
            binds.add(tenant).add(state.last_seq.cast_signed()).add(state.epoch.cast_signed());
        }),
    )
    .await?;
    Ok(Outcome::Committed(Committed { seq: state.last_seq, removed: log.removed }))
}

/// What a change set did, for those who follow.
#[derive(Debug, Default)]
pub(super) struct Log {
    /// Rows put or removed, in order.
    pub(super) changed: Vec<Changed>,
    /// Rows removed, by table; tables without one are absent.
    pub(super) removed: BTreeMap<String, u64>,
}

impl Log {
    pub(super) fn removed(&mut self, table: &str, rows: u64) {
        if rows > 0 {
            *self.removed.entry(table.to_owned()).or_default() += rows;
        }
    }

    /// Numbers the changes after `last` and gives the last number.
    async fn write(&self, connection: &mut SqliteConnection, tenant: &str, last: u64) -> Result<u64> {
        let rows: Vec<(u64, Changed)> = (last + 1..).zip(self.changed.iter().copied()).collect();
        let Some((newest, _)) = rows.last().copied() else { return Ok(last) };
        put(connection, &puts::CHANGE, &rows, puts::change(tenant)).await?;
        // The list is looked at whenever the numbers pass a multiple of the slack.
        if last / CHANGES_SLACK != newest / CHANGES_SLACK {
            prune(connection, tenant, newest, KEPT_CHANGES).await?;
        }
        Ok(newest)
    }
}

/// Cuts the list of changes so that the last `keep` stay.
async fn prune(connection: &mut SqliteConnection, tenant: &str, newest: u64, keep: u64) -> Result<()> {
    let Some(kept_from) = newest.checked_sub(keep).filter(|kept_from| *kept_from > 0) else { return Ok(()) };
    let values = || {
        binds(|binds| {
            binds.add(kept_from.cast_signed()).add(tenant);
        })
    };
    run(connection, "DELETE FROM changes WHERE seq <= ? AND tenant_id = ?", values()).await?;
    run(connection, "UPDATE tenants SET kept_from = ? WHERE tenant_id = ?", values()).await?;
    Ok(())
}

/// The instant of a change set: the newest that it carries of its own making, else the present one.
fn instant_of(changes: &ChangeSet) -> DateTime<Utc> {
    let events = changes.events.iter().map(|event| event.created_at);
    let reinforced = changes.reinforced.iter().map(|reinforced| reinforced.at);
    let accessed = changes.accessed.iter().map(|access| access.at);
    events.chain(reinforced).chain(accessed).max().unwrap_or_else(Utc::now)
}

/// Appends messages to their sessions and gives their numbers.
async fn messages(
    connection: &mut SqliteConnection,
    tenant: &str,
    messages: &[Message],
) -> Result<HashMap<MessageId, u64>> {
    let mut numbers = HashMap::with_capacity(messages.len());
    if messages.is_empty() {
        return Ok(numbers);
    }
    let mut last = last_numbers(connection, tenant, messages).await?;
    for message in messages {
        let number = last.entry(&message.session_id).or_default();
        *number += 1;
        numbers.insert(message.id, *number);
    }
    put(connection, &puts::MESSAGE, messages, |binds, message| {
        puts::message(binds, message, numbers.get(&message.id).copied().unwrap_or_default());
    })
    .await?;
    Ok(numbers)
}

/// The last number of each session of `messages`.
async fn last_numbers<'m>(
    connection: &mut SqliteConnection,
    tenant: &str,
    messages: &'m [Message],
) -> Result<HashMap<&'m str, u64>> {
    let mut sessions: Vec<&str> = messages.iter().map(|message| &*message.session_id).collect();
    sessions.sort_unstable();
    sessions.dedup();
    let found = all(
        connection,
        "SELECT w.key, (SELECT max(m.seq) FROM messages m WHERE m.tenant_id = ? AND m.session_id = w.value) \
         FROM json_each(?) w",
        binds(|binds| {
            binds.add(tenant).json(&sessions);
        }),
        |columns| Ok((columns.number()?, columns.get::<Option<i64>>()?)),
    )
    .await?;
    let number = |(index, last): (u64, Option<i64>)| {
        let session = sessions.get(usize::try_from(index).ok()?)?;
        Some((*session, last?.cast_unsigned()))
    };
    Ok(found.into_iter().filter_map(number).collect())
}

/// Puts turns; those of a session take the number of their message.
async fn turns(
    connection: &mut SqliteConnection,
    tenant: &str,
    turns: &[TurnRow],
    numbers: &HashMap<MessageId, u64>,
) -> Result<()> {
    let stored: Vec<&Uuid> = turns
        .iter()
        .filter(|turn| !turn.session.is_empty() && !numbers.contains_key(&turn.id))
        .map(|turn| turn.id.as_uuid())
        .collect();
    let stored: HashMap<MessageId, u64> = if stored.is_empty() {
        HashMap::new()
    } else {
        let found = all(
            connection,
            "SELECT id, seq FROM messages WHERE tenant_id = ? AND id IN (SELECT unhex(value) FROM json_each(?))",
            binds(|binds| {
                binds.add(tenant).ids(stored);
            }),
            |columns| Ok((columns.id()?, columns.number()?)),
        )
        .await?;
        found.into_iter().collect()
    };
    put(connection, &puts::TURN, turns, |binds, turn| {
        let own = if turn.session.is_empty() { 0 } else { turn.seq };
        let number = numbers.get(&turn.id).or_else(|| stored.get(&turn.id)).copied().unwrap_or(own);
        puts::turn(binds, tenant, turn, number);
    })
    .await?;
    Ok(())
}

async fn reinforce(connection: &mut SqliteConnection, tenant: &str, rows: &[Reinforcement]) -> Result<()> {
    for row in rows {
        run(
            connection,
            "UPDATE records SET access_count = access_count + 1, confidence = max(confidence, ?), \
             last_accessed_at = max(coalesce(last_accessed_at, ?), ?) WHERE tenant_id = ? AND id = ?",
            binds(|binds| {
                binds.add(row.confidence.get()).time(row.at).time(row.at).add(tenant).id(row.id.as_uuid());
            }),
        )
        .await?;
    }
    Ok(())
}

/// Counts accesses, those of a record together.
async fn access(connection: &mut SqliteConnection, tenant: &str, rows: &[Access]) -> Result<()> {
    if rows.is_empty() {
        return Ok(());
    }
    let mut sums: BTreeMap<MemoryId, (u64, i64)> = BTreeMap::new();
    for row in rows {
        let sum = sums.entry(row.id).or_insert((0, i64::MIN));
        *sum = (sum.0 + row.count, sum.1.max(row.at.timestamp_micros()));
    }
    let sums: Vec<_> = sums.iter().map(|(id, (count, at))| (id.as_uuid().simple().to_string(), count, at)).collect();
    run(
        connection,
        "UPDATE records SET access_count = access_count + a.times, \
         last_accessed_at = max(coalesce(last_accessed_at, a.at), a.at) \
         FROM (SELECT unhex(value ->> 0) AS id, value ->> 1 AS times, value ->> 2 AS at FROM json_each(?)) a \
         WHERE records.tenant_id = ? AND records.id = a.id",
        binds(|binds| {
            binds.json(&sums).add(tenant);
        }),
    )
    .await?;
    Ok(())
}

async fn expire(connection: &mut SqliteConnection, tenant: &str, now: DateTime<Utc>) -> Result<()> {
    run(
        connection,
        "DELETE FROM idempotency WHERE tenant_id = ? AND expires_at <= ?",
        binds(|binds| {
            binds.add(tenant).time(now);
        }),
    )
    .await?;
    Ok(())
}
