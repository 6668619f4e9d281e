//! What is kept beside the database for speed and for sharing between processes.
//!
//! Everything here can be lost at any moment. A cache that is away answers nothing; it is never an error
//! and never waited for longer than a few milliseconds. It holds vectors, ids and numbers under digests,
//! never text.

mod local;

use std::{collections::BTreeMap, fmt::Debug, time::Duration};

use async_trait::async_trait;
use cml_core::{BoxStream, MemoryId, Result};

pub use self::local::LocalCache;
use super::Digest;

/// A cache of one store, shared by its processes or of this process alone.
#[async_trait]
pub trait Cache: Debug + Send + Sync + 'static {
    /// Whether it keeps values and every process of the store sees them. One that does not never has a
    /// value: asking it is a waste.
    fn is_shared(&self) -> bool;

    /// What is kept under each key of a tenant, and the right to keep what is missing.
    async fn get(&self, tenant: &str, keys: &[CacheKey]) -> Kept;

    /// Keeps values for at most `length`. Keeps nothing when the tenant was cleared since the ticket
    /// was given out: what was made from an erased text comes too late.
    async fn put(&self, ticket: &Ticket, values: Vec<(CacheKey, Vec<u8>)>, length: Duration);

    /// Removes every value of a tenant. `false` when that could not be finished now: then this process
    /// is answered nothing of the tenant until it was, which is tried again and again.
    async fn clear(&self, tenant: &str) -> bool;

    /// Adds one to a counter that begins anew after each `window`; gives its value and what is left of
    /// the window. `None` when no counter is shared, or it is away: then callers count for themselves.
    async fn count(&self, name: &str, window: Duration) -> Option<(u64, Duration)>;

    /// Tells everyone who listens that there is work of this name.
    async fn wake(&self, work: &str);

    /// Names of work that was woken from now on. Ends never; lost messages are not repeated, so that
    /// listeners still have to look from time to time.
    fn woken(&self) -> BoxStream<'static, String>;

    /// Marks memories that a session recalled as open to revision, for `length` from now.
    async fn mark_labile(&self, tenant: &str, session: &str, memories: &[MemoryId], length: Duration);

    /// Memories of a tenant that are open to revision, by session and id.
    async fn labile(&self, tenant: &str) -> BTreeMap<String, Vec<MemoryId>>;

    /// Ends revision.
    async fn settle(&self, tenant: &str, settled: Settled<'_>);

    /// A small request, for health checks.
    ///
    /// # Errors
    /// `Unavailable` when the cache is away.
    async fn ping(&self) -> Result<BTreeMap<String, serde_json::Value>>;
}

/// A key of a kept value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum CacheKey {
    /// The vector of a text by a model; a digest of both and of the tenant's epoch.
    Embedding(Digest),
    /// The answer to a read; a digest of the request, the scope and where the tenant stands.
    Answer(Digest),
    /// The working context of a session; a digest of its request and where the tenant stands.
    Context(Digest),
}

/// What [`Cache::get`] found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Kept {
    /// One entry per key, in order.
    pub values: Vec<Option<Vec<u8>>>,
    /// For keeping what is missing.
    pub ticket: Ticket,
}

impl Kept {
    /// Nothing under any of so many keys, and nothing may be kept.
    #[must_use]
    pub fn nothing(keys: usize) -> Self {
        Self { values: vec![None; keys], ticket: Ticket::default() }
    }
}

/// The right to keep values of a tenant, until it is cleared.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Ticket {
    pub(crate) tenant: String,
    /// Which clear was the last one; empty keeps nothing.
    pub(crate) generation: String,
}

/// Whose revision ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Settled<'a> {
    /// That of every session.
    Tenant,
    /// That of one session.
    Session(&'a str),
    /// That of these memories, in every session.
    Memories(&'a [MemoryId]),
}
