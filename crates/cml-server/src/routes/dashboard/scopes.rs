//! Whose rows a route of the dashboard is about.

use cml_core::{ErrorKind, Result, Scope, ops::TenantSummary};
use futures_util::future::BoxFuture;

use super::in_query;
use crate::{app::App, auth::Caller, error::Failure};

/// The tenant named, or the caller's.
pub(super) fn named_or_own(caller: &Caller, tenant: Option<&str>) -> Result<Scope> {
    caller.scope_of_tenant(tenant.unwrap_or_else(|| caller.tenant()))
}

/// The tenant that a query names, or every tenant.
pub(super) async fn named_or_all(
    app: &App,
    caller: &Caller,
    tenant: Option<&str>,
) -> Result<Vec<Scope>, Failure> {
    match tenant {
        Some(tenant) => Ok(vec![caller.scope_of_tenant(tenant).map_err(in_query)?]),
        None => Ok(all(app, caller).await?),
    }
}

/// Every tenant with the number of its memories.
pub(super) async fn counted(app: &App, caller: &Caller) -> Result<Vec<(Scope, u64)>> {
    let tenants = app.backend().admin()?.tenants().await?;
    let counted = |tenant: &TenantSummary| {
        caller.scope_of_tenant(&tenant.tenant_id).map(|scope| (scope, tenant.memory_count))
    };
    tenants.iter().map(counted).collect()
}

/// Every tenant.
pub(super) async fn all(app: &App, caller: &Caller) -> Result<Vec<Scope>> {
    Ok(counted(app, caller).await?.into_iter().map(|(scope, _)| scope).collect())
}

/// What `look` finds in the caller's tenant, or else in the first other tenant that has it.
///
/// # Errors
/// `NotFound` as the caller's tenant says it; any other error of `look` at once.
pub(super) async fn find<'a, T>(
    app: &'a App,
    caller: &Caller,
    look: impl Fn(Scope) -> BoxFuture<'a, Result<T>>,
) -> Result<(Scope, T)> {
    let own = named_or_own(caller, None)?;
    let missing = match look(own.clone()).await {
        Ok(found) => return Ok((own, found)),
        Err(error) if error.kind() == ErrorKind::NotFound => error,
        Err(error) => return Err(error),
    };
    for scope in all(app, caller).await? {
        if scope == own {
            continue;
        }
        match look(scope.clone()).await {
            Ok(found) => return Ok((scope, found)),
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
    }
    Err(missing)
}
