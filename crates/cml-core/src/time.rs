//! Instants: UTC, microseconds.

use chrono::{DateTime, NaiveDate, NaiveDateTime, NaiveTime, SubsecRound as _, Utc};
use serde::{Deserialize, Deserializer};

use crate::error::{Error, Result};

/// `instant` without what is finer than a microsecond, as every store keeps it.
#[must_use]
pub fn truncate(instant: DateTime<Utc>) -> DateTime<Utc> {
    instant.trunc_subsecs(6)
}

/// Reads RFC 3339 or ISO 8601. Text without an offset is UTC; a bare date is its midnight.
///
/// # Errors
/// `InvalidInput` naming `field`.
pub fn parse(field: &str, text: &str) -> Result<DateTime<Utc>> {
    let text = text.trim();
    if let Ok(instant) = DateTime::parse_from_rfc3339(text) {
        return Ok(truncate(instant.with_timezone(&Utc)));
    }
    let naive = ["%Y-%m-%dT%H:%M:%S%.f", "%Y-%m-%d %H:%M:%S%.f", "%Y-%m-%dT%H:%M"]
        .iter()
        .find_map(|format| NaiveDateTime::parse_from_str(text, format).ok())
        .or_else(|| text.parse::<NaiveDate>().ok().map(|day| day.and_time(NaiveTime::MIN)));
    naive
        .map(|naive| truncate(naive.and_utc()))
        .ok_or_else(|| Error::invalid(field, "must be a time such as 2026-05-07T09:30:00Z"))
}

/// The zone with this IANA name.
///
/// # Errors
/// `InvalidInput` naming `user_timezone`.
pub fn zone(name: &str) -> Result<chrono_tz::Tz> {
    name.parse().map_err(|_unknown| {
        Error::invalid("user_timezone", "must be an IANA time zone such as Europe/Lisbon")
    })
}

pub(crate) fn required<'de, D: Deserializer<'de>>(deserializer: D) -> Result<DateTime<Utc>, D::Error> {
    let text = String::deserialize(deserializer)?;
    parse("timestamp", &text).map_err(serde::de::Error::custom)
}

pub(crate) fn optional<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<DateTime<Utc>>, D::Error> {
    Option::<String>::deserialize(deserializer)?
        .map(|text| parse("timestamp", &text).map_err(serde::de::Error::custom))
        .transpose()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_naive_time_is_utc_and_an_offset_is_honoured() -> Result<()> {
        assert_eq!(parse("since", "2026-05-07T09:30:00")?.to_rfc3339(), "2026-05-07T09:30:00+00:00");
        assert_eq!(parse("since", "2026-05-07T09:30:00+02:00")?.to_rfc3339(), "2026-05-07T07:30:00+00:00");
        assert_eq!(parse("since", "2026-05-07")?.to_rfc3339(), "2026-05-07T00:00:00+00:00");
        Ok(())
    }

    #[test]
    fn nonsense_names_its_field() {
        let error = parse("since", "soon").expect_err("no time");
        assert_eq!(error.fields()[0].field, "since");
        assert!(zone("Mars/Olympus").is_err());
    }
}
