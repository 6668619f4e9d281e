//! Against a server of ours: what is sent for each verb, and what is made of the answers.

use crate::support::{self, Asked, Loopback, Reply, TestResult, status};
use cml_core::{
    Capability, Error, ErrorKind, FactId, MemoryBackend as _, MemoryId, Scope, Subject,
    memory::{MemoryItem, MetadataFilter},
    ops::{
        At, CreateSession, EraseRequest, ExportHeader, ExportLine, ExportOptions, FORMAT_NAME,
        FORMAT_VERSION, ForgetRequest, GetRequest, ListEvents, ListFacts, ListJobs, ListRequest, ReadRequest,
        TurnRequest, UpdateRequest, WriteRequest,
    },
    portable,
    wire::{API, NDJSON},
};
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use serde_json::{Value, json};

const ID: &str = "0198c0de-0000-7000-8000-000000000001";

fn health(capabilities: &[&str]) -> Reply {
    support::json(&json!({
        "status": "healthy", "timestamp": "2026-01-01T00:00:00Z", "version": env!("CARGO_PKG_VERSION"),
        "backend": "embedded", "mode": "lite", "components": [], "capabilities": capabilities,
        "max_results": 1000
    }))
}

fn item(text: &str) -> Value {
    json!({
        "id": ID, "text": text, "type": "episodic_event", "confidence": 1.0, "relevance": 0.5,
        "timestamp": "2026-05-07T10:00:00Z"
    })
}

/// A small server of ours: user keys belong to `acme`, the admin key to anybody.
fn ours(asked: &Asked) -> Reply {
    let admin = asked.header("x-api-key") == Some("admin-key");
    let written = json!({"success": true, "memory_id": ID, "chunks_created": 1, "message": "stored"});
    match asked.route.as_str() {
        "GET /health" => health(&["idempotency", "namespaces", "users", "transfer", "sessions", "facts"]),
        "GET /whoami" => {
            let tenant = if admin { asked.header("x-tenant-id").unwrap_or("default") } else { "acme" };
            support::json(&json!({"tenant_id": tenant, "admin": admin}))
        }
        "POST /memory/write" => support::json(&written),
        "POST /memory/write_batch" => {
            let turns = asked.body["turns"].as_array().map_or(0, Vec::len);
            let refused = json!({"error": {"detail": "taken", "code": "conflict"}});
            let mut results = vec![written; turns];
            if turns > 2 {
                results[2] = refused;
            }
            support::json(&json!({
                "success": true, "turns_processed": turns, "chunks_created": turns, "message": "stored",
                "results": results
            }))
        }
        "POST /memory/read" => support::json(&json!({
            "query": "q", "memories": [item("tea")], "total_count": 1, "elapsed_ms": 1.0
        })),
        "POST /memory/read/stream" => {
            let events = format!(
                "data: {}\n\n: on it\n\ndata: {}\n\nevent: done\ndata: {{}}\n\n",
                item("a"),
                item("b")
            );
            (200, "text/event-stream; charset=utf-8", events)
        }
        "POST /memory/turn" => support::json(&json!({
            "memory_context": "", "memories_retrieved": 0, "memories_stored": 1,
            "reconsolidation_applied": false
        })),
        "POST /memory/update" => {
            support::json(&json!({"success": true, "memory_id": ID, "version": 2, "message": "updated"}))
        }
        "POST /memory/forget" => {
            support::json(&json!({"success": true, "affected_count": 1, "message": "forgotten"}))
        }
        "POST /erase" if admin => support::json(&json!({"counts": {"records": 3}, "affected_count": 3})),
        "GET /memories" => support::json(&json!({"items": [], "next_cursor": "c2"})),
        "GET /dashboard/tenants" if admin => support::json(&json!({"tenants": [
            {"tenant_id": "b", "memory_count": 1, "active_memory_count": 1, "fact_count": 0},
            {"tenant_id": "a", "memory_count": 2, "active_memory_count": 2, "fact_count": 0},
        ]})),
        "GET /sessions" => support::json(&json!({"sessions": []})),
        "GET /events" | "GET /facts" => support::json(&json!({"items": [], "total": 0})),
        "GET /jobs" => support::json(&json!({"items": []})),
        "GET /sessions/a%2Fb/messages" => support::json(&json!({"messages": []})),
        "GET /session/monday/context" => support::json(&json!({"session_id": "monday"})),
        "DELETE /sessions/monday" => support::json(&json!({"counts": {}, "affected_count": 0})),
        "POST /session/create" => support::json(&json!({
            "session_id": "s1", "tenant_id": "acme", "created_at": "2026-01-01T00:00:00Z"
        })),
        "POST /import" if asked.cut => status(422, r#"{"detail": "cut", "code": "invalid_input"}"#),
        "POST /import" => support::json(&json!({"imported": {"session": 0}, "skipped": {}, "losses": []})),
        "GET /export" => {
            let lines = stream::iter(vec![Ok(header())]).boxed();
            let bytes = futures_util::FutureExt::now_or_never(portable::encode(lines).try_concat());
            let text = bytes.and_then(Result::ok).and_then(|bytes| String::from_utf8(bytes).ok());
            (200, NDJSON, text.unwrap_or_default())
        }
        _ => status(404, r#"{"detail": "unknown", "code": "not_found"}"#),
    }
}

fn header() -> ExportLine {
    ExportLine::Header(ExportHeader {
        format: FORMAT_NAME.to_owned(),
        version: FORMAT_VERSION,
        created_at: chrono::DateTime::UNIX_EPOCH,
        models: Vec::new(),
        counts: Default::default(),
        origin: None,
        losses: Vec::new(),
    })
}

fn scope() -> cml_core::Result<Scope> {
    Scope::new("acme")?.with_namespace("notes")?.with_user("ana")?.with_agent("bot")
}

fn id() -> TestResult<MemoryId> {
    Ok(ID.parse()?)
}

#[tokio::test]
async fn a_write_carries_scope_keys_and_an_idempotency_key() -> TestResult {
    let server = Loopback::start(ours).await?;
    let backend = server.backend()?;
    let scope = scope()?.with_session("monday")?;
    let request = WriteRequest::new("tea").with_eval_mode(true);
    let results = backend.write_batch(&scope, vec![request]).await?;
    assert_eq!(results[0].as_ref().map_err(Error::to_string)?.memory_id, Some(id()?));

    let asked = server.once("POST /memory/write")?;
    assert_eq!(asked.header("x-tenant-id"), Some("acme"));
    assert_eq!(asked.header("x-api-key"), Some("user-key"));
    assert_eq!(asked.header("x-eval-mode"), Some("true"));
    assert_eq!(asked.header("content-type"), Some("application/json"));
    assert!(asked.header("x-request-id").is_some_and(|id| id.len() == 36));
    assert!(asked.header("accept-encoding").is_some_and(|value| value.contains("gzip")));
    assert!(asked.body["idempotency_key"].as_str().is_some_and(|key| key.len() == 36));
    for (field, value) in
        [("namespace", "notes"), ("user_id", "ana"), ("agent_id", "bot"), ("session_id", "monday")]
    {
        assert_eq!(asked.body[field], value);
    }
    Ok(())
}

#[tokio::test]
async fn a_batch_is_cut_into_slices_and_a_bad_item_fails_alone() -> TestResult {
    let server = Loopback::start(ours).await?;
    let backend = server.backend()?;
    let scope = scope()?;
    assert!(backend.write_batch(&scope, Vec::new()).await?.is_empty());

    let mut requests = vec![WriteRequest::new("tea"); 1002];
    requests[1] = WriteRequest::new(" ");
    requests[3].scope.user_id = Some("bob".to_owned());
    let results = backend.write_batch(&scope, requests).await?;
    assert_eq!(results.len(), 1002);
    let kinds: Vec<_> = results[..6].iter().map(|result| result.as_ref().err().map(Error::kind)).collect();
    let invalid = Some(ErrorKind::InvalidInput);
    assert_eq!(kinds, [None, invalid, None, invalid, Some(ErrorKind::Conflict), None]);
    assert!(results.iter().flat_map(Result::as_ref).count() >= 997);
    let turns: Vec<_> = server
        .asked("POST /memory/write_batch")
        .iter()
        .map(|a| a.body["turns"].as_array().map(Vec::len))
        .collect();
    assert_eq!(turns, [Some(500), Some(500)]);
    Ok(())
}

#[tokio::test]
async fn reads_name_their_session_once() -> TestResult {
    let server = Loopback::start(ours).await?;
    let backend = server.backend()?;
    let scope = scope()?.with_session("monday")?;
    let answer = backend.read(&scope, ReadRequest::new("q")).await?;
    assert_eq!(answer.memories[0].text, "tea");
    let asked = server.once("POST /memory/read")?;
    assert_eq!((&asked.body["session_id"], &asked.body["namespace"]), (&json!("monday"), &json!("notes")));

    let error = backend.read(&scope, ReadRequest::new("q").with_session("tuesday")).await;
    assert_eq!(error.err().map(|error| error.kind()), Some(ErrorKind::InvalidInput));
    let error = backend.read(&scope, ReadRequest::new("q").with_max_results(0_usize)).await;
    let error = error.expect_err("no results asked for");
    assert_eq!((error.kind(), error.operation()), (ErrorKind::InvalidInput, Some("read")));
    assert_eq!(server.asked("POST /memory/read").len(), 1, "broken requests are not sent");
    Ok(())
}

#[tokio::test]
async fn a_stream_gives_the_items_in_order() -> TestResult {
    let server = Loopback::start(ours).await?;
    let stream = server.backend()?.read_stream(&scope()?, ReadRequest::new("q")).await?;
    let items: Vec<MemoryItem> = stream.try_collect().await?;
    assert_eq!(items.iter().map(|item| item.text.as_str()).collect::<Vec<_>>(), ["a", "b"]);
    Ok(())
}

#[tokio::test]
async fn changes_carry_a_key_and_their_scope() -> TestResult {
    let server = Loopback::start(ours).await?;
    let backend = server.backend()?;
    let scope = scope()?.with_session("monday")?;
    backend.turn(&scope, TurnRequest::new("hi").with_assistant_response("hello")).await?;
    backend
        .update(&scope, UpdateRequest::new(id()?).with_text("coffee").with_idempotency_key("mine"))
        .await?;
    backend.forget(&scope, ForgetRequest::ids([id()?])).await?;
    for route in ["POST /memory/turn", "POST /memory/update", "POST /memory/forget"] {
        let asked = server.once(route)?;
        assert!(asked.body["idempotency_key"].is_string(), "{route}");
        assert_eq!(
            (&asked.body["session_id"], &asked.body["user_id"]),
            (&json!("monday"), &json!("ana")),
            "{route}"
        );
    }
    assert_eq!(server.once("POST /memory/update")?.body["idempotency_key"], "mine");
    Ok(())
}

#[tokio::test]
async fn questions_travel_in_the_query() -> TestResult {
    let server = Loopback::start(ours).await?;
    let backend = server.backend()?;
    let scope = scope()?;
    let missing = backend.get(&scope, GetRequest::new(id()?).with_at(At::Version(3)).with_facts(true)).await;
    let error = missing.expect_err("no such memory");
    assert_eq!(
        (error.kind(), error.status(), error.operation()),
        (ErrorKind::NotFound, Some(404), Some("get"))
    );
    let asked = server.once(&format!("GET /memories/{ID}"))?;
    assert_eq!((asked.query("version"), asked.query("facts")), (vec!["3"], vec!["true"]));
    assert_eq!((asked.query("namespace"), asked.query("versions")), (vec!["notes"], vec![]));

    let request = ListRequest::new().with_tags(["a b", "c&d"]).with_filter(MetadataFilter::eq("topic", "é"));
    assert_eq!(backend.list(&scope, request).await?.next_cursor.as_deref(), Some("c2"));
    let asked = server.once("GET /memories")?;
    assert_eq!(asked.query("context_filter"), ["a b", "c&d"]);
    assert_eq!(asked.query("filter"), [r#"{"eq":{"field":"topic","value":"é"}}"#]);

    backend.sessions()?.messages(&scope, "a/b", 7, 20).await?;
    let asked = server.once("GET /sessions/a%2Fb/messages")?;
    assert_eq!((asked.query("after"), asked.query("limit")), (vec!["7"], vec!["20"]));
    backend.sessions()?.context(&scope, "monday", 99).await?;
    assert_eq!(server.once("GET /session/monday/context")?.query("max_tokens"), ["99"]);
    backend.sessions()?.clear(&scope, "monday").await?;
    assert_eq!(server.once("DELETE /sessions/monday")?.query("namespace"), ["notes"]);
    assert!(backend.sessions()?.list(&scope).await?.is_empty());
    assert_eq!(backend.sessions()?.create(&scope, CreateSession::new()).await?.session_id, "s1");
    assert!(server.once("POST /session/create")?.body["idempotency_key"].is_string());
    assert_eq!(backend.facts()?.list(&scope, ListFacts::new().with_slot("name")).await?.total, 0);
    assert_eq!(server.once("GET /facts")?.query("slot"), ["name"]);
    let unknown = backend.facts()?.get(&scope, FactId::new()).await;
    assert_eq!(unknown.err().map(|error| error.kind()), Some(ErrorKind::NotFound));
    assert_eq!(backend.maintenance()?.events(&scope, ListEvents::new()).await?.total, 0);
    assert!(backend.maintenance()?.jobs(&scope, ListJobs::default()).await?.is_empty());
    for session in ["", "..", &"x".repeat(101)] {
        let refused = backend.sessions()?.messages(&scope, session, 0, 1).await;
        assert_eq!(refused.err().map(|error| error.kind()), Some(ErrorKind::InvalidInput), "{session}");
    }
    Ok(())
}

#[tokio::test]
async fn administrative_calls_swap_in_the_admin_key() -> TestResult {
    let server = Loopback::start(ours).await?;
    let backend = server.backend()?;
    // The admin key may use any tenant, the user key only its own.
    let elsewhere = Scope::new("globex")?;
    let erased = backend.erase(&elsewhere, EraseRequest::new(Subject::User("ana".into()))).await?;
    assert_eq!(erased.affected_count, 3);
    let asked = server.once("POST /erase")?;
    assert_eq!((asked.header("x-api-key"), asked.header("x-tenant-id")), (Some("admin-key"), Some("globex")));
    assert_eq!(asked.body, json!({"subject": {"user": "ana"}}));
    let tenants = backend.admin()?.tenants().await?;
    assert_eq!(tenants.iter().map(|tenant| tenant.tenant_id.as_str()).collect::<Vec<_>>(), ["a", "b"]);

    for _ in 0..2 {
        let error = backend.stats(&elsewhere).await.expect_err("a foreign tenant");
        assert_eq!((error.kind(), error.operation()), (ErrorKind::PermissionDenied, Some("stats")));
        assert!(error.to_string().contains("belongs to tenant acme (use the key"), "{error}");
    }
    assert!(server.asked("GET /memory/stats").is_empty());
    let keys: Vec<_> =
        server.asked("GET /whoami").iter().map(|a| a.header("x-api-key").map(str::to_owned)).collect();
    assert_eq!(keys, [Some("admin-key".to_owned()), Some("user-key".to_owned())], "asked once per key");
    Ok(())
}

#[tokio::test]
async fn a_removal_whose_outcome_is_unknown_is_not_sent_again() -> TestResult {
    let server = Loopback::start(|asked| match asked.route.as_str() {
        "POST /erase" | "DELETE /sessions/monday" => status(503, r#"{"detail": "lost"}"#),
        _ => ours(asked),
    })
    .await?;
    let (backend, scope) = (server.backend()?, scope()?);
    assert!(backend.erase(&scope, EraseRequest::new(Subject::User("ana".into()))).await.is_err());
    assert!(backend.sessions()?.clear(&scope, "monday").await.is_err());
    server.once("POST /erase")?;
    server.once("DELETE /sessions/monday")?;
    Ok(())
}

#[tokio::test]
async fn the_server_says_what_it_can_do_when_it_is_first_used() -> TestResult {
    let server = Loopback::start(ours).await?;
    let backend = server.backend()?;
    let before = backend.capabilities();
    assert_eq!((before.backend.as_str(), before.mode.as_str()), ("http", ""));
    assert!(before.has(Capability::Consolidation) && !before.has(Capability::Reembed));
    backend.read(&scope()?, ReadRequest::new("q")).await?;
    backend.read(&scope()?, ReadRequest::new("q")).await?;
    let after = backend.capabilities();
    assert_eq!((after.mode.as_str(), after.has(Capability::Users)), ("lite", true));
    assert!(!after.has(Capability::Consolidation));
    assert_eq!((server.asked("GET /health").len(), server.asked("GET /whoami").len()), (1, 1));

    let error = backend.maintenance()?.consolidate(&scope()?).await.expect_err("no such capability");
    assert_eq!((error.kind(), error.operation()), (ErrorKind::Unsupported, Some("consolidate")));
    assert!(server.asked("POST /dashboard/consolidate").is_empty());
    let health = backend.health().await?;
    assert_eq!((health.backend.as_str(), health.mode.as_str()), ("http", "lite"));
    assert_eq!(backend.verify_connection().await?.status, "healthy");
    Ok(())
}

#[tokio::test]
async fn a_maintenance_run_is_waited_for() -> TestResult {
    let job = |status: &str| {
        json!({
            "id": ID, "tenant_id": "acme", "job_type": "consolidate", "status": status, "progress": 0.5,
            "attempts": 1, "created_at": "2026-01-01T00:00:00Z"
        })
    };
    let server = Loopback::start(move |asked| match asked.route.as_str() {
        "GET /health" => health(&["consolidation"]),
        "POST /dashboard/consolidate" => support::json(&job("running")),
        route if route.starts_with("GET /jobs/") => support::json(&job("completed")),
        _ => ours(asked),
    })
    .await?;
    let job = server.backend()?.maintenance()?.consolidate(&Scope::new("acme")?.with_user("ana")?).await?;
    assert_eq!(job.status.as_str(), "completed");
    let asked = server.once("POST /dashboard/consolidate")?;
    assert_eq!(asked.header("x-requested-with"), Some("XMLHttpRequest"));
    assert_eq!((asked.query("wait"), asked.header("x-api-key")), (vec!["false"], Some("admin-key")));
    assert_eq!(asked.body, json!({"tenant_id": "acme", "user_id": "ana"}));
    let looked = server.once(&format!("GET /jobs/{ID}"))?;
    assert_eq!(looked.header("x-api-key"), Some("admin-key"));
    Ok(())
}

#[tokio::test]
async fn an_answer_from_another_tenant_is_refused() -> TestResult {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
    let url = format!("http://{}", listener.local_addr()?);
    let router = axum::Router::new().fallback(|request: axum::extract::Request| async move {
        let body = match request.uri().path().strip_prefix(API) {
            Some("/health") => health(&[]).2,
            // Too old to know this route.
            Some("/whoami") => r#"{"tenant_id": "acme", "admin": false}"#.to_owned(),
            _ => json!({"query": "", "memories": [], "total_count": 0, "elapsed_ms": 0.1}).to_string(),
        };
        ([("content-type", "application/json"), ("x-tenant-id", "globex")], body)
    });
    tokio::spawn(async move { axum::serve(listener, router).await });
    let mut config = cml_core::Config::default().http;
    config.base_url = url;
    let backend = cml_http::HttpBackend::connect(&config).await?;
    let error = backend.read(&Scope::new("acme")?, ReadRequest::new("")).await.expect_err("a foreign answer");
    assert_eq!(error.kind(), ErrorKind::PermissionDenied);
    assert!(error.message().contains("globex"), "{error}");
    Ok(())
}

#[tokio::test]
async fn a_server_that_is_away_is_asked_again() -> TestResult {
    let times = std::sync::atomic::AtomicUsize::new(0);
    let server = Loopback::start(move |asked| {
        let early = times.fetch_add(1, std::sync::atomic::Ordering::Relaxed) < 5;
        if early { status(503, r#"{"detail": "starting"}"#) } else { ours(asked) }
    })
    .await?;
    let backend = server.backend()?;
    let error = backend.read(&scope()?, ReadRequest::new("q")).await.expect_err("four attempts");
    assert_eq!((error.kind(), error.operation()), (ErrorKind::Unavailable, Some("read")));
    assert_eq!(backend.read(&scope()?, ReadRequest::new("q")).await?.total_count, 1);
    Ok(())
}

#[tokio::test]
async fn verifying_uses_the_only_key_there_is() -> TestResult {
    let server = Loopback::start(|asked| match asked.route.as_str() {
        "GET /whoami" if asked.header("x-api-key").is_none() => {
            status(401, r#"{"detail": "API key is missing", "code": "unauthenticated"}"#)
        }
        _ => ours(asked),
    })
    .await?;
    let mut config = cml_core::Config::default().http;
    config.base_url = server.url.clone();
    let keyless = cml_http::HttpBackend::new(&config)?;
    let error = keyless.verify_connection().await.expect_err("no key at all");
    assert_eq!(error.kind(), ErrorKind::Unauthenticated);
    config.admin_api_key = Some(cml_core::config::SecretString::new("admin-key"));
    assert_eq!(cml_http::HttpBackend::new(&config)?.verify_connection().await?.status, "healthy");
    Ok(())
}

#[tokio::test]
async fn verifying_names_the_key_that_does_not_work() -> TestResult {
    let server = Loopback::start(|asked| match asked.route.as_str() {
        "GET /whoami" if asked.header("x-api-key") == Some("admin-key") => {
            support::json(&json!({"tenant_id": "acme", "admin": false}))
        }
        _ => ours(asked),
    })
    .await?;
    let error = server.backend()?.verify_connection().await.expect_err("no admin key");
    assert_eq!((error.kind(), error.operation()), (ErrorKind::PermissionDenied, Some("verify_connection")));
    assert!(error.message().starts_with("admin_api_key: "), "{error}");

    let server = Loopback::start(|asked| match asked.route.as_str() {
        "GET /whoami" => status(401, r#"{"detail": "Invalid API key", "code": "unauthenticated"}"#),
        _ => ours(asked),
    })
    .await?;
    let error = server.backend()?.verify_connection().await.expect_err("an unknown key");
    assert_eq!((error.kind(), error.status()), (ErrorKind::Unauthenticated, Some(401)));
    assert!(error.suggestion().is_some());
    Ok(())
}

#[tokio::test]
async fn an_export_goes_out_and_comes_in_as_lines() -> TestResult {
    let server = Loopback::start(ours).await?;
    let backend = server.backend()?;
    let scope = Scope::new("acme")?;
    let mut options = ExportOptions::default();
    options.vectors = false;
    let lines = backend.transfer()?.export(&scope, options).await?;
    let lines: Vec<ExportLine> = lines.try_collect().await?;
    assert_eq!(lines, [header()]);
    assert_eq!(server.once("GET /export")?.query("vectors"), ["false"]);

    let report = backend.transfer()?.import(&scope, stream::iter(lines.into_iter().map(Ok)).boxed()).await?;
    assert_eq!(report.imported["session"], 0);
    let asked = server.once("POST /import")?;
    assert_eq!((asked.header("content-type"), asked.header("x-api-key")), (Some(NDJSON), Some("admin-key")));
    assert!(asked.text.lines().last().is_some_and(|line| line.contains("\"trailer\"")), "{}", asked.text);
    Ok(())
}

#[tokio::test]
async fn an_import_whose_source_fails_never_looks_whole() -> TestResult {
    let server = Loopback::start(ours).await?;
    let broken = Error::new(ErrorKind::Conflict, "the source is gone");
    let lines = stream::iter(vec![Ok(header()), Err(broken)]).boxed();
    let error = server.backend()?.transfer()?.import(&Scope::new("acme")?, lines).await;
    let error = error.expect_err("the source's error");
    assert_eq!((error.kind(), error.message()), (ErrorKind::Conflict, "the source is gone"));
    for asked in server.asked("POST /import") {
        assert!(asked.cut && !asked.text.contains("trailer"));
    }
    Ok(())
}

#[tokio::test]
async fn nothing_is_sent_after_closing() -> TestResult {
    let server = Loopback::start(ours).await?;
    let backend = server.backend()?;
    backend.close().await?;
    backend.close().await?;
    let errors = [
        backend.write_batch(&scope()?, Vec::new()).await.err(),
        backend.read(&scope()?, ReadRequest::new("q")).await.err(),
        backend.health().await.err(),
        backend.admin()?.tenants().await.err(),
    ];
    for error in errors {
        assert_eq!(error.map(|error| error.kind()), Some(ErrorKind::Unavailable));
    }
    assert!(server.asked("GET /health").is_empty());
    Ok(())
}

#[test]
fn settings_that_do_not_work_are_refused() {
    for (url, seconds, key) in [
        ("localhost:8000", 30, "key"),
        ("ftp://localhost", 30, "key"),
        ("http://", 30, "key"),
        ("http://user:secret@localhost", 30, "key"),
        ("http://localhost/?a=b", 30, "key"),
        ("http://localhost", 0, "key"),
        ("http://localhost", 30, "secret\nkey"),
    ] {
        let mut config = cml_core::Config::default().http;
        config.base_url = url.to_owned();
        config.timeout = std::time::Duration::from_secs(seconds);
        config.api_key = Some(cml_core::config::SecretString::new(key));
        let error = cml_http::HttpBackend::new(&config).expect_err(url);
        assert_eq!(error.kind(), ErrorKind::Config, "{url}");
        assert!(!format!("{error:?}").contains("secret"), "{error:?}");
    }
}

#[tokio::test]
async fn a_key_is_in_no_debug_text() -> TestResult {
    let server = Loopback::start(ours).await?;
    let backend = server.backend()?;
    backend.read(&scope()?, ReadRequest::new("q")).await?;
    let shown = format!("{backend:?}");
    assert!(shown.contains("127.0.0.1") && !shown.contains("-key"), "{shown}");
    Ok(())
}
