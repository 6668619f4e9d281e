//! Answers of the original server as those of the contract.

use chrono::{DateTime, Utc};
use cml_core::{DecayRate, Score};
use cml_core::{
    Error, ErrorKind, MemoryId, MessageId, Result, Scope,
    memory::{MemoryItem, MemoryRecord, MemorySource, MemoryStatus, MemoryType, Metadata, Role, Session},
    ops::{CreateSession, ReadResponse, SessionContext},
    provider::{ByteTokenCounter, TokenCounter as _},
    scope::DEFAULT_NAMESPACE,
    time,
};
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::Value;

/// Lists of items in an answer.
const ITEMS: [&str; 8] = [
    "memories",
    "facts",
    "preferences",
    "episodes",
    "constraints",
    "messages",
    "tool_results",
    "scratch_pad",
];
/// Parts of a read's answer whose shape is its own affair.
const FOREIGN: [&str; 4] = ["retrieval_meta", "sufficiency", "open_questions", "warnings"];

pub(super) fn read(mut answer: Value) -> Result<ReadResponse> {
    if let Some(fields) = answer.as_object_mut() {
        fields.retain(|name, _| !FOREIGN.contains(&name.as_str()));
    }
    tidy_items(&mut answer);
    parse(answer)
}

/// An item of a stream.
pub(super) fn item(json: &str) -> serde_json::Result<MemoryItem> {
    let mut item = serde_json::from_str(json)?;
    tidy(&mut item);
    serde_json::from_value(item)
}

pub(super) fn session_context(mut answer: Value, max_tokens: usize) -> Result<SessionContext> {
    tidy_items(&mut answer);
    let mut context: SessionContext = parse(answer)?;
    context.context_string = end_within(&context.context_string, max_tokens).to_owned();
    Ok(context)
}

pub(super) fn session(answer: Value, scope: &Scope, request: CreateSession) -> Result<Session> {
    #[derive(Deserialize)]
    struct Created {
        session_id: String,
        created_at: Option<String>,
        expires_at: Option<String>,
    }
    let created: Created = parse(answer)?;
    Ok(Session {
        session_id: created.session_id,
        tenant_id: scope.tenant().to_owned(),
        namespace: String::new(),
        user_id: String::new(),
        agent_id: scope.agent().to_owned(),
        name: request.name.unwrap_or_default(),
        kind: String::new(),
        participants: Vec::new(),
        metadata: request.metadata,
        created_at: instant(created.created_at.as_deref())?.unwrap_or_else(Utc::now),
        expires_at: instant(created.expires_at.as_deref())?,
    })
}

/// `GET /dashboard/memories/{id}`.
#[derive(Debug, Deserialize)]
struct Detail {
    id: MemoryId,
    tenant_id: String,
    agent_id: Option<String>,
    #[serde(rename = "type")]
    memory_type: MemoryType,
    status: MemoryStatus,
    text: String,
    key: Option<String>,
    namespace: Option<String>,
    context_tags: Option<Vec<String>>,
    confidence: Option<f64>,
    importance: Option<f64>,
    access_count: Option<u64>,
    decay_rate: Option<f64>,
    version: Option<u64>,
    timestamp: Option<String>,
    written_at: Option<String>,
    source_session_id: Option<String>,
    metadata: Option<Metadata>,
    last_accessed_at: Option<String>,
    provenance: Option<Value>,
    supersedes_id: Option<MemoryId>,
    content_hash: Option<String>,
    valid_from: Option<String>,
    valid_to: Option<String>,
}

pub(super) fn record(answer: Value) -> Result<MemoryRecord> {
    let detail: Detail = parse(answer)?;
    let id = detail.id;
    let written_at = instant(detail.written_at.as_deref())?;
    let timestamp = instant(detail.timestamp.as_deref())?.or(written_at).unwrap_or(DateTime::UNIX_EPOCH);
    let source = detail.provenance.as_ref().and_then(|provenance| provenance["source"].as_str());
    let metadata = detail.metadata.unwrap_or_default();
    Ok(MemoryRecord {
        id,
        tenant_id: detail.tenant_id,
        namespace: detail
            .namespace
            .filter(|name| !name.is_empty())
            .unwrap_or_else(|| DEFAULT_NAMESPACE.to_owned()),
        user_id: String::new(),
        agent_id: detail.agent_id.unwrap_or_default(),
        session_id: detail.source_session_id.unwrap_or_default(),
        text: detail.text,
        memory_type: detail.memory_type,
        status: detail.status,
        key: detail.key,
        context_tags: detail.context_tags.unwrap_or_default(),
        metadata: metadata.into_iter().filter(|(name, _)| name != SIMILARITY).collect(),
        confidence: Score::clamped(detail.confidence.unwrap_or(0.5)),
        importance: Score::clamped(detail.importance.unwrap_or(0.5)),
        decay_rate: DecayRate::per_day(detail.decay_rate.unwrap_or(0.0).max(0.0))?,
        access_count: detail.access_count.unwrap_or_default(),
        last_accessed_at: instant(detail.last_accessed_at.as_deref())?,
        timestamp,
        event_start: None,
        event_end: None,
        written_at: written_at.unwrap_or(timestamp),
        valid_from: instant(detail.valid_from.as_deref())?,
        valid_to: instant(detail.valid_to.as_deref())?,
        expires_at: None,
        source: source.and_then(|source| source.parse().ok()).unwrap_or(MemorySource::UserExplicit),
        role: Role::User,
        speaker: String::new(),
        // Every memory stands alone there.
        message_id: MessageId::from_uuid(*id.as_uuid()),
        chunk_index: 0,
        content_hash: detail.content_hash.unwrap_or_default(),
        version: detail.version.unwrap_or(1),
        supersedes_id: detail.supersedes_id,
        superseded_by_id: None,
    })
}

/// An internal key that the original shows.
const SIMILARITY: &str = "_similarity";

pub(super) fn parse<T: DeserializeOwned>(answer: Value) -> Result<T> {
    serde_json::from_value(answer).map_err(|error| {
        Error::new(ErrorKind::Internal, "the server's answer is not what the protocol says")
            .with_source(error)
    })
}

pub(super) fn instant(text: Option<&str>) -> Result<Option<DateTime<Utc>>> {
    text.map(|text| {
        time::parse("timestamp", text).map_err(|error| {
            Error::new(ErrorKind::Internal, "the server's answer holds a time that is none")
                .with_source(error)
        })
    })
    .transpose()
}

fn tidy_items(answer: &mut Value) {
    for name in ITEMS {
        if let Some(items) = answer.get_mut(name).and_then(Value::as_array_mut) {
            items.iter_mut().for_each(tidy);
        }
    }
}

/// Scores into their range, internal keys out.
fn tidy(item: &mut Value) {
    if !item.is_object() {
        return;
    }
    for score in ["confidence", "relevance"] {
        let value = item[score].as_f64().unwrap_or_default();
        item[score] = Value::from(Score::clamped(value).get());
    }
    match &mut item["metadata"] {
        Value::Object(metadata) => drop(metadata.remove(SIMILARITY)),
        absent => *absent = Value::Object(Metadata::new()),
    }
}

/// The last lines of `text` that fit into `max_tokens`; the original has no budget for it.
fn end_within(text: &str, max_tokens: usize) -> &str {
    let mut start = text.len();
    for (position, _) in text.rmatch_indices('\n').map(|(at, _)| (at + 1, ())).chain([(0, ())]) {
        if ByteTokenCounter.count(&text[position..]) > max_tokens {
            break;
        }
        start = position;
    }
    &text[start..]
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_end_of_a_text_is_kept_in_whole_lines() {
        let text = "one two\nthree four\nfive six";
        assert_eq!(end_within(text, 1000), text);
        assert_eq!(end_within(text, 4), "five six");
        assert_eq!(end_within(text, 8), "three four\nfive six");
        assert_eq!(end_within(text, 1), "");
    }

    #[test]
    fn items_that_are_none_are_errors() {
        for items in [json!(["text"]), json!([null]), json!([{"id": 1}])] {
            let answer = json!({"query": "", "memories": items, "total_count": 1, "elapsed_ms": 1.0});
            assert_eq!(read(answer).map_err(|error| error.kind()), Err(ErrorKind::Internal));
        }
    }

    #[test]
    fn an_item_of_the_original_is_read() -> serde_json::Result<()> {
        let item = item(
            &json!({
                "id": "0198c0de-0000-7000-8000-000000000001", "text": "tea", "type": "preference",
                "confidence": 0.7, "relevance": 1.3, "timestamp": "2026-05-07 10:00:00.5",
                "metadata": {"_similarity": 0.2, "a": 1}
            })
            .to_string(),
        )?;
        assert_eq!((item.relevance, item.timestamp.timestamp_millis()), (Score::ONE, 1_778_148_000_500));
        assert_eq!(item.metadata.len(), 1);
        Ok(())
    }
}
