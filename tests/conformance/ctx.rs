//! What a case works on: a backend, and a scope of its own.

use std::sync::Arc;

use cml::{
    MemoryBackend, MemoryId, Result, Scope,
    memory::{Event, Fact, MemoryDetail, MemoryRecord, Message},
    ops::{
        EraseRequest, EraseResponse, ForgetRequest, ForgetResponse, GetRequest, ListEvents, ListFacts,
        ListPage, ListRequest, ReadRequest, ReadResponse, Stats, TurnRequest, TurnResponse, UpdateRequest,
        UpdateResponse, WriteRequest, WriteResponse,
    },
    scope::Subject,
};
use libtest_mimic::Failed;
use serde_json::to_string as json;

use crate::{
    backends::Place,
    case::CaseResult,
    texts::{UNRELATED, holds, open},
};

/// A backend and a scope. A clone shares both.
#[derive(Clone)]
pub(crate) struct Ctx {
    pub(crate) backend: Arc<dyn MemoryBackend>,
    pub(crate) scope: Scope,
    pub(crate) place: Arc<Place>,
}

impl Ctx {
    /// A tenant that nobody else uses.
    pub(crate) fn new(place: Arc<Place>) -> CaseResult<Self> {
        let scope = Scope::new(format!("case-{}", MemoryId::new()))?;
        Ok(Self { backend: Arc::clone(&place.backend), scope, place })
    }

    /// Another tenant of the same backend.
    pub(crate) fn stranger(&self) -> CaseResult<Self> {
        Self::new(Arc::clone(&self.place))
    }

    /// This tenant's place with the names of `other`'s.
    pub(crate) fn named_as(&self, other: &Self) -> Result<Self> {
        Ok(self.within(other.scope.clone().with_tenant(self.scope.tenant())?))
    }

    fn within(&self, scope: Scope) -> Self {
        Self { scope, ..self.clone() }
    }

    pub(crate) fn namespace(&self, id: &str) -> Result<Self> {
        Ok(self.within(self.scope.clone().with_namespace(id)?))
    }

    pub(crate) fn user(&self, id: &str) -> Result<Self> {
        Ok(self.within(self.scope.clone().with_user(id)?))
    }

    pub(crate) fn agent(&self, id: &str) -> Result<Self> {
        Ok(self.within(self.scope.clone().with_agent(id)?))
    }

    pub(crate) fn session(&self, id: &str) -> Result<Self> {
        Ok(self.within(self.scope.clone().with_session(id)?))
    }

    /// Writes one text and returns the whole answer.
    pub(crate) async fn try_write(&self, request: impl Into<WriteRequest>) -> Result<WriteResponse> {
        let mut results = self.backend.write_batch(&self.scope, vec![request.into()]).await?;
        assert_eq!(results.len(), 1, "one result for one request");
        results.remove(0)
    }

    /// Writes one text, which must become a memory.
    pub(crate) async fn write(&self, request: impl Into<WriteRequest>) -> CaseResult<MemoryId> {
        let answer = self.try_write(request).await?;
        answer.memory_id.ok_or_else(|| Failed::from(format!("not stored: {}", answer.message)))
    }

    /// Writes a batch, of which every text must become a memory.
    pub(crate) async fn write_all<R: Into<WriteRequest>>(
        &self,
        requests: impl IntoIterator<Item = R>,
    ) -> CaseResult<Vec<MemoryId>> {
        let requests = requests.into_iter().map(Into::into).collect();
        let results = self.backend.write_batch(&self.scope, requests).await?;
        results
            .into_iter()
            .map(|result| {
                let answer = result?;
                answer.memory_id.ok_or_else(|| Failed::from(format!("not stored: {}", answer.message)))
            })
            .collect()
    }

    /// Writes 32 texts about nothing that a case asks for.
    pub(crate) async fn write_unrelated(&self) -> CaseResult<Vec<MemoryId>> {
        self.write_all(UNRELATED).await
    }

    pub(crate) async fn read(&self, request: impl Into<ReadRequest>) -> Result<ReadResponse> {
        self.backend.read(&self.scope, request.into()).await
    }

    /// Texts of what a read returns, best first.
    pub(crate) async fn recall(&self, request: impl Into<ReadRequest>) -> Result<Vec<String>> {
        Ok(self.read(request).await?.memories.into_iter().map(|item| item.text).collect())
    }

    pub(crate) async fn turn(&self, request: TurnRequest) -> Result<TurnResponse> {
        self.backend.turn(&self.scope, request).await
    }

    pub(crate) async fn detail(&self, request: impl Into<GetRequest>) -> Result<MemoryDetail> {
        self.backend.get(&self.scope, request.into()).await
    }

    pub(crate) async fn get(&self, id: MemoryId) -> Result<MemoryRecord> {
        Ok(self.detail(id).await?.record)
    }

    pub(crate) async fn list(&self, request: ListRequest) -> Result<ListPage> {
        self.backend.list(&self.scope, request).await
    }

    /// Every record of the scope, of any status.
    pub(crate) async fn records(&self) -> Result<Vec<MemoryRecord>> {
        Ok(self.list(ListRequest::new().with_limit(1000usize)).await?.items)
    }

    pub(crate) async fn update(&self, request: UpdateRequest) -> Result<UpdateResponse> {
        self.backend.update(&self.scope, request).await
    }

    pub(crate) async fn forget(&self, request: ForgetRequest) -> Result<ForgetResponse> {
        self.backend.forget(&self.scope, request).await
    }

    pub(crate) async fn erase(&self, subject: Subject) -> Result<EraseResponse> {
        self.backend.erase(&self.scope, EraseRequest::new(subject)).await
    }

    pub(crate) async fn stats(&self) -> Result<Stats> {
        self.backend.stats(&self.scope).await
    }

    /// Facts that hold now.
    pub(crate) async fn facts(&self) -> Result<Vec<Fact>> {
        self.facts_by(ListFacts::new()).await
    }

    /// Facts of every status.
    pub(crate) async fn all_facts(&self) -> Result<Vec<Fact>> {
        self.facts_by(ListFacts::new().with_current_only(false)).await
    }

    pub(crate) async fn facts_by(&self, request: ListFacts) -> Result<Vec<Fact>> {
        Ok(self.backend.facts()?.list(&self.scope, request.with_limit(1000usize)).await?.items)
    }

    /// The whole log of a session.
    pub(crate) async fn messages(&self, session: &str) -> Result<Vec<Message>> {
        Ok(self.backend.sessions()?.messages(&self.scope, session, 0, 1000).await?.messages)
    }

    pub(crate) async fn events(&self, request: ListEvents) -> Result<Vec<Event>> {
        Ok(self.backend.maintenance()?.events(&self.scope, request).await?.items)
    }

    /// The surfaces on which `word` can still be seen: reads, lists, versions, facts, sessions, events.
    pub(crate) async fn traces(&self, word: &str) -> CaseResult<Vec<String>> {
        let mut traces = Vec::new();
        let mut look = |surface: &str, found: String| {
            if holds(&found, word) {
                traces.push(format!("{surface}: {found}"));
            }
        };
        for query in [word, ""] {
            look("read", json(&self.read(open(query)).await?.memories)?);
        }
        for record in self.records().await? {
            let request = GetRequest::new(record.id).with_versions(true).with_facts(true);
            look("record", json(&self.detail(request).await?)?);
        }
        if self.backend.facts().is_ok() {
            look("facts", json(&self.all_facts().await?)?);
        }
        if let Ok(sessions) = self.backend.sessions() {
            for session in sessions.list(&self.scope).await? {
                look("session", json(&session)?);
                look("messages", json(&self.messages(&session.session_id).await?)?);
                let context = sessions.context(&self.scope, &session.session_id, 10_000).await?;
                look("session context", json(&context)?);
            }
        }
        if self.backend.maintenance().is_ok() {
            look("events", json(&self.events(ListEvents::new().with_limit(1000usize)).await?)?);
        }
        Ok(traces)
    }

    /// Runs `tasks` calls at once, each on a task of its own; the results are in the order of the tasks.
    pub(crate) async fn parallel<T, F>(
        &self,
        tasks: usize,
        work: impl Fn(Self, usize) -> F,
    ) -> CaseResult<Vec<T>>
    where
        T: Send + 'static,
        F: Future<Output = T> + Send + 'static,
    {
        let handles: Vec<_> = (0..tasks).map(|task| tokio::spawn(work(self.clone(), task))).collect();
        let mut results = Vec::with_capacity(tasks);
        for handle in handles {
            results.push(handle.await?);
        }
        Ok(results)
    }
}
