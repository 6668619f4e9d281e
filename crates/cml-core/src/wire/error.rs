//! Errors as JSON, and the one map between kinds and status codes.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{Error, ErrorKind, FieldError};

/// Body of every answer that is no success.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[expect(clippy::exhaustive_structs, reason = "the wire fixes it")]
pub struct ErrorBody {
    /// What went wrong: a sentence, or the fields that break a rule.
    pub detail: Detail,
    /// The kind; absent from the original server's answers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code: Option<String>,
    /// What to do about it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub suggestion: Option<String>,
    /// Identity of the request.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request_id: Option<String>,
}

/// What went wrong.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(untagged)]
#[expect(clippy::exhaustive_enums, reason = "the wire fixes it")]
pub enum Detail {
    /// A sentence.
    Text(String),
    /// The fields that break a rule.
    Fields(Vec<FieldDetail>),
    /// Anything else that a foreign server may send.
    Other(Value),
}

/// A field that breaks a rule.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[expect(clippy::exhaustive_structs, reason = "the wire fixes it")]
pub struct FieldDetail {
    /// The rule's name.
    #[serde(rename = "type")]
    pub rule: String,
    /// Where the field is: `body` or `query` first, then its name and the parts inside it.
    pub loc: Vec<Value>,
    /// What is allowed.
    pub msg: String,
}

/// The status code that stands for a kind.
#[must_use]
pub const fn status_of(kind: ErrorKind) -> u16 {
    match kind {
        ErrorKind::InvalidInput => 422,
        ErrorKind::NotFound => 404,
        ErrorKind::Conflict => 409,
        ErrorKind::Unauthenticated => 401,
        ErrorKind::PermissionDenied => 403,
        ErrorKind::RateLimited => 429,
        ErrorKind::Timeout => 504,
        ErrorKind::Unavailable => 503,
        ErrorKind::Unsupported => 501,
        ErrorKind::Config | ErrorKind::Internal => 500,
    }
}

/// The kind that a status code stands for where no `code` says it.
#[must_use]
pub const fn kind_of(status: u16) -> ErrorKind {
    match status {
        401 | 407 => ErrorKind::Unauthenticated,
        403 => ErrorKind::PermissionDenied,
        404 | 410 => ErrorKind::NotFound,
        408 | 504 => ErrorKind::Timeout,
        409 | 412 => ErrorKind::Conflict,
        429 => ErrorKind::RateLimited,
        501 | 405 => ErrorKind::Unsupported,
        502 | 503 => ErrorKind::Unavailable,
        400..=499 => ErrorKind::InvalidInput,
        _ => ErrorKind::Internal,
    }
}

impl ErrorBody {
    /// `error` as a server tells it. A bug keeps its details to the log; `place` is where the fields
    /// stand: `body` or `query`.
    #[must_use]
    pub fn new(error: &Error, place: &str, request_id: Option<String>) -> Self {
        let detail = match error.kind() {
            ErrorKind::Internal => Detail::Text("Internal server error".to_owned()),
            _ if error.fields().is_empty() => Detail::Text(error.message().to_owned()),
            _ => Detail::Fields(error.fields().iter().map(|field| FieldDetail::new(field, place)).collect()),
        };
        Self {
            detail,
            code: Some(error.kind().as_str().to_owned()),
            suggestion: error.suggestion().map(str::to_owned),
            request_id,
        }
    }

    /// The error that an answer of this status tells of.
    #[must_use]
    pub fn into_error(self, status: u16) -> Error {
        let named = self.code.as_deref();
        let kind = ErrorKind::ALL.into_iter().find(|kind| Some(kind.as_str()) == named);
        let kind = kind.unwrap_or_else(|| kind_of(status));
        let error = match self.detail {
            Detail::Fields(fields) if kind == ErrorKind::InvalidInput && !fields.is_empty() => {
                let fields = fields.iter().map(|field| Error::invalid(field.name(), &field.msg)).collect();
                Error::join(fields).unwrap_or_else(|| Error::new(kind, "the request breaks a rule"))
            }
            Detail::Fields(fields) => {
                let message = fields.iter().map(|field| format!("{}: {}", field.name(), field.msg));
                Error::new(kind, message.collect::<Vec<_>>().join("; "))
            }
            Detail::Text(text) => Error::new(kind, text),
            Detail::Other(_) => Error::new(kind, format!("the server answered {status}")),
        };
        match self.suggestion {
            Some(suggestion) => error.with_suggestion(suggestion),
            None => error,
        }
    }
}

impl FieldDetail {
    fn new(field: &FieldError, place: &str) -> Self {
        let parts = field.field.split('.').map(Value::from);
        Self {
            rule: "value_error".to_owned(),
            loc: std::iter::once(Value::from(place)).chain(parts).collect(),
            msg: field.message.clone(),
        }
    }

    /// The field as in JSON, nested parts joined by dots.
    fn name(&self) -> String {
        let part = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        let mut parts: Vec<_> = self.loc.iter().map(part).collect();
        if parts.len() > 1 && ["body", "query", "path", "header"].contains(&parts[0].as_str()) {
            parts.remove(0);
        }
        parts.join(".")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_travels_there_and_back() {
        for kind in ErrorKind::ALL {
            let body = ErrorBody::new(&Error::new(kind, "broken"), "body", None);
            assert_eq!(body.into_error(status_of(kind)).kind(), kind);
        }
    }

    #[test]
    fn fields_travel_with_their_place() {
        let error = Error::join(vec![
            Error::invalid("filter.eq", "must not be empty"),
            Error::invalid("limit", "is 0"),
        ]);
        let error = error.expect("two faults");
        let body = ErrorBody::new(&error, "body", Some("r-1".to_owned()));
        let json = serde_json::to_value(&body).expect("JSON");
        assert_eq!(json["detail"][0]["loc"], serde_json::json!(["body", "filter", "eq"]));
        assert_eq!(json["code"], "invalid_input");
        let back = body.into_error(422);
        assert_eq!(back.fields(), error.fields());
    }

    #[test]
    fn an_answer_without_a_code_is_understood_by_its_status() {
        let body: ErrorBody = serde_json::from_str(r#"{"detail": "Invalid API key"}"#).expect("JSON");
        let error = body.into_error(401);
        assert_eq!((error.kind(), error.message()), (ErrorKind::Unauthenticated, "Invalid API key"));
    }
}
