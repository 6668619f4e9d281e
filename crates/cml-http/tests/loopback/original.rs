//! Against the original server: what is mapped, and what is refused because it would be ignored there.

use crate::support::{self, Asked, Loopback, Reply, TestResult, status};
use cml_core::{
    Capability, ErrorKind, MemoryBackend as _, MemoryId, Result, Scope, Subject,
    memory::{MemoryItem, MemoryStatus, Metadata, MetadataFilter, Role},
    ops::{
        CreateSession, EraseRequest, ExportLine, ExportOptions, ForgetRequest, GetRequest, ListEvents,
        ListFacts, ListRequest, ReadRequest, TurnRequest, UpdateRequest, WriteRequest,
    },
};
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use serde_json::{Value, json};

const ID: &str = "0198c0de-0000-7000-8000-000000000001";
const SILENT: &str = "0198c0de-0000-7000-8000-000000000002";

/// The original's answers: naive times, no codes, an internal key in the metadata.
fn original(asked: &Asked) -> Reply {
    let admin = asked.header("x-api-key") == Some("admin-key");
    let item = |text: &str, relevance: f64| {
        json!({
            "id": ID, "text": text, "type": "preference", "confidence": 0.8, "relevance": relevance,
            "timestamp": "2026-05-07T10:00:00.123456", "metadata": {"_similarity": 0.4, "topic": "tea"}
        })
    };
    let read = json!({
        "query": "q", "memories": [item("likes tea", 1.7)], "facts": [], "preferences": [item("likes tea", 1.7)],
        "episodes": [], "constraints": [], "llm_context": null, "retrieval_meta": {"channels": {"vector": 3}},
        "sufficiency": "partial", "open_questions": [], "total_count": 1, "elapsed_ms": 104.2
    });
    match asked.route.as_str() {
        "GET /health" => support::json(r#"{"status": "healthy", "timestamp": "2026-05-07T10:00:00.123456"}"#),
        route if route.contains("/dashboard") && !admin => {
            status(403, r#"{"detail": "Admin permission required"}"#)
        }
        "GET /dashboard/tenants" => support::json(&json!({"tenants": [{
            "tenant_id": "acme", "memory_count": 2, "active_memory_count": 1, "fact_count": 0,
            "last_memory_at": "2026-05-07T10:00:00"
        }]})),
        "POST /memory/write" if asked.body["content"] == "taken" => {
            status(500, r#"{"detail": "Internal server error"}"#)
        }
        "POST /memory/write" => support::json(&json!({
            "success": true, "memory_id": ID, "chunks_created": 1, "message": "Stored", "eval_outcome": null,
            "eval_reason": null
        })),
        "POST /memory/read" | "POST /session/monday/read" => support::json(&read),
        "POST /memory/read/stream" => {
            let mut item = item("likes tea", 0.9);
            item["timestamp"] = json!("2026-05-07 10:00:00.123456");
            let end = r#"{"total_count": 1, "elapsed_ms": 3.0, "retrieval_meta": {}}"#;
            (200, "text/event-stream", format!("data: {item}\n\nevent: done\ndata: {end}\n\n"))
        }
        "POST /memory/turn" => support::json(&json!({
            "memory_context": "tea", "memories_retrieved": 1, "memories_stored": 2,
            "reconsolidation_applied": false
        })),
        "POST /memory/update" if asked.body["text"] == "theirs" => {
            status(403, r#"{"detail": "Memory belongs to another tenant"}"#)
        }
        "POST /memory/update" => {
            support::json(&json!({"success": true, "memory_id": ID, "version": 2, "message": "Updated"}))
        }
        "POST /memory/forget" => {
            support::json(&json!({"success": true, "affected_count": 1, "message": "Forgot"}))
        }
        "GET /memory/stats" => support::json(&json!({
            "total_memories": 2, "active_memories": 1, "silent_memories": 1, "archived_memories": 0,
            "by_type": {"preference": 2}, "avg_confidence": 0.8, "avg_importance": 0.5,
            "oldest_memory": "2026-05-07T10:00:00", "newest_memory": null, "estimated_size_mb": 0.01
        })),
        "DELETE /memory/all" if admin => support::json(r#"{"affected_count": 2}"#),
        "POST /session/create" => support::json(&json!({
            "session_id": "s1", "created_at": "2026-05-07T10:00:00", "expires_at": "2026-05-08T10:00:00"
        })),
        "GET /session/monday/context" => support::json(&json!({
            "session_id": "monday", "messages": [item("hello", 0.0)], "tool_results": [], "scratch_pad": [],
            "context_string": format!("{}\nuser: hello", "user: long ago\n".repeat(500))
        })),
        "GET /dashboard/events" => {
            support::json(&json!({"items": [], "total": 0, "page": 1, "per_page": 50, "total_pages": 1}))
        }
        "GET /dashboard/memories" => {
            let second = asked.query("page") == ["2"];
            let id = if second { SILENT } else { ID };
            support::json(&json!({
                "items": [{"id": id, "text": "cut"}], "total": 2, "page": 1, "per_page": 1, "total_pages": 2
            }))
        }
        route if route.starts_with("GET /dashboard/memories/") => detail(route),
        _ => status(404, r#"{"detail": "Not Found"}"#),
    }
}

fn detail(route: &str) -> Reply {
    let silent = route.ends_with(SILENT);
    if !silent && !route.ends_with(ID) {
        return status(404, r#"{"detail": "Memory not found"}"#);
    }
    support::json(&json!({
        "id": if silent { SILENT } else { ID }, "tenant_id": "acme", "agent_id": null, "type": "preference",
        "status": if silent { "silent" } else { "active" }, "text": "likes tea", "key": null, "namespace": null,
        "context_tags": ["drinks"], "confidence": 0.8, "importance": 0.5, "access_count": 3,
        "decay_rate": 0.01, "labile": false, "version": 4, "timestamp": "2026-05-07T10:00:00",
        "written_at": "2026-05-07T10:00:01", "source_session_id": "monday", "entities": [], "relations": [],
        "metadata": {"topic": "tea"}, "last_accessed_at": null, "provenance": {"source": "agent_inferred"},
        "supersedes_id": null, "content_hash": null, "valid_from": null, "valid_to": null, "related_events": []
    }))
}

fn acme() -> Result<Scope> {
    Scope::new("acme")
}

fn id() -> Result<MemoryId> {
    ID.parse()
}

/// Fails unless `outcome` is `Unsupported` and names `what`.
fn lacks<T>(outcome: Result<T>, what: &str) -> TestResult {
    match outcome {
        Ok(_) => Err(format!("{what} was accepted").into()),
        Err(error) => {
            assert_eq!(error.kind(), ErrorKind::Unsupported, "{what}: {error}");
            assert!(error.message().contains(what) && error.suggestion().is_some(), "{what}: {error}");
            Ok(())
        }
    }
}

#[tokio::test]
async fn what_it_has_is_mapped() -> TestResult {
    let server = Loopback::start(original).await?;
    let backend = server.backend()?;
    let scope = acme()?;
    let written =
        backend.write_batch(&scope, vec!["a".into(), WriteRequest::new("b").with_eval_mode(true)]).await?;
    assert!(written.iter().all(Result::is_ok));
    let asked = server.asked("POST /memory/write");
    assert_eq!(asked[1].header("x-eval-mode"), Some("true"));
    assert!(asked.iter().all(|asked| asked.body["idempotency_key"].is_null()));

    let answer = backend.read(&scope, ReadRequest::new("q")).await?;
    assert_eq!((answer.total_count, answer.preferences.len(), answer.sufficiency), (1, 1, None));
    let item = &answer.memories[0];
    assert_eq!(item.timestamp.to_rfc3339(), "2026-05-07T10:00:00.123456+00:00");
    assert!((item.relevance.get() - 1.0).abs() < f64::EPSILON, "scores are in their range");
    assert_eq!(item.metadata.keys().collect::<Vec<_>>(), ["topic"]);
    backend.read(&scope.clone().with_session("monday")?, ReadRequest::new("q")).await?;
    assert!(server.once("POST /session/monday/read")?.body["session_id"].is_null());
    let stream = backend.read_stream(&scope, ReadRequest::new("q")).await?;
    assert_eq!(stream.try_collect::<Vec<MemoryItem>>().await?.len(), 1);

    let turn = TurnRequest::new("hi").with_assistant_response("hello");
    assert_eq!(backend.turn(&scope, turn).await?.memories_stored, 2);
    assert_eq!(backend.update(&scope, UpdateRequest::new(id()?).with_text("x")).await?.version, 2);
    assert_eq!(backend.forget(&scope, ForgetRequest::ids([id()?])).await?.affected_count, 1);
    assert_eq!(backend.stats(&scope).await?.silent_memories, 1);
    assert_eq!(backend.erase(&scope, EraseRequest::new(Subject::Tenant)).await?.affected_count, 2);
    assert_eq!(server.once("DELETE /memory/all")?.header("x-api-key"), Some("admin-key"));
    assert_eq!(backend.admin()?.tenants().await?.len(), 1);
    assert_eq!(backend.maintenance()?.events(&scope, ListEvents::new()).await?.total, 0);

    let session = backend.sessions()?.create(&scope, CreateSession::new().with_name("plan")).await?;
    assert_eq!(
        (session.session_id.as_str(), session.tenant_id.as_str(), session.name.as_str()),
        ("s1", "acme", "plan")
    );
    assert_eq!(session.expires_at.map(|end| end.to_rfc3339()).as_deref(), Some("2026-05-08T10:00:00+00:00"));
    let context = backend.sessions()?.context(&scope, "monday", 50).await?;
    assert_eq!(context.messages.len(), 1);
    assert!(context.context_string.ends_with("user: hello") && context.context_string.len() < 250);
    assert_eq!(backend.verify_connection().await?.status, "healthy");
    Ok(())
}

#[tokio::test]
async fn a_record_is_fetched_with_the_admin_key() -> TestResult {
    let server = Loopback::start(original).await?;
    let backend = server.backend()?;
    let record = backend.get(&acme()?, GetRequest::new(id()?)).await?.record;
    assert_eq!(
        (record.text.as_str(), record.version, record.namespace.as_str()),
        ("likes tea", 4, "default")
    );
    assert_eq!((record.status, record.session_id.as_str()), (MemoryStatus::Active, "monday"));
    assert_eq!(record.source.as_str(), "agent_inferred");
    for (scope, id) in [
        (Scope::new("globex")?, id()?),
        (acme()?.with_namespace("other")?, id()?),
        (acme()?.with_session("tuesday")?, id()?),
        (acme()?, MemoryId::new()),
    ] {
        let error = backend.get(&scope, GetRequest::new(id)).await.expect_err("not in this scope");
        assert_eq!(error.kind(), ErrorKind::NotFound, "{scope}");
    }
    Ok(())
}

#[tokio::test]
async fn what_it_would_ignore_is_refused() -> TestResult {
    let server = Loopback::start(original).await?;
    let backend = server.backend()?;
    let (scope, now) = (acme()?, chrono::Utc::now());
    let user = acme()?.with_user("ana")?;
    let notes = acme()?.with_namespace("notes")?;
    for (request, what) in [
        (WriteRequest::new("x").with_key("k"), "keys"),
        (WriteRequest::new("x").with_expires_at(now), "keys"),
        (WriteRequest::new("x").with_idempotency_key("k"), "idempotency"),
        (WriteRequest::new("x").with_role(Role::Assistant), "role"),
    ] {
        let result = backend.write_batch(&scope, vec![request]).await?.pop();
        lacks(result.ok_or("a result")?, what)?;
    }
    lacks(backend.write_batch(&user, vec!["x".into()]).await?.pop().ok_or("a result")?, "users")?;
    assert!(backend.write_batch(&notes, vec!["x".into()]).await?[0].is_ok(), "writes know namespaces");
    for (request, what) in [
        (ReadRequest::new("q").with_namespaces(["a"]), "namespaces"),
        (ReadRequest::new("q").with_filter(MetadataFilter::eq("a", 1)), "metadata_filter"),
        (ReadRequest::new("q").with_as_of(now), "as_of"),
        (ReadRequest::new("q").with_min_relevance(0.2), "min_relevance"),
        (ReadRequest::new("q").with_explain(true), "explain"),
    ] {
        lacks(backend.read(&scope, request.clone()).await, what)?;
        lacks(backend.read_stream(&scope, request).await, what)?;
    }
    lacks(backend.read(&notes, ReadRequest::new("q")).await, "namespaces")?;
    let error = backend.read(&scope, ReadRequest::new("q").with_max_results(51_usize)).await;
    assert_eq!(error.err().map(|error| error.kind()), Some(ErrorKind::InvalidInput));

    lacks(backend.turn(&notes, TurnRequest::new("x")).await, "namespaces")?;
    lacks(backend.update(&notes, UpdateRequest::new(id()?).with_text("x")).await, "namespaces")?;
    let versioned = UpdateRequest::new(id()?).with_text("x").with_expected_version(3_u64);
    lacks(backend.update(&scope, versioned).await, "expected_version")?;
    let null: Metadata = [("topic".to_owned(), Value::Null)].into_iter().collect();
    lacks(backend.update(&scope, UpdateRequest::new(id()?).with_metadata(null)).await, "metadata")?;
    lacks(backend.forget(&scope, ForgetRequest::new().with_query("tea")).await, "query")?;
    lacks(backend.forget(&scope, ForgetRequest::ids([id()?]).with_dry_run(true)).await, "forget_dry_run")?;
    lacks(backend.forget(&scope, ForgetRequest::ids([id()?]).with_before(now)).await, "several selectors")?;
    lacks(backend.erase(&scope, EraseRequest::new(Subject::User("ana".into()))).await, "erase")?;
    lacks(backend.stats(&user).await, "users")?;
    lacks(backend.list(&scope, ListRequest::new()).await, "lists")?;
    lacks(backend.facts()?.list(&scope, ListFacts::new()).await, "facts")?;
    lacks(backend.sessions()?.list(&scope).await, "sessions")?;
    lacks(backend.maintenance()?.events(&scope, ListEvents::new().with_since(now)).await, "since")?;
    lacks(backend.maintenance()?.run_forgetting(&scope, true).await, "forgetting")?;
    for route in ["POST /memory/update", "POST /memory/forget", "POST /memory/turn", "POST /memory/read"] {
        assert!(server.asked(route).is_empty(), "{route}");
    }
    let capabilities = backend.capabilities();
    assert_eq!(
        capabilities.supported.into_iter().collect::<Vec<_>>(),
        [Capability::Tenants, Capability::Transfer]
    );
    assert_eq!(capabilities.max_results, 50);
    Ok(())
}

#[tokio::test]
async fn an_id_of_another_tenant_does_not_exist() -> TestResult {
    let server = Loopback::start(original).await?;
    let update = UpdateRequest::new(id()?).with_text("theirs");
    let error = server.backend()?.update(&acme()?, update).await.expect_err("another tenant's");
    assert_eq!((error.kind(), error.operation()), (ErrorKind::NotFound, Some("update")));
    Ok(())
}

#[tokio::test]
async fn a_user_key_stays_with_the_first_tenant() -> TestResult {
    let server = Loopback::start(original).await?;
    let backend = server.backend()?;
    backend.stats(&acme()?).await?;
    for _ in 0..2 {
        let error = backend.stats(&Scope::new("globex")?).await.expect_err("a second tenant");
        assert_eq!(error.kind(), ErrorKind::PermissionDenied);
    }
    backend.stats(&acme()?).await?;
    assert_eq!(server.asked("GET /dashboard/tenants").len(), 1);
    // The admin key may go anywhere.
    backend.erase(&Scope::new("globex")?, EraseRequest::new(Subject::Tenant)).await?;
    Ok(())
}

#[tokio::test]
async fn a_bare_500_is_asked_again_for_reads_only() -> TestResult {
    let server = Loopback::start(|asked| match asked.route.as_str() {
        "POST /memory/read" | "POST /memory/forget" => status(500, r#"{"detail": "secret row"}"#),
        _ => original(asked),
    })
    .await?;
    let backend = server.backend()?;
    let error = backend.read(&acme()?, ReadRequest::new("q")).await.expect_err("a server that fails");
    assert_eq!((error.kind(), error.status()), (ErrorKind::Internal, Some(500)));
    assert!(!format!("{error} {error:?}").contains("secret") && error.body().is_some());
    assert_eq!(server.asked("POST /memory/read").len(), 4);
    assert!(backend.forget(&acme()?, ForgetRequest::ids([id()?])).await.is_err());
    assert_eq!(server.asked("POST /memory/forget").len(), 1);
    Ok(())
}

#[tokio::test]
async fn memories_are_exported_with_a_list_of_losses() -> TestResult {
    let server = Loopback::start(original).await?;
    let lines = server.backend()?.transfer()?.export(&acme()?, ExportOptions::default()).await?;
    let lines: Vec<ExportLine> = lines.try_collect().await?;
    let [ExportLine::Header(header), ExportLine::Record(record), ExportLine::Record(silent)] =
        lines.as_slice()
    else {
        return Err(format!("{} lines", lines.len()).into());
    };
    assert_eq!(silent.status, MemoryStatus::Silent);
    assert_eq!(header.origin.as_deref(), Some("cognitive-memory-layer"));
    assert!(header.losses.iter().any(|loss| loss.contains("deleted")));
    assert_eq!(
        (record.text.as_str(), record.context_tags.as_slice()),
        ("likes tea", &["drinks".to_owned()][..])
    );
    Ok(())
}

#[tokio::test]
async fn an_export_from_which_rows_vanish_fails() -> TestResult {
    // A row of the first page was deleted, and what came third is never shown.
    let server = Loopback::start(|asked| match asked.route.as_str() {
        "GET /dashboard/memories" => {
            let second = asked.query("page") == ["2"];
            let (id, total) = if second { (SILENT, 2) } else { (ID, 3) };
            support::json(&json!({"items": [{"id": id}], "total": total, "total_pages": total}))
        }
        _ => original(asked),
    })
    .await?;
    let lines = server.backend()?.transfer()?.export(&acme()?, ExportOptions::default()).await?;
    let error = lines.try_collect::<Vec<_>>().await.expect_err("a row is missing");
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    Ok(())
}

#[tokio::test]
async fn an_import_writes_memories_and_says_what_is_lost() -> TestResult {
    let server = Loopback::start(original).await?;
    let backend = server.backend()?;
    let record = backend.get(&acme()?, GetRequest::new(id()?)).await?.record;
    let mut spoken = record.clone();
    spoken.role = Role::Assistant;
    spoken.user_id = "ana".to_owned();
    let mut archived = record.clone();
    archived.status = MemoryStatus::Archived;
    let mut deleted = record.clone();
    deleted.status = MemoryStatus::Deleted;
    let lines = [record, spoken, archived, deleted].map(|record| Ok(ExportLine::Record(Box::new(record))));
    let report = backend.transfer()?.import(&acme()?, stream::iter(lines).boxed()).await?;
    assert_eq!(report.imported["record"], 3);
    for loss in ["1 memories of status", "1 memories lose their user", "1 memories lose their role"] {
        assert!(report.losses.iter().any(|told| told.starts_with(loss)), "{loss}: {:?}", report.losses);
    }
    let archive = server.once("POST /memory/forget")?.body;
    assert_eq!((&archive["memory_ids"], &archive["action"]), (&json!([ID]), &json!("archive")));
    let asked = &server.asked("POST /memory/write")[0];
    assert_eq!(
        (&asked.body["timestamp"], &asked.body["session_id"]),
        (&json!("2026-05-07T10:00:00Z"), &json!("monday"))
    );

    let broken = cml_core::Error::new(ErrorKind::InvalidInput, "line 3: is no JSON");
    let lines = stream::iter([Err(broken)]).boxed();
    assert!(backend.transfer()?.import(&acme()?, lines).await.is_err());
    assert_eq!(server.asked("POST /memory/write").len(), 3, "nothing is written of a broken export");
    Ok(())
}
