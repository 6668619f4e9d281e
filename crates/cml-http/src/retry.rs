//! When a failed request is sent again, and after how long.

use std::time::Duration;

use cml_core::config::HttpConfig;

use crate::error::{Cause, Failure};

/// Longest wait between two attempts.
const MAX_WAIT: Duration = Duration::from_secs(60);

/// What a repeat of a call would do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Repeat {
    /// It changes nothing that the first attempt did not change: a read, an idempotency key, or a verb
    /// that leads to the same state.
    Same,
    /// It only reads, from the original, which answers 500 for anything that may pass.
    OriginalRead,
    /// It may do the work twice: it is sent again only where the first attempt did nothing.
    Twice,
    /// It cannot be sent again, because its body is gone.
    Once,
}

/// How often, and how long to wait.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Retry {
    max_retries: u32,
    delay: Duration,
}

impl Retry {
    pub(crate) fn new(config: &HttpConfig) -> Self {
        Self { max_retries: config.max_retries, delay: config.retry_delay }
    }

    /// How long to wait before the attempt after number `attempt` (from 0); none to give up. What the
    /// server tells comes before the backoff, so that clients told alike do not come back at once.
    pub(crate) fn wait(&self, attempt: u32, failure: &Failure, repeat: Repeat) -> Option<Duration> {
        if attempt >= self.max_retries || !may_repeat(failure.cause, repeat) {
            return None;
        }
        let told = failure.error.retry_after().unwrap_or_default();
        Some(told.saturating_add(self.backoff(attempt)).min(MAX_WAIT))
    }

    /// Exponential backoff with full jitter: a random share of `delay * 2^attempt`, at most 60 s.
    /// Brooker, "Exponential Backoff And Jitter", AWS Architecture Blog, 2015.
    fn backoff(&self, attempt: u32) -> Duration {
        self.ceiling(attempt).mul_f64(fastrand::f64())
    }

    fn ceiling(&self, attempt: u32) -> Duration {
        self.delay.saturating_mul(2_u32.saturating_pow(attempt)).min(MAX_WAIT)
    }
}

/// A call that did nothing may always be sent again; one that may have done its work, only if doing it
/// again is harmless.
fn may_repeat(cause: Cause, repeat: Repeat) -> bool {
    match (cause, repeat) {
        (_, Repeat::Once) | (Cause::Final, _) => false,
        (Cause::NotSent, _) => true,
        (Cause::Unknown, repeat) => matches!(repeat, Repeat::Same | Repeat::OriginalRead),
        (Cause::Bare500, repeat) => repeat == Repeat::OriginalRead,
    }
}

#[cfg(test)]
mod tests {
    use cml_core::{Error, ErrorKind};

    use super::*;

    fn retry(max_retries: u32, delay: Duration) -> Retry {
        Retry { max_retries, delay }
    }

    fn failure(cause: Cause) -> Failure {
        Failure { error: Error::new(ErrorKind::Unavailable, "away"), cause }
    }

    #[test]
    fn the_ceiling_doubles_up_to_a_minute_and_the_wait_stays_below_it() {
        let retry = retry(100, Duration::from_secs(1));
        let ceilings: Vec<_> = (0..8).map(|attempt| retry.ceiling(attempt).as_secs()).collect();
        assert_eq!(ceilings, [1, 2, 4, 8, 16, 32, 60, 60]);
        assert_eq!(retry.ceiling(u32::MAX), MAX_WAIT);
        for attempt in 0..100 {
            let wait = retry.wait(attempt, &failure(Cause::NotSent), Repeat::Twice);
            assert!(wait.is_some_and(|wait| wait <= retry.ceiling(attempt)));
        }
        assert_eq!(retry.wait(100, &failure(Cause::NotSent), Repeat::Same), None);
    }

    #[test]
    fn a_wait_that_the_server_names_is_spread_and_capped() {
        let retry = retry(1, Duration::from_secs(1));
        for (told, most) in [(0, 1), (7, 8), (60, 60), (3600, 60)] {
            let error =
                Error::new(ErrorKind::RateLimited, "slow down").with_retry_after(Duration::from_secs(told));
            let failure = Failure { error, cause: Cause::NotSent };
            let (least, most) = (Duration::from_secs(told).min(MAX_WAIT), Duration::from_secs(most));
            let wait = retry.wait(0, &failure, Repeat::Twice);
            assert!(wait.is_some_and(|wait| (least..=most).contains(&wait)), "{told}: {wait:?}");
        }
    }

    #[test]
    fn what_may_be_done_twice_is_repeated_only_if_nothing_was_done() {
        use Cause::{Bare500, Final, NotSent, Unknown};
        use Repeat::{Once, OriginalRead, Same, Twice};
        let retry = retry(1, Duration::ZERO);
        for (repeat, causes) in [
            (OriginalRead, &[NotSent, Unknown, Bare500][..]),
            (Same, &[NotSent, Unknown]),
            (Twice, &[NotSent]),
            (Once, &[]),
        ] {
            for cause in [NotSent, Unknown, Bare500, Final] {
                let again = retry.wait(0, &failure(cause), repeat).is_some();
                assert_eq!(again, causes.contains(&cause), "{repeat:?} after {cause:?}");
            }
        }
    }
}
