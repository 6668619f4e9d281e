//! The built-in English model as a provider.

use async_trait::async_trait;
use cml_core::{
    Error, ErrorKind, Result,
    provider::{Embedder, Embedding, EmbeddingModel, TokenCounter},
};

use super::StaticModel;

/// Vectors from the static table that is compiled in: English, 256 dimensions, microseconds per
/// sentence, no download and no native library.
#[derive(Debug, Clone)]
pub struct StaticEmbedder {
    model: EmbeddingModel,
    table: &'static StaticModel,
}

impl StaticEmbedder {
    /// The built-in model.
    ///
    /// # Errors
    /// `Internal` when the compiled-in files are damaged.
    pub fn new() -> Result<Self> {
        let table = StaticModel::builtin().map_err(|error| {
            Error::new(ErrorKind::Internal, "the built-in model is damaged").with_source(error)
        })?;
        let model = EmbeddingModel::new(cml_model_en::NAME, table.dimensions())
            .with_max_tokens(usize::MAX)
            .with_additive(true);
        Ok(Self { model, table })
    }
}

#[async_trait]
impl Embedder for StaticEmbedder {
    fn model(&self) -> &EmbeddingModel {
        &self.model
    }

    async fn embed(&self, texts: &[&str]) -> Result<Vec<Embedding>> {
        Ok(texts.iter().filter_map(|text| self.embed_now(text)).collect())
    }

    fn embed_now(&self, text: &str) -> Option<Embedding> {
        let (vector, norm) = self.table.embed(text);
        Some(Embedding::from_unit(vector, norm))
    }
}

/// Counts the built-in model's WordPieces.
#[derive(Debug, Clone)]
pub struct WordPieceCounter(&'static StaticModel);

impl WordPieceCounter {
    /// The built-in vocabulary.
    ///
    /// # Errors
    /// `Internal` when the compiled-in files are damaged.
    pub fn new() -> Result<Self> {
        Ok(Self(StaticEmbedder::new()?.table))
    }
}

impl TokenCounter for WordPieceCounter {
    fn name(&self) -> &str {
        "bert-base-uncased wordpiece"
    }

    fn count(&self, text: &str) -> usize {
        self.0.count_tokens(text)
    }
}
