//! The search indexes of the tenants in use: built from the tables, kept fresh by tailing changes.

use std::{
    collections::{HashMap, HashSet},
    sync::{
        Arc, Mutex, PoisonError, RwLock, RwLockReadGuard,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
};

use cml_core::{
    FactId, MemoryId, MessageId, Result,
    memory::{Evidence, Fact, FactStatus},
};
use half::slice::HalfFloatSliceExt as _;

use super::{Engine, generation::Serving};
use crate::{
    search::{IndexOptions, RecordRow, TenantIndex, TurnAnalysis, TurnRow as SearchTurn},
    store::{self, Changed, IndexedRow, ModelId, Select, Store, Tail, TenantState, Vector},
};

/// Rows of one page while an index is built.
const PAGE: usize = 2_000;

/// Changes that are followed one by one; an index further behind is built anew.
const TAIL: usize = 20_000;

/// Changed rows up to which an index is brought up to date at once: some hundred microseconds.
const FEW: usize = 32;

/// What reads of a tenant search.
#[derive(Debug)]
pub(super) struct Recall {
    pub(super) index: TenantIndex,
    pub(super) facts: FactBook,
    state: TenantState,
    model: ModelId,
}

impl Recall {
    /// Nothing yet of a tenant that stands at `state`.
    pub(super) fn new(serving: &Serving, state: TenantState) -> Self {
        let options =
            IndexOptions { dimensions: serving.model().dimensions, additive: serving.model().additive };
        Self { index: TenantIndex::new(options), facts: FactBook::default(), state, model: serving.id }
    }
}

/// Current facts of a tenant, for the channels of facts and constraints.
#[derive(Debug, Default)]
pub(super) struct FactBook(HashMap<FactId, Fact>);

impl FactBook {
    fn put(&mut self, fact: Fact) {
        if fact.status == FactStatus::Current {
            self.0.insert(fact.id, fact);
        } else {
            self.0.remove(&fact.id);
        }
    }

    /// Facts that hold, in no order.
    pub(super) fn iter(&self) -> impl Iterator<Item = &Fact> {
        self.0.values()
    }
}

impl FromIterator<Fact> for FactBook {
    fn from_iter<I: IntoIterator<Item = Fact>>(facts: I) -> Self {
        let mut book = Self::default();
        facts.into_iter().for_each(|fact| book.put(fact));
        book
    }
}

/// The memories that a fact rests on.
pub(super) fn memories(fact: &Fact) -> impl Iterator<Item = MemoryId> + '_ {
    fact.evidence.iter().filter_map(|evidence| match evidence {
        Evidence::Memory(id) => Some(*id),
        _ => None,
    })
}

/// A tenant's index with what guards it.
#[derive(Debug)]
pub(super) struct Slot {
    recall: RwLock<Option<Recall>>,
    /// Held by the one reader that brings the index up to date.
    refresh: tokio::sync::Mutex<()>,
    used: AtomicU64,
    bytes: AtomicUsize,
}

impl Slot {
    pub(super) fn read(&self) -> RwLockReadGuard<'_, Option<Recall>> {
        self.recall.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn state(&self) -> Option<(TenantState, ModelId)> {
        self.read().as_ref().map(|recall| (recall.state, recall.model))
    }

    fn replace(&self, recall: Option<Recall>) {
        let bytes = recall.as_ref().map_or(0, |recall| recall.index.memory_bytes());
        self.bytes.store(bytes, Ordering::Relaxed);
        *self.recall.write().unwrap_or_else(PoisonError::into_inner) = recall;
    }
}

/// The indexes of all tenants in use, within a memory budget.
#[derive(Debug)]
pub(super) struct Indexes {
    store: Arc<dyn Store>,
    slots: Mutex<HashMap<String, Arc<Slot>>>,
    budget: usize,
    clock: AtomicU64,
}

impl Indexes {
    pub(super) fn new(store: Arc<dyn Store>, budget: usize) -> Self {
        Self { store, slots: Mutex::default(), budget, clock: AtomicU64::new(0) }
    }

    /// Memory of all indexes, in bytes, and their number.
    pub(super) fn memory(&self) -> (usize, usize) {
        let slots = self.slots.lock().unwrap_or_else(PoisonError::into_inner);
        (slots.values().map(|slot| slot.bytes.load(Ordering::Relaxed)).sum(), slots.len())
    }

    /// Forgets every index.
    pub(super) fn clear(&self) {
        self.slots.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }

    fn slot(&self, tenant: &str) -> Arc<Slot> {
        let mut slots = self.slots.lock().unwrap_or_else(PoisonError::into_inner);
        let slot = slots.entry(tenant.to_owned()).or_insert_with(|| {
            Arc::new(Slot {
                recall: RwLock::new(None),
                refresh: tokio::sync::Mutex::new(()),
                used: AtomicU64::new(0),
                bytes: AtomicUsize::new(0),
            })
        });
        slot.used.store(self.clock.fetch_add(1, Ordering::Relaxed), Ordering::Relaxed);
        Arc::clone(slot)
    }

    /// Drops the least recently used indexes but for `tenant`'s until the budget holds.
    fn make_room(&self, tenant: &str) {
        let mut slots = self.slots.lock().unwrap_or_else(PoisonError::into_inner);
        let mut total: usize = slots.values().map(|slot| slot.bytes.load(Ordering::Relaxed)).sum();
        while total > self.budget {
            let others = slots.iter().filter(|(name, _)| name.as_str() != tenant);
            let Some(oldest) = others.min_by_key(|(_, slot)| slot.used.load(Ordering::Relaxed)) else {
                break;
            };
            let (name, bytes) = (oldest.0.clone(), oldest.1.bytes.load(Ordering::Relaxed));
            slots.remove(&name);
            total -= bytes;
        }
    }

    /// The index of `tenant`, which stood at `now`, with everything that was committed before.
    pub(super) async fn fresh(
        &self,
        engine: &Engine,
        tenant: &str,
        now: TenantState,
        serving: &Serving,
    ) -> Result<Arc<Slot>> {
        let slot = self.slot(tenant);
        if slot.state() == Some((now, serving.id)) {
            return Ok(slot);
        }
        let turn = slot.refresh.lock().await;
        let known = slot.state();
        let now = self.store.tenant(tenant).await?;
        if known == Some((now, serving.id)) {
            drop(turn);
            return Ok(slot);
        }
        engine.generation.check(self.store.as_ref()).await?;
        let followed = match known {
            Some((state, model)) if state.epoch == now.epoch && model == serving.id => {
                self.follow(engine, tenant, serving, &slot, state, now).await?
            }
            _ => false,
        };
        if !followed {
            let recall = self.build(engine, tenant, serving, now).await?;
            slot.replace(Some(recall));
        }
        self.make_room(tenant);
        drop(turn);
        Ok(slot)
    }

    /// Applies the changes after `from`; `false` when there are too many.
    async fn follow(
        &self,
        engine: &Engine,
        tenant: &str,
        serving: &Serving,
        slot: &Arc<Slot>,
        from: TenantState,
        to: TenantState,
    ) -> Result<bool> {
        if to.last_seq - from.last_seq > TAIL as u64 {
            return Ok(false);
        }
        let Tail::Rows(changes) = self.store.changes(tenant, from.last_seq, TAIL).await? else {
            return Ok(false);
        };
        let last = changes.last().map_or(to.last_seq, |(seq, _)| *seq);
        let changed = Changes::new(changes);
        let mut rows = Rows::default();
        for ids in changed.turns.chunks(PAGE) {
            rows.turns.extend(self.store.turns(tenant, Select::Ids(ids)).await?);
        }
        for ids in changed.records.chunks(PAGE) {
            rows.records.extend(self.store.indexed(tenant, serving.id, Select::Ids(ids)).await?);
        }
        for ids in changed.facts.chunks(PAGE) {
            rows.facts.extend(self.store.indexed_facts(tenant, Select::Ids(ids)).await?);
        }
        let state = TenantState { last_seq: last.max(to.last_seq), epoch: to.epoch };
        let few = changed.len() <= FEW;
        let apply = {
            let slot = Arc::clone(slot);
            move || {
                let mut recall = slot.recall.write().unwrap_or_else(PoisonError::into_inner);
                let Some(recall) = recall.as_mut() else { return false };
                recall.follow(rows, &changed);
                recall.state = state;
                slot.bytes.store(recall.index.memory_bytes(), Ordering::Relaxed);
                true
            }
        };
        if few { Ok(apply()) } else { engine.off_thread(apply).await }
    }

    /// Reads a tenant from the beginning. What is committed meanwhile is followed by the next read.
    async fn build(
        &self,
        engine: &Engine,
        tenant: &str,
        serving: &Serving,
        state: TenantState,
    ) -> Result<Recall> {
        let mut recall = Recall::new(serving, state);
        // A record follows its turn, so all turns come first.
        let mut after = None;
        loop {
            let turns = self.store.turns(tenant, Select::After(after, PAGE)).await?;
            after = turns.last().map(|turn| turn.id);
            let done = turns.len() < PAGE;
            recall = engine.off_thread(move || recall.with(Rows { turns, ..Rows::default() })).await?;
            if done {
                break;
            }
        }
        let mut after = None;
        loop {
            let records = self.store.indexed(tenant, serving.id, Select::After(after, PAGE)).await?;
            after = records.last().map(|record| record.id);
            let done = records.len() < PAGE;
            recall = engine.off_thread(move || recall.with(Rows { records, ..Rows::default() })).await?;
            if done {
                break;
            }
        }
        let mut after = None;
        loop {
            let facts = self.store.indexed_facts(tenant, Select::After(after, PAGE)).await?;
            after = facts.last().map(|fact| fact.id);
            let done = facts.len() < PAGE;
            recall = recall.with(Rows { facts, ..Rows::default() });
            if done {
                return Ok(recall);
            }
        }
    }
}

/// Rows read from the store for an index.
#[derive(Debug, Default)]
pub(super) struct Rows {
    pub(super) turns: Vec<store::TurnRow>,
    pub(super) records: Vec<IndexedRow>,
    pub(super) facts: Vec<Fact>,
}

impl Recall {
    /// Where the tenant stood that it shows.
    pub(super) fn state(&self) -> TenantState {
        self.state
    }

    pub(super) fn with(mut self, rows: Rows) -> Self {
        self.put(rows);
        self
    }

    fn put(&mut self, rows: Rows) {
        for turn in rows.turns {
            self.index.put_turn(&search_turn(turn));
        }
        for record in rows.records {
            self.index.put_record(search_record(record));
        }
        for fact in rows.facts {
            self.facts.put(fact);
        }
    }

    /// Puts the rows that changed and removes those that are no longer there.
    fn follow(&mut self, rows: Rows, changed: &Changes) {
        let turns: HashSet<MessageId> = rows.turns.iter().map(|turn| turn.id).collect();
        let records: HashSet<MemoryId> = rows.records.iter().map(|record| record.id).collect();
        let facts: HashSet<FactId> = rows.facts.iter().map(|fact| fact.id).collect();
        for id in changed.records.iter().filter(|id| !records.contains(id)) {
            self.index.remove_record(*id);
        }
        for id in changed.turns.iter().filter(|id| !turns.contains(id)) {
            self.index.remove_turn(*id);
        }
        for id in changed.facts.iter().filter(|id| !facts.contains(id)) {
            self.facts.0.remove(id);
        }
        self.put(rows);
    }
}

/// Ids of rows that changed, each once.
#[derive(Debug, Default)]
struct Changes {
    turns: Vec<MessageId>,
    records: Vec<MemoryId>,
    facts: Vec<FactId>,
}

impl Changes {
    fn new(tail: Vec<(u64, Changed)>) -> Self {
        let mut changes = Self::default();
        for (_, changed) in tail {
            match changed {
                Changed::Turn(id) => changes.turns.push(id),
                Changed::Record(id) => changes.records.push(id),
                Changed::Fact(id) => changes.facts.push(id),
            }
        }
        changes.turns.sort_unstable();
        changes.turns.dedup();
        changes.records.sort_unstable();
        changes.records.dedup();
        changes.facts.sort_unstable();
        changes.facts.dedup();
        changes
    }

    fn len(&self) -> usize {
        self.turns.len() + self.records.len() + self.facts.len()
    }
}

fn search_turn(row: store::TurnRow) -> SearchTurn {
    SearchTurn {
        id: row.id,
        namespace: row.namespace,
        user: row.user,
        session: row.session,
        seq: i64::try_from(row.seq).unwrap_or(i64::MAX),
        role: Some(row.role),
        speaker: row.speaker,
        said_at: row.said_at.timestamp_micros(),
        analysis: TurnAnalysis::from_columns(&row.terms, row.length.into(), row.flags.into()),
    }
}

fn search_record(row: IndexedRow) -> RecordRow {
    let values = |vector: &Vector| {
        let mut values = vec![0.0; vector.values.len()];
        vector.values.convert_to_f32_slice(&mut values);
        values
    };
    RecordRow {
        id: row.id,
        turn: row.turn,
        chunk_index: row.chunk_index,
        kind: row.memory_type,
        status: row.status,
        agent: row.agent,
        tags: row.tags,
        metadata: row.metadata.map(String::into_boxed_str),
        event: row.event,
        valid_to: row.valid_to,
        expires_at: row.expires_at,
        superseded: row.superseded,
        written_at: row.written_at,
        vector: row.own.as_ref().map(|vector| (values(vector), vector.norm)),
        context: row.context.as_ref().map(values),
    }
}
