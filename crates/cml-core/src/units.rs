//! Scores, rates and ids.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::error::{Error, Result};

/// A share of something, 0.0..=1.0.
///
/// Five different scores are kept apart by the field that holds them:
/// *importance* (how much it matters to keep), *novelty* (how little is known of it yet),
/// *salience* (how strongly it presents itself now), *confidence* (how sure we are that it is true)
/// and *relevance* (how well it answers a query).
#[derive(Debug, Clone, Copy, PartialEq, PartialOrd, Default, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(transparent)]
pub struct Score(f64);

impl Score {
    /// 0.0.
    pub const ZERO: Self = Self(0.0);
    /// 1.0.
    pub const ONE: Self = Self(1.0);

    /// A score of exactly `value`.
    ///
    /// # Errors
    /// `InvalidInput` unless 0.0 <= `value` <= 1.0.
    pub fn new(value: f64) -> Result<Self> {
        if (0.0..=1.0).contains(&value) {
            Ok(Self(value))
        } else {
            Err(Error::invalid("score", "must be a number from 0 to 1"))
        }
    }

    /// `value` moved into 0.0..=1.0; NaN becomes 0.0.
    #[must_use]
    pub fn clamped(value: f64) -> Self {
        Self(if value.is_nan() { 0.0 } else { value.clamp(0.0, 1.0) })
    }

    /// The number.
    #[must_use]
    pub const fn get(self) -> f64 {
        self.0
    }
}

impl<'de> Deserialize<'de> for Score {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::new(f64::deserialize(deserializer)?).map_err(serde::de::Error::custom)
    }
}

/// Reads a score as other servers send it: what lies outside its range is moved into it.
pub(crate) fn clamped<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Score, D::Error> {
    f64::deserialize(deserializer).map(Score::clamped)
}

impl fmt::Display for Score {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:.2}", self.0)
    }
}

/// Share of strength that a memory loses per day in the exponential model, `>= 0`.
#[derive(Debug, Clone, Copy, PartialEq, PartialOrd, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(transparent)]
pub struct DecayRate(f64);

impl DecayRate {
    /// A rate per day: after `d` days `exp(-rate * d)` is left.
    ///
    /// # Errors
    /// `InvalidInput` unless `rate` is finite and not negative.
    pub fn per_day(rate: f64) -> Result<Self> {
        if rate.is_finite() && rate >= 0.0 {
            Ok(Self(rate))
        } else {
            Err(Error::invalid("decay_rate", "must be a finite number, 0 or more"))
        }
    }

    /// The rate at which half is left after `days` days (`ln 2 / days`); `days` must be positive.
    #[must_use]
    pub const fn half_life_days(days: f64) -> Self {
        Self(std::f64::consts::LN_2 / days)
    }

    /// Loss per day.
    #[must_use]
    pub const fn get(self) -> f64 {
        self.0
    }
}

impl<'de> Deserialize<'de> for DecayRate {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::per_day(f64::deserialize(deserializer)?).map_err(serde::de::Error::custom)
    }
}

macro_rules! ids {
    ($($(#[$doc:meta])* $name:ident;)*) => {$(
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        #[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
        #[serde(transparent)]
        pub struct $name(Uuid);

        impl $name {
            /// A fresh id (UUID version 7, RFC 9562: ids made later sort later).
            #[must_use]
            #[expect(clippy::new_without_default, reason = "a default id that differs at each call misleads")]
            pub fn new() -> Self {
                Self(Uuid::now_v7())
            }

            /// The id with this UUID.
            #[must_use]
            pub const fn from_uuid(id: Uuid) -> Self {
                Self(id)
            }

            /// The UUID.
            #[must_use]
            pub const fn as_uuid(&self) -> &Uuid {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }

        impl FromStr for $name {
            type Err = Error;

            fn from_str(text: &str) -> Result<Self> {
                Uuid::parse_str(text)
                    .map(Self)
                    .map_err(|error| Error::invalid("id", "must be a UUID").with_source(error))
            }
        }

        impl From<Uuid> for $name {
            fn from(id: Uuid) -> Self {
                Self(id)
            }
        }
    )*};
}

ids! {
    /// Id of a memory.
    MemoryId;
    /// Id of a message in a session log. A memory that belongs to no session carries one as well:
    /// it joins the chunks of one text.
    MessageId;
    /// Id of a fact or constraint.
    FactId;
    /// Id of an entity of the knowledge graph.
    EntityId;
    /// Id of an event.
    EventId;
    /// Id of a background job.
    JobId;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_score_outside_its_range_is_refused_and_clamped_on_request() {
        assert!(Score::new(1.01).is_err());
        assert!(Score::new(f64::NAN).is_err());
        assert_eq!(Score::clamped(7.0), Score::ONE);
        assert_eq!(Score::clamped(f64::NAN), Score::ZERO);
        assert!(serde_json::from_str::<Score>("-0.1").is_err());
    }

    #[test]
    fn half_life_halves() {
        let rate = DecayRate::half_life_days(69.0);
        assert!(((-rate.get() * 69.0).exp() - 0.5).abs() < 1e-12);
    }

    #[test]
    fn ids_made_later_sort_later() {
        let (first, second) = (MemoryId::new(), MemoryId::new());
        assert!(first < second);
        assert!("not-an-id".parse::<MemoryId>().is_err());
    }
}
