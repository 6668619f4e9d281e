//! Export and import with a model whose context vectors are stored.

#![cfg(feature = "lite")]

use std::sync::Arc;

use async_trait::async_trait;
use cml_core::{
    Config, MemoryBackend as _, Result, Scope, Transfer as _,
    ops::{ExportLine, ExportOptions, UpdateRequest, WriteRequest},
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

#[tokio::test]
async fn a_memory_that_changes_during_its_export_is_exported_without_its_vector() -> Result<()> {
    let first = backend("hashed").await?;
    let (scope, mut ids) = (Scope::default(), Vec::new());
    let texts = ["The safe is new.", "The door is red."].map(WriteRequest::new);
    for written in first.write_batch(&scope, texts.to_vec()).await? {
        ids.extend(written?.memory_id);
    }
    let mut running = first.export(&scope, ExportOptions::default()).await?;
    let mut lines = Vec::new();
    while lines.iter().filter(|line| matches!(line, ExportLine::Record(_))).count() < ids.len() {
        lines.extend(running.try_next().await?);
    }
    first.update(&scope, UpdateRequest::new(ids[0]).with_text("The zeppelin is new.")).await?;
    lines.extend(running.try_collect::<Vec<_>>().await?);
    let mut vectors = lines.iter().filter_map(|line| match line {
        ExportLine::Embedding(row) => Some(row.memory_id),
        _ => None,
    });
    assert_eq!((vectors.next(), vectors.next()), (Some(ids[1]), None));

    let (second, unchanged) = (backend("hashed").await?, backend("hashed").await?);
    import(&second, lines).await?;
    unchanged.write_batch(&scope, vec![WriteRequest::new("The safe is new.")]).await?;
    let vector = |lines: Vec<ExportLine>, id| {
        lines.into_iter().find_map(|line| match line {
            ExportLine::Embedding(row) if row.memory_id == id => Some(row.vector),
            _ => None,
        })
    };
    let made = vector(export(&second, true).await?, ids[0]);
    assert!(made.is_some());
    let expected = export(&unchanged, true).await?.into_iter().find_map(|line| match line {
        ExportLine::Embedding(row) => Some(row.vector),
        _ => None,
    });
    assert_eq!(made, expected, "the vector is that of the text in the export");
    Ok(())
}
