//! The same text again, keys of memories, expiry.

use cml::{
    ErrorKind,
    memory::{MemoryStatus, Role},
    ops::{At, Feedback, ForgetRequest, GetRequest, ReadRequest, UpdateRequest, WriteRequest},
};
use serde_json::json;

use crate::{
    case::{Case, CaseResult, cases},
    ctx::Ctx,
    texts::{at, failed, ids, invalid, metadata, open, sentences, sorted},
};

const TEXT: &str = "The safe is under the stairs.";

async fn the_same_text_again_reinforces_the_memory(ctx: &Ctx) -> CaseResult {
    let first = WriteRequest::new(TEXT)
        .with_tags(["home", "safety"])
        .with_metadata(metadata(json!({"a": 1, "b": 1}))?);
    let id = ctx.write(first).await?;
    let before = ctx.get(id).await?;
    let second = WriteRequest::new(TEXT)
        .with_tags(["safety", "stairs"])
        .with_metadata(metadata(json!({"b": 2, "c": 3}))?);
    let answer = ctx.try_write(second).await?;
    assert_eq!((answer.success, answer.memory_id, answer.chunks_created), (true, Some(id), 0));
    let after = ctx.get(id).await?;
    assert!(after.access_count > before.access_count);
    assert!(after.confidence > before.confidence || before.confidence.get() >= 1.0);
    assert_eq!(sorted(&after.context_tags), ["home", "safety", "stairs"]);
    assert_eq!(after.metadata, metadata(json!({"a": 1, "b": 2, "c": 3}))?);
    assert_eq!((after.text, after.timestamp), (before.text, before.timestamp));
    assert_eq!(ctx.records().await?.len(), 1);
    Ok(())
}

async fn the_same_long_text_again_makes_no_new_chunks(ctx: &Ctx) -> CaseResult {
    let text = sentences(120).join(" ");
    let first = ctx.try_write(text.as_str()).await?;
    let before = ctx.stats().await?.total_memories;
    let second = ctx.try_write(text.as_str()).await?;
    assert_eq!((second.memory_id, second.chunks_created), (first.memory_id, 0));
    assert_eq!(ctx.stats().await?.total_memories, before);
    Ok(())
}

async fn in_another_place_the_same_text_is_a_memory_of_its_own(ctx: &Ctx) -> CaseResult {
    let mut written = vec![ctx.write(TEXT).await?];
    for place in [
        ctx.session("s1")?,
        ctx.session("s2")?,
        ctx.user("ana")?,
        ctx.user("ben")?,
        ctx.namespace("work")?,
        ctx.user("ana")?.session("s1")?,
    ] {
        written.push(place.write(TEXT).await?);
        assert_eq!(place.write(TEXT).await?, written[written.len() - 1], "{}", place.scope);
    }
    written.push(ctx.write(WriteRequest::new(TEXT).with_role(Role::Assistant)).await?);
    let count = written.len();
    written.sort();
    written.dedup();
    assert_eq!(written.len(), count);
    assert_eq!(ctx.records().await?.len(), count);
    Ok(())
}

async fn a_repeated_text_is_another_message_of_the_session(ctx: &Ctx) -> CaseResult {
    let session = ctx.session("s1")?;
    let id = session.write(TEXT).await?;
    session.write(TEXT).await?;
    let log: Vec<_> = ctx.messages("s1").await?.into_iter().map(|message| message.memory_id).collect();
    assert_eq!(log, [Some(id), Some(id)]);
    Ok(())
}

async fn a_forgotten_text_is_not_reinforced(ctx: &Ctx) -> CaseResult {
    let id = ctx.write(TEXT).await?;
    ctx.forget(ForgetRequest::ids([id])).await?;
    let again = ctx.try_write(TEXT).await?;
    assert!(again.chunks_created == 1 && again.memory_id.is_some_and(|new| new != id));
    assert_eq!(ctx.recall("Where is the safe?").await?, [TEXT]);
    Ok(())
}

async fn identical_writes_at_once_leave_one_row(ctx: &Ctx) -> CaseResult {
    let results = ctx.parallel(32, |ctx, _| async move { ctx.try_write(TEXT).await }).await?;
    let answers = results.into_iter().collect::<cml::Result<Vec<_>>>()?;
    let records = ctx.records().await?;
    assert_eq!(records.len(), 1);
    assert!(answers.iter().all(|answer| answer.memory_id == Some(records[0].id)));
    assert_eq!(answers.iter().map(|answer| answer.chunks_created).sum::<u32>(), 1);
    Ok(())
}

async fn a_write_with_an_existing_key_replaces_the_text(ctx: &Ctx) -> CaseResult {
    let id = ctx.write(WriteRequest::new("The gym opens at six.").with_key("gym")).await?;
    let again = ctx.write(WriteRequest::new("The pool closes on Mondays.").with_key("gym")).await?;
    assert_eq!(again, id);
    let detail = ctx.detail(GetRequest::new(id).with_versions(true)).await?;
    assert_eq!((detail.record.text.as_str(), detail.record.version), ("The pool closes on Mondays.", 2));
    assert_eq!(detail.record.key.as_deref(), Some("gym"));
    let former: Vec<_> = detail.versions.iter().map(|v| (v.record.text.as_str(), v.record.version)).collect();
    assert_eq!(former, [("The gym opens at six.", 1)]);
    let first = ctx.detail(GetRequest::new(id).with_at(At::Version(1))).await?;
    assert_eq!(first.record.text, "The gym opens at six.");
    assert_eq!(ctx.records().await?.len(), 1);
    Ok(())
}

async fn a_replaced_text_is_found_by_its_new_words_alone(ctx: &Ctx) -> CaseResult {
    ctx.write_unrelated().await?;
    let id = ctx.write(WriteRequest::new("The gym opens at six.").with_key("gym")).await?;
    ctx.write(WriteRequest::new("The sourdough needs more flour.").with_key("gym")).await?;
    assert_eq!(ids(&ctx.read("What does the sourdough need?").await?.memories)[0], id);
    assert!(!ids(&ctx.read("When does the gym open?").await?.memories).contains(&id));
    Ok(())
}

async fn a_key_belongs_to_one_tenant_namespace_and_user(ctx: &Ctx) -> CaseResult {
    let keyed = |text: &str| WriteRequest::new(text).with_key("gym");
    let mut written = Vec::new();
    for (n, place) in
        [ctx.clone(), ctx.user("ana")?, ctx.namespace("work")?, ctx.stranger()?].into_iter().enumerate()
    {
        let id = place.write(keyed(&format!("The gym opens at {n}."))).await?;
        assert_eq!(place.get(id).await?.version, 1);
        written.push(id);
    }
    // A key is the same in every session.
    let in_session = ctx.session("s1")?.write(keyed("The gym is closed.")).await?;
    assert_eq!(in_session, written[0]);
    written.sort();
    written.dedup();
    assert_eq!(written.len(), 4);
    Ok(())
}

async fn a_key_has_1_to_200_characters_and_no_control_characters(ctx: &Ctx) -> CaseResult {
    for bad in [String::new(), "k".repeat(201), "a\tb".to_owned()] {
        invalid(ctx.try_write(WriteRequest::new(TEXT).with_key(bad)).await, "key")?;
    }
    let longest = "ß".repeat(200);
    let id = ctx.write(WriteRequest::new(TEXT).with_key(longest.clone())).await?;
    assert_eq!(ctx.get(id).await?.key, Some(longest));
    Ok(())
}

async fn an_expired_memory_is_not_returned(ctx: &Ctx) -> CaseResult {
    let past = ctx
        .write(WriteRequest::new("The safe code changed.").with_expires_at(at("2024-03-06T10:00:00Z")?))
        .await?;
    let future = ctx
        .write(WriteRequest::new("The safe was oiled.").with_expires_at(at("2199-03-06T10:00:00Z")?))
        .await?;
    for query in ["The safe code changed.", "safe", ""] {
        assert_eq!(ids(&ctx.read(open(query)).await?.memories), [future], "{query:?}");
    }
    let record = ctx.get(past).await?;
    assert_eq!(record.expires_at, Some(at("2024-03-06T10:00:00Z")?), "the next forgetting run removes it");
    Ok(())
}

async fn an_expired_constraint_does_not_apply(ctx: &Ctx) -> CaseResult {
    let request = WriteRequest::new("I am allergic to shellfish.");
    ctx.write(
        request.with_timestamp(at("2024-03-01T10:00:00Z")?).with_expires_at(at("2024-03-06T10:00:00Z")?),
    )
    .await?;
    assert!(ctx.recall(open("Can you recommend a restaurant?")).await?.is_empty());
    Ok(())
}

async fn a_deleted_key_is_free_again(ctx: &Ctx) -> CaseResult {
    let id = ctx.write(WriteRequest::new(TEXT).with_key("safe")).await?;
    ctx.forget(ForgetRequest::ids([id])).await?;
    let again = ctx.write(WriteRequest::new("The safe is in the bank.").with_key("safe")).await?;
    assert_ne!(again, id);
    assert_eq!(ctx.get(again).await?.version, 1);
    failed(ctx.get(id).await, ErrorKind::NotFound)?;
    assert_eq!(ids(&ctx.read(ReadRequest::new("Where is the safe?")).await?.memories), [again]);
    Ok(())
}

async fn the_key_of_a_memory_marked_as_wrong_is_free_again(ctx: &Ctx) -> CaseResult {
    let wrong = ctx.write(WriteRequest::new(TEXT).with_key("safe")).await?;
    ctx.update(UpdateRequest::new(wrong).with_feedback(Feedback::Incorrect)).await?;
    let again = ctx.write(WriteRequest::new("The safe is in the bank.").with_key("safe")).await?;
    assert_ne!(again, wrong);
    assert_eq!(ctx.get(again).await?.key.as_deref(), Some("safe"));
    let wrong = ctx.get(wrong).await?;
    assert_eq!((wrong.key, wrong.status), (None, MemoryStatus::Deleted));
    assert_eq!(ids(&ctx.read(ReadRequest::new("Where is the safe?")).await?.memories), [again]);
    Ok(())
}

pub(crate) const CASES: &[Case] = cases![
    the_same_text_again_reinforces_the_memory: List,
    the_same_long_text_again_makes_no_new_chunks,
    in_another_place_the_same_text_is_a_memory_of_its_own: List Users Namespaces,
    a_repeated_text_is_another_message_of_the_session: Sessions,
    a_forgotten_text_is_not_reinforced,
    identical_writes_at_once_leave_one_row: List,
    a_write_with_an_existing_key_replaces_the_text: Keys List,
    a_replaced_text_is_found_by_its_new_words_alone: Keys,
    a_key_belongs_to_one_tenant_namespace_and_user: Keys List,
    a_key_has_1_to_200_characters_and_no_control_characters: Keys List,
    an_expired_memory_is_not_returned: Keys List,
    an_expired_constraint_does_not_apply: Keys,
    a_deleted_key_is_free_again: Keys List,
    the_key_of_a_memory_marked_as_wrong_is_free_again: Keys List,
];
