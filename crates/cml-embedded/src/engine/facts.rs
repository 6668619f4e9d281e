//! Statements become facts: confirmed, appended, superseded, ended.
//!
//! A single-valued slot holds at most one current fact per (namespace, user, subject). What was said
//! later wins; what was said earlier and arrives late enters the history at its place.

use std::collections::{HashMap, HashSet};

use chrono::{DateTime, Utc};
use cml_core::{
    Error, FactId, MemoryId, Result, Scope, Score,
    memory::{EventType, Evidence, Fact, FactStatus, MemoryRecord, OperationType},
    ops::{FactList, ListFacts},
};

use super::{
    Attempts, Engine,
    plan::{Plan, payload},
    traits::REPETITION,
};
use crate::{
    extract::{Context, Extractor, Mention, Statement, value_key},
    store::{Observed, Outcome, Precondition, SlotOf},
};

/// What is known of the slots that a plan touches, kept up to date while it is made.
#[derive(Debug, Default)]
pub(super) struct Slots {
    /// Every fact of a slot that is known, current or not.
    facts: HashMap<SlotOf, Vec<Fact>>,
    /// Slots whose history was read as well.
    complete: HashSet<SlotOf>,
    /// Slots that the plan rests on already.
    required: HashSet<SlotOf>,
    /// The tenant's last change when the slots were read.
    seq: u64,
    /// Records that say nothing but a statement which the plan may supersede.
    bare: HashMap<MemoryId, MemoryRecord>,
}

impl Slots {
    pub(super) fn new(observed: &Observed) -> Self {
        Self { facts: observed.slots.clone(), seq: observed.state.last_seq, ..Self::default() }
    }

    fn current(&self, slot: &SlotOf) -> Vec<Fact> {
        let facts = self.facts.get(slot).into_iter().flatten();
        facts.filter(|fact| fact.status == FactStatus::Current).cloned().collect()
    }

    fn put(&mut self, slot: &SlotOf, fact: Fact) {
        let facts = self.facts.entry(slot.clone()).or_default();
        match facts.iter_mut().find(|other| other.id == fact.id) {
            Some(other) => *other = fact,
            None => facts.push(fact),
        }
    }
}

/// The slot of a statement: facts without a slot of their own are told apart by their predicate.
pub(super) fn slot_of(namespace: &str, user: &str, statement: &Statement) -> SlotOf {
    SlotOf {
        namespace: namespace.to_owned(),
        user: user.to_owned(),
        subject: statement.subject.clone(),
        slot: statement.slot.as_deref().unwrap_or(&statement.predicate).to_owned(),
    }
}

/// Where and when a statement was made.
#[derive(Debug, Clone, Copy)]
pub(super) struct Said<'a> {
    pub(super) scope: &'a Scope,
    pub(super) at: DateTime<Utc>,
    /// The record that states it.
    pub(super) record: &'a MemoryRecord,
    /// The names in the text.
    pub(super) mentions: &'a [Mention],
}

impl Plan {
    /// Records what a statement says.
    pub(super) fn assert(&mut self, slots: &mut Slots, statement: &Statement, said: Said<'_>) {
        let slot = slot_of(&said.record.namespace, &said.record.user_id, statement);
        let current = slots.current(&slot);
        let same = current.iter().find(|fact| value_key(&fact.value) == statement.value_key);
        if slots.required.insert(slot.clone()) {
            self.require(Precondition::Slot(slot.clone(), current.iter().map(|fact| fact.id).collect()));
        }
        match same {
            Some(fact) if statement.ended => self.end(slots, &slot, fact, said),
            Some(fact) => self.confirm(slots, &slot, fact, said),
            None if statement.ended => {}
            None if statement.single_valued => match current.first() {
                Some(fact) if fact.valid_from <= said.at => {
                    self.supersede(slots, &slot, statement, fact, said)
                }
                Some(_) => self.enter_history(slots, &slot, statement, said),
                None => {
                    self.append(slots, &slot, statement, said);
                }
            },
            None => {
                self.append(slots, &slot, statement, said);
            }
        }
        let holds =
            slots.current(&slot).into_iter().find(|fact| value_key(&fact.value) == statement.value_key);
        if let Some(fact) = holds {
            self.relate(said.record, said.mentions, &fact);
        }
    }

    fn append(&mut self, slots: &mut Slots, slot: &SlotOf, statement: &Statement, said: Said<'_>) -> Fact {
        let fact = Fact {
            id: FactId::new(),
            tenant_id: said.scope.tenant().to_owned(),
            namespace: slot.namespace.clone(),
            user_id: slot.user.clone(),
            agent_id: said.record.agent_id.clone(),
            session_id: said.record.session_id.clone(),
            subject: statement.subject.clone(),
            predicate: statement.predicate.clone(),
            value: statement.value.clone(),
            category: statement.category,
            slot: slot.slot.clone(),
            situations: statement.situations.iter().map(|&situation| situation.to_owned()).collect(),
            confidence: Score::clamped(statement.confidence),
            source: statement.source,
            status: FactStatus::Current,
            valid_from: said.at,
            valid_to: None,
            recorded_at: self.now,
            version: 1,
            supersedes_id: None,
            superseded_by_id: None,
            evidence: vec![Evidence::Memory(said.record.id)],
        };
        self.add_fact(fact.clone());
        self.add_evidence(fact.id, Evidence::Memory(said.record.id));
        slots.put(slot, fact.clone());
        fact
    }

    fn alter(&mut self, slots: &mut Slots, slot: &SlotOf, fact: &Fact, change: impl FnOnce(&mut Fact)) {
        let mut changed = fact.clone();
        change(&mut changed);
        let copy = changed.clone();
        self.change_fact(fact, move |row| *row = copy);
        slots.put(slot, changed);
    }

    fn confirm(&mut self, slots: &mut Slots, slot: &SlotOf, fact: &Fact, said: Said<'_>) {
        let evidence = Evidence::Memory(said.record.id);
        if !fact.evidence.contains(&evidence) {
            self.add_evidence(fact.id, evidence);
            self.alter(slots, slot, fact, |fact| {
                fact.confidence = Score::clamped(fact.confidence.get() + REPETITION);
                fact.evidence.push(evidence);
            });
        }
    }

    fn supersede(
        &mut self,
        slots: &mut Slots,
        slot: &SlotOf,
        statement: &Statement,
        former: &Fact,
        said: Said<'_>,
    ) {
        let mut fact = self.append(slots, slot, statement, said);
        fact.version = former.version + 1;
        fact.supersedes_id = Some(former.id);
        let row = fact.clone();
        self.change_fact(&fact, move |changed| *changed = row);
        slots.put(slot, fact.clone());
        self.alter(slots, slot, former, |former| {
            former.status = FactStatus::Superseded;
            former.valid_to = Some(said.at);
            former.superseded_by_id = Some(fact.id);
        });
        self.close_bare(slots, former, said.at, Some(said.record.id));
        let ids = vec![said.record.id];
        let detail = payload([
            ("fact_id", fact.id.to_string().into()),
            ("superseded_id", former.id.to_string().into()),
            ("slot", slot.slot.clone().into()),
        ]);
        self.event(said.scope, EventType::Fact, OperationType::Supersede, ids, detail);
    }

    /// "I no longer work at Acme": the value ends without a successor.
    fn end(&mut self, slots: &mut Slots, slot: &SlotOf, fact: &Fact, said: Said<'_>) {
        self.alter(slots, slot, fact, |fact| {
            fact.status = FactStatus::Retracted;
            fact.valid_to = Some(said.at.max(fact.valid_from));
        });
        self.close_bare(slots, fact, said.at, None);
        let detail = payload([("fact_id", fact.id.to_string().into()), ("slot", slot.slot.clone().into())]);
        self.event(said.scope, EventType::Fact, OperationType::Retract, vec![said.record.id], detail);
    }

    /// A statement older than the current one takes its place in the slot's history.
    fn enter_history(&mut self, slots: &mut Slots, slot: &SlotOf, statement: &Statement, said: Said<'_>) {
        // Neighbours in the history are no current facts, so nothing less than this guards them.
        self.require(Precondition::Seq(slots.seq));
        let mut chain: Vec<Fact> = slots.facts.get(slot).cloned().unwrap_or_default();
        chain.sort_by_key(|fact| (fact.valid_from, fact.id));
        let next = chain.iter().position(|fact| fact.valid_from > said.at).unwrap_or(chain.len());
        let same = |fact: &&Fact| value_key(&fact.value) == statement.value_key;
        if let Some(fact) = chain[..next].last().filter(same).or(chain.get(next).filter(same)) {
            let evidence = Evidence::Memory(said.record.id);
            let earlier = fact.valid_from > said.at;
            self.add_evidence(fact.id, evidence);
            self.alter(slots, slot, fact, |fact| {
                fact.evidence.push(evidence);
                if earlier {
                    fact.valid_from = said.at;
                }
            });
            return;
        }
        let Some(successor) = chain.get(next).cloned() else { return };
        let predecessor = chain[..next].last().cloned();
        let appended = self.append(slots, slot, statement, said);
        self.alter(slots, slot, &appended, |fact| {
            fact.status = FactStatus::Superseded;
            fact.valid_to = Some(successor.valid_from);
            fact.superseded_by_id = Some(successor.id);
            fact.supersedes_id = predecessor.as_ref().map(|former| former.id);
            fact.version = predecessor.as_ref().map_or(1, |former| former.version + 1);
        });
        if let Some(former) = &predecessor {
            self.alter(slots, slot, former, |former| {
                former.valid_to = Some(former.valid_to.map_or(said.at, |end| end.min(said.at)));
                former.superseded_by_id = Some(appended.id);
                former.status = FactStatus::Superseded;
            });
        }
        for (offset, fact) in chain[next..].iter().enumerate() {
            self.alter(slots, slot, fact, |fact| {
                fact.version += 1;
                if offset == 0 {
                    fact.supersedes_id = Some(appended.id);
                }
            });
        }
        let closer = successor.evidence.iter().find_map(|evidence| match evidence {
            Evidence::Memory(id) => Some(*id),
            _ => None,
        });
        if statement.whole {
            let record = said.record.clone();
            self.close(&record, successor.valid_from, closer);
        }
    }

    /// Closes the records that say nothing but a statement which no longer holds.
    fn close_bare(&mut self, slots: &Slots, fact: &Fact, at: DateTime<Utc>, successor: Option<MemoryId>) {
        for evidence in &fact.evidence {
            let Evidence::Memory(id) = evidence else { continue };
            let known = slots.bare.get(id).cloned();
            let planned = self.changes.records.iter().map(|put| &put.record);
            let record =
                known.or_else(|| planned.into_iter().find(|r| r.id == *id && is_bare(r, fact)).cloned());
            if let Some(record) = record.filter(|record| Some(record.id) != successor) {
                self.close(&record, at, successor);
                if let Some(successor) = successor {
                    self.link_successor(successor, record.id);
                }
            }
        }
    }

    /// Ends what a record states.
    pub(super) fn close(&mut self, record: &MemoryRecord, at: DateTime<Utc>, successor: Option<MemoryId>) {
        self.change_record(record, |record| {
            record.valid_to = Some(at.max(record.timestamp));
            record.superseded_by_id = successor;
        });
    }

    fn link_successor(&mut self, successor: MemoryId, former: MemoryId) {
        if let Some(put) = self.changes.records.iter_mut().find(|put| put.record.id == successor) {
            put.record.supersedes_id.get_or_insert(former);
        }
    }
}

/// Whether a record says nothing but this fact.
fn is_bare(record: &MemoryRecord, fact: &Fact) -> bool {
    let context = Context {
        role: Some(record.role),
        said_at: record.timestamp,
        timezone: chrono_tz::Tz::UTC,
        speaker: Some(record.speaker.clone()).filter(|speaker| !speaker.is_empty()),
    };
    let extraction = Extractor::default().analyse(&record.text, &context);
    matches!(extraction.statements.as_slice(), [only] if only.whole && only.value_key == value_key(&fact.value))
}

impl Engine {
    /// Reads what planning these statements needs beyond the current facts: the texts behind facts that
    /// may end, and the history of slots that an older statement enters.
    pub(super) async fn complete_slots(
        &self,
        scope: &Scope,
        slots: &mut Slots,
        statements: impl Iterator<Item = (SlotOf, &Statement, DateTime<Utc>)>,
    ) -> Result<()> {
        let mut ending: HashMap<MemoryId, Fact> = HashMap::new();
        let mut late = HashSet::new();
        for (slot, statement, said_at) in statements {
            for fact in slots.current(&slot) {
                let same = value_key(&fact.value) == statement.value_key;
                if same == statement.ended && (statement.single_valued || statement.ended) {
                    for evidence in &fact.evidence {
                        if let Evidence::Memory(id) = evidence {
                            ending.insert(*id, fact.clone());
                        }
                    }
                }
                if !same && statement.single_valued && fact.valid_from > said_at {
                    late.insert(slot.clone());
                }
            }
        }
        for record in self.bare_records(scope.tenant(), &ending).await? {
            slots.bare.insert(record.id, record);
        }
        for slot in late {
            if slots.complete.insert(slot.clone()) {
                let request = ListFacts::new()
                    .with_subject(slot.subject.clone())
                    .with_slot(slot.slot.clone())
                    .with_current_only(false)
                    .with_limit(1000usize);
                let mut scope = scope.whole_tenant().with_namespace(slot.namespace.clone())?;
                if !slot.user.is_empty() {
                    scope = scope.with_user(slot.user.clone())?;
                }
                for fact in self.store.facts(&scope, &request).await?.items {
                    let known =
                        slots.facts.get(&slot).is_some_and(|facts| facts.iter().any(|f| f.id == fact.id));
                    if fact.user_id == slot.user && fact.status != FactStatus::Retracted && !known {
                        slots.put(&slot, fact);
                    }
                }
            }
        }
        Ok(())
    }

    /// Of the records under facts that end, those that still hold and say nothing but that fact.
    pub(super) async fn bare_records(
        &self,
        tenant: &str,
        ending: &HashMap<MemoryId, Fact>,
    ) -> Result<Vec<MemoryRecord>> {
        if ending.is_empty() {
            return Ok(Vec::new());
        }
        let ids: Vec<MemoryId> = ending.keys().copied().collect();
        let mut records = self.store.records(tenant, &ids).await?;
        records.retain(|record| record.valid_to.is_none() && is_bare(record, &ending[&record.id]));
        Ok(records)
    }

    /// Facts of the scope, newest validity first.
    ///
    /// # Errors
    /// `InvalidInput`.
    pub async fn list_facts(&self, scope: &Scope, request: ListFacts) -> Result<FactList> {
        request.validate()?;
        self.store.facts(scope, &request).await
    }

    /// One fact.
    ///
    /// # Errors
    /// `NotFound`.
    pub async fn fact(&self, scope: &Scope, id: FactId) -> Result<Fact> {
        let fact = self.store.fact(scope.tenant(), id).await?;
        fact.filter(|fact| scope.without_session().sees(&fact.namespace, &fact.user_id, &fact.session_id))
            .ok_or_else(|| Error::not_found("fact", id).with_context("fact_id", id))
    }

    /// Withdraws a fact.
    ///
    /// # Errors
    /// `NotFound`.
    pub async fn retract(&self, scope: &Scope, id: FactId) -> Result<Fact> {
        let mut attempts = Attempts::new(self, scope.tenant());
        loop {
            attempts.next().await?;
            let fact = self.fact(scope, id).await?;
            if fact.status == FactStatus::Retracted {
                return Ok(fact);
            }
            let now = self.clock.now();
            let mut plan = Plan::new(scope.tenant(), now);
            let mut retracted = fact.clone();
            retracted.status = FactStatus::Retracted;
            retracted.valid_to = Some(fact.valid_to.unwrap_or(now).max(fact.valid_from));
            if fact.status == FactStatus::Current {
                let slot = SlotOf {
                    namespace: fact.namespace.clone(),
                    user: fact.user_id.clone(),
                    subject: fact.subject.clone(),
                    slot: fact.slot.clone(),
                };
                let wanted = crate::store::Wanted { slots: vec![slot.clone()], now, ..Default::default() };
                let observed = self.store.observe(scope.tenant(), &wanted).await?;
                let current = observed.slots.get(&slot).into_iter().flatten().map(|fact| fact.id).collect();
                plan.require(Precondition::Slot(slot, current));
            }
            let row = retracted.clone();
            plan.change_fact(&fact, move |changed| *changed = row);
            let memories = fact.evidence.iter().filter_map(|evidence| match evidence {
                Evidence::Memory(id) => Some(*id),
                _ => None,
            });
            let detail = payload([("fact_id", id.to_string().into())]);
            plan.event(scope, EventType::Fact, OperationType::Retract, memories.collect(), detail);
            if let Outcome::Committed(_) = self.commit(plan.changes).await? {
                return Ok(retracted);
            }
        }
    }
}
