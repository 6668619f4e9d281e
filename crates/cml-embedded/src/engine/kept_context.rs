//! How much of a conversation has room in a working context, kept until it goes on.
//!
//! Messages are read as they are at every call. What is kept is how many of the last ones the token
//! budget has room for: to find that, the text is counted again and again.

use std::time::Duration;

use cml_core::{Result, Scope, memory::MemoryItem};
use serde::{Deserialize, Serialize};

use super::Engine;
use crate::{
    digest::digest,
    store::{CacheKey, Ticket},
};

/// How long it is kept at most; never beyond the session's end.
const KEPT: Duration = Duration::from_secs(300);

/// Where the room of a working context is or will be kept.
#[derive(Debug)]
pub(super) struct ContextPlace {
    key: CacheKey,
    ticket: Ticket,
    kept: Option<KeptContext>,
}

#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
struct KeptContext {
    lines: usize,
    /// Number and bytes of the messages, as a check: one more may have come since the tenant was looked at.
    messages: usize,
    bytes: usize,
}

impl ContextPlace {
    /// How many lines there is room for, where that is kept for these messages.
    pub(super) fn lines(&self, messages: &[MemoryItem]) -> Option<usize> {
        let kept = self.kept?;
        (kept.messages == messages.len() && kept.bytes == bytes(messages)).then_some(kept.lines)
    }
}

impl Engine {
    /// Where the room of this working context is kept; none where nothing is.
    pub(super) async fn context_place(
        &self,
        scope: &Scope,
        session: &str,
        max_tokens: usize,
    ) -> Result<Option<ContextPlace>> {
        if !self.cache.is_shared() {
            return Ok(None);
        }
        let tenant = scope.tenant();
        let state = self.store.tenant(tenant).await?;
        let asked = (scope, session, max_tokens, self.counter.name());
        let stands = (state.epoch, state.last_seq, env!("CARGO_PKG_VERSION"));
        let Ok(bytes) = serde_json::to_vec(&(asked, stands)) else { return Ok(None) };
        let key = CacheKey::Context(digest(&[&bytes]));
        let mut found = self.cache.get(tenant, &[key]).await;
        let kept = found.values.pop().flatten().and_then(|bytes| serde_json::from_slice(&bytes).ok());
        Ok(Some(ContextPlace { key, ticket: found.ticket, kept }))
    }

    /// Keeps the room, until the session ends `left` from now or shorter.
    pub(super) async fn keep_context(
        &self,
        place: ContextPlace,
        messages: &[MemoryItem],
        lines: usize,
        left: Option<Duration>,
    ) {
        let kept = KeptContext { lines, messages: messages.len(), bytes: bytes(messages) };
        if let Ok(bytes) = serde_json::to_vec(&kept) {
            let length = left.map_or(KEPT, |left| left.min(KEPT));
            self.cache.put(&place.ticket, vec![(place.key, bytes)], length).await;
        }
    }
}

fn bytes(messages: &[MemoryItem]) -> usize {
    messages.iter().map(|message| message.text.len()).sum()
}
