//! Lite mode at 1 000, 10 000 and 100 000 memories: ingest, search, read, reopen, concurrent writers,
//! memory and disk.
//!
//! ```sh
//! cargo bench --bench lite --features embedded-lite            # 1k and 10k
//! cargo bench --bench lite --features embedded-lite -- --large # 100k as well
//! ```
//!
//! CPU is the process clock (all threads); wall time, with the disk's sync in it, stands beside it.
//! "given" memories come with 384-dimension vectors that cost nothing to make, "static" ones with the
//! built-in model.

use std::{
    collections::HashMap,
    path::Path,
    sync::Arc,
    time::{Duration, Instant},
};

use cml::{
    Memory, Result,
    embedded::{
        embed::StaticEmbedder,
        search::{
            IndexOptions, QueryContext, QueryPlan, RecordRow, SearchRequest, TenantIndex, TurnAnalysis,
            TurnRow,
        },
    },
    memory::{MemoryStatus, MemoryType},
    ops::{ReadRequest, WriteRequest},
    provider::{Embedder, Embedding, EmbeddingModel},
};
use cpu_time::ProcessTime;

use self::workload::{Random, texts, texts_and_queries};

/// Queries of each measurement.
const QUERIES: usize = 200;

/// Writers of the concurrent measurement, and what each writes one by one.
const WRITERS: usize = 64;
const WRITES: usize = 50;

mod workload;

#[tokio::main]
async fn main() -> Result<()> {
    let large = std::env::args().any(|argument| argument == "--large");
    let sizes: &[usize] = if large { &[1_000, 10_000, 100_000] } else { &[1_000, 10_000] };
    println!(
        "{:<8} {:>8} | {:>22} | {:>11} {:>12} | {:>12} | {:>8} {:>8}",
        "vectors", "memories", "ingest ms/memory", "search ms", "read ms", "reopen ms", "RSS MB", "disk MB"
    );
    println!(
        "{:<8} {:>8} | {:>10} {:>11} | {:>11} {:>12} | {:>12} | {:>8} {:>8}",
        "", "", "CPU", "wall", "CPU", "CPU", "CPU", "growth", ""
    );
    for &size in sizes {
        for given in [true, false] {
            measure(size, given).await?;
        }
    }
    writers().await
}

async fn measure(size: usize, given: bool) -> Result<()> {
    let (texts, queries) = texts_and_queries(size, QUERIES);
    let embedder: Arc<dyn Embedder> = if given {
        Arc::new(GivenVectors::new(texts.iter().chain(&queries)))
    } else {
        Arc::new(StaticEmbedder::new()?)
    };
    let folder = tempfile::tempdir().map_err(io)?;
    let file = folder.path().join("bench.db");
    let open = || Memory::lite().db_path(&file).embedder(Arc::clone(&embedder)).open();

    let resident = resident_mb();
    let memory = open().await?;
    let (cpu, wall) = (ProcessTime::now(), Instant::now());
    for batch in texts.chunks(500) {
        for written in memory.batch_write(batch.iter().map(String::as_str)).await? {
            written?;
        }
    }
    let per_memory = |time: Duration| time.as_secs_f64() * 1000.0 / size as f64;
    let ingest = (per_memory(cpu.elapsed()), per_memory(wall.elapsed()));

    memory.search("a first read builds the index").await?;
    let cpu = ProcessTime::now();
    for query in &queries {
        memory.search(ReadRequest::new(query).with_min_relevance(0.0)).await?;
    }
    let read = cpu.elapsed().as_secs_f64() * 1000.0 / QUERIES as f64;
    let growth = resident_mb() - resident;
    memory.close().await?;
    let disk = disk_mb(folder.path());

    let cpu = ProcessTime::now();
    let memory = open().await?;
    memory.search(&*queries[0]).await?;
    let reopen = cpu.elapsed().as_secs_f64() * 1000.0;
    memory.close().await?;

    let search = vector_search(&texts, &queries, embedder.as_ref()).await?;
    println!(
        "{:<8} {:>8} | {:>10.3} {:>11.3} | {:>11.3} {:>12.3} | {:>12.1} | {:>8.1} {:>8.1}",
        if given { "given" } else { "static" },
        size,
        ingest.0,
        ingest.1,
        search,
        read,
        reopen,
        growth,
        disk
    );
    Ok(())
}

/// CPU of one search by vector alone: the query's words are in no memory. In milliseconds.
async fn vector_search(texts: &[String], queries: &[String], embedder: &dyn Embedder) -> Result<f64> {
    let model = embedder.model();
    let mut index = TenantIndex::new(IndexOptions { dimensions: model.dimensions, additive: model.additive });
    for (at, text) in texts.iter().enumerate() {
        let turn = cml::MessageId::new();
        let vector = embedder.embed(&[text]).await?.pop();
        index.put_turn(&TurnRow {
            id: turn,
            namespace: "default".to_owned(),
            user: String::new(),
            session: String::new(),
            seq: 0,
            role: None,
            speaker: String::new(),
            said_at: at as i64,
            analysis: TurnAnalysis::of(text),
        });
        index.put_record(RecordRow {
            id: cml::MemoryId::new(),
            turn,
            chunk_index: 0,
            kind: MemoryType::EpisodicEvent,
            status: MemoryStatus::Active,
            agent: String::new(),
            tags: Vec::new(),
            metadata: None,
            event: None,
            valid_to: None,
            expires_at: None,
            superseded: false,
            written_at: at as i64,
            vector: vector.map(|embedding| (embedding.vector, embedding.norm)),
            context: None,
        });
    }
    let plan = QueryPlan::new(
        "xqzzv",
        &QueryContext {
            reference_time: chrono::DateTime::UNIX_EPOCH,
            timezone: chrono_tz::Tz::UTC,
            speaker: None,
            participants: &[],
            has_assistant: false,
            lexicon: None,
        },
    );
    let mut vectors = Vec::new();
    for query in queries {
        vectors.extend(embedder.embed(&[query]).await?);
    }
    let cpu = ProcessTime::now();
    for vector in &vectors {
        let result = index.search(&SearchRequest {
            plan: &plan,
            vector: Some(vector),
            visible: &|_, _| true,
            accept: &|_| true,
            session: None,
            prefer_session: None,
            limit: 10,
            boosts: &[],
            proposed: &[],
            statistics: None,
            explain: false,
        });
        assert_eq!(result.hits.len(), 10);
    }
    Ok(cpu.elapsed().as_secs_f64() * 1000.0 / vectors.len() as f64)
}

/// Many tasks that each write one memory after the other, every write durable.
async fn writers() -> Result<()> {
    let folder = tempfile::tempdir().map_err(io)?;
    let memory = Memory::lite().db_path(folder.path().join("bench.db")).await?;
    let texts = Arc::new(texts(WRITERS * WRITES));
    let (cpu, wall) = (ProcessTime::now(), Instant::now());
    let tasks: Vec<_> = (0..WRITERS)
        .map(|writer| {
            let (memory, texts) = (memory.clone(), Arc::clone(&texts));
            tokio::spawn(async move {
                let mut slowest = Duration::ZERO;
                for text in &texts[writer * WRITES..(writer + 1) * WRITES] {
                    let started = Instant::now();
                    memory.write(WriteRequest::new(text)).await?;
                    slowest = slowest.max(started.elapsed());
                }
                Ok::<_, cml::Error>(slowest)
            })
        })
        .collect();
    let mut slowest = Duration::ZERO;
    for task in tasks {
        let lost = |error| cml::Error::new(cml::ErrorKind::Internal, "a writer was lost").with_source(error);
        slowest = slowest.max(task.await.map_err(lost)??);
    }
    let count = (WRITERS * WRITES) as f64;
    println!(
        "\n{WRITERS} concurrent writers, {count} durable writes: {:.0} a second, {:.3} ms CPU each, slowest {:.1} ms",
        count / wall.elapsed().as_secs_f64(),
        cpu.elapsed().as_secs_f64() * 1000.0 / count,
        slowest.as_secs_f64() * 1000.0
    );
    memory.close().await
}

/// Vectors made beforehand, looked up by text.
#[derive(Debug)]
struct GivenVectors {
    model: EmbeddingModel,
    vectors: HashMap<String, Vec<f32>>,
}

impl GivenVectors {
    fn new<'a>(texts: impl Iterator<Item = &'a String>) -> Self {
        let mut random = Random(7);
        let vectors = texts.map(|text| (text.clone(), direction(&mut random, 384))).collect();
        Self { model: EmbeddingModel::new("given-384", 384), vectors }
    }
}

#[async_trait::async_trait]
impl Embedder for GivenVectors {
    fn model(&self) -> &EmbeddingModel {
        &self.model
    }

    async fn embed(&self, texts: &[&str]) -> Result<Vec<Embedding>> {
        let vector = |text: &&str| match self.vectors.get(*text) {
            Some(vector) => Embedding::from_unit(vector.clone(), 1.0),
            None => Embedding::from_unit(direction(&mut Random(text.len() as u64), 384), 1.0),
        };
        Ok(texts.iter().map(vector).collect())
    }
}

fn direction(random: &mut Random, dimensions: usize) -> Vec<f32> {
    let mut value = || (random.unit() + random.unit() + random.unit() - 1.5) as f32;
    Embedding::from_raw((0..dimensions).map(|_| value()).collect()).vector
}

fn resident_mb() -> f64 {
    let pages = std::fs::read_to_string("/proc/self/statm").unwrap_or_default();
    let resident = pages.split_whitespace().nth(1).and_then(|pages| pages.parse::<f64>().ok());
    resident.unwrap_or_default() * 4096.0 / 1e6
}

fn disk_mb(folder: &Path) -> f64 {
    let files = std::fs::read_dir(folder).into_iter().flatten().flatten();
    files.filter_map(|file| file.metadata().ok()).map(|file| file.len() as f64).sum::<f64>() / 1e6
}

fn io(error: std::io::Error) -> cml::Error {
    cml::Error::new(cml::ErrorKind::Unavailable, "no temporary folder").with_source(error)
}
