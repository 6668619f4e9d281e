//! Memories: pages, filters, detail, lineage, actions, export.

use serde_json::{Value, json};

use crate::{ADMIN, Outcome, World, fault, field};

/// Five memories of acme and four of globex, one a day in turn: a1 g1 a2 g2 a3 g3 a4 g4 a5.
async fn two_tenants(world: &World) -> Outcome {
    for number in 1..=9_u32 {
        let (tenant, name) = if number % 2 == 1 { ("acme", "a") } else { ("globex", "g") };
        let text = format!("{name}{}", number.div_ceil(2));
        world.say(tenant, &text, &format!("2026-05-{number:02}T12:00:00Z")).await?;
    }
    Ok(())
}

#[tokio::test]
async fn pages_merge_every_tenant_in_order() -> Outcome {
    let world = World::new().await?;
    two_tenants(&world).await?;
    let mut texts = Vec::new();
    for page in 1..=3 {
        let answer = world.get(&format!("/dashboard/memories?page={page}&per_page=4")).await?;
        assert_eq!(
            (&answer["total"], &answer["page"], &answer["per_page"]),
            (&json!(9), &json!(page), &json!(4))
        );
        assert_eq!(answer["total_pages"], 3);
        texts.extend(field(&answer["items"], "text").into_iter().map(str::to_owned));
    }
    assert_eq!(texts, ["a5", "g4", "a4", "g3", "a3", "g2", "a2", "g1", "a1"]);
    let beyond = world.get("/dashboard/memories?page=4&per_page=4").await?;
    assert_eq!((&beyond["items"], &beyond["total"]), (&json!([]), &json!(9)));
    let rising = world.get("/admin/memories?order=asc&sort_by=timestamp&per_page=3").await?;
    assert_eq!(field(&rising["items"], "text"), ["a1", "g1", "a2"]);
    let one = world.get("/dashboard/memories?tenant_id=globex&per_page=3&page=2").await?;
    assert_eq!((field(&one["items"], "text"), &one["total"]), (vec!["g1"], &json!(4)));
    assert_eq!(field(&one["items"], "tenant_id"), ["globex"]);
    let nobody = world.get("/dashboard/memories?tenant_id=nobody").await?;
    assert_eq!(
        (&nobody["items"], &nobody["total"], &nobody["total_pages"]),
        (&json!([]), &json!(0), &json!(1))
    );
    Ok(())
}

#[tokio::test]
async fn a_page_is_ordered_by_any_column() -> Outcome {
    let world = World::new().await?;
    let mut ids = Vec::new();
    for (text, memory_type) in [("one", "plan"), ("two", "knowledge"), ("three", "scratch")] {
        let body = json!({ "content": text, "memory_type": memory_type, "extract": "raw" });
        ids.push(world.write(text, &body).await?);
    }
    for (id, tenant, confidence, importance) in
        [(&ids[0], "one", 0.2, 0.9), (&ids[1], "two", 0.9, 0.1), (&ids[2], "three", 0.5, 0.5)]
    {
        let body = json!({ "memory_id": id, "confidence": confidence, "importance": importance });
        let request = world.client.api("POST", "/memory/update").key(ADMIN).header("X-Tenant-ID", tenant);
        request.json(&body).send().await?.ok()?;
    }
    world
        .post("/dashboard/memories/bulk-action", &json!({ "memory_ids": [ids[1]], "action": "silence" }))
        .await?;
    for (column, expected) in [
        ("confidence", ["two", "three", "one"]),
        ("importance", ["one", "three", "two"]),
        ("type", ["three", "one", "two"]),
        ("written_at", ["two", "three", "one"]),
        ("timestamp", ["three", "two", "one"]),
    ] {
        let answer = world.get(&format!("/dashboard/memories?sort_by={column}&order=desc")).await?;
        assert_eq!(field(&answer["items"], "text"), expected, "{column}");
    }
    let answer = world.get("/dashboard/memories?sort_by=status").await?;
    assert_eq!(field(&answer["items"], "status"), ["silent", "active", "active"]);
    Ok(())
}

#[tokio::test]
async fn filters_are_exact_and_counted() -> Outcome {
    let world = World::new().await?;
    let write = async |tenant: &str, text: &str, memory_type: &str, session: Option<&str>| {
        let mut body = json!({ "content": text, "memory_type": memory_type, "extract": "raw" });
        if let Some(session) = session {
            body["session_id"] = session.into();
        }
        world.write(tenant, &body).await
    };
    let silent = write("acme", "Growth was 100% this year", "observation", Some("s1")).await?;
    write("acme", "Growth was 100 units", "observation", Some("s1")).await?;
    write("acme", "GROWTH of a_b", "plan", Some("s2")).await?;
    write("globex", "growth of axb", "plan", None).await?;
    world
        .post("/dashboard/memories/bulk-action", &json!({ "memory_ids": [silent], "action": "silence" }))
        .await?;
    for (query, expected) in [
        ("type=plan", 2),
        ("type=plan&tenant_id=acme", 1),
        ("status=silent", 1),
        ("status=active", 3),
        ("status=archived", 0),
        ("type=observation&status=active", 1),
        ("type=plan&status=silent", 0),
        ("search=growth", 4),
        ("search=100%25", 1),
        ("search=a_b", 1),
        ("search=", 4),
        ("search=growth&status=active&type=plan", 2),
        ("source_session_id=s1", 2),
        ("source_session_id=s1&status=silent", 1),
        ("source_session_id=s2&type=plan", 1),
        ("source_session_id=s2&search=units", 0),
    ] {
        let answer = world.get(&format!("/dashboard/memories?{query}")).await?;
        let items = answer["items"].as_array().map(Vec::len);
        assert_eq!((items, answer["total"].as_u64()), (Some(expected), Some(expected as u64)), "{query}");
    }
    Ok(())
}

#[tokio::test]
async fn a_list_cuts_texts_and_the_detail_does_not() -> Outcome {
    let world = World::new().await?;
    let text = format!("{} end", "é".repeat(400));
    let body = json!({
        "content": text, "memory_type": "knowledge", "extract": "raw", "session_id": "s1", "agent_id": "bot",
        "namespace": "notes", "context_tags": ["a", "b"], "metadata": { "page": 7 }, "speaker": "Ana", "key": "k1",
        "timestamp": "2026-05-07T09:30:00Z",
    });
    let id = world.write("acme", &body).await?;
    let item = world.get("/dashboard/memories").await?["items"][0].clone();
    assert_eq!(item["text"].as_str().map(|text| text.chars().count()), Some(300));
    for (name, value) in [
        ("id", json!(id)),
        ("tenant_id", json!("acme")),
        ("agent_id", json!("bot")),
        ("type", json!("knowledge")),
        ("status", json!("active")),
        ("key", json!("k1")),
        ("namespace", json!("notes")),
        ("context_tags", json!(["a", "b"])),
        ("access_count", json!(0)),
        ("labile", json!(false)),
        ("version", json!(1)),
        ("timestamp", json!("2026-05-07T09:30:00Z")),
    ] {
        assert_eq!(item[name], value, "{name}");
    }
    for name in ["confidence", "importance", "decay_rate"] {
        assert!(item[name].as_f64().is_some_and(|score| score > 0.0), "{name}");
    }
    assert!(item["written_at"].as_str().is_some_and(|at| at.ends_with('Z')));
    let detail = world.get(&format!("/dashboard/memories/{id}")).await?;
    assert_eq!(detail["text"], text.as_str());
    assert_eq!((&detail["source_session_id"], &detail["metadata"]), (&json!("s1"), &json!({ "page": 7 })));
    assert_eq!((&detail["entities"], &detail["relations"]), (&json!([]), &json!([])));
    let provenance = &detail["provenance"];
    assert_eq!((&provenance["source"], &provenance["speaker"]), (&json!("user_explicit"), &json!("Ana")));
    assert_eq!(provenance["role"], "user");
    for name in ["last_accessed_at", "supersedes_id", "valid_to"] {
        assert_eq!(detail[name], Value::Null, "{name}");
    }
    assert_eq!(detail["content_hash"].as_str().map(str::len), Some(64));
    assert_eq!(field(&detail["related_events"], "operation"), ["write"]);
    assert_eq!(detail["related_events"][0]["memory_ids"], json!([id]));
    Ok(())
}

#[tokio::test]
async fn an_unknown_memory_is_not_found_and_a_broken_id_refused() -> Outcome {
    let world = World::new().await?;
    world.say("acme", "one", "2026-05-07T09:30:00Z").await?;
    let unknown = "0192d1f0-0000-7000-8000-000000000001";
    for path in [format!("/dashboard/memories/{unknown}"), format!("/dashboard/memories/{unknown}/lineage")] {
        let (status, body) = world.refused("GET", &path, &json!({})).await?;
        assert_eq!((status, &body["detail"]), (404, &json!("Memory not found")));
    }
    assert_eq!(world.refused("GET", "/dashboard/memories/x", &json!({})).await?.0, 422);
    Ok(())
}

#[tokio::test]
async fn a_number_or_word_out_of_range_names_its_field() -> Outcome {
    let world = World::new().await?;
    for (query, name) in [
        ("page=0", "page"),
        ("per_page=0", "per_page"),
        ("per_page=201", "per_page"),
        ("page=x", "page"),
        ("sort_by=size", "sort_by"),
        ("order=up", "order"),
        ("type=dream", "type"),
        ("status=lost", "status"),
        ("tenant_id=", "tenant_id"),
    ] {
        let (status, body) =
            world.refused("GET", &format!("/dashboard/memories?{query}"), &json!({})).await?;
        assert_eq!((status, fault(&body)), (422, ("query", name)), "{query}: {body}");
    }
    assert_eq!(
        world.get("/dashboard/memories?per_page=200&page=18446744073709551615").await?["items"],
        json!([])
    );
    Ok(())
}

#[tokio::test]
async fn lineage_follows_versions_and_successors() -> Outcome {
    let world = World::new().await?;
    let old = world.write("acme", &json!({ "content": "I live in Lisbon" })).await?;
    let new = world.write("acme", &json!({ "content": "I live in Berlin now" })).await?;
    let update = json!({ "memory_id": old, "importance": 0.3 });
    let request = world.client.api("POST", "/memory/update").key(ADMIN).header("X-Tenant-ID", "acme");
    request.json(&update).send().await?.ok()?;
    let lineage = world.get(&format!("/dashboard/memories/{old}/lineage")).await?;
    assert_eq!((&lineage["memory_id"], &lineage["tenant_id"]), (&json!(old), &json!("acme")));
    assert_eq!(lineage["current"]["text"], "I live in Lisbon");
    assert!(lineage["current"]["valid_to"].is_string());
    assert_eq!(field(&lineage["superseded_by"], "id"), [new.as_str()]);
    assert_eq!(lineage["supersedes"], json!([]));
    let versions: Vec<_> =
        lineage["versions"].as_array().ok_or("no versions")?.iter().map(|v| &v["version"]).collect();
    assert_eq!(versions.first(), Some(&&json!(1)));
    assert_eq!(lineage["current"]["version"].as_u64(), Some(versions.len() as u64 + 1));
    assert_eq!(field(&lineage["facts"], "value"), ["Lisbon"]);
    let later = world.get(&format!("/dashboard/memories/{new}/lineage")).await?;
    assert_eq!(field(&later["supersedes"], "text"), ["I live in Lisbon"]);
    assert_eq!(world.get(&format!("/dashboard/memories/{new}")).await?["supersedes_id"], json!(old));
    Ok(())
}

#[tokio::test]
async fn an_action_reaches_memories_of_every_tenant() -> Outcome {
    let world = World::new().await?;
    let a = world.say("acme", "one", "2026-05-07T09:30:00Z").await?;
    let b = world.say("globex", "two", "2026-05-07T09:30:00Z").await?;
    let c = world.say("globex", "three", "2026-05-07T09:30:00Z").await?;
    let unknown = "0192d1f0-0000-7000-8000-000000000001";
    let act = async |ids: &Value, action: &str| {
        world.post("/dashboard/memories/bulk-action", &json!({ "memory_ids": ids, "action": action })).await
    };
    let answer = act(&json!([a, b, unknown]), "archive").await?;
    assert_eq!(answer, json!({ "success": true, "affected": 2, "action": "archive" }));
    for (id, status) in [(&a, "archived"), (&b, "archived"), (&c, "active")] {
        assert_eq!(world.get(&format!("/dashboard/memories/{id}")).await?["status"], status);
    }
    assert_eq!(act(&json!([a, b]), "archive").await?["affected"], 0);
    assert_eq!(act(&json!([c]), "silence").await?["affected"], 1);
    assert_eq!(act(&json!([a, c]), "delete").await?["affected"], 2);
    assert_eq!(world.refused("GET", &format!("/dashboard/memories/{a}"), &json!({})).await?.0, 404);
    assert_eq!(world.get("/dashboard/memories").await?["total"], 1);
    let path = "/dashboard/memories/bulk-action";
    for (body, name) in [
        (json!({ "memory_ids": [], "action": "delete" }), "memory_ids"),
        (json!({ "memory_ids": [b], "action": "burn" }), "action"),
        (json!({ "memory_ids": ["x"], "action": "delete" }), "0"),
        (json!({ "action": "delete" }), "memory_ids"),
    ] {
        let (status, answer) = world.refused("POST", path, &body).await?;
        assert_eq!((status, fault(&answer)), (422, ("body", name)), "{answer}");
    }
    Ok(())
}

#[tokio::test]
async fn an_export_is_a_list_of_whole_texts_newest_first() -> Outcome {
    let world = World::new().await?;
    two_tenants(&world).await?;
    let long = "y".repeat(500);
    world.say("acme", &long, "2026-06-01T00:00:00Z").await?;
    let all = world.get("/dashboard/export/memories").await?;
    assert_eq!(all.as_array().map(Vec::len), Some(10));
    assert_eq!(field(&all, "text")[..3], [long.as_str(), "a5", "g4"]);
    let mut names: Vec<_> = all[0].as_object().ok_or("no object")?.keys().map(String::as_str).collect();
    names.sort_unstable();
    let expected = [
        "access_count",
        "confidence",
        "id",
        "importance",
        "key",
        "status",
        "tenant_id",
        "text",
        "timestamp",
        "type",
    ];
    assert_eq!(names, expected);
    let one = world.get("/dashboard/export/memories?tenant_id=globex").await?;
    assert_eq!(field(&one, "text"), ["g4", "g3", "g2", "g1"]);
    Ok(())
}

#[tokio::test]
async fn pages_beyond_one_page_of_the_backend_neither_skip_nor_repeat() -> Outcome {
    let world = World::new().await?;
    for (tenant, batches) in [("acme", 3), ("globex", 1)] {
        for batch in 0..batches {
            let turns: Vec<_> = (0..400)
                .map(|number| json!({ "content": format!("{tenant} row {}", batch * 400 + number), "extract": "raw" }))
                .collect();
            let request =
                world.client.api("POST", "/memory/write_batch").key(ADMIN).header("X-Tenant-ID", tenant);
            let answer = request.json(&json!({ "turns": turns })).send().await?.ok()?;
            assert_eq!(answer["turns_processed"], 400);
        }
    }
    let mut seen = std::collections::HashSet::new();
    for page in 1..=8 {
        let answer =
            world.get(&format!("/dashboard/memories?per_page=200&page={page}&sort_by=importance")).await?;
        assert_eq!((&answer["total"], &answer["total_pages"]), (&json!(1600), &json!(8)));
        seen.extend(field(&answer["items"], "id").into_iter().map(str::to_owned));
    }
    assert_eq!(seen.len(), 1600);
    assert_eq!(world.get("/dashboard/memories?search=globex%20ROW&per_page=1").await?["total"], 400);
    assert_eq!(world.get("/dashboard/export/memories").await?.as_array().map(Vec::len), Some(1600));
    Ok(())
}
