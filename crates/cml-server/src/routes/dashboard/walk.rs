//! Rows of one or several tenants as one stream, page by page.

use std::cmp::Ordering;

use cml_core::{
    BoxStream, MemoryBackend, Result, Scope,
    memory::{Event, Fact, MemoryRecord},
    ops::{ListEvents, ListFacts, ListOrder, ListRequest, OrderBy},
};
use futures_util::{StreamExt as _, TryStreamExt as _, stream};

/// Most rows of one page of the backend.
pub(super) const PAGE: usize = 1000;

/// Rows that the pages of all tenants together may hold.
const HELD: usize = 20_000;

/// Rows in their order.
pub(super) type Rows<'a, T> = BoxStream<'a, Result<T>>;

/// Rows of a page of the backend where pages of `sources` are held at once.
pub(super) fn share(limit: usize, sources: usize) -> usize {
    limit.min((HELD / sources.max(1)).max(10))
}

/// Records of a tenant in the order of `request`, from its cursor on.
pub(super) fn records(
    backend: &dyn MemoryBackend,
    scope: Scope,
    request: ListRequest,
) -> Rows<'_, MemoryRecord> {
    let first = Some((scope, request));
    let pages = stream::try_unfold(first, move |next| async move {
        let Some((scope, request)) = next else { return Ok(None) };
        let page = backend.list(&scope, request.clone()).await?;
        let next = page.next_cursor.map(|cursor| (scope, request.with_cursor(cursor)));
        Ok(Some((rows(page.items), next)))
    });
    pages.try_flatten().boxed()
}

/// Records of several tenants in the order of `request`.
pub(super) fn records_of(
    backend: &dyn MemoryBackend,
    scopes: Vec<Scope>,
    mut request: ListRequest,
) -> Rows<'_, MemoryRecord> {
    request.limit = share(request.limit, scopes.len());
    let (by, order) = (request.order_by, request.order);
    let sources = scopes.into_iter().map(|scope| records(backend, scope, request.clone())).collect();
    merged(sources, move |a, b| compare(a, b, by, order))
}

/// Facts of a tenant, newest validity first.
pub(super) fn facts(backend: &dyn MemoryBackend, scope: Scope, request: ListFacts) -> Rows<'_, Fact> {
    let first = Some((scope, request));
    let pages = stream::try_unfold(first, move |next| async move {
        let Some((scope, request)) = next else { return Ok(None) };
        let items = backend.facts()?.list(&scope, request.clone()).await?.items;
        let offset = request.offset + items.len();
        let more = items.len() == request.limit;
        Ok(Some((rows(items), more.then(|| (scope, request.with_offset(offset))))))
    });
    pages.try_flatten().boxed()
}

/// Events of a tenant, newest first.
pub(super) fn events(backend: &dyn MemoryBackend, scope: Scope, request: ListEvents) -> Rows<'_, Event> {
    let first = Some((scope, request));
    let pages = stream::try_unfold(first, move |next| async move {
        let Some((scope, request)) = next else { return Ok(None) };
        let items = backend.maintenance()?.events(&scope, request.clone()).await?.items;
        let offset = request.offset + items.len();
        let more = items.len() == request.limit;
        Ok(Some((rows(items), more.then(|| (scope, request.with_offset(offset))))))
    });
    pages.try_flatten().boxed()
}

/// Ordered rows of several sources as one ordered stream. Of equal rows the earlier source goes first.
pub(super) fn merged<'a, T: Send + 'a>(
    sources: Vec<Rows<'a, T>>,
    compare: impl Fn(&T, &T) -> Ordering + Send + 'a,
) -> Rows<'a, T> {
    let heads: Vec<Head<'a, T>> =
        sources.into_iter().map(|rows| Head { rows, row: None, asked: false }).collect();
    stream::try_unfold((heads, compare), |(mut heads, compare)| async move {
        for head in heads.iter_mut().filter(|head| !head.asked) {
            head.row = head.rows.try_next().await?;
            head.asked = true;
        }
        heads.retain(|head| head.row.is_some());
        let best = heads.iter().enumerate().min_by(|(_, a), (_, b)| match (&a.row, &b.row) {
            (Some(a), Some(b)) => compare(a, b),
            _ => Ordering::Equal,
        });
        let Some(at) = best.map(|(at, _)| at) else { return Ok(None) };
        heads[at].asked = false;
        Ok(heads[at].row.take().map(|row| (row, (heads, compare))))
    })
    .boxed()
}

/// At most `count` rows after the first `skip`.
pub(super) async fn page<T>(mut rows: Rows<'_, T>, skip: usize, count: usize) -> Result<Vec<T>> {
    let mut page = Vec::new();
    let mut passed = 0;
    while page.len() < count
        && let Some(row) = rows.try_next().await?
    {
        if passed < skip {
            passed += 1;
        } else {
            page.push(row);
        }
    }
    Ok(page)
}

/// A source of [`merged`] with the row that it offers.
struct Head<'a, T> {
    rows: Rows<'a, T>,
    row: Option<T>,
    asked: bool,
}

fn rows<T>(items: Vec<T>) -> stream::Iter<impl Iterator<Item = Result<T>>> {
    stream::iter(items.into_iter().map(Ok))
}

/// The order of a list: by its column, then by id.
fn compare(a: &MemoryRecord, b: &MemoryRecord, by: OrderBy, order: ListOrder) -> Ordering {
    let column = match by {
        OrderBy::Timestamp => a.timestamp.cmp(&b.timestamp),
        OrderBy::Confidence => a.confidence.get().total_cmp(&b.confidence.get()),
        OrderBy::Importance => a.importance.get().total_cmp(&b.importance.get()),
        OrderBy::AccessCount => a.access_count.cmp(&b.access_count),
        OrderBy::Type => a.memory_type.as_str().cmp(b.memory_type.as_str()),
        OrderBy::Status => a.status.as_str().cmp(b.status.as_str()),
        _ => a.written_at.cmp(&b.written_at),
    };
    let ascending = column.then(a.id.cmp(&b.id));
    if order == ListOrder::Asc { ascending } else { ascending.reverse() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn sources_merge_in_order_and_pages_cut_what_they_merged() -> Result<()> {
        let source = |items: &[u32]| rows(items.to_vec()).boxed();
        let all = || merged(vec![source(&[9, 4, 1]), source(&[]), source(&[8, 7, 2])], |a, b| b.cmp(a));
        assert_eq!(page(all(), 0, 100).await?, [9, 8, 7, 4, 2, 1]);
        assert_eq!(page(all(), 2, 2).await?, [7, 4]);
        assert!(page(all(), 6, 2).await?.is_empty());
        Ok(())
    }

    #[tokio::test]
    async fn a_source_that_fails_fails_the_page() {
        let broken = stream::iter([Ok(3), Err(cml_core::Error::not_found("row", 2))]).boxed();
        let all = merged(vec![broken, rows(vec![2, 1]).boxed()], |a: &u32, b| b.cmp(a));
        assert!(page(all, 3, 1).await.is_err());
    }
}
