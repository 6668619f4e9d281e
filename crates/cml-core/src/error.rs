//! One error type for every backend.

use std::{error::Error as StdError, fmt, time::Duration};

/// The result of every fallible call of this library.
pub type Result<T, E = Error> = std::result::Result<T, E>;

type Source = Box<dyn StdError + Send + Sync + 'static>;

/// What a caller can do about an [`Error`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The request breaks a rule; [`Error::fields`] lists what to change.
    InvalidInput,
    /// The id is unknown in this tenant.
    NotFound,
    /// The stored state contradicts the request (version, idempotency key, embedding model, schema).
    Conflict,
    /// No key, or a wrong one.
    Unauthenticated,
    /// The key is valid and may not do this.
    PermissionDenied,
    /// Too many requests; wait for [`Error::retry_after`].
    RateLimited,
    /// The deadline passed; the outcome is unknown.
    Timeout,
    /// The server or database cannot be reached at the moment.
    Unavailable,
    /// The backend lacks the verb or was compiled without the feature.
    Unsupported,
    /// The configuration is wrong; the message names the key.
    Config,
    /// A bug in this library or its server.
    Internal,
}

impl ErrorKind {
    /// Every kind, in the order of their definition.
    pub const ALL: [Self; 11] = [
        Self::InvalidInput,
        Self::NotFound,
        Self::Conflict,
        Self::Unauthenticated,
        Self::PermissionDenied,
        Self::RateLimited,
        Self::Timeout,
        Self::Unavailable,
        Self::Unsupported,
        Self::Config,
        Self::Internal,
    ];

    /// The stable code that travels in JSON as `code`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::InvalidInput => "invalid_input",
            Self::NotFound => "not_found",
            Self::Conflict => "conflict",
            Self::Unauthenticated => "unauthenticated",
            Self::PermissionDenied => "permission_denied",
            Self::RateLimited => "rate_limited",
            Self::Timeout => "timeout",
            Self::Unavailable => "unavailable",
            Self::Unsupported => "unsupported",
            Self::Config => "config",
            Self::Internal => "internal",
        }
    }
}

impl fmt::Display for ErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A field of a request that breaks a rule.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct FieldError {
    /// Name of the field as in JSON, nested parts joined by dots (`filter.eq`).
    pub field: String,
    /// What is allowed, in plain words.
    pub message: String,
}

/// What a server answered, kept for diagnosis and never printed.
#[derive(Clone, Default)]
struct Answer {
    status: Option<u16>,
    request_id: Option<String>,
    body: Option<String>,
}

/// An error of any backend: a kind, a message in plain words, and its context.
///
/// Messages carry no secrets and no memory text.
pub struct Error(Box<Inner>);

struct Inner {
    kind: ErrorKind,
    message: String,
    operation: Option<&'static str>,
    context: Vec<(&'static str, String)>,
    fields: Vec<FieldError>,
    suggestion: Option<String>,
    retry_after: Option<Duration>,
    answer: Answer,
    source: Option<Source>,
}

impl Error {
    /// An error of `kind` that says `message` (lower case, without a full stop).
    #[must_use]
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self(Box::new(Inner {
            kind,
            message: message.into(),
            operation: None,
            context: Vec::new(),
            fields: Vec::new(),
            suggestion: None,
            retry_after: None,
            answer: Answer::default(),
            source: None,
        }))
    }

    /// [`ErrorKind::InvalidInput`] on one field, with what it allows.
    #[must_use]
    pub fn invalid(field: impl Into<String>, message: impl Into<String>) -> Self {
        let (field, message) = (field.into(), message.into());
        let mut error = Self::new(ErrorKind::InvalidInput, format!("{field}: {message}"));
        error.0.fields.push(FieldError { field, message });
        error
    }

    /// [`ErrorKind::NotFound`] for the thing named `what` with this id.
    #[must_use]
    pub fn not_found(what: &str, id: impl fmt::Display) -> Self {
        Self::new(ErrorKind::NotFound, format!("{what} {id} does not exist"))
    }

    /// [`ErrorKind::Unsupported`]: `what` is not offered, `remedy` says how to get it.
    #[must_use]
    pub fn unsupported(what: &str, remedy: impl Into<String>) -> Self {
        Self::new(ErrorKind::Unsupported, format!("{what} is not supported by this backend"))
            .with_suggestion(remedy)
    }

    /// Joins the field errors of several [`ErrorKind::InvalidInput`] errors into one.
    #[must_use]
    pub fn join(errors: Vec<Self>) -> Option<Self> {
        errors.into_iter().reduce(|mut all, next| {
            all.0.message = format!("{}; {}", all.0.message, next.0.message);
            all.0.fields.extend(next.0.fields);
            all
        })
    }

    /// Names the verb that failed, unless a deeper layer already did.
    #[must_use]
    pub fn with_operation(mut self, operation: &'static str) -> Self {
        self.0.operation.get_or_insert(operation);
        self
    }

    /// Adds a pair of context, such as `memory_id`.
    #[must_use]
    pub fn with_context(mut self, key: &'static str, value: impl fmt::Display) -> Self {
        self.0.context.push((key, value.to_string()));
        self
    }

    /// Says what the caller can do.
    #[must_use]
    pub fn with_suggestion(mut self, suggestion: impl Into<String>) -> Self {
        self.0.suggestion = Some(suggestion.into());
        self
    }

    /// Sets how long to wait before the next attempt.
    #[must_use]
    pub fn with_retry_after(mut self, wait: Duration) -> Self {
        self.0.retry_after = Some(wait);
        self
    }

    /// Keeps what the server answered.
    #[must_use]
    pub fn with_answer(mut self, status: u16, request_id: Option<String>, body: Option<String>) -> Self {
        self.0.answer = Answer { status: Some(status), request_id, body };
        self
    }

    /// Keeps the error that caused this one.
    #[must_use]
    pub fn with_source(mut self, source: impl Into<Source>) -> Self {
        self.0.source = Some(source.into());
        self
    }

    /// What the caller can do about it.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        self.0.kind
    }

    /// The message in plain words.
    #[must_use]
    pub fn message(&self) -> &str {
        &self.0.message
    }

    /// The verb that failed.
    #[must_use]
    pub fn operation(&self) -> Option<&'static str> {
        self.0.operation
    }

    /// Context pairs in the order they were added.
    #[must_use]
    pub fn context(&self) -> &[(&'static str, String)] {
        &self.0.context
    }

    /// The fields that break a rule; empty unless the kind is [`ErrorKind::InvalidInput`].
    #[must_use]
    pub fn fields(&self) -> &[FieldError] {
        &self.0.fields
    }

    /// What to do about it, where something is known.
    #[must_use]
    pub fn suggestion(&self) -> Option<&str> {
        self.0.suggestion.as_deref()
    }

    /// HTTP status of the server's answer.
    #[must_use]
    pub fn status(&self) -> Option<u16> {
        self.0.answer.status
    }

    /// Request id of the server's answer.
    #[must_use]
    pub fn request_id(&self) -> Option<&str> {
        self.0.answer.request_id.as_deref()
    }

    /// Body of the server's answer; never part of `Display` or `Debug`.
    #[must_use]
    pub fn body(&self) -> Option<&str> {
        self.0.answer.body.as_deref()
    }

    /// How long to wait before the next attempt, where the backend said so.
    #[must_use]
    pub fn retry_after(&self) -> Option<Duration> {
        self.0.retry_after
    }

    /// Whether the same call may succeed later without a change.
    #[must_use]
    pub fn is_retryable(&self) -> bool {
        matches!(self.0.kind, ErrorKind::RateLimited | ErrorKind::Timeout | ErrorKind::Unavailable)
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(operation) = self.0.operation {
            write!(f, "{operation}: ")?;
        }
        f.write_str(&self.0.message)?;
        if let Some(suggestion) = &self.0.suggestion {
            write!(f, " ({suggestion})")?;
        }
        Ok(())
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Error")
            .field("kind", &self.0.kind)
            .field("message", &self.0.message)
            .field("operation", &self.0.operation)
            .field("context", &self.0.context)
            .field("suggestion", &self.0.suggestion)
            .field("status", &self.0.answer.status)
            .field("request_id", &self.0.answer.request_id)
            .field("source", &self.0.source)
            .finish_non_exhaustive()
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.0.source.as_deref().map(|source| source as _)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn display_names_operation_message_and_suggestion() {
        let error = Error::unsupported("graph", "enable the feature `embedded-full`").with_operation("graph");
        assert_eq!(
            error.to_string(),
            "graph: graph is not supported by this backend (enable the feature `embedded-full`)"
        );
    }

    #[test]
    fn the_body_of_an_answer_is_kept_and_never_printed() {
        let error = Error::new(ErrorKind::Internal, "server error").with_answer(
            500,
            Some("r-1".into()),
            Some("private text".into()),
        );
        assert_eq!(error.body(), Some("private text"));
        assert!(!format!("{error} {error:?}").contains("private"));
    }

    #[test]
    fn only_passing_conditions_are_retryable() {
        let retryable: Vec<_> =
            ErrorKind::ALL.into_iter().filter(|kind| Error::new(*kind, "x").is_retryable()).collect();
        assert_eq!(retryable, [ErrorKind::RateLimited, ErrorKind::Timeout, ErrorKind::Unavailable]);
    }
}
