//! What Neo4j's absence and refusals look like. A timeout around a test only guards against hanging.

use std::{
    future::Future,
    net::SocketAddr,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use cml_core::{Error, ErrorKind, config::SecretString};
use cml_embedded::store::{
    GraphProjection, GraphStore,
    neo4j::{Neo4jGraph, Neo4jOptions},
};
use tokio::{
    io::{AsyncWriteExt, copy_bidirectional},
    net::{TcpListener, TcpStream},
    task::{AbortHandle, JoinHandle},
};
use uuid::Uuid;

use super::{
    fixtures::{Sketch, TestResult, names, scope},
    neo4j::options,
};

async fn guarded<T>(work: impl Future<Output = TestResult<T>>) -> TestResult<T> {
    tokio::time::timeout(Duration::from_secs(120), work).await?
}

/// Options of a server on the loopback that nobody needs to know.
fn at(address: SocketAddr) -> Neo4jOptions {
    Neo4jOptions::new(format!("bolt://{address}"), "neo4j", SecretString::new("a-secret-password"))
}

async fn refusal(options: Neo4jOptions) -> TestResult<Error> {
    let graph = Neo4jGraph::new(options)?;
    let read = graph.stats(None).await.err().ok_or("a read succeeded")?;
    let written = graph.clear("nobody").await.err().ok_or("a write succeeded")?;
    assert_eq!((written.kind(), written.message()), (read.kind(), read.message()));
    assert!(!format!("{read:?} {written:?} {graph:?}").contains("a-secret"));
    Ok(read)
}

#[tokio::test]
async fn a_closed_port_is_unavailable_at_once() -> TestResult {
    let address = TcpListener::bind("127.0.0.1:0").await?.local_addr()?;
    let options = at(address).with_timeout(Duration::from_secs(3_600));
    assert_eq!(guarded(refusal(options)).await?.kind(), ErrorKind::Unavailable);
    Ok(())
}

#[tokio::test]
async fn a_server_that_does_not_answer_is_unavailable_after_the_timeout() -> TestResult {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let options = at(listener.local_addr()?).with_timeout(Duration::from_millis(100));
    let error = guarded(refusal(options)).await?;
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    assert!(error.message().contains("100 ms"), "{error}");
    Ok(())
}

#[tokio::test]
async fn another_protocol_names_the_url() -> TestResult {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    let server = tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let _ = stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").await;
        }
    });
    let error = guarded(refusal(at(address))).await?;
    assert_eq!(error.kind(), ErrorKind::Config);
    assert!(error.message().starts_with("neo4j.url"), "{error}");
    server.abort();
    Ok(())
}

#[tokio::test]
async fn a_wrong_password_names_the_option_and_is_not_tried_again_at_once() -> TestResult {
    let Some(mut options) = options() else { return Ok(()) };
    // A user of the test's own: the server locks out who fails too often.
    options.user = format!("user-{}", Uuid::now_v7());
    options.password = SecretString::new("a-secret-password");
    let graph = Neo4jGraph::new(options.clone())?;
    for _ in 0..20 {
        let error = guarded(async { Ok(graph.stats(None).await.err()) }).await?.ok_or("it was let in")?;
        assert_eq!(error.kind(), ErrorKind::Config);
        assert!(error.message().starts_with("neo4j.password"), "{error}");
        assert!(error.suggestion().is_some());
    }
    guarded(refusal(options)).await?;
    Ok(())
}

#[tokio::test]
async fn an_unknown_database_is_named() -> TestResult {
    let Some(options) = options() else { return Ok(()) };
    let error = guarded(refusal(options.with_database("nowhere-at-all"))).await?;
    assert_eq!(error.kind(), ErrorKind::Config);
    assert!(error.message().starts_with("neo4j.database"), "{error}");
    Ok(())
}

#[tokio::test]
async fn it_connects_again_by_itself() -> TestResult {
    let Some(mut options) = options() else { return Ok(()) };
    let server = options.url.split("://").last().unwrap_or_default().to_owned();
    let mut proxy = Proxy::open("127.0.0.1:0", server.clone()).await?;
    let address = proxy.address;
    options.url = format!("bolt://{address}");
    let graph = Neo4jGraph::new(options)?;
    let tenant = format!("t {}", Uuid::now_v7());
    let mut sketch = Sketch::new(&tenant);
    sketch.entity("Ana");
    guarded(async {
        graph.apply(&tenant, &sketch.rows).await?;
        // Cut connections are replaced before anyone notices.
        for _ in 0..3 {
            proxy.cut();
            graph.apply(&tenant, &sketch.rows).await?;
            assert_eq!(names(&graph.overview(&scope(&tenant)?, 10).await?), ["Ana"]);
        }
        proxy.close().await;
        for _ in 0..3 {
            let error = graph.apply(&tenant, &sketch.rows).await.err().ok_or("it reached a closed port")?;
            assert_eq!(error.kind(), ErrorKind::Unavailable);
        }
        proxy = Proxy::open(&address.to_string(), server).await?;
        graph.apply(&tenant, &sketch.rows).await?;
        assert_eq!(names(&graph.overview(&scope(&tenant)?, 10).await?), ["Ana"]);
        {
            while !graph.clear(&tenant).await? {}
            Ok(())
        }
    })
    .await
}

#[tokio::test]
async fn a_caller_that_goes_away_leaves_nothing_half_done() -> TestResult {
    let Some(options) = options() else { return Ok(()) };
    let graph = Neo4jGraph::new(options.with_max_connections(1))?;
    let tenant = format!("t {}", Uuid::now_v7());
    let mut sketch = Sketch::new(&tenant);
    sketch.entity("Ana");
    guarded(async {
        graph.ping().await?;
        for _ in 0..5 {
            let mut call = Box::pin(graph.apply(&tenant, &sketch.rows));
            // Once: it is on its way, and dropped.
            assert!(futures_util::poll!(&mut call).is_pending());
        }
        graph.apply(&tenant, &sketch.rows).await?;
        assert_eq!(names(&graph.overview(&scope(&tenant)?, 10).await?), ["Ana"]);
        {
            while !graph.clear(&tenant).await? {}
            Ok(())
        }
    })
    .await
}

/// A port in front of the server, whose connections can be cut.
struct Proxy {
    address: SocketAddr,
    accepting: JoinHandle<()>,
    connections: Arc<Mutex<Vec<AbortHandle>>>,
}

impl Proxy {
    async fn open(address: &str, server: String) -> TestResult<Self> {
        let listener = TcpListener::bind(address).await?;
        let address = listener.local_addr()?;
        let connections = Arc::new(Mutex::new(Vec::new()));
        let opened = Arc::clone(&connections);
        let accepting = tokio::spawn(async move {
            while let Ok((mut near, _)) = listener.accept().await {
                let server = server.clone();
                let task = tokio::spawn(async move {
                    if let Ok(mut far) = TcpStream::connect(server).await {
                        let _ = copy_bidirectional(&mut near, &mut far).await;
                    }
                });
                opened.lock().unwrap_or_else(PoisonError::into_inner).push(task.abort_handle());
            }
        });
        Ok(Self { address, accepting, connections })
    }

    fn cut(&self) {
        self.connections
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .drain(..)
            .for_each(|task| task.abort());
    }

    /// Lets the port go.
    async fn close(&mut self) {
        self.accepting.abort();
        let _ = (&mut self.accepting).await;
        self.cut();
    }
}
