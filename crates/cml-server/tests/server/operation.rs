//! What operators see: failures, shutdown, metrics, documentation.

use std::sync::Arc;

use cml_core::Config;
use serde_json::{Value, json};

use crate::{Outcome, Running, USER, client::Reply, fake::Fake};

#[tokio::test]
async fn bugs_tell_their_request_id_and_nothing_else() -> Outcome {
    let server = Running::start(Arc::new(Fake::default()), &Config::default()).await?;
    for query in ["panic", "internal"] {
        let reply = server.client.post("/memory/read", USER, &json!({ "query": query })).await?;
        let body = reply.json()?;
        assert_eq!((reply.status, body["detail"].as_str()), (500, Some("Internal server error")), "{query}");
        assert_eq!(
            (body["code"].as_str(), body["request_id"].as_str()),
            (Some("internal"), reply.header("x-request-id"))
        );
        assert!(!reply.text().contains("private"));
    }
    let reply = server.client.post("/memory/read", USER, &json!({ "query": "unavailable" })).await?;
    assert_eq!((reply.status, reply.header("retry-after")), (503, None));
    Ok(())
}

#[tokio::test]
async fn a_shutdown_finishes_what_is_in_flight() -> Outcome {
    let backend = Arc::new(Fake::default());
    let mut server = Running::start(Arc::clone(&backend) as _, &Config::default()).await?;
    let client = server.client;
    let flying = tokio::spawn(async move {
        let reply = client.post("/memory/read", USER, &json!({ "query": "wait" })).await;
        reply.map(|reply| reply.status).map_err(|error| error.to_string())
    });
    backend.begun.notified().await;
    server.stop();
    while client.get("/whoami", USER).await.is_ok() {
        tokio::task::yield_now().await;
    }
    assert!(!flying.is_finished() && !server.ended.is_finished());
    backend.go_on.notify_one();
    assert_eq!(flying.await??, 200);
    server.ended.await??;
    Ok(())
}

#[tokio::test]
async fn metrics_count_requests_and_memories() -> Outcome {
    let server = Running::lite().await?;
    server.client.post("/memory/write", USER, &json!({ "content": "I like figs" })).await?.ok()?;
    server.client.post("/memory/read", USER, &json!({ "query": "", "min_relevance": 0 })).await?.ok()?;
    server.client.get("/no/such/route", USER).await?;
    let text = server.client.root("GET", "/metrics").send().await?.text();
    for line in [
        r#"cml_http_requests_total{method="POST",path="/api/v1/memory/write",status="200"} 1"#,
        r#"cml_http_requests_total{method="GET",path="unknown",status="404"} 1"#,
        r#"cml_http_request_duration_seconds_count{method="POST",path="/api/v1/memory/read",status="200"} 1"#,
        "cml_memories_written_total 1",
        "cml_memories_read_total 1",
    ] {
        assert!(text.lines().any(|found| found == line), "{line} is not in\n{text}");
    }
    Ok(())
}

#[tokio::test]
async fn the_document_lists_every_route_and_resolves_every_reference() -> Outcome {
    let server = Running::lite().await?;
    let document = server.client.root("GET", "/openapi.json").send().await?.ok()?;
    assert_eq!(document["openapi"], "3.1.0");
    for (method, path) in [
        ("get", "/api/v1/health"),
        ("get", "/api/v1/whoami"),
        ("post", "/api/v1/memory/write"),
        ("post", "/api/v1/memory/write_batch"),
        ("post", "/api/v1/memory/read"),
        ("post", "/api/v1/memory/read/stream"),
        ("post", "/api/v1/memory/turn"),
        ("post", "/api/v1/memory/update"),
        ("post", "/api/v1/memory/forget"),
        ("get", "/api/v1/memory/stats"),
        ("delete", "/api/v1/memory/all"),
        ("post", "/api/v1/session/create"),
        ("post", "/api/v1/session/{id}/write"),
        ("post", "/api/v1/session/{id}/read"),
        ("get", "/api/v1/session/{id}/context"),
        ("get", "/api/v1/memories"),
        ("get", "/api/v1/memories/{id}"),
        ("get", "/api/v1/sessions"),
        ("delete", "/api/v1/sessions/{id}"),
        ("get", "/api/v1/sessions/{id}/messages"),
        ("get", "/api/v1/facts"),
        ("get", "/api/v1/facts/{id}"),
        ("patch", "/api/v1/facts/{id}"),
        ("post", "/api/v1/facts/{id}/retract"),
        ("get", "/api/v1/events"),
        ("get", "/api/v1/jobs"),
        ("get", "/api/v1/jobs/{id}"),
        ("post", "/api/v1/erase"),
        ("get", "/api/v1/export"),
        ("post", "/api/v1/import"),
        ("get", "/metrics"),
        ("get", "/openapi.json"),
    ] {
        assert!(document["paths"][path][method]["responses"]["200"].is_object(), "{method} {path}");
    }
    let mut ids: Vec<_> =
        operations(&document).filter_map(|operation| operation["operationId"].as_str()).collect();
    let all = ids.len();
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), all);
    for name in ["WriteRequest", "ReadRequest", "UpdateRequest", "ForgetRequest", "ErrorBody"] {
        assert!(document["components"]["schemas"][name]["properties"].is_object(), "{name}");
    }
    let content = &document["components"]["schemas"]["WriteRequest"]["properties"]["content"];
    assert_eq!((content["minLength"].as_u64(), content["maxLength"].as_u64()), (Some(1), Some(100_000)));
    let mut references = Vec::new();
    collect(&document, &mut references);
    assert!(references.len() > 50);
    for reference in references {
        let pointer = reference.strip_prefix('#').ok_or("a reference elsewhere")?;
        assert!(document.pointer(pointer).is_some(), "{reference}");
    }
    Ok(())
}

fn operations(document: &Value) -> impl Iterator<Item = &Value> {
    let items = document["paths"].as_object().into_iter().flat_map(|paths| paths.values());
    items.flat_map(|item| item.as_object().into_iter().flat_map(|item| item.values()))
}

fn collect<'a>(value: &'a Value, references: &mut Vec<&'a str>) {
    match value {
        Value::Object(fields) => {
            references.extend(fields.get("$ref").and_then(Value::as_str));
            fields.values().for_each(|value| collect(value, references));
        }
        Value::Array(values) => values.iter().for_each(|value| collect(value, references)),
        _ => {}
    }
}

#[tokio::test]
async fn only_who_has_a_key_hears_what_is_wrong_with_the_backend() -> Outcome {
    let server = Running::start(Arc::new(Fake::default()), &Config::default()).await?;
    let detail = async |key: &str| {
        Ok::<_, Box<dyn std::error::Error>>(
            server.client.get("/health", key).await?.json()?["detail"].clone(),
        )
    };
    assert_eq!(detail("guess").await?, "the backend does not tell how it does");
    assert_eq!(detail(USER).await?, "the verb is not supported by this backend");
    Ok(())
}

#[tokio::test]
async fn health_tells_backend_capabilities_and_limits() -> Outcome {
    let server = Running::lite().await?;
    let reply: Reply = server.client.api("GET", "/health").send().await?;
    let body = reply.ok()?;
    assert_eq!((body["status"].as_str(), body["mode"].as_str()), (Some("healthy"), Some("lite")));
    assert_eq!(body["max_results"], 1000);
    let store = &body["components"]["Store"];
    assert_eq!((&store["status"], &store["details"]), (&json!("ok"), &json!({})));
    assert!(store["latency_ms"].is_f64());
    let guess = server.client.get("/health", "guess").await?.ok()?;
    assert_eq!(guess["components"]["Store"]["details"], json!({}));
    let known = server.client.get("/health", USER).await?.ok()?;
    assert!(known["components"]["Store"]["details"].as_object().is_some_and(|details| !details.is_empty()));
    assert!(body["capabilities"].as_array().is_some_and(|names| names.contains(&json!("idempotency"))));
    Ok(())
}

#[tokio::test]
async fn a_part_that_can_be_done_without_degrades_and_does_not_fail() -> Outcome {
    let health = json!({
        "status": "degraded", "timestamp": "2026-05-07T09:30:00Z", "mode": "full", "backend": "embedded",
        "components": [
            { "name": "Store", "status": "ok", "latency_ms": 0.4 },
            { "name": "Graph", "status": "degraded", "latency_ms": 2.5, "error": "nobody answers" },
        ],
    });
    let backend = Fake { health: Some(serde_json::from_value(health)?), ..Fake::default() };
    let server = Running::start(Arc::new(backend), &Config::default()).await?;
    let open = server.client.api("GET", "/health").send().await?.ok()?;
    assert_eq!(open["status"], "degraded");
    let graph = &open["components"]["Graph"];
    assert_eq!((&graph["status"], &graph["latency_ms"]), (&json!("degraded"), &json!(2.5)));
    assert_eq!(graph["error"], json!(null));
    let known = server.client.get("/health", USER).await?.ok()?;
    assert_eq!(known["components"]["Graph"]["error"], "nobody answers");
    Ok(())
}
