//! The verbs of a [`Memory`], each one call of the contract, and conveniences over them.

use std::sync::Arc;

use cml_core::{
    BoxStream, Error, ErrorKind, FactId, MemoryId, Progress, Result, Subject,
    memory::{Fact, MemoryDetail, MemoryItem, MemoryRecord, Session},
    ops::{
        CreateSession, EraseRequest, EraseResponse, EventPage, FactList, ForgetRequest, ForgetResponse,
        GetRequest, ListEvents, ListFacts, ListPage, ListRequest, MessagePage, ReadFormat, ReadRequest,
        ReadResponse, SessionContext, Stats, TenantSummary, TurnRequest, TurnResponse, UpdateRequest,
        UpdateResponse, WriteRequest, WriteResponse,
    },
    provider::Embedder,
};
use futures_util::{StreamExt as _, TryStreamExt as _, stream};

use crate::Memory;

/// Reads of one `batch_read` that run at the same time.
const CONCURRENT_READS: usize = 8;

/// Token budget of a session's context string.
const SESSION_TOKENS: usize = 2000;

impl Memory {
    /// Stores a text.
    ///
    /// # Errors
    /// `InvalidInput`; `Conflict` for an idempotency key that was used with another body.
    pub async fn write(&self, request: impl Into<WriteRequest>) -> Result<WriteResponse> {
        let results = self.backend.write_batch(&self.scope, vec![request.into()]).await?;
        let result = results.into_iter().next();
        result.unwrap_or_else(|| Err(Error::new(ErrorKind::Internal, "the backend returned no result")))
    }

    /// Stores a text and returns its id; `None` when the gate kept it out (a secret, an acknowledgement).
    ///
    /// # Errors
    /// As [`write`](Self::write).
    pub async fn remember(&self, text: impl Into<String>) -> Result<Option<MemoryId>> {
        Ok(self.write(WriteRequest::new(text)).await?.memory_id)
    }

    /// Stores many texts; one result each, in order. A bad one fails alone.
    ///
    /// # Errors
    /// `Unavailable` when the store or the embedder is away.
    pub async fn batch_write<R: Into<WriteRequest>>(
        &self,
        requests: impl IntoIterator<Item = R>,
    ) -> Result<Vec<Result<WriteResponse>>> {
        let requests = requests.into_iter().map(Into::into).collect();
        self.backend.write_batch(&self.scope, requests).await
    }

    /// Recalls what answers a query, best first.
    ///
    /// # Errors
    /// `InvalidInput`.
    pub async fn read(&self, request: impl Into<ReadRequest>) -> Result<ReadResponse> {
        self.backend.read(&self.scope, request.into()).await
    }

    /// Recalls as one flat list.
    ///
    /// # Errors
    /// `InvalidInput`.
    pub async fn search(&self, request: impl Into<ReadRequest>) -> Result<ReadResponse> {
        self.read(request.into().with_format(ReadFormat::List)).await
    }

    /// Recalls as text for a prompt; empty when nothing is known.
    ///
    /// # Errors
    /// `InvalidInput`.
    pub async fn get_context(&self, request: impl Into<ReadRequest>) -> Result<String> {
        let response = self.read(request.into().with_format(ReadFormat::LlmContext)).await?;
        Ok(response.llm_context.unwrap_or_default())
    }

    /// Recalls, but for a backend that is away (`Unavailable`, `Timeout`) returns an empty answer with a
    /// warning: a program that can do without its memory goes on.
    ///
    /// # Errors
    /// Every other error of [`read`](Self::read).
    pub async fn read_safe(&self, request: impl Into<ReadRequest>) -> Result<ReadResponse> {
        let request = request.into();
        let query = request.query.clone();
        match self.read(request).await {
            Err(error) if matches!(error.kind(), ErrorKind::Unavailable | ErrorKind::Timeout) => {
                Ok(ReadResponse { query, warnings: vec![error.to_string()], ..ReadResponse::default() })
            }
            answer => answer,
        }
    }

    /// Recalls item by item, in the order of [`read`](Self::read).
    ///
    /// # Errors
    /// `InvalidInput` before the stream begins.
    pub async fn read_stream(
        &self,
        request: impl Into<ReadRequest>,
    ) -> Result<BoxStream<'static, Result<MemoryItem>>> {
        self.backend.read_stream(&self.scope, request.into()).await
    }

    /// Recalls for many queries at the same time; one answer each, in their order.
    pub async fn batch_read<R: Into<ReadRequest>>(
        &self,
        requests: impl IntoIterator<Item = R>,
    ) -> Vec<Result<ReadResponse>> {
        let requests: Vec<ReadRequest> = requests.into_iter().map(Into::into).collect();
        stream::iter(requests.into_iter().map(|request| self.read(request)))
            .buffered(CONCURRENT_READS)
            .collect()
            .await
    }

    /// Recalls for a user's message; logs and stores the exchange if there is an answer.
    ///
    /// # Errors
    /// `InvalidInput`.
    pub async fn turn(&self, request: TurnRequest) -> Result<TurnResponse> {
        self.backend.turn(&self.scope, request).await
    }

    /// One record in full, whatever its status.
    ///
    /// # Errors
    /// `NotFound`.
    pub async fn get(&self, request: impl Into<GetRequest>) -> Result<MemoryDetail> {
        self.backend.get(&self.scope, request.into()).await
    }

    /// A page of records in full.
    ///
    /// # Errors
    /// `InvalidInput`.
    pub async fn list(&self, request: ListRequest) -> Result<ListPage> {
        self.backend.list(&self.scope, request).await
    }

    /// Every record that `request` lists, page by page as the stream is read.
    pub fn iter_memories(&self, request: ListRequest) -> BoxStream<'static, Result<MemoryRecord>> {
        let memory = self.clone();
        stream::try_unfold(Some(request), move |request| {
            let memory = memory.clone();
            async move {
                let Some(request) = request else { return Ok::<_, Error>(None) };
                let page = memory.list(request.clone()).await?;
                let next = page.next_cursor.map(|cursor| request.with_cursor(cursor));
                Ok(Some((stream::iter(page.items.into_iter().map(Ok)), next)))
            }
        })
        .try_flatten()
        .boxed()
    }

    /// Changes a memory.
    ///
    /// # Errors
    /// `NotFound`; `Conflict` for another version than expected.
    pub async fn update(&self, request: UpdateRequest) -> Result<UpdateResponse> {
        self.backend.update(&self.scope, request).await
    }

    /// Archives, silences or deletes memories.
    ///
    /// # Errors
    /// `InvalidInput` without a selector.
    pub async fn forget(&self, request: ForgetRequest) -> Result<ForgetResponse> {
        self.backend.forget(&self.scope, request).await
    }

    /// Removes every row of a subject of this tenant, on every surface.
    ///
    /// # Errors
    /// `InvalidInput` for a bad id.
    pub async fn erase(&self, subject: Subject) -> Result<EraseResponse> {
        self.backend.erase(&self.scope, EraseRequest::new(subject)).await
    }

    /// Removes everything of this tenant, if `confirm` is true.
    ///
    /// # Errors
    /// `InvalidInput` unless `confirm`.
    pub async fn delete_all(&self, confirm: bool) -> Result<EraseResponse> {
        if !confirm {
            return Err(Error::invalid("confirm", "must be true to remove everything of the tenant"));
        }
        self.erase(Subject::Tenant).await
    }

    /// Counts what this handle can see.
    ///
    /// # Errors
    /// `Unavailable`.
    pub async fn stats(&self) -> Result<Stats> {
        self.backend.stats(&self.scope).await
    }

    /// Opens a conversation with a fresh id.
    ///
    /// # Errors
    /// `InvalidInput`.
    pub async fn create_session(&self, request: CreateSession) -> Result<Session> {
        self.backend.sessions()?.create(&self.scope, request).await
    }

    /// Conversations, newest first.
    ///
    /// # Errors
    /// `Unavailable`.
    pub async fn sessions(&self) -> Result<Vec<Session>> {
        self.backend.sessions()?.list(&self.scope).await
    }

    /// The working context of a conversation, with at most 2000 tokens of text.
    ///
    /// # Errors
    /// `InvalidInput` for a bad id.
    pub async fn session_context(&self, session: &str) -> Result<SessionContext> {
        self.backend.sessions()?.context(&self.scope, session, SESSION_TOKENS).await
    }

    /// The log of a conversation after message number `after`, at most `limit` messages.
    ///
    /// # Errors
    /// `InvalidInput` for a bad id or limit.
    pub async fn messages(&self, session: &str, after: u64, limit: usize) -> Result<MessagePage> {
        self.backend.sessions()?.messages(&self.scope, session, after, limit).await
    }

    /// Removes a conversation with everything said in it.
    ///
    /// # Errors
    /// `InvalidInput` for a bad id.
    pub async fn clear_session(&self, session: &str) -> Result<EraseResponse> {
        self.backend.sessions()?.clear(&self.scope, session).await
    }

    /// Facts and constraints, newest validity first.
    ///
    /// # Errors
    /// `InvalidInput`.
    pub async fn list_facts(&self, request: ListFacts) -> Result<FactList> {
        self.backend.facts()?.list(&self.scope, request).await
    }

    /// One fact.
    ///
    /// # Errors
    /// `NotFound`.
    pub async fn fact(&self, id: FactId) -> Result<Fact> {
        self.backend.facts()?.get(&self.scope, id).await
    }

    /// Withdraws a fact.
    ///
    /// # Errors
    /// `NotFound`.
    pub async fn retract_fact(&self, id: FactId) -> Result<Fact> {
        self.backend.facts()?.retract(&self.scope, id).await
    }

    /// What happened, newest first.
    ///
    /// # Errors
    /// `InvalidInput`.
    pub async fn events(&self, request: ListEvents) -> Result<EventPage> {
        self.backend.maintenance()?.events(&self.scope, request).await
    }

    /// Makes every vector again with `embedder`, which then serves this memory.
    ///
    /// # Errors
    /// `Unavailable` when the model is away; what was made stays, and a later call goes on.
    pub async fn reembed(&self, embedder: Arc<dyn Embedder>, progress: Progress) -> Result<u64> {
        self.backend.maintenance()?.reembed(embedder, progress).await
    }

    /// Every tenant of the store with its counts.
    ///
    /// # Errors
    /// `Unavailable`.
    pub async fn tenants(&self) -> Result<Vec<TenantSummary>> {
        self.backend.admin()?.tenants().await
    }
}
