//! Digests of parts that cannot run into each other.

use sha2::{Digest as _, Sha256};

use crate::store::Digest;

/// SHA-256 of parts, each with its length in front.
pub(crate) fn sha256(parts: &[&[u8]]) -> [u8; 32] {
    let mut hasher = Sha256::new();
    for part in parts {
        hasher.update((part.len() as u64).to_le_bytes());
        hasher.update(part);
    }
    hasher.finalize().into()
}

/// The first 16 bytes of [`sha256`].
pub(crate) fn digest(parts: &[&[u8]]) -> Digest {
    let mut digest = Digest::default();
    digest.copy_from_slice(&sha256(parts)[..16]);
    digest
}
