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
    (F::LexNext, 0.05),
    (F::LexPrev2, 0.2),
    (F::LexContext, 0.2),
    (F::LexSession, 0.3),
    (F::Date, 0.95),
    (F::Cover, 0.3),
    (F::Soft, 0.25),
    (F::SoftSession, 0.25),
    (F::DenseContext, 1.1),
    (F::DenseSession, 0.3),
    (F::Speaker, 0.2),
    (F::IsQuestion, -0.2),
    (F::PrevIsQuestion, 0.15),
    (F::Length, 0.1),
    (F::Time, 0.4),
    (F::Number, 0.35),
    (F::Name, 0.2),
    (F::NearTime, 0.55),
    (F::Opens, 0.15),
]);

/// The same without vectors.
static PEOPLE_WORDS: Weights = Weights::of(&[
    (F::LexNext, 0.1),
    (F::LexPrev2, 0.25),
    (F::LexContext, 0.45),
    (F::LexSession, 0.3),
    (F::Date, 0.95),
    (F::Cover, 0.35),
    (F::Soft, 0.3),
    (F::SoftSession, 0.35),
    (F::Speaker, 0.2),
    (F::IsQuestion, -0.15),
    (F::PrevIsQuestion, 0.15),
    (F::Length, 0.05),
    (F::Time, 0.4),
    (F::Number, 0.35),
    (F::Name, 0.2),
    (F::NearTime, 0.55),
    (F::Opens, 0.2),
]);

/// Questions about talk with an assistant.
static CHAT: Weights = Weights::of(&[
    (F::Lex, 0.5),
    (F::LexNext, 0.1),
    (F::LexSession, 0.35),
    (F::LexUserSession, -0.2),
    (F::Soft, 0.1),
    (F::SoftSession, 0.25),
    (F::Dense, 1.5),
    (F::Speaker, 0.85),
    (F::IsQuestion, -0.15),
    (F::Time, 0.55),
    (F::Number, 0.1),
    (F::Name, 0.25),
    (F::NearTime, 0.8),
    (F::Opens, 0.15),
]);

/// The same without vectors.
static CHAT_WORDS: Weights = Weights::of(&[
    (F::Lex, 0.6),
    (F::LexNext, 0.2),
    (F::LexSession, 0.35),
    (F::Soft, 0.2),
    (F::SoftSession, 0.25),
    (F::Speaker, 0.85),
    (F::IsQuestion, -0.1),
    (F::Time, 0.55),
    (F::Number, 0.15),
    (F::Name, 0.25),
    (F::NearTime, 0.8),
    (F::Opens, 0.15),
]);

/// Sentences that ask nothing.
static STATEMENT: Weights =
    Weights::of(&[(F::Dense, 1.0), (F::DenseContext, 0.25), (F::Speaker, 0.2), (F::Length, 0.05)]);

/// The same without vectors.
static STATEMENT_WORDS: Weights = Weights::of(&[(F::Soft, 1.0), (F::LexContext, 0.2), (F::Speaker, 0.2)]);

/// A few words to look for.
static KEYWORDS: Weights = Weights::of(&[
    (F::Lex, 0.1),
    (F::LexNext, 0.05),
    (F::LexContext, 0.15),
    (F::LexSession, 0.25),
    (F::Date, 0.55),
    (F::Cover, 0.2),
    (F::Soft, 0.25),
    (F::SoftSession, 0.1),
    (F::Dense, 0.7),
    (F::DenseContext, 0.7),
    (F::Speaker, 0.15),
    (F::IsQuestion, -0.2),
    (F::NearTime, 0.55),
]);

/// The same without vectors.
static KEYWORDS_WORDS: Weights = Weights::of(&[
    (F::Lex, 0.15),
    (F::LexNext, 0.1),
    (F::LexContext, 0.3),
    (F::LexSession, 0.3),
    (F::Date, 0.55),
    (F::Cover, 0.25),
    (F::Soft, 0.35),
    (F::SoftSession, 0.15),
    (F::Speaker, 0.15),
    (F::IsQuestion, -0.2),
    (F::NearTime, 0.55),
]);
