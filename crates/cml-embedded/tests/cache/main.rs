//! The cache beside the database: one suite for every cache, and an engine with one.
//!
//! Tests with Redis run when `CML_TEST_REDIS_URL` names a server; each uses a key prefix of its own.

#![cfg(feature = "lite")]

#[cfg(feature = "full")]
mod answers;
#[cfg(feature = "full")]
mod away;
#[cfg(feature = "full")]
mod erasure;
mod fixtures;
mod labile;
#[cfg(feature = "full")]
mod proxy;
#[cfg(feature = "full")]
mod redis;
mod suite;

use std::{sync::Arc, time::Duration};

use chrono::{DateTime, Utc};
use cml_embedded::{clock::ManualClock, store::LocalCache};
use fixtures::Outcome;

#[tokio::test]
async fn the_cache_of_a_process() -> Outcome {
    let clock = ManualClock::new(DateTime::<Utc>::UNIX_EPOCH);
    let cache = LocalCache::new(Arc::new(clock.clone()));
    let later = move |length: Duration| clock.set(DateTime::<Utc>::UNIX_EPOCH + length);
    suite::marks(&cache).await?;
    suite::marks_end(&cache, later).await?;
    suite::wake_ups(&cache).await?;
    suite::nothing_is_kept(&cache).await
}
