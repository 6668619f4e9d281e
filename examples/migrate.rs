//! Moves a tenant from a local file to a server and back into another file, and compares the exports.
//!
//! ```sh
//! cargo build --release --package cognitive-memory-layer-server
//! CML_BIN=target/release/cml cargo run --example migrate --features embedded-lite,http
//! ```
//!
//! With `CML_BASE_URL` and the key of an administrator in `CML_API_KEY` it uses that server instead, in a
//! tenant of its own that it removes afterwards.

#[path = "support/serve.rs"]
mod serve;

use std::{collections::BTreeMap, env};

use cml::{
    ErrorKind, Memory, Result,
    ops::{
        ExportLine, ExportOptions, ForgetAction, ForgetRequest, ImportReport, TurnRequest, UpdateRequest,
        WriteRequest,
    },
};
use futures_util::TryStreamExt as _;

use crate::serve::Server;

#[tokio::main(flavor = "current_thread")]
async fn main() -> std::result::Result<(), Box<dyn std::error::Error + Send + Sync>> {
    let (url, key, server) = match (env::var("CML_BASE_URL"), env::var_os("CML_BIN")) {
        (Ok(url), _) => (url, env::var("CML_API_KEY").unwrap_or_default(), None),
        (Err(_), Some(binary)) => {
            let server = Server::start(binary)?;
            (server.url.clone(), serve::KEY.to_owned(), Some(server))
        }
        (Err(_), None) => {
            return Err("set CML_BIN to a cml binary, or CML_BASE_URL and CML_API_KEY to a server".into());
        }
    };
    let tenant = format!("migrate-{}", uuid::Uuid::new_v4());
    let folder = tempfile::tempdir()?;
    let open = |name: &str| Memory::lite().db_path(folder.path().join(name)).tenant(&tenant);

    let first = open("first.db").await?;
    fill(&first).await?;
    let remote = Memory::http(&url).api_key(key).tenant(&tenant).await?;
    if let Err(error) = remote.health().await
        && error.kind() == ErrorKind::Unavailable
    {
        return Err(format!("no server answers at {url}: {error}").into());
    }
    let second = open("second.db").await?;

    show("file to server", &first.migrate(&remote).await?);
    show("the same again", &first.migrate(&remote).await?);
    show("server to file", &remote.migrate(&second).await?);

    let (here, there, back) = (rows(&first).await?, rows(&remote).await?, rows(&second).await?);
    println!("\n{:<16} {:>6} {:>7} {:>7}", "kind", "first", "server", "second");
    let (left, middle, right) = (count(&here), count(&there), count(&back));
    for (kind, number) in &left {
        println!(
            "{kind:<16} {number:>6} {:>7} {:>7}",
            middle.get(kind).copied().unwrap_or_default(),
            right.get(kind).copied().unwrap_or_default()
        );
    }
    for (line, (other, last)) in here.iter().zip(there.iter().zip(&back)) {
        assert!(line == other && line == last, "a {} differs", line.kind());
    }
    assert!(here.len() == there.len() && here.len() == back.len());
    println!("{} lines, equal in all three", here.len());

    let answer = second.search("Where is the review?").await?;
    println!("\n{answer}");
    assert_eq!(answer.memories[0].text, "The review is in room 7");

    remote.delete_all(true).await?;
    for memory in [first, remote, second] {
        memory.close().await?;
    }
    server.map_or(Ok(()), Server::stop)
}

/// A bit of everything that an export holds.
async fn fill(memory: &Memory) -> Result<()> {
    memory.remember("I live in Lisbon").await?;
    memory.remember("I live in Berlin now").await?;
    memory
        .user("ana")?
        .namespace("work")?
        .write(WriteRequest::new("The deploy runs on Tuesday").with_key("deploy"))
        .await?;
    let review = memory.write("The review is in room 3").await?;
    if let Some(id) = review.memory_id {
        memory.update(UpdateRequest::new(id).with_text("The review is in room 7")).await?;
    }
    let chat = memory.session("dinner")?;
    chat.turn(TurnRequest::new("I am allergic to peanuts").with_assistant_response("No peanuts, noted."))
        .await?;
    if let Some(id) = memory.remember("The old bicycle is red").await? {
        memory.forget(ForgetRequest::ids([id]).with_action(ForgetAction::Archive)).await?;
    }
    Ok(())
}

/// The lines of an export but the header, which says when it was made.
async fn rows(memory: &Memory) -> Result<Vec<ExportLine>> {
    let mut lines: Vec<ExportLine> = memory.export(ExportOptions::default()).await?.try_collect().await?;
    lines.retain(|line| !matches!(line, ExportLine::Header(_)));
    Ok(lines)
}

fn count(lines: &[ExportLine]) -> BTreeMap<&'static str, usize> {
    let mut counts = BTreeMap::new();
    for line in lines {
        *counts.entry(line.kind()).or_default() += 1;
    }
    counts
}

fn show(what: &str, report: &ImportReport) {
    let sum = |counts: &BTreeMap<String, u64>| counts.values().sum::<u64>();
    println!(
        "{what}: {} objects put in, {} there already, {} losses",
        sum(&report.imported),
        sum(&report.skipped),
        report.losses.len()
    );
}
