//! Answers with a cache are those without one, and cost no search.

use std::sync::Arc;

use chrono::{DateTime, TimeDelta, Utc};
use cml_core::{
    MemoryId, Scope, Subject,
    memory::{MemoryType, MetadataFilter},
    ops::{
        CreateSession, EraseRequest, Feedback, ForgetAction, ForgetRequest, ReadFormat, ReadRequest,
        ReadResponse, SessionContext, TurnRequest, UpdateRequest, WriteRequest,
    },
};
use cml_embedded::{clock::ManualClock, engine::Engine, store::LocalCache};

use crate::{
    fixtures::{Hashed, Outcome, engine, start, store, uses},
    redis::Server,
};

/// Numbers that are the same in every run.
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % bound
    }

    fn one_of<'a, T>(&mut self, of: &'a [T]) -> &'a T {
        &of[self.below(of.len() as u64) as usize]
    }
}

const TEXTS: [&str; 12] = [
    "I live in Lisbon",
    "I live in Berlin now",
    "I am allergic to shellfish",
    "We sailed the blue boat yesterday",
    "The meeting with Ana is on Friday",
    "My sister lives in Rome",
    "I want to run a marathon this year",
    "The parcel weighs two kilos and came last week",
    "Ana likes the old harbour",
    "We had dinner at the harbour two days ago",
    "Never book flights before nine",
    "The blue boat needs paint",
];

const QUERIES: [&str; 8] = [
    "where do I live",
    "what did we do yesterday",
    "recommend a restaurant for dinner",
    "blue boat",
    "when is the meeting with Ana",
    "what happened last week",
    "harbour",
    "marathon",
];

fn scopes() -> Outcome<Vec<Scope>> {
    let tenant = Scope::new("acme")?;
    Ok(vec![
        tenant.clone(),
        tenant.clone().with_user("ana")?,
        tenant.clone().with_namespace("notes")?,
        tenant.clone().with_session("s1")?,
        tenant.with_user("ana")?.with_session("s2")?,
    ])
}

fn question(numbers: &mut Numbers, now: DateTime<Utc>) -> ReadRequest {
    let mut request =
        ReadRequest::new(*numbers.one_of(&QUERIES)).with_max_results(1 + numbers.below(6) as usize);
    match numbers.below(10) {
        0 => request = request.with_format(ReadFormat::LlmContext).with_max_context_tokens(40usize),
        1 => request = request.with_as_of(now - TimeDelta::hours(numbers.below(48) as i64)),
        2 => request = request.with_user_timezone("Pacific/Auckland"),
        3 => request = request.with_min_relevance(0.0),
        4 => request = request.with_filter(MetadataFilter::eq("shelf", numbers.below(2))),
        5 => request = request.with_memory_types([MemoryType::Preference, MemoryType::EpisodicEvent]),
        6 => request = request.with_since(now - TimeDelta::hours(30)),
        _ => {}
    }
    request
}

async fn change(
    engine: &Engine,
    numbers: &mut Numbers,
    scope: &Scope,
    ids: &mut Vec<MemoryId>,
    now: DateTime<Utc>,
) -> Outcome {
    let known = |numbers: &mut Numbers, ids: &[MemoryId]| (!ids.is_empty()).then(|| *numbers.one_of(ids));
    match numbers.below(16) {
        0..=7 => {
            let text = format!(
                "{} {}",
                numbers.one_of(&TEXTS),
                ["", "again", "they say"][numbers.below(3) as usize]
            );
            let mut write = WriteRequest::new(text);
            write.metadata.insert("shelf".to_owned(), numbers.below(2).into());
            if numbers.below(3) == 0 {
                write = write.with_expires_at(now + TimeDelta::seconds(1 + numbers.below(90) as i64));
            }
            for written in engine.write_batch(scope, vec![write]).await? {
                ids.extend(written?.memory_id);
            }
        }
        8 => {
            if let Some(id) = known(numbers, ids) {
                let feedback = *numbers.one_of(&[Feedback::Correct, Feedback::Outdated, Feedback::Incorrect]);
                drop(engine.update(scope, UpdateRequest::new(id).with_feedback(feedback)).await);
            }
        }
        9 => {
            if let Some(id) = known(numbers, ids) {
                let update = UpdateRequest::new(id).with_text(*numbers.one_of(&TEXTS));
                drop(engine.update(scope, update).await);
            }
        }
        10 => {
            if let Some(id) = known(numbers, ids) {
                let end = now + TimeDelta::seconds(numbers.below(60) as i64);
                drop(engine.update(scope, UpdateRequest::new(id).with_valid_to(end)).await);
            }
        }
        11 | 12 => {
            if let Some(id) = known(numbers, ids) {
                let action =
                    *numbers.one_of(&[ForgetAction::Delete, ForgetAction::Archive, ForgetAction::Silence]);
                engine.forget(scope, ForgetRequest::ids([id]).with_action(action)).await?;
            }
        }
        13 => {
            let turn =
                TurnRequest::new(*numbers.one_of(&QUERIES)).with_assistant_response("I will see to it");
            engine.turn(scope, turn).await?;
        }
        14 => {
            let subjects = [Subject::Session("s1".into()), Subject::User("ana".into())];
            engine.erase(scope, EraseRequest::new(numbers.one_of(&subjects).clone())).await?;
        }
        _ => {
            if numbers.below(8) == 0 {
                engine.erase(scope, EraseRequest::new(Subject::Tenant)).await?;
            }
        }
    }
    Ok(())
}

fn timeless(mut answer: ReadResponse) -> ReadResponse {
    answer.elapsed_ms = 0.0;
    answer
}

#[tokio::test]
async fn answers_are_the_same_with_and_without_a_cache() -> Outcome {
    let Some(server) = Server::of_environment() else { return Ok(()) };
    let (clock, store) = (ManualClock::new(start()), store().await?);
    let cached = engine(&store, server.cache()?, Hashed::new(), &clock).await?;
    let another = engine(&store, server.cache()?, Hashed::new(), &clock).await?;
    let local = || Arc::new(LocalCache::new(Arc::new(clock.clone())));
    let plain = engine(&store, local(), Hashed::new(), &clock).await?;
    let (mut numbers, mut ids, mut now, scopes) = (Numbers(7), Vec::new(), start(), scopes()?);
    let mut asked: Vec<(Scope, ReadRequest)> = Vec::new();
    for step in 0..150 {
        let writer = *numbers.one_of(&[&cached, &another, &plain]);
        let scope = numbers.one_of(&scopes).clone();
        change(writer, &mut numbers, &scope, &mut ids, now).await?;
        asked.push((numbers.one_of(&scopes).clone(), question(&mut numbers, now)));
        for _ in 0..3 {
            now += *numbers.one_of(&[
                TimeDelta::zero(),
                TimeDelta::milliseconds(1),
                TimeDelta::seconds(7),
                TimeDelta::minutes(40),
            ]);
            clock.set(now);
            let latest = asked.len().saturating_sub(3);
            let (scope, request) = numbers.one_of(&asked[latest..]).clone();
            let expected = timeless(plain.read(&scope, request.clone()).await?);
            for engine in [&cached, &another] {
                let answer = timeless(engine.read(&scope, request.clone()).await?);
                assert_eq!(answer, expected, "step {step}: {request:?} in {scope:?}");
            }
            let session = *numbers.one_of(&["s1", "s2"]);
            let whole = scope.whole_tenant();
            let expected = plain.session_context(&whole, session, 25).await?;
            assert_eq!(cached.session_context(&whole, session, 25).await?, expected, "step {step}");
        }
    }
    let taken = |name| uses(&cached, name) + uses(&another, name);
    assert!(taken("answers_taken") > 200, "{:?}", another.cache_uses());
    assert!(taken("vectors_taken") > 50 && taken("contexts_taken") > 50, "{:?}", cached.cache_uses());
    assert_eq!(uses(&plain, "answers_taken") + uses(&plain, "vectors_taken"), 0);
    Ok(())
}

#[tokio::test]
async fn a_kept_answer_costs_no_search_and_no_vector() -> Outcome {
    let Some(server) = Server::of_environment() else { return Ok(()) };
    let (clock, store, embedder) = (ManualClock::new(start()), store().await?, Hashed::new());
    let first = engine(&store, server.cache()?, Arc::clone(&embedder), &clock).await?;
    let second = engine(&store, server.cache()?, Arc::clone(&embedder), &clock).await?;
    let scope = Scope::new("acme")?;
    first.write_batch(&scope, vec![WriteRequest::new("The boat is blue")]).await?;
    let answer = timeless(first.read(&scope, ReadRequest::new("what did I do at the boat")).await?);
    let asked = embedder.asked();
    for format in [ReadFormat::Packet, ReadFormat::Packet, ReadFormat::List, ReadFormat::LlmContext] {
        let request = ReadRequest::new("what did I do at the boat").with_format(format);
        let again = second.read(&scope, request).await?;
        assert_eq!(again.memories, answer.memories);
    }
    assert_eq!((uses(&second, "answers_taken"), uses(&second, "searches")), (4, 0));
    assert_eq!(embedder.asked(), asked);

    let explained = second.read(&scope, ReadRequest::new("what did I do at the boat").with_explain(true));
    assert!(explained.await?.memories[0].explain.is_some());
    assert_eq!((uses(&second, "searches"), embedder.asked()), (1, asked), "only its vector is kept");

    second.write_batch(&scope, vec![WriteRequest::new("The boat is green")]).await?;
    assert_eq!(first.read(&scope, ReadRequest::new("what did I do at the boat")).await?.total_count, 2);
    assert_eq!((uses(&first, "searches"), embedder.asked()), (2, asked + 1));
    Ok(())
}

#[tokio::test]
async fn an_answer_holds_until_something_in_it_ends() -> Outcome {
    let Some(server) = Server::of_environment() else { return Ok(()) };
    let (clock, store) = (ManualClock::new(start()), store().await?);
    let engine = engine(&store, server.cache()?, Hashed::new(), &clock).await?;
    let scope = Scope::new("acme")?;
    let ends = WriteRequest::new("The boat is blue").with_expires_at(start() + TimeDelta::seconds(10));
    engine.write_batch(&scope, vec![ends, WriteRequest::new("The boat is old")]).await?;
    for (seconds, count, searches) in [(0, 2, 1), (0, 2, 1), (9, 2, 1), (10, 1, 2), (100, 1, 2), (5, 2, 3)] {
        clock.set(start() + TimeDelta::seconds(seconds));
        let answer = engine.read(&scope, ReadRequest::new("boat")).await?;
        assert_eq!((answer.total_count, uses(&engine, "searches")), (count, searches), "{seconds} s");
    }
    for (hours, searches) in [(1, 4), (2, 4), (15, 5)] {
        clock.set(start() + TimeDelta::hours(hours));
        let request = ReadRequest::new("where was the boat yesterday").with_min_relevance(0.0);
        assert_eq!(engine.read(&scope, request).await?.total_count, 1);
        assert_eq!(uses(&engine, "searches"), searches, "yesterday is another day after {hours} h");
    }
    Ok(())
}

#[tokio::test]
async fn a_working_context_ends_with_its_session() -> Outcome {
    let Some(server) = Server::of_environment() else { return Ok(()) };
    let (clock, store) = (ManualClock::new(start()), store().await?);
    let engine = engine(&store, server.cache()?, Hashed::new(), &clock).await?;
    let scope = Scope::new("acme")?;
    let session = engine.create_session(&scope, CreateSession::new().with_ttl_hours(1u32)).await?.session_id;
    let in_session = scope.clone().with_session(session.clone())?;
    engine.write_batch(&in_session, vec![WriteRequest::new("The boat is blue")]).await?;
    let context = engine.session_context(&scope, &session, 100).await?;
    assert_eq!(context.context_string, "user: The boat is blue");
    assert_eq!(engine.session_context(&scope, &session, 100).await?, context);
    assert_eq!((uses(&engine, "contexts_made"), uses(&engine, "contexts_taken")), (1, 1));
    clock.set(start() + TimeDelta::hours(1));
    let over = SessionContext { session_id: session.clone(), ..SessionContext::default() };
    assert_eq!(engine.session_context(&scope, &session, 100).await?, over);
    Ok(())
}
