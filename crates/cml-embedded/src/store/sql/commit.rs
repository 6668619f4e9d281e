//! Applies one change set inside the writer's transaction.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use chrono::{DateTime, Utc};
use cml_core::{FactId, MemoryId, Result};

use super::{
    batch::Batch, check, connection::Connection, dialect::Part, edges, erase, lookup, numbers, outbox, puts,
    value::Binds,
};
use crate::store::{
    Access, ChangeSet, Changed, Committed, EmbeddingPut, GraphKey, Outcome, Precondition, Reinforcement,
};

/// Changes kept per tenant for those who follow them.
const KEPT_CHANGES: u64 = 200_000;
/// How many more may gather before the list is cut.
const CHANGES_SLACK: u64 = 10_000;
/// Beyond this many changes of one change set the list is emptied instead: reading everything is
/// cheaper for those who follow than reading so many rows one by one.
const LISTED: usize = 50_000;
/// Most rows per table of a change set whose statements run together.
const SMALL: usize = 8;

/// What surrounds the statements of one change set.
pub(in crate::store) struct Frame {
    /// What comes before them; nothing where the caller has begun.
    pub(in crate::store) begin: &'static str,
    /// What comes after them, when nothing failed and nothing was refused; nothing where the caller ends.
    pub(in crate::store) end: &'static str,
    /// What comes with them when rows were removed.
    pub(in crate::store) removed: Option<&'static str>,
    /// Whether the nodes that were touched are noted for those who project.
    pub(in crate::store) projects: bool,
}

/// Applies `changes` or says which precondition does not hold; the caller undoes what was begun when
/// it is refused or fails.
pub(in crate::store) async fn apply(
    connection: &mut Connection<'_>,
    changes: &ChangeSet,
    frame: &Frame,
) -> Result<Outcome> {
    let tenant = &*changes.tenant;
    let mut state = lookup::begin(connection, tenant, frame.begin, needs_models(changes)).await?;
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
    log.changed.extend(changes.records.iter().map(|put| Changed::Record(put.record.id)));
    log.changed.extend(changes.turns.iter().map(|turn| Changed::Turn(turn.id)));
    log.changed.extend(changes.facts.iter().map(|fact| Changed::Fact(fact.id)));
    let put: HashSet<FactId> = changes.facts.iter().map(|fact| fact.id).collect();
    let others: BTreeSet<FactId> =
        changes.evidence.iter().map(|(fact, _)| *fact).filter(|fact| !put.contains(fact)).collect();
    log.changed.extend(others.into_iter().map(Changed::Fact));
    log.changed.extend(changes.reinforced.iter().map(|reinforced| Changed::Record(reinforced.id)));

    log.changed.extend(revectored(connection, changes).await?);

    let (places, moved) = numbers::of_placed(connection, tenant, &changes.placed).await?;
    let mut numbers =
        numbers::of_messages(connection, tenant, &changes.messages, &changes.placed, &places).await?;
    numbers.extend(places);
    let stored = numbers::of_turns(connection, tenant, &changes.turns, &numbers).await?;
    if frame.projects {
        outbox::note(connection, changes, &log).await?;
    }
    let mut batch = Batch::new(connection, is_small(changes) && log.changed.len() <= SMALL);
    batch.put(&puts::SESSION, &changes.sessions, puts::session).await?;
    batch.put(&puts::PLACED, &changes.placed, puts::message(&numbers)).await?;
    batch.put(&puts::MESSAGE, &changes.messages, puts::message(&numbers)).await?;
    batch.put(&puts::RECORD, &changes.records, puts::record).await?;
    batch.put(&puts::RECORD_VERSION, &changes.versions, puts::record_version).await?;
    batch.put(&puts::TURN, &changes.turns, puts::turn(tenant, &numbers, &stored)).await?;
    unembed(&mut batch, tenant, &changes.unembed).await?;
    batch.put(&puts::EMBEDDING, &changes.embeddings, puts::embedding(tenant)).await?;
    batch.put(&puts::FACT, &changes.facts, puts::fact).await?;
    batch.put(&puts::FACT_VERSION, &changes.fact_versions, puts::fact_version).await?;
    batch.put(&puts::EVIDENCE, &changes.evidence, puts::evidence(tenant)).await?;
    batch.put(&puts::ENTITY, &changes.entities, puts::entity).await?;
    batch.put(&puts::MENTION, &changes.mentions, puts::mention(tenant)).await?;
    edges::cut(&mut batch, tenant, &changes.cut).await?;
    edges::put(&mut batch, tenant, &changes.edges).await?;
    reinforce(&mut batch, tenant, &changes.reinforced).await?;
    access(&mut batch, tenant, &changes.accessed).await?;
    batch.put(&puts::EVENT, &changes.events, puts::event).await?;
    if !changes.idempotency.is_empty() {
        let values = |binds: &mut Binds| {
            binds.add(tenant).time(now);
        };
        batch.run("DELETE FROM idempotency WHERE tenant_id = ? AND expires_at <= ?", values).await?;
        batch.put(&puts::IDEMPOTENCY, &changes.idempotency, puts::idempotency(tenant)).await?;
    }
    if let Some(removed) = frame.removed.filter(|_| !log.removed.is_empty()) {
        batch.run(removed, |_none| {}).await?;
    }
    state.last_seq = log.write(&mut batch, tenant, state.last_seq).await?;
    let values = |binds: &mut Binds| {
        binds.add(tenant).add(state.last_seq.cast_signed()).add(state.epoch.cast_signed());
    };
    batch
        .run(
            "INSERT INTO tenants (tenant_id, last_seq, epoch) VALUES (?, ?, ?) ON CONFLICT (tenant_id) DO \
             UPDATE SET last_seq = excluded.last_seq, epoch = excluded.epoch",
            values,
        )
        .await?;
    if !frame.end.is_empty() {
        batch.run(frame.end, |_none| {}).await?;
    }
    batch.finish().await?;
    Ok(Outcome::Committed(Committed { seq: state.last_seq, removed: log.removed, moved }))
}

/// Whether the generations of vectors must stay as they are.
fn needs_models(changes: &ChangeSet) -> bool {
    !changes.embeddings.is_empty()
        || changes.require.iter().any(|precondition| matches!(precondition, Precondition::Model(_)))
}

/// Records of which only the vectors of the model that serves change.
async fn revectored(connection: &mut Connection<'_>, changes: &ChangeSet) -> Result<Vec<Changed>> {
    if changes.embeddings.is_empty() {
        return Ok(Vec::new());
    }
    let put: HashSet<MemoryId> = changes.records.iter().map(|put| put.record.id).collect();
    let others: Vec<&EmbeddingPut> =
        changes.embeddings.iter().filter(|embedding| !put.contains(&embedding.record)).collect();
    if others.is_empty() {
        return Ok(Vec::new());
    }
    let serving = lookup::serving(connection).await?;
    let others = others.into_iter().filter(|embedding| embedding.model == serving);
    Ok(others.map(|embedding| Changed::Record(embedding.record)).collect())
}

/// Whether no table gets more than a few rows.
fn is_small(changes: &ChangeSet) -> bool {
    [
        changes.placed.len(),
        changes.messages.len(),
        changes.records.len(),
        changes.versions.len(),
        changes.turns.len(),
        changes.embeddings.len(),
        changes.facts.len(),
        changes.fact_versions.len(),
        changes.evidence.len(),
        changes.entities.len(),
        changes.mentions.len(),
        changes.cut.len(),
        changes.edges.len(),
        changes.reinforced.len(),
        changes.events.len(),
    ]
    .into_iter()
    .all(|rows| rows <= SMALL)
}

/// What a change set did, for those who follow.
#[derive(Debug, Default)]
pub(in crate::store) struct Log {
    /// Rows put or removed, in order.
    pub(in crate::store) changed: Vec<Changed>,
    /// Rows removed, by table; tables without one are absent.
    pub(in crate::store) removed: BTreeMap<String, u64>,
    /// Nodes of the graph that a removal took or changed.
    pub(in crate::store) nodes: Vec<GraphKey>,
}

impl Log {
    pub(in crate::store) fn removed(&mut self, table: &str, rows: u64) {
        if rows > 0 {
            *self.removed.entry(table.to_owned()).or_default() += rows;
        }
    }

    /// Numbers the changes after `last` and gives the last number.
    async fn write(&self, batch: &mut Batch<'_, '_>, tenant: &str, last: u64) -> Result<u64> {
        let newest = last + self.changed.len() as u64;
        if self.changed.len() > LISTED {
            keep_after(batch, tenant, newest).await?;
            return Ok(newest);
        }
        let rows: Vec<(u64, Changed)> = (last + 1..).zip(self.changed.iter().copied()).collect();
        batch.put(&puts::CHANGE, &rows, puts::change(tenant)).await?;
        // The list is cut when its numbers pass a multiple of the slack.
        if last / CHANGES_SLACK != newest / CHANGES_SLACK && newest > KEPT_CHANGES {
            keep_after(batch, tenant, newest - KEPT_CHANGES).await?;
        }
        Ok(newest)
    }
}

/// Cuts the list of changes so that it begins after `seq`.
async fn keep_after(batch: &mut Batch<'_, '_>, tenant: &str, seq: u64) -> Result<()> {
    let values = |binds: &mut Binds| {
        binds.add(tenant).add(seq.cast_signed());
    };
    batch.run("DELETE FROM changes WHERE tenant_id = ? AND seq <= ?", values).await?;
    batch
        .run(
            "INSERT INTO tenants (tenant_id, last_seq, epoch, kept_from) VALUES (?, 0, 0, ?) ON CONFLICT \
             (tenant_id) DO UPDATE SET kept_from = excluded.kept_from",
            values,
        )
        .await
}

/// The instant of a change set: the newest that it carries of its own making, else the present one.
fn instant_of(changes: &ChangeSet) -> DateTime<Utc> {
    let events = changes.events.iter().map(|event| event.created_at);
    let reinforced = changes.reinforced.iter().map(|reinforced| reinforced.at);
    let accessed = changes.accessed.iter().map(|access| access.at);
    events.chain(reinforced).chain(accessed).max().unwrap_or_else(Utc::now)
}

async fn unembed(batch: &mut Batch<'_, '_>, tenant: &str, records: &[MemoryId]) -> Result<()> {
    if records.is_empty() {
        return Ok(());
    }
    let values = |binds: &mut Binds| {
        binds.add(tenant).ids(records.iter().map(MemoryId::as_uuid));
    };
    let statement = format!(
        "DELETE FROM embeddings WHERE tenant_id = ? AND model_id IN (SELECT id FROM models) AND view IN \
         (0, 1) AND record_id{}",
        batch.dialect().in_ids()
    );
    batch.run(statement, values).await
}

async fn reinforce(batch: &mut Batch<'_, '_>, tenant: &str, rows: &[Reinforcement]) -> Result<()> {
    for row in rows {
        let values = |binds: &mut Binds| {
            binds.add(row.confidence.get()).time(row.at).time(row.at).add(tenant).id(row.id.as_uuid());
        };
        let greatest = batch.dialect().greatest();
        let statement = format!(
            "UPDATE records SET access_count = access_count + 1, confidence = {greatest}(confidence, ?), \
             last_accessed_at = {greatest}(coalesce(last_accessed_at, ?), ?) WHERE tenant_id = ? AND id = ?"
        );
        batch.run(statement, values).await?;
    }
    Ok(())
}

/// Counts accesses, those of a record together.
async fn access(batch: &mut Batch<'_, '_>, tenant: &str, rows: &[Access]) -> Result<()> {
    if rows.is_empty() {
        return Ok(());
    }
    let mut sums: BTreeMap<MemoryId, (u64, DateTime<Utc>)> = BTreeMap::new();
    for row in rows {
        let sum = sums.entry(row.id).or_insert((0, row.at));
        *sum = (sum.0 + row.count, sum.1.max(row.at));
    }
    let dialect = batch.dialect();
    let sums: Vec<_> = sums
        .iter()
        .map(|(id, (count, at))| (id.as_uuid().simple().to_string(), count, dialect.json_time(*at)))
        .collect();
    let values = |binds: &mut Binds| {
        binds.add(tenant).json(&sums);
    };
    let statement = format!(
        "UPDATE records SET access_count = access_count + a.times, last_accessed_at = \
         {}(coalesce(last_accessed_at, a.at), a.at) FROM (SELECT ? AS tenant_id, {} AS id, {} AS times, {} \
         AS at FROM {}) a WHERE records.tenant_id = a.tenant_id AND records.id = a.id",
        dialect.greatest(),
        dialect.part(Part::Id, 0),
        dialect.part(Part::Number, 1),
        dialect.part(Part::Time, 2),
        dialect.each()
    );
    batch.run(statement, values).await
}
