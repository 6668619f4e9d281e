//! Runs an evaluation set through `Memory` and writes a run file for a scorer.
//!
//! ```sh
//! cargo run --release --example cml_eval --features embedded-lite -- \
//!     --corpus corpus.jsonl --queries queries.jsonl --run run.jsonl \
//!     [--model FOLDER] [--db FILE] [--asked-only] [--dump-features FILE]
//! ```
//!
//! The corpus has one turn a line (`id`, `scope`, `session`, `speaker`, `timestamp`, `text`), the queries
//! one question a line (`qid`, `scope`, `query`, `query_time`, perhaps `speaker`). Each scope becomes a
//! tenant. The run has `{"qid", "ranked"}` a line, best first. `--model` names a folder with an ONNX
//! model (feature `fastembed`); without it the built-in model is used. Scopes that no query asks about
//! are ingested as well unless `--asked-only` is given. `--dump-features` writes what `scripts/fit_weights.py`
//! reads: the features of every ranked turn, with whether the query lists it as `relevant`.

use std::{
    collections::{BTreeMap, HashMap},
    fs::File,
    io::{BufRead as _, BufReader, BufWriter, Write as _},
    path::{Path, PathBuf},
    time::Instant,
};

use cml::{
    Config, Error, ErrorKind, Memory, MemoryId, Result,
    config::EmbeddingProvider,
    memory::{MemoryItem, Role},
    ops::{ReadRequest, ReadResponse, WriteRequest},
    time::parse,
};
use serde::{Deserialize, de::DeserializeOwned};

/// Results asked for.
const RESULTS: usize = 200;

/// Turns written in one call.
const BATCH: usize = 500;

#[derive(Deserialize)]
struct Turn {
    id: String,
    scope: String,
    session: String,
    speaker: String,
    timestamp: String,
    text: String,
}

#[derive(Deserialize)]
struct Query {
    qid: String,
    scope: String,
    query: String,
    query_time: String,
    speaker: Option<String>,
    /// Read for `--dump-features` only.
    #[serde(default)]
    relevant: Vec<String>,
}

#[derive(Default)]
struct Arguments {
    corpus: PathBuf,
    queries: PathBuf,
    run: PathBuf,
    model: Option<PathBuf>,
    db: Option<PathBuf>,
    dump_features: Option<PathBuf>,
    asked_only: bool,
}

#[tokio::main]
async fn main() -> Result<()> {
    let arguments = arguments()?;
    let mut config = Config::from_env()?;
    config.db_path.clone_from(&arguments.db);
    if let Some(model) = &arguments.model {
        config.embedding.provider = EmbeddingProvider::Fastembed;
        config.embedding.path = Some(model.clone());
    }
    let memory = Memory::connect(&config).await?;

    let mut queries: BTreeMap<String, Vec<Query>> = BTreeMap::new();
    for query in lines::<Query>(&arguments.queries)? {
        let query = query?;
        queries.entry(query.scope.clone()).or_default().push(query);
    }
    let mut report = Report::default();
    let mut memories: HashMap<MemoryId, String> = HashMap::new();
    let mut batch: Vec<Turn> = Vec::new();
    for turn in lines::<Turn>(&arguments.corpus)? {
        let turn = turn?;
        if arguments.asked_only && !queries.contains_key(&turn.scope) {
            continue;
        }
        if batch.len() == BATCH || batch.first().is_some_and(|first| first.scope != turn.scope) {
            ingest(&memory, &std::mem::take(&mut batch), &mut memories, &mut report).await?;
        }
        batch.push(turn);
    }
    ingest(&memory, &batch, &mut memories, &mut report).await?;
    println!("{} turns ingested in {:.1} s", report.turns, report.ingest);

    let mut run = BufWriter::new(File::create(&arguments.run).map_err(io)?);
    let mut dump = match &arguments.dump_features {
        Some(path) => Some(Dump::create(path)?),
        None => None,
    };
    for (scope, asked) in &queries {
        let memory = memory.tenant(scope.clone())?;
        ask(&memory, asked, &memories, &mut run, dump.as_mut(), &mut report).await?;
    }
    if let Some(dump) = &mut dump {
        dump.file.flush().map_err(io)?;
    }
    run.flush().map_err(io)?;
    println!("{report}");
    memory.close().await
}

/// Writes turns of one scope and notes which turn each memory stands for.
async fn ingest(
    memory: &Memory,
    turns: &[Turn],
    memories: &mut HashMap<MemoryId, String>,
    report: &mut Report,
) -> Result<()> {
    let Some(first) = turns.first() else { return Ok(()) };
    let memory = memory.tenant(first.scope.clone())?;
    let started = Instant::now();
    let requests: Result<Vec<WriteRequest>> = turns.iter().map(request).collect();
    for (turn, written) in turns.iter().zip(memory.batch_write(requests?).await?) {
        match written {
            // The same words said again in a session are one memory; its first turn stands for it.
            Ok(answer) => answer.memory_id.map(|id| memories.entry(id).or_insert_with(|| turn.id.clone())),
            Err(error) => {
                eprintln!("{} {}: {error}", turn.scope, turn.id);
                None
            }
        };
    }
    report.ingest += started.elapsed().as_secs_f64();
    report.turns += turns.len();
    Ok(())
}

/// Asks the queries of one scope and writes their rankings.
async fn ask(
    memory: &Memory,
    queries: &[Query],
    memories: &HashMap<MemoryId, String>,
    run: &mut BufWriter<File>,
    mut dump: Option<&mut Dump>,
    report: &mut Report,
) -> Result<()> {
    for query in queries {
        let mut request = ReadRequest::new(&*query.query)
            .with_max_results(RESULTS)
            .with_min_relevance(0.0)
            .with_explain(dump.is_some())
            .with_reference_time(parse("query_time", &query.query_time)?);
        request.speaker.clone_from(&query.speaker);
        let started = Instant::now();
        let answer = memory.search(request).await?;
        report.latencies.push(started.elapsed().as_secs_f64() * 1000.0);
        // A later chunk of a long turn is known by its metadata only.
        let turn = |item: &MemoryItem| match memories.get(&item.id) {
            Some(turn) => Some(turn.clone()),
            None => item.metadata.get("turn").and_then(|turn| turn.as_str()).map(str::to_owned),
        };
        let ranked: Vec<String> = answer.memories.iter().filter_map(turn).collect();
        if let Some(dump) = &mut dump {
            dump.query(query, &answer, &ranked)?;
        }
        let line = serde_json::json!({ "qid": query.qid, "ranked": ranked });
        writeln!(run, "{line}").map_err(io)?;
    }
    Ok(())
}

fn request(turn: &Turn) -> Result<WriteRequest> {
    let mut request = WriteRequest::new(&*turn.text)
        .with_session(&*turn.session)
        .with_timestamp(parse("timestamp", &turn.timestamp)?)
        .with_metadata(serde_json::Map::from_iter([("turn".to_owned(), turn.id.clone().into())]));
    match turn.speaker.as_str() {
        "user" => request = request.with_role(Role::User),
        "assistant" => request = request.with_role(Role::Assistant),
        name => request = request.with_speaker(name),
    }
    Ok(request)
}

/// Writes the features of ranked turns, one query a line.
struct Dump {
    file: BufWriter<File>,
    /// Names of the features, once they are known.
    names: Vec<String>,
}

impl Dump {
    fn create(path: &Path) -> Result<Self> {
        Ok(Self { file: BufWriter::new(File::create(path).map_err(io)?), names: Vec::new() })
    }

    fn query(&mut self, query: &Query, answer: &ReadResponse, ranked: &[String]) -> Result<()> {
        let features = |item: &MemoryItem| item.explain.as_ref()?.get("features")?.as_object().cloned();
        let rows: Vec<_> = answer.memories.iter().map(|item| features(item).unwrap_or_default()).collect();
        if self.names.is_empty() {
            self.names = rows.first().map(|row| row.keys().cloned().collect()).unwrap_or_default();
            let head = serde_json::json!({ "features": self.names });
            writeln!(self.file, "{head}").map_err(io)?;
        }
        let turns: Vec<serde_json::Value> = rows
            .iter()
            .zip(ranked)
            .map(|(row, turn)| {
                let mut values = vec![u8::from(query.relevant.contains(turn)).into()];
                values.extend(self.names.iter().map(|name| row.get(name).cloned().unwrap_or_default()));
                values.into()
            })
            .collect();
        let line = serde_json::json!({
            "qid": query.qid, "scope": query.scope, "profile": answer.retrieval_meta.profile,
            "relevant": query.relevant.len(), "turns": turns,
        });
        writeln!(self.file, "{line}").map_err(io)
    }
}

#[derive(Default)]
struct Report {
    turns: usize,
    /// Seconds.
    ingest: f64,
    /// Milliseconds of each read.
    latencies: Vec<f64>,
}

impl std::fmt::Display for Report {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut latencies = self.latencies.clone();
        latencies.sort_by(f64::total_cmp);
        let percentile = |share: f64| {
            let last = latencies.len().saturating_sub(1) as f64;
            latencies.get((last * share).round() as usize).copied().unwrap_or_default()
        };
        write!(
            f,
            "{} turns in {:.1} s ({:.0} a second), {} queries: p50 {:.2} ms, p95 {:.2} ms",
            self.turns,
            self.ingest,
            self.turns as f64 / self.ingest.max(1e-9),
            latencies.len(),
            percentile(0.5),
            percentile(0.95)
        )
    }
}

fn arguments() -> Result<Arguments> {
    let mut arguments = Arguments::default();
    let mut words = std::env::args_os().skip(1);
    while let Some(word) = words.next() {
        let name = word.to_string_lossy().into_owned();
        if name == "--asked-only" {
            arguments.asked_only = true;
            continue;
        }
        let value = words.next().map(PathBuf::from).ok_or_else(|| usage(&format!("{name} needs a value")))?;
        match name.as_str() {
            "--corpus" => arguments.corpus = value,
            "--queries" => arguments.queries = value,
            "--run" => arguments.run = value,
            "--model" => arguments.model = Some(value),
            "--dump-features" => arguments.dump_features = Some(value),
            "--db" => arguments.db = Some(value),
            _ => return Err(usage(&format!("unknown option {name}"))),
        }
    }
    let missing = [&arguments.corpus, &arguments.queries, &arguments.run];
    if missing.iter().any(|path| path.as_os_str().is_empty()) {
        return Err(usage("--corpus, --queries and --run are needed"));
    }
    Ok(arguments)
}

fn usage(message: &str) -> Error {
    Error::new(ErrorKind::InvalidInput, message.to_owned()).with_suggestion(
        "cml_eval --corpus FILE --queries FILE --run FILE [--model FOLDER] [--db FILE] [--asked-only]",
    )
}

fn lines<T: DeserializeOwned>(path: &Path) -> Result<impl Iterator<Item = Result<T>>> {
    let broken =
        |error| Error::new(ErrorKind::InvalidInput, "a line of the data is broken").with_source(error);
    let file = BufReader::new(File::open(path).map_err(io)?);
    Ok(file.lines().map(move |line| serde_json::from_str(&line.map_err(io)?).map_err(broken)))
}

fn io(error: std::io::Error) -> Error {
    Error::new(ErrorKind::InvalidInput, "a file cannot be read or written").with_source(error)
}
