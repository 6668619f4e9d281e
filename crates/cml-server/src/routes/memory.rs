//! The verbs on memories.

mod stream;

use axum::{Json, extract::State, http::HeaderMap};
use cml_core::{
    Error, MemoryId, Result, Subject,
    memory::MemoryDetail,
    ops::{
        EraseRequest, EraseResponse, ForgetRequest, ForgetResponse, ListPage, ListRequest, ReadRequest,
        ReadResponse, Stats, TurnRequest, TurnResponse, UpdateRequest, UpdateResponse, WriteRequest,
        WriteResponse,
    },
    scope::ScopeParts,
    wire::{
        CallScope, ErrorBody, GetQuery, MAX_BATCH, Scoped, WriteBatch, WriteBatchResponse, WriteResult,
        header, path,
    },
};
use sha2::{Digest as _, Sha256};

use super::{Doc, Routes};
use crate::{
    app::App,
    auth::Caller,
    context::Context,
    error::{Answer, Failure},
    extract::{self, Body, Call, Id, LargeBody, Name, Query},
};

pub(super) fn routes() -> Routes {
    Routes::new()
        .post(path::WRITE, write, Doc::new("Store a memory").body::<WriteRequest>().answer::<WriteResponse>())
        .post(
            path::WRITE_BATCH,
            write_batch,
            Doc::new("Store up to 500 memories").body::<WriteBatch>().answer::<WriteBatchResponse>(),
        )
        .post(
            path::SESSION_WRITE,
            session_write,
            Doc::new("Store a memory of a session").body::<WriteRequest>().answer::<WriteResponse>(),
        )
        .post(
            path::READ,
            read,
            Doc::new("Recall memories").body::<Scoped<CallScope, ReadRequest>>().answer::<ReadResponse>(),
        )
        .post(
            path::SESSION_READ,
            session_read,
            Doc::new("Recall memories of a session")
                .body::<Scoped<CallScope, ReadRequest>>()
                .answer::<ReadResponse>(),
        )
        .post(
            path::READ_STREAM,
            stream::read_stream,
            Doc::new("Recall memories, one event each")
                .body::<Scoped<CallScope, ReadRequest>>()
                .text("text/event-stream"),
        )
        .post(
            path::TURN,
            turn,
            Doc::new("Recall for a message, then store the exchange")
                .body::<TurnRequest>()
                .answer::<TurnResponse>(),
        )
        .post(
            path::UPDATE,
            update,
            Doc::new("Change a memory")
                .body::<Scoped<ScopeParts, UpdateRequest>>()
                .answer::<UpdateResponse>(),
        )
        .post(
            path::FORGET,
            forget,
            Doc::new("Archive, silence or delete memories")
                .body::<Scoped<CallScope, ForgetRequest>>()
                .answer::<ForgetResponse>(),
        )
        .get(path::STATS, stats, Doc::new("Count memories").query::<ScopeParts>().answer::<Stats>())
        .delete(
            path::DELETE_ALL,
            delete_all,
            Doc::new("Remove every row of the tenant").admin().unbounded().answer::<EraseResponse>(),
        )
        .post(
            path::ERASE,
            erase,
            Doc::new("Remove every row of a subject")
                .admin()
                .unbounded()
                .body::<EraseRequest>()
                .answer::<EraseResponse>(),
        )
        .get(
            path::MEMORIES,
            list,
            Doc::new("List records in full").query::<CallScope>().query::<ListRequest>().answer::<ListPage>(),
        )
        .get(
            path::MEMORY,
            get,
            Doc::new("One record in full").query::<ScopeParts>().query::<GetQuery>().answer::<MemoryDetail>(),
        )
}

async fn write(
    State(app): State<App>,
    caller: Caller,
    headers: HeaderMap,
    Body(request): Body<WriteRequest>,
) -> Answer<WriteResponse> {
    store(&app, &caller, &headers, request).await
}

async fn session_write(
    State(app): State<App>,
    caller: Caller,
    headers: HeaderMap,
    Name(session): Name,
    Body(mut request): Body<WriteRequest>,
) -> Answer<WriteResponse> {
    request.scope.session_id = Some(session);
    if request.context_tags.is_empty() {
        request.context_tags.push("conversation".to_owned());
    }
    store(&app, &caller, &headers, request).await
}

async fn store(
    app: &App,
    caller: &Caller,
    headers: &HeaderMap,
    mut request: WriteRequest,
) -> Answer<WriteResponse> {
    idempotency(headers, &mut request.idempotency_key)?;
    if headers.get(header::EVAL_MODE).is_some_and(|value| value.as_bytes().eq_ignore_ascii_case(b"true")) {
        request.eval_mode = true;
    }
    let scope = caller.scope(&ScopeParts::default())?;
    let results = app.backend().write_batch(&scope, vec![request]).await?;
    let response = results.into_iter().next().unwrap_or_else(|| Err(no_answer()))?;
    app.metrics().written(usize::from(response.memory_id.is_some()));
    Ok(Json(response))
}

async fn write_batch(
    State(app): State<App>,
    caller: Caller,
    headers: HeaderMap,
    LargeBody(batch): LargeBody<WriteBatch>,
) -> Answer<WriteBatchResponse> {
    let WriteBatch { mut turns } = batch;
    if turns.is_empty() || turns.len() > MAX_BATCH {
        return Err(Error::invalid("turns", format!("must have 1 to {MAX_BATCH} items")).into());
    }
    if let Some(key) = idempotency_key(&headers)? {
        for (index, turn) in turns.iter_mut().enumerate() {
            turn.idempotency_key.get_or_insert_with(|| item_key(&key, index));
        }
    }
    let scope = caller.scope(&ScopeParts::default())?;
    let results = app.backend().write_batch(&scope, turns).await?;
    let written = results.iter().flatten().filter(|response| response.memory_id.is_some()).count();
    app.metrics().written(written);
    Ok(Json(batch_response(results)))
}

fn batch_response(results: Vec<Result<WriteResponse>>) -> WriteBatchResponse {
    let (all, request_id) = (results.len(), Context::current().map(|context| context.id().to_owned()));
    let done = results.iter().flatten();
    let (turns_processed, chunks_created) =
        done.fold((0, 0), |(turns, chunks), response| (turns + 1, chunks + response.chunks_created));
    let results = results.into_iter().map(|result| match result {
        Ok(response) => WriteResult::Done(response),
        Err(error) => WriteResult::Failed { error: ErrorBody::new(&error, "body", request_id.clone()) },
    });
    WriteBatchResponse {
        success: turns_processed == all,
        turns_processed,
        chunks_created,
        message: format!("{turns_processed} of {all} turns processed"),
        results: results.collect(),
    }
}

async fn read(
    State(app): State<App>,
    caller: Caller,
    Call(parts, request): Call<CallScope, ReadRequest>,
) -> Answer<ReadResponse> {
    recall(&app, &caller, parts, request).await
}

async fn session_read(
    State(app): State<App>,
    caller: Caller,
    Name(session): Name,
    Call(parts, request): Call<CallScope, ReadRequest>,
) -> Answer<ReadResponse> {
    recall(&app, &caller, parts, request.with_session(session)).await
}

async fn recall(app: &App, caller: &Caller, parts: CallScope, request: ReadRequest) -> Answer<ReadResponse> {
    let response = app.backend().read(&caller.scope(&parts.into())?, request).await?;
    app.metrics().read(response.memories.len());
    Ok(Json(response))
}

async fn turn(
    State(app): State<App>,
    caller: Caller,
    headers: HeaderMap,
    Body(mut request): Body<TurnRequest>,
) -> Answer<TurnResponse> {
    idempotency(&headers, &mut request.idempotency_key)?;
    let response = app.backend().turn(&caller.scope(&ScopeParts::default())?, request).await?;
    app.metrics().read(response.memories_retrieved);
    app.metrics().written(response.memories_stored);
    Ok(Json(response))
}

async fn update(
    State(app): State<App>,
    caller: Caller,
    headers: HeaderMap,
    Call(parts, mut request): Call<ScopeParts, UpdateRequest>,
) -> Answer<UpdateResponse> {
    idempotency(&headers, &mut request.idempotency_key)?;
    Ok(Json(app.backend().update(&caller.scope(&parts)?, request).await?))
}

async fn forget(
    State(app): State<App>,
    caller: Caller,
    headers: HeaderMap,
    Call(parts, mut request): Call<CallScope, ForgetRequest>,
) -> Answer<ForgetResponse> {
    idempotency(&headers, &mut request.idempotency_key)?;
    Ok(Json(app.backend().forget(&caller.scope(&parts.into())?, request).await?))
}

async fn stats(State(app): State<App>, caller: Caller, Query(parts): Query<ScopeParts>) -> Answer<Stats> {
    Ok(Json(app.backend().stats(&caller.scope(&parts).map_err(in_query)?).await?))
}

async fn delete_all(State(app): State<App>, caller: Caller) -> Answer<EraseResponse> {
    remove(&app, &caller, Subject::Tenant).await
}

async fn erase(
    State(app): State<App>,
    caller: Caller,
    Body(request): Body<EraseRequest>,
) -> Answer<EraseResponse> {
    remove(&app, &caller, request.subject).await
}

async fn remove(app: &App, caller: &Caller, subject: Subject) -> Answer<EraseResponse> {
    let scope = caller.scope(&ScopeParts::default())?;
    Ok(Json(app.backend().erase(&scope, EraseRequest::new(subject)).await?))
}

async fn list(
    State(app): State<App>,
    caller: Caller,
    Query(parts): Query<CallScope>,
    Query(request): Query<ListRequest>,
) -> Answer<ListPage> {
    let scope = caller.scope(&parts.into()).map_err(in_query)?;
    Ok(Json(app.backend().list(&scope, request).await.map_err(in_query)?))
}

async fn get(
    State(app): State<App>,
    caller: Caller,
    Id(id): Id<MemoryId>,
    Query(parts): Query<ScopeParts>,
    Query(query): Query<GetQuery>,
) -> Answer<MemoryDetail> {
    let scope = caller.scope(&parts).map_err(in_query)?;
    Ok(Json(app.backend().get(&scope, query.request(id)).await.map_err(in_query)?))
}

/// The error of a request whose fields stand in the query.
pub(super) fn in_query(error: Error) -> Failure {
    Failure::from(error).at("query")
}

/// The header, where the body names no key.
pub(super) fn idempotency(headers: &HeaderMap, key: &mut Option<String>) -> Result<(), Failure> {
    if key.is_none() {
        *key = idempotency_key(headers)?;
    }
    Ok(())
}

fn idempotency_key(headers: &HeaderMap) -> Result<Option<String>, Failure> {
    extract::id_header(headers, header::IDEMPOTENCY_KEY)
}

/// The key of an item of a batch: of one length, and no key that a caller would choose.
fn item_key(key: &str, index: usize) -> String {
    use std::fmt::Write as _;
    let digest = Sha256::new()
        .chain_update((key.len() as u64).to_be_bytes())
        .chain_update(key)
        .chain_update((index as u64).to_be_bytes());
    digest.finalize().iter().fold(String::new(), |mut hex, byte| {
        // Writing to a string cannot fail.
        let _written = write!(hex, "{byte:02x}");
        hex
    })
}

fn no_answer() -> Error {
    Error::new(cml_core::ErrorKind::Internal, "the backend gave no result for a text")
}
