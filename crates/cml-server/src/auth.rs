//! Who makes a call, and where it may act.

use axum::{
    extract::FromRequestParts,
    http::{HeaderMap, HeaderValue, request::Parts},
};
use cml_core::{
    Error, ErrorKind, Result, Scope,
    scope::{MAX_ID_CHARS, ScopeParts, check_id},
    wire::header,
};

use crate::{app::App, error::Failure, keys::Key};

/// The holder of a valid key.
#[derive(Debug, Clone)]
pub(crate) struct Caller {
    tenant: String,
    admin: bool,
}

/// The holder of an administrative key.
#[derive(Debug, Clone)]
pub(crate) struct AdminCaller(pub(crate) Caller);

impl Caller {
    /// The holder of `key`, in the tenant that the key has or, for an administrative one, asks for.
    ///
    /// # Errors
    /// `InvalidInput` when the tenant asked for is no valid id.
    pub(crate) fn new(key: &Key, headers: &HeaderMap) -> Result<Self> {
        let asked = headers.get(header::TENANT).filter(|_| key.admin());
        let tenant = match asked {
            None => key.tenant().to_owned(),
            Some(value) => {
                let tenant = str::from_utf8(value.as_bytes()).map_err(|error| {
                    Error::invalid(header::TENANT, "must be UTF-8 text").with_source(error)
                })?;
                check_id(header::TENANT, tenant, MAX_ID_CHARS)?;
                tenant.to_owned()
            }
        };
        Ok(Self { tenant, admin: key.admin() })
    }

    /// The tenant that the call uses.
    pub(crate) fn tenant(&self) -> &str {
        &self.tenant
    }

    /// Whether the key is an administrative one.
    pub(crate) fn admin(&self) -> bool {
        self.admin
    }

    /// The caller's tenant, narrowed.
    ///
    /// # Errors
    /// `InvalidInput` for a part that is no valid id.
    pub(crate) fn scope(&self, parts: &ScopeParts) -> Result<Scope> {
        Scope::new(self.tenant.as_str())?.narrow(parts)
    }

    /// A whole tenant, chosen by name.
    ///
    /// # Errors
    /// `PermissionDenied` for another tenant than the caller's unless the key is administrative,
    /// `InvalidInput` for a name that is no valid id.
    pub(crate) fn scope_of_tenant(&self, tenant: &str) -> Result<Scope> {
        if !self.admin && tenant != self.tenant {
            return Err(denied());
        }
        Scope::new(tenant)
    }
}

impl FromRequestParts<App> for Caller {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, _app: &App) -> Result<Self, Failure> {
        parts.extensions.get::<Self>().cloned().ok_or_else(|| no_key().into())
    }
}

impl FromRequestParts<App> for AdminCaller {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Failure> {
        let caller = Caller::from_request_parts(parts, app).await?;
        if caller.admin { Ok(Self(caller)) } else { Err(denied().into()) }
    }
}

/// The text of the key that a request brings.
pub(crate) fn given(headers: &HeaderMap) -> Option<&[u8]> {
    headers.get(header::API_KEY).map(HeaderValue::as_bytes).filter(|key| !key.is_empty())
}

/// Whether a request brings a valid key.
pub(crate) fn is_known(app: &App, headers: &HeaderMap) -> bool {
    given(headers)
        .and_then(|key| str::from_utf8(key).ok())
        .is_some_and(|secret| app.keys().find(secret).is_some())
}

/// `Unauthenticated`: there is no key.
pub(crate) fn no_key() -> Error {
    Error::new(ErrorKind::Unauthenticated, "API key required").with_suggestion("send it as X-API-Key")
}

/// `Unauthenticated`: no such key.
pub(crate) fn wrong_key() -> Error {
    Error::new(ErrorKind::Unauthenticated, "Invalid API key")
}

/// `PermissionDenied`: the key is no administrative one.
pub(crate) fn denied() -> Error {
    Error::new(ErrorKind::PermissionDenied, "Admin access required")
        .with_suggestion("use the admin key (CML_ADMIN_API_KEY)")
}
