//! What a verb is about to change: a working set over what it observed.

use std::collections::{HashMap, HashSet};

use chrono::{DateTime, Utc};
use cml_core::{
    EventId, FactId, MemoryId, Scope, Score,
    memory::{
        Event, EventType, Evidence, Fact, FactStatus, MemoryRecord, MemoryStatus, Metadata, OperationType,
        RecordVersion,
    },
    ops::{Edge, Entity, FactVersion, Mention},
};

use super::relations::{self, Named};
use crate::{
    digest::digest,
    extract,
    store::{
        ChangeSet, Digest, EdgeKey, EmbeddingPut, ModelId, Precondition, RecordPut, Reinforcement, Vector,
        View, edge_key, entity_id,
    },
};

/// Rows that a verb changes, each at most once, with their former states and what they rest on.
#[derive(Debug)]
pub(super) struct Plan {
    pub(super) now: DateTime<Utc>,
    pub(super) changes: ChangeSet,
    records: HashMap<MemoryId, usize>,
    /// Records that the request at hand has put: it changes each to one new version only.
    touched: HashSet<MemoryId>,
    facts: HashMap<FactId, usize>,
}

impl Plan {
    pub(super) fn new(tenant: &str, now: DateTime<Utc>) -> Self {
        Self {
            now,
            changes: ChangeSet::new(tenant),
            records: HashMap::new(),
            touched: HashSet::new(),
            facts: HashMap::new(),
        }
    }

    /// Begins the next request of a batch.
    pub(super) fn next_request(&mut self) {
        self.touched.clear();
    }

    pub(super) fn require(&mut self, condition: Precondition) {
        if !self.changes.require.contains(&condition) {
            self.changes.require.push(condition);
        }
    }

    /// A new record.
    pub(super) fn add_record(&mut self, record: MemoryRecord) {
        self.touched.insert(record.id);
        self.records.insert(record.id, self.changes.records.len());
        self.changes.records.push(RecordPut { dedup: dedup_of(&record), record });
    }

    /// The record as this plan leaves it so far.
    pub(super) fn record<'a>(&'a self, current: &'a MemoryRecord) -> &'a MemoryRecord {
        self.records.get(&current.id).map_or(current, |&at| &self.changes.records[at].record)
    }

    /// Changes a record: its former state becomes a version, once per request.
    pub(super) fn change_record(&mut self, current: &MemoryRecord, change: impl FnOnce(&mut MemoryRecord)) {
        let known = self.records.get(&current.id).copied();
        let mut record = known.map_or(current, |at| &self.changes.records[at].record).clone();
        if known.is_none() {
            self.require(Precondition::Version(record.id, record.version));
        }
        if self.touched.insert(record.id) {
            self.changes.versions.push(RecordVersion::new(record.clone(), self.now));
            record.version += 1;
            record.written_at = self.now;
        }
        change(&mut record);
        match known {
            Some(at) => self.changes.records[at] = RecordPut { dedup: dedup_of(&record), record },
            None => self.add_record(record),
        }
    }

    /// Strengthens a record that was said again. A record that this plan makes is strengthened in place.
    pub(super) fn reinforce(&mut self, id: MemoryId, confidence: Score) {
        if let Some(&at) = self.records.get(&id) {
            let record = &mut self.changes.records[at].record;
            record.confidence = Score::clamped(record.confidence.get().max(confidence.get()));
            record.access_count += 1;
            record.last_accessed_at = Some(self.now);
        } else {
            self.changes.reinforced.push(Reinforcement { id, confidence, at: self.now });
        }
    }

    /// A new fact.
    pub(super) fn add_fact(&mut self, fact: Fact) {
        self.facts.insert(fact.id, self.changes.facts.len());
        self.changes.facts.push(fact);
    }

    /// Changes a fact: its former state becomes a version, once per plan.
    pub(super) fn change_fact(&mut self, current: &Fact, change: impl FnOnce(&mut Fact)) {
        let at = match self.facts.get(&current.id) {
            Some(&at) => at,
            None => {
                let former = FactVersion { fact: current.clone(), recorded_at: self.now };
                self.changes.fact_versions.push(former);
                self.add_fact(current.clone());
                self.changes.facts.len() - 1
            }
        };
        let held = self.changes.facts[at].status == FactStatus::Current;
        change(&mut self.changes.facts[at]);
        if held && self.changes.facts[at].status != FactStatus::Current {
            self.cut(current);
        }
    }

    /// Ends the relation that a fact states.
    pub(super) fn cut(&mut self, fact: &Fact) {
        let key = edge_of(fact);
        self.changes
            .edges
            .retain(|edge| (edge.source, edge.target, &edge.predicate) != (key.0, key.1, &key.2));
        if !self.changes.cut.contains(&key) {
            self.changes.cut.push(key);
        }
    }

    /// Notes the relation that a fact states, as the record that states it names its ends.
    pub(super) fn relate(&mut self, record: &MemoryRecord, mentions: &[extract::Mention], fact: &Fact) {
        let Some((subject, value)) = relations::ends(fact, &record.speaker, mentions) else { return };
        self.mention(record, subject);
        self.mention(record, value);
        let (source, target, predicate) = edge_of(fact);
        let edge = Edge { source, target, predicate, confidence: fact.confidence.get() };
        let same = |other: &&mut Edge| {
            (other.source, other.target, &other.predicate) == (edge.source, edge.target, &edge.predicate)
        };
        match self.changes.edges.iter_mut().find(same) {
            Some(other) => *other = edge,
            None => self.changes.edges.push(edge),
        }
    }

    pub(super) fn add_evidence(&mut self, fact: FactId, evidence: Evidence) {
        if !self.changes.evidence.contains(&(fact, evidence)) {
            self.changes.evidence.push((fact, evidence));
        }
    }

    pub(super) fn add_vector(
        &mut self,
        record: MemoryId,
        model: ModelId,
        view: View,
        vector: Option<&Vector>,
    ) {
        if let Some(vector) = vector {
            self.changes.embeddings.push(EmbeddingPut { record, model, view, vector: vector.clone() });
        }
    }

    /// Notes that a record mentions a name.
    pub(super) fn mention(&mut self, record: &MemoryRecord, (name, kind): Named<'_>) {
        let id = entity_id(&record.namespace, &record.user_id, name);
        if !self.changes.entities.iter().any(|entity| entity.id == id) {
            self.changes.entities.push(Entity {
                id,
                tenant_id: record.tenant_id.clone(),
                namespace: record.namespace.clone(),
                user_id: record.user_id.clone(),
                name: name.to_owned(),
                entity_type: kind.to_string(),
            });
        }
        let mention = Mention { entity_id: id, memory_id: record.id, message_id: record.message_id };
        if !self.changes.mentions.contains(&mention) {
            self.changes.mentions.push(mention);
        }
    }

    pub(super) fn event(
        &mut self,
        scope: &Scope,
        event_type: EventType,
        operation: OperationType,
        memory_ids: Vec<MemoryId>,
        payload: Metadata,
    ) {
        self.changes.events.push(event(scope, event_type, operation, memory_ids, payload, self.now));
    }
}

/// Where the relation that a fact states is kept.
fn edge_of(fact: &Fact) -> EdgeKey {
    edge_key(&fact.namespace, &fact.user_id, &fact.subject, &fact.predicate, &fact.value)
}

/// An event of the scope.
pub(super) fn event(
    scope: &Scope,
    event_type: EventType,
    operation: OperationType,
    memory_ids: Vec<MemoryId>,
    payload: Metadata,
    now: DateTime<Utc>,
) -> Event {
    Event {
        id: EventId::new(),
        tenant_id: scope.tenant().to_owned(),
        namespace: scope.namespace().to_owned(),
        user_id: scope.user().to_owned(),
        agent_id: scope.agent().to_owned(),
        session_id: scope.session().to_owned(),
        event_type,
        operation,
        payload,
        memory_ids,
        created_at: now,
    }
}

/// Payload of an event from pairs.
pub(super) fn payload<const N: usize>(pairs: [(&str, serde_json::Value); N]) -> Metadata {
    pairs.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
}

/// Digest of what makes a record the same text said again; a memory with a key of its own never is,
/// and neither is a later chunk.
pub(super) fn dedup_of(record: &MemoryRecord) -> Option<Digest> {
    if record.key.is_some() || record.chunk_index > 0 {
        return None;
    }
    Some(dedup_digest(
        &record.namespace,
        &record.user_id,
        &record.session_id,
        record.role.as_str(),
        &record.content_hash,
    ))
}

pub(super) fn dedup_digest(namespace: &str, user: &str, session: &str, role: &str, hash: &str) -> Digest {
    digest(&[namespace, user, session, role, hash].map(str::as_bytes))
}

/// Whether a record still stands for what it says, so that a repetition strengthens it.
pub(super) fn is_live(record: &MemoryRecord, now: DateTime<Utc>) -> bool {
    matches!(record.status, MemoryStatus::Active | MemoryStatus::Silent | MemoryStatus::Compressed)
        && record.superseded_by_id.is_none()
        && record.valid_to.is_none_or(|end| end > now)
        && record.expires_at.is_none_or(|end| end > now)
}
