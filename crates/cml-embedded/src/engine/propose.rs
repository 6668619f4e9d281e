//! Reads of tenants too large for memory: candidates come from the database and are scored as any others.
//!
//! Small scopes are read as a whole. Of larger ones the database proposes turns by words and by vectors;
//! they, the turns around them and, within bounds, their sessions make a small index that is searched with
//! the statistics of the whole scope.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};

use cml_core::{
    Error, ErrorKind, MemoryId, MessageId, Result,
    config::{Candidates, EngineConfig},
    memory::{Fact, FactStatus},
    provider::Embedding,
};

use super::{
    Engine,
    filter::RETURNED,
    generation::Serving,
    graph::Proposal,
    read::{APPLIED, Found, Question},
    recall::{Recall, Rows},
    survey::Survey,
};
use crate::{
    search::{CorpusStatistics, NEIGHBOURHOOD, QueryPlan, SMALL_SCOPE},
    store::{CandidateFilter, CandidateSource, IndexedRow, Select, Store, TenantState, Visible, WantedWords},
};

/// Turns up to which each word of a query is counted; how many there are of a more frequent one is
/// estimated.
const COUNTED: usize = 1_000;

/// Turns looked at for their words, at most.
const LOOKED_AT: usize = 5_000;

/// Records proposed at most before a metadata filter is applied to them.
const MOST_FILTERED: usize = 1_600;

/// Turns read beside the candidates and their neighbours, so that their sessions can be scored.
const SESSION_TURNS: usize = 1_500;

/// Turns read of one session, the last ones.
const TURNS_OF_A_SESSION: usize = 200;

/// Turns read of the session that a read is restricted to, the last ones.
const TURNS_OF_THE_SESSION: usize = 2_000;

/// A part of a tenant's turns, proposed for one query.
#[derive(Debug)]
pub(super) struct Part {
    /// The turns that may be returned; the others only surround them.
    pub(super) proposed: HashSet<MessageId>,
    /// What holds of all turns of the scope.
    pub(super) statistics: CorpusStatistics,
}

/// Refuses a store that cannot propose candidates where it is to.
pub(super) fn check(store: &dyn Store, config: &EngineConfig) -> Result<()> {
    if config.candidates != Candidates::Database || store.candidates().is_some() {
        return Ok(());
    }
    let message = "engine.candidates: this store cannot propose candidates";
    Err(Error::new(ErrorKind::Config, message).with_suggestion("set it to \"auto\" or \"memory\""))
}

impl Engine {
    /// What proposes candidates of a read of the tenant; `None` when its index in memory does.
    pub(super) async fn source(
        &self,
        tenant: &str,
        now: TenantState,
    ) -> Result<Option<&dyn CandidateSource>> {
        let Some(source) = self.store.candidates() else { return Ok(None) };
        let most = self.config.index_max_turns as u64;
        let proposes = match self.config.candidates {
            Candidates::Memory => false,
            Candidates::Database => true,
            // Each turn was a change.
            _ if now.last_seq <= most => false,
            _ => self.surveys.turns(source, tenant, now).await? > most,
        };
        Ok(proposes.then_some(source))
    }

    /// Ranks what the database proposes.
    pub(super) async fn find_in_database(
        &self,
        source: &dyn CandidateSource,
        question: &Question,
        now: TenantState,
        serving: &Serving,
        vector: Option<Embedding>,
    ) -> Result<Found> {
        let scope = question.scope.without_session();
        let visible = Visible { scope: &scope, namespaces: &question.request.namespaces };
        let survey = self.survey(source, visible, now, serving).await?;
        let (plan, vector) = {
            let (question, survey, serving) = (question.clone(), Arc::clone(&survey), serving.clone());
            self.off_thread(move || {
                let participants: Vec<&str> = survey.participants.iter().map(String::as_str).collect();
                let plan = question.understand(&participants, survey.has_assistant);
                let vector = vector.or_else(|| serving.embedder.embed_now(&plan.embed_text));
                (plan, vector)
            })
            .await?
        };
        let reading = Reading { engine: self, source, question, visible, serving, now };
        let whole = if survey.counts.turns <= SMALL_SCOPE as u64 && !self.always_proposes() {
            reading.whole().await?
        } else {
            None
        };
        let (recall, part, proposal) = match whole {
            Some(recall) => (recall, None, Proposal::default()),
            None => {
                let proposal = self.proposed(question).await;
                let (recall, part) =
                    reading.part(&survey, &plan, vector.as_ref(), &proposal.memories).await?;
                (recall, Some(part), proposal)
            }
        };
        let (question, extractor) = (question.clone(), self.extractor);
        let search =
            move || question.search(&recall, extractor, &plan, vector.as_ref(), part.as_ref(), proposal);
        self.off_thread(search).await
    }

    /// Whether small scopes are proposed from as well.
    pub(super) fn always_proposes(&self) -> bool {
        self.config.candidates == Candidates::Database && self.config.index_max_turns == 0
    }
}

/// What turns are proposed by.
enum By<'a> {
    Words(WantedWords<'a>),
    Vector(&'a [f32]),
}

/// One read from the database.
struct Reading<'a> {
    engine: &'a Engine,
    source: &'a dyn CandidateSource,
    question: &'a Question,
    visible: Visible<'a>,
    serving: &'a Serving,
    now: TenantState,
}

impl Reading<'_> {
    fn tenant(&self) -> &str {
        self.visible.scope.tenant()
    }

    /// Everything visible; `None` when that is more than a few turns after all.
    async fn whole(&self) -> Result<Option<Recall>> {
        let most = 2 * SMALL_SCOPE;
        let turns = self.source.visible_turns(self.visible, most + 1).await?;
        if turns.len() > most {
            return Ok(None);
        }
        // What is not visible still stands between the turns of a session.
        let around = self.source.around(self.tenant(), &turns, 1).await?;
        let facts = self.facts_asked().await?;
        let beside: HashSet<MessageId> = around.into_iter().map(|(turn, _)| turn).collect();
        let rows = self.rows(&turns, beside).await?;
        Ok(Some(self.recall(rows, facts, &[]).await?))
    }

    /// What the database proposes, with what surrounds it.
    async fn part(
        &self,
        survey: &Survey,
        plan: &QueryPlan,
        vector: Option<&Embedding>,
        by_graph: &[MemoryId],
    ) -> Result<(Recall, Part)> {
        let ((statistics, by_words), by_vector, facts, session) = tokio::try_join!(
            self.by_words(survey, plan, vector),
            self.by_vector(vector),
            self.facts_asked(),
            self.of_session(),
        )?;
        let mut proposals: Vec<MessageId> = self.boosted(&facts).await?;
        for place in 0..by_words.len().max(by_vector.len()) {
            proposals.extend([&by_words, &by_vector].into_iter().filter_map(|turns| turns.get(place)));
        }
        proposals.extend(session);
        proposals.extend(self.turns_of(by_graph).await?);
        let mut seen = HashSet::new();
        proposals.retain(|turn| seen.insert(*turn));
        // Neighbours of candidates are candidates, and have neighbours of their own.
        let near = NEIGHBOURHOOD as u32;
        let around = self.source.around(self.tenant(), &proposals, 2 * near).await?;
        let mut proposed = seen;
        proposed.extend(around.iter().filter(|(_, distance)| *distance <= near).map(|(turn, _)| *turn));
        let beside: HashSet<MessageId> = around.into_iter().map(|(turn, _)| turn).collect();
        let mut rows = self.rows(&proposals, beside).await?;
        self.add_sessions(&mut rows, &proposals).await?;
        let candidates: Vec<MemoryId> = rows
            .records
            .iter()
            .filter(|record| proposed.contains(&record.turn))
            .map(|record| record.id)
            .collect();
        let recall = self.recall(rows, facts, &candidates).await?;
        Ok((recall, Part { proposed, statistics }))
    }

    fn filter(&self) -> CandidateFilter<'_> {
        let request = &self.question.request;
        CandidateFilter {
            visible: self.visible,
            session: Some(self.question.scope.session()).filter(|session| !session.is_empty()),
            statuses: &RETURNED,
            memory_types: &request.memory_types,
            agents: &request.agents,
            tags: &request.context_filter,
            since: request.since,
            until: request.until,
            at: request.as_of.unwrap_or(self.question.now),
            as_of: request.as_of.is_some(),
        }
    }

    /// The statistics of the scope, and turns with the words of the query: the rare ones, as many as can
    /// be looked through.
    async fn by_words(
        &self,
        survey: &Survey,
        plan: &QueryPlan,
        vector: Option<&Embedding>,
    ) -> Result<(CorpusStatistics, Vec<MessageId>)> {
        let stems: Vec<&str> = plan.terms.iter().map(|term| &*term.stem).collect();
        let found = self.source.frequencies(self.visible, &stems, COUNTED).await?;
        let statistics = survey.statistics(plan, vector, &found, COUNTED as u64);
        let mut places: Vec<usize> =
            (0..plan.terms.len()).filter(|&place| statistics.terms[place].turns > 0.0).collect();
        places.sort_by(|&a, &b| statistics.terms[a].turns.total_cmp(&statistics.terms[b].turns));
        let stem = |place: usize| &*plan.terms[place].stem;
        let mut looked_at = 0.0;
        let rare = places.iter().take_while(|&&place| {
            looked_at += statistics.terms[place].turns;
            looked_at <= LOOKED_AT as f32
        });
        let any: Vec<&str> = rare.map(|&place| stem(place)).collect();
        // Where each word alone is too frequent, the two rarest together.
        let all: Vec<&str> = places.iter().take(2).map(|&place| stem(place)).collect();
        let weights: Vec<(&str, f32)> = places
            .iter()
            .map(|&place| (stem(place), plan.terms[place].weight * statistics.rarity(place)))
            .collect();
        if weights.is_empty() {
            return Ok((statistics, Vec::new()));
        }
        let words = WantedWords {
            all: if any.is_empty() { &all } else { &[] },
            any: &any,
            weights: &weights,
            most: LOOKED_AT,
        };
        let turns = self.enough(&By::Words(words)).await?;
        Ok((statistics, turns))
    }

    /// Turns near the query.
    async fn by_vector(&self, vector: Option<&Embedding>) -> Result<Vec<MessageId>> {
        let vector = vector.filter(|vector| vector.vector.iter().any(|&value| value != 0.0));
        let Some(vector) = vector else { return Ok(Vec::new()) };
        self.enough(&By::Vector(&vector.vector)).await
    }

    /// Proposals, as many as are wanted of those that the metadata filter lets through.
    async fn enough(&self, by: &By<'_>) -> Result<Vec<MessageId>> {
        let filter = self.filter();
        let wanted = self.question.candidates();
        let mut limit = wanted;
        loop {
            let mut turns = match by {
                By::Words(words) => self.source.with_words(&filter, words, limit).await?,
                By::Vector(vector) => {
                    let near = self.source.near(&filter, self.serving.id, vector, limit).await?;
                    near.into_iter().map(|(_, turn)| turn).collect()
                }
            };
            if self.question.request.filter.is_none() {
                return Ok(turns);
            }
            let complete = turns.len() < limit;
            let rows = self.records(&turns).await?;
            let passing: HashSet<MessageId> = rows
                .iter()
                .filter(|row| self.question.passes(row.metadata.as_deref()))
                .map(|row| row.turn)
                .collect();
            turns.retain(|turn| passing.contains(turn));
            if complete || turns.len() >= wanted || limit >= MOST_FILTERED {
                turns.truncate(wanted);
                return Ok(turns);
            }
            limit *= 4;
        }
    }

    /// Turns of the session that the read is restricted to.
    async fn of_session(&self) -> Result<Vec<MessageId>> {
        let session = self.question.scope.session();
        if session.is_empty() {
            return Ok(Vec::new());
        }
        let most = TURNS_OF_THE_SESSION;
        self.source.session_turns(self.tenant(), &[session], most, most).await
    }

    /// Current facts that the query asks for, or that bear on it.
    async fn facts_asked(&self) -> Result<Vec<Fact>> {
        let (query, extractor) = (&self.question.request.query, self.engine.extractor);
        let slots = extractor.slots_asked(query);
        let slots: Vec<&str> = slots.iter().map(|slot| &**slot).collect();
        let situations = extractor.situations(query);
        if slots.is_empty() && situations.is_empty() {
            return Ok(Vec::new());
        }
        let subjects = self.question.subjects();
        let ids = self.source.facts_for(self.visible, &subjects, &slots, &situations, APPLIED).await?;
        self.engine.store.indexed_facts(self.tenant(), Select::Ids(&ids)).await
    }

    /// The turns of the memories that facts propose.
    async fn boosted(&self, facts: &[Fact]) -> Result<Vec<MessageId>> {
        let book = facts.iter().cloned().collect();
        let found = self.question.facts(&book, self.engine.extractor);
        let ids: Vec<MemoryId> = found.answers.union(&found.applied).copied().collect();
        self.turns_of(&ids).await
    }

    async fn turns_of(&self, records: &[MemoryId]) -> Result<Vec<MessageId>> {
        if records.is_empty() {
            return Ok(Vec::new());
        }
        let select = Select::Ids(records);
        let records = self.engine.store.indexed(self.tenant(), self.serving.id, select).await?;
        Ok(records.into_iter().map(|record| record.turn).collect())
    }

    /// The turns, and those beside them; with their records.
    async fn rows(&self, turns: &[MessageId], mut beside: HashSet<MessageId>) -> Result<Rows> {
        beside.extend(turns);
        let ids: Vec<MessageId> = beside.into_iter().collect();
        let turns = self.engine.store.turns(self.tenant(), Select::Ids(&ids)).await?;
        Ok(Rows { turns, records: self.records(&ids).await?, ..Rows::default() })
    }

    /// Adds the sessions of the proposals, the best first, within bounds.
    async fn add_sessions(&self, rows: &mut Rows, proposals: &[MessageId]) -> Result<()> {
        let session_of: HashMap<MessageId, &str> =
            rows.turns.iter().map(|turn| (turn.id, turn.session.as_str())).collect();
        let mut sessions: Vec<&str> = Vec::new();
        let mut seen = HashSet::new();
        for session in proposals.iter().filter_map(|turn| session_of.get(turn)) {
            if !session.is_empty() && seen.insert(*session) {
                sessions.push(session);
            }
        }
        if sessions.is_empty() {
            return Ok(());
        }
        let mut turns =
            self.source.session_turns(self.tenant(), &sessions, TURNS_OF_A_SESSION, SESSION_TURNS).await?;
        turns.retain(|turn| !session_of.contains_key(turn));
        let more = self.rows(&turns, HashSet::new()).await?;
        rows.turns.extend(more.turns);
        rows.records.extend(more.records);
        Ok(())
    }

    async fn records(&self, turns: &[MessageId]) -> Result<Vec<IndexedRow>> {
        let ids = self.source.records_of_turns(self.tenant(), turns).await?;
        self.engine.store.indexed(self.tenant(), self.serving.id, Select::Ids(&ids)).await
    }

    /// An index of the rows, with these facts and those that rest on `records`.
    async fn recall(&self, mut rows: Rows, facts: Vec<Fact>, records: &[MemoryId]) -> Result<Recall> {
        let records: Vec<MemoryId> = if records.is_empty() {
            rows.records.iter().map(|record| record.id).collect()
        } else {
            records.to_vec()
        };
        rows.facts = self.engine.store.facts_of(self.tenant(), &records).await?;
        rows.facts.extend(facts);
        rows.facts.retain(|fact| fact.status == FactStatus::Current);
        let recall = Recall::new(self.serving, self.now);
        self.engine.off_thread(move || recall.with(rows)).await
    }
}
