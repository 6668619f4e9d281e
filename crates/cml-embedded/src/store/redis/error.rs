//! Errors of Redis.

use cml_core::{Error, ErrorKind};
use redis::{ErrorKind as Kind, RedisError, ServerErrorKind};

/// The contract's error. The address, which may hold a password, is not part of it.
pub(super) fn away(error: &RedisError) -> Error {
    Error::new(ErrorKind::Unavailable, format!("redis: {}", error.to_string().to_lowercase()))
}

/// Whether Redis itself answered, and only this request was refused.
pub(super) fn answered(error: &RedisError) -> bool {
    match error.kind() {
        Kind::Server(ServerErrorKind::BusyLoading | ServerErrorKind::MasterDown) => false,
        Kind::Server(_) | Kind::Extension | Kind::UnexpectedReturnType => true,
        _ => false,
    }
}
