//! Rates, room and time.

use std::{sync::Arc, time::Duration};

use cml_core::Config;
use serde_json::json;

use crate::{ADMIN, OTHER, Outcome, Running, USER, fake::Fake};

#[tokio::test]
async fn a_key_beyond_its_rate_is_told_when_to_come_back() -> Outcome {
    let mut config = Config::default();
    config.server.rate_limit_rpm = 3;
    let server = Running::start(cml::connect::backend(&Config::default()).await?, &config).await?;
    for _ in 0..3 {
        assert_eq!(server.client.get("/whoami", USER).await?.status, 200);
    }
    let reply = server.client.get("/whoami", USER).await?;
    assert_eq!(reply.status, 429);
    assert_eq!(reply.json()?["detail"], "Rate limit exceeded. Try again later.");
    let wait: u64 = reply.header("retry-after").ok_or("no Retry-After")?.parse()?;
    assert!((1..=20).contains(&wait), "{wait}");
    assert_eq!(server.client.get("/whoami", OTHER).await?.status, 200);
    for _ in 0..3 {
        assert_eq!(server.client.get("/whoami", "guess").await?.status, 401);
    }
    assert_eq!(server.client.get("/whoami", "guess").await?.status, 429);
    assert_eq!(server.client.get("/whoami", ADMIN).await?.status, 200);
    assert_eq!(server.client.api("GET", "/health").send().await?.status, 200);
    Ok(())
}

#[tokio::test]
async fn a_request_beyond_its_time_is_answered() -> Outcome {
    let mut config = Config::default();
    config.server.request_timeout = Duration::from_millis(50);
    config.server.max_concurrent = 1;
    let backend = Arc::new(Fake::default());
    let server = Running::start(backend, &config).await?;
    let reply = server.client.post("/memory/read", USER, &json!({ "query": "wait" })).await?;
    assert_eq!((reply.status, reply.json()?["code"].as_str()), (504, Some("timeout")));
    Ok(())
}

#[tokio::test]
async fn a_full_server_still_tells_how_it_does() -> Outcome {
    let mut config = Config::default();
    config.server.max_concurrent = 1;
    config.server.request_timeout = Duration::from_secs(60);
    let backend = Arc::new(Fake::default());
    let server = Running::start(Arc::clone(&backend) as _, &config).await?;
    let client = server.client;
    let read = |query: &'static str| async move {
        let reply = client.post("/memory/read", USER, &json!({ "query": query })).await;
        reply.map(|reply| reply.status).map_err(|error| error.to_string())
    };
    let first = tokio::spawn(read("wait"));
    backend.begun.notified().await;
    let second = tokio::spawn(read("any"));
    assert_eq!(client.root("GET", "/metrics").send().await?.status, 200);
    assert!(!second.is_finished());
    backend.go_on.notify_one();
    assert_eq!((first.await??, second.await??), (200, 200));
    Ok(())
}
