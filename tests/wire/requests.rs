//! What our client sends: each request of the contract, field by field.

use cml_core::{
    FactId, JobId, Scope, Subject,
    memory::{
        EventType, FactCategory, JobKind, MemoryStatus, MemoryType, Metadata, MetadataFilter, OperationType,
        Role,
    },
    ops::{
        At, CreateSession, Enrich, EraseRequest, Extract, Feedback, ForgetAction, ForgetRequest, GetRequest,
        ListEvents, ListFacts, ListJobs, ListOrder, ListRequest, OrderBy, ReadFormat, ReadRequest,
        TurnRequest, UpdateRequest, WriteRequest,
    },
    wire::{CallScope, ContextQuery, ExportQuery, GetQuery, MessagesQuery, Scoped, WriteBatch, query_pairs},
};
use serde::Serialize;
use serde_json::{Value, json};

use crate::{ID, OTHER_ID, TestResult, id, instant};

fn sent(request: &impl Serialize, expected: &Value) -> TestResult {
    assert_eq!(&serde_json::to_value(request)?, expected);
    Ok(())
}

fn asked(query: &impl Serialize, expected: &[(&str, &str)]) {
    let mut pairs = query_pairs(query);
    pairs.sort();
    let pairs: Vec<_> = pairs.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    let mut expected = expected.to_vec();
    expected.sort_unstable();
    assert_eq!(pairs, expected);
}

fn call_scope() -> TestResult<CallScope> {
    let scope = Scope::new("acme")?.with_namespace("notes")?.with_user("ana")?.with_agent("planner")?;
    Ok(CallScope::from(&scope))
}

#[test]
fn write_sends_what_is_given_and_nothing_else() -> TestResult {
    sent(&WriteRequest::new("x"), &json!({"content": "x"}))?;
    let mut request = WriteRequest::new("I am allergic to shellfish")
        .with_tags(["health", "food"])
        .with_session("monday")
        .with_memory_type(MemoryType::Constraint)
        .with_metadata(Metadata::from_iter([("source".to_owned(), json!("chat"))]))
        .with_turn_id("t-1")
        .with_timestamp(instant("2026-05-07T09:30:00.123456Z")?)
        .with_role(Role::Assistant)
        .with_speaker("Ana")
        .with_key("allergy")
        .with_expires_at(instant("2027-01-01T00:00:00Z")?)
        .with_user_timezone("Europe/Lisbon")
        .with_extract(Extract::Raw)
        .with_enrich(Enrich::Wait)
        .with_idempotency_key("k-1")
        .with_eval_mode(true);
    request.scope.namespace = Some("notes".to_owned());
    request.scope.user_id = Some("ana".to_owned());
    request.scope.agent_id = Some("planner".to_owned());
    let expected = json!({
        "content": "I am allergic to shellfish", "context_tags": ["health", "food"],
        "session_id": "monday", "memory_type": "constraint", "namespace": "notes",
        "metadata": {"source": "chat"}, "turn_id": "t-1", "agent_id": "planner",
        "timestamp": "2026-05-07T09:30:00.123456Z", "user_id": "ana", "role": "assistant",
        "speaker": "Ana", "key": "allergy", "expires_at": "2027-01-01T00:00:00Z",
        "user_timezone": "Europe/Lisbon", "extract": "raw", "enrich": "wait",
        "idempotency_key": "k-1", "eval_mode": true
    });
    sent(&request, &expected)?;
    let batch = WriteBatch { turns: vec![request, WriteRequest::new("x")] };
    sent(&batch, &json!({"turns": [expected, {"content": "x"}]}))
}

#[test]
fn read_sends_its_scope_beside_its_filters() -> TestResult {
    sent(&ReadRequest::new(""), &json!({"query": "", "max_results": 10, "format": "packet"}))?;
    let request = ReadRequest::new("dinner")
        .with_max_results(50usize)
        .with_tags(["food"])
        .with_memory_types([MemoryType::Preference, MemoryType::Constraint])
        .with_since(instant("2026-05-01T00:00:00Z")?)
        .with_until(instant("2026-06-01T00:00:00Z")?)
        .with_format(ReadFormat::LlmContext)
        .with_user_timezone("Europe/Lisbon")
        .with_namespaces(["notes", "mail"])
        .with_agents(["planner"])
        .with_session("monday")
        .with_filter(MetadataFilter::eq("topic", "food"))
        .with_as_of(instant("2026-05-15T00:00:00Z")?)
        .with_reference_time(instant("2026-05-20T00:00:00Z")?)
        .with_speaker("Ana")
        .with_min_relevance(0.25)
        .with_max_context_tokens(300usize)
        .with_explain(true);
    let scoped = Scoped { parts: call_scope()?, request };
    let expected = json!({
        "query": "dinner", "max_results": 50, "context_filter": ["food"],
        "memory_types": ["preference", "constraint"], "since": "2026-05-01T00:00:00Z",
        "until": "2026-06-01T00:00:00Z", "format": "llm_context", "user_timezone": "Europe/Lisbon",
        "namespaces": ["notes", "mail"], "agents": ["planner"], "session_id": "monday",
        "filter": {"eq": {"field": "topic", "value": "food"}}, "as_of": "2026-05-15T00:00:00Z",
        "reference_time": "2026-05-20T00:00:00Z", "speaker": "Ana", "min_relevance": 0.25,
        "max_context_tokens": 300, "explain": true,
        "namespace": "notes", "user_id": "ana", "agent_id": "planner"
    });
    sent(&scoped, &expected)
}

#[test]
fn every_metadata_filter_has_its_shape() -> TestResult {
    for (filter, expected) in [
        (MetadataFilter::eq("year", 2025), json!({"eq": {"field": "year", "value": 2025}})),
        (
            MetadataFilter::any_of("lang", ["en", "pt"]),
            json!({"in": {"field": "lang", "values": ["en", "pt"]}}),
        ),
        (
            MetadataFilter::Range {
                field: "year".to_owned(),
                gt: None,
                gte: Some(json!(2024)),
                lt: Some(json!(2026)),
                lte: None,
            },
            json!({"range": {"field": "year", "gte": 2024, "lt": 2026}}),
        ),
        (MetadataFilter::And(vec![MetadataFilter::Or(Vec::new())]), json!({"and": [{"or": []}]})),
    ] {
        sent(&filter, &expected)?;
        assert_eq!(serde_json::from_value::<MetadataFilter>(expected)?, filter);
    }
    Ok(())
}

#[test]
fn turn_names_its_session() -> TestResult {
    sent(&TurnRequest::new("Hello"), &json!({"user_message": "Hello", "max_context_tokens": 1500}))?;
    let mut request = TurnRequest::new("Book a table")
        .with_assistant_response("Done, 7 pm.")
        .with_max_context_tokens(800usize)
        .with_timestamp(instant("2026-05-07T09:30:00Z")?)
        .with_user_timezone("Europe/Lisbon")
        .with_turn_id("t-9")
        .with_idempotency_key("k-9");
    request.scope.session_id = Some("monday".to_owned());
    let expected = json!({
        "user_message": "Book a table", "assistant_response": "Done, 7 pm.", "session_id": "monday",
        "max_context_tokens": 800, "timestamp": "2026-05-07T09:30:00Z", "user_timezone": "Europe/Lisbon",
        "turn_id": "t-9", "idempotency_key": "k-9"
    });
    sent(&request, &expected)
}

#[test]
fn update_sends_only_what_changes() -> TestResult {
    sent(&UpdateRequest::new(id()?), &json!({"memory_id": ID}))?;
    let request = UpdateRequest::new(id()?)
        .with_text("I live in Berlin")
        .with_confidence(0.75)
        .with_importance(1.0)
        .with_metadata(Metadata::from_iter([("gone".to_owned(), Value::Null), ("n".to_owned(), json!(1))]))
        .with_feedback(Feedback::Outdated)
        .with_tags(["home"])
        .with_memory_type(MemoryType::SemanticFact)
        .with_valid_from(instant("2026-01-01T00:00:00Z")?)
        .with_valid_to(instant("2026-02-01T00:00:00Z")?)
        .with_expected_version(3u64)
        .with_user_timezone("UTC")
        .with_idempotency_key("k-2");
    let expected = json!({
        "memory_id": ID, "text": "I live in Berlin", "confidence": 0.75, "importance": 1.0,
        "metadata": {"gone": null, "n": 1}, "feedback": "outdated", "context_tags": ["home"],
        "memory_type": "semantic_fact", "valid_from": "2026-01-01T00:00:00Z",
        "valid_to": "2026-02-01T00:00:00Z", "expected_version": 3, "user_timezone": "UTC",
        "idempotency_key": "k-2", "namespace": "notes", "user_id": "ana", "agent_id": "planner"
    });
    sent(&Scoped { parts: call_scope()?, request }, &expected)
}

#[test]
fn forget_and_erase_name_what_goes() -> TestResult {
    let request = ForgetRequest::ids([id()?, OTHER_ID.parse()?])
        .with_query("old address")
        .with_before(instant("2026-01-01T00:00:00Z")?)
        .with_filter(MetadataFilter::eq("topic", "home"))
        .with_session("monday")
        .with_action(ForgetAction::Silence)
        .with_dry_run(true)
        .with_idempotency_key("k-3");
    let expected = json!({
        "memory_ids": [ID, OTHER_ID], "query": "old address", "before": "2026-01-01T00:00:00Z",
        "filter": {"eq": {"field": "topic", "value": "home"}}, "session_id": "monday",
        "action": "silence", "dry_run": true, "idempotency_key": "k-3"
    });
    sent(&request, &expected)?;
    sent(&ForgetRequest::new().with_query("x"), &json!({"query": "x", "action": "delete"}))?;
    for (subject, expected) in [
        (Subject::Tenant, json!({"subject": "tenant"})),
        (Subject::Namespace("notes".to_owned()), json!({"subject": {"namespace": "notes"}})),
        (Subject::User("ana".to_owned()), json!({"subject": {"user": "ana"}})),
        (Subject::Agent("planner".to_owned()), json!({"subject": {"agent": "planner"}})),
        (Subject::Session("monday".to_owned()), json!({"subject": {"session": "monday"}})),
    ] {
        sent(&EraseRequest::new(subject), &expected)?;
    }
    Ok(())
}

#[test]
fn a_session_is_opened_with_what_is_known_of_it() -> TestResult {
    sent(&CreateSession::new(), &json!({}))?;
    let request = CreateSession::new()
        .with_name("onboarding")
        .with_kind("chat")
        .with_participants(vec!["Ana".to_owned()])
        .with_ttl_hours(2u32)
        .with_metadata(Metadata::from_iter([("channel".to_owned(), json!("web"))]));
    let expected = json!({
        "name": "onboarding", "kind": "chat", "participants": ["Ana"], "ttl_hours": 2,
        "metadata": {"channel": "web"}
    });
    sent(&request, &expected)
}

#[test]
fn queries_hold_words_numbers_and_truth_values() -> TestResult {
    let list = ListRequest::new()
        .with_memory_types([MemoryType::Plan, MemoryType::Message])
        .with_statuses([MemoryStatus::Active])
        .with_tags(["a", "b,c"])
        .with_search("100%")
        .with_filter(MetadataFilter::eq("n", 1))
        .with_order_by(OrderBy::Timestamp)
        .with_order(ListOrder::Asc)
        .with_limit(5usize)
        .with_cursor("abc");
    asked(
        &list,
        &[
            ("memory_types", "plan"),
            ("memory_types", "message"),
            ("statuses", "active"),
            ("context_filter", "a"),
            ("context_filter", "b,c"),
            ("search", "100%"),
            ("filter", r#"{"eq":{"field":"n","value":1}}"#),
            ("order_by", "timestamp"),
            ("order", "asc"),
            ("limit", "5"),
            ("cursor", "abc"),
        ],
    );
    let facts = ListFacts::new().with_category(FactCategory::Location).with_current_only(false);
    asked(&facts, &[("category", "location"), ("current_only", "false"), ("limit", "100"), ("offset", "0")]);
    let events = ListEvents::new()
        .with_event_type(EventType::Memory)
        .with_operation(OperationType::Write)
        .with_since(instant("2026-05-07T09:30:00Z")?);
    let expected = [
        ("event_type", "memory"),
        ("operation", "write"),
        ("since", "2026-05-07T09:30:00Z"),
        ("limit", "100"),
        ("offset", "0"),
    ];
    asked(&events, &expected);
    let mut jobs = ListJobs::default();
    jobs.job_type = Some(JobKind::Consolidate);
    let pairs = query_pairs(&jobs);
    assert!(pairs.contains(&("job_type".to_owned(), "consolidate".to_owned())), "{pairs:?}");
    Ok(())
}

#[test]
fn a_query_holds_the_scope_beside_what_it_asks() -> TestResult {
    asked(&CallScope::default(), &[]);
    let scope = [("namespace", "notes"), ("user_id", "ana"), ("agent_id", "planner")];
    asked(&call_scope()?, &scope);
    let request = ListRequest::new().with_limit(5usize);
    let mut expected = vec![("limit", "5"), ("order", "desc"), ("order_by", "written_at")];
    expected.extend(scope);
    asked(&Scoped { parts: call_scope()?, request }, &expected);
    Ok(())
}

#[test]
fn small_queries_leave_out_what_is_not_asked() -> TestResult {
    asked(&GetQuery::default(), &[]);
    asked(&GetQuery::from(GetRequest::new(id()?).with_versions(true)), &[("versions", "true")]);
    let at = At::Time(instant("2026-05-07T09:30:00Z")?);
    asked(&GetQuery::from(GetRequest::new(id()?).with_at(at)), &[("at", "2026-05-07T09:30:00Z")]);
    asked(&GetQuery::from(GetRequest::new(id()?).with_at(At::Version(2))), &[("version", "2")]);
    asked(&ContextQuery::default(), &[]);
    asked(&ContextQuery { max_tokens: Some(300) }, &[("max_tokens", "300")]);
    asked(&MessagesQuery { after: 7, limit: None }, &[("after", "7")]);
    asked(&ExportQuery::default(), &[]);
    asked(&ExportQuery { vectors: Some(false) }, &[("vectors", "false")]);
    Ok(())
}

#[test]
fn ids_are_plain_uuids() -> TestResult {
    sent(&id()?, &json!(ID))?;
    sent(&ID.parse::<FactId>()?, &json!(ID))?;
    sent(&ID.parse::<JobId>()?, &json!(ID))
}
