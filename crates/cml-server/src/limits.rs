//! Requests per minute and key.

use std::{
    collections::HashMap,
    net::IpAddr,
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use cml_core::{Error, ErrorKind, MemoryBackend, Result};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// How long the requests of a limit are counted together.
const WINDOW: Duration = Duration::from_secs(60);
/// Buckets that are kept before the empty ones are dropped.
const SWEEP_AT: usize = 10_000;

/// Who is counted.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum Who {
    /// A key, by the begin of its hash; the text masks it.
    Key(u64, String),
    /// An address that came without a valid key.
    Address(IpAddr),
}

impl Who {
    /// The same name in every process of the store.
    fn name(&self) -> String {
        match self {
            Self::Key(hash, _) => format!("key:{hash:016x}"),
            Self::Address(address) => format!("ip:{address}"),
        }
    }
}

/// One leaky bucket per key or address: it holds a minute's requests and empties evenly.
#[derive(Debug)]
pub(crate) struct RateLimits {
    rpm: u32,
    buckets: Mutex<HashMap<Who, Bucket>>,
}

#[derive(Debug, Clone, Copy)]
struct Bucket {
    level: f64,
    at: Instant,
}

/// What counts against one limit.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub(crate) struct RateLimit {
    /// `apikey` or `ip`.
    key_type: String,
    /// The key or address, masked.
    identifier: String,
    current_count: u64,
    /// Requests allowed in a minute.
    limit: u64,
    /// Seconds until nothing counts any more.
    ttl_seconds: u64,
    utilization_pct: f64,
}

impl RateLimits {
    /// `rpm` requests in a minute; 0 for no limit.
    pub(crate) fn new(rpm: u32) -> Self {
        Self { rpm, buckets: Mutex::default() }
    }

    /// The limit; 0 for none.
    pub(crate) fn configured_rpm(&self) -> u32 {
        self.rpm
    }

    /// Counts a request. What the processes of the store count together decides; where they share
    /// nothing, this process counts for itself.
    ///
    /// # Errors
    /// `RateLimited` with the time until the next one fits.
    pub(crate) async fn check(&self, backend: &dyn MemoryBackend, who: &Who) -> Result<()> {
        if self.rpm == 0 {
            return Ok(());
        }
        match shared(backend, who).await {
            Some((count, left)) => self.follow(who, count, left),
            None => self.check_at(who, Instant::now()),
        }
    }

    /// Decides by the `count` of a minute of which `left` is left. The bucket follows it, for the
    /// dashboard and for the time when nothing is shared any more.
    fn follow(&self, who: &Who, count: u64, left: Duration) -> Result<()> {
        let level = (count as f64).min(self.rpm.into());
        self.fill(who, Instant::now(), |_level| Ok(level))?;
        if count > self.rpm.into() { Err(exceeded(left)) } else { Ok(()) }
    }

    fn check_at(&self, who: &Who, now: Instant) -> Result<()> {
        self.fill(who, now, |level| {
            let excess = level + 1.0 - f64::from(self.rpm);
            if excess > 0.0 {
                return Err(exceeded(Duration::from_secs_f64(excess / self.per_second())));
            }
            Ok(level + 1.0)
        })
    }

    /// Gives the bucket the level that `next` makes of the one at the moment.
    fn fill(&self, who: &Who, now: Instant, next: impl FnOnce(f64) -> Result<f64>) -> Result<()> {
        let mut buckets = self.buckets.lock().unwrap_or_else(PoisonError::into_inner);
        if buckets.len() >= SWEEP_AT {
            buckets.retain(|_, bucket| self.level(*bucket, now) > 0.0);
        }
        let level = buckets.get(who).map_or(0.0, |bucket| self.level(*bucket, now));
        let bucket = Bucket { level: next(level)?, at: now };
        match buckets.get_mut(who) {
            Some(known) => *known = bucket,
            None => drop(buckets.insert(who.clone(), bucket)),
        }
        Ok(())
    }

    /// Every bucket that is not empty, fullest first.
    pub(crate) fn entries(&self) -> Vec<RateLimit> {
        let now = Instant::now();
        let buckets = self.buckets.lock().unwrap_or_else(PoisonError::into_inner);
        let mut entries: Vec<_> = buckets
            .iter()
            .filter_map(|(who, bucket)| {
                let level = self.level(*bucket, now);
                let (key_type, identifier) = match who {
                    Who::Key(_, masked) => ("apikey", masked.clone()),
                    Who::Address(address) => ("ip", mask(address)),
                };
                (level > 0.0).then(|| RateLimit {
                    key_type: key_type.to_owned(),
                    identifier,
                    current_count: level.ceil() as u64,
                    limit: u64::from(self.rpm),
                    ttl_seconds: (level / self.per_second()).ceil() as u64,
                    utilization_pct: 100.0 * level.ceil() / f64::from(self.rpm),
                })
            })
            .collect();
        entries.sort_by(|a, b| {
            b.current_count.cmp(&a.current_count).then_with(|| a.identifier.cmp(&b.identifier))
        });
        entries
    }

    fn level(&self, bucket: Bucket, now: Instant) -> f64 {
        let passed = now.saturating_duration_since(bucket.at).as_secs_f64();
        (bucket.level - passed * self.per_second()).max(0.0)
    }

    fn per_second(&self) -> f64 {
        f64::from(self.rpm) / 60.0
    }
}

/// What the processes of the store counted together, if they share a counter at the moment.
async fn shared(backend: &dyn MemoryBackend, who: &Who) -> Option<(u64, Duration)> {
    let admin = backend.admin().ok()?;
    admin.count_request(&who.name(), WINDOW).await.unwrap_or_else(|error| {
        tracing::debug!(error = error.message(), "no shared count; this process counts for itself");
        None
    })
}

fn exceeded(wait: Duration) -> Error {
    Error::new(ErrorKind::RateLimited, "Rate limit exceeded. Try again later.").with_retry_after(wait)
}

/// The network part of an address.
fn mask(address: &IpAddr) -> String {
    match address {
        IpAddr::V4(address) => {
            let [a, b, ..] = address.octets();
            format!("{a}.{b}.*.*")
        }
        IpAddr::V6(address) => {
            let [a, b, ..] = address.segments();
            format!("{a:x}:{b:x}:*")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_bucket_says_when_the_next_request_fits() -> Result<()> {
        let limits = RateLimits::new(60);
        let (who, start) = (Who::Key(0, "***abcd".to_owned()), Instant::now());
        for _ in 0..60 {
            limits.check_at(&who, start)?;
        }
        let error = limits.check_at(&who, start).expect_err("a full bucket");
        assert_eq!(error.kind(), ErrorKind::RateLimited);
        assert_eq!(error.retry_after(), Some(Duration::from_secs(1)));
        limits.check_at(&Who::Key(1, String::new()), start)?;
        limits.check_at(&who, start + Duration::from_secs(1))
    }

    #[test]
    fn a_shared_count_decides_and_the_bucket_follows_it() -> Result<()> {
        let limits = RateLimits::new(60);
        let who = Who::Key(7, String::new());
        limits.follow(&who, 60, Duration::from_secs(9))?;
        let error = limits.follow(&who, 61, Duration::from_secs(9)).expect_err("one too many");
        assert_eq!(error.retry_after(), Some(Duration::from_secs(9)));
        assert_eq!(limits.entries().first().map(|entry| entry.current_count), Some(60));
        assert!(limits.check_at(&who, Instant::now()).is_err(), "what was shared counts on");
        assert_eq!(who.name(), "key:0000000000000007");
        Ok(())
    }

    #[test]
    fn a_limit_of_zero_has_no_entries() {
        assert_eq!(RateLimits::new(0).entries(), []);
    }
}
