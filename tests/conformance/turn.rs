//! One message with its answer: recall, log, store.

use cml::{
    memory::{MemoryRecord, Role},
    ops::{TurnRequest, WriteRequest},
};

use crate::{
    case::{Case, CaseResult, cases},
    ctx::Ctx,
    texts::{at, ids, invalid, open, sorted, values},
};

const QUESTION: &str = "How much is the hotel in Porto?";

async fn a_turn_recalls_for_the_users_message(ctx: &Ctx) -> CaseResult {
    ctx.write_unrelated().await?;
    let id = ctx.write("The hotel in Porto costs 90 euros.").await?;
    let answer = ctx.turn(TurnRequest::new(QUESTION)).await?;
    assert_eq!(ids(&answer.memories).first(), Some(&id));
    assert_eq!(answer.memories_retrieved, answer.memories.len());
    assert!(answer.memory_context.contains("The hotel in Porto costs 90 euros."));
    assert!(!answer.reconsolidation_applied);
    Ok(())
}

async fn nothing_recalled_is_an_empty_context(ctx: &Ctx) -> CaseResult {
    let answer = ctx.turn(TurnRequest::new(QUESTION)).await?;
    assert_eq!((answer.memory_context.as_str(), answer.memories_retrieved), ("", 0));
    assert!(answer.memories.is_empty());
    Ok(())
}

async fn a_context_stays_within_max_context_tokens(ctx: &Ctx) -> CaseResult {
    for night in 1..20 {
        ctx.write(format!("The hotel in Porto costs {} euros on night {night}.", 80 + night)).await?;
    }
    let mut retrieved = Vec::new();
    for budget in [1usize, 30, 100, 400] {
        let answer = ctx.turn(TurnRequest::new(QUESTION).with_max_context_tokens(budget)).await?;
        assert!(answer.memory_context.split_whitespace().count() <= budget, "{}", answer.memory_context);
        let lines = answer.memory_context.lines().filter(|line| line.starts_with("- ")).count();
        assert_eq!(
            (answer.memories_retrieved, answer.memories.len()),
            (lines, lines),
            "those of the context"
        );
        retrieved.push(lines);
    }
    assert!(
        retrieved[0] == 0 && retrieved[1] <= retrieved[2] && retrieved[2] < retrieved[3],
        "{retrieved:?}"
    );
    Ok(())
}

async fn a_turn_without_an_answer_stores_nothing(ctx: &Ctx) -> CaseResult {
    let session = ctx.session("s1")?;
    let answer = session.turn(TurnRequest::new("I adopted a cat named Miso.")).await?;
    assert_eq!(answer.memories_stored, 0);
    assert_eq!(ctx.stats().await?.total_memories, 0);
    assert!(ctx.messages("s1").await?.is_empty());
    Ok(())
}

async fn a_turn_logs_and_stores_both_sides_with_their_roles(ctx: &Ctx) -> CaseResult {
    let session = ctx.session("s1")?;
    let said = at("2024-03-06T10:00:00Z")?;
    let (user, assistant) =
        ("I adopted a cat named Miso.", "Cats sleep for sixteen hours a day, so give Miso a warm bed.");
    let request = TurnRequest::new(user).with_assistant_response(assistant).with_timestamp(said);
    let answer = session.turn(request).await?;
    let log = ctx.messages("s1").await?;
    let spoken: Vec<_> =
        log.iter().map(|message| (message.seq, message.role, message.text.as_str())).collect();
    assert_eq!(spoken, [(1, Role::User, user), (2, Role::Assistant, assistant)]);
    assert_eq!(log[0].said_at, said);
    let records = ctx.records().await?;
    assert_eq!(records.len(), answer.memories_stored);
    let of = |role: Role| records.iter().filter(|record| record.role == role).collect::<Vec<&MemoryRecord>>();
    assert_eq!(of(Role::User).iter().map(|record| record.text.as_str()).collect::<Vec<_>>(), [user]);
    assert!(of(Role::Assistant).iter().all(|record| record.text == assistant));
    assert!(records.iter().all(|record| record.session_id == "s1"));
    assert_eq!(log[0].memory_id, Some(of(Role::User)[0].id));
    Ok(())
}

async fn a_turn_stores_only_what_is_worth_keeping(ctx: &Ctx) -> CaseResult {
    let session = ctx.session("s1")?;
    let answer = session.turn(TurnRequest::new("thanks!").with_assistant_response("You're welcome!")).await?;
    assert_eq!((answer.memories_stored, ctx.stats().await?.total_memories), (0, 0));
    assert_eq!(ctx.messages("s1").await?.len(), 2, "the log keeps all of it");

    let secret = TurnRequest::new("password: hunter2zebra")
        .with_assistant_response("I cannot keep secrets of any kind.");
    session.turn(secret).await?;
    assert_eq!(ctx.traces("hunter2zebra").await?, [""; 0]);
    Ok(())
}

async fn a_message_is_not_part_of_its_own_recall(ctx: &Ctx) -> CaseResult {
    let session = ctx.session("s1")?;
    let first = TurnRequest::new("I adopted a cat named Miso.")
        .with_assistant_response("Miso is a lovely name for a cat.");
    let answer = session.turn(first).await?;
    assert!(answer.memories.is_empty() && answer.memory_context.is_empty());
    let second =
        TurnRequest::new("My cat Miso caught a mouse.").with_assistant_response("Well done, Miso the cat.");
    let answer = session.turn(second).await?;
    assert!(!answer.memories.is_empty());
    assert!(
        answer.memories.iter().all(|item| !item.text.contains("mouse") && !item.text.contains("Well done"))
    );
    Ok(())
}

async fn a_turn_prefers_its_session(ctx: &Ctx) -> CaseResult {
    let (first, second) = (ctx.session("s1")?, ctx.session("s2")?);
    let said = at("2024-03-06T10:00:00Z")?;
    let price = |price: u32| {
        WriteRequest::new(format!("The hotel in Porto costs {price} euros.")).with_timestamp(said)
    };
    let here = first.write(price(90)).await?;
    let there = second.write(price(120)).await?;
    for (session, order) in [(&first, [here, there]), (&second, [there, here])] {
        let answer = session.turn(TurnRequest::new(QUESTION)).await?;
        assert_eq!(ids(&answer.memories), order, "session first, then the rest of the scope");
    }
    Ok(())
}

async fn a_turn_stays_in_its_scope(ctx: &Ctx) -> CaseResult {
    ctx.stranger()?.write("The hotel in Porto costs 70 euros.").await?;
    ctx.user("ben")?.write("The hotel in Porto costs 80 euros.").await?;
    let own = ctx.user("ana")?.write("The hotel in Porto costs 90 euros.").await?;
    let shared = ctx.write("The hotel in Porto costs 100 euros.").await?;
    let answer = ctx.user("ana")?.turn(TurnRequest::new(QUESTION)).await?;
    assert_eq!(sorted(&ids(&answer.memories)), sorted(&[own, shared]));
    Ok(())
}

async fn a_turn_without_a_session_stores_without_one(ctx: &Ctx) -> CaseResult {
    let request = TurnRequest::new("I adopted a cat named Miso.").with_assistant_response("thanks!");
    assert_eq!(ctx.turn(request).await?.memories_stored, 1);
    assert_eq!(ctx.read(open("cat")).await?.memories[0].session_id, None);
    Ok(())
}

async fn a_turn_moves_a_residence(ctx: &Ctx) -> CaseResult {
    let session = ctx.session("s1")?;
    let say = |text: &str| session.turn(TurnRequest::new(text).with_assistant_response("I see."));
    say("I live in Lisbon.").await?;
    say("I live in Berlin now.").await?;
    assert_eq!(values(&ctx.facts().await?, &["Lisbon", "Berlin"]), ["Berlin"]);
    Ok(())
}

async fn a_broken_turn_changes_nothing(ctx: &Ctx) -> CaseResult {
    let session = ctx.session("s1")?;
    invalid(session.turn(TurnRequest::new(" ")).await, "user_message")?;
    invalid(session.turn(TurnRequest::new("nul\0inside")).await, "user_message")?;
    invalid(session.turn(TurnRequest::new("x").with_max_context_tokens(0usize)).await, "max_context_tokens")?;
    invalid(session.turn(TurnRequest::new("x").with_user_timezone("Mars/Olympus")).await, "user_timezone")?;
    let broken = TurnRequest::new("I adopted a cat.").with_assistant_response("x".repeat(100_001));
    invalid(session.turn(broken).await, "assistant_response")?;
    assert_eq!(ctx.stats().await?.total_memories, 0);
    assert!(ctx.messages("s1").await?.is_empty());
    Ok(())
}

pub(crate) const CASES: &[Case] = cases![
    a_turn_recalls_for_the_users_message,
    nothing_recalled_is_an_empty_context,
    a_context_stays_within_max_context_tokens,
    a_turn_without_an_answer_stores_nothing: Sessions,
    a_turn_logs_and_stores_both_sides_with_their_roles: Sessions List,
    a_turn_stores_only_what_is_worth_keeping: Sessions,
    a_message_is_not_part_of_its_own_recall,
    a_turn_prefers_its_session,
    a_turn_stays_in_its_scope: Users,
    a_turn_without_a_session_stores_without_one,
    a_turn_moves_a_residence: Facts,
    a_broken_turn_changes_nothing: Sessions,
];
