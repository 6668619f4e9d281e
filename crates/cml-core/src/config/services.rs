//! The services of the modes `standard` and `full`.

use std::time::Duration;

use super::{Config, Mode, SecretString, secret::host_and_port};
use crate::{Error, ErrorKind, Result};

/// PostgreSQL with pgvector, in modes `standard` and `full`.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct PostgresConfig {
    /// Address of the database: `postgres://USER:PASSWORD@HOST:PORT/DATABASE`.
    pub url: Option<SecretString>,
    /// Schema of the tables, which is made at the first start.
    pub schema: String,
    /// Most connections of this process, 1..=1000.
    pub max_connections: u32,
    /// How long connecting may take.
    pub connect_timeout: Duration,
    /// How long a call waits for a free connection before it is `Unavailable`.
    pub acquire_timeout: Duration,
    /// Longest time of one statement; zero for no limit.
    pub statement_timeout: Duration,
    /// Whether the database itself keeps tenants apart, by policies on each table.
    pub row_level_security: bool,
}

/// Neo4j, in mode `full`.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Neo4jConfig {
    /// Address of the server, `bolt://HOST:PORT` or `neo4j://HOST:PORT`; it holds no password.
    pub url: Option<String>,
    /// The user.
    pub user: String,
    /// The user's password; empty where the server asks for none.
    pub password: SecretString,
    /// Name of the database.
    pub database: String,
    /// What the names of labels and relationships begin with; two schemas that share a database need
    /// prefixes of their own. A letter, then letters and digits, 32 at most.
    pub prefix: String,
    /// Most connections of this process, 1..=1000.
    pub max_connections: usize,
    /// Longest time of one request.
    pub timeout: Duration,
}

/// Redis, in mode `full`.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct RedisConfig {
    /// Address of the server: `redis://USER:PASSWORD@HOST:PORT/NUMBER`.
    pub url: Option<SecretString>,
    /// What every key begins with.
    pub prefix: String,
    /// Longest wait for an answer; a later one counts as none.
    pub timeout: Duration,
}

impl Default for PostgresConfig {
    fn default() -> Self {
        Self {
            url: None,
            schema: "cml".to_owned(),
            max_connections: 10,
            connect_timeout: Duration::from_secs(10),
            acquire_timeout: Duration::from_secs(30),
            statement_timeout: Duration::from_secs(60),
            row_level_security: false,
        }
    }
}

impl Default for Neo4jConfig {
    fn default() -> Self {
        Self {
            url: None,
            user: "neo4j".to_owned(),
            password: SecretString::default(),
            database: "neo4j".to_owned(),
            prefix: "Cml".to_owned(),
            max_connections: 8,
            timeout: Duration::from_secs(10),
        }
    }
}

impl Default for RedisConfig {
    fn default() -> Self {
        Self { url: None, prefix: "cml".to_owned(), timeout: Duration::from_millis(50) }
    }
}

impl PostgresConfig {
    /// The address.
    ///
    /// # Errors
    /// `Config` naming the option when there is none, or it is none of PostgreSQL.
    pub fn address(&self) -> Result<&str> {
        address("postgres.url", self.url.as_ref().map(SecretString::expose), postgres_url)
    }
}

impl Neo4jConfig {
    /// The address.
    ///
    /// # Errors
    /// `Config` naming the option when there is none, or it is none of Neo4j.
    pub fn address(&self) -> Result<&str> {
        address("neo4j.url", self.url.as_deref(), neo4j_url)
    }
}

impl RedisConfig {
    /// The address.
    ///
    /// # Errors
    /// `Config` naming the option when there is none, or it is none of Redis.
    pub fn address(&self) -> Result<&str> {
        address("redis.url", self.url.as_ref().map(SecretString::expose), redis_url)
    }
}

impl Config {
    /// Checks that the services of its mode are named, and well: what a builder set was not read from text.
    ///
    /// # Errors
    /// `Config` naming the option and what it allows.
    pub fn check_services(&self) -> Result<()> {
        if matches!(self.mode, Mode::Standard | Mode::Full) {
            self.postgres.address()?;
            self.check("postgres.schema", schema(&self.postgres.schema))?;
        }
        if self.mode == Mode::Full {
            self.neo4j.address()?;
            self.redis.address()?;
            self.check("redis.prefix", prefix(&self.redis.prefix))?;
        }
        Ok(())
    }

    fn check<T>(&self, key: &str, value: Result<T, String>) -> Result<()> {
        value.map(drop).map_err(|allowed| broken(key, &allowed))
    }
}

fn address<'a>(
    key: &str,
    value: Option<&'a str>,
    check: fn(&str) -> Result<String, String>,
) -> Result<&'a str> {
    let value = value.ok_or_else(|| broken(key, "is needed in this mode, and is not set"))?;
    check(value).map(|_address| value).map_err(|allowed| broken(key, &allowed))
}

fn broken(key: &str, rule: &str) -> Error {
    let option = super::OPTIONS.iter().find(|option| option.key == key);
    let (variable, description) = option.map_or(("", ""), |option| (option.variable, option.description));
    Error::new(ErrorKind::Config, format!("{key} ({variable}): {rule}")).with_suggestion(description)
}

pub(super) fn postgres_url(text: &str) -> Result<String, String> {
    let example = "postgres://user:password@localhost:5432/cml";
    // Without a host the query names a socket.
    service_url(text, &["postgres", "postgresql"], true)
        .ok_or_else(|| format!("must be an address such as {example}"))
}

pub(super) fn neo4j_url(text: &str) -> Result<String, String> {
    let schemes = ["bolt", "bolt+s", "bolt+ssc", "neo4j", "neo4j+s", "neo4j+ssc"];
    service_url(text, &schemes, false).filter(|url| !url.contains('@')).ok_or_else(|| {
        "must be an address such as bolt://localhost:7687, without user and password".to_owned()
    })
}

pub(super) fn redis_url(text: &str) -> Result<String, String> {
    service_url(text, &["redis", "rediss"], false)
        .ok_or_else(|| "must be an address such as redis://localhost:6379".to_owned())
}

/// The name of a schema that needs no quotes and is none of the system's.
pub(super) fn schema(text: &str) -> Result<String, String> {
    let letter = |c: char| c.is_ascii_lowercase() || c == '_';
    let named = text.starts_with(letter) && text.chars().all(|c| letter(c) || c.is_ascii_digit());
    if named && text.len() <= 40 && !text.starts_with("pg_") && text != "information_schema" {
        return Ok(text.to_owned());
    }
    Err("must be 1 to 40 lower-case letters, digits and `_`, not beginning with a digit or `pg_`".to_owned())
}

pub(super) fn prefix(text: &str) -> Result<String, String> {
    let allowed = |c: char| c.is_ascii_alphanumeric() || "_-.:".contains(c);
    if (1..=50).contains(&text.len()) && text.chars().all(allowed) {
        return Ok(text.to_owned());
    }
    Err("must be 1 to 50 letters, digits and `_-.:`".to_owned())
}

/// An address of one of these schemes with a host and, where one is given, a port.
fn service_url(text: &str, schemes: &[&str], may_lack_host: bool) -> Option<String> {
    let (scheme, rest) = text.split_once("://")?;
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    let place = authority.rsplit_once('@').map_or(authority, |(_, place)| place);
    let (host, _port) = host_and_port(place)?;
    let well = schemes.contains(&scheme)
        && (may_lack_host || !host.is_empty())
        && !text.contains(char::is_whitespace);
    well.then(|| text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(mode: Mode) -> Config {
        let mut config = Config { mode, ..Config::default() };
        config.postgres.url = Some(SecretString::new("postgres://ana:pw@localhost/cml"));
        config.neo4j.url = Some("bolt://localhost:7687".to_owned());
        config.redis.url = Some(SecretString::new("redis://localhost"));
        config
    }

    fn fault(config: &Config) -> String {
        config.check_services().err().map(|error| error.to_string()).unwrap_or_default()
    }

    #[test]
    fn a_mode_asks_for_its_services_only() -> Result<()> {
        for mode in Mode::ALL {
            config(*mode).check_services()?;
        }
        let nothing = |mode| Config { mode, ..Config::default() };
        nothing(Mode::Lite).check_services()?;
        nothing(Mode::Http).check_services()?;
        assert!(fault(&nothing(Mode::Standard)).contains("postgres.url (CML_POSTGRES_URL): is needed"));
        let mut full = config(Mode::Full);
        full.neo4j.url = None;
        assert!(fault(&full).contains("neo4j.url (CML_NEO4J_URL)"));
        full = config(Mode::Full);
        full.redis.url = None;
        assert!(fault(&full).contains("redis.url (CML_REDIS_URL)"));
        Ok(())
    }

    #[test]
    fn an_address_of_another_service_is_refused_without_its_password() {
        let mut config = config(Mode::Full);
        for address in [
            "mysql://ana:hidden@localhost",
            "localhost:5432/hidden",
            "postgres://ana:hidden",
            "postgres://a b/hidden",
        ] {
            config.postgres.url = Some(SecretString::new(address));
            let fault = fault(&config);
            assert!(fault.contains("postgres.url") && fault.contains("must be an address"), "{fault}");
            assert!(!format!("{fault} {config:?}").contains("hidden"), "{fault}");
        }
        config.postgres.url = Some(SecretString::new("postgresql:///cml?host=/run/postgresql"));
        config.redis.url = Some(SecretString::new("http://localhost"));
        assert!(fault(&config).contains("redis.url"));
        config.redis.url = Some(SecretString::new("rediss://[::1]:6380/1"));
        for url in ["https://localhost", "bolt://neo4j:hidden@localhost", "bolt://"] {
            config.neo4j.url = Some(url.to_owned());
            assert!(fault(&config).contains("neo4j.url"), "{url}");
        }
        config.neo4j.url = Some("neo4j+s://graph.example".to_owned());
        assert_eq!(fault(&config), "");
    }

    #[test]
    fn a_schema_needs_no_quotes() {
        for name in ["cml", "_a1", &"x".repeat(40)] {
            assert!(schema(name).is_ok(), "{name}");
        }
        for name in ["", "1a", "Cml", "a-b", "a\"b", "pg_cml", "information_schema", &"x".repeat(64)] {
            assert!(schema(name).is_err(), "{name}");
        }
    }
}
