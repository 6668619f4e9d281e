//! The knowledge graph: what is asked of a server, and what is made of its answers.

use cml_core::{
    Capability, ErrorKind, MemoryBackend as _, Scope,
    ops::{ExploreGraph, SearchEntities},
};
use serde_json::{Value, json};

use crate::support::{self, Asked, Loopback, Reply, TestResult, status};

const ANA: &str = "0198c0de-0000-7000-8000-00000000000a";

fn node() -> Value {
    json!({
        "id": ANA, "tenant_id": "acme", "namespace": "notes", "scope_id": "notes", "entity": "Ana",
        "entity_type": "person", "properties": { "mentions": 2 },
    })
}

fn server(capabilities: &'static [&'static str]) -> impl Fn(&Asked) -> Reply {
    move |asked| match asked.route.as_str() {
        "GET /health" => support::json(&json!({
            "status": "degraded", "timestamp": "2026-01-01T00:00:00Z", "version": env!("CARGO_PKG_VERSION"),
            "backend": "embedded", "mode": "full", "components": {}, "capabilities": capabilities,
        })),
        "GET /whoami" => support::json(&json!({"tenant_id": "acme", "admin": true})),
        "GET /dashboard/graph/stats" => support::json(&json!({
            "total_nodes": 2, "total_edges": 1, "entity_types": {"person": 2}, "tenants_with_graph": ["acme"],
        })),
        "GET /dashboard/graph/overview" | "GET /dashboard/graph/explore" => support::json(&json!({
            "nodes": [node()], "edges": [], "center": ANA, "center_entity": "Ana",
        })),
        "GET /dashboard/graph/search" => support::json(&json!({"results": [node()]})),
        "GET /graph/sync" => support::json(&json!({
            "kept_in": "neo4j", "pending": 3, "dead": 1, "oldest_pending_at": "2026-01-01T00:00:00Z",
            "error": "away",
        })),
        "POST /graph/replay" => support::json(&json!({"replayed": 4})),
        "POST /graph/rebuild" => support::json(&json!({"started": true})),
        "POST /graph/repair" => {
            support::json(&json!({"checked": 9, "orphans": 1, "missing": 0, "different": 2}))
        }
        _ => status(404, r#"{"detail": "unknown", "code": "not_found"}"#),
    }
}

#[tokio::test]
async fn questions_name_their_scope_and_use_the_admin_key() -> TestResult {
    let server = Loopback::start(server(&["graph"])).await?;
    let backend = server.backend()?;
    let graph = backend.graph()?;
    let scope = Scope::new("acme")?.with_namespace("notes")?.with_user("ana")?;

    let stats = graph.stats(None).await?;
    assert_eq!((stats.nodes, stats.edges, stats.tenants), (2, 1, vec!["acme".to_owned()]));
    let asked = server.once("GET /dashboard/graph/stats")?;
    assert_eq!((asked.query("tenant_id").len(), asked.header("x-api-key")), (0, Some("admin-key")));
    graph.stats(Some(&scope)).await?;
    let asked = server.asked("GET /dashboard/graph/stats").pop().ok_or("not asked")?;
    assert_eq!(asked.query("tenant_id"), ["acme"]);

    let part = graph.explore(&scope, ExploreGraph::new("ana").with_depth(3)).await?;
    assert_eq!((part.nodes[0].entity.as_str(), part.center), ("Ana", Some(ANA.parse()?)));
    let asked = server.once("GET /dashboard/graph/explore")?;
    for (name, value) in [
        ("tenant_id", "acme"),
        ("namespace", "notes"),
        ("user_id", "ana"),
        ("entity", "ana"),
        ("depth", "3"),
        ("fan_out", "25"),
        ("limit", "200"),
    ] {
        assert_eq!(asked.query(name), [value], "{name}");
    }
    assert_eq!(graph.overview(&scope, 7).await?.nodes.len(), 1);
    assert_eq!(server.once("GET /dashboard/graph/overview")?.query("limit"), ["7"]);

    let found = graph.search(None, SearchEntities::new("n")).await?;
    assert_eq!((found[0].namespace.as_str(), found[0].entity_type.as_str()), ("notes", "person"));
    assert!(server.once("GET /dashboard/graph/search")?.query("tenant_id").is_empty());

    for broken in [
        graph.explore(&scope, ExploreGraph::new(" ")).await.err(),
        graph.search(None, SearchEntities::new("n").with_limit(101)).await.err(),
    ] {
        assert_eq!(broken.map(|error| error.kind()), Some(ErrorKind::InvalidInput));
    }
    Ok(())
}

#[tokio::test]
async fn the_graph_is_followed_and_mended() -> TestResult {
    let server = Loopback::start(server(&["graph"])).await?;
    let backend = server.backend()?;
    let (graph, scope) = (backend.graph()?, Scope::new("acme")?);
    let sync = graph.sync(Some(&scope)).await?;
    assert_eq!((sync.kept_in.as_str(), sync.pending, sync.dead), ("neo4j", 3, 1));
    assert!(sync.oldest_pending_at.is_some() && sync.error.as_deref() == Some("away"));
    assert_eq!(graph.replay(&scope).await?, 4);
    graph.rebuild(&scope).await?;
    let repair = graph.repair(&scope).await?;
    assert_eq!((repair.checked, repair.orphans, repair.different), (9, 1, 2));
    for route in ["POST /graph/replay", "POST /graph/rebuild", "POST /graph/repair"] {
        let asked = server.once(route)?;
        assert_eq!(
            (asked.header("x-tenant-id"), asked.header("x-api-key")),
            (Some("acme"), Some("admin-key")),
            "{route}"
        );
    }
    assert!(backend.health().await?.is_working());
    Ok(())
}

#[tokio::test]
async fn a_server_without_a_graph_is_not_asked() -> TestResult {
    let server = Loopback::start(server(&["list"])).await?;
    let backend = server.backend()?;
    let error = backend.graph()?.stats(None).await.expect_err("no graph");
    assert_eq!((error.kind(), error.operation()), (ErrorKind::Unsupported, Some("graph_stats")));
    assert!(!backend.capabilities().has(Capability::Graph));
    assert!(server.asked("GET /dashboard/graph/stats").is_empty());
    Ok(())
}
