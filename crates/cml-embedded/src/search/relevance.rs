//! How well a hit answers its query in absolute terms, comparable between queries.

/// What speaks for a hit, independent of the other hits.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub(crate) struct Evidence {
    /// Best cosine of the turn, alone or with its predecessor; `None` without vectors.
    pub(crate) cosine: Option<f32>,
    /// Share of the query's idf that the turn holds, 0..=1.
    pub(crate) covered: f32,
    /// Share of the query's idf within two turns either side, 0..=1.
    pub(crate) covered_near: f32,
    /// Share of the query's idf matched by words of like meaning, 0..=1.
    pub(crate) soft: f32,
}

/// Relevance from which a hit is strong enough to be shown by default.
pub const DEFAULT_FLOOR: f64 = 0.3;

/// Relevance of a hit, 0..=1: a logistic function of its evidence.
pub(crate) fn relevance(evidence: &Evidence) -> f64 {
    let sum = match evidence.cosine {
        Some(cosine) => {
            -4.0 + 6.0 * cosine + 2.0 * evidence.covered + evidence.covered_near + 1.0 * evidence.soft
        }
        None => -3.0 + 3.0 * evidence.covered + 1.5 * evidence.covered_near + 2.0 * evidence.soft,
    };
    1.0 / (1.0 + (-f64::from(sum)).exp())
}
