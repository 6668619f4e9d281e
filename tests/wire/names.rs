//! Names: enum values, paths, headers, capabilities.

use cml_core::{
    Capability,
    memory::{
        EventType, FactCategory, FactStatus, JobKind, JobStatus, MemorySource, MemoryStatus, MemoryType,
        OperationType, Role,
    },
    ops::{
        ComponentStatus, Enrich, Extract, Feedback, ForgetAction, ListOrder, OrderBy, ReadFormat,
        WriteOutcome,
    },
    wire::{API, MAX_BATCH, NDJSON, header, path},
};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::json;

use crate::TestResult;

/// Each name is read as a value that is written by that name again, and there is no other.
fn named<T>(all: &[T], names: &str) -> TestResult
where
    T: Serialize + DeserializeOwned + PartialEq + std::fmt::Debug,
{
    let written = all.iter().map(serde_json::to_value).collect::<Result<Vec<_>, _>>()?;
    let names: Vec<_> = names.split_whitespace().collect();
    assert_eq!(json!(written), json!(names));
    for (value, name) in all.iter().zip(names) {
        assert_eq!(&serde_json::from_value::<T>(json!(name))?, value);
        assert!(serde_json::from_value::<T>(json!(name.to_uppercase())).is_err(), "{name}");
    }
    Ok(())
}

#[test]
fn the_original_s_enums_keep_their_values() -> TestResult {
    named(
        MemoryType::ALL,
        "episodic_event semantic_fact procedure constraint hypothesis preference task_state conversation \
         message tool_result reasoning_step scratch knowledge observation plan",
    )?;
    named(MemoryStatus::ALL, "active silent compressed archived deleted")?;
    named(
        MemorySource::ALL,
        "user_explicit user_confirmed agent_inferred tool_result consolidation reconsolidation",
    )?;
    named(
        FactCategory::ALL,
        "identity location preference relationship occupation temporal attribute custom goal state value \
         causal policy",
    )?;
    named(ReadFormat::ALL, "packet list llm_context")?;
    named(ForgetAction::ALL, "delete archive silence")?;
    named(Feedback::ALL, "correct incorrect outdated")?;
    named(WriteOutcome::ALL, "stored skipped")?;
    named(ComponentStatus::ALL, "ok degraded error unknown")?;
    named(OrderBy::ALL, "timestamp written_at confidence importance access_count type status")?;
    named(ListOrder::ALL, "asc desc")
}

#[test]
fn our_enums_keep_their_values() -> TestResult {
    named(Role::ALL, "user assistant system tool")?;
    named(Extract::ALL, "full raw")?;
    named(Enrich::ALL, "later wait")?;
    named(FactStatus::ALL, "current superseded retracted")?;
    named(EventType::ALL, "memory fact session maintenance tenant")?;
    named(
        OperationType::ALL,
        "write reinforce update supersede retract forget erase create_session clear_session consolidate \
         reconsolidate forgetting_run reembed import",
    )?;
    named(JobStatus::ALL, "pending running completed failed")?;
    named(JobKind::ALL, "enrich consolidate forget reconsolidate reembed")?;
    named(
        Capability::ALL,
        "namespaces users metadata_filter as_of min_relevance idempotency keys expected_version \
         forget_dry_run list erase sessions facts fact_editing events tenants reembed reconsolidation \
         consolidation forgetting graph transfer",
    )
}

#[test]
fn paths_are_those_of_the_contract() {
    assert_eq!(API, "/api/v1");
    for (ours, expected) in [
        (path::HEALTH, "/health"),
        (path::WRITE, "/memory/write"),
        (path::WRITE_BATCH, "/memory/write_batch"),
        (path::READ, "/memory/read"),
        (path::READ_STREAM, "/memory/read/stream"),
        (path::TURN, "/memory/turn"),
        (path::UPDATE, "/memory/update"),
        (path::FORGET, "/memory/forget"),
        (path::STATS, "/memory/stats"),
        (path::DELETE_ALL, "/memory/all"),
        (path::SESSION_CREATE, "/session/create"),
        (path::SESSION_WRITE, "/session/{id}/write"),
        (path::SESSION_READ, "/session/{id}/read"),
        (path::SESSION_CONTEXT, "/session/{id}/context"),
        (path::TENANTS, "/dashboard/tenants"),
        (path::CONSOLIDATE, "/dashboard/consolidate"),
        (path::RUN_FORGETTING, "/dashboard/forget"),
        (path::RECONSOLIDATE, "/dashboard/reconsolidate"),
        // Ours.
        (path::WHOAMI, "/whoami"),
        (path::MEMORIES, "/memories"),
        (path::MEMORY, "/memories/{id}"),
        (path::SESSIONS, "/sessions"),
        (path::SESSION, "/sessions/{id}"),
        (path::MESSAGES, "/sessions/{id}/messages"),
        (path::FACTS, "/facts"),
        (path::FACT, "/facts/{id}"),
        (path::RETRACT, "/facts/{id}/retract"),
        (path::EVENTS, "/events"),
        (path::JOBS, "/jobs"),
        (path::JOB, "/jobs/{id}"),
        (path::ERASE, "/erase"),
        (path::EXPORT, "/export"),
        (path::IMPORT, "/import"),
    ] {
        assert_eq!(ours, expected);
    }
    assert_eq!(MAX_BATCH, 500);
    assert_eq!(NDJSON, "application/x-ndjson");
}

#[test]
fn headers_are_those_of_the_contract() {
    for (ours, expected) in [
        (header::API_KEY, "X-API-Key"),
        (header::TENANT, "X-Tenant-ID"),
        (header::REQUEST_ID, "X-Request-ID"),
        (header::RESPONSE_TIME, "X-Response-Time"),
        (header::IDEMPOTENCY_KEY, "Idempotency-Key"),
        (header::EVAL_MODE, "X-Eval-Mode"),
        (header::REQUESTED_WITH, "X-Requested-With"),
        (header::RETRY_AFTER, "Retry-After"),
    ] {
        assert_eq!(ours, expected.to_lowercase());
    }
}
