//! Answers that are kept, and when they still hold.
//!
//! An answer is kept as what the search found: ids, relevances, groups. The records are read as they are
//! at every read, so that confidence, access counts and `as_of` are those of the moment, and no text
//! leaves the database.
//!
//! What a search finds depends on
//!
//! - the tenant's turns, records, facts, entities and vectors: each commit that touches one of them raises
//!   `last_seq`, and an erasure the epoch; both are in the key. An answer is kept only where the *index*
//!   that gave it stood where the key says;
//! - access counts, which raise nothing: they do not order results;
//! - the request but for how the answer is laid out, the scope, the preferred session, the least relevance
//!   of the configuration, the model that serves: all in the key, and so is the version of the program,
//!   which stands for its weights;
//! - the present instant, in two ways. Dates of the query ("yesterday") are resolved against it: what they
//!   resolve to is in the key. And records end (`expires_at`, `valid_to`): the answer says until when none
//!   of those that took part does, returned or not. Nothing comes into force by time alone (`valid_from`
//!   and the validity of facts are not looked at), so before that instant nothing changes. A process whose
//!   clock is behind that of the one that kept the answer might still see something that ended: it makes
//!   the answer itself;
//! - channels that failed or lag behind the tables: such an answer is not kept.
//!
//! Nothing is kept of a search without a hit, and an answer one of whose records is gone is made anew:
//! should two databases share a cache against the rules, neither is told that it is empty.

use std::{
    collections::BTreeMap,
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use cml_core::{
    MemoryId, Result,
    ops::{ReadFormat, RetrievalMeta},
};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{
    Engine,
    read::{Question, Selected, Selection},
};
use crate::{
    digest::digest,
    extract::resolve_dates,
    store::{CacheKey, TenantState, Ticket},
};

/// How long an answer is kept at most.
const KEPT: Duration = Duration::from_secs(300);

/// How often something was taken from the cache, and how often it had to be made.
#[derive(Debug, Default)]
pub(super) struct Uses {
    taken: AtomicU64,
    made: AtomicU64,
}

impl Uses {
    pub(super) fn count(&self, taken: usize, made: usize) {
        self.taken.fetch_add(taken as u64, Ordering::Relaxed);
        self.made.fetch_add(made as u64, Ordering::Relaxed);
    }
}

/// What the cache saved since the engine was made.
#[derive(Debug, Default)]
pub(super) struct KeptUses {
    pub(super) vectors: Uses,
    pub(super) answers: Uses,
    pub(super) contexts: Uses,
    /// Searches of an index.
    pub(super) searches: AtomicU64,
}

/// An answer as it is kept.
#[derive(Debug, Serialize, Deserialize)]
struct KeptAnswer {
    /// When it was made, in microseconds since 1970.
    made: i64,
    /// The first instant at which it may be another, if any.
    until: Option<i64>,
    /// Best first: the memory, the bits of its relevance, whether a constraint rests on it.
    hits: Vec<(MemoryId, u64, bool)>,
    meta: RetrievalMeta,
}

/// Where an answer may be kept.
#[derive(Debug)]
pub(super) struct Place {
    key: CacheKey,
    ticket: Ticket,
    state: TenantState,
}

impl Engine {
    /// How often something was taken from the cache (`..._taken`) and how often it had to be made
    /// (`..._made`), and how often an index was searched (`searches`).
    #[must_use]
    pub fn cache_uses(&self) -> BTreeMap<String, Value> {
        let mut uses = BTreeMap::new();
        let kept = &self.kept;
        for (name, use_) in
            [("vectors", &kept.vectors), ("answers", &kept.answers), ("contexts", &kept.contexts)]
        {
            uses.insert(format!("{name}_taken"), use_.taken.load(Ordering::Relaxed).into());
            uses.insert(format!("{name}_made"), use_.made.load(Ordering::Relaxed).into());
        }
        uses.insert("searches".to_owned(), kept.searches.load(Ordering::Relaxed).into());
        uses
    }

    /// The kept answer to a question, if one still holds; else where the answer may be kept.
    pub(super) async fn kept_answer(
        &self,
        question: &Question,
    ) -> Result<(Option<Selection>, Option<Place>)> {
        if !self.cache.is_shared() || question.request.explain {
            return Ok((None, None));
        }
        let tenant = question.scope.tenant();
        let state = self.store.tenant(tenant).await?;
        let Some(key) = self.answer_key(question, state) else { return Ok((None, None)) };
        let mut kept = self.cache.get(tenant, &[key]).await;
        let now = question.now.timestamp_micros();
        let answer = kept.values.pop().flatten().and_then(|bytes| serde_json::from_slice(&bytes).ok());
        let answer = answer
            .filter(|answer: &KeptAnswer| answer.made <= now && answer.until.is_none_or(|until| now < until));
        let selection = answer.map(|answer| Selection {
            hits: answer.hits.into_iter().map(Selected::from_kept).collect(),
            meta: answer.meta,
        });
        Ok((selection, Some(Place { key, ticket: kept.ticket, state })))
    }

    /// Keeps what a search found, if it will still be found when it is asked for again.
    pub(super) async fn keep_answer(
        &self,
        question: &Question,
        place: Place,
        selection: &Selection,
        holds: Holds,
    ) {
        if selection.hits.is_empty() || !holds.steady || holds.state != Some(place.state) {
            return;
        }
        let answer = KeptAnswer {
            made: question.now.timestamp_micros(),
            until: holds.until,
            hits: selection.hits.iter().map(Selected::to_kept).collect(),
            meta: selection.meta.clone(),
        };
        if let Ok(bytes) = serde_json::to_vec(&answer) {
            self.cache.put(&place.ticket, vec![(place.key, bytes)], KEPT).await;
        }
    }

    /// The key of the answer to `question` where the tenant stands at `state`.
    fn answer_key(&self, question: &Question, state: TenantState) -> Option<CacheKey> {
        let mut request = question.request.clone();
        // How it is laid out is decided afterwards.
        request.format = ReadFormat::List;
        request.max_context_tokens = None;
        let reference = request.reference_time.unwrap_or(question.now);
        let dates: Vec<(i64, i64)> = resolve_dates(&request.query, reference, question.timezone)
            .into_iter()
            .map(|mention| (mention.start.timestamp_micros(), mention.end.timestamp_micros()))
            .collect();
        let serving = self.generation.get();
        let model = (serving.id, &serving.model().name, serving.model().dimensions);
        let asked = (&question.scope, &request, &question.prefer_session, dates, question.floor.to_bits());
        let stands = (state.epoch, state.last_seq, env!("CARGO_PKG_VERSION"));
        let bytes = serde_json::to_vec(&(asked, model, stands)).ok()?;
        Some(CacheKey::Answer(digest(&[&bytes])))
    }
}

/// How long what a search found holds.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Holds {
    /// Where the index stood that was searched.
    pub(super) state: Option<TenantState>,
    /// The first instant at which a record that took part ends, in microseconds since 1970.
    pub(super) until: Option<i64>,
    /// Whether every channel took part and none lags behind the tables.
    pub(super) steady: bool,
}

impl Selected {
    fn from_kept((record, relevance, constraint): (MemoryId, u64, bool)) -> Self {
        Self { record, relevance: f64::from_bits(relevance), constraint, explain: None }
    }

    fn to_kept(&self) -> (MemoryId, u64, bool) {
        (self.record, self.relevance.to_bits(), self.constraint)
    }
}
