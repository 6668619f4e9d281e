//! The table of dates: how they look, and which days they mean.

use chrono::Datelike;
use regex::Captures;

use super::calendar::{self, Now, Span, Unit};

/// Whether the words around a date speak of the past or the future.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Tense {
    Past,
    Future,
    Unknown,
}

pub(super) struct Scene {
    pub(super) now: Now,
    pub(super) tense: Tense,
}

pub(super) type Resolve = fn(&Captures<'_>, &Scene) -> Option<Span>;

const MONTH: &str =
    r"(?:January|February|March|April|May|June|July|August|September|October|November|December)";
const MON: &str = r"(?:Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sept|Sep|Oct|Nov|Dec)\.?";
const WEEKDAY: &str = r"(?:Mon|Tues|Wednes|Thurs|Fri|Satur|Sun)day";
const NUMBER: &str = r"(?:\d{1,3}|an?|one|two|three|four|five|six|seven|eight|nine|ten|eleven|twelve|thirteen|fourteen|fifteen|twenty|thirty)";
const VAGUE: &str = r"(?:a couple(?: of)?|a few|few|several|couple of)";
const UNIT: &str = r"(?:day|week|wk|month|year|yr|fortnight)s?";
const YEAR: &str = r"(?:1[0-9]\d\d|20\d\d|21\d\d)";
const DAY: &str = r"(?:0?[1-9]|[12]\d|3[01])(?:st|nd|rd|th)?";

/// Pattern and meaning. Where rows overlap, the longest hit counts, then the earlier row.
pub(super) const ROWS: &[(&str, Resolve)] = &[
    (r"\b(?i:today|this day)\b", |_, s| calendar::days(s.now.today, 1)),
    (r"\b(?i:yesterday)\b", |_, s| calendar::days(calendar::plus_days(s.now.today, -1)?, 1)),
    (r"\b(?i:tomorrow|tmrw)\b", |_, s| calendar::days(calendar::plus_days(s.now.today, 1)?, 1)),
    (r"\b(?i:(?:the )?day before yesterday)\b", |_, s| {
        calendar::days(calendar::plus_days(s.now.today, -2)?, 1)
    }),
    (r"\b(?i:(?:the )?day after tomorrow)\b", |_, s| calendar::days(calendar::plus_days(s.now.today, 2)?, 1)),
    (r"\b(?i:(?P<which>last|past|this|next|coming|previous) (?P<day>{WEEKDAY}))\b", |c, s| {
        named_weekday(&c["which"], &c["day"], s)
    }),
    (
        r"\b(?i:(?:on|by|until|till|since|before|after|from|this coming) (?:the )?(?P<day>{WEEKDAY}))\b",
        |c, s| weekday(&c["day"], s),
    ),
    (r"\b(?P<day>{WEEKDAY})\b", |c, s| weekday(&c["day"], s)),
    (r"\b(?i:(?P<which>last|past|this|next|coming|previous) (?P<unit>weekend|week|month|year))\b", |c, s| {
        relative_unit(&c["which"], &c["unit"], s)
    }),
    (r"\b(?i:(?:at|on|over|during) the weekend)\b", |_, s| {
        relative_unit(if s.tense == Tense::Past { "last" } else { "this" }, "weekend", s)
    }),
    (r"\b(?i:(?P<n>{NUMBER}) (?P<unit>{UNIT}) (?:ago|earlier|back|prior))\b", |c, s| {
        ago(calendar::number(&c["n"])?, calendar::number(&c["n"])?, &c["unit"], s)
    }),
    (r"\b(?i:(?P<vague>{VAGUE}) (?P<unit>{UNIT}) (?:ago|earlier|back))\b", |c, s| {
        let most = if c["vague"].to_ascii_lowercase().contains("couple") { 3 } else { 4 };
        ago(2, most, &c["unit"], s)
    }),
    (r"\b(?i:half a year ago)\b", |_, s| ago(6, 6, "months", s)),
    (r"\b(?i:(?P<unit>week|month|year) before last)\b", |c, s| ago(2, 2, &c["unit"], s)),
    (r"\b(?i:(?P<unit>week|month|year) after next)\b", |c, s| ago(-2, -2, &c["unit"], s)),
    (r"\b(?i:(?:in|within) (?P<n>{NUMBER}) (?P<unit>{UNIT})(?: time|['’] time| from now)?)\b", |c, s| {
        let n = calendar::number(&c["n"])?;
        // "In two years I learned ..." is a duration.
        if s.tense == Tense::Past { None } else { ago(-n, -n, &c["unit"], s) }
    }),
    (r"\b(?i:(?P<n>{NUMBER}) (?P<unit>{UNIT}) from (?:now|today))\b", |c, s| {
        let n = calendar::number(&c["n"])?;
        ago(-n, -n, &c["unit"], s)
    }),
    (r"\b(?i:in {VAGUE} (?P<unit>{UNIT}))\b", |c, s| {
        if s.tense == Tense::Past { None } else { ago(-3, -2, &c["unit"], s) }
    }),
    (
        r"\b(?i:(?:over|in|during|within|for|throughout) the (?:last|past|previous) (?:(?P<n>{NUMBER}|{VAGUE}) )?(?P<unit>{UNIT}))\b",
        |c, s| {
            let n = c.name("n").map_or(Some(1), |n| calendar::number(n.as_str()).or(Some(3)))?;
            Some((Unit::parse(&c["unit"])?.shift(s.now.today, -n)?, calendar::plus_days(s.now.today, 1)?))
        },
    ),
    (r"\b(?i:the (?:last|past) (?:(?P<n>{NUMBER}|{VAGUE}) )(?P<unit>{UNIT}))\b", |c, s| {
        let n = calendar::number(&c["n"]).unwrap_or(3);
        Some((Unit::parse(&c["unit"])?.shift(s.now.today, -n)?, calendar::plus_days(s.now.today, 1)?))
    }),
    (
        r"\b(?i:(?:over|in|during|within|for) the (?:next|coming) (?:(?P<n>{NUMBER}|{VAGUE}) )?(?P<unit>{UNIT}))\b",
        |c, s| {
            let n = c.name("n").map_or(Some(1), |n| calendar::number(n.as_str()).or(Some(3)))?;
            Some((s.now.today, calendar::plus_days(Unit::parse(&c["unit"])?.shift(s.now.today, n)?, 1)?))
        },
    ),
    (r"\b(?i:earlier (?:this|in the) (?P<unit>week|month|year))\b", |c, s| {
        Some((Unit::parse(&c["unit"])?.around(s.now.today)?.0, calendar::plus_days(s.now.today, 1)?))
    }),
    (r"\b(?i:later (?:this|in the) (?P<unit>week|month|year))\b", |c, s| {
        Some((s.now.today, Unit::parse(&c["unit"])?.around(s.now.today)?.1))
    }),
    (r"\b(?P<year>{YEAR})-(?P<month>\d{1,2})-(?P<day>\d{1,2})(?:T|\b)", |c, _| {
        ymd(&c["year"], &c["month"], &c["day"])
    }),
    (r"\b(?P<year>{YEAR})/(?P<month>\d{1,2})/(?P<day>\d{1,2})\b", |c, _| {
        ymd(&c["year"], &c["month"], &c["day"])
    }),
    (r"\b(?P<first>\d{1,2})/(?P<second>\d{1,2})/(?P<year>{YEAR})\b", |c, _| {
        // Month first, as in the US, unless only the other order is a date.
        ymd(&c["year"], &c["first"], &c["second"]).or_else(|| ymd(&c["year"], &c["second"], &c["first"]))
    }),
    (r"\b(?P<day>\d{1,2})\.\s?(?P<month>\d{1,2})\.\s?(?P<year>{YEAR})\b", |c, _| {
        ymd(&c["year"], &c["month"], &c["day"])
    }),
    (r"\b(?i:(?P<month>{MONTH}|{MON}) (?P<day>{DAY})(?:,? (?P<year>{YEAR}))?)\b", month_day),
    (r"\b(?i:(?P<day>{DAY})(?: of)? (?P<month>{MONTH}|{MON})(?:,? (?P<year>{YEAR}))?)(?:\b|$)", month_day),
    (
        r"\b(?i:(?P<month>{MONTH}|{MON}) (?P<first>{DAY}) ?(?:-|–|to) ?(?P<last>{DAY})(?:,? (?P<year>{YEAR}))?)\b",
        |c, s| {
            let year = c.name("year").and_then(|year| year.as_str().parse().ok());
            let (start, _) = near(calendar::month_number(&c["month"])?, ordinal(&c["first"])?, year, s)?;
            let end = calendar::day(start.year(), start.month(), ordinal(&c["last"])?)?;
            (end >= start).then_some((start, calendar::plus_days(end, 1)?))
        },
    ),
    (r"\b(?i:(?P<month>{MONTH}|{MON}),?(?: of)? (?P<year>{YEAR}))\b", |c, _| {
        calendar::month(c["year"].parse().ok()?, calendar::month_number(&c["month"])?)
    }),
    (
        r"\b(?:(?i:in|since|until|till|by|during|before|after|last|next|this|around|back in|starting|every|through)) (?P<month>{MONTH})\b",
        named_month,
    ),
    (
        r"\b(?i:in|since|until|till|by|during|before) (?i:(?P<month>january|february|april|june|july|august|september|october|november|december))\b",
        named_month,
    ),
    (
        r"\b(?i:(?:between|from) (?P<first>{MONTH}) (?:and|to|until) (?P<last>{MONTH})(?:,? (?P<year>{YEAR}))?)\b",
        |c, s| {
            let year: Option<i32> = c.name("year").and_then(|year| year.as_str().parse().ok());
            let (first, last) = (calendar::month_number(&c["first"])?, calendar::month_number(&c["last"])?);
            let (middle, _) = near(last, 15, year, s)?;
            let opening = middle.year() - i32::from(first > last);
            Some((calendar::month(opening, first)?.0, calendar::month(middle.year(), last)?.1))
        },
    ),
    (
        r"\b(?i:(?P<part>early|mid|late|(?:the )?(?:beginning|start|middle|end) of)[ \-](?P<month>{MONTH})(?:,? (?P<year>{YEAR}))?)\b",
        part_of_month,
    ),
    (
        r"\b(?i:(?P<part>early|mid|late|(?:the )?(?:beginning|start|middle|end) of)[ \-](?:in )?(?P<year>{YEAR}))\b",
        |c, _| {
            let number = c["year"].parse().ok()?;
            let (first, last) = match part(&c["part"]) {
                0 => (1, 4),
                1 => (5, 8),
                _ => (9, 12),
            };
            Some((calendar::month(number, first)?.0, calendar::month(number, last)?.1))
        },
    ),
    (r"\b(?i:(?P<season>spring|summer|autumn|fall|winter)(?: of| in)? (?P<year>{YEAR}))\b", |c, _| {
        calendar::season(c["year"].parse().ok()?, first_month(&c["season"]))
    }),
    (
        r"\b(?i:(?P<which>last|past|this|next|coming) (?P<season>spring|summer|autumn|fall|winter))\b",
        |c, s| {
            let (this_year, first) = (s.now.today.year(), first_month(&c["season"]));
            let seasons = (-1..=2).filter_map(|offset| calendar::season(this_year + offset, first));
            match c["which"].to_ascii_lowercase().as_str() {
                "last" | "past" => seasons.into_iter().rfind(|span| span.1 <= s.now.today),
                "next" | "coming" => seasons.into_iter().find(|span| span.0 > s.now.today),
                _ => calendar::season(this_year, first),
            }
        },
    ),
    (r"\b(?i:(?P<quarter>Q[1-4]),? (?P<year>{YEAR}))\b", |c, _| {
        let quarter: u32 = c["quarter"].get(1..)?.parse().ok()?;
        let (start, _) = calendar::month(c["year"].parse().ok()?, quarter * 3 - 2)?;
        Some((start, calendar::plus_months(start, 3)?))
    }),
    (
        r"\b(?i:in|since|until|till|by|during|before|after|from|of|year|around|circa|back in|for|to|and) (?:the year )?(?P<year>{YEAR})\b",
        |c, _| calendar::year(c["year"].parse().ok()?),
    ),
    (r"\b(?i:(?:in|during|since|from) the (?:(?P<century>19|20)(?P<decade>\d)0)['’]?s)\b", |c, _| {
        let first: i32 = format!("{}{}0", &c["century"], &c["decade"]).parse().ok()?;
        Some((calendar::day(first, 1, 1)?, calendar::day(first + 10, 1, 1)?))
    }),
    (r"\b(?i:Christmas Eve)\b", |_, s| near(12, 24, None, s)),
    (r"\b(?i:at|on|for|over|before|after|since|by|last|this|next) Christmas(?: Day)?\b", |_, s| {
        near(12, 25, None, s)
    }),
    (r"\b(?i:New Year['’]?s Eve)\b", |_, s| near(12, 31, None, s)),
    (r"\b(?i:New Year['’]?s Day)\b", |_, s| near(1, 1, None, s)),
    (r"\b(?i:Halloween)\b", |_, s| near(10, 31, None, s)),
    (r"\b(?i:Valentine['’]?s Day)\b", |_, s| near(2, 14, None, s)),
];

/// Puts the named parts into a pattern.
pub(super) fn fill(source: &str) -> String {
    [("{MONTH}", MONTH), ("{MON}", MON), ("{WEEKDAY}", WEEKDAY), ("{NUMBER}", NUMBER), ("{VAGUE}", VAGUE)]
        .into_iter()
        .chain([("{UNIT}", UNIT), ("{YEAR}", YEAR), ("{DAY}", DAY)])
        .fold(source.to_owned(), |source, (name, value)| source.replace(name, value))
}

fn named_weekday(which: &str, name: &str, scene: &Scene) -> Option<Span> {
    let today = scene.now.today;
    let monday = calendar::monday(today)?;
    let offset = i64::from(calendar::weekday(name)?.num_days_from_monday());
    let day = match which.to_ascii_lowercase().as_str() {
        "last" | "past" | "previous" => {
            let this_week = calendar::plus_days(monday, offset)?;
            if this_week < today { this_week } else { calendar::plus_days(this_week, -7)? }
        }
        "next" => calendar::plus_days(monday, offset + 7)?,
        _ => {
            let this_week = calendar::plus_days(monday, offset)?;
            if this_week < today && scene.tense != Tense::Past {
                calendar::plus_days(this_week, 7)?
            } else {
                this_week
            }
        }
    };
    calendar::days(day, 1)
}

/// A bare weekday: the last one in the past tense, else the coming one.
fn weekday(name: &str, scene: &Scene) -> Option<Span> {
    let wanted = i64::from(calendar::weekday(name)?.num_days_from_monday());
    let today = i64::from(scene.now.today.weekday().num_days_from_monday());
    let ahead = (wanted - today).rem_euclid(7);
    let days = if scene.tense == Tense::Past && ahead != 0 { ahead - 7 } else { ahead };
    calendar::days(calendar::plus_days(scene.now.today, days)?, 1)
}

fn relative_unit(which: &str, unit: &str, scene: &Scene) -> Option<Span> {
    let today = scene.now.today;
    let step = match which.to_ascii_lowercase().as_str() {
        "last" | "past" | "previous" => -1,
        "next" | "coming" => 1,
        _ => 0,
    };
    if unit.eq_ignore_ascii_case("weekend") {
        let saturday = calendar::plus_days(calendar::monday(today)?, 5)?;
        let ended_lately = step == 0 && scene.tense == Tense::Past && saturday > today;
        return calendar::days(calendar::plus_days(saturday, if ended_lately { -7 } else { step * 7 })?, 2);
    }
    let unit = Unit::parse(unit)?;
    // From the first day, since 31 March minus a month is still a day of February.
    unit.around(unit.shift(unit.around(today)?.0, step)?)
}

/// From `most` to `least` units before today; negative numbers lie ahead.
fn ago(least: i64, most: i64, unit: &str, scene: &Scene) -> Option<Span> {
    let fortnights = if unit.to_ascii_lowercase().starts_with("fortnight") { 2 } else { 1 };
    let unit = Unit::parse(unit)?;
    let at = |count: i64| unit.around(unit.shift(scene.now.today, -count.checked_mul(fortnights)?)?);
    let (first, last) = (at(least.max(most))?, at(least.min(most))?);
    Some((first.0, last.1))
}

fn ymd(year: &str, month: &str, day: &str) -> Option<Span> {
    calendar::days(calendar::day(year.parse().ok()?, month.parse().ok()?, day.parse().ok()?)?, 1)
}

fn ordinal(text: &str) -> Option<u32> {
    text.trim_end_matches(|c: char| c.is_ascii_alphabetic()).parse().ok()
}

fn month_day(found: &Captures<'_>, scene: &Scene) -> Option<Span> {
    let name = &found["month"];
    let ordinary = matches!(name, "may" | "march" | "mar" | "jan" | "sep" | "sept" | "dec");
    if ordinary && found.name("year").is_none() && !found["day"].ends_with(|c: char| c.is_ascii_alphabetic())
    {
        return None; // "you may 2 times", "march 5 miles"
    }
    let year = found.name("year").and_then(|year| year.as_str().parse().ok());
    near(calendar::month_number(name)?, ordinal(&found["day"])?, year, scene)
}

/// A day of the given year, else of the year to which the tense points, else of the nearest.
fn near(month: u32, day: u32, year: Option<i32>, scene: &Scene) -> Option<Span> {
    if let Some(year) = year {
        return calendar::days(calendar::day(year, month, day)?, 1);
    }
    let today = scene.now.today;
    let candidates = (-4..=4).filter_map(|offset| calendar::day(today.year() + offset, month, day));
    let best = match scene.tense {
        Tense::Past => candidates.filter(|date| *date <= today).max(),
        Tense::Future => candidates.filter(|date| *date >= today).min(),
        Tense::Unknown => candidates.min_by_key(|date| (*date - today).num_days().abs()),
    };
    calendar::days(best?, 1)
}

/// "in May", "since March", "last June": the word before and the tense choose the year.
fn named_month(found: &Captures<'_>, scene: &Scene) -> Option<Span> {
    let lead = found[0].to_ascii_lowercase();
    let number = calendar::month_number(&found["month"])?;
    if lead.starts_with("every") {
        return None;
    }
    let (year, today) = (scene.now.today.year(), scene.now.today);
    let months: Vec<Span> = (-1..=1).filter_map(|offset| calendar::month(year + offset, number)).collect();
    let past = lead.starts_with("last") || lead.starts_with("since") || lead.starts_with("back in");
    let future = lead.starts_with("next")
        || lead.starts_with("by")
        || lead.starts_with("until")
        || lead.starts_with("till");
    if lead.starts_with("this") {
        return calendar::month(year, number);
    }
    if lead.starts_with("last") {
        return months.into_iter().rfind(|span| span.1 <= today);
    }
    if lead.starts_with("next") {
        return months.into_iter().find(|span| span.0 > today);
    }
    if past || (scene.tense == Tense::Past && !future) {
        return months.into_iter().rfind(|span| span.0 <= today);
    }
    if future || scene.tense == Tense::Future {
        return months.into_iter().find(|span| span.1 > today);
    }
    months.into_iter().min_by_key(|span| (span.0 - today).num_days().abs())
}

/// 0 for the first third, 1 for the middle, 2 for the last.
fn part(word: &str) -> u8 {
    let word = word.to_ascii_lowercase();
    match word {
        word if word.contains("early") || word.contains("beginning") || word.contains("start") => 0,
        word if word.contains("mid") => 1,
        _ => 2,
    }
}

fn part_of_month(found: &Captures<'_>, scene: &Scene) -> Option<Span> {
    let number = calendar::month_number(&found["month"])?;
    let year = found.name("year").and_then(|year| year.as_str().parse().ok());
    let (middle, _) = near(number, 15, year, scene)?;
    let (start, end) = calendar::month(middle.year(), number)?;
    let day = |day| calendar::day(middle.year(), number, day);
    Some(match part(&found["part"]) {
        0 => (start, day(11)?),
        1 => (day(11)?, day(21)?),
        _ => (day(21)?, end),
    })
}

fn first_month(season: &str) -> u32 {
    match season.to_ascii_lowercase().as_str() {
        "spring" => 3,
        "summer" => 6,
        "autumn" | "fall" => 9,
        _ => 12,
    }
}
