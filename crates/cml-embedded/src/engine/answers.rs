//! First answers of requests that may be repeated.

use chrono::{DateTime, Duration, Utc};
use cml_core::{Error, ErrorKind, Result, Scope};
use serde::{Serialize, de::DeserializeOwned};

use crate::{
    digest::digest,
    store::{Digest, IdempotencyRow},
};

/// How long a first answer is kept.
const KEPT_HOURS: i64 = 24;

/// A request under its caller's idempotency key.
#[derive(Debug, Clone)]
pub(super) struct Repeatable {
    /// The verb and the caller's key.
    pub(super) key: String,
    request: Digest,
    scope: Scope,
}

impl Repeatable {
    /// `request` of `verb` under `key`; its scope is part of what makes it the same request.
    pub(super) fn new(verb: &str, key: &str, scope: &Scope, request: &impl Serialize) -> Result<Self> {
        let body = serde_json::to_vec(&(scope, request)).map_err(|error| {
            Error::new(ErrorKind::Internal, "the request cannot be written down").with_source(error)
        })?;
        Ok(Self { key: format!("{verb}:{key}"), request: digest(&[&body]), scope: scope.clone() })
    }

    /// Whatever request of `verb` has the caller's id `id` in the very scope.
    pub(super) fn within(scope: &Scope, verb: &str, id: &str) -> Result<Self> {
        let parts = [scope.namespace(), scope.user(), scope.agent(), scope.session(), id];
        Self::new(verb, &super::draft::hex(&digest(&parts.map(str::as_bytes))), scope, &())
    }

    /// The first answer, if `row` is that of the same request.
    ///
    /// # Errors
    /// `Conflict` when the key was used with another request.
    pub(super) fn answer<T: DeserializeOwned>(&self, row: &IdempotencyRow) -> Result<T> {
        if row.request != self.request {
            return Err(Error::new(ErrorKind::Conflict, "the idempotency key was used with another request")
                .with_suggestion("use a fresh key for each request"));
        }
        serde_json::from_value(row.answer.clone()).map_err(|error| {
            Error::new(ErrorKind::Internal, "a kept answer cannot be read").with_source(error)
        })
    }

    /// The row that keeps `answer`.
    pub(super) fn row(&self, answer: &impl Serialize, now: DateTime<Utc>) -> IdempotencyRow {
        IdempotencyRow {
            key: self.key.clone(),
            request: self.request,
            answer: serde_json::to_value(answer).unwrap_or_default(),
            scope: self.scope.clone(),
            expires_at: now + Duration::hours(KEPT_HOURS),
        }
    }
}

/// A key for one part of a request that has a key itself; as long as every key may be.
pub(super) fn derived_key(key: &str, part: &str) -> String {
    super::draft::hex(&digest(&[key.as_bytes(), part.as_bytes()]))
}
