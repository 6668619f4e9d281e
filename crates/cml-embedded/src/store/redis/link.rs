//! The connection to Redis: made again by itself, never waited for.

use std::{
    future::Future,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use redis::{AsyncConnectionConfig, Client, RedisError, RedisResult, aio::MultiplexedConnection};

use super::error::answered;

/// How long nobody asks after a failure.
const PAUSE: Duration = Duration::from_secs(1);

/// How long a connection may take to come about; nobody waits for it longer than for an answer.
const CONNECT: Duration = Duration::from_secs(5);

/// One shared connection behind a circuit breaker.
///
/// A failure opens the circuit: for a second every call fails at once, then one call is let through and
/// decides for the others. The library's own `ConnectionManager` is not used: a connection that is
/// refused while Redis loads its data would stay refused for ever.
#[derive(Debug)]
pub(super) struct Link {
    client: Client,
    timeout: Duration,
    started: Instant,
    /// Until when nobody asks, in milliseconds since `started`; 0 while Redis answers.
    paused: AtomicU64,
    connection: Mutex<Option<MultiplexedConnection>>,
    /// Held while a connection is made.
    connecting: Arc<tokio::sync::Mutex<()>>,
}

impl Link {
    pub(super) fn new(client: Client, timeout: Duration) -> Arc<Self> {
        Arc::new(Self {
            client,
            timeout,
            started: Instant::now(),
            paused: AtomicU64::new(0),
            connection: Mutex::default(),
            connecting: Arc::default(),
        })
    }

    pub(super) fn client(&self) -> &Client {
        &self.client
    }

    /// Runs requests on the connection unless the circuit is open.
    pub(super) async fn run<T, F>(
        self: &Arc<Self>,
        requests: impl FnOnce(MultiplexedConnection) -> F,
    ) -> RedisResult<T>
    where
        F: Future<Output = RedisResult<T>>,
    {
        if !self.may_ask() {
            return Err(failure("did not answer a moment ago"));
        }
        self.ask(requests).await
    }

    /// Runs requests on the connection and lets what comes of them decide about the circuit.
    pub(super) async fn ask<T, F>(
        self: &Arc<Self>,
        requests: impl FnOnce(MultiplexedConnection) -> F,
    ) -> RedisResult<T>
    where
        F: Future<Output = RedisResult<T>>,
    {
        let asked = async { requests(self.connection().await?).await };
        let result = match tokio::time::timeout(self.timeout, asked).await {
            Ok(result) => result,
            Err(_elapsed) => Err(failure("did not answer in time")),
        };
        match &result {
            Err(error) if !answered(error) => {
                *self.slot() = None;
                let until = self.elapsed() + PAUSE.as_millis() as u64;
                if self.paused.swap(until, Ordering::AcqRel) == 0 {
                    tracing::warn!(%error, "redis is away; going on without it");
                }
            }
            _ => {
                if self.paused.swap(0, Ordering::AcqRel) != 0 {
                    tracing::info!("redis is back");
                }
            }
        }
        result
    }

    /// Whether the circuit is closed, or this call is the one that tries it.
    fn may_ask(&self) -> bool {
        let (until, now) = (self.paused.load(Ordering::Acquire), self.elapsed());
        let next = now + PAUSE.as_millis() as u64;
        until == 0
            || (until <= now
                && self.paused.compare_exchange(until, next, Ordering::AcqRel, Ordering::Acquire).is_ok())
    }

    fn elapsed(&self) -> u64 {
        u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    /// The connection; a new one goes on being made when the caller no longer waits for it.
    async fn connection(self: &Arc<Self>) -> RedisResult<MultiplexedConnection> {
        if let Some(connection) = self.slot().clone() {
            return Ok(connection);
        }
        let turn = Arc::clone(&self.connecting).lock_owned().await;
        if let Some(connection) = self.slot().clone() {
            return Ok(connection);
        }
        let link = Arc::clone(self);
        let connect = async move {
            let config = AsyncConnectionConfig::new()
                .set_connection_timeout(Some(CONNECT))
                .set_response_timeout(Some(CONNECT));
            let connection = link.client.get_multiplexed_async_connection_with_config(&config).await?;
            *link.slot() = Some(connection.clone());
            drop(turn);
            Ok(connection)
        };
        tokio::spawn(connect).await.unwrap_or_else(|_lost| Err(failure("could not be connected to")))
    }

    fn slot(&self) -> std::sync::MutexGuard<'_, Option<MultiplexedConnection>> {
        self.connection.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn failure(what: &'static str) -> RedisError {
    RedisError::from(std::io::Error::new(std::io::ErrorKind::TimedOut, what))
}
