//! Where the server is and how it is used.

use std::time::Duration;

use cml_core::{Result, config::SecretString};

use super::error::config;

/// Schemes of a URL: plain, with a checked certificate, with any certificate.
const SCHEMES: [&str; 6] = ["bolt", "bolt+s", "bolt+ssc", "neo4j", "neo4j+s", "neo4j+ssc"];

/// Longest prefix of names.
const MAX_PREFIX: usize = 32;

/// Where the server is and how it is used.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Neo4jOptions {
    /// `bolt://host:port` or one of the schemes `bolt+s`, `bolt+ssc` (any certificate), `neo4j`, `neo4j+s`,
    /// `neo4j+ssc`. A cluster is not routed: the URL names the member that is asked.
    pub url: String,
    /// The user.
    pub user: String,
    /// Its password.
    pub password: SecretString,
    /// The database; the server's default when absent.
    pub database: Option<String>,
    /// Most connections, at least 1; 8 by default.
    pub max_connections: usize,
    /// Longest time that a call takes, connecting included; 10 seconds by default.
    pub timeout: Duration,
    /// What the names of labels, relationship types, constraint and index begin with: a letter, then
    /// letters and digits, 32 at most; `Cml` by default. Relationship types have it in upper case.
    pub prefix: String,
}

impl Neo4jOptions {
    /// The default database of the server at `url`.
    #[must_use]
    pub fn new(url: impl Into<String>, user: impl Into<String>, password: SecretString) -> Self {
        Self {
            url: url.into(),
            user: user.into(),
            password,
            database: None,
            max_connections: 8,
            timeout: Duration::from_secs(10),
            prefix: "Cml".into(),
        }
    }

    /// Uses a named database.
    #[must_use]
    pub fn with_database(mut self, database: impl Into<String>) -> Self {
        self.database = Some(database.into());
        self
    }

    /// Holds at most so many connections.
    #[must_use]
    pub const fn with_max_connections(mut self, connections: usize) -> Self {
        self.max_connections = connections;
        self
    }

    /// Bounds every call.
    #[must_use]
    pub const fn with_timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// Begins every name with `prefix`.
    #[must_use]
    pub fn with_prefix(mut self, prefix: impl Into<String>) -> Self {
        self.prefix = prefix.into();
        self
    }

    pub(super) fn is_encrypted(&self) -> bool {
        self.url.split_once("://").is_some_and(|(scheme, _)| scheme.contains("+"))
    }

    /// Checks what can be checked without the server.
    pub(super) fn validate(&self) -> Result<()> {
        let scheme = self.url.split_once("://").map(|(scheme, _)| scheme.to_ascii_lowercase());
        if !scheme.is_some_and(|scheme| SCHEMES.contains(&&*scheme)) {
            return Err(config("neo4j.url", "must begin with bolt:// or neo4j://")
                .with_suggestion("give the Bolt port, 7687 by default, as in bolt://localhost:7687"));
        }
        // It is shown where the password is not.
        if self.url.contains('@') {
            return Err(config("neo4j.url", "must not hold the user or the password")
                .with_suggestion("set neo4j.user and neo4j.password"));
        }
        if self.max_connections == 0 {
            return Err(config("neo4j.max_connections", "must be 1 or more"));
        }
        if self.timeout.is_zero() {
            return Err(config("neo4j.timeout", "must be longer than nothing"));
        }
        if !self.prefix.starts_with(|first: char| first.is_ascii_alphabetic())
            || !self.prefix.bytes().all(|byte| byte.is_ascii_alphanumeric())
            || self.prefix.len() > MAX_PREFIX
        {
            return Err(config("neo4j.prefix", "must be a letter, then letters and digits, 32 at most"));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use cml_core::ErrorKind;

    use super::*;

    fn options(url: &str) -> Neo4jOptions {
        Neo4jOptions::new(url, "neo4j", SecretString::new("secret-password"))
    }

    #[test]
    fn what_cannot_work_is_refused_by_name() {
        for url in ["http://localhost:7474", "localhost:7687", "bolt://neo4j:secret@localhost", ""] {
            let error = options(url).validate().expect_err("a bad URL");
            assert_eq!(error.kind(), ErrorKind::Config);
            assert!(error.message().starts_with("neo4j.url"), "{error}");
        }
        for prefix in ["", "1a", "a b", "a`b", "é", &"a".repeat(33)] {
            assert!(options("bolt://localhost").with_prefix(prefix).validate().is_err(), "{prefix}");
        }
        assert!(options("bolt://localhost").with_max_connections(0).validate().is_err());
        assert!(options("BOLT+S://localhost").validate().is_ok());
    }

    #[test]
    fn the_password_is_not_shown() {
        assert!(!format!("{:?}", options("bolt://localhost")).contains("secret"));
    }
}
