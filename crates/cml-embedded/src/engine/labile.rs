//! Memories open to revision, and wake-ups: what is shared beside the database.

use std::{
    collections::{HashMap, HashSet},
    time::Duration,
};

use cml_core::{
    BoxStream, MemoryId, Result, Scope, Subject,
    memory::MemoryRecord,
    ops::{LabileSession, LabileStatus},
};

use super::Engine;
use crate::store::{Cache, Settled};

/// How long a memory that was recalled is open to revision.
const LABILE: Duration = Duration::from_secs(300);

impl Engine {
    /// What is kept beside the database.
    #[must_use]
    pub fn cache(&self) -> &dyn Cache {
        self.cache.as_ref()
    }

    /// Memories that the scope sees and that were recalled lately, by conversation.
    ///
    /// # Errors
    /// `Unavailable`.
    pub async fn labile(&self, scope: &Scope) -> Result<LabileStatus> {
        let tenant = scope.tenant();
        let marks = self.cache.labile(tenant).await;
        let ids: Vec<MemoryId> = marks.values().flatten().copied().collect();
        let records = self.store.records(tenant, &ids).await?;
        let records: HashMap<MemoryId, MemoryRecord> =
            records.into_iter().map(|record| (record.id, record)).collect();
        let shown = |memory: &MemoryId| {
            let record = records.get(memory);
            record.is_some_and(|record| scope.sees(&record.namespace, &record.user_id, &record.session_id))
        };
        let sessions = marks
            .into_iter()
            .map(|(session, mut memories)| {
                memories.retain(shown);
                LabileSession::new(session, memories)
            })
            .filter(|session| !session.memories.is_empty());
        let mut status = LabileStatus { tenant_id: tenant.to_owned(), ..LabileStatus::default() };
        status.sessions.extend(sessions);
        Ok(status)
    }

    /// Adds one request to the counter of `key` that all processes share, which begins anew after each
    /// `window`: its value and what is left of the window. `None` where no counter is shared.
    ///
    /// # Errors
    /// None at present.
    pub async fn count_request(&self, key: &str, window: Duration) -> Result<Option<(u64, Duration)>> {
        Ok(self.cache.count(key, window).await)
    }

    /// Tells whoever listens, in any process, that there is work of this name.
    pub async fn wake(&self, work: &str) {
        self.cache.wake(work).await;
    }

    /// Names of work that was woken from now on; a hint, since messages get lost.
    #[must_use]
    pub fn woken(&self) -> BoxStream<'static, String> {
        self.cache.woken()
    }

    /// Opens memories that a session recalled to revision.
    pub(super) async fn recalled(&self, scope: &Scope, memories: impl Iterator<Item = MemoryId>) {
        let memories: Vec<MemoryId> = memories.collect();
        if !scope.session().is_empty() && !memories.is_empty() {
            self.cache.mark_labile(scope.tenant(), scope.session(), &memories, LABILE).await;
        }
    }

    /// Lets nothing of an erased subject stay beside the database.
    pub(super) async fn forget_kept(&self, tenant: &str, subject: &Subject) {
        self.cache.clear(tenant).await;
        match subject {
            Subject::Tenant => self.cache.settle(tenant, Settled::Tenant).await,
            Subject::Session(session) => self.cache.settle(tenant, Settled::Session(session)).await,
            _ => {}
        }
        let marked: Vec<MemoryId> = self.cache.labile(tenant).await.into_values().flatten().collect();
        if marked.is_empty() {
            return;
        }
        let gone: Vec<MemoryId> = match self.store.records(tenant, &marked).await {
            Ok(left) => {
                let left: HashSet<MemoryId> = left.into_iter().map(|record| record.id).collect();
                marked.into_iter().filter(|id| !left.contains(id)).collect()
            }
            // The erasure is done; what cannot be told apart is settled with the rest.
            Err(_away) => marked,
        };
        self.cache.settle(tenant, Settled::Memories(&gone)).await;
    }

    /// The same for memories that were deleted.
    pub(super) async fn forget_deleted(&self, tenant: &str, deleted: &[MemoryId]) {
        self.cache.settle(tenant, Settled::Memories(deleted)).await;
        self.cache.clear(tenant).await;
    }
}
