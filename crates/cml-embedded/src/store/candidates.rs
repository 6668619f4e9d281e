//! Candidates of reads from the database, for tenants too large to be held in memory.

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use cml_core::{
    FactId, MemoryId, MessageId, Result, Scope,
    memory::{MemoryStatus, MemoryType},
};

use super::ModelId;

/// A database that finds records near a vector and turns with words.
///
/// It proposes and never ranks: the engine scores what is proposed, as it scores what it holds in memory.
/// Everything is a read inside one tenant; what was committed before a call is seen by it.
#[async_trait]
pub trait CandidateSource: Send + Sync {
    /// Number of turns of the tenant.
    ///
    /// # Errors
    /// `Unavailable`, as of every method here, when the database is away.
    async fn turn_count(&self, tenant: &str) -> Result<u64>;

    /// What there is of visible turns. Reads each of them.
    async fn census(&self, visible: Visible<'_>) -> Result<Census>;

    /// About `size` of `turns` visible turns, chosen by their ids alone, in no order.
    async fn sample(&self, visible: Visible<'_>, turns: u64, size: u64) -> Result<Vec<MessageId>>;

    /// Visible turns in no order, at most `limit`.
    async fn visible_turns(&self, visible: Visible<'_>, limit: usize) -> Result<Vec<MessageId>>;

    /// In how many visible turns and sessions each stem occurs, in the order of `stems`. Counting a stem
    /// ends after `most` turns.
    async fn frequencies(
        &self,
        visible: Visible<'_>,
        stems: &[&str],
        most: usize,
    ) -> Result<Vec<StemFrequency>>;

    /// Records that pass the filter whose own vectors by `model` are near `vector`, with their turns,
    /// about nearest first, at most `limit`. Some near ones may be left out.
    async fn near(
        &self,
        filter: &CandidateFilter<'_>,
        model: ModelId,
        vector: &[f32],
        limit: usize,
    ) -> Result<Vec<(MemoryId, MessageId)>>;

    /// Turns with a record that passes the filter that hold words, those with the largest sum of weights
    /// first, at most `limit`.
    async fn with_words(
        &self,
        filter: &CandidateFilter<'_>,
        words: &WantedWords<'_>,
        limit: usize,
    ) -> Result<Vec<MessageId>>;

    /// For each of the turns that belongs to a session those up to `reach` places away, with the distance;
    /// visible or not. A turn may come several times.
    async fn around(&self, tenant: &str, turns: &[MessageId], reach: u32) -> Result<Vec<(MessageId, u32)>>;

    /// The last `each` turns of every session, visible or not, in the order of `sessions`, at most `limit`
    /// in all.
    async fn session_turns(
        &self,
        tenant: &str,
        sessions: &[&str],
        each: usize,
        limit: usize,
    ) -> Result<Vec<MessageId>>;

    /// Records of turns, in no order.
    async fn records_of_turns(&self, tenant: &str, turns: &[MessageId]) -> Result<Vec<MemoryId>>;

    /// Current visible facts in one of the slots of one of the subjects, and the `limit` latest of those
    /// that bear on one of the situations.
    async fn facts_for(
        &self,
        visible: Visible<'_>,
        subjects: &[&str],
        slots: &[&str],
        situations: &[&str],
        limit: usize,
    ) -> Result<Vec<FactId>>;
}

/// What a read may see: the part of a tenant that the scope sees, its session left aside, in these
/// namespaces (in all of them when empty).
#[derive(Debug, Clone, Copy)]
pub struct Visible<'a> {
    /// Whose; without a session.
    pub scope: &'a Scope,
    /// The namespaces.
    pub namespaces: &'a [String],
}

/// What a record must be like to be a candidate; empty lists filter nothing.
#[derive(Debug, Clone, Copy)]
pub struct CandidateFilter<'a> {
    /// What may be seen at all.
    pub visible: Visible<'a>,
    /// The session it belongs to.
    pub session: Option<&'a str>,
    /// Its status is one of these.
    pub statuses: &'a [MemoryStatus],
    /// Its type is one of these.
    pub memory_types: &'a [MemoryType],
    /// Its agent is one of these.
    pub agents: &'a [String],
    /// It has one of these tags.
    pub tags: &'a [String],
    /// It was said or tells of something at or after this instant.
    pub since: Option<DateTime<Utc>>,
    /// It was said or tells of something before this instant.
    pub until: Option<DateTime<Utc>>,
    /// It holds at this instant.
    pub at: DateTime<Utc>,
    /// The instant lies in the past: what was said by then counts, superseded since or not. Else what was
    /// superseded is left out.
    pub as_of: bool,
}

/// Words to look for.
#[derive(Debug, Clone, Copy)]

pub struct WantedWords<'a> {
    /// A turn holds one of these.
    pub any: &'a [&'a str],
    /// A turn holds each of these.
    pub all: &'a [&'a str],
    /// What each word that a turn holds adds to its rank.
    pub weights: &'a [(&'a str, f32)],
    /// Turns looked at, at most.
    pub most: usize,
}

/// What there is of a part of a tenant.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Census {
    /// By speaker and kind of role.
    pub voices: Vec<Voice>,
    /// Sessions; one that runs through several namespaces or users counts in each.
    pub sessions: u64,
}

/// The turns of one speaker.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Voice {
    /// Name, or empty.
    pub speaker: String,
    /// Whether these are turns of an assistant.
    pub assistant: bool,
    /// Turns.
    pub turns: u64,
    /// Turns that belong to a session.
    pub in_session: u64,
    /// Terms of the turns, repeats counted, without those of the speaker's name.
    pub terms: u64,
}

/// In how many turns and sessions a stem was found.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct StemFrequency {
    /// Turns.
    pub turns: u64,
    /// Sessions and turns without one.
    pub units: u64,
    /// Those that hold it outside an assistant's turns.
    pub user_units: u64,
}
