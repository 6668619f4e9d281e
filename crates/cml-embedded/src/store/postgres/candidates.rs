//! Candidates: near vectors by HNSW, words by GIN.

use async_trait::async_trait;
use cml_core::{FactId, MemoryId, MessageId, Result};
use half::f16;

use super::{
    PostgresStore,
    pool::{View, Whose},
};
use crate::store::{
    CandidateFilter, CandidateSource, Census, ModelId, StemFrequency, Visible, Voice, WantedWords,
    sql::{connection::Connection, dialect::Dialect, statement::Sql, value::Columns},
};

/// Ids are hashed to so many values, of which a sample takes a share.
const HASHES: u64 = 1 << 20;

/// Of turns with the same words the shortest comes first.
const BY_WEIGHT: &str = "weight DESC, size, id DESC";

#[async_trait]
impl CandidateSource for PostgresStore {
    async fn turn_count(&self, tenant: &str) -> Result<u64> {
        read!(self, Whose::Tenant(tenant), View::Each, |c| turn_count(c, tenant))
    }

    async fn census(&self, visible: Visible<'_>) -> Result<Census> {
        read!(self, whose(visible), View::Snapshot, |c| census(c, visible))
    }

    async fn sample(&self, visible: Visible<'_>, turns: u64, size: u64) -> Result<Vec<MessageId>> {
        read!(self, whose(visible), View::Each, |c| sample(c, visible, turns, size))
    }

    async fn visible_turns(&self, visible: Visible<'_>, limit: usize) -> Result<Vec<MessageId>> {
        read!(self, whose(visible), View::Each, |c| visible_turns(c, visible, limit))
    }

    async fn frequencies(
        &self,
        visible: Visible<'_>,
        stems: &[&str],
        most: usize,
    ) -> Result<Vec<StemFrequency>> {
        read!(self, whose(visible), View::Each, |c| frequencies(c, visible, stems, most))
    }

    async fn near(
        &self,
        filter: &CandidateFilter<'_>,
        model: ModelId,
        vector: &[f32],
        limit: usize,
    ) -> Result<Vec<(MemoryId, MessageId)>> {
        read!(self, whose(filter.visible), View::Each, |c| near(c, filter, model, vector, limit))
    }

    async fn with_words(
        &self,
        filter: &CandidateFilter<'_>,
        words: &WantedWords<'_>,
        limit: usize,
    ) -> Result<Vec<MessageId>> {
        read!(self, whose(filter.visible), View::Each, |c| with_words(c, filter, words, limit))
    }

    async fn around(&self, tenant: &str, turns: &[MessageId], reach: u32) -> Result<Vec<(MessageId, u32)>> {
        read!(self, Whose::Tenant(tenant), View::Each, |c| around(c, tenant, turns, reach))
    }

    async fn session_turns(
        &self,
        tenant: &str,
        sessions: &[&str],
        each: usize,
        limit: usize,
    ) -> Result<Vec<MessageId>> {
        read!(self, Whose::Tenant(tenant), View::Each, |c| session_turns(c, tenant, sessions, each, limit))
    }

    async fn records_of_turns(&self, tenant: &str, turns: &[MessageId]) -> Result<Vec<MemoryId>> {
        read!(self, Whose::Tenant(tenant), View::Each, |c| records_of_turns(c, tenant, turns))
    }

    async fn facts_for(
        &self,
        visible: Visible<'_>,
        subjects: &[&str],
        slots: &[&str],
        situations: &[&str],
        limit: usize,
    ) -> Result<Vec<FactId>> {
        read!(self, whose(visible), View::Each, |c| facts_for(c, visible, subjects, slots, situations, limit))
    }
}

fn whose(visible: Visible<'_>) -> Whose<'_> {
    Whose::Tenant(visible.scope.tenant())
}

fn sql(text: &str) -> Sql {
    Sql::new(Dialect::Postgres, text)
}

async fn turn_count(connection: &mut Connection<'_>, tenant: &str) -> Result<u64> {
    let mut sql = sql("SELECT count(*) FROM terms WHERE tenant_id = ?");
    sql.bind(tenant);
    Ok(sql.first(connection, |columns| columns.number()).await?.unwrap_or_default())
}

async fn census(connection: &mut Connection<'_>, visible: Visible<'_>) -> Result<Census> {
    // A term that occurs several times is one word with its number: "tea*3".
    let mut voices =
        sql("SELECT speaker, role = 'assistant', count(*), count(*) FILTER (WHERE session_id <> ''), \
         sum(length(terms) - length(replace(terms, ' ', '')) + (terms <> '')::int + CASE WHEN \
         strpos(terms, '*') > 0 THEN (SELECT coalesce(sum(split_part(word, '*', 2)::int - 1), 0) FROM \
         unnest(string_to_array(terms, ' ')) word WHERE word ~ '[*][0-9]+$') ELSE 0 END)::bigint FROM terms \
         WHERE ");
    voices.visible_in(visible).push(" GROUP BY 1, 2");
    let voice = |columns: &mut Columns<'_>| {
        Ok(Voice {
            speaker: columns.text()?,
            assistant: columns.get()?,
            turns: columns.number()?,
            in_session: columns.number()?,
            terms: columns.number()?,
        })
    };
    let voices = voices.all(connection, voice).await?;
    let mut sessions =
        sql("SELECT count(*) FROM (SELECT DISTINCT namespace, user_id, session_id FROM terms WHERE ");
    sessions.visible_in(visible).push(" AND session_id <> '') session");
    let sessions = sessions.first(connection, |columns| columns.number()).await?.unwrap_or_default();
    Ok(Census { voices, sessions })
}

async fn sample(
    connection: &mut Connection<'_>,
    visible: Visible<'_>,
    turns: u64,
    size: u64,
) -> Result<Vec<MessageId>> {
    let share = (HASHES * size / turns.max(1)).min(HASHES);
    let mut sql = sql("SELECT id FROM terms WHERE ");
    sql.visible_in(visible);
    sql.push(" AND (uuid_hash(id) & ").literal(HASHES.cast_signed() - 1).push(") < ?");
    sql.bind(share.cast_signed());
    sql.all(connection, |columns| columns.id()).await
}

async fn visible_turns(
    connection: &mut Connection<'_>,
    visible: Visible<'_>,
    limit: usize,
) -> Result<Vec<MessageId>> {
    let mut sql = sql("SELECT id FROM terms WHERE ");
    sql.visible_in(visible).limit(limit, 0);
    sql.all(connection, |columns| columns.id()).await
}

async fn frequencies(
    connection: &mut Connection<'_>,
    visible: Visible<'_>,
    stems: &[&str],
    most: usize,
) -> Result<Vec<StemFrequency>> {
    let mut sql =
        sql("SELECT found.* FROM unnest(?) WITH ORDINALITY wanted (stem, place) CROSS JOIN LATERAL (SELECT \
         count(*), count(DISTINCT unit), count(DISTINCT unit) FILTER (WHERE role <> 'assistant') FROM \
         (SELECT coalesce(nullif(session_id, ''), id::text) AS unit, role FROM terms WHERE ");
    sql.bind_names(stems).visible_in(visible).push(" AND words @> ARRAY[stem]").limit(most, 0);
    sql.push(") held) found ORDER BY place");
    let frequency = |columns: &mut Columns<'_>| {
        Ok(StemFrequency {
            turns: columns.number()?,
            units: columns.number()?,
            user_units: columns.number()?,
        })
    };
    sql.all(connection, frequency).await
}

async fn near(
    connection: &mut Connection<'_>,
    filter: &CandidateFilter<'_>,
    model: ModelId,
    vector: &[f32],
    limit: usize,
) -> Result<Vec<(MemoryId, MessageId)>> {
    let dimensions = i64::try_from(vector.len()).unwrap_or(i64::MAX);
    let vector: Vec<f16> = vector.iter().copied().map(f16::from_f32).collect();
    let mut sql =
        sql("SELECT record_id, message_id FROM embeddings e CROSS JOIN LATERAL (SELECT message_id FROM \
                       records WHERE ");
    accepted(&mut sql, filter);
    sql.push(" AND id = e.record_id) r WHERE e.tenant_id = ?").bind(filter.visible.scope.tenant());
    // The planner takes a partial index whose condition stands there word for word.
    sql.push(" AND e.model_id = ").literal(model).push(" AND e.view = 0 ORDER BY (e.vector::halfvec(");
    sql.literal(dimensions).push(")) <=> ?").bind(vector).limit(limit, 0);
    sql.all(connection, |columns| Ok((columns.id()?, columns.id()?))).await
}

async fn with_words(
    connection: &mut Connection<'_>,
    filter: &CandidateFilter<'_>,
    words: &WantedWords<'_>,
    limit: usize,
) -> Result<Vec<MessageId>> {
    // Ranked before they are filtered, so that the filter ends with the limit.
    let mut sql =
        sql("SELECT id FROM (SELECT id, weight, size FROM (SELECT id, cardinality(words) AS size, 0::float8");
    for (word, weight) in words.weights {
        sql.push(" + CASE WHEN words @> ARRAY[?] THEN ?::float8 ELSE 0 END");
        sql.bind(*word).bind(f64::from(*weight));
    }
    sql.push(" AS weight FROM (SELECT id, words FROM terms WHERE ").visible_in(filter.visible);
    if let Some(session) = filter.session {
        sql.push(" AND session_id = ?").bind(session);
    }
    if !words.any.is_empty() {
        sql.push(" AND words && ?").bind_names(words.any);
    }
    if !words.all.is_empty() {
        sql.push(" AND words @> ?").bind_names(words.all);
    }
    sql.limit(words.most, 0).push(") held) weighed ORDER BY ").push(BY_WEIGHT);
    sql.push(") t WHERE EXISTS (SELECT 1 FROM records WHERE ");
    accepted(&mut sql, filter);
    sql.push(" AND message_id = t.id) ORDER BY ").push(BY_WEIGHT).limit(limit, 0);
    sql.all(connection, |columns| columns.id()).await
}

/// Conditions on the columns of `records`.
fn accepted(sql: &mut Sql, filter: &CandidateFilter<'_>) {
    sql.visible_in(filter.visible);
    sql.any_of("status", filter.statuses.iter().map(|status| status.as_str()));
    sql.any_of("memory_type", filter.memory_types.iter().map(|kind| kind.as_str()));
    sql.any_of("agent_id", filter.agents.iter().map(String::as_str));
    sql.any_of("session_id", filter.session);
    if !filter.tags.is_empty() {
        sql.push(" AND ").tagged(filter.tags.iter().map(String::as_str));
    }
    if filter.as_of {
        sql.push(" AND said_at <= ?").bind_time(filter.at);
    } else {
        sql.push(" AND superseded_by_id IS NULL");
    }
    sql.push(" AND (valid_to IS NULL OR valid_to > ?)").bind_time(filter.at);
    sql.push(" AND (expires_at IS NULL OR expires_at > ?)").bind_time(filter.at);
    // Said in the range, or telling of something that overlaps it; an event without an end is an instant.
    if let Some(since) = filter.since {
        sql.push(" AND (said_at >= ? OR event_start >= ?").bind_time(since).bind_time(since);
        sql.push(" OR event_end > ?)").bind_time(since);
    }
    if let Some(until) = filter.until {
        sql.push(" AND (said_at < ? OR event_start < ?)").bind_time(until).bind_time(until);
    }
}

async fn around(
    connection: &mut Connection<'_>,
    tenant: &str,
    turns: &[MessageId],
    reach: u32,
) -> Result<Vec<(MessageId, u32)>> {
    let side = |sql: &mut Sql, past: &'static str, order: &'static str| {
        sql.push("(SELECT id, row_number() OVER (ORDER BY seq")
            .push(order)
            .push(") AS distance FROM messages");
        sql.push(" WHERE tenant_id = ?").bind(tenant);
        sql.push(" AND session_id = m.session_id AND seq").push(past).push("m.seq ORDER BY seq").push(order);
        sql.limit(reach as usize, 0).push(")");
    };
    let mut sql = sql(
        "SELECT n.id, n.distance FROM unnest(?) turn (id) JOIN messages m ON m.tenant_id = ? AND m.id = turn.id \
         AND m.session_id <> '' CROSS JOIN LATERAL (",
    );
    sql.bind_ids(turns.iter().map(MessageId::as_uuid)).bind(tenant);
    side(&mut sql, " < ", " DESC");
    sql.push(" UNION ALL ");
    side(&mut sql, " > ", " ASC");
    sql.push(") n");
    sql.all(connection, |columns| Ok((columns.id()?, columns.small()?))).await
}

async fn session_turns(
    connection: &mut Connection<'_>,
    tenant: &str,
    sessions: &[&str],
    each: usize,
    limit: usize,
) -> Result<Vec<MessageId>> {
    let mut sql = sql(
        "SELECT m.id FROM unnest(?) WITH ORDINALITY session (name, place) CROSS JOIN LATERAL (SELECT id, seq FROM \
         messages WHERE tenant_id = ?",
    );
    sql.bind_names(sessions).bind(tenant);
    sql.push(" AND session_id = session.name ORDER BY seq DESC").limit(each, 0);
    sql.push(") m ORDER BY place, m.seq DESC").limit(limit, 0);
    sql.all(connection, |columns| columns.id()).await
}

async fn records_of_turns(
    connection: &mut Connection<'_>,
    tenant: &str,
    turns: &[MessageId],
) -> Result<Vec<MemoryId>> {
    let mut sql = sql("SELECT id FROM records WHERE tenant_id = ?");
    sql.bind(tenant).in_ids(" AND message_id", turns.iter().map(MessageId::as_uuid));
    sql.all(connection, |columns| columns.id()).await
}

async fn facts_for(
    connection: &mut Connection<'_>,
    visible: Visible<'_>,
    subjects: &[&str],
    slots: &[&str],
    situations: &[&str],
    limit: usize,
) -> Result<Vec<FactId>> {
    let current = |sql: &mut Sql| {
        sql.visible_in(visible).push(" AND status = 'current'");
    };
    let mut sql = sql("(SELECT id FROM facts WHERE ");
    current(&mut sql);
    // Without the second condition the index of slots could not be used.
    sql.push(" AND slot = ANY(?) AND slot <> ''").bind_names(slots);
    sql.push(" AND subject = ANY(?)) UNION (SELECT id FROM facts WHERE ").bind_names(subjects);
    current(&mut sql);
    sql.push(" AND situations && ?").bind_names(situations);
    sql.push(" ORDER BY valid_from DESC, id").limit(limit, 0).push(")");
    sql.all(connection, |columns| columns.id()).await
}
