//! How much each score counts, by kind of request.

use super::features::{COUNT, Feature, Features};
use super::query::Profile;

/// One weight per feature.
#[derive(Debug, Clone, PartialEq)]
pub struct Weights {
    values: [f32; COUNT],
}

impl Weights {
    /// The weights listed; all others are 0.
    #[must_use]
    pub const fn of(list: &[(Feature, f32)]) -> Self {
        let mut values = [0.0; COUNT];
        let mut place = 0;
        while place < list.len() {
            values[list[place].0 as usize] = list[place].1;
            place += 1;
        }
        Self { values }
    }

    /// The measured weights of a profile, with or without a query vector.
    #[must_use]
    pub const fn measured(profile: Profile, vectors: bool) -> &'static Self {
        match (profile, vectors) {
            (Profile::People, true) => &PEOPLE,
            (Profile::People, false) => &PEOPLE_WORDS,
            (Profile::Chat, true) => &CHAT,
            (Profile::Chat, false) => &CHAT_WORDS,
            (Profile::Statement, true) => &STATEMENT,
            (Profile::Statement, false) => &STATEMENT_WORDS,
            (Profile::Keywords, true) => &KEYWORDS,
            (Profile::Keywords, false) => &KEYWORDS_WORDS,
        }
    }

    /// The weight of a feature.
    #[must_use]
    pub const fn get(&self, feature: Feature) -> f32 {
        self.values[feature as usize]
    }

    /// Weighted sum of a candidate's scores.
    #[must_use]
    pub fn score(&self, features: &Features) -> f64 {
        let terms = self.values.iter().zip(features.values());
        terms.map(|(&weight, &value)| f64::from(weight) * f64::from(value)).sum()
    }
}

use Feature as F;

/// Questions about talk between people.
static PEOPLE: Weights = Weights::of(&[
    (F::LexNext, 0.2),
    (F::LexPrev2, 0.4),
    (F::LexContext, 0.6),
    (F::LexSession, 0.6),
    (F::Date, 1.2),
    (F::Cover, 0.2),
    (F::Soft, 0.4),
    (F::SoftSession, 0.6),
    (F::DenseContext, 1.3),
    (F::DenseSession, 0.3),
    (F::Speaker, 0.3),
    (F::IsQuestion, -0.3),
    (F::PrevIsQuestion, 0.2),
    (F::Length, 0.2),
    (F::Time, 0.6),
    (F::Number, 0.5),
    (F::Name, 0.4),
    (F::NearTime, 0.6),
]);

/// The same without vectors.
static PEOPLE_WORDS: Weights = Weights::of(&[
    (F::Lex, 0.4),
    (F::LexNext, 0.2),
    (F::LexPrev2, 0.4),
    (F::LexContext, 0.7),
    (F::LexSession, 0.6),
    (F::Date, 0.6),
    (F::Cover, 0.8),
    (F::Speaker, 0.3),
    (F::IsQuestion, -0.3),
    (F::PrevIsQuestion, 0.2),
    (F::Length, 0.1),
    (F::Time, 0.7),
    (F::Number, 0.3),
    (F::Name, 0.5),
    (F::NearTime, 1.1),
]);

/// Questions about talk with an assistant.
static CHAT: Weights = Weights::of(&[
    (F::Lex, 1.0),
    (F::LexNext, 0.4),
    (F::LexSession, 0.5),
    (F::Soft, 0.5),
    (F::SoftSession, 0.4),
    (F::Dense, 1.6),
    (F::Speaker, 1.1),
    (F::IsQuestion, -0.4),
    (F::Time, 0.6),
    (F::Name, 0.4),
    (F::NearTime, 0.8),
]);

/// The same without vectors.
static CHAT_WORDS: Weights = Weights::of(&[
    (F::Lex, 1.4),
    (F::LexNext, 0.4),
    (F::LexSession, 0.5),
    (F::Cover, 0.4),
    (F::Soft, 0.5),
    (F::SoftSession, 0.4),
    (F::Speaker, 1.1),
    (F::IsQuestion, -0.4),
    (F::Time, 0.6),
    (F::Name, 0.4),
    (F::NearTime, 0.8),
]);

/// Sentences that ask nothing.
static STATEMENT: Weights = Weights::of(&[(F::Dense, 1.0), (F::DenseContext, 0.5)]);

/// The same without vectors.
static STATEMENT_WORDS: Weights = Weights::of(&[(F::Soft, 1.0), (F::LexContext, 0.5)]);

/// A few words to look for.
static KEYWORDS: Weights = Weights::of(&[
    (F::Lex, 0.6),
    (F::LexContext, 0.3),
    (F::Soft, 0.5),
    (F::Dense, 1.2),
    (F::DenseContext, 0.4),
    (F::Date, 0.6),
    (F::IsQuestion, -0.3),
    (F::NearTime, 0.6),
]);

/// The same without vectors.
static KEYWORDS_WORDS: Weights = Weights::of(&[
    (F::Lex, 1.0),
    (F::LexContext, 0.4),
    (F::Soft, 0.6),
    (F::Cover, 0.3),
    (F::Date, 0.6),
    (F::IsQuestion, -0.3),
    (F::NearTime, 0.6),
]);
