//! Reads by scope: pages, lists, counts.

use cml_core::{
    Result, Scope,
    memory::{MemoryRecord, MemoryStatus, MemoryType, Message, Session},
    ops::{
        EventPage, FactList, ListEvents, ListFacts, ListOrder, ListRequest, OrderBy, Stats, TenantSummary,
    },
};
use sqlx::SqliteConnection;

use super::{
    read,
    rows::{self, EVENT, FACT, MESSAGE, RECORD, SESSION},
    sql::{Sql, all, first},
    values::Binds,
};
use crate::store::PageKey;

/// Rows looked at together where the text is searched here.
const SEARCHED: usize = 500;

/// A page of records; see [`Store::list`](crate::store::Store::list).
///
/// An ASCII search text is compared in the database, where only ASCII letters have case. Another one
/// is compared here by Unicode's lower case, page after page, so the connection must be a snapshot.
pub(super) async fn records(
    connection: &mut SqliteConnection,
    scope: &Scope,
    request: &ListRequest,
    after: Option<&PageKey>,
    limit: usize,
) -> Result<Vec<MemoryRecord>> {
    let here = request.search.as_deref().filter(|search| !search.is_ascii()).map(str::to_lowercase);
    let Some(needle) = here else { return page(connection, scope, request, after, limit).await };
    let mut found = Vec::new();
    let mut after = after.cloned();
    while found.len() < limit {
        let rows = page(connection, scope, request, after.as_ref(), SEARCHED).await?;
        let Some(last) = rows.last() else { break };
        let complete = rows.len() < SEARCHED;
        after = Some(PageKey::of(last, request));
        found.extend(rows.into_iter().filter(|record| record.text.to_lowercase().contains(&needle)));
        if complete {
            break;
        }
    }
    found.truncate(limit);
    Ok(found)
}

async fn page(
    connection: &mut SqliteConnection,
    scope: &Scope,
    request: &ListRequest,
    after: Option<&PageKey>,
    limit: usize,
) -> Result<Vec<MemoryRecord>> {
    let mut sql = Sql::new("SELECT ");
    sql.push(RECORD).push(" FROM records WHERE ").visible(scope);
    sql.any_of("memory_type", request.memory_types.iter().map(|kind| kind.as_str()));
    sql.any_of("status", request.statuses.iter().map(|status| status.as_str()));
    sql.any_of("namespace", request.namespaces.iter().map(String::as_str));
    sql.any_of("agent_id", request.agents.iter().map(String::as_str));
    sql.any_of("session_id", request.session_id.iter().map(String::as_str));
    if !request.context_filter.is_empty() {
        sql.push(" AND tags <> '[]' AND EXISTS (SELECT 1 FROM json_each(tags) tag WHERE tag.value")
            .push(" IN (SELECT value FROM json_each(?)))")
            .bind_json(&request.context_filter);
    }
    // Said in the range, or telling of something that overlaps it; an event without an end is an instant.
    let since = request.since.map(|since| since.timestamp_micros());
    let until = request.until.map(|until| until.timestamp_micros());
    if since.is_some() || until.is_some() {
        let (since, until) = (since.unwrap_or(i64::MIN), until.unwrap_or(i64::MAX));
        sql.push(" AND ((said_at >= ? AND said_at < ?)").bind(since).bind(until);
        sql.push(" OR (event_start < ? AND coalesce(event_end, event_start + 1) > ?))")
            .bind(until)
            .bind(since);
    }
    if let Some(search) = request.search.as_deref().filter(|search| search.is_ascii() && !search.is_empty()) {
        sql.push(" AND instr(lower(text), ?) > 0").bind(search.to_ascii_lowercase());
    }
    let column = column(request.order_by);
    let (past, order) = match request.order {
        ListOrder::Asc => (" > ", " ASC"),
        _ => (" < ", " DESC"),
    };
    if let Some(key) = after {
        sql.push(" AND (").push(column).push(", id)").push(past).push("(?, ?)");
        match request.order_by {
            OrderBy::Type | OrderBy::Status => sql.bind(&*key.text),
            OrderBy::Confidence | OrderBy::Importance => sql.bind(key.number),
            _ => sql.bind(key.number as i64),
        };
        sql.bind(key.id.as_uuid().as_bytes().as_slice());
    }
    sql.push(" ORDER BY ").push(column).push(order).push(", id").push(order).limit(limit, 0);
    let (text, binds) = sql.into_parts();
    all(connection, text, binds, rows::record).await
}

fn column(order_by: OrderBy) -> &'static str {
    match order_by {
        OrderBy::Timestamp => "said_at",
        OrderBy::Confidence => "confidence",
        OrderBy::Importance => "importance",
        OrderBy::AccessCount => "access_count",
        OrderBy::Type => "memory_type",
        OrderBy::Status => "status",
        _ => "written_at",
    }
}

/// Facts that the scope sees. With `as_of` those whose validity holds the instant, but for retracted
/// ones that ended before it by their withdrawal.
pub(super) async fn facts(
    connection: &mut SqliteConnection,
    scope: &Scope,
    request: &ListFacts,
) -> Result<FactList> {
    let matching = |head: &str| {
        let mut sql = Sql::new(head);
        sql.push(" FROM facts WHERE ").visible(scope);
        sql.any_of("category", request.category.map(|category| category.as_str()));
        sql.any_of("subject", request.subject.as_deref());
        sql.any_of("slot", request.slot.as_deref());
        match request.as_of.map(|instant| instant.timestamp_micros()) {
            Some(at) => {
                sql.push(" AND valid_from <= ? AND (valid_to IS NULL OR valid_to > ?)").bind(at).bind(at);
            }
            None if request.current_only => {
                sql.push(" AND status = 'current'");
            }
            None => {}
        }
        sql
    };
    let (text, binds) = matching("SELECT count(*)").into_parts();
    let total = first(connection, text, binds, |columns| columns.number()).await?.unwrap_or_default();
    let mut sql = matching(&format!("SELECT {FACT}"));
    sql.push(" ORDER BY valid_from DESC, id DESC").limit(request.limit, request.offset);
    let (text, binds) = sql.into_parts();
    let mut items = all(connection, text, binds, rows::fact).await?;
    read::add_evidence(connection, scope.tenant(), &mut items).await?;
    Ok(FactList { items, total })
}

pub(super) async fn sessions(connection: &mut SqliteConnection, scope: &Scope) -> Result<Vec<Session>> {
    let mut sql = Sql::new("SELECT ");
    sql.push(SESSION)
        .push(" FROM sessions WHERE ")
        .visible(scope)
        .push(" ORDER BY created_at DESC, session_id DESC");
    let (text, binds) = sql.into_parts();
    all(connection, text, binds, rows::session).await
}

pub(super) async fn messages(
    connection: &mut SqliteConnection,
    scope: &Scope,
    session: &str,
    after: u64,
    limit: usize,
) -> Result<Vec<Message>> {
    let mut sql = Sql::new("SELECT ");
    sql.push(MESSAGE).push(" FROM messages WHERE ").visible(scope);
    sql.push(" AND session_id = ?").bind(session);
    sql.push(" AND seq > ?")
        .bind(i64::try_from(after).unwrap_or(i64::MAX))
        .push(" ORDER BY seq")
        .limit(limit, 0);
    let (text, binds) = sql.into_parts();
    all(connection, text, binds, rows::message).await
}

pub(super) async fn events(
    connection: &mut SqliteConnection,
    scope: &Scope,
    request: &ListEvents,
) -> Result<EventPage> {
    let matching = |head: &str| {
        let mut sql = Sql::new(head);
        sql.push(" FROM events WHERE ").visible(scope);
        sql.any_of("event_type", request.event_type.map(|kind| kind.as_str()));
        sql.any_of("operation", request.operation.map(|operation| operation.as_str()));
        if let Some(since) = request.since {
            sql.push(" AND created_at >= ?").bind(since.timestamp_micros());
        }
        sql
    };
    let (text, binds) = matching("SELECT count(*)").into_parts();
    let total = first(connection, text, binds, |columns| columns.number()).await?.unwrap_or_default();
    let mut sql = matching(&format!("SELECT {EVENT}"));
    sql.push(" ORDER BY created_at DESC, id DESC").limit(request.limit, request.offset);
    let (text, binds) = sql.into_parts();
    Ok(EventPage { items: all(connection, text, binds, rows::event).await?, total })
}

pub(super) async fn stats(connection: &mut SqliteConnection, scope: &Scope) -> Result<Stats> {
    let mut sql = Sql::new(
        "SELECT memory_type, status, count(*), sum(confidence), sum(importance), min(said_at), \
         max(said_at), sum(octet_length(text) + octet_length(metadata) + coalesce((SELECT \
         sum(octet_length(e.vector)) FROM embeddings e WHERE e.tenant_id = records.tenant_id AND e.model_id \
         IN (SELECT id FROM models) AND e.view IN (0, 1) AND e.record_id = records.id), 0)) FROM records \
         WHERE ",
    );
    sql.visible(scope).push(" GROUP BY memory_type, status");
    let (text, binds) = sql.into_parts();
    let mut stats = Stats::default();
    let (mut confidence, mut importance, mut bytes) = (0.0, 0.0, 0);
    let groups = all(connection, text, binds, |columns| {
        let kind: (MemoryType, MemoryStatus, u64) = (columns.name()?, columns.name()?, columns.number()?);
        let sums: (f64, f64) = (columns.get()?, columns.get()?);
        Ok((kind, sums, columns.time()?, columns.time()?, columns.number()?))
    })
    .await?;
    for ((memory_type, status, count), sums, oldest, newest, size) in groups {
        stats.total_memories += count;
        *stats.by_type.entry(memory_type).or_default() += count;
        *stats.by_status.entry(status).or_default() += count;
        confidence += sums.0;
        importance += sums.1;
        bytes += size;
        stats.oldest_memory = Some(stats.oldest_memory.map_or(oldest, |known| known.min(oldest)));
        stats.newest_memory = stats.newest_memory.max(Some(newest));
    }
    let of = |status| stats.by_status.get(&status).copied().unwrap_or_default();
    stats.active_memories = of(MemoryStatus::Active);
    stats.silent_memories = of(MemoryStatus::Silent);
    stats.archived_memories = of(MemoryStatus::Archived);
    if stats.total_memories > 0 {
        stats.avg_confidence = confidence / stats.total_memories as f64;
        stats.avg_importance = importance / stats.total_memories as f64;
    }
    stats.estimated_size_mb = bytes as f64 / 1e6;
    Ok(stats)
}

pub(super) async fn tenants(connection: &mut SqliteConnection) -> Result<Vec<TenantSummary>> {
    all(
        connection,
        "SELECT t.tenant_id, (SELECT count(*) FROM records r WHERE r.tenant_id = t.tenant_id), (SELECT \
         count(*) FROM records r WHERE r.tenant_id = t.tenant_id AND r.status = 'active'), (SELECT count(*) \
         FROM facts f WHERE f.tenant_id = t.tenant_id AND f.status = 'current'), (SELECT max(said_at) FROM \
         records r WHERE r.tenant_id = t.tenant_id), (SELECT count(*) FROM events e WHERE e.tenant_id = \
         t.tenant_id), (SELECT max(created_at) FROM events e WHERE e.tenant_id = t.tenant_id) FROM tenants \
         t ORDER BY t.tenant_id",
        Binds::default(),
        |columns| {
            Ok(TenantSummary {
                tenant_id: columns.text()?,
                memory_count: columns.number()?,
                active_memory_count: columns.number()?,
                fact_count: columns.number()?,
                last_memory_at: columns.optional_time()?,
                event_count: columns.number()?,
                last_event_at: columns.optional_time()?,
            })
        },
    )
    .await
}
