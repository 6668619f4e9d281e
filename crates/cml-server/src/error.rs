//! Errors as answers in the contract's shape.

use std::{fmt, time::Duration};

use axum::{
    Json,
    http::{HeaderValue, StatusCode},
    response::{IntoResponse, Response},
};
use cml_core::{
    Error, ErrorKind,
    wire::{Detail, ErrorBody, header, status_of},
};

use crate::context::Context;

/// An answer that is no success.
#[derive(Debug)]
pub(crate) struct Failure {
    error: Error,
    status: StatusCode,
    /// Where the fields of the error stand: `body`, `query`, `path`, `header`.
    place: &'static str,
}

/// What most handlers return.
pub(crate) type Answer<T> = Result<Json<T>, Failure>;

impl Failure {
    /// The same error, about a part of the request other than its body.
    pub(crate) fn at(mut self, place: &'static str) -> Self {
        self.place = place;
        self
    }

    /// The same error under a status of its own.
    pub(crate) fn with_status(mut self, status: StatusCode) -> Self {
        self.status = status;
        self
    }

    /// A body that has `what`, which is beyond the limit.
    pub(crate) fn too_large(what: impl fmt::Display, remedy: &str) -> Self {
        let error =
            Error::new(ErrorKind::InvalidInput, format!("the body has {what}")).with_suggestion(remedy);
        Self::from(error).with_status(StatusCode::PAYLOAD_TOO_LARGE)
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        let status = StatusCode::from_u16(status_of(error.kind()));
        Self { status: status.unwrap_or(StatusCode::INTERNAL_SERVER_ERROR), error, place: "body" }
    }
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        let context = Context::current();
        let request_id = context.as_ref().map(|context| context.id().to_owned());
        let id = request_id.as_deref();
        match self.error.kind() {
            ErrorKind::Internal | ErrorKind::Config => {
                tracing::error!(request_id = id, error = ?self.error, "a request failed");
            }
            ErrorKind::Unavailable | ErrorKind::Timeout => {
                tracing::warn!(request_id = id, error = ?self.error, "a request failed");
            }
            _ => {}
        }
        let mut body = ErrorBody::new(&self.error, self.place, request_id);
        if let Detail::Fields(fields) = &mut body.detail {
            for field in fields {
                field.loc.retain(|part| part != "");
            }
        }
        let mut response = (self.status, Json(body)).into_response();
        if let Some(seconds) = retry_after(&self.error) {
            response.headers_mut().insert(header::RETRY_AFTER, seconds);
        }
        response
    }
}

/// Whole seconds, at least 1: always for a rate, else where the error itself says how long.
fn retry_after(error: &Error) -> Option<HeaderValue> {
    let wait = match error.kind() {
        ErrorKind::RateLimited => error.retry_after().unwrap_or(Duration::from_secs(1)),
        ErrorKind::Unavailable => error.retry_after()?,
        _ => return None,
    };
    Some(HeaderValue::from(wait.as_secs_f64().ceil().max(1.0) as u64))
}
