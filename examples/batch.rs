//! Writes a thousand memories in one call, reads many queries at once, and walks over all of them.
//!
//! ```sh
//! cargo run --release --example batch --features embedded-lite
//! ```

use std::time::Instant;

use cml::{
    Memory, Result,
    ops::{ListRequest, WriteRequest},
};
use futures_util::TryStreamExt as _;

#[tokio::main]
async fn main() -> Result<()> {
    let memory = Memory::lite().await?;
    let rooms = ["kitchen", "garden", "study", "cellar", "attic"];
    let things = ["lamp", "chair", "radio", "bicycle", "ladder", "kettle", "map", "clock"];
    let requests: Vec<WriteRequest> = (0..1000)
        .map(|n| {
            let (room, thing) = (rooms[n % rooms.len()], things[n % things.len()]);
            WriteRequest::new(format!("Item {n}: a {thing} stands in the {room}, shelf {}", n / 40))
                .with_tags([room])
        })
        .collect();

    let started = Instant::now();
    let written = memory.batch_write(requests).await?;
    let stored = written.iter().filter(|result| result.is_ok()).count();
    println!("wrote {stored} memories in {:.0} ms", started.elapsed().as_secs_f64() * 1000.0);

    // A bad item fails alone.
    let mixed = memory.batch_write(["a good one", "   ", "another good one"]).await?;
    for result in &mixed {
        match result {
            Ok(answer) => println!("  {answer}"),
            Err(error) => println!("  refused: {error}"),
        }
    }

    let queries = ["Where is the bicycle?", "What is in the attic?", "Which shelf holds item 812?"];
    for answer in memory.batch_read(queries).await {
        let answer = answer?;
        println!("{} -> {}", answer.query, answer.memories.first().map_or("nothing", |item| &item.text));
    }

    let mut attic = 0;
    let mut rows = memory.iter_memories(ListRequest::new().with_tags(["attic"]).with_limit(100usize));
    while rows.try_next().await?.is_some() {
        attic += 1;
    }
    println!("{attic} memories carry the tag attic");
    memory.close().await
}
