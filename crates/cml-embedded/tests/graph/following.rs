//! How every graph database follows the rows that it is given.

use cml_core::{EntityId, MemoryId, memory::Evidence, ops::ExploreGraph};
use cml_embedded::store::{
    GraphChanges, GraphKey, GraphKind, GraphProjection, GraphStore, neo4j::Neo4jGraph,
};
use uuid::Uuid;

use super::fixtures::{Sketch, TestResult, names, scope};

/// Hands the names of all cases to the macro `$tests`.
macro_rules! following {
    ($tests:ident) => {
        $tests! {
            what_was_applied_is_held_to_the_last_bit,
            applying_again_changes_nothing,
            the_newer_state_takes_the_place_of_the_older,
            what_was_removed_is_gone_with_what_began_at_it,
            the_order_of_batches_does_not_matter,
            a_target_that_is_gone_is_found_again,
            nothing_is_left_of_targets_that_nobody_names,
            keys_come_in_pages_in_their_order,
            more_rows_than_one_statement_takes_are_applied,
            clearing_removes_one_tenant,
        }
    };
}

pub(crate) use following;

/// Everything that there is, once.
fn full(tenant: &str) -> Sketch {
    let mut sketch = Sketch::new(tenant);
    sketch.of("default", "ana");
    let [ana, bo, cy] = sketch.entities(["Ana", "Bo \"`' {x: $y}", "Cy"]);
    sketch.edge(ana, "knows", bo, 0.1 + 0.2);
    sketch.edge(ana, "likes", bo, 1.0);
    sketch.edge(bo, "knows", cy, 0.0);
    sketch.session("talk");
    let first = sketch.record(&[ana, bo]);
    let second = sketch.record(&[]);
    if let Some(Some(record)) = sketch.rows.records.get_mut(&first) {
        record.session = "talk".into();
    }
    let message = cml_core::MessageId::new();
    let fact = sketch.fact(&[Evidence::Memory(second), Evidence::Message(message), Evidence::Memory(first)]);
    if let Some(Some(fact)) = sketch.rows.facts.get_mut(&fact) {
        fact.session_id = "talk".into();
    }
    sketch.fact(&[]);
    sketch
}

fn keys(rows: &GraphChanges) -> Vec<GraphKey> {
    let mut keys: Vec<GraphKey> = rows.sessions.keys().cloned().map(GraphKey::Session).collect();
    keys.extend(rows.entities.keys().copied().map(GraphKey::Entity));
    keys.extend(rows.records.keys().copied().map(GraphKey::Record));
    keys.extend(rows.facts.keys().copied().map(GraphKey::Fact));
    keys
}

/// The same keys with nothing behind them.
fn gone(rows: &GraphChanges) -> GraphChanges {
    GraphChanges {
        sessions: rows.sessions.keys().map(|id| (id.clone(), None)).collect(),
        entities: rows.entities.keys().map(|id| (*id, None)).collect(),
        records: rows.records.keys().map(|id| (*id, None)).collect(),
        facts: rows.facts.keys().map(|id| (*id, None)).collect(),
    }
}

async fn all_keys(graph: &Neo4jGraph, tenant: &str) -> TestResult<Vec<GraphKey>> {
    let mut keys = Vec::new();
    for kind in GraphKind::ALL {
        keys.extend(graph.keys(tenant, kind, None, 10_000).await?);
    }
    Ok(keys)
}

pub(crate) async fn what_was_applied_is_held_to_the_last_bit(graph: &Neo4jGraph, tenant: &str) -> TestResult {
    let rows = full(tenant).rows;
    graph.apply(tenant, &rows).await?;
    assert_eq!(graph.rows(tenant, &keys(&rows)).await?, rows);
    assert_eq!(all_keys(graph, tenant).await?, keys(&rows));
    graph.apply(tenant, &GraphChanges::default()).await?;
    let unknown = GraphKey::Entity(EntityId::new());
    let found = graph.rows(tenant, &[unknown]).await?;
    assert!(found.entities.len() == 1 && found.entities.values().all(Option::is_none));
    Ok(())
}

pub(crate) async fn applying_again_changes_nothing(graph: &Neo4jGraph, tenant: &str) -> TestResult {
    let rows = full(tenant).rows;
    for _ in 0..2 {
        graph.apply(tenant, &rows).await?;
    }
    assert_eq!(graph.rows(tenant, &keys(&rows)).await?, rows);
    let stats = graph.stats(Some(&scope(tenant)?)).await?;
    assert_eq!((stats.nodes, stats.edges), (3, 3));
    for _ in 0..2 {
        graph.apply(tenant, &gone(&rows)).await?;
        assert_eq!(all_keys(graph, tenant).await?, []);
    }
    Ok(())
}

pub(crate) async fn the_newer_state_takes_the_place_of_the_older(
    graph: &Neo4jGraph,
    tenant: &str,
) -> TestResult {
    let mut sketch = full(tenant);
    graph.apply(tenant, &sketch.rows).await?;
    for node in sketch.rows.entities.values_mut().flatten() {
        node.entity.name.push_str(" II");
        node.entity.user_id = String::new();
        node.edges.pop();
    }
    for record in sketch.rows.records.values_mut().flatten() {
        record.session = String::new();
        record.mentions.pop();
        record.status = cml_core::memory::MemoryStatus::Archived;
    }
    for fact in sketch.rows.facts.values_mut().flatten() {
        fact.evidence.pop();
        fact.session_id = String::new();
        fact.value = "Oslo".into();
    }
    for session in sketch.rows.sessions.values_mut().flatten() {
        session.expires_at = None;
    }
    graph.apply(tenant, &sketch.rows).await?;
    assert_eq!(graph.rows(tenant, &keys(&sketch.rows)).await?, sketch.rows);
    Ok(())
}

pub(crate) async fn what_was_removed_is_gone_with_what_began_at_it(
    graph: &Neo4jGraph,
    tenant: &str,
) -> TestResult {
    let mut sketch = Sketch::new(tenant);
    let [ana, bo] = sketch.entities(["Ana", "Bo"]);
    sketch.edge(ana, "knows", bo, 0.9);
    let record = sketch.record(&[ana, bo]);
    graph.apply(tenant, &sketch.rows).await?;

    let mut changes = GraphChanges::default();
    changes.entities.insert(ana, None);
    changes.records.insert(record, None);
    graph.apply(tenant, &changes).await?;
    let scope = scope(tenant)?;
    assert_eq!(names(&graph.overview(&scope, 10).await?), ["Bo"]);
    assert_eq!(graph.overview(&scope, 10).await?.nodes[0].properties["mentions"], 0);
    assert_eq!(all_keys(graph, tenant).await?, [GraphKey::Entity(bo)]);
    Ok(())
}

pub(crate) async fn the_order_of_batches_does_not_matter(graph: &Neo4jGraph, tenant: &str) -> TestResult {
    let rows = full(tenant).rows;
    let mut batches = [GraphChanges::default(), GraphChanges::default(), GraphChanges::default()];
    batches[0].facts = rows.facts.clone();
    batches[1].records = rows.records.clone();
    batches[2].entities = rows.entities.clone();
    batches[2].sessions = rows.sessions.clone();
    for batch in &batches {
        graph.apply(tenant, batch).await?;
        assert_eq!(graph.rows(tenant, &keys(batch)).await?, *batch);
    }
    assert_eq!(graph.rows(tenant, &keys(&rows)).await?, rows);
    assert_eq!(all_keys(graph, tenant).await?, keys(&rows));
    Ok(())
}

pub(crate) async fn a_target_that_is_gone_is_found_again(graph: &Neo4jGraph, tenant: &str) -> TestResult {
    let mut sketch = Sketch::new(tenant);
    let [ana, bo] = sketch.entities(["Ana", "Bo"]);
    sketch.edge(ana, "knows", bo, 0.9);
    graph.apply(tenant, &sketch.rows).await?;
    let mut changes = GraphChanges::default();
    changes.entities.insert(bo, None);
    graph.apply(tenant, &changes).await?;

    let scope = scope(tenant)?;
    let request = ExploreGraph::new("ana");
    assert_eq!(names(&graph.explore(&scope, &request).await?), ["Ana"]);
    assert_eq!(all_keys(graph, tenant).await?, [GraphKey::Entity(ana)]);
    assert_eq!(graph.rows(tenant, &[GraphKey::Entity(bo)]).await?, changes);
    // The edge is a row of the one it begins at.
    let mut expected = sketch.rows.clone();
    expected.entities.insert(bo, None);
    assert_eq!(graph.rows(tenant, &keys(&sketch.rows)).await?, expected);
    changes.entities.insert(bo, sketch.rows.entities[&bo].clone());
    graph.apply(tenant, &changes).await?;
    assert_eq!(names(&graph.explore(&scope, &request).await?), ["Ana", "Bo"]);
    Ok(())
}

pub(crate) async fn nothing_is_left_of_targets_that_nobody_names(
    graph: &Neo4jGraph,
    tenant: &str,
) -> TestResult {
    let mut sketch = Sketch::new(tenant);
    let [ana, bo, cy] = sketch.entities(["Ana", "Bo", "Cy"]);
    sketch.edge(ana, "knows", bo, 0.9);
    sketch.edge(ana, "knows", cy, 0.9);
    let rows = sketch.rows.clone();
    sketch.rows.entities.remove(&bo);
    sketch.rows.entities.remove(&cy);
    graph.apply(tenant, &sketch.rows).await?;
    sketch.rows.entities.insert(ana, None);
    graph.apply(tenant, &sketch.rows).await?;
    assert_eq!(all_keys(graph, tenant).await?, []);

    // In one batch, and one after the other.
    graph.apply(tenant, &rows).await?;
    for id in [bo, ana, cy] {
        let mut changes = GraphChanges::default();
        changes.entities.insert(id, None);
        graph.apply(tenant, &changes).await?;
    }
    assert_eq!(all_keys(graph, tenant).await?, []);
    Ok(())
}

pub(crate) async fn keys_come_in_pages_in_their_order(graph: &Neo4jGraph, tenant: &str) -> TestResult {
    let mut sketch = Sketch::new(tenant);
    let odd = ["!", "Z", "a", "a b", "aa", "ä", "\u{fffd}", "\u{10000}", "\u{10ffff}"];
    for id in odd {
        sketch.session(id);
    }
    for _ in 0..9 {
        sketch.record(&[]);
    }
    graph.apply(tenant, &sketch.rows).await?;
    for (kind, expected) in [
        (GraphKind::Session, odd.map(|id| GraphKey::Session(id.into())).to_vec()),
        (GraphKind::Record, sketch.rows.records.keys().copied().map(GraphKey::Record).collect()),
        (GraphKind::Fact, Vec::new()),
    ] {
        let mut found: Vec<GraphKey> = Vec::new();
        loop {
            let page = graph.keys(tenant, kind, found.last(), 4).await?;
            let is_last = page.len() < 4;
            found.extend(page);
            if is_last {
                break;
            }
        }
        assert!(found.is_sorted());
        assert_eq!(found, expected);
    }
    Ok(())
}

pub(crate) async fn more_rows_than_one_statement_takes_are_applied(
    graph: &Neo4jGraph,
    tenant: &str,
) -> TestResult {
    let mut sketch = Sketch::new(tenant);
    let entities: Vec<EntityId> = (0..30).map(|at| sketch.entity(&format!("Name {at}"))).collect();
    let records: Vec<MemoryId> = (0..1_100).map(|at| sketch.record(&[entities[at % 30]])).collect();
    sketch.fact(&records.iter().copied().map(Evidence::Memory).collect::<Vec<_>>());
    graph.apply(tenant, &sketch.rows).await?;
    assert_eq!(graph.rows(tenant, &keys(&sketch.rows)).await?, sketch.rows);
    assert_eq!(all_keys(graph, tenant).await?, keys(&sketch.rows));
    while !graph.clear(tenant).await? {}
    assert_eq!(all_keys(graph, tenant).await?, []);
    Ok(())
}

pub(crate) async fn clearing_removes_one_tenant(graph: &Neo4jGraph, tenant: &str) -> TestResult {
    // One name begins with the other, and ids are the same.
    let other = format!("{tenant} 2");
    let (mine, yours) = (full(tenant).rows, full(&other).rows);
    graph.apply(tenant, &mine).await?;
    graph.apply(&other, &yours).await?;
    while !graph.clear(tenant).await? {}
    assert_eq!(all_keys(graph, tenant).await?, []);
    assert_eq!(graph.rows(&other, &keys(&yours)).await?, yours);
    assert_eq!(graph.stats(Some(&scope(tenant)?)).await?.nodes, 0);
    let nobody = GraphKey::Record(MemoryId::from_uuid(Uuid::nil()));
    assert!(graph.rows(&other, &[nobody]).await?.records.values().all(Option::is_none));
    Ok(())
}
