//! The items of a read, one by one.

use cml::{
    memory::{MemoryItem, MemoryType},
    ops::{ReadRequest, WriteRequest},
};
use futures_util::{StreamExt as _, TryStreamExt as _};

use crate::{
    case::{Case, CaseResult, cases},
    ctx::Ctx,
    texts::{ids, invalid, open, some},
};

async fn streamed(ctx: &Ctx, request: ReadRequest) -> CaseResult<Vec<MemoryItem>> {
    Ok(ctx.backend.read_stream(&ctx.scope, request).await?.try_collect().await?)
}

async fn a_stream_gives_the_same_items_in_the_same_order(ctx: &Ctx) -> CaseResult {
    ctx.write_unrelated().await?;
    ctx.write("I am allergic to shellfish.").await?;
    ctx.write(WriteRequest::new("A fox slept in the shed.").with_memory_type(MemoryType::Knowledge)).await?;
    for request in [
        open("a fox in the garden"),
        open(""),
        ReadRequest::new("Which bridge was closed?"),
        ReadRequest::new("Can you recommend a restaurant?"),
        open("fox").with_memory_types([MemoryType::Knowledge]),
        open("music").with_max_results(3usize),
    ] {
        let read = ctx.read(request.clone()).await?.memories;
        let streamed = streamed(ctx, request.clone()).await?;
        assert_eq!(ids(&streamed), ids(&read), "{request:?}");
        for (one, other) in streamed.iter().zip(&read) {
            assert_eq!(
                (&one.text, one.relevance, one.timestamp),
                (&other.text, other.relevance, other.timestamp)
            );
        }
    }
    Ok(())
}

async fn an_empty_memory_streams_nothing(ctx: &Ctx) -> CaseResult {
    assert!(streamed(ctx, ReadRequest::new("fox")).await?.is_empty());
    Ok(())
}

async fn a_broken_request_fails_before_the_stream_begins(ctx: &Ctx) -> CaseResult {
    let request = ReadRequest::new("fox").with_max_results(0usize);
    invalid(ctx.backend.read_stream(&ctx.scope, request).await, "max_results")
}

async fn a_stream_may_be_dropped_after_its_first_item(ctx: &Ctx) -> CaseResult {
    ctx.write_unrelated().await?;
    let request = open("a fox in the garden");
    let first = ids(&ctx.read(request.clone()).await?.memories)[0];
    let mut stream = ctx.backend.read_stream(&ctx.scope, request).await?;
    let item = some(stream.next().await, "item")??;
    drop(stream);
    assert_eq!(item.id, first);
    ctx.write("A fox slept in the shed.").await?;
    Ok(())
}

pub(crate) const CASES: &[Case] = cases![
    a_stream_gives_the_same_items_in_the_same_order,
    an_empty_memory_streams_nothing,
    a_broken_request_fails_before_the_stream_begins,
    a_stream_may_be_dropped_after_its_first_item,
];
