//! Errors of PostgreSQL as errors of the library.

use cml_core::{Error, ErrorKind};

/// What a statement of a running store failed with.
pub(in crate::store) fn failed(error: sqlx::Error) -> Error {
    Error::new(ErrorKind::Unavailable, "the database cannot be reached").with_source(error)
}
