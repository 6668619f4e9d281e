//! Ingests nine months of conversation and answers 40 questions whose evidence is known.
//!
//! ```sh
//! cargo run --release --example chat_history --features embedded-lite
//! ```
//!
//! Prints the top memories for each question and whether the evidence is among them, then recall at 5
//! and 10, latency, and how the 40 questions fare that the conversation does not answer.

use std::{collections::HashMap, time::Instant};

use chrono::{DateTime, Utc};
use cml::{
    Error, ErrorKind, Memory, MemoryId, Result,
    memory::Role,
    ops::{ReadRequest, WriteRequest},
};
use indicatif::{ProgressBar, ProgressStyle};
use serde::{Deserialize, de::DeserializeOwned};

/// Memories shown for each question.
const SHOWN: usize = 3;

#[derive(Deserialize)]
struct Turn {
    id: String,
    session: String,
    timestamp: DateTime<Utc>,
    role: Role,
    text: String,
}

#[derive(Deserialize)]
struct Question {
    query: String,
    asked_at: DateTime<Utc>,
    #[serde(default)]
    evidence: Vec<String>,
}

#[tokio::main]
async fn main() -> Result<()> {
    let turns: Vec<Turn> = lines(include_str!("data/conversation.jsonl"))?;
    let questions: Vec<Question> = lines(include_str!("data/questions.jsonl"))?;
    let unanswerable: Vec<Question> = lines(include_str!("data/unanswerable.jsonl"))?;

    let memory = Memory::lite().await?;
    let ids = ingest(&memory, &turns).await?;
    println!("{}\n", memory.stats().await?);

    let (mut at_5, mut at_10, mut latencies) = (0.0, 0.0, Vec::new());
    for question in &questions {
        let started = Instant::now();
        let request =
            ReadRequest::new(&*question.query).with_reference_time(question.asked_at).with_min_relevance(0.0);
        let answer = memory.search(request).await?;
        latencies.push(started.elapsed().as_secs_f64() * 1000.0);

        let found: Vec<&str> =
            answer.memories.iter().filter_map(|item| ids.get(&item.id)).map(String::as_str).collect();
        let recall = |most: usize| {
            let hits = question.evidence.iter().filter(|id| found.iter().take(most).any(|found| found == id));
            hits.count() as f64 / question.evidence.len() as f64
        };
        at_5 += recall(5);
        at_10 += recall(10);
        let place = found.iter().position(|id| question.evidence.iter().any(|wanted| wanted == id));
        println!("{}", question.query);
        for item in answer.memories.iter().take(SHOWN) {
            println!("   {} {}", item.relevance, shortened(&item.text));
        }
        match place {
            Some(place) => println!("   evidence found at {}", place + 1),
            None => println!("   evidence missed"),
        }
    }

    let mut silent = 0;
    let mut insufficient = 0;
    for question in &unanswerable {
        let request = ReadRequest::new(&*question.query).with_reference_time(question.asked_at);
        let answer = memory.search(request).await?;
        silent += usize::from(answer.is_empty());
        insufficient += usize::from(answer.sufficiency.is_none_or(|sufficiency| !sufficiency.sufficient));
    }

    latencies.sort_by(f64::total_cmp);
    let percentile = |share: f64| latencies[((latencies.len() - 1) as f64 * share).round() as usize];
    let count = questions.len() as f64;
    println!(
        "\n{} turns, {} questions: recall@5 {:.1} %, recall@10 {:.1} %, latency p50 {:.2} ms, p95 {:.2} ms",
        turns.len(),
        questions.len(),
        100.0 * at_5 / count,
        100.0 * at_10 / count,
        percentile(0.5),
        percentile(0.95)
    );
    println!(
        "{} unanswerable questions: {insufficient} called insufficient, {silent} without any memory",
        unanswerable.len()
    );
    memory.close().await
}

/// Writes every turn and returns the turn behind each memory.
async fn ingest(memory: &Memory, turns: &[Turn]) -> Result<HashMap<MemoryId, String>> {
    let style = ProgressStyle::with_template("ingesting {bar:40} {pos}/{len} turns")
        .unwrap_or_else(|_| ProgressStyle::default_bar());
    let bar = ProgressBar::new(turns.len() as u64).with_style(style);
    let mut ids = HashMap::new();
    for chunk in turns.chunks(50) {
        let requests = chunk.iter().map(|turn| {
            WriteRequest::new(&*turn.text)
                .with_session(&*turn.session)
                .with_role(turn.role)
                .with_timestamp(turn.timestamp)
                .with_turn_id(&*turn.id)
        });
        for (turn, written) in chunk.iter().zip(memory.batch_write(requests).await?) {
            if let Some(id) = written?.memory_id {
                ids.insert(id, turn.id.clone());
            }
        }
        bar.inc(chunk.len() as u64);
    }
    bar.finish();
    Ok(ids)
}

fn lines<T: DeserializeOwned>(text: &str) -> Result<Vec<T>> {
    let broken =
        |error| Error::new(ErrorKind::InvalidInput, "a line of the data is broken").with_source(error);
    text.lines().map(|line| serde_json::from_str(line).map_err(broken)).collect()
}

fn shortened(text: &str) -> String {
    let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    match line.char_indices().nth(96) {
        Some((end, _)) => format!("{} ...", &line[..end]),
        None => line,
    }
}
