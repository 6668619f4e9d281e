//! Days, weeks, months and years in a time zone, as half-open spans in UTC.

use chrono::{
    DateTime, Datelike, Days, Duration, LocalResult, Months, NaiveDate, NaiveDateTime, NaiveTime, TimeZone,
    Utc, Weekday,
};
use chrono_tz::Tz;

/// First and last year that a text may speak of.
const YEARS: std::ops::RangeInclusive<i32> = 1000..=2300;

/// Days from the first to before the second.
pub(super) type Span = (NaiveDate, NaiveDate);

/// Where and when a text was said.
#[derive(Debug, Clone, Copy)]
pub(super) struct Now {
    pub(super) utc: DateTime<Utc>,
    pub(super) zone: Tz,
    pub(super) today: NaiveDate,
}

impl Now {
    pub(super) fn new(utc: DateTime<Utc>, zone: Tz) -> Self {
        // Far from the ends of chrono's range, so that no local time overflows.
        let utc = if YEARS.contains(&utc.year()) { utc } else { DateTime::UNIX_EPOCH };
        Self { utc, zone, today: utc.with_timezone(&zone).date_naive() }
    }

    /// The first instant of `day`.
    pub(super) fn start_of(&self, day: NaiveDate) -> DateTime<Utc> {
        self.instant(day.and_time(NaiveTime::MIN))
    }

    /// A local time as an instant; in the gap of a clock change, the instant when the clocks went on.
    pub(super) fn instant(&self, local: NaiveDateTime) -> DateTime<Utc> {
        for minutes in [0, 30, 60, 90, 120, 180] {
            match self.zone.from_local_datetime(&(local + Duration::minutes(minutes))) {
                LocalResult::Single(time) | LocalResult::Ambiguous(time, _) => {
                    return time.with_timezone(&Utc);
                }
                LocalResult::None => {}
            }
        }
        // Days that a zone skipped altogether (Samoa, 2011-12-30).
        local.and_utc()
    }
}

/// A day that exists, in a year that makes sense.
pub(super) fn day(year: i32, month: u32, day: u32) -> Option<NaiveDate> {
    if YEARS.contains(&year) { NaiveDate::from_ymd_opt(year, month, day) } else { None }
}

pub(super) fn plus_days(date: NaiveDate, days: i64) -> Option<NaiveDate> {
    let moved = if days >= 0 {
        date.checked_add_days(Days::new(days.unsigned_abs()))
    } else {
        date.checked_sub_days(Days::new(days.unsigned_abs()))
    };
    moved.filter(|date| YEARS.contains(&date.year()))
}

pub(super) fn plus_months(date: NaiveDate, months: i64) -> Option<NaiveDate> {
    let count = Months::new(u32::try_from(months.unsigned_abs()).ok()?);
    let moved = if months >= 0 { date.checked_add_months(count) } else { date.checked_sub_months(count) };
    moved.filter(|date| YEARS.contains(&date.year()))
}

pub(super) fn days(first: NaiveDate, count: i64) -> Option<Span> {
    Some((first, plus_days(first, count)?))
}

/// The week, from Monday, that holds `date`.
pub(super) fn week(date: NaiveDate) -> Option<Span> {
    days(monday(date)?, 7)
}

pub(super) fn monday(date: NaiveDate) -> Option<NaiveDate> {
    plus_days(date, -i64::from(date.weekday().num_days_from_monday()))
}

pub(super) fn month(year: i32, number: u32) -> Option<Span> {
    let first = day(year, number, 1)?;
    Some((first, plus_months(first, 1)?))
}

pub(super) fn year(number: i32) -> Option<Span> {
    Some((day(number, 1, 1)?, day(number + 1, 1, 1)?))
}

/// Three months from December, March, June or September (northern, meteorological).
pub(super) fn season(number: i32, first_month: u32) -> Option<Span> {
    let first = day(if first_month == 12 { number - 1 } else { number }, first_month, 1)?;
    Some((first, plus_months(first, 3)?))
}

/// A stretch of days, weeks, months or years.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Unit {
    Day,
    Week,
    Month,
    Year,
}

impl Unit {
    pub(super) fn parse(word: &str) -> Option<Self> {
        let word = word.to_ascii_lowercase();
        Some(match word.strip_suffix('s').unwrap_or(&word) {
            "day" => Self::Day,
            "week" | "wk" | "fortnight" => Self::Week,
            "month" => Self::Month,
            "year" | "yr" => Self::Year,
            _ => return None,
        })
    }

    /// `date` moved by `count` units.
    pub(super) fn shift(self, date: NaiveDate, count: i64) -> Option<NaiveDate> {
        match self {
            Self::Day => plus_days(date, count),
            Self::Week => plus_days(date, count.checked_mul(7)?),
            Self::Month => plus_months(date, count),
            Self::Year => plus_months(date, count.checked_mul(12)?),
        }
    }

    /// The calendar unit that holds `date`.
    pub(super) fn around(self, date: NaiveDate) -> Option<Span> {
        match self {
            Self::Day => days(date, 1),
            Self::Week => week(date),
            Self::Month => month(date.year(), date.month()),
            Self::Year => year(date.year()),
        }
    }
}

pub(super) fn weekday(word: &str) -> Option<Weekday> {
    let word = word.to_ascii_lowercase();
    Some(match word.get(..3)? {
        "mon" => Weekday::Mon,
        "tue" => Weekday::Tue,
        "wed" => Weekday::Wed,
        "thu" => Weekday::Thu,
        "fri" => Weekday::Fri,
        "sat" => Weekday::Sat,
        "sun" => Weekday::Sun,
        _ => return None,
    })
}

/// 1 to 12.
pub(super) fn month_number(word: &str) -> Option<u32> {
    const MONTHS: [&str; 12] =
        ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"];
    let word = word.to_ascii_lowercase();
    let start = word.get(..3)?;
    MONTHS.iter().position(|month| *month == start).and_then(|at| u32::try_from(at + 1).ok())
}

/// "3", "three", "a", "an".
pub(super) fn number(word: &str) -> Option<i64> {
    const WORDS: [&str; 21] = [
        "zero",
        "one",
        "two",
        "three",
        "four",
        "five",
        "six",
        "seven",
        "eight",
        "nine",
        "ten",
        "eleven",
        "twelve",
        "thirteen",
        "fourteen",
        "fifteen",
        "sixteen",
        "seventeen",
        "eighteen",
        "nineteen",
        "twenty",
    ];
    let word = word.to_ascii_lowercase();
    match word.as_str() {
        "a" | "an" => Some(1),
        "thirty" => Some(30),
        "forty" => Some(40),
        "fifty" => Some(50),
        digits if digits.bytes().all(|byte| byte.is_ascii_digit()) => digits.parse().ok(),
        word => WORDS.iter().position(|known| *known == word).and_then(|at| i64::try_from(at).ok()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(zone: Tz) -> Now {
        Now::new(DateTime::from_timestamp(1_700_000_000, 0).unwrap_or_default(), zone)
    }

    #[test]
    fn days_begin_in_the_callers_zone_and_clock_changes_are_no_trouble() {
        let start = |zone, y, m, d| day(y, m, d).map(|date| at(zone).start_of(date).to_rfc3339());
        assert_eq!(start(Tz::Europe__Berlin, 2023, 5, 7).as_deref(), Some("2023-05-06T22:00:00+00:00"));
        // Midnight does not exist: clocks went from 00:00 to 01:00.
        assert_eq!(start(Tz::America__Sao_Paulo, 2018, 11, 4).as_deref(), Some("2018-11-04T03:00:00+00:00"));
        // The whole day does not exist.
        assert!(start(Tz::Pacific__Apia, 2011, 12, 30).is_some());
    }

    #[test]
    fn impossible_days_and_far_years_are_none() {
        assert_eq!(day(2023, 2, 30), None);
        assert_eq!(day(9999, 1, 1), None);
        assert_eq!(day(2023, 1, 1).and_then(|date| Unit::Year.shift(date, i64::MAX)), None);
        assert_eq!(day(2023, 1, 1).and_then(|date| Unit::Week.shift(date, i64::MIN)), None);
        assert_eq!(day(2024, 2, 29).and_then(|date| Unit::Year.shift(date, -1)), day(2023, 2, 28));
    }
}
