//! Sums over every memory, fact and event of some tenants.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use cml_core::{
    MemoryBackend, Result, Scope,
    memory::{EventType, FactCategory, FactStatus, MemoryRecord, OperationType},
    ops::{ListEvents, ListFacts, ListRequest, Stats},
};
use futures_util::TryStreamExt as _;

use super::walk;

/// Counts of several tenants as one.
pub(super) async fn stats(backend: &dyn MemoryBackend, scopes: &[Scope]) -> Result<Stats> {
    let mut all = Stats::default();
    let (mut confidence, mut importance) = (0.0, 0.0);
    for scope in scopes {
        let stats = backend.stats(scope).await?;
        let count = stats.total_memories as f64;
        confidence += stats.avg_confidence * count;
        importance += stats.avg_importance * count;
        all.total_memories += stats.total_memories;
        all.active_memories += stats.active_memories;
        all.silent_memories += stats.silent_memories;
        all.archived_memories += stats.archived_memories;
        add(&mut all.by_type, stats.by_type);
        add(&mut all.by_status, stats.by_status);
        all.oldest_memory = all.oldest_memory.into_iter().chain(stats.oldest_memory).min();
        all.newest_memory = all.newest_memory.max(stats.newest_memory);
        all.estimated_size_mb += stats.estimated_size_mb;
    }
    all.avg_confidence = mean(confidence, all.total_memories);
    all.avg_importance = mean(importance, all.total_memories);
    Ok(all)
}

/// What only the records themselves say.
#[derive(Debug, Clone, Default)]
pub(super) struct Memories {
    pub(super) total: u64,
    pub(super) accesses: u64,
    pub(super) decay_rates: f64,
    pub(super) confidence: f64,
    pub(super) importance: f64,
    /// Memories that a read returned at least once.
    pub(super) recalled: u64,
    pub(super) last_recalled_at: Option<DateTime<Utc>>,
    /// Memories with a confidence below one half.
    pub(super) doubtful: u64,
    pub(super) superseded: u64,
    /// Memories whose validity ended and that nothing replaced.
    pub(super) outdated: u64,
    pub(super) expired: u64,
}

impl Memories {
    pub(super) async fn of(backend: &dyn MemoryBackend, scopes: &[Scope]) -> Result<Self> {
        let (mut sums, now) = (Self::default(), Utc::now());
        for scope in scopes {
            let request = ListRequest::new().with_limit(walk::PAGE);
            let mut records = walk::records(backend, scope.clone(), request);
            while let Some(record) = records.try_next().await? {
                sums.add(&record, now);
            }
        }
        Ok(sums)
    }

    fn add(&mut self, record: &MemoryRecord, now: DateTime<Utc>) {
        let superseded = record.superseded_by_id.is_some();
        let ended = record.valid_to.is_some_and(|end| end <= now);
        self.total += 1;
        self.accesses += record.access_count;
        self.decay_rates += record.decay_rate.get();
        self.confidence += record.confidence.get();
        self.importance += record.importance.get();
        self.recalled += u64::from(record.access_count > 0);
        self.last_recalled_at = self.last_recalled_at.max(record.last_accessed_at);
        self.doubtful += u64::from(record.confidence.get() < 0.5);
        self.superseded += u64::from(superseded);
        self.outdated += u64::from(ended && !superseded);
        self.expired += u64::from(record.expires_at.is_some_and(|end| end <= now));
    }

    pub(super) fn mean(&self, sum: f64) -> f64 {
        mean(sum, self.total)
    }
}

/// Sums over facts of every status.
#[derive(Debug, Clone, Default)]
pub(super) struct Facts {
    pub(super) total: u64,
    pub(super) current: u64,
    pub(super) superseded: u64,
    pub(super) retracted: u64,
    pub(super) by_category: BTreeMap<FactCategory, u64>,
    pub(super) with_evidence: u64,
    confidence: f64,
    evidence: usize,
}

impl Facts {
    pub(super) async fn of(backend: &dyn MemoryBackend, scopes: &[Scope]) -> Result<Self> {
        let mut sums = Self::default();
        for scope in scopes {
            let request = ListFacts::new().with_current_only(false).with_limit(walk::PAGE);
            let mut facts = walk::facts(backend, scope.clone(), request);
            while let Some(fact) = facts.try_next().await? {
                sums.total += 1;
                match fact.status {
                    FactStatus::Current => sums.current += 1,
                    FactStatus::Superseded => sums.superseded += 1,
                    _ => sums.retracted += 1,
                }
                *sums.by_category.entry(fact.category).or_default() += 1;
                sums.with_evidence += u64::from(!fact.evidence.is_empty());
                sums.confidence += fact.confidence.get();
                sums.evidence += fact.evidence.len();
            }
        }
        Ok(sums)
    }

    pub(super) fn avg_confidence(&self) -> f64 {
        mean(self.confidence, self.total)
    }

    pub(super) fn avg_evidence(&self) -> f64 {
        mean(self.evidence as f64, self.total)
    }
}

/// Counts of events; kinds without an event are absent.
#[derive(Debug, Clone, Default)]
pub(super) struct Events {
    pub(super) total: u64,
    pub(super) by_type: BTreeMap<EventType, u64>,
    pub(super) by_operation: BTreeMap<OperationType, u64>,
}

impl Events {
    /// Events at or after `since`, or all of them.
    pub(super) async fn of(
        backend: &dyn MemoryBackend,
        scopes: &[Scope],
        since: Option<DateTime<Utc>>,
    ) -> Result<Self> {
        let mut counts = Self::default();
        let mut all = ListEvents::new().with_limit(1usize);
        all.since = since;
        for scope in scopes {
            let of = async |request: ListEvents| {
                backend.maintenance()?.events(scope, request).await.map(|page| page.total)
            };
            let total = of(all.clone()).await?;
            if total == 0 {
                continue;
            }
            counts.total += total;
            for kind in EventType::ALL {
                add_one(&mut counts.by_type, *kind, of(all.clone().with_event_type(*kind)).await?);
            }
            for operation in OperationType::ALL {
                add_one(
                    &mut counts.by_operation,
                    *operation,
                    of(all.clone().with_operation(*operation)).await?,
                );
            }
        }
        Ok(counts)
    }
}

/// `sum / count`, 0 for nothing.
pub(super) fn mean(sum: f64, count: u64) -> f64 {
    if count == 0 { 0.0 } else { sum / count as f64 }
}

fn add<K: Ord>(all: &mut BTreeMap<K, u64>, some: BTreeMap<K, u64>) {
    for (key, count) in some {
        add_one(all, key, count);
    }
}

fn add_one<K: Ord>(all: &mut BTreeMap<K, u64>, key: K, count: u64) {
    if count > 0 {
        *all.entry(key).or_default() += count;
    }
}
