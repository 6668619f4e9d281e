//! What happened when: events, sessions, days, requests.

use chrono::{Days, Utc};
use serde_json::json;

use crate::{ADMIN, Outcome, USER, World, fault, field};

#[tokio::test]
async fn events_of_every_tenant_come_newest_first() -> Outcome {
    let world = World::new().await?;
    let a = world.say("acme", "one", "2026-05-07T09:30:00Z").await?;
    let b = world.say("globex", "two", "2026-05-07T09:30:00Z").await?;
    let c = world.say("acme", "three", "2026-05-07T09:30:00Z").await?;
    world.post("/dashboard/memories/bulk-action", &json!({ "memory_ids": [a], "action": "archive" })).await?;
    let all = world.get("/dashboard/events").await?;
    assert_eq!(field(&all["items"], "operation"), ["forget", "write", "write", "write"]);
    assert_eq!(field(&all["items"], "tenant_id"), ["acme", "acme", "globex", "acme"]);
    let about: Vec<_> =
        all["items"].as_array().ok_or("no items")?.iter().map(|event| &event["memory_ids"][0]).collect();
    assert_eq!(about, [&json!(a), &json!(c), &json!(b), &json!(a)]);
    assert_eq!((&all["total"], &all["page"], &all["total_pages"]), (&json!(4), &json!(1), &json!(1)));
    let event = &all["items"][0];
    assert_eq!((&event["event_type"], &event["payload"]["action"]), (&json!("memory"), &json!("archive")));
    assert!(event["scope_id"].is_string() && event["parent_event_id"].is_null() && event["id"].is_string());
    for (query, total, operations) in [
        ("per_page=2&page=2", 4, vec!["write", "write"]),
        ("per_page=3&page=2", 4, vec!["write"]),
        ("page=9", 4, vec![]),
        ("operation=forget", 1, vec!["forget"]),
        ("event_type=fact", 0, vec![]),
        ("tenant_id=globex", 1, vec!["write"]),
        ("since=2999-01-01T00:00:00", 0, vec![]),
        ("since=2020-01-01T00:00:00%2B02:00&operation=write&tenant_id=acme", 2, vec!["write", "write"]),
    ] {
        let answer = world.get(&format!("/admin/events?{query}")).await?;
        assert_eq!(
            (field(&answer["items"], "operation"), &answer["total"]),
            (operations, &json!(total)),
            "{query}"
        );
    }
    for (query, name) in [
        ("page=0", "page"),
        ("per_page=201", "per_page"),
        ("since=soon", "since"),
        ("event_type=x", "event_type"),
        ("operation=x", "operation"),
    ] {
        let (status, body) = world.refused("GET", &format!("/dashboard/events?{query}"), &json!({})).await?;
        assert_eq!((status, fault(&body)), (422, ("query", name)), "{query}");
    }
    Ok(())
}

#[tokio::test]
async fn sessions_count_what_they_hold() -> Outcome {
    let world = World::new().await?;
    let create =
        |tenant: &str| world.client.api("POST", "/session/create").key(ADMIN).header("X-Tenant-ID", tenant);
    let body = json!({ "name": "Monday", "ttl_hours": 2, "metadata": { "room": 4 } });
    let named = create("acme").json(&body).send().await?.ok()?;
    let named = named["session_id"].as_str().ok_or("no id")?;
    for (text, session) in [("one", named), ("two", named), ("three", "own-id")] {
        let body = json!({ "content": text, "session_id": session, "memory_type": "observation" });
        world.write("acme", &body).await?;
    }
    world.write("acme", &json!({ "content": "outside of sessions", "memory_type": "observation" })).await?;
    create("globex").json(&json!({})).send().await?.ok()?;
    let acme = world.get("/dashboard/sessions?tenant_id=acme").await?;
    assert_eq!((&acme["total_active"], &acme["total_memories_with_session"]), (&json!(2), &json!(3)));
    let sessions = acme["sessions"].as_array().ok_or("no sessions")?;
    assert_eq!(field(&acme["sessions"], "session_id"), ["own-id", named]);
    let of_named = &sessions[1];
    assert_eq!(of_named["memory_count"], 2);
    assert_eq!(of_named["metadata"], json!({ "name": "Monday", "room": 4 }));
    assert!(of_named["ttl_seconds"].as_i64().is_some_and(|ttl| (7000..=7200).contains(&ttl)));
    assert!(of_named["created_at"].is_string() && of_named["expires_at"].is_string());
    assert_eq!((&sessions[0]["memory_count"], &sessions[0]["metadata"]), (&json!(1), &json!({})));
    let all = world.get("/dashboard/sessions").await?;
    assert_eq!((&all["total_active"], &all["total_memories_with_session"]), (&json!(3), &json!(3)));
    assert_eq!(field(&all["sessions"], "tenant_id"), ["globex", "acme", "acme"]);
    Ok(())
}

#[tokio::test]
async fn the_timeline_counts_days_by_when_it_was_said() -> Outcome {
    let world = World::new().await?;
    let day = |ago: u64| Utc::now().date_naive().checked_sub_days(Days::new(ago)).map(|day| day.to_string());
    let (today, before, old) = (day(0).ok_or("")?, day(5).ok_or("")?, day(40).ok_or("")?);
    for (tenant, text, day) in [
        ("acme", "one", &today),
        ("acme", "two", &before),
        ("globex", "three", &before),
        ("globex", "four", &old),
    ] {
        world.say(tenant, text, &format!("{day}T00:00:00Z")).await?;
    }
    let future = json!({ "content": "five", "memory_type": "plan", "timestamp": "2999-01-01T00:00:00Z" });
    world.write("acme", &future).await?;
    let point = |date: &str, count: u64| json!({ "date": date, "count": count });
    for (query, points, total) in [
        ("", vec![point(&before, 2), point(&today, 1)], 3),
        ("?days=365", vec![point(&old, 1), point(&before, 2), point(&today, 1)], 4),
        ("?days=6&tenant_id=acme&metric=memories", vec![point(&before, 1), point(&today, 1)], 2),
        ("?days=5", vec![point(&today, 1)], 1),
        ("?tenant_id=nobody", vec![], 0),
    ] {
        let answer = world.get(&format!("/dashboard/timeline{query}")).await?;
        assert_eq!(answer, json!({ "points": points, "total": total }), "{query}");
    }
    for days in ["0", "366", "x"] {
        let (status, body) =
            world.refused("GET", &format!("/dashboard/timeline?days={days}"), &json!({})).await?;
        assert_eq!((status, fault(&body)), (422, ("query", "days")));
    }
    Ok(())
}

#[tokio::test]
async fn requests_are_counted_by_hour() -> Outcome {
    let world = World::new().await?;
    for _ in 0..3 {
        world.client.get("/memory/stats", USER).await?.ok()?;
    }
    let stats = world.get("/dashboard/request-stats").await?;
    let points = stats["points"].as_array().ok_or("no points")?;
    assert_eq!(points.len(), 24);
    assert!(stats["total_last_24h"].as_u64().is_some_and(|total| total >= 3));
    assert!(points.iter().all(|point| {
        let hour = point["hour"].as_str().unwrap_or_default();
        hour.len() == "2026-05-07T09:00".len() && hour.ends_with(":00")
    }));
    let sum: u64 = points.iter().filter_map(|point| point["count"].as_u64()).sum();
    assert_eq!(stats["total_last_24h"], sum);
    let longest = world.get("/dashboard/request-stats?hours=48").await?;
    assert_eq!(longest["points"].as_array().map(Vec::len), Some(48));
    for hours in ["0", "49"] {
        let path = format!("/dashboard/request-stats?hours={hours}");
        let (status, body) = world.refused("GET", &path, &json!({})).await?;
        assert_eq!((status, fault(&body)), (422, ("query", "hours")));
    }
    Ok(())
}

#[tokio::test]
async fn limits_show_masked_keys() -> Outcome {
    let unlimited = World::new().await?;
    assert_eq!(unlimited.get("/dashboard/ratelimits").await?, json!({ "entries": [], "configured_rpm": 0 }));
    let mut config = cml_core::Config::default();
    config.server.rate_limit_rpm = 1000;
    let world = World::with(&config).await?;
    world.client.get("/memory/stats", USER).await?.ok()?;
    let limits = world.get("/dashboard/ratelimits").await?;
    assert_eq!(limits["configured_rpm"], 1000);
    let entries = limits["entries"].as_array().ok_or("no entries")?;
    assert_eq!(entries.len(), 2);
    for entry in entries {
        assert_eq!((&entry["key_type"], &entry["limit"]), (&json!("apikey"), &json!(1000)));
        assert!(entry["identifier"].as_str().is_some_and(|key| key.starts_with("***") && key.len() <= 7));
        assert_eq!((&entry["current_count"], &entry["utilization_pct"]), (&json!(1), &json!(0.1)));
        assert!(entry["ttl_seconds"].is_u64());
    }
    Ok(())
}
