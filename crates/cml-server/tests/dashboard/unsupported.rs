//! What a later backend brings.

use serde_json::json;

use crate::{Outcome, World, fault};

#[tokio::test]
async fn what_the_backend_lacks_is_named() -> Outcome {
    let world = World::new().await?;
    world.say("acme", "one", "2026-05-07T09:30:00Z").await?;
    let id = "0192d1f0-0000-7000-8000-000000000001";
    let job = format!("/dashboard/jobs/{id}");
    for (method, path, what) in [
        ("POST", "/dashboard/consolidate", "consolidate"),
        ("POST", "/dashboard/consolidate?wait=false", "consolidate"),
        ("POST", "/admin/consolidate", "consolidate"),
        ("POST", "/admin/consolidate/ana", "consolidate"),
        ("POST", "/dashboard/forget", "run_forgetting"),
        ("POST", "/admin/forget", "run_forgetting"),
        ("POST", "/admin/forget/ana?dry_run=true", "run_forgetting"),
        ("GET", "/dashboard/forgetting/preview", "run_forgetting"),
        ("POST", "/dashboard/reconsolidate", "reconsolidate"),
        ("GET", "/dashboard/reconsolidation/sessions", "reconsolidation sessions"),
        ("GET", "/dashboard/jobs", "jobs"),
        ("GET", &job, "jobs"),
        ("GET", "/dashboard/consolidation/runs", "jobs"),
        ("GET", "/dashboard/reconsolidation/runs?limit=5", "jobs"),
        ("GET", "/admin/consolidation/status", "jobs"),
    ] {
        let body = json!({ "tenant_id": "acme", "user_id": "ana", "dry_run": true, "max_memories": 5000 });
        let (status, body) = world.refused(method, path, &body).await?;
        assert_eq!((status, &body["code"]), (501, &json!("unsupported")), "{path}: {body}");
        assert_eq!(body["detail"], format!("{what} is not supported by this backend"), "{path}");
    }
    Ok(())
}

#[tokio::test]
async fn a_broken_request_is_told_before_what_is_lacking() -> Outcome {
    let world = World::new().await?;
    for (method, path, place, name) in [
        ("POST", "/dashboard/consolidate?wait=maybe", "query", "wait"),
        ("POST", "/admin/forget/ana?dry_run=perhaps", "query", "dry_run"),
        ("GET", "/dashboard/jobs?limit=0", "query", "limit"),
        ("GET", "/dashboard/jobs?limit=201", "query", "limit"),
        ("GET", "/dashboard/jobs?job_type=sleep", "query", "job_type"),
        ("GET", "/dashboard/graph/explore?tenant_id=acme", "query", "entity"),
        ("GET", "/dashboard/graph/explore?entity=a&depth=6", "query", "depth"),
        ("GET", "/dashboard/graph/search?query=", "query", "query"),
        ("GET", "/dashboard/graph/explore?entity=a&depth=300", "query", "depth"),
        ("GET", "/dashboard/graph/search?query=a&limit=101", "query", "limit"),
        ("GET", "/dashboard/graph/overview?namespace=", "query", "namespace"),
        ("GET", "/dashboard/forgetting/preview?user_id=", "query", "user_id"),
    ] {
        let (status, body) = world.refused(method, path, &json!({})).await?;
        assert_eq!((status, fault(&body)), (422, (place, name)), "{path}: {body}");
    }
    let (status, body) = world.refused("POST", "/dashboard/forget", &json!({ "dry_run": 1 })).await?;
    assert_eq!((status, fault(&body)), (422, ("body", "dry_run")));
    Ok(())
}
