//! Configuration to backend.

use std::sync::Arc;

use cml_core::{
    Config, Error, Progress, Result,
    config::{EmbeddingConfig, EmbeddingProvider, Mode},
    provider::{Embedder, EmbeddingModel, TokenCounter},
};

#[cfg(feature = "standard")]
use cml_core::config::SecretString;

use crate::{
    EmbeddedBackend,
    clock::{Clock, SystemClock},
    embed::{StaticEmbedder, WordPieceCounter},
    engine::{self, Engine, Parts},
    store::{Cache, GraphDatabase, Store},
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
        let Stores { store, graph, cache, mode } =
            open_stores(&self.config, embedder.model(), &self.clock).await?;
        if let Some(progress) = &self.reembed {
            engine::make_generation(store.as_ref(), &embedder, progress).await?;
        }
        let counter = match self.counter {
            Some(counter) => counter,
            None => Arc::new(WordPieceCounter::new()?),
        };
        let config = self.config.engine;
        let parts = Parts { store, cache, embedder, counter, clock: self.clock, config, graph };
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

/// What an engine keeps memories in.
struct Stores {
    store: Arc<dyn Store>,
    graph: Option<Arc<dyn GraphDatabase>>,
    cache: Arc<dyn Cache>,
    mode: &'static str,
}

async fn open_stores(config: &Config, model: &EmbeddingModel, clock: &Arc<dyn Clock>) -> Result<Stores> {
    match config.mode {
        #[cfg(feature = "lite")]
        Mode::Lite => Ok(alone(sqlite(config, model).await?, clock, "lite")),
        #[cfg(feature = "standard")]
        Mode::Standard => Ok(alone(postgres(config, model).await?, clock, "standard")),
        #[cfg(feature = "full")]
        Mode::Full => Ok(Stores {
            store: postgres(config, model).await?,
            graph: Some(Arc::new(neo4j(config)?)),
            cache: Arc::new(redis(config)?),
            mode: "full",
        }),
        mode => not_compiled(mode, model, clock),
    }
}

/// A store without services beside it.
#[cfg(any(feature = "lite", feature = "standard"))]
fn alone(store: Arc<dyn Store>, clock: &Arc<dyn Clock>, mode: &'static str) -> Stores {
    Stores { store, graph: None, cache: Arc::new(crate::store::LocalCache::new(Arc::clone(clock))), mode }
}

#[cfg(feature = "lite")]
async fn sqlite(config: &Config, model: &EmbeddingModel) -> Result<Arc<dyn Store>> {
    use crate::store::sqlite::{SqliteOptions, SqliteStore};
    let options = SqliteOptions {
        path: config.db_path.clone(),
        busy_timeout: config.busy_timeout,
        model: model.clone(),
    };
    Ok(Arc::new(SqliteStore::open(options).await?))
}

#[cfg(feature = "standard")]
async fn postgres(config: &Config, model: &EmbeddingModel) -> Result<Arc<dyn Store>> {
    use crate::store::postgres::{PostgresOptions, PostgresStore};
    config.check_services()?;
    let settings = &config.postgres;
    let mut options = PostgresOptions::new(SecretString::new(settings.address()?), model.clone());
    options.schema.clone_from(&settings.schema);
    options.max_connections = settings.max_connections;
    options.connect_timeout = settings.connect_timeout;
    options.acquire_timeout = settings.acquire_timeout;
    options.statement_timeout = settings.statement_timeout;
    options.row_level_security = settings.row_level_security;
    options.projects = config.mode == Mode::Full;
    Ok(Arc::new(PostgresStore::open(options).await?))
}

#[cfg(feature = "full")]
fn neo4j(config: &Config) -> Result<crate::store::neo4j::Neo4jGraph> {
    use crate::store::neo4j::{Neo4jGraph, Neo4jOptions};
    let settings = &config.neo4j;
    let options = Neo4jOptions::new(settings.address()?, &*settings.user, settings.password.clone())
        .with_database(&*settings.database)
        .with_max_connections(settings.max_connections)
        .with_timeout(settings.timeout)
        .with_prefix(&*settings.prefix);
    Neo4jGraph::new(options)
}

#[cfg(feature = "full")]
fn redis(config: &Config) -> Result<crate::store::redis::RedisCache> {
    use crate::store::redis::{RedisCache, RedisOptions};
    let settings = &config.redis;
    RedisCache::open(&RedisOptions {
        url: SecretString::new(settings.address()?),
        prefix: settings.prefix.clone(),
        timeout: settings.timeout,
    })
}

fn not_compiled(mode: Mode, _model: &EmbeddingModel, _clock: &Arc<dyn Clock>) -> Result<Stores> {
    Err(mode.not_compiled())
}
