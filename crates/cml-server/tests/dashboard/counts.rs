//! Counts and means.

use serde_json::{Value, json};

use crate::{ADMIN, Outcome, World, field};

fn near(value: &Value, expected: f64) -> bool {
    value.as_f64().is_some_and(|value| (value - expected).abs() < 1e-9)
}

/// Three memories of acme, one of globex; two facts of acme, one of them replaced.
async fn filled(world: &World) -> Outcome<[String; 4]> {
    let a = world
        .write("acme", &json!({ "content": "I live in Lisbon", "timestamp": "2026-05-01T00:00:00Z" }))
        .await?;
    let b = world
        .write("acme", &json!({ "content": "I live in Berlin now", "timestamp": "2026-05-02T00:00:00Z" }))
        .await?;
    let c = world.say("acme", "the parcel weighs two kilos", "2026-05-03T00:00:00Z").await?;
    let d = world.say("globex", "the bridge is closed", "2026-04-01T00:00:00Z").await?;
    for (tenant, id, confidence, importance) in
        [("acme", &a, 0.1, 0.2), ("acme", &b, 0.7, 0.4), ("acme", &c, 1.0, 0.6), ("globex", &d, 0.2, 1.0)]
    {
        let body = json!({ "memory_id": id, "confidence": confidence, "importance": importance });
        let request = world.client.api("POST", "/memory/update").key(ADMIN).header("X-Tenant-ID", tenant);
        request.json(&body).send().await?.ok()?;
    }
    world.post("/dashboard/memories/bulk-action", &json!({ "memory_ids": [c], "action": "archive" })).await?;
    Ok([a, b, c, d])
}

#[tokio::test]
async fn tenants_come_with_their_counts() -> Outcome {
    let world = World::new().await?;
    assert_eq!(world.get("/dashboard/tenants").await?, json!({ "tenants": [] }));
    filled(&world).await?;
    let answer = world.get("/dashboard/tenants").await?;
    assert_eq!(field(&answer["tenants"], "tenant_id"), ["acme", "globex"]);
    let acme = &answer["tenants"][0];
    assert_eq!((&acme["memory_count"], &acme["active_memory_count"]), (&json!(3), &json!(2)));
    assert_eq!((&acme["fact_count"], &acme["last_memory_at"]), (&json!(1), &json!("2026-05-03T00:00:00Z")));
    assert!(
        acme["event_count"].as_u64().is_some_and(|count| count >= 7) && acme["last_event_at"].is_string()
    );
    assert_eq!(world.get("/admin/tenants").await?, answer);
    Ok(())
}

#[tokio::test]
async fn the_overview_is_right_for_one_tenant_and_for_all() -> Outcome {
    let world = World::new().await?;
    filled(&world).await?;
    let query = json!({ "query": "where do I live", "max_results": 1, "min_relevance": 0.0 });
    let read = world.client.api("POST", "/memory/read").key(ADMIN).header("X-Tenant-ID", "acme");
    assert_eq!(read.json(&query).send().await?.ok()?["total_count"], 1);
    let acme = world.get("/dashboard/overview?tenant_id=acme").await?;
    for (name, value) in [
        ("total_memories", 3),
        ("active_memories", 2),
        ("silent_memories", 0),
        ("compressed_memories", 0),
        ("archived_memories", 1),
        ("deleted_memories", 0),
        ("labile_memories", 0),
        ("total_semantic_facts", 2),
        ("current_semantic_facts", 1),
    ] {
        assert_eq!(acme[name], value, "{name}");
    }
    assert_eq!(acme["by_status"], json!({ "active": 2, "archived": 1 }));
    assert_eq!(acme["by_type"]["observation"], 1);
    assert_eq!(acme["facts_by_category"], json!({ "location": 2 }));
    assert!(near(&acme["avg_confidence"], 0.6) && near(&acme["avg_importance"], 0.4));
    assert!(near(&acme["avg_access_count"], 1.0 / 3.0), "{}", acme["avg_access_count"]);
    assert!(near(&acme["avg_evidence_count"], 1.0));
    assert!(acme["avg_decay_rate"].as_f64().is_some_and(|rate| rate > 0.0 && rate < 1.0));
    assert!(acme["avg_fact_confidence"].as_f64().is_some_and(|confidence| confidence > 0.5));
    assert!(acme["estimated_size_mb"].as_f64().is_some_and(|size| size > 0.0));
    assert_eq!(
        (&acme["oldest_memory"], &acme["newest_memory"]),
        (&json!("2026-05-01T00:00:00Z"), &json!("2026-05-03T00:00:00Z"))
    );
    let events = world.get("/dashboard/events?tenant_id=acme").await?;
    assert_eq!(acme["total_events"], events["total"]);
    assert_eq!(
        (&acme["events_by_operation"]["write"], &acme["events_by_operation"]["forget"]),
        (&json!(3), &json!(1))
    );
    let by_type: u64 =
        acme["events_by_type"].as_object().into_iter().flatten().filter_map(|(_, n)| n.as_u64()).sum();
    assert_eq!(acme["total_events"], by_type);
    let all = world.get("/dashboard/overview").await?;
    assert_eq!((&all["total_memories"], &all["archived_memories"]), (&json!(4), &json!(1)));
    assert!(near(&all["avg_confidence"], 0.5) && near(&all["avg_importance"], 0.55));
    assert!(near(&all["avg_access_count"], 0.25));
    assert_eq!(all["oldest_memory"], "2026-04-01T00:00:00Z");
    assert_eq!(all["events_by_operation"]["write"], 4);
    let none = world.get("/dashboard/overview?tenant_id=nobody").await?;
    assert_eq!(
        (&none["total_memories"], &none["avg_confidence"], &none["oldest_memory"]),
        (&json!(0), &json!(0.0), &Value::Null)
    );
    assert_eq!((&none["by_type"], &none["total_events"]), (&json!({}), &json!(0)));
    Ok(())
}

#[tokio::test]
async fn quality_counts_what_is_doubtful_and_replaced() -> Outcome {
    let world = World::new().await?;
    filled(&world).await?;
    let acme = world.get("/dashboard/quality/overview?tenant_id=acme").await?;
    for (name, value) in [
        ("total_memories", 3),
        ("low_confidence_memories", 1),
        ("never_recalled_memories", 3),
        ("superseded_memories", 1),
        ("outdated_memories", 0),
        ("expired_memories", 0),
        ("total_facts", 2),
        ("current_facts", 1),
        ("superseded_facts", 1),
        ("retracted_facts", 0),
        ("facts_without_evidence", 0),
    ] {
        assert_eq!(acme[name], value, "{name}");
    }
    assert!(near(&acme["avg_confidence"], 0.6) && near(&acme["avg_evidence_count"], 1.0));
    let all = world.get("/dashboard/quality/overview").await?;
    assert_eq!((&all["total_memories"], &all["low_confidence_memories"]), (&json!(4), &json!(2)));
    Ok(())
}

#[tokio::test]
async fn the_evaluation_counts_what_was_recalled() -> Outcome {
    let world = World::new().await?;
    filled(&world).await?;
    let before = world.get("/dashboard/evaluation/summary?tenant_id=acme").await?;
    assert_eq!((&before["recalled_memories"], &before["last_recalled_at"]), (&json!(0), &Value::Null));
    let read = world.client.api("POST", "/memory/read").key(ADMIN).header("X-Tenant-ID", "acme");
    read.json(&json!({ "query": "", "max_results": 1 })).send().await?.ok()?;
    let after = world.get("/dashboard/evaluation/summary?tenant_id=acme").await?;
    assert_eq!((&after["total_memories"], &after["recalled_memories"]), (&json!(3), &json!(1)));
    assert!(near(&after["recall_rate"], 1.0 / 3.0) && near(&after["evidence_rate"], 1.0));
    assert!(after["last_recalled_at"].is_string());
    assert_eq!(after["operations"]["write"], 3);
    Ok(())
}

#[tokio::test]
async fn operations_show_the_server_and_the_last_day() -> Outcome {
    let world = World::new().await?;
    filled(&world).await?;
    let answer = world.get("/dashboard/ops/metrics").await?;
    assert_eq!((&answer["status"], &answer["mode"]), (&json!("healthy"), &json!("lite")));
    assert_eq!(answer["operations_last_24h"]["write"], 4);
    assert!(answer["events_last_24h"].as_u64() >= Some(8));
    assert!(answer["requests_last_24h"].as_u64() >= Some(9));
    assert_eq!(answer["configured_rpm"], 0);
    assert!(field(&answer["components"], "name").contains(&"Server"));
    Ok(())
}

#[tokio::test]
async fn components_tell_how_they_do() -> Outcome {
    let world = World::new().await?;
    for path in ["/dashboard/components", "/admin/components"] {
        let answer = world.get(path).await?;
        let names = field(&answer["components"], "name");
        for name in ["Store", "Embedding", "Server"] {
            assert!(names.contains(&name), "{name}");
        }
        assert!(field(&answer["components"], "status").iter().all(|status| *status == "ok"));
        let components = answer["components"].as_array().ok_or("no components")?;
        assert!(components.iter().all(|component| component["details"].is_object()));
        assert!(components[0]["latency_ms"].is_f64());
    }
    Ok(())
}
