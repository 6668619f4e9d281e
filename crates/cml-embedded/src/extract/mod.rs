//! Rule-based analysis of text: what may be stored, what kind of memory it is, what it states.
//!
//! Pure functions without I/O. Every rule is a row of a table; the tables are compiled once per
//! process. Precision comes first: a statement that is not plainly made is not extracted.

mod calendar;
mod clauses;
mod date_rows;
mod dates;
mod entities;
mod gate;
mod kind;
mod redact;
mod rules;
mod sentences;
mod situations;
mod statements;
mod values;
mod words;

use std::{borrow::Cow, ops::Range, sync::OnceLock};

use chrono::{DateTime, Utc};
use chrono_tz::Tz;
use cml_core::memory::{FactCategory, MemorySource, MemoryType, Role};
use regex::{Regex, RegexSet, RegexSetBuilder};

pub use self::{
    dates::{TimeMention, resolve as resolve_dates},
    gate::{Gate, GateVerdict},
    redact::redact,
    sentences::{chunk, paragraphs, sentences},
};

/// Who said a text, and when.
#[derive(Debug, Clone)]
pub struct Context {
    /// Who speaks; unknown counts as the user.
    pub role: Option<Role>,
    /// When it was said.
    pub said_at: DateTime<Utc>,
    /// The caller's time zone, in which days begin.
    pub timezone: Tz,
    /// Name of the person who speaks, where a scope has several people. It then takes the place
    /// of `user` in [`Statement::subject`].
    pub speaker: Option<String>,
}

impl Context {
    /// A text of unknown role, said at `said_at`, with days in UTC.
    #[must_use]
    pub fn new(said_at: DateTime<Utc>) -> Self {
        Self { role: None, said_at, timezone: Tz::UTC, speaker: None }
    }
}

/// What a text is and says.
#[derive(Debug, Clone, PartialEq)]
pub struct Extraction {
    /// The kind of memory, by sentence shape.
    pub kind: MemoryType,
    /// Facts and constraints, in the order of the text.
    pub statements: Vec<Statement>,
    /// Named people, places, organisations and things, in the order of the text.
    pub mentions: Vec<Mention>,
    /// The time that the text speaks of, half-open, in UTC: its first date.
    pub event: Option<(DateTime<Utc>, DateTime<Utc>)>,
}

/// One fact or constraint that a text asserts.
#[derive(Debug, Clone, PartialEq)]
pub struct Statement {
    /// `user` (or the speaker's name), a relation such as `user/sister`, or another person's name.
    pub subject: String,
    /// What is said of the subject, such as `lives_in`.
    pub predicate: String,
    /// The value as the text has it.
    pub value: String,
    /// The value for comparisons: lower case, single spaces, no article.
    pub value_key: String,
    /// What the statement is about; five categories are the kinds of constraint.
    pub category: FactCategory,
    /// The slot it fills, such as `residence` or `favourite:colour`.
    pub slot: Option<Cow<'static, str>>,
    /// Whether a new value of the slot closes the old one.
    pub single_valued: bool,
    /// Situations that a constraint bears on, see [`Extractor::situations`].
    pub situations: Vec<&'static str>,
    /// How sure the rule is, in 0..=1.
    pub confidence: f64,
    /// Who the statement comes from.
    pub source: MemorySource,
    /// Bytes of the text that state it.
    pub span: Range<usize>,
    /// Whether the text says nothing but this statement.
    pub whole: bool,
    /// Whether the statement ends the value without a successor ("I no longer work at Acme").
    /// It closes the slot's current value only where that has the same `value_key`.
    pub ended: bool,
}

cml_core::string_enum! {
    /// What a name stands for.
    pub enum EntityKind("entity_kind") {
        /// A person or a pet.
        Person = "person",
        /// A town, country or other location.
        Place = "place",
        /// A company, school, team or other body.
        Organisation = "organisation",
        /// Any other named thing.
        Thing = "thing",
    }
}

/// A named thing in a text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mention {
    /// The name as the text has it.
    pub name: String,
    /// What it stands for, as far as the words around it tell.
    pub kind: EntityKind,
    /// Bytes of the text.
    pub span: Range<usize>,
}

/// The rules; cheap to copy. The tables are compiled at first use, once per process (about 0.2 s for
/// those that analysis needs).
#[derive(Debug, Clone, Copy, Default)]
pub struct Extractor(());

impl Extractor {
    /// Decides whether `text` is stored, skipped, or stored with personal data replaced by marks.
    #[must_use]
    pub fn gate(&self, text: &str, redaction: bool) -> Gate {
        gate::decide(text, redaction)
    }

    /// Says what `text` is and what it states.
    #[must_use]
    pub fn analyse(&self, text: &str, context: &Context) -> Extraction {
        let sentences = sentences(text);
        let statements = statements::find(text, &sentences, context);
        let mentions = entities::mentions(text, &sentences, &statements);
        let kind = kind::detect(text, &sentences, context.role, &statements);
        let event = resolve_dates(text, context.said_at, context.timezone)
            .into_iter()
            .next()
            .map(|mention| (mention.start, mention.end));
        Extraction { kind, statements, mentions, event }
    }

    /// The situations a query is about, such as `food` or `schedule`; constraints that bear on one
    /// of them apply to the query.
    #[must_use]
    pub fn situations(&self, query: &str) -> Vec<&'static str> {
        situations::of(query)
    }

    /// Names that a query may mean, at most 16: what is written as one, and where nothing has a capital, words
    /// and pairs of words.
    #[must_use]
    pub fn names_asked(&self, query: &str) -> Vec<String> {
        entities::asked(query)
    }

    /// The slots whose value a query asks for, such as `residence` for "where do I live?".
    #[must_use]
    pub fn slots_asked(&self, query: &str) -> Vec<Cow<'static, str>> {
        situations::slots_asked(query)
    }
}

/// Whether facts of this subject and slot exclude each other, as [`Statement::single_valued`] says of
/// statements. Those about one of many ("a friend of mine") never do.
#[must_use]
pub fn is_exclusive(subject: &str, slot: &str) -> bool {
    rules::is_single_valued(slot) && !subject.split('/').skip(1).any(words::is_one_of_many)
}

/// `value` for comparisons, as in [`Statement::value_key`].
#[must_use]
pub fn value_key(value: &str) -> String {
    values::key(value)
}

/// Compiles a pattern that is part of the program.
///
/// Word borders are those of ASCII letters: the fast automaton knows no others.
fn pattern(source: &str) -> Regex {
    Regex::new(&ascii_borders(source)).expect("a compiled-in pattern is valid")
}

/// Compiles a set of patterns that are part of the program.
fn pattern_set<S: AsRef<str>>(sources: impl IntoIterator<Item = S>) -> RegexSet {
    let sources = sources.into_iter().map(|source| ascii_borders(source.as_ref()));
    RegexSetBuilder::new(sources)
        .size_limit(64 << 20)
        .dfa_size_limit(16 << 20)
        .build()
        .expect("compiled-in patterns are valid")
}

/// The patterns of a table: one pass says which rows match, a row is compiled when it first does.
struct Patterns {
    set: RegexSet,
    sources: Vec<String>,
    rows: Vec<OnceLock<Regex>>,
}

impl Patterns {
    fn new(sources: Vec<String>) -> Self {
        let rows = sources.iter().map(|_| OnceLock::new()).collect();
        Self { set: pattern_set(&sources), sources, rows }
    }

    /// Rows that match somewhere in `text`, in their order.
    fn matching(&self, text: &str) -> Vec<usize> {
        self.set.matches(text).iter().collect()
    }

    fn row(&self, index: usize) -> &Regex {
        self.rows[index].get_or_init(|| pattern(&self.sources[index]))
    }
}

fn ascii_borders(source: &str) -> String {
    source.replace(r"\b{", "\0").replace(r"\b", r"(?-u:\b)").replace('\0', r"\b{")
}

/// Notes a case that came out otherwise, so that one run shows all of them.
#[cfg(test)]
#[expect(clippy::needless_pass_by_value, reason = "the cases read better without references")]
fn same<A: std::fmt::Debug + PartialEq<B>, B: std::fmt::Debug>(
    wrong: &mut Vec<String>,
    text: &str,
    found: A,
    expected: B,
) {
    if found != expected {
        wrong.push(format!("{text:?}: {found:?}, not {expected:?}"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SAMPLES: &[&str] = &[
        "I'm Anna – I moved to Berlin last month, and I work at Acme as a designer.",
        "My sister’s husband Tom lives in São Paulo; he's allergic to nuts, shellfish & 花生.",
        "If I drink coffee late, I can't sleep… Never schedule meetings before 9:30!",
        "my password is hunter2 and my card is 4111 1111 1111 1111, mail a@b.example or call +49 30 901820 99",
        "Between May 3 and June 7, 2023 at 5pm; in two weeks; 2023-02-30; the summer of 2022 🎉🎉",
        "\"Ünïcödé\" İstanbul ßtraße 12, fe80::1, 10.0.0.1 — ```code``` > quote\n\n- item\n1. first\n2. second",
        "My favourite colour's is 'blue', is my favorite? I'm from 'the' ' . ' s my sister's ",
        "Im' I' i’ I’m ’s my our user's the user ’ , ; ( My sister, , Anna, 's",
    ];

    /// A small linear congruential generator (Knuth, MMIX), so that a failure can be repeated.
    struct Numbers(u64);

    impl Numbers {
        fn below(&mut self, limit: usize) -> usize {
            self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            usize::try_from(self.0 >> 33).unwrap_or(0) % limit.max(1)
        }
    }

    fn run(extractor: &Extractor, text: &str) {
        let context = Context { timezone: Tz::America__Sao_Paulo, ..Context::new(DateTime::UNIX_EPOCH) };
        let extraction = extractor.analyse(text, &context);
        for statement in &extraction.statements {
            assert!(
                text.get(statement.span.clone()).is_some_and(|span| span.contains(&statement.value)),
                "{statement:?}"
            );
            assert!((0.0..=1.0).contains(&statement.confidence) && !statement.value.trim().is_empty());
        }
        for mention in &extraction.mentions {
            assert_eq!(text.get(mention.span.clone()), Some(mention.name.as_str()));
        }
        assert!(extraction.event.is_none_or(|(start, end)| start <= end));
        let gate = extractor.gate(text, true);
        if gate.verdict == GateVerdict::Redact {
            assert_eq!(redact(&gate.text), gate.text, "idempotent: {text:?}");
        }
        let _ = (extractor.situations(text), extractor.slots_asked(text));
        for chunk in chunk(text, 5, &|text| text.chars().count().div_ceil(4)) {
            assert!(chunk.chars().count() <= 20);
        }
    }

    #[test]
    fn slots_are_exclusive_as_the_statements_that_fill_them() {
        let said = |text: &str| {
            let context = Context::new(DateTime::UNIX_EPOCH);
            Extractor::default().analyse(text, &context).statements
        };
        for text in [
            "I live in Berlin.",
            "My favourite colour is blue.",
            "I am allergic to peanuts.",
            "I like tea.",
            "My wife works at Acme.",
            "My friend works at Acme.",
            "I have two dogs.",
            "My sister Anna lives in Lisbon.",
        ] {
            let statements = said(text);
            assert!(!statements.is_empty(), "{text}");
            for statement in statements {
                let slot = statement.slot.as_deref().unwrap_or(&statement.predicate);
                assert_eq!(is_exclusive(&statement.subject, slot), statement.single_valued, "{statement:?}");
            }
        }
    }

    #[test]
    fn no_text_is_a_trouble() {
        let extractor = Extractor::default();
        let mut numbers = Numbers(7);
        let letters: Vec<char> = SAMPLES.concat().chars().collect();
        for sample in SAMPLES {
            for (end, _) in sample.char_indices() {
                run(&extractor, &sample[..end]);
                run(&extractor, &sample[end..]);
            }
        }
        for _ in 0..300 {
            let length = numbers.below(80);
            let text: String = (0..length).map(|_| letters[numbers.below(letters.len())]).collect();
            run(&extractor, &text);
            let text: String = (0..length)
                .filter_map(|_| char::from_u32(u32::try_from(numbers.below(0x1_1000)).unwrap_or(0)))
                .collect();
            run(&extractor, &text);
        }
    }

    #[test]
    fn an_extraction_tells_kind_statements_mentions_and_event() {
        let said_at = DateTime::from_timestamp(1_684_317_600, 0).unwrap_or_default();
        let found = Extractor::default().analyse("I moved to Berlin last month.", &Context::new(said_at));
        assert_eq!(found.kind, MemoryType::SemanticFact);
        assert_eq!(found.statements[0].value, "Berlin");
        assert_eq!(found.mentions[0].kind, EntityKind::Place);
        let days = found.event.map(|(start, end)| (start.to_rfc3339(), end.to_rfc3339()));
        assert_eq!(days, Some(("2023-04-01T00:00:00+00:00".into(), "2023-05-01T00:00:00+00:00".into())));
    }
}
