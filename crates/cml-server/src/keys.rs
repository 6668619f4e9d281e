//! The keys that a server accepts.

use std::{fmt, path::Path};

use cml_core::{
    Config, Error, ErrorKind, Result,
    config::SecretString,
    scope::{DEFAULT_TENANT, MAX_ID_CHARS, check_id},
};
use serde::Deserialize;
use sha2::{Digest as _, Sha256};
use subtle::{ConditionallySelectable as _, ConstantTimeEq as _};

const HASH_PREFIX: &str = "sha256:";

/// Keys with their tenants and rights. Only their SHA-256 is kept.
///
/// A key file is TOML, one table per key:
///
/// ```
/// let file = format!("[[keys]]\nhash = \"{}\"\ntenant = \"acme\"\nadmin = false\nname = \"ci\"\n",
///     cml_server::Keys::hash("secret"));
/// assert!(!cml_server::Keys::from_toml(&file)?.is_empty());
/// # Ok::<(), cml_core::Error>(())
/// ```
#[derive(Debug, Clone, Default)]
pub struct Keys(Vec<Key>);

/// A key.
#[derive(Clone)]
pub(crate) struct Key {
    hash: [u8; 32],
    tenant: String,
    admin: bool,
}

impl Keys {
    /// The keys that `config` names: the user key, the administrative key, and those of the key file.
    ///
    /// # Errors
    /// `Config` naming the file, and the line or key in it that breaks a rule.
    pub fn from_config(config: &Config) -> Result<Self> {
        let mut keys = match &config.server.keys_file {
            Some(path) => Self::from_file(path)?,
            None => Self::default(),
        };
        if let Some(secret) = &config.http.api_key {
            keys.add(secret, config.tenant.clone(), false);
        }
        if let Some(secret) = &config.http.admin_api_key {
            keys.add(secret, config.tenant.clone(), true);
        }
        Ok(keys)
    }

    /// One fresh administrative key of the default tenant, and its secret, of 128 random bits or more.
    #[must_use]
    pub fn generate() -> (Self, SecretString) {
        let random = || uuid::Uuid::new_v4().simple().to_string();
        let secret = SecretString::new(format!("cml_{}{}", random(), random()));
        let mut keys = Self::default();
        keys.add(&secret, DEFAULT_TENANT, true);
        (keys, secret)
    }

    /// The keys of a key file's text.
    ///
    /// # Errors
    /// `Config` naming the line or key that breaks a rule.
    pub fn from_toml(text: &str) -> Result<Self> {
        let file: KeyFile = toml::from_str(text).map_err(|error| {
            let line = error.span().map_or(1, |span| text[..span.start].matches('\n').count() + 1);
            broken(format!("line {line}: {}", error.message().trim()))
        })?;
        let keys = file.keys.into_iter().enumerate().map(|(number, row)| {
            let at = |field: &str, rule: &str| {
                let name = row.name.as_deref().unwrap_or("no name");
                broken(format!("key {} ({name}): {field} {rule}", number + 1))
            };
            check_id("tenant", &row.tenant, MAX_ID_CHARS)
                .map_err(|error| at("tenant", &error.fields()[0].message))?;
            let hash = unhash(&row.hash)
                .ok_or_else(|| at("hash", "must be \"sha256:\" and 64 hexadecimal digits"))?;
            Ok(Key { hash, tenant: row.tenant, admin: row.admin })
        });
        keys.collect::<Result<_>>().map(Self)
    }

    fn from_file(path: &Path) -> Result<Self> {
        let text = std::fs::read_to_string(path).map_err(|error| {
            let message = format!("the key file {} cannot be read", path.display());
            Error::new(ErrorKind::Config, message).with_source(error)
        })?;
        Self::from_toml(&text).map_err(|error| {
            let message = format!("the key file {}: {}", path.display(), error.message());
            let text = error.suggestion().unwrap_or_default().to_owned();
            Error::new(ErrorKind::Config, message).with_suggestion(text)
        })
    }

    /// Accepts a further key.
    pub fn add(&mut self, secret: &SecretString, tenant: impl Into<String>, admin: bool) {
        self.0.push(Key { hash: digest(secret.expose()), tenant: tenant.into(), admin });
    }

    /// Accepts the keys of `other` too.
    pub fn merge(&mut self, other: Self) {
        self.0.extend(other.0);
    }

    /// Whether no key is accepted.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// How a key file holds `secret`: `sha256:` and 64 hexadecimal digits.
    #[must_use]
    pub fn hash(secret: &str) -> String {
        let hex: String = digest(secret).iter().map(|byte| format!("{byte:02x}")).collect();
        format!("{HASH_PREFIX}{hex}")
    }

    /// The key with this secret. Compares with every key, in constant time.
    pub(crate) fn find(&self, secret: &str) -> Option<&Key> {
        let hash = digest(secret);
        let mut found = u32::MAX;
        for (number, key) in (0u32..).zip(&self.0) {
            found.conditional_assign(&number, key.hash.ct_eq(&hash));
        }
        let found = usize::try_from(found).ok()?;
        self.0.get(found)
    }
}

impl Key {
    /// The begin of its hash, which names it in every process that accepts it.
    pub(crate) fn id(&self) -> u64 {
        let mut begin = [0; 8];
        begin.copy_from_slice(&self.hash[..8]);
        u64::from_be_bytes(begin)
    }

    pub(crate) fn tenant(&self) -> &str {
        &self.tenant
    }

    pub(crate) fn admin(&self) -> bool {
        self.admin
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Key")
            .field("tenant", &self.tenant)
            .field("admin", &self.admin)
            .finish_non_exhaustive()
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct KeyFile {
    #[serde(default)]
    keys: Vec<Row>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Row {
    hash: String,
    #[serde(default = "default_tenant")]
    tenant: String,
    #[serde(default)]
    admin: bool,
    name: Option<String>,
}

fn default_tenant() -> String {
    DEFAULT_TENANT.to_owned()
}

fn broken(message: String) -> Error {
    Error::new(ErrorKind::Config, message)
        .with_suggestion("each [[keys]] has hash, tenant, and optionally admin and name")
}

fn digest(secret: &str) -> [u8; 32] {
    Sha256::digest(secret.as_bytes()).into()
}

fn unhash(text: &str) -> Option<[u8; 32]> {
    let hex = text.strip_prefix(HASH_PREFIX)?;
    if hex.len() != 64 || !hex.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return None;
    }
    let mut hash = [0; 32];
    for (byte, pair) in hash.iter_mut().zip(hex.as_bytes().chunks(2)) {
        *byte = u8::from_str_radix(str::from_utf8(pair).ok()?, 16).ok()?;
    }
    Some(hash)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_found_by_its_secret_alone() -> Result<()> {
        let mut keys = Keys::from_toml(&format!(
            "[[keys]]\nhash = \"{}\"\ntenant = \"acme\"\nname = \"ci\"\n",
            Keys::hash("first")
        ))?;
        keys.add(&SecretString::new("second"), "default", true);
        let found = |secret: &str| keys.find(secret).map(|key| (key.tenant(), key.admin()));
        assert_eq!(found("first"), Some(("acme", false)));
        assert_eq!(found("second"), Some(("default", true)));
        assert_eq!(found(""), None);
        assert!(Keys::default().find("first").is_none());
        Ok(())
    }

    #[test]
    fn a_broken_file_names_line_or_field() {
        for (text, expected) in [
            ("keys = 5", "line 1"),
            ("[[keys]]\ntenant = \"a\"\n", "hash"),
            ("\n[[keys]]\nhash = \"sha256:00\"\ncolour = 1\n", "line 4"),
            ("[[keys]]\nhash = \"sha256:00\"\nname = \"ci\"\n", "key 1 (ci): hash must be"),
        ] {
            let error = Keys::from_toml(text).expect_err("a broken file");
            assert_eq!(error.kind(), ErrorKind::Config);
            assert!(error.message().contains(expected), "{}", error.message());
        }
        let file = format!("[[keys]]\nhash = \"{}\"\ntenant = \"\"\n", Keys::hash("x"));
        assert!(Keys::from_toml(&file).expect_err("no tenant").message().contains("tenant must have"));
    }

    #[test]
    fn generated_secrets_differ_and_are_not_shown() {
        let ((keys, first), (_, second)) = (Keys::generate(), Keys::generate());
        assert_ne!(first, second);
        assert!(keys.find(first.expose()).is_some_and(Key::admin));
        assert!(!format!("{keys:?}").contains(first.expose()));
    }
}
