//! What the published Python SDK sends: nulls removed, datetimes as the caller gave them, values not
//! given left out.

use cml_core::{
    memory::MemoryType,
    ops::{
        CreateSession, Feedback, ForgetAction, ForgetRequest, ReadFormat, ReadRequest, TurnRequest,
        UpdateRequest, WriteRequest,
    },
    scope::ScopeParts,
    wire::{CallScope, ContextQuery, Scoped, WriteBatch},
};
use serde_json::json;

use crate::{ID, TestResult, id, instant};

#[test]
fn a_write_with_every_argument() -> TestResult {
    let body = json!({
        "content": "I prefer window seats", "context_tags": ["travel"], "session_id": "monday",
        "memory_type": "preference", "namespace": "notes", "metadata": {"list": [1, null], "empty": {}},
        "turn_id": "t-1", "agent_id": "planner", "timestamp": "2026-05-07T09:30:00"
    });
    let request: WriteRequest = serde_json::from_value(body)?;
    assert_eq!(request.content, "I prefer window seats");
    assert_eq!(request.context_tags, ["travel"]);
    assert_eq!(request.memory_type, Some(MemoryType::Preference));
    assert_eq!(json!(request.metadata), json!({"list": [1, null], "empty": {}}));
    assert_eq!(request.turn_id.as_deref(), Some("t-1"));
    assert_eq!(request.timestamp, Some(instant("2026-05-07T09:30:00Z")?));
    let mut parts = ScopeParts::default();
    parts.namespace = Some("notes".to_owned());
    parts.agent_id = Some("planner".to_owned());
    parts.session_id = Some("monday".to_owned());
    assert_eq!(request.scope, parts);
    assert!(!request.eval_mode);
    assert!(request.validate().is_ok());
    Ok(())
}

#[test]
fn the_least_write_has_defaults() -> TestResult {
    let request: WriteRequest = serde_json::from_value(json!({"content": "x", "metadata": {}}))?;
    assert_eq!(request, WriteRequest::new("x"));
    Ok(())
}

#[test]
fn every_form_of_a_datetime_is_the_same_instant() -> TestResult {
    for (text, expected) in [
        ("2026-05-07T09:30:00", "2026-05-07T09:30:00Z"),
        ("2026-05-07T09:30:00Z", "2026-05-07T09:30:00Z"),
        ("2026-05-07T09:30:00+00:00", "2026-05-07T09:30:00Z"),
        ("2026-05-07T09:30:00+02:00", "2026-05-07T07:30:00Z"),
        ("2026-05-07T09:30:01.123456Z", "2026-05-07T09:30:01.123456Z"),
        ("2026-05-07T09:30:01.123456", "2026-05-07T09:30:01.123456Z"),
        ("2026-05-07 09:30:00", "2026-05-07T09:30:00Z"),
        ("2026-05-07 09:30:01.123456+00:00", "2026-05-07T09:30:01.123456Z"),
    ] {
        let request: WriteRequest = serde_json::from_value(json!({"content": "x", "timestamp": text}))?;
        assert_eq!(request.timestamp, Some(instant(expected)?), "{text}");
    }
    Ok(())
}

#[test]
fn a_null_counts_as_absent() -> TestResult {
    let body =
        json!({"content": "x", "memory_type": null, "session_id": null, "timestamp": null, "turn_id": null});
    assert_eq!(serde_json::from_value::<WriteRequest>(body)?, WriteRequest::new("x"));
    let body = json!({"query": "q", "since": null, "until": null, "user_timezone": null});
    assert_eq!(serde_json::from_value::<ReadRequest>(body)?, ReadRequest::new("q"));
    Ok(())
}

#[test]
fn unknown_fields_are_passed_over() -> TestResult {
    let request: WriteRequest = serde_json::from_value(json!({"content": "x", "of_a_later_version": [1]}))?;
    assert_eq!(request, WriteRequest::new("x"));
    let body = json!({"query": "q", "of_a_later_version": {"a": 1}});
    let read: Scoped<CallScope, ReadRequest> = serde_json::from_value(body)?;
    assert_eq!(read.request, ReadRequest::new("q"));
    Ok(())
}

#[test]
fn a_read_with_every_argument() -> TestResult {
    let body = json!({
        "query": "seats", "max_results": 5, "context_filter": ["travel"],
        "memory_types": ["preference", "plan"], "since": "2026-05-01T00:00:00",
        "until": "2026-06-01T00:00:00Z", "format": "llm_context", "user_timezone": "Europe/Lisbon"
    });
    let read: Scoped<CallScope, ReadRequest> = serde_json::from_value(body)?;
    assert_eq!(read.parts, CallScope::default());
    let expected = ReadRequest::new("seats")
        .with_max_results(5usize)
        .with_tags(["travel"])
        .with_memory_types([MemoryType::Preference, MemoryType::Plan])
        .with_since(instant("2026-05-01T00:00:00Z")?)
        .with_until(instant("2026-06-01T00:00:00Z")?)
        .with_format(ReadFormat::LlmContext)
        .with_user_timezone("Europe/Lisbon");
    assert_eq!(read.request, expected);
    Ok(())
}

#[test]
fn the_format_has_two_names() -> TestResult {
    for name in ["format", "response_format"] {
        for (text, format) in [
            ("packet", ReadFormat::Packet),
            ("list", ReadFormat::List),
            ("llm_context", ReadFormat::LlmContext),
        ] {
            let body = json!({"query": "q", "max_results": 10, name: text, "namespace": "notes"});
            let read: Scoped<CallScope, ReadRequest> = serde_json::from_value(body)?;
            assert_eq!(read.request.format, format, "{name}");
            assert_eq!(read.parts.namespace.as_deref(), Some("notes"));
        }
    }
    Ok(())
}

#[test]
fn a_turn_with_every_argument() -> TestResult {
    let body = json!({
        "user_message": "Book a table", "assistant_response": "Done.", "session_id": "monday",
        "max_context_tokens": 1500, "timestamp": "2026-05-07T09:30:00+02:00", "user_timezone": "Europe/Lisbon"
    });
    let request: TurnRequest = serde_json::from_value(body)?;
    let mut expected = TurnRequest::new("Book a table")
        .with_assistant_response("Done.")
        .with_timestamp(instant("2026-05-07T07:30:00Z")?)
        .with_user_timezone("Europe/Lisbon");
    expected.scope.session_id = Some("monday".to_owned());
    assert_eq!(request, expected);
    let least: TurnRequest = serde_json::from_value(json!({"user_message": "Hello"}))?;
    assert_eq!(least, TurnRequest::new("Hello"));
    Ok(())
}

#[test]
fn an_update_with_every_argument() -> TestResult {
    let body = json!({
        "memory_id": ID, "text": "n", "confidence": 0.5, "importance": 1.0, "metadata": {"y": 1},
        "feedback": "correct"
    });
    let update: Scoped<CallScope, UpdateRequest> = serde_json::from_value(body)?;
    let expected = UpdateRequest::new(id()?)
        .with_text("n")
        .with_confidence(0.5)
        .with_importance(1.0)
        .with_metadata(serde_json::Map::from_iter([("y".to_owned(), json!(1))]))
        .with_feedback(Feedback::Correct);
    assert_eq!(update.request, expected);
    let whole_numbers = json!({"memory_id": ID, "confidence": 1, "importance": 0});
    let update: Scoped<CallScope, UpdateRequest> = serde_json::from_value(whole_numbers)?;
    assert_eq!((update.request.confidence, update.request.importance), (Some(1.0), Some(0.0)));
    Ok(())
}

#[test]
fn a_forget_with_every_argument() -> TestResult {
    let body =
        json!({"memory_ids": [ID], "query": "q", "before": "2026-05-07T09:30:00", "action": "silence"});
    let forget: Scoped<CallScope, ForgetRequest> = serde_json::from_value(body)?;
    let expected = ForgetRequest::ids([id()?])
        .with_query("q")
        .with_before(instant("2026-05-07T09:30:00Z")?)
        .with_action(ForgetAction::Silence);
    assert_eq!(forget.request, expected);
    Ok(())
}

#[test]
fn a_session_to_create() -> TestResult {
    let request: CreateSession = serde_json::from_value(json!({"ttl_hours": 24, "metadata": {}}))?;
    assert_eq!(request, CreateSession::new().with_ttl_hours(24u32));
    let named: Scoped<CallScope, CreateSession> =
        serde_json::from_value(json!({"name": "n", "ttl_hours": 1, "metadata": {"a": 1}}))?;
    assert_eq!(named.request.name.as_deref(), Some("n"));
    assert_eq!(named.request.metadata["a"], 1);
    assert_eq!(serde_json::from_value::<ContextQuery>(json!({}))?, ContextQuery::default());
    Ok(())
}

/// The batch that the published evaluation program sends.
#[test]
fn a_batch_of_turns() -> TestResult {
    let body = json!({"turns": [
        {"content": "Hello", "session_id": "s1", "metadata": {"speaker": "Ana"}, "turn_id": "D1:1",
         "timestamp": "2023-05-08T13:56:00"},
        {"content": "Hi", "metadata": {}}
    ]});
    let batch: WriteBatch = serde_json::from_value(body)?;
    assert_eq!(batch.turns.len(), 2);
    assert_eq!(batch.turns[0].scope.session_id.as_deref(), Some("s1"));
    assert_eq!(batch.turns[0].turn_id.as_deref(), Some("D1:1"));
    assert_eq!(batch.turns[0].timestamp, Some(instant("2023-05-08T13:56:00Z")?));
    assert_eq!(batch.turns[1], WriteRequest::new("Hi"));
    Ok(())
}

#[test]
fn a_wrong_enum_type_or_id_is_refused() {
    for body in [
        json!({"content": "x", "memory_type": "dream"}),
        json!({"content": 7}),
        json!({"content": "x", "metadata": [1]}),
        json!({"content": "x", "timestamp": "soon"}),
        json!({"metadata": {}}),
    ] {
        assert!(serde_json::from_value::<WriteRequest>(body.clone()).is_err(), "{body}");
    }
    for body in [json!({"query": "q", "format": "xml"}), json!({"query": "q", "max_results": -1})] {
        assert!(serde_json::from_value::<ReadRequest>(body.clone()).is_err(), "{body}");
    }
    for body in [json!({"memory_id": "seven"}), json!({"memory_id": ID, "feedback": "great"})] {
        assert!(serde_json::from_value::<UpdateRequest>(body.clone()).is_err(), "{body}");
    }
    assert!(serde_json::from_value::<ForgetRequest>(json!({"query": "q", "action": "burn"})).is_err());
}
