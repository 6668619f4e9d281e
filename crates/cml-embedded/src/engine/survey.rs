//! What is known of a scope that is not held in memory: counts of its turns, who talks, a sample.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

use cml_core::{Result, provider::Embedding};

use super::{
    Engine,
    generation::Serving,
    recall::{Recall, Rows},
};
use crate::{
    search::{CorpusStatistics, Counts, QueryPlan, SMALL_SCOPE, TermFrequency, stems},
    store::{CandidateSource, ModelId, Select, StemFrequency, TenantState, Visible},
};

/// Turns of a sample.
const SAMPLE: u64 = 1_000;

/// A survey is made again when the tenant has changed by one in so many of its turns.
const GROWTH: u64 = 20;

/// Scopes whose surveys are kept, each of up to 1 MB.
const KEPT: usize = 128;

/// What is known of a scope.
#[derive(Debug)]
pub(super) struct Survey {
    pub(super) counts: Counts,
    /// Names under which turns are spoken.
    pub(super) participants: Vec<String>,
    /// Whether an assistant speaks.
    pub(super) has_assistant: bool,
    /// Some of the turns with their records; none where the scope is read as a whole.
    sample: Recall,
    at: TenantState,
    model: ModelId,
}

impl Survey {
    /// The statistics of the scope for a query: `found` where counting came to an end before `most`, else
    /// estimated from the sample.
    pub(super) fn statistics(
        &self,
        plan: &QueryPlan,
        vector: Option<&Embedding>,
        found: &[StemFrequency],
        most: u64,
    ) -> CorpusStatistics {
        let sampled = self.sample.index.statistics(&|_, _| true, plan, vector);
        let share = self.counts.turns as f32 / sampled.counts.turns.max(1) as f32;
        let terms = sampled.terms.iter().zip(found).map(|(sampled, found)| {
            let counted = found.turns as f32;
            let turns = if found.turns < most { counted } else { counted.max(sampled.turns * share) };
            // Sessions as they are among the turns that were counted.
            let units = |counted_units: u64| counted_units as f32 * turns / counted.max(1.0);
            TermFrequency {
                turns,
                units: units(found.units).min(self.counts.units() as f32),
                user_units: units(found.user_units).min(self.counts.units() as f32),
                dated: if sampled.dated > 0.0 { turns.max(sampled.dated * share) } else { 0.0 },
            }
        });
        CorpusStatistics { counts: self.counts, terms: terms.collect(), cosines: sampled.cosines }
    }

    fn is_stale(&self, now: TenantState, model: ModelId) -> bool {
        self.model != model || has_grown(self.at, now, self.counts.turns)
    }
}

/// Whether counts of `turns` made at `then` are too old: something was erased, or much was added.
fn has_grown(then: TenantState, now: TenantState, turns: u64) -> bool {
    then.epoch != now.epoch || now.last_seq.abs_diff(then.last_seq).saturating_mul(GROWTH) > turns
}

/// The surveys of scopes in use.
#[derive(Debug, Default)]
pub(super) struct Surveys {
    /// By tenant, namespace, user and the namespaces of the read.
    scopes: Mutex<HashMap<Vec<String>, Arc<Slot>>>,
    /// Number of turns of tenants, and when it was counted.
    tenants: Mutex<HashMap<String, (TenantState, u64)>>,
}

#[derive(Debug, Default)]
struct Slot {
    survey: Mutex<Option<Arc<Survey>>>,
    /// Held by the one reader that makes the survey.
    making: tokio::sync::Mutex<()>,
}

impl Slot {
    fn get(&self) -> Option<Arc<Survey>> {
        self.survey.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Surveys {
    /// Forgets everything.
    pub(super) fn clear(&self) {
        self.scopes.lock().unwrap_or_else(PoisonError::into_inner).clear();
        self.tenants.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }

    /// About how many turns the tenant has.
    pub(super) async fn turns(
        &self,
        source: &dyn CandidateSource,
        tenant: &str,
        now: TenantState,
    ) -> Result<u64> {
        let known = self.tenants.lock().unwrap_or_else(PoisonError::into_inner).get(tenant).copied();
        if let Some((then, turns)) = known
            && !has_grown(then, now, turns)
        {
            return Ok(turns);
        }
        let turns = source.turn_count(tenant).await?;
        let mut tenants = self.tenants.lock().unwrap_or_else(PoisonError::into_inner);
        tenants.insert(tenant.to_owned(), (now, turns));
        Ok(turns)
    }

    fn slot(&self, visible: Visible<'_>) -> Arc<Slot> {
        let scope = visible.scope;
        let mut namespaces: Vec<String> = visible.namespaces.to_vec();
        namespaces.sort_unstable();
        let names = [scope.tenant(), scope.namespace(), scope.user()].map(str::to_owned);
        let key = names.into_iter().chain(namespaces).collect();
        let mut scopes = self.scopes.lock().unwrap_or_else(PoisonError::into_inner);
        if scopes.len() >= KEPT && !scopes.contains_key(&key) {
            scopes.clear();
        }
        Arc::clone(scopes.entry(key).or_default())
    }
}

impl Engine {
    /// What is known of what may be seen; at most one in [`GROWTH`] turns too old.
    pub(super) async fn survey(
        &self,
        source: &dyn CandidateSource,
        visible: Visible<'_>,
        now: TenantState,
        serving: &Serving,
    ) -> Result<Arc<Survey>> {
        let slot = self.surveys.slot(visible);
        let fresh = |survey: &Arc<Survey>| !survey.is_stale(now, serving.id);
        if let Some(survey) = slot.get().filter(fresh) {
            return Ok(survey);
        }
        let making = slot.making.lock().await;
        if let Some(survey) = slot.get().filter(fresh) {
            return Ok(survey);
        }
        self.generation.check(self.store.as_ref()).await?;
        let survey = Arc::new(self.make_survey(source, visible, now, serving).await?);
        *slot.survey.lock().unwrap_or_else(PoisonError::into_inner) = Some(Arc::clone(&survey));
        drop(making);
        Ok(survey)
    }

    async fn make_survey(
        &self,
        source: &dyn CandidateSource,
        visible: Visible<'_>,
        now: TenantState,
        serving: &Serving,
    ) -> Result<Survey> {
        let tenant = visible.scope.tenant();
        let census = source.census(visible).await?;
        let mut counts = Counts { sessions: census.sessions, ..Counts::default() };
        let mut participants: Vec<String> = Vec::new();
        for voice in &census.voices {
            let terms = voice.terms + voice.turns * stems(&voice.speaker).len() as u64;
            counts = counts.plus(Counts {
                turns: voice.turns,
                in_session: voice.in_session,
                sessions: 0,
                terms,
                user_terms: if voice.assistant { 0 } else { terms },
            });
            participants.extend(Some(&voice.speaker).filter(|name| !name.is_empty()).cloned());
        }
        participants.sort_unstable();
        participants.dedup();
        let mut sample = Recall::new(serving, now);
        if counts.turns > SMALL_SCOPE as u64 || self.always_proposes() {
            let ids = source.sample(visible, counts.turns, SAMPLE).await?;
            let turns = self.store.turns(tenant, Select::Ids(&ids)).await?;
            let ids = source.records_of_turns(tenant, &ids).await?;
            let records = self.store.indexed(tenant, serving.id, Select::Ids(&ids)).await?;
            sample = self.off_thread(move || sample.with(Rows { turns, records, ..Rows::default() })).await?;
        }
        Ok(Survey {
            counts,
            participants,
            has_assistant: census.voices.iter().any(|voice| voice.assistant),
            sample,
            at: now,
            model: serving.id,
        })
    }
}
