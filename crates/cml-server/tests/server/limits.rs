//! Rates, room and time.

use std::{sync::Arc, time::Duration};

use cml_core::Config;
use serde_json::json;

use crate::{
    ADMIN, OTHER, Outcome, Running, USER,
    fake::{Counted, Fake},
};

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
async fn servers_that_share_a_counter_share_the_rate() -> Outcome {
    let mut config = Config::default();
    config.server.rate_limit_rpm = 3;
    let counted = Counted::default();
    let server = async || {
        let backend = Fake { counted: Some(Arc::clone(&counted)), ..Fake::default() };
        Running::start(Arc::new(backend), &config).await
    };
    let (first, second) = (server().await?, server().await?);
    for server in [&first, &second, &first] {
        assert_eq!(server.client.get("/whoami", USER).await?.status, 200);
    }
    let reply = second.client.get("/whoami", USER).await?;
    assert_eq!((reply.status, reply.header("retry-after")), (429, Some("7")));
    assert_eq!(second.client.get("/whoami", OTHER).await?.status, 200);
    let limits = first.client.get("/dashboard/ratelimits", ADMIN).await?.ok()?;
    assert_eq!(limits["configured_rpm"], 3);
    let counted = counted.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    assert_eq!(counted.len(), 3, "one counter per key");
    assert!(counted.keys().all(|key| !key.contains(USER)), "no secret");
    Ok(())
}

#[tokio::test]
async fn without_a_limit_nothing_is_counted() -> Outcome {
    let counted = Counted::default();
    let backend = Fake { counted: Some(Arc::clone(&counted)), ..Fake::default() };
    let server = Running::start(Arc::new(backend), &Config::default()).await?;
    assert_eq!(server.client.get("/whoami", USER).await?.status, 200);
    assert!(counted.lock().is_ok_and(|counted| counted.is_empty()));
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
