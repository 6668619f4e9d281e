//! Export and import with a model whose context vectors are stored.

#![cfg(feature = "lite")]

use std::sync::Arc;

use async_trait::async_trait;
use cml_core::{
    Config, MemoryBackend as _, Result, Scope, Transfer as _,
    ops::{ExportLine, ExportOptions, WriteRequest},
    provider::{Embedder, Embedding, EmbeddingModel},
};
use cml_embedded::{EmbeddedBackend, EmbeddedBuilder};
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use sha2::{Digest as _, Sha256};

/// Vectors that tell texts apart and mean nothing.
#[derive(Debug)]
struct Hashed(EmbeddingModel);

impl Hashed {
    fn named(name: &str) -> Arc<Self> {
        Arc::new(Self(EmbeddingModel::new(name, 32)))
    }
}

#[async_trait]
impl Embedder for Hashed {
    fn model(&self) -> &EmbeddingModel {
        &self.0
    }

    async fn embed(&self, texts: &[&str]) -> Result<Vec<Embedding>> {
        let embed = |text: &&str| {
            let hash = Sha256::new().chain_update(&self.0.name).chain_update(text).finalize();
            Embedding::from_raw(hash.iter().map(|byte| f32::from(*byte) - 127.5).collect())
        };
        Ok(texts.iter().map(embed).collect())
    }
}

async fn backend(model: &str) -> Result<EmbeddedBackend> {
    EmbeddedBuilder::new(Config::default()).embedder(Hashed::named(model)).build().await
}

/// The rows of an export, without its header.
async fn export(backend: &EmbeddedBackend, vectors: bool) -> Result<Vec<ExportLine>> {
    let mut options = ExportOptions::default();
    options.vectors = vectors;
    backend.export(&Scope::default(), options).await?.try_collect().await
}

async fn import(backend: &EmbeddedBackend, lines: Vec<ExportLine>) -> Result<()> {
    backend.import(&Scope::default(), stream::iter(lines.into_iter().map(Ok)).boxed()).await.map(drop)
}

#[tokio::test]
async fn context_vectors_move_and_are_made_where_they_are_missing() -> Result<()> {
    let first = backend("hashed").await?;
    let texts = (0..600).map(|n| WriteRequest::new(format!("Entry {n} is about shelf {}.", n % 7)));
    let in_sessions = texts.enumerate().map(|(n, text)| text.with_session(format!("s{}", n % 5))).collect();
    for written in first.write_batch(&Scope::default(), in_sessions).await? {
        written?;
    }
    let whole = export(&first, true).await?;
    let of_view = |view: &str| {
        whole.iter().filter(|line| matches!(line, ExportLine::Embedding(row) if row.view == view)).count()
    };
    assert_eq!((of_view("own"), of_view("context")), (600, 595));

    for lines in [whole.clone(), export(&first, false).await?] {
        let second = backend("hashed").await?;
        import(&second, lines).await?;
        assert_eq!(export(&second, true).await?[1..], whole[1..]);
    }

    let other = backend("other").await?;
    import(&other, whole.clone()).await?;
    let made = export(&other, true).await?;
    assert_eq!(made.len(), whole.len());
    assert!(made.iter().all(|line| match line {
        ExportLine::Embedding(row) => row.model == "other" && !whole.contains(line),
        _ => true,
    }));
    Ok(())
}
