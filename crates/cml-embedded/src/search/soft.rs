//! Words of like meaning, for matches between words that share no stem.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::sync::{Arc, OnceLock, RwLock};

use rustc_hash::FxHashMap;

use super::analysis::with_stem;
use super::categories::members;
use crate::embed::{StaticModel, dot_i8};

/// Stems of a model's vocabulary with their vectors, and the neighbours of stems asked for before.
///
/// The neighbours of a stem follow from the model alone, so that one lexicon serves every tenant and a
/// search gives the same result on every store.
pub struct SoftLexicon {
    /// In bytewise order.
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
        let mut rows = BTreeMap::new();
        for (piece, _) in model.wordpiece().initial_pieces() {
            if piece.len() < 2 || !piece.bytes().all(|byte| byte.is_ascii_lowercase()) {
                continue;
            }
            let Some(stem) = with_stem(piece, |stem| Box::<str>::from(stem)) else {
                continue;
            };
            if let Entry::Vacant(row) = rows.entry(stem)
                && let Some(vector) = model.stem_vector(row.key())
            {
                row.insert(vector);
            }
        }
        let vectors = rows.values().flat_map(|vector| vector.values.iter().copied()).collect();
        let scales = rows.values().map(|vector| vector.scale).collect();
        let stems = rows.into_keys().collect();
        Self { stems, dimensions: model.dimensions(), vectors, scales, known: RwLock::default() }
    }

    /// The stems whose vectors have a cosine above [`SIMILAR`] with that of `stem`, closest first, at most
    /// [`NEIGHBOURS`]; without `stem` itself.
    ///
    /// The similarity is `(cosine - SIMILAR) / (1 - SIMILAR)`. Stems that differ by a short ending count as
    /// close whatever their vectors. A stem that the model has no vector for has none.
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
            if cosine > SIMILAR {
                found.push((cosine, place));
            }
        }
        for place in self.family(stem) {
            match found.iter_mut().find(|(_, other)| *other == place) {
                Some((cosine, _)) => *cosine = cosine.max(FAMILY),
                None => found.push((FAMILY, place)),
            }
        }
        found.retain(|&(_, place)| *self.stems[place] != *stem);
        found.sort_unstable_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)));
        found.truncate(NEIGHBOURS);
        let neighbour = |(cosine, place): (f32, usize)| Neighbour {
            stem: self.stems[place].clone(),
            similarity: ((cosine - SIMILAR) / (1.0 - SIMILAR)).min(1.0),
        };
        let mut neighbours: Vec<Neighbour> = found.into_iter().map(neighbour).collect();
        for member in members(stem) {
            match neighbours.iter_mut().find(|other| *other.stem == *member) {
                Some(other) => other.similarity = other.similarity.max(MEMBER),
                None if member != stem => {
                    neighbours.push(Neighbour { stem: member.into(), similarity: MEMBER })
                }
                None => {}
            }
        }
        neighbours.sort_by(|a, b| b.similarity.total_cmp(&a.similarity));
        neighbours
    }

    /// Places of the stems that are `stem` with a short ending more or less: "allergi" and "allerg".
    fn family(&self, stem: &str) -> Vec<usize> {
        if stem.len() < SHORTEST_ROOT || !stem.is_ascii() {
            return Vec::new();
        }
        let first = self.stems.partition_point(|other| **other < *stem);
        let longer = self.stems[first..].iter().take_while(|other| other.starts_with(stem));
        let mut places: Vec<usize> = longer
            .enumerate()
            .filter(|(_, other)| other.len() <= stem.len() + ENDING)
            .map(|(i, _)| first + i)
            .collect();
        for len in SHORTEST_ROOT.max(stem.len() - ENDING.min(stem.len()))..stem.len() {
            places.extend(self.stems.binary_search_by(|other| (**other).cmp(&stem[..len])));
        }
        places
    }
}

impl std::fmt::Debug for SoftLexicon {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SoftLexicon").field("stems", &self.stems.len()).finish_non_exhaustive()
    }
}

/// Cosine from which two words' meanings count as close. Anything from 0.35 to 0.55 ranks alike.
pub const SIMILAR: f32 = 0.35;

/// Cosine that stems of one family count with at least.
const FAMILY: f32 = 0.6;

/// Similarity of a category's name with its members at least.
const MEMBER: f32 = 0.4;

/// Letters that stems of one family have in common at least, and may differ in at the end at most.
const SHORTEST_ROOT: usize = 5;
const ENDING: usize = 3;

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
        let family = lexicon.neighbours(model, "allergi");
        assert!(family.iter().any(|neighbour| &*neighbour.stem == "allerg"), "{family:?}");
        Ok(())
    }
}
