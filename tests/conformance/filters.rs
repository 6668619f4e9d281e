//! Filters are exact and reach everything that is returned.

use cml::{
    MemoryId,
    memory::{MemoryStatus, MemoryType, MetadataFilter},
    ops::{Feedback, ForgetAction, ForgetRequest, ListRequest, ReadRequest, UpdateRequest, WriteRequest},
};
use serde_json::{Value, json};

use crate::{
    case::{Case, CaseResult, cases},
    ctx::Ctx,
    texts::{at, ids, invalid, metadata, open, record_ids, sentences, sorted},
};

const QUERIES: [&str; 3] = ["The safe is new.", "Where is the door?", ""];

/// Passes when reads with this filter return exactly `expected`, whatever they ask for.
async fn returns(
    ctx: &Ctx,
    filter: impl Fn(ReadRequest) -> ReadRequest,
    expected: &[MemoryId],
) -> CaseResult {
    for query in QUERIES {
        let found = ctx.read(filter(open(query))).await?;
        assert_eq!(sorted(&ids(&found.memories)), sorted(expected), "{query:?}");
        let groups = [&found.constraints, &found.facts, &found.preferences, &found.episodes];
        assert_eq!(groups.into_iter().map(Vec::len).sum::<usize>(), expected.len());
    }
    Ok(())
}

async fn a_type_filter_is_exact(ctx: &Ctx) -> CaseResult {
    let typed = |text: &str, memory_type| ctx.write(WriteRequest::new(text).with_memory_type(memory_type));
    let knowledge = typed("The safe is new.", MemoryType::Knowledge).await?;
    let plan = typed("The door is red.", MemoryType::Plan).await?;
    typed("The lock is old.", MemoryType::Message).await?;
    returns(ctx, |read| read.with_memory_types([MemoryType::Knowledge]), &[knowledge]).await?;
    returns(
        ctx,
        |read| read.with_memory_types([MemoryType::Knowledge, MemoryType::Plan]),
        &[knowledge, plan],
    )
    .await?;
    returns(ctx, |read| read.with_memory_types([MemoryType::Scratch]), &[]).await
}

async fn a_type_filter_holds_back_constraints(ctx: &Ctx) -> CaseResult {
    ctx.write("I am allergic to shellfish.").await?;
    let only = open("Can you recommend a restaurant?").with_memory_types([MemoryType::Knowledge]);
    assert!(ctx.read(only).await?.memories.is_empty());
    Ok(())
}

async fn a_tag_filter_takes_any_of_its_tags(ctx: &Ctx) -> CaseResult {
    let tagged =
        |text: &str, tags: &[&str]| ctx.write(WriteRequest::new(text).with_tags(tags.iter().copied()));
    let both = tagged("The safe is new.", &["home", "safety"]).await?;
    let home = tagged("The door is red.", &["home"]).await?;
    let work = tagged("The lock is old.", &["work"]).await?;
    tagged("The wall is white.", &[]).await?;
    returns(ctx, |read| read.with_tags(["home"]), &[both, home]).await?;
    returns(ctx, |read| read.with_tags(["safety", "work"]), &[both, work]).await?;
    for other in ["hom", "home ", "HOME", "h%", "_ome", "\"home\""] {
        returns(ctx, |read| read.with_tags([other]), &[]).await?;
    }
    Ok(())
}

async fn since_and_until_hold_for_the_time_said(ctx: &Ctx) -> CaseResult {
    let (first, second, third) =
        (at("2024-03-01T10:00:00Z")?, at("2024-03-02T10:00:00Z")?, at("2024-03-03T10:00:00Z")?);
    let mut written = Vec::new();
    for (said, text) in
        [first, second, third].into_iter().zip(["The safe is new.", "The door is red.", "The lock is old."])
    {
        written.push(ctx.write(WriteRequest::new(text).with_timestamp(said)).await?);
    }
    returns(ctx, |read| read.with_since(second), &written[1..]).await?;
    returns(ctx, |read| read.with_until(second), &written[..1]).await?;
    returns(ctx, |read| read.with_since(second).with_until(third), &written[1..2]).await?;
    returns(ctx, |read| read.with_until(first), &[]).await
}

async fn since_and_until_hold_for_the_time_told_of(ctx: &Ctx) -> CaseResult {
    let said = |text: &str| -> CaseResult<WriteRequest> {
        Ok(WriteRequest::new(text).with_timestamp(at("2024-03-06T10:00:00Z")?))
    };
    let told = ctx.write(said("The safe was bought in May 2023.")?).await?;
    let other = ctx.write(said("The door was painted in July 2023.")?).await?;
    let none = ctx.write(said("The lock is old.")?).await?;
    let day = |day: &str| at(&format!("{day}T00:00:00Z"));
    let (may, june, july) = (day("2023-05-01")?, day("2023-06-01")?, day("2023-07-01")?);
    returns(ctx, |read| read.with_since(may).with_until(june), &[told]).await?;
    returns(ctx, |read| read.with_since(june).with_until(july), &[]).await?;
    let march = day("2024-03-01")?;
    returns(ctx, |read| read.with_since(july).with_until(march), &[other]).await?;
    returns(ctx, |read| read.with_since(march), &[told, other, none]).await
}

async fn a_session_filter_is_exact(ctx: &Ctx) -> CaseResult {
    let first = ctx.session("s1")?.write("The safe is new.").await?;
    ctx.session("s2")?.write("The door is red.").await?;
    ctx.write("The lock is old.").await?;
    returns(ctx, |read| read.with_session("s1"), &[first]).await?;
    returns(ctx, |read| read.with_session("s3"), &[]).await
}

async fn an_agent_filter_is_exact(ctx: &Ctx) -> CaseResult {
    let scribe = ctx.agent("scribe")?.write("The safe is new.").await?;
    let scout = ctx.agent("scout")?.write("The door is red.").await?;
    ctx.write("The lock is old.").await?;
    returns(ctx, |read| read.with_agents(["scribe"]), &[scribe]).await?;
    returns(ctx, |read| read.with_agents(["scribe", "scout"]), &[scribe, scout]).await?;
    returns(ctx, |read| read.with_agents(["nobody"]), &[]).await
}

async fn metadata_filters_are_exact(ctx: &Ctx) -> CaseResult {
    let with = async |text: &str, fields: Value| {
        ctx.write(WriteRequest::new(text).with_metadata(metadata(fields)?)).await
    };
    let first = with(
        "The safe is new.",
        json!({"topic": "safety", "year": 2023, "labels": ["a", "b"], "task": {"id": 7}}),
    )
    .await?;
    let second =
        with("The door is red.", json!({"topic": "colour", "year": 2024, "labels": ["b"], "open": true}))
            .await?;
    let third = with("The lock is old.", json!({"topic": "Safety", "year": "2024", "open": null})).await?;
    let fourth = with("The wall is white.", json!({})).await?;
    let [first, second, third, all] =
        [vec![first], vec![second], vec![third], vec![first, second, third, fourth]];
    let both = [first.clone(), second.clone()].concat();
    for (filter, expected) in [
        (json!({"eq": {"field": "topic", "value": "safety"}}), &first),
        (json!({"eq": {"field": "year", "value": 2024}}), &second),
        (json!({"eq": {"field": "year", "value": 2024.0}}), &second),
        (json!({"eq": {"field": "year", "value": "2024"}}), &third),
        (json!({"eq": {"field": "labels", "value": "b"}}), &both),
        (json!({"eq": {"field": "task.id", "value": 7}}), &first),
        (json!({"eq": {"field": "open", "value": true}}), &second),
        (json!({"eq": {"field": "open", "value": null}}), &third),
        (json!({"eq": {"field": "absent", "value": null}}), &Vec::new()),
        (json!({"in": {"field": "topic", "values": ["safety", "colour"]}}), &both),
        (json!({"in": {"field": "labels", "values": ["a", "z"]}}), &first),
        (json!({"range": {"field": "year", "gte": 2023, "lt": 2024}}), &first),
        (json!({"range": {"field": "year", "gt": 2023}}), &second),
        (json!({"range": {"field": "topic", "gte": "a", "lte": "d"}}), &second),
        (json!({"range": {"field": "year", "lte": "2024"}}), &third),
        (
            json!({"and": [{"eq": {"field": "labels", "value": "b"}}, {"range": {"field": "year", "lt": 2024}}]}),
            &first,
        ),
        (
            json!({"or": [{"eq": {"field": "topic", "value": "safety"}}, {"eq": {"field": "open", "value": true}}]}),
            &both,
        ),
        (json!({"and": []}), &all),
        (json!({"or": []}), &Vec::new()),
    ] {
        let filter: MetadataFilter = serde_json::from_value(filter)?;
        returns(ctx, |read| read.with_filter(filter.clone()), expected).await?;
        let listed = ctx.list(ListRequest::new().with_filter(filter)).await?.items;
        assert_eq!(sorted(&record_ids(&listed)), sorted(expected), "a list filters like a read");
    }
    Ok(())
}

async fn a_broken_metadata_filter_is_refused(ctx: &Ctx) -> CaseResult {
    for (filter, field) in [
        (json!({"eq": {"field": "", "value": 1}}), "filter.eq.field"),
        (json!({"in": {"field": "topic", "values": []}}), "filter.in"),
        (json!({"range": {"field": "year"}}), "filter.range"),
        (json!({"range": {"field": "year", "gt": [1]}}), "filter.range"),
    ] {
        let filter: MetadataFilter = serde_json::from_value(filter)?;
        invalid(ctx.read(open("safe").with_filter(filter.clone())).await, field)?;
        invalid(ctx.list(ListRequest::new().with_filter(filter.clone())).await, field)?;
        invalid(ctx.forget(ForgetRequest::new().with_filter(filter)).await, field)?;
    }
    Ok(())
}

async fn filters_narrow_each_other(ctx: &Ctx) -> CaseResult {
    let request = |text: &str, tag: &str, topic: &str| -> CaseResult<WriteRequest> {
        Ok(WriteRequest::new(text).with_tags([tag]).with_metadata(metadata(json!({"topic": topic}))?))
    };
    ctx.write(request("The safe is new.", "home", "colour")?).await?;
    ctx.write(request("The door is red.", "work", "safety")?).await?;
    let both = ctx.write(request("The lock is old.", "home", "safety")?).await?;
    let filter = MetadataFilter::eq("topic", "safety");
    returns(ctx, |read| read.with_tags(["home"]).with_filter(filter.clone()), &[both]).await
}

async fn a_filter_finds_its_rows_among_many(ctx: &Ctx) -> CaseResult {
    let noise = sentences(400).into_iter().map(|text| WriteRequest::new(format!("The safe: {text}")));
    ctx.write_all(noise).await?;
    let rare = ctx.write(WriteRequest::new("Leaves covered the tennis court.").with_tags(["rare"])).await?;
    returns(ctx, |read| read.with_tags(["rare"]), &[rare]).await
}

/// Puts one memory into `status` beside one that stays active, and returns both.
async fn with_status(ctx: &Ctx, status: MemoryStatus) -> CaseResult<(MemoryId, MemoryId)> {
    let hidden = ctx.write("The violin teacher moved to Porto.").await?;
    let active = ctx.write("The violin has a new bow.").await?;
    let act = |action| ctx.forget(ForgetRequest::ids([hidden]).with_action(action));
    match status {
        MemoryStatus::Archived => act(ForgetAction::Archive).await.map(|_| ())?,
        MemoryStatus::Silent => act(ForgetAction::Silence).await.map(|_| ())?,
        _ => ctx.update(UpdateRequest::new(hidden).with_feedback(Feedback::Incorrect)).await.map(|_| ())?,
    }
    assert_eq!(ctx.get(hidden).await?.status, status);
    Ok((hidden, active))
}

async fn archived_memories_are_never_returned(ctx: &Ctx) -> CaseResult {
    let (_, active) = with_status(ctx, MemoryStatus::Archived).await?;
    for query in ["The violin teacher moved to Porto.", "violin", ""] {
        assert_eq!(ids(&ctx.read(open(query)).await?.memories), [active]);
    }
    Ok(())
}

async fn deleted_memories_are_never_returned(ctx: &Ctx) -> CaseResult {
    let (_, active) = with_status(ctx, MemoryStatus::Deleted).await?;
    for query in ["The violin teacher moved to Porto.", "violin", ""] {
        assert_eq!(ids(&ctx.read(open(query)).await?.memories), [active]);
    }
    Ok(())
}

async fn silent_memories_are_returned_only_for_a_near_quotation(ctx: &Ctx) -> CaseResult {
    let (silent, active) = with_status(ctx, MemoryStatus::Silent).await?;
    for query in ["Who gives music lessons?", "Portugal", ""] {
        assert_eq!(ids(&ctx.read(open(query)).await?.memories), [active], "{query:?}");
    }
    let found = ctx.read(open("violin teacher")).await?.memories;
    assert!(found.iter().all(|item| item.id == active || item.relevance.get() >= 0.8));
    let found = ctx.read(ReadRequest::new("The violin teacher moved to Porto.")).await?.memories;
    assert_eq!(found[0].id, silent);
    assert!(found[0].relevance.get() >= 0.8, "{}", found[0].relevance);
    Ok(())
}

async fn outdated_memories_are_returned_only_by_time(ctx: &Ctx) -> CaseResult {
    let said = at("2024-03-06T10:00:00Z")?;
    let old = ctx.write(WriteRequest::new("The violin teacher is on leave.").with_timestamp(said)).await?;
    let new = ctx.write(WriteRequest::new("The violin has a new bow.").with_timestamp(said)).await?;
    ctx.update(UpdateRequest::new(old).with_feedback(Feedback::Outdated)).await?;
    for query in ["The violin teacher is on leave.", "violin", ""] {
        assert_eq!(ids(&ctx.read(open(query)).await?.memories), [new]);
    }
    let then = open("violin").with_as_of(at("2024-03-07T10:00:00Z")?);
    assert_eq!(sorted(&ids(&ctx.read(then).await?.memories)), sorted(&[old, new]));
    Ok(())
}

pub(crate) const CASES: &[Case] = cases![
    a_type_filter_is_exact,
    a_type_filter_holds_back_constraints,
    a_tag_filter_takes_any_of_its_tags,
    since_and_until_hold_for_the_time_said,
    since_and_until_hold_for_the_time_told_of,
    a_session_filter_is_exact,
    an_agent_filter_is_exact,
    metadata_filters_are_exact: MetadataFilter List,
    a_broken_metadata_filter_is_refused: MetadataFilter List,
    filters_narrow_each_other: MetadataFilter,
    a_filter_finds_its_rows_among_many,
    archived_memories_are_never_returned: List,
    deleted_memories_are_never_returned: List,
    silent_memories_are_returned_only_for_a_near_quotation: List,
    outdated_memories_are_returned_only_by_time: AsOf,
];
