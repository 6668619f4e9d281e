//! How a command ends.

use std::{error::Error as _, fmt::Write as _, io, process::ExitCode};

use cml::{Error, ErrorKind};
use cml_core::wire::{Detail, ErrorBody};
use serde_json::json;

use super::output::Output;

/// What a verb returns.
pub(crate) type Done = Result<(), Failure>;

/// Why a verb did not end well.
#[derive(Debug)]
pub(crate) enum Failure {
    /// It failed.
    Error(Error),
    /// It has said itself what is wrong; the process ends with this code.
    Code(u8),
    /// Whoever read the output is gone, which is their right.
    ClosedPipe,
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self::Error(error)
    }
}

impl Failure {
    /// What writing to standard output failed with.
    pub(crate) fn of_output(error: Error) -> Self {
        let cause = error.source().and_then(|source| source.downcast_ref::<io::Error>());
        match cause {
            Some(io) if io.kind() == io::ErrorKind::BrokenPipe => Self::ClosedPipe,
            _ => Self::Error(error),
        }
    }
}

/// What standard output failed with.
impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        if error.kind() == io::ErrorKind::BrokenPipe {
            return Self::ClosedPipe;
        }
        Self::Error(Error::new(ErrorKind::Unavailable, "the output cannot be written").with_source(error))
    }
}

/// The exit code that stands for a kind of error.
pub(crate) const fn code_of(kind: ErrorKind) -> u8 {
    match kind {
        ErrorKind::InvalidInput | ErrorKind::Config => 2,
        ErrorKind::NotFound => 3,
        ErrorKind::Conflict => 4,
        ErrorKind::Unauthenticated | ErrorKind::PermissionDenied => 5,
        ErrorKind::RateLimited | ErrorKind::Timeout | ErrorKind::Unavailable => 6,
        ErrorKind::Unsupported => 7,
        _ => 1,
    }
}

/// `code` as far as a process can return it.
pub(crate) fn code(code: i32) -> ExitCode {
    ExitCode::from(u8::try_from(code).unwrap_or(1))
}

/// Tells how it ended.
pub(crate) fn report(output: &Output, verbose: bool, done: Done) -> ExitCode {
    match done {
        Ok(()) | Err(Failure::ClosedPipe) => ExitCode::SUCCESS,
        Err(Failure::Code(code)) => ExitCode::from(code),
        Err(Failure::Error(error)) => {
            output.complain(&if output.is_json() { as_json(&error) } else { as_text(&error, verbose) });
            ExitCode::from(code_of(error.kind()))
        }
    }
}

fn as_json(error: &Error) -> String {
    json!({ "error": body(error) }).to_string()
}

/// The error as a server tells it, but for a bug, whose message is no secret here.
pub(crate) fn body(error: &Error) -> ErrorBody {
    let mut body = ErrorBody::new(error, "body", error.request_id().map(str::to_owned));
    if error.kind() == ErrorKind::Internal {
        body.detail = Detail::Text(error.message().to_owned());
    }
    body
}

/// Message, suggestion and request id; the causes as well if `verbose`.
fn as_text(error: &Error, verbose: bool) -> String {
    let mut text = format!("error: {}", error.message());
    // Writing into a string cannot fail.
    if let Some(suggestion) = error.suggestion() {
        let _written = write!(text, "\n  to do: {suggestion}");
    }
    if let Some(id) = error.request_id() {
        let _written = write!(text, "\n  request id: {id}");
    }
    let mut cause = error.source().filter(|_| verbose);
    while let Some(source) = cause {
        let _written = write!(text, "\n  because: {source}");
        cause = source.source();
    }
    text
}
