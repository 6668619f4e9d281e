//! Statistics of a collection: what scores of one turn owe to all the others.

use cml_core::provider::Embedding;

use super::dense::Dense;
use super::index::TenantIndex;
use super::lexical::Lexical;
use super::postings::idf;
use super::query::QueryPlan;
use super::vectors::QueryVector;
use super::view::View;

/// What ranking has to know of all visible turns, where not all of them are in the index.
///
/// Counts of the turns and of what they hold are exact; those of terms and cosines may be estimates.
#[derive(Debug, Clone, PartialEq, Default)]
#[expect(clippy::exhaustive_structs, reason = "made by whoever proposes candidates")]
pub struct CorpusStatistics {
    /// The turns as a whole.
    pub counts: Counts,
    /// Of each term of the query, in its order.
    pub terms: Vec<TermFrequency>,
    /// Mean and standard deviation of the query's cosines with all turns that have a vector; what they are
    /// for unrelated short texts where absent.
    pub cosines: Option<(f32, f32)>,
}

impl CorpusStatistics {
    /// Rarity among turns of the query's term at `place`.
    #[must_use]
    pub fn rarity(&self, place: usize) -> f32 {
        idf(self.counts.turns as f32, self.terms.get(place).map_or(0.0, |term| term.turns))
    }
}

/// How many turns there are, and how long they are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[expect(clippy::exhaustive_structs, reason = "made by whoever proposes candidates")]
pub struct Counts {
    /// Turns.
    pub turns: u64,
    /// Turns that belong to a session.
    pub in_session: u64,
    /// Sessions; one that runs through several namespaces or users counts in each.
    pub sessions: u64,
    /// Terms of all turns, repeats and the words of speakers' names counted.
    pub terms: u64,
    /// Terms of the turns that are not by an assistant.
    pub user_terms: u64,
}

impl Counts {
    /// The sum of two parts of a collection.
    #[must_use]
    pub const fn plus(self, other: Self) -> Self {
        Self {
            turns: self.turns + other.turns,
            in_session: self.in_session + other.in_session,
            sessions: self.sessions + other.sessions,
            terms: self.terms + other.terms,
            user_terms: self.user_terms + other.user_terms,
        }
    }

    /// Sessions and turns without one: the documents of session scores.
    #[must_use]
    pub const fn units(&self) -> u64 {
        self.sessions + self.turns - self.in_session
    }
}

/// In how many documents a term of the query occurs.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
#[expect(clippy::exhaustive_structs, reason = "made by whoever proposes candidates")]
pub struct TermFrequency {
    /// Turns.
    pub turns: f32,
    /// Sessions and turns without one.
    pub units: f32,
    /// Those of them that hold it outside an assistant's turns.
    pub user_units: f32,
    /// Turns that hold it or were said on the date that it is part of; 0 where it is part of none.
    pub dated: f32,
}

impl TenantIndex {
    /// The statistics that a search of the visible turns rests on.
    ///
    /// A search that is given these of an index finds the same as one that counts them itself.
    #[must_use]
    pub fn statistics(
        &self,
        visible: &dyn Fn(&str, &str) -> bool,
        plan: &QueryPlan,
        vector: Option<&Embedding>,
    ) -> CorpusStatistics {
        let view = View::new(self, visible, None);
        let query = vector.and_then(|vector| QueryVector::new(&vector.vector, self.options.dimensions));
        let (mut lexical, mut dense) = (Lexical::default(), Dense::default());
        lexical.fill(&view, plan);
        dense.fill(&view, query.as_ref());
        CorpusStatistics {
            counts: view.counts,
            terms: lexical.frequencies,
            cosines: query.is_some().then_some((dense.mean, dense.deviation)),
        }
    }
}
