//! Several stores on one schema.

use std::time::Duration;

use cml_embedded::store::{
    Changed, Outcome, Precondition, Store, Tail,
    postgres::{PostgresOptions, PostgresStore},
};
use futures_util::future::{join_all, try_join_all};

use super::fixture::Schema;
use crate::fixtures::*;

/// Two stores with connections of their own, as two processes have them.
async fn two(schema: &Schema) -> TestResult<[PostgresStore; 2]> {
    let one = schema.open().await?;
    let other = PostgresStore::open(PostgresOptions { max_connections: 3, ..schema.options() }).await?;
    Ok([one, other])
}

#[tokio::test]
async fn two_stores_see_each_other_at_the_next_read() -> TestResult {
    let Some(schema) = Schema::new() else { return Ok(()) };
    let [one, two] = two(&schema).await?;
    for index in 0..10 {
        let text = record(&format!("text {index}"));
        let (writer, reader) = if index % 2 == 0 { (&one, &two) } else { (&two, &one) };
        let before = reader.tenant("acme").await?.last_seq;
        let seq = commit(writer, write(&text)).await?.seq;
        assert_eq!(reader.tenant("acme").await?.last_seq, seq);
        let Tail::Rows(rows) = reader.changes("acme", before, 10).await? else { return Err("gone".into()) };
        assert!(rows.iter().any(|(_, changed)| *changed == Changed::Record(text.id)));
        assert_eq!(reader.records("acme", &[text.id]).await?, [text]);
    }
    one.close().await?;
    assert_eq!(two.stats(&scope()?).await?.total_memories, 10);
    two.close().await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_writers_with_the_same_precondition_one_wins() -> TestResult {
    let Some(schema) = Schema::new() else { return Ok(()) };
    let [one, two] = two(&schema).await?;
    let text = record("text");
    commit(&one, write(&text)).await?;
    for version in 1..6 {
        let changed = |store: &PostgresStore| {
            let mut next = text.clone();
            next.version = version + 1;
            let mut changes = write(&next);
            changes.require.push(Precondition::Version(text.id, version));
            let store = store.clone();
            tokio::spawn(async move { store.commit(changes).await })
        };
        let outcomes = join_all([changed(&one), changed(&two), changed(&one), changed(&two)]).await;
        let mut won = 0;
        for outcome in outcomes {
            won += u32::from(matches!(outcome??, Outcome::Committed(_)));
        }
        assert_eq!(won, 1);
    }
    one.close().await?;
    two.close().await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn numbers_of_changes_have_no_gaps_whoever_writes() -> TestResult {
    let Some(schema) = Schema::new() else { return Ok(()) };
    let [one, two] = two(&schema).await?;
    let tenants = ["acme", "globex", "initech"];
    let commits = (0..90).map(|index| {
        let mut text = record(&format!("text {index}"));
        text.tenant_id = tenants[index % 3].to_owned();
        let store = if index % 2 == 0 { one.clone() } else { two.clone() };
        async move {
            tokio::spawn(async move { store.commit(write(&text)).await }).await?.map_err(TestError::from)
        }
    });
    let outcomes = try_join_all(commits).await?;
    assert!(outcomes.iter().all(|outcome| matches!(outcome, Outcome::Committed(_))));
    for tenant in tenants {
        let last = one.tenant(tenant).await?.last_seq;
        let Tail::Rows(rows) = two.changes(tenant, 0, 1000).await? else { return Err("gone".into()) };
        let numbers: Vec<u64> = rows.iter().map(|(seq, _)| *seq).collect();
        assert_eq!(numbers, (1..=last).collect::<Vec<u64>>());
        assert_eq!(last, 60);
    }
    one.close().await?;
    two.close().await?;
    Ok(())
}

type TestError = Box<dyn std::error::Error + Send + Sync>;

#[tokio::test]
async fn stores_with_equal_options_share_their_connections() -> TestResult {
    let Some(schema) = Schema::new() else { return Ok(()) };
    let options = PostgresOptions { max_connections: 1, ..schema.options() };
    let stores = try_join_all((0..4).map(|_| PostgresStore::open(options.clone()))).await?;
    for store in &stores {
        assert_eq!(store.ping().await?["connections"], 1);
    }
    let last = stores.last().ok_or("no store")?;
    for store in &stores[..3] {
        store.close().await?;
    }
    // What the others closed was their part.
    commit(last, write(&record("text"))).await?;
    last.close().await?;
    Ok(())
}

#[tokio::test]
async fn a_commit_is_told_to_those_who_listen() -> TestResult {
    let Some(schema) = Schema::new() else { return Ok(()) };
    let [listening, _] = two(&schema).await?;
    let writing = PostgresStore::open(PostgresOptions { projects: true, ..schema.options() }).await?;
    let mut hints = listening.subscribe();
    // Listening begins in the background: commits go on until one is heard.
    let heard = async {
        loop {
            commit(&writing, write(&record("text"))).await?;
            if let Ok(hint) = tokio::time::timeout(Duration::from_millis(100), hints.recv()).await {
                break TestResult::Ok(hint?);
            }
        }
    };
    assert_eq!(heard.await?, "acme");
    // A listener that is cut off begins again.
    schema
        .run("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query = 'LISTEN \"cml_{schema}\"'")
        .await?;
    let heard = async {
        loop {
            let mut text = record("text");
            text.tenant_id = "globex".into();
            commit(&writing, write(&text)).await?;
            match tokio::time::timeout(Duration::from_millis(100), hints.recv()).await {
                Ok(hint) if matches!(&hint, Ok(tenant) if tenant == "globex") => break TestResult::Ok(()),
                _ => {}
            }
        }
    };
    heard.await?;
    writing.close().await?;
    listening.close().await?;
    Ok(())
}
