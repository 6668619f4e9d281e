//! The cognitive memory layer in process: one engine, a store per database.
//!
//! [`EmbeddedBackend`] fulfils the contract of `cml-core` with an [`Engine`](engine::Engine) over a
//! [`Store`](store::Store). Programs use the facade crate `cognitive-memory-layer`.

mod backend;
mod builder;
pub mod clock;
mod digest;
pub mod embed;
pub mod engine;
pub mod extract;
pub mod search;
pub mod store;

pub use backend::EmbeddedBackend;
pub use builder::EmbeddedBuilder;
