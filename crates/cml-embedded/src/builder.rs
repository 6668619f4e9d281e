//! Configuration to backend.

use std::sync::Arc;

use cml_core::{
    Config, Error, Progress, Result,
    config::{EmbeddingConfig, EmbeddingProvider},
    provider::{Embedder, TokenCounter},
};

use crate::{
    EmbeddedBackend,
    clock::{Clock, SystemClock},
    embed::{StaticEmbedder, WordPieceCounter},
    engine::{self, Engine, Parts},
    store::Store,
};

/// Builds an [`EmbeddedBackend`] from a configuration and parts of the caller's own.
#[derive(Clone)]
pub struct EmbeddedBuilder {
    config: Config,
    embedder: Option<Arc<dyn Embedder>>,
    counter: Option<Arc<dyn TokenCounter>>,
    clock: Arc<dyn Clock>,
    reembed: Option<Progress>,
}

impl std::fmt::Debug for EmbeddedBuilder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("EmbeddedBuilder")
            .field("config", &self.config)
            .field("embedder", &self.embedder)
            .field("clock", &self.clock)
            .finish_non_exhaustive()
    }
}

impl EmbeddedBuilder {
    /// A backend as `config` describes it.
    #[must_use]
    pub fn new(config: Config) -> Self {
        Self { config, embedder: None, counter: None, clock: Arc::new(SystemClock), reembed: None }
    }

    /// Makes vectors with this embedder instead of the configured one.
    #[must_use]
    pub fn embedder(mut self, embedder: Arc<dyn Embedder>) -> Self {
        self.embedder = Some(embedder);
        self
    }

    /// Counts tokens with this tokenizer instead of the built-in one.
    #[must_use]
    pub fn token_counter(mut self, counter: Arc<dyn TokenCounter>) -> Self {
        self.counter = Some(counter);
        self
    }

    /// Reads time from this clock instead of the machine's.
    #[must_use]
    pub fn clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.clock = clock;
        self
    }

    /// Makes the vectors of the store again if another model made them, instead of refusing to open it.
    #[must_use]
    pub fn reembed(mut self, progress: Progress) -> Self {
        self.reembed = Some(progress);
        self
    }

    /// Opens the store and starts the engine.
    ///
    /// # Errors
    /// `Config` for a path that is no database of ours, `Conflict` for one from a newer version or with
    /// vectors of another model, `Unsupported` for a mode that is not compiled in.
    pub async fn build(self) -> Result<EmbeddedBackend> {
        let embedder = match &self.embedder {
            Some(embedder) => Arc::clone(embedder),
            None => self.configured_embedder().await?,
        };
        let (store, mode) = open_store(&self.config, embedder.as_ref()).await?;
        if let Some(progress) = &self.reembed {
            engine::make_generation(store.as_ref(), &embedder, progress).await?;
        }
        let counter = match self.counter {
            Some(counter) => counter,
            None => Arc::new(WordPieceCounter::new()?),
        };
        let parts = Parts { store, embedder, counter, clock: self.clock, config: self.config.engine };
        Ok(EmbeddedBackend::new(Engine::new(parts).await?, mode))
    }

    async fn configured_embedder(&self) -> Result<Arc<dyn Embedder>> {
        match self.config.embedding.provider {
            EmbeddingProvider::Builtin => Ok(Arc::new(StaticEmbedder::new()?)),
            _ => onnx(&self.config.embedding).await,
        }
    }
}

#[cfg(any(feature = "fastembed", feature = "fastembed-download"))]
async fn onnx(config: &EmbeddingConfig) -> Result<Arc<dyn Embedder>> {
    use crate::embed::{FastEmbedOptions, FastEmbedder};
    let config = config.clone();
    let load = move || {
        let mut options = FastEmbedOptions::default();
        if let Some(library) = &config.onnxruntime {
            options = options.with_onnxruntime(library);
        }
        match &config.path {
            Some(folder) => FastEmbedder::local(folder, &options),
            None => FastEmbedder::hub(config.model.as_deref(), &options),
        }
    };
    let lost =
        |error| Error::new(cml_core::ErrorKind::Internal, "loading the model failed").with_source(error);
    Ok(Arc::new(tokio::task::spawn_blocking(load).await.map_err(lost)??))
}

#[cfg(not(any(feature = "fastembed", feature = "fastembed-download")))]
async fn onnx(_config: &EmbeddingConfig) -> Result<Arc<dyn Embedder>> {
    Err(Error::unsupported("the embedding provider fastembed", "enable the cargo feature `fastembed`"))
}

#[cfg(feature = "lite")]
async fn open_store(config: &Config, embedder: &dyn Embedder) -> Result<(Arc<dyn Store>, &'static str)> {
    use cml_core::config::Mode;

    use crate::store::sqlite::{SqliteOptions, SqliteStore};
    if config.mode != Mode::Lite {
        return Err(config.mode.not_compiled());
    }
    let options = SqliteOptions {
        path: config.db_path.clone(),
        busy_timeout: config.busy_timeout,
        model: embedder.model().clone(),
    };
    Ok((Arc::new(SqliteStore::open(options).await?), "lite"))
}

#[cfg(not(feature = "lite"))]
async fn open_store(config: &Config, _embedder: &dyn Embedder) -> Result<(Arc<dyn Store>, &'static str)> {
    Err(config.mode.not_compiled())
}
