//! The verbs over the wire.

use serde_json::{Value, json};

use crate::{ADMIN, Outcome, Running, USER};

#[tokio::test]
async fn a_write_answers_as_the_contract_says() -> Outcome {
    let server = Running::lite().await?;
    let body = json!({ "content": "I am allergic to shellfish", "memory_type": "constraint", "unknown": 1 });
    let answer = server.client.post("/memory/write", USER, &body).await?.ok()?;
    assert_eq!((answer["success"].as_bool(), answer["chunks_created"].as_u64()), (Some(true), Some(1)));
    assert!(answer["memory_id"].is_string() && answer["message"].is_string());
    assert!(answer.get("eval_outcome").is_none());
    let request = server.client.api("POST", "/memory/write").key(USER).header("X-Eval-Mode", "true");
    let answer = request.json(&json!({ "content": "ok" })).send().await?.ok()?;
    assert_eq!((answer["eval_outcome"].as_str(), &answer["memory_id"]), (Some("skipped"), &Value::Null));
    assert!(answer["eval_reason"].is_string());
    Ok(())
}

#[tokio::test]
async fn the_header_makes_writes_idempotent() -> Outcome {
    let server = Running::lite().await?;
    let write = async |path: &str, body: &Value| {
        let request = server.client.api("POST", path).key(USER).header("Idempotency-Key", "k-1");
        request.json(body).send().await
    };
    let body = json!({ "content": "I like figs" });
    let (first, again) =
        (write("/memory/write", &body).await?.ok()?, write("/memory/write", &body).await?.ok()?);
    assert_eq!(first, again);
    assert_eq!(write("/memory/write", &json!({ "content": "I like dates" })).await?.status, 409);
    let batch = json!({ "turns": [{ "content": "I live in Oslo" }, { "content": "I own a boat" }] });
    let first = write("/memory/write_batch", &batch).await?.ok()?;
    assert_eq!(first, write("/memory/write_batch", &batch).await?.ok()?);
    assert_eq!(first["results"].as_array().map(Vec::len), Some(2));
    let changed = json!({ "turns": [{ "content": "I live in Oslo" }, { "content": "I own a bike" }] });
    let answer = write("/memory/write_batch", &changed).await?.ok()?;
    assert_eq!((answer["success"].as_bool(), answer["turns_processed"].as_u64()), (Some(false), Some(1)));
    assert_eq!(answer["results"][1]["error"]["code"], "conflict");
    let keyed = |path: &str, key: &str, body: &Value| {
        server.client.api("POST", path).key(USER).header("Idempotency-Key", key).json(body).send()
    };
    let single = json!({ "content": "I have a cat" });
    assert_eq!(keyed("/memory/write", "k-1/1", &single).await?.ok()?["success"], true);
    let long = "k".repeat(100);
    let answer = keyed("/memory/write_batch", &long, &batch).await?.ok()?;
    assert_eq!(answer["success"], true, "{answer}");
    let reply = keyed("/memory/write_batch", &format!("{long}k"), &batch).await?;
    assert_eq!(
        (reply.status, &reply.json()?["detail"][0]["loc"]),
        (422, &json!(["header", "idempotency-key"]))
    );
    let turn = json!({ "user_message": "Where do I live?", "assistant_response": "In Oslo." });
    write("/memory/turn", &turn).await?.ok()?;
    Ok(())
}

#[tokio::test]
async fn a_session_route_stays_in_its_session() -> Outcome {
    let server = Running::lite().await?;
    let client = &server.client;
    let created = client.post("/session/create", USER, &json!({ "name": "Monday" })).await?.ok()?;
    let id = created["session_id"].as_str().ok_or("no id")?;
    assert!(created["created_at"].is_string() && created["expires_at"].is_string());
    let body = json!({ "content": "I like figs", "session_id": "another" });
    client.post(&format!("/session/{id}/write"), USER, &body).await?.ok()?;
    client.post("/memory/write", USER, &json!({ "content": "I like plums" })).await?.ok()?;
    let query = json!({ "query": "", "max_results": 10, "session_id": "another" });
    let read = client.post(&format!("/session/{id}/read"), USER, &query).await?.ok()?;
    assert_eq!(
        (read["total_count"].as_u64(), read["memories"][0]["text"].as_str()),
        (Some(1), Some("I like figs"))
    );
    let memory = client.get(&format!("/memories/{}", text(&read["memories"][0]["id"])?), USER).await?.ok()?;
    assert_eq!(memory["context_tags"], json!(["conversation"]));
    let context = client.get(&format!("/session/{id}/context?max_tokens=50"), USER).await?.ok()?;
    assert_eq!(context["session_id"].as_str(), Some(id));
    assert_eq!(context["messages"].as_array().map(Vec::len), Some(1));
    let log = client.get(&format!("/sessions/{id}/messages?limit=5"), USER).await?.ok()?;
    assert_eq!(log["messages"][0]["text"], "I like figs");
    assert_eq!(client.get("/sessions", USER).await?.ok()?["sessions"][0]["session_id"].as_str(), Some(id));
    let cleared = client.api("DELETE", &format!("/sessions/{id}")).key(USER).send().await?.ok()?;
    assert_eq!(cleared["affected_count"], 1);
    Ok(())
}

#[tokio::test]
async fn a_namespace_travels_in_body_and_query() -> Outcome {
    let server = Running::lite().await?;
    let client = &server.client;
    for (content, namespace) in [("I like figs", "food"), ("I drive a van", "cars")] {
        client
            .post("/memory/write", USER, &json!({ "content": content, "namespace": namespace }))
            .await?
            .ok()?;
    }
    let read = json!({ "query": "", "namespace": "food" });
    let read = client.post("/memory/read", USER, &read).await?.ok()?;
    assert_eq!(
        (read["total_count"].as_u64(), &read["memories"][0]["text"]),
        (Some(1), &json!("I like figs"))
    );
    assert_eq!(client.get("/memory/stats?namespace=cars", USER).await?.ok()?["total_memories"], 1);
    assert_eq!(client.get("/memory/stats", USER).await?.ok()?["total_memories"], 2);
    let list = client.get("/memories?namespace=food&order_by=timestamp&order=asc", USER).await?.ok()?;
    assert_eq!(list["items"].as_array().map(Vec::len), Some(1));
    let filter = "/memories?filter=%7B%22eq%22%3A%7B%22field%22%3A%22a%22%2C%22value%22%3A1%7D%7D";
    assert_eq!(client.get(filter, USER).await?.ok()?["items"], json!([]));
    Ok(())
}

#[tokio::test]
async fn memories_are_updated_forgotten_and_erased() -> Outcome {
    let server = Running::lite().await?;
    let client = &server.client;
    let written = client.post("/memory/write", USER, &json!({ "content": "I live in Oslo" })).await?.ok()?;
    let id = text(&written["memory_id"])?;
    let update = json!({ "memory_id": id, "text": "I live in Bergen", "expected_version": 1 });
    assert_eq!(client.post("/memory/update", USER, &update).await?.ok()?["version"], 2);
    assert_eq!(client.post("/memory/update", USER, &update).await?.status, 409);
    let detail = client.get(&format!("/memories/{id}?versions=true&facts=true"), USER).await?.ok()?;
    assert_eq!(detail["text"], "I live in Bergen");
    let facts = client.get("/facts?category=location", USER).await?.ok()?;
    let fact = text(&facts["items"][0]["id"])?;
    assert_eq!(client.get(&format!("/facts/{fact}"), USER).await?.ok()?["value"], "Bergen");
    client.post(&format!("/facts/{fact}/retract"), USER, &json!({})).await?.ok()?;
    assert!(client.get("/events?limit=2", USER).await?.ok()?["total"].as_u64() > Some(1));
    let forget = json!({ "memory_ids": [id], "action": "archive" });
    assert_eq!(client.post("/memory/forget", USER, &forget).await?.ok()?["affected_count"], 1);
    let erase = client.api("POST", "/erase").key(ADMIN).header("X-Tenant-ID", "acme");
    let erased = erase.json(&json!({ "subject": { "user": "nobody" } })).send().await?.ok()?;
    assert_eq!(erased["affected_count"], 0);
    let all =
        client.api("DELETE", "/memory/all").key(ADMIN).header("X-Tenant-ID", "acme").send().await?.ok()?;
    assert_eq!(all["affected_count"], 1);
    assert!(all["counts"].is_object());
    assert_eq!(client.get("/memory/stats", USER).await?.ok()?["total_memories"], 0);
    Ok(())
}

fn text(value: &Value) -> Outcome<&str> {
    value.as_str().ok_or_else(|| format!("{value} is no text").into())
}
