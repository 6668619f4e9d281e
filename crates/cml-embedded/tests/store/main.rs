//! The SQLite store keeps the contract of `Store`.

#![cfg(feature = "lite")]

mod commit;
mod erase;
mod fixtures;
mod generations;
mod list;
mod open;
mod transfer;
