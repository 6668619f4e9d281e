//! What becomes of the rows of one batch.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use chrono::{DateTime, Utc};
use cml_core::{
    FactId, MemoryId, MessageId, Result,
    memory::{MemoryRecord, Message, Session},
    ops::ExportLine,
};
use half::f16;

use super::{
    Import,
    facts::Ended,
    report::{Sorted, Tally},
    turns,
};
use crate::{
    engine::{
        plan::{Plan, dedup_of},
        write::session_header,
    },
    store::{EmbeddingPut, KeyOf, Known, Precondition, RecordPut, RowKind, Vector, View, Wanted},
};

/// The plan of a batch, and its counts.
pub(super) struct Step {
    pub(super) plan: Plan,
    pub(super) tally: Tally,
    /// Facts of the batch, or of its slots, that ended.
    pub(super) ended: HashMap<FactId, Ended>,
}

impl Step {
    pub(super) fn new(tenant: &str, now: DateTime<Utc>) -> Self {
        Self { plan: Plan::new(tenant, now), tally: Tally::default(), ended: HashMap::new() }
    }
}

impl Import<'_> {
    pub(super) async fn plan(&self, step: &mut Step, kind: RowKind, sorted: Sorted<'_>) -> Result<()> {
        match kind {
            RowKind::Record => return self.plan_records(step, sorted).await,
            RowKind::Fact => return self.plan_facts(step, sorted).await,
            _ => {}
        }
        step.tally.skipped(kind, sorted.stored.len());
        step.tally.imported(kind, sorted.absent.len());
        let changes = &mut step.plan.changes;
        // The records on which the rows hang must not change meanwhile.
        let mut holders: BTreeMap<MemoryId, u64> = BTreeMap::new();
        let serving = self.engine.generation.get().id;
        for (line, holder) in sorted.absent {
            match line {
                ExportLine::Session(row) => changes.sessions.push(row.clone()),
                ExportLine::Message(row) => changes.placed.push(row.clone()),
                ExportLine::RecordVersion(row) => {
                    holders.insert(row.record.id, holder);
                    changes.versions.push((**row).clone());
                }
                ExportLine::Embedding(row) => {
                    holders.insert(row.memory_id, holder);
                    let values = row.vector.iter().copied().map(f16::from_f32).collect();
                    changes.embeddings.push(EmbeddingPut {
                        record: row.memory_id,
                        model: serving,
                        view: if row.view == "context" { View::Context } else { View::Own },
                        vector: Vector { values, norm: row.norm },
                    });
                }
                ExportLine::Mention(row) => {
                    holders.insert(row.memory_id, holder);
                    changes.mentions.push(*row);
                }
                ExportLine::Entity(row) => changes.entities.push(row.clone()),
                ExportLine::Edge(row) => changes.edges.push(row.clone()),
                ExportLine::FactVersion(row) => changes.fact_versions.push(row.clone()),
                ExportLine::Evidence { fact_id, evidence } => changes.evidence.push((*fact_id, *evidence)),
                ExportLine::Event(row) => changes.events.push(row.clone()),
                _ => {}
            }
        }
        changes.require.extend(holders.into_iter().map(|(id, version)| Precondition::Version(id, version)));
        if !changes.embeddings.is_empty() {
            changes.require.push(Precondition::Model(serving));
        }
        if !changes.placed.is_empty() {
            changes.turns = self.turns_of_messages(&changes.placed).await?;
            changes.sessions = self.missing_headers(&changes.placed).await?;
        }
        if kind == RowKind::Evidence {
            self.close_ended(step).await?;
        }
        Ok(())
    }

    async fn turns_of_messages(&self, messages: &[Message]) -> Result<Vec<crate::store::TurnRow>> {
        let messages = messages.to_vec();
        self.engine.off_thread(move || turns::of_messages(&messages)).await
    }

    /// Headers of the sessions that were erased here and of which other messages come.
    async fn missing_headers(&self, messages: &[Message]) -> Result<Vec<Session>> {
        if !self.headless {
            return Ok(Vec::new());
        }
        let mut first: BTreeMap<&str, &Message> = BTreeMap::new();
        for message in messages {
            first.entry(&message.session_id).or_insert(message);
        }
        let headers: Vec<ExportLine> = first
            .into_values()
            .map(|message| {
                ExportLine::Session(Session {
                    namespace: message.namespace.clone(),
                    user_id: message.user_id.clone(),
                    agent_id: message.agent_id.clone(),
                    ..session_header(self.scope, &message.session_id, message.said_at)
                })
            })
            .collect();
        let known = self.engine.store.known(self.scope, &headers).await?;
        let erased = headers.into_iter().zip(known).filter(|(_, known)| *known == Known::Erased);
        Ok(erased
            .filter_map(|(header, _)| match header {
                ExportLine::Session(header) => Some(header),
                _ => None,
            })
            .collect())
    }

    async fn plan_records(&self, step: &mut Step, sorted: Sorted<'_>) -> Result<()> {
        let total = sorted.absent.len() + sorted.stored.len();
        let mut accepted: BTreeMap<MemoryId, MemoryRecord> = BTreeMap::new();
        let mut replaced = Vec::new();
        for (line, stored) in sorted
            .absent
            .into_iter()
            .map(|(line, _)| (line, None))
            .chain(sorted.stored.into_iter().map(|(line, version)| (line, Some(version))))
        {
            let ExportLine::Record(record) = line else { continue };
            let known = accepted.get(&record.id).map(|other| other.version).max(stored);
            if known.is_some_and(|version| version >= record.version) {
                continue;
            }
            if let Some(version) = stored {
                step.plan.require(Precondition::Version(record.id, version));
                replaced.push(record.id);
            }
            accepted.insert(record.id, (**record).clone());
        }
        step.tally.imported(RowKind::Record, accepted.len());
        step.tally.skipped(RowKind::Record, total - accepted.len());
        self.free_taken_keys(step, &mut accepted).await?;
        let tenant = self.scope.tenant();
        for former in self.engine.store.records(tenant, &replaced).await? {
            let record = &accepted[&former.id];
            if record.text != former.text || record.speaker != former.speaker {
                step.plan.changes.unembed.push(former.id);
            }
        }
        step.plan.changes.turns = self.turns_of_records(&accepted).await?;
        step.plan.changes.records =
            accepted.into_values().map(|record| RecordPut { dedup: dedup_of(&record), record }).collect();
        Ok(())
    }

    /// Takes the keys off the records whose keys other memories have.
    async fn free_taken_keys(
        &self,
        step: &mut Step,
        accepted: &mut BTreeMap<MemoryId, MemoryRecord>,
    ) -> Result<()> {
        let of = |record: &MemoryRecord| {
            Some(KeyOf {
                namespace: record.namespace.clone(),
                user: record.user_id.clone(),
                key: record.key.clone()?,
            })
        };
        let keys: Vec<KeyOf> = accepted.values().filter_map(of).collect();
        if keys.is_empty() {
            return Ok(());
        }
        let wanted = Wanted { keys, now: step.plan.now, ..Wanted::default() };
        let observed = self.engine.store.observe(self.scope.tenant(), &wanted).await?;
        let keys: BTreeMap<MemoryId, KeyOf> =
            accepted.values().filter_map(|record| Some((record.id, of(record)?))).collect();
        let mut given = HashSet::new();
        for (id, key) in &keys {
            let owner = observed.keys.get(key).map(|owner| owner.id);
            // The owner may give it away itself; rows are put in the order of ids.
            let free = owner.is_none_or(|owner| {
                owner == *id
                    || (owner < *id && accepted.contains_key(&owner) && keys.get(&owner) != Some(key))
            });
            if free && given.insert(key) {
                step.plan.require(Precondition::Key(key.clone(), owner));
            } else if let Some(record) = accepted.get_mut(id) {
                record.key = None;
                step.tally.keyless += 1;
            }
        }
        Ok(())
    }

    /// The words of every text that has a part among `accepted`.
    async fn turns_of_records(
        &self,
        accepted: &BTreeMap<MemoryId, MemoryRecord>,
    ) -> Result<Vec<crate::store::TurnRow>> {
        let (store, tenant) = (&self.engine.store, self.scope.tenant());
        let ids: BTreeSet<MessageId> = accepted.values().map(|record| record.message_id).collect();
        let ids: Vec<MessageId> = ids.into_iter().collect();
        let mut parts: BTreeMap<MessageId, Vec<MemoryRecord>> = BTreeMap::new();
        let stored = store.records_of(tenant, &ids).await?;
        let stored = stored.into_iter().filter(|record| !accepted.contains_key(&record.id));
        for record in stored.chain(accepted.values().cloned()) {
            parts.entry(record.message_id).or_default().push(record);
        }
        let in_sessions: Vec<MessageId> = parts
            .iter()
            .filter(|(_, parts)| parts.iter().any(|record| !record.session_id.is_empty()))
            .map(|(id, _)| *id)
            .collect();
        let messages = store.messages_by_id(tenant, &in_sessions).await?;
        let messages: HashMap<MessageId, Message> =
            messages.into_iter().map(|message| (message.id, message)).collect();
        self.engine.off_thread(move || turns::of_records(parts, &messages)).await
    }
}
