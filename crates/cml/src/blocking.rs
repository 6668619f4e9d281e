//! [`Memory`](crate::Memory) for programs without an async runtime.

use std::{future::Future, sync::Arc};

use cml_core::{
    Config, Error, ErrorKind, FactId, MemoryId, Result, Scope, Subject,
    memory::{Fact, MemoryDetail, MemoryRecord, Session},
    ops::{
        CreateSession, EraseResponse, EventPage, FactList, ForgetRequest, ForgetResponse, GetRequest, Health,
        ListEvents, ListFacts, ListPage, ListRequest, ReadRequest, ReadResponse, SessionContext, Stats,
        TurnRequest, TurnResponse, UpdateRequest, UpdateResponse, WriteRequest, WriteResponse,
    },
};
use futures_util::{StreamExt as _, stream::BoxStream};
use tokio::runtime::{Builder, Handle};

use crate::MemoryBuilder;

/// A memory whose calls block the calling thread.
///
/// It owns a runtime on a thread of its own, so that it also works when it is called inside a running
/// runtime (where it blocks that thread: prefer [`Memory`](crate::Memory) there).
///
/// ```
/// # #[cfg(feature = "embedded-lite")] {
/// let memory = cml::blocking::Memory::open(cml::Memory::lite())?;
/// memory.remember("prefers dark mode")?;
/// assert_eq!(memory.search("theme preferences")?.total_count, 1);
/// # }
/// # Ok::<(), cml::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct Memory {
    memory: crate::Memory,
    runtime: Arc<Runtime>,
}

/// A runtime that lives on a thread of its own and ends with its last handle.
#[derive(Debug)]
struct Runtime {
    handle: Handle,
    stop: Option<tokio::sync::oneshot::Sender<()>>,
}

impl Runtime {
    fn start() -> Result<Arc<Self>> {
        let failed =
            |error| Error::new(ErrorKind::Unavailable, "no thread could be started").with_source(error);
        let runtime = Builder::new_multi_thread().worker_threads(2).enable_all().build().map_err(failed)?;
        let handle = runtime.handle().clone();
        let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
        // Dropping a runtime inside another one panics, so this thread keeps it and drops it.
        std::thread::Builder::new()
            .name("cml-blocking".to_owned())
            .spawn(move || runtime.block_on(stopped))
            .map_err(failed)?;
        Ok(Arc::new(Self { handle, stop: Some(stop) }))
    }

    /// Runs `work` on the runtime and waits for it without entering the caller's runtime.
    fn wait<T: Send + 'static>(&self, work: impl Future<Output = T> + Send + 'static) -> Result<T> {
        let (send, receive) = std::sync::mpsc::sync_channel(1);
        self.handle.spawn(async move {
            // The caller waits for the answer; nobody is left to tell when it is gone.
            let _gone = send.send(work.await);
        });
        receive.recv().map_err(|error| Error::new(ErrorKind::Internal, "a call was lost").with_source(error))
    }
}

impl Drop for Runtime {
    fn drop(&mut self) {
        if let Some(stop) = self.stop.take() {
            // The thread may have ended already.
            let _ended = stop.send(());
        }
    }
}

macro_rules! verbs {
    ($($(#[$doc:meta])* $name:ident($($arg:ident: $type:ty),*) -> $answer:ty;)*) => {$(
        $(#[$doc])*
        ///
        /// # Errors
        #[doc = concat!("As [`Memory::", stringify!($name), "`](crate::Memory::", stringify!($name), ").")]
        pub fn $name(&self, $($arg: $type),*) -> Result<$answer> {
            let memory = self.memory.clone();
            self.runtime.wait(async move { memory.$name($($arg),*).await })?
        }
    )*};
}

macro_rules! views {
    ($($(#[$doc:meta])* $name:ident;)*) => {$(
        $(#[$doc])*
        ///
        /// # Errors
        /// `InvalidInput` unless the id has 1 to 100 characters and no control characters.
        pub fn $name(&self, id: impl Into<String>) -> Result<Self> {
            Ok(Self { memory: self.memory.$name(id)?, runtime: Arc::clone(&self.runtime) })
        }
    )*};
}

impl Memory {
    /// Opens the memory of a builder.
    ///
    /// # Errors
    /// As [`Memory::connect`](crate::Memory::connect).
    pub fn open(builder: MemoryBuilder) -> Result<Self> {
        let runtime = Runtime::start()?;
        let memory = runtime.wait(builder.open())??;
        Ok(Self { memory, runtime })
    }

    /// Opens the memory that `config` describes.
    ///
    /// # Errors
    /// As [`Memory::connect`](crate::Memory::connect).
    pub fn connect(config: Config) -> Result<Self> {
        Self::open(crate::Memory::builder(config))
    }

    /// The scope of this handle.
    #[must_use]
    pub fn scope(&self) -> &Scope {
        self.memory.scope()
    }

    /// The async memory behind this one.
    #[must_use]
    pub fn inner(&self) -> &crate::Memory {
        &self.memory
    }

    views! {
        /// A view on another tenant, as a whole.
        tenant;
        /// A view that reads and writes only this namespace.
        namespace;
        /// A view on one data subject.
        user;
        /// A view that stamps this author on what it writes.
        agent;
        /// A view on one conversation.
        session;
    }

    /// Stores a text.
    ///
    /// # Errors
    /// As [`Memory::write`](crate::Memory::write).
    pub fn write(&self, request: impl Into<WriteRequest>) -> Result<WriteResponse> {
        let (memory, request) = (self.memory.clone(), request.into());
        self.runtime.wait(async move { memory.write(request).await })?
    }

    /// Stores a text and returns its id.
    ///
    /// # Errors
    /// As [`Memory::remember`](crate::Memory::remember).
    pub fn remember(&self, text: impl Into<String>) -> Result<Option<MemoryId>> {
        Ok(self.write(text.into())?.memory_id)
    }

    /// Recalls what answers a query, best first.
    ///
    /// # Errors
    /// As [`Memory::read`](crate::Memory::read).
    pub fn read(&self, request: impl Into<ReadRequest>) -> Result<ReadResponse> {
        let (memory, request) = (self.memory.clone(), request.into());
        self.runtime.wait(async move { memory.read(request).await })?
    }

    /// Recalls as one flat list.
    ///
    /// # Errors
    /// As [`Memory::search`](crate::Memory::search).
    pub fn search(&self, request: impl Into<ReadRequest>) -> Result<ReadResponse> {
        let (memory, request) = (self.memory.clone(), request.into());
        self.runtime.wait(async move { memory.search(request).await })?
    }

    /// Recalls as text for a prompt.
    ///
    /// # Errors
    /// As [`Memory::get_context`](crate::Memory::get_context).
    pub fn get_context(&self, request: impl Into<ReadRequest>) -> Result<String> {
        let (memory, request) = (self.memory.clone(), request.into());
        self.runtime.wait(async move { memory.get_context(request).await })?
    }

    /// Recalls, or answers with a warning when the backend is away.
    ///
    /// # Errors
    /// As [`Memory::read_safe`](crate::Memory::read_safe).
    pub fn read_safe(&self, request: impl Into<ReadRequest>) -> Result<ReadResponse> {
        let (memory, request) = (self.memory.clone(), request.into());
        self.runtime.wait(async move { memory.read_safe(request).await })?
    }

    /// Recalls for many queries; one answer each, in their order.
    ///
    /// # Errors
    /// `Internal` when the runtime is lost; each answer has its own error.
    pub fn batch_read(&self, requests: Vec<ReadRequest>) -> Result<Vec<Result<ReadResponse>>> {
        let memory = self.memory.clone();
        self.runtime.wait(async move { memory.batch_read(requests).await })
    }

    /// One record in full.
    ///
    /// # Errors
    /// As [`Memory::get`](crate::Memory::get).
    pub fn get(&self, request: impl Into<GetRequest>) -> Result<MemoryDetail> {
        let (memory, request) = (self.memory.clone(), request.into());
        self.runtime.wait(async move { memory.get(request).await })?
    }

    /// Every record that `request` lists, page by page as the iterator is read.
    pub fn iter_memories(&self, request: ListRequest) -> impl Iterator<Item = Result<MemoryRecord>> {
        let mut rows: Option<BoxStream<'static, _>> = Some(self.memory.iter_memories(request));
        let runtime = Arc::clone(&self.runtime);
        std::iter::from_fn(move || {
            let mut stream = rows.take()?;
            match runtime.wait(async move { (stream.next().await, stream) }) {
                Ok((row, stream)) => {
                    rows = Some(stream);
                    row
                }
                Err(error) => Some(Err(error)),
            }
        })
    }

    /// Opens a conversation with a fresh id and returns the view on it.
    ///
    /// # Errors
    /// As [`Memory::start_session`](crate::Memory::start_session).
    pub fn start_session(&self, request: CreateSession) -> Result<Self> {
        let memory = self.memory.clone();
        let memory = self.runtime.wait(async move { memory.start_session(request).await })??;
        Ok(Self { memory, runtime: Arc::clone(&self.runtime) })
    }

    /// The working context of a conversation.
    ///
    /// # Errors
    /// As [`Memory::session_context`](crate::Memory::session_context).
    pub fn session_context(&self, session: &str) -> Result<SessionContext> {
        let (memory, session) = (self.memory.clone(), session.to_owned());
        self.runtime.wait(async move { memory.session_context(&session).await })?
    }

    /// Removes a conversation with everything said in it.
    ///
    /// # Errors
    /// As [`Memory::clear_session`](crate::Memory::clear_session).
    pub fn clear_session(&self, session: &str) -> Result<EraseResponse> {
        let (memory, session) = (self.memory.clone(), session.to_owned());
        self.runtime.wait(async move { memory.clear_session(&session).await })?
    }

    verbs! {
        /// Stores many texts; one result each, in order.
        batch_write(requests: Vec<WriteRequest>) -> Vec<Result<WriteResponse>>;
        /// Recalls for a user's message; logs and stores the exchange if there is an answer.
        turn(request: TurnRequest) -> TurnResponse;
        /// A page of records in full.
        list(request: ListRequest) -> ListPage;
        /// Changes a memory.
        update(request: UpdateRequest) -> UpdateResponse;
        /// Archives, silences or deletes memories.
        forget(request: ForgetRequest) -> ForgetResponse;
        /// Removes every row of a subject.
        erase(subject: Subject) -> EraseResponse;
        /// Removes everything of this tenant, if `confirm` is true.
        delete_all(confirm: bool) -> EraseResponse;
        /// Counts what this handle can see.
        stats() -> Stats;
        /// Whether the backend and its components work.
        health() -> Health;
        /// Opens a conversation with a fresh id.
        create_session(request: CreateSession) -> Session;
        /// Conversations, newest first.
        sessions() -> Vec<Session>;
        /// Facts and constraints.
        list_facts(request: ListFacts) -> FactList;
        /// Withdraws a fact.
        retract_fact(id: FactId) -> Fact;
        /// What happened, newest first.
        events(request: ListEvents) -> EventPage;
        /// Writes down what is pending and closes the backend.
        close() -> ();
    }
}
