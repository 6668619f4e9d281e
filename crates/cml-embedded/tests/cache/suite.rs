//! What every cache does, and what every shared one does.

use std::{collections::BTreeMap, future::Future, time::Duration};

use cml_core::MemoryId;
use cml_embedded::store::{Cache, CacheKey, Settled};
use futures_util::StreamExt as _;

use crate::fixtures::{Outcome, eventually};

const HOUR: Duration = Duration::from_secs(3600);

fn sessions(of: &[(&str, &[MemoryId])]) -> BTreeMap<String, Vec<MemoryId>> {
    of.iter().map(|(session, memories)| ((*session).to_owned(), memories.to_vec())).collect()
}

/// Marks are per tenant and session, and settled by either or by memory.
pub(crate) async fn marks(cache: &dyn Cache) -> Outcome {
    let [a, b, c] = [MemoryId::new(), MemoryId::new(), MemoryId::new()];
    assert_eq!(cache.labile("acme").await, BTreeMap::new());
    cache.mark_labile("acme", "s1", &[b, a, b], HOUR).await;
    cache.mark_labile("acme", "s2", &[a, c], HOUR).await;
    cache.mark_labile("globex", "s1", &[c], HOUR).await;
    let all = [("s1", &[a, b][..]), ("s2", &[a, c])];
    assert_eq!(cache.labile("acme").await, sessions(&all));
    cache.mark_labile("acme", "s1", &[a], HOUR).await;
    assert_eq!(cache.labile("acme").await, sessions(&all), "marked twice is marked");
    cache.settle("acme", Settled::Memories(&[a])).await;
    assert_eq!(cache.labile("acme").await, sessions(&[("s1", &[b]), ("s2", &[c])]));
    cache.settle("acme", Settled::Session("s1")).await;
    assert_eq!(cache.labile("acme").await, sessions(&[("s2", &[c])]));
    cache.settle("acme", Settled::Tenant).await;
    cache.settle("acme", Settled::Memories(&[c])).await;
    assert_eq!(cache.labile("acme").await, BTreeMap::new());
    assert_eq!(cache.labile("globex").await, sessions(&[("s1", &[c])]));
    Ok(())
}

/// `later` lets a time pass where the cache's clock is the test's; a clock of its own passes by itself.
pub(crate) async fn marks_end(cache: &dyn Cache, later: impl FnOnce(Duration)) -> Outcome {
    let [a, b] = [MemoryId::new(), MemoryId::new()];
    cache.mark_labile("ends", "s1", &[a], Duration::from_millis(30)).await;
    cache.mark_labile("ends", "s2", &[b], HOUR).await;
    later(Duration::from_millis(30));
    eventually(async || cache.labile("ends").await == sessions(&[("s2", &[b])])).await
}

/// Everyone who listens hears of work.
pub(crate) async fn wake_ups(cache: &dyn Cache) -> Outcome {
    let listen =
        |mut heard: cml_core::BoxStream<'static, String>| tokio::spawn(async move { heard.next().await });
    let listeners = [listen(cache.woken()), listen(cache.woken())];
    eventually(async || {
        cache.wake("projection").await;
        listeners.iter().all(tokio::task::JoinHandle::is_finished)
    })
    .await?;
    for listener in listeners {
        assert_eq!(listener.await?.as_deref(), Some("projection"));
    }
    Ok(())
}

/// A cache of one process has no values and shares no counter.
pub(crate) async fn nothing_is_kept(cache: &dyn Cache) -> Outcome {
    let key = CacheKey::Answer([1; 16]);
    let found = cache.get("acme", &[key]).await;
    cache.put(&found.ticket, vec![(key, vec![1])], HOUR).await;
    assert!(!cache.is_shared() && cache.clear("acme").await);
    assert_eq!(cache.get("acme", &[key]).await.values, [None]);
    assert_eq!(cache.count("requests", HOUR).await, None);
    assert_eq!(cache.ping().await?, BTreeMap::new());
    Ok(())
}

/// Values are per tenant and kind of key, and both processes see them.
pub(crate) async fn values(cache: &dyn Cache, other: &dyn Cache) -> Outcome {
    assert!(cache.is_shared());
    let [answer, vector] = [CacheKey::Answer([7; 16]), CacheKey::Embedding([7; 16])];
    let found = cache.get("acme", &[answer, vector]).await;
    assert_eq!(found.values, [None, None]);
    let bytes = vec![0, 255, 10, 13, 0];
    cache.put(&found.ticket, vec![(vector, bytes.clone())], HOUR).await;
    assert_eq!(
        other.get("acme", &[answer, vector, vector]).await.values,
        [None, Some(bytes.clone()), Some(bytes)]
    );
    assert_eq!(other.get("globex", &[vector]).await.values, [None]);
    assert!(other.get("acme", &[]).await.values.is_empty());
    let many: Vec<CacheKey> = (0u16..600)
        .map(|n| {
            CacheKey::Context([[0; 14].as_slice(), &n.to_le_bytes()].concat().try_into().unwrap_or_default())
        })
        .collect();
    let found = cache.get("many", &many).await;
    cache
        .put(&found.ticket, many.iter().map(|key| (*key, format!("{key:?}").into_bytes())).collect(), HOUR)
        .await;
    let kept = other.get("many", &many).await.values;
    assert!(many.iter().zip(&kept).all(|(key, kept)| *kept == Some(format!("{key:?}").into_bytes())));
    Ok(())
}

/// A value ends when its time is over.
pub(crate) async fn values_end(cache: &dyn Cache) -> Outcome {
    let key = CacheKey::Answer([3; 16]);
    let found = cache.get("ends", &[key]).await;
    cache.put(&found.ticket, vec![(key, vec![1])], Duration::from_millis(30)).await;
    eventually(async || cache.get("ends", &[key]).await.values == [None]).await
}

/// After a clear nothing of the tenant is found, and what was begun before it is not kept.
pub(crate) async fn clears(cache: &dyn Cache, other: &dyn Cache) -> Outcome {
    let [old, late] = [CacheKey::Answer([1; 16]), CacheKey::Embedding([2; 16])];
    for tenant in ["cleared", "cleared not"] {
        let found = cache.get(tenant, &[old]).await;
        cache.put(&found.ticket, vec![(old, vec![1])], HOUR).await;
    }
    let before = cache.get("cleared", &[late]).await;
    assert!(other.clear("cleared").await);
    assert_eq!(cache.get("cleared", &[old]).await.values, [None]);
    cache.put(&before.ticket, vec![(late, vec![2])], HOUR).await;
    assert_eq!(other.get("cleared", &[late]).await.values, [None]);
    assert_eq!(cache.get("cleared not", &[old]).await.values, [Some(vec![1])]);
    let after = cache.get("cleared", &[late]).await;
    cache.put(&after.ticket, vec![(late, vec![3])], HOUR).await;
    assert_eq!(other.get("cleared", &[late]).await.values, [Some(vec![3])]);
    assert!(cache.clear("cleared").await && cache.clear("never used").await);
    assert_eq!(other.get("cleared", &[late]).await.values, [None]);
    Ok(())
}

/// A counter counts for everyone and begins anew.
pub(crate) async fn counters(cache: &dyn Cache, other: &dyn Cache) -> Outcome {
    for expected in 1..=6u64 {
        let counting = if expected % 2 == 0 { cache } else { other };
        let (count, left) = counting.count("key one", HOUR).await.ok_or("no count")?;
        assert_eq!(count, expected);
        assert!(left <= HOUR && left > HOUR / 2);
    }
    assert_eq!(cache.count("key two", HOUR).await.map(|(count, _)| count), Some(1));
    cache.count("short", Duration::from_millis(40)).await.ok_or("no count")?;
    eventually(async || cache.count("short", Duration::from_millis(40)).await.is_some_and(|(n, _)| n == 1))
        .await
}

/// Nothing is an error for a cache that is away.
pub(crate) async fn away(cache: &dyn Cache) -> Outcome {
    let key = CacheKey::Answer([1; 16]);
    let found = cache.get("acme", &[key]).await;
    assert_eq!(found.values, [None]);
    cache.put(&found.ticket, vec![(key, vec![1])], HOUR).await;
    cache.wake("projection").await;
    cache.mark_labile("acme", "s1", &[MemoryId::new()], HOUR).await;
    assert_eq!(cache.labile("acme").await, BTreeMap::new());
    cache.settle("acme", Settled::Session("s1")).await;
    assert_eq!(cache.count("requests", HOUR).await, None);
    assert!(!cache.clear("acme").await);
    let error = cache.ping().await.err().ok_or("it answers")?;
    assert_eq!(error.kind(), cml_core::ErrorKind::Unavailable);
    for text in [format!("{error}"), format!("{error:?}"), format!("{cache:?}")] {
        assert!(!text.contains("s3cret"), "{text}");
    }
    Ok(())
}

/// The rest of a test is for whoever can wait.
pub(crate) async fn soon<T>(work: impl Future<Output = T>) -> Result<T, tokio::time::error::Elapsed> {
    tokio::time::timeout(Duration::from_secs(60), work).await
}
