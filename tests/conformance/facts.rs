//! Statements extracted from texts.

use cml::{
    ErrorKind, FactId,
    memory::{Evidence, FactStatus, MemorySource, Role},
    ops::{ForgetRequest, GetRequest, ListFacts, WriteRequest},
};

use crate::{
    case::{Case, CaseResult, cases},
    ctx::Ctx,
    texts::{at, fact, failed, holds, invalid, values},
};

async fn a_statement_becomes_a_fact_with_its_evidence(ctx: &Ctx) -> CaseResult {
    let said = at("2024-03-06T10:00:00Z")?;
    let id = ctx.session("s1")?.write(WriteRequest::new("I live in Berlin.").with_timestamp(said)).await?;
    let facts = ctx.facts().await?;
    let residence = fact(&facts, "Berlin")?;
    assert_eq!((residence.subject.as_str(), residence.status), ("user", FactStatus::Current));
    assert_eq!((residence.source, residence.version), (MemorySource::UserExplicit, 1));
    assert_eq!((residence.valid_from, residence.valid_to), (said, None));
    assert_eq!((residence.supersedes_id, residence.superseded_by_id), (None, None));
    assert!(!residence.predicate.is_empty() && !residence.slot.is_empty());
    assert!(residence.evidence.contains(&Evidence::Memory(id)), "{:?}", residence.evidence);
    assert_eq!((residence.tenant_id.as_str(), residence.namespace.as_str()), (ctx.scope.tenant(), "default"));

    let detail = ctx.detail(GetRequest::new(id).with_facts(true)).await?;
    assert_eq!(fact(&detail.facts, "Berlin")?.id, residence.id);
    assert!(ctx.detail(id).await?.facts.is_empty(), "only on request");
    let one = ctx.backend.facts()?.get(&ctx.scope, residence.id).await?;
    assert_eq!(&one, residence);
    Ok(())
}

async fn the_first_slots_are_extracted(ctx: &Ctx) -> CaseResult {
    for (text, value) in [
        ("My name is Alice.", "Alice"),
        ("I live in Berlin.", "Berlin"),
        ("I work at Globex.", "Globex"),
        ("I am vegetarian.", "vegetarian"),
        ("I am allergic to shellfish.", "shellfish"),
        ("My favourite colour is green.", "green"),
    ] {
        ctx.write(text).await?;
        assert_eq!(fact(&ctx.facts().await?, value)?.subject, "user", "{text:?}");
    }
    Ok(())
}

async fn a_constraint_is_a_fact_with_the_situations_it_bears_on(ctx: &Ctx) -> CaseResult {
    ctx.write("I am allergic to shellfish.").await?;
    let facts = ctx.facts().await?;
    let allergy = fact(&facts, "shellfish")?;
    assert!(allergy.is_constraint() && !allergy.situations.is_empty(), "{allergy:?}");
    Ok(())
}

async fn a_call_is_no_name_and_the_weather_no_cuisine(ctx: &Ctx) -> CaseResult {
    ctx.write("Call me when you arrive.").await?;
    ctx.write("I like how the weather is.").await?;
    for fact in ctx.all_facts().await? {
        let key = format!("{} {}", fact.key(), fact.slot);
        assert!(!holds(&key, "name") && !holds(&key, "cuisine"), "{fact:?}");
    }
    Ok(())
}

/// Passes when the texts, said by `role`, assert nothing.
async fn asserts_nothing(ctx: &Ctx, role: Role, texts: &[&str]) -> CaseResult {
    for text in texts {
        ctx.try_write(WriteRequest::new(*text).with_role(role)).await?;
        let facts = ctx.all_facts().await?;
        assert!(facts.is_empty(), "{text:?} asserts {facts:?}");
    }
    Ok(())
}

async fn questions_assert_nothing(ctx: &Ctx) -> CaseResult {
    let texts = [
        "Do I live in Berlin?",
        "Is my name Alice?",
        "Am I allergic to shellfish?",
        "Should I work at Globex?",
    ];
    asserts_nothing(ctx, Role::User, &texts).await
}

async fn hypotheticals_assert_nothing(ctx: &Ctx) -> CaseResult {
    let texts = [
        "If I lived in Paris, I would walk to the Louvre every day.",
        "Suppose my name is Alice.",
        "I wish I lived in Rome.",
        "I might be allergic to shellfish.",
    ];
    asserts_nothing(ctx, Role::User, &texts).await
}

async fn negations_assert_nothing(ctx: &Ctx) -> CaseResult {
    let texts = [
        "I don't live in Berlin.",
        "My name is not Alice.",
        "I am not vegetarian.",
        "I never worked at Globex.",
    ];
    asserts_nothing(ctx, Role::User, &texts).await
}

async fn reported_speech_asserts_nothing(ctx: &Ctx) -> CaseResult {
    let texts = [
        "The clerk said: \"I live in Berlin.\"",
        "She told me that I live in Rome.",
        "In the film the hero says my name is Alice.",
    ];
    asserts_nothing(ctx, Role::User, &texts).await
}

async fn an_assistants_statements_about_itself_are_no_facts(ctx: &Ctx) -> CaseResult {
    let texts = [
        "I am a language model.",
        "My name is Helper.",
        "I live in the cloud.",
        "I am not allergic to anything, but I love shellfish.",
    ];
    asserts_nothing(ctx, Role::Assistant, &texts).await
}

async fn another_persons_statement_is_not_the_users(ctx: &Ctx) -> CaseResult {
    ctx.write("My sister lives in Rome.").await?;
    ctx.write("My boss is vegetarian.").await?;
    for fact in ctx.all_facts().await? {
        assert_ne!(fact.subject, "user", "{fact:?}");
    }
    Ok(())
}

async fn multi_valued_slots_append(ctx: &Ctx) -> CaseResult {
    for food in ["shellfish", "peanuts", "walnuts"] {
        ctx.write(format!("I am allergic to {food}.")).await?;
    }
    assert_eq!(
        values(&ctx.facts().await?, &["shellfish", "peanuts", "walnuts"]),
        ["peanuts", "shellfish", "walnuts"]
    );
    Ok(())
}

async fn a_statement_made_twice_is_one_fact_with_more_evidence(ctx: &Ctx) -> CaseResult {
    let first = ctx.session("s1")?.write("I live in Berlin.").await?;
    let second = ctx.session("s2")?.write("I live in Berlin.").await?;
    let facts = ctx.all_facts().await?;
    let evidence = &fact(&facts, "Berlin")?.evidence;
    assert!([first, second].iter().all(|id| evidence.contains(&Evidence::Memory(*id))), "{evidence:?}");
    Ok(())
}

async fn a_fact_goes_with_its_last_evidence(ctx: &Ctx) -> CaseResult {
    let first = ctx.session("s1")?.write("I live in Berlin.").await?;
    let second = ctx.session("s2")?.write("I live in Berlin.").await?;
    ctx.forget(ForgetRequest::ids([first])).await?;
    assert_eq!(values(&ctx.facts().await?, &["Berlin"]).len(), 1);
    ctx.forget(ForgetRequest::ids([second])).await?;
    assert!(ctx.all_facts().await?.is_empty());
    Ok(())
}

async fn facts_are_listed_by_what_is_asked(ctx: &Ctx) -> CaseResult {
    for (text, day) in
        [("My name is Alice.", 1), ("I live in Berlin.", 2), ("I am allergic to shellfish.", 3)]
    {
        let said = at(&format!("2024-03-0{day}T10:00:00Z"))?;
        ctx.write(WriteRequest::new(text).with_timestamp(said)).await?;
    }
    let all = ctx.facts().await?;
    assert!(all.windows(2).all(|pair| pair[0].valid_from >= pair[1].valid_from), "newest validity first");
    let residence = fact(&all, "Berlin")?;
    let by = |request: ListFacts| ctx.facts_by(request);
    for found in [
        by(ListFacts::new().with_slot(residence.slot.as_str())).await?,
        by(ListFacts::new().with_category(residence.category)).await?,
    ] {
        assert_eq!(found.iter().map(|fact| fact.id).collect::<Vec<_>>(), [residence.id]);
    }
    assert_eq!(by(ListFacts::new().with_subject("user")).await?.len(), all.len());
    assert!(by(ListFacts::new().with_subject("nobody")).await?.is_empty());

    let facts = ctx.backend.facts()?;
    let page = facts.list(&ctx.scope, ListFacts::new().with_limit(1usize).with_offset(1usize)).await?;
    assert_eq!((page.total, page.items[0].id), (all.len() as u64, all[1].id));
    for limit in [0usize, 1001] {
        invalid(facts.list(&ctx.scope, ListFacts::new().with_limit(limit)).await, "limit")?;
    }
    Ok(())
}

async fn a_retracted_fact_ends_without_a_successor(ctx: &Ctx) -> CaseResult {
    ctx.write(WriteRequest::new("I live in Berlin.").with_timestamp(at("2024-03-06T10:00:00Z")?)).await?;
    let facts = ctx.backend.facts()?;
    let id = fact(&ctx.facts().await?, "Berlin")?.id;
    let retracted = facts.retract(&ctx.scope, id).await?;
    assert_eq!(
        (retracted.id, retracted.status, retracted.superseded_by_id),
        (id, FactStatus::Retracted, None)
    );
    assert!(retracted.valid_to.is_some());
    assert!(ctx.facts().await?.is_empty());
    assert_eq!(facts.retract(&ctx.scope, id).await?.valid_to, retracted.valid_to, "again changes nothing");
    let then = ctx.facts_by(ListFacts::new().with_as_of(at("2024-03-07T10:00:00Z")?)).await?;
    assert_eq!(fact(&then, "Berlin")?.id, id);
    Ok(())
}

async fn an_unknown_or_foreign_fact_is_not_found(ctx: &Ctx) -> CaseResult {
    let stranger = ctx.stranger()?;
    stranger.write("I live in Berlin.").await?;
    let foreign = fact(&stranger.facts().await?, "Berlin")?.id;
    let facts = ctx.backend.facts()?;
    for id in [foreign, FactId::new()] {
        failed(facts.get(&ctx.scope, id).await, ErrorKind::NotFound)?;
        failed(facts.retract(&ctx.scope, id).await, ErrorKind::NotFound)?;
    }
    assert_eq!(fact(&stranger.facts().await?, "Berlin")?.status, FactStatus::Current);
    Ok(())
}

pub(crate) const CASES: &[Case] = cases![
    a_statement_becomes_a_fact_with_its_evidence: Facts List,
    the_first_slots_are_extracted: Facts,
    a_constraint_is_a_fact_with_the_situations_it_bears_on: Facts,
    a_call_is_no_name_and_the_weather_no_cuisine: Facts,
    questions_assert_nothing: Facts,
    hypotheticals_assert_nothing: Facts,
    negations_assert_nothing: Facts,
    reported_speech_asserts_nothing: Facts,
    an_assistants_statements_about_itself_are_no_facts: Facts,
    another_persons_statement_is_not_the_users: Facts,
    multi_valued_slots_append: Facts,
    a_statement_made_twice_is_one_fact_with_more_evidence: Facts,
    a_fact_goes_with_its_last_evidence: Facts,
    facts_are_listed_by_what_is_asked: Facts,
    a_retracted_fact_ends_without_a_successor: Facts,
    an_unknown_or_foreign_fact_is_not_found: Facts,
];
