//! Server-sent events.

use std::sync::Arc;

use cml_core::Config;
use serde_json::{Value, json};
use tokio::io::AsyncReadExt as _;

use crate::{Outcome, Running, USER, fake::Fake};

#[tokio::test]
async fn a_stream_has_one_line_per_memory_and_then_done() -> Outcome {
    let server = Running::lite().await?;
    for content in ["I like figs", "I like plums\nand pears"] {
        server.client.post("/memory/write", USER, &json!({ "content": content })).await?.ok()?;
    }
    let query = json!({ "query": "", "max_results": 5 });
    let plain = server.client.post("/memory/read", USER, &query).await?.ok()?;
    let request = server.client.api("POST", "/memory/read/stream").key(USER);
    let reply = request.header("accept-encoding", "gzip").json(&query).send().await?;
    assert_eq!(reply.header("content-type"), Some("text/event-stream"));
    assert_eq!(reply.header("content-encoding"), None);
    let text = reply.text();
    let (items, end) = text.split_once("event: done\n").ok_or("no end")?;
    let items: Vec<Value> = items
        .split_terminator("\n\n")
        .map(|event| Ok(serde_json::from_str(event.strip_prefix("data: ").ok_or("no data")?)?))
        .collect::<Outcome<_>>()?;
    assert_eq!(items.len(), 2);
    let ids = |items: &[Value]| items.iter().map(|item| item["id"].clone()).collect::<Vec<_>>();
    assert_eq!(Some(ids(&items)), plain["memories"].as_array().map(|items| ids(items)));
    let end =
        end.strip_prefix("data: ").and_then(|end| end.strip_suffix("\n\n")).ok_or("no data at the end")?;
    let end: Value = serde_json::from_str(end)?;
    assert_eq!(end["total_count"], 2);
    assert!(end["elapsed_ms"].is_number() && end["retrieval_meta"].is_object());
    Ok(())
}

#[tokio::test]
async fn a_broken_request_fails_before_the_stream_begins() -> Outcome {
    let server = Running::lite().await?;
    let reply = server.client.post("/memory/read/stream", USER, &json!({ "max_results": 0 })).await?;
    assert_eq!(reply.status, 422);
    Ok(())
}

#[tokio::test]
async fn a_failure_in_mid_stream_is_an_event() -> Outcome {
    let server = Running::start(Arc::new(Fake::default()), &Config::default()).await?;
    let reply = server.client.post("/memory/read/stream", USER, &json!({ "query": "broken" })).await?;
    let text = reply.text();
    let (items, end) = text.split_once("event: error\ndata: ").ok_or("no error")?;
    assert_eq!(items.lines().count(), 2);
    let end: Value = serde_json::from_str(end.trim_end())?;
    assert_eq!((end["detail"].as_str(), end["code"].as_str()), (Some("away"), Some("unavailable")));
    Ok(())
}

#[tokio::test]
async fn who_hangs_up_stops_the_work() -> Outcome {
    let backend = Arc::new(Fake::default());
    let server = Running::start(Arc::clone(&backend) as _, &Config::default()).await?;
    let request = server.client.api("POST", "/memory/read/stream").key(USER);
    let mut stream = request.json(&json!({ "query": "endless" })).open().await?;
    stream.read_exact(&mut [0; 20_000]).await?;
    drop(stream);
    backend.dropped.notified().await;
    Ok(())
}
