//! The front door.

use std::sync::Arc;

use cml_core::{
    Capabilities, Config, MemoryBackend, Result, Scope,
    ops::{CreateSession, Health},
};

use crate::connect;

/// A memory: a backend, and the scope that every call of this handle acts in.
///
/// Clones and views share the backend; a clone costs two reference counts and a few short strings.
/// Requests are plain values with `with_*` setters; a verb also takes what is required in place of
/// the request, such as `memory.write("text")`.
#[derive(Debug, Clone)]
pub struct Memory {
    pub(crate) backend: Arc<dyn MemoryBackend>,
    pub(crate) scope: Scope,
}

impl Memory {
    /// A handle on `backend` that acts in `scope`.
    #[must_use]
    pub fn new(backend: Arc<dyn MemoryBackend>, scope: Scope) -> Self {
        Self { backend, scope }
    }

    /// Opens the memory that `config` describes, in the scope that it names.
    ///
    /// # Errors
    /// `Unsupported` naming the cargo feature when the mode is not compiled in; `Config` for settings
    /// that do not work; `Conflict` for a store of a newer version or with vectors of another model;
    /// `Unavailable` when a service is away.
    pub async fn connect(config: &Config) -> Result<Self> {
        Ok(Self::new(connect::backend(config).await?, scope(config)?))
    }

    /// Opens the memory that the environment describes: `CML_*` variables, `.env`, `cml.toml`.
    ///
    /// # Errors
    /// `Config` naming the variable or key, and as [`connect`](Self::connect).
    pub async fn from_env() -> Result<Self> {
        Self::connect(&Config::from_env()?).await
    }

    /// The capabilities of the backend.
    #[must_use]
    pub fn capabilities(&self) -> Capabilities {
        self.backend.capabilities()
    }

    /// The scope of this handle.
    #[must_use]
    pub fn scope(&self) -> &Scope {
        &self.scope
    }

    /// The backend of this handle, for verbs that have no shortcut here.
    #[must_use]
    pub fn backend(&self) -> &Arc<dyn MemoryBackend> {
        &self.backend
    }

    fn view(&self, scope: Scope) -> Self {
        Self { backend: Arc::clone(&self.backend), scope }
    }

    /// A view on another tenant, as a whole.
    ///
    /// # Errors
    /// `InvalidInput` unless the id has 1 to 100 characters and no control characters.
    pub fn tenant(&self, id: impl Into<String>) -> Result<Self> {
        Ok(self.view(Scope::new(id)?))
    }

    /// A view that reads and writes only this namespace.
    ///
    /// # Errors
    /// `InvalidInput` as for [`tenant`](Self::tenant).
    pub fn namespace(&self, name: impl Into<String>) -> Result<Self> {
        Ok(self.view(self.scope.clone().with_namespace(name)?))
    }

    /// A view on one data subject: its rows, and those without a user.
    ///
    /// # Errors
    /// `InvalidInput` as for [`tenant`](Self::tenant).
    pub fn user(&self, id: impl Into<String>) -> Result<Self> {
        Ok(self.view(self.scope.clone().with_user(id)?))
    }

    /// A view that stamps this author on what it writes; reads are not limited.
    ///
    /// # Errors
    /// `InvalidInput` as for [`tenant`](Self::tenant).
    pub fn agent(&self, id: impl Into<String>) -> Result<Self> {
        Ok(self.view(self.scope.clone().with_agent(id)?))
    }

    /// A view on one conversation: writes go into it, reads see only it, a turn prefers it.
    ///
    /// # Errors
    /// `InvalidInput` as for [`tenant`](Self::tenant).
    pub fn session(&self, id: impl Into<String>) -> Result<Self> {
        Ok(self.view(self.scope.clone().with_session(id)?))
    }

    /// Opens a conversation with a fresh id and returns the view on it.
    ///
    /// # Errors
    /// `InvalidInput`, `Unavailable`.
    pub async fn start_session(&self, request: CreateSession) -> Result<Self> {
        let session = self.create_session(request).await?;
        self.session(session.session_id)
    }

    /// Whether the backend and its components work.
    ///
    /// # Errors
    /// `Unavailable` when it was closed or a server cannot be reached.
    pub async fn health(&self) -> Result<Health> {
        self.backend.health().await
    }

    /// Writes down what is pending and closes the backend for every handle on it.
    ///
    /// # Errors
    /// `Unavailable` when the store is away. Closing twice is no error.
    pub async fn close(&self) -> Result<()> {
        self.backend.close().await
    }
}

/// The scope that a configuration names.
pub(crate) fn scope(config: &Config) -> Result<Scope> {
    let mut scope = Scope::new(config.tenant.clone())?;
    if let Some(namespace) = &config.namespace {
        scope = scope.with_namespace(namespace.clone())?;
    }
    if let Some(user) = &config.user {
        scope = scope.with_user(user.clone())?;
    }
    if let Some(agent) = &config.agent {
        scope = scope.with_agent(agent.clone())?;
    }
    Ok(scope)
}
