//! Lost connections, busy connections, and transactions of unknown end.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU32, Ordering},
    },
    time::Duration,
};

use cml_core::{ErrorKind, config::SecretString};
use cml_embedded::store::{
    Outcome, Store,
    postgres::{PostgresOptions, PostgresStore},
};
use sqlx::{AssertSqlSafe, Executor as _};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
};

use super::fixture::{Schema, end_all};
use crate::fixtures::*;

/// Which connection a [`Relay`] cuts: the next one that commits, before or after the server hears of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Cut {
    Before,
    After,
}

/// Stands between a store and the server.
struct Relay {
    place: String,
    armed: Arc<AtomicBool>,
    cuts: Arc<AtomicU32>,
}

impl Relay {
    async fn start(server: String, cut: Cut) -> TestResult<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let place = listener.local_addr()?.to_string();
        let (armed, cuts) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU32::new(0)));
        let shared = (Arc::clone(&armed), Arc::clone(&cuts));
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let (server, (armed, cuts)) = (server.clone(), shared.clone());
                tokio::spawn(async move {
                    if let Ok(server) = TcpStream::connect(&server).await {
                        // An error ends the connection, as it is meant to.
                        let _ended = pass(client, server, cut, &armed, &cuts).await;
                    }
                });
            }
        });
        Ok(Self { place, armed, cuts })
    }
}

async fn pass(
    mut client: TcpStream,
    mut server: TcpStream,
    cut: Cut,
    armed: &AtomicBool,
    cuts: &AtomicU32,
) -> std::io::Result<()> {
    let (mut up, mut down) = (vec![0; 1 << 16], vec![0; 1 << 16]);
    loop {
        tokio::select! {
            size = client.read(&mut up) => {
                let size = size?;
                if size == 0 {
                    return Ok(());
                }
                let commits = up[..size].windows(7).any(|part| part == b"COMMIT\0");
                if commits && armed.swap(false, Ordering::SeqCst) {
                    cuts.fetch_add(1, Ordering::SeqCst);
                    if cut == Cut::After {
                        server.write_all(&up[..size]).await?;
                        // The answer is the sign that it took place.
                        let _answer = server.read(&mut down).await?;
                    }
                    return Ok(());
                }
                server.write_all(&up[..size]).await?;
            }
            size = server.read(&mut down) => {
                let size = size?;
                if size == 0 {
                    return Ok(());
                }
                client.write_all(&down[..size]).await?;
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_commit_whose_answer_is_lost_is_applied_once() -> TestResult {
    for cut in [Cut::Before, Cut::After] {
        let Some(schema) = Schema::new() else { return Ok(()) };
        let (head, rest) = schema.url.split_once('@').ok_or("no user")?;
        let (place, database) = rest.split_once('/').ok_or("no database")?;
        let relay = Relay::start(place.to_owned(), cut).await?;
        let url = format!("{head}@{}/{database}?sslmode=disable", relay.place);
        let store =
            PostgresStore::open(PostgresOptions { url: SecretString::new(url), ..schema.options() }).await?;
        for round in 0..5 {
            relay.armed.store(true, Ordering::SeqCst);
            let before = store.tenant("acme").await?.last_seq;
            let texts: Vec<_> = (0..3).map(|index| record(&format!("text {round} {index}"))).collect();
            let commits = texts.iter().map(|text| commit(&store, write(text)));
            futures_util::future::try_join_all(commits).await?;
            assert_eq!(store.tenant("acme").await?.last_seq, before + 6, "{cut:?}");
        }
        assert_eq!(relay.cuts.load(Ordering::SeqCst), 5);
        assert_eq!(store.stats(&scope()?).await?.total_memories, 15);
        store.close().await?;
    }
    Ok(())
}

/// A server that can be taken away, together with its connections, and brought back.
struct Away {
    place: std::net::SocketAddr,
    server: String,
    tasks: tokio::task::JoinSet<()>,
}

impl Away {
    async fn start(server: String) -> TestResult<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let mut away = Self { place: listener.local_addr()?, server, tasks: tokio::task::JoinSet::new() };
        away.accept(listener);
        Ok(away)
    }

    fn accept(&mut self, listener: TcpListener) {
        let server = self.server.clone();
        self.tasks.spawn(async move {
            let mut connections = tokio::task::JoinSet::new();
            while let Ok((mut client, _)) = listener.accept().await {
                let server = server.clone();
                connections.spawn(async move {
                    let mut server = TcpStream::connect(&server).await?;
                    tokio::io::copy_bidirectional(&mut client, &mut server).await
                });
            }
        });
    }

    async fn leave(&mut self) {
        self.tasks.shutdown().await;
    }

    async fn come_back(&mut self) -> TestResult {
        let listener = TcpListener::bind(self.place).await?;
        self.accept(listener);
        Ok(())
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_server_that_restarts_is_waited_for_by_writes_and_reads() -> TestResult {
    let Some(schema) = Schema::new() else { return Ok(()) };
    let (head, rest) = schema.url.split_once('@').ok_or("no user")?;
    let (place, database) = rest.split_once('/').ok_or("no database")?;
    let mut server = Away::start(place.to_owned()).await?;
    let url = SecretString::new(format!("{head}@{}/{database}?sslmode=disable", server.place));
    let options = PostgresOptions { url, connect_timeout: Duration::from_secs(5), ..schema.options() };
    let store = PostgresStore::open(options).await?;
    let known = record("known");
    commit(&store, write(&known)).await?;
    let idle = futures_util::future::join_all((0..4).map(|_| store.tenant("acme"))).await;
    assert!(idle.iter().all(Result::is_ok));
    for round in 0..3 {
        server.leave().await;
        let text = record(&format!("text {round}"));
        let writing = tokio::spawn({
            let (store, text) = (store.clone(), text.clone());
            async move { store.commit(write(&text)).await }
        });
        let reading = tokio::spawn({
            let (store, id) = (store.clone(), known.id);
            async move { store.records("acme", &[id]).await }
        });
        tokio::time::sleep(Duration::from_millis(300)).await;
        assert!(!writing.is_finished() && !reading.is_finished());
        server.come_back().await?;
        assert!(matches!(writing.await??, Outcome::Committed(_)));
        assert_eq!(reading.await??, std::slice::from_ref(&known));
        assert_eq!(store.records("acme", &[text.id]).await?, [text]);
    }
    assert_eq!(store.tenant("acme").await?.last_seq, 8);

    // One that stays away is said to be away.
    server.leave().await;
    let (written, read) =
        futures_util::future::join(store.commit(write(&record("lost"))), store.tenant("acme")).await;
    for error in [written.err(), read.err()] {
        assert_eq!(error.ok_or("it was answered")?.kind(), ErrorKind::Unavailable);
    }
    server.come_back().await?;
    assert_eq!(store.tenant("acme").await?.last_seq, 8);
    store.close().await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn connections_that_the_server_ends_lose_nothing() -> TestResult {
    let Some(schema) = Schema::new() else { return Ok(()) };
    let store = schema.open().await?;
    let ended = Arc::new(AtomicBool::new(false));
    let kill = {
        let ended = Arc::clone(&ended);
        let mut admin = schema.connect().await?;
        let sql = end_all(&schema.name);
        tokio::spawn(async move {
            while !ended.load(Ordering::SeqCst) {
                admin.execute(sqlx::raw_sql(AssertSqlSafe(sql.clone()))).await?;
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
            Ok::<(), sqlx::Error>(())
        })
    };
    let writers = (0..6).map(|writer| {
        let store = store.clone();
        tokio::spawn(async move {
            let mut written = Vec::new();
            for index in 0..30 {
                let mut text = record(&format!("text {writer} {index}"));
                text.tenant_id = ["acme", "globex"][writer % 2].to_owned();
                if let Ok(Outcome::Committed(_)) = store.commit(write(&text)).await {
                    written.push(text);
                }
            }
            written
        })
    });
    let written = futures_util::future::try_join_all(writers).await?.concat();
    ended.store(true, Ordering::SeqCst);
    kill.await??;
    assert!(written.len() > 170, "{} of 180", written.len());
    for tenant in ["acme", "globex"] {
        let texts: Vec<_> = written.iter().filter(|text| text.tenant_id == tenant).cloned().collect();
        let ids: Vec<_> = texts.iter().map(|text| text.id).collect();
        assert_eq!(store.records(tenant, &ids).await?, texts);
        let scope = cml_core::Scope::new(tenant)?;
        let stored = store.stats(&scope).await?.total_memories;
        assert_eq!(store.tenant(tenant).await?.last_seq, 2 * stored);
    }
    store.close().await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_dropped_commit_is_neither_undone_nor_split() -> TestResult {
    let Some(schema) = Schema::new() else { return Ok(()) };
    let store = schema.open().await?;
    let text = record("text");
    // Handed over, then dropped.
    assert!(futures_util::future::poll_immediate(store.commit(write(&text))).await.is_none());
    store.close().await?;
    let store = schema.open().await?;
    assert_eq!(store.records("acme", &[text.id]).await?, [text]);
    store.close().await?;
    Ok(())
}

#[tokio::test]
async fn when_all_connections_are_busy_that_is_said() -> TestResult {
    let Some(schema) = Schema::new() else { return Ok(()) };
    let options = PostgresOptions {
        max_connections: 1,
        acquire_timeout: Duration::from_millis(200),
        statement_timeout: Duration::from_millis(2000),
        ..schema.options()
    };
    let store = PostgresStore::open(options).await?;
    commit(&store, write(&record("text"))).await?;
    let mut admin = schema.connect().await?;
    let lock = format!("BEGIN; SELECT 1 FROM {}.tenants FOR UPDATE", schema.name);
    admin.execute(sqlx::raw_sql(AssertSqlSafe(lock))).await?;
    let waiting = tokio::spawn({
        let store = store.clone();
        async move { store.commit(write(&record("waits"))).await }
    });
    // Until the commit has the connection, reads get it.
    let busy = loop {
        if let Err(error) = store.tenant("acme").await {
            break error;
        }
    };
    assert_eq!(busy.kind(), ErrorKind::Unavailable);
    assert_eq!(busy.message(), "all connections of the database are busy");
    // The statement that waits for the lock is ended by the server.
    let late = waiting.await?.expect_err("the row is locked");
    assert_eq!(late.kind(), ErrorKind::Unavailable);
    admin.execute("ROLLBACK").await?;
    commit(&store, write(&record("again"))).await?;
    store.close().await?;
    Ok(())
}

#[tokio::test]
async fn text_that_the_database_cannot_hold_is_the_callers_error() -> TestResult {
    let Some(schema) = Schema::new() else { return Ok(()) };
    let store = schema.open().await?;
    let error = store.commit(write(&record("a\0b"))).await.expect_err("NUL");
    assert_eq!(error.kind(), ErrorKind::InvalidInput);
    assert!(!format!("{error:?}").contains("a\0b"));
    // The other change sets of a group are not taken with it.
    let (one, two, three) = (write(&record("one")), write(&record("two\0")), write(&record("three")));
    let (one, two, three) =
        futures_util::future::join3(store.commit(one), store.commit(two), store.commit(three)).await;
    assert!(matches!((one?, three?), (Outcome::Committed(_), Outcome::Committed(_))));
    assert!(two.is_err());
    store.close().await?;
    Ok(())
}
