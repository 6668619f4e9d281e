//! The embedding model that serves, and its number in the store.

use std::sync::{Arc, PoisonError, RwLock};

use cml_core::{
    Error, ErrorKind, Result,
    provider::{Embedder, Embedding, EmbeddingModel},
};
use half::f16;

use crate::store::{ModelId, Store, Vector};

/// An embedder with the number of its model in the store.
#[derive(Debug, Clone)]
pub(super) struct Serving {
    pub(super) id: ModelId,
    pub(super) embedder: Arc<dyn Embedder>,
}

impl Serving {
    pub(super) fn model(&self) -> &EmbeddingModel {
        self.embedder.model()
    }

    /// Vectors of `texts` in the store's precision.
    pub(super) async fn embed(&self, texts: &[&str]) -> Result<Vec<Vector>> {
        Ok(self.embeddings(texts).await?.iter().map(Vector::from).collect())
    }

    /// One embedding per text, checked.
    pub(super) async fn embeddings(&self, texts: &[&str]) -> Result<Vec<Embedding>> {
        if texts.is_empty() {
            return Ok(Vec::new());
        }
        let embeddings = self.embedder.embed(texts).await?;
        let dimensions = self.model().dimensions;
        if embeddings.len() != texts.len() || embeddings.iter().any(|e| e.vector.len() != dimensions) {
            let message = format!("the embedder returned other vectors than {} of {dimensions}", texts.len());
            return Err(Error::new(ErrorKind::Internal, message));
        }
        Ok(embeddings)
    }
}

impl From<&Embedding> for Vector {
    /// In the store's precision.
    fn from(embedding: &Embedding) -> Self {
        Self { values: embedding.vector.iter().copied().map(f16::from_f32).collect(), norm: embedding.norm }
    }
}

/// The generation of vectors that serves; replaced when a new one is complete.
#[derive(Debug)]
pub(super) struct Generation(RwLock<Serving>);

impl Generation {
    /// The store's serving generation, which must be of the embedder's model.
    pub(super) async fn serving(store: &dyn Store, embedder: Arc<dyn Embedder>) -> Result<Self> {
        let model = embedder.model().clone();
        match store.generations().await?.serving {
            Some((id, serving)) if same(&serving, &model) => Ok(Self(RwLock::new(Serving { id, embedder }))),
            Some((_, serving)) => Err(mismatch(&serving, &model)),
            None => Err(Error::new(ErrorKind::Internal, "the store has no embedding model")),
        }
    }

    pub(super) fn get(&self) -> Serving {
        self.0.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(super) fn set(&self, serving: Serving) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = serving;
    }

    /// Passes while the store still serves the generation of this engine.
    pub(super) async fn check(&self, store: &dyn Store) -> Result<()> {
        let own = self.get();
        match store.generations().await?.serving {
            Some((id, model)) if id != own.id => Err(mismatch(&model, own.model())),
            _ => Ok(()),
        }
    }
}

fn same(a: &EmbeddingModel, b: &EmbeddingModel) -> bool {
    a.name == b.name && a.dimensions == b.dimensions
}

fn mismatch(stored: &EmbeddingModel, given: &EmbeddingModel) -> Error {
    let message = format!(
        "the store's vectors were made with the model {} ({} dimensions), not with {} ({} dimensions)",
        stored.name, stored.dimensions, given.name, given.dimensions
    );
    Error::new(ErrorKind::Conflict, message)
        .with_suggestion("open it with the former model, or make the vectors again with `reembed`")
}
