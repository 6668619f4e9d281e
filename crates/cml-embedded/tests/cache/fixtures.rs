//! Engines over one store, with and without a cache that is shared.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use chrono::{DateTime, TimeDelta, Utc};
use cml_core::{
    Config,
    provider::{Embedder, Embedding, EmbeddingModel},
};
use cml_embedded::{
    clock::ManualClock,
    embed::WordPieceCounter,
    engine::{Engine, Parts},
    store::{
        Cache, Store,
        sqlite::{SqliteOptions, SqliteStore},
    },
};
use sha2::{Digest as _, Sha256};

pub(crate) type Outcome<T = ()> = Result<T, Box<dyn std::error::Error + Send + Sync>>;

/// A model whose vectors tell texts apart, that says how many texts it was asked for.
#[derive(Debug)]
pub(crate) struct Hashed {
    model: EmbeddingModel,
    asked: AtomicUsize,
}

impl Hashed {
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Self { model: EmbeddingModel::new("hashed", 32), asked: AtomicUsize::new(0) })
    }

    pub(crate) fn asked(&self) -> usize {
        self.asked.load(Ordering::SeqCst)
    }
}

#[async_trait]
impl Embedder for Hashed {
    fn model(&self) -> &EmbeddingModel {
        &self.model
    }

    async fn embed(&self, texts: &[&str]) -> cml_core::Result<Vec<Embedding>> {
        self.asked.fetch_add(texts.len(), Ordering::SeqCst);
        let embed = |text: &&str| {
            let mut vector = vec![0.0; 32];
            for word in text.to_lowercase().split(|letter: char| !letter.is_alphanumeric()) {
                let hash = Sha256::digest(word);
                vector.iter_mut().zip(hash).for_each(|(value, byte)| *value += f32::from(byte) - 127.5);
            }
            Embedding::from_raw(vector)
        };
        Ok(texts.iter().map(embed).collect())
    }
}

/// An instant to begin with.
pub(crate) fn start() -> DateTime<Utc> {
    DateTime::UNIX_EPOCH + TimeDelta::days(20_000) + TimeDelta::hours(9)
}

pub(crate) async fn store() -> Outcome<Arc<dyn Store>> {
    let options = SqliteOptions::in_memory(EmbeddingModel::new("hashed", 32));
    Ok(Arc::new(SqliteStore::open(options).await?))
}

/// A process of its own over `store`.
pub(crate) async fn engine(
    store: &Arc<dyn Store>,
    cache: Arc<dyn Cache>,
    embedder: Arc<Hashed>,
    clock: &ManualClock,
) -> Outcome<Engine> {
    let parts = Parts {
        store: Arc::clone(store),
        cache,
        embedder,
        counter: Arc::new(WordPieceCounter::new()?),
        clock: Arc::new(clock.clone()),
        config: Config::default().engine,
        graph: None,
    };
    Ok(Engine::new(parts).await?)
}

/// Passes as soon as something holds.
pub(crate) async fn eventually(mut holds: impl AsyncFnMut() -> bool) -> Outcome {
    for _ in 0..2_000 {
        if holds().await {
            return Ok(());
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    Err("it never came to be".into())
}

/// What an engine counted, by name.
#[cfg(feature = "full")]
pub(crate) fn uses(engine: &Engine, name: &str) -> u64 {
    engine.cache_uses().get(name).and_then(serde_json::Value::as_u64).unwrap_or_default()
}
