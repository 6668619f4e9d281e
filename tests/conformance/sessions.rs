//! Conversations: header, log, working context.

use cml::{
    memory::{MemoryType, Message, Role},
    ops::{CreateSession, WriteRequest},
};
use serde_json::json;

use crate::{
    case::{Case, CaseResult, cases},
    ctx::Ctx,
    texts::{at, ids, invalid, metadata, open, sentences, some, texts, values},
};

async fn a_created_session_is_as_it_was_asked_for(ctx: &Ctx) -> CaseResult {
    let sessions = ctx.backend.sessions()?;
    let request = CreateSession::new()
        .with_name("Trip to Porto")
        .with_kind("chat")
        .with_participants(vec!["Ana".to_owned(), "Ben".to_owned()])
        .with_ttl_hours(2u32)
        .with_metadata(metadata(json!({"topic": "travel"}))?);
    let place = ctx.namespace("club")?.user("ana")?.agent("scribe")?;
    let created = sessions.create(&place.scope, request).await?;
    assert!(!created.session_id.is_empty());
    assert_eq!((created.name.as_str(), created.kind.as_str()), ("Trip to Porto", "chat"));
    assert_eq!(
        (created.participants.as_slice(), &created.metadata),
        (["Ana".to_owned(), "Ben".to_owned()].as_slice(), &metadata(json!({"topic": "travel"}))?)
    );
    let owner = [&created.tenant_id, &created.namespace, &created.user_id, &created.agent_id];
    assert_eq!(owner, [ctx.scope.tenant(), "club", "ana", "scribe"]);
    assert_eq!(created.expires_at.map(|end| (end - created.created_at).num_seconds()), Some(2 * 3600));
    assert_eq!(sessions.list(&place.scope).await?, [created]);
    Ok(())
}

async fn a_session_ends_after_a_day_and_ids_are_fresh(ctx: &Ctx) -> CaseResult {
    let sessions = ctx.backend.sessions()?;
    let first = sessions.create(&ctx.scope, CreateSession::new()).await?;
    let second = sessions.create(&ctx.scope, CreateSession::new()).await?;
    assert_ne!(first.session_id, second.session_id);
    assert_eq!(first.expires_at.map(|end| (end - first.created_at).num_seconds()), Some(24 * 3600));
    let listed: Vec<String> = sessions.list(&ctx.scope).await?.into_iter().map(|s| s.session_id).collect();
    assert_eq!(listed, [second.session_id, first.session_id], "newest first");
    Ok(())
}

async fn a_broken_session_is_refused(ctx: &Ctx) -> CaseResult {
    let sessions = ctx.backend.sessions()?;
    for hours in [0u32, 87_601] {
        invalid(sessions.create(&ctx.scope, CreateSession::new().with_ttl_hours(hours)).await, "ttl_hours")?;
    }
    invalid(sessions.create(&ctx.scope, CreateSession::new().with_name("n".repeat(101))).await, "name")?;
    let large = metadata(json!({"note": "n".repeat(70_000)}))?;
    invalid(sessions.create(&ctx.scope, CreateSession::new().with_metadata(large)).await, "metadata")?;
    assert!(sessions.list(&ctx.scope).await?.is_empty());
    Ok(())
}

async fn the_first_write_opens_a_session_of_the_callers_own(ctx: &Ctx) -> CaseResult {
    ctx.user("ana")?.session("s1")?.write("The safe is new.").await?;
    let listed = ctx.backend.sessions()?.list(&ctx.scope).await?;
    assert_eq!(listed.len(), 1);
    assert_eq!((listed[0].session_id.as_str(), listed[0].user_id.as_str()), ("s1", "ana"));
    Ok(())
}

async fn a_session_keeps_its_messages_in_order(ctx: &Ctx) -> CaseResult {
    let session = ctx.user("ana")?.agent("scribe")?.session("s1")?;
    let said = at("2024-03-06T10:00:00Z")?;
    let ask =
        WriteRequest::new("Is the safe new?").with_turn_id("t1").with_speaker("Ana").with_timestamp(said);
    let first = session.write(ask.with_metadata(metadata(json!({"channel": "mail"}))?)).await?;
    session.write(WriteRequest::new("The safe is from 1920.").with_role(Role::Assistant)).await?;
    session.try_write("thanks!").await?;
    ctx.session("s2")?.write("The door is red.").await?;
    let log = ctx.messages("s1").await?;
    let spoken: Vec<_> =
        log.iter().map(|message| (message.seq, message.role, message.text.as_str())).collect();
    assert_eq!(
        spoken,
        [
            (1, Role::User, "Is the safe new?"),
            (2, Role::Assistant, "The safe is from 1920."),
            (3, Role::User, "thanks!")
        ]
    );
    let Message {
        tenant_id,
        namespace,
        user_id,
        agent_id,
        session_id,
        speaker,
        metadata: fields,
        said_at,
        turn_id,
        memory_id,
        ..
    } = &log[0];
    assert_eq!(
        [tenant_id, namespace, user_id, agent_id, session_id],
        [ctx.scope.tenant(), "default", "ana", "scribe", "s1"]
    );
    assert_eq!((speaker.as_str(), turn_id.as_str(), *said_at, *memory_id), ("Ana", "t1", said, Some(first)));
    assert_eq!(fields, &metadata(json!({"channel": "mail"}))?);
    assert_eq!(ctx.get(first).await?.message_id, log[0].id);
    Ok(())
}

async fn a_log_is_read_page_by_page(ctx: &Ctx) -> CaseResult {
    ctx.session("s1")?.write_all(sentences(7)).await?;
    let sessions = ctx.backend.sessions()?;
    let (mut after, mut seen) = (Some(0), Vec::new());
    while let Some(number) = after {
        let page = sessions.messages(&ctx.scope, "s1", number, 3).await?;
        assert!(page.messages.len() <= 3 && seen.len() < 7);
        seen.extend(page.messages.into_iter().map(|message| message.text));
        after = page.next_after;
    }
    assert_eq!(seen, sentences(7));
    for limit in [0, 1001] {
        invalid(sessions.messages(&ctx.scope, "s1", 0, limit).await, "limit")?;
    }
    Ok(())
}

async fn an_unknown_session_is_empty(ctx: &Ctx) -> CaseResult {
    let sessions = ctx.backend.sessions()?;
    let context = sessions.context(&ctx.scope, "nowhere", 1000).await?;
    assert_eq!((context.session_id.as_str(), context.context_string.as_str()), ("nowhere", ""));
    assert!(context.messages.is_empty() && context.tool_results.is_empty() && context.scratch_pad.is_empty());
    let page = sessions.messages(&ctx.scope, "nowhere", 0, 10).await?;
    assert_eq!((page.messages.len(), page.next_after), (0, None));
    let cleared = sessions.clear(&ctx.scope, "nowhere").await?;
    assert!(cleared.affected_count == 0 && cleared.counts.values().all(|count| *count == 0));
    assert!(ctx.session("nowhere")?.read(open("safe")).await?.memories.is_empty());
    assert!(sessions.list(&ctx.scope).await?.is_empty(), "looking opens nothing");
    Ok(())
}

async fn a_context_tells_messages_tool_results_and_notes_apart(ctx: &Ctx) -> CaseResult {
    let session = ctx.session("s1")?;
    session.write("How warm is it in Porto?").await?;
    let tool = WriteRequest::new("weather(Porto) = 21 degrees").with_memory_type(MemoryType::ToolResult);
    session.write(tool.with_role(Role::Tool)).await?;
    session
        .write(WriteRequest::new("Mention the wind as well.").with_memory_type(MemoryType::Scratch))
        .await?;
    session.write(WriteRequest::new("It is 21 degrees in Porto.").with_role(Role::Assistant)).await?;
    let context = ctx.backend.sessions()?.context(&ctx.scope, "s1", 1000).await?;
    assert_eq!(context.session_id, "s1");
    assert_eq!(texts(&context.messages), ["How warm is it in Porto?", "It is 21 degrees in Porto."]);
    assert_eq!(
        context.messages.iter().map(|item| item.role).collect::<Vec<_>>(),
        [Some(Role::User), Some(Role::Assistant)]
    );
    assert_eq!(texts(&context.tool_results), ["weather(Porto) = 21 degrees"]);
    assert_eq!(texts(&context.scratch_pad), ["Mention the wind as well."]);
    assert!(context.context_string.contains("It is 21 degrees in Porto."));
    Ok(())
}

async fn a_context_string_is_the_end_of_the_conversation_within_its_budget(ctx: &Ctx) -> CaseResult {
    let lines = sentences(60);
    ctx.session("s1")?.write_all(lines.clone()).await?;
    let sessions = ctx.backend.sessions()?;
    for budget in [40, 200] {
        let text = sessions.context(&ctx.scope, "s1", budget).await?.context_string;
        // Every word is at least one token, whatever the tokenizer.
        assert!(text.split_whitespace().count() <= budget, "{text}");
        assert!(text.contains(&lines[59]) && !text.contains(&lines[0]), "{text}");
        let shown: Vec<usize> = lines.iter().filter_map(|line| text.find(line.as_str())).collect();
        assert!(shown.is_sorted(), "in order");
    }
    let whole = sessions.context(&ctx.scope, "s1", 100_000).await?;
    assert!(lines.iter().all(|line| whole.context_string.contains(line.as_str())));
    Ok(())
}

async fn a_session_view_of_another_user_is_empty(ctx: &Ctx) -> CaseResult {
    ctx.user("ana")?.session("s1")?.write("The safe is new.").await?;
    let ben = ctx.user("ben")?;
    assert!(ben.messages("s1").await?.is_empty());
    assert!(ben.backend.sessions()?.list(&ben.scope).await?.is_empty());
    assert!(ben.backend.sessions()?.context(&ben.scope, "s1", 1000).await?.messages.is_empty());
    Ok(())
}

async fn clearing_a_session_removes_its_records_messages_and_facts(ctx: &Ctx) -> CaseResult {
    let session = ctx.session("s1")?;
    session.write("I live in Lisbon.").await?;
    session.write("The zeppelin is in the hangar.").await?;
    session.try_write("thanks!").await?;
    let kept = ctx.session("s2")?.write("The door is red.").await?;
    let sessions = ctx.backend.sessions()?;
    let cleared = sessions.clear(&ctx.scope, "s1").await?;
    assert_eq!(cleared.affected_count, 2);
    assert!(ctx.messages("s1").await?.is_empty());
    for word in ["Lisbon", "zeppelin"] {
        assert_eq!(ctx.traces(word).await?, [""; 0]);
    }
    assert_eq!(ids(&ctx.read(open("")).await?.memories), [kept]);
    assert_eq!(ctx.messages("s2").await?.len(), 1);
    assert_eq!(sessions.clear(&ctx.scope, "s1").await?.affected_count, 0);
    Ok(())
}

async fn clearing_a_session_leaves_facts_with_other_evidence(ctx: &Ctx) -> CaseResult {
    ctx.session("s1")?.write("I live in Lisbon.").await?;
    let other = ctx.session("s2")?.write("I live in Lisbon.").await?;
    ctx.backend.sessions()?.clear(&ctx.scope, "s1").await?;
    let facts = ctx.facts().await?;
    assert_eq!(values(&facts, &["Lisbon"]).len(), 1);
    assert_eq!(ids(&ctx.read("Where do I live?").await?.memories), [other]);
    Ok(())
}

async fn a_cleared_session_can_be_written_to_again(ctx: &Ctx) -> CaseResult {
    let session = ctx.session("s1")?;
    let first = session.write("The safe is new.").await?;
    ctx.backend.sessions()?.clear(&ctx.scope, "s1").await?;
    let again = session.write("The safe is new.").await?;
    assert_ne!(again, first);
    let log = ctx.messages("s1").await?;
    assert_eq!(some(log.first(), "message")?.memory_id, Some(again));
    Ok(())
}

pub(crate) const CASES: &[Case] = cases![
    a_created_session_is_as_it_was_asked_for: Sessions Namespaces Users,
    a_session_ends_after_a_day_and_ids_are_fresh: Sessions,
    a_broken_session_is_refused: Sessions,
    the_first_write_opens_a_session_of_the_callers_own: Sessions Users,
    a_session_keeps_its_messages_in_order: Sessions Users List,
    a_log_is_read_page_by_page: Sessions,
    an_unknown_session_is_empty: Sessions,
    a_context_tells_messages_tool_results_and_notes_apart: Sessions,
    a_context_string_is_the_end_of_the_conversation_within_its_budget: Sessions,
    a_session_view_of_another_user_is_empty: Sessions Users,
    clearing_a_session_removes_its_records_messages_and_facts: Sessions List,
    clearing_a_session_leaves_facts_with_other_evidence: Sessions Facts,
    a_cleared_session_can_be_written_to_again: Sessions,
];
