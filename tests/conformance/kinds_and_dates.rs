//! Types, and the dates in a text.

use cml::{
    memory::{MemoryRecord, MemoryType},
    ops::{ListRequest, ReadFormat, WriteRequest},
};

use crate::{
    case::{Case, CaseResult, cases},
    ctx::Ctx,
    texts::{Instant, UNRELATED, at, open, some},
};

async fn every_type_is_kept_and_returned_where_the_caller_names_it(ctx: &Ctx) -> CaseResult {
    for (memory_type, text) in MemoryType::ALL.iter().zip(UNRELATED) {
        let id = ctx.write(WriteRequest::new(text).with_memory_type(*memory_type)).await?;
        assert_eq!(ctx.get(id).await?.memory_type, *memory_type);
    }
    for (memory_type, text) in MemoryType::ALL.iter().zip(UNRELATED) {
        let found = ctx.read(open(text).with_memory_types([*memory_type])).await?.memories;
        assert_eq!(
            found.iter().map(|item| (item.memory_type, item.text.as_str())).collect::<Vec<_>>(),
            [(*memory_type, text)]
        );
        let listed = ctx.list(ListRequest::new().with_memory_types([*memory_type])).await?.items;
        assert_eq!(listed.len(), 1);
    }
    Ok(())
}

async fn the_callers_type_wins_over_the_detected_one(ctx: &Ctx) -> CaseResult {
    let request =
        WriteRequest::new("I prefer dark mode in every editor.").with_memory_type(MemoryType::Scratch);
    assert_eq!(ctx.get(ctx.write(request).await?).await?.memory_type, MemoryType::Scratch);
    Ok(())
}

async fn detects(ctx: &Ctx, expected: MemoryType, texts: &[&str]) -> CaseResult {
    for text in texts {
        let detected = ctx.get(ctx.write(*text).await?).await?.memory_type;
        assert_eq!(detected, expected, "{text:?}");
    }
    Ok(())
}

async fn a_preference_is_detected(ctx: &Ctx) -> CaseResult {
    let texts = [
        "I prefer dark mode in every editor.",
        "I love hiking in the mountains.",
        "I'd rather have tea than coffee.",
    ];
    detects(ctx, MemoryType::Preference, &texts).await
}

async fn a_constraint_is_detected(ctx: &Ctx) -> CaseResult {
    let texts =
        ["Never schedule meetings before 10 am.", "I am allergic to shellfish.", "I must not eat gluten."];
    detects(ctx, MemoryType::Constraint, &texts).await
}

async fn a_procedure_is_detected(ctx: &Ctx) -> CaseResult {
    let texts = [
        "To deploy the service, first build the image, then push it, and finally restart the pods.",
        "Step 1: open the valve. Step 2: press the red button. Step 3: wait for the light.",
    ];
    detects(ctx, MemoryType::Procedure, &texts).await
}

async fn a_plan_is_detected(ctx: &Ctx) -> CaseResult {
    let texts = ["I plan to visit Japan next spring.", "We are going to paint the fence next weekend."];
    detects(ctx, MemoryType::Plan, &texts).await
}

async fn a_semantic_fact_is_detected(ctx: &Ctx) -> CaseResult {
    detects(ctx, MemoryType::SemanticFact, &["I live in Berlin.", "My name is Alice."]).await
}

async fn a_task_state_is_detected(ctx: &Ctx) -> CaseResult {
    detects(ctx, MemoryType::TaskState, &["The migration task is 60% done and blocked on review."]).await
}

async fn an_observation_is_detected(ctx: &Ctx) -> CaseResult {
    detects(ctx, MemoryType::Observation, &["I noticed that the coffee machine is leaking."]).await
}

async fn what_fits_nothing_is_an_episodic_event(ctx: &Ctx) -> CaseResult {
    let texts = ["We walked along the river yesterday.", "Tom and I met at the station this morning."];
    detects(ctx, MemoryType::EpisodicEvent, &texts).await
}

/// Writes a text said on Wednesday, 6 March 2024, 10:00 UTC.
async fn said_on_wednesday(ctx: &Ctx, text: &str) -> CaseResult<MemoryRecord> {
    let request = WriteRequest::new(text).with_timestamp(at("2024-03-06T10:00:00Z")?);
    Ok(ctx.get(ctx.write(request).await?).await?)
}

fn interval(record: &MemoryRecord) -> CaseResult<(Instant, Instant)> {
    Ok((some(record.event_start, "event_start")?, some(record.event_end, "event_end")?))
}

async fn dates_are_resolved_against_the_time_of_saying(ctx: &Ctx) -> CaseResult {
    for (text, start, end) in [
        ("We met at the harbour yesterday.", "2024-03-05", "2024-03-06"),
        ("The boat leaves tomorrow.", "2024-03-07", "2024-03-08"),
        ("We met at the harbour last Friday.", "2024-03-01", "2024-03-02"),
        ("The boat was painted three days ago.", "2024-03-03", "2024-03-04"),
        ("The boat was sold last month.", "2024-02-01", "2024-03-01"),
        ("The boat was built in May 2023.", "2023-05-01", "2023-06-01"),
        ("The boat sank on 17 August 2022.", "2022-08-17", "2022-08-18"),
        ("The boat was found on 2022-09-30.", "2022-09-30", "2022-10-01"),
    ] {
        let day = |day: &str| at(&format!("{day}T00:00:00Z"));
        assert_eq!(interval(&said_on_wednesday(ctx, text).await?)?, (day(start)?, day(end)?), "{text:?}");
    }
    let (start, end) = interval(&said_on_wednesday(ctx, "The boat returns in two weeks.").await?)?;
    let then = at("2024-03-20T10:00:00Z")?;
    assert!(start <= then && then < end && start > at("2024-03-13T00:00:00Z")?);
    Ok(())
}

async fn days_are_those_of_the_callers_zone(ctx: &Ctx) -> CaseResult {
    let said = |text: &str, zone: &str| -> CaseResult<WriteRequest> {
        let request = WriteRequest::new(text).with_timestamp(at("2024-03-05T23:30:00Z")?);
        Ok(if zone.is_empty() { request } else { request.with_user_timezone(zone) })
    };
    for (zone, start, end) in [
        // Already 6 March there.
        ("Asia/Tokyo", "2024-03-04T15:00:00Z", "2024-03-05T15:00:00Z"),
        ("America/New_York", "2024-03-04T05:00:00Z", "2024-03-05T05:00:00Z"),
        ("", "2024-03-04T00:00:00Z", "2024-03-05T00:00:00Z"),
    ] {
        let id = ctx.write(said(&format!("We met at the harbour yesterday {zone}."), zone)?).await?;
        assert_eq!(interval(&ctx.get(id).await?)?, (at(start)?, at(end)?), "{zone:?}");
    }
    Ok(())
}

async fn a_text_without_a_date_has_no_event(ctx: &Ctx) -> CaseResult {
    for text in ["The boat is blue.", "You may borrow the boat.", "The boat costs 2023 coins."] {
        let record = said_on_wednesday(ctx, text).await?;
        assert_eq!((record.event_start, record.event_end), (None, None), "{text:?}");
    }
    Ok(())
}

async fn both_dates_are_kept_and_shown(ctx: &Ctx) -> CaseResult {
    let record = said_on_wednesday(ctx, "We met at the harbour yesterday.").await?;
    let found = ctx.read(open("harbour").with_format(ReadFormat::LlmContext)).await?;
    let item = some(found.memories.first(), "item")?;
    assert_eq!((item.timestamp, item.said_at), (record.timestamp, Some(record.timestamp)));
    assert_eq!((item.event_start, item.event_end), (record.event_start, record.event_end));
    let context = some(found.llm_context, "llm_context")?;
    assert!(context.contains("2024-03-06") && context.contains("2024-03-05"), "{context}");
    Ok(())
}

pub(crate) const CASES: &[Case] = cases![
    every_type_is_kept_and_returned_where_the_caller_names_it: List,
    the_callers_type_wins_over_the_detected_one: List,
    a_preference_is_detected: List,
    a_constraint_is_detected: List,
    a_procedure_is_detected: List,
    a_plan_is_detected: List,
    a_semantic_fact_is_detected: List,
    a_task_state_is_detected: List,
    an_observation_is_detected: List,
    what_fits_nothing_is_an_episodic_event: List,
    dates_are_resolved_against_the_time_of_saying: List,
    days_are_those_of_the_callers_zone: List,
    a_text_without_a_date_has_no_event: List,
    both_dates_are_kept_and_shown: List,
];
