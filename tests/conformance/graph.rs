//! The knowledge graph: what is read off the texts, and that it goes with them.

use std::time::Duration;

use cml::{
    Graph, Result,
    ops::{ExploreGraph, ForgetRequest, MENTIONED_WITH, SearchEntities, Subgraph, WriteRequest},
    scope::Subject,
};

use crate::{
    case::{Case, CaseResult, cases},
    ctx::Ctx,
    texts::{at, fact, invalid},
};

/// Attempts to find a graph that follows up to date, and the pause between them: ten seconds in all.
const ATTEMPTS: usize = 200;
const PAUSE: Duration = Duration::from_millis(50);

/// The graph, once it holds what was written.
async fn graph(ctx: &Ctx) -> Result<&dyn Graph> {
    let graph = ctx.backend.graph()?;
    for _ in 0..ATTEMPTS {
        if graph.sync(Some(&ctx.scope)).await?.pending == 0 {
            break;
        }
        tokio::time::sleep(PAUSE).await;
    }
    Ok(graph)
}

async fn around(ctx: &Ctx, name: &str) -> Result<Subgraph> {
    graph(ctx).await?.explore(&ctx.scope, ExploreGraph::new(name)).await
}

fn names(graph: &Subgraph) -> Vec<&str> {
    let mut names: Vec<&str> = graph.nodes.iter().map(|node| node.entity.as_str()).collect();
    names.sort_unstable();
    names
}

/// Stored relations as `from predicate to`.
fn relations(graph: &Subgraph) -> Vec<String> {
    let name = |id| graph.nodes.iter().find(|node| node.id == id).map_or("", |node| node.entity.as_str());
    let stored = graph.edges.iter().filter(|edge| edge.predicate != MENTIONED_WITH);
    let mut found: Vec<String> = stored
        .map(|edge| format!("{} {} {}", name(edge.source), edge.predicate, name(edge.target)))
        .collect();
    found.sort_unstable();
    found
}

async fn names_of_one_text_are_neighbours(ctx: &Ctx) -> CaseResult {
    ctx.write("I met my friend Anna in Berlin.").await?;
    let found = around(ctx, "anna").await?;
    assert_eq!(names(&found), ["Anna", "Berlin"]);
    assert_eq!(found.nodes[0].entity, "Anna", "the middle comes first");
    assert_eq!(found.center, Some(found.nodes[0].id));
    assert_eq!(
        (found.nodes[0].entity_type.as_str(), found.nodes[1].entity_type.as_str()),
        ("person", "place")
    );
    assert_eq!(found.nodes[0].properties["mentions"], 1);
    assert_eq!((found.edges.len(), found.edges[0].predicate.as_str()), (1, MENTIONED_WITH));
    assert!(found.nodes.iter().all(|node| node.tenant_id == ctx.scope.tenant()));
    Ok(())
}

async fn a_statement_relates_its_subject_to_what_it_names(ctx: &Ctx) -> CaseResult {
    ctx.write("I live in Berlin.").await?;
    let found = around(ctx, "Berlin").await?;
    assert_eq!(relations(&found), ["user lives_in Berlin"]);
    let ana = ctx.user("ana")?;
    ana.write("I live in Lisbon.").await?;
    assert_eq!(relations(&around(&ana, "Lisbon").await?), ["ana lives_in Lisbon"]);
    Ok(())
}

async fn a_relation_ends_with_the_fact_that_states_it(ctx: &Ctx) -> CaseResult {
    let said = |text: &str, day: &str| {
        Ok::<_, libtest_mimic::Failed>(
            WriteRequest::new(text).with_timestamp(at(&format!("2024-03-{day}T10:00:00Z"))?),
        )
    };
    ctx.write(said("I live in Berlin.", "01")?).await?;
    ctx.write(said("I live in Lisbon.", "02")?).await?;
    assert_eq!(relations(&around(ctx, "user").await?), ["user lives_in Lisbon"]);
    let current = fact(&ctx.facts().await?, "Lisbon")?.id;
    ctx.backend.facts()?.retract(&ctx.scope, current).await?;
    assert_eq!(relations(&around(ctx, "user").await?), Vec::<String>::new());
    ctx.write(said("I live in Berlin.", "03")?).await?;
    assert_eq!(relations(&around(ctx, "user").await?), ["user lives_in Berlin"]);
    Ok(())
}

async fn a_relation_goes_with_the_last_memory_that_states_it(ctx: &Ctx) -> CaseResult {
    let first = ctx.session("s1")?.write("I live in Berlin.").await?;
    let second = ctx.session("s2")?.write("I live in Berlin.").await?;
    ctx.session("s3")?.write("My friend Anna went to Berlin.").await?;
    ctx.session("s3")?.write("I work at Globex.").await?;
    ctx.forget(ForgetRequest::ids([first])).await?;
    assert_eq!(
        relations(&around(ctx, "Berlin").await?),
        ["user friend Anna", "user lives_in Berlin", "user works_at Globex"]
    );
    ctx.forget(ForgetRequest::ids([second])).await?;
    assert_eq!(relations(&around(ctx, "user").await?), ["user friend Anna", "user works_at Globex"]);
    assert!(names(&around(ctx, "Berlin").await?).contains(&"Anna"), "both are still mentioned");
    Ok(())
}

async fn forgetting_and_erasing_take_the_entities_along(ctx: &Ctx) -> CaseResult {
    let id = ctx.write("I met my friend Anna in Berlin.").await?;
    ctx.session("s1")?.write("We flew to New York with Tom.").await?;
    ctx.forget(ForgetRequest::ids([id])).await?;
    let stats = graph(ctx).await?.stats(Some(&ctx.scope)).await?;
    assert_eq!(stats.nodes, 2, "{stats:?}");
    ctx.erase(Subject::Session("s1".to_owned())).await?;
    let graph = graph(ctx).await?;
    assert_eq!(graph.stats(Some(&ctx.scope)).await?, Default::default());
    assert!(graph.overview(&ctx.scope, 10).await?.nodes.is_empty());

    ctx.write("I met my friend Anna in Berlin.").await?;
    ctx.erase(Subject::Tenant).await?;
    let graph = self::graph(ctx).await?;
    assert_eq!(graph.stats(Some(&ctx.scope)).await?.nodes, 0);
    Ok(())
}

async fn entities_are_found_by_a_part_of_their_name(ctx: &Ctx) -> CaseResult {
    ctx.write("I met my friend Anna in Berlin.").await?;
    ctx.write("I met my friend Annabel in Berlin.").await?;
    ctx.write("My friend Anna said hello.").await?;
    let graph = graph(ctx).await?;
    let found = graph.search(Some(&ctx.scope), SearchEntities::new("ANN")).await?;
    let found: Vec<&str> = found.iter().map(|node| node.entity.as_str()).collect();
    assert_eq!(found, ["Anna", "Annabel"], "the best connected first");
    assert_eq!(graph.search(Some(&ctx.scope), SearchEntities::new("ann").with_limit(1)).await?.len(), 1);
    assert!(graph.search(Some(&ctx.scope), SearchEntities::new("nobody")).await?.is_empty());
    Ok(())
}

async fn the_overview_counts_and_shows_what_is_best_connected(ctx: &Ctx) -> CaseResult {
    ctx.write("I met my friend Anna in Berlin.").await?;
    ctx.write("My friend Anna went to Lisbon.").await?;
    let graph = graph(ctx).await?;
    let stats = graph.stats(Some(&ctx.scope)).await?;
    assert_eq!((stats.nodes, stats.entity_types.values().sum::<u64>()), (4, 4));
    assert_eq!(stats.tenants, [ctx.scope.tenant()]);
    let overview = graph.overview(&ctx.scope, 1).await?;
    assert_eq!(names(&overview), ["Anna"]);
    assert_eq!(names(&graph.overview(&ctx.scope, 10).await?), ["Anna", "Berlin", "Lisbon", "user"]);
    Ok(())
}

async fn no_tenant_sees_the_graph_of_another(ctx: &Ctx) -> CaseResult {
    let stranger = ctx.stranger()?;
    ctx.write("I met my friend Anna in Berlin.").await?;
    stranger.write("My friend Anna works at Globex.").await?;
    assert_eq!(names(&around(ctx, "Anna").await?), ["Anna", "Berlin"]);
    let other = around(&stranger, "Anna").await?;
    assert!(!names(&other).contains(&"Berlin"), "{other:?}");
    assert!(
        graph(&stranger)
            .await?
            .search(Some(&stranger.scope), SearchEntities::new("Berlin"))
            .await?
            .is_empty()
    );
    Ok(())
}

async fn a_user_sees_their_own_and_what_is_nobodys(ctx: &Ctx) -> CaseResult {
    let (ana, bob) = (ctx.user("ana")?, ctx.user("bob")?);
    ctx.write("I met my friend Carla in Oslo.").await?;
    ana.write("I met my friend Dora in Rome.").await?;
    bob.write("I met my friend Emil in Paris.").await?;
    assert_eq!(names(&graph(&ana).await?.overview(&ana.scope, 10).await?), ["Carla", "Dora", "Oslo", "Rome"]);
    assert_eq!(graph(ctx).await?.overview(&ctx.scope, 10).await?.nodes.len(), 6);
    let elsewhere = ctx.namespace("elsewhere")?;
    assert!(graph(&elsewhere).await?.overview(&elsewhere.scope, 10).await?.nodes.is_empty());
    Ok(())
}

async fn bad_questions_to_the_graph_name_their_field(ctx: &Ctx) -> CaseResult {
    let graph = ctx.backend.graph()?;
    invalid(graph.explore(&ctx.scope, ExploreGraph::new(" ")).await, "entity")?;
    invalid(graph.explore(&ctx.scope, ExploreGraph::new("a").with_depth(6)).await, "depth")?;
    invalid(graph.explore(&ctx.scope, ExploreGraph::new("a").with_fan_out(0)).await, "fan_out")?;
    invalid(graph.explore(&ctx.scope, ExploreGraph::new("a").with_limit(1001)).await, "limit")?;
    invalid(graph.search(Some(&ctx.scope), SearchEntities::new("")).await, "query")?;
    invalid(graph.overview(&ctx.scope, 0).await, "limit")?;
    assert!(around(ctx, "Nobody").await?.nodes.is_empty());
    Ok(())
}

async fn a_graph_that_was_brought_up_to_date_needs_no_repair(ctx: &Ctx) -> CaseResult {
    ctx.write("I met my friend Anna in Berlin.").await?;
    let graph = graph(ctx).await?;
    let sync = graph.sync(Some(&ctx.scope)).await?;
    assert_eq!((sync.pending, sync.dead, sync.oldest_pending_at), (0, 0, None));
    let repair = graph.repair(&ctx.scope).await?;
    assert_eq!((repair.orphans, repair.missing, repair.different), (0, 0, 0));
    assert_eq!(graph.replay(&ctx.scope).await?, 0);
    graph.rebuild(&ctx.scope).await?;
    assert_eq!(names(&around(ctx, "Anna").await?), ["Anna", "Berlin"]);
    Ok(())
}

pub(crate) const CASES: &[Case] = cases![
    names_of_one_text_are_neighbours: Graph,
    a_statement_relates_its_subject_to_what_it_names: Graph Users,
    a_relation_ends_with_the_fact_that_states_it: Graph Facts,
    a_relation_goes_with_the_last_memory_that_states_it: Graph Sessions,
    forgetting_and_erasing_take_the_entities_along: Graph Erase Sessions,
    entities_are_found_by_a_part_of_their_name: Graph,
    the_overview_counts_and_shows_what_is_best_connected: Graph,
    no_tenant_sees_the_graph_of_another: Graph,
    a_user_sees_their_own_and_what_is_nobodys: Graph Users Namespaces,
    bad_questions_to_the_graph_name_their_field: Graph,
    a_graph_that_was_brought_up_to_date_needs_no_repair: Graph,
];
