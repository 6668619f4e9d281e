//! What commits leave behind for a graph database, and who projects it.

use std::time::Duration;

use cml_core::{
    EntityId, Subject,
    memory::MemoryRecord,
    ops::{Edge, Entity, Mention},
};
use cml_embedded::store::{
    ChangeSet, GraphKey, GraphTables as _, Outbox, OutboxRow, Projected,
    postgres::{PostgresOptions, PostgresStore},
};

use super::fixture::Schema;
use crate::fixtures::*;

const LENGTH: Duration = Duration::from_secs(30);

async fn open(schema: &Schema) -> TestResult<PostgresStore> {
    Ok(PostgresStore::open(PostgresOptions { projects: true, ..schema.options() }).await?)
}

/// The outbox of a store that projects.
fn outbox(store: &PostgresStore) -> TestResult<&dyn Outbox> {
    store.outbox().ok_or_else(|| "the store does not project".into())
}

/// Everything that waits of a tenant, which is taken and given back.
async fn waiting(store: &PostgresStore, tenant: &str) -> TestResult<Vec<OutboxRow>> {
    let outbox = outbox(store)?;
    let lease = outbox.lease_of(tenant, LENGTH).await?.ok_or("the tenant is held")?;
    let rows = outbox.take(&lease, LENGTH, 1000).await?.ok_or("the lease was lost")?;
    outbox.give_back(&lease, None).await?;
    Ok(rows)
}

/// As [`waiting`], and all of it is done.
async fn clear(store: &PostgresStore) -> TestResult<Vec<Projected>> {
    let outbox = outbox(store)?;
    let lease = outbox.lease_of("acme", LENGTH).await?.ok_or("the tenant is held")?;
    let rows = outbox.take(&lease, LENGTH, 1000).await?.ok_or("the lease was lost")?;
    assert!(rows.windows(2).all(|pair| pair[0].seq < pair[1].seq), "oldest first");
    assert!(outbox.done(&lease, &rows.iter().map(|row| row.seq).collect::<Vec<_>>()).await?);
    outbox.give_back(&lease, None).await?;
    let mut what: Vec<Projected> = rows.into_iter().map(|row| row.what).collect();
    what.sort_by_key(|what| format!("{what:?}"));
    Ok(what)
}

fn nodes(keys: impl IntoIterator<Item = GraphKey>) -> Vec<Projected> {
    let mut nodes: Vec<Projected> = keys.into_iter().map(Projected::Node).collect();
    nodes.sort_by_key(|what| format!("{what:?}"));
    nodes
}

fn entity(name: &str) -> Entity {
    Entity {
        id: EntityId::new(),
        tenant_id: "acme".into(),
        namespace: "default".into(),
        user_id: String::new(),
        name: name.into(),
        entity_type: "person".into(),
    }
}

fn mention(record: &MemoryRecord, entity: &Entity) -> Mention {
    Mention { entity_id: entity.id, memory_id: record.id, message_id: record.message_id }
}

#[tokio::test]
async fn a_store_that_does_not_project_leaves_nothing_behind() -> TestResult {
    let Some(schema) = Schema::new() else { return Ok(()) };
    let store = schema.open().await?;
    commit(&store, write(&record("said"))).await?;
    assert!(store.outbox().is_none());
    assert_eq!(schema.number("SELECT count(*) FROM {schema}.outbox").await?, 0);
    Ok(())
}

#[tokio::test]
async fn a_commit_notes_every_node_that_it_touched() -> TestResult {
    let Some(schema) = Schema::new() else { return Ok(()) };
    let store = open(&schema).await?;
    let mut text = record("Ana knows Bo");
    text.session_id = "talk".into();
    let (ana, bo) = (entity("Ana"), entity("Bo"));
    let mut changes = write(&text);
    changes.sessions.push(session(&text));
    let statement = fact(&text, "Oslo");
    add_fact(&mut changes, &statement);
    changes.mentions.extend([mention(&text, &ana), mention(&text, &bo)]);
    changes.edges.push(Edge { source: ana.id, target: bo.id, predicate: "knows".into(), confidence: 0.5 });
    changes.entities.extend([ana.clone(), bo.clone()]);
    commit(&store, changes).await?;
    let all = nodes([
        GraphKey::Session("talk".into()),
        GraphKey::Entity(ana.id),
        GraphKey::Entity(bo.id),
        GraphKey::Record(text.id),
        GraphKey::Fact(statement.id),
    ]);
    assert_eq!(clear(&store).await?, all);

    // What is there already is no change; what it mentions now is one of the record.
    let mut more = record("Ana again");
    more.session_id = "talk".into();
    let mut changes = write(&more);
    changes.sessions.push(session(&more));
    changes.entities.push(ana.clone());
    changes.mentions.push(mention(&more, &ana));
    commit(&store, changes).await?;
    assert_eq!(clear(&store).await?, nodes([GraphKey::Record(more.id)]));

    let mut changes = ChangeSet::new("acme");
    changes.cut.push((ana.id, bo.id, "knows".into()));
    commit(&store, changes).await?;
    assert_eq!(clear(&store).await?, nodes([GraphKey::Entity(ana.id)]));

    let mut changes = ChangeSet::new("acme");
    changes.delete_records.push(text.id);
    commit(&store, changes).await?;
    let gone = [GraphKey::Entity(bo.id), GraphKey::Record(text.id), GraphKey::Fact(statement.id)];
    let found = clear(&store).await?;
    assert!(nodes(gone).iter().all(|node| found.contains(node)), "{found:?}");
    assert!(!found.contains(&Projected::Node(GraphKey::Session("talk".into()))), "{found:?}");

    let mut changes = ChangeSet::new("acme");
    changes.erase = Some(Subject::Session("talk".into()));
    commit(&store, changes).await?;
    let found = clear(&store).await?;
    let gone = [GraphKey::Session("talk".into()), GraphKey::Entity(ana.id), GraphKey::Record(more.id)];
    assert!(nodes(gone).iter().all(|node| found.contains(node)), "{found:?}");

    commit(&store, write(&record("more"))).await?;
    let mut changes = ChangeSet::new("acme");
    changes.erase = Some(Subject::Tenant);
    commit(&store, changes).await?;
    assert_eq!(clear(&store).await?, [Projected::Tenant]);
    Ok(())
}

#[tokio::test]
async fn one_holds_a_tenant_and_who_is_gone_is_replaced() -> TestResult {
    let Some(schema) = Schema::new() else { return Ok(()) };
    let (store, other) = (open(&schema).await?, open(&schema).await?);
    for tenant in ["b", "a"] {
        let mut text = record("said");
        text.tenant_id = tenant.into();
        commit(&store, write(&text)).await?;
    }
    let (one, two) = (outbox(&store)?, outbox(&other)?);
    let first = one.lease(LENGTH).await?.ok_or("nothing is due")?;
    assert_eq!(first.tenant, "b", "the one that waits longest");
    let second = two.lease(LENGTH).await?.ok_or("nothing is due")?;
    assert_eq!(second.tenant, "a");
    assert!(two.lease(LENGTH).await?.is_none() && two.lease_of("b", LENGTH).await?.is_none());
    assert_eq!(one.take(&first, LENGTH, 0).await?, Some(Vec::new()));

    // The first holder says nothing for so long that its lease runs out.
    assert!(one.take(&first, Duration::ZERO, 10).await?.is_some());
    let third = two.lease(LENGTH).await?.ok_or("the lease did not run out")?;
    assert_eq!(third.tenant, "b");
    assert_eq!(one.take(&first, LENGTH, 10).await?, None);
    assert!(!one.done(&first, &[1]).await? && !one.failed(&first, 1, "late", false).await?);
    one.give_back(&first, None).await?;
    assert_eq!(two.take(&third, LENGTH, 10).await?.map(|rows| rows.len()), Some(1), "it is not given away");
    Ok(())
}

#[tokio::test]
async fn what_fails_is_counted_passed_over_and_replayed() -> TestResult {
    let Some(schema) = Schema::new() else { return Ok(()) };
    let store = open(&schema).await?;
    for text in ["one", "two"] {
        commit(&store, write(&record(text))).await?;
    }
    let outbox = outbox(&store)?;
    let lease = outbox.lease(LENGTH).await?.ok_or("nothing is due")?;
    let rows = outbox.take(&lease, LENGTH, 1).await?.ok_or("the lease was lost")?;
    assert!(outbox.failed(&lease, rows[0].seq, "refused", false).await?);
    outbox.give_back(&lease, Some(LENGTH)).await?;
    assert!(outbox.lease(LENGTH).await?.is_none(), "not before the pause is over");
    let lease = outbox.lease_of("acme", LENGTH).await?.ok_or("the tenant is held")?;
    assert!(outbox.failed(&lease, rows[0].seq, "refused again", true).await?);
    let alive = outbox.take(&lease, LENGTH, 10).await?.ok_or("the lease was lost")?;
    assert_eq!(alive.iter().map(|row| row.seq).collect::<Vec<_>>(), [rows[0].seq + 1]);
    outbox.give_back(&lease, Some(LENGTH)).await?;
    let status = outbox.status(Some("acme")).await?;
    assert_eq!((status.pending, status.dead, status.error.as_deref()), (1, 1, Some("refused again")));
    assert!(status.oldest.is_some());
    assert_eq!(outbox.status(Some("nobody")).await?.pending, 0);

    assert_eq!(outbox.replay("acme").await?, 1);
    let lease = outbox.lease(LENGTH).await?.ok_or("what is replayed is due at once")?;
    let rows = outbox.take(&lease, LENGTH, 10).await?.ok_or("the lease was lost")?;
    assert_eq!(rows.iter().map(|row| row.attempts).collect::<Vec<_>>(), [0, 0]);
    outbox.give_back(&lease, None).await?;
    assert_eq!(outbox.status(None).await?.dead, 0);
    Ok(())
}

#[tokio::test]
async fn a_rebuild_takes_the_place_of_what_waits() -> TestResult {
    let Some(schema) = Schema::new() else { return Ok(()) };
    let store = open(&schema).await?;
    for text in ["one", "two"] {
        commit(&store, write(&record(text))).await?;
    }
    let last = waiting(&store, "acme").await?.last().map(|row| row.seq);
    outbox(&store)?.rebuild("acme").await?;
    let rows = waiting(&store, "acme").await?;
    assert_eq!(rows.iter().map(|row| &row.what).collect::<Vec<_>>(), [&Projected::Tenant]);
    assert!(Some(rows[0].seq) > last);
    outbox(&store)?.rebuild("nobody").await?;
    assert_eq!(outbox(&store)?.status(Some("nobody")).await?.pending, 0);
    Ok(())
}
