//! Facts that come in, and the ones that they meet: a single-valued slot keeps one current value.

use std::collections::{BTreeMap, HashMap};

use chrono::{DateTime, Utc};
use cml_core::{
    FactId, MemoryId, Result,
    memory::{Evidence, Fact, FactStatus},
    ops::ExportLine,
};

use super::{Import, report::Sorted, rows::Step};
use crate::{
    extract::is_exclusive,
    store::{Precondition, RowKind, Select, SlotOf, Wanted},
};

/// A fact that a later value of its slot closed: as it was, and until when it held.
#[derive(Debug, Clone)]
pub(super) struct Ended {
    fact: Fact,
    at: DateTime<Utc>,
}

impl Import<'_> {
    pub(super) async fn plan_facts(&self, step: &mut Step, sorted: Sorted<'_>) -> Result<()> {
        let total = sorted.absent.len() + sorted.stored.len();
        let facts = |rows: &[(&ExportLine, u64)]| -> Vec<Fact> {
            let fact = |(line, _): &(&ExportLine, u64)| match line {
                ExportLine::Fact(fact) => Some(fact.clone()),
                _ => None,
            };
            rows.iter().filter_map(fact).collect()
        };
        let rivals = facts(&sorted.stored);
        let ids: Vec<FactId> = rivals.iter().map(|fact| fact.id).collect();
        let stored = self.engine.store.indexed_facts(self.scope.tenant(), Select::Ids(&ids)).await?;
        let stored: HashMap<FactId, Fact> = stored.into_iter().map(|fact| (fact.id, fact)).collect();
        for fact in &rivals {
            let here = stored.get(&fact.id).filter(|here| here.status == FactStatus::Superseded);
            if let Some(at) =
                here.and_then(|here| here.valid_to).filter(|_| fact.status == FactStatus::Current)
            {
                // Its edge came before it.
                step.plan.cut(fact);
                step.ended.insert(fact.id, Ended { fact: fact.clone(), at });
            }
        }
        let mut accepted: BTreeMap<FactId, Fact> = BTreeMap::new();
        for fact in facts(&sorted.absent).into_iter().chain(rivals) {
            let known = accepted.get(&fact.id).or_else(|| stored.get(&fact.id));
            if known.is_none_or(|known| rank(&fact) > rank(known)) {
                accepted.insert(fact.id, fact);
            }
        }
        step.tally.imported(RowKind::Fact, accepted.len());
        step.tally.skipped(RowKind::Fact, total - accepted.len());
        self.settle(step, &mut accepted).await?;
        for fact in accepted.into_values() {
            step.plan.add_fact(fact);
        }
        Ok(())
    }

    /// Of several current values of a single-valued slot the latest stays; the others are closed.
    async fn settle(&self, step: &mut Step, accepted: &mut BTreeMap<FactId, Fact>) -> Result<()> {
        let exclusive =
            |fact: &&Fact| fact.status == FactStatus::Current && is_exclusive(&fact.subject, &fact.slot);
        let mut slots: HashMap<SlotOf, Vec<Fact>> = HashMap::new();
        for fact in accepted.values().filter(exclusive) {
            slots.entry(slot_of(fact)).or_default().push(fact.clone());
        }
        if slots.is_empty() {
            return Ok(());
        }
        let wanted =
            Wanted { slots: slots.keys().cloned().collect(), now: step.plan.now, ..Wanted::default() };
        let observed = self.engine.store.observe(self.scope.tenant(), &wanted).await?;
        let mut ending = HashMap::new();
        for (slot, mut values) in slots {
            let here = observed.slots.get(&slot).cloned().unwrap_or_default();
            step.plan.require(Precondition::Slot(slot, here.iter().map(|fact| fact.id).collect()));
            values.extend(here.into_iter().filter(|fact| !accepted.contains_key(&fact.id)));
            values.sort_by_key(|fact| (fact.valid_from, fact.id));
            let Some(latest) = values.pop().filter(|_| !values.is_empty()) else { continue };
            step.tally.closed += values.len() as u64;
            for fact in &values {
                step.ended.insert(fact.id, Ended { fact: fact.clone(), at: latest.valid_from });
                alter(step, accepted, fact, |fact| {
                    fact.status = FactStatus::Superseded;
                    fact.valid_to = Some(latest.valid_from);
                    fact.superseded_by_id = Some(latest.id);
                });
                let memories = fact.evidence.iter().filter_map(|evidence| match evidence {
                    Evidence::Memory(id) => Some(*id),
                    _ => None,
                });
                ending.extend(memories.map(|id| (id, (fact.clone(), latest.valid_from))));
            }
            let former = values.last().map(|fact| fact.id);
            alter(step, accepted, &latest, |fact| fact.supersedes_id = fact.supersedes_id.or(former));
        }
        let facts = ending.iter().map(|(id, (fact, _))| (*id, fact.clone())).collect();
        for record in self.engine.bare_records(self.scope.tenant(), &facts).await? {
            step.plan.close(&record, ending[&record.id].1, None);
        }
        Ok(())
    }

    /// Closes the records that say nothing but a fact which ended: the evidence of a fact comes later
    /// than it.
    pub(super) async fn close_ended(&self, step: &mut Step) -> Result<()> {
        let mut ending: HashMap<MemoryId, Fact> = HashMap::new();
        let mut ends = HashMap::new();
        for (fact, evidence) in &step.plan.changes.evidence {
            if let (Some(ended), Evidence::Memory(id)) = (self.ended.get(fact), evidence) {
                ending.insert(*id, ended.fact.clone());
                ends.insert(*id, ended.at);
            }
        }
        for record in self.engine.bare_records(self.scope.tenant(), &ending).await? {
            step.plan.close(&record, ends[&record.id], None);
        }
        Ok(())
    }
}

/// Of two states of a fact the higher one is the later: closing a fact is for good.
fn rank(fact: &Fact) -> (u64, bool) {
    (fact.version, fact.status != FactStatus::Current)
}

fn slot_of(fact: &Fact) -> SlotOf {
    SlotOf {
        namespace: fact.namespace.clone(),
        user: fact.user_id.clone(),
        subject: fact.subject.clone(),
        slot: fact.slot.clone(),
    }
}

/// Changes a fact that comes in, or one that is there, whose former state is kept.
fn alter(
    step: &mut Step,
    accepted: &mut BTreeMap<FactId, Fact>,
    fact: &Fact,
    change: impl FnOnce(&mut Fact),
) {
    match accepted.get_mut(&fact.id) {
        Some(fact) => {
            change(fact);
            if fact.status != FactStatus::Current {
                step.plan.cut(fact);
            }
        }
        None => step.plan.change_fact(fact, change),
    }
}
