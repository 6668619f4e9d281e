//! What the vector of a query says about turns.

use super::vectors::QueryVector;
use super::view::View;

/// Cosines by number in the view; 0 without vectors.
#[derive(Debug, Default)]
pub(crate) struct Dense {
    /// Of the turn: its best chunk.
    pub(crate) own: Vec<f32>,
    /// Of the previous turn and the turn together.
    pub(crate) context: Vec<f32>,
    /// Of each record, by its number in the view.
    pub(crate) records: Vec<f32>,
    /// Dot product of the query with the turn's unnormalised vector.
    sums: Vec<f32>,
    /// Mean and standard deviation of the cosines of all turns with a vector.
    pub(crate) mean: f32,
    pub(crate) deviation: f32,
}

impl Dense {
    pub(crate) fn fill(&mut self, view: &View<'_>, query: Option<&QueryVector>) {
        for (values, len) in [
            (&mut self.own, view.turns),
            (&mut self.context, view.turns),
            (&mut self.sums, view.turns),
            (&mut self.records, view.records),
        ] {
            values.clear();
            values.resize(len, 0.0);
        }
        let known = view.statistics.map(|known| known.cosines.unwrap_or(CHANCE));
        (self.mean, self.deviation) = known.unwrap_or(CHANCE);
        let Some(query) = query else {
            return;
        };
        // Whole numbers, so that the sums do not depend on the order of the turns.
        let (mut count, mut total, mut squares) = (0_i64, 0_i64, 0_i64);
        let additive = view.index.options.additive;
        view.for_each_turn(|number, part, slot, _| {
            let partition = part.partition;
            let (mut best, mut best_context, mut sum) = (f32::MIN, 0.0_f32, 0.0);
            for chunk in partition.chunks(slot as u32) {
                let cosine = partition.vectors.cosine(chunk, query);
                self.records[part.first_record + chunk] = cosine;
                best = best.max(cosine);
                sum += cosine * partition.norms[chunk];
                if !additive {
                    let context = partition.contexts.cosine(chunk, query);
                    best_context = if best_context == 0.0 { context } else { best_context.max(context) };
                }
            }
            if best > f32::MIN {
                self.own[number] = best;
                let whole = (best * WHOLE) as i64;
                (count, total, squares) = (count + 1, total + whole, squares + whole * whole);
                self.sums[number] = sum;
                self.context[number] = if best_context == 0.0 { best } else { best_context };
            }
        });
        if known.is_none() {
            (self.mean, self.deviation) = moments(count, total, squares);
        }
        if !additive {
            return;
        }
        view.for_each_turn(|number, _, _, turn| {
            if turn.norm <= 0.0 {
                return;
            }
            self.context[number] = match view.number(turn.prev) {
                Some(prev) if turn.context_norm > 0.0 => {
                    (self.sums[number] + self.sums[prev]) / turn.context_norm
                }
                _ => self.sums[number] / turn.norm,
            };
        });
    }
}

/// Mean and standard deviation of cosines, given their number and sums in units of 1 / `WHOLE`.
fn moments(count: i64, total: i64, squares: i64) -> (f32, f32) {
    let pull = f64::from(PULL);
    let (count, whole) = (count as f64 + pull, f64::from(WHOLE));
    let mean = (total as f64 / whole + pull * f64::from(CHANCE.0)) / count;
    let square = f64::from(CHANCE.0 * CHANCE.0 + CHANCE.1 * CHANCE.1);
    let square = (squares as f64 / whole / whole + pull * square) / count;
    (mean as f32, (square - mean * mean).max(1e-6).sqrt() as f32)
}

/// Mean and standard deviation of the cosine of unrelated short texts under the built-in model.
const CHANCE: (f32, f32) = (0.04, 0.1);

/// How many turns that expectation counts as, so that a scope of a few memories is judged by it.
const PULL: f32 = 20.0;

/// Cosines are added up in units of one part in so many.
const WHOLE: f32 = 1_048_576.0;
