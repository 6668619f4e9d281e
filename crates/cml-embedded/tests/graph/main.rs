//! Every knowledge graph answers the same, and follows the rows that it is given.

#![cfg(any(feature = "lite", feature = "full"))]

#[cfg(feature = "full")]
mod away;
mod fixtures;
#[cfg(feature = "full")]
mod following;
#[cfg(feature = "full")]
mod neo4j;
#[cfg(all(feature = "lite", feature = "standard"))]
mod postgres;
mod questions;
#[cfg(feature = "lite")]
mod sql;
