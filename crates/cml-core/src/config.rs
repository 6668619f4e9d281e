//! One configuration for every mode.
//!
//! Precedence: builder, then environment (`CML_*`, then a `.env` file), then a `cml.toml` file, then
//! the default. Every option stands once in [`OPTIONS`], with its key, its variable, its default and
//! what it allows.

use std::{collections::BTreeMap, fmt, net::SocketAddr, path::PathBuf, str::FromStr, time::Duration};

use crate::{
    Error, ErrorKind, Result,
    scope::{MAX_ID_CHARS, check_id},
    string_enum,
};

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

/// A secret that neither `Debug` nor `Display` shows, but for its last four characters.
#[derive(Clone, PartialEq, Eq)]
pub struct SecretString(String);

impl SecretString {
    /// Wraps a secret.
    #[must_use]
    pub fn new(secret: impl Into<String>) -> Self {
        Self(secret.into())
    }

    /// The secret itself.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for SecretString {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown = self.0.char_indices().rev().nth(3).filter(|(start, _)| *start >= 4);
        write!(f, "***{}", shown.map_or("", |(start, _)| &self.0[start..]))
    }
}

impl fmt::Display for SecretString {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
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

/// An option: where it is set and what it means.
#[derive(Clone, Copy)]
#[non_exhaustive]
pub struct ConfigOption {
    /// Its key in `cml.toml`, with its table: `http.timeout`.
    pub key: &'static str,
    /// Its environment variable.
    pub variable: &'static str,
    /// Its default in words; empty for none.
    pub default: &'static str,
    /// What it does and what it allows.
    pub description: &'static str,
    set: fn(&mut Config, &str) -> Result<(), String>,
    get: fn(&Config) -> OptionValue,
}

impl ConfigOption {
    /// What `config` holds for it.
    #[must_use]
    pub fn value(&self, config: &Config) -> OptionValue {
        (self.get)(config)
    }
}

/// What a configuration holds for an option, as it may be shown; none where nothing is set.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum OptionValue {
    /// A secret: only whether there is one.
    Secret(bool),
    /// An address of another service, or several joined by commas.
    Url(Option<String>),
    /// A file or folder.
    Path(Option<String>),
    /// One of the names that are allowed, and all of them.
    Choice(&'static str, Vec<&'static str>),
    /// Free text.
    Text(Option<String>),
    /// A whole number.
    Whole(u64),
    /// A number.
    Number(Option<f64>),
    /// Yes or no.
    Truth(bool),
}

impl OptionValue {
    fn path(path: Option<&PathBuf>) -> Self {
        Self::Path(path.map(|path| path.display().to_string()))
    }

    fn seconds(time: Duration) -> Self {
        Self::Number(Some(time.as_secs_f64()))
    }

    fn secret(secret: Option<&SecretString>) -> Self {
        Self::Secret(secret.is_some())
    }
}

impl fmt::Debug for ConfigOption {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.key, self.variable)
    }
}

macro_rules! options {
    ($($key:literal, $variable:literal, $default:literal, $description:literal, |$config:ident, $text:ident| $set:expr, $get:expr;)*) => {
        /// Every option, in the order of the documentation.
        pub const OPTIONS: &[ConfigOption] = &[$(
            ConfigOption {
                key: $key,
                variable: $variable,
                default: $default,
                description: $description,
                set: |$config, $text| { $set; Ok(()) },
                get: |$config| $get,
            },
        )*];
    };
}

options! {
    "mode", "CML_MODE", "lite", "Where memories are kept: http, lite, standard or full.",
        |config, text| config.mode = choice(text)?,
        names(config.mode.as_str(), Mode::ALL, Mode::as_str);
    "tenant", "CML_TENANT_ID", "default", "Tenant, 1 to 100 characters.",
        |config, text| config.tenant = id(text)?,
        OptionValue::Text(Some(config.tenant.clone()));
    "namespace", "CML_NAMESPACE", "", "Namespace of the facade; without one it reads the whole tenant.",
        |config, text| config.namespace = Some(id(text)?),
        OptionValue::Text(config.namespace.clone());
    "user", "CML_USER_ID", "", "User of the facade.",
        |config, text| config.user = Some(id(text)?),
        OptionValue::Text(config.user.clone());
    "agent", "CML_AGENT_ID", "", "Agent of the facade.",
        |config, text| config.agent = Some(id(text)?),
        OptionValue::Text(config.agent.clone());
    "http.base_url", "CML_BASE_URL", "http://localhost:8000", "Address of the server, http or https.",
        |config, text| config.http.base_url = url(text)?,
        OptionValue::Url(Some(config.http.base_url.clone()));
    "http.api_key", "CML_API_KEY", "", "Key sent with every call.",
        |config, text| config.http.api_key = Some(SecretString::new(text)),
        OptionValue::secret(config.http.api_key.as_ref());
    "http.admin_api_key", "CML_ADMIN_API_KEY", "", "Key sent with administrative calls.",
        |config, text| config.http.admin_api_key = Some(SecretString::new(text)),
        OptionValue::secret(config.http.admin_api_key.as_ref());
    "http.timeout", "CML_TIMEOUT", "30", "Longest time of one request, in seconds, more than 0.",
        |config, text| config.http.timeout = seconds(text, f64::MIN_POSITIVE)?,
        OptionValue::seconds(config.http.timeout);
    "http.max_retries", "CML_MAX_RETRIES", "3", "How often a failed request is sent again, 0 to 100.",
        |config, text| config.http.max_retries = whole(text, 0, 100)? as u32,
        OptionValue::Whole(config.http.max_retries.into());
    "http.retry_delay", "CML_RETRY_DELAY", "1", "Wait before the first retry, in seconds, 0 or more.",
        |config, text| config.http.retry_delay = seconds(text, 0.0)?,
        OptionValue::seconds(config.http.retry_delay);
    "http.verify_ssl", "CML_VERIFY_SSL", "true", "Whether the server's certificate is checked.",
        |config, text| config.http.verify_ssl = truth(text)?,
        OptionValue::Truth(config.http.verify_ssl);
    "db_path", "CML_DB_PATH", "", "Database file in mode lite; `:memory:` or nothing keeps it in memory.",
        |config, text| config.db_path = (text != ":memory:").then(|| PathBuf::from(text)),
        OptionValue::path(config.db_path.as_ref());
    "busy_timeout", "CML_BUSY_TIMEOUT", "10", "How long a write waits for another process, in seconds, 0 or more.",
        |config, text| config.busy_timeout = seconds(text, 0.0)?,
        OptionValue::seconds(config.busy_timeout);
    "embedding.provider", "CML_EMBEDDING_PROVIDER", "builtin", "What makes vectors: builtin or fastembed.",
        |config, text| config.embedding.provider = choice(text)?,
        names(config.embedding.provider.as_str(), EmbeddingProvider::ALL, EmbeddingProvider::as_str);
    "embedding.model", "CML_EMBEDDING_MODEL", "", "Hub name of the model, such as BAAI/bge-small-en-v1.5.",
        |config, text| config.embedding.model = Some(text.to_owned()),
        OptionValue::Text(config.embedding.model.clone());
    "embedding.path", "CML_EMBEDDING_PATH", "", "Folder with model.onnx and tokenizer.json instead of a hub model.",
        |config, text| config.embedding.path = Some(PathBuf::from(text)),
        OptionValue::path(config.embedding.path.as_ref());
    "embedding.onnxruntime", "CML_ONNXRUNTIME", "", "The ONNX Runtime library (libonnxruntime.so); found by the loader when absent.",
        |config, text| config.embedding.onnxruntime = Some(PathBuf::from(text)),
        OptionValue::path(config.embedding.onnxruntime.as_ref());
    "engine.redaction", "CML_REDACTION", "true", "Whether personal data is replaced by marks before it is stored.",
        |config, text| config.engine.redaction = truth(text)?,
        OptionValue::Truth(config.engine.redaction);
    "engine.chunk_tokens", "CML_CHUNK_TOKENS", "400", "Longest chunk of a text, in tokens, 32 to 2000.",
        |config, text| config.engine.chunk_tokens = whole(text, 32, 2000)? as usize,
        OptionValue::Whole(config.engine.chunk_tokens as u64);
    "engine.min_relevance", "CML_MIN_RELEVANCE", "", "Least relevance of a returned item, 0 to 1; the measured floor when absent.",
        |config, text| config.engine.min_relevance = Some(share(text)?),
        OptionValue::Number(config.engine.min_relevance);
    "engine.index_memory_mb", "CML_INDEX_MEMORY_MB", "1024", "Memory for search indexes, in MiB, 1 to 1048576.",
        |config, text| config.engine.index_memory_mb = whole(text, 1, 1_048_576)? as usize,
        OptionValue::Whole(config.engine.index_memory_mb as u64);
    "server.listen", "CML_LISTEN", "127.0.0.1:8000", "Address and port that `cml serve` listens on; port 0 picks a free one.",
        |config, text| config.server.listen = address(text)?,
        OptionValue::Text(Some(config.server.listen.to_string()));
    "server.keys_file", "CML_KEYS_FILE", "", "File with further keys of the server, stored hashed.",
        |config, text| config.server.keys_file = Some(PathBuf::from(text)),
        OptionValue::path(config.server.keys_file.as_ref());
    "server.rate_limit_rpm", "CML_RATE_LIMIT_RPM", "0", "Requests that one key may make in a minute; 0 for no limit.",
        |config, text| config.server.rate_limit_rpm = whole(text, 0, 10_000_000)? as u32,
        OptionValue::Whole(config.server.rate_limit_rpm.into());
    "server.max_body_bytes", "CML_MAX_BODY_BYTES", "33554432", "Largest body of a batch of writes, in bytes, 1024 to 1073741824; any other JSON is limited to 4 MiB.",
        |config, text| config.server.max_body_bytes = whole(text, 1024, 1 << 30)? as usize,
        OptionValue::Whole(config.server.max_body_bytes as u64);
    "server.max_concurrent", "CML_MAX_CONCURRENT", "256", "Requests that the server works on at the same time, 1 to 100000; more wait.",
        |config, text| config.server.max_concurrent = whole(text, 1, 100_000)? as usize,
        OptionValue::Whole(config.server.max_concurrent as u64);
    "server.request_timeout", "CML_REQUEST_TIMEOUT", "30", "Longest time that the server spends on a request but for exports, imports and streams, in seconds, more than 0.",
        |config, text| config.server.request_timeout = seconds(text, f64::MIN_POSITIVE)?,
        OptionValue::seconds(config.server.request_timeout);
    "server.cors_origins", "CML_CORS_ORIGINS", "", "Web origins that browsers may call the server from, separated by commas; none when absent.",
        |config, text| config.server.cors_origins = text.split(',').map(url).collect::<Result<_, _>>()?,
        OptionValue::Url(Some(config.server.cors_origins.join(",")).filter(|all| !all.is_empty()));
    "server.allow_reset", "CML_ALLOW_RESET", "false", "Whether POST /dashboard/database/reset may empty the store.",
        |config, text| config.server.allow_reset = truth(text)?,
        OptionValue::Truth(config.server.allow_reset);
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

/// Where settings come from, read and not yet understood: a `cml.toml`, a `.env`, the environment.
///
/// `Debug` shows no value, for some are secrets.
#[derive(Clone, Default)]
#[non_exhaustive]
pub struct Sources {
    /// The configuration file that was read.
    pub file: Option<PathBuf>,
    /// Whether a `.env` in the working directory was read.
    pub dotenv: bool,
    settings: BTreeMap<String, String>,
    variables: BTreeMap<String, String>,
    overrides: BTreeMap<&'static str, String>,
}

impl fmt::Debug for Sources {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sources")
            .field("file", &self.file)
            .field("dotenv", &self.dotenv)
            .finish_non_exhaustive()
    }
}

impl Sources {
    /// Reads `file` (else the one that `CML_CONFIG` names, else `cml.toml` in the working directory if
    /// there is one), `.env` in the working directory, and the process environment.
    ///
    /// # Errors
    /// `Config` for a file that cannot be read.
    pub fn read(file: Option<PathBuf>) -> Result<Self> {
        let mut variables = BTreeMap::new();
        let dotenv = match dotenvy::from_path_iter(".env") {
            Ok(lines) => {
                for line in lines {
                    let (name, value) = line.map_err(|error| {
                        Error::new(ErrorKind::Config, ".env: a line is not NAME=value").with_source(error)
                    })?;
                    variables.insert(name, value);
                }
                true
            }
            Err(error) if error.not_found() => false,
            Err(error) => return Err(Error::new(ErrorKind::Config, ".env cannot be read").with_source(error)),
        };
        for (name, value) in std::env::vars_os() {
            let Some(name) = name.to_str().filter(|name| name.starts_with("CML_")) else { continue };
            let Ok(value) = value.into_string() else {
                return Err(Error::new(ErrorKind::Config, format!("{name}: must be UTF-8")));
            };
            variables.insert(name.to_owned(), value);
        }
        let file = match (file, variables.get("CML_CONFIG")) {
            (Some(path), _) => Some(path),
            (None, Some(path)) => Some(PathBuf::from(path)),
            (None, None) => Some(PathBuf::from("cml.toml")).filter(|path| path.exists()),
        };
        let text = file.as_ref().map(|path| {
            std::fs::read_to_string(path).map_err(|error| {
                let message = format!("the configuration file {} cannot be read", path.display());
                Error::new(ErrorKind::Config, message).with_source(error)
            })
        });
        Ok(Self { file, dotenv, ..Self::from_parts(text.transpose()?.as_deref(), variables)? })
    }

    fn from_parts(file: Option<&str>, variables: BTreeMap<String, String>) -> Result<Self> {
        let mut settings = BTreeMap::new();
        if let Some(file) = file {
            let table: toml::Table = file.parse().map_err(|error: toml::de::Error| {
                Error::new(ErrorKind::Config, "cml.toml is not valid TOML").with_source(error)
            })?;
            flatten("", &table, &mut settings)?;
        }
        Ok(Self { settings, variables, ..Self::default() })
    }

    /// Sets the option with this key above every other source, as a command's own flags do. A key that
    /// is no option does nothing.
    pub fn set(&mut self, key: &'static str, text: impl Into<String>) {
        self.overrides.insert(key, text.into());
    }

    /// The settings as a configuration.
    ///
    /// # Errors
    /// `Config` naming the key or variable and what it allows.
    pub fn config(&self) -> Result<Config> {
        let mut config = Config { file: self.file.clone(), ..Config::default() };
        for (key, text) in &self.settings {
            let option = OPTIONS.iter().find(|option| option.key == key).ok_or_else(|| {
                Error::new(ErrorKind::Config, format!("cml.toml: unknown key {key}"))
                    .with_suggestion("docs/configuration.md lists every key")
            })?;
            config.apply(option, option.key, text)?;
        }
        for option in OPTIONS {
            if let Some(text) = self.variable(option) {
                config.apply(option, option.variable, text)?;
            }
            if let Some(text) = self.overrides.get(option.key) {
                config.apply(option, option.key, text)?;
            }
        }
        Ok(config)
    }

    /// Whether the option with this key, such as `db_path`, is set anywhere.
    #[must_use]
    pub fn sets(&self, key: &str) -> bool {
        let option = OPTIONS.iter().find(|option| option.key == key);
        self.settings.contains_key(key)
            || self.overrides.contains_key(key)
            || option.is_some_and(|option| self.variable(option).is_some())
    }

    /// The variables that set an option, without their values, in the order of [`OPTIONS`].
    pub fn variables(&self) -> impl Iterator<Item = &'static str> {
        let set = OPTIONS.iter().filter(|option| self.variable(option).is_some());
        set.map(|option| option.variable)
    }

    fn variable(&self, option: &ConfigOption) -> Option<&str> {
        self.variables.get(option.variable).map(String::as_str).filter(|text| !text.is_empty())
    }
}

fn flatten(prefix: &str, table: &toml::Table, settings: &mut BTreeMap<String, String>) -> Result<()> {
    for (name, value) in table {
        let key = if prefix.is_empty() { name.clone() } else { format!("{prefix}.{name}") };
        let text = match value {
            toml::Value::Table(inner) => {
                flatten(&key, inner, settings)?;
                continue;
            }
            toml::Value::String(text) => text.clone(),
            toml::Value::Integer(number) => number.to_string(),
            toml::Value::Float(number) => number.to_string(),
            toml::Value::Boolean(truth) => truth.to_string(),
            _ => {
                return Err(Error::new(ErrorKind::Config, format!("cml.toml: {key} must be a single value")));
            }
        };
        settings.insert(key, text);
    }
    Ok(())
}

fn names<T: Copy>(name: &'static str, all: &[T], text: fn(T) -> &'static str) -> OptionValue {
    OptionValue::Choice(name, all.iter().map(|one| text(*one)).collect())
}

fn choice<T: FromStr<Err = Error>>(text: &str) -> Result<T, String> {
    text.parse()
        .map_err(|error: Error| error.fields().first().map_or_else(String::new, |f| f.message.clone()))
}

fn id(text: &str) -> Result<String, String> {
    check_id("id", text, MAX_ID_CHARS)
        .map(|()| text.to_owned())
        .map_err(|error| error.fields().first().map_or_else(String::new, |f| f.message.clone()))
}

fn url(text: &str) -> Result<String, String> {
    let text = text.trim();
    let rest = text.strip_prefix("http://").or_else(|| text.strip_prefix("https://"));
    match rest {
        Some(rest) if !rest.is_empty() && !rest.starts_with('/') => Ok(text.trim_end_matches('/').to_owned()),
        _ => Err("must be an address such as http://localhost:8000".to_owned()),
    }
}

fn address(text: &str) -> Result<SocketAddr, String> {
    text.parse().map_err(|_no_address| "must be an address and port such as 127.0.0.1:8000".to_owned())
}

fn seconds(text: &str, least: f64) -> Result<Duration, String> {
    text.parse::<f64>()
        .ok()
        .filter(|seconds| *seconds >= least)
        .and_then(|seconds| Duration::try_from_secs_f64(seconds).ok())
        .ok_or_else(|| "must be a number of seconds in its range".to_owned())
}

fn whole(text: &str, least: u64, most: u64) -> Result<u64, String> {
    text.parse::<u64>()
        .ok()
        .filter(|number| (least..=most).contains(number))
        .ok_or_else(|| format!("must be a whole number from {least} to {most}"))
}

fn share(text: &str) -> Result<f64, String> {
    text.parse::<f64>()
        .ok()
        .filter(|share| (0.0..=1.0).contains(share))
        .ok_or_else(|| "must be a number from 0 to 1".to_owned())
}

fn truth(text: &str) -> Result<bool, String> {
    match text.to_ascii_lowercase().as_str() {
        "true" | "1" | "yes" | "on" => Ok(true),
        "false" | "0" | "no" | "off" => Ok(false),
        _ => Err("must be true or false".to_owned()),
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
        let set =
            [("CML_API_KEY", "sk-1"), ("CML_TIMEOUT", "2.5"), ("CML_MODE", "http"), ("CML_DB_PATH", "/a.db")];
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
        let changed =
            OPTIONS.iter().filter(|option| option.value(&config) != option.value(&Config::default()));
        assert_eq!(changed.count(), set.len());
        Ok(())
    }

    #[test]
    fn a_secret_shows_its_last_four_characters_only() {
        assert_eq!(format!("{:?}", SecretString::new("sk-live-abcdef1234")), "***1234");
        assert_eq!(format!("{:?}", SecretString::new("abcd")), "***");
    }
}
