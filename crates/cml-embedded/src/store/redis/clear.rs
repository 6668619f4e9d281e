//! Removing what is kept of a tenant, also when Redis is away for a while.

use std::{
    collections::HashSet,
    sync::{Arc, Mutex, MutexGuard, PoisonError, Weak},
    time::Duration,
};

use redis::RedisResult;
use uuid::Uuid;

use super::{Inner, LIFE};

/// Pause between attempts to clear what could not be cleared.
const RETRY: Duration = Duration::from_secs(1);

/// Keys that one step looks at.
const STEP: usize = 1_000;

/// Tenants that wait to be cleared. Nothing of them is asked or kept by this process.
#[derive(Debug, Default)]
pub(super) struct Waiting(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    tenants: HashSet<String>,
    /// Whether a task tries again.
    retried: bool,
}

impl Waiting {
    pub(super) fn contains(&self, tenant: &str) -> bool {
        self.state().tenants.contains(tenant)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Clears a tenant now or, if that fails, as soon as Redis answers.
pub(super) async fn clear(inner: &Arc<Inner>, tenant: &str) -> bool {
    inner.waiting.state().tenants.insert(tenant.to_owned());
    match sweep(inner, tenant).await {
        Ok(()) => {
            inner.waiting.state().tenants.remove(tenant);
            true
        }
        Err(error) => {
            tracing::debug!(%error, "a cache is cleared later");
            let mut state = inner.waiting.state();
            if !std::mem::replace(&mut state.retried, true) {
                tokio::spawn(retry(Arc::downgrade(inner)));
            }
            false
        }
    }
}

/// Begins a new generation, so that no value of a former one is found any more, and removes those.
async fn sweep(inner: &Inner, tenant: &str) -> RedisResult<()> {
    let generation = Uuid::now_v7().simple().to_string();
    let mut begin = redis::cmd("SET");
    begin.arg(inner.keys.generation(tenant)).arg(&generation).arg("PX").arg(LIFE.as_millis() as u64);
    inner.run::<()>(begin).await?;
    let present = format!("{}{generation}:", inner.keys.values(tenant));
    let pattern = inner.keys.pattern(tenant);
    let mut cursor = 0u64;
    loop {
        let mut scan = redis::cmd("SCAN");
        scan.arg(cursor).arg("MATCH").arg(&pattern).arg("COUNT").arg(STEP);
        let (next, mut keys): (u64, Vec<String>) = inner.run(scan).await?;
        keys.retain(|key| !key.starts_with(&present));
        if !keys.is_empty() {
            let mut unlink = redis::cmd("UNLINK");
            unlink.arg(keys);
            inner.run::<u64>(unlink).await?;
        }
        if next == 0 {
            return Ok(());
        }
        cursor = next;
    }
}

/// Tries again until every tenant is cleared or the cache is dropped.
async fn retry(cache: Weak<Inner>) {
    loop {
        tokio::time::sleep(RETRY).await;
        let Some(inner) = cache.upgrade() else { return };
        let tenants: Vec<String> = {
            let mut state = inner.waiting.state();
            state.retried = !state.tenants.is_empty();
            state.tenants.iter().cloned().collect()
        };
        if tenants.is_empty() {
            return;
        }
        for tenant in tenants {
            if sweep(&inner, &tenant).await.is_err() {
                break;
            }
            inner.waiting.state().tenants.remove(&tenant);
        }
    }
}
