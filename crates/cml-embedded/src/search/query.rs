//! Understanding a query: its words, what kind of request it is, whom and when it asks about.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use chrono_tz::Tz;

use super::analysis::{TurnAnalysis, for_each_word, with_stem};
use super::soft::{Neighbour, SoftLexicon};
use crate::embed::StaticModel;
use crate::extract::{TimeMention, resolve_dates};

/// What is known when a query arrives, besides its text.
#[derive(Debug, Clone, Copy)]
#[expect(clippy::exhaustive_structs, reason = "built field by field by the caller")]
pub struct QueryContext<'a> {
    /// The instant that "today" and "two weeks ago" refer to.
    pub reference_time: DateTime<Utc>,
    /// The asker's time zone.
    pub timezone: Tz,
    /// Who asks, where several people talk.
    pub speaker: Option<&'a str>,
    /// Names under which turns of the scope are spoken.
    pub participants: &'a [&'a str],
    /// Whether an assistant speaks in the scope.
    pub has_assistant: bool,
    /// Words of like meaning; without it only equal stems match.
    pub lexicon: Option<(&'a SoftLexicon, &'a StaticModel)>,
}

/// A query, understood.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct QueryPlan {
    /// The distinct stems, at most [`MAX_TERMS`].
    pub terms: Vec<QueryTerm>,
    /// What kind of request it is.
    pub profile: Profile,
    /// Whose words are asked for.
    pub asked: Asked,
    /// What kind of answer is wanted.
    pub answer: Answer,
    /// What to embed where vectors add up: the query without the participants' names, since the speaker's
    /// score covers them already and they would draw every turn that addresses that person.
    pub embed_text: String,
    /// The times that the query names, each from its first microsecond since 1970 UTC to its last.
    pub windows: Vec<(i64, i64)>,
}

/// A stem of a query.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct QueryTerm {
    /// The stem.
    pub stem: Box<str>,
    /// Stems of like meaning, closest first.
    pub neighbours: Arc<[Neighbour]>,
    /// What the stem is as part of a date.
    pub date: Option<DatePart>,
    /// Factor of the stem's rarity: 1, or less for a word such as "preferences" among keywords, which
    /// names a sort of memory and not its subject.
    pub weight: f32,
}

/// A word as part of a date.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum DatePart {
    /// Day of the month, 1..=31.
    Day(u8),
    /// Month, 1..=12.
    Month(u8),
    /// Year, 1900..=2099.
    Year(u16),
}

/// Which weights rank the candidates.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Profile {
    /// A question about talk between people, or about single memories.
    People,
    /// A question about talk between a user and an assistant.
    Chat,
    /// A sentence that asks nothing: what is said now, for which something earlier may matter.
    Statement,
    /// A few words to look for, or an order.
    Keywords,
}

/// Whose words a query asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Asked {
    /// Nobody in particular.
    Anyone,
    /// The person of this name.
    Person(Box<str>),
    /// The user of an assistant.
    User,
    /// The assistant.
    Assistant,
}

/// What kind of answer a question wants.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Answer {
    /// A time: "when", "how long ago".
    pub time: bool,
    /// A number: "how many".
    pub number: bool,
    /// A name: "who", "where", "which".
    pub name: bool,
}

impl QueryPlan {
    /// Reads a query. An empty one has no terms.
    #[must_use]
    pub fn new(text: &str, context: &QueryContext<'_>) -> Self {
        let mut words: Vec<String> = Vec::new();
        for_each_word(text, |word| words.push(word.lower.to_owned()));
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        let profile = profile(text, &words, context.has_assistant);
        let named = named(&words, context.participants);
        Self {
            terms: terms(text, profile, context),
            profile,
            asked: asked(&words, profile, named, context),
            embed_text: embed_text(text, &words, profile, context.participants),
            answer: answer(&words),
            windows: windows(text, context),
        }
    }
}

/// Most stems of a query that take part in the search.
pub const MAX_TERMS: usize = 64;

fn terms(text: &str, profile: Profile, context: &QueryContext<'_>) -> Vec<QueryTerm> {
    let stems = TurnAnalysis::of(text).terms;
    let sort = |stem: &str| profile == Profile::Keywords && stems.len() > 1 && SORTS.contains(&stem);
    let sorts: Vec<bool> = stems.iter().map(|(stem, _)| sort(stem)).collect();
    let term = |((stem, _), sort): ((Box<str>, u16), bool)| QueryTerm {
        neighbours: context
            .lexicon
            .map_or_else(|| Arc::from([]), |(lexicon, model)| lexicon.neighbours(model, &stem)),
        date: date_part(&stem),
        weight: if sort { SORT_WEIGHT } else { 1.0 },
        stem,
    };
    stems.into_iter().zip(sorts).take(MAX_TERMS).map(term).collect()
}

/// Stems of words that name a sort of memory.
#[rustfmt::skip]
const SORTS: &[&str] = &[
    "prefer", "inform", "info", "detail", "fact", "set", "note", "memori", "stuff", "thing", "histori", "data", "list",
    "name", "choic", "option", "habit", "restrict", "requir", "statu", "context", "background", "profil", "user",
];

/// How much such a word counts beside the words of the subject.
const SORT_WEIGHT: f32 = 0.15;

fn date_part(stem: &str) -> Option<DatePart> {
    let digits = stem.bytes().take_while(u8::is_ascii_digit).count();
    if digits > 0 {
        let number: u16 = stem[..digits].parse().ok()?;
        return match (number, digits, &stem[digits..]) {
            (1..=31, 1..=2, "" | "st" | "nd" | "rd" | "th") => Some(DatePart::Day(number as u8)),
            (1900..=2099, 4, "") => Some(DatePart::Year(number)),
            _ => None,
        };
    }
    let month = MONTHS.iter().position(|month| *month == stem)?;
    Some(DatePart::Month(month as u8 % 12 + 1))
}

/// Stems of the months' names, then of their abbreviations.
#[rustfmt::skip]
const MONTHS: [&str; 24] = [
    "januari", "februari", "march", "april", "may", "june", "juli", "august", "septemb", "octob", "novemb", "decemb",
    "jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sept", "oct", "nov", "dec",
];

fn profile(text: &str, words: &[&str], has_assistant: bool) -> Profile {
    let question = text.contains('?')
        || words.first().is_some_and(|word| QUESTION_WORDS.contains(word))
        || matches!(words, ["tell", "me", ..] | ["remind", "me", ..] | ["do", "you", ..]);
    if question {
        return if has_assistant { Profile::Chat } else { Profile::People };
    }
    // A list of keywords has next to no function words, however long it is.
    let function_words = words.iter().filter(|word| with_stem(word, |_| ()).is_none()).count();
    let sentence = words.len() > KEYWORDS && 4 * function_words >= words.len()
        || words.iter().any(|word| SENTENCE_WORDS.contains(word));
    if sentence { Profile::Statement } else { Profile::Keywords }
}

/// Most words of a keyword query that may be mixed with function words.
const KEYWORDS: usize = 8;

/// Words that open a question even without its mark.
#[rustfmt::skip]
const QUESTION_WORDS: &[&str] = &[
    "what", "what's", "when", "when's", "where", "where's", "who", "who's", "whom", "whose", "which", "why", "how",
    "how's", "did", "does", "is", "are", "was", "were", "has", "can", "could", "would", "should",
];

/// Words that a sentence has and a list of keywords lacks.
#[rustfmt::skip]
const SENTENCE_WORDS: &[&str] = &[
    "i", "i'm", "i've", "i'd", "i'll", "you", "you're", "he", "he's", "she", "she's", "it", "it's", "we", "we're",
    "they", "they're", "am", "is", "are", "was", "were", "has", "had", "have", "been", "that's", "this", "so",
];

fn asked(words: &[&str], profile: Profile, named: Option<&str>, context: &QueryContext<'_>) -> Asked {
    let has = |wanted: &[&str]| words.iter().any(|word| wanted.contains(word));
    if let Some(name) = named {
        return Asked::Person(name.into());
    }
    if context.has_assistant {
        let pair = |first: &[&str], second: &[&str]| {
            words.windows(2).any(|pair| first.contains(&pair[0]) && second.contains(&pair[1]))
        };
        let told = pair(&["you"], SAID)
            || words
                .windows(3)
                .any(|three| three[0] == "did" && three[1] == "you" && SAYING.contains(&three[2]));
        let talked = pair(&["our"], TALK) || pair(&["previous", "last", "earlier", "past"], TALK);
        let reminded = has(&["remind"]) && !has(&["my", "mine", "our"]);
        return if told || talked || reminded {
            Asked::Assistant
        } else if profile == Profile::Statement || has(FIRST_PERSON) {
            Asked::User
        } else {
            Asked::Anyone
        };
    }
    match context.speaker {
        Some(speaker) if profile == Profile::Statement || has(FIRST_PERSON) => Asked::Person(speaker.into()),
        _ => Asked::Anyone,
    }
}

#[rustfmt::skip]
const SAID: &[&str] = &[
    "told", "said", "mentioned", "recommended", "suggested", "gave", "provided", "listed", "explained", "described",
    "wrote", "created", "shared", "advised", "proposed",
];

#[rustfmt::skip]
const SAYING: &[&str] = &[
    "tell", "say", "mention", "recommend", "suggest", "give", "provide", "list", "explain", "describe", "write",
    "create", "share", "advise", "propose",
];

const TALK: &[&str] = &["conversation", "conversations", "chat", "chats", "discussion", "talk"];

const FIRST_PERSON: &[&str] = &["i", "my", "me", "mine", "i'm", "i've", "i'd", "i'll", "we", "our", "us"];

/// The participant whose name is among the words, if it is one and no more.
fn named<'a>(words: &[&str], participants: &[&'a str]) -> Option<&'a str> {
    let mut named = participants.iter().filter(|name| is_named(name, words));
    match (named.next(), named.next()) {
        (Some(name), None) => Some(name),
        _ => None,
    }
}

/// The query as it is embedded: without names, and among keywords with the words of the subject twice.
fn embed_text(text: &str, words: &[&str], profile: Profile, names: &[&str]) -> String {
    let mut text = without_names(text, names);
    if profile == Profile::Keywords {
        let sort = |word: &&&str| with_stem(word, |stem| SORTS.contains(&stem));
        let subject: Vec<&str> = words.iter().filter(|word| sort(word) == Some(false)).copied().collect();
        if !subject.is_empty() && words.iter().any(|word| sort(&word) == Some(true)) {
            text = format!("{} {text}", subject.join(" "));
        }
    }
    text
}

/// `text` without the words of the names; as it is if nothing else is in it.
fn without_names(text: &str, names: &[&str]) -> String {
    let mut parts: Vec<String> = Vec::new();
    for name in names {
        for_each_word(name, |part| parts.push(part.lower.to_owned()));
    }
    let is_part = |word: &str| {
        let word = word.trim_matches(|c: char| !c.is_alphanumeric()).to_lowercase().replace('’', "'");
        parts.iter().any(|part| word == *part || word.strip_suffix("'s") == Some(part))
    };
    let rest: Vec<&str> = text.split_whitespace().filter(|word| !is_part(word)).collect();
    if rest.is_empty() { text.to_owned() } else { rest.join(" ") }
}

/// Whether the first word of `name`, or all of it, is among the words.
fn is_named(name: &str, words: &[&str]) -> bool {
    let mut found = false;
    let mut first = true;
    for_each_word(name, |part| {
        if std::mem::take(&mut first) {
            found =
                words.iter().any(|word| *word == part.lower || word.strip_suffix("'s") == Some(part.lower));
        }
    });
    found
}

fn answer(words: &[&str]) -> Answer {
    let first = words.first().copied().unwrap_or_default();
    let pair = |a: &str, b: &[&str]| words.windows(2).any(|pair| pair[0] == a && b.contains(&pair[1]));
    Answer {
        time: words.contains(&"when")
            || pair("what", &["date", "day", "month", "year", "time"])
            || pair("which", &["date", "day", "month", "year", "week"])
            || pair("how", &["long"]),
        number: pair("how", &["many", "much", "often", "old", "long"]),
        name: matches!(first, "who" | "whom" | "whose" | "where" | "which") || words.contains(&"where"),
    }
}

fn windows(text: &str, context: &QueryContext<'_>) -> Vec<(i64, i64)> {
    let mentions = resolve_dates(text, context.reference_time, context.timezone);
    let span = |mention: TimeMention| (mention.start.timestamp_micros(), mention.end.timestamp_micros() - 1);
    mentions.into_iter().map(span).collect()
}
