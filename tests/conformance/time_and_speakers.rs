//! Queries that mean a time, and queries by one of several people.

use cml::{
    MemoryId,
    memory::Role,
    ops::{ReadRequest, WriteRequest},
};

use crate::{
    case::{Case, CaseResult, cases},
    ctx::Ctx,
    texts::{at, ids, open, values},
};

async fn lunch(ctx: &Ctx, place: &str, said: &str) -> CaseResult<MemoryId> {
    let request = WriteRequest::new(format!("I had lunch with Nora at the {place}."));
    ctx.write(request.with_timestamp(at(said)?)).await
}

async fn first(ctx: &Ctx, request: ReadRequest) -> CaseResult<Option<MemoryId>> {
    Ok(ids(&ctx.read(request).await?.memories).first().copied())
}

async fn relative_dates_refer_to_the_reference_time(ctx: &Ctx) -> CaseResult {
    let march = lunch(ctx, "harbour", "2024-03-05T13:00:00Z").await?;
    let february = lunch(ctx, "market", "2024-02-06T13:00:00Z").await?;
    for (now, expected) in [("2024-03-06T10:00:00Z", march), ("2024-02-07T10:00:00Z", february)] {
        let ask = |query: &str| -> CaseResult<ReadRequest> { Ok(open(query).with_reference_time(at(now)?)) };
        for query in
            ["Where did I have lunch with Nora yesterday?", "Where was my lunch with Nora this week?"]
        {
            assert_eq!(first(ctx, ask(query)?).await?, Some(expected), "{query:?} at {now}");
        }
    }
    Ok(())
}

async fn a_date_in_the_query_prefers_what_was_said_or_told_of_then(ctx: &Ctx) -> CaseResult {
    let said = lunch(ctx, "harbour", "2023-05-10T13:00:00Z").await?;
    lunch(ctx, "market", "2024-02-06T13:00:00Z").await?;
    let told = "I had lunch with Nora at the station on 17 August 2022.";
    let told = ctx.write(WriteRequest::new(told).with_timestamp(at("2024-02-07T13:00:00Z")?)).await?;
    for (query, expected) in [
        ("Where did I have lunch with Nora in May 2023?", said),
        ("Where did I have lunch with Nora in August 2022?", told),
    ] {
        assert_eq!(first(ctx, open(query)).await?, Some(expected), "{query:?}");
    }
    Ok(())
}

async fn dates_in_the_query_are_those_of_the_callers_zone(ctx: &Ctx) -> CaseResult {
    let january = lunch(ctx, "market", "2024-01-15T13:00:00Z").await?;
    let february = lunch(ctx, "harbour", "2024-02-15T13:00:00Z").await?;
    let ask = |zone: &str| -> CaseResult<ReadRequest> {
        let read = open("Where did I have lunch with Nora last month?");
        Ok(read.with_reference_time(at("2024-03-01T03:00:00Z")?).with_user_timezone(zone))
    };
    assert_eq!(first(ctx, ask("UTC")?).await?, Some(february));
    assert_eq!(first(ctx, ask("America/Los_Angeles")?).await?, Some(january), "still February there");
    Ok(())
}

async fn a_speaker_asks_about_the_own_words(ctx: &Ctx) -> CaseResult {
    let mut written = Vec::new();
    for (speaker, dish) in [("Ana", "ramen"), ("Ben", "tacos")] {
        let request = WriteRequest::new(format!("My favourite dish is {dish}.")).with_speaker(speaker);
        written
            .push(ctx.write(request.with_session("s1").with_timestamp(at("2024-03-06T10:00:00Z")?)).await?);
    }
    for (speaker, expected) in [("Ana", written[0]), ("Ben", written[1])] {
        let ask = open("What is my favourite dish?").with_speaker(speaker);
        assert_eq!(first(ctx, ask).await?, Some(expected), "{speaker}");
    }
    Ok(())
}

async fn a_question_about_a_person_prefers_that_persons_words(ctx: &Ctx) -> CaseResult {
    let mut written = Vec::new();
    for (speaker, dish) in [("Ana", "ramen"), ("Ben", "tacos")] {
        let request = WriteRequest::new(format!("My favourite dish is {dish}.")).with_speaker(speaker);
        written
            .push(ctx.write(request.with_session("s1").with_timestamp(at("2024-03-06T10:00:00Z")?)).await?);
    }
    for (query, expected) in
        [("What is Ana's favourite dish?", written[0]), ("What is Ben's favourite dish?", written[1])]
    {
        assert_eq!(first(ctx, open(query)).await?, Some(expected), "{query:?}");
    }
    Ok(())
}

async fn speakers_have_slots_of_their_own(ctx: &Ctx) -> CaseResult {
    for (speaker, dish) in [("Ana", "ramen"), ("Ben", "tacos")] {
        ctx.write(WriteRequest::new(format!("My favourite dish is {dish}.")).with_speaker(speaker)).await?;
    }
    assert_eq!(values(&ctx.facts().await?, &["ramen", "tacos"]), ["ramen", "tacos"]);
    Ok(())
}

async fn what_the_assistant_said_is_told_apart(ctx: &Ctx) -> CaseResult {
    let session = ctx.session("s1")?;
    let said = |text: &str, role: Role| session.write(WriteRequest::new(text).with_role(role));
    said("The trail around the lake is my choice for Sunday.", Role::User).await?;
    let advice = said("The trail along the ridge is my advice for Sunday.", Role::Assistant).await?;
    let ask = open("Which trail did you tell me to take on Sunday?");
    assert_eq!(first(ctx, ask).await?, Some(advice));
    Ok(())
}

async fn a_neighbour_lends_its_context(ctx: &Ctx) -> CaseResult {
    ctx.write_unrelated().await?;
    let session = ctx.session("s1")?;
    session.write("What is the tortoise called?").await?;
    let answer = session.write("Hannibal, after the general.").await?;
    let found = ctx.read(open("What is the name of the tortoise?").with_max_results(3usize)).await?.memories;
    assert!(ids(&found).contains(&answer), "{found:?}");
    Ok(())
}

pub(crate) const CASES: &[Case] = cases![
    relative_dates_refer_to_the_reference_time,
    a_date_in_the_query_prefers_what_was_said_or_told_of_then,
    dates_in_the_query_are_those_of_the_callers_zone,
    a_speaker_asks_about_the_own_words,
    a_question_about_a_person_prefers_that_persons_words,
    speakers_have_slots_of_their_own: Facts,
    what_the_assistant_said_is_told_apart,
    a_neighbour_lends_its_context,
];
