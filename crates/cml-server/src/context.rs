//! What the request at hand is, for errors and the log.

use std::sync::{Arc, OnceLock};

/// Identity of a request, and who makes it once that is known.
#[derive(Debug, Clone)]
pub(crate) struct Context(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    id: String,
    caller: OnceLock<(String, String)>,
}

tokio::task_local! {
    static CURRENT: Context;
}

impl Context {
    pub(crate) fn new(id: String) -> Self {
        Self(Arc::new(Inner { id, caller: OnceLock::new() }))
    }

    /// The request's id.
    pub(crate) fn id(&self) -> &str {
        &self.0.id
    }

    /// Tenant and masked key.
    pub(crate) fn caller(&self) -> Option<(&str, &str)> {
        self.0.caller.get().map(|(tenant, key)| (tenant.as_str(), key.as_str()))
    }

    /// Says who makes the request; the first word stands.
    pub(crate) fn set_caller(&self, tenant: &str, key: &str) {
        let _ = self.0.caller.set((tenant.to_owned(), key.to_owned()));
    }

    /// Runs `work` as part of this request.
    pub(crate) async fn run<F: Future>(&self, work: F) -> F::Output {
        CURRENT.scope(self.clone(), work).await
    }

    /// The request that the running task works on.
    pub(crate) fn current() -> Option<Self> {
        CURRENT.try_with(Self::clone).ok()
    }
}
