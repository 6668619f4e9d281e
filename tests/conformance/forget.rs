//! Archiving, silencing, deleting.

use cml::{
    ErrorKind, MemoryId,
    memory::{MemoryStatus, MetadataFilter},
    ops::{At, ForgetAction, ForgetRequest, GetRequest, UpdateRequest, WriteRequest},
};
use serde_json::json;

use crate::{
    case::{Case, CaseResult, cases},
    ctx::Ctx,
    texts::{at, failed, ids, invalid, metadata, open, record_ids, sentences, sorted},
};

async fn forget_needs_a_selector(ctx: &Ctx) -> CaseResult {
    ctx.write("The safe is new.").await?;
    for action in ForgetAction::ALL {
        invalid(ctx.forget(ForgetRequest::new().with_action(*action)).await, "memory_ids")?;
    }
    invalid(ctx.forget(ForgetRequest::new().with_query(" ")).await, "query")?;
    invalid(ctx.forget(ForgetRequest::new().with_query("nul\0inside")).await, "query")?;
    assert_eq!(ctx.stats().await?.active_memories, 1);
    Ok(())
}

async fn delete_is_the_default_and_removes_the_rows(ctx: &Ctx) -> CaseResult {
    let written = ctx.write_all(["The zeppelin is in the hangar.", "The safe is new."]).await?;
    ctx.update(UpdateRequest::new(written[0]).with_text("The zeppelin is in the air.")).await?;
    let answer = ctx.forget(ForgetRequest::ids([written[0]])).await?;
    assert!(answer.success && answer.affected_count == 1 && !answer.message.is_empty());
    assert!(answer.matches.is_empty());
    failed(ctx.get(written[0]).await, ErrorKind::NotFound)?;
    let version = GetRequest::new(written[0]).with_at(At::Version(1));
    failed(ctx.detail(version).await, ErrorKind::NotFound)?;
    assert_eq!(record_ids(&ctx.records().await?), [written[1]]);
    assert_eq!(ctx.traces("zeppelin").await?, [""; 0]);
    Ok(())
}

async fn archive_and_silence_set_their_status(ctx: &Ctx) -> CaseResult {
    for (action, status) in
        [(ForgetAction::Archive, MemoryStatus::Archived), (ForgetAction::Silence, MemoryStatus::Silent)]
    {
        let id = ctx.write(format!("The safe waits for {action}.")).await?;
        let request = ForgetRequest::ids([id]).with_action(action);
        assert_eq!(ctx.forget(request.clone()).await?.affected_count, 1);
        assert_eq!(ctx.get(id).await?.status, status);
        assert_eq!(ctx.forget(request).await?.affected_count, 0, "repeating it changes nothing more");
    }
    Ok(())
}

async fn forgetting_again_counts_nothing(ctx: &Ctx) -> CaseResult {
    let id = ctx.write("The safe is new.").await?;
    assert_eq!(ctx.forget(ForgetRequest::ids([id, id])).await?.affected_count, 1);
    let again = ctx.forget(ForgetRequest::ids([id])).await?;
    assert!(again.success && again.affected_count == 0);
    Ok(())
}

async fn unknown_and_foreign_ids_are_skipped_and_not_counted(ctx: &Ctx) -> CaseResult {
    let own = ctx.user("ana")?.write("The safe is new.").await?;
    let of_ben = ctx.user("ben")?.write("The door is red.").await?;
    let foreign = ctx.stranger()?.write("The lock is old.").await?;
    let request = ForgetRequest::ids([MemoryId::new(), of_ben, own, foreign]);
    assert_eq!(ctx.user("ana")?.forget(request).await?.affected_count, 1);
    failed(ctx.get(own).await, ErrorKind::NotFound)?;
    ctx.get(of_ben).await?;
    Ok(())
}

async fn before_means_said_before(ctx: &Ctx) -> CaseResult {
    let mut written = Vec::new();
    for (text, said) in [
        ("The safe is new.", "2024-03-01T10:00:00Z"),
        ("The door is red.", "2024-03-02T10:00:00Z"),
        ("The lock was bought in May 2023.", "2024-03-03T10:00:00Z"),
    ] {
        written.push(ctx.write(WriteRequest::new(text).with_timestamp(at(said)?)).await?);
    }
    let before = ForgetRequest::new().with_before(at("2024-03-02T10:00:00Z")?);
    assert_eq!(ctx.forget(before).await?.affected_count, 1);
    assert_eq!(sorted(&record_ids(&ctx.records().await?)), sorted(&written[1..]));
    Ok(())
}

async fn a_filter_selects_by_metadata(ctx: &Ctx) -> CaseResult {
    let mut written = Vec::new();
    for (text, year) in [("The safe is new.", 2022), ("The door is red.", 2023), ("The lock is old.", 2024)] {
        let fields = metadata(json!({"year": year}))?;
        written.push(ctx.write(WriteRequest::new(text).with_metadata(fields)).await?);
    }
    let filter: MetadataFilter = serde_json::from_value(json!({"range": {"field": "year", "lt": 2024}}))?;
    assert_eq!(ctx.forget(ForgetRequest::new().with_filter(filter)).await?.affected_count, 2);
    assert_eq!(record_ids(&ctx.records().await?), written[2..]);
    Ok(())
}

async fn a_session_selects_its_memories(ctx: &Ctx) -> CaseResult {
    ctx.session("s1")?.write_all(["The safe is new.", "The door is red."]).await?;
    let kept = ctx.session("s2")?.write("The lock is old.").await?;
    assert_eq!(ctx.forget(ForgetRequest::new().with_session("s1")).await?.affected_count, 2);
    assert_eq!(record_ids(&ctx.records().await?), [kept]);
    Ok(())
}

async fn a_session_that_contradicts_the_scope_is_refused(ctx: &Ctx) -> CaseResult {
    let first = ctx.session("s1")?;
    first.write("The safe is new.").await?;
    invalid(first.forget(ForgetRequest::new().with_session("s2")).await, "session_id")?;
    assert_eq!(first.forget(ForgetRequest::new().with_session("s1")).await?.affected_count, 1);
    Ok(())
}

async fn selectors_narrow_each_other(ctx: &Ctx) -> CaseResult {
    let (early, late) = (at("2024-03-01T10:00:00Z")?, at("2024-03-03T10:00:00Z")?);
    let border = at("2024-03-02T10:00:00Z")?;
    let write = async |text: &str, said, session: &str| {
        let request = WriteRequest::new(text).with_timestamp(said).with_session(session);
        ctx.write(request.with_metadata(metadata(json!({"topic": session}))?)).await
    };
    let safe = write("The safe is new.", early, "s1").await?;
    let door = write("The door is red.", late, "s1").await?;
    let lock = write("The lock is old.", early, "s2").await?;
    let dry = async |request: ForgetRequest| {
        Ok::<_, cml::Error>(sorted(&ids(&ctx.forget(request.with_dry_run(true)).await?.matches)))
    };
    let request = ForgetRequest::new;
    assert_eq!(dry(ForgetRequest::ids([safe, door]).with_before(border)).await?, [safe]);
    assert_eq!(dry(request().with_before(border).with_session("s2")).await?, [lock]);
    assert_eq!(
        dry(request().with_filter(MetadataFilter::eq("topic", "s1")).with_before(border)).await?,
        [safe]
    );
    assert_eq!(dry(request().with_query("The door is red.").with_session("s1")).await?, [door]);
    assert!(dry(request().with_query("The door is red.").with_session("s2")).await?.is_empty());
    assert!(dry(ForgetRequest::ids([door]).with_before(border)).await?.is_empty());
    Ok(())
}

async fn a_query_forgets_only_strong_matches(ctx: &Ctx) -> CaseResult {
    let unrelated = ctx.write_unrelated().await?;
    let id = ctx.write("The user prefers dark mode in the editor.").await?;
    let dry = ForgetRequest::new().with_query("prefers dark mode in the editor").with_dry_run(true);
    assert_eq!(ids(&ctx.forget(dry.clone()).await?.matches), [id]);
    assert_eq!(ctx.forget(dry.with_dry_run(false)).await?.affected_count, 1);
    assert_eq!(sorted(&record_ids(&ctx.records().await?)), sorted(&unrelated));
    let weak = ForgetRequest::new().with_query("quantum chromodynamics on a lattice");
    assert_eq!(ctx.forget(weak).await?.affected_count, 0);
    Ok(())
}

async fn a_query_reaches_every_strong_match(ctx: &Ctx) -> CaseResult {
    for day in 0..30 {
        ctx.session(&format!("s{day}"))?.write("The user prefers dark mode in the editor.").await?;
    }
    let request = ForgetRequest::new().with_query("The user prefers dark mode in the editor.");
    assert_eq!(ctx.forget(request).await?.affected_count, 30);
    assert_eq!(ctx.stats().await?.total_memories, 0);
    Ok(())
}

async fn a_dry_run_lists_and_changes_nothing(ctx: &Ctx) -> CaseResult {
    let written = ctx.write_all(["The safe is new.", "The door is red."]).await?;
    let before = ctx.records().await?;
    for action in ForgetAction::ALL {
        let request = ForgetRequest::ids(written.clone()).with_action(*action).with_dry_run(true);
        let answer = ctx.forget(request).await?;
        assert_eq!(answer.affected_count, 2);
        assert_eq!(sorted(&ids(&answer.matches)), sorted(&written));
    }
    assert_eq!(ctx.records().await?, before);
    Ok(())
}

async fn a_forgotten_memory_is_found_by_no_words(ctx: &Ctx) -> CaseResult {
    ctx.write_unrelated().await?;
    let id = ctx.write("The zeppelin is in the hangar.").await?;
    assert_eq!(ids(&ctx.read("Where is the zeppelin?").await?.memories).first(), Some(&id));
    ctx.forget(ForgetRequest::ids([id])).await?;
    for query in ["Where is the zeppelin?", "The zeppelin is in the hangar.", ""] {
        assert!(!ids(&ctx.read(open(query)).await?.memories).contains(&id), "{query:?}");
    }
    Ok(())
}

async fn a_forgotten_constraint_no_longer_applies(ctx: &Ctx) -> CaseResult {
    for action in ForgetAction::ALL {
        let id = ctx.write(format!("I am allergic to {action} nuts.")).await?;
        ctx.forget(ForgetRequest::ids([id]).with_action(*action)).await?;
        assert!(ctx.recall(open("Can you recommend a restaurant?")).await?.is_empty(), "{action}");
    }
    Ok(())
}

async fn one_of_many_chunks_is_forgotten_by_its_id(ctx: &Ctx) -> CaseResult {
    let id = ctx.write(sentences(120).join(" ")).await?;
    let kept = ctx.write("The safe is new.").await?;
    ctx.forget(ForgetRequest::ids([id])).await?;
    failed(ctx.get(id).await, ErrorKind::NotFound)?;
    ctx.get(kept).await?;
    Ok(())
}

async fn a_narrow_scope_forgets_only_its_own(ctx: &Ctx) -> CaseResult {
    let later = at("2199-01-01T00:00:00Z")?;
    let other = ctx.namespace("home")?.write("The safe is new.").await?;
    ctx.namespace("work")?.write("The door is red.").await?;
    let request = ForgetRequest::new().with_before(later);
    assert_eq!(ctx.namespace("work")?.forget(request).await?.affected_count, 1);
    assert_eq!(record_ids(&ctx.records().await?), [other]);
    Ok(())
}

pub(crate) const CASES: &[Case] = cases![
    forget_needs_a_selector,
    delete_is_the_default_and_removes_the_rows: List,
    archive_and_silence_set_their_status: List,
    forgetting_again_counts_nothing,
    unknown_and_foreign_ids_are_skipped_and_not_counted: Users List,
    before_means_said_before: List,
    a_filter_selects_by_metadata: MetadataFilter List,
    a_session_selects_its_memories: List,
    a_session_that_contradicts_the_scope_is_refused,
    selectors_narrow_each_other: ForgetDryRun MetadataFilter,
    a_query_forgets_only_strong_matches: ForgetDryRun List,
    a_query_reaches_every_strong_match,
    a_dry_run_lists_and_changes_nothing: ForgetDryRun List,
    a_forgotten_memory_is_found_by_no_words,
    a_forgotten_constraint_no_longer_applies,
    one_of_many_chunks_is_forgotten_by_its_id: List,
    a_narrow_scope_forgets_only_its_own: Namespaces List,
];
