//! Every option: its names, its default, what it allows, how it is read and shown.

use std::{fmt, net::SocketAddr, path::PathBuf, str::FromStr, time::Duration};

use super::{
    Candidates, Config, EmbeddingProvider, Mode, SecretString,
    services::{neo4j_url, postgres_url, prefix, redis_url, schema},
    without_secrets,
};
use crate::{
    Error,
    scope::{MAX_ID_CHARS, check_id},
};

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
    pub(super) set: fn(&mut Config, &str) -> Result<(), String>,
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
    /// An address of another service without its secrets, or several joined by commas.
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

    fn address(address: Option<&str>) -> Self {
        Self::Url(address.map(without_secrets))
    }

    fn addresses(all: &[String]) -> Self {
        let shown: Vec<_> = all.iter().map(|address| without_secrets(address)).collect();
        Self::Url((!shown.is_empty()).then(|| shown.join(",")))
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
        OptionValue::address(Some(&config.http.base_url));
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
    "postgres.url", "CML_POSTGRES_URL", "", "PostgreSQL with pgvector, in modes standard and full: postgres://USER:PASSWORD@HOST:PORT/DATABASE.",
        |config, text| config.postgres.url = Some(SecretString::new(postgres_url(text)?)),
        OptionValue::address(config.postgres.url.as_ref().map(SecretString::expose));
    "postgres.schema", "CML_POSTGRES_SCHEMA", "cml", "Schema of the tables, 1 to 40 lower-case letters, digits and `_`; made at the first start.",
        |config, text| config.postgres.schema = schema(text)?,
        OptionValue::Text(Some(config.postgres.schema.clone()));
    "postgres.max_connections", "CML_POSTGRES_MAX_CONNECTIONS", "10", "Most connections of one process to PostgreSQL, 1 to 1000.",
        |config, text| config.postgres.max_connections = whole(text, 1, 1000)? as u32,
        OptionValue::Whole(config.postgres.max_connections.into());
    "postgres.connect_timeout", "CML_POSTGRES_CONNECT_TIMEOUT", "10", "How long connecting to PostgreSQL may take, in seconds, more than 0.",
        |config, text| config.postgres.connect_timeout = seconds(text, f64::MIN_POSITIVE)?,
        OptionValue::seconds(config.postgres.connect_timeout);
    "postgres.acquire_timeout", "CML_POSTGRES_ACQUIRE_TIMEOUT", "30", "How long a call waits for a free connection, in seconds, more than 0.",
        |config, text| config.postgres.acquire_timeout = seconds(text, f64::MIN_POSITIVE)?,
        OptionValue::seconds(config.postgres.acquire_timeout);
    "postgres.statement_timeout", "CML_POSTGRES_STATEMENT_TIMEOUT", "60", "Longest time of one statement, in seconds; 0 for no limit.",
        |config, text| config.postgres.statement_timeout = seconds(text, 0.0)?,
        OptionValue::seconds(config.postgres.statement_timeout);
    "postgres.row_level_security", "CML_POSTGRES_ROW_LEVEL_SECURITY", "false", "Whether PostgreSQL itself keeps tenants apart, by policies on each table.",
        |config, text| config.postgres.row_level_security = truth(text)?,
        OptionValue::Truth(config.postgres.row_level_security);
    "neo4j.url", "CML_NEO4J_URL", "", "Neo4j, in mode full: bolt://HOST:PORT or neo4j://HOST:PORT, with +s for TLS.",
        |config, text| config.neo4j.url = Some(neo4j_url(text)?),
        OptionValue::address(config.neo4j.url.as_deref());
    "neo4j.user", "CML_NEO4J_USER", "neo4j", "User of Neo4j.",
        |config, text| config.neo4j.user = text.to_owned(),
        OptionValue::Text(Some(config.neo4j.user.clone()));
    "neo4j.password", "CML_NEO4J_PASSWORD", "", "Password of that user.",
        |config, text| config.neo4j.password = SecretString::new(text),
        OptionValue::secret(Some(&config.neo4j.password).filter(|password| !password.is_empty()));
    "neo4j.database", "CML_NEO4J_DATABASE", "neo4j", "Name of the database in Neo4j.",
        |config, text| config.neo4j.database = text.to_owned(),
        OptionValue::Text(Some(config.neo4j.database.clone()));
    "neo4j.prefix", "CML_NEO4J_PREFIX", "Cml", "What labels and relationships in Neo4j begin with: a letter, then letters and digits, 32 at most.",
        |config, text| config.neo4j.prefix = text.to_owned(),
        OptionValue::Text(Some(config.neo4j.prefix.clone()));
    "neo4j.max_connections", "CML_NEO4J_MAX_CONNECTIONS", "8", "Most connections of one process to Neo4j, 1 to 1000.",
        |config, text| config.neo4j.max_connections = whole(text, 1, 1000)? as usize,
        OptionValue::Whole(config.neo4j.max_connections as u64);
    "neo4j.timeout", "CML_NEO4J_TIMEOUT", "10", "Longest time of one request to Neo4j, in seconds, more than 0.",
        |config, text| config.neo4j.timeout = seconds(text, f64::MIN_POSITIVE)?,
        OptionValue::seconds(config.neo4j.timeout);
    "redis.url", "CML_REDIS_URL", "", "Redis, in mode full: redis://USER:PASSWORD@HOST:PORT/NUMBER, or rediss:// for TLS.",
        |config, text| config.redis.url = Some(SecretString::new(redis_url(text)?)),
        OptionValue::address(config.redis.url.as_ref().map(SecretString::expose));
    "redis.prefix", "CML_REDIS_PREFIX", "cml", "What every key in Redis begins with, 1 to 50 letters, digits and `_-.:`.",
        |config, text| config.redis.prefix = prefix(text)?,
        OptionValue::Text(Some(config.redis.prefix.clone()));
    "redis.timeout", "CML_REDIS_TIMEOUT", "0.05", "How long an answer of Redis is waited for, in seconds, more than 0.",
        |config, text| config.redis.timeout = seconds(text, f64::MIN_POSITIVE)?,
        OptionValue::seconds(config.redis.timeout);
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
    "engine.candidates", "CML_CANDIDATES", "auto", "Where the candidates of a read come from: memory, database, or auto, which decides by the size of the tenant.",
        |config, text| config.engine.candidates = choice(text)?,
        names(config.engine.candidates.as_str(), Candidates::ALL, Candidates::as_str);
    "engine.index_max_turns", "CML_INDEX_MAX_TURNS", "200000", "Turns of a tenant beyond which auto takes its candidates from the database, where that can propose them.",
        |config, text| config.engine.index_max_turns = whole(text, 0, u32::MAX.into())? as usize,
        OptionValue::Whole(config.engine.index_max_turns as u64);
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
        OptionValue::addresses(&config.server.cors_origins);
    "server.allow_reset", "CML_ALLOW_RESET", "false", "Whether POST /dashboard/database/reset may empty the store.",
        |config, text| config.server.allow_reset = truth(text)?,
        OptionValue::Truth(config.server.allow_reset);
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
