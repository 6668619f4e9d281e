//! Answers of the original server: naive timestamps, none of our fields, an internal key in the metadata.

use cml_core::{
    memory::{MemoryItem, MemoryType},
    ops::{
        ForgetResponse, Health, ReadResponse, SessionContext, Stats, TenantSummary, TurnResponse,
        UpdateResponse, WriteResponse,
    },
    wire::HealthBody,
};
use serde_json::{Value, json};

use crate::{ID, TestResult, id, instant};

fn item() -> Value {
    json!({
        "id": ID, "text": "I prefer window seats", "type": "preference", "confidence": 0.8,
        "relevance": 0.42, "timestamp": "2026-05-07T09:30:00.123456",
        "metadata": {"topic": "travel", "_similarity": 0.42}
    })
}

#[test]
fn an_item_is_read_with_naive_time_and_without_our_fields() -> TestResult {
    let read: MemoryItem = serde_json::from_value(item())?;
    assert_eq!(read.id, id()?);
    assert_eq!(read.memory_type, MemoryType::Preference);
    assert_eq!((read.confidence.get(), read.relevance.get()), (0.8, 0.42));
    assert_eq!(read.timestamp, instant("2026-05-07T09:30:00.123456Z")?);
    assert_eq!(read.metadata["topic"], "travel");
    assert!(read.context_tags.is_empty() && read.namespace.is_empty());
    assert_eq!((read.session_id, read.role, read.said_at), (None, None, None));
    Ok(())
}

#[test]
fn an_item_of_the_stream_has_a_blank_in_its_time() -> TestResult {
    let mut json = item();
    json["timestamp"] = json!("2026-05-07 09:30:00.123456");
    let read: MemoryItem = serde_json::from_value(json)?;
    assert_eq!(read.timestamp, instant("2026-05-07T09:30:00.123456Z")?);
    Ok(())
}

/// It sets no limits on confidence, so that an item may carry any.
#[test]
fn a_score_beyond_its_range_is_moved_into_it() -> TestResult {
    let mut json = item();
    json["confidence"] = json!(1.7);
    json["relevance"] = json!(-0.2);
    let read: MemoryItem = serde_json::from_value(json)?;
    assert_eq!((read.confidence.get(), read.relevance.get()), (1.0, 0.0));
    Ok(())
}

#[test]
fn a_write_and_what_the_gate_skipped() -> TestResult {
    let stored: WriteResponse = serde_json::from_value(json!({
        "success": true, "memory_id": ID, "chunks_created": 2, "message": "Stored 2 chunks",
        "eval_outcome": null, "eval_reason": null
    }))?;
    assert_eq!((stored.memory_id, stored.chunks_created), (Some(id()?), 2));
    let skipped: WriteResponse = serde_json::from_value(json!({
        "success": true, "memory_id": null, "chunks_created": 0, "message": "No significant information",
        "eval_outcome": "skipped", "eval_reason": "low novelty"
    }))?;
    assert_eq!(skipped.memory_id, None);
    assert_eq!(skipped.eval_outcome.map(|outcome| outcome.as_str()), Some("skipped"));
    Ok(())
}

#[test]
fn a_read_with_every_group() -> TestResult {
    let answer: ReadResponse = serde_json::from_value(json!({
        "query": "seats", "memories": [item()], "facts": [], "preferences": [item()], "episodes": [],
        "constraints": [], "llm_context": null,
        "retrieval_meta": {"sources_completed": ["vector"], "elapsed_ms": 12},
        "total_count": 1, "elapsed_ms": 104.2
    }))?;
    assert_eq!((answer.total_count, answer.memories.len(), answer.preferences.len()), (1, 1, 1));
    assert_eq!(answer.sufficiency, None);
    assert_eq!(answer.elapsed_ms, 104.2);
    let least: ReadResponse = serde_json::from_value(json!({
        "query": "", "memories": [], "llm_context": "## Facts", "total_count": 0, "elapsed_ms": 3
    }))?;
    assert_eq!(least.context(), "## Facts");
    Ok(())
}

#[test]
fn turn_update_and_forget() -> TestResult {
    let turn: TurnResponse = serde_json::from_value(json!({
        "memory_context": "", "memories_retrieved": 0, "memories_stored": 2, "reconsolidation_applied": true
    }))?;
    assert_eq!((turn.memories_stored, turn.reconsolidation_applied), (2, true));
    let update: UpdateResponse = serde_json::from_value(json!({
        "success": true, "memory_id": ID, "version": 2, "message": "Memory updated"
    }))?;
    assert_eq!((update.memory_id, update.version), (id()?, 2));
    let forget: ForgetResponse = serde_json::from_value(
        json!({"success": true, "affected_count": 3, "message": "3 memories deleted"}),
    )?;
    assert_eq!(forget.affected_count, 3);
    assert!(forget.matches.is_empty());
    Ok(())
}

#[test]
fn stats_with_and_without_memories() -> TestResult {
    let stats: Stats = serde_json::from_value(json!({
        "total_memories": 2, "active_memories": 1, "silent_memories": 1, "archived_memories": 0,
        "by_type": {"preference": 1, "episodic_event": 1}, "avg_confidence": 0.7, "avg_importance": 0.5,
        "oldest_memory": "2026-05-01T00:00:00", "newest_memory": "2026-05-07T09:30:00",
        "estimated_size_mb": 0.01
    }))?;
    assert_eq!(stats.by_type[&MemoryType::Preference], 1);
    assert!(stats.by_status.is_empty());
    assert_eq!(stats.oldest_memory, Some(instant("2026-05-01T00:00:00Z")?));
    let empty: Stats = serde_json::from_value(json!({
        "total_memories": 0, "active_memories": 0, "silent_memories": 0, "archived_memories": 0,
        "by_type": {}, "avg_confidence": 0.0, "avg_importance": 0.0, "oldest_memory": null,
        "newest_memory": null, "estimated_size_mb": 0
    }))?;
    assert_eq!((empty.oldest_memory, empty.total_memories), (None, 0));
    Ok(())
}

#[test]
fn a_session_s_context() -> TestResult {
    let context: SessionContext = serde_json::from_value(json!({
        "session_id": "monday", "messages": [item()], "tool_results": [], "scratch_pad": [],
        "context_string": "I prefer window seats"
    }))?;
    assert_eq!((context.session_id.as_str(), context.messages.len()), ("monday", 1));
    let least: SessionContext = serde_json::from_value(json!({"session_id": "monday"}))?;
    assert!(least.messages.is_empty() && least.context_string.is_empty());
    Ok(())
}

#[test]
fn a_tenant_of_either_version() -> TestResult {
    let old: TenantSummary = serde_json::from_value(json!({
        "tenant_id": "acme", "memory_count": 3, "active_memory_count": 2, "fact_count": 1, "last_memory_at": null
    }))?;
    assert_eq!((old.event_count, old.last_memory_at), (0, None));
    let new: TenantSummary = serde_json::from_value(json!({
        "tenant_id": "acme", "memory_count": 3, "active_memory_count": 2, "fact_count": 1,
        "last_memory_at": "2026-05-07T09:30:00", "event_count": 0, "last_event_at": null
    }))?;
    assert_eq!(new.last_memory_at, Some(instant("2026-05-07T09:30:00Z")?));
    Ok(())
}

#[test]
fn its_health_is_two_fields() -> TestResult {
    let body: HealthBody =
        serde_json::from_value(json!({"status": "healthy", "timestamp": "2026-05-07T09:30:00.5"}))?;
    assert!(body.health.is_healthy() && body.health.version.is_empty());
    assert_eq!((body.known().count(), body.max_results), (0, None));
    let listed: Health = serde_json::from_value(json!({
        "status": "healthy", "timestamp": "2026-05-07T09:30:00Z", "components": [{"name": "store", "status": "ok"}]
    }))?;
    assert_eq!(listed.components[0].name, "store");
    Ok(())
}
