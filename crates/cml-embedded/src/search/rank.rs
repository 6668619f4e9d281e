//! One search: scores of words and vectors, candidates, features, order.

use std::cell::Cell;

use cml_core::memory::Role;
use cml_core::provider::Embedding;
use cml_core::{MemoryId, MessageId};
use rustc_hash::FxHashMap;

use super::dense::Dense;
use super::features::{Feature, Features, closeness, normalised};
use super::index::TenantIndex;
use super::lexical::Lexical;
use super::partition::NONE;
use super::query::{Asked, QueryPlan};
use super::relevance::{Evidence, relevance};
use super::rows::IndexedRecord;
use super::statistics::CorpusStatistics;
use super::vectors::QueryVector;
use super::view::View;
use super::weights::Weights;

/// What to search for, where, and under which conditions.
#[derive(Clone, Copy)]
#[expect(clippy::exhaustive_structs, reason = "built field by field by the caller")]
pub struct SearchRequest<'a> {
    /// The query, understood.
    pub plan: &'a QueryPlan,
    /// The query's vector; `None` searches by words only.
    pub vector: Option<&'a Embedding>,
    /// Whether a partition, given by namespace and user, may be read at all.
    pub visible: &'a dyn Fn(&str, &str) -> bool,
    /// Whether a record may be returned. Statistics and neighbours are not affected.
    pub accept: &'a dyn Fn(&IndexedRecord<'_>) -> bool,
    /// Returns only turns of this session.
    pub session: Option<&'a str>,
    /// Puts turns of this session ahead by [`PREFERENCE`].
    pub prefer_session: Option<&'a str>,
    /// Most hits returned, besides those of `boosts`.
    pub limit: usize,
    /// Records proposed by others, each with what is added to its turn's score. They are candidates
    /// whatever their words and vectors; several for one turn count with their largest.
    pub boosts: &'a [(MemoryId, f64)],
    /// Records proposed by others that are candidates whatever their words and vectors, with nothing added.
    pub proposed: &'a [MemoryId],
    /// Statistics of all visible turns, where the index holds a part of them only; counted in the index
    /// where absent.
    pub statistics: Option<&'a CorpusStatistics>,
    /// Whether hits carry their features.
    pub explain: bool,
}

/// What a search found.
#[derive(Debug, Clone, Default, PartialEq)]
#[non_exhaustive]
pub struct SearchResult {
    /// One hit per turn, best first; equal scores newest first, then by id.
    pub hits: Vec<Hit>,
    /// Number of turns that were scored.
    pub candidates: usize,
}

/// A turn that was found, by its best record.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Hit {
    /// The accepted record of the turn that is closest to the query.
    pub record: MemoryId,
    /// The turn.
    pub turn: MessageId,
    /// Orders the hits of this search; of no meaning outside it.
    pub score: f64,
    /// How well the turn answers the query, 0.0..=1.0, comparable between searches.
    pub relevance: f64,
    /// What the score is made of, if asked for.
    pub features: Option<Features>,
    /// What the relevance is made of.
    pub evidence: Evidence,
}

/// What a preferred session adds to a score: as much as a middling word match.
pub const PREFERENCE: f64 = 0.5;

/// Turns taken by words and by vectors each where not all are scored.
pub const CANDIDATES: usize = 100;

/// Share of the query's idf by which word scores are divided at least: where the best match is a poor one,
/// it does not count as a full one.
const LEAST: f32 = 0.2;

/// Scopes of up to so many turns are scored as a whole.
pub const SMALL_SCOPE: usize = 1_000;

impl TenantIndex {
    /// Finds the turns that answer a query best.
    #[must_use]
    pub fn search(&self, request: &SearchRequest<'_>) -> SearchResult {
        thread_local! {
            static SCRATCH: Cell<Option<Box<Scratch>>> = const { Cell::new(None) };
        }
        // Taken out while in use, so that a filter that searches, or panics, finds none rather than this one.
        let mut scratch = SCRATCH.take().unwrap_or_default();
        let result = Search::new(self, request, &mut scratch).run();
        SCRATCH.set(Some(scratch));
        result
    }
}

impl std::fmt::Debug for SearchRequest<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SearchRequest")
            .field("profile", &self.plan.profile)
            .field("limit", &self.limit)
            .finish_non_exhaustive()
    }
}

#[derive(Debug, Default)]
struct Scratch {
    lexical: Lexical,
    dense: Dense,
}

struct Search<'a, 's> {
    request: &'a SearchRequest<'a>,
    view: View<'a>,
    lexical: &'s Lexical,
    dense: &'s Dense,
    vectors: bool,
    session: Option<u32>,
    largest: Largest,
    /// Means of the three best soft and dense values, by session.
    best_of_session: FxHashMap<u32, (f32, f32)>,
}

/// Largest values of this query, for normalising.
#[derive(Debug, Clone, Copy)]
struct Largest {
    own: f32,
    context: f32,
    session: f32,
    user_session: f32,
    date: f32,
    soft: f32,
}

/// A candidate with its best record.
struct Candidate {
    number: usize,
    record: usize,
}

impl<'a, 's> Search<'a, 's> {
    fn new(index: &'a TenantIndex, request: &'a SearchRequest<'a>, scratch: &'s mut Scratch) -> Self {
        let view = View::new(index, request.visible, request.statistics);
        let query =
            request.vector.and_then(|vector| QueryVector::new(&vector.vector, index.options.dimensions));
        scratch.lexical.fill(&view, request.plan);
        scratch.dense.fill(&view, query.as_ref());
        let lexical = &scratch.lexical;
        let largest = |values: &[f32]| values.iter().fold(0.0, |largest: f32, &value| largest.max(value));
        let least = LEAST * lexical.idf_sum;
        Self {
            request,
            lexical,
            dense: &scratch.dense,
            vectors: query.is_some(),
            session: request.session.map(|name| index.session_id(name).unwrap_or(NONE)),
            largest: Largest {
                own: largest(&lexical.own).max(least),
                context: largest(&lexical.context).max(least),
                session: largest(&lexical.session),
                user_session: largest(&lexical.user_session),
                date: largest(&lexical.date),
                soft: largest(&lexical.soft).max(least),
            },
            best_of_session: FxHashMap::default(),
            view,
        }
    }

    fn run(mut self) -> SearchResult {
        let weights = Weights::measured(self.request.plan.profile, self.vectors);
        let candidates = self.candidates();
        let boosts = self.boosts();
        let preferred = self.request.prefer_session.and_then(|name| self.view.index.session_id(name));
        let mut scored: Vec<(f64, Features, Candidate)> = Vec::with_capacity(candidates.len());
        for candidate in candidates {
            let features = self.features(candidate.number);
            let mut score = weights.score(&features);
            score += boosts.get(&candidate.number).copied().unwrap_or(0.0);
            if preferred.is_some_and(|session| self.view.turn(candidate.number).session == session) {
                score += PREFERENCE;
            }
            scored.push((score, features, candidate));
        }
        let count = scored.len();
        let order = |a: &(f64, Features, Candidate), b: &(f64, Features, Candidate)| {
            let (first, second) = (self.view.turn(a.2.number), self.view.turn(b.2.number));
            b.0.total_cmp(&a.0)
                .then_with(|| second.said_at.cmp(&first.said_at))
                .then_with(|| first.id.cmp(&second.id))
        };
        if scored.len() > self.request.limit && self.request.limit > 0 {
            scored.select_nth_unstable_by(self.request.limit - 1, order);
        }
        // What was proposed with a boost is returned whatever its place.
        let mut rest = scored.split_off(scored.len().min(self.request.limit));
        rest.retain(|(_, _, candidate)| boosts.contains_key(&candidate.number));
        scored.append(&mut rest);
        scored.sort_unstable_by(order);
        let hits = scored.iter().filter_map(|(score, features, candidate)| {
            let (part, _) = self.view.part(candidate.number);
            let evidence = self.evidence(candidate.number, features);
            Some(Hit {
                record: part.partition.records.get(candidate.record)?.as_ref()?.id,
                turn: self.view.turn(candidate.number).id,
                score: *score,
                relevance: relevance(&evidence),
                features: self.request.explain.then_some(*features),
                evidence,
            })
        });
        SearchResult { hits: hits.collect(), candidates: count }
    }

    /// The turns worth scoring that may be returned, each with its best record.
    fn candidates(&self) -> Vec<Candidate> {
        let mut numbers: Vec<usize> = Vec::new();
        if let Some(session) = self.session {
            let session = self.view.index.sessions.get(session as usize);
            numbers.extend(
                session
                    .into_iter()
                    .flat_map(|session| session.turns())
                    .filter_map(|turn| self.view.number(turn)),
            );
        } else if self.view.turns <= SMALL_SCOPE {
            self.view.for_each_turn(|number, _, _, _| numbers.push(number));
        } else {
            let context = |number: usize| self.lexical.context[number];
            let dense = |number: usize| self.dense.own[number].max(self.dense.context[number]);
            let count = CANDIDATES.max(self.request.limit);
            let mut best = self.best(count, &context);
            best.extend(self.best(count, &dense));
            for number in best {
                numbers.extend(self.view.around(number).into_iter().flatten());
            }
            numbers.extend(self.boosts().keys().copied());
            numbers.extend(self.request.proposed.iter().filter_map(|record| self.turn_of(*record)));
            numbers.sort_unstable();
            numbers.dedup();
        }
        numbers.iter().filter_map(|&number| self.accepted(number)).collect()
    }

    /// The `count` turns with the highest positive scores that may be returned.
    fn best(&self, count: usize, score: &dyn Fn(usize) -> f32) -> Vec<usize> {
        // A list of twice the length, cut back when full: each turn is compared with the worst kept so far.
        let mut kept: Vec<(f32, usize)> = Vec::with_capacity(2 * count);
        let mut worst = 0.0_f32;
        let cut = |kept: &mut Vec<(f32, usize)>| {
            kept.sort_unstable_by(|a, b| {
                let (first, second) = (self.view.turn(a.1), self.view.turn(b.1));
                b.0.total_cmp(&a.0)
                    .then_with(|| second.said_at.cmp(&first.said_at))
                    .then_with(|| first.id.cmp(&second.id))
            });
            kept.truncate(count);
        };
        self.view.for_each_turn(|number, _, _, _| {
            let score = score(number);
            if score > 0.0 && score >= worst && self.accepted(number).is_some() {
                kept.push((score, number));
                if kept.len() == 2 * count {
                    cut(&mut kept);
                    worst = kept.last().map_or(0.0, |last| last.0);
                }
            }
        });
        cut(&mut kept);
        kept.into_iter().map(|(_, number)| number).collect()
    }

    /// The best record of a turn among those that may be returned.
    fn accepted(&self, number: usize) -> Option<Candidate> {
        let (part, slot) = self.view.part(number);
        let mut best: Option<(f32, usize)> = None;
        for chunk in part.partition.chunks(slot as u32) {
            let record = self.view.index.record_at(part.partition, chunk);
            if record.is_some_and(|record| (self.request.accept)(&record)) {
                let cosine = self.dense.records[part.first_record + chunk];
                if best.is_none_or(|(other, _)| cosine > other) {
                    best = Some((cosine, chunk));
                }
            }
        }
        best.map(|(_, record)| Candidate { number, record })
    }

    /// The number of a record's turn, if it is visible.
    fn turn_of(&self, record: MemoryId) -> Option<usize> {
        let (partition, slot) = self.view.index.place_of_record(record)?;
        let slot = *self.view.index.partitions[partition as usize].record_turns.get(slot as usize)?;
        self.view.number(super::sessions::TurnRef { partition, slot })
    }

    /// What is added to turns, by their number.
    fn boosts(&self) -> FxHashMap<usize, f64> {
        let mut boosts: FxHashMap<usize, f64> = FxHashMap::default();
        for &(record, boost) in self.request.boosts {
            if let Some(turn) = self.turn_of(record) {
                let sum = boosts.entry(turn).or_insert(boost);
                *sum = sum.max(boost);
            }
        }
        boosts
    }

    /// Every score of a turn.
    fn features(&mut self, number: usize) -> Features {
        use Feature as F;
        let (lexical, dense, largest) = (self.lexical, self.dense, self.largest);
        let turn = self.view.turn(number);
        let [prev2, prev, _, next, _] = self.view.around(number);
        let own =
            |number: Option<usize>| number.map_or(0.0, |number| normalised(lexical.own[number], largest.own));
        let unit = self.view.unit(turn.session, number);
        let (soft_session, dense_session) = self.session_means(turn.session, number);
        let mut features = Features::default();
        features.set(F::Lex, own(Some(number)));
        features.set(F::LexNext, own(next));
        features.set(F::LexPrev2, own(prev2));
        features.set(F::LexContext, normalised(lexical.context[number], largest.context));
        features.set(F::LexSession, normalised(lexical.session[unit], largest.session));
        features.set(F::LexUserSession, normalised(lexical.user_session[unit], largest.user_session));
        features.set(F::Date, lexical.date.get(number).map_or(0.0, |&gain| normalised(gain, largest.date)));
        features.set(F::Cover, self.covered_near(number));
        features.set(F::Soft, normalised(lexical.soft[number], largest.soft));
        features.set(F::SoftSession, normalised(soft_session, largest.soft));
        features.set(F::Dense, dense.own[number]);
        features.set(F::DenseContext, dense.context[number]);
        features.set(F::DenseSession, dense_session);
        features.set(F::Speaker, self.speaker(number));
        features.set(F::IsQuestion, f32::from(turn.flags.ends_with_question));
        let asked_before = prev.is_some_and(|prev| self.view.turn(prev).flags.has_question);
        features.set(F::PrevIsQuestion, f32::from(asked_before));
        features.set(F::Length, (turn.words as f32).ln_1p());
        let answer = self.request.plan.answer;
        features.set(F::Time, f32::from(answer.time && turn.flags.has_time));
        features.set(F::Number, f32::from(answer.number && turn.flags.has_number));
        features.set(F::Name, if answer.name { f32::from(turn.flags.names) } else { 0.0 });
        features.set(F::NearTime, self.near_time(number));
        features.set(F::Opens, f32::from(turn.session != NONE && prev.is_none()));
        features
    }

    /// Closeness of when a turn was said, or of what it tells of, to the times that the query names.
    fn near_time(&self, number: usize) -> f32 {
        let windows = &self.request.plan.windows;
        if windows.is_empty() {
            return 0.0;
        }
        let (part, slot) = self.view.part(number);
        let said_at = part.partition.turns[slot].said_at;
        let chunks = part.partition.chunks(slot as u32);
        let events = chunks.filter_map(|chunk| part.partition.records[chunk].as_ref()?.event);
        let spans = std::iter::once((said_at, said_at)).chain(events);
        let pairs = spans.flat_map(|span| windows.iter().map(move |&window| closeness(span, window)));
        pairs.fold(0.0, f32::max)
    }

    /// Share of the query's idf within two turns either side.
    fn covered_near(&self, number: usize) -> f32 {
        let around = self.view.around(number).into_iter().flatten();
        self.covered(around.fold(0, |found, turn| found | self.lexical.found[turn]))
    }

    /// Share of the query's idf that the terms marked in `found` have.
    fn covered(&self, found: u64) -> f32 {
        let marked = self.lexical.idf.iter().enumerate().filter(|(place, _)| found >> place & 1 != 0);
        normalised(marked.fold(0.0, |sum, (_, idf)| sum + idf), self.lexical.idf_sum)
    }

    fn speaker(&self, number: usize) -> f32 {
        let turn = self.view.turn(number);
        let name = self.view.index.speakers.get(turn.speaker as usize).map(|speaker| &speaker.name);
        let said = match &self.request.plan.asked {
            Asked::Anyone => return 0.5,
            Asked::Person(person) => name.is_some_and(|name| name == person),
            Asked::User => turn.role == Some(Role::User),
            Asked::Assistant => turn.role == Some(Role::Assistant),
        };
        f32::from(said)
    }

    /// Means of the three best soft and dense values of a session; of a turn without one, its own values.
    fn session_means(&mut self, session: u32, number: usize) -> (f32, f32) {
        if session == NONE {
            return (self.lexical.soft[number], self.dense.own[number]);
        }
        if let Some(&means) = self.best_of_session.get(&session) {
            return means;
        }
        let (mut soft, mut dense) = (Best3::default(), Best3::default());
        for turn in self.view.index.sessions[session as usize].turns() {
            if let Some(number) = self.view.number(turn) {
                soft.add(self.lexical.soft[number]);
                dense.add(self.dense.own[number]);
            }
        }
        let means = (soft.mean(), dense.mean());
        self.best_of_session.insert(session, means);
        means
    }

    fn evidence(&self, number: usize, features: &Features) -> Evidence {
        let cosine = self.dense.own[number].max(self.dense.context[number]);
        Evidence {
            cosine: self.vectors.then_some(cosine),
            deviations: if self.vectors { (cosine - self.dense.mean) / self.dense.deviation } else { 0.0 },
            covered: self.covered(self.lexical.found[number]),
            covered_near: features.get(Feature::Cover),
            soft: normalised(self.lexical.soft[number], self.lexical.idf_sum),
        }
    }
}

/// The three largest values seen.
#[derive(Debug, Default)]
struct Best3 {
    best: [f32; 3],
    count: usize,
}

impl Best3 {
    fn add(&mut self, value: f32) {
        let place = self.best[..self.count].iter().position(|&other| value > other).unwrap_or(self.count);
        if place < 3 {
            self.count = (self.count + 1).min(3);
            self.best[place..self.count].rotate_right(1);
            self.best[place] = value;
        }
    }

    fn mean(&self) -> f32 {
        self.best[..self.count].iter().sum::<f32>() / self.count.max(1) as f32
    }
}
