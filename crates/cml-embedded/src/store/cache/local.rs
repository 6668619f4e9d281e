//! What one process keeps for itself.

use std::{
    collections::{BTreeMap, HashMap},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use cml_core::{BoxStream, MemoryId, Result};
use futures_util::{StreamExt as _, stream};
use tokio::sync::broadcast;

use super::{Cache, CacheKey, Kept, Settled, Ticket};
use crate::clock::Clock;

/// Most marks of one tenant; beyond them those that end first go.
const MARKS: usize = 10_000;

/// Wake-ups that a slow listener may be behind.
const WAKE_UPS: usize = 64;

/// Marks by session and memory, with their end.
type Marks = HashMap<(String, MemoryId), DateTime<Utc>>;

/// Marks and wake-ups of this process. Keeps no values: the search index is in memory anyway.
#[derive(Debug)]
pub struct LocalCache {
    clock: Arc<dyn Clock>,
    marks: Mutex<HashMap<String, Marks>>,
    wake: broadcast::Sender<String>,
}

impl LocalCache {
    /// A cache in which marks end by `clock`.
    #[must_use]
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        Self { clock, marks: Mutex::default(), wake: broadcast::channel(WAKE_UPS).0 }
    }

    /// Works on the marks of every tenant that did not end.
    fn marks<T>(&self, work: impl FnOnce(&mut HashMap<String, Marks>, DateTime<Utc>) -> T) -> T {
        let now = self.clock.now();
        let mut tenants = self.marks.lock().unwrap_or_else(PoisonError::into_inner);
        tenants.retain(|_, marks| {
            marks.retain(|_, end| *end > now);
            !marks.is_empty()
        });
        work(&mut tenants, now)
    }
}

#[async_trait]
impl Cache for LocalCache {
    fn is_shared(&self) -> bool {
        false
    }

    async fn get(&self, _tenant: &str, keys: &[CacheKey]) -> Kept {
        Kept::nothing(keys.len())
    }

    async fn put(&self, _ticket: &Ticket, _values: Vec<(CacheKey, Vec<u8>)>, _length: Duration) {}

    async fn clear(&self, _tenant: &str) -> bool {
        true
    }

    async fn count(&self, _name: &str, _window: Duration) -> Option<(u64, Duration)> {
        None
    }

    async fn wake(&self, work: &str) {
        // Nobody listens: nobody is woken.
        drop(self.wake.send(work.to_owned()));
    }

    fn woken(&self) -> BoxStream<'static, String> {
        let heard = stream::unfold(self.wake.subscribe(), |mut listener| async move {
            loop {
                match listener.recv().await {
                    Ok(work) => return Some((work, listener)),
                    Err(broadcast::error::RecvError::Lagged(_)) => {}
                    Err(broadcast::error::RecvError::Closed) => return None,
                }
            }
        });
        heard.chain(stream::pending()).boxed()
    }

    async fn mark_labile(&self, tenant: &str, session: &str, memories: &[MemoryId], length: Duration) {
        self.marks(|tenants, now| {
            let marks = tenants.entry(tenant.to_owned()).or_default();
            marks.extend(memories.iter().map(|memory| ((session.to_owned(), *memory), now + length)));
            if marks.len() > MARKS {
                let mut ends: Vec<_> = marks.values().copied().collect();
                let (_, least, _) = ends.select_nth_unstable(marks.len() - MARKS);
                let least = *least;
                marks.retain(|_, end| *end >= least);
            }
        });
    }

    async fn labile(&self, tenant: &str) -> BTreeMap<String, Vec<MemoryId>> {
        let mut sessions: BTreeMap<String, Vec<MemoryId>> = BTreeMap::new();
        self.marks(|tenants, _| {
            for (session, memory) in tenants.get(tenant).into_iter().flat_map(HashMap::keys) {
                sessions.entry(session.clone()).or_default().push(*memory);
            }
        });
        sessions.values_mut().for_each(|memories| memories.sort_unstable());
        sessions
    }

    async fn settle(&self, tenant: &str, settled: Settled<'_>) {
        self.marks(|tenants, _| match (settled, tenants.get_mut(tenant)) {
            (_, None) => {}
            (Settled::Tenant, Some(marks)) => marks.clear(),
            (Settled::Session(name), Some(marks)) => marks.retain(|(session, _), _| session != name),
            (Settled::Memories(ids), Some(marks)) => marks.retain(|(_, memory), _| !ids.contains(memory)),
        });
    }

    async fn ping(&self) -> Result<BTreeMap<String, serde_json::Value>> {
        Ok(BTreeMap::new())
    }
}
