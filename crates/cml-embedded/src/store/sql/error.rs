//! Errors that are the same whatever the database.

use cml_core::{Error, ErrorKind};

pub(in crate::store) fn closed() -> Error {
    Error::new(ErrorKind::Unavailable, "the store is closed")
}

/// A row that this version of the store cannot have written.
pub(in crate::store) fn malformed(column: &str) -> Error {
    Error::new(ErrorKind::Internal, format!("a stored row holds an unreadable {column}"))
}
