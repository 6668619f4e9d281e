//! How well a hit answers its query in absolute terms, comparable between queries.

/// What speaks for a hit, independent of the other hits.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
#[non_exhaustive]
pub struct Evidence {
    /// Best cosine of the turn, alone or with its predecessor; `None` without vectors.
    pub cosine: Option<f32>,
    /// Standard deviations that this cosine lies above the mean of the visible turns.
    pub deviations: f32,
    /// Share of the query's idf that the turn holds, 0..=1.
    pub covered: f32,
    /// Share of the query's idf within two turns either side, 0..=1.
    pub covered_near: f32,
    /// Share of the query's idf matched by words of like meaning, 0..=1.
    pub soft: f32,
}

/// Relevance from which a hit is shown by default.
///
/// Of turns that answer a question and rank among the first ten, 1 in 100 lies below it; of the best
/// hits for questions put to a conversation that cannot answer them, 1 in 20.
pub const DEFAULT_FLOOR: f64 = 0.1;

/// Relevance from which a hit speaks of the very thing that was asked for.
///
/// A quarter of the answers lie below it, and three quarters of the best hits for questions that have no
/// answer. What acts on its hits (forgetting by query, calling an answer sufficient) asks for this much.
pub const STRONG: f64 = 0.5;

/// Relevance of a near-quotation.
pub const QUOTATION: f64 = 0.8;

/// Relevance of a hit, 0..=1: a logistic function of its evidence.
///
/// Fitted by logistic regression, weights kept at 0 or above, on the ten best turns of questions put to
/// their own conversation (relevant or not) and the five best of questions put to another one (never
/// relevant), so that it separates what is answered from what only sounds alike.
pub(crate) fn relevance(evidence: &Evidence) -> f64 {
    let words = |covered: f32, near: f32, soft: f32| {
        covered * evidence.covered + near * evidence.covered_near + soft * evidence.soft
    };
    let sum = match evidence.cosine {
        Some(cosine) => {
            let deviations = evidence.deviations.clamp(0.0, MOST_DEVIATIONS);
            -3.3 + 2.0 * cosine.max(0.0) + 0.5 * deviations + words(0.5, 1.4, 1.3)
        }
        None => -2.6 + words(1.1, 2.3, 2.9),
    };
    1.0 / (1.0 + (-f64::from(sum)).exp())
}

/// Deviations count up to here; what lies further out is no surer.
const MOST_DEVIATIONS: f32 = 6.0;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quotation_is_certain_and_nothing_in_common_is_nothing() {
        let quotation =
            Evidence { cosine: Some(0.95), deviations: 5.0, covered: 1.0, covered_near: 1.0, soft: 1.0 };
        assert!(relevance(&quotation) > 0.98);
        assert!(relevance(&Evidence { cosine: None, ..quotation }) > QUOTATION);
        let partly = Evidence { covered: 0.7, covered_near: 0.7, soft: 0.75, cosine: Some(0.7), ..quotation };
        assert!(relevance(&partly) > QUOTATION);
        assert!(relevance(&Evidence { cosine: Some(0.05), ..Evidence::default() }) < DEFAULT_FLOOR);
        assert!(relevance(&Evidence::default()) < DEFAULT_FLOOR);
    }

    #[test]
    fn more_evidence_never_lowers_relevance() {
        let mut last = 0.0;
        for step in 0..=10_u8 {
            let share = f32::from(step) / 10.0;
            let evidence = Evidence {
                cosine: Some(share),
                deviations: 8.0 * share,
                covered: share,
                covered_near: share,
                soft: share,
            };
            assert!(relevance(&evidence) >= last && (0.0..=1.0).contains(&relevance(&evidence)));
            last = relevance(&evidence);
        }
    }
}
