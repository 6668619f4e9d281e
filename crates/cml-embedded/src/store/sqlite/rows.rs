//! Which columns a row of each table has, and how they become values.

use cml_core::{
    DecayRate, FactId, MemoryId, Result,
    memory::{Event, Evidence, Fact, MemoryRecord, Message, Session},
};
use half::f16;
use uuid::Uuid;

use super::{
    error::malformed,
    values::{Binds, Columns, uuid},
};
use crate::store::TurnRow;

/// Columns of `records`, in the order of [`bind_record`] and [`record`].
pub(super) const RECORD: &str = "tenant_id, id, namespace, user_id, agent_id, session_id, text, \
     memory_type, status, key, tags, metadata, confidence, importance, decay_rate, access_count, \
     last_accessed_at, said_at, event_start, event_end, written_at, valid_from, valid_to, expires_at, \
     source, role, speaker, message_id, chunk_index, content_hash, version, supersedes_id, superseded_by_id";
/// Columns of `messages`.
pub(super) const MESSAGE: &str = "tenant_id, id, namespace, user_id, agent_id, session_id, seq, role, \
     speaker, text, metadata, said_at, turn_id, memory_id";
/// Columns of `terms`.
pub(super) const TURN: &str =
    "id, namespace, user_id, agent_id, session_id, seq, role, speaker, said_at, terms, length, flags";
/// Columns of `facts`.
pub(super) const FACT: &str = "tenant_id, id, namespace, user_id, agent_id, session_id, subject, predicate, \
     value, category, slot, situations, confidence, source, status, valid_from, valid_to, recorded_at, version, \
     supersedes_id, superseded_by_id";
/// Columns of `sessions`.
pub(super) const SESSION: &str = "session_id, tenant_id, namespace, user_id, agent_id, name, kind, \
     participants, metadata, created_at, expires_at";
/// Columns of `events`.
pub(super) const EVENT: &str = "id, tenant_id, namespace, user_id, agent_id, session_id, event_type, \
     operation, payload, memory_ids, created_at";

pub(super) fn bytes_of(vector: &[f16]) -> Vec<u8> {
    vector.iter().flat_map(|half| half.to_le_bytes()).collect()
}

/// A SHA-256 in lower-case hexadecimal text as bytes; `None` for any other text.
fn from_hex(text: &str) -> Option<Vec<u8>> {
    let digit = |byte: u8| match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        b'a'..=b'f' => Some(byte - b'a' + 10),
        _ => None,
    };
    let (pairs, rest) = text.as_bytes().as_chunks::<2>();
    if pairs.len() != 32 || !rest.is_empty() {
        return None;
    }
    pairs.iter().map(|[high, low]| Some(digit(*high)? << 4 | digit(*low)?)).collect()
}

pub(super) fn bind_record(binds: &mut Binds, record: &MemoryRecord) {
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
        .json(&record.context_tags)
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
        .add(i64::from(record.chunk_index));
    match from_hex(&record.content_hash) {
        Some(bytes) => binds.add(bytes),
        None => binds.add(&*record.content_hash),
    };
    binds
        .add(record.version.cast_signed())
        .optional_id(record.supersedes_id.as_ref().map(MemoryId::as_uuid))
        .optional_id(record.superseded_by_id.as_ref().map(MemoryId::as_uuid));
}

pub(super) fn record(columns: &mut Columns<'_>) -> Result<MemoryRecord> {
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
        context_tags: columns.list()?,
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
        content_hash: content_hash(columns)?,
        version: columns.number()?,
        supersedes_id: columns.optional_id()?,
        superseded_by_id: columns.optional_id()?,
    })
}

fn content_hash(columns: &mut Columns<'_>) -> Result<String> {
    let blob = columns.next_is_blob()?;
    let bytes: &[u8] = columns.get()?;
    if blob {
        return Ok(bytes.iter().fold(String::with_capacity(64), |mut text, byte| {
            for digit in [byte >> 4, byte & 15] {
                text.push(char::from(if digit < 10 { b'0' + digit } else { b'a' + digit - 10 }));
            }
            text
        }));
    }
    String::from_utf8(bytes.to_vec()).map_err(|error| malformed("content hash").with_source(error))
}

/// `number` is the message's place in its session.
pub(super) fn bind_message(binds: &mut Binds, message: &Message, number: u64) {
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

pub(super) fn message(columns: &mut Columns<'_>) -> Result<Message> {
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
pub(super) fn bind_turn(binds: &mut Binds, turn: &TurnRow, number: u64) {
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

pub(super) fn bind_fact(binds: &mut Binds, fact: &Fact) {
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
        .json(&fact.situations)
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
pub(super) fn fact(columns: &mut Columns<'_>) -> Result<Fact> {
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
        situations: columns.list()?,
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

pub(super) fn bind_session(binds: &mut Binds, session: &Session) {
    binds
        .add(&*session.session_id)
        .add(&*session.tenant_id)
        .add(&*session.namespace)
        .add(&*session.user_id)
        .add(&*session.agent_id)
        .add(&*session.name)
        .add(&*session.kind)
        .json(&session.participants)
        .json(&session.metadata)
        .time(session.created_at)
        .optional_time(session.expires_at);
}

pub(super) fn session(columns: &mut Columns<'_>) -> Result<Session> {
    Ok(Session {
        session_id: columns.text()?,
        tenant_id: columns.text()?,
        namespace: columns.text()?,
        user_id: columns.text()?,
        agent_id: columns.text()?,
        name: columns.text()?,
        kind: columns.text()?,
        participants: columns.list()?,
        metadata: columns.metadata()?,
        created_at: columns.time()?,
        expires_at: columns.optional_time()?,
    })
}

pub(super) fn bind_event(binds: &mut Binds, event: &Event) {
    let ids: Vec<u8> = event.memory_ids.iter().flat_map(|id| *id.as_uuid().as_bytes()).collect();
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
        .add(ids)
        .time(event.created_at);
}

pub(super) fn event(columns: &mut Columns<'_>) -> Result<Event> {
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
        memory_ids: columns
            .get::<&[u8]>()?
            .chunks(16)
            .map(|id| uuid(id).map(MemoryId::from))
            .collect::<Result<_>>()?,
        created_at: columns.time()?,
    })
}

/// The kind of a piece of evidence and the id it points at, as `fact_evidence` keeps them.
pub(super) fn evidence_parts(evidence: &Evidence) -> (i64, Uuid) {
    match evidence {
        Evidence::Memory(id) => (0, *id.as_uuid()),
        Evidence::Message(id) => (1, *id.as_uuid()),
        // A kind of evidence that this store does not know yet points nowhere.
        _ => (2, Uuid::nil()),
    }
}

pub(super) fn evidence(columns: &mut Columns<'_>) -> Result<Evidence> {
    match columns.get::<i64>()? {
        0 => Ok(Evidence::Memory(columns.id()?)),
        1 => Ok(Evidence::Message(columns.id()?)),
        _ => Err(malformed("kind of evidence")),
    }
}
