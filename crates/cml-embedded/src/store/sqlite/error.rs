//! Errors of SQLite as errors of the library.

use std::{io, path::Path};

use cml_core::{Error, ErrorKind};

use crate::store::sql::error::closed;

// Primary result codes, https://www.sqlite.org/rescode.html
const BUSY: i32 = 5;
const LOCKED: i32 = 6;
const READONLY: i32 = 8;
const IOERR: i32 = 10;
const CORRUPT: i32 = 11;
const FULL: i32 = 13;
const CANTOPEN: i32 = 14;
const CONSTRAINT: i32 = 19;
const NOTADB: i32 = 26;

/// What a statement of a running store failed with.
pub(in crate::store) fn failed(error: sqlx::Error) -> Error {
    let (kind, message) = match &error {
        sqlx::Error::Database(_) => match code(&error) {
            Some(BUSY | LOCKED) => (ErrorKind::Unavailable, "the database is locked by another process"),
            Some(FULL) => (ErrorKind::Unavailable, "the disk is full"),
            Some(IOERR) => (ErrorKind::Unavailable, "the disk failed to read or write the database"),
            Some(CANTOPEN) => (ErrorKind::Unavailable, "the database file cannot be opened"),
            Some(READONLY) => (ErrorKind::Config, "db_path: the database is read-only"),
            Some(CORRUPT | NOTADB) => (ErrorKind::Unavailable, "the database file is damaged"),
            Some(CONSTRAINT) => (ErrorKind::Conflict, "a row of this identity exists already"),
            _ => (ErrorKind::Internal, "the database refused a statement"),
        },
        sqlx::Error::Io(_) => (ErrorKind::Unavailable, "the database cannot be reached"),
        sqlx::Error::PoolTimedOut => (ErrorKind::Unavailable, "all connections of the database are busy"),
        sqlx::Error::PoolClosed | sqlx::Error::WorkerCrashed => return closed(),
        _ => (ErrorKind::Internal, "the database answered what the store does not understand"),
    };
    Error::new(kind, message).with_source(error)
}

/// What opening the file at `path` failed with.
pub(super) fn open_failed(path: &Path, error: sqlx::Error) -> Error {
    let reason = match code(&error) {
        Some(NOTADB) => return not_ours(path),
        Some(CANTOPEN) => "cannot be opened or created",
        Some(READONLY) => "is in a place that does not allow writing",
        _ => match &error {
            sqlx::Error::Io(io) if io.kind() == io::ErrorKind::InvalidData => {
                "is not a name that SQLite takes"
            }
            _ => return failed(error),
        },
    };
    config(path, reason).with_source(error)
}

/// `Config` on `db_path`: the file at `path` and what is wrong with it.
pub(super) fn config(path: &Path, reason: &str) -> Error {
    Error::new(ErrorKind::Config, format!("db_path: {} {reason}", path.display()))
}

pub(super) fn not_ours(path: &Path) -> Error {
    config(path, "is a file of something else and was left as it is")
}

/// Whether waiting for another process may help.
pub(super) fn is_busy(error: &sqlx::Error) -> bool {
    matches!(code(error), Some(BUSY | LOCKED))
}

/// Whether the pages do not fit together.
pub(super) fn is_damaged(error: &sqlx::Error) -> bool {
    code(error) == Some(CORRUPT)
}

fn code(error: &sqlx::Error) -> Option<i32> {
    let extended: i32 = error.as_database_error()?.code()?.parse().ok()?;
    Some(extended & 0xff)
}
