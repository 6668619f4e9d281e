//! What is asked of every graph.

use cml_core::ops::{ExploreGraph, MENTIONED_WITH, SearchEntities};

use super::fixtures::{Sketch, Subject, TestResult, around, hops, names, near, scope};

/// Hands the names of all cases to the macro `$tests`.
macro_rules! questions {
    ($tests:ident) => {
        $tests! {
            neighbours_are_those_of_edges_in_either_direction_and_of_memories,
            an_edge_to_an_entity_that_is_not_there_leads_nowhere,
            the_surest_and_most_often_mentioned_neighbours_are_followed,
            memories_come_nearest_first_then_newest,
            a_walk_ends_at_its_last_hop_and_at_its_limit,
            names_are_found_in_any_case,
            a_scope_sees_its_namespace_its_user_and_nobody_in_particular,
            tenants_are_apart,
            a_part_of_a_name_finds_the_best_connected_first,
            the_overview_shows_the_best_connected_with_what_relates_them,
            exploring_shows_the_middle_first_and_what_is_within_its_depth,
            entities_of_one_name_are_all_in_the_middle,
            what_is_unknown_is_empty,
            entities_and_edges_are_counted,
            a_ping_says_something,
        }
    };
}

pub(crate) use questions;

pub(crate) async fn neighbours_are_those_of_edges_in_either_direction_and_of_memories(
    subject: &dyn Subject,
) -> TestResult {
    let mut sketch = Sketch::new(subject.tenant());
    let [ana, bo, cy, di, far] = sketch.entities(["Ana", "Bo", "Cy", "Di", "Far"]);
    sketch.edge(ana, "knows", bo, 0.9);
    sketch.edge(cy, "knows", ana, 0.8);
    sketch.edge(ana, "knows", ana, 1.0);
    sketch.record(&[ana, di]);
    sketch.record(&[far]);
    subject.put(subject.tenant(), &sketch.rows).await?;

    let found =
        around(subject.graph(), &scope(subject.tenant())?, ExploreGraph::new("Ana").with_depth(1)).await?;
    assert_eq!(found, ["Ana", "Bo", "Cy", "Di"]);
    Ok(())
}

pub(crate) async fn an_edge_to_an_entity_that_is_not_there_leads_nowhere(
    subject: &dyn Subject,
) -> TestResult {
    let mut sketch = Sketch::new(subject.tenant());
    let [ana, bo] = sketch.entities(["Ana", "Bo"]);
    sketch.edge(ana, "knows", bo, 0.9);
    sketch.rows.entities.remove(&bo);
    subject.put(subject.tenant(), &sketch.rows).await?;

    let scope = scope(subject.tenant())?;
    let found = subject.graph().explore(&scope, &ExploreGraph::new("ana")).await?;
    assert_eq!(names(&found), ["Ana"]);
    assert!(found.edges.is_empty());
    let stats = subject.graph().stats(Some(&scope)).await?;
    assert_eq!((stats.nodes, stats.edges), (1, 0));
    Ok(())
}

pub(crate) async fn the_surest_and_most_often_mentioned_neighbours_are_followed(
    subject: &dyn Subject,
) -> TestResult {
    let mut sketch = Sketch::new(subject.tenant());
    let [ana, once, weak, sure, often, twice] =
        sketch.entities(["Ana", "Once", "Weak", "Sure", "Often", "Twice"]);
    sketch.edge(ana, "knows", sure, 0.9);
    sketch.edge(weak, "knows", ana, 0.3);
    for (entity, memories) in [(once, 1), (twice, 2), (often, 5)] {
        for _ in 0..memories {
            sketch.record(&[ana, entity]);
        }
    }
    subject.put(subject.tenant(), &sketch.rows).await?;

    // An edge of 0.9, then 5/6, 2/3 and 1/2 by memories, then an edge of 0.3.
    let order = ["Sure", "Often", "Twice", "Once", "Weak"];
    let scope = scope(subject.tenant())?;
    for fan_out in 1..=order.len() {
        let request = ExploreGraph::new("Ana").with_depth(1).with_fan_out(fan_out);
        let mut found = around(subject.graph(), &scope, request).await?;
        found.sort_by_key(|name| order.iter().position(|known| known == name));
        let mut expected: Vec<&str> = order[..fan_out].to_vec();
        expected.push("Ana");
        found.rotate_left(1);
        assert_eq!(found, expected);
    }
    Ok(())
}

pub(crate) async fn memories_come_nearest_first_then_newest(subject: &dyn Subject) -> TestResult {
    let mut sketch = Sketch::new(subject.tenant());
    let [ana, bo, cy, di] = sketch.entities(["Ana", "Bo", "Cy", "Di"]);
    sketch.edge(ana, "knows", bo, 0.9);
    sketch.edge(bo, "knows", cy, 0.9);
    sketch.edge(cy, "knows", di, 0.9);
    let first = sketch.record(&[ana]);
    let of_cy = sketch.record(&[cy]);
    let of_bo = sketch.record(&[bo]);
    let last = sketch.record(&[ana, bo]);
    sketch.record(&[di]);
    subject.put(subject.tenant(), &sketch.rows).await?;

    let scope = scope(subject.tenant())?;
    let found = subject.graph().near(&scope, &near(&["Ana"], 0)).await?;
    assert_eq!(hops(&found), [(last, 0), (first, 0)]);
    let found = subject.graph().near(&scope, &near(&["Ana"], 2)).await?;
    assert_eq!(hops(&found), [(last, 0), (first, 0), (of_bo, 1), (of_cy, 2)]);
    let mut request = near(&["Ana"], 2);
    request.limit = 3;
    let found = subject.graph().near(&scope, &request).await?;
    assert_eq!(hops(&found), [(last, 0), (first, 0), (of_bo, 1)]);
    let found = subject.graph().near(&scope, &near(&["Ana", "Cy", "Ana"], 0)).await?;
    assert_eq!(hops(&found), [(last, 0), (of_cy, 0), (first, 0)]);
    Ok(())
}

pub(crate) async fn a_walk_ends_at_its_last_hop_and_at_its_limit(subject: &dyn Subject) -> TestResult {
    let mut sketch = Sketch::new(subject.tenant());
    let line = sketch.entities(["A", "B", "C", "D", "E", "F", "G"]);
    for pair in line.windows(2) {
        sketch.edge(pair[0], "next", pair[1], 0.9);
    }
    subject.put(subject.tenant(), &sketch.rows).await?;

    let scope = scope(subject.tenant())?;
    for depth in 1..=5_u8 {
        let found = around(subject.graph(), &scope, ExploreGraph::new("A").with_depth(depth)).await?;
        assert_eq!(found, ["A", "B", "C", "D", "E", "F"][..=usize::from(depth)]);
    }
    let request = ExploreGraph::new("A").with_depth(5).with_limit(3);
    assert_eq!(around(subject.graph(), &scope, request).await?, ["A", "B", "C"]);
    Ok(())
}

pub(crate) async fn names_are_found_in_any_case(subject: &dyn Subject) -> TestResult {
    let mut sketch = Sketch::new(subject.tenant());
    let [asa, _] = sketch.entities(["Åsa Lind", "Åsa"]);
    let memory = sketch.record(&[asa]);
    subject.put(subject.tenant(), &sketch.rows).await?;

    let scope = scope(subject.tenant())?;
    for name in ["Åsa Lind", "åsa lind", "ÅSA LIND", " Åsa Lind "] {
        assert_eq!(hops(&subject.graph().near(&scope, &near(&[name], 0)).await?), [(memory, 0)], "{name}");
        let found = subject.graph().explore(&scope, &ExploreGraph::new(name)).await?;
        assert_eq!(found.center, Some(asa), "{name}");
        let found = subject.graph().search(Some(&scope), &SearchEntities::new(name)).await?;
        assert_eq!(found.len(), 1, "{name}");
    }
    Ok(())
}

pub(crate) async fn a_scope_sees_its_namespace_its_user_and_nobody_in_particular(
    subject: &dyn Subject,
) -> TestResult {
    let mut sketch = Sketch::new(subject.tenant());
    let shared = sketch.entity("Shared");
    let of_nobody = sketch.record(&[shared]);
    sketch.of("default", "ana");
    let [own, friend] = sketch.entities(["Own", "Friend"]);
    let of_ana = sketch.record(&[own, friend]);
    sketch.of("default", "bob");
    let foreign = sketch.entity("Own");
    let of_bob = sketch.record(&[foreign]);
    sketch.of("work", "ana");
    let office = sketch.entity("Own");
    let at_work = sketch.record(&[office]);
    for other in [own, foreign, office] {
        sketch.edge(shared, "knows", other, 0.9);
    }
    subject.put(subject.tenant(), &sketch.rows).await?;

    let tenant = scope(subject.tenant())?;
    let ana = tenant.clone().with_user("ana")?;
    let cases = [
        (tenant.clone(), vec![at_work, of_bob, of_ana, of_nobody], 5),
        (ana.clone(), vec![at_work, of_ana, of_nobody], 4),
        (ana.clone().with_namespace("default")?, vec![of_ana, of_nobody], 3),
        (tenant.clone().with_namespace("default")?, vec![of_bob, of_ana, of_nobody], 4),
        (ana.clone().with_namespace("default")?.with_session("talk")?, vec![of_ana, of_nobody], 3),
        (ana.with_namespace("work")?, vec![at_work], 1),
        (tenant.with_user("cyd")?, vec![of_nobody], 1),
    ];
    for (scope, memories, nodes) in cases {
        let graph = subject.graph();
        let mut found = graph.near(&scope, &near(&["shared", "own"], 2)).await?;
        found.sort_unstable_by_key(|memory| std::cmp::Reverse(memory.id));
        assert_eq!(found.iter().map(|memory| memory.id).collect::<Vec<_>>(), memories, "{scope}");
        assert_eq!(graph.stats(Some(&scope)).await?.nodes, nodes, "{scope}");
        assert_eq!(graph.overview(&scope, 100).await?.nodes.len() as u64, nodes, "{scope}");
        let found = graph.search(Some(&scope), &SearchEntities::new("n")).await?;
        assert!(found.iter().all(|node| scope.without_session().sees(&node.namespace, "", "")), "{scope}");
        let around = graph.explore(&scope, &ExploreGraph::new("Shared")).await?;
        let expected = if scope.namespace() == "work" { 0 } else { nodes };
        assert_eq!(around.nodes.len() as u64, expected, "{scope}");
    }
    Ok(())
}

pub(crate) async fn tenants_are_apart(subject: &dyn Subject) -> TestResult {
    // The same ids in both, as after a move.
    let other = format!("{} 2", subject.tenant());
    let (mut mine, mut yours) = (Sketch::new(subject.tenant()), Sketch::new(&other));
    let [ana, bo] = mine.entities(["Ana", "Bo"]);
    mine.edge(ana, "knows", bo, 0.9);
    let memory = mine.record(&[ana]);
    let [ana, _, cy] = yours.entities(["Ana", "Bo", "Cy"]);
    yours.edge(ana, "knows", cy, 0.9);
    yours.record(&[cy]);
    let also = yours.record(&[ana]);
    subject.put(subject.tenant(), &mine.rows).await?;
    subject.put(&other, &yours.rows).await?;

    let graph = subject.graph();
    for (tenant, around, memories) in [
        (subject.tenant(), vec!["Ana", "Bo"], vec![(memory, 0)]),
        (&*other, vec!["Ana", "Cy"], vec![(also, 0)]),
    ] {
        let scope = scope(tenant)?;
        assert_eq!(names(&graph.explore(&scope, &ExploreGraph::new("Ana")).await?), around);
        assert_eq!(hops(&graph.near(&scope, &near(&["Ana"], 0)).await?), memories);
        let found = graph.search(Some(&scope), &SearchEntities::new("a")).await?;
        assert!(found.iter().all(|node| node.tenant_id == tenant));
    }
    let stats = graph.stats(None).await?;
    assert!(
        [subject.tenant(), &*other].iter().all(|tenant| stats.tenants.iter().any(|found| found == tenant))
    );
    assert!(stats.tenants.is_sorted());
    assert_eq!(graph.stats(Some(&scope(&other)?)).await?.tenants, [&*other]);
    Ok(())
}

pub(crate) async fn a_part_of_a_name_finds_the_best_connected_first(subject: &dyn Subject) -> TestResult {
    let mut sketch = Sketch::new(subject.tenant());
    let mark = subject.tenant();
    let [lone, linked, mentioned, beta, alpha, _] =
        sketch.entities(["lone", "linked", "mentioned", "Beta", "Alpha", "Other"]);
    for entity in [lone, linked, mentioned, beta, alpha] {
        if let Some(Some(node)) = sketch.rows.entities.get_mut(&entity) {
            node.entity.name = format!("{} {mark}", node.entity.name);
        }
    }
    sketch.edge(linked, "knows", mentioned, 0.9);
    sketch.edge(linked, "likes", mentioned, 0.9);
    sketch.record(&[mentioned]);
    sketch.record(&[alpha]);
    sketch.record(&[beta]);
    subject.put(subject.tenant(), &sketch.rows).await?;

    let scope = scope(subject.tenant())?;
    let request = SearchEntities::new(mark.to_uppercase());
    for scope in [Some(&scope), None] {
        let found = subject.graph().search(scope, &request).await?;
        let found: Vec<_> = found.iter().map(|node| &*node.entity).collect();
        let expected = ["mentioned", "linked", "Alpha", "Beta", "lone"].map(|name| format!("{name} {mark}"));
        assert_eq!(found, expected);
    }
    let found = subject.graph().search(Some(&scope), &request.with_limit(2)).await?;
    assert_eq!(found.len(), 2);
    assert_eq!(found[0].properties["mentions"], 1);
    let wild = subject.graph().search(Some(&scope), &SearchEntities::new("%")).await?;
    assert!(wild.is_empty(), "what is looked for is no pattern");
    Ok(())
}

pub(crate) async fn the_overview_shows_the_best_connected_with_what_relates_them(
    subject: &dyn Subject,
) -> TestResult {
    let mut sketch = Sketch::new(subject.tenant());
    let [ana, bo, cy] = sketch.entities(["Ana", "Bo", "Cy"]);
    sketch.edge(bo, "knows", ana, 0.25);
    sketch.edge(bo, "likes", ana, 0.1 + 0.2);
    sketch.record(&[ana, bo]);
    sketch.record(&[ana, bo]);
    sketch.record(&[ana, cy]);
    subject.put(subject.tenant(), &sketch.rows).await?;

    let scope = scope(subject.tenant())?;
    let found = subject.graph().overview(&scope, 2).await?;
    assert_eq!((names(&found), found.center), (vec!["Ana", "Bo"], None));
    assert_eq!(found.nodes[0].properties["mentions"], 3);
    assert_eq!(found.nodes[0].entity_type, "person");
    let edges: Vec<_> = found
        .edges
        .iter()
        .map(|edge| (edge.source, edge.target, &*edge.predicate, edge.confidence.get()))
        .collect();
    assert_eq!(
        edges,
        [(ana, bo, MENTIONED_WITH, 2.0 / 3.0), (bo, ana, "knows", 0.25), (bo, ana, "likes", 0.1 + 0.2)]
    );
    assert_eq!(found.edges[0].properties["memories"], 2);
    assert_eq!(subject.graph().overview(&scope, 10).await?.edges.len(), 4);
    Ok(())
}

pub(crate) async fn exploring_shows_the_middle_first_and_what_is_within_its_depth(
    subject: &dyn Subject,
) -> TestResult {
    let mut sketch = Sketch::new(subject.tenant());
    let [hub, ana, bo, _] = sketch.entities(["Hub", "Ana", "Bo", "Lone"]);
    sketch.edge(ana, "knows", bo, 0.9);
    sketch.edge(bo, "knows", hub, 0.9);
    for _ in 0..3 {
        sketch.record(&[hub]);
    }
    subject.put(subject.tenant(), &sketch.rows).await?;

    let scope = scope(subject.tenant())?;
    let found = subject.graph().explore(&scope, &ExploreGraph::new("Ana")).await?;
    assert_eq!((names(&found), found.center), (vec!["Ana", "Bo", "Hub"], Some(ana)));
    let ends: Vec<_> = found.edges.iter().map(|edge| (edge.source, edge.target)).collect();
    assert_eq!(ends, [(ana, bo), (bo, hub)]);
    Ok(())
}

pub(crate) async fn entities_of_one_name_are_all_in_the_middle(subject: &dyn Subject) -> TestResult {
    let mut sketch = Sketch::new(subject.tenant());
    sketch.entity("Ana");
    sketch.of("default", "bob");
    let [known, friend] = sketch.entities(["ana", "Friend"]);
    sketch.record(&[known, friend]);
    subject.put(subject.tenant(), &sketch.rows).await?;

    let scope = scope(subject.tenant())?;
    let found = subject.graph().explore(&scope, &ExploreGraph::new("ANA").with_depth(1)).await?;
    assert_eq!((names(&found), found.center), (vec!["ana", "Ana", "Friend"], Some(known)));
    Ok(())
}

pub(crate) async fn what_is_unknown_is_empty(subject: &dyn Subject) -> TestResult {
    let scope = scope(subject.tenant())?;
    let graph = subject.graph();
    let nothing = graph.explore(&scope, &ExploreGraph::new("Nobody")).await?;
    assert!(nothing.nodes.is_empty() && nothing.edges.is_empty() && nothing.center.is_none());
    assert!(graph.near(&scope, &near(&["Nobody"], 2)).await?.is_empty());
    assert!(graph.near(&scope, &near(&[], 2)).await?.is_empty());
    assert!(graph.overview(&scope, 10).await?.nodes.is_empty());
    assert!(graph.search(Some(&scope), &SearchEntities::new("x")).await?.is_empty());
    assert_eq!(graph.stats(Some(&scope)).await?, Default::default());
    Ok(())
}

pub(crate) async fn entities_and_edges_are_counted(subject: &dyn Subject) -> TestResult {
    let mut sketch = Sketch::new(subject.tenant());
    let [ana, bo, oslo] = sketch.entities(["Ana", "Bo", "Oslo"]);
    if let Some(Some(node)) = sketch.rows.entities.get_mut(&oslo) {
        node.entity.entity_type = "place".into();
    }
    sketch.edge(ana, "knows", bo, 0.9);
    sketch.edge(bo, "knows", ana, 0.9);
    sketch.edge(ana, "lives_in", oslo, 0.9);
    sketch.record(&[ana, bo]);
    subject.put(subject.tenant(), &sketch.rows).await?;

    let stats = subject.graph().stats(Some(&scope(subject.tenant())?)).await?;
    assert_eq!((stats.nodes, stats.edges), (3, 3), "two that a memory mentions are no stored relation");
    let types: Vec<_> = stats.entity_types.iter().map(|(name, count)| (&**name, *count)).collect();
    assert_eq!(types, [("person", 2), ("place", 1)]);
    let all = subject.graph().stats(None).await?;
    assert!(all.nodes >= 3 && all.edges >= 3);
    Ok(())
}

pub(crate) async fn a_ping_says_something(subject: &dyn Subject) -> TestResult {
    subject.graph().ping().await?;
    Ok(())
}
