//! The same work on lite, standard and full, one after the other in one run.
//!
//! ```sh
//! exports=$(CML_PG_FSYNC=on scripts/services up) && eval "$exports"
//! cargo bench --bench stores --features embedded-lite,embedded-full            # 10 000 memories
//! cargo bench --bench stores --features embedded-lite,embedded-full -- --large # 100 000 as well
//! ```
//!
//! Every time is wall time as a caller sees it. Modes whose servers no variable names are left out and
//! named. Writes are durable on each: PostgreSQL is asked whether it syncs, and the answer printed.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use cml::{
    Config, Memory, Result, Subject,
    config::{Candidates, Mode, SecretString},
    ops::{ReadRequest, WriteRequest},
};

use self::workload::texts_and_queries;

mod workload;

/// Queries of each measurement.
const QUERIES: usize = 200;
/// Memories written one by one, and by each of the writers.
const SINGLE: usize = 300;
/// Writers of the concurrent measurement.
const WRITERS: usize = 8;

#[tokio::main]
async fn main() -> Result<()> {
    let large = std::env::args().any(|argument| argument == "--large");
    let sizes: &[usize] = if large { &[10_000, 100_000] } else { &[10_000] };
    println!(
        "{:<18} {:>8} | {:>10} {:>10} {:>12} | {:>9} {:>9} | {:>10}",
        "mode", "memories", "single ms", "batch ms", "8 writers /s", "read p50", "read p95", "reopen ms"
    );
    for &size in sizes {
        for place in places()? {
            measure(&place, size).await?;
        }
    }
    Ok(())
}

/// A mode to measure.
struct Place {
    name: &'static str,
    config: Config,
    _folder: Option<tempfile::TempDir>,
}

fn places() -> Result<Vec<Place>> {
    let folder = tempfile::tempdir().map_err(io)?;
    let mut lite = Config::default();
    lite.db_path = Some(folder.path().join("bench.db"));
    let mut places = vec![Place { name: "lite", config: lite, _folder: Some(folder) }];
    let Some(url) = variable("CML_TEST_POSTGRES_URL") else {
        println!("standard, full: not measured, CML_TEST_POSTGRES_URL is not set");
        return Ok(places);
    };
    let mut standard = Config::default();
    standard.mode = Mode::Standard;
    standard.postgres.url = Some(SecretString::new(url));
    standard.postgres.schema = "cml_bench".to_owned();
    let mut database = standard.clone();
    database.engine.candidates = Candidates::Database;
    let full = variable("CML_TEST_NEO4J_URL").zip(variable("CML_TEST_REDIS_URL")).map(|(neo4j, redis)| {
        let mut full = standard.clone();
        full.mode = Mode::Full;
        full.postgres.schema = "cml_bench_full".to_owned();
        full.neo4j.url = Some(neo4j);
        full.neo4j.user = variable("CML_TEST_NEO4J_USER").unwrap_or(full.neo4j.user);
        full.neo4j.password = variable("CML_TEST_NEO4J_PASSWORD").map(SecretString::new).unwrap_or_default();
        full.redis.url = Some(SecretString::new(redis));
        full
    });
    places.push(Place { name: "standard", config: standard, _folder: None });
    places.push(Place { name: "standard, database", config: database, _folder: None });
    match full {
        Some(config) => places.push(Place { name: "full", config, _folder: None }),
        None => println!("full: not measured, CML_TEST_NEO4J_URL or CML_TEST_REDIS_URL is not set"),
    }
    Ok(places)
}

async fn measure(place: &Place, size: usize) -> Result<()> {
    let (texts, queries) = texts_and_queries(size, QUERIES);
    let memory = Memory::connect(&place.config).await?;
    memory.erase(Subject::Tenant).await?;

    let started = Instant::now();
    for batch in texts.chunks(500) {
        for written in memory.batch_write(batch.iter().map(String::as_str)).await? {
            written?;
        }
    }
    let batch = millis(started.elapsed()) / size as f64;

    let mut reads = Vec::with_capacity(QUERIES);
    memory.search("a first read builds the index").await?;
    for query in &queries {
        let started = Instant::now();
        memory.search(ReadRequest::new(query).with_min_relevance(0.0)).await?;
        reads.push(millis(started.elapsed()));
    }
    reads.sort_by(f64::total_cmp);

    let started = Instant::now();
    for (n, text) in texts.iter().take(SINGLE).enumerate() {
        memory.write(WriteRequest::new(format!("A single memory, number {n}, about {text}"))).await?;
    }
    let single = millis(started.elapsed()) / SINGLE as f64;
    let together = writers(&memory, &texts).await?;
    memory.close().await?;

    let started = Instant::now();
    let memory = Memory::connect(&place.config).await?;
    memory.search(&*queries[0]).await?;
    let reopen = millis(started.elapsed());
    memory.erase(Subject::Tenant).await?;
    memory.close().await?;
    println!(
        "{:<18} {:>8} | {:>10.2} {:>10.3} {:>12.0} | {:>9.2} {:>9.2} | {:>10.0}",
        place.name,
        size,
        single,
        batch,
        together,
        reads[QUERIES / 2],
        reads[QUERIES * 95 / 100],
        reopen
    );
    Ok(())
}

/// Writes a second by several tasks that each write one memory after the other.
async fn writers(memory: &Memory, texts: &[String]) -> Result<f64> {
    let started = Instant::now();
    let texts = Arc::new(texts[..SINGLE].to_vec());
    let tasks: Vec<_> = (0..WRITERS)
        .map(|writer| {
            let (memory, texts) = (memory.clone(), Arc::clone(&texts));
            tokio::spawn(async move {
                for (n, text) in texts.iter().enumerate() {
                    memory.write(WriteRequest::new(format!("Writer {writer}, number {n}: {text}"))).await?;
                }
                Ok::<_, cml::Error>(())
            })
        })
        .collect();
    for task in tasks {
        let lost = |error| cml::Error::new(cml::ErrorKind::Internal, "a writer was lost").with_source(error);
        task.await.map_err(lost)??;
    }
    Ok((WRITERS * SINGLE) as f64 / started.elapsed().as_secs_f64())
}

fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

fn millis(time: Duration) -> f64 {
    time.as_secs_f64() * 1000.0
}

fn io(error: std::io::Error) -> cml::Error {
    cml::Error::new(cml::ErrorKind::Unavailable, "no temporary folder").with_source(error)
}
