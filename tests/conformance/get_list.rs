//! One record by id, and pages of records.

use cml::{
    ErrorKind, MemoryId,
    memory::{MemoryRecord, MemoryStatus, MemoryType, MetadataFilter},
    ops::{
        At, Feedback, ForgetAction, ForgetRequest, GetRequest, ListOrder, ListRequest, OrderBy,
        UpdateRequest, WriteRequest,
    },
};

use crate::{
    case::{Case, CaseResult, cases},
    ctx::Ctx,
    texts::{at, failed, invalid, record_ids, sentences, some, sorted},
};

async fn get_returns_a_record_of_any_status(ctx: &Ctx) -> CaseResult {
    let written = ctx.write_all(sentences(4)).await?;
    ctx.forget(ForgetRequest::ids([written[1]]).with_action(ForgetAction::Archive)).await?;
    ctx.forget(ForgetRequest::ids([written[2]]).with_action(ForgetAction::Silence)).await?;
    ctx.update(UpdateRequest::new(written[3]).with_feedback(Feedback::Incorrect)).await?;
    let expected =
        [MemoryStatus::Active, MemoryStatus::Archived, MemoryStatus::Silent, MemoryStatus::Deleted];
    for ((id, status), text) in written.iter().zip(expected).zip(sentences(4)) {
        let record = ctx.get(*id).await?;
        assert_eq!((record.id, record.status, record.text), (*id, status, text));
    }
    let all = ctx.records().await?;
    assert_eq!(sorted(&record_ids(&all)), sorted(&written), "a list has every status");
    for (id, status) in written.iter().zip(expected) {
        let listed = ctx.list(ListRequest::new().with_statuses([status])).await?.items;
        assert_eq!(record_ids(&listed), [*id]);
    }
    Ok(())
}

async fn an_unknown_id_is_not_found(ctx: &Ctx) -> CaseResult {
    let error = failed(ctx.get(MemoryId::new()).await, ErrorKind::NotFound)?;
    assert!(!error.is_retryable());
    Ok(())
}

async fn an_id_outside_the_scope_is_not_found(ctx: &Ctx) -> CaseResult {
    let own = ctx.user("ana")?.session("s1")?.write("The safe is new.").await?;
    let foreign = ctx.stranger()?.write("The safe is old.").await?;
    failed(ctx.get(foreign).await, ErrorKind::NotFound)?;
    failed(ctx.session("s2")?.get(own).await, ErrorKind::NotFound)?;
    failed(ctx.user("ben")?.get(own).await, ErrorKind::NotFound)?;
    ctx.user("ana")?.get(own).await?;
    Ok(())
}

async fn versions_come_on_request_oldest_first(ctx: &Ctx) -> CaseResult {
    let id = ctx.write("The safe is new.").await?;
    for text in ["The safe is old.", "The safe is gone."] {
        ctx.update(UpdateRequest::new(id).with_text(text)).await?;
    }
    assert!(ctx.detail(id).await?.versions.is_empty());
    let detail = ctx.detail(GetRequest::new(id).with_versions(true)).await?;
    let former: Vec<_> = detail.versions.iter().map(|v| (v.record.version, v.record.text.as_str())).collect();
    assert_eq!(former, [(1, "The safe is new."), (2, "The safe is old.")]);
    assert_eq!((detail.record.version, detail.record.text.as_str()), (3, "The safe is gone."));
    assert!(detail.versions.iter().all(|v| v.record.id == id && v.recorded_at >= v.record.written_at));
    Ok(())
}

async fn a_former_state_is_readable_by_version_and_by_time(ctx: &Ctx) -> CaseResult {
    let id = ctx.write("The safe is new.").await?;
    let first = ctx.get(id).await?;
    ctx.update(UpdateRequest::new(id).with_text("The safe is old.")).await?;
    let second = ctx.get(id).await?;
    let state = |at: At| ctx.detail(GetRequest::new(id).with_at(at));
    for (at, text) in [
        (At::Latest, "The safe is old."),
        (At::Version(1), "The safe is new."),
        (At::Version(2), "The safe is old."),
        (At::Time(first.written_at), "The safe is new."),
        (At::Time(second.written_at), "The safe is old."),
        (At::Time(second.written_at + chrono::TimeDelta::days(1)), "The safe is old."),
    ] {
        assert_eq!(state(at).await?.record.text, text, "{at:?}");
    }
    for never in [At::Version(0), At::Version(3), At::Time(first.written_at - chrono::TimeDelta::days(1))] {
        failed(state(never).await, ErrorKind::NotFound)?;
    }
    Ok(())
}

async fn a_list_has_full_texts(ctx: &Ctx) -> CaseResult {
    let text = format!("The safe is {}new.", "very ".repeat(150));
    ctx.write(text.as_str()).await?;
    assert_eq!(ctx.records().await?[0].text, text);
    Ok(())
}

async fn a_list_is_filtered_like_a_read(ctx: &Ctx) -> CaseResult {
    let request = |text: &str, tag: &str, memory_type, said: &str| -> CaseResult<WriteRequest> {
        let request = WriteRequest::new(text).with_tags([tag]).with_memory_type(memory_type);
        Ok(request.with_timestamp(at(said)?))
    };
    let first = request("The safe is new.", "home", MemoryType::Knowledge, "2024-03-01T10:00:00Z")?;
    let first = ctx.agent("scribe")?.session("s1")?.write(first).await?;
    let second = request("The door is red.", "work", MemoryType::Plan, "2024-03-02T10:00:00Z")?;
    let second = ctx.namespace("club")?.write(second).await?;
    let mut in_club = ListRequest::new();
    in_club.namespaces = vec!["club".to_owned()];
    let mut by_scribe = ListRequest::new();
    by_scribe.agents = vec!["scribe".to_owned()];
    let noon = at("2024-03-01T12:00:00Z")?;
    for (request, expected) in [
        (ListRequest::new().with_memory_types([MemoryType::Plan]), second),
        (ListRequest::new().with_tags(["home", "other"]), first),
        (ListRequest::new().with_session("s1"), first),
        (ListRequest::new().with_since(noon), second),
        (ListRequest::new().with_until(noon), first),
        (in_club, second),
        (by_scribe, first),
    ] {
        assert_eq!(record_ids(&ctx.list(request.clone()).await?.items), [expected], "{request:?}");
    }
    let upside_down = ListRequest::new().with_since(noon).with_until(noon);
    invalid(ctx.list(upside_down).await, "until")
}

async fn a_list_of_a_session_that_contradicts_the_scope_is_refused(ctx: &Ctx) -> CaseResult {
    invalid(ctx.session("s1")?.list(ListRequest::new().with_session("s2")).await, "session_id")
}

async fn a_list_is_searched_for_text(ctx: &Ctx) -> CaseResult {
    let percent = ctx.write("The discount is 100% on paint_rollers.").await?;
    ctx.write("The discount is 100 points on paint rollers.").await?;
    let umlaut = ctx.write("The GRÖSSE of that door is unknown.").await?;
    for (search, expected) in [
        ("DISCOUNT IS 100%", vec![percent]),
        ("paint_r", vec![percent]),
        ("grösse", vec![umlaut]),
        ("the door", Vec::new()),
    ] {
        let found = ctx.list(ListRequest::new().with_search(search)).await?.items;
        assert_eq!(record_ids(&found), expected, "{search:?}");
    }
    Ok(())
}

/// Ten records that differ in every column.
async fn write_varied(ctx: &Ctx) -> CaseResult {
    for (n, text) in sentences(10).into_iter().enumerate() {
        let memory_type = MemoryType::ALL[(n * 7) % MemoryType::ALL.len()];
        let said = at(&format!("2024-03-{:02}T10:00:00Z", (n * 7) % 10 + 1))?;
        let id = ctx
            .write(WriteRequest::new(text.as_str()).with_memory_type(memory_type).with_timestamp(said))
            .await?;
        let share = ((n * 3) % 10) as f64 / 10.0;
        ctx.update(UpdateRequest::new(id).with_confidence(share).with_importance(1.0 - share)).await?;
        if n % 3 == 0 {
            ctx.write(WriteRequest::new(text).with_memory_type(memory_type).with_timestamp(said)).await?;
        }
        let action = [None, Some(ForgetAction::Archive), Some(ForgetAction::Silence)][n % 3];
        if let Some(action) = action {
            ctx.forget(ForgetRequest::ids([id]).with_action(action)).await?;
        }
    }
    Ok(())
}

/// Whether `a` stands before `b` or beside it, ascending.
fn in_order(order_by: OrderBy, a: &MemoryRecord, b: &MemoryRecord) -> bool {
    match order_by {
        OrderBy::Timestamp => a.timestamp <= b.timestamp,
        OrderBy::WrittenAt => a.written_at <= b.written_at,
        OrderBy::Confidence => a.confidence <= b.confidence,
        OrderBy::Importance => a.importance <= b.importance,
        OrderBy::AccessCount => a.access_count <= b.access_count,
        OrderBy::Type => a.memory_type.as_str() <= b.memory_type.as_str(),
        OrderBy::Status => a.status.as_str() <= b.status.as_str(),
        _ => false,
    }
}

async fn a_list_is_ordered_by_any_column(ctx: &Ctx) -> CaseResult {
    write_varied(ctx).await?;
    for order_by in OrderBy::ALL {
        let list =
            async |order| ctx.list(ListRequest::new().with_order_by(*order_by).with_order(order)).await;
        let rising = list(ListOrder::Asc).await?.items;
        assert_eq!(rising.len(), 10);
        assert!(rising.windows(2).all(|pair| in_order(*order_by, &pair[0], &pair[1])), "{order_by} asc");
        let falling = list(ListOrder::Desc).await?.items;
        assert!(falling.windows(2).all(|pair| in_order(*order_by, &pair[1], &pair[0])), "{order_by} desc");
        assert_eq!(sorted(&record_ids(&rising)), sorted(&record_ids(&falling)));
    }
    let default = record_ids(&ctx.list(ListRequest::new()).await?.items);
    let newest = ListRequest::new().with_order_by(OrderBy::WrittenAt).with_order(ListOrder::Desc);
    assert_eq!(record_ids(&ctx.list(newest).await?.items), default);
    Ok(())
}

/// Follows the cursors of `request` to the end.
async fn pages(ctx: &Ctx, request: &ListRequest) -> CaseResult<Vec<Vec<MemoryId>>> {
    let mut pages = Vec::new();
    let mut next = request.clone();
    loop {
        let page = ctx.list(next).await?;
        pages.push(record_ids(&page.items));
        assert!(pages.len() <= 20, "the cursors have an end");
        match page.next_cursor {
            Some(cursor) => next = request.clone().with_cursor(cursor),
            None => return Ok(pages),
        }
    }
}

async fn pages_neither_skip_nor_repeat(ctx: &Ctx) -> CaseResult {
    write_varied(ctx).await?;
    for order_by in OrderBy::ALL {
        for order in ListOrder::ALL {
            let request = ListRequest::new().with_order_by(*order_by).with_order(*order);
            let whole = record_ids(&ctx.list(request.clone()).await?.items);
            for limit in [1usize, 3, 10] {
                let pages = pages(ctx, &request.clone().with_limit(limit)).await?;
                assert!(pages.iter().all(|page| page.len() <= limit));
                assert_eq!(pages.concat(), whole, "{order_by} {order} by {limit}");
            }
        }
    }
    Ok(())
}

async fn filtered_pages_neither_skip_nor_repeat(ctx: &Ctx) -> CaseResult {
    write_varied(ctx).await?;
    let filter = MetadataFilter::And(Vec::new());
    let request =
        ListRequest::new().with_statuses([MemoryStatus::Active, MemoryStatus::Silent]).with_filter(filter);
    let whole = record_ids(&ctx.list(request.clone()).await?.items);
    assert_eq!(whole.len(), 7);
    assert_eq!(pages(ctx, &request.with_limit(2usize)).await?.concat(), whole);
    Ok(())
}

async fn pages_hold_while_others_write(ctx: &Ctx) -> CaseResult {
    let written = ctx.write_all(sentences(9)).await?;
    for (order_by, order) in [(OrderBy::WrittenAt, ListOrder::Desc), (OrderBy::Timestamp, ListOrder::Asc)] {
        let request = ListRequest::new().with_order_by(order_by).with_order(order).with_limit(4usize);
        let (mut seen, mut next) = (Vec::new(), Some(request.clone()));
        while let Some(request_of_page) = next {
            let page = ctx.list(request_of_page).await?;
            seen.extend(record_ids(&page.items).into_iter().filter(|id| written.contains(id)));
            next = page.next_cursor.map(|cursor| request.clone().with_cursor(cursor));
            let new = ctx.write(format!("Meanwhile {order_by} {}.", seen.len())).await?;
            if seen.len() < 5 {
                ctx.forget(ForgetRequest::ids([new])).await?;
            }
            if seen.len() == written.len() {
                break;
            }
        }
        assert_eq!(sorted(&seen), sorted(&written), "each row that did not change is seen once");
    }
    Ok(())
}

async fn a_cursor_that_no_page_returned_is_refused(ctx: &Ctx) -> CaseResult {
    ctx.write_all(sentences(5)).await?;
    for cursor in ["", "nonsense", "0", "🦀", "eyJhIjoxfQ=="] {
        invalid(ctx.list(ListRequest::new().with_cursor(cursor)).await, "cursor")?;
    }
    let page = ctx.list(ListRequest::new().with_order_by(OrderBy::Confidence).with_limit(2usize)).await?;
    let cursor = some(page.next_cursor, "next_cursor")?;
    for other in [
        ListRequest::new().with_order_by(OrderBy::Timestamp),
        ListRequest::new().with_order_by(OrderBy::Confidence).with_order(ListOrder::Asc),
    ] {
        invalid(ctx.list(other.with_cursor(cursor.clone())).await, "cursor")?;
    }
    Ok(())
}

async fn a_page_has_1_to_1000_items(ctx: &Ctx) -> CaseResult {
    for limit in [0usize, 1001] {
        invalid(ctx.list(ListRequest::new().with_limit(limit)).await, "limit")?;
    }
    ctx.write_all(sentences(120)).await?;
    assert_eq!(ctx.list(ListRequest::new()).await?.items.len(), 100, "the default");
    let page = ctx.list(ListRequest::new().with_limit(1000usize)).await?;
    assert_eq!((page.items.len(), page.next_cursor), (120, None));
    Ok(())
}

async fn an_empty_list_has_no_next_page(ctx: &Ctx) -> CaseResult {
    let page = ctx.list(ListRequest::new()).await?;
    assert_eq!((page.items.len(), page.next_cursor), (0, None));
    Ok(())
}

pub(crate) const CASES: &[Case] = cases![
    get_returns_a_record_of_any_status: List,
    an_unknown_id_is_not_found: List,
    an_id_outside_the_scope_is_not_found: List Users,
    versions_come_on_request_oldest_first: List,
    a_former_state_is_readable_by_version_and_by_time: List,
    a_list_has_full_texts: List,
    a_list_is_filtered_like_a_read: List Namespaces,
    a_list_of_a_session_that_contradicts_the_scope_is_refused: List,
    a_list_is_searched_for_text: List,
    a_list_is_ordered_by_any_column: List,
    pages_neither_skip_nor_repeat: List,
    filtered_pages_neither_skip_nor_repeat: List MetadataFilter,
    pages_hold_while_others_write: List,
    a_cursor_that_no_page_returned_is_refused: List,
    a_page_has_1_to_1000_items: List,
    an_empty_list_has_no_next_page: List,
];
