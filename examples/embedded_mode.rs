//! A memory in memory, and one in a file that is closed and opened again.
//!
//! ```sh
//! cargo run --example embedded_mode --features embedded-lite
//! ```

use cml::{Error, ErrorKind, Memory, Result, ops::WriteRequest};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<()> {
    let passing = Memory::lite().await?;
    passing.remember("Kept for as long as this process lives").await?;
    println!("in memory: {}", passing.stats().await?);
    passing.close().await?;

    let folder = tempfile::tempdir()
        .map_err(|error| Error::new(ErrorKind::Unavailable, "no temporary folder").with_source(error))?;
    let file = folder.path().join("memories.db");

    let memory = Memory::lite().db_path(&file).user("ana").await?;
    memory.remember("I take the 8:15 train to the office").await?;
    memory.write(WriteRequest::new("Standup is at 9:30").with_tags(["work"]).with_key("standup")).await?;
    memory.close().await?;

    let reopened = Memory::lite().db_path(&file).user("ana").await?;
    let answer = reopened.search("How do I get to work?").await?;
    println!("reopened: {answer}");
    assert_eq!(answer.memories[0].text, "I take the 8:15 train to the office");

    let changed = reopened.write(WriteRequest::new("Standup is at 10:00").with_key("standup")).await?;
    println!("same key: {changed}");
    reopened.close().await
}
