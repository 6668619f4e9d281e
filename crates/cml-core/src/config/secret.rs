//! Secrets, and addresses that may hold one.

use std::fmt;

/// What a hidden secret shows.
const MASK: &str = "***";

/// A secret that neither `Debug` nor `Display` shows, but for its last four characters; of an address
/// such as `postgres://user:password@host/db`, for its scheme and host.
#[derive(Clone, Default, PartialEq, Eq)]
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

    /// Whether it is the empty text, which stands for none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl fmt::Debug for SecretString {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.contains("://") {
            return f.write_str(&without_secrets(&self.0));
        }
        let shown = self.0.char_indices().rev().nth(3).filter(|(start, _)| *start >= 4);
        write!(f, "{MASK}{}", shown.map_or("", |(start, _)| &self.0[start..]))
    }
}

impl fmt::Display for SecretString {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}

/// Scheme, host and port of an address, with a mark for user and password; nothing of path and query,
/// which may hold secrets too.
#[must_use]
pub fn without_secrets(address: &str) -> String {
    let Some((scheme, rest)) = address.split_once("://") else { return MASK.to_owned() };
    let (authority, behind) = rest.split_at(rest.find(['/', '?', '#']).unwrap_or(rest.len()));
    let named = authority.rsplit_once('@');
    let host = named.map_or(authority, |(_, host)| host);
    match named {
        // What looks like a host may be a part of a password that is not escaped.
        _ if host_and_port(host).is_none() => format!("{scheme}://{MASK}"),
        None if behind.contains('@') => format!("{scheme}://{MASK}"),
        Some(_) => format!("{scheme}://{MASK}@{host}"),
        None => format!("{scheme}://{host}"),
    }
}

/// The parts of `HOST` or `HOST:PORT`; none where the port is no number.
pub(super) fn host_and_port(place: &str) -> Option<(&str, Option<u16>)> {
    match place.rsplit_once(':') {
        // An address of version 6 has colons of its own, in brackets.
        Some((host, port)) if !port.ends_with(']') => Some((host, Some(port.parse().ok()?))),
        _ => Some((place, None)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_shows_its_last_four_characters_only() {
        assert_eq!(format!("{:?}", SecretString::new("sk-live-abcdef1234")), "***1234");
        assert_eq!(format!("{:?}", SecretString::new("abcd")), "***");
    }

    #[test]
    fn an_address_shows_its_host_only() {
        for (address, shown) in [
            ("postgres://ana:pw@db.example:5432/cml?sslpassword=pw", "postgres://***@db.example:5432"),
            ("postgres://ana:p@w@db.example", "postgres://***@db.example"),
            ("postgres://ana:p/w@db.example/cml", "postgres://***"),
            ("postgres://ana:p?w@db.example/cml", "postgres://***"),
            ("postgres://ana:pw", "postgres://***"),
            ("redis://:pw@[::1]:6379/0", "redis://***@[::1]:6379"),
            ("redis://[fe80::ab]", "redis://[fe80::ab]"),
            ("redis://localhost:6379/0", "redis://localhost:6379"),
            ("postgres:///cml?host=/run/postgresql", "postgres://"),
        ] {
            assert_eq!(SecretString::new(address).to_string(), shown);
        }
    }
}
