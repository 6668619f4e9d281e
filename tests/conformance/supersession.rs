//! A new value of a slot closes the old one.

use cml::{
    MemoryId,
    memory::{Fact, FactStatus, MemoryStatus},
    ops::{ListFacts, ReadRequest, WriteRequest},
};
use libtest_mimic::Failed;

use crate::{
    case::{Case, CaseResult, cases},
    ctx::Ctx,
    texts::{at, fact, ids, open, some, values},
};

const LISBON: &str = "2024-03-01T10:00:00Z";
const BETWEEN: &str = "2024-03-05T10:00:00Z";
const BERLIN: &str = "2024-03-10T10:00:00Z";

fn said(text: &str, when: &str) -> CaseResult<WriteRequest> {
    Ok(WriteRequest::new(text).with_timestamp(at(when)?))
}

/// Moves the user from Lisbon to Berlin and returns both memories.
async fn move_to_berlin(ctx: &Ctx) -> CaseResult<(MemoryId, MemoryId)> {
    let lisbon = ctx.write(said("I live in Lisbon.", LISBON)?).await?;
    let berlin = ctx.write(said("I live in Berlin now.", BERLIN)?).await?;
    Ok((lisbon, berlin))
}

/// The user's current values of the slot that `example` fills.
fn current<'a>(facts: &'a [Fact], example: &Fact) -> Vec<&'a str> {
    let of_slot = |fact: &&Fact| fact.subject == "user" && fact.slot == example.slot;
    let of_slot = facts.iter().filter(of_slot).filter(|fact| fact.status == FactStatus::Current);
    of_slot.map(|fact| fact.value.as_str()).collect()
}

async fn one_residence_is_current_after_a_move(ctx: &Ctx) -> CaseResult {
    move_to_berlin(ctx).await?;
    let facts = ctx.facts().await?;
    assert_eq!(values(&facts, &["Lisbon", "Berlin"]), ["Berlin"]);
    let residence = fact(&facts, "Berlin")?;
    assert!(!residence.slot.is_empty());
    assert_eq!(current(&facts, residence), ["Berlin"]);
    Ok(())
}

async fn the_old_value_is_closed_and_both_are_linked(ctx: &Ctx) -> CaseResult {
    move_to_berlin(ctx).await?;
    let facts = ctx.all_facts().await?;
    let (old, new) = (fact(&facts, "Lisbon")?, fact(&facts, "Berlin")?);
    assert_ne!(old.id, new.id, "nothing is overwritten");
    assert_eq!((old.status, new.status), (FactStatus::Superseded, FactStatus::Current));
    assert_eq!((old.valid_from, old.valid_to), (at(LISBON)?, Some(at(BERLIN)?)));
    assert_eq!((new.valid_from, new.valid_to), (at(BERLIN)?, None));
    assert_eq!((old.superseded_by_id, new.supersedes_id), (Some(new.id), Some(old.id)));
    assert_eq!((&old.slot, new.version), (&new.slot, old.version + 1));
    Ok(())
}

async fn each_successor_has_the_next_version(ctx: &Ctx) -> CaseResult {
    for (day, town) in [(1, "Lisbon"), (2, "Berlin"), (3, "Oslo"), (4, "Lisbon")] {
        ctx.write(said(&format!("I live in {town}."), &format!("2024-03-0{day}T10:00:00Z"))?).await?;
    }
    let mut facts = ctx.all_facts().await?;
    facts.sort_by_key(|fact| fact.valid_from);
    let chain: Vec<_> = facts.iter().map(|fact| (fact.value.as_str(), fact.version)).collect();
    assert_eq!(chain, [("Lisbon", 1), ("Berlin", 2), ("Oslo", 3), ("Lisbon", 4)]);
    assert!(facts.windows(2).all(|pair| pair[0].valid_to == Some(pair[1].valid_from)));
    assert!(facts.windows(2).all(|pair| pair[0].superseded_by_id == Some(pair[1].id)));
    Ok(())
}

async fn a_superseded_fact_stays_readable_by_time(ctx: &Ctx) -> CaseResult {
    move_to_berlin(ctx).await?;
    let as_of = |when: &str| Ok::<_, Failed>(ListFacts::new().with_as_of(at(when)?));
    let then = ctx.facts_by(as_of(BETWEEN)?).await?;
    assert_eq!(values(&then, &["Lisbon", "Berlin"]), ["Lisbon"]);
    let at_the_move = ctx.facts_by(as_of(BERLIN)?).await?;
    assert_eq!(values(&at_the_move, &["Lisbon", "Berlin"]), ["Berlin"], "valid_to is exclusive");
    assert!(ctx.facts_by(as_of("2024-02-01T00:00:00Z")?).await?.is_empty());
    Ok(())
}

async fn a_read_returns_the_current_value_alone(ctx: &Ctx) -> CaseResult {
    let (_, berlin) = move_to_berlin(ctx).await?;
    ctx.write_unrelated().await?;
    let found = ctx.read(ReadRequest::new("Where do I live?")).await?.memories;
    assert_eq!(some(found.first(), "an answer")?.id, berlin);
    for query in ["Where do I live?", "I live in Lisbon.", ""] {
        let texts = ctx.recall(open(query)).await?;
        assert!(!texts.iter().any(|text| text.contains("Lisbon")), "{query:?}: {texts:?}");
    }
    Ok(())
}

async fn a_read_as_of_then_returns_the_old_value(ctx: &Ctx) -> CaseResult {
    let (lisbon, _) = move_to_berlin(ctx).await?;
    ctx.write_unrelated().await?;
    let found = ctx.read(ReadRequest::new("Where do I live?").with_as_of(at(BETWEEN)?)).await?.memories;
    assert_eq!(some(found.first(), "an answer")?.id, lisbon);
    assert!(!found.iter().any(|item| item.text.contains("Berlin")));
    Ok(())
}

async fn a_record_that_says_nothing_else_is_closed_with_its_statement(ctx: &Ctx) -> CaseResult {
    let (lisbon, berlin) = move_to_berlin(ctx).await?;
    let (old, new) = (ctx.get(lisbon).await?, ctx.get(berlin).await?);
    assert_eq!((old.text.as_str(), old.valid_to), ("I live in Lisbon.", Some(at(BERLIN)?)));
    assert_eq!((old.superseded_by_id, new.supersedes_id), (Some(berlin), Some(lisbon)));
    assert_eq!((new.valid_to, new.superseded_by_id), (None, None));
    Ok(())
}

async fn an_episode_that_says_more_stays_as_it_is(ctx: &Ctx) -> CaseResult {
    let text = "I live in Lisbon, and on Sunday we went surfing with Tom.";
    let episode = ctx.write(said(text, LISBON)?).await?;
    let before = ctx.get(episode).await?;
    ctx.write(said("I live in Berlin now.", BERLIN)?).await?;
    let after = ctx.get(episode).await?;
    assert_eq!((after.status, after.valid_to, after.superseded_by_id), (MemoryStatus::Active, None, None));
    assert_eq!((after.text, after.version), (before.text, before.version));
    assert_eq!(ctx.recall("When did we go surfing with Tom?").await?[0], text);
    Ok(())
}

async fn an_older_statement_that_arrives_late_enters_as_history(ctx: &Ctx) -> CaseResult {
    let berlin = ctx.write(said("I live in Berlin.", BERLIN)?).await?;
    let lisbon = ctx.write(said("I live in Lisbon.", LISBON)?).await?;
    let facts = ctx.all_facts().await?;
    let (old, new) = (fact(&facts, "Lisbon")?, fact(&facts, "Berlin")?);
    assert_eq!(
        (old.status, old.valid_from, old.valid_to),
        (FactStatus::Superseded, at(LISBON)?, Some(at(BERLIN)?))
    );
    assert_eq!((new.status, new.valid_to), (FactStatus::Current, None));
    assert_eq!(ids(&ctx.read(open("Where do I live?")).await?.memories), [berlin]);
    let then = open("Where do I live?").with_as_of(at(BETWEEN)?);
    assert_eq!(ids(&ctx.read(then).await?.memories), [lisbon]);
    Ok(())
}

async fn a_statement_that_arrives_between_two_closes_the_first_of_them(ctx: &Ctx) -> CaseResult {
    move_to_berlin(ctx).await?;
    ctx.write(said("I live in Oslo.", BETWEEN)?).await?;
    assert_eq!(values(&ctx.facts().await?, &["Lisbon", "Berlin", "Oslo"]), ["Berlin"]);
    for (when, town) in [
        ("2024-03-02T10:00:00Z", "Lisbon"),
        ("2024-03-07T10:00:00Z", "Oslo"),
        ("2024-03-11T10:00:00Z", "Berlin"),
    ] {
        let then = ctx.facts_by(ListFacts::new().with_as_of(at(when)?)).await?;
        assert_eq!(values(&then, &["Lisbon", "Berlin", "Oslo"]), [town], "{when}");
    }
    Ok(())
}

async fn a_sisters_residence_leaves_the_users_alone(ctx: &Ctx) -> CaseResult {
    let lisbon = ctx.write(said("I live in Lisbon.", LISBON)?).await?;
    ctx.write(said("My sister lives in Rome.", BETWEEN)?).await?;
    ctx.write(said("My brother moved to Oslo.", BERLIN)?).await?;
    let facts = ctx.facts().await?;
    let residence = fact(&facts, "Lisbon")?;
    assert_eq!((residence.status, residence.valid_to), (FactStatus::Current, None));
    assert_eq!(current(&facts, residence), ["Lisbon"]);
    assert_eq!(ids(&ctx.read(ReadRequest::new("Where do I live?")).await?.memories)[0], lisbon);
    Ok(())
}

async fn every_single_valued_slot_has_one_current_value(ctx: &Ctx) -> CaseResult {
    for (old, new, from, to) in [
        ("My name is Alice.", "My name is Nora.", "Alice", "Nora"),
        ("I work at Acme.", "I work at Globex now.", "Acme", "Globex"),
        ("I am vegetarian.", "I am vegan now.", "vegetarian", "vegan"),
        ("My favourite colour is green.", "My favourite colour is purple.", "green", "purple"),
    ] {
        ctx.write(said(old, LISBON)?).await?;
        ctx.write(said(new, BERLIN)?).await?;
        let facts = ctx.facts().await?;
        assert_eq!(values(&facts, &[from, to]), [to], "{new:?}");
        assert_eq!(current(&facts, fact(&facts, to)?), [to]);
        assert_eq!(fact(&ctx.all_facts().await?, from)?.status, FactStatus::Superseded);
    }
    Ok(())
}

async fn favourites_of_different_kinds_do_not_replace_each_other(ctx: &Ctx) -> CaseResult {
    ctx.write(said("My favourite colour is green.", LISBON)?).await?;
    ctx.write(said("My favourite dish is ramen.", BERLIN)?).await?;
    assert_eq!(values(&ctx.facts().await?, &["green", "ramen"]), ["green", "ramen"]);
    Ok(())
}

async fn users_and_namespaces_have_slots_of_their_own(ctx: &Ctx) -> CaseResult {
    let places = [ctx.user("ana")?, ctx.user("ben")?, ctx.namespace("work")?];
    for (place, (town, when)) in
        places.iter().zip([("Lisbon", LISBON), ("Berlin", BETWEEN), ("Oslo", BERLIN)])
    {
        place.write(said(&format!("I live in {town}."), when)?).await?;
    }
    assert_eq!(values(&ctx.facts().await?, &["Lisbon", "Berlin", "Oslo"]), ["Berlin", "Lisbon", "Oslo"]);
    Ok(())
}

async fn a_slot_is_common_to_all_sessions(ctx: &Ctx) -> CaseResult {
    ctx.session("s1")?.write(said("I live in Lisbon.", LISBON)?).await?;
    ctx.session("s2")?.write(said("I live in Berlin now.", BERLIN)?).await?;
    assert_eq!(values(&ctx.facts().await?, &["Lisbon", "Berlin"]), ["Berlin"]);
    Ok(())
}

async fn one_residence_is_current_under_any_interleaving(ctx: &Ctx) -> CaseResult {
    const TOWNS: [&str; 12] = [
        "Lisbon", "Berlin", "Oslo", "Rome", "Madrid", "Vienna", "Prague", "Dublin", "Athens", "Warsaw",
        "Zurich", "Lyon",
    ];
    let day = |town: usize| format!("2024-03-{:02}T10:00:00Z", town + 1);
    for _ in 0..4 {
        let tenant = ctx.stranger()?;
        let results = tenant
            .parallel(TOWNS.len(), |tenant, task| async move {
                // Neighbours in time are told far apart.
                let town = task * 5 % TOWNS.len();
                tenant.write(said(&format!("I live in {}.", TOWNS[town]), &day(town))?).await
            })
            .await?;
        results.into_iter().collect::<CaseResult<Vec<_>>>()?;
        assert_eq!(values(&tenant.facts().await?, &TOWNS), ["Lyon"]);
        for (number, town) in TOWNS.iter().enumerate() {
            let then = tenant.facts_by(ListFacts::new().with_as_of(at(&day(number))?)).await?;
            assert_eq!(values(&then, &TOWNS), [*town]);
        }
    }
    Ok(())
}

pub(crate) const CASES: &[Case] = cases![
    one_residence_is_current_after_a_move: Facts,
    the_old_value_is_closed_and_both_are_linked: Facts,
    each_successor_has_the_next_version: Facts,
    a_superseded_fact_stays_readable_by_time: Facts,
    a_read_returns_the_current_value_alone,
    a_read_as_of_then_returns_the_old_value: AsOf,
    a_record_that_says_nothing_else_is_closed_with_its_statement: List,
    an_episode_that_says_more_stays_as_it_is: List,
    an_older_statement_that_arrives_late_enters_as_history: Facts AsOf,
    a_statement_that_arrives_between_two_closes_the_first_of_them: Facts,
    a_sisters_residence_leaves_the_users_alone: Facts,
    every_single_valued_slot_has_one_current_value: Facts,
    favourites_of_different_kinds_do_not_replace_each_other: Facts,
    users_and_namespaces_have_slots_of_their_own: Facts Users Namespaces,
    a_slot_is_common_to_all_sessions: Facts,
    one_residence_is_current_under_any_interleaving: Facts,
];
