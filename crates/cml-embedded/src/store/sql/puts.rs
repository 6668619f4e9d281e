//! What each table takes: its columns, and the values of a row.

use cml_core::{
    FactId,
    memory::{Event, Evidence, Fact, Message, RecordVersion, Session},
    ops::{Edge, Entity, FactVersion, Mention},
};
use uuid::Uuid;

use super::{
    batch::{Conflict, Put},
    numbers::Numbers,
    rows,
    value::Binds,
};
use crate::store::{
    Changed, Digest, EmbeddingPut, IdempotencyRow, RecordPut, TurnRow, View, graph::walk::folded,
};

pub(in crate::store) const SESSION: Put = Put::new("sessions", &[rows::SESSION], Conflict::Keep);
pub(in crate::store) const MESSAGE: Put = Put::new("messages", &[rows::MESSAGE], Conflict::Fail);
pub(in crate::store) const PLACED: Put = Put::new("messages", &[rows::MESSAGE], Conflict::Keep);
pub(in crate::store) const RECORD: Put =
    Put::new("records", &[rows::RECORD, "dedup"], Conflict::Replace("tenant_id, id"));
pub(in crate::store) const RECORD_VERSION: Put =
    Put::new("record_versions", &[rows::RECORD, "recorded_at"], Conflict::Replace("tenant_id, id, version"));
pub(in crate::store) const TURN: Put =
    Put::new("terms", &["tenant_id", rows::TURN], Conflict::Replace("tenant_id, id"));
pub(in crate::store) const EMBEDDING: Put = Put::new(
    "embeddings",
    &["tenant_id, model_id, view, record_id, norm, vector"],
    Conflict::Replace("tenant_id, model_id, view, record_id"),
);
pub(in crate::store) const FACT: Put = Put::new("facts", &[rows::FACT], Conflict::Replace("tenant_id, id"));
pub(in crate::store) const FACT_VERSION: Put =
    Put::new("fact_versions", &[rows::FACT, "replaced_at"], Conflict::Keep);
pub(in crate::store) const EVIDENCE: Put =
    Put::new("fact_evidence", &["tenant_id, fact_id, kind, target_id"], Conflict::Keep);
pub(in crate::store) const ENTITY: Put =
    Put::new("entities", &["tenant_id, id, namespace, user_id, name, entity_type, name_key"], Conflict::Keep);
pub(in crate::store) const MENTION: Put =
    Put::new("mentions", &["tenant_id, entity_id, memory_id, message_id"], Conflict::Keep);
pub(in crate::store) const EDGE: Put = Put::new(
    "edges",
    &["tenant_id, source, target, predicate, confidence"],
    Conflict::Replace("tenant_id, source, target, predicate"),
);
pub(in crate::store) const EVENT: Put = Put::new("events", &[rows::EVENT], Conflict::Keep);
pub(in crate::store) const IDEMPOTENCY: Put = Put::new(
    "idempotency",
    &["tenant_id, key, request, answer, namespace, user_id, agent_id, session_id, expires_at"],
    Conflict::Replace("tenant_id, key"),
);
pub(in crate::store) const CHANGE: Put = Put::new("changes", &["tenant_id, seq, kind, id"], Conflict::Fail);
pub(in crate::store) const TOMBSTONE: Put = Put::new("tombstones", &["tenant_id, digest"], Conflict::Keep);

pub(in crate::store) fn session(binds: &mut Binds, session: &Session) {
    rows::bind_session(binds, session);
}

pub(in crate::store) fn message(numbers: &Numbers) -> impl Fn(&mut Binds, &Message) {
    move |binds, message| {
        let number = numbers.get(&message.id).copied().unwrap_or_default();
        rows::bind_message(binds, message, number);
    }
}

pub(in crate::store) fn record(binds: &mut Binds, put: &RecordPut) {
    rows::bind_record(binds, &put.record);
    binds.optional_id(put.dedup.map(Uuid::from_bytes).as_ref());
}

pub(in crate::store) fn record_version(binds: &mut Binds, version: &RecordVersion) {
    rows::bind_record(binds, &version.record);
    binds.time(version.recorded_at);
}

/// Turns of a session take the number of their message: a new one, one stored before, else their own.
pub(in crate::store) fn turn(tenant: &str, new: &Numbers, stored: &Numbers) -> impl Fn(&mut Binds, &TurnRow) {
    move |binds, turn| {
        let own = if turn.session.is_empty() { 0 } else { turn.seq };
        let number = new.get(&turn.id).or_else(|| stored.get(&turn.id)).copied().unwrap_or(own);
        binds.add(tenant);
        rows::bind_turn(binds, turn, number);
    }
}

pub(in crate::store) fn embedding(tenant: &str) -> impl Fn(&mut Binds, &EmbeddingPut) {
    move |binds, put| {
        let view: i64 = match put.view {
            View::Own => 0,
            View::Context => 1,
        };
        binds
            .add(tenant)
            .add(put.model)
            .add(view)
            .id(put.record.as_uuid())
            .add(f64::from(put.vector.norm))
            .add(put.vector.values.clone());
    }
}

pub(in crate::store) fn fact(binds: &mut Binds, fact: &Fact) {
    rows::bind_fact(binds, fact);
}

pub(in crate::store) fn fact_version(binds: &mut Binds, version: &FactVersion) {
    rows::bind_fact(binds, &version.fact);
    binds.time(version.recorded_at);
}

pub(in crate::store) fn evidence(tenant: &str) -> impl Fn(&mut Binds, &(FactId, Evidence)) {
    move |binds, (fact, evidence)| {
        let (kind, target) = rows::evidence_parts(evidence);
        binds.add(tenant).id(fact.as_uuid()).add(kind).id(&target);
    }
}

pub(in crate::store) fn entity(binds: &mut Binds, entity: &Entity) {
    binds
        .add(&*entity.tenant_id)
        .id(entity.id.as_uuid())
        .add(&*entity.namespace)
        .add(&*entity.user_id)
        .add(&*entity.name)
        .add(&*entity.entity_type)
        .add(folded(&entity.name));
}

pub(in crate::store) fn mention(tenant: &str) -> impl Fn(&mut Binds, &Mention) {
    move |binds, mention| {
        binds
            .add(tenant)
            .id(mention.entity_id.as_uuid())
            .id(mention.memory_id.as_uuid())
            .id(mention.message_id.as_uuid());
    }
}

pub(in crate::store) fn edge(tenant: &str) -> impl Fn(&mut Binds, &Edge) {
    move |binds, edge| {
        binds
            .add(tenant)
            .id(edge.source.as_uuid())
            .id(edge.target.as_uuid())
            .add(&*edge.predicate)
            .add(edge.confidence);
    }
}

pub(in crate::store) fn event(binds: &mut Binds, event: &Event) {
    rows::bind_event(binds, event);
}

pub(in crate::store) fn idempotency(tenant: &str) -> impl Fn(&mut Binds, &IdempotencyRow) {
    move |binds, row| {
        binds
            .add(tenant)
            .add(&*row.key)
            .id(&Uuid::from_bytes(row.request))
            .json(&row.answer)
            .add(row.scope.namespace())
            .add(row.scope.user())
            .add(row.scope.agent())
            .add(row.scope.session())
            .time(row.expires_at);
    }
}

pub(in crate::store) fn change(tenant: &str) -> impl Fn(&mut Binds, &(u64, Changed)) {
    move |binds, (seq, changed)| {
        let (kind, id): (i64, _) = match changed {
            Changed::Record(id) => (0, id.as_uuid()),
            Changed::Turn(id) => (1, id.as_uuid()),
            Changed::Fact(id) => (2, id.as_uuid()),
        };
        binds.add(tenant).add(seq.cast_signed()).add(kind).id(id);
    }
}

pub(in crate::store) fn tombstone(tenant: &str) -> impl Fn(&mut Binds, &Digest) {
    move |binds, digest| {
        binds.add(tenant).id(&Uuid::from_bytes(*digest));
    }
}
