//! The scores of a candidate, one number each.

use std::fmt;

macro_rules! features {
    ($($(#[$doc:meta])* $variant:ident = $name:literal,)+) => {
        /// A score of a candidate for a query. "Normalised" is divided by the largest value of this query.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        #[non_exhaustive]
        pub enum Feature {
            $($(#[$doc])* $variant,)+
        }

        impl Feature {
            /// Every feature, in the order of [`Features::values`].
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];

            /// Short name, as in dumps and explanations.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$variant => $name,)+
                }
            }
        }
    };
}

features! {
    /// Normalised BM25 of the turn's words and its speaker's name.
    Lex = "lex",
    /// `Lex` of the turn after it in the session.
    LexNext = "lex_next",
    /// `Lex` of the turn two before it.
    LexPrev2 = "lex_prev2",
    /// Normalised BM25 of the previous turn and the turn as one document.
    LexContext = "lex_ctx",
    /// Normalised BM25 of the session.
    LexSession = "lex_sess",
    /// Normalised BM25 of the session's turns that are not by an assistant.
    LexUserSession = "lex_sess_user",
    /// Normalised gain of BM25 when day, month and year are added to the turn.
    Date = "date",
    /// Share of the query's idf found within two turns either side.
    Cover = "cover",
    /// Normalised sum over query terms of idf x best match in the turn.
    Soft = "soft",
    /// Mean of the session's three best `Soft`.
    SoftSession = "soft_sess",
    /// Cosine with the turn: its best chunk.
    Dense = "dense",
    /// Cosine with the previous turn and the turn together.
    DenseContext = "dense_ctx",
    /// Mean of the session's three best `Dense`.
    DenseSession = "dense_sess",
    /// 1 if the person asked about speaks, 0 if another does, 0.5 if nobody in particular is asked about.
    Speaker = "speaker",
    /// 1 if the turn ends in a question.
    IsQuestion = "is_question",
    /// 1 if the previous turn holds a question.
    PrevIsQuestion = "prev_is_question",
    /// `ln(1 + words)`.
    Length = "length",
    /// 1 if a time is asked for and the turn has a word of time.
    Time = "x_time",
    /// 1 if a number is asked for and the turn has one.
    Number = "x_number",
    /// 0..=2, the turn's capitalised words inside sentences, if a name is asked for.
    Name = "x_name",
    /// Closeness of the turn's time to the time that the query names, 0..=1.
    NearTime = "near_time",
    /// 1 if the turn opens a session.
    Opens = "opens",
}

/// The number of features.
pub const COUNT: usize = Feature::ALL.len();

/// All scores of a candidate.
#[derive(Clone, Copy, PartialEq)]
pub struct Features {
    values: [f32; COUNT],
}

impl Default for Features {
    fn default() -> Self {
        Self { values: [0.0; COUNT] }
    }
}

impl Features {
    /// One score.
    #[must_use]
    pub const fn get(&self, feature: Feature) -> f32 {
        self.values[feature as usize]
    }

    /// Sets one score.
    pub const fn set(&mut self, feature: Feature, value: f32) {
        self.values[feature as usize] = value;
    }

    /// The scores in the order of [`Feature::ALL`].
    #[must_use]
    pub const fn values(&self) -> &[f32; COUNT] {
        &self.values
    }

    /// The scores that are not 0, by name.
    pub fn named(&self) -> impl Iterator<Item = (&'static str, f32)> {
        Feature::ALL
            .iter()
            .map(|&feature| (feature.name(), self.get(feature)))
            .filter(|(_, value)| *value != 0.0)
    }
}

impl fmt::Debug for Features {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.named()).finish()
    }
}

/// Closeness of a span of time to the span that a query names.
///
/// 1.0 if they overlap, else `0.85 / (1 + days / 3)`, where `days` lie between the two. Spans are first and
/// last microseconds.
pub(crate) fn closeness(span: (i64, i64), window: (i64, i64)) -> f32 {
    let gap = (window.0.saturating_sub(span.1)).max(span.0.saturating_sub(window.1)).max(0);
    if gap == 0 { 1.0 } else { OUTSIDE / (1.0 + gap as f32 / MICROS_PER_DAY / NEAR_DAYS) }
}

/// Closeness just outside the span that was named.
const OUTSIDE: f32 = 0.85;

/// Distance at which closeness is a half, in days.
const NEAR_DAYS: f32 = 3.0;

const MICROS_PER_DAY: f32 = 86_400e6;

/// `value` as a share of the largest; 0 where nothing scores.
pub(crate) fn normalised(value: f32, largest: f32) -> f32 {
    if largest > 0.0 { value / largest } else { 0.0 }
}
