//! Stores a few memories and recalls them by meaning.
//!
//! ```sh
//! cargo run --example quickstart --features embedded-lite
//! ```

use cml::{Memory, Result, ops::ListFacts};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<()> {
    let memory = Memory::lite().await?;

    for text in [
        "My name is Ana and I live in Lisbon",
        "I am allergic to shellfish",
        "I prefer dark mode in every editor",
        "The deploy runs from the release branch every Tuesday",
        "My password is hunter2-correct-horse",
    ] {
        println!("{}", memory.write(text).await?);
    }
    memory.write("I moved to Berlin last week").await?;

    println!("\n{}", memory.search("Where do I live?").await?);
    println!("\n{}", memory.search("theme preferences").await?);
    println!(
        "\nFor a prompt about dinner:\n{}",
        memory.get_context("recommend a restaurant for tonight").await?
    );

    println!("\nWhat holds now:");
    for fact in memory.list_facts(ListFacts::new()).await?.items {
        println!("  {} = {}", fact.key(), fact.value);
    }
    println!("\n{}", memory.stats().await?);
    memory.close().await
}
