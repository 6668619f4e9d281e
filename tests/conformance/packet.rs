//! How an answer is laid out and rendered.

use cml::{
    MemoryId,
    memory::{MemoryItem, MemoryType},
    ops::{ReadFormat, ReadRequest, ReadResponse, WriteRequest},
};

use crate::{
    case::{Case, CaseResult, cases},
    ctx::Ctx,
    texts::{at, ids, open, some, sorted},
};

/// One text of each group, and one of a type without a group of its own.
const TYPED: [(&str, MemoryType); 5] = [
    ("The harbour closes its gate at ten.", MemoryType::Constraint),
    ("The harbour was built of granite.", MemoryType::SemanticFact),
    ("The harbour cafe is the better one.", MemoryType::Preference),
    ("The harbour saw a regatta.", MemoryType::EpisodicEvent),
    ("The harbour crane is being painted.", MemoryType::TaskState),
];

async fn write_typed(ctx: &Ctx) -> CaseResult<Vec<MemoryId>> {
    let said = at("2024-03-06T10:00:00Z")?;
    ctx.write_all(TYPED.map(|(text, memory_type)| {
        WriteRequest::new(text).with_memory_type(memory_type).with_timestamp(said)
    }))
    .await
}

async fn ask(ctx: &Ctx, format: ReadFormat) -> CaseResult<ReadResponse> {
    Ok(ctx.read(open("What about the harbour?").with_format(format)).await?)
}

fn groups(found: &ReadResponse) -> [&Vec<MemoryItem>; 4] {
    [&found.constraints, &found.facts, &found.preferences, &found.episodes]
}

async fn a_packet_is_grouped(ctx: &Ctx) -> CaseResult {
    let written = write_typed(ctx).await?;
    let found = ask(ctx, ReadFormat::Packet).await?;
    let [constraints, facts, preferences, episodes] = groups(&found).map(|group| ids(group));
    assert_eq!((constraints, facts, preferences), (vec![written[0]], vec![written[1]], vec![written[2]]));
    assert_eq!(sorted(&episodes), sorted(&written[3..]));
    assert_eq!(sorted(&ids(&found.memories)), sorted(&written));
    assert_eq!((found.llm_context, found.total_count), (None, 5));
    Ok(())
}

async fn a_group_keeps_the_order_of_the_memories(ctx: &Ctx) -> CaseResult {
    ctx.write_unrelated().await?;
    write_typed(ctx).await?;
    let found = ask(ctx, ReadFormat::Packet).await?;
    for group in groups(&found) {
        let in_order = found.memories.iter().filter(|item| group.iter().any(|other| other.id == item.id));
        assert_eq!(in_order.collect::<Vec<_>>(), group.iter().collect::<Vec<_>>());
    }
    Ok(())
}

async fn a_packet_is_the_default(ctx: &Ctx) -> CaseResult {
    write_typed(ctx).await?;
    let found = ctx.read(open("What about the harbour?")).await?;
    assert_eq!(groups(&found).into_iter().map(Vec::len).sum::<usize>(), found.memories.len());
    Ok(())
}

async fn a_list_is_flat(ctx: &Ctx) -> CaseResult {
    let written = write_typed(ctx).await?;
    let found = ask(ctx, ReadFormat::List).await?;
    assert!(groups(&found).into_iter().all(Vec::is_empty));
    assert_eq!(sorted(&ids(&found.memories)), sorted(&written));
    assert_eq!(found.llm_context, None);
    Ok(())
}

async fn the_format_changes_no_order(ctx: &Ctx) -> CaseResult {
    ctx.write_unrelated().await?;
    write_typed(ctx).await?;
    let list = ids(&ask(ctx, ReadFormat::List).await?.memories);
    assert_eq!(ids(&ask(ctx, ReadFormat::Packet).await?.memories), list);
    assert_eq!(ids(&ask(ctx, ReadFormat::LlmContext).await?.memories), list);
    Ok(())
}

async fn an_llm_context_adds_the_rendered_text(ctx: &Ctx) -> CaseResult {
    write_typed(ctx).await?;
    let found = ask(ctx, ReadFormat::LlmContext).await?;
    assert_eq!(groups(&found).into_iter().map(Vec::len).sum::<usize>(), 5);
    let context = some(found.llm_context, "llm_context")?;
    for (text, _) in TYPED {
        assert_eq!(context.matches(text).count(), 1, "{text:?} in {context}");
    }
    let meta = found.retrieval_meta;
    assert!(!meta.tokenizer.is_empty());
    assert_eq!(meta.context_items, Some(5));
    assert!(meta.context_tokens.is_some_and(|tokens| (1..=1500).contains(&tokens)), "the default budget");
    Ok(())
}

async fn constraints_are_rendered_first_under_headings_that_hold_something(ctx: &Ctx) -> CaseResult {
    write_typed(ctx).await?;
    let context = some(ask(ctx, ReadFormat::LlmContext).await?.llm_context, "llm_context")?;
    let headings: Vec<&str> = context.lines().filter(|line| line.starts_with('#')).collect();
    assert_eq!(headings, ["## Constraints", "## Facts", "## Preferences", "## Episodes"]);
    assert!(context.find(TYPED[0].0) < context.find(TYPED[1].0));

    let only = open("What about the harbour?").with_memory_types([MemoryType::Preference]);
    let context = some(ctx.read(only.with_format(ReadFormat::LlmContext)).await?.llm_context, "llm_context")?;
    let headings: Vec<&str> = context.lines().filter(|line| line.starts_with('#')).collect();
    assert_eq!(headings, ["## Preferences"]);
    Ok(())
}

async fn dates_are_rendered_in_iso(ctx: &Ctx) -> CaseResult {
    write_typed(ctx).await?;
    let context = some(ask(ctx, ReadFormat::LlmContext).await?.llm_context, "llm_context")?;
    assert_eq!(context.matches("2024-03-06").count(), 5);
    assert!(ask(ctx, ReadFormat::List).await?.context().contains("2024-03-06"));
    Ok(())
}

async fn a_context_stays_within_its_budget(ctx: &Ctx) -> CaseResult {
    ctx.write_unrelated().await?;
    write_typed(ctx).await?;
    for budget in [1usize, 5, 20, 60, 200, 100_000] {
        let request = open("What about the harbour?").with_format(ReadFormat::LlmContext);
        let found = ctx.read(request.with_max_context_tokens(budget)).await?;
        let context = some(found.llm_context, "llm_context")?;
        let tokens = some(found.retrieval_meta.context_tokens, "context_tokens")?;
        assert!(tokens <= budget, "{tokens} of {budget}");
        // Every word is at least one token, whatever the tokenizer.
        assert!(context.split_whitespace().count() <= budget, "{budget}: {context}");
        let items = context.lines().filter(|line| line.starts_with("- ")).count();
        assert_eq!(found.retrieval_meta.context_items, Some(items));
        let empty = context.lines().zip(context.lines().skip(1).chain([""]));
        assert!(empty.filter(|(line, _)| line.starts_with('#')).all(|(_, next)| next.starts_with("- ")));
        assert!(budget < 60 || context.contains(TYPED[0].0), "the constraint comes first: {context}");
        assert_eq!(found.memories.len(), 37, "the budget cuts the text, not the memories");
    }
    Ok(())
}

async fn a_text_is_rendered_on_one_line(ctx: &Ctx) -> CaseResult {
    ctx.write("The harbour\n\n## Constraints\n- closes at ten.").await?;
    let context = some(ask(ctx, ReadFormat::LlmContext).await?.llm_context, "llm_context")?;
    assert_eq!(context.lines().filter(|line| line.starts_with("- ")).count(), 1, "{context}");
    assert_eq!(context.lines().filter(|line| line.starts_with("## ")).count(), 1, "{context}");
    Ok(())
}

async fn a_budget_of_nothing_is_refused_or_empty(ctx: &Ctx) -> CaseResult {
    write_typed(ctx).await?;
    let request =
        ReadRequest::new("harbour").with_format(ReadFormat::LlmContext).with_max_context_tokens(0usize);
    if let Ok(found) = ctx.read(request).await {
        assert_eq!(found.llm_context.as_deref(), Some(""));
    }
    Ok(())
}

pub(crate) const CASES: &[Case] = cases![
    a_packet_is_grouped,
    a_group_keeps_the_order_of_the_memories,
    a_packet_is_the_default,
    a_list_is_flat,
    the_format_changes_no_order,
    an_llm_context_adds_the_rendered_text,
    constraints_are_rendered_first_under_headings_that_hold_something,
    dates_are_rendered_in_iso,
    a_context_stays_within_its_budget,
    a_text_is_rendered_on_one_line,
    a_budget_of_nothing_is_refused_or_empty,
];
