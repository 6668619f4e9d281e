//! The contract on the original server, as far as it goes.
//!
//! What that server would silently ignore is refused as `Unsupported`, so that no answer is wrong.

mod answers;
mod limits;
mod transfer;

use cml_core::{
    BoxStream, Capabilities, Capability, Error, ErrorKind, MemoryId, Result, Scope, Subject,
    memory::{MemoryDetail, MemoryItem, Session},
    ops::{
        CreateSession, EraseRequest, EraseResponse, EventPage, ForgetRequest, ForgetResponse, GetRequest,
        ListEvents, ReadRequest, ReadResponse, SessionContext, Stats, TurnRequest, TurnResponse,
        UpdateRequest, UpdateResponse, WriteRequest, WriteResponse,
    },
    wire::path,
};
use futures_util::{StreamExt as _, stream};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::{
    backend::no_admin_key, batch::of_item, call::Call, client::Client, error, retry::Repeat, server::BACKEND,
    sse,
};

/// Most results of one read.
const MAX_RESULTS: usize = 50;
/// A record in full, admin.
const MEMORY: &str = "/dashboard/memories/{id}";
/// The event log, admin.
const EVENTS: &str = "/dashboard/events";

/// What the original can do.
pub(crate) fn capabilities(version: &str) -> Capabilities {
    let mut capabilities =
        Capabilities::new(BACKEND, "original", version, [Capability::Tenants, Capability::Transfer]);
    capabilities.max_results = MAX_RESULTS;
    capabilities
}

/// The original server.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Original<'a> {
    client: &'a Client,
}

impl<'a> Original<'a> {
    pub(crate) fn new(client: &'a Client) -> Self {
        Self { client }
    }

    /// The error for something that this server has not.
    pub(crate) fn lacks(self, what: &str) -> Error {
        limits::lacks(what)
    }

    /// # Errors
    /// `Unauthenticated` for an unknown key, `PermissionDenied` for an admin key that is none.
    pub(crate) async fn check_keys(self) -> Result<()> {
        self.client.json::<Value>(Call::get(path::STATS).of_original()).await?;
        if self.client.has_admin_key() {
            let asked = self.client.json::<Value>(Call::get(path::TENANTS).of_original().admin()).await;
            asked.map_err(|error| match error.kind() {
                ErrorKind::PermissionDenied => no_admin_key().with_source(error),
                _ => error,
            })?;
        }
        Ok(())
    }

    /// One call per request: the batch route of this server names no ids.
    pub(crate) async fn write(
        self,
        scope: &Scope,
        requests: Vec<WriteRequest>,
    ) -> Result<Vec<Result<WriteResponse>>> {
        let mut results = Vec::with_capacity(requests.len());
        let mut arrived = false;
        let mut lost: Option<Error> = None;
        for request in requests {
            if let Some(error) = &lost {
                results.push(Err(error::copy(error)));
                continue;
            }
            match of_item(self.write_one(scope, &request).await) {
                Ok(result) => {
                    arrived = true;
                    results.push(result);
                }
                Err(error) if error.kind() == ErrorKind::Unsupported => results.push(Err(error)),
                Err(error) if !arrived => return Err(error),
                Err(error) => {
                    results.push(Err(error::copy(&error)));
                    lost = Some(error);
                }
            }
        }
        Ok(results)
    }

    async fn write_one(self, scope: &Scope, request: &WriteRequest) -> Result<WriteResponse> {
        limits::write(request)?;
        let call = Call::post(path::WRITE, request, Repeat::Twice)?;
        self.client.json(call.of(scope).eval_mode(request.eval_mode)).await
    }

    pub(crate) async fn read(self, scope: &Scope, mut request: ReadRequest) -> Result<ReadResponse> {
        limits::read(scope, &request)?;
        let call = match request.session_id.take() {
            Some(session) => Call::post(path::SESSION_READ, &request, Repeat::OriginalRead)?.id(&session),
            None => Call::post(path::READ, &request, Repeat::OriginalRead)?,
        };
        answers::read(self.client.json(call.of(scope)).await?)
    }

    pub(crate) async fn read_stream(
        self,
        scope: &Scope,
        request: ReadRequest,
    ) -> Result<BoxStream<'static, Result<MemoryItem>>> {
        if request.session_id.is_some() {
            // Only whole reads know sessions here.
            let response = self.read(scope, request).await?;
            return Ok(stream::iter(response.memories.into_iter().map(Ok)).boxed());
        }
        limits::read(scope, &request)?;
        let call = Call::post(path::READ_STREAM, &request, Repeat::OriginalRead)?.of(scope);
        let chunks = self.client.stream(&call, sse::MEDIA_TYPE).await?;
        Ok(sse::items(sse::events(chunks), answers::item))
    }

    pub(crate) async fn turn(self, scope: &Scope, request: TurnRequest) -> Result<TurnResponse> {
        limits::turn(&request)?;
        let stores = request.assistant_response.is_some();
        let repeat = if stores { Repeat::Twice } else { Repeat::OriginalRead };
        self.client.json(Call::post(path::TURN, &request, repeat)?.of(scope)).await
    }

    pub(crate) async fn get(self, scope: &Scope, request: GetRequest) -> Result<MemoryDetail> {
        limits::get(scope, &request)?;
        let id = request.memory_id;
        let call = Call::get(MEMORY).of_original().id(&id).admin().of(scope);
        let record = answers::record(self.client.json(call).await.map_err(|error| unknown(error, id))?)?;
        let within = record.tenant_id == scope.tenant()
            && scope.sees(&record.namespace, &record.user_id, &record.session_id);
        if within { Ok(MemoryDetail::new(record)) } else { Err(Error::not_found("memory", id)) }
    }

    pub(crate) async fn update(self, scope: &Scope, request: UpdateRequest) -> Result<UpdateResponse> {
        limits::update(scope, &request)?;
        let call = Call::post(path::UPDATE, &request, Repeat::Twice)?.of(scope);
        self.client.json(call).await.map_err(|error| unknown(error, request.memory_id))
    }

    pub(crate) async fn forget(self, scope: &Scope, request: ForgetRequest) -> Result<ForgetResponse> {
        limits::forget(scope, &request)?;
        self.client.json(Call::post(path::FORGET, &request, Repeat::Twice)?.of(scope)).await
    }

    pub(crate) async fn erase(self, scope: &Scope, request: &EraseRequest) -> Result<EraseResponse> {
        #[derive(Deserialize)]
        struct Deleted {
            affected_count: u64,
        }
        if request.subject != Subject::Tenant {
            return Err(limits::lacks(Capability::Erase.as_str()));
        }
        let call = Call::delete(path::DELETE_ALL, Repeat::Twice).unhurried().admin().of(scope);
        let Deleted { affected_count } = self.client.json(call).await?;
        let counts = [("records".to_owned(), affected_count)].into();
        Ok(EraseResponse { counts, affected_count })
    }

    pub(crate) async fn stats(self, scope: &Scope) -> Result<Stats> {
        limits::whole_tenant(scope)?;
        self.client.json(Call::get(path::STATS).of_original().of(scope)).await
    }

    pub(crate) async fn create_session(self, scope: &Scope, request: CreateSession) -> Result<Session> {
        limits::create_session(scope, &request)?;
        let call = Call::post(path::SESSION_CREATE, &request, Repeat::Twice)?.of(scope);
        answers::session(self.client.json(call).await?, scope, request)
    }

    pub(crate) async fn session_context(
        self,
        scope: &Scope,
        session: &str,
        max_tokens: usize,
    ) -> Result<SessionContext> {
        limits::whole_tenant(&scope.clone().without_session())?;
        let call = Call::get(path::SESSION_CONTEXT).of_original().id(session).of(scope);
        answers::session_context(self.client.json(call).await?, max_tokens)
    }

    pub(crate) async fn events(self, scope: &Scope, request: &ListEvents) -> Result<EventPage> {
        limits::events(scope, request)?;
        let page = request.offset / request.limit + 1;
        let query = json!({
            "tenant_id": scope.tenant(), "page": page, "per_page": request.limit,
            "event_type": request.event_type, "operation": request.operation,
        });
        let page: Value =
            self.client.json(Call::get(EVENTS).of_original().query(&query).admin().of(scope)).await?;
        // Its vocabulary is another one; an event that means nothing here is no event of the contract.
        serde_json::from_value(page).map_err(|error| limits::lacks("the event log").with_source(error))
    }
}

/// An id of another tenant is 403 here and does not exist by the contract.
fn unknown(error: Error, id: MemoryId) -> Error {
    match error.kind() {
        ErrorKind::PermissionDenied if error.status() == Some(403) && !error.message().contains("dmin") => {
            Error::not_found("memory", id).with_source(error)
        }
        _ => error,
    }
}
