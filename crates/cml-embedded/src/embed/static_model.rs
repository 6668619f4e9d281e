//! Sentence vectors from a table with one vector per WordPiece.

use std::borrow::Cow;
use std::ops::Range;
use std::sync::OnceLock;

use rust_stemmers::{Algorithm, Stemmer};
use rustc_hash::FxHashMap;
use serde_json::Value;

use super::dot::{add_scaled, dot_i8, quantise};
use super::wordpiece::{VocabularyError, WordPiece};

/// A static embedding model: a sentence is the sum of its pieces.
///
/// The sum runs over `weights[id] * embeddings[id]`, so that a piece's importance is in the length of its
/// row. Pieces outside the vocabulary are left out. Word order does not matter. Vectors equal those of
/// [model2vec](https://github.com/MinishLab/model2vec) 0.10, except that a text of any length is taken
/// whole.
///
/// Calls read shared data only; one model serves all threads.
pub struct StaticModel {
    tensors: Cow<'static, [u8]>,
    /// Where `embeddings` stands in `tensors`: int8, one row of `dimensions` values per piece.
    embeddings: Range<usize>,
    /// Where `weights` stands in `tensors`: one little-endian f32 per piece.
    weights: Range<usize>,
    dimensions: usize,
    wordpiece: WordPiece,
    /// The word that stands for each stem, built at first use.
    stems: OnceLock<FxHashMap<Box<str>, StemWord>>,
}

impl StaticModel {
    /// The built-in English model, `cml_model_en`, loaded at the first call.
    ///
    /// # Errors
    ///
    /// [`StaticModelError`] when the files compiled in do not belong together.
    pub fn builtin() -> Result<&'static Self, &'static StaticModelError> {
        static BUILTIN: OnceLock<Result<StaticModel, StaticModelError>> = OnceLock::new();
        BUILTIN.get_or_init(|| StaticModel::new(cml_model_en::TENSORS, cml_model_en::VOCAB)).as_ref()
    }

    /// Reads a model from the bytes of a safetensors file and its vocabulary.
    ///
    /// The file holds `embeddings` (I8, `[pieces, dimensions]`) and `weights` (F32, `[pieces]`); the
    /// vocabulary has one piece per line in the order of the rows. Static bytes are used where they are.
    ///
    /// # Errors
    ///
    /// [`StaticModelError`] when the file is not of that form or does not match the vocabulary.
    pub fn new(tensors: impl Into<Cow<'static, [u8]>>, vocab: &str) -> Result<Self, StaticModelError> {
        let tensors = tensors.into();
        let wordpiece = WordPiece::new(vocab)?;
        let header = Header::parse(&tensors)?;
        let (embeddings, shape) = header.tensor("embeddings", "I8", 1)?;
        let &[rows, dimensions] = shape.as_slice() else {
            return Err(StaticModelError::Tensor("embeddings"));
        };
        let (weights, shape) = header.tensor("weights", "F32", 4)?;
        if dimensions == 0 || shape != [rows] {
            return Err(StaticModelError::Tensor("weights"));
        }
        if rows != wordpiece.len() {
            return Err(StaticModelError::Vocabulary { rows, pieces: wordpiece.len() });
        }
        Ok(Self { tensors, embeddings, weights, dimensions, wordpiece, stems: OnceLock::new() })
    }

    /// Length of a vector.
    #[must_use]
    pub fn dimensions(&self) -> usize {
        self.dimensions
    }

    /// The tokenizer.
    #[must_use]
    pub fn wordpiece(&self) -> &WordPiece {
        &self.wordpiece
    }

    /// Number of a text's WordPieces, unknown ones included.
    #[must_use]
    pub fn count_tokens(&self, text: &str) -> usize {
        self.wordpiece.count(text)
    }

    /// The sum of a text's pieces, of length [`dimensions`](Self::dimensions) and not normalised.
    ///
    /// The sums of two texts add up to the sum of both. A text without a known piece gives zeros.
    #[must_use]
    pub fn sum(&self, text: &str) -> Vec<f32> {
        let mut sum = vec![0.0; self.dimensions];
        let unknown = self.wordpiece.unknown();
        self.wordpiece.for_each(text, |id| {
            if id != unknown {
                add_scaled(&mut sum, self.row(id), self.weight(id));
            }
        });
        sum
    }

    /// A text's unit vector, and the length its sum had before.
    ///
    /// The length grows with the number of telling pieces. A text without a known piece, such as an
    /// empty one, gives the zero vector with length 0, whose cosine with anything is 0.
    ///
    /// ```
    /// # use cml_embedded::embed::StaticModel;
    /// let model = StaticModel::builtin()?;
    /// let cosine = |a: &str, b: &str| -> f32 {
    ///     model.embed(a).0.iter().zip(model.embed(b).0).map(|(a, b)| a * b).sum()
    /// };
    /// assert!(cosine("I love dogs", "my favourite pets are puppies") > cosine("I love dogs", "the invoice is due"));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn embed(&self, text: &str) -> (Vec<f32>, f32) {
        let mut vector = self.sum(text);
        let norm = vector.iter().map(|value| value * value).sum::<f32>().sqrt();
        if norm > 0.0 {
            vector.iter_mut().for_each(|value| *value /= norm);
        }
        (vector, norm)
    }

    /// The vector of a stem of the English Snowball stemmer, for comparing words by meaning.
    ///
    /// A stem stands for several words. Its vector is that of the vocabulary's word of that stem: the
    /// word spelled like the stem if there is one, else the most frequent. A stem of no such word takes
    /// the sum of its own pieces; without a known piece there is no vector.
    ///
    /// The first call stems the whole vocabulary, which takes about 12 ms.
    #[must_use]
    pub fn stem_vector(&self, stem: &str) -> Option<StemVector> {
        match self.stems.get_or_init(|| self.stem_words()).get(stem) {
            Some(word) => StemVector::new(self.row(word.id).iter().map(|&value| value as i8).collect()),
            None => StemVector::new(quantise(&self.sum(stem)).0),
        }
    }

    fn stem_words(&self) -> FxHashMap<Box<str>, StemWord> {
        let stemmer = Stemmer::create(Algorithm::English);
        let mut words: FxHashMap<Box<str>, StemWord> = FxHashMap::default();
        for (piece, id) in self.wordpiece.initial_pieces() {
            if !piece.chars().all(char::is_alphabetic) {
                continue;
            }
            let stem = stemmer.stem(piece);
            let word = StemWord { inflected: stem != piece, id };
            match words.get_mut(stem.as_ref()) {
                Some(best) => *best = word.min(*best),
                None => {
                    words.insert(stem.into(), word);
                }
            }
        }
        words
    }

    /// The piece's row of `embeddings`, int8 by its bytes.
    fn row(&self, id: u32) -> &[u8] {
        let start = self.embeddings.start + id as usize * self.dimensions;
        &self.tensors[start..start + self.dimensions]
    }

    fn weight(&self, id: u32) -> f32 {
        let weights = &self.tensors[self.weights.clone()];
        weights.as_chunks().0.get(id as usize).copied().map_or(0.0, f32::from_le_bytes)
    }
}

impl std::fmt::Debug for StaticModel {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("StaticModel")
            .field("dimensions", &self.dimensions)
            .field("wordpiece", &self.wordpiece)
            .finish_non_exhaustive()
    }
}

/// A unit vector in int8: its values are `values[i] * scale`.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct StemVector {
    /// The direction, of the model's number of dimensions.
    pub values: Box<[i8]>,
    /// What makes the length 1.
    pub scale: f32,
}

impl StemVector {
    /// Scales a direction to length 1; the zero vector has none.
    fn new(values: Vec<i8>) -> Option<Self> {
        let square = dot_i8(&values, &values);
        (square > 0).then(|| Self { values: values.into(), scale: 1.0 / (square as f32).sqrt() })
    }

    /// Cosine of the angle between two vectors, -1 to 1.
    #[must_use]
    pub fn cosine(&self, other: &Self) -> f32 {
        dot_i8(&self.values, &other.values) as f32 * self.scale * other.scale
    }
}

/// Why a model's files cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StaticModelError {
    /// The bytes do not begin with a safetensors header.
    #[error("the model is not a safetensors file")]
    Header(#[source] Option<serde_json::Error>),
    /// A tensor is missing, or its type, shape or place is not the one expected.
    #[error("the model has no usable tensor `{0}`")]
    Tensor(&'static str),
    /// Table and vocabulary differ in size.
    #[error("the model has {rows} rows for a vocabulary of {pieces} pieces")]
    Vocabulary {
        /// Rows of the table.
        rows: usize,
        /// Pieces of the vocabulary.
        pieces: usize,
    },
    /// The vocabulary is not one.
    #[error(transparent)]
    WordPiece(#[from] VocabularyError),
}

/// The vocabulary's word for a stem; the least one is the best.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct StemWord {
    /// Whether the word differs from its stem.
    inflected: bool,
    id: u32,
}

/// The header of a safetensors file: its length as a little-endian u64, then a JSON object of tensors.
struct Header {
    tensors: Value,
    /// Where the tensors' data begins and ends in the file.
    data: Range<usize>,
}

impl Header {
    fn parse(bytes: &[u8]) -> Result<Self, StaticModelError> {
        let (len, rest) = bytes.split_first_chunk().ok_or(StaticModelError::Header(None))?;
        let len = usize::try_from(u64::from_le_bytes(*len)).ok();
        let json = len.and_then(|len| rest.get(..len)).ok_or(StaticModelError::Header(None))?;
        let tensors = serde_json::from_slice(json).map_err(|err| StaticModelError::Header(Some(err)))?;
        Ok(Self { tensors, data: bytes.len() - rest.len() + json.len()..bytes.len() })
    }

    /// Where a tensor stands in the file, and its shape.
    fn tensor(
        &self,
        name: &'static str,
        dtype: &str,
        value_bytes: usize,
    ) -> Result<(Range<usize>, Vec<usize>), StaticModelError> {
        self.find(name, dtype, value_bytes).ok_or(StaticModelError::Tensor(name))
    }

    fn find(&self, name: &str, dtype: &str, value_bytes: usize) -> Option<(Range<usize>, Vec<usize>)> {
        let tensor = self.tensors.get(name)?;
        let numbers = |key: &str| -> Option<Vec<usize>> {
            let numbers = tensor.get(key)?.as_array()?;
            numbers.iter().map(|number| usize::try_from(number.as_u64()?).ok()).collect()
        };
        let shape = numbers("shape")?;
        let &[start, end] = numbers("data_offsets")?.as_slice() else {
            return None;
        };
        let place = self.data.start.checked_add(start)?..self.data.start.checked_add(end)?;
        let bytes = shape.iter().try_fold(value_bytes, |bytes, &side| bytes.checked_mul(side))?;
        let fits = place.end <= self.data.end && place.end.checked_sub(place.start) == Some(bytes);
        (tensor.get("dtype")?.as_str() == Some(dtype) && fits).then_some((place, shape))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    type TestResult = Result<(), Box<dyn std::error::Error>>;

    const VOCAB: &str = "[UNK]\nrun\nrunning\nhappy\nhappiness\n##s";

    fn file(header: &str, data: &[u8]) -> Vec<u8> {
        [&(header.len() as u64).to_le_bytes(), header.as_bytes(), data].concat()
    }

    /// Six rows of two values: row `i` is `[i, -i]`, all weights 0.5.
    fn model(vocab: &str) -> Result<StaticModel, StaticModelError> {
        let header = r#"{"weights":{"dtype":"F32","shape":[6],"data_offsets":[0,24]},
            "embeddings":{"dtype":"I8","shape":[6,2],"data_offsets":[24,36]}}"#;
        let mut data: Vec<u8> = [0.5_f32.to_le_bytes(); 6].concat();
        data.extend((0..6_i8).flat_map(|i| [i as u8, -i as u8]));
        StaticModel::new(file(header, &data), vocab)
    }

    #[test]
    fn a_sentence_is_the_weighted_sum_of_its_known_pieces() -> TestResult {
        let model = model(VOCAB)?;
        assert_eq!(model.sum("runs HAPPY zebra"), [4.5, -4.5]);
        let (unit, norm) = model.embed("runs");
        assert!((norm - 18.0_f32.sqrt()).abs() < 1e-6);
        assert!((unit[0] - 0.5_f32.sqrt()).abs() < 1e-6 && (unit[1] + 0.5_f32.sqrt()).abs() < 1e-6);
        assert_eq!(model.count_tokens("runs zebra"), 3);
        Ok(())
    }

    #[test]
    fn nothing_known_is_the_zero_vector() -> TestResult {
        for text in ["", " ", "zebra", "\u{200b}"] {
            assert_eq!(model(VOCAB)?.embed(text), (vec![0.0, 0.0], 0.0));
        }
        assert_eq!(model(VOCAB)?.stem_vector("zebra"), None);
        Ok(())
    }

    #[test]
    fn a_stem_takes_the_word_like_it_or_else_the_first() -> TestResult {
        let model = model(VOCAB)?;
        let row = |stem: &str| model.stem_vector(stem).map(|vector| vector.values[0]);
        assert_eq!(row("run"), Some(1));
        assert_eq!(row("happi"), Some(3));
        assert_eq!(row("runs"), Some(127), "the sum of `run` and `##s`, in int8");
        Ok(())
    }

    #[test]
    fn stem_vectors_have_length_one() -> TestResult {
        let model = StaticModel::builtin()?;
        let vector = |stem| model.stem_vector(stem).ok_or("no vector");
        for stem in ["dog", "happi", "zyzzyva"] {
            assert!((vector(stem)?.cosine(&vector(stem)?) - 1.0).abs() < 1e-5);
        }
        assert!(vector("dog")?.cosine(&vector("puppi")?) > vector("dog")?.cosine(&vector("invoic")?));
        Ok(())
    }

    #[test]
    fn files_that_do_not_fit_are_refused() {
        let short = model("[UNK]\nrun");
        assert!(matches!(short, Err(StaticModelError::Vocabulary { rows: 6, pieces: 2 })));
        let refused = |header: &str, data: &[u8]| StaticModel::new(file(header, data), "[UNK]").err();
        assert!(matches!(StaticModel::new(&b"abc"[..], "[UNK]"), Err(StaticModelError::Header(None))));
        assert!(matches!(StaticModel::new(&[255; 16][..], "[UNK]"), Err(StaticModelError::Header(None))));
        assert!(matches!(refused("{", &[]), Some(StaticModelError::Header(Some(_)))));
        assert!(matches!(refused("{}", &[]), Some(StaticModelError::Tensor("embeddings"))));
        for embeddings in [
            r#"{"dtype":"I8","shape":[1,2],"data_offsets":[0,3]}"#,
            r#"{"dtype":"I8","shape":[1,2],"data_offsets":[2,0]}"#,
            r#"{"dtype":"I8","shape":[1,9],"data_offsets":[0,9]}"#,
            r#"{"dtype":"U8","shape":[1,2],"data_offsets":[0,2]}"#,
            r#"{"dtype":"I8","shape":[2],"data_offsets":[0,2]}"#,
            r#"{"dtype":"I8","shape":[18446744073709551615,2],"data_offsets":[0,2]}"#,
        ] {
            let error = refused(&format!(r#"{{"embeddings":{embeddings}}}"#), &[0; 8]);
            assert!(matches!(error, Some(StaticModelError::Tensor("embeddings"))), "{embeddings}");
        }
        let unweighted = r#"{"embeddings":{"dtype":"I8","shape":[1,2],"data_offsets":[0,2]}}"#;
        assert!(matches!(refused(unweighted, &[0; 8]), Some(StaticModelError::Tensor("weights"))));
    }
}
