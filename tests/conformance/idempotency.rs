//! Repeats of one request.

use cml::{
    ErrorKind,
    ops::{CreateSession, ForgetRequest, TurnRequest, UpdateRequest, WriteRequest},
};

use crate::{
    case::{Case, CaseResult, cases},
    ctx::Ctx,
    texts::{failed, ids, invalid, open, sentences, some},
};

const TEXT: &str = "The safe is under the stairs.";

async fn a_repeated_idempotency_key_returns_the_first_answer(ctx: &Ctx) -> CaseResult {
    for text in [TEXT.to_owned(), sentences(120).join(" ")] {
        let request = WriteRequest::new(text.as_str()).with_idempotency_key(format!("k{}", text.len()));
        let first = ctx.try_write(request.clone()).await?;
        let second = ctx.try_write(request).await?;
        assert_eq!((second.memory_id, second.chunks_created), (first.memory_id, first.chunks_created));
        let record = ctx.get(some(first.memory_id, "memory_id")?).await?;
        assert_eq!((record.access_count, record.version), (0, 1), "nothing was reinforced");
    }
    Ok(())
}

async fn a_repeated_idempotency_key_appends_no_second_message(ctx: &Ctx) -> CaseResult {
    let session = ctx.session("s1")?;
    for _ in 0..3 {
        session.write(WriteRequest::new(TEXT).with_idempotency_key("k1")).await?;
    }
    assert_eq!(ctx.messages("s1").await?.len(), 1);
    Ok(())
}

async fn an_idempotency_key_with_another_body_is_a_conflict(ctx: &Ctx) -> CaseResult {
    ctx.write(WriteRequest::new(TEXT).with_idempotency_key("k1")).await?;
    for other in [WriteRequest::new("The safe is in the bank."), WriteRequest::new(TEXT).with_tags(["home"])]
    {
        failed(ctx.try_write(other.with_idempotency_key("k1")).await, ErrorKind::Conflict)?;
    }
    let record = &ctx.records().await?[0];
    assert_eq!((ctx.stats().await?.total_memories, record.text.as_str()), (1, TEXT));
    assert!(record.context_tags.is_empty());
    Ok(())
}

async fn an_idempotency_key_belongs_to_one_tenant(ctx: &Ctx) -> CaseResult {
    let own = ctx.write(WriteRequest::new(TEXT).with_idempotency_key("k1")).await?;
    let stranger = ctx.stranger()?;
    let other =
        stranger.write(WriteRequest::new("The safe is in the bank.").with_idempotency_key("k1")).await?;
    assert_ne!(own, other);
    assert_eq!(stranger.get(other).await?.text, "The safe is in the bank.");
    Ok(())
}

async fn a_skipped_text_is_repeated_alike(ctx: &Ctx) -> CaseResult {
    for _ in 0..2 {
        let answer = ctx.try_write(WriteRequest::new("thanks!").with_idempotency_key("k1")).await?;
        assert_eq!((answer.success, answer.memory_id, answer.chunks_created), (true, None, 0));
    }
    Ok(())
}

async fn a_failed_write_leaves_its_idempotency_key_free(ctx: &Ctx) -> CaseResult {
    let bad = WriteRequest::new("nul\0inside").with_idempotency_key("k1");
    failed(ctx.try_write(bad).await, ErrorKind::InvalidInput)?;
    ctx.write(WriteRequest::new(TEXT).with_idempotency_key("k1")).await?;
    Ok(())
}

async fn a_repeated_turn_id_of_a_session_returns_the_first_answer(ctx: &Ctx) -> CaseResult {
    let session = ctx.session("s1")?;
    let first = session.try_write(WriteRequest::new(TEXT).with_turn_id("t1")).await?;
    for text in [TEXT, "The safe is in the bank."] {
        let again = session.try_write(WriteRequest::new(text).with_turn_id("t1")).await?;
        assert_eq!((again.memory_id, again.chunks_created), (first.memory_id, first.chunks_created));
    }
    assert_eq!(ctx.records().await?.len(), 1);
    assert_eq!(ctx.messages("s1").await?.len(), 1);
    let elsewhere = ctx.session("s2")?.write(WriteRequest::new(TEXT).with_turn_id("t1")).await?;
    assert_ne!(Some(elsewhere), first.memory_id);
    Ok(())
}

async fn a_repeated_turn_stores_nothing_new(ctx: &Ctx) -> CaseResult {
    let session = ctx.session("s1")?;
    let request = TurnRequest::new("The safe is under the stairs.")
        .with_assistant_response("The stairs are by the kitchen.");
    for repeat in [request.clone().with_turn_id("t1"), request.with_idempotency_key("k1")] {
        session.turn(repeat.clone()).await?;
        let (records, messages) = (ctx.records().await?.len(), ctx.messages("s1").await?.len());
        session.turn(repeat).await?;
        assert_eq!((ctx.records().await?.len(), ctx.messages("s1").await?.len()), (records, messages));
    }
    Ok(())
}

async fn a_repeated_turn_returns_the_first_answer(ctx: &Ctx) -> CaseResult {
    let hotel = ctx.write("The hotel in Porto costs 90 euros.").await?;
    let request = |text: &str| {
        TurnRequest::new(text).with_assistant_response("The hotel in Porto takes ninety euros a night.")
    };
    for (number, turn_id, key) in [(1, Some("t1"), None), (2, None, Some("k1")), (3, Some("t1"), Some("k2"))]
    {
        let session = ctx.session(&format!("s{number}"))?;
        let mut request = request(&format!("How much is hotel number {number} in Porto?"));
        request.turn_id = turn_id.map(str::to_owned);
        request.idempotency_key = key.map(str::to_owned);
        let first = session.turn(request.clone()).await?;
        assert!(first.memory_context.contains("90 euros") && ids(&first.memories).contains(&hotel));
        for _ in 0..2 {
            assert_eq!(session.turn(request.clone()).await?, first);
        }
        assert_eq!(ctx.get(hotel).await?.access_count, number, "counted once per turn");
        if turn_id.is_some() {
            request.idempotency_key = Some(format!("of another attempt {number}"));
            assert_eq!(session.turn(request).await?, first, "the id of the turn is enough");
        }
    }
    Ok(())
}

async fn a_repeated_turn_leaves_out_what_was_forgotten_meanwhile(ctx: &Ctx) -> CaseResult {
    let kept = ctx.write("The hotel in Porto has a pool.").await?;
    let gone = ctx.write("The hotel in Porto costs 90 euros.").await?;
    let request = TurnRequest::new("How much is the hotel in Porto?")
        .with_assistant_response("I do not know what it costs.")
        .with_idempotency_key("k1");
    let first = ctx.turn(request.clone()).await?;
    assert!(ids(&first.memories).contains(&gone) && ids(&first.memories).contains(&kept));
    ctx.forget(ForgetRequest::ids([gone])).await?;
    let again = ctx.turn(request).await?;
    assert_eq!((ids(&again.memories), again.memories_retrieved), (vec![kept], 1));
    assert!(!again.memory_context.contains("90 euros") && again.memory_context.contains("pool"));
    assert_eq!(again.memories_stored, first.memories_stored);
    Ok(())
}

async fn a_repeated_opening_returns_the_first_session(ctx: &Ctx) -> CaseResult {
    let sessions = ctx.backend.sessions()?;
    let request = |name: &str| CreateSession::new().with_name(name).with_idempotency_key("k1");
    let first = sessions.create(&ctx.scope, request("trip")).await?;
    assert_eq!(sessions.create(&ctx.scope, request("trip")).await?, first);
    failed(sessions.create(&ctx.scope, request("work")).await, ErrorKind::Conflict)?;
    let listed = sessions.list(&ctx.scope).await?;
    assert_eq!(listed, std::slice::from_ref(&first));
    sessions.clear(&ctx.scope, &first.session_id).await?;
    assert_ne!(sessions.create(&ctx.scope, request("trip")).await?.session_id, first.session_id);
    invalid(
        sessions.create(&ctx.scope, CreateSession::new().with_idempotency_key("")).await,
        "idempotency_key",
    )
}

async fn a_turn_with_the_key_of_another_is_a_conflict(ctx: &Ctx) -> CaseResult {
    let session = ctx.session("s1")?;
    let turn = |text: &str| {
        TurnRequest::new(text)
            .with_assistant_response("That is good to know about it.")
            .with_idempotency_key("k1")
    };
    session.turn(turn("The safe is under the stairs.")).await?;
    failed(session.turn(turn("The safe is in the bank.")).await, ErrorKind::Conflict)?;
    assert_eq!(ctx.messages("s1").await?.len(), 2);
    Ok(())
}

async fn a_repeated_update_changes_once(ctx: &Ctx) -> CaseResult {
    let id = ctx.write(TEXT).await?;
    let request = |text: &str| UpdateRequest::new(id).with_text(text).with_idempotency_key("k1");
    let first = ctx.update(request("The safe is in the bank.")).await?;
    ctx.update(UpdateRequest::new(id).with_text("The safe is gone.")).await?;
    let again = ctx.update(request("The safe is in the bank.")).await?;
    assert_eq!((again.memory_id, again.version), (first.memory_id, first.version));
    assert_eq!(ctx.get(id).await?.text, "The safe is gone.");
    failed(ctx.update(request("The safe is new.")).await, ErrorKind::Conflict)?;
    Ok(())
}

async fn a_repeated_forget_returns_the_first_count(ctx: &Ctx) -> CaseResult {
    let id = ctx.write(TEXT).await?;
    let kept = ctx.write("The key hangs in the hall.").await?;
    let request = ForgetRequest::ids([id]).with_idempotency_key("k1");
    assert_eq!(ctx.forget(request.clone()).await?.affected_count, 1);
    assert_eq!(ctx.forget(request).await?.affected_count, 1);
    let other = ForgetRequest::ids([kept]).with_idempotency_key("k1");
    failed(ctx.forget(other).await, ErrorKind::Conflict)?;
    assert_eq!(ids(&ctx.read(open("")).await?.memories), [kept]);
    Ok(())
}

async fn repeats_at_once_store_once(ctx: &Ctx) -> CaseResult {
    let session = ctx.session("s1")?;
    let results = session
        .parallel(16, |ctx, _| async move {
            ctx.try_write(WriteRequest::new(TEXT).with_idempotency_key("k1")).await
        })
        .await?;
    let answers = results.into_iter().collect::<cml::Result<Vec<_>>>()?;
    assert!(
        answers.iter().all(|answer| answer.memory_id == answers[0].memory_id && answer.chunks_created == 1)
    );
    assert_eq!((ctx.records().await?.len(), ctx.messages("s1").await?.len()), (1, 1));
    Ok(())
}

pub(crate) const CASES: &[Case] = cases![
    a_repeated_idempotency_key_returns_the_first_answer: Idempotency List,
    a_repeated_idempotency_key_appends_no_second_message: Idempotency Sessions,
    an_idempotency_key_with_another_body_is_a_conflict: Idempotency List,
    an_idempotency_key_belongs_to_one_tenant: Idempotency List,
    a_skipped_text_is_repeated_alike: Idempotency,
    a_failed_write_leaves_its_idempotency_key_free: Idempotency,
    a_repeated_turn_id_of_a_session_returns_the_first_answer: Idempotency Sessions List,
    a_repeated_turn_stores_nothing_new: Idempotency Sessions List,
    a_repeated_turn_returns_the_first_answer: Idempotency Sessions,
    a_repeated_turn_leaves_out_what_was_forgotten_meanwhile: Idempotency,
    a_repeated_opening_returns_the_first_session: Idempotency Sessions,
    a_turn_with_the_key_of_another_is_a_conflict: Idempotency Sessions,
    a_repeated_update_changes_once: Idempotency List,
    a_repeated_forget_returns_the_first_count: Idempotency,
    repeats_at_once_store_once: Idempotency Sessions List,
];
