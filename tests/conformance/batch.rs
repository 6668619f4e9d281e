//! Many writes in one call.

use cml::{ErrorKind, ops::WriteRequest};

use crate::{
    case::{Case, CaseResult, cases},
    ctx::Ctx,
    texts::{UNRELATED, failed, invalid, sentences, some, values},
};

async fn an_empty_batch_is_an_empty_answer(ctx: &Ctx) -> CaseResult {
    assert!(ctx.backend.write_batch(&ctx.scope, Vec::new()).await?.is_empty());
    assert_eq!(ctx.stats().await?.total_memories, 0);
    Ok(())
}

async fn a_batch_keeps_its_order(ctx: &Ctx) -> CaseResult {
    let session = ctx.session("s1")?;
    let written = session.write_all(UNRELATED).await?;
    for (id, text) in written.iter().zip(UNRELATED) {
        assert_eq!(ctx.get(*id).await?.text, text);
    }
    let log: Vec<String> = ctx.messages("s1").await?.into_iter().map(|message| message.text).collect();
    assert_eq!(log, UNRELATED);
    Ok(())
}

async fn a_bad_item_fails_alone(ctx: &Ctx) -> CaseResult {
    let long = "x".repeat(100_001);
    let requests =
        ["The safe is new.", "", "The key is old.", long.as_str(), "thanks!", "nul\0", "The door is red."];
    let requests = requests.into_iter().map(WriteRequest::new).collect();
    let mut results = ctx.backend.write_batch(&ctx.scope, requests).await?;
    assert_eq!(results.len(), 7);
    for bad in [5, 3, 1] {
        invalid(results.remove(bad), "content")?;
    }
    let answers = results.into_iter().collect::<cml::Result<Vec<_>>>()?;
    assert_eq!(answers[2].memory_id, None, "an acknowledgement is skipped and no error");
    for (answer, text) in [(0, "The safe is new."), (1, "The key is old."), (3, "The door is red.")] {
        let id = some(answers[answer].memory_id, text)?;
        assert_eq!(ctx.get(id).await?.text, text);
    }
    assert_eq!(ctx.stats().await?.total_memories, 3);
    Ok(())
}

async fn a_conflict_fails_its_item_alone(ctx: &Ctx) -> CaseResult {
    ctx.write(WriteRequest::new("The safe is new.").with_idempotency_key("k1")).await?;
    let requests = vec![
        WriteRequest::new("The key is old."),
        WriteRequest::new("The safe is old.").with_idempotency_key("k1"),
        WriteRequest::new("The door is red."),
    ];
    let mut results = ctx.backend.write_batch(&ctx.scope, requests).await?;
    failed(results.remove(1), ErrorKind::Conflict)?;
    assert!(results.iter().all(Result::is_ok));
    assert_eq!(ctx.stats().await?.total_memories, 3);
    Ok(())
}

async fn a_text_that_stands_twice_in_a_batch_is_one_memory(ctx: &Ctx) -> CaseResult {
    let written = ctx.write_all(["The safe is new.", "The key is old.", "The safe is new."]).await?;
    assert_eq!(written[0], written[2]);
    assert_eq!(ctx.stats().await?.total_memories, 2);
    Ok(())
}

async fn a_later_item_sees_the_earlier_ones(ctx: &Ctx) -> CaseResult {
    let keyed = |text: &str| WriteRequest::new(text).with_key("safe");
    let written = ctx.write_all([keyed("The safe is new."), keyed("The safe is old.")]).await?;
    assert_eq!(written[0], written[1]);
    assert_eq!(ctx.get(written[0]).await?.text, "The safe is old.");
    assert_eq!(ctx.stats().await?.total_memories, 1);
    Ok(())
}

async fn a_batch_moves_a_residence_as_single_writes_do(ctx: &Ctx) -> CaseResult {
    ctx.write_all(["I live in Lisbon.", "The safe is new.", "I live in Berlin now."]).await?;
    assert_eq!(values(&ctx.facts().await?, &["Lisbon", "Berlin"]), ["Berlin"]);
    Ok(())
}

async fn a_batch_of_a_thousand_is_stored_in_full(ctx: &Ctx) -> CaseResult {
    let written = ctx.write_all(sentences(1000)).await?;
    assert_eq!(written.len(), 1000);
    assert_eq!(ctx.stats().await?.total_memories, 1000);
    Ok(())
}

async fn items_name_their_own_places(ctx: &Ctx) -> CaseResult {
    let texts = ["The safe is new.", "The key is old."];
    let requests =
        texts.iter().zip(["s1", "s2"]).map(|(text, session)| WriteRequest::new(*text).with_session(session));
    ctx.write_all(requests).await?;
    for (text, session) in texts.iter().zip(["s1", "s2"]) {
        let log = ctx.messages(session).await?;
        assert_eq!(log.iter().map(|message| &message.text).collect::<Vec<_>>(), [text]);
    }
    Ok(())
}

pub(crate) const CASES: &[Case] = cases![
    an_empty_batch_is_an_empty_answer,
    a_batch_keeps_its_order: Sessions List,
    a_bad_item_fails_alone: List,
    a_conflict_fails_its_item_alone: Idempotency,
    a_text_that_stands_twice_in_a_batch_is_one_memory,
    a_later_item_sees_the_earlier_ones: Keys List,
    a_batch_moves_a_residence_as_single_writes_do: Facts,
    a_batch_of_a_thousand_is_stored_in_full,
    items_name_their_own_places: Sessions,
];
