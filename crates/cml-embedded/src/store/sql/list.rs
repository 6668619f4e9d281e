//! Reads by scope: pages, lists, counts.

use cml_core::{
    Result, Scope,
    memory::{MemoryRecord, MemoryStatus, MemoryType, Message, Session},
    ops::{
        EventPage, FactList, ListEvents, ListFacts, ListOrder, ListRequest, OrderBy, Stats, TenantSummary,
    },
};

use super::{
    connection::Connection,
    read,
    rows::{self, EVENT, FACT, MESSAGE, RECORD, SESSION},
    statement::Sql,
    value::Binds,
};
use crate::store::PageKey;

/// Rows looked at together where the text is searched here.
const SEARCHED: usize = 500;

/// A page of records; see [`Store::list`](crate::store::Store::list).
///
/// An ASCII search text is compared in the database, where only ASCII letters have case. Another one
/// is compared here by Unicode's lower case, page after page, so the connection must be a snapshot.
pub(in crate::store) async fn records(
    connection: &mut Connection<'_>,
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
    connection: &mut Connection<'_>,
    scope: &Scope,
    request: &ListRequest,
    after: Option<&PageKey>,
    limit: usize,
) -> Result<Vec<MemoryRecord>> {
    let mut sql = Sql::new(connection.dialect(), "SELECT ");
    sql.push(RECORD).push(" FROM records WHERE ").visible(scope);
    sql.any_of("memory_type", request.memory_types.iter().map(|kind| kind.as_str()));
    sql.any_of("status", request.statuses.iter().map(|status| status.as_str()));
    sql.any_of("namespace", request.namespaces.iter().map(String::as_str));
    sql.any_of("agent_id", request.agents.iter().map(String::as_str));
    sql.any_of("session_id", request.session_id.iter().map(String::as_str));
    if !request.context_filter.is_empty() {
        sql.push(" AND ").tagged(request.context_filter.iter().map(String::as_str));
    }
    // Said in the range, or telling of something that overlaps it; an event without an end is an instant.
    if request.since.is_some() || request.until.is_some() {
        sql.push(" AND ((TRUE");
        if let Some(since) = request.since {
            sql.push(" AND said_at >= ?").bind_time(since);
        }
        if let Some(until) = request.until {
            sql.push(" AND said_at < ?").bind_time(until);
        }
        sql.push(") OR (event_start IS NOT NULL");
        if let Some(since) = request.since {
            sql.push(" AND coalesce(event_end > ?, event_start >= ?)").bind_time(since).bind_time(since);
        }
        if let Some(until) = request.until {
            sql.push(" AND event_start < ?").bind_time(until);
        }
        sql.push("))");
    }
    if let Some(search) = request.search.as_deref().filter(|search| search.is_ascii() && !search.is_empty()) {
        sql.push(" AND ").text_contains(&search.to_ascii_lowercase());
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
            OrderBy::AccessCount => sql.bind(key.number as i64),
            _ => sql.bind_micros(key.number as i64),
        };
        sql.bind_id(key.id.as_uuid());
    }
    sql.push(" ORDER BY ").push(column).push(order).push(", id").push(order).limit(limit, 0);
    sql.all(connection, rows::record).await
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
pub(in crate::store) async fn facts(
    connection: &mut Connection<'_>,
    scope: &Scope,
    request: &ListFacts,
) -> Result<FactList> {
    let dialect = connection.dialect();
    let matching = |head: &str| {
        let mut sql = Sql::new(dialect, head);
        sql.push(" FROM facts WHERE ").visible(scope);
        sql.any_of("category", request.category.map(|category| category.as_str()));
        sql.any_of("subject", request.subject.as_deref());
        sql.any_of("slot", request.slot.as_deref());
        match request.as_of {
            Some(at) => {
                sql.push(" AND valid_from <= ? AND (valid_to IS NULL OR valid_to > ?)");
                sql.bind_time(at).bind_time(at);
            }
            None if request.current_only => {
                sql.push(" AND status = 'current'");
            }
            None => {}
        }
        sql
    };
    let counted = matching("SELECT count(*)").first(connection, |columns| columns.number()).await?;
    let total = counted.unwrap_or_default();
    let mut sql = matching(&format!("SELECT {FACT}"));
    sql.push(" ORDER BY valid_from DESC, id DESC").limit(request.limit, request.offset);
    let mut items = sql.all(connection, rows::fact).await?;
    read::add_evidence(connection, scope.tenant(), &mut items).await?;
    Ok(FactList { items, total })
}

pub(in crate::store) async fn sessions(
    connection: &mut Connection<'_>,
    scope: &Scope,
) -> Result<Vec<Session>> {
    let mut sql = Sql::new(connection.dialect(), "SELECT ");
    sql.push(SESSION)
        .push(" FROM sessions WHERE ")
        .visible(scope)
        .push(" ORDER BY created_at DESC, session_id DESC");
    sql.all(connection, rows::session).await
}

pub(in crate::store) async fn messages(
    connection: &mut Connection<'_>,
    scope: &Scope,
    session: &str,
    after: u64,
    limit: usize,
) -> Result<Vec<Message>> {
    let mut sql = Sql::new(connection.dialect(), "SELECT ");
    sql.push(MESSAGE).push(" FROM messages WHERE ").visible(scope);
    sql.push(" AND session_id = ?").bind(session);
    sql.push(" AND seq > ?")
        .bind(i64::try_from(after).unwrap_or(i64::MAX))
        .push(" ORDER BY seq")
        .limit(limit, 0);
    sql.all(connection, rows::message).await
}

pub(in crate::store) async fn events(
    connection: &mut Connection<'_>,
    scope: &Scope,
    request: &ListEvents,
) -> Result<EventPage> {
    let dialect = connection.dialect();
    let matching = |head: &str| {
        let mut sql = Sql::new(dialect, head);
        sql.push(" FROM events WHERE ").visible(scope);
        sql.any_of("event_type", request.event_type.map(|kind| kind.as_str()));
        sql.any_of("operation", request.operation.map(|operation| operation.as_str()));
        if let Some(since) = request.since {
            sql.push(" AND created_at >= ?").bind_time(since);
        }
        sql
    };
    let counted = matching("SELECT count(*)").first(connection, |columns| columns.number()).await?;
    let total = counted.unwrap_or_default();
    let mut sql = matching(&format!("SELECT {EVENT}"));
    sql.push(" ORDER BY created_at DESC, id DESC").limit(request.limit, request.offset);
    Ok(EventPage { items: sql.all(connection, rows::event).await?, total })
}

pub(in crate::store) async fn stats(connection: &mut Connection<'_>, scope: &Scope) -> Result<Stats> {
    let dialect = connection.dialect();
    let mut sql = Sql::new(
        dialect,
        "SELECT memory_type, status, count(*), sum(confidence), sum(importance), min(said_at), \
         max(said_at), CAST(sum(octet_length(text) + octet_length(CAST(metadata AS TEXT)) + \
         coalesce((SELECT sum(",
    );
    sql.push(dialect.vector_size()).push(
        ") FROM embeddings e WHERE e.tenant_id = records.tenant_id AND e.model_id IN (SELECT id FROM \
         models) AND e.view IN (0, 1) AND e.record_id = records.id), 0)) AS BIGINT) FROM records WHERE ",
    );
    sql.visible(scope).push(" GROUP BY memory_type, status");
    let mut stats = Stats::default();
    let (mut confidence, mut importance, mut bytes) = (0.0, 0.0, 0);
    let groups = sql
        .all(connection, |columns| {
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

pub(in crate::store) async fn tenants(connection: &mut Connection<'_>) -> Result<Vec<TenantSummary>> {
    connection
        .all(
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
