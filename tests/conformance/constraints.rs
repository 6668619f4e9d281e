//! Constraints come back where they apply, whatever the words.

use cml::{
    memory::Role,
    ops::{Feedback, ReadRequest, UpdateRequest, WriteRequest},
};

use crate::{
    case::{Case, CaseResult, cases},
    ctx::Ctx,
    texts::{ids, open, texts},
};

/// Passes when each of the requests brings the statement back, among unrelated memories.
async fn applies(ctx: &Ctx, statement: &str, requests: &[&str]) -> CaseResult {
    ctx.write_unrelated().await?;
    let id = ctx.write(statement).await?;
    for request in requests {
        let found = ctx.read(ReadRequest::new(*request)).await?;
        assert!(ids(&found.memories).contains(&id), "{request:?}: {:?}", texts(&found.memories));
    }
    Ok(())
}

async fn an_allergy_applies_to_a_restaurant(ctx: &Ctx) -> CaseResult {
    let requests = [
        "Can you recommend a restaurant for tonight?",
        "recommend a restaurant",
        "What should I cook for dinner?",
    ];
    applies(ctx, "I am allergic to shellfish.", &requests).await
}

async fn an_allergy_inside_an_episode_applies(ctx: &Ctx) -> CaseResult {
    let episode = "We had a long walk with Tom, and by the way, I am allergic to shellfish.";
    applies(ctx, episode, &["Can you recommend a restaurant for tonight?"]).await
}

async fn a_diet_applies_to_a_recipe(ctx: &Ctx) -> CaseResult {
    applies(ctx, "I am vegan.", &["Suggest a recipe for dinner.", "Book a table somewhere nice."]).await
}

async fn a_rule_applies_to_a_meeting(ctx: &Ctx) -> CaseResult {
    let requests = ["Find a slot for a call with the design team.", "Schedule an appointment for Thursday."];
    applies(ctx, "Never book anything before 10 am on weekdays.", &requests).await
}

async fn an_episode_that_holds_a_constraint_stands_among_the_constraints(ctx: &Ctx) -> CaseResult {
    for text in
        ["I am allergic to shellfish.", "We had a long walk, and by the way, I am allergic to peanuts."]
    {
        let id = ctx.write(text).await?;
        let found = ctx.read(open("Can you recommend a restaurant?")).await?;
        assert!(ids(&found.constraints).contains(&id), "{text:?}");
    }
    Ok(())
}

async fn a_constraint_that_does_not_apply_stays_away(ctx: &Ctx) -> CaseResult {
    ctx.write_unrelated().await?;
    let id = ctx.write("I am allergic to shellfish.").await?;
    for request in ["Which programming language suits a parser?", "Which bridge was closed?"] {
        assert!(!ids(&ctx.read(request).await?.memories).contains(&id), "{request:?}");
    }
    Ok(())
}

async fn a_constraint_is_no_longer_applied_when_it_ended(ctx: &Ctx) -> CaseResult {
    let id = ctx.write("I am allergic to shellfish.").await?;
    ctx.update(UpdateRequest::new(id).with_feedback(Feedback::Outdated)).await?;
    assert!(ctx.recall(open("Can you recommend a restaurant?")).await?.is_empty());
    Ok(())
}

async fn another_users_constraint_does_not_apply(ctx: &Ctx) -> CaseResult {
    ctx.user("ben")?.write("I am allergic to shellfish.").await?;
    assert!(ctx.user("ana")?.recall(open("Can you recommend a restaurant?")).await?.is_empty());
    Ok(())
}

async fn one_statement_is_returned_once(ctx: &Ctx) -> CaseResult {
    ctx.write_unrelated().await?;
    let id = ctx.write("I am allergic to shellfish.").await?;
    ctx.write(WriteRequest::new("I will keep that in mind for the menu.").with_role(Role::Assistant)).await?;
    for query in ["Am I allergic to shellfish?", "Can you recommend a restaurant?", "shellfish"] {
        let found = ctx.read(open(query)).await?.memories;
        let of_statement: Vec<_> =
            found.iter().filter(|item| item.text.contains("shellfish")).map(|item| item.id).collect();
        assert_eq!(of_statement, [id], "{query:?}: record, fact and constraint are one item");
        let mut unique = ids(&found);
        unique.sort();
        unique.dedup();
        assert_eq!(unique.len(), found.len());
    }
    Ok(())
}

pub(crate) const CASES: &[Case] = cases![
    an_allergy_applies_to_a_restaurant,
    an_allergy_inside_an_episode_applies,
    a_diet_applies_to_a_recipe,
    a_rule_applies_to_a_meeting,
    an_episode_that_holds_a_constraint_stands_among_the_constraints,
    a_constraint_that_does_not_apply_stays_away,
    a_constraint_is_no_longer_applied_when_it_ended,
    another_users_constraint_does_not_apply: Users,
    one_statement_is_returned_once,
];
