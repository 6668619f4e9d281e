//! Many callers at once.

use cml::{
    ops::{ForgetRequest, GetRequest, WriteRequest},
    scope::Subject,
};
use libtest_mimic::Failed;

use crate::{
    case::{Case, CaseResult, cases},
    ctx::Ctx,
    texts::{ids, open, sentences, sorted},
};

async fn writes_at_once_are_all_stored(ctx: &Ctx) -> CaseResult {
    let results =
        ctx.parallel(64, |ctx, task| async move { ctx.write(sentences(64)[task].as_str()).await }).await?;
    let mut written = results.into_iter().collect::<CaseResult<Vec<_>>>()?;
    written.sort();
    written.dedup();
    assert_eq!(written.len(), 64);
    assert_eq!(ctx.stats().await?.total_memories, 64);
    let found = ctx.read(open("").with_max_results(ctx.backend.capabilities().max_results)).await?;
    assert_eq!(sorted(&ids(&found.memories)), written);
    Ok(())
}

async fn writes_at_once_get_messages_of_their_own(ctx: &Ctx) -> CaseResult {
    let session = ctx.session("s1")?;
    let results = session
        .parallel(32, |ctx, task| async move { ctx.write(sentences(32)[task].as_str()).await })
        .await?;
    results.into_iter().collect::<CaseResult<Vec<_>>>()?;
    let log = ctx.messages("s1").await?;
    assert_eq!(log.iter().map(|message| message.seq).collect::<Vec<_>>(), (1..=32).collect::<Vec<_>>());
    let spoken: Vec<String> = log.into_iter().map(|message| message.text).collect();
    assert_eq!(sorted(&spoken), sorted(&sentences(32)));
    Ok(())
}

async fn writes_with_one_key_at_once_are_versions_of_one_memory(ctx: &Ctx) -> CaseResult {
    let results = ctx
        .parallel(12, |ctx, task| async move {
            ctx.write(WriteRequest::new(format!("The safe is in room {task}.")).with_key("safe")).await
        })
        .await?;
    let written = results.into_iter().collect::<CaseResult<Vec<_>>>()?;
    assert!(written.iter().all(|id| *id == written[0]));
    let detail = ctx.detail(GetRequest::new(written[0]).with_versions(true)).await?;
    assert_eq!((detail.record.version, detail.versions.len()), (12, 11));
    assert_eq!(ctx.stats().await?.total_memories, 1);
    Ok(())
}

async fn a_write_is_seen_by_the_next_read(ctx: &Ctx) -> CaseResult {
    let results = ctx
        .parallel(16, |ctx, task| async move {
            let text = format!("The locker number {task} holds item{task}.");
            let id = ctx.write(text.as_str()).await?;
            let found = ctx.read(open(&text).with_max_results(3usize)).await?.memories;
            assert_eq!(ids(&found).first(), Some(&id), "{text}");
            ctx.forget(ForgetRequest::ids([id])).await?;
            let found = ctx.read(open(&text)).await?.memories;
            assert!(!ids(&found).contains(&id), "{text}");
            Ok::<_, Failed>(())
        })
        .await?;
    results.into_iter().collect()
}

async fn tenants_at_once_stay_apart(ctx: &Ctx) -> CaseResult {
    let results = ctx
        .parallel(12, |ctx, task| async move {
            let tenant = ctx.stranger()?;
            let text = format!("The secret of tenant {task} is a garden.");
            let id = tenant.write(text.as_str()).await?;
            let found = tenant.read(open("Which garden is it?")).await?.memories;
            assert_eq!(ids(&found), [id]);
            assert_eq!(tenant.erase(Subject::Tenant).await?.affected_count, 1);
            Ok::<_, Failed>(())
        })
        .await?;
    results.into_iter().collect()
}

async fn reads_and_writes_at_once_do_not_fail(ctx: &Ctx) -> CaseResult {
    ctx.write_unrelated().await?;
    let results = ctx
        .parallel(24, |ctx, task| async move {
            if task % 2 == 0 {
                ctx.write_all(sentences(200)[task * 8..(task + 1) * 8].to_vec()).await?;
            } else {
                for _ in 0..8 {
                    let found = ctx.read("Which bridge was closed?").await?.memories;
                    assert_eq!(found[0].text, "The bridge was closed for repairs.");
                }
            }
            Ok::<_, Failed>(())
        })
        .await?;
    results.into_iter().collect::<CaseResult<Vec<_>>>()?;
    assert_eq!(ctx.stats().await?.total_memories, 32 + 12 * 8);
    Ok(())
}

pub(crate) const CASES: &[Case] = cases![
    writes_at_once_are_all_stored,
    writes_at_once_get_messages_of_their_own: Sessions,
    writes_with_one_key_at_once_are_versions_of_one_memory: Keys List,
    a_write_is_seen_by_the_next_read,
    tenants_at_once_stay_apart: Erase,
    reads_and_writes_at_once_do_not_fail,
];
