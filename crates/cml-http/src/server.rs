//! What was learned of the server: ours or the original, its version, what it can do, whose key it is.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, OnceLock, PoisonError},
};

use cml_core::{
    Capabilities, Capability, Error, ErrorKind, Result, Scope,
    wire::{HealthBody, WhoAmI, path},
};
use serde_json::Value;
use tokio::sync::OnceCell;

use crate::{
    call::Call,
    client::{Client, other_tenant},
    original,
};

/// What kind of backend this is, whatever stands behind the server.
pub(crate) const BACKEND: &str = "http";
/// What no server can do for a client.
const NOT_OVER_HTTP: [Capability; 2] = [Capability::Reembed, Capability::FactEditing];

/// What `GET /health` told.
#[derive(Debug, Clone)]
pub(crate) struct Seen {
    pub(crate) original: bool,
    pub(crate) capabilities: Capabilities,
}

impl Seen {
    fn new(body: &HealthBody) -> Self {
        let health = &body.health;
        if health.backend.is_empty() && body.capabilities.is_empty() {
            return Self { original: true, capabilities: original::capabilities(&health.version) };
        }
        let known = body.known().filter(|capability| !NOT_OVER_HTTP.contains(capability));
        let mut capabilities = Capabilities::new(BACKEND, &health.mode, &health.version, known);
        if let Some(max_results) = body.max_results {
            capabilities.max_results = max_results;
        }
        Self { original: false, capabilities }
    }

    pub(crate) fn has(&self, capability: Capability) -> bool {
        self.capabilities.has(capability)
    }
}

/// Which tenants a key may use, as far as it was asked.
#[derive(Debug, Default)]
struct Key {
    /// Whether it may use any; on the original, where nothing else tells.
    admin: OnceCell<bool>,
    /// The first tenant that it was used for.
    first: OnceLock<String>,
    /// Per tenant the one that the key belongs to instead, if any.
    tenants: Mutex<HashMap<String, Arc<OnceCell<Option<String>>>>>,
}

/// What was learned of the server.
#[derive(Debug, Default)]
pub(crate) struct Server {
    seen: OnceCell<Seen>,
    user_key: Key,
    admin_key: Key,
}

impl Server {
    /// What the server can do; before it answered, everything that the protocol has.
    pub(crate) fn capabilities(&self) -> Capabilities {
        self.seen.get().map(|seen| seen.capabilities.clone()).unwrap_or_else(|| {
            let all = Capability::ALL.iter().copied();
            let over_http = all.filter(|capability| !NOT_OVER_HTTP.contains(capability));
            Capabilities::new(BACKEND, "", "", over_http)
        })
    }

    /// Asks the server once what it is; an answer that did not come is asked for again.
    pub(crate) async fn seen(&self, client: &Client) -> Result<&Seen> {
        self.seen
            .get_or_try_init(|| async {
                let body = client.json(Call::get(path::HEALTH)).await.map_err(not_seen)?;
                Ok(see(&body))
            })
            .await
    }

    /// Asks the server what it is, without a second attempt.
    pub(crate) async fn probe(&self, client: &Client) -> Result<()> {
        let body = client.json(Call::get(path::HEALTH).once()).await?;
        self.remember(&body);
        Ok(())
    }

    /// Takes what an answer to `GET /health` tells, if nothing is known yet.
    pub(crate) fn remember(&self, body: &HealthBody) {
        if !self.seen.initialized() {
            // Another call may have been faster; both saw the same server.
            let _faster = self.seen.set(see(body));
        }
    }

    /// Passes when the key of a call may use the tenant of `scope`; asks before the tenant's first use.
    ///
    /// # Errors
    /// `PermissionDenied` when the key belongs to another tenant, `Unauthenticated` when it is none.
    pub(crate) async fn admit(
        &self,
        client: &Client,
        seen: &Seen,
        scope: &Scope,
        admin_call: bool,
    ) -> Result<()> {
        let admin = admin_call && client.has_admin_key();
        let key = if admin { &self.admin_key } else { &self.user_key };
        if key.admin.get() == Some(&true) {
            return Ok(());
        }
        let verdict = {
            let mut tenants = key.tenants.lock().unwrap_or_else(PoisonError::into_inner);
            match tenants.get(scope.tenant()) {
                Some(verdict) => Arc::clone(verdict),
                None => Arc::clone(tenants.entry(scope.tenant().to_owned()).or_default()),
            }
        };
        let belongs_to = verdict
            .get_or_try_init(|| async {
                if seen.original {
                    key.ask_original(client, scope, admin).await
                } else {
                    key.ask(client, scope, admin).await
                }
            })
            .await?;
        match belongs_to {
            Some(other) => Err(other_tenant(scope.tenant(), other)),
            None => Ok(()),
        }
    }
}

impl Key {
    /// The tenant that the key belongs to, if it is another one than that of `scope`.
    async fn ask(&self, client: &Client, scope: &Scope, admin: bool) -> Result<Option<String>> {
        let me: WhoAmI = client.json(whoami(admin).of(scope)).await?;
        if me.admin {
            // Said once, it holds for every tenant.
            let _known = self.admin.set(true);
        }
        Ok(Some(me.tenant_id).filter(|tenant| tenant != scope.tenant()))
    }

    /// The original tells nothing: a key that may list tenants may choose one, any other stays with the
    /// first.
    async fn ask_original(&self, client: &Client, scope: &Scope, admin: bool) -> Result<Option<String>> {
        let chooses = self
            .admin
            .get_or_try_init(|| async {
                let call = Call::get(path::TENANTS).of_original().of(scope).any_tenant();
                let call = if admin { call.admin() } else { call };
                match client.json::<Value>(call).await {
                    Ok(_) => Ok(true),
                    Err(error)
                        if matches!(error.kind(), ErrorKind::PermissionDenied | ErrorKind::NotFound) =>
                    {
                        Ok(false)
                    }
                    Err(error) => Err(error),
                }
            })
            .await?;
        let first = self.first.get_or_init(|| scope.tenant().to_owned());
        Ok((!chooses && first != scope.tenant()).then(|| first.clone()))
    }
}

/// Asks whose key it is.
pub(crate) fn whoami(admin: bool) -> Call {
    let call = Call::get(path::WHOAMI).any_tenant();
    if admin { call.admin() } else { call }
}

fn see(body: &HealthBody) -> Seen {
    let seen = Seen::new(body);
    let (server, own) = (&seen.capabilities.version, env!("CARGO_PKG_VERSION"));
    if seen.original || minor(server) != minor(own) {
        tracing::warn!(
            server = server.as_str(),
            client = own,
            original = seen.original,
            "the server is of another version than this client: some verbs may be missing"
        );
    }
    seen
}

/// `1.2` of `1.2.3`.
fn minor(version: &str) -> Option<(&str, &str)> {
    let (major, rest) = version.split_once('.')?;
    Some((major, rest.split('.').next()?))
}

/// A server that cannot be asked what it is is away, unless its settings are wrong.
fn not_seen(error: Error) -> Error {
    if error.is_retryable() || error.kind() == ErrorKind::Config {
        return error;
    }
    Error::new(ErrorKind::Unavailable, "no cml server answers at base_url")
        .with_suggestion("is base_url right, and the server up?")
        .with_source(error)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(json: &str) -> Result<Seen, serde_json::Error> {
        Ok(Seen::new(&serde_json::from_str(json)?))
    }

    #[test]
    fn a_server_of_ours_says_what_it_can_do() -> Result<(), serde_json::Error> {
        let seen = seen(
            r#"{"status": "healthy", "timestamp": "2026-01-01T00:00:00Z", "version": "0.1.0",
                "backend": "embedded", "mode": "lite", "components": [], "max_results": 77,
                "capabilities": ["namespaces", "reembed", "a_later_one"]}"#,
        )?;
        assert!(!seen.original);
        let capabilities = seen.capabilities;
        assert_eq!((capabilities.backend.as_str(), capabilities.mode.as_str()), ("http", "lite"));
        assert_eq!(capabilities.supported.into_iter().collect::<Vec<_>>(), [Capability::Namespaces]);
        assert_eq!(capabilities.max_results, 77);
        Ok(())
    }

    #[test]
    fn the_original_is_known_by_what_it_does_not_say() -> Result<(), serde_json::Error> {
        let seen = seen(r#"{"status": "healthy", "timestamp": "2026-01-01T00:00:00.123456"}"#)?;
        assert!(seen.original && !seen.has(Capability::Idempotency));
        assert_eq!(seen.capabilities.max_results, 50);
        Ok(())
    }

    #[test]
    fn versions_are_compared_up_to_the_minor_number() {
        assert_eq!(minor("0.1.0"), minor("0.1.7-dev"));
        assert_ne!(minor("0.1.0"), minor("0.2.0"));
        assert_eq!(minor(""), None);
    }
}
