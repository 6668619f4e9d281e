//! Memory for AI agents: store, recall, revise and forget.
//!
//! ```
//! # #[cfg(feature = "embedded-lite")]
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> cml::Result<()> {
//! use cml::Memory;
//!
//! let memory = Memory::lite().await?;
//! memory.remember("I am vegetarian and allergic to nuts").await?;
//! let answer = memory.search("dietary restrictions").await?;
//! assert_eq!(answer.memories[0].text, "I am vegetarian and allergic to nuts");
//! # Ok(())
//! # }
//! # #[cfg(not(feature = "embedded-lite"))]
//! # fn main() {}
//! ```
//!
//! [`Memory`] is a cheap handle: a backend and a [`Scope`]. Views such as [`Memory::namespace`] or
//! [`Memory::session`] return another handle over the same backend. Every backend fulfils the
//! contract of [`MemoryBackend`].
//!
//! # Features
//!
//! | feature | what you get |
//! |---|---|
//! | `embedded-lite` | local mode: SQLite and the built-in English model, no services |
//! | `embedded-standard` | local mode: PostgreSQL with pgvector, shared by several processes |
//! | `embedded-full` | local mode: PostgreSQL, the knowledge graph in Neo4j, caches in Redis |
//! | `http` | server mode: a client of a `cml` server over REST |
//! | `blocking` | [`blocking::Memory`](https://docs.rs/cognitive-memory-layer/latest/cml/blocking/), for programs without an async runtime |
//! | `zstd` | exports in files compressed with zstd (`.zst`) |
//! | `fastembed` | ONNX embedding models; needs the ONNX Runtime library at run time |
//! | `fastembed-download` | the same, with ONNX Runtime fetched at build time (in place of `fastembed`) |

#![cfg_attr(docsrs, feature(doc_cfg))]

#[cfg(feature = "blocking")]
pub mod blocking;
mod builder;
pub mod connect;
mod graph;
mod handle;
pub mod transfer;
mod verbs;

pub use builder::MemoryBuilder;
pub use cml_core::{
    Admin, BoxStream, Capabilities, Capability, Config, DecayRate, EntityId, Error, ErrorKind, EventId,
    FactId, Facts, FieldError, Graph, JobId, Maintenance, MemoryBackend, MemoryId, MessageId, Progress,
    Result, Scope, Score, Sessions, Subject, Transfer, config, memory, ops, packet, portable, provider,
    scope, time,
};
pub use graph::MemoryGraph;
pub use handle::Memory;

/// The engine in process: embedders, clocks, stores.
#[cfg(any(feature = "embedded-lite", feature = "embedded-standard"))]
pub use cml_embedded as embedded;

/// The client of a server.
#[cfg(feature = "http")]
pub use cml_http as http;

/// The README's programs are compiled with the documentation tests.
#[cfg(all(doctest, feature = "embedded-lite", feature = "http"))]
#[doc = include_str!("../../../README.md")]
struct Readme;

/// So are those of the tour.
#[cfg(all(doctest, feature = "embedded-lite", feature = "blocking"))]
#[doc = include_str!("../../../docs/getting-started.md")]
struct GettingStarted;

/// And those of the configuration.
#[cfg(all(doctest, feature = "embedded-lite"))]
#[doc = include_str!("../../../docs/configuration.md")]
struct Configuration;

/// And those of the modes.
#[cfg(all(doctest, feature = "embedded-lite"))]
#[doc = include_str!("../../../docs/modes.md")]
struct Modes;

/// And those of server mode.
#[cfg(all(doctest, feature = "http"))]
#[doc = include_str!("../../../docs/server.md")]
struct ServerMode;

/// And those of the migration.
#[cfg(all(doctest, feature = "embedded-lite", feature = "http"))]
#[doc = include_str!("../../../docs/migration.md")]
struct Migration;
