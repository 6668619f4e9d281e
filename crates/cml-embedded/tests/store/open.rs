//! Opening, refusing, sharing and closing files.

use std::{path::Path, time::Duration};

use cml_core::{ErrorKind, provider::EmbeddingModel};
use cml_embedded::store::{
    ChangeSet, Precondition, Select, Store,
    sqlite::{SqliteOptions, SqliteStore},
};
use sqlx::{Connection as _, SqliteConnection, sqlite::SqliteConnectOptions};

use crate::fixtures::*;

async fn open(path: &Path) -> cml_core::Result<SqliteStore> {
    SqliteStore::open(SqliteOptions::file(path, model())).await
}

/// The error of opening `path`, which must name the setting.
async fn refused(path: &Path) -> TestResult<cml_core::Error> {
    match open(path).await {
        Ok(_) => Err(format!("{} was opened", path.display()).into()),
        Err(error) if error.kind() == ErrorKind::Config && error.message().starts_with("db_path: ") => {
            Ok(error)
        }
        Err(error) => Err(error.into()),
    }
}

async fn connect(path: &Path) -> TestResult<SqliteConnection> {
    Ok(SqliteConnection::connect_with(&SqliteConnectOptions::new().filename(path).create_if_missing(true))
        .await?)
}

#[tokio::test]
async fn what_was_committed_is_there_after_opening_again() -> TestResult {
    let (folder, store) = file().await?;
    let text = record("text");
    commit(&store, write(&text)).await?;
    store.close().await?;
    store.close().await?;
    let error = store.commit(ChangeSet::new("acme")).await.expect_err("a closed store");
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    let error = store.tenant("acme").await.expect_err("a closed store");
    assert_eq!(error.kind(), ErrorKind::Unavailable);

    // A store that is dropped without closing loses nothing either.
    let path = folder.path().join("memory.db");
    let other = record("other");
    commit(&open(&path).await?, write(&other)).await?;
    let store = SqliteStore::open(SqliteOptions::file(&path, EmbeddingModel::new("another", 3))).await?;
    assert_eq!(store.records("acme", &[other.id, text.id]).await?, [other, text]);
    assert_eq!(store.generations().await?.serving, Some((1, model())));
    assert!(store.ping().await?["path"].as_str().is_some_and(|place| place.ends_with("memory.db")));
    Ok(())
}

#[tokio::test]
async fn a_closed_store_in_memory_is_unavailable() -> TestResult {
    let store = memory().await?;
    store.close().await?;
    assert_eq!(store.tenant("acme").await.expect_err("a closed store").kind(), ErrorKind::Unavailable);
    Ok(())
}

#[tokio::test]
async fn what_is_queued_is_committed_before_closing() -> TestResult {
    let (folder, store) = file().await?;
    let texts: Vec<_> = (0..100).map(|index| record(&format!("text {index}"))).collect();
    let commits = texts.iter().map(|text| store.commit(write(text)));
    let (commits, closed) =
        futures_util::future::join(futures_util::future::join_all(commits), store.close()).await;
    closed?;
    let done: Vec<_> =
        texts.iter().zip(commits).filter(|(_, outcome)| outcome.is_ok()).map(|(text, _)| text.id).collect();
    assert!(!done.is_empty());
    let store = open(&folder.path().join("memory.db")).await?;
    assert_eq!(store.records("acme", &done).await?.len(), done.len());
    Ok(())
}

#[tokio::test]
async fn a_file_of_something_else_is_left_as_it_is() -> TestResult {
    let folder = tempfile::tempdir()?;
    let text = folder.path().join("notes.txt");
    std::fs::write(
        &text,
        "no database, though quite long enough to be read as the beginning of one. ".repeat(20),
    )?;
    let short = folder.path().join("short");
    std::fs::write(&short, "x")?;
    let database = folder.path().join("other.db");
    let mut connection = connect(&database).await?;
    for sql in ["PRAGMA journal_mode = WAL", "CREATE TABLE tenants (x)", "INSERT INTO tenants VALUES (1)"] {
        sqlx::query(sql).execute(&mut connection).await?;
    }
    connection.close().await?;
    for path in [&text, &short, &database] {
        let before = std::fs::read(path)?;
        refused(path).await?;
        assert_eq!(std::fs::read(path)?, before);
    }
    assert_eq!(std::fs::read_dir(folder.path())?.count(), 3);
    Ok(())
}

#[tokio::test]
async fn a_place_that_cannot_hold_the_file_is_named() -> TestResult {
    let folder = tempfile::tempdir()?;
    assert!(refused(folder.path()).await?.message().contains("folder"));
    assert!(refused(&folder.path().join("missing/memory.db")).await?.message().contains("does not exist"));
    let path = folder.path().join("memory.db");
    open(&path).await?.close().await?;
    let mut permissions = std::fs::metadata(&path)?.permissions();
    permissions.set_readonly(true);
    std::fs::set_permissions(&path, permissions)?;
    assert!(refused(&path).await?.message().contains("read-only"));
    // A folder that nobody may write to.
    let locked = folder.path().join("locked");
    std::fs::create_dir(&locked)?;
    let mut permissions = std::fs::metadata(&locked)?.permissions();
    permissions.set_readonly(true);
    std::fs::set_permissions(&locked, permissions)?;
    assert!(refused(&locked.join("memory.db")).await?.message().contains("read-only"));
    Ok(())
}

#[tokio::test]
async fn a_newer_schema_is_a_conflict() -> TestResult {
    let (folder, store) = file().await?;
    store.close().await?;
    let path = folder.path().join("memory.db");
    let mut connection = connect(&path).await?;
    sqlx::query("PRAGMA user_version = 999").execute(&mut connection).await?;
    connection.close().await?;
    let error = open(&path).await.expect_err("a newer schema");
    assert_eq!(error.kind(), ErrorKind::Conflict);
    assert!(error.message().contains("999") && error.message().contains("up to 2"), "{error}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn many_may_make_the_same_file_at_once() -> TestResult {
    for _ in 0..5 {
        let folder = tempfile::tempdir()?;
        let path = folder.path().join("memory.db");
        let opening: Vec<_> = (0..8)
            .map(|index| {
                let path = path.clone();
                tokio::spawn(async move {
                    let store = open(&path).await?;
                    commit(&store, write(&record(&format!("text {index}")))).await
                })
            })
            .collect();
        for opened in opening {
            opened.await??;
        }
        let store = open(&path).await?;
        assert_eq!(store.stats(&scope()?).await?.total_memories, 8);
        assert_eq!(store.tenant("acme").await?.last_seq, 16);
    }
    Ok(())
}

#[tokio::test]
async fn two_stores_on_one_file_see_each_other() -> TestResult {
    let (folder, one) = file().await?;
    let two = open(&folder.path().join("memory.db")).await?;
    for index in 0..10 {
        let text = record(&format!("text {index}"));
        let (writer, reader) = if index % 2 == 0 { (&one, &two) } else { (&two, &one) };
        let seq = commit(writer, write(&text)).await?.seq;
        assert_eq!(reader.tenant("acme").await?.last_seq, seq);
        assert_eq!(reader.records("acme", &[text.id]).await?, [text]);
    }
    // The state that one has read is no longer that of the other.
    assert!(!holds(&two, Precondition::Seq(1)).await?);
    one.close().await?;
    assert_eq!(two.turns("acme", Select::After(None, 100)).await?.len(), 10);
    Ok(())
}

#[tokio::test]
async fn a_file_that_stays_locked_is_unavailable() -> TestResult {
    let folder = tempfile::tempdir()?;
    let path = folder.path().join("memory.db");
    let mut options = SqliteOptions::file(&path, model());
    options.busy_timeout = Duration::from_millis(50);
    let store = SqliteStore::open(options).await?;
    let mut other = connect(&path).await?;
    sqlx::query("BEGIN IMMEDIATE").execute(&mut other).await?;
    let text = record("text");
    let error = store.commit(write(&text)).await.expect_err("a locked file");
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    assert!(error.is_retryable());
    // Reads go on.
    assert_eq!(store.tenant("acme").await?.last_seq, 0);
    sqlx::query("ROLLBACK").execute(&mut other).await?;
    commit(&store, write(&text)).await?;
    Ok(())
}

#[tokio::test]
async fn a_writer_waits_for_another_process() -> TestResult {
    let (folder, store) = file().await?;
    let mut other = connect(&folder.path().join("memory.db")).await?;
    sqlx::query("BEGIN IMMEDIATE").execute(&mut other).await?;
    let waiting = tokio::spawn(async move { commit(&store, write(&record("text"))).await });
    tokio::task::yield_now().await;
    sqlx::query("COMMIT").execute(&mut other).await?;
    assert_eq!(waiting.await??.seq, 2);
    Ok(())
}
