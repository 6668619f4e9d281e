//! The contract of the cognitive memory layer.
//!
//! No runtime, no HTTP, no database: the nouns in [`memory`], the verbs in [`ops`], the trait that
//! every backend fulfils in [`MemoryBackend`], and what the engine asks of models in [`provider`].
//! Programs use the facade crate `cognitive-memory-layer`, which re-exports all of this.

mod backend;
mod capabilities;
mod error;
mod string_enum;

pub mod config;
pub mod memory;
pub mod ops;
pub mod packet;
pub mod portable;
pub mod provider;
pub mod scope;
pub mod time;
pub mod units;
pub mod wire;

pub use backend::{Admin, Facts, Graph, Maintenance, MemoryBackend, Progress, Sessions, Transfer};
pub use capabilities::{Capabilities, Capability};
pub use config::Config;
pub use error::{Error, ErrorKind, FieldError, Result};
pub use scope::{Scope, Subject};
pub use units::{DecayRate, EntityId, EventId, FactId, JobId, MemoryId, MessageId, Score};

/// Streams that backends return.
pub use futures_util::stream::BoxStream;
/// What [`string_enum!`] describes its enums with.
#[cfg(feature = "schema")]
#[doc(hidden)]
pub use schemars;
