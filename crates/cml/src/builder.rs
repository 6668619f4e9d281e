//! Opening a memory step by step.

use std::{path::PathBuf, sync::Arc, time::Duration};

use cml_core::{
    Config, Progress, Result,
    config::{Candidates, Mode, SecretString},
    provider::{Embedder, TokenCounter},
};

use crate::{
    Memory,
    connect::{self, Parts},
    handle::scope,
};

/// Opens a [`Memory`]: settings of a [`Config`], and parts of the caller's own.
///
/// Awaiting the builder opens the memory.
///
/// ```
/// # #[cfg(feature = "embedded-lite")]
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> cml::Result<()> {
/// let memory = cml::Memory::lite().tenant("acme").namespace("notes").await?;
/// assert_eq!(memory.scope().namespace(), "notes");
/// # Ok(())
/// # }
/// # #[cfg(not(feature = "embedded-lite"))]
/// # fn main() {}
/// ```
#[derive(Clone)]
#[must_use = "a builder opens nothing until it is awaited"]
pub struct MemoryBuilder {
    config: Config,
    parts: Parts,
}

impl std::fmt::Debug for MemoryBuilder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("MemoryBuilder")
            .field("config", &self.config)
            .field("embedder", &self.parts.embedder)
            .finish_non_exhaustive()
    }
}

impl Memory {
    /// A memory in this process: SQLite and the built-in English model. In memory unless
    /// [`db_path`](MemoryBuilder::db_path) names a file.
    pub fn lite() -> MemoryBuilder {
        let mut config = Config::default();
        config.mode = Mode::Lite;
        MemoryBuilder::new(config)
    }

    /// A memory in this process that keeps everything in PostgreSQL with pgvector at `postgres_url`, such
    /// as `postgres://user:password@localhost:5432/cml`; needs the feature `embedded-standard`. Several
    /// processes may share the database.
    ///
    /// ```no_run
    /// # async fn example() -> cml::Result<()> {
    /// let memory = cml::Memory::standard("postgres://cml:secret@localhost/cml").tenant("acme").await?;
    /// memory.remember("prefers dark mode").await?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn standard(postgres_url: impl Into<String>) -> MemoryBuilder {
        let mut config = Config::default();
        config.mode = Mode::Standard;
        MemoryBuilder::new(config).postgres_url(postgres_url)
    }

    /// As [`standard`](Self::standard), with the knowledge graph in Neo4j (address, user and password) and
    /// caches in Redis; needs the feature `embedded-full`. Either may be away: what it adds comes later.
    ///
    /// ```no_run
    /// # async fn example() -> cml::Result<()> {
    /// let memory = cml::Memory::full(
    ///     "postgres://cml:secret@localhost/cml",
    ///     ("bolt://localhost:7687", "neo4j", "secret"),
    ///     "redis://localhost:6379",
    /// )
    /// .await?;
    /// memory.remember("prefers dark mode").await?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn full(
        postgres_url: impl Into<String>,
        neo4j: (impl Into<String>, impl Into<String>, impl Into<String>),
        redis_url: impl Into<String>,
    ) -> MemoryBuilder {
        let mut config = Config::default();
        config.mode = Mode::Full;
        let (url, user, password) = neo4j;
        MemoryBuilder::new(config).postgres_url(postgres_url).neo4j(url, user, password).redis_url(redis_url)
    }

    /// A memory on the server at `base_url`, such as `http://localhost:8000`; needs the feature `http`.
    ///
    /// A server that is away when the memory is opened is no error; the first call asks again.
    ///
    /// ```no_run
    /// # async fn example() -> cml::Result<()> {
    /// let memory = cml::Memory::http("https://memory.example.org").api_key("key").tenant("acme").await?;
    /// memory.remember("prefers dark mode").await?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn http(base_url: impl Into<String>) -> MemoryBuilder {
        let mut config = Config::default();
        config.mode = Mode::Http;
        MemoryBuilder::new(config).base_url(base_url)
    }

    /// A memory as `config` describes it, to be changed further.
    pub fn builder(config: Config) -> MemoryBuilder {
        MemoryBuilder::new(config)
    }
}

impl MemoryBuilder {
    fn new(config: Config) -> Self {
        Self { config, parts: Parts::default() }
    }

    /// Keeps memories in this file instead of in memory.
    pub fn db_path(mut self, path: impl Into<PathBuf>) -> Self {
        self.config.db_path = Some(path.into());
        self
    }

    /// Sets the address of PostgreSQL.
    pub fn postgres_url(mut self, url: impl Into<String>) -> Self {
        self.config.postgres.url = Some(SecretString::new(url));
        self
    }

    /// Keeps the tables in this schema of the database, `cml` by default.
    pub fn postgres_schema(mut self, name: impl Into<String>) -> Self {
        self.config.postgres.schema = name.into();
        self
    }

    /// Opens at most so many connections to PostgreSQL, 10 by default.
    pub fn postgres_max_connections(mut self, most: u32) -> Self {
        self.config.postgres.max_connections = most;
        self
    }

    /// Lets PostgreSQL itself keep tenants apart, by policies on each table; off by default.
    pub fn row_level_security(mut self, on: bool) -> Self {
        self.config.postgres.row_level_security = on;
        self
    }

    /// Sets the address of Neo4j, its user and the user's password.
    pub fn neo4j(
        mut self,
        url: impl Into<String>,
        user: impl Into<String>,
        password: impl Into<String>,
    ) -> Self {
        self.config.neo4j.url = Some(url.into());
        self.config.neo4j.user = user.into();
        self.config.neo4j.password = SecretString::new(password);
        self
    }

    /// Uses this database of Neo4j, `neo4j` by default.
    pub fn neo4j_database(mut self, name: impl Into<String>) -> Self {
        self.config.neo4j.database = name.into();
        self
    }

    /// Sets the address of Redis.
    pub fn redis_url(mut self, url: impl Into<String>) -> Self {
        self.config.redis.url = Some(SecretString::new(url));
        self
    }

    /// Begins every key in Redis with this, `cml` by default.
    pub fn redis_prefix(mut self, prefix: impl Into<String>) -> Self {
        self.config.redis.prefix = prefix.into();
        self
    }

    /// Takes the candidates of reads from memory, from the database, or as the size of a tenant has it.
    pub fn candidates(mut self, source: Candidates) -> Self {
        self.config.engine.candidates = source;
        self
    }

    /// Sets the address of the server.
    pub fn base_url(mut self, url: impl Into<String>) -> Self {
        self.config.http.base_url = url.into();
        self
    }

    /// Sends this key with every call to the server.
    pub fn api_key(mut self, key: impl Into<String>) -> Self {
        self.config.http.api_key = Some(SecretString::new(key));
        self
    }

    /// Sends this key with administrative calls to the server.
    pub fn admin_api_key(mut self, key: impl Into<String>) -> Self {
        self.config.http.admin_api_key = Some(SecretString::new(key));
        self
    }

    /// Sets the longest time of one request to the server.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.config.http.timeout = timeout;
        self
    }

    /// Sets how often a failed request is sent to the server again.
    pub fn max_retries(mut self, retries: u32) -> Self {
        self.config.http.max_retries = retries;
        self
    }

    /// Sets the wait before the first retry; doubled each time.
    pub fn retry_delay(mut self, delay: Duration) -> Self {
        self.config.http.retry_delay = delay;
        self
    }

    /// Sets the tenant.
    pub fn tenant(mut self, id: impl Into<String>) -> Self {
        self.config.tenant = id.into();
        self
    }

    /// Limits the handle to a namespace.
    pub fn namespace(mut self, name: impl Into<String>) -> Self {
        self.config.namespace = Some(name.into());
        self
    }

    /// Limits the handle to a user.
    pub fn user(mut self, id: impl Into<String>) -> Self {
        self.config.user = Some(id.into());
        self
    }

    /// Stamps an author on what the handle writes.
    pub fn agent(mut self, id: impl Into<String>) -> Self {
        self.config.agent = Some(id.into());
        self
    }

    /// Switches the replacement of personal data by marks on or off; on by default.
    pub fn redaction(mut self, on: bool) -> Self {
        self.config.engine.redaction = on;
        self
    }

    /// Least relevance of a returned item where a read names none.
    pub fn min_relevance(mut self, least: f64) -> Self {
        self.config.engine.min_relevance = Some(least);
        self
    }

    /// Makes vectors with this embedder.
    pub fn embedder(mut self, embedder: Arc<dyn Embedder>) -> Self {
        self.parts.embedder = Some(embedder);
        self
    }

    /// Counts the tokens of chunks and contexts with this tokenizer.
    pub fn token_counter(mut self, counter: Arc<dyn TokenCounter>) -> Self {
        self.parts.counter = Some(counter);
        self
    }

    /// Makes the vectors again if another model made them, instead of refusing to open the store.
    pub fn reembed(mut self, progress: Progress) -> Self {
        self.parts.reembed = Some(progress);
        self
    }

    /// Opens the memory.
    ///
    /// # Errors
    /// As [`Memory::connect`].
    pub async fn open(self) -> Result<Memory> {
        let scope = scope(&self.config)?;
        Ok(Memory::new(connect::open(&self.config, self.parts).await?, scope))
    }
}

impl IntoFuture for MemoryBuilder {
    type Output = Result<Memory>;
    type IntoFuture = std::pin::Pin<Box<dyn Future<Output = Result<Memory>> + Send>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(self.open())
    }
}
