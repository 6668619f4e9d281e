//! Every store keeps the contract of `Store`.

#![cfg(any(feature = "lite", feature = "standard"))]

mod commit;
mod erase;
mod fixtures;
mod generations;
mod list;
#[cfg(feature = "lite")]
mod open;
#[cfg(feature = "standard")]
mod postgres;
#[cfg(feature = "lite")]
mod remains;
mod transfer;
