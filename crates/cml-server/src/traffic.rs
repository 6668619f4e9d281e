//! Requests per hour.

use std::{collections::VecDeque, sync::Mutex};

use chrono::{DateTime, Utc};

const HOURS: usize = 48;
const HOUR: i64 = 3600;

/// Counts of the last 48 hours.
#[derive(Debug, Default)]
pub(crate) struct Traffic(Mutex<VecDeque<(i64, u64)>>);

impl Traffic {
    /// Counts a request.
    pub(crate) fn count(&self, now: DateTime<Utc>) {
        let hour = now.timestamp().div_euclid(HOUR);
        let mut counts = self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        match counts.back_mut() {
            Some((last, count)) if *last >= hour => *count += 1,
            _ => {
                counts.push_back((hour, 1));
                if counts.len() > HOURS {
                    counts.pop_front();
                }
            }
        }
    }

    /// The last `hours` hours (at most 48) with their counts, oldest first, the present one last.
    pub(crate) fn hours(&self, hours: usize) -> Vec<(DateTime<Utc>, u64)> {
        self.before(Utc::now(), hours)
    }

    fn before(&self, now: DateTime<Utc>, hours: usize) -> Vec<(DateTime<Utc>, u64)> {
        let counts = self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let last = now.timestamp().div_euclid(HOUR);
        let first = last - hours.clamp(1, HOURS) as i64 + 1;
        (first..=last)
            .map(|hour| {
                let count = counts.iter().find(|(at, _)| *at == hour).map_or(0, |(_, count)| *count);
                (DateTime::from_timestamp(hour * HOUR, 0).unwrap_or_default(), count)
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_hour_has_a_point_and_old_hours_are_dropped() {
        let traffic = Traffic::default();
        let at = |hour: i64| DateTime::from_timestamp(hour * HOUR + 5, 0).unwrap_or_default();
        for hour in [1, 100, 100, 102] {
            traffic.count(at(hour));
        }
        let counts: Vec<_> = traffic.before(at(102), 4).into_iter().map(|(_, count)| count).collect();
        assert_eq!(counts, [0, 2, 0, 1]);
        assert_eq!(traffic.before(at(102), 1000).len(), HOURS);
    }
}
