//! Words of like meaning, for matches between words that share no stem.

use std::sync::{Arc, OnceLock, RwLock};

use rustc_hash::{FxHashMap, FxHashSet};

use super::analysis::with_stem;
use crate::embed::{StaticModel, dot_i8};

/// Stems of a model's vocabulary with their vectors, and the neighbours of stems asked for before.
///
/// The neighbours of a stem follow from the model alone, so that one lexicon serves every tenant and a
/// search gives the same result on every store.
pub struct SoftLexicon {
    stems: Vec<Box<str>>,
    dimensions: usize,
    /// One row per stem.
    vectors: Vec<i8>,
    scales: Vec<f32>,
    known: RwLock<FxHashMap<Box<str>, Arc<[Neighbour]>>>,
}

/// A stem close in meaning to another.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Neighbour {
    /// The stem.
    pub stem: Box<str>,
    /// How well it stands for the other, above 0 and up to 1.
    pub similarity: f32,
}

impl SoftLexicon {
    /// The lexicon of the built-in model, made at the first call (about 50 ms, 4 MB); `None` when the
    /// model compiled in is broken.
    #[must_use]
    pub fn builtin() -> Option<&'static Self> {
        static BUILTIN: OnceLock<Option<SoftLexicon>> = OnceLock::new();
        BUILTIN.get_or_init(|| StaticModel::builtin().ok().map(SoftLexicon::new)).as_ref()
    }

    /// The lexicon of a model: the stems of its whole words in the Latin alphabet.
    #[must_use]
    pub fn new(model: &StaticModel) -> Self {
        let mut seen = FxHashSet::default();
        let mut lexicon = Self {
            stems: Vec::new(),
            dimensions: model.dimensions(),
            vectors: Vec::new(),
            scales: Vec::new(),
            known: RwLock::default(),
        };
        for (piece, _) in model.wordpiece().initial_pieces() {
            if piece.len() < 2 || !piece.bytes().all(|byte| byte.is_ascii_lowercase()) {
                continue;
            }
            let stem = with_stem(piece, |stem| Box::<str>::from(stem));
            let Some(stem) = stem.filter(|stem| seen.insert(stem.clone())) else {
                continue;
            };
            if let Some(vector) = model.stem_vector(&stem) {
                lexicon.vectors.extend_from_slice(&vector.values);
                lexicon.scales.push(vector.scale);
                lexicon.stems.push(stem);
            }
        }
        lexicon
    }

    /// The stems whose vectors have a cosine above [`SIMILAR`] with that of `stem`, closest first, at most
    /// [`NEIGHBOURS`]; without `stem` itself.
    ///
    /// The similarity is `(cosine - 0.45) / 0.55`. A stem that the model has no vector for has none.
    pub fn neighbours(&self, model: &StaticModel, stem: &str) -> Arc<[Neighbour]> {
        if let Ok(known) = self.known.read()
            && let Some(neighbours) = known.get(stem)
        {
            return Arc::clone(neighbours);
        }
        let neighbours: Arc<[Neighbour]> = self.scan(model, stem).into();
        if let Ok(mut known) = self.known.write() {
            if known.len() >= KNOWN_STEMS {
                known.clear();
            }
            known.insert(stem.into(), Arc::clone(&neighbours));
        }
        neighbours
    }

    fn scan(&self, model: &StaticModel, stem: &str) -> Vec<Neighbour> {
        let Some(vector) = model.stem_vector(stem) else {
            return Vec::new();
        };
        let mut found: Vec<(f32, usize)> = Vec::new();
        for (place, row) in self.vectors.chunks_exact(self.dimensions).enumerate() {
            let cosine = dot_i8(row, &vector.values) as f32 * vector.scale * self.scales[place];
            if cosine > SIMILAR && *self.stems[place] != *stem {
                found.push((cosine, place));
            }
        }
        found.sort_unstable_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)));
        found.truncate(NEIGHBOURS);
        let neighbour = |(cosine, place): (f32, usize)| Neighbour {
            stem: self.stems[place].clone(),
            similarity: ((cosine - SIMILAR) / (1.0 - SIMILAR)).min(1.0),
        };
        found.into_iter().map(neighbour).collect()
    }
}

impl std::fmt::Debug for SoftLexicon {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SoftLexicon").field("stems", &self.stems.len()).finish_non_exhaustive()
    }
}

/// Cosine from which two words' meanings count as close. Anything from 0.35 to 0.65 ranks alike.
pub const SIMILAR: f32 = 0.35;

/// Most neighbours kept for a stem.
pub const NEIGHBOURS: usize = 128;

/// Stems whose neighbours are remembered; about 1 kB each.
const KNOWN_STEMS: usize = 8_192;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn close_meanings_are_neighbours_and_strangers_are_not() -> Result<(), Box<dyn std::error::Error>> {
        let model = StaticModel::builtin()?;
        let lexicon = SoftLexicon::builtin().ok_or("no lexicon")?;
        let neighbours = lexicon.neighbours(model, "dog");
        assert!(neighbours.iter().any(|neighbour| &*neighbour.stem == "puppi"));
        assert!(neighbours.iter().all(|neighbour| &*neighbour.stem != "dog" && &*neighbour.stem != "invoic"));
        assert!(neighbours.is_sorted_by(|a, b| a.similarity >= b.similarity));
        assert_eq!(lexicon.neighbours(model, "dog"), neighbours);
        Ok(())
    }
}
