//! What is PostgreSQL's own.

mod faults;
pub(crate) mod fixture;
mod open;
mod outbox;
mod schema;
mod sharing;
mod statements;
