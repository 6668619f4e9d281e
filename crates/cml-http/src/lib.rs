//! The contract over REST: [`HttpBackend`], a client of a `cml` server.
//!
//! It also works against the server of the `cognitive-memory-layer` SDK, called *the original* here: what
//! that one lacks is `Unsupported`, never silently ignored. Programs use it through the facade crate
//! `cognitive-memory-layer` with the feature `http`.
//!
//! ```no_run
//! # async fn example() -> cml_core::Result<()> {
//! use cml_core::Config;
//!
//! let mut config = Config::default().http;
//! config.base_url = "https://memory.example.org".to_owned();
//! let backend = cml_http::HttpBackend::new(&config)?;
//! assert!(backend.verify_connection().await?.is_healthy());
//! # Ok(())
//! # }
//! ```

mod backend;
mod batch;
mod call;
mod client;
mod error;
mod graph;
mod original;
mod parts;
mod retry;
mod server;
mod spool;
mod sse;
mod tls;
mod transfer;

pub use backend::HttpBackend;
