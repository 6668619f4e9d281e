//! Which memories reads returned, collected in memory and written down with the next commit.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

use chrono::{DateTime, Utc};
use cml_core::MemoryId;

use crate::store::{Access, ChangeSet};

/// Counts of one tenant, by record.
type Counts = HashMap<MemoryId, (u64, DateTime<Utc>)>;

/// Distinct records of a tenant from which on the counts are written without waiting for a commit.
const FLUSH_AT: usize = 2048;

/// Access counts that are not in the store yet. Lost when the process is killed: they are a hint for
/// forgetting, and no read waits for them.
#[derive(Debug, Default)]
pub(super) struct AccessLog(Mutex<HashMap<String, Counts>>);

impl AccessLog {
    /// Counts one access to each record; says how many records of the tenant wait.
    pub(super) fn record(
        &self,
        tenant: &str,
        ids: impl Iterator<Item = MemoryId>,
        at: DateTime<Utc>,
    ) -> usize {
        let mut log = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let counts = log.entry(tenant.to_owned()).or_default();
        for id in ids {
            let (count, last) = counts.entry(id).or_insert((0, at));
            *count += 1;
            *last = (*last).max(at);
        }
        counts.len()
    }

    /// Takes what waits for a tenant.
    pub(super) fn take(&self, tenant: &str) -> Vec<Access> {
        let counts = self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(tenant);
        counts.into_iter().flatten().map(|(id, (count, at))| Access { id, count, at }).collect()
    }

    /// Puts back what was taken and not written down.
    pub(super) fn give_back(&self, tenant: &str, accessed: Vec<Access>) {
        if accessed.is_empty() {
            return;
        }
        let mut log = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let counts = log.entry(tenant.to_owned()).or_default();
        for Access { id, count, at } in accessed {
            let (known, last) = counts.entry(id).or_insert((0, at));
            *known += count;
            *last = (*last).max(at);
        }
    }

    /// Takes what waits for every tenant.
    pub(super) fn take_all(&self) -> Vec<(String, Vec<Access>)> {
        let tenants: Vec<String> =
            self.0.lock().unwrap_or_else(PoisonError::into_inner).keys().cloned().collect();
        tenants.into_iter().map(|tenant| (tenant.clone(), self.take(&tenant))).collect()
    }
}

/// A change set that only counts accesses.
pub(super) fn changes(tenant: &str, accessed: Vec<Access>) -> ChangeSet {
    ChangeSet { accessed, ..ChangeSet::new(tenant) }
}

impl super::Engine {
    /// Counts one access to each record. No read waits for the counts to be written.
    pub(super) fn accessed(&self, tenant: &str, ids: impl Iterator<Item = MemoryId>, at: DateTime<Utc>) {
        if self.accesses.record(tenant, ids, at) < FLUSH_AT {
            return;
        }
        let (store, changes) = (Arc::clone(&self.store), changes(tenant, self.accesses.take(tenant)));
        tokio::spawn(async move {
            if let Err(error) = store.commit(changes).await {
                tracing::warn!(%error, "access counts were lost");
            }
        });
    }

    /// Writes down what waits for a tenant, so that the next read of its records shows it.
    pub(super) async fn flush_accesses(&self, tenant: &str) -> cml_core::Result<()> {
        let accessed = self.accesses.take(tenant);
        if !accessed.is_empty() {
            self.store.commit(changes(tenant, accessed)).await?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_given_back_counts_with_what_came_meanwhile() {
        let log = AccessLog::default();
        let (id, early) = (MemoryId::new(), DateTime::UNIX_EPOCH);
        let late = early + chrono::Duration::seconds(1);
        log.record("acme", [id, id].into_iter(), late);
        let taken = log.take("acme");
        assert!(log.take("acme").is_empty());
        log.record("acme", [id].into_iter(), early);
        log.give_back("acme", taken);
        assert_eq!(log.take("acme"), [Access { id, count: 3, at: late }]);
    }
}
