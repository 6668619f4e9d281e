//! What our server gives: each answer has at least the fields of the contract, with their types.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use cml_core::{
    Score,
    memory::{Event, Fact, Job, MemoryDetail, MemoryItem, MemoryRecord, Message, Metadata, Role, Session},
    ops::{
        Component, ComponentStatus, EraseResponse, EventPage, FactList, ForgetResponse, Health, ListPage,
        MessagePage, ReadResponse, SessionContext, Stats, Sufficiency, TenantSummary, TurnResponse,
        UpdateResponse, WriteResponse,
    },
    wire::{HealthBody, JobList, SessionList, WhoAmI},
};
use serde_json::{Value, json};

use crate::{ID, OTHER_ID, TestResult, id, instant, shape::assert_fields};

const ITEM: &str =
    "id uuid, text str, type str, confidence number, relevance number, timestamp time, metadata object";
const RECORD: &str = "id uuid, tenant_id str, namespace str, text str, type str, status str, key str?, \
    context_tags list, metadata object, confidence number, importance number, decay_rate number, \
    access_count int, last_accessed_at time?, timestamp time, written_at time, valid_from time?, \
    valid_to time?, expires_at time?, source str, role str, message_id uuid, chunk_index int, \
    content_hash str, version int, supersedes_id uuid?, superseded_by_id uuid?";

/// A record as the contract describes it, with everything that may be absent.
pub(crate) fn record() -> Value {
    json!({
        "id": ID, "tenant_id": "acme", "namespace": "notes", "user_id": "ana", "agent_id": "planner",
        "session_id": "monday", "text": "We meet on Friday", "type": "plan", "status": "active",
        "key": "meeting", "context_tags": ["work"], "metadata": {"room": 7}, "confidence": 0.75,
        "importance": 0.5, "decay_rate": 0.01, "access_count": 3, "last_accessed_at": "2026-05-08T00:00:00Z",
        "timestamp": "2026-05-07T09:30:00Z", "event_start": "2026-05-08T00:00:00Z",
        "event_end": "2026-05-09T00:00:00Z", "written_at": "2026-05-07T09:30:01.000001Z",
        "valid_from": "2026-05-07T09:30:00Z", "valid_to": "2027-05-07T09:30:00Z",
        "expires_at": "2028-01-01T00:00:00Z", "source": "user_explicit", "role": "user", "speaker": "Ana",
        "message_id": OTHER_ID, "chunk_index": 1, "content_hash": "00ff", "version": 2,
        "supersedes_id": OTHER_ID, "superseded_by_id": OTHER_ID
    })
}

/// A fact as the contract describes it, with everything that may be absent.
pub(crate) fn fact() -> Value {
    json!({
        "id": ID, "tenant_id": "acme", "namespace": "notes", "user_id": "ana", "agent_id": "planner",
        "session_id": "monday", "subject": "user", "predicate": "current_city", "value": "Berlin",
        "category": "location", "slot": "residence", "situations": ["travel"], "confidence": 0.9,
        "source": "user_explicit", "status": "current", "valid_from": "2026-05-07T09:30:00Z",
        "valid_to": "2027-05-07T09:30:00Z", "recorded_at": "2026-05-07T09:30:01Z", "version": 2,
        "supersedes_id": OTHER_ID, "superseded_by_id": OTHER_ID,
        "evidence": [{"memory": ID}, {"message": OTHER_ID}]
    })
}

fn item() -> TestResult<MemoryItem> {
    let record: MemoryRecord = serde_json::from_value(record())?;
    Ok(MemoryItem::new(record, Score::clamped(0.42)))
}

fn day() -> DateTime<Utc> {
    DateTime::UNIX_EPOCH
}

fn json_of(value: &impl serde::Serialize) -> TestResult<Value> {
    Ok(serde_json::to_value(value)?)
}

#[test]
fn an_item_has_the_original_s_fields_and_ours() -> TestResult {
    let json = json_of(&item()?)?;
    assert_fields(&json, ITEM);
    let ours = "context_tags list, namespace str, said_at time, event_start time, event_end time, \
                session_id str, role str, speaker str";
    assert_fields(&json, ours);
    assert_eq!(json["id"], ID);
    assert_eq!(json["timestamp"], "2026-05-07T09:30:00Z");
    assert_eq!(json["metadata"], json!({"room": 7}));
    assert_eq!(json.get("explain"), None);
    assert_eq!(serde_json::from_value::<MemoryItem>(json)?, item()?);
    Ok(())
}

#[test]
fn a_record_in_full_is_what_the_fixture_says() -> TestResult {
    let read: MemoryRecord = serde_json::from_value(record())?;
    let json = json_of(&read)?;
    assert_eq!(json, record());
    assert_fields(&json, RECORD);
    assert_eq!((read.chunk_index, read.role), (1, Role::User));
    let detail = json_of(&MemoryDetail::new(read.clone()))?;
    assert_eq!(detail, record(), "nothing is added that was not asked for");
    let page = ListPage { items: vec![read], next_cursor: Some("abc".to_owned()) };
    assert_fields(&json_of(&page)?, "items list, next_cursor str");
    assert_fields(&json_of(&ListPage::default())?, "items list, next_cursor str?");
    Ok(())
}

#[test]
fn a_write_says_what_became_of_it() -> TestResult {
    let table =
        "success bool, memory_id uuid?, chunks_created int, message str, eval_outcome str?, eval_reason str?";
    let mut answer = WriteResponse {
        success: true,
        memory_id: Some(id()?),
        chunks_created: 1,
        message: "stored".to_owned(),
        eval_outcome: None,
        eval_reason: None,
    };
    assert_fields(&json_of(&answer)?, table);
    answer.memory_id = None;
    let json = json_of(&answer)?;
    assert_fields(&json, table);
    assert_eq!(json["memory_id"], Value::Null);
    assert!(json.get("memory_id").is_some(), "a skipped text has a null id");
    Ok(())
}

#[test]
fn a_read_has_every_group() -> TestResult {
    let table = "query str, memories list, facts list, preferences list, episodes list, constraints list, \
                 llm_context str?, retrieval_meta object, total_count int, elapsed_ms number";
    let mut answer = ReadResponse { query: "seats".to_owned(), ..ReadResponse::default() };
    let empty = json_of(&answer)?;
    assert_fields(&empty, table);
    assert_eq!(empty["memories"], json!([]));
    assert!(empty.get("llm_context").is_some(), "null, as in the original");
    answer.memories = vec![item()?];
    answer.episodes = vec![item()?];
    answer.total_count = 1;
    answer.llm_context = Some("## Episodes".to_owned());
    answer.sufficiency = Some(Sufficiency { sufficient: true, confidence: Score::ONE, support: 1 });
    let json = json_of(&answer)?;
    assert_fields(&json, table);
    assert_fields(&json["memories"][0], ITEM);
    assert_fields(&json["episodes"][0], ITEM);
    assert_fields(&json["sufficiency"], "sufficient bool, confidence number, support int");
    assert_eq!(serde_json::from_value::<ReadResponse>(json)?, answer);
    Ok(())
}

#[test]
fn turn_update_forget_and_erase() -> TestResult {
    let turn = json_of(&TurnResponse::default())?;
    let table =
        "memory_context str, memories_retrieved int, memories_stored int, reconsolidation_applied bool";
    assert_fields(&turn, table);
    let update =
        UpdateResponse { success: true, memory_id: id()?, version: 2, message: "changed".to_owned() };
    assert_fields(&json_of(&update)?, "success bool, memory_id uuid, version int, message str");
    let mut forget = ForgetResponse {
        success: true,
        affected_count: 1,
        message: "deleted".to_owned(),
        matches: Vec::new(),
    };
    assert_fields(&json_of(&forget)?, "success bool, affected_count int, message str, matches list?");
    forget.matches = vec![item()?];
    assert_fields(&json_of(&forget)?["matches"][0], ITEM);
    let erase = EraseResponse { counts: BTreeMap::from([("records".to_owned(), 3)]), affected_count: 3 };
    let json = json_of(&erase)?;
    assert_fields(&json, "affected_count int, counts object");
    assert_eq!(json["counts"], json!({"records": 3}));
    Ok(())
}

#[test]
fn stats_with_and_without_memories() -> TestResult {
    let table = "total_memories int, active_memories int, silent_memories int, archived_memories int, \
                 by_type object, by_status object, avg_confidence number, avg_importance number, \
                 oldest_memory time?, newest_memory time?, estimated_size_mb number";
    assert_fields(&json_of(&Stats::default())?, table);
    let stats = Stats {
        total_memories: 1,
        by_type: BTreeMap::from([(cml_core::memory::MemoryType::TaskState, 1)]),
        oldest_memory: Some(day()),
        newest_memory: Some(day()),
        ..Stats::default()
    };
    let json = json_of(&stats)?;
    assert_fields(&json, table);
    assert_eq!(json["by_type"], json!({"task_state": 1}));
    assert_eq!(json["oldest_memory"], "1970-01-01T00:00:00Z");
    Ok(())
}

#[test]
fn sessions_their_context_and_their_log() -> TestResult {
    let session = json!({
        "session_id": "monday", "tenant_id": "acme", "namespace": "notes", "user_id": "ana",
        "agent_id": "planner", "name": "onboarding", "kind": "chat", "participants": ["Ana"],
        "metadata": {"channel": "web"}, "created_at": "2026-05-07T09:30:00Z", "expires_at": "2026-05-08T09:30:00Z"
    });
    let read: Session = serde_json::from_value(session.clone())?;
    let json = json_of(&read)?;
    assert_eq!(json, session);
    assert_fields(&json, "session_id str, created_at time, expires_at time?");
    assert_fields(&json_of(&SessionList { sessions: vec![read] })?, "sessions list");

    let context = SessionContext {
        session_id: "monday".to_owned(),
        messages: vec![item()?],
        ..SessionContext::default()
    };
    let json = json_of(&context)?;
    let table = "session_id str, messages list, tool_results list, scratch_pad list, context_string str";
    assert_fields(&json, table);
    assert_fields(&json["messages"][0], ITEM);

    let message = json!({
        "id": ID, "tenant_id": "acme", "namespace": "notes", "user_id": "ana", "agent_id": "planner",
        "session_id": "monday", "seq": 1, "role": "assistant", "speaker": "Bot", "text": "Hi",
        "metadata": {}, "said_at": "2026-05-07T09:30:00Z", "turn_id": "t-1", "memory_id": OTHER_ID
    });
    let read: Message = serde_json::from_value(message.clone())?;
    let page = json_of(&MessagePage { messages: vec![read], next_after: Some(1) })?;
    assert_eq!(page, json!({"messages": [message], "next_after": 1}));
    Ok(())
}

#[test]
fn a_fact_is_what_the_fixture_says() -> TestResult {
    let read: Fact = serde_json::from_value(fact())?;
    assert_eq!(json_of(&read)?, fact());
    assert_eq!(read.key(), "user:location:current_city");
    let least: Fact = serde_json::from_value(json!({
        "id": ID, "tenant_id": "acme", "namespace": "default", "subject": "user", "predicate": "p",
        "value": "v", "category": "custom", "confidence": 1, "source": "agent_inferred", "status": "current",
        "valid_from": "2026-05-07T09:30:00Z", "recorded_at": "2026-05-07T09:30:00Z", "version": 1
    }))?;
    assert!(least.evidence.is_empty() && least.slot.is_empty() && least.valid_to.is_none());
    let list = FactList { items: vec![read], total: 1 };
    assert_eq!(json_of(&list)?, json!({"items": [fact()], "total": 1}));
    Ok(())
}

#[test]
fn events_and_jobs() -> TestResult {
    let event = json!({
        "id": ID, "tenant_id": "acme", "namespace": "notes", "user_id": "ana", "agent_id": "planner",
        "session_id": "monday", "event_type": "memory", "operation": "write", "payload": {"count": 1},
        "memory_ids": [OTHER_ID], "created_at": "2026-05-07T09:30:00Z"
    });
    let read: Event = serde_json::from_value(event.clone())?;
    assert_eq!(json_of(&EventPage { items: vec![read], total: 1 })?, json!({"items": [event], "total": 1}));

    let job = json!({
        "id": ID, "tenant_id": "acme", "user_id": "ana", "job_type": "forget", "status": "failed",
        "dry_run": true, "progress": 0.5, "attempts": 2, "result": {"memories_scanned": 3}, "error": "away",
        "created_at": "2026-05-07T09:30:00Z", "started_at": "2026-05-07T09:30:01Z",
        "completed_at": "2026-05-07T09:30:02Z"
    });
    let read: Job = serde_json::from_value(job.clone())?;
    assert_eq!(json_of(&JobList { items: vec![read] })?, json!({"items": [job]}));
    Ok(())
}

#[test]
fn a_tenant_has_its_counts() -> TestResult {
    let mut tenant = TenantSummary {
        tenant_id: "acme".to_owned(),
        memory_count: 2,
        active_memory_count: 1,
        fact_count: 1,
        last_memory_at: Some(day()),
        event_count: 5,
        last_event_at: Some(day()),
    };
    let table = "tenant_id str, memory_count int, active_memory_count int, fact_count int, \
                 last_memory_at time?, event_count int, last_event_at time?";
    assert_fields(&json_of(&tenant)?, table);
    tenant.last_memory_at = None;
    assert_fields(&json_of(&tenant)?, table);
    assert_fields(
        &json_of(&WhoAmI { tenant_id: "acme".to_owned(), admin: false })?,
        "tenant_id str, admin bool",
    );
    Ok(())
}

/// The published SDK reads `components` as an object and refuses a list.
#[test]
fn health_names_its_components_in_an_object() -> TestResult {
    let component = Component {
        name: "store".to_owned(),
        status: ComponentStatus::Ok,
        latency_ms: Some(0.25),
        details: Metadata::from_iter([("engine".to_owned(), json!("sqlite"))]),
        error: None,
    };
    let health = Health {
        status: "healthy".to_owned(),
        timestamp: instant("2026-05-07T09:30:00Z")?,
        version: "0.1.0".to_owned(),
        backend: "embedded".to_owned(),
        mode: "lite".to_owned(),
        components: vec![component],
    };
    let body = HealthBody {
        health,
        capabilities: vec!["list".to_owned(), "later".to_owned()],
        max_results: Some(1000),
    };
    let expected = json!({
        "status": "healthy", "timestamp": "2026-05-07T09:30:00Z", "version": "0.1.0", "backend": "embedded",
        "mode": "lite", "capabilities": ["list", "later"], "max_results": 1000,
        "components": {
            "store": {"name": "store", "status": "ok", "latency_ms": 0.25, "details": {"engine": "sqlite"}}
        }
    });
    assert_eq!(json_of(&body)?, expected);
    let read: HealthBody = serde_json::from_value(expected)?;
    assert_eq!(read, body);
    assert_eq!(read.known().collect::<Vec<_>>(), [cml_core::Capability::List]);
    Ok(())
}
