//! The store in PostgreSQL with pgvector.

pub(in crate::store) mod error;
pub(in crate::store) mod values;
