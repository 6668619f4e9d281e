//! Bad input, answered in the contract's shape.

use std::io::{Read as _, Write as _};

use cml_core::Config;
use flate2::{Compression, read::GzDecoder, write::GzEncoder};
use serde_json::json;

use crate::{ADMIN, Outcome, Running, USER};

#[tokio::test]
async fn a_broken_body_names_its_field() -> Outcome {
    let server = Running::lite().await?;
    for (path, body, loc) in [
        ("/memory/write", "{\"content\": \"x\"", json!(["body"])),
        ("/memory/write", "[1]", json!(["body"])),
        ("/memory/write", "\u{feff}{}", json!(["body"])),
        ("/memory/write", "", json!(["body", "content"])),
        ("/memory/write", r#"{"content": 7}"#, json!(["body", "content"])),
        ("/memory/write", r#"{"content": " "}"#, json!(["body", "content"])),
        ("/memory/write", r#"{"content": "x", "memory_type": "dream"}"#, json!(["body", "memory_type"])),
        ("/memory/write", r#"{"content": "x", "user_id": 7}"#, json!(["body", "user_id"])),
        ("/memory/write", r#"{"content": "x", "session_id": ""}"#, json!(["body", "session_id"])),
        ("/memory/write", r#"{"content": "x", "timestamp": "soon"}"#, json!(["body", "timestamp"])),
        ("/memory/write", r#"{"content": "x", "metadata": [1]}"#, json!(["body", "metadata"])),
        ("/memory/read", r#"{"query": "x", "max_results": 0}"#, json!(["body", "max_results"])),
        ("/memory/read", r#"{"query": "x", "max_results": -1}"#, json!(["body", "max_results"])),
        ("/memory/read", r#"{"query": "x", "namespace": []}"#, json!(["body", "namespace"])),
        (
            "/memory/read",
            r#"{"query": "x", "memory_types": ["dream"]}"#,
            json!(["body", "memory_types", "0"]),
        ),
        ("/memory/update", r#"{"memory_id": "7"}"#, json!(["body", "memory_id"])),
        ("/memory/forget", "{}", json!(["body", "memory_ids"])),
        ("/memory/write_batch", r#"{"turns": []}"#, json!(["body", "turns"])),
        ("/memory/write_batch", r#"{"turns": [{"content": 1}]}"#, json!(["body", "turns", "0", "content"])),
        ("/session/create", r#"{"ttl_hours": "long"}"#, json!(["body", "ttl_hours"])),
    ] {
        let reply = server.client.api("POST", path).key(USER).body(body).send().await?;
        let answer = reply.json()?;
        assert_eq!((reply.status, &answer["detail"][0]["loc"]), (422, &loc), "{path} {body}: {answer}");
        assert_eq!(answer["code"], "invalid_input");
        assert!(answer["detail"][0]["msg"].is_string() && answer["detail"][0]["type"].is_string());
    }
    Ok(())
}

#[tokio::test]
async fn broken_paths_and_queries_name_their_part() -> Outcome {
    let server = Running::lite().await?;
    for (path, loc) in [
        ("/memories/7", json!(["path", "id"])),
        ("/facts/7", json!(["path", "id"])),
        ("/sessions/%00/messages", json!(["path", "id"])),
        ("/sessions/%FF/messages", json!(["path", "id"])),
        ("/memories?limit=many", json!(["query", "limit"])),
        ("/memories?limit=0", json!(["query", "limit"])),
        ("/memories?statuses=lost", json!(["query", "statuses"])),
        ("/memories?filter=x", json!(["query", "filter"])),
        ("/facts?current_only=maybe", json!(["query", "current_only"])),
        ("/memory/stats?namespace=", json!(["query", "namespace"])),
    ] {
        let reply = server.client.get(path, USER).await?;
        let answer = reply.json()?;
        let found = answer["detail"][0]["loc"].as_array().map(|loc| json!(loc[..2.min(loc.len())]));
        assert_eq!((reply.status, found), (422, Some(loc)), "{path}: {answer}");
    }
    Ok(())
}

#[tokio::test]
async fn unknown_routes_and_methods_answer_in_json() -> Outcome {
    let server = Running::lite().await?;
    let reply = server.client.get("/nowhere", USER).await?;
    assert_eq!((reply.status, reply.json()?["detail"].as_str()), (404, Some("Not Found")));
    assert_eq!(reply.json()?["code"], "not_found");
    let reply = server.client.api("PUT", "/memory/write").key(USER).send().await?;
    assert_eq!((reply.status, reply.json()?["code"].as_str()), (405, Some("unsupported")));
    assert!(reply.header("allow").is_some_and(|methods| methods.contains("POST")));
    let id = uuid::Uuid::nil();
    let reply = server.client.post(&format!("/facts/{id}/supersede"), USER, &json!({})).await?;
    assert_eq!((reply.status, reply.json()?["code"].as_str()), (501, Some("unsupported")));
    Ok(())
}

#[tokio::test]
async fn only_a_batch_may_be_large() -> Outcome {
    let server = Running::lite().await?;
    let turn = json!({ "content": "x", "metadata": { "notes": "n".repeat(5 << 20) } });
    let reply = server.client.post("/memory/write", USER, &turn).await?;
    assert_eq!((reply.status, reply.json()?["code"].as_str()), (413, Some("invalid_input")));
    let batch = json!({ "turns": [turn] });
    assert_eq!(server.client.post("/memory/write_batch", USER, &batch).await?.status, 200);
    let many = format!("{{\"turns\": [{}1]}}", "1,".repeat(2_000_000));
    let reply = server.client.api("POST", "/memory/write_batch").key(USER).body(many).send().await?;
    assert_eq!(reply.status, 413);
    Ok(())
}

#[tokio::test]
async fn a_body_beyond_the_limit_is_refused_compressed_or_not() -> Outcome {
    let mut config = Config::default();
    config.server.max_body_bytes = 2000;
    let server = Running::start(cml::connect::backend(&Config::default()).await?, &config).await?;
    let large = json!({ "content": "word ".repeat(1000) }).to_string();
    let reply = server.client.api("POST", "/memory/write").key(USER).body(large.clone()).send().await?;
    assert_eq!((reply.status, reply.json()?["code"].as_str()), (413, Some("invalid_input")));
    let request = server.client.api("POST", "/memory/write").key(USER).header("content-encoding", "gzip");
    let packed = gzip(large.as_bytes())?;
    assert!(packed.len() < 2000);
    assert_eq!(request.clone().body(packed).send().await?.status, 413);
    assert_eq!(request.clone().body(gzip(br#"{"content": "I like figs"}"#)?).send().await?.status, 200);
    assert_eq!(request.body("no gzip").send().await?.status, 422);
    let request = server.client.api("POST", "/memory/write").key(USER).header("content-encoding", "br");
    assert_eq!(request.body("x").send().await?.status, 415);
    Ok(())
}

#[tokio::test]
async fn long_answers_are_compressed_where_that_is_accepted() -> Outcome {
    let server = Running::lite().await?;
    let content = "I like figs. ".repeat(200);
    server
        .client
        .post("/memory/write", USER, &json!({ "content": content, "extract": "raw" }))
        .await?
        .ok()?;
    let list = server.client.api("GET", "/memories").key(USER).header("accept-encoding", "gzip");
    let reply = list.send().await?;
    assert_eq!(reply.header("content-encoding"), Some("gzip"));
    let mut text = String::new();
    GzDecoder::new(&*reply.body).read_to_string(&mut text)?;
    assert!(text.contains("I like figs."));
    let short =
        server.client.api("GET", "/whoami").key(USER).header("accept-encoding", "gzip").send().await?;
    assert_eq!(short.header("content-encoding"), None);
    assert_eq!(server.client.get("/memories", USER).await?.header("content-encoding"), None);
    Ok(())
}

#[tokio::test]
async fn request_ids_come_back_where_they_are_harmless() -> Outcome {
    let server = Running::lite().await?;
    let id_of = async |given: &str| -> Outcome<String> {
        let reply =
            server.client.api("GET", "/whoami").key(USER).header("X-Request-ID", given).send().await?;
        assert!(reply.header("x-response-time").is_some_and(|time| time.ends_with("ms")));
        Ok(reply.header("x-request-id").ok_or("no id")?.to_owned())
    };
    assert_eq!(id_of("r-1").await?, "r-1");
    for bad in ["a b", &"x".repeat(101), "é"] {
        let id = id_of(bad).await?;
        assert!(id.parse::<uuid::Uuid>().is_ok(), "{id}");
    }
    let reply = server.client.get("/nowhere", USER).await?;
    assert_eq!(reply.json()?["request_id"].as_str(), reply.header("x-request-id"));
    Ok(())
}

#[tokio::test]
async fn changes_below_the_dashboard_need_the_header_of_scripts() -> Outcome {
    let server = Running::lite().await?;
    let request = server.client.api("POST", "/dashboard/consolidate").key(ADMIN).json(&json!({}));
    let reply = request.clone().send().await?;
    assert_eq!((reply.status, reply.json()?["detail"].as_str()), (403, Some("CSRF header required")));
    assert_ne!(request.header("X-Requested-With", "XMLHttpRequest").send().await?.status, 403);
    Ok(())
}

#[tokio::test]
async fn browsers_may_call_from_configured_origins_alone() -> Outcome {
    let preflight = async |server: &Running| -> Outcome<Option<String>> {
        let request = server.client.api("OPTIONS", "/memory/read").header("origin", "https://app.example");
        let reply = request.header("access-control-request-method", "POST").send().await?;
        Ok(reply.header("access-control-allow-origin").map(str::to_owned))
    };
    assert_eq!(preflight(&Running::lite().await?).await?, None);
    let mut config = Config::default();
    config.server.cors_origins = vec!["https://app.example".to_owned()];
    let server = Running::start(cml::connect::backend(&Config::default()).await?, &config).await?;
    assert_eq!(preflight(&server).await?.as_deref(), Some("https://app.example"));
    Ok(())
}

fn gzip(bytes: &[u8]) -> std::io::Result<Vec<u8>> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(bytes)?;
    encoder.finish()
}
