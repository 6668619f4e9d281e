//! Dates in a text, resolved against the time it was said.

use std::{ops::Range, sync::LazyLock};

use chrono::{DateTime, Duration, NaiveDate, NaiveTime, Utc};
use chrono_tz::Tz;
use regex::{Captures, Regex};

use super::{
    Patterns,
    calendar::{self, Now, Span},
    date_rows::{ROWS, Scene, Tense, fill},
    pattern,
};

/// A date or period that a text names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TimeMention {
    /// Bytes of the text.
    pub span: Range<usize>,
    /// The first instant, in UTC.
    pub start: DateTime<Utc>,
    /// The first instant after it, in UTC.
    pub end: DateTime<Utc>,
}

struct Table {
    rows: Patterns,
    instants: Regex,
    clock_after: Regex,
    clock_before: Regex,
    part_after: Regex,
    whole: Regex,
    future: Regex,
    past: Regex,
    counted: Regex,
    version: Regex,
    numbered: Regex,
}

static TABLE: LazyLock<Table> = LazyLock::new(|| Table {
    rows: Patterns::new(ROWS.iter().map(|(source, _)| fill(source)).collect()),
    instants: pattern(&fill(r"(?i)\b(?P<n>{NUMBER}|half an) (?P<unit>min(?:ute)?s?|hours?|hrs?|h) ago\b")),
    clock_after: pattern(
        r"(?i)^,?\s+(?:at |around |about |by |from )?(?P<hour>\d{1,2})(?:[:.](?P<minute>[0-5]\d))?\s?(?P<half>am|pm|a\.m\.|p\.m\.|o['’]clock)?(?:\W|$)",
    ),
    clock_before: pattern(
        r"(?i)\b(?:at|around|about|by) (?P<hour>\d{1,2})(?:[:.](?P<minute>[0-5]\d))?\s?(?P<half>am|pm|a\.m\.|p\.m\.|o['’]clock)?,?\s+(?:on )?$",
    ),
    part_after: pattern(
        r"(?i)^(?:,? (?:in the |at )?|-)(?P<part>early morning|morning|noon|lunchtime|afternoon|evening|night|midnight)\b",
    ),
    whole: pattern(
        r"(?i)\b(?P<which>last night|tonight|(?:this|early this) (?:morning|afternoon|evening))\b",
    ),
    future: pattern(
        r"(?i)\b(?:will|going to|gonna|shall|plan(?:s|ning)?|upcoming|next|tomorrow|soon|appointment|scheduled|due|deadline|book(?:ed|ing)?|remind|training for|preparing for|looking forward|need to|have to|must|want to|would like)\b|['’]ll\b",
    ),
    past: pattern(
        r"(?i)\b(?:was|were|did|didn['’]t|had|went|got|came|saw|met|made|took|gave|said|told|found|bought|ate|had|left|began|ran|won|lost|felt|spoke|wrote|read|drove|flew|sent|paid|kept|held|built|broke|fell|spent|slept|[a-z]{2,}ed|ago|last|yesterday|since)\b",
    ),
    numbered: pattern(&fill(r"(?i)^,?(?: of)? (?:{YEAR}|{DAY})\b")),
    version: pattern(r"(?i)\b(?:version|release|build|v)$"),
    counted: pattern(
        r"(?i)^\s?(?:%|words|steps|people|dollars|euros|pounds|users|items|points|metres|meters|miles|km|kg|calories|tokens|lines|files|rows|ms|mb|gb|rpm|mhz|watts|copies|years)\b|^[.,:]\d|^-\d",
    ),
});

/// Finds the dates and periods that `text` names, resolved against `said_at`, in the order of the text.
///
/// Days, weeks (from Monday), months and years are those of `timezone`; intervals are half-open and
/// in UTC. A date without a year or a weekday without "last" or "next" lies where the tense of the
/// sentence points, else nearest. Serves texts and queries alike.
#[must_use]
pub fn resolve(text: &str, said_at: DateTime<Utc>, timezone: Tz) -> Vec<TimeMention> {
    let now = Now::new(said_at, timezone);
    let mut found: Vec<TimeMention> = Vec::new();
    for index in TABLE.rows.matching(text) {
        for hit in TABLE.rows.row(index).captures_iter(text) {
            let Some(range) = hit.get(0).map(|hit| hit.range()) else { continue };
            let bare_month = hit.name("month").is_some()
                && hit.name("day").or(hit.name("year")).or(hit.name("first")).is_none();
            if is_part_of_number(text, &range) || (bare_month && TABLE.numbered.is_match(&text[range.end..]))
            {
                continue;
            }
            let scene = Scene { now, tense: tense(text, &range) };
            if let Some(span) = ROWS[index].1(&hit, &scene) {
                found.push(narrow(text, range, span, &scene));
            }
        }
    }
    for hit in TABLE.whole.captures_iter(text) {
        found.extend(part_of_today(&hit, &now));
    }
    for hit in TABLE.instants.captures_iter(text) {
        found.extend(time_ago(&hit, &now));
    }
    found.sort_by_key(|mention| (mention.span.start, usize::MAX - mention.span.end));
    let mut mentions: Vec<TimeMention> = Vec::new();
    for mention in found {
        let Some(last) = mentions.last_mut() else {
            mentions.push(mention);
            continue;
        };
        if mention.span.start < last.span.end {
            continue;
        }
        let between = &text[last.span.end..mention.span.start];
        let opens = text[..last.span.end].to_ascii_lowercase();
        let lead = opens[..last.span.start].trim_end();
        let inside = &opens[last.span.start..];
        let joined = (between == " and " && (lead.ends_with("between") || inside.starts_with("between")))
            || (matches!(between, " to " | " until " | " - " | " – ")
                && (lead.ends_with("from") || inside.starts_with("from") || between != " to "));
        if joined && mention.end > last.start {
            *last =
                TimeMention { span: last.span.start..mention.span.end, start: last.start, end: mention.end };
        } else {
            mentions.push(mention);
        }
    }
    mentions
}

/// "2022" in "in 2022 words", "v1.2022", "2022.5" is no year; nor is "3 May" in "1.3 May".
fn is_part_of_number(text: &str, range: &Range<usize>) -> bool {
    let before = text[..range.start].chars().next_back();
    let opens_with_digit = text[range.clone()].starts_with(|c: char| c.is_ascii_digit());
    let joined = before.is_some_and(|c| matches!(c, '.' | '/' | '-' | '$' | '€' | '£' | '#' | '_' | ','));
    let ends_with_digit = text[range.clone()].ends_with(|c: char| c.is_ascii_digit());
    let version = opens_with_digit && TABLE.version.is_match(text[..range.start].trim_end());
    version || (opens_with_digit && joined) || (ends_with_digit && TABLE.counted.is_match(&text[range.end..]))
}

/// The tense of the sentence around a hit: an end mark followed by white space closes it.
fn tense(text: &str, range: &Range<usize>) -> Tense {
    let start = text[..range.start].rfind(['\n', '!', '?', ';']).map_or(0, |at| at + 1);
    let start = text[start..range.start].rfind(". ").map_or(start, |at| start + at + 2);
    let end = text[range.end..].find(['\n', '!', '?', ';']).map_or(text.len(), |at| range.end + at);
    let end = text[range.end..end].find(". ").map_or(end, |at| range.end + at);
    let (head, tail) = (&text[start..range.start], &text[range.end..end]);
    let (future, past) = (TABLE.future.find(head), TABLE.past.find(head));
    match (future, past) {
        (Some(_), _) => Tense::Future,
        (None, Some(_)) => Tense::Past,
        (None, None) if TABLE.future.is_match(tail) => Tense::Future,
        (None, None) if TABLE.past.is_match(tail) => Tense::Past,
        _ => Tense::Unknown,
    }
}

/// Takes in a time of day next to a single day, and carries "since" on to now.
fn narrow(text: &str, range: Range<usize>, span: Span, scene: &Scene) -> TimeMention {
    let now = &scene.now;
    let (start, end) = (now.start_of(span.0), now.start_of(span.1));
    let hit = text[range.clone()].to_ascii_lowercase();
    let lead = text[..range.start].trim_end();
    let since = hit.starts_with("since ")
        || lead.get(lead.len().saturating_sub(5)..).is_some_and(|word| word.eq_ignore_ascii_case("since"));
    if since && start <= now.utc {
        return TimeMention { span: range, start, end: end.max(now.utc) };
    }
    if (span.1 - span.0).num_days() == 1 {
        let after = &text[range.end..];
        if let Some(found) = TABLE.part_after.captures(after) {
            let end = range.end + found.get(0).map_or(0, |hit| hit.end());
            let (start, stop) = part_of_day(&found["part"], span.0, now);
            return TimeMention { span: range.start..end, start, end: stop };
        }
        let mut window = range.start.saturating_sub(24);
        while !text.is_char_boundary(window) {
            window += 1;
        }
        let (clock, span_of_clock) = match TABLE.clock_after.captures(after) {
            Some(found) if clock(&found, after).is_some() => {
                let end = found
                    .name("half")
                    .or(found.name("minute"))
                    .or(found.name("hour"))
                    .map_or(0, |part| part.end());
                (clock(&found, after), range.start..range.end + end)
            }
            _ => match TABLE.clock_before.captures(&text[window..range.start]) {
                Some(found) => {
                    let start = window + found.get(0).map_or(0, |hit| hit.start());
                    (clock(&found, " at "), start..range.end)
                }
                None => (None, range.clone()),
            },
        };
        if let Some(time) = clock {
            let start = now.instant(span.0.and_time(time));
            return TimeMention { span: span_of_clock, start, end: start + Duration::hours(1) };
        }
    }
    TimeMention { span: range, start, end }
}

/// A time such as "5pm" or "at 17:30"; a bare number needs "at" and then means the waking half.
fn clock(found: &Captures<'_>, lead: &str) -> Option<NaiveTime> {
    let hour: u32 = found["hour"].parse().ok()?;
    let minute: u32 = found.name("minute").map_or(Some(0), |minute| minute.as_str().parse().ok())?;
    let half = found.name("half").map(|half| half.as_str().to_ascii_lowercase());
    let hour = match half.as_deref() {
        Some(half) if half.starts_with('p') && (1..12).contains(&hour) => hour + 12,
        Some(half) if half.starts_with('a') && hour == 12 => 0,
        Some(_) => hour,
        None if found.name("minute").is_none() && !lead.trim_start_matches([',', ' ']).starts_with("at ") => {
            return None;
        }
        None if (1..7).contains(&hour) && found.name("minute").is_none() => hour + 12,
        None => hour,
    };
    NaiveTime::from_hms_opt(hour, minute, 0)
}

fn part_of_day(part: &str, day: NaiveDate, now: &Now) -> (DateTime<Utc>, DateTime<Utc>) {
    let at = |hours: i64| now.instant(day.and_time(NaiveTime::MIN) + Duration::hours(hours));
    match part.to_ascii_lowercase().as_str() {
        "early morning" => (at(4), at(8)),
        "morning" => (at(5), at(12)),
        "noon" | "lunchtime" => (at(12), at(13)),
        "afternoon" => (at(12), at(18)),
        "evening" => (at(17), at(24)),
        "midnight" => (at(23), at(25)),
        _ => (at(18), at(30)),
    }
}

fn part_of_today(hit: &Captures<'_>, now: &Now) -> Option<TimeMention> {
    let which = hit["which"].to_ascii_lowercase();
    let (day, part) = match which.as_str() {
        "last night" => (calendar::plus_days(now.today, -1)?, "night"),
        "tonight" => (now.today, "night"),
        other => (now.today, other.rsplit(' ').next()?),
    };
    let (start, end) = part_of_day(part, day, now);
    Some(TimeMention { span: hit.get(0)?.range(), start, end })
}

/// "20 minutes ago", "two hours ago".
fn time_ago(hit: &Captures<'_>, now: &Now) -> Option<TimeMention> {
    let hours = hit["unit"].to_ascii_lowercase().starts_with('h');
    let (count, length) = match (calendar::number(&hit["n"]), hours) {
        (Some(n), true) => (Duration::hours(n), Duration::hours(1)),
        (Some(n), false) => (Duration::minutes(n), Duration::minutes(1)),
        (None, _) => (Duration::minutes(30), Duration::minutes(1)),
    };
    let start = now.utc - count;
    Some(TimeMention { span: hit.get(0)?.range(), start, end: start + length })
}

#[cfg(test)]
mod tests {
    use super::super::same;
    use super::*;

    /// Wednesday, 17 May 2023, 10:00 UTC.
    fn said_at() -> DateTime<Utc> {
        DateTime::from_timestamp(1_684_317_600, 0).unwrap_or_default()
    }

    fn all(text: &str) -> Vec<String> {
        resolve(text, said_at(), Tz::UTC)
            .into_iter()
            .map(|mention| {
                let form = |time: DateTime<Utc>| {
                    let text = time.format("%Y-%m-%dT%H").to_string();
                    text.strip_suffix("T00").map(str::to_owned).unwrap_or(text)
                };
                format!("{}..{}", form(mention.start), form(mention.end))
            })
            .collect()
    }

    #[test]
    fn dates_are_resolved_against_the_time_of_saying() {
        let mut wrong = Vec::new();
        for (text, expected) in [
            ("I saw her yesterday", "2023-05-16..2023-05-17"),
            ("I am off today", "2023-05-17..2023-05-18"),
            ("see you tomorrow", "2023-05-18..2023-05-19"),
            ("the day before yesterday", "2023-05-15..2023-05-16"),
            ("We met last Friday", "2023-05-12..2023-05-13"),
            ("next Friday", "2023-05-26..2023-05-27"),
            ("this Friday", "2023-05-19..2023-05-20"),
            ("I met Anna on Monday", "2023-05-15..2023-05-16"),
            ("I will meet Anna on Monday", "2023-05-22..2023-05-23"),
            ("what did I do on Tuesday?", "2023-05-16..2023-05-17"),
            ("last week", "2023-05-08..2023-05-15"),
            ("next week I'll fly", "2023-05-22..2023-05-29"),
            ("last weekend", "2023-05-13..2023-05-15"),
            ("this weekend", "2023-05-20..2023-05-22"),
            ("last month", "2023-04-01..2023-05-01"),
            ("next month", "2023-06-01..2023-07-01"),
            ("last year", "2022-01-01..2023-01-01"),
            ("last night", "2023-05-16T18..2023-05-17T06"),
            ("tonight", "2023-05-17T18..2023-05-18T06"),
            ("this morning", "2023-05-17T05..2023-05-17T12"),
            ("yesterday evening", "2023-05-16T17..2023-05-17"),
            ("3 days ago", "2023-05-14..2023-05-15"),
            ("a week ago", "2023-05-08..2023-05-15"),
            ("two weeks ago", "2023-05-01..2023-05-08"),
            ("six months ago", "2022-11-01..2022-12-01"),
            ("two years ago", "2021-01-01..2022-01-01"),
            ("a couple of weeks ago", "2023-04-24..2023-05-08"),
            ("a few weeks ago", "2023-04-17..2023-05-08"),
            ("in two weeks", "2023-05-29..2023-06-05"),
            ("in 3 days", "2023-05-20..2023-05-21"),
            ("in May 2023", "2023-05-01..2023-06-01"),
            ("May 7, 2023", "2023-05-07..2023-05-08"),
            ("7 May 2023", "2023-05-07..2023-05-08"),
            ("7 May", "2023-05-07..2023-05-08"),
            ("May 7th", "2023-05-07..2023-05-08"),
            ("on the 3rd of December", "2022-12-03..2022-12-04"),
            ("we will marry on December 3", "2023-12-03..2023-12-04"),
            ("2023-05-07", "2023-05-07..2023-05-08"),
            ("05/07/2023", "2023-05-07..2023-05-08"),
            ("25/12/2022", "2022-12-25..2022-12-26"),
            ("7.5.2023", "2023-05-07..2023-05-08"),
            ("I was there in 2022", "2022-01-01..2023-01-01"),
            ("since March", "2023-03-01..2023-05-17T10"),
            ("early June", "2023-06-01..2023-06-11"),
            ("mid-June 2022", "2022-06-11..2022-06-21"),
            ("late June", "2023-06-21..2023-07-01"),
            ("in the summer of 2022", "2022-06-01..2022-09-01"),
            ("last summer", "2022-06-01..2022-09-01"),
            ("over the last three weeks", "2023-04-26..2023-05-18"),
            ("at 5pm on Friday", "2023-05-19T17..2023-05-19T18"),
            ("tomorrow at 9:30", "2023-05-18T09..2023-05-18T10"),
            ("Friday at 5", "2023-05-19T17..2023-05-19T18"),
            ("between May and June", "2023-05-01..2023-07-01"),
            ("from May 3 to May 7", "2023-05-03..2023-05-08"),
            ("May 3-7, 2022", "2022-05-03..2022-05-08"),
            ("two hours ago", "2023-05-17T08..2023-05-17T09"),
            ("I want to run a marathon by May", "2023-05-01..2023-06-01"),
            ("We adopted two kittens in June 2021", "2021-06-01..2021-07-01"),
            ("finish it by May 20", "2023-05-20..2023-05-21"),
            ("last March", "2023-03-01..2023-04-01"),
            ("I went there in November", "2022-11-01..2022-12-01"),
            ("Q1 2024", "2024-01-01..2024-04-01"),
        ] {
            same(&mut wrong, text, all(text), [expected]);
        }
        assert_eq!(wrong, Vec::<String>::new());
    }

    #[test]
    fn what_is_no_date_gives_nothing() {
        let mut wrong = Vec::new();
        for text in [
            "I may 2 times go",
            "You may go",
            "may I?",
            "they march 5 miles",
            "we march on",
            "the second one",
            "second-hand shop",
            "5 minutes",
            "it took 5 days",
            "version 1.2.2023",
            "in 2022 words",
            "$2,022",
            "Rust 1.95.0",
            "Feb 30",
            "2023-02-30",
            "31 June",
            "99/99/2023",
            "every March",
            "April said hi",
            "a sunny smile",
            "I sat down",
            "the marine",
            "in 20 minutes",
            "12.05",
            "on the mon",
            "decide 5",
        ] {
            same(&mut wrong, text, all(text), Vec::<String>::new());
        }
        assert_eq!(wrong, Vec::<String>::new());
    }

    #[test]
    fn days_are_those_of_the_callers_zone() {
        let late = DateTime::from_timestamp(1_684_364_400, 0).unwrap_or_default(); // 17 May, 23:00 UTC
        let found = resolve("today", late, Tz::Asia__Tokyo);
        assert_eq!(found[0].start.to_rfc3339(), "2023-05-17T15:00:00+00:00");
        assert_eq!(found[0].end - found[0].start, Duration::days(1));
    }

    #[test]
    fn no_time_of_saying_is_too_far() {
        for said_at in [DateTime::<Utc>::MIN_UTC, DateTime::<Utc>::MAX_UTC] {
            for zone in [Tz::UTC, Tz::Pacific__Apia, Tz::America__Sao_Paulo] {
                assert_eq!(resolve("yesterday, 999 years ago and next week", said_at, zone).len(), 2);
            }
        }
    }
}
