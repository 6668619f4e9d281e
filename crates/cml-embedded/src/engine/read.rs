//! Recalling memories: understand, propose, rank, cut, show.

use std::{
    cell::Cell,
    collections::{HashMap, HashSet},
    sync::atomic::Ordering,
    time::Instant,
};

use chrono::{DateTime, Utc};
use chrono_tz::Tz;
use cml_core::{
    Error, MemoryId, Result, Scope, Score,
    memory::{MemoryItem, MemoryRecord, MemoryStatus, Metadata},
    ops::{
        At, Channel, DEFAULT_CONTEXT_TOKENS, ListRequest, OrderBy, ReadFormat, ReadRequest, ReadResponse,
        RetrievalMeta, Sufficiency,
    },
    packet::{self, Group},
    provider::Embedding,
};

use super::{
    Engine,
    filter::{Filter, earlier},
    generation::Serving,
    graph::Proposal,
    kept::Holds,
    propose::Part,
    recall::{FactBook, Recall, Slot, memories},
};
use crate::{
    embed::StaticModel,
    extract::Extractor,
    search::{
        CANDIDATES, DEFAULT_FLOOR, Hit, Profile, QUOTATION, QueryContext, QueryPlan, SMALL_SCOPE, STRONG,
        SearchRequest, SoftLexicon,
    },
    store::TenantState,
};

/// Added to the score of a memory whose current fact fills the slot that the query asks for; about as
/// much as the best word and vector match together.
const ASKED_SLOT: f64 = 1.0;

/// Relevance of a memory whose current fact fills the slot that the query asks for: it is an answer.
const ANSWERS: f64 = 0.8;

/// Added to the score of a constraint that bears on the situation of the query. That it is returned does
/// not depend on its rank: where people talk about each other it only breaks ties, a request to an
/// assistant or an order is to be carried out within it.
const fn applies(profile: Profile) -> f64 {
    match profile {
        Profile::Chat | Profile::Keywords => 0.3,
        _ => 0.05,
    }
}

/// Most items that are returned where none is strong: a query that memory cannot answer gets a hint,
/// not a page. A read that names its own least relevance gets all.
const WEAK_ITEMS: usize = 5;

/// Most constraints that are returned although nothing in their wording resembles the query.
pub(super) const APPLIED: usize = 5;

/// A read, checked and ready to be searched; owned, so that it can leave the async thread.
#[derive(Debug, Clone)]
pub(super) struct Question {
    pub(super) scope: Scope,
    pub(super) request: ReadRequest,
    pub(super) prefer_session: Option<String>,
    pub(super) now: DateTime<Utc>,
    pub(super) timezone: Tz,
    pub(super) floor: f64,
}

/// What is returned, before the records are fetched.
#[derive(Debug, Default)]
pub(super) struct Selection {
    /// Best first.
    pub(super) hits: Vec<Selected>,
    pub(super) meta: RetrievalMeta,
}

/// A memory to return.
#[derive(Debug)]
pub(super) struct Selected {
    pub(super) record: MemoryId,
    /// Its own relevance.
    pub(super) relevance: f64,
    /// Whether a current constraint rests on it.
    pub(super) constraint: bool,
    pub(super) explain: Option<serde_json::Value>,
}

/// What a search found.
#[derive(Debug, Default)]
pub(super) struct Found {
    hits: Vec<Hit>,
    /// Memories that current constraints rest on.
    constraints: HashSet<MemoryId>,
    /// Those of them that bear on the query.
    pub(super) applied: HashSet<MemoryId>,
    /// Memories whose current fact fills a slot that the query asks for.
    pub(super) answers: HashSet<MemoryId>,
    meta: RetrievalMeta,
    holds: Holds,
}

impl Engine {
    /// Recalls what answers the query, best first.
    ///
    /// # Errors
    /// `InvalidInput`, `Unavailable`.
    pub async fn read(&self, scope: &Scope, request: ReadRequest) -> Result<ReadResponse> {
        Ok(self.recall(scope, request, None).await?.0)
    }

    /// A read that puts the memories of one session first; with the positions of the items that the
    /// rendered context has room for.
    pub(super) async fn recall(
        &self,
        scope: &Scope,
        request: ReadRequest,
        prefer_session: Option<String>,
    ) -> Result<(ReadResponse, Vec<usize>)> {
        let started = Instant::now();
        let question = self.question(scope, request, prefer_session)?;
        let (ranked, meta) = if question.request.query.trim().is_empty() {
            (self.newest(&question).await?, RetrievalMeta::default())
        } else {
            self.search(&question).await?
        };
        let tenant = question.scope.tenant();
        self.accessed(tenant, ranked.iter().map(|(item, _)| item.id), question.now);
        let (mut response, included) = self.respond(&question, ranked, meta);
        response.elapsed_ms = started.elapsed().as_secs_f64() * 1000.0;
        Ok((response, included))
    }

    /// Hits of a query with their own relevance, best first, for verbs that select by it.
    pub(super) async fn matches(
        &self,
        scope: &Scope,
        query: &str,
        least: f64,
    ) -> Result<Vec<(MemoryId, f64)>> {
        let request =
            ReadRequest::new(query).with_max_results(cml_core::ops::MAX_RESULTS).with_min_relevance(least);
        let question = self.question(scope, request, None)?;
        let found = self.find(&question).await?;
        let strong = found.hits.into_iter().filter(|hit| hit.relevance >= least);
        Ok(strong.map(|hit| (hit.record, hit.relevance)).collect())
    }

    fn question(
        &self,
        scope: &Scope,
        request: ReadRequest,
        prefer_session: Option<String>,
    ) -> Result<Question> {
        request.validate()?;
        let mut scope = scope.clone();
        if let Some(session) = request.session_id.as_ref().filter(|session| *session != scope.session()) {
            if !scope.session().is_empty() {
                return Err(Error::invalid("session_id", "contradicts the scope of the call"));
            }
            scope = scope.with_session(session.clone())?;
        }
        let own = scope.namespace();
        if !own.is_empty() && request.namespaces.iter().any(|namespace| namespace != own) {
            return Err(Error::invalid("namespaces", "contradicts the scope of the call"));
        }
        Ok(Question {
            timezone: request.user_timezone.as_deref().map_or(Ok(Tz::UTC), cml_core::time::zone)?,
            floor: request.min_relevance.or(self.config.min_relevance).unwrap_or(DEFAULT_FLOOR),
            now: self.clock.now(),
            prefer_session,
            scope,
            request,
        })
    }

    /// What answers a question, with how it came about: as it was kept, or searched.
    async fn search(&self, question: &Question) -> Result<(Vec<(MemoryItem, Group)>, RetrievalMeta)> {
        let (kept, place) = self.kept_answer(question).await?;
        if let Some(selection) = kept {
            let ranked = self.ranked(question, &selection.hits).await?;
            if ranked.len() == selection.hits.len() {
                self.kept.answers.count(1, 0);
                return Ok((ranked, selection.meta));
            }
        }
        let mut found = self.find(question).await?;
        let hits = question.cut(&mut found);
        let selected = |hit: Hit| Selected {
            record: hit.record,
            relevance: hit.relevance,
            constraint: found.constraints.contains(&hit.record),
            explain: question.request.explain.then(|| explanation(&hit)),
        };
        let selection = Selection { hits: hits.into_iter().map(selected).collect(), meta: found.meta };
        if let Some(place) = place {
            self.kept.answers.count(0, 1);
            self.keep_answer(question, place, &selection, found.holds).await;
        }
        Ok((self.ranked(question, &selection.hits).await?, selection.meta))
    }

    /// The records of `hits` as they are now, or were at the asked instant, with their groups.
    async fn ranked(&self, question: &Question, hits: &[Selected]) -> Result<Vec<(MemoryItem, Group)>> {
        let ids: Vec<MemoryId> = hits.iter().map(|hit| hit.record).collect();
        let mut records: HashMap<MemoryId, MemoryRecord> =
            self.store.records(question.scope.tenant(), &ids).await?.into_iter().map(|r| (r.id, r)).collect();
        if let Some(as_of) = question.request.as_of {
            for record in records.values_mut().filter(|record| record.written_at > as_of) {
                if let Some(former) = self.state_at(record, At::Time(as_of)).await? {
                    *record = former;
                }
            }
        }
        // Relevance never rises down the list: what ranks higher has at least the relevance below it.
        let mut least = 0.0f64;
        let mut ranked: Vec<(MemoryItem, Group)> = hits
            .iter()
            .rev()
            .filter_map(|hit| {
                let record = records.remove(&hit.record)?;
                least = least.max(hit.relevance);
                let group = if hit.constraint { Group::Constraints } else { Group::of(record.memory_type) };
                let mut item = MemoryItem::new(record, Score::clamped(least));
                item.explain.clone_from(&hit.explain);
                Some((item, group))
            })
            .collect();
        ranked.reverse();
        Ok(ranked)
    }

    /// Ranks what the index of the tenant holds, or what the database proposes.
    async fn find(&self, question: &Question) -> Result<Found> {
        let serving = self.generation.get();
        // A model that takes microseconds embeds what is left of the query once it is understood.
        let (vector, error) = if serving.model().additive {
            (None, None)
        } else {
            let vectors = self.vectors(&serving, question.scope.tenant()).await?;
            match vectors.embed_query(&question.request.query).await {
                Ok(vector) => (Some(vector), None),
                Err(error) => {
                    tracing::warn!(%error, "searching by words only");
                    (None, Some(error.message().to_owned()))
                }
            }
        };
        self.kept.searches.fetch_add(1, Ordering::Relaxed);
        let tenant = question.scope.tenant();
        let now = self.store.tenant(tenant).await?;
        let mut found = match self.source(tenant, now).await? {
            Some(source) => self.find_in_database(source, question, now, &serving, vector).await?,
            None => self.find_in_memory(question, now, serving, vector).await?,
        };
        if let Some(error) = error {
            found.holds.steady = false;
            found.meta.channels.push(Channel {
                name: "vectors".to_owned(),
                candidates: 0,
                error: Some(error),
            });
        }
        Ok(found)
    }

    /// Ranks what the index of the tenant holds.
    async fn find_in_memory(
        &self,
        question: &Question,
        now: TenantState,
        serving: Serving,
        vector: Option<Embedding>,
    ) -> Result<Found> {
        let slot = self.indexes.fresh(self, question.scope.tenant(), now, &serving).await?;
        let proposal = if question.is_scored_in_part(&slot) {
            self.proposed(question).await
        } else {
            Proposal::default()
        };
        let (question, extractor) = (question.clone(), self.extractor);
        self.off_thread(move || {
            let recall = slot.read();
            let Some(recall) = recall.as_ref() else { return Found::default() };
            let visible = |namespace: &str, user: &str| question.sees(namespace, user);
            let participants = recall.index.participants(&visible);
            let plan = question.understand(&participants, recall.index.has_assistant(&visible));
            let vector = vector.or_else(|| serving.embedder.embed_now(&plan.embed_text));
            question.search(recall, extractor, &plan, vector.as_ref(), None, proposal)
        })
        .await
    }

    /// What the graph proposes for the names in the query.
    pub(super) async fn proposed(&self, question: &Question) -> Proposal {
        let names = self.extractor.names_asked(&question.request.query);
        self.graph.propose(&question.scope.without_session(), names).await
    }

    /// The newest memories, for an empty query.
    async fn newest(&self, question: &Question) -> Result<Vec<(MemoryItem, Group)>> {
        let request = &question.request;
        let mut list = ListRequest::new().with_order_by(OrderBy::Timestamp);
        list.memory_types.clone_from(&request.memory_types);
        list.context_filter.clone_from(&request.context_filter);
        list.namespaces.clone_from(&request.namespaces);
        list.agents.clone_from(&request.agents);
        list.filter.clone_from(&request.filter);
        (list.since, list.until) = (request.since, request.until);
        list.statuses = vec![MemoryStatus::Active, MemoryStatus::Compressed];
        let at = request.as_of.unwrap_or(question.now);
        let mut ranked = Vec::new();
        let mut seen = HashSet::new();
        loop {
            let page = self.list(&question.scope, list.clone()).await?;
            for record in page.items {
                let ended = record.valid_to.is_some_and(|end| end <= at)
                    || record.expires_at.is_some_and(|end| end <= at);
                let later = request.as_of.is_some_and(|as_of| record.timestamp > as_of);
                let replaced = record.superseded_by_id.is_some() && request.as_of.is_none();
                if !ended && !later && !replaced && seen.insert(record.message_id) {
                    let group = Group::of(record.memory_type);
                    ranked.push((MemoryItem::new(record, Score::ZERO), group));
                    if ranked.len() == request.max_results {
                        return Ok(ranked);
                    }
                }
            }
            match page.next_cursor {
                Some(cursor) => list.cursor = Some(cursor),
                None => return Ok(ranked),
            }
        }
    }

    fn respond(
        &self,
        question: &Question,
        ranked: Vec<(MemoryItem, Group)>,
        meta: RetrievalMeta,
    ) -> (ReadResponse, Vec<usize>) {
        let request = &question.request;
        let mut response = ReadResponse {
            query: request.query.clone(),
            total_count: ranked.len(),
            retrieval_meta: meta,
            ..ReadResponse::default()
        };
        response.retrieval_meta.min_relevance = question.floor;
        response.warnings.extend(response.retrieval_meta.channels.iter().filter_map(|channel| {
            channel.error.as_ref().map(|error| format!("{} left out: {error}", channel.name))
        }));
        if !request.query.trim().is_empty() {
            let strongest = ranked.first().map_or(Score::ZERO, |(item, _)| item.relevance);
            response.sufficiency = Some(Sufficiency {
                sufficient: strongest.get() >= STRONG,
                confidence: strongest,
                support: ranked.iter().filter(|(item, _)| item.relevance.get() >= STRONG).count(),
            });
        }
        let mut included = Vec::new();
        if request.format == ReadFormat::LlmContext {
            let items: Vec<(Group, &MemoryItem)> =
                ranked.iter().map(|(item, group)| (*group, item)).collect();
            let budget = request.max_context_tokens.unwrap_or(DEFAULT_CONTEXT_TOKENS);
            let rendered = packet::render(&items, budget, self.counter.as_ref());
            response.retrieval_meta.tokenizer = self.counter.name().to_owned();
            response.retrieval_meta.context_tokens = Some(rendered.tokens);
            response.retrieval_meta.context_items = Some(rendered.included.len());
            response.llm_context = Some(rendered.text);
            included = rendered.included;
        }
        for (item, group) in ranked {
            if request.format != ReadFormat::List {
                let part = match group {
                    Group::Constraints => &mut response.constraints,
                    Group::Facts => &mut response.facts,
                    Group::Preferences => &mut response.preferences,
                    _ => &mut response.episodes,
                };
                part.push(item.clone());
            }
            response.memories.push(item);
        }
        (response, included)
    }
}

impl Question {
    /// Reads the query, where `participants` and perhaps an assistant talk.
    pub(super) fn understand(&self, participants: &[&str], has_assistant: bool) -> QueryPlan {
        let context = QueryContext {
            reference_time: self.request.reference_time.unwrap_or(self.now),
            timezone: self.timezone,
            speaker: self.request.speaker.as_deref(),
            participants,
            has_assistant,
            lexicon: SoftLexicon::builtin().zip(StaticModel::builtin().ok()),
        };
        QueryPlan::new(&self.request.query, &context)
    }

    /// Ranks what `recall` holds: all of the tenant, or the part of it that was proposed.
    pub(super) fn search(
        &self,
        recall: &Recall,
        extractor: Extractor,
        plan: &QueryPlan,
        vector: Option<&Embedding>,
        part: Option<&Part>,
        proposal: Proposal,
    ) -> Found {
        let visible = |namespace: &str, user: &str| self.sees(namespace, user);
        let mut found = self.facts(&recall.facts, extractor);
        let boosts: Vec<(MemoryId, f64)> = found
            .answers
            .iter()
            .map(|id| (*id, ASKED_SLOT))
            .chain(found.applied.iter().map(|id| (*id, applies(plan.profile))))
            .collect();
        let filter = Filter::new(self);
        let until = Cell::new(None);
        let result = recall.index.search(&SearchRequest {
            plan,
            vector,
            visible: &visible,
            accept: &|record| {
                let proposed = part.is_none_or(|part| part.proposed.contains(&record.row.turn));
                let accepted = proposed && filter.accepts(record);
                if accepted {
                    until.set(earlier(until.get(), filter.end(record)));
                }
                accepted
            },
            session: Some(self.scope.session()).filter(|session| !session.is_empty()),
            prefer_session: self.prefer_session.as_deref(),
            limit: self.candidates(),
            boosts: &boosts,
            proposed: &proposal.memories,
            statistics: part.map(|part| &part.statistics),
            explain: self.request.explain,
        });
        let channel = |name: &str, candidates| Channel { name: name.to_owned(), candidates, error: None };
        let steady = proposal.channel.as_ref().is_none_or(|channel| channel.error.is_none());
        found.holds = Holds { state: Some(recall.state()), until: until.get(), steady };
        found.hits = result.hits;
        found.meta.profile = format!("{:?}", plan.profile).to_lowercase();
        found.meta.candidates = result.candidates;
        if vector.is_some() {
            found.meta.channels.push(channel("vectors", result.candidates));
        }
        found.meta.channels.push(channel("words", result.candidates));
        found.meta.channels.push(channel("facts", found.answers.len()));
        found.meta.channels.push(channel("constraints", found.applied.len()));
        found.meta.channels.extend(proposal.channel);
        for hit in &mut found.hits {
            let silent = recall
                .index
                .record(hit.record)
                .is_some_and(|record| record.row.status == MemoryStatus::Silent);
            if silent && hit.relevance < QUOTATION {
                hit.relevance = -1.0;
            } else if found.answers.contains(&hit.record) {
                hit.relevance = hit.relevance.max(ANSWERS);
            } else if found.applied.contains(&hit.record) {
                hit.relevance = hit.relevance.max(self.floor);
            }
        }
        found.hits.retain(|hit| hit.relevance >= 0.0);
        found
    }

    /// Memories behind facts that the query asks for, and behind constraints.
    pub(super) fn facts(&self, facts: &FactBook, extractor: Extractor) -> Found {
        let query = &self.request.query;
        let slots = extractor.slots_asked(query);
        let situations = extractor.situations(query);
        let mut found = Found::default();
        let mut applied = Vec::new();
        for fact in facts.iter().filter(|fact| self.sees(&fact.namespace, &fact.user_id)) {
            if fact.is_constraint() {
                found.constraints.extend(memories(fact));
            }
            // A diet is a preference by category and bears on every meal all the same.
            if fact.situations.iter().any(|situation| situations.contains(&situation.as_str())) {
                applied.push(fact);
            }
            if self.subjects().contains(&&*fact.subject) && slots.iter().any(|slot| *slot == fact.slot) {
                found.answers.extend(memories(fact));
            }
        }
        applied.sort_by_key(|fact| (std::cmp::Reverse(fact.valid_from), fact.id));
        found.applied = applied.into_iter().take(APPLIED).flat_map(memories).collect();
        found
    }

    /// Whether the scope is too large for every turn to be scored, so that others may propose some.
    fn is_scored_in_part(&self, slot: &Slot) -> bool {
        let visible = |namespace: &str, user: &str| self.sees(namespace, user);
        let turns = slot.read().as_ref().map_or(0, |recall| recall.index.turns(&visible));
        self.scope.session().is_empty() && turns > SMALL_SCOPE
    }

    /// Whose facts a query asks for.
    pub(super) fn subjects(&self) -> [&str; 2] {
        [self.request.speaker.as_deref().unwrap_or("user"), "user"]
    }

    /// Whether metadata, as JSON, match the filter of the request.
    pub(super) fn passes(&self, json: Option<&str>) -> bool {
        self.request.filter.as_ref().is_none_or(|filter| filter.matches(&metadata(json)))
    }

    /// Hits to search for. Some are dropped afterwards: silent memories that are no near-quotation, weak
    /// ones.
    pub(super) fn candidates(&self) -> usize {
        self.request.max_results.max(CANDIDATES)
    }

    fn sees(&self, namespace: &str, user: &str) -> bool {
        self.scope.sees(namespace, user, self.scope.session())
            && (self.request.namespaces.is_empty()
                || self.request.namespaces.iter().any(|name| name == namespace))
    }

    /// The hits that are strong enough, at most as many as were asked for. A constraint that applies
    /// takes the place of the weakest other hit rather than being left out.
    fn cut(&self, found: &mut Found) -> Vec<Hit> {
        let mut hits = std::mem::take(&mut found.hits);
        hits.retain(|hit| hit.relevance >= self.floor);
        let strong = hits.iter().any(|hit| hit.relevance >= STRONG);
        let most = match self.request.min_relevance {
            None if !strong => self.request.max_results.min(WEAK_ITEMS),
            _ => self.request.max_results,
        };
        let mut surplus = hits.len().saturating_sub(most);
        let mut position = hits.len();
        hits.reverse();
        hits.retain(|hit| {
            position -= 1;
            let applies = found.applied.contains(&hit.record) && position >= most;
            let drop = surplus > 0 && !applies;
            surplus -= usize::from(drop);
            !drop
        });
        hits.reverse();
        hits.truncate(most);
        hits
    }
}

fn metadata(json: Option<&str>) -> Metadata {
    json.and_then(|json| serde_json::from_str(json).ok()).unwrap_or_default()
}

/// Why a hit is where it is.
fn explanation(hit: &Hit) -> serde_json::Value {
    let features: serde_json::Map<String, serde_json::Value> = hit
        .features
        .iter()
        .flat_map(|features| features.named())
        .map(|(name, value)| (name.to_owned(), value.into()))
        .collect();
    serde_json::json!({ "score": hit.score, "relevance": hit.relevance, "features": features })
}
