//! The backend's health, asked at most once a second.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use cml_core::{MemoryBackend, Result, ops::Health};
use tokio::sync::Mutex as AsyncMutex;

/// How long an answer stands.
const FRESH: Duration = Duration::from_secs(1);
/// How long a call waits for a fresh answer where an older one is known.
const PATIENCE: Duration = Duration::from_millis(10);

/// The last answer, and one question at a time.
#[derive(Debug)]
pub(crate) struct HealthCache(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    backend: Arc<dyn MemoryBackend>,
    last: Mutex<Option<(Instant, Health)>>,
    asking: AsyncMutex<()>,
}

impl HealthCache {
    pub(crate) fn new(backend: Arc<dyn MemoryBackend>) -> Self {
        Self(Arc::new(Inner { backend, last: Mutex::default(), asking: AsyncMutex::default() }))
    }

    /// How the backend does. A busy backend does not delay the answer: the last one known is given.
    ///
    /// # Errors
    /// As [`MemoryBackend::health`].
    pub(crate) async fn get(&self) -> Result<Health> {
        let (fresh, last) = self.0.last();
        match last {
            Some(health) if fresh => Ok(health),
            Some(health) => {
                let inner = Arc::clone(&self.0);
                let asked = tokio::spawn(async move { inner.ask().await });
                match tokio::time::timeout(PATIENCE, asked).await {
                    Ok(Ok(answer)) => answer,
                    _ => Ok(health),
                }
            }
            None => self.0.ask().await,
        }
    }
}

impl Inner {
    /// The last answer, and whether it still stands.
    fn last(&self) -> (bool, Option<Health>) {
        let last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        match &*last {
            Some((at, health)) => (at.elapsed() < FRESH, Some(health.clone())),
            None => (false, None),
        }
    }

    async fn ask(&self) -> Result<Health> {
        let _turn = self.asking.lock().await;
        if let (true, Some(health)) = self.last() {
            return Ok(health);
        }
        let health = self.backend.health().await?;
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        *last = Some((Instant::now(), health.clone()));
        Ok(health)
    }
}
