//! Names of what is kept in Redis.

use cml_core::MemoryId;
use sha2::{Digest as _, Sha256};
use uuid::Uuid;

use crate::store::CacheKey;

/// The keys of one prefix.
#[derive(Debug, Clone)]
pub(super) struct Keys {
    prefix: String,
}

impl Keys {
    pub(super) fn new(prefix: &str) -> Self {
        Self { prefix: prefix.to_owned() }
    }

    /// Which clear of the tenant was the last one.
    pub(super) fn generation(&self, tenant: &str) -> String {
        format!("{}:{}:generation", self.prefix, digest(tenant))
    }

    /// The beginning of the keys of a tenant's values; a generation and a colon follow.
    pub(super) fn values(&self, tenant: &str) -> String {
        format!("{}:{}:value:", self.prefix, digest(tenant))
    }

    /// A pattern for the keys of a tenant's values, of every generation.
    pub(super) fn pattern(&self, tenant: &str) -> String {
        let mut pattern = String::new();
        for letter in self.values(tenant).chars() {
            if matches!(letter, '*' | '?' | '[' | ']' | '\\' | '^' | '-') {
                pattern.push('\\');
            }
            pattern.push(letter);
        }
        pattern.push('*');
        pattern
    }

    pub(super) fn marks(&self, tenant: &str) -> String {
        format!("{}:{}:labile", self.prefix, digest(tenant))
    }

    pub(super) fn counter(&self, name: &str) -> String {
        format!("{}:count:{}", self.prefix, digest(name))
    }

    /// The channel of wake-ups.
    pub(super) fn channel(&self) -> String {
        format!("{}:work", self.prefix)
    }
}

/// The end of a value's key.
pub(super) fn end(key: &CacheKey) -> String {
    let (kind, digest) = match key {
        CacheKey::Embedding(digest) => ('e', digest),
        CacheKey::Answer(digest) => ('a', digest),
        CacheKey::Context(digest) => ('c', digest),
    };
    format!("{kind}{}", Uuid::from_bytes(*digest).simple())
}

/// A mark: a memory and the session that recalled it.
pub(super) fn mark(session: &str, memory: MemoryId) -> String {
    format!("{}{session}", memory.as_uuid().simple())
}

/// The session and the memory of a mark.
pub(super) fn marked(mark: &str) -> Option<(&str, MemoryId)> {
    let (memory, session) = mark.split_at_checked(32)?;
    Some((session, MemoryId::from_uuid(Uuid::try_parse(memory).ok()?)))
}

/// Names of tenants and counters are not to be read in Redis.
fn digest(name: &str) -> String {
    let mut half = [0; 16];
    half.copy_from_slice(&Sha256::digest(name)[..16]);
    Uuid::from_bytes(half).simple().to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mark_is_read_as_it_was_written() {
        let memory = MemoryId::new();
        for session in ["s1", "", "a:b *", "ü"] {
            assert_eq!(marked(&mark(session, memory)), Some((session, memory)));
        }
        assert_eq!(marked("short"), None);
    }

    #[test]
    fn a_prefix_is_meant_as_it_stands() {
        let pattern = Keys::new("a*[b]").pattern("acme");
        assert!(pattern.starts_with(r"a\*\[b\]:") && pattern.ends_with(":value:*"), "{pattern}");
        assert!(!pattern.contains("acme"));
    }
}
