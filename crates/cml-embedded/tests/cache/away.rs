//! Redis that is away at the start, goes, stays silent, and comes back.

use std::{net::TcpListener, sync::Arc, time::Duration};

use cml_core::{
    MemoryBackend as _, Scope, Subject,
    config::SecretString,
    ops::{ComponentStatus, EraseRequest, ReadRequest, WriteRequest},
};
use cml_embedded::{
    EmbeddedBackend,
    clock::ManualClock,
    store::{
        Cache, CacheKey,
        redis::{RedisCache, RedisOptions},
    },
};

use crate::{
    fixtures::{Hashed, Outcome, engine, eventually, start, store, uses},
    proxy::Proxy,
    redis::{Server, open},
    suite::{self, soon},
};

const HOUR: Duration = Duration::from_secs(3600);

/// A port at which nobody listens.
fn closed() -> Outcome<String> {
    let port = TcpListener::bind(("127.0.0.1", 0))?.local_addr()?.port();
    Ok(format!("redis://:s3cret@127.0.0.1:{port}/0"))
}

/// A cache that waits as short as in use.
fn impatient(url: &str, prefix: &str) -> Outcome<Arc<RedisCache>> {
    let timeout = Duration::from_millis(50);
    let options = RedisOptions { url: SecretString::new(url), prefix: prefix.to_owned(), timeout };
    Ok(Arc::new(RedisCache::open(&options)?))
}

#[tokio::test]
async fn a_cache_that_is_away_at_the_start_is_no_error() -> Outcome {
    suite::away(open(&closed()?, "cml")?.as_ref()).await
}

#[tokio::test]
async fn a_wrong_password_is_as_if_it_were_away() -> Outcome {
    let Some(server) = Server::of_environment() else { return Ok(()) };
    let (scheme, rest) = server.url.split_once("://").ok_or("no URL")?;
    let rest = rest.rsplit_once('@').map_or(rest, |(_, rest)| rest);
    let url = format!("{scheme}://wrong:s3cret@{rest}");
    suite::away(open(&url, &server.prefix)?.as_ref()).await
}

#[tokio::test]
async fn memory_goes_on_without_it_and_says_so() -> Outcome {
    let clock = ManualClock::new(start());
    let store = store().await?;
    let engine = engine(&store, open(&closed()?, "cml")?, Hashed::new(), &clock).await?;
    let backend = EmbeddedBackend::new(engine, "full");
    let scope = Scope::new("acme")?.with_session("s1")?;
    for written in backend.write_batch(&scope, vec![WriteRequest::new("The boat is blue")]).await? {
        written?;
    }
    for _ in 0..2 {
        assert_eq!(backend.read(&scope, ReadRequest::new("boat")).await?.total_count, 1);
    }
    assert_eq!(backend.sessions()?.context(&scope, "s1", 100).await?.messages.len(), 1);
    let health = backend.health().await?;
    assert_eq!(health.status, "degraded");
    let cache = health.components.iter().find(|part| part.name == "Cache").ok_or("no component")?;
    assert_eq!(cache.status, ComponentStatus::Degraded);
    assert!(cache.error.as_ref().is_some_and(|error| !error.contains("s3cret")));
    backend.erase(&scope.whole_tenant(), EraseRequest::new(Subject::Tenant)).await?;
    assert_eq!(backend.read(&scope, ReadRequest::new("boat")).await?.total_count, 0);
    Ok(())
}

#[tokio::test]
async fn a_cache_that_goes_and_comes_back_is_used_again() -> Outcome {
    let Some(server) = Server::of_environment() else { return Ok(()) };
    let proxy = Proxy::to(&server.url)?;
    let cache = open(&proxy.url(&server.url)?, &server.prefix)?;
    let key = CacheKey::Answer([1; 16]);
    for _ in 0..2 {
        eventually(async || {
            let found = cache.get("acme", &[key]).await;
            cache.put(&found.ticket, vec![(key, vec![1])], HOUR).await;
            found.values == [Some(vec![1])]
        })
        .await?;
        proxy.cut();
        assert_eq!(cache.get("acme", &[key]).await.values, [None]);
        assert_eq!(cache.count("requests", HOUR).await, None);
        proxy.restore();
    }
    Ok(())
}

#[tokio::test]
async fn listeners_hear_again_after_the_connection_was_lost() -> Outcome {
    use futures_util::StreamExt as _;
    let Some(server) = Server::of_environment() else { return Ok(()) };
    let proxy = Proxy::to(&server.url)?;
    let mut heard = open(&proxy.url(&server.url)?, &server.prefix)?.woken();
    let waker = server.cache()?;
    for work in ["before", "after"] {
        let listener = tokio::spawn(async move {
            while heard.next().await.as_deref() != Some(work) {}
            heard
        });
        eventually(async || {
            waker.wake(work).await;
            listener.is_finished()
        })
        .await?;
        heard = listener.await?;
        proxy.restore();
    }
    Ok(())
}

#[tokio::test]
async fn a_silent_cache_is_asked_once_in_a_while_only() -> Outcome {
    let Some(server) = Server::of_environment() else { return Ok(()) };
    let proxy = Proxy::to(&server.url)?;
    proxy.mute();
    let cache = impatient(&proxy.url(&server.url)?, &server.prefix)?;
    for _ in 0..5_000 {
        assert_eq!(cache.count("requests", HOUR).await, None);
    }
    assert!(proxy.accepted() <= 20, "{} connections", proxy.accepted());
    proxy.restore();
    eventually(async || cache.count("requests", HOUR).await.is_some()).await
}

#[tokio::test]
async fn what_could_not_be_cleared_is_cleared_when_it_is_back() -> Outcome {
    let Some(server) = Server::of_environment() else { return Ok(()) };
    let proxy = Proxy::to(&server.url)?;
    let (cut, other) = (open(&proxy.url(&server.url)?, &server.prefix)?, server.cache()?);
    let key = CacheKey::Embedding([1; 16]);
    let found = cut.get("acme", &[key]).await;
    cut.put(&found.ticket, vec![(key, vec![1])], HOUR).await;
    assert_eq!(server.values()?, 1);
    proxy.cut();
    assert!(!cut.clear("acme").await);
    assert_eq!(other.get("acme", &[key]).await.values, [Some(vec![1])]);
    proxy.restore();
    soon(eventually(async || other.get("acme", &[key]).await.values == [None])).await??;
    eventually(async || server.values().is_ok_and(|values| values == 0)).await?;
    eventually(async || {
        let found = cut.get("acme", &[key]).await;
        cut.put(&found.ticket, vec![(key, vec![2])], HOUR).await;
        found.values == [Some(vec![2])]
    })
    .await
}

#[tokio::test]
async fn an_erasure_that_the_cache_missed_is_an_erasure_all_the_same() -> Outcome {
    let Some(server) = Server::of_environment() else { return Ok(()) };
    let (clock, store, proxy) = (ManualClock::new(start()), store().await?, Proxy::to(&server.url)?);
    let embedder = Hashed::new();
    let cut = open(&proxy.url(&server.url)?, &server.prefix)?;
    let first = engine(&store, cut, Arc::clone(&embedder), &clock).await?;
    let second = engine(&store, server.cache()?, Arc::clone(&embedder), &clock).await?;
    let scope = Scope::new("acme")?;
    let text = "The boat is blue";
    first.write_batch(&scope, vec![WriteRequest::new(text)]).await?;
    for engine in [&first, &second] {
        assert_eq!(engine.read(&scope, ReadRequest::new("boat")).await?.total_count, 1);
    }
    assert_eq!(uses(&second, "answers_taken"), 1);
    proxy.cut();
    first.erase(&scope, EraseRequest::new(Subject::Tenant)).await?;
    assert!(server.values()? > 0, "nobody could clear it");
    for engine in [&first, &second] {
        assert_eq!(engine.read(&scope, ReadRequest::new("boat")).await?.total_count, 0);
    }
    let asked = embedder.asked();
    second.write_batch(&scope, vec![WriteRequest::new(text)]).await?;
    assert_eq!(embedder.asked(), asked + 1, "a vector from before the erasure is not used");
    proxy.restore();
    eventually(async || server.values().is_ok_and(|values| values == 0)).await
}
