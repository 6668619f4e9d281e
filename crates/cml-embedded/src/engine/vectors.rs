//! Vectors of texts for one tenant, from the cache as far as it has them.

use std::time::Duration;

use cml_core::{
    Error, ErrorKind, Result,
    provider::{Embedding, EmbeddingModel},
};

use super::{Engine, generation::Serving};
use crate::{
    digest::digest,
    store::{CacheKey, Vector},
};

/// How long a vector is kept.
const KEPT: Duration = Duration::from_secs(7 * 86_400);

/// Embeds texts of one tenant.
///
/// A vector depends on the model and the text alone, so that one that is kept is right for ever. It is
/// kept per tenant and epoch all the same: whether a text was embedded is nobody else's business, and an
/// erasure, which raises the epoch, puts everything before it out of reach even when the cache could not
/// be cleared. Models that take microseconds are asked directly.
#[derive(Debug, Clone, Copy)]
pub(super) struct Vectors<'a> {
    engine: &'a Engine,
    serving: &'a Serving,
    tenant: &'a str,
    /// The tenant's epoch; none where nothing is kept.
    epoch: Option<u64>,
}

impl Engine {
    /// Embeds for `tenant` with the model of `serving`.
    pub(super) async fn vectors<'a>(&'a self, serving: &'a Serving, tenant: &'a str) -> Result<Vectors<'a>> {
        let epoch = match self.keeps_vectors(serving) {
            true => Some(self.store.tenant(tenant).await?.epoch),
            false => None,
        };
        Ok(Vectors { engine: self, serving, tenant, epoch })
    }

    /// The same where the tenant's epoch is known.
    pub(super) fn vectors_at<'a>(&'a self, serving: &'a Serving, tenant: &'a str, epoch: u64) -> Vectors<'a> {
        let epoch = self.keeps_vectors(serving).then_some(epoch);
        Vectors { engine: self, serving, tenant, epoch }
    }

    fn keeps_vectors(&self, serving: &Serving) -> bool {
        self.cache.is_shared() && !serving.model().additive
    }
}

impl Vectors<'_> {
    /// Vectors of `texts` in the store's precision.
    pub(super) async fn embed(&self, texts: &[&str]) -> Result<Vec<Vector>> {
        Ok(self.embeddings(texts).await?.iter().map(Vector::from).collect())
    }

    /// Vector of a query.
    pub(super) async fn embed_query(&self, query: &str) -> Result<Embedding> {
        if let Some(embedding) = self.serving.embedder.embed_now(query) {
            return Ok(embedding);
        }
        let embedding = self.embeddings(&[query]).await?.pop();
        embedding.ok_or_else(|| Error::new(ErrorKind::Internal, "the embedder returned no vector"))
    }

    async fn embeddings(&self, texts: &[&str]) -> Result<Vec<Embedding>> {
        let Some(epoch) = self.epoch.filter(|_| !texts.is_empty()) else {
            return self.serving.embeddings(texts).await;
        };
        let (model, cache) = (self.serving.model(), self.engine.cache.as_ref());
        let keys: Vec<CacheKey> = texts.iter().map(|text| key(model, epoch, text)).collect();
        let kept = cache.get(self.tenant, &keys).await;
        let mut embeddings: Vec<Option<Embedding>> =
            kept.values.iter().map(|bytes| decode(bytes.as_deref()?, model.dimensions)).collect();
        let missing: Vec<usize> = (0..texts.len()).filter(|&at| embeddings[at].is_none()).collect();
        self.engine.kept.vectors.count(texts.len() - missing.len(), missing.len());
        if !missing.is_empty() {
            let texts: Vec<&str> = missing.iter().map(|&at| texts[at]).collect();
            let made = self.serving.embeddings(&texts).await?;
            let values = missing.iter().zip(&made).map(|(&at, made)| (keys[at], encode(made)));
            cache.put(&kept.ticket, values.collect(), KEPT).await;
            for (at, made) in missing.into_iter().zip(made) {
                embeddings[at] = Some(made);
            }
        }
        Ok(embeddings.into_iter().flatten().collect())
    }
}

fn key(model: &EmbeddingModel, epoch: u64, text: &str) -> CacheKey {
    let dimensions = (model.dimensions as u64).to_le_bytes();
    CacheKey::Embedding(digest(&[model.name.as_bytes(), &dimensions, &epoch.to_le_bytes(), text.as_bytes()]))
}

/// The norm, then the vector, bit by bit.
fn encode(embedding: &Embedding) -> Vec<u8> {
    let values = std::iter::once(&embedding.norm).chain(&embedding.vector);
    values.flat_map(|value| value.to_le_bytes()).collect()
}

fn decode(bytes: &[u8], dimensions: usize) -> Option<Embedding> {
    let (values, rest) = bytes.as_chunks::<4>();
    if values.len() != dimensions + 1 || !rest.is_empty() {
        return None;
    }
    let mut values = values.iter().map(|value| f32::from_le_bytes(*value));
    let norm = values.next()?;
    Some(Embedding::from_unit(values.collect(), norm))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_vector_comes_back_bit_by_bit() {
        let embedding = Embedding::from_unit(vec![f32::MIN_POSITIVE / 3.0, -0.0, 0.1, 1.0 / 3.0], 7.25);
        let bytes = encode(&embedding);
        let bits = |embedding: &Embedding| -> Vec<u32> {
            embedding.vector.iter().map(|value| value.to_bits()).collect()
        };
        let back = decode(&bytes, 4).unwrap_or_else(|| Embedding::from_unit(Vec::new(), 0.0));
        assert_eq!((bits(&back), back.norm), (bits(&embedding), embedding.norm));
        assert_eq!(decode(&bytes, 3), None);
        assert_eq!(decode(&bytes[..19], 4), None);
    }
}
