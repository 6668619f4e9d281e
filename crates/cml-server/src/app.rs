//! What every handler shares.

use std::{sync::Arc, time::Instant};

use bytes::Bytes;
use cml_core::{Config, MemoryBackend};
use tokio::sync::Semaphore;

use crate::{
    health::HealthCache, keys::Keys, limits::RateLimits, metrics::Metrics, openapi, routes::Routes,
    traffic::Traffic,
};

/// The server's state; a clone costs one reference count.
#[derive(Clone)]
pub(crate) struct App(Arc<Parts>);

struct Parts {
    backend: Arc<dyn MemoryBackend>,
    config: Config,
    keys: Keys,
    limits: RateLimits,
    traffic: Traffic,
    metrics: Metrics,
    health: HealthCache,
    permits: Semaphore,
    openapi: Bytes,
    started: Instant,
}

impl App {
    pub(crate) fn new(backend: Arc<dyn MemoryBackend>, config: &Config, keys: Keys, routes: &Routes) -> Self {
        let server = &config.server;
        Self(Arc::new(Parts {
            health: HealthCache::new(Arc::clone(&backend)),
            backend,
            keys,
            limits: RateLimits::new(server.rate_limit_rpm),
            traffic: Traffic::default(),
            metrics: Metrics::new(),
            permits: Semaphore::new(server.max_concurrent.min(Semaphore::MAX_PERMITS)),
            openapi: openapi::document(routes),
            started: Instant::now(),
            config: config.clone(),
        }))
    }

    pub(crate) fn backend(&self) -> &dyn MemoryBackend {
        &*self.0.backend
    }

    pub(crate) fn config(&self) -> &Config {
        &self.0.config
    }

    pub(crate) fn keys(&self) -> &Keys {
        &self.0.keys
    }

    pub(crate) fn limits(&self) -> &RateLimits {
        &self.0.limits
    }

    /// Requests per hour.
    pub(crate) fn traffic(&self) -> &Traffic {
        &self.0.traffic
    }

    pub(crate) fn metrics(&self) -> &Metrics {
        &self.0.metrics
    }

    pub(crate) fn health(&self) -> &HealthCache {
        &self.0.health
    }

    /// One permit per request that is worked on.
    pub(crate) fn permits(&self) -> &Semaphore {
        &self.0.permits
    }

    /// The OpenAPI document as JSON.
    pub(crate) fn openapi(&self) -> &Bytes {
        &self.0.openapi
    }

    /// When the server was built.
    pub(crate) fn started(&self) -> Instant {
        self.0.started
    }
}
