//! Trying reads and writes, and emptying the store.

use serde_json::{Value, json};

use crate::{Outcome, World, fault, field};

#[tokio::test]
async fn a_trial_reads_one_tenant_with_scores() -> Outcome {
    let world = World::new().await?;
    world.write("acme", &json!({ "content": "I live in Lisbon", "context_tags": ["home"] })).await?;
    let id =
        world.write("acme", &json!({ "content": "I live in Berlin now", "metadata": { "n": 1 } })).await?;
    world.write("globex", &json!({ "content": "I live in Oslo" })).await?;
    let body =
        json!({ "tenant_id": "acme", "query": "where do I live?", "max_results": 5, "format": "list" });
    let answer = world.post("/dashboard/retrieval", &body).await?;
    assert_eq!((&answer["query"], &answer["llm_context"]), (&json!("where do I live?"), &Value::Null));
    let first = &answer["results"][0];
    assert_eq!((&first["id"], &first["text"]), (&json!(id), &json!("I live in Berlin now")));
    assert!(first["relevance_score"].as_f64().is_some_and(|score| score > 0.0 && score <= 1.0));
    assert!(first["supersedes_id"].is_string() && first["timestamp"].is_string());
    assert_eq!((&first["metadata"], first.get("explain")), (&json!({ "n": 1 }), None));
    assert!(first["retrieval_source"].as_str().is_some_and(|source| source.contains("words")), "{first}");
    assert!(!answer.to_string().contains("Oslo"));
    assert_eq!(
        answer["total_count"].as_u64(),
        answer["results"].as_array().map(|results| results.len() as u64)
    );
    assert!(answer["elapsed_ms"].is_f64());
    let own = world.post("/dashboard/retrieval", &json!({ "query": "where do I live?" })).await?;
    assert_eq!(own["results"], json!([]));
    Ok(())
}

#[tokio::test]
async fn a_trial_filters_and_renders() -> Outcome {
    let world = World::new().await?;
    for (text, tag, memory_type) in [("figs are sweet", "food", "knowledge"), ("buy figs", "todo", "plan")] {
        world
            .write("acme", &json!({ "content": text, "context_tags": [tag], "memory_type": memory_type }))
            .await?;
    }
    let trial = async |more: Value| {
        let mut body = json!({ "tenant_id": "acme", "query": "figs" });
        body.as_object_mut().ok_or("no object")?.extend(more.as_object().cloned().unwrap_or_default());
        world.post("/dashboard/retrieval", &body).await
    };
    assert_eq!(
        field(&trial(json!({ "context_filter": ["food"] })).await?["results"], "text"),
        ["figs are sweet"]
    );
    assert_eq!(field(&trial(json!({ "memory_types": ["plan"] })).await?["results"], "type"), ["plan"]);
    let rendered = trial(json!({ "format": "llm_context", "context_filter": null })).await?;
    assert!(rendered["llm_context"].as_str().is_some_and(|text| text.contains("figs are sweet")));
    assert_eq!(trial(json!({ "max_results": 1 })).await?["total_count"], 1);
    for (more, name) in [
        (json!({ "max_results": 0 }), "max_results"),
        (json!({ "max_results": 51 }), "max_results"),
        (json!({ "format": "xml" }), "format"),
        (json!({ "memory_types": ["dream"] }), "0"),
        (json!({ "query": 5 }), "query"),
    ] {
        let mut body = json!({ "query": "figs" });
        body.as_object_mut().ok_or("no object")?.extend(more.as_object().cloned().unwrap_or_default());
        let (status, answer) = world.refused("POST", "/dashboard/retrieval", &body).await?;
        assert_eq!((status, fault(&answer)), (422, ("body", name)), "{answer}");
    }
    let (status, answer) =
        world.refused("POST", "/dashboard/retrieval", &json!({ "tenant_id": "acme" })).await?;
    assert_eq!((status, fault(&answer)), (422, ("body", "query")));
    Ok(())
}

#[tokio::test]
async fn an_explanation_gives_the_reasons() -> Outcome {
    let world = World::new().await?;
    world.write("acme", &json!({ "content": "I live in Berlin" })).await?;
    let body = json!({ "tenant_id": "acme", "query": "where do I live?" });
    let answer = world.post("/dashboard/retrieval/explain", &body).await?;
    assert!(answer["results"][0]["explain"]["features"].is_object());
    assert!(!field(&answer["retrieval_meta"]["channels"], "name").is_empty());
    assert!(answer["sufficiency"]["sufficient"].is_boolean() && answer["warnings"].is_array());
    Ok(())
}

#[tokio::test]
async fn a_simulated_write_stores_nothing() -> Outcome {
    let world = World::new().await?;
    let (status, body) =
        world.refused("POST", "/dashboard/write/simulate", &json!({ "content": "figs" })).await?;
    assert_eq!((status, &body["code"]), (501, &json!("unsupported")));
    let (status, body) =
        world.refused("POST", "/dashboard/write/simulate", &json!({ "content": "" })).await?;
    assert_eq!((status, fault(&body)), (422, ("body", "content")));
    assert_eq!(world.get("/dashboard/memories").await?["total"], 0);
    Ok(())
}

#[tokio::test]
async fn a_reset_needs_the_switch_and_the_consent() -> Outcome {
    let closed = World::new().await?;
    closed.say("acme", "one", "2026-05-07T09:30:00Z").await?;
    let (status, body) =
        closed.refused("POST", "/dashboard/database/reset", &json!({ "confirm": true })).await?;
    assert_eq!((status, &body["code"]), (403, &json!("permission_denied")));
    assert!(body["suggestion"].as_str().is_some_and(|text| text.contains("CML_ALLOW_RESET")));
    assert_eq!(closed.get("/dashboard/memories").await?["total"], 1);

    let mut config = cml_core::Config::default();
    config.server.allow_reset = true;
    let world = World::with(&config).await?;
    world.say("acme", "one", "2026-05-07T09:30:00Z").await?;
    world.write("globex", &json!({ "content": "I live in Oslo", "session_id": "s1" })).await?;
    for body in [json!({}), json!({ "confirm": false }), json!({ "confirm": "yes" })] {
        let (status, answer) = world.refused("POST", "/dashboard/database/reset", &body).await?;
        assert_eq!((status, fault(&answer)), (422, ("body", "confirm")));
    }
    assert_eq!(world.get("/dashboard/memories").await?["total"], 2);
    let answer = world.post("/dashboard/database/reset", &json!({ "confirm": true })).await?;
    assert_eq!(
        (&answer["success"], &answer["message"]),
        (&json!(true), &json!("2 memories of 2 tenants are erased"))
    );
    assert_eq!(world.get("/dashboard/memories").await?["total"], 0);
    assert_eq!(world.get("/dashboard/facts/export").await?, json!([]));
    assert_eq!(world.get("/dashboard/sessions").await?["sessions"], json!([]));
    Ok(())
}
