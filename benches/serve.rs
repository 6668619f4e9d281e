//! `cml serve` under load: durable writes, reads and a mix over 1, 8 and 64 connections.
//!
//! ```sh
//! cargo bench --bench serve               # 10 000 memories
//! cargo bench --bench serve -- --quick    # 1 000 memories, a fifth of the requests
//! ```
//!
//! The server is a process of its own, the `cml` that `CML_BIN` names or else the one that cargo built with
//! the bench, with a file in a temporary folder, the built-in model and no log of requests. The client is
//! one thread with one task per connection, HTTP/1.1 with keep-alive, so that it leaves the server a core.
//! Latency is from the first byte sent to the last one received. CPU and memory are the server's, from
//! `/proc`.

#[path = "serve/client.rs"]
mod client;
#[path = "serve/process.rs"]
mod process;
#[path = "../examples/support/serve.rs"]
mod serve;
#[path = "serve/texts.rs"]
mod texts;

use std::{
    error::Error,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use serde_json::json;

use crate::{
    client::{Connection, Request},
    serve::Server,
    texts::Texts,
};

type BenchResult<T = ()> = Result<T, Box<dyn Error + Send + Sync>>;

/// Memories of one `POST /memory/write_batch`.
const BATCH: usize = 500;

/// Wait between two looks at `/health`.
const HEALTH_PAUSE: Duration = Duration::from_millis(5);

#[derive(Debug, Clone, Copy)]
enum Work {
    Write,
    Read,
    Mixed,
}

impl Work {
    fn name(self) -> &'static str {
        match self {
            Self::Write => "write",
            Self::Read => "read",
            Self::Mixed => "mixed",
        }
    }

    /// Request number `n`; a mix is one write to three reads.
    fn request(self, n: usize, texts: &mut Texts) -> Request {
        let writes = match self {
            Self::Write => true,
            Self::Read => false,
            Self::Mixed => n.is_multiple_of(4),
        };
        if writes {
            Request::post("/api/v1/memory/write", &json!({ "content": texts.statement() }))
        } else {
            Request::post("/api/v1/memory/read", &json!({ "query": texts.question(), "max_results": 10 }))
        }
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> BenchResult {
    let quick = std::env::args().any(|argument| argument == "--quick");
    let size = if quick { 1_000 } else { 10_000 };
    let server = Server::start(process::binary())?;
    let address = server.address()?;
    let mut texts = Texts::new();

    let (cpu, started) = (server.cpu(), Instant::now());
    let mut connection = Connection::open(address).await?;
    for _ in 0..size / BATCH {
        let turns: Vec<_> = (0..BATCH).map(|_| json!({ "content": texts.statement() })).collect();
        connection.send(&Request::post("/api/v1/memory/write_batch", &json!({ "turns": turns }))).await?;
    }
    let wall = started.elapsed().as_secs_f64();
    println!(
        "{size} memories in batches of {BATCH}: {:.0} a second, {:.3} ms CPU each, {:.0} MB resident",
        size as f64 / wall,
        ms(server.cpu() - cpu) / size as f64,
        server.resident_mb()
    );
    // The first read builds the index.
    connection.send(&Work::Read.request(0, &mut texts)).await?;

    println!(
        "\n{:>11} {:<6} {:>8} {:>10} {:>8} {:>8} {:>8} {:>12} {:>7}",
        "connections", "work", "requests", "a second", "p50 ms", "p99 ms", "max ms", "CPU ms each", "RSS MB"
    );
    for connections in [1, 8, 64] {
        for work in [Work::Write, Work::Read, Work::Mixed] {
            let count = (connections * 100).max(1_000) / if quick { 5 } else { 1 };
            let watched = (connections == 64 && matches!(work, Work::Write)).then(|| Health::watch(address));
            drive(&server, &mut texts, connections, work, count).await?;
            if let Some(health) = watched {
                health.report()?;
            }
        }
    }
    server.stop()
}

/// Sends `count` requests over `connections` connections and prints how that went.
async fn drive(
    server: &Server,
    texts: &mut Texts,
    connections: usize,
    work: Work,
    count: usize,
) -> BenchResult {
    let each = count / connections;
    let mut lanes = Vec::new();
    for _ in 0..connections {
        let requests: Vec<_> = (0..each).map(|n| work.request(n, texts)).collect();
        lanes.push((Connection::open(server.address()?).await?, requests));
    }
    let (cpu, started) = (server.cpu(), Instant::now());
    let tasks: Vec<_> =
        lanes.into_iter().map(|(connection, requests)| tokio::spawn(lane(connection, requests))).collect();
    let mut latencies = Vec::with_capacity(count);
    for task in tasks {
        latencies.extend(task.await??);
    }
    let (wall, cpu) = (started.elapsed().as_secs_f64(), server.cpu() - cpu);
    latencies.sort_unstable();
    println!(
        "{connections:>11} {:<6} {:>8} {:>10.0} {:>8.2} {:>8.2} {:>8.2} {:>12.3} {:>7.0}",
        work.name(),
        latencies.len(),
        latencies.len() as f64 / wall,
        ms(quantile(&latencies, 0.5)),
        ms(quantile(&latencies, 0.99)),
        ms(quantile(&latencies, 1.0)),
        ms(cpu) / latencies.len() as f64,
        server.resident_mb()
    );
    Ok(())
}

async fn lane(mut connection: Connection, requests: Vec<Request>) -> BenchResult<Vec<Duration>> {
    let mut latencies = Vec::with_capacity(requests.len());
    for request in &requests {
        let started = Instant::now();
        connection.send(request).await?;
        latencies.push(started.elapsed());
    }
    Ok(latencies)
}

/// Asks for `/health` again and again, from a thread of its own, until it is told to report.
struct Health {
    stop: Arc<AtomicBool>,
    thread: thread::JoinHandle<BenchResult<Vec<Duration>>>,
}

impl Health {
    fn watch(address: SocketAddr) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let thread = thread::spawn(move || {
            let mut latencies = Vec::new();
            let mut connection = client::Blocking::open(address)?;
            while !stopped.load(Ordering::Relaxed) {
                let started = Instant::now();
                connection.send(&Request::get("/api/v1/health"))?;
                latencies.push(started.elapsed());
                thread::sleep(HEALTH_PAUSE);
            }
            Ok(latencies)
        });
        Self { stop, thread }
    }

    fn report(self) -> BenchResult {
        self.stop.store(true, Ordering::Relaxed);
        let mut latencies = self.thread.join().map_err(|_panic| "the watch over /health was lost")??;
        latencies.sort_unstable();
        println!(
            "{:>11} {:<6} {:>8} {:>10} {:>8.2} {:>8.2} {:>8.2}   beside the 64 writers",
            1,
            "health",
            latencies.len(),
            "",
            ms(quantile(&latencies, 0.5)),
            ms(quantile(&latencies, 0.99)),
            ms(quantile(&latencies, 1.0))
        );
        Ok(())
    }
}

fn ms(time: Duration) -> f64 {
    time.as_secs_f64() * 1000.0
}

/// The value that a share of `sorted` does not exceed; zero where there is none.
fn quantile(sorted: &[Duration], share: f64) -> Duration {
    let rank = (sorted.len() as f64 * share).ceil() as usize;
    sorted.get(rank.saturating_sub(1)).copied().unwrap_or_default()
}
