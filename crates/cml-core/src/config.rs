//! One configuration for every mode.
//!
//! Precedence: builder, then environment (`CML_*`, then a `.env` file), then a `cml.toml` file, then
//! the default. Every option stands once in [`OPTIONS`], with its key, its variable, its default and
//! what it allows.

mod options;
mod secret;
mod services;
mod sources;

use std::{collections::BTreeMap, net::SocketAddr, path::PathBuf, time::Duration};

pub use self::{
    options::{ConfigOption, OPTIONS, OptionValue},
    secret::{SecretString, without_secrets},
    services::{Neo4jConfig, PostgresConfig, RedisConfig},
    sources::Sources,
};
use crate::{Error, ErrorKind, Result, string_enum};

string_enum! {
    /// Where memories are kept.
    pub enum Mode("mode") {
        /// A server over REST.
        Http = "http",
        /// In this process: SQLite and local embeddings.
        Lite = "lite",
        /// In this process: PostgreSQL with pgvector.
        Standard = "standard",
        /// In this process: PostgreSQL, Neo4j and Redis.
        Full = "full",
    }
}

impl Mode {
    /// `Unsupported`: this mode is not compiled in; the suggestion names the cargo feature.
    #[must_use]
    pub fn not_compiled(self) -> Error {
        let feature = match self {
            Self::Http => "http",
            Self::Lite => "embedded-lite",
            Self::Standard => "embedded-standard",
            Self::Full => "embedded-full",
        };
        Error::unsupported(&format!("mode {self}"), format!("enable the cargo feature `{feature}`"))
    }
}

string_enum! {
    /// What makes vectors in the embedded modes.
    pub enum EmbeddingProvider("embedding.provider") {
        /// The built-in English model: no download, no native library.
        Builtin = "builtin",
        /// ONNX models through fastembed: a hub model by name, or a local one by path.
        Fastembed = "fastembed",
    }
}

string_enum! {
    /// Where the candidates of a read come from.
    pub enum Candidates("engine.candidates") {
        /// From memory; for a tenant with more turns than `engine.index_max_turns` from the database.
        Auto = "auto",
        /// From the index in memory.
        Memory = "memory",
        /// From the database, where it can propose them.
        Database = "database",
    }
}

/// Settings of every mode. A mode reads its own and ignores the rest.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Config {
    /// Where memories are kept.
    pub mode: Mode,
    /// Tenant of a facade that names none.
    pub tenant: String,
    /// Namespace of the facade; the whole tenant when absent.
    pub namespace: Option<String>,
    /// User of the facade.
    pub user: Option<String>,
    /// Agent of the facade.
    pub agent: Option<String>,
    /// The server, in mode `http`.
    pub http: HttpConfig,
    /// Database file in mode `lite`; in memory when absent.
    pub db_path: Option<PathBuf>,
    /// How long a write waits for another process's write before it is `Unavailable`.
    pub busy_timeout: Duration,
    /// The database of modes `standard` and `full`.
    pub postgres: PostgresConfig,
    /// The graph database of mode `full`.
    pub neo4j: Neo4jConfig,
    /// The cache of mode `full`.
    pub redis: RedisConfig,
    /// What makes vectors.
    pub embedding: EmbeddingConfig,
    /// How the engine treats text.
    pub engine: EngineConfig,
    /// How `cml serve` answers.
    pub server: ServerConfig,
    /// The configuration file that was read, if any; no option of its own.
    pub file: Option<PathBuf>,
}

/// How `cml serve` answers. The keys that it accepts are those of [`HttpConfig`] and of `keys_file`.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ServerConfig {
    /// Address and port to listen on; port 0 picks a free one.
    pub listen: SocketAddr,
    /// File with further keys, stored hashed.
    pub keys_file: Option<PathBuf>,
    /// Requests that one key may make in a minute; 0 for no limit.
    pub rate_limit_rpm: u32,
    /// Largest body of a batch of writes, in bytes; any other JSON is limited to 4 MiB.
    pub max_body_bytes: usize,
    /// Requests that are worked on at the same time; more wait.
    pub max_concurrent: usize,
    /// Longest time of one request but for exports, imports and streams.
    pub request_timeout: Duration,
    /// Web origins that browsers may call from; none when empty.
    pub cors_origins: Vec<String>,
    /// Whether `POST /dashboard/database/reset` may empty the store.
    pub allow_reset: bool,
}

/// The server in mode `http`.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct HttpConfig {
    /// Address of the server, without `/api/v1`.
    pub base_url: String,
    /// The key sent with every call.
    pub api_key: Option<SecretString>,
    /// The key sent with administrative calls.
    pub admin_api_key: Option<SecretString>,
    /// Longest time of one request.
    pub timeout: Duration,
    /// How often a failed request is sent again.
    pub max_retries: u32,
    /// Wait before the first retry; doubled each time.
    pub retry_delay: Duration,
    /// Whether the server's certificate is checked.
    pub verify_ssl: bool,
}

/// What makes vectors in the embedded modes.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct EmbeddingConfig {
    /// The provider.
    pub provider: EmbeddingProvider,
    /// Hub name of the model; the provider's own default when absent.
    pub model: Option<String>,
    /// Folder with `model.onnx` and `tokenizer.json`, instead of a hub model.
    pub path: Option<PathBuf>,
    /// The ONNX Runtime library; found by the dynamic loader when absent.
    pub onnxruntime: Option<PathBuf>,
}

/// How the engine treats text.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct EngineConfig {
    /// Whether personal data is replaced by marks.
    pub redaction: bool,
    /// Longest chunk of a text, in tokens of the embedder, 32..=2000; never more than the embedder takes.
    pub chunk_tokens: usize,
    /// Least relevance of a returned item where a read names none; the measured floor when absent.
    pub min_relevance: Option<f64>,
    /// Memory for search indexes, in MiB; the least recently used tenants are dropped beyond it.
    pub index_memory_mb: usize,
    /// Where the candidates of a read come from.
    pub candidates: Candidates,
    /// Turns of a tenant up to which `Candidates::Auto` takes its candidates from memory, where the store
    /// can propose them as well.
    pub index_max_turns: usize,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            mode: Mode::Lite,
            tenant: crate::scope::DEFAULT_TENANT.to_owned(),
            namespace: None,
            user: None,
            agent: None,
            http: HttpConfig {
                base_url: "http://localhost:8000".to_owned(),
                api_key: None,
                admin_api_key: None,
                timeout: Duration::from_secs(30),
                max_retries: 3,
                retry_delay: Duration::from_secs(1),
                verify_ssl: true,
            },
            db_path: None,
            busy_timeout: Duration::from_secs(10),
            postgres: PostgresConfig::default(),
            neo4j: Neo4jConfig::default(),
            redis: RedisConfig::default(),
            embedding: EmbeddingConfig {
                provider: EmbeddingProvider::Builtin,
                model: None,
                path: None,
                onnxruntime: None,
            },
            engine: EngineConfig {
                redaction: true,
                chunk_tokens: 400,
                min_relevance: None,
                index_memory_mb: 1024,
                candidates: Candidates::Auto,
                index_max_turns: 200_000,
            },
            server: ServerConfig {
                listen: SocketAddr::from(([127, 0, 0, 1], 8000)),
                keys_file: None,
                rate_limit_rpm: 0,
                max_body_bytes: 32 << 20,
                max_concurrent: 256,
                request_timeout: Duration::from_secs(30),
                cors_origins: Vec::new(),
                allow_reset: false,
            },
            file: None,
        }
    }
}

impl Config {
    /// The defaults, overridden by `cml.toml` in the working directory (or the file that `CML_CONFIG`
    /// names), by `.env` in the working directory, and by the process environment.
    ///
    /// # Errors
    /// `Config` naming the key or variable and what it allows, or the file that cannot be read.
    pub fn from_env() -> Result<Self> {
        Sources::read(None)?.config()
    }

    /// The defaults, overridden by the text of a `cml.toml`, then by variables.
    ///
    /// # Errors
    /// `Config` naming the key or variable and what it allows.
    pub fn from_parts(file: Option<&str>, variables: &BTreeMap<String, String>) -> Result<Self> {
        Sources::from_parts(file, variables.clone())?.config()
    }

    fn apply(&mut self, option: &ConfigOption, name: &str, text: &str) -> Result<()> {
        (option.set)(self, text.trim()).map_err(|allowed| {
            Error::new(ErrorKind::Config, format!("{name}: {allowed}")).with_suggestion(option.description)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn variables(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
        pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    #[test]
    fn environment_beats_file_beats_default() -> Result<()> {
        let file = "tenant = \"from-file\"\nnamespace = \"notes\"\n[http]\ntimeout = 5\n";
        let config = Config::from_parts(Some(file), &variables(&[("CML_TENANT_ID", "from-env")]))?;
        assert_eq!(config.tenant, "from-env");
        assert_eq!(config.namespace.as_deref(), Some("notes"));
        assert_eq!(config.http.timeout, Duration::from_secs(5));
        assert_eq!(config.http.max_retries, 3);
        Ok(())
    }

    #[test]
    fn a_bad_value_names_its_variable_and_what_it_allows() {
        for (name, value) in [
            ("CML_TIMEOUT", "0"),
            ("CML_TIMEOUT", "-1"),
            ("CML_MAX_RETRIES", "-1"),
            ("CML_BASE_URL", "localhost:8000"),
            ("CML_MODE", "cloud"),
            ("CML_REDACTION", "maybe"),
            ("CML_CHUNK_TOKENS", "31"),
            ("CML_MIN_RELEVANCE", "1.5"),
            ("CML_POSTGRES_URL", "mysql://localhost/cml"),
            ("CML_POSTGRES_SCHEMA", "My Schema"),
            ("CML_POSTGRES_MAX_CONNECTIONS", "0"),
            ("CML_POSTGRES_STATEMENT_TIMEOUT", "-1"),
            ("CML_NEO4J_URL", "http://localhost:7474"),
            ("CML_REDIS_URL", "localhost:6379"),
            ("CML_REDIS_PREFIX", "a*"),
            ("CML_CANDIDATES", "disk"),
        ] {
            let error = Config::from_parts(None, &variables(&[(name, value)])).expect_err(name);
            assert_eq!(error.kind(), ErrorKind::Config);
            assert!(error.message().starts_with(name), "{error}");
            assert!(error.message().contains("must be"), "{error}");
        }
    }

    #[test]
    fn an_override_beats_every_source_and_is_known_to_be_set() -> Result<()> {
        let mut sources =
            Sources::from_parts(Some("tenant = \"file\""), variables(&[("CML_USER_ID", "ana")]))?;
        assert!(sources.sets("tenant") && sources.sets("user") && !sources.sets("db_path"));
        sources.set("user", "bob");
        sources.set("db_path", ":memory:");
        assert!(sources.sets("db_path"));
        assert_eq!(sources.config()?.user.as_deref(), Some("bob"));
        sources.set("http.base_url", "localhost");
        assert!(sources.config().is_err_and(|error| error.message().starts_with("http.base_url: must be")));
        Ok(())
    }

    #[test]
    fn an_unknown_key_of_the_file_is_refused() {
        let error = Config::from_parts(Some("[http]\ntimeuot = 5"), &BTreeMap::new()).expect_err("a typo");
        assert!(error.message().contains("http.timeuot"), "{error}");
    }

    #[test]
    fn the_documented_defaults_are_the_defaults() -> Result<()> {
        let documented = OPTIONS
            .iter()
            .filter(|option| !option.default.is_empty())
            .map(|option| (option.variable.to_owned(), option.default.to_owned()))
            .collect();
        assert_eq!(Config::from_parts(None, &documented)?, Config::default());
        Ok(())
    }

    #[test]
    fn an_option_shows_what_was_set_and_no_secret() -> Result<()> {
        let set = [
            ("CML_API_KEY", "sk-1"),
            ("CML_TIMEOUT", "2.5"),
            ("CML_MODE", "http"),
            ("CML_DB_PATH", "/a.db"),
            ("CML_POSTGRES_URL", "postgres://ana:hidden@db:5432/cml"),
            ("CML_NEO4J_PASSWORD", "hidden"),
            ("CML_REDIS_URL", "redis://:hidden@cache"),
        ];
        let config = Config::from_parts(None, &variables(&set))?;
        let shown =
            |key: &str| OPTIONS.iter().find(|option| option.key == key).map(|option| option.value(&config));
        assert_eq!(shown("http.api_key"), Some(OptionValue::Secret(true)));
        assert_eq!(shown("http.admin_api_key"), Some(OptionValue::Secret(false)));
        assert_eq!(shown("http.timeout"), Some(OptionValue::Number(Some(2.5))));
        assert_eq!(
            shown("mode"),
            Some(OptionValue::Choice("http", vec!["http", "lite", "standard", "full"]))
        );
        assert_eq!(shown("db_path"), Some(OptionValue::Path(Some("/a.db".to_owned()))));
        let url = |text: &str| Some(OptionValue::Url(Some(text.to_owned())));
        assert_eq!(shown("postgres.url"), url("postgres://***@db:5432"));
        assert_eq!(shown("redis.url"), url("redis://***@cache"));
        assert_eq!(shown("neo4j.password"), Some(OptionValue::Secret(true)));
        assert!(!format!("{config:?}").contains("hidden"));
        let changed =
            OPTIONS.iter().filter(|option| option.value(&config) != option.value(&Config::default()));
        assert_eq!(changed.count(), set.len());
        Ok(())
    }
}
