//! Recall: limits, relevance, sufficiency, the access count.

use std::cmp::Reverse;

use cml::{
    memory::{MemoryItem, Role},
    ops::{MAX_RESULTS, ReadFormat, ReadRequest, ReadResponse, WriteRequest},
};
use serde_json::json;

use crate::{
    case::{Case, CaseResult, cases},
    ctx::Ctx,
    texts::{at, ids, invalid, metadata, open, sentences, some, sorted, texts},
};

async fn a_read_gives_up_to_max_results(ctx: &Ctx) -> CaseResult {
    ctx.write_all(sentences(40)).await?;
    for limit in [1usize, 7, 40] {
        let found = ctx.read(open("Who left something behind?").with_max_results(limit)).await?;
        assert_eq!((found.memories.len(), found.total_count), (limit, limit));
    }
    let all = ctx.read(open("").with_max_results(ctx.backend.capabilities().max_results)).await?;
    assert_eq!(all.memories.len(), 40);
    assert_eq!(
        ctx.read(ReadRequest::new("").with_min_relevance(0.0)).await?.memories.len(),
        10,
        "the default"
    );
    Ok(())
}

async fn max_results_is_1_to_1000(ctx: &Ctx) -> CaseResult {
    for limit in [0usize, MAX_RESULTS + 1, usize::MAX] {
        invalid(ctx.read(ReadRequest::new("safe").with_max_results(limit)).await, "max_results")?;
    }
    Ok(())
}

async fn an_empty_memory_gives_an_empty_answer(ctx: &Ctx) -> CaseResult {
    for query in ["Where is the safe?", ""] {
        let found = ctx.read(ReadRequest::new(query).with_format(ReadFormat::LlmContext)).await?;
        assert!(found.is_empty() && found.warnings.is_empty());
        assert_eq!((found.query.as_str(), found.total_count), (query, 0));
        assert_eq!(found.llm_context.as_deref(), Some(""));
        assert!(found.sufficiency.is_none_or(|s| !s.sufficient && s.support == 0));
    }
    Ok(())
}

async fn relevance_lies_in_0_to_1_and_never_rises(ctx: &Ctx) -> CaseResult {
    ctx.write_unrelated().await?;
    for query in [
        "a fox in the garden",
        "Which bridge was closed?",
        "music",
        "zzz",
        "",
        "The clock tower struck twelve.",
    ] {
        let found = ctx.read(open(query)).await?.memories;
        assert!(found.iter().all(|item| (0.0..=1.0).contains(&item.relevance.get())));
        assert!(found.windows(2).all(|pair| pair[0].relevance >= pair[1].relevance), "{query:?}");
    }
    Ok(())
}

async fn a_read_answers_the_same_twice(ctx: &Ctx) -> CaseResult {
    let said = at("2024-03-06T10:00:00Z")?;
    ctx.write_all(sentences(30).into_iter().map(|text| WriteRequest::new(text).with_timestamp(said))).await?;
    let ask = || ctx.read(open("Who left something behind the harbour?"));
    let first = ids(&ask().await?.memories);
    for _ in 0..3 {
        assert_eq!(ids(&ask().await?.memories), first, "access counts do not move equal results");
    }
    Ok(())
}

async fn equal_results_stand_newest_first_then_by_id(ctx: &Ctx) -> CaseResult {
    let mut written = Vec::new();
    for (session, day) in [("s1", 1), ("s2", 3), ("s3", 2), ("s4", 2)] {
        let request = WriteRequest::new("The safe is under the stairs.").with_session(session);
        written.push(ctx.write(request.with_timestamp(at(&format!("2024-03-0{day}T10:00:00Z"))?)).await?);
    }
    let found = ctx.read(open("Where is the safe?")).await?.memories;
    assert_eq!(sorted(&ids(&found)), sorted(&written));
    for pair in found.windows(2).filter(|pair| pair[0].relevance == pair[1].relevance) {
        let key = |item: &MemoryItem| (Reverse(item.timestamp), item.id);
        assert!(key(&pair[0]) < key(&pair[1]), "{pair:?}");
    }
    Ok(())
}

async fn min_relevance_cuts(ctx: &Ctx) -> CaseResult {
    ctx.write_all(sentences(30)).await?;
    let query = "Who left the lantern number 7 behind the station?";
    let all = ctx.read(open(query)).await?.memories;
    for floor in [0.05, 0.2, 0.5, 0.8, 1.0] {
        let kept = ctx.read(open(query).with_min_relevance(floor)).await?;
        let expected: Vec<_> =
            all.iter().filter(|item| item.relevance.get() >= floor).map(|item| item.id).collect();
        assert_eq!(ids(&kept.memories), expected, "{floor}");
        assert!((kept.retrieval_meta.min_relevance - floor).abs() < 1e-9);
    }
    for bad in [-0.1, 1.1, f64::NAN] {
        invalid(ctx.read(open(query).with_min_relevance(bad)).await, "min_relevance")?;
    }
    Ok(())
}

async fn the_default_floor_is_said_and_cuts(ctx: &Ctx) -> CaseResult {
    ctx.write_unrelated().await?;
    let found = ctx.read("Which bridge was closed?").await?;
    let floor = found.retrieval_meta.min_relevance;
    assert!(floor > 0.0 && floor < 1.0, "{floor}");
    assert_eq!(some(found.memories.first(), "an answer")?.text, "The bridge was closed for repairs.");
    assert!(found.memories.iter().all(|item| item.relevance.get() >= floor));
    Ok(())
}

async fn a_floor_of_0_turns_the_cut_off(ctx: &Ctx) -> CaseResult {
    let written = ctx.write_unrelated().await?;
    let found = ctx.read(open("What is the boiling point of tungsten?")).await?.memories;
    assert_eq!(sorted(&ids(&found)), sorted(&written));
    Ok(())
}

const UNANSWERABLE: [&str; 4] = [
    "What is the boiling point of tungsten?",
    "Which bank holds the mortgage?",
    "When does my visa expire?",
    "How many calories has a banana?",
];

async fn an_unanswerable_query_gives_few_items_and_says_so(ctx: &Ctx) -> CaseResult {
    ctx.write_unrelated().await?;
    for query in UNANSWERABLE {
        let found = ctx.read(query).await?;
        assert!(found.memories.len() <= 3, "{query:?}: {:?}", texts(&found.memories));
        let sufficiency = some(found.sufficiency, "sufficiency")?;
        assert!(!sufficiency.sufficient && sufficiency.support == 0, "{query:?}: {sufficiency:?}");
    }
    Ok(())
}

async fn an_answer_is_sufficient(ctx: &Ctx) -> CaseResult {
    ctx.write_unrelated().await?;
    let found = ctx.read("Which bridge was closed for repairs?").await?;
    let sufficiency = some(found.sufficiency, "sufficiency")?;
    assert!(sufficiency.sufficient && sufficiency.support >= 1, "{sufficiency:?}");
    assert_eq!(sufficiency.confidence, found.memories[0].relevance);
    Ok(())
}

async fn relevance_can_be_compared_between_queries(ctx: &Ctx) -> CaseResult {
    ctx.write_unrelated().await?;
    let best = |found: ReadResponse| found.memories.first().map_or(0.0, |item| item.relevance.get());
    let answered = best(ctx.read(open("Which bridge was closed for repairs?")).await?);
    for query in UNANSWERABLE {
        let unanswered = best(ctx.read(open(query)).await?);
        assert!(answered > unanswered + 0.2, "{query:?}: {unanswered} beside {answered}");
    }
    Ok(())
}

async fn an_empty_query_lists_the_newest_first(ctx: &Ctx) -> CaseResult {
    let mut written = Vec::new();
    for (day, text) in [3, 1, 4, 2].into_iter().zip(sentences(4)) {
        let said = at(&format!("2024-03-0{day}T10:00:00Z"))?;
        written.push((said, ctx.write(WriteRequest::new(text).with_timestamp(said)).await?));
    }
    written.sort_by(|a, b| b.cmp(a));
    let newest: Vec<_> = written.into_iter().map(|(_, id)| id).collect();
    for query in ["", "  \n"] {
        assert_eq!(ids(&ctx.read(query).await?.memories), newest, "the floor cuts nothing here");
        assert_eq!(
            ids(&ctx.read(ReadRequest::new(query).with_max_results(2usize)).await?.memories),
            newest[..2]
        );
    }
    Ok(())
}

async fn a_read_records_access(ctx: &Ctx) -> CaseResult {
    let id = ctx.write("The safe is under the stairs.").await?;
    let other = ctx.write(WriteRequest::new("The lake is deep.").with_role(Role::Assistant)).await?;
    for count in 1..=3 {
        assert_eq!(ids(&ctx.read("Where is the safe?").await?.memories), [id]);
        // It may be written after the answer: look until it is there, a bounded number of times.
        let mut record = ctx.get(id).await?;
        for _ in 0..2000 {
            if record.access_count == count {
                break;
            }
            record = ctx.get(id).await?;
        }
        assert_eq!(record.access_count, count);
        assert!(record.last_accessed_at.is_some_and(|read| read >= record.written_at));
        assert_eq!(record.version, 1, "access is no change");
    }
    let other = ctx.get(other).await?;
    assert_eq!((other.access_count, other.last_accessed_at), (0, None));
    Ok(())
}

async fn a_read_says_how_it_came_about(ctx: &Ctx) -> CaseResult {
    ctx.write_unrelated().await?;
    let found = ctx.read("Which bridge was closed?").await?;
    let meta = found.retrieval_meta;
    assert!(!meta.profile.is_empty() && !meta.channels.is_empty());
    assert!(meta.channels.iter().all(|channel| channel.error.is_none()), "{:?}", meta.channels);
    assert!(meta.channels.iter().any(|channel| channel.candidates > 0));
    assert!(meta.candidates >= found.memories.len());
    assert!(found.warnings.is_empty() && found.elapsed_ms >= 0.0);
    assert!(found.memories.iter().all(|item| item.explain.is_none()));
    let explained = ctx.read(ReadRequest::new("Which bridge was closed?").with_explain(true)).await?;
    assert!(explained.memories.iter().all(|item| item.explain.is_some()));
    assert_eq!(ids(&explained.memories), ids(&found.memories));
    Ok(())
}

async fn a_read_changes_nothing_else(ctx: &Ctx) -> CaseResult {
    let request =
        WriteRequest::new("The safe is under the stairs.").with_metadata(metadata(json!({"a": 1}))?);
    let id = ctx.write(request).await?;
    let before = ctx.get(id).await?;
    ctx.read("Where is the safe?").await?;
    let mut after = ctx.get(id).await?;
    (after.access_count, after.last_accessed_at) = (before.access_count, before.last_accessed_at);
    assert_eq!(after, before);
    Ok(())
}

async fn a_query_is_checked(ctx: &Ctx) -> CaseResult {
    invalid(ctx.read("nul\0inside").await, "query")?;
    invalid(ctx.read("x".repeat(100_001)).await, "query")?;
    invalid(ctx.read(ReadRequest::new("safe").with_user_timezone("Mars/Olympus")).await, "user_timezone")?;
    invalid(ctx.read(ReadRequest::new("safe").with_speaker("")).await, "speaker")?;
    let (since, until) = (at("2024-03-06T10:00:00Z")?, at("2024-03-05T10:00:00Z")?);
    invalid(ctx.read(ReadRequest::new("safe").with_since(since).with_until(until)).await, "until")?;
    Ok(())
}

async fn any_query_is_answered(ctx: &Ctx) -> CaseResult {
    ctx.write_unrelated().await?;
    for query in [
        "?",
        "!!!",
        "the of and",
        "\"quoted\" AND (NEAR OR *)",
        "' OR 1=1 --",
        "🦀",
        "日本語",
        "a:b^2~ {x}",
        "NOT",
        "-fox",
        "don't",
        "%_",
        "\u{301}",
    ] {
        ctx.read(query).await?;
    }
    let long = sentences(1000).join(" ");
    ctx.read(long).await?;
    Ok(())
}

pub(crate) const CASES: &[Case] = cases![
    a_read_gives_up_to_max_results: MinRelevance,
    max_results_is_1_to_1000,
    an_empty_memory_gives_an_empty_answer,
    relevance_lies_in_0_to_1_and_never_rises,
    a_read_answers_the_same_twice,
    equal_results_stand_newest_first_then_by_id,
    min_relevance_cuts: MinRelevance,
    the_default_floor_is_said_and_cuts: MinRelevance,
    a_floor_of_0_turns_the_cut_off: MinRelevance,
    an_unanswerable_query_gives_few_items_and_says_so: MinRelevance,
    an_answer_is_sufficient,
    relevance_can_be_compared_between_queries,
    an_empty_query_lists_the_newest_first,
    a_read_records_access: List,
    a_read_says_how_it_came_about,
    a_read_changes_nothing_else: List,
    a_query_is_checked,
    any_query_is_answered,
];
