//! Talks to a `cml` server: the verbs of local mode, over REST.
//!
//! ```sh
//! cml serve &                      # prints a key for this run
//! CML_API_KEY=... cargo run --example server_mode --features http
//! ```
//!
//! `CML_BASE_URL` names another server than `http://localhost:8000`. Where only `CML_BIN` is set, to the
//! path of a `cml` binary, the program starts a server of its own.

#[path = "support/serve.rs"]
mod serve;

use std::env;

use cml::{
    ErrorKind, Memory,
    ops::{CreateSession, TurnRequest, WriteRequest},
};
use futures_util::TryStreamExt as _;

use crate::serve::Server;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    let (url, key, server) = match (env::var("CML_BASE_URL"), env::var_os("CML_BIN")) {
        (Err(_), Some(binary)) => {
            let server = Server::start(binary)?;
            (server.url.clone(), serve::KEY.to_owned(), Some(server))
        }
        (url, _) => {
            let url = url.unwrap_or_else(|_| "http://localhost:8000".to_owned());
            (url, env::var("CML_API_KEY").unwrap_or_default(), None)
        }
    };

    // The only line that differs from local mode.
    let memory = Memory::http(&url).api_key(key).max_retries(1).await?;

    match memory.health().await {
        Ok(health) => {
            println!("{url}: {} ({} {}, mode {})", health.status, health.backend, health.version, health.mode)
        }
        Err(error) if matches!(error.kind(), ErrorKind::Unavailable | ErrorKind::Timeout) => {
            return Err(format!(
                "no server answers at {url}: {error}\nstart one with `cml serve`, or set CML_BASE_URL"
            )
            .into());
        }
        Err(error) => return Err(error.into()),
    }

    let chat = memory.start_session(CreateSession::new().with_name("dinner plans")).await?;
    println!("{}", chat.write(WriteRequest::new("I am allergic to peanuts").with_tags(["health"])).await?);
    for result in
        chat.batch_write(["I live in Lisbon", "I love mushroom risotto", "My kitchen has no oven"]).await?
    {
        println!("{}", result?);
    }

    println!("\n{}", chat.search("What could I cook for dinner?").await?);
    let mut stream = chat.read_stream("Where do I live?").await?;
    while let Some(item) = stream.try_next().await? {
        println!("as it comes: {}", item.text);
    }

    let question = "What could I cook for dinner tonight?";
    let turn =
        chat.turn(TurnRequest::new(question).with_assistant_response("A risotto without nuts.")).await?;
    println!("\nfor the prompt:\n{}\n", turn.memory_context);
    assert!(turn.memory_context.contains("peanuts"));

    println!("{}", chat.stats().await?);
    let session = chat.scope().session().to_owned();
    println!("{} messages in the log", memory.messages(&session, 0, 100).await?.messages.len());
    let cleared = memory.clear_session(&session).await?;
    println!("removed again: {} memories", cleared.affected_count);
    memory.close().await?;
    server.map_or(Ok(()), Server::stop)
}
