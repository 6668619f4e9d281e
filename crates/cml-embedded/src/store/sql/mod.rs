//! What every SQL store has in common: statements, rows, and how a change set is applied.
//!
//! A statement is written once. Where the databases differ in a word, [`dialect::Dialect`] has it;
//! connections, migrations and what surrounds a transaction are each store's own.

mod batch;
mod check;
pub(in crate::store) mod commit;
pub(in crate::store) mod connection;
pub(in crate::store) mod dialect;
mod edges;
mod erase;
pub(in crate::store) mod error;
pub(in crate::store) mod export;
pub(in crate::store) mod follow;
pub(in crate::store) mod generations;
pub(in crate::store) mod graph;
pub(in crate::store) mod hash;
pub(in crate::store) mod index;
pub(in crate::store) mod known;
pub(in crate::store) mod list;
pub(in crate::store) mod lookup;
mod numbers;
mod outbox;
#[cfg(feature = "lite")]
mod packed;
mod puts;
pub(in crate::store) mod read;
mod rows;
pub(in crate::store) mod statement;
pub(in crate::store) mod value;
