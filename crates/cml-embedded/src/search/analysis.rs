//! Text to search terms: words, stems, stop list, and what else ranking wants to know of a text.

use std::borrow::Cow;
use std::cell::RefCell;

use rust_stemmers::{Algorithm, Stemmer};
use rustc_hash::FxHashMap;

/// What search knows of a text; made once when it is written.
///
/// Terms are Snowball English stems of the lower-case words that the stop list leaves over.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct TurnAnalysis {
    /// The stems in order of first occurrence, each with how often it occurs.
    pub terms: Vec<(Box<str>, u16)>,
    /// Number of words, those of the stop list included.
    pub length: u32,
    /// What kind of statements the text holds.
    pub flags: TextFlags,
}

impl TurnAnalysis {
    /// Analyses a text of any length.
    #[must_use]
    pub fn of(text: &str) -> Self {
        let mut analysis = Self::default();
        let mut places: FxHashMap<Box<str>, usize> = FxHashMap::default();
        let (mut time, mut number, mut names) = (false, false, 0_u8);
        for_each_word(text, |word| {
            analysis.length = analysis.length.saturating_add(1);
            let digit = word.lower.bytes().any(|byte| byte.is_ascii_digit());
            number |= digit || is_number_word(word.lower);
            time |= is_time_word(word.lower);
            if word.capital && !word.starts_sentence && !word.lower.starts_with("i'") && word.lower != "i" {
                names = (names + 1).min(2);
            }
            with_stem(word.lower, |stem| {
                if analysis.terms.len() < SMALL {
                    match analysis.terms.iter_mut().find(|(term, _)| **term == *stem) {
                        Some((_, count)) => *count = count.saturating_add(1),
                        None => analysis.terms.push((stem.into(), 1)),
                    }
                    return;
                }
                if places.is_empty() {
                    places.extend(analysis.terms.iter().enumerate().map(|(i, (term, _))| (term.clone(), i)));
                }
                if let Some(&place) = places.get(stem) {
                    let count = &mut analysis.terms[place].1;
                    *count = count.saturating_add(1);
                } else {
                    places.insert(stem.into(), analysis.terms.len());
                    analysis.terms.push((stem.into(), 1));
                }
            });
        });
        let end = text.trim_end_matches(|c: char| c.is_whitespace() || matches!(c, '"' | '\'' | ')' | '*'));
        analysis.flags = TextFlags {
            ends_with_question: end.ends_with('?'),
            has_question: text.contains('?'),
            has_time: time,
            has_number: number,
            names,
        };
        analysis
    }

    /// The form that a store keeps: terms separated by spaces, a repeated one as `stem*count`; the
    /// length; the flags as bits.
    #[must_use]
    pub fn to_columns(&self) -> (String, i64, i64) {
        let mut terms = String::with_capacity(self.terms.len() * 7);
        for (term, count) in &self.terms {
            if !terms.is_empty() {
                terms.push(' ');
            }
            terms.push_str(term);
            if *count > 1 {
                terms.push('*');
                terms.push_str(&count.to_string());
            }
        }
        (terms, i64::from(self.length), self.flags.to_bits())
    }

    /// Reads what [`to_columns`](Self::to_columns) wrote. A count that is no number counts as one.
    #[must_use]
    pub fn from_columns(terms: &str, length: i64, flags: i64) -> Self {
        let term = |word: &str| match word.split_once('*') {
            Some((term, count)) => (term.into(), count.parse().unwrap_or(1)),
            None => (word.into(), 1),
        };
        Self {
            terms: terms.split_ascii_whitespace().map(term).collect(),
            length: u32::try_from(length).unwrap_or(0),
            flags: TextFlags::from_bits(flags),
        }
    }
}

/// What a text holds besides its words.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct TextFlags {
    /// The last sentence is a question.
    pub ends_with_question: bool,
    /// A "?" stands somewhere.
    pub has_question: bool,
    /// A word of time: "yesterday", "May", "week", "2023".
    pub has_time: bool,
    /// A number in digits or words.
    pub has_number: bool,
    /// Capitalised words inside sentences, 0..=2; more count as two.
    pub names: u8,
}

impl TextFlags {
    const fn to_bits(self) -> i64 {
        self.ends_with_question as i64
            | (self.has_question as i64) << 1
            | (self.has_time as i64) << 2
            | (self.has_number as i64) << 3
            | (self.names as i64) << 4
    }

    const fn from_bits(bits: i64) -> Self {
        let names = (bits >> 4 & 3) as u8;
        Self {
            ends_with_question: bits & 1 != 0,
            has_question: bits & 2 != 0,
            has_time: bits & 4 != 0,
            has_number: bits & 8 != 0,
            names: if names > 2 { 2 } else { names },
        }
    }
}

/// A word of a text.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Word<'a> {
    /// Lower case, curly apostrophes made straight.
    pub(crate) lower: &'a str,
    /// Starts with a capital letter.
    pub(crate) capital: bool,
    /// First word of a sentence or line.
    pub(crate) starts_sentence: bool,
}

/// Calls `emit` for each word: a run of letters and digits, with apostrophes inside it.
pub(crate) fn for_each_word(text: &str, mut emit: impl FnMut(Word<'_>)) {
    let mut lower = String::with_capacity(24);
    let mut capital = false;
    let mut starts_sentence = true;
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        let c = if c == '’' { '\'' } else { c };
        let inside = c.is_alphanumeric()
            || c == '\'' && !lower.is_empty() && chars.peek().is_some_and(|next| next.is_alphanumeric());
        if inside {
            if lower.is_empty() {
                capital = c.is_uppercase();
            }
            if c.is_ascii() {
                lower.push(c.to_ascii_lowercase());
            } else {
                lower.extend(c.to_lowercase());
            }
            if chars.peek().is_some() {
                continue;
            }
        }
        if !lower.is_empty() {
            emit(Word { lower: &lower, capital, starts_sentence });
            starts_sentence = false;
            lower.clear();
        }
        starts_sentence |= matches!(c, '.' | '!' | '?' | ':' | '\n' | '"' | '“');
    }
}

/// Calls `use_stem` with the stem of a lower-case word, unless the stop list has the word.
///
/// Stems are remembered per thread, since a text's words mostly occurred before.
pub(crate) fn with_stem<T>(lower: &str, use_stem: impl FnOnce(&str) -> T) -> Option<T> {
    thread_local! {
        static STEMS: RefCell<Stems> = RefCell::new(Stems::new());
    }
    STEMS.with_borrow_mut(|stems| stems.of(lower).map(use_stem))
}

/// The terms of a short text such as a name or a query, in order, repeats left out.
#[must_use]
pub fn stems(text: &str) -> Vec<Box<str>> {
    TurnAnalysis::of(text).terms.into_iter().map(|(term, _)| term).collect()
}

struct Stems {
    stemmer: Stemmer,
    known: FxHashMap<Box<str>, Option<Box<str>>>,
}

impl Stems {
    fn new() -> Self {
        Self { stemmer: Stemmer::create(Algorithm::English), known: FxHashMap::default() }
    }

    fn of(&mut self, lower: &str) -> Option<&str> {
        if self.known.len() >= KNOWN_STEMS && !self.known.contains_key(lower) {
            self.known.clear();
        }
        if !self.known.contains_key(lower) {
            let stem = self.stem(lower);
            self.known.insert(lower.into(), stem);
        }
        self.known.get(lower)?.as_deref()
    }

    fn stem(&self, lower: &str) -> Option<Box<str>> {
        if STOP_WORDS.binary_search(&lower).is_ok() {
            return None;
        }
        let lower = match IRREGULAR.binary_search_by_key(&lower, |&(form, _)| form) {
            Ok(place) => IRREGULAR[place].1,
            Err(_) => lower,
        };
        // Very long "words" are keys and codes; their stem is of no use and the index keeps them whole.
        let stem = if lower.len() <= 40 { self.stemmer.stem(lower) } else { Cow::Borrowed(lower) };
        let stem = stem.trim_end_matches('\'');
        (!stem.is_empty() && STOP_WORDS.binary_search(&stem).is_err()).then(|| stem.into())
    }
}

/// Terms up to which a list is searched instead of a table.
const SMALL: usize = 24;

/// Words whose stems a thread remembers; about 2 MB.
const KNOWN_STEMS: usize = 32_768;

fn is_number_word(lower: &str) -> bool {
    NUMBER_WORDS.binary_search(&lower).is_ok()
}

fn is_time_word(lower: &str) -> bool {
    let year = lower.len() == 4
        && (lower.starts_with("19") || lower.starts_with("20"))
        && lower.bytes().all(|byte| byte.is_ascii_digit());
    year || TIME_WORDS.binary_search(&lower).is_ok()
}

/// Forms that the stemmer does not bring back to their base: irregular verbs and plurals, short forms.
#[rustfmt::skip]
const IRREGULAR: &[(&str, &str)] = &[
    ("ate", "eat"), ("became", "become"), ("began", "begin"), ("begun", "begin"), ("bent", "bend"),
    ("bit", "bite"), ("bitten", "bite"), ("bought", "buy"), ("broke", "break"), ("broken", "break"),
    ("brought", "bring"), ("built", "build"), ("came", "come"), ("caught", "catch"), ("children", "child"),
    ("chose", "choose"), ("chosen", "choose"), ("dad", "father"), ("dads", "father"), ("dealt", "deal"),
    ("drank", "drink"), ("drawn", "draw"), ("drew", "draw"), ("driven", "drive"), ("drove", "drive"),
    ("dug", "dig"), ("eaten", "eat"), ("fallen", "fall"), ("fed", "feed"), ("feet", "foot"),
    ("fell", "fall"), ("felt", "feel"), ("flew", "fly"), ("flown", "fly"), ("forgot", "forget"),
    ("forgotten", "forget"), ("fought", "fight"), ("found", "find"), ("froze", "freeze"), ("frozen", "freeze"),
    ("gave", "give"), ("given", "give"), ("gone", "go"), ("got", "get"), ("gotten", "get"),
    ("grew", "grow"), ("grown", "grow"), ("heard", "hear"), ("held", "hold"), ("hidden", "hide"),
    ("hung", "hang"), ("kept", "keep"), ("kid", "child"), ("kids", "child"), ("knew", "know"),
    ("known", "know"), ("laid", "lay"), ("led", "lead"), ("left", "leave"), ("lent", "lend"),
    ("lives", "life"), ("lost", "lose"), ("made", "make"), ("mama", "mother"), ("meant", "mean"),
    ("men", "man"), ("met", "meet"), ("mice", "mouse"), ("mom", "mother"), ("moms", "mother"),
    ("mum", "mother"), ("paid", "pay"), ("people", "person"), ("photo", "picture"), ("photos", "picture"),
    ("pic", "picture"), ("pics", "picture"), ("ran", "run"), ("rang", "ring"), ("ridden", "ride"),
    ("risen", "rise"), ("rode", "ride"), ("said", "say"), ("sang", "sing"), ("sat", "sit"),
    ("saw", "see"), ("seen", "see"), ("sent", "send"), ("shook", "shake"), ("shot", "shoot"),
    ("shown", "show"), ("slept", "sleep"), ("sold", "sell"), ("spent", "spend"), ("spoke", "speak"),
    ("spoken", "speak"), ("stole", "steal"), ("stolen", "steal"), ("stood", "stand"), ("stuck", "stick"),
    ("sung", "sing"), ("swam", "swim"), ("swum", "swim"), ("taken", "take"), ("taught", "teach"),
    ("teeth", "tooth"), ("thought", "think"), ("threw", "throw"), ("thrown", "throw"), ("told", "tell"),
    ("took", "take"), ("torn", "tear"), ("tv", "television"), ("understood", "understand"), ("went", "go"),
    ("wives", "wife"), ("woke", "wake"), ("woken", "wake"), ("women", "woman"), ("won", "win"),
    ("wore", "wear"), ("worn", "wear"), ("written", "write"), ("wrote", "write"),
];

/// Function words, which tell nothing about a text's subject. "may" and "will" stay out: month and name.
#[rustfmt::skip]
const STOP_WORDS: &[&str] = &[
    "a", "about", "again", "ain't", "all", "am", "an", "and", "any", "are", "aren't", "as", "at", "be",
    "because", "been", "being", "below", "between", "but", "by", "can", "can't", "could", "couldn't", "did",
    "didn't", "do", "does", "doesn't", "doing", "don't", "down", "during", "each", "for", "from", "further",
    "had", "hadn't", "has", "hasn't", "have", "haven't", "having", "he", "he'd", "he'll", "he's", "her",
    "here", "hers", "him", "his", "how", "how's", "i", "i'd", "i'll", "i'm", "i've", "if", "in", "into",
    "is", "isn't", "it", "it's", "its", "just", "let's", "me", "more", "most", "my", "no", "nor", "not",
    "of", "off", "on", "only", "or", "other", "ought", "our", "ours", "out", "over", "own", "same",
    "shan't", "she", "she'd", "she'll", "she's", "should", "shouldn't", "so", "some", "such", "than",
    "that", "that's", "the", "their", "theirs", "them", "then", "there", "there's", "these", "they",
    "they'd", "they'll", "they're", "they've", "this", "those", "through", "to", "too", "under", "until",
    "up", "very", "was", "wasn't", "we", "we'd", "we'll", "we're", "we've", "were", "weren't", "what",
    "what's", "when", "when's", "where", "where's", "which", "while", "who", "who's", "whom", "whose",
    "why", "why's", "with", "won't", "would", "wouldn't", "you", "you'd", "you'll", "you're", "you've",
    "your", "yours",
];

#[rustfmt::skip]
const NUMBER_WORDS: &[&str] = &[
    "both", "couple", "double", "dozen", "eight", "eighteen", "eighty", "eleven", "fifteen", "fifty", "five",
    "forty", "four", "fourteen", "half", "hundred", "million", "nine", "nineteen", "ninety", "once", "one",
    "seven", "seventeen", "seventy", "several", "six", "sixteen", "sixty", "ten", "thirteen", "thirty", "thousand",
    "three", "twelve", "twenty", "twice", "two", "zero",
];

#[rustfmt::skip]
const TIME_WORDS: &[&str] = &[
    "afternoon", "ago", "april", "august", "autumn", "christmas", "day", "days", "decade", "december", "evening",
    "february", "fortnight", "friday", "hour", "hours", "january", "july", "june", "last", "lately", "march",
    "may", "minutes", "monday", "month", "months", "morning", "next", "night", "november", "october", "recently",
    "saturday", "season", "september", "since", "soon", "spring", "summer", "sunday", "thursday", "today",
    "tomorrow", "tonight", "tuesday", "wednesday", "week", "weekend", "weekends", "weeks", "winter", "year",
    "years", "yesterday",
];

#[cfg(test)]
mod tests {
    use super::*;

    fn terms(text: &str) -> Vec<(String, u16)> {
        TurnAnalysis::of(text).terms.into_iter().map(|(term, count)| (term.into(), count)).collect()
    }

    #[test]
    fn lists_are_sorted_for_binary_search() {
        for list in [STOP_WORDS, NUMBER_WORDS, TIME_WORDS] {
            assert!(list.is_sorted(), "{list:?}");
        }
    }

    #[test]
    fn words_become_stems_with_counts_in_order() {
        let expected = [("paint", 2), ("sunris", 1), ("melani", 1), ("o'brien", 1), ("café", 1)];
        let expected = expected.map(|(term, count)| (term.to_owned(), count));
        assert_eq!(terms("I painted the Sunrises; Melanie's painting, O’Brien's CAFÉ"), expected);
        assert!(terms("It's what I'd do... 'the' ").is_empty());
    }

    #[test]
    fn long_texts_count_like_short_ones() {
        let text: String = (0..100).map(|i| format!("word{i} apple ")).collect();
        let analysis = TurnAnalysis::of(&text);
        assert_eq!((analysis.terms.len(), analysis.length), (101, 200));
        assert_eq!(analysis.terms[1], ("appl".into(), 100));
    }

    #[test]
    fn flags_tell_questions_times_numbers_and_names() {
        let flags = TurnAnalysis::of("We met Ann and Bob in Rome on 7 May. Did you know?").flags;
        assert!(flags.ends_with_question && flags.has_question && flags.has_time && flags.has_number);
        assert_eq!(flags.names, 2);
        let flags = TurnAnalysis::of("Really? I'm fine. That is good.").flags;
        assert!(!flags.ends_with_question && flags.has_question && !flags.has_time && !flags.has_number);
        assert_eq!(flags.names, 0);
    }

    #[test]
    fn columns_bring_the_analysis_back() {
        for text in ["", "tea tea tea and 2*3 cakes?", "Ann saw Bob in May"] {
            let analysis = TurnAnalysis::of(text);
            let (terms, length, flags) = analysis.to_columns();
            assert_eq!(TurnAnalysis::from_columns(&terms, length, flags), analysis, "{terms}");
        }
        assert_eq!(TurnAnalysis::of("tea tea tea").to_columns(), ("tea*3".into(), 3, 0));
    }
}
