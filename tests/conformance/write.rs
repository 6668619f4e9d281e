//! Writing one text: what is accepted, what is kept.

use cml::{
    memory::{MemorySource, MemoryStatus, Role},
    ops::{Extract, ListEvents, MAX_CONTENT_CHARS, MAX_METADATA_BYTES, WriteRequest},
};
use serde_json::json;

use crate::{
    case::{Case, CaseResult, cases},
    ctx::Ctx,
    texts::{at, invalid, metadata, open, some},
};

async fn content_has_1_to_100_000_characters_after_trimming(ctx: &Ctx) -> CaseResult {
    for bad in [String::new(), " \n\t\u{2003}".to_owned(), "x".repeat(MAX_CONTENT_CHARS + 1)] {
        invalid(ctx.try_write(bad).await, "content")?;
    }
    ctx.write("x").await?;
    let longest = "éa ".repeat(MAX_CONTENT_CHARS / 3) + "z";
    assert_eq!(longest.chars().count(), MAX_CONTENT_CHARS);
    ctx.write(WriteRequest::new(format!("\n  {longest}  \n")).with_extract(Extract::Raw)).await?;
    Ok(())
}

async fn content_holds_no_nul(ctx: &Ctx) -> CaseResult {
    for bad in ["nul\0inside", "\0", "at the end\0"] {
        invalid(ctx.try_write(bad).await, "content")?;
    }
    Ok(())
}

async fn metadata_has_at_most_64_kib(ctx: &Ctx) -> CaseResult {
    let frame = r#"{"note":""}"#.len();
    let sized = |bytes: usize| metadata(json!({"note": "n".repeat(bytes - frame)}));
    let id = ctx.write(WriteRequest::new("It fits.").with_metadata(sized(MAX_METADATA_BYTES)?)).await?;
    assert_eq!(ctx.get(id).await?.metadata, sized(MAX_METADATA_BYTES)?);
    let too_large = WriteRequest::new("It does not fit.").with_metadata(sized(MAX_METADATA_BYTES + 1)?);
    invalid(ctx.try_write(too_large).await, "metadata")
}

async fn every_broken_field_is_named(ctx: &Ctx) -> CaseResult {
    let broken = || {
        WriteRequest::new(" ")
            .with_key("k".repeat(201))
            .with_user_timezone("Mars/Olympus")
            .with_turn_id("a\u{1}b")
            .with_speaker("")
            .with_idempotency_key("i".repeat(101))
            .with_tags([""])
    };
    for field in ["content", "key", "user_timezone", "turn_id", "speaker", "idempotency_key", "context_tags"]
    {
        invalid(ctx.try_write(broken()).await, field)?;
    }
    Ok(())
}

async fn a_refused_text_leaves_nothing(ctx: &Ctx) -> CaseResult {
    let session = ctx.session("s1")?;
    invalid(session.try_write("nul\0inside").await, "content")?;
    invalid(
        session.try_write(WriteRequest::new("Where to?").with_user_timezone("Mars/Olympus")).await,
        "user_timezone",
    )?;
    assert_eq!(ctx.stats().await?.total_memories, 0);
    assert!(ctx.messages("s1").await?.is_empty());
    assert!(ctx.events(ListEvents::new()).await?.is_empty());
    assert!(ctx.read(open("")).await?.memories.is_empty());
    Ok(())
}

async fn a_text_comes_back_as_it_was_written(ctx: &Ctx) -> CaseResult {
    for text in [
        "Olá, ça va? Größe 42 — naïve café 日本語 🦀",
        "First line.\n\nSecond paragraph,\twith a tab.",
        "Quotes ' \" ` and \\ and % and _ and ; DROP TABLE records; --",
        "e\u{301} is no precomposed letter",
    ] {
        let id = ctx.write(text).await?;
        assert_eq!(ctx.get(id).await?.text, text);
        assert_eq!(ctx.recall(open(text)).await?[0], text);
    }
    Ok(())
}

async fn a_record_has_what_the_write_said(ctx: &Ctx) -> CaseResult {
    let said = at("2024-03-06T10:00:00.123456Z")?;
    let fields = metadata(json!({"topic": "safety", "nested": {"list": [1, 2.5, null, true]}, "ü": "ß"}))?;
    let request = WriteRequest::new("The safe is under the stairs.")
        .with_tags(["home", "Safety", "home/ünder"])
        .with_metadata(fields.clone())
        .with_timestamp(said)
        .with_role(Role::Assistant)
        .with_speaker("Nora")
        .with_turn_id("t1")
        .with_session("s1");
    let answer = ctx.try_write(request).await?;
    assert!(answer.success && answer.chunks_created == 1 && !answer.message.is_empty());
    let record = ctx.get(some(answer.memory_id, "memory_id")?).await?;
    assert_eq!(record.context_tags, ["home", "Safety", "home/ünder"]);
    assert_eq!(record.metadata, fields);
    assert_eq!((record.timestamp, record.role, record.speaker.as_str()), (said, Role::Assistant, "Nora"));
    assert_eq!((record.status, record.version, record.access_count), (MemoryStatus::Active, 1, 0));
    assert_eq!((record.supersedes_id, record.superseded_by_id, record.valid_to), (None, None, None));

    let items = ctx.read(open("Where is the safe?")).await?.memories;
    let item = some(items.first(), "item")?;
    assert_eq!(item.id, record.id);
    assert_eq!(item.text, record.text);
    assert_eq!((item.memory_type, item.confidence), (record.memory_type, record.confidence));
    assert_eq!((item.timestamp, item.said_at), (said, Some(said)));
    assert_eq!((&item.metadata, &item.context_tags), (&record.metadata, &record.context_tags));
    assert_eq!((item.role, item.speaker.as_deref()), (Some(Role::Assistant), Some("Nora")));
    assert_eq!((item.session_id.as_deref(), item.namespace.as_str()), (Some("s1"), "default"));
    Ok(())
}

async fn a_text_without_a_role_is_the_users(ctx: &Ctx) -> CaseResult {
    let record = ctx.get(ctx.write("The safe is under the stairs.").await?).await?;
    assert_eq!((record.role, record.source), (Role::User, MemorySource::UserExplicit));
    assert_eq!((record.session_id.as_str(), record.user_id.as_str(), record.agent_id.as_str()), ("", "", ""));
    Ok(())
}

async fn a_text_without_a_timestamp_was_said_when_it_was_stored(ctx: &Ctx) -> CaseResult {
    let first = ctx.get(ctx.write("The safe is under the stairs.").await?).await?;
    let second = ctx.get(ctx.write("The key hangs in the hall.").await?).await?;
    assert!(first.timestamp <= second.timestamp && first.written_at <= second.written_at);
    assert!((first.written_at - first.timestamp).num_seconds().abs() < 60);
    Ok(())
}

async fn instants_are_kept_to_the_microsecond(ctx: &Ctx) -> CaseResult {
    let request = WriteRequest::new("The safe is under the stairs.")
        .with_timestamp(at("2024-03-06T10:00:00.123456789Z")?);
    assert_eq!(ctx.get(ctx.write(request).await?).await?.timestamp, at("2024-03-06T10:00:00.123456Z")?);
    Ok(())
}

async fn raw_text_is_stored_as_it_is(ctx: &Ctx) -> CaseResult {
    let text = "fn main() {\n    // I live in Lisbon. My name is Nora.\n    let yesterday = 1;\n}";
    let request =
        WriteRequest::new(text).with_extract(Extract::Raw).with_timestamp(at("2024-03-06T10:00:00Z")?);
    let record = ctx.get(ctx.write(request).await?).await?;
    assert_eq!(record.text, text);
    assert_eq!((record.event_start, record.event_end), (None, None));
    assert!(ctx.all_facts().await?.is_empty());
    assert_eq!(ctx.recall("let yesterday = 1 in fn main").await?, [text]);
    Ok(())
}

async fn an_id_sorts_by_time_of_writing(ctx: &Ctx) -> CaseResult {
    let written = ctx.write_unrelated().await?;
    let later = ctx.write("The safe is under the stairs.").await?;
    assert!(written.iter().all(|id| *id < later));
    Ok(())
}

pub(crate) const CASES: &[Case] = cases![
    content_has_1_to_100_000_characters_after_trimming,
    content_holds_no_nul,
    metadata_has_at_most_64_kib: List,
    every_broken_field_is_named,
    a_refused_text_leaves_nothing: Sessions Events,
    a_text_comes_back_as_it_was_written: List,
    a_record_has_what_the_write_said: List,
    a_text_without_a_role_is_the_users: List,
    a_text_without_a_timestamp_was_said_when_it_was_stored: List,
    instants_are_kept_to_the_microsecond: List,
    raw_text_is_stored_as_it_is: List Facts,
    an_id_sorts_by_time_of_writing,
];
