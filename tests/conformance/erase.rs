//! Removing every trace of a subject.

use cml::{
    ErrorKind,
    memory::Role,
    ops::{ListEvents, UpdateRequest, WriteRequest},
    scope::Subject,
};
use serde_json::json;

use crate::{
    case::{Case, CaseResult, cases},
    ctx::Ctx,
    texts::{at, failed, ids, invalid, metadata, open, record_ids, sorted, values},
};

/// Leaves something with the word `zeppelin` on every surface, as `place`, and returns the memories' number.
async fn fill(place: &Ctx) -> CaseResult<u64> {
    let request =
        WriteRequest::new("The zeppelin is in the hangar.").with_tags(["zeppelin"]).with_key("zeppelin");
    let id = place.write(request.with_metadata(metadata(json!({"craft": "zeppelin"}))?)).await?;
    place.update(UpdateRequest::new(id).with_text("The zeppelin is in the air.")).await?;
    place.write("I am allergic to zeppelin gas.").await?;
    place.write("My favourite craft is the zeppelin.").await?;
    place.write(WriteRequest::new("The zeppelin is a fine craft.").with_role(Role::Assistant)).await?;
    place.read("Where is the zeppelin?").await?;
    Ok(4)
}

/// Fills `place`, erases `subject`, and looks for what is left of it.
async fn erases(ctx: &Ctx, place: Ctx, subject: Subject) -> CaseResult {
    let kept = ctx
        .namespace("kept")?
        .user("kept")?
        .agent("kept")?
        .session("kept")?
        .write("The door is red.")
        .await?;
    let foreign = ctx.stranger()?;
    foreign.named_as(&place)?.write("The zeppelin is in the hangar.").await?;
    let count = fill(&place).await?;
    assert!(!ctx.traces("zeppelin").await?.is_empty());

    let answer = ctx.erase(subject.clone()).await?;
    let whole = subject == Subject::Tenant;
    assert_eq!(answer.affected_count, count + u64::from(whole));
    assert_eq!(answer.counts.get("records"), Some(&(count + u64::from(whole))), "{:?}", answer.counts);
    assert!(answer.counts.get("facts").is_some_and(|facts| *facts >= 2), "{:?}", answer.counts);
    assert!(
        answer.counts.get("record_versions").is_some_and(|versions| *versions >= 1),
        "{:?}",
        answer.counts
    );

    assert_eq!(ctx.traces("zeppelin").await?, [""; 0]);
    for query in ["Where is the zeppelin?", "zeppelin", "Can you recommend a restaurant?"] {
        let found = ctx.read(query).await?;
        assert!(found.memories.iter().all(|item| item.id == kept), "{query:?}");
    }
    assert_eq!(ctx.stats().await?.total_memories, u64::from(!whole));
    assert_eq!(ctx.get(kept).await.is_ok(), !whole, "no other subject is touched");
    assert_eq!(foreign.stats().await?.total_memories, 1, "no other tenant is touched");

    let again = ctx.erase(subject).await?;
    assert!(
        again.affected_count == 0 && again.counts.values().all(|count| *count == 0),
        "{:?}",
        again.counts
    );
    Ok(())
}

async fn a_tenant_is_erased(ctx: &Ctx) -> CaseResult {
    erases(ctx, ctx.user("ana")?.session("s1")?, Subject::Tenant).await
}

async fn a_namespace_is_erased(ctx: &Ctx) -> CaseResult {
    erases(ctx, ctx.namespace("work")?.session("s1")?, Subject::Namespace("work".to_owned())).await
}

async fn a_user_is_erased(ctx: &Ctx) -> CaseResult {
    erases(ctx, ctx.user("ana")?.session("s1")?, Subject::User("ana".to_owned())).await
}

async fn an_agent_is_erased(ctx: &Ctx) -> CaseResult {
    erases(ctx, ctx.agent("scribe")?.session("s1")?, Subject::Agent("scribe".to_owned())).await
}

async fn a_session_is_erased(ctx: &Ctx) -> CaseResult {
    erases(ctx, ctx.session("s1")?, Subject::Session("s1".to_owned())).await
}

async fn messages_go_with_their_subject(ctx: &Ctx) -> CaseResult {
    let session = ctx.session("s1")?;
    session.user("ana")?.try_write("thanks!").await?;
    session.user("ana")?.write("The safe is new.").await?;
    session.user("ben")?.write("The door is red.").await?;
    let answer = ctx.erase(Subject::User("ana".to_owned())).await?;
    assert_eq!((answer.affected_count, answer.counts.get("messages")), (1, Some(&2)));
    let log: Vec<String> = ctx.messages("s1").await?.into_iter().map(|message| message.text).collect();
    assert_eq!(log, ["The door is red."]);
    Ok(())
}

async fn a_user_goes_and_shared_rows_stay(ctx: &Ctx) -> CaseResult {
    let shared = ctx.write("The safe is new.").await?;
    ctx.user("ana")?.write("The door is red.").await?;
    let of_ben = ctx.user("ben")?.write("The lock is old.").await?;
    assert_eq!(ctx.erase(Subject::User("ana".to_owned())).await?.affected_count, 1);
    assert_eq!(sorted(&record_ids(&ctx.records().await?)), sorted(&[shared, of_ben]));
    Ok(())
}

async fn a_fact_stays_while_it_has_other_evidence(ctx: &Ctx) -> CaseResult {
    ctx.session("s1")?.write("I live in Lisbon.").await?;
    let other = ctx.session("s2")?.write("I live in Lisbon.").await?;
    ctx.erase(Subject::Session("s1".to_owned())).await?;
    assert_eq!(values(&ctx.facts().await?, &["Lisbon"]).len(), 1);
    assert_eq!(ids(&ctx.read("Where do I live?").await?.memories), [other]);
    ctx.erase(Subject::Session("s2".to_owned())).await?;
    assert!(ctx.all_facts().await?.is_empty());
    Ok(())
}

async fn a_neighbour_forgets_the_context_that_was_erased(ctx: &Ctx) -> CaseResult {
    let said = at("2024-03-06T10:00:00Z")?;
    let answer = || WriteRequest::new("He is called Hannibal.").with_session("s1").with_timestamp(said);
    let alone = ctx.stranger()?;
    alone.agent("scout")?.write(answer()).await?;
    let question = WriteRequest::new("What is the tortoise in the terrarium called?").with_session("s1");
    ctx.agent("scribe")?.write(question.with_timestamp(said)).await?;
    ctx.agent("scout")?.write(answer()).await?;
    ctx.erase(Subject::Agent("scribe".to_owned())).await?;
    for query in ["tortoise in the terrarium", "What is the tortoise in the terrarium called?", "Hannibal"] {
        let (left, expected) =
            (ctx.read(open(query)).await?.memories, alone.read(open(query)).await?.memories);
        assert_eq!((left.len(), expected.len()), (1, 1));
        let difference = left[0].relevance.get() - expected[0].relevance.get();
        assert!(difference.abs() < 1e-6, "{query:?}: {} beside {}", left[0].relevance, expected[0].relevance);
    }
    Ok(())
}

async fn an_erased_text_can_be_written_again(ctx: &Ctx) -> CaseResult {
    let request =
        || WriteRequest::new("The safe is new.").with_key("safe").with_session("s1").with_turn_id("t1");
    let first = ctx.write(request()).await?;
    ctx.erase(Subject::Tenant).await?;
    let again = ctx.write(request()).await?;
    assert_ne!(again, first);
    assert_eq!((ctx.get(again).await?.version, ctx.messages("s1").await?.len()), (1, 1));
    assert_eq!(ids(&ctx.read("Is the safe new?").await?.memories), [again]);
    failed(ctx.get(first).await, ErrorKind::NotFound)?;
    Ok(())
}

async fn stored_answers_are_erased(ctx: &Ctx) -> CaseResult {
    let request = || WriteRequest::new("The safe is new.").with_idempotency_key("k1");
    ctx.write(request()).await?;
    ctx.erase(Subject::Tenant).await?;
    let again = ctx.write(request()).await?;
    assert_eq!(ctx.get(again).await?.text, "The safe is new.");
    ctx.erase(Subject::Tenant).await?;
    ctx.write(WriteRequest::new("The door is red.").with_idempotency_key("k1")).await?;
    Ok(())
}

async fn erasing_nothing_counts_nothing(ctx: &Ctx) -> CaseResult {
    ctx.write("The safe is new.").await?;
    for subject in [
        Subject::Namespace("nowhere".to_owned()),
        Subject::User("nobody".to_owned()),
        Subject::Agent("nobody".to_owned()),
        Subject::Session("nowhere".to_owned()),
    ] {
        let answer = ctx.erase(subject).await?;
        assert!(answer.affected_count == 0 && answer.counts.values().all(|count| *count == 0));
    }
    assert_eq!(ctx.stats().await?.total_memories, 1);
    Ok(())
}

async fn a_broken_subject_is_refused(ctx: &Ctx) -> CaseResult {
    ctx.write("The safe is new.").await?;
    for bad in [String::new(), "x".repeat(101), "a\nb".to_owned()] {
        for subject in [Subject::Namespace, Subject::User, Subject::Agent, Subject::Session] {
            invalid(ctx.erase(subject(bad.clone())).await, "subject")?;
        }
    }
    assert_eq!(ctx.stats().await?.total_memories, 1);
    Ok(())
}

async fn an_erasure_leaves_no_text_in_the_events(ctx: &Ctx) -> CaseResult {
    fill(&ctx.user("ana")?).await?;
    ctx.erase(Subject::User("ana".to_owned())).await?;
    let json = serde_json::to_string(&ctx.events(ListEvents::new().with_limit(1000usize)).await?)?;
    assert!(!json.contains("zeppelin"), "{json}");
    Ok(())
}

pub(crate) const CASES: &[Case] = cases![
    a_tenant_is_erased: Erase List Facts Sessions,
    a_namespace_is_erased: Erase List Facts Sessions Namespaces,
    a_user_is_erased: Erase List Facts Sessions Users,
    an_agent_is_erased: Erase List Facts Sessions,
    a_session_is_erased: Erase List Facts Sessions,
    messages_go_with_their_subject: Erase Sessions Users,
    a_user_goes_and_shared_rows_stay: Erase List Users,
    a_fact_stays_while_it_has_other_evidence: Erase Facts,
    a_neighbour_forgets_the_context_that_was_erased: Erase,
    an_erased_text_can_be_written_again: Erase Keys List Sessions,
    stored_answers_are_erased: Erase Idempotency List,
    erasing_nothing_counts_nothing: Erase,
    a_broken_subject_is_refused: Erase,
    an_erasure_leaves_no_text_in_the_events: Erase Events Users,
];
