//! Meaning, with the built-in model.

use cml::ops::ReadRequest;

use crate::{
    case::{Case, CaseResult, cases},
    ctx::Ctx,
    texts::{UNRELATED, ids, open},
};

/// Passes when a read with the default floor has `text` first among unrelated memories.
async fn answers(ctx: &Ctx, text: &str, query: &str) -> CaseResult {
    ctx.write_unrelated().await?;
    let id = ctx.write(text).await?;
    let found = ctx.read(ReadRequest::new(query)).await?;
    assert_eq!(ids(&found.memories).first(), Some(&id), "{query:?}: {found}");
    assert!(found.memories[0].relevance.get() >= found.retrieval_meta.min_relevance);
    Ok(())
}

async fn dark_mode_answers_theme_preferences(ctx: &Ctx) -> CaseResult {
    answers(ctx, "User prefers dark mode", "theme preferences").await
}

async fn vegetarian_answers_dietary_preferences(ctx: &Ctx) -> CaseResult {
    answers(ctx, "User is vegetarian", "dietary preferences").await
}

async fn allergic_to_nuts_answers_food_preferences(ctx: &Ctx) -> CaseResult {
    answers(ctx, "User is allergic to nuts", "food preferences").await
}

async fn uses_vs_code_answers_development_tools(ctx: &Ctx) -> CaseResult {
    answers(ctx, "User uses VS Code", "development tools").await
}

async fn a_paraphrase_is_found(ctx: &Ctx) -> CaseResult {
    ctx.write_unrelated().await?;
    let id = ctx.write("The car is parked on level three of the garage.").await?;
    let found = ctx.read(open("Where is my vehicle?")).await?.memories;
    assert_eq!(ids(&found).first(), Some(&id));
    Ok(())
}

async fn a_quotation_is_found_and_nearly_certain(ctx: &Ctx) -> CaseResult {
    let written = ctx.write_unrelated().await?;
    for (id, text) in written.iter().zip(UNRELATED) {
        let found = ctx.read(text).await?.memories;
        assert_eq!(ids(&found).first(), Some(id), "{text:?}");
        assert!(found[0].relevance.get() >= 0.8, "{text:?}: {}", found[0].relevance);
    }
    Ok(())
}

async fn other_forms_of_a_word_are_found(ctx: &Ctx) -> CaseResult {
    ctx.write_unrelated().await?;
    for (query, text) in [
        ("repairing a roof", "My brother repaired the roof of the shed."),
        ("delays of trains", "The train to the coast was delayed by an hour."),
        ("FOXES", "A fox crossed the garden this morning."),
    ] {
        assert_eq!(ctx.recall(query).await?.first().map(String::as_str), Some(text), "{query:?}");
    }
    Ok(())
}

pub(crate) const CASES: &[Case] = cases![
    dark_mode_answers_theme_preferences,
    vegetarian_answers_dietary_preferences,
    allergic_to_nuts_answers_food_preferences,
    uses_vs_code_answers_development_tools,
    a_paraphrase_is_found,
    a_quotation_is_found_and_nearly_certain,
    other_forms_of_a_word_are_found,
];
