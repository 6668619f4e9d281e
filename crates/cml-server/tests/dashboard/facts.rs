//! Facts: list, one, evidence, withdrawal, export.

use serde_json::json;

use crate::{ADMIN, Outcome, World, fault, field};

/// Where three people live, and what one of them likes; one of them moved.
async fn people(world: &World) -> Outcome<(String, String)> {
    let old = world.write("acme", &json!({ "content": "I live in Lisbon", "session_id": "s1" })).await?;
    let new = world.write("acme", &json!({ "content": "I live in Berlin now" })).await?;
    world.write("acme", &json!({ "content": "My name is Ana" })).await?;
    world.write("globex", &json!({ "content": "I live in Oslo" })).await?;
    Ok((old, new))
}

#[tokio::test]
async fn facts_are_those_of_one_tenant() -> Outcome {
    let world = World::new().await?;
    people(&world).await?;
    let acme = world.get("/dashboard/facts?tenant_id=acme").await?;
    let mut values = field(&acme["items"], "value");
    values.sort_unstable();
    assert_eq!((values, &acme["total"]), (vec!["Ana", "Berlin"], &json!(2)));
    assert_eq!(world.get("/dashboard/facts").await?["total"], 0);
    let own = world.admin("GET", "/dashboard/facts").header("X-Tenant-ID", "globex").send().await?.ok()?;
    let fact = &own["items"][0];
    assert_eq!(
        (&own["total"], &fact["value"], &fact["tenant_id"]),
        (&json!(1), &json!("Oslo"), &json!("globex"))
    );
    assert_eq!((&fact["category"], &fact["is_current"]), (&json!("location"), &json!(true)));
    assert_eq!((&fact["evidence_count"], &fact["version"]), (&json!(1), &json!(1)));
    assert!(fact["key"].as_str().is_some_and(|key| key.starts_with("user:location:")));
    assert!(fact["created_at"].is_string() && fact["updated_at"].is_string() && fact["confidence"].is_f64());
    Ok(())
}

#[tokio::test]
async fn facts_filter_and_page() -> Outcome {
    let world = World::new().await?;
    people(&world).await?;
    for (query, total, values) in [
        ("category=location", 1, vec!["Berlin"]),
        ("category=location&current_only=false", 2, vec!["Berlin", "Lisbon"]),
        ("category=identity", 1, vec!["Ana"]),
        ("category=policy", 0, vec![]),
        ("category=location&current_only=false&limit=1&offset=1", 2, vec!["Lisbon"]),
        ("category=location&current_only=false&offset=2", 2, vec![]),
    ] {
        let answer = world.get(&format!("/dashboard/facts?tenant_id=acme&{query}")).await?;
        assert_eq!((field(&answer["items"], "value"), &answer["total"]), (values, &json!(total)), "{query}");
    }
    for (query, name) in
        [("limit=0", "limit"), ("limit=201", "limit"), ("offset=-1", "offset"), ("category=x", "category")]
    {
        let (status, body) = world.refused("GET", &format!("/dashboard/facts?{query}"), &json!({})).await?;
        assert_eq!((status, fault(&body)), (422, ("query", name)));
    }
    Ok(())
}

#[tokio::test]
async fn one_fact_shows_its_links_and_its_evidence() -> Outcome {
    let world = World::new().await?;
    let (old, _) = people(&world).await?;
    let list = world.get("/dashboard/facts?tenant_id=acme&category=location&current_only=false").await?;
    let ids = field(&list["items"], "id");
    let (current, former) = (ids[0], ids[1]);
    let fact = world.get(&format!("/dashboard/facts/{former}")).await?;
    assert_eq!((&fact["value"], &fact["status"]), (&json!("Lisbon"), &json!("superseded")));
    assert_eq!((&fact["superseded_by_id"], &fact["is_current"]), (&json!(current), &json!(false)));
    assert!(fact["valid_to"].is_string());
    assert_eq!(fact["evidence"], json!([{ "memory": old }]));
    let current = world.get(&format!("/dashboard/facts/{current}")).await?;
    assert_eq!((&current["supersedes_id"], &current["version"]), (&json!(former), &json!(2)));
    for path in [format!("/dashboard/facts/{former}/evidence"), format!("/facts/{former}/evidence")] {
        let evidence = world.get(&path).await?;
        assert_eq!((&evidence["fact_id"], &evidence["total"]), (&json!(former), &json!(1)));
        let item = &evidence["items"][0];
        assert_eq!((&item["kind"], &item["id"]), (&json!("memory"), &json!(old)));
        assert_eq!((&item["text"], &item["session_id"]), (&json!("I live in Lisbon"), &json!("s1")));
    }
    Ok(())
}

#[tokio::test]
async fn invalidating_reaches_any_tenant_and_keeps_the_fact() -> Outcome {
    let world = World::new().await?;
    people(&world).await?;
    let list = world.get("/dashboard/facts?tenant_id=globex").await?;
    let id = list["items"][0]["id"].as_str().ok_or("no fact")?.to_owned();
    let answer = world.post(&format!("/dashboard/facts/{id}/invalidate"), &json!({})).await?;
    assert_eq!(answer["success"], true);
    assert!(answer["message"].as_str().is_some_and(|message| !message.contains("Oslo")));
    assert_eq!(world.get("/dashboard/facts?tenant_id=globex").await?["total"], 0);
    let fact = world.get(&format!("/dashboard/facts/{id}")).await?;
    assert_eq!((&fact["status"], &fact["value"]), (&json!("retracted"), &json!("Oslo")));
    assert_eq!(world.get("/dashboard/facts?tenant_id=acme").await?["total"], 2);
    let unknown = "0192d1f0-0000-7000-8000-000000000001";
    for (method, path) in [
        ("POST", format!("/dashboard/facts/{unknown}/invalidate")),
        ("GET", format!("/dashboard/facts/{unknown}")),
        ("GET", format!("/dashboard/facts/{unknown}/evidence")),
    ] {
        assert_eq!(world.refused(method, &path, &json!({})).await?.0, 404, "{path}");
    }
    assert_eq!(world.refused("POST", "/dashboard/facts/x/invalidate", &json!({})).await?.0, 422);
    Ok(())
}

#[tokio::test]
async fn the_facts_of_every_tenant_export_as_a_list() -> Outcome {
    let world = World::new().await?;
    people(&world).await?;
    let all = world.get("/dashboard/facts/export").await?;
    let mut values = field(&all, "value");
    assert_eq!(values[0], "Oslo");
    values.sort_unstable();
    assert_eq!(values, ["Ana", "Berlin", "Lisbon", "Oslo"]);
    let one = world.get("/dashboard/facts/export?tenant_id=globex").await?;
    assert_eq!(field(&one, "value"), ["Oslo"]);
    Ok(())
}

#[tokio::test]
async fn the_callers_tenant_comes_first() -> Outcome {
    let world = World::new().await?;
    let id = world.write("globex", &json!({ "content": "I live in Oslo" })).await?;
    let path = format!("/dashboard/memories/{id}");
    let request = world.client.api("GET", &path).key(ADMIN).header("X-Tenant-ID", "acme");
    assert_eq!(request.send().await?.ok()?["tenant_id"], "globex");
    Ok(())
}
