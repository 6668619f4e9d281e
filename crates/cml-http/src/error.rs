//! What went wrong on the wire, as errors of the contract.

use std::{
    error::Error as StdError,
    io,
    time::{Duration, SystemTime},
};

use cml_core::{
    Error, ErrorKind,
    wire::{Detail, ErrorBody, header, kind_of},
};
use reqwest::{StatusCode, header::HeaderMap};

/// A failed attempt.
#[derive(Debug)]
pub(crate) struct Failure {
    pub(crate) error: Error,
    pub(crate) cause: Cause,
}

/// What is known of the work of a failed attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Cause {
    /// The server did nothing: no connection, or 429.
    NotSent,
    /// The server may have done the work: timeout, lost connection, 502, 503, 504.
    Unknown,
    /// 500 without a code: the original's answer to anything unexpected.
    Bare500,
    /// Another attempt would fail as well.
    Final,
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self { error, cause: Cause::Final }
    }
}

/// An attempt without an answer, or with half of one.
pub(crate) fn transport(error: reqwest::Error) -> Failure {
    // The address holds what was asked.
    let error = error.without_url();
    let (kind, message, cause) = if refuses_certificate(&error) {
        (ErrorKind::Config, "the server's certificate is not valid", Cause::Final)
    } else if error.is_connect() {
        (ErrorKind::Unavailable, "the server cannot be reached", Cause::NotSent)
    } else if error.is_timeout() {
        (ErrorKind::Timeout, "the server did not answer in time", Cause::Unknown)
    } else if error.is_builder() {
        (ErrorKind::InvalidInput, "the request cannot be sent", Cause::Final)
    } else {
        (ErrorKind::Unavailable, "the connection to the server was lost", Cause::Unknown)
    };
    let suggestion = match kind {
        ErrorKind::Config => Some("install its issuer's certificate, or set verify_ssl to false"),
        ErrorKind::Timeout => Some("set a longer timeout"),
        ErrorKind::Unavailable if cause == Cause::NotSent => Some("is base_url right, and the server up?"),
        _ => None,
    };
    let failed = Error::new(kind, message).with_source(error);
    Failure { error: suggestion.into_iter().fold(failed, Error::with_suggestion), cause }
}

fn refuses_certificate(error: &(dyn StdError + 'static)) -> bool {
    if let Some(rustls::Error::InvalidCertificate(_)) = error.downcast_ref() {
        return true;
    }
    // An I/O error names the source of what it wraps, not what it wraps.
    let wrapped = error.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
    let inner = wrapped.map(|inner| inner as &(dyn StdError + 'static)).or_else(|| error.source());
    inner.is_some_and(refuses_certificate)
}

/// An answer that is no success. `body` is kept and never printed.
pub(crate) fn answer(status: StatusCode, headers: &HeaderMap, body: &[u8], sent_id: &str) -> Failure {
    let told: Option<ErrorBody> = serde_json::from_slice(body).ok();
    let code = told.as_ref().is_some_and(|told| told.code.is_some());
    let number = status.as_u16();
    let error = match told {
        Some(told) if code || status.is_client_error() => told.into_error(number),
        // Without a code it is no answer of ours, and a foreign server may print anything.
        _ if status.is_redirection() => {
            Error::new(ErrorKind::Config, "base_url: the server sends its callers elsewhere")
                .with_suggestion("set base_url to the address that the server itself answers at")
        }
        _ => Error::new(kind_of(number), format!("the server answered {status}")),
    };
    let cause = match number {
        429 => Cause::NotSent,
        502..=504 => Cause::Unknown,
        500 if !code => Cause::Bare500,
        _ => Cause::Final,
    };
    let text = |name| headers.get(name).and_then(|value| value.to_str().ok());
    let id = text(header::REQUEST_ID).unwrap_or(sent_id);
    let error = advise(error).with_answer(
        number,
        Some(id.to_owned()),
        Some(String::from_utf8_lossy(body).into_owned()),
    );
    let wait = text(header::RETRY_AFTER).and_then(|text| retry_after(text, SystemTime::now()));
    Failure { error: wait.into_iter().fold(error, Error::with_retry_after), cause }
}

/// An answer that says success and is none.
pub(crate) fn misunderstood(message: &str, status: StatusCode, id: &str, body: &[u8]) -> Error {
    Error::new(ErrorKind::Internal, message)
        .with_suggestion("is base_url the address of a cml server, and not of a proxy in front of it?")
        .with_answer(status.as_u16(), Some(id.to_owned()), Some(String::from_utf8_lossy(body).into_owned()))
}

/// The failure that `event: error` of a stream tells of.
pub(crate) fn told_by_stream(data: &str) -> Error {
    match serde_json::from_str::<ErrorBody>(data) {
        Ok(body) if body.code.is_some() || matches!(body.detail, Detail::Fields(_)) => body.into_error(500),
        _ => Error::new(ErrorKind::Internal, "the server failed while it answered"),
    }
}

/// The same error once more, for every item that it concerns.
pub(crate) fn copy(error: &Error) -> Error {
    let mut copy = Error::new(error.kind(), error.message());
    if let Some(suggestion) = error.suggestion() {
        copy = copy.with_suggestion(suggestion);
    }
    if let Some(wait) = error.retry_after() {
        copy = copy.with_retry_after(wait);
    }
    if let Some(status) = error.status() {
        copy =
            copy.with_answer(status, error.request_id().map(str::to_owned), error.body().map(str::to_owned));
    }
    copy
}

fn advise(error: Error) -> Error {
    if error.suggestion().is_some() {
        return error;
    }
    match error.kind() {
        ErrorKind::Unauthenticated => error.with_suggestion("set api_key to a key that the server knows"),
        ErrorKind::PermissionDenied => {
            error.with_suggestion("set admin_api_key, or use a key that may do this")
        }
        _ => error,
    }
}

/// `Retry-After`: seconds or a date, RFC 9110, section 10.2.3. A date in the past is no wait.
fn retry_after(text: &str, now: SystemTime) -> Option<Duration> {
    if let Ok(seconds) = text.trim().parse::<u64>() {
        return Some(Duration::from_secs(seconds));
    }
    let date = httpdate::parse_http_date(text.trim()).ok()?;
    Some(date.duration_since(now).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answered(status: u16, body: &str) -> Failure {
        let status = StatusCode::from_u16(status).expect("a status");
        answer(status, &HeaderMap::new(), body.as_bytes(), "r-1")
    }

    #[test]
    fn every_kind_is_read_off_its_code_and_off_its_status() {
        for kind in ErrorKind::ALL {
            let status = cml_core::wire::status_of(kind);
            let body = format!(r#"{{"detail": "broken", "code": "{kind}"}}"#);
            assert_eq!(answered(status, &body).error.kind(), kind);
            if kind != ErrorKind::Config {
                assert_eq!(answered(status, r#"{"detail": "broken"}"#).error.kind(), kind);
            }
        }
    }

    #[test]
    fn an_error_keeps_status_request_id_and_body_and_prints_no_body() {
        let Failure { error, cause } = answered(500, r#"{"detail": "row of Ana: private"}"#);
        assert_eq!((error.status(), error.request_id()), (Some(500), Some("r-1")));
        assert_eq!(error.body(), Some(r#"{"detail": "row of Ana: private"}"#));
        assert!(!format!("{error} {error:?}").contains("private"));
        assert_eq!(cause, Cause::Bare500);
        assert_eq!(answered(500, r#"{"detail": "x", "code": "internal"}"#).cause, Cause::Final);
    }

    #[test]
    fn what_may_pass_is_told_from_what_will_not() {
        for (status, cause) in [
            (429, Cause::NotSent),
            (502, Cause::Unknown),
            (503, Cause::Unknown),
            (504, Cause::Unknown),
            (501, Cause::Final),
            (404, Cause::Final),
            (307, Cause::Final),
        ] {
            assert_eq!(answered(status, "").cause, cause, "{status}");
        }
        assert_eq!(answered(302, "").error.kind(), ErrorKind::Config);
    }

    #[test]
    fn a_certificate_that_is_not_valid_is_found_however_deep() {
        use rustls::{CertificateError, Error as TlsError};
        let refused = TlsError::InvalidCertificate(CertificateError::UnknownIssuer);
        let wrapped = io::Error::other(io::Error::new(io::ErrorKind::InvalidData, refused));
        assert!(refuses_certificate(&wrapped));
        assert!(!refuses_certificate(&io::Error::other(TlsError::HandshakeNotComplete)));
        assert!(!refuses_certificate(&io::Error::other("away")));
    }

    #[test]
    fn a_wait_is_given_in_seconds_or_by_a_date() {
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(784_111_777);
        for (text, wait) in [
            ("120", Some(120)),
            ("Sun, 06 Nov 1994 08:49:47 GMT", Some(10)),
            ("Sun, 06 Nov 1994 08:49:07 GMT", Some(0)),
            ("soon", None),
        ] {
            assert_eq!(retry_after(text, now), wait.map(Duration::from_secs), "{text}");
        }
    }
}
