//! The backend's health, asked at most once a second.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use cml_core::{Error, ErrorKind, MemoryBackend, Result, ops::Health};
use tokio::{
    sync::{Mutex as AsyncMutex, OwnedMutexGuard},
    time::timeout,
};

/// How long an answer stands.
const FRESH: Duration = Duration::from_secs(1);
/// How long an answer is given while the backend is too busy for another one.
const KNOWN: Duration = Duration::from_secs(15);
/// How long a call waits for a fresh answer where an older one is known.
const PATIENCE: Duration = Duration::from_millis(10);
/// How long a call waits for an answer where none is known.
const FIRST: Duration = Duration::from_secs(5);

/// The last answer, and one question at a time.
#[derive(Debug)]
pub(crate) struct HealthCache(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    backend: Arc<dyn MemoryBackend>,
    last: Mutex<Option<(Instant, Health)>>,
    asking: Arc<AsyncMutex<()>>,
}

impl HealthCache {
    pub(crate) fn new(backend: Arc<dyn MemoryBackend>) -> Self {
        Self(Arc::new(Inner { backend, last: Mutex::default(), asking: Arc::default() }))
    }

    /// How the backend does. A busy backend does not delay the answer: the last one is given for a while.
    ///
    /// # Errors
    /// As [`MemoryBackend::health`]; `Unavailable` when the backend has not answered for some seconds.
    pub(crate) async fn get(&self) -> Result<Health> {
        if let Some(health) = self.0.within(FRESH) {
            return Ok(health);
        }
        match self.0.within(KNOWN) {
            Some(known) => match Arc::clone(&self.0.asking).try_lock_owned() {
                Ok(turn) => timeout(PATIENCE, self.ask(turn)).await.unwrap_or(Ok(known)),
                Err(_asked) => Ok(known),
            },
            None => timeout(FIRST, self.wait()).await.unwrap_or_else(|_elapsed| Err(silent())),
        }
    }

    /// The next answer, to this call or to the one that asks already.
    async fn wait(&self) -> Result<Health> {
        let turn = Arc::clone(&self.0.asking).lock_owned().await;
        match self.0.within(FRESH) {
            Some(health) => Ok(health),
            None => self.ask(turn).await,
        }
    }

    /// Asks in a task of its own: the turn ends with the answer, not with the call that waits for it.
    async fn ask(&self, turn: OwnedMutexGuard<()>) -> Result<Health> {
        let inner = Arc::clone(&self.0);
        let asked = tokio::spawn(async move {
            let answer = inner.backend.health().await;
            if let Ok(health) = &answer {
                let mut last = inner.last.lock().unwrap_or_else(PoisonError::into_inner);
                *last = Some((Instant::now(), health.clone()));
            }
            drop(turn);
            answer
        });
        asked.await.unwrap_or_else(|error| Err(silent().with_source(error)))
    }
}

impl Inner {
    /// The last answer, where it is not older than `age`.
    fn within(&self, age: Duration) -> Option<Health> {
        let last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        last.as_ref().filter(|(at, _)| at.elapsed() < age).map(|(_, health)| health.clone())
    }
}

fn silent() -> Error {
    Error::new(ErrorKind::Unavailable, "the backend does not answer")
}
