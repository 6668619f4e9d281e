//! A store whose embedding model changes: refused, made again side by side, taken up after a stop.

use std::{
    collections::HashSet,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
};

use async_trait::async_trait;
use cml::{
    Error, ErrorKind, Memory, Progress, Result,
    embedded::embed::StaticEmbedder,
    ops::ReembedProgress,
    provider::{Embedder, Embedding, EmbeddingModel},
};

/// The built-in vectors under another name, shifted by one place, so that the two models disagree.
#[derive(Debug)]
struct Shifted {
    model: EmbeddingModel,
    inner: StaticEmbedder,
    /// Texts that may still be embedded before it fails.
    left: AtomicUsize,
}

impl Shifted {
    fn new(left: usize) -> Result<Arc<Self>> {
        let inner = StaticEmbedder::new()?;
        let model = EmbeddingModel::new("shifted", inner.model().dimensions);
        Ok(Arc::new(Self { model, inner, left: AtomicUsize::new(left) }))
    }
}

#[async_trait]
impl Embedder for Shifted {
    fn model(&self) -> &EmbeddingModel {
        &self.model
    }

    async fn embed(&self, texts: &[&str]) -> Result<Vec<Embedding>> {
        let spend = |left: usize| left.checked_sub(texts.len());
        if self.left.fetch_update(Ordering::SeqCst, Ordering::SeqCst, spend).is_err() {
            return Err(Error::new(ErrorKind::Unavailable, "the model went away"));
        }
        let shifted = |embedding: Embedding| {
            let mut vector = embedding.vector;
            vector.rotate_right(1);
            Embedding::from_unit(vector, 1.0)
        };
        Ok(self.inner.embed(texts).await?.into_iter().map(shifted).collect())
    }
}

fn quiet() -> Progress {
    Arc::new(|_| ())
}

async fn filled(memory: &Memory, count: usize) -> Result<()> {
    let texts = (0..count).map(|n| format!("Entry {n} is about shelf {} in the cellar", n % 17));
    for written in memory.batch_write(texts).await? {
        written?;
    }
    memory.remember("The spare key lies under the blue flower pot").await?;
    Ok(())
}

#[tokio::test]
async fn another_model_is_refused_until_the_vectors_are_made_again() -> Result<()> {
    let folder = tempfile::tempdir().map_err(io)?;
    let file = folder.path().join("m.db");
    let memory = Memory::lite().db_path(&file).await?;
    filled(&memory, 600).await?;
    memory.close().await?;

    let model = Shifted::new(usize::MAX)?;
    let refused = Memory::lite().db_path(&file).embedder(model.clone()).await.expect_err("another model");
    assert_eq!(refused.kind(), ErrorKind::Conflict);
    assert!(refused.message().contains("shifted") && refused.message().contains("static-en"), "{refused}");

    let seen: Arc<Mutex<Vec<ReembedProgress>>> = Arc::default();
    let log = Arc::clone(&seen);
    let progress: Progress =
        Arc::new(move |step| log.lock().unwrap_or_else(PoisonError::into_inner).push(step));
    let memory = Memory::lite().db_path(&file).embedder(model.clone()).reembed(progress).await?;
    let answer = memory.search("Where is the spare key?").await?;
    assert_eq!(answer.memories[0].text, "The spare key lies under the blue flower pot");
    memory.close().await?;

    let steps = seen.lock().unwrap_or_else(PoisonError::into_inner).clone();
    assert!(steps.len() > 2 && steps.windows(2).all(|pair| pair[0].done <= pair[1].done), "{steps:?}");
    assert_eq!(steps.last().map(|step| (step.done, step.total)), Some((601, 601)));

    let former = Memory::lite().db_path(&file).await.expect_err("the former model is gone");
    assert_eq!(former.kind(), ErrorKind::Conflict);
    assert!(Memory::lite().db_path(&file).embedder(model).await.is_ok());
    Ok(())
}

#[tokio::test]
async fn a_run_that_was_cut_off_leaves_the_former_model_serving_and_goes_on_later() -> Result<()> {
    let folder = tempfile::tempdir().map_err(io)?;
    let file = folder.path().join("m.db");
    let memory = Memory::lite().db_path(&file).await?;
    filled(&memory, 600).await?;

    let failing = Shifted::new(300)?;
    let error = memory.reembed(failing, quiet()).await.expect_err("the model goes away");
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    assert!(memory.search("Where is the spare key?").await?.memories[0].text.contains("flower pot"));
    memory.close().await?;

    let memory = Memory::lite().db_path(&file).await?;
    let made = memory.reembed(Shifted::new(usize::MAX)?, quiet()).await?;
    assert!(made < 601, "the vectors of the first run were kept, {made} were made");
    assert!(memory.search("Where is the spare key?").await?.memories[0].text.contains("flower pot"));
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn reads_and_writes_go_on_while_vectors_are_made() -> Result<()> {
    let folder = tempfile::tempdir().map_err(io)?;
    let memory = Memory::lite().db_path(folder.path().join("m.db")).await?;
    filled(&memory, 1500).await?;
    let writer = tokio::spawn({
        let memory = memory.clone();
        async move {
            let mut ids = Vec::new();
            for n in 0..60 {
                ids.extend(memory.remember(format!("While vectors were made, note {n} came in")).await?);
                memory.search("Where is the spare key?").await?;
            }
            Ok::<_, Error>(ids)
        }
    });
    memory.reembed(Shifted::new(usize::MAX)?, quiet()).await?;
    let written =
        writer.await.map_err(|e| Error::new(ErrorKind::Internal, "a task was lost").with_source(e))??;

    let answer = memory
        .search(
            cml::ops::ReadRequest::new("note came in").with_max_results(1000usize).with_min_relevance(0.0),
        )
        .await?;
    let found: HashSet<_> = answer.memories.iter().map(|item| item.id).collect();
    assert_eq!(written.iter().filter(|id| found.contains(id)).count(), 60);
    assert_eq!(memory.stats().await?.total_memories, 1561);
    Ok(())
}

fn io(error: std::io::Error) -> Error {
    Error::new(ErrorKind::Unavailable, "no temporary folder").with_source(error)
}
