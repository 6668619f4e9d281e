//! Closing a backend, and opening its memories again.

use std::sync::Arc;

use cml::{
    ErrorKind,
    ops::{ForgetRequest, UpdateRequest, WriteRequest},
};

use crate::{
    case::{Case, CaseResult, cases},
    ctx::Ctx,
    texts::{at, failed, ids, open, values},
};

/// A backend of this kind that no other case uses.
async fn own(ctx: &Ctx) -> CaseResult<Ctx> {
    Ctx::new(ctx.place.another(|_| {}).await?)
}

async fn calls_after_close_are_unavailable(ctx: &Ctx) -> CaseResult {
    let own = own(ctx).await?;
    own.write("The safe is new.").await?;
    own.backend.close().await?;
    failed(own.try_write("The door is red.").await, ErrorKind::Unavailable)?;
    failed(own.read("safe").await, ErrorKind::Unavailable)?;
    failed(own.stats().await, ErrorKind::Unavailable)?;
    Ok(())
}

async fn closing_twice_is_no_error(ctx: &Ctx) -> CaseResult {
    let own = own(ctx).await?;
    own.backend.close().await?;
    own.backend.close().await?;
    Ok(())
}

async fn backends_share_nothing_unless_told_to(ctx: &Ctx) -> CaseResult {
    let own = own(ctx).await?;
    let same_tenant = Ctx { scope: ctx.scope.clone(), ..own };
    ctx.write("The safe is new.").await?;
    assert_eq!(same_tenant.stats().await?.total_memories, 0);
    same_tenant.backend.close().await?;
    Ok(())
}

async fn what_was_written_is_there_after_reopening(ctx: &Ctx) -> CaseResult {
    let own = own(ctx).await?;
    let session = own.session("s1")?;
    let request =
        WriteRequest::new("I live in Berlin.").with_timestamp(at("2024-03-06T10:00:00Z")?).with_key("home");
    let id = session.write(request).await?;
    let updated = session.write("The safe is new.").await?;
    own.update(UpdateRequest::new(updated).with_text("The safe is old.")).await?;
    let gone = own.write("The zeppelin is in the hangar.").await?;
    own.forget(ForgetRequest::ids([gone])).await?;
    let query = || open("Where do I live?");
    let (records, found) = (own.records().await?, ids(&own.read(query()).await?.memories));
    own.backend.close().await?;

    let again = Ctx { backend: own.place.reconnect().await?, ..own.clone() };
    let mut reopened = again.records().await?;
    for (record, before) in reopened.iter_mut().zip(&records) {
        // The read before closing was recorded as access.
        (record.access_count, record.last_accessed_at) = (before.access_count, before.last_accessed_at);
    }
    assert_eq!(reopened, records);
    assert_eq!(ids(&again.read(query()).await?.memories), found);
    assert_eq!(again.get(id).await?.key.as_deref(), Some("home"));
    assert_eq!(again.messages("s1").await?.len(), 2);
    assert_eq!(values(&again.facts().await?, &["Berlin"]).len(), 1);
    failed(again.get(gone).await, ErrorKind::NotFound)?;
    again.backend.close().await?;
    Ok(())
}

async fn two_handles_see_each_others_writes_at_the_next_read(ctx: &Ctx) -> CaseResult {
    let first = own(ctx).await?;
    let second = Ctx { backend: first.place.reconnect().await?, ..first.clone() };
    assert!(!Arc::ptr_eq(&first.backend, &second.backend));
    for (n, (writer, reader)) in [(&first, &second), (&second, &first)].into_iter().enumerate() {
        let id = writer.write(format!("The safe number {n} is new.")).await?;
        assert_eq!(ids(&reader.read(open(&format!("safe number {n}"))).await?.memories).first(), Some(&id));
        reader.forget(ForgetRequest::ids([id])).await?;
        assert!(writer.read(open("safe")).await?.memories.is_empty());
        writer.write(format!("I live in Lisbon{n}.")).await?;
        reader.write(format!("I live in Berlin{n} now.")).await?;
        assert_eq!(values(&writer.facts().await?, &["Lisbon", "Berlin"]), [format!("Berlin{n}")]);
        writer.forget(ForgetRequest::new().with_before(at("2199-01-01T00:00:00Z")?)).await?;
    }
    for handle in [first, second] {
        handle.backend.close().await?;
    }
    Ok(())
}

async fn two_handles_write_at_once_without_a_loss(ctx: &Ctx) -> CaseResult {
    let first = own(ctx).await?;
    let second = first.place.reconnect().await?;
    let results = first
        .parallel(32, |ctx, task| {
            let backend = Arc::clone(if task % 2 == 0 { &ctx.backend } else { &second });
            let handle = Ctx { backend, ..ctx };
            async move { handle.write(format!("The safe number {} is new.", task / 2)).await }
        })
        .await?;
    let mut written = results.into_iter().collect::<CaseResult<Vec<_>>>()?;
    written.sort();
    written.dedup();
    assert_eq!((written.len(), first.stats().await?.total_memories), (16, 16), "each text is one memory");
    second.close().await?;
    first.backend.close().await?;
    Ok(())
}

pub(crate) const CASES: &[Case] = cases![another;
    calls_after_close_are_unavailable,
    closing_twice_is_no_error,
    backends_share_nothing_unless_told_to,
];

pub(crate) const REOPENING: &[Case] = cases![reopening;
    what_was_written_is_there_after_reopening,
    two_handles_see_each_others_writes_at_the_next_read,
    two_handles_write_at_once_without_a_loss,
];
