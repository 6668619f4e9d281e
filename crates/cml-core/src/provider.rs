//! What the engine asks of models: vectors, completions, rankings, token counts.

use std::fmt::Debug;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use crate::error::Result;

/// Names an embedding model; a store remembers the one its vectors were made with.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct EmbeddingModel {
    /// Identifies the weights: two embedders with the same name give the same vectors.
    pub name: String,
    /// Length of every vector, 1..=4096.
    pub dimensions: usize,
    /// Longest input in the model's own tokens; longer text is cut by the model.
    pub max_tokens: usize,
    /// Whether the vector of joined texts is the normalised sum of their unnormalised vectors
    /// (true for static models): context vectors are then derived and not stored.
    pub additive: bool,
}

impl EmbeddingModel {
    /// A model with this name and vector length, an input limit of 512 tokens, not additive.
    #[must_use]
    pub fn new(name: impl Into<String>, dimensions: usize) -> Self {
        Self { name: name.into(), dimensions, max_tokens: 512, additive: false }
    }

    /// Sets the longest input in tokens.
    #[must_use]
    pub fn with_max_tokens(mut self, max_tokens: usize) -> Self {
        self.max_tokens = max_tokens;
        self
    }

    /// Declares that sums of unnormalised vectors are vectors of joined texts.
    #[must_use]
    pub fn with_additive(mut self, additive: bool) -> Self {
        self.additive = additive;
        self
    }
}

/// A text as a direction: unit vector and the length it had before it was normalised.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Embedding {
    /// Unit vector of the model's dimensions; all zeros for a text that the model knows nothing of.
    pub vector: Vec<f32>,
    /// Length before normalisation, `>= 0`; 1.0 where the model only gives unit vectors.
    pub norm: f32,
}

impl Embedding {
    /// Normalises `vector` and keeps its length.
    #[must_use]
    pub fn from_raw(mut vector: Vec<f32>) -> Self {
        let norm = vector.iter().map(|x| x * x).sum::<f32>().sqrt();
        if norm > 0.0 {
            vector.iter_mut().for_each(|x| *x /= norm);
        }
        Self { vector, norm }
    }

    /// A vector that is a unit vector already, with its former length.
    #[must_use]
    pub fn from_unit(vector: Vec<f32>, norm: f32) -> Self {
        Self { vector, norm }
    }
}

/// Turns texts into vectors whose cosine tells how close their meanings are.
#[async_trait]
pub trait Embedder: Debug + Send + Sync + 'static {
    /// The model behind it.
    fn model(&self) -> &EmbeddingModel;

    /// One embedding per text, in order. An empty slice gives an empty vector.
    ///
    /// # Errors
    /// `Unavailable` or `Timeout` when the model cannot be reached, `Internal` when it fails.
    async fn embed(&self, texts: &[&str]) -> Result<Vec<Embedding>>;

    /// The embedding at once, where it takes microseconds and needs no I/O; `None` elsewhere.
    fn embed_now(&self, text: &str) -> Option<Embedding> {
        let _ = text;
        None
    }
}

/// One message of a chat completion.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct ChatMessage {
    /// Who speaks.
    pub role: crate::memory::Role,
    /// The text.
    pub content: String,
}

impl ChatMessage {
    /// A message of `role`.
    #[must_use]
    pub fn new(role: crate::memory::Role, content: impl Into<String>) -> Self {
        Self { role, content: content.into() }
    }
}

/// A language model: chat, optionally bound to a JSON schema.
#[async_trait]
pub trait LanguageModel: Debug + Send + Sync + 'static {
    /// Name of the model, for logs and metrics.
    fn name(&self) -> &str;

    /// The answer to `messages`. With a `schema` (JSON Schema) the answer is JSON that satisfies it.
    ///
    /// # Errors
    /// `Unavailable`, `Timeout` or `RateLimited` as the provider says; `Internal` when the answer
    /// breaks the schema.
    async fn complete(&self, messages: &[ChatMessage], schema: Option<&serde_json::Value>) -> Result<String>;
}

/// A candidate with its score by a [`Reranker`].
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Ranked {
    /// Position in the candidates that were given.
    pub index: usize,
    /// Higher is better; comparable within one call only.
    pub score: f64,
    /// Why, where the model says so.
    pub reason: Option<String>,
}

impl Ranked {
    /// The candidate at `index` with `score`.
    #[must_use]
    pub fn new(index: usize, score: f64) -> Self {
        Self { index, score, reason: None }
    }
}

/// Orders candidates by how well they answer a query.
#[async_trait]
pub trait Reranker: Debug + Send + Sync + 'static {
    /// The candidates best first; those left out keep their place after the ranked ones.
    ///
    /// # Errors
    /// `Unavailable`, `Timeout` or `Internal` as the model fails.
    async fn rerank(&self, query: &str, candidates: &[&str]) -> Result<Vec<Ranked>>;
}

/// Counts the tokens of a text, for context budgets.
pub trait TokenCounter: Debug + Send + Sync + 'static {
    /// Name of the tokenizer, shown in `retrieval_meta`.
    fn name(&self) -> &str;

    /// Number of tokens in `text`.
    fn count(&self, text: &str) -> usize;
}

/// Counts one token per four bytes and one per line break, at least one per word: an upper
/// estimate for English text where no tokenizer is at hand.
#[derive(Debug, Clone, Copy, Default)]
pub struct ByteTokenCounter;

impl TokenCounter for ByteTokenCounter {
    fn name(&self) -> &str {
        "bytes/4"
    }

    fn count(&self, text: &str) -> usize {
        text.lines().map(|line| 1 + (line.len().div_ceil(4)).max(line.split_whitespace().count())).sum()
    }
}
