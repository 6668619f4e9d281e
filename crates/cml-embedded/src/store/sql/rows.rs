//! Which columns a row of each table has, and how they become values.

use cml_core::{
    DecayRate, FactId, MemoryId, Result,
    memory::{Event, Evidence, Fact, MemoryRecord, Message, Session},
    ops::{Edge, Entity},
};
use uuid::Uuid;

use super::{
    error::malformed,
    value::{Binds, Columns},
};
use crate::store::TurnRow;

/// Columns of `records`, in the order of [`bind_record`] and [`record`].
pub(in crate::store) const RECORD: &str = "tenant_id, id, namespace, user_id, agent_id, session_id, text, \
     memory_type, status, key, tags, metadata, confidence, importance, decay_rate, access_count, \
     last_accessed_at, said_at, event_start, event_end, written_at, valid_from, valid_to, expires_at, \
     source, role, speaker, message_id, chunk_index, content_hash, version, supersedes_id, superseded_by_id";
/// Columns of `messages`.
pub(in crate::store) const MESSAGE: &str = "tenant_id, id, namespace, user_id, agent_id, session_id, seq, role, \
     speaker, text, metadata, said_at, turn_id, memory_id";
/// Columns of `terms`.
pub(in crate::store) const TURN: &str =
    "id, namespace, user_id, agent_id, session_id, seq, role, speaker, said_at, terms, length, flags";
/// Columns of `facts`.
pub(in crate::store) const FACT: &str = "tenant_id, id, namespace, user_id, agent_id, session_id, subject, predicate, \
     value, category, slot, situations, confidence, source, status, valid_from, valid_to, recorded_at, version, \
     supersedes_id, superseded_by_id";
/// Columns of `sessions`.
pub(in crate::store) const SESSION: &str = "session_id, tenant_id, namespace, user_id, agent_id, name, kind, \
     participants, metadata, created_at, expires_at";
/// Columns of `events`.
pub(in crate::store) const EVENT: &str = "id, tenant_id, namespace, user_id, agent_id, session_id, event_type, \
     operation, payload, memory_ids, created_at";

pub(in crate::store) fn bind_record(binds: &mut Binds, record: &MemoryRecord) {
    binds
        .add(&*record.tenant_id)
        .id(record.id.as_uuid())
        .add(&*record.namespace)
        .add(&*record.user_id)
        .add(&*record.agent_id)
        .add(&*record.session_id)
        .add(&*record.text)
        .add(record.memory_type.as_str())
        .add(record.status.as_str())
        .add(record.key.as_deref())
        .texts(&record.context_tags)
        .json(&record.metadata)
        .add(record.confidence.get())
        .add(record.importance.get())
        .add(record.decay_rate.get())
        .add(record.access_count.cast_signed())
        .optional_time(record.last_accessed_at)
        .time(record.timestamp)
        .optional_time(record.event_start)
        .optional_time(record.event_end)
        .time(record.written_at)
        .optional_time(record.valid_from)
        .optional_time(record.valid_to)
        .optional_time(record.expires_at)
        .add(record.source.as_str())
        .add(record.role.as_str())
        .add(&*record.speaker)
        .id(record.message_id.as_uuid())
        .add(i64::from(record.chunk_index))
        .hash(&record.content_hash)
        .add(record.version.cast_signed())
        .optional_id(record.supersedes_id.as_ref().map(MemoryId::as_uuid))
        .optional_id(record.superseded_by_id.as_ref().map(MemoryId::as_uuid));
}

pub(in crate::store) fn record(columns: &mut Columns<'_>) -> Result<MemoryRecord> {
    Ok(MemoryRecord {
        tenant_id: columns.text()?,
        id: columns.id()?,
        namespace: columns.text()?,
        user_id: columns.text()?,
        agent_id: columns.text()?,
        session_id: columns.text()?,
        text: columns.text()?,
        memory_type: columns.name()?,
        status: columns.name()?,
        key: columns.get()?,
        context_tags: columns.texts()?,
        metadata: columns.metadata()?,
        confidence: columns.score()?,
        importance: columns.score()?,
        decay_rate: DecayRate::per_day(columns.get()?)?,
        access_count: columns.number()?,
        last_accessed_at: columns.optional_time()?,
        timestamp: columns.time()?,
        event_start: columns.optional_time()?,
        event_end: columns.optional_time()?,
        written_at: columns.time()?,
        valid_from: columns.optional_time()?,
        valid_to: columns.optional_time()?,
        expires_at: columns.optional_time()?,
        source: columns.name()?,
        role: columns.name()?,
        speaker: columns.text()?,
        message_id: columns.id()?,
        chunk_index: columns.small()?,
        content_hash: columns.hash()?,
        version: columns.number()?,
        supersedes_id: columns.optional_id()?,
        superseded_by_id: columns.optional_id()?,
    })
}

/// `number` is the message's place in its session.
pub(in crate::store) fn bind_message(binds: &mut Binds, message: &Message, number: u64) {
    binds
        .add(&*message.tenant_id)
        .id(message.id.as_uuid())
        .add(&*message.namespace)
        .add(&*message.user_id)
        .add(&*message.agent_id)
        .add(&*message.session_id)
        .add(number.cast_signed())
        .add(message.role.as_str())
        .add(&*message.speaker)
        .add(&*message.text)
        .json(&message.metadata)
        .time(message.said_at)
        .add(&*message.turn_id)
        .optional_id(message.memory_id.as_ref().map(MemoryId::as_uuid));
}

pub(in crate::store) fn message(columns: &mut Columns<'_>) -> Result<Message> {
    Ok(Message {
        tenant_id: columns.text()?,
        id: columns.id()?,
        namespace: columns.text()?,
        user_id: columns.text()?,
        agent_id: columns.text()?,
        session_id: columns.text()?,
        seq: columns.number()?,
        role: columns.name()?,
        speaker: columns.text()?,
        text: columns.text()?,
        metadata: columns.metadata()?,
        said_at: columns.time()?,
        turn_id: columns.text()?,
        memory_id: columns.optional_id()?,
    })
}

/// `number` is the place of the turn's message in its session.
pub(in crate::store) fn bind_turn(binds: &mut Binds, turn: &TurnRow, number: u64) {
    binds
        .id(turn.id.as_uuid())
        .add(&*turn.namespace)
        .add(&*turn.user)
        .add(&*turn.agent)
        .add(&*turn.session)
        .add(number.cast_signed())
        .add(turn.role.as_str())
        .add(&*turn.speaker)
        .time(turn.said_at)
        .add(&*turn.terms)
        .add(i64::from(turn.length))
        .add(i64::from(turn.flags));
}

#[cfg(feature = "standard")]
pub(in crate::store) fn turn(columns: &mut Columns<'_>) -> Result<TurnRow> {
    Ok(TurnRow {
        id: columns.id()?,
        namespace: columns.text()?,
        user: columns.text()?,
        agent: columns.text()?,
        session: columns.text()?,
        seq: columns.number()?,
        role: columns.name()?,
        speaker: columns.text()?,
        said_at: columns.time()?,
        terms: columns.text()?,
        length: columns.small()?,
        flags: columns.small()?,
    })
}

pub(in crate::store) fn bind_fact(binds: &mut Binds, fact: &Fact) {
    binds
        .add(&*fact.tenant_id)
        .id(fact.id.as_uuid())
        .add(&*fact.namespace)
        .add(&*fact.user_id)
        .add(&*fact.agent_id)
        .add(&*fact.session_id)
        .add(&*fact.subject)
        .add(&*fact.predicate)
        .add(&*fact.value)
        .add(fact.category.as_str())
        .add(&*fact.slot)
        .texts(&fact.situations)
        .add(fact.confidence.get())
        .add(fact.source.as_str())
        .add(fact.status.as_str())
        .time(fact.valid_from)
        .optional_time(fact.valid_to)
        .time(fact.recorded_at)
        .add(fact.version.cast_signed())
        .optional_id(fact.supersedes_id.as_ref().map(FactId::as_uuid))
        .optional_id(fact.superseded_by_id.as_ref().map(FactId::as_uuid));
}

/// A fact without its evidence.
pub(in crate::store) fn fact(columns: &mut Columns<'_>) -> Result<Fact> {
    Ok(Fact {
        tenant_id: columns.text()?,
        id: columns.id()?,
        namespace: columns.text()?,
        user_id: columns.text()?,
        agent_id: columns.text()?,
        session_id: columns.text()?,
        subject: columns.text()?,
        predicate: columns.text()?,
        value: columns.text()?,
        category: columns.name()?,
        slot: columns.text()?,
        situations: columns.texts()?,
        confidence: columns.score()?,
        source: columns.name()?,
        status: columns.name()?,
        valid_from: columns.time()?,
        valid_to: columns.optional_time()?,
        recorded_at: columns.time()?,
        version: columns.number()?,
        supersedes_id: columns.optional_id()?,
        superseded_by_id: columns.optional_id()?,
        evidence: Vec::new(),
    })
}

pub(in crate::store) fn bind_session(binds: &mut Binds, session: &Session) {
    binds
        .add(&*session.session_id)
        .add(&*session.tenant_id)
        .add(&*session.namespace)
        .add(&*session.user_id)
        .add(&*session.agent_id)
        .add(&*session.name)
        .add(&*session.kind)
        .texts(&session.participants)
        .json(&session.metadata)
        .time(session.created_at)
        .optional_time(session.expires_at);
}

pub(in crate::store) fn session(columns: &mut Columns<'_>) -> Result<Session> {
    Ok(Session {
        session_id: columns.text()?,
        tenant_id: columns.text()?,
        namespace: columns.text()?,
        user_id: columns.text()?,
        agent_id: columns.text()?,
        name: columns.text()?,
        kind: columns.text()?,
        participants: columns.texts()?,
        metadata: columns.metadata()?,
        created_at: columns.time()?,
        expires_at: columns.optional_time()?,
    })
}

pub(in crate::store) fn bind_event(binds: &mut Binds, event: &Event) {
    binds
        .id(event.id.as_uuid())
        .add(&*event.tenant_id)
        .add(&*event.namespace)
        .add(&*event.user_id)
        .add(&*event.agent_id)
        .add(&*event.session_id)
        .add(event.event_type.as_str())
        .add(event.operation.as_str())
        .json(&event.payload)
        .id_list(event.memory_ids.iter().map(|id| *id.as_uuid()).collect())
        .time(event.created_at);
}

pub(in crate::store) fn event(columns: &mut Columns<'_>) -> Result<Event> {
    Ok(Event {
        id: columns.id()?,
        tenant_id: columns.text()?,
        namespace: columns.text()?,
        user_id: columns.text()?,
        agent_id: columns.text()?,
        session_id: columns.text()?,
        event_type: columns.name()?,
        operation: columns.name()?,
        payload: columns.metadata()?,
        memory_ids: columns.id_list()?,
        created_at: columns.time()?,
    })
}

/// The kind of a piece of evidence and the id it points at, as `fact_evidence` keeps them.
pub(in crate::store) fn evidence_parts(evidence: &Evidence) -> (i64, Uuid) {
    match evidence {
        Evidence::Memory(id) => (0, *id.as_uuid()),
        Evidence::Message(id) => (1, *id.as_uuid()),
        // A kind of evidence that this store does not know yet points nowhere.
        _ => (2, Uuid::nil()),
    }
}

pub(in crate::store) fn evidence(columns: &mut Columns<'_>) -> Result<Evidence> {
    match columns.get::<i64>()? {
        0 => Ok(Evidence::Memory(columns.id()?)),
        1 => Ok(Evidence::Message(columns.id()?)),
        _ => Err(malformed("kind of evidence")),
    }
}

/// Of the columns `tenant_id, id, namespace, user_id, name, entity_type`.
pub(in crate::store) fn entity(columns: &mut Columns<'_>) -> Result<Entity> {
    let tenant_id = columns.text()?;
    Ok(Entity {
        tenant_id,
        id: columns.id()?,
        namespace: columns.text()?,
        user_id: columns.text()?,
        name: columns.text()?,
        entity_type: columns.text()?,
    })
}

/// Of the columns `source, target, predicate, confidence`.
pub(in crate::store) fn edge(columns: &mut Columns<'_>) -> Result<Edge> {
    Ok(Edge {
        source: columns.id()?,
        target: columns.id()?,
        predicate: columns.text()?,
        confidence: columns.get()?,
    })
}
