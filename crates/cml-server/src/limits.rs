//! Requests per minute and key.

use std::{
    collections::HashMap,
    net::IpAddr,
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use cml_core::{Error, ErrorKind, Result};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Buckets that are kept before the empty ones are dropped.
const SWEEP_AT: usize = 10_000;

/// Who is counted.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum Who {
    /// A key, by its number; the text masks it.
    Key(usize, String),
    /// An address that came without a valid key.
    Address(IpAddr),
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

    /// Counts a request.
    ///
    /// # Errors
    /// `RateLimited` with the time until the next one fits.
    pub(crate) fn check(&self, who: &Who) -> Result<()> {
        self.check_at(who, Instant::now())
    }

    fn check_at(&self, who: &Who, now: Instant) -> Result<()> {
        if self.rpm == 0 {
            return Ok(());
        }
        let mut buckets = self.buckets.lock().unwrap_or_else(PoisonError::into_inner);
        if buckets.len() >= SWEEP_AT {
            buckets.retain(|_, bucket| self.level(*bucket, now) > 0.0);
        }
        let level = buckets.get(who).map_or(0.0, |bucket| self.level(*bucket, now));
        let excess = level + 1.0 - f64::from(self.rpm);
        if excess > 0.0 {
            let wait = Duration::from_secs_f64(excess / self.per_second());
            return Err(Error::new(ErrorKind::RateLimited, "Rate limit exceeded. Try again later.")
                .with_retry_after(wait));
        }
        let bucket = Bucket { level: level + 1.0, at: now };
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
    fn no_limit_counts_nothing() -> Result<()> {
        let limits = RateLimits::new(0);
        limits.check(&Who::Address(IpAddr::from([127, 0, 0, 1])))?;
        assert_eq!(limits.entries(), []);
        Ok(())
    }
}
