//! A server that misbehaves, seen through [`Memory`].
//!
//! The server speaks HTTP by hand, so that it can break it: it answers health and key checks properly and
//! everything else as a test says.

use std::{
    error::Error as StdError,
    fmt::Write as _,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, SystemTime},
};

use cml::{
    BoxStream, Error, ErrorKind, Memory, MemoryBuilder, Result,
    memory::MemoryItem,
    ops::{CreateSession, ForgetRequest, ReadRequest, UpdateRequest, WriteRequest},
};
use futures_util::TryStreamExt as _;
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
};
use tracing::{
    Event, Id, Metadata, Subscriber,
    field::{Field, Visit},
    span::{Attributes, Record},
};

type TestResult<T = ()> = std::result::Result<T, Box<dyn StdError>>;

const ID: &str = "0198c0de-0000-7000-8000-000000000001";
const KEY: &str = "sk-live-0123456789";

/// A request as it arrived.
#[derive(Debug, Clone)]
struct Asked {
    /// Method and path below `/api/v1`.
    route: String,
    request_id: String,
    body: Value,
}

/// What the server does with a request.
enum Fault {
    /// Bytes, then the connection is closed.
    Raw(Vec<u8>),
    /// These bytes again and again until the client hangs up.
    Endless(Vec<u8>, Vec<u8>),
    /// Nothing; the connection stays open.
    Silence(Vec<u8>),
}

fn answer(status: &str, headers: &[&str], body: &str) -> Fault {
    let mut head = format!("HTTP/1.1 {status}\r\ncontent-length: {}\r\nconnection: close\r\n", body.len());
    for header in headers {
        head.push_str(header);
        head.push_str("\r\n");
    }
    if !headers.iter().any(|header| header.starts_with("content-type")) {
        head.push_str("content-type: application/json\r\n");
    }
    Fault::Raw(format!("{head}\r\n{body}").into_bytes())
}

fn found() -> Fault {
    let item = json!({
        "id": ID, "text": "tea", "type": "preference", "confidence": 1.0, "relevance": 0.5,
        "timestamp": "2026-05-07T10:00:00Z"
    });
    let body = json!({"query": "q", "memories": [item], "total_count": 1, "elapsed_ms": 0.5});
    answer("200 OK", &[], &body.to_string())
}

fn written() -> Fault {
    let body = json!({"success": true, "memory_id": ID, "chunks_created": 1, "message": "stored"});
    answer("200 OK", &[], &body.to_string())
}

/// What the server says of itself.
#[derive(Clone, Copy)]
struct Identity {
    version: &'static str,
    capability: &'static str,
}

const OURS: Identity = Identity { version: env!("CARGO_PKG_VERSION"), capability: "idempotency" };

/// What it takes to be a server of ours.
fn introduction(route: &str, identity: Identity) -> Option<Fault> {
    let body = match route {
        "GET /health" => json!({
            "status": "healthy", "timestamp": "2026-01-01T00:00:00Z", "version": identity.version,
            "backend": "embedded", "mode": "lite", "components": [],
            "capabilities": [identity.capability]
        }),
        "GET /whoami" => json!({"tenant_id": "default", "admin": true}),
        _ => return None,
    };
    Some(answer("200 OK", &[], &body.to_string()))
}

struct Server {
    url: String,
    asked: Arc<Mutex<Vec<Asked>>>,
}

impl Server {
    /// A server with idempotency that answers request number `n` (from 0) by `fault(n)`.
    async fn start(fault: impl Fn(usize) -> Fault + Send + Sync + 'static) -> TestResult<Self> {
        Self::start_as(OURS, fault).await
    }

    async fn start_as(
        identity: Identity,
        fault: impl Fn(usize) -> Fault + Send + Sync + 'static,
    ) -> TestResult<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let url = format!("http://{}", listener.local_addr()?);
        let asked: Arc<Mutex<Vec<Asked>>> = Arc::default();
        let log = Arc::clone(&asked);
        let fault = Arc::new(fault);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (log, fault) = (Arc::clone(&log), Arc::clone(&fault));
                tokio::spawn(async move {
                    // A client that hangs up ends its connection only.
                    let _hung_up = serve(stream, identity, &log, fault.as_ref()).await;
                });
            }
        });
        Ok(Self { url, asked })
    }

    fn memory(&self) -> MemoryBuilder {
        let memory = Memory::http(&self.url).api_key(KEY).admin_api_key(format!("{KEY}-admin"));
        memory.timeout(Duration::from_secs(20)).retry_delay(Duration::ZERO)
    }

    /// Everything asked but for health and keys.
    fn asked(&self) -> Vec<Asked> {
        self.asked.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

async fn serve(
    mut stream: TcpStream,
    identity: Identity,
    log: &Mutex<Vec<Asked>>,
    fault: &(impl Fn(usize) -> Fault + Sync),
) -> std::io::Result<()> {
    let asked = take(&mut stream).await?;
    let fault = introduction(&asked.route, identity).unwrap_or_else(|| {
        let mut log = log.lock().unwrap_or_else(PoisonError::into_inner);
        log.push(asked);
        fault(log.len() - 1)
    });
    match fault {
        Fault::Raw(bytes) => stream.write_all(&bytes).await?,
        Fault::Endless(head, chunk) => {
            stream.write_all(&head).await?;
            loop {
                stream.write_all(&chunk).await?;
            }
        }
        Fault::Silence(head) => {
            stream.write_all(&head).await?;
            let mut rest = [0; 64];
            while stream.read(&mut rest).await? > 0 {}
        }
    }
    stream.shutdown().await
}

async fn take(stream: &mut TcpStream) -> std::io::Result<Asked> {
    let mut bytes = Vec::new();
    let mut chunk = [0; 4096];
    let (head, body) = loop {
        let text = String::from_utf8_lossy(&bytes).into_owned();
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let length = field(head, "content-length").and_then(|length| length.parse().ok()).unwrap_or(0);
            if body.len() >= length {
                break (head.to_owned(), body.to_owned());
            }
        }
        let read = stream.read(&mut chunk).await?;
        if read == 0 {
            return Err(std::io::ErrorKind::UnexpectedEof.into());
        }
        bytes.extend_from_slice(&chunk[..read]);
    };
    let mut words = head.split_whitespace();
    let (method, path) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
    let path = path.split('?').next().unwrap_or_default().trim_start_matches("/api/v1");
    Ok(Asked {
        route: format!("{method} {path}"),
        request_id: field(&head, "x-request-id").unwrap_or_default(),
        body: serde_json::from_str(&body).unwrap_or_default(),
    })
}

fn field(head: &str, name: &str) -> Option<String> {
    head.lines().find_map(|line| {
        let (key, value) = line.split_once(':')?;
        key.eq_ignore_ascii_case(name).then(|| value.trim().to_owned())
    })
}

async fn read_fails(fault: impl Fn(usize) -> Fault + Send + Sync + 'static) -> TestResult<(Error, usize)> {
    let server = Server::start(fault).await?;
    let memory = server.memory().await?;
    let error = memory.read("q").await.err().ok_or("the read succeeded")?;
    assert_eq!(error.operation(), Some("read"));
    Ok((error, server.asked().len()))
}

#[tokio::test]
async fn a_slow_server_is_a_timeout_and_asked_again() -> TestResult {
    let server = Server::start(|_| Fault::Silence(Vec::new())).await?;
    let memory = server.memory().timeout(Duration::from_millis(60)).max_retries(2).await?;
    // The client's first calls may be slow as well; they are answered, so they pass in the end.
    let error = memory.read("q").await.err().ok_or("the read succeeded")?;
    assert_eq!((error.kind(), error.operation()), (ErrorKind::Timeout, Some("read")));
    assert!(error.is_retryable() && error.suggestion().is_some());
    assert!(memory.read_safe("q").await?.warnings.len() == 1);
    Ok(())
}

#[tokio::test]
async fn a_body_that_stops_is_a_timeout() -> TestResult {
    let head = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 100\r\n\r\n{\"query\"";
    let server = Server::start(|_| Fault::Silence(head.to_vec())).await?;
    let memory = server.memory().timeout(Duration::from_millis(60)).max_retries(0).await?;
    let error = memory.read("q").await.err().ok_or("the read succeeded")?;
    assert_eq!(error.kind(), ErrorKind::Timeout, "{error:?}");
    Ok(())
}

#[tokio::test]
async fn a_cut_body_is_read_again_and_then_unavailable() -> TestResult {
    let cut = || {
        Fault::Raw(
            b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 100\r\n\r\n{\"que"
                .to_vec(),
        )
    };
    let (error, attempts) = read_fails(move |_| cut()).await?;
    assert_eq!((error.kind(), attempts), (ErrorKind::Unavailable, 4), "{error:?}");
    let server = Server::start(move |n| if n == 0 { cut() } else { found() }).await?;
    assert_eq!(server.memory().await?.read("q").await?.memories[0].text, "tea");
    Ok(())
}

#[tokio::test]
async fn an_answer_that_is_none_is_not_asked_for_again() -> TestResult {
    for (headers, body) in [
        (vec!["content-type: text/html"], "<html>Welcome, secret guest</html>"),
        (vec![], "{\"query\": secret"),
        (vec![], "[\"secret\"]"),
        (vec![], ""),
    ] {
        let (error, attempts) = read_fails(move |_| answer("200 OK", &headers, body)).await?;
        assert_eq!((error.kind(), attempts, error.status()), (ErrorKind::Internal, 1, Some(200)), "{body}");
        assert_eq!(error.body(), Some(body));
        assert!(error.suggestion().is_some_and(|text| text.contains("base_url")));
        assert!(!format!("{error}").contains("secret"), "{error}");
    }
    Ok(())
}

#[tokio::test]
async fn a_storm_of_429_is_waited_out() -> TestResult {
    let past = "retry-after: Sun, 06 Nov 1994 08:49:37 GMT";
    let server = Server::start(move |n| match n {
        0 => answer("429 Too Many Requests", &["retry-after: 0"], r#"{"detail": "slow down"}"#),
        1 => answer("429 Too Many Requests", &[past], r#"{"detail": "slow down", "code": "rate_limited"}"#),
        2 => answer("429 Too Many Requests", &[], r#"{"detail": "Rate limit exceeded. Try again later."}"#),
        _ => written(),
    })
    .await?;
    let memory = server.memory().await?;
    assert!(memory.remember("tea").await?.is_some());
    let asked = server.asked();
    assert_eq!(asked.len(), 4);
    assert!(asked.iter().all(|one| one.request_id == asked[0].request_id && !one.request_id.is_empty()));
    Ok(())
}

#[tokio::test]
async fn the_wait_that_a_server_asks_for_stays_on_the_error() -> TestResult {
    let later = httpdate(SystemTime::now() + Duration::from_secs(300));
    for (told, least, most) in [("120".to_owned(), 120, 120), (later, 200, 300)] {
        let server = Server::start(move |_| {
            let header = format!("retry-after: {told}");
            answer("429 Too Many Requests", &[&header, "x-request-id: r-7"], r#"{"detail": "slow down"}"#)
        })
        .await?;
        let error = server.memory().max_retries(0).await?.read("q").await.err().ok_or("an error")?;
        assert_eq!((error.kind(), error.status()), (ErrorKind::RateLimited, Some(429)));
        assert_eq!((error.request_id(), error.body()), (Some("r-7"), Some(r#"{"detail": "slow down"}"#)));
        let wait = error.retry_after().map(|wait| wait.as_secs()).ok_or("no wait")?;
        assert!((least..=most).contains(&wait), "{wait}");
    }
    Ok(())
}

/// The date as HTTP writes it: the RFC 2822 form with `GMT`.
fn httpdate(time: SystemTime) -> String {
    chrono::DateTime::<chrono::Utc>::from(time).format("%a, %d %b %Y %H:%M:%S GMT").to_string()
}

#[tokio::test]
async fn a_502_passes() -> TestResult {
    for status in ["502 Bad Gateway", "503 Service Unavailable", "504 Gateway Timeout"] {
        let server =
            Server::start(move |n| if n < 2 { answer(status, &[], "<html>") } else { found() }).await?;
        assert_eq!(server.memory().await?.read("q").await?.total_count, 1);
        assert_eq!(server.asked().len(), 3);
        let kind = if status.starts_with("504") { ErrorKind::Timeout } else { ErrorKind::Unavailable };
        let (error, attempts) = read_fails(move |_| answer(status, &[], "<html>")).await?;
        assert_eq!((error.kind(), attempts), (kind, 4));
    }
    Ok(())
}

#[tokio::test]
async fn what_will_not_pass_is_not_asked_again() -> TestResult {
    for (status, body, kind) in [
        ("501 Not Implemented", r#"{"detail": "no", "code": "unsupported"}"#, ErrorKind::Unsupported),
        ("500 Internal Server Error", r#"{"detail": "x", "code": "internal"}"#, ErrorKind::Internal),
        ("500 Internal Server Error", r#"{"detail": "x"}"#, ErrorKind::Internal),
        ("401 Unauthorized", r#"{"detail": "Invalid API key"}"#, ErrorKind::Unauthenticated),
        (
            "422 Unprocessable Entity",
            r#"{"detail": [{"type": "t", "loc": ["body", "query"], "msg": "m"}]}"#,
            ErrorKind::InvalidInput,
        ),
    ] {
        let (error, attempts) = read_fails(move |_| answer(status, &[], body)).await?;
        assert_eq!((error.kind(), attempts), (kind, 1), "{status}");
    }
    Ok(())
}

#[tokio::test]
async fn an_endless_redirect_ends() -> TestResult {
    let (error, attempts) =
        read_fails(|_| answer("307 Temporary Redirect", &["location: /api/v1/memory/read"], "")).await?;
    assert_eq!((error.kind(), error.status()), (ErrorKind::Config, Some(307)), "{error:?}");
    assert_eq!(attempts, 6);
    assert!(error.message().starts_with("base_url: "));
    Ok(())
}

#[tokio::test]
async fn a_redirect_to_another_server_carries_no_key_there() -> TestResult {
    let other = Server::start(|_| found()).await?;
    let location = format!("location: {}/api/v1/memory/read", other.url);
    for status in ["307 Temporary Redirect", "302 Found"] {
        let location = location.clone();
        let (error, attempts) = read_fails(move |_| answer(status, &[&location], "")).await?;
        assert_eq!((error.kind(), attempts), (ErrorKind::Config, 1));
    }
    assert!(other.asked().is_empty());
    Ok(())
}

#[tokio::test]
async fn a_huge_body_is_refused_and_not_kept() -> TestResult {
    let announced =
        b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 9000000000\r\n\r\n";
    let endless = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\nconnection: close\r\n\r\n";
    for head in [announced.to_vec(), endless.to_vec()] {
        let (error, attempts) =
            read_fails(move |_| Fault::Endless(head.clone(), vec![b' '; 1 << 20])).await?;
        assert_eq!((error.kind(), attempts), (ErrorKind::Internal, 1), "{error:?}");
        assert!(error.message().contains("larger than 64 MiB") && error.body().is_none(), "{error}");
    }
    let failure = b"HTTP/1.1 500 Oops\r\nconnection: close\r\n\r\n";
    let (error, _) = read_fails(|_| Fault::Endless(failure.to_vec(), vec![b'x'; 1 << 20])).await?;
    assert!(error.body().is_some_and(|body| body.len() <= 64 << 10));
    Ok(())
}

#[tokio::test]
async fn a_refused_connection_is_unavailable() -> TestResult {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let url = format!("http://{}", listener.local_addr()?);
    drop(listener);
    let memory = Memory::http(url).retry_delay(Duration::ZERO).await?;
    let error = memory.remember("tea").await.err().ok_or("an error")?;
    assert_eq!((error.kind(), error.operation()), (ErrorKind::Unavailable, Some("write")));
    assert!(error.suggestion().is_some_and(|text| text.contains("base_url")), "{error}");
    assert_eq!(memory.read_safe("q").await?.warnings.len(), 1);
    assert_eq!(memory.health().await.err().map(|error| error.kind()), Some(ErrorKind::Unavailable));
    Ok(())
}

#[tokio::test]
async fn a_stream_that_breaks_ends_with_an_error() -> TestResult {
    let head = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n";
    let item = json!({
        "id": ID, "text": "tea", "type": "preference", "confidence": 1.0, "relevance": 0.5,
        "timestamp": "2026-05-07T10:00:00Z"
    });
    let told = r#"{"detail": "the store is away", "code": "unavailable"}"#;
    for (rest, kind) in [
        (format!("\r\ndata: {item}\n\ndata: {{\"id\""), ErrorKind::Unavailable),
        (format!("content-length: 9999\r\n\r\ndata: {item}\n\n"), ErrorKind::Unavailable),
        (format!("\r\ndata: {item}\n\nevent: error\ndata: {told}\n\n"), ErrorKind::Unavailable),
        (format!("\r\ndata: {item}\n\nevent: error\ndata: {{\"detail\": \"x\"}}\n\n"), ErrorKind::Internal),
        (format!("\r\ndata: {item}\n\ndata: nonsense\n\n"), ErrorKind::Internal),
    ] {
        let text = format!("{head}{rest}");
        let server = Server::start(move |_| Fault::Raw(text.clone().into_bytes())).await?;
        let mut stream: BoxStream<'static, Result<MemoryItem>> =
            server.memory().await?.read_stream("q").await?;
        assert_eq!(stream.try_next().await?.map(|item| item.text).as_deref(), Some("tea"));
        let error = stream.try_next().await.err().ok_or("no error")?;
        assert_eq!((error.kind(), error.operation()), (kind, Some("read_stream")), "{rest}");
        assert!(stream.try_next().await?.is_none(), "the error is the last item");
    }
    Ok(())
}

#[tokio::test]
async fn a_stream_that_falls_silent_is_a_timeout() -> TestResult {
    let head = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\n: hello\n\n";
    let server = Server::start(|_| Fault::Silence(head.to_vec())).await?;
    let memory = server.memory().timeout(Duration::from_millis(60)).await?;
    let error = match memory.read_stream("q").await {
        Ok(mut stream) => stream.try_next().await.err().ok_or("no error")?,
        Err(error) => error,
    };
    assert_eq!(error.kind(), ErrorKind::Timeout);
    Ok(())
}

#[tokio::test]
async fn every_attempt_of_a_write_has_the_same_key() -> TestResult {
    let lost = |n: usize| if n < 3 { Fault::Raw(Vec::new()) } else { written() };
    let server = Server::start(lost).await?;
    assert!(server.memory().await?.remember("tea").await?.is_some());
    let asked = server.asked();
    assert_eq!(asked.len(), 4);
    assert!(asked.iter().all(|one| one.body["idempotency_key"] == asked[0].body["idempotency_key"]));
    assert!(asked[0].body["idempotency_key"].is_string());
    Ok(())
}

#[tokio::test]
async fn a_write_without_a_key_is_not_sent_twice() -> TestResult {
    let keyless = Identity { capability: "namespaces", ..OURS };
    for fault in [|| Fault::Raw(Vec::new()), || answer("503 Service Unavailable", &[], "")] {
        let server = Server::start_as(keyless, move |_| fault()).await?;
        let memory = server.memory().await?;
        let id = ID.parse()?;
        assert!(memory.write("tea").await.is_err());
        assert!(memory.batch_write(["a", "b"]).await.is_err());
        assert!(memory.update(UpdateRequest::new(id).with_text("x")).await.is_err());
        assert!(memory.forget(ForgetRequest::ids([id])).await.is_err());
        assert!(memory.create_session(CreateSession::new()).await.is_err());
        let routes: Vec<_> = server.asked().into_iter().map(|asked| asked.route).collect();
        let expected =
            ["write", "write_batch", "update", "forget"].map(|verb| format!("POST /memory/{verb}"));
        assert_eq!(routes[..4], expected);
        assert_eq!(routes[4..], ["POST /session/create"]);
    }
    // 429 says that nothing was done.
    let server = Server::start_as(keyless, |n| match n {
        0 => answer("429 Too Many Requests", &["retry-after: 0"], "{}"),
        _ => written(),
    })
    .await?;
    assert!(server.memory().await?.remember("tea").await?.is_some());
    Ok(())
}

/// Keeps everything that is logged, as text.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<String>>);

impl Log {
    fn add(&self, visit: impl FnOnce(&mut dyn Visit)) {
        visit(&mut Lines(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner)));
    }
}

struct Lines<'a>(&'a mut String);

impl Visit for Lines<'_> {
    fn record_debug(&mut self, field: &Field, value: &dyn std::fmt::Debug) {
        // Writing to a string does not fail.
        let _written = write!(self.0, " {field}={value:?}");
    }
}

impl Subscriber for Log {
    fn enabled(&self, _: &Metadata<'_>) -> bool {
        true
    }

    fn new_span(&self, span: &Attributes<'_>) -> Id {
        self.add(|lines| span.record(lines));
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, values: &Record<'_>) {
        self.add(|lines| values.record(lines));
    }

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn event(&self, event: &Event<'_>) {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push_str(&format!("\n{}", event.metadata().level()));
        self.add(|lines| event.record(lines));
    }

    fn enter(&self, _: &Id) {}

    fn exit(&self, _: &Id) {}
}

#[tokio::test]
async fn keys_and_texts_are_in_no_log_and_no_debug_text() -> TestResult {
    let log = Log::default();
    let guard = tracing::subscriber::set_default(log.clone());
    let server = Server::start(|n| match n {
        0 => answer("429 Too Many Requests", &["retry-after: 0"], "{}"),
        1 => answer("502 Bad Gateway", &[], "private answer"),
        2 => written(),
        _ => answer("500 Internal Server Error", &[], r#"{"detail": "private answer"}"#),
    })
    .await?;
    let builder = server.memory();
    let shown = format!("{builder:?}");
    let memory = builder.await?;
    memory.write(WriteRequest::new("a private text")).await?;
    let error = memory.read(ReadRequest::new("a private query")).await.err().ok_or("an error")?;
    drop(guard);

    let logged = log.0.lock().unwrap_or_else(PoisonError::into_inner).clone();
    for expected in ["path=\"/memory/write\"", "status=429", "method=POST", "WARN", " ms="] {
        assert!(logged.contains(expected), "{expected}: {logged}");
    }
    for text in [logged, shown, format!("{memory:?} {error} {error:?}")] {
        assert!(!text.contains("private") && !text.contains("sk-live"), "{text}");
    }
    Ok(())
}

#[tokio::test]
async fn a_server_of_another_version_is_warned_of_once() -> TestResult {
    for (version, warnings) in [(OURS.version, 0), ("99.0.0", 1), ("", 1)] {
        let log = Log::default();
        let guard = tracing::subscriber::set_default(log.clone());
        let server = Server::start_as(Identity { version, ..OURS }, |_| found()).await?;
        let memory = server.memory().await?;
        for _ in 0..2 {
            memory.read("q").await?;
        }
        drop(guard);
        let logged = log.0.lock().unwrap_or_else(PoisonError::into_inner).clone();
        assert_eq!(logged.matches("WARN").count(), warnings, "{version}: {logged}");
    }
    Ok(())
}
