//! Recalled memories that are open to revision.

use serde_json::json;

use crate::{ADMIN, Outcome, World, field};

#[tokio::test]
async fn memories_that_a_turn_recalled_are_labile() -> Outcome {
    let world = World::new().await?;
    let boat = world.say("acme", "the blue boat lies in the harbour", "2026-05-01T00:00:00Z").await?;
    world.say("globex", "the bridge is closed", "2026-04-01T00:00:00Z").await?;
    let none = json!({
        "tenants": [tenant("acme", 0), tenant("globex", 0)],
        "total_db_labile": 0, "total_redis_scopes": 0, "total_redis_sessions": 0, "total_redis_memories": 0,
    });
    assert_eq!(world.get("/dashboard/labile").await?, none);

    let turn = world.client.api("POST", "/memory/turn").key(ADMIN).header("X-Tenant-ID", "acme");
    let body = json!({ "user_message": "where does the blue boat lie", "session_id": "s1" });
    turn.json(&body).send().await?.ok()?;
    let one = json!({
        "tenants": [tenant("acme", 1), tenant("globex", 0)],
        "total_db_labile": 0, "total_redis_scopes": 1, "total_redis_sessions": 1, "total_redis_memories": 1,
    });
    assert_eq!(world.get("/dashboard/labile").await?, one);
    let named = world.get("/dashboard/labile?tenant_id=acme").await?;
    assert_eq!(field(&named["tenants"], "tenant_id"), ["acme"]);
    assert_eq!(world.get("/dashboard/overview").await?["labile_memories"], 1);
    let rows = world.get("/dashboard/memories?tenant_id=acme").await?;
    assert_eq!((&rows["items"][0]["id"], &rows["items"][0]["labile"]), (&json!(boat), &json!(true)));
    assert_eq!(world.get(&format!("/dashboard/memories/{boat}")).await?["labile"], true);
    Ok(())
}

fn tenant(name: &str, count: u64) -> serde_json::Value {
    json!({
        "tenant_id": name, "db_labile_count": 0,
        "redis_scope_count": count, "redis_session_count": count, "redis_memory_count": count,
    })
}
