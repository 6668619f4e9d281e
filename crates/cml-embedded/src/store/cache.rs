//! What is kept beside the database for speed and for sharing between processes.
//!
//! Everything here can be lost at any moment. A cache that is away answers nothing; it is never an error
//! and never waited for longer than a few milliseconds.

use std::{collections::BTreeMap, fmt::Debug, time::Duration};

use async_trait::async_trait;
use cml_core::{BoxStream, MemoryId, Result};

use super::Digest;

/// A cache shared by the processes of one store.
#[async_trait]
pub trait Cache: Debug + Send + Sync + 'static {
    /// What is kept under each key of a tenant, in order.
    async fn get(&self, tenant: &str, keys: &[CacheKey]) -> Vec<Option<Vec<u8>>>;

    /// Keeps values of a tenant for at most `length`.
    async fn put(&self, tenant: &str, values: &[(CacheKey, Vec<u8>)], length: Duration);

    /// Removes everything of a tenant. `false` when it could not be done now; then nothing of the tenant
    /// is answered until it was.
    async fn clear(&self, tenant: &str) -> bool;

    /// Adds one to a counter that begins anew after each `window`; gives its value and what is left of
    /// the window. `None` when the cache is away: then callers count for themselves.
    async fn count(&self, name: &str, window: Duration) -> Option<(u64, Duration)>;

    /// Tells every process that there is work of this name.
    async fn wake(&self, work: &str);

    /// Names of work that some process woke. Ends never; lost messages are not repeated.
    fn woken(&self) -> BoxStream<'static, String>;

    /// Marks memories that a session recalled as open to revision, for so long.
    async fn mark_labile(&self, tenant: &str, session: &str, memories: &[MemoryId], length: Duration);

    /// Memories of a tenant that are open to revision, by session.
    async fn labile(&self, tenant: &str) -> BTreeMap<String, Vec<MemoryId>>;

    /// Ends the revision of a session's memories, or of the whole tenant's.
    async fn settle(&self, tenant: &str, session: Option<&str>);

    /// A small request, for health checks.
    ///
    /// # Errors
    /// `Unavailable` when the cache is away.
    async fn ping(&self) -> Result<BTreeMap<String, serde_json::Value>>;
}

/// A key of a kept value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum CacheKey {
    /// The vector of a text by a model; a digest of both.
    Embedding(Digest),
    /// The answer to a read; a digest of the request, the scope and the tenant's last change.
    Answer(Digest),
    /// The working context of a session; a digest of its request and the tenant's last change.
    Context(Digest),
}
