//! [`Memory`](crate::Memory) for programs without an async runtime.

mod graph;

use std::{future::Future, path::Path, sync::Arc};

use cml_core::{
    Config, Error, ErrorKind, FactId, MemoryId, Result, Scope, Subject,
    memory::{Fact, MemoryDetail, MemoryRecord, Session},
    ops::{
        CreateSession, EraseResponse, EventPage, ExportLine, ExportOptions, FactList, ForgetRequest,
        ForgetResponse, GetRequest, Health, ImportReport, ListEvents, ListFacts, ListPage, ListRequest,
        ReadRequest, ReadResponse, SessionContext, Stats, TurnRequest, TurnResponse, UpdateRequest,
        UpdateResponse, WriteRequest, WriteResponse,
    },
};
use futures_util::{
    StreamExt as _,
    stream::{self, BoxStream},
};
use tokio::runtime::{Builder, Handle};

pub use self::graph::MemoryGraph;
use crate::{MemoryBuilder, transfer::ExportReport};

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
        self.iterate(self.memory.iter_memories(request))
    }

    fn iterate<T: Send + 'static>(
        &self,
        stream: BoxStream<'static, Result<T>>,
    ) -> impl Iterator<Item = Result<T>> + use<T> {
        let mut items = Some(stream);
        let runtime = Arc::clone(&self.runtime);
        std::iter::from_fn(move || {
            let mut stream = items.take()?;
            match runtime.wait(async move { (stream.next().await, stream) }) {
                Ok((item, stream)) => {
                    items = item.is_some().then_some(stream);
                    item
                }
                Err(error) => Some(Err(error)),
            }
        })
    }

    /// Everything that this handle can see, line by line as the iterator is read.
    ///
    /// # Errors
    /// As [`Memory::export`](crate::Memory::export).
    pub fn export(&self, options: ExportOptions) -> Result<impl Iterator<Item = Result<ExportLine>> + use<>> {
        let memory = self.memory.clone();
        let lines = self.runtime.wait(async move { memory.export(options).await })??;
        Ok(self.iterate(lines))
    }

    /// Puts an export into this handle's tenant.
    ///
    /// # Errors
    /// As [`Memory::import`](crate::Memory::import).
    pub fn import<I>(&self, lines: I) -> Result<ImportReport>
    where
        I: IntoIterator<Item = Result<ExportLine>>,
        I::IntoIter: Send + 'static,
    {
        let (memory, lines) = (self.memory.clone(), stream::iter(lines).boxed());
        self.runtime.wait(async move { memory.import(lines).await })?
    }

    /// Copies everything that this handle can see into `to`.
    ///
    /// # Errors
    /// As [`Memory::migrate`](crate::Memory::migrate).
    pub fn migrate(&self, to: &Self) -> Result<ImportReport> {
        let (memory, to) = (self.memory.clone(), to.memory.clone());
        self.runtime.wait(async move { memory.migrate(&to).await })?
    }

    /// Writes an export to a file.
    ///
    /// # Errors
    /// As [`Memory::export_to`](crate::Memory::export_to).
    pub fn export_to(&self, path: impl AsRef<Path>, options: ExportOptions) -> Result<ExportReport> {
        let (memory, path) = (self.memory.clone(), path.as_ref().to_owned());
        self.runtime.wait(async move { memory.export_to(path, options).await })?
    }

    /// Writes the memories to a file as the JSON list that the original system exports.
    ///
    /// # Errors
    /// As [`Memory::export_original`](crate::Memory::export_original).
    pub fn export_original(&self, path: impl AsRef<Path>) -> Result<ExportReport> {
        let (memory, path) = (self.memory.clone(), path.as_ref().to_owned());
        self.runtime.wait(async move { memory.export_original(path).await })?
    }

    /// Imports a file.
    ///
    /// # Errors
    /// As [`Memory::import_from`](crate::Memory::import_from).
    pub fn import_from(&self, path: impl AsRef<Path>) -> Result<ImportReport> {
        let (memory, path) = (self.memory.clone(), path.as_ref().to_owned());
        self.runtime.wait(async move { memory.import_from(path).await })?
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
