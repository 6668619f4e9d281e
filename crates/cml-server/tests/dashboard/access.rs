//! Who may use the routes.

use serde_json::{Value, json};

use crate::{ADMIN, Outcome, USER, World};

/// Every route of administration, with an id in place of each parameter.
async fn routes(world: &World) -> Outcome<Vec<(String, String)>> {
    let document = world.client.root("GET", "/openapi.json").send().await?.ok()?;
    let paths = document["paths"].as_object().ok_or("no paths")?;
    let id = "0192d1f0-0000-7000-8000-000000000001";
    let mut routes = Vec::new();
    for (path, methods) in paths {
        let api = path.strip_prefix("/api/v1").unwrap_or_default();
        if api.starts_with("/dashboard")
            || api.starts_with("/admin")
            || api.starts_with("/graph")
            || api.ends_with("/evidence")
        {
            for method in methods.as_object().into_iter().flat_map(|methods| methods.keys()) {
                routes.push((method.to_uppercase(), api.replace("{id}", id)));
            }
        }
    }
    Ok(routes)
}

#[tokio::test]
async fn every_route_of_the_contract_is_there() -> Outcome {
    let world = World::new().await?;
    let routes = routes(&world).await?;
    let id = "0192d1f0-0000-7000-8000-000000000001";
    for route in [
        "POST /dashboard/consolidate",
        "POST /dashboard/forget",
        "POST /dashboard/reconsolidate",
        "POST /admin/consolidate/ID",
        "POST /admin/forget/ID",
        "GET /dashboard/tenants",
        "GET /dashboard/overview",
        "GET /dashboard/memories",
        "GET /dashboard/memories/ID",
        "POST /dashboard/memories/bulk-action",
        "GET /dashboard/export/memories",
        "GET /dashboard/facts",
        "POST /dashboard/facts/ID/invalidate",
        "GET /dashboard/timeline",
        "GET /dashboard/components",
        "GET /dashboard/events",
        "GET /dashboard/sessions",
        "GET /dashboard/ratelimits",
        "GET /dashboard/request-stats",
        "GET /dashboard/graph/stats",
        "GET /dashboard/graph/overview",
        "GET /dashboard/graph/explore",
        "GET /dashboard/graph/search",
        "GET /dashboard/graph/neo4j-config",
        "GET /graph/sync",
        "POST /graph/replay",
        "POST /graph/rebuild",
        "POST /graph/repair",
        "GET /dashboard/config",
        "PUT /dashboard/config",
        "GET /dashboard/labile",
        "POST /dashboard/retrieval",
        "GET /dashboard/jobs",
        "POST /dashboard/database/reset",
        "GET /admin/consolidation/status",
        "GET /dashboard/facts/export",
        "GET /dashboard/facts/ID",
        "GET /dashboard/facts/ID/evidence",
        "GET /facts/ID/evidence",
        "GET /dashboard/memories/ID/lineage",
        "GET /dashboard/jobs/ID",
        "GET /dashboard/consolidation/runs",
        "GET /dashboard/reconsolidation/runs",
        "GET /dashboard/reconsolidation/sessions",
        "POST /dashboard/retrieval/explain",
        "POST /dashboard/write/simulate",
        "GET /dashboard/forgetting/preview",
        "GET /dashboard/quality/overview",
        "GET /dashboard/ops/metrics",
        "GET /dashboard/evaluation/summary",
        "POST /admin/consolidate",
        "POST /admin/forget",
        "GET /admin/tenants",
        "GET /admin/components",
        "GET /admin/events",
        "GET /admin/memories",
    ] {
        let (method, path) = route.split_once(' ').ok_or("no method")?;
        let wanted = (method.to_owned(), path.replace("ID", id));
        assert!(routes.contains(&wanted), "{route}");
    }
    Ok(())
}

#[tokio::test]
async fn every_route_needs_the_admin_key_and_a_change_its_header() -> Outcome {
    let world = World::new().await?;
    for (method, path) in routes(&world).await? {
        let request = || world.client.api(&method, &path).header("X-Requested-With", "XMLHttpRequest");
        assert_eq!(request().send().await?.status, 401, "{method} {path}");
        assert_eq!(request().key("wrong").send().await?.status, 401, "{method} {path}");
        let denied = request().key(USER).send().await?;
        assert_eq!(
            (denied.status, &denied.json()?["code"]),
            (403, &json!("permission_denied")),
            "{method} {path}"
        );
        if method != "GET" && path.starts_with("/dashboard") {
            let bare = world.client.api(&method, &path).key(ADMIN).json(&json!({})).send().await?;
            assert_eq!(
                (bare.status, &bare.json()?["detail"]),
                (403, &json!("CSRF header required")),
                "{path}"
            );
        }
    }
    Ok(())
}

#[tokio::test]
async fn no_answer_to_an_odd_request_is_a_bug() -> Outcome {
    let world = World::new().await?;
    for (method, path) in routes(&world).await? {
        let odd = format!(
            "{path}?tenant_id=&page=-1&per_page=x&limit=0&days=0&hours=99&depth=9&order=up&wait=maybe"
        );
        for (path, body) in
            [(&path, json!({})), (&odd, json!({ "tenant_id": 7, "memory_ids": ["x"], "query": 1 }))]
        {
            let reply = world.admin(&method, path).json(&body).send().await?;
            assert_ne!(reply.status, 500, "{method} {path}: {}", reply.text());
            assert!(serde_json::from_slice::<Value>(&reply.body).is_ok(), "{method} {path}");
        }
    }
    Ok(())
}
