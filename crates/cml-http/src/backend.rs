//! One short method per verb.

use std::sync::atomic::{AtomicBool, Ordering};

use async_trait::async_trait;
use cml_core::{
    Admin, BoxStream, Capabilities, Capability, Error, ErrorKind, Facts, Graph, Maintenance, MemoryBackend,
    Result, Scope, Sessions, Transfer,
    config::HttpConfig,
    memory::{MemoryDetail, MemoryItem},
    ops::{
        EraseRequest, EraseResponse, ForgetRequest, ForgetResponse, GetRequest, Health, ListPage,
        ListRequest, ReadRequest, ReadResponse, Stats, TurnRequest, TurnResponse, UpdateRequest,
        UpdateResponse, WriteRequest, WriteResponse,
    },
    scope::ScopeParts,
    wire::{CallScope, GetQuery, HealthBody, Scoped, WhoAmI, join_session, path},
};
use tracing::{Instrument as _, debug_span};

use crate::{
    batch,
    call::Call,
    client::Client,
    original::Original,
    retry::Repeat,
    server::{BACKEND, Seen, Server, whoami},
    sse,
};

/// Memory on a server, over REST.
///
/// The first call asks the server what it is; see [`capabilities`](MemoryBackend::capabilities). Failed
/// requests are sent again where that is safe: always after 429 and failed connections, after timeouts,
/// lost connections, 502, 503 and 504 only where a repeat does nothing twice.
#[derive(Debug)]
pub struct HttpBackend {
    client: Client,
    server: Server,
    closed: AtomicBool,
}

/// Runs a verb in its span and names it in its errors.
macro_rules! verb {
    ($scope:expr, $name:literal, $call:expr) => {{
        let span = tracing::debug_span!($name, tenant = $scope.tenant());
        tracing::Instrument::instrument(async { $call }, span)
            .await
            .map_err(|error: cml_core::Error| error.with_operation($name))
    }};
}
pub(crate) use verb;

/// A server that may be used, as a verb sees it.
#[derive(Clone, Copy)]
pub(crate) struct Open<'a> {
    pub(crate) client: &'a Client,
    pub(crate) seen: &'a Seen,
}

impl<'a> Open<'a> {
    /// The original's own way of a verb, if that is the server.
    pub(crate) fn original(self) -> Option<Original<'a>> {
        self.seen.original.then_some(Original::new(self.client))
    }

    /// How a write may be repeated, which needs a key.
    pub(crate) fn keyed(self, key: &mut Option<String>) -> Repeat {
        if !self.seen.has(Capability::Idempotency) {
            return Repeat::Twice;
        }
        key.get_or_insert_with(|| uuid::Uuid::new_v4().to_string());
        Repeat::Same
    }
}

impl HttpBackend {
    /// A client of the server that `config` names; sends nothing yet.
    ///
    /// # Errors
    /// `Config` for a base URL that is no address of an HTTP server, a timeout of 0, a key that no header
    /// can hold, or a system without root certificates.
    pub fn new(config: &HttpConfig) -> Result<Self> {
        Ok(Self { client: Client::new(config)?, server: Server::default(), closed: AtomicBool::new(false) })
    }

    /// A client of the server that `config` names, which asks it once what it can do. A server that is
    /// away is no error: the first call asks again.
    ///
    /// # Errors
    /// As [`new`](Self::new).
    pub async fn connect(config: &HttpConfig) -> Result<Self> {
        let backend = Self::new(config)?;
        if let Err(error) = backend.server.probe(&backend.client).await {
            tracing::debug!(error = error.message(), "the server does not say yet what it can do");
        }
        Ok(backend)
    }

    /// Whether the server answers and knows the keys.
    ///
    /// # Errors
    /// `Unavailable` or `Timeout` when it does not answer, `Unauthenticated` when it does not know a key,
    /// `PermissionDenied` when the admin key is none.
    pub async fn verify_connection(&self) -> Result<Health> {
        let check = async {
            let health = self.health().await?;
            let seen = self.server.seen(&self.client).await?;
            if seen.original {
                Original::new(&self.client).check_keys().await?;
            } else {
                if self.client.has_api_key() || !self.client.has_admin_key() {
                    self.client.json::<WhoAmI>(whoami(false)).await?;
                }
                if self.client.has_admin_key() {
                    let me: WhoAmI = self.client.json(whoami(true)).await?;
                    if !me.admin {
                        return Err(no_admin_key());
                    }
                }
            }
            Ok(health)
        };
        check.await.map_err(|error: Error| error.with_operation("verify_connection"))
    }

    /// The client, unless the backend was closed.
    fn client(&self) -> Result<&Client> {
        if self.closed.load(Ordering::Acquire) {
            Err(Error::new(ErrorKind::Unavailable, "the memory was closed"))
        } else {
            Ok(&self.client)
        }
    }

    /// The server, if it answers and the key may use the tenant of `scope`.
    pub(crate) async fn open(&self, scope: &Scope) -> Result<Open<'_>> {
        self.open_as(scope, false).await
    }

    /// As [`open`](Self::open), for an administrative call.
    pub(crate) async fn open_admin(&self, scope: &Scope) -> Result<Open<'_>> {
        self.open_as(scope, true).await
    }

    async fn open_as(&self, scope: &Scope, admin: bool) -> Result<Open<'_>> {
        let client = self.client()?;
        let seen = self.server.seen(client).await?;
        self.server.admit(client, seen, scope, admin).await?;
        Ok(Open { client, seen })
    }

    /// The server, for a call without a scope.
    pub(crate) async fn open_unscoped(&self) -> Result<Open<'_>> {
        let client = self.client()?;
        Ok(Open { client, seen: self.server.seen(client).await? })
    }
}

/// The key that was set as admin key may do no more than any other.
pub(crate) fn no_admin_key() -> Error {
    Error::new(ErrorKind::PermissionDenied, "admin_api_key: is no admin key")
        .with_suggestion("set it to an admin key, or leave it out")
}

/// `request` with the parts of `scope`.
pub(crate) fn scoped<T>(scope: &Scope, request: T) -> Scoped<ScopeParts, T> {
    Scoped { parts: scope.into(), request }
}

/// `request`, which has a session of its own, with the other parts of `scope`.
pub(crate) fn call_scoped<T>(scope: &Scope, request: T) -> Scoped<CallScope, T> {
    Scoped { parts: scope.into(), request }
}

#[async_trait]
impl MemoryBackend for HttpBackend {
    async fn write_batch(
        &self,
        scope: &Scope,
        requests: Vec<WriteRequest>,
    ) -> Result<Vec<Result<WriteResponse>>> {
        let results = verb!(scope, "write", {
            if requests.is_empty() {
                self.client()?;
                return Ok(Vec::new());
            }
            batch::write(self.open(scope).await?, scope, requests).await
        })?;
        Ok(results.into_iter().map(|result| result.map_err(|error| error.with_operation("write"))).collect())
    }

    async fn read(&self, scope: &Scope, mut request: ReadRequest) -> Result<ReadResponse> {
        verb!(scope, "read", {
            request.validate()?;
            request.session_id = join_session(scope, request.session_id)?;
            let open = self.open(scope).await?;
            if let Some(original) = open.original() {
                return original.read(scope, request).await;
            }
            let call = Call::post(path::READ, &call_scoped(scope, request), Repeat::Same)?;
            open.client.json(call.of(scope)).await
        })
    }

    async fn read_stream(
        &self,
        scope: &Scope,
        mut request: ReadRequest,
    ) -> Result<BoxStream<'static, Result<MemoryItem>>> {
        verb!(scope, "read_stream", {
            request.validate()?;
            request.session_id = join_session(scope, request.session_id)?;
            let open = self.open(scope).await?;
            if let Some(original) = open.original() {
                return original.read_stream(scope, request).await;
            }
            let call = Call::post(path::READ_STREAM, &call_scoped(scope, request), Repeat::Same)?;
            let chunks = open.client.stream(&call.of(scope), sse::MEDIA_TYPE).await?;
            Ok(sse::items(sse::events(chunks), |json| serde_json::from_str(json)))
        })
    }

    async fn turn(&self, scope: &Scope, mut request: TurnRequest) -> Result<TurnResponse> {
        verb!(scope, "turn", {
            request.validate()?;
            request.scope = (&scope.narrow(&request.scope)?).into();
            let open = self.open(scope).await?;
            if let Some(original) = open.original() {
                return original.turn(scope, request).await;
            }
            let stores = request.assistant_response.is_some();
            let repeat = if stores { open.keyed(&mut request.idempotency_key) } else { Repeat::Same };
            open.client.json(Call::post(path::TURN, &request, repeat)?.of(scope)).await
        })
    }

    async fn get(&self, scope: &Scope, request: GetRequest) -> Result<MemoryDetail> {
        verb!(scope, "get", {
            if self.open_unscoped().await?.seen.original {
                let open = self.open_admin(scope).await?;
                return Original::new(open.client).get(scope, request).await;
            }
            let open = self.open(scope).await?;
            let query = scoped(scope, GetQuery::from(request));
            open.client.json(Call::get(path::MEMORY).id(&request.memory_id).query(&query).of(scope)).await
        })
    }

    async fn list(&self, scope: &Scope, mut request: ListRequest) -> Result<ListPage> {
        verb!(scope, "list", {
            request.validate()?;
            request.session_id = join_session(scope, request.session_id)?;
            let open = self.open(scope).await?;
            if let Some(original) = open.original() {
                return Err(original.lacks("lists of records in full"));
            }
            open.client.json(Call::get(path::MEMORIES).query(&call_scoped(scope, request)).of(scope)).await
        })
    }

    async fn update(&self, scope: &Scope, mut request: UpdateRequest) -> Result<UpdateResponse> {
        verb!(scope, "update", {
            request.validate()?;
            let open = self.open(scope).await?;
            if let Some(original) = open.original() {
                return original.update(scope, request).await;
            }
            let repeat = open.keyed(&mut request.idempotency_key);
            open.client.json(Call::post(path::UPDATE, &scoped(scope, request), repeat)?.of(scope)).await
        })
    }

    async fn forget(&self, scope: &Scope, mut request: ForgetRequest) -> Result<ForgetResponse> {
        verb!(scope, "forget", {
            request.validate()?;
            request.session_id = join_session(scope, request.session_id)?;
            let open = self.open(scope).await?;
            if let Some(original) = open.original() {
                return original.forget(scope, request).await;
            }
            let changes = !request.dry_run;
            let repeat = if changes { open.keyed(&mut request.idempotency_key) } else { Repeat::Same };
            open.client.json(Call::post(path::FORGET, &call_scoped(scope, request), repeat)?.of(scope)).await
        })
    }

    async fn erase(&self, scope: &Scope, request: EraseRequest) -> Result<EraseResponse> {
        verb!(scope, "erase", {
            request.subject.validate()?;
            let open = self.open_admin(scope).await?;
            if let Some(original) = open.original() {
                return original.erase(scope, &request).await;
            }
            // A repeat would count nothing, and the counts are the answer.
            let call = Call::post(path::ERASE, &request, Repeat::Twice)?.unhurried();
            open.client.json(call.admin().of(scope)).await
        })
    }

    async fn stats(&self, scope: &Scope) -> Result<Stats> {
        verb!(scope, "stats", {
            let open = self.open(scope).await?;
            if let Some(original) = open.original() {
                return original.stats(scope).await;
            }
            open.client.json(Call::get(path::STATS).query(&ScopeParts::from(scope)).of(scope)).await
        })
    }

    async fn health(&self) -> Result<Health> {
        let ask = async {
            let body: HealthBody = self.client()?.json(Call::get(path::HEALTH)).await?;
            self.server.remember(&body);
            Ok(Health { backend: BACKEND.to_owned(), ..body.health })
        };
        let span = debug_span!("health");
        ask.instrument(span).await.map_err(|error: Error| error.with_operation("health"))
    }

    fn capabilities(&self) -> Capabilities {
        self.server.capabilities()
    }

    async fn close(&self) -> Result<()> {
        self.closed.store(true, Ordering::Release);
        Ok(())
    }

    fn sessions(&self) -> Result<&dyn Sessions> {
        Ok(self)
    }

    fn facts(&self) -> Result<&dyn Facts> {
        Ok(self)
    }

    fn maintenance(&self) -> Result<&dyn Maintenance> {
        Ok(self)
    }

    fn admin(&self) -> Result<&dyn Admin> {
        Ok(self)
    }

    fn graph(&self) -> Result<&dyn Graph> {
        Ok(self)
    }

    fn transfer(&self) -> Result<&dyn Transfer> {
        Ok(self)
    }
}
