//! The one task that writes, and how it joins waiting change sets into one transaction.

use std::{fmt, time::Duration};

use cml_core::{Error, Result, provider::EmbeddingModel};
use sqlx::{Connection as _, SqliteConnection};
use tokio::sync::{mpsc, oneshot};

use super::{
    clean,
    connection::{Shared, lock},
};
use crate::store::sql::{
    commit::{Frame, apply},
    connection::Connection,
    error::closed,
    generations,
};
use crate::store::{ChangeSet, ModelId, Outcome};

/// Most change sets of one transaction.
const GROUP: usize = 64;
/// Change sets that may wait for the writer before callers wait to hand theirs over.
const QUEUE: usize = 256;
/// Without a change set for this long, the writer clears what removals left in the file.
const IDLE: Duration = Duration::from_secs(2);

/// What the writer is asked for.
enum Command {
    Commit(Box<ChangeSet>, oneshot::Sender<Result<Outcome>>),
    Open(EmbeddingModel, oneshot::Sender<Result<ModelId>>),
    Close(ModelId, oneshot::Sender<Result<bool>>),
    Stop(oneshot::Sender<()>),
}

/// The handle of the writer task, which ends when the last handle is dropped and its queue is empty.
#[derive(Clone)]
pub(super) struct Writer {
    commands: mpsc::Sender<Command>,
}

impl fmt::Debug for Writer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Writer").field("free", &self.commands.capacity()).finish()
    }
}

/// The connection that the writer uses.
pub(super) enum Target {
    /// Of a file, with its busy timeout.
    File(Box<SqliteConnection>, Duration),
    /// In memory, shared with those who read.
    Memory(Shared),
}

impl Writer {
    /// Starts the task on the current runtime.
    pub(super) fn start(target: Target) -> Self {
        let (commands, queue) = mpsc::channel(QUEUE);
        tokio::spawn(work(target, queue));
        Self { commands }
    }

    pub(super) async fn commit(&self, changes: ChangeSet) -> Result<Outcome> {
        self.ask(|answer| Command::Commit(Box::new(changes), answer)).await?
    }

    pub(super) async fn open_generation(&self, model: EmbeddingModel) -> Result<ModelId> {
        self.ask(|answer| Command::Open(model, answer)).await?
    }

    pub(super) async fn close_generation(&self, model: ModelId) -> Result<bool> {
        self.ask(|answer| Command::Close(model, answer)).await?
    }

    /// Ends the task after what is queued; ending it twice does nothing.
    pub(super) async fn stop(&self) {
        // An error says that it has ended.
        let _ended = self.ask(Command::Stop).await;
    }

    async fn ask<T>(&self, command: impl FnOnce(oneshot::Sender<T>) -> Command) -> Result<T> {
        let (sender, answer) = oneshot::channel();
        self.commands.send(command(sender)).await.map_err(|_ended| closed())?;
        answer.await.map_err(|_ended| closed())
    }
}

async fn work(mut target: Target, mut queue: mpsc::Receiver<Command>) {
    let mut state = target.state().await;
    let mut stopped = Vec::new();
    let mut waiting = Vec::with_capacity(GROUP);
    loop {
        let receive = queue.recv_many(&mut waiting, GROUP);
        let received = if state.remains {
            match tokio::time::timeout(IDLE, receive).await {
                Ok(received) => received,
                Err(_idle) => {
                    target.rewrite_small(&mut state).await;
                    continue;
                }
            }
        } else {
            receive.await
        };
        if received == 0 {
            break;
        }
        let mut group = Vec::with_capacity(received);
        for command in waiting.drain(..) {
            match command {
                Command::Commit(changes, answer) => group.push((changes, answer)),
                other => {
                    // In the order of arrival: a generation sees what was committed before.
                    target.commit(std::mem::take(&mut group), &mut state).await;
                    match other {
                        Command::Open(model, answer) => {
                            drop(answer.send(target.open_generation(&model).await))
                        }
                        Command::Close(model, answer) => {
                            drop(answer.send(target.close_generation(model).await))
                        }
                        Command::Stop(answer) => {
                            queue.close();
                            stopped.push(answer);
                        }
                        Command::Commit(..) => {}
                    }
                }
            }
        }
        target.commit(group, &mut state).await;
    }
    if state.remains {
        target.rewrite_small(&mut state).await;
    }
    target.end().await;
    for answer in stopped {
        // Who no longer waits need not know.
        let _gone = answer.send(());
    }
}

impl Target {
    /// What earlier removals left to do.
    async fn state(&mut self) -> Cleaning {
        match self {
            Self::File(connection, _) => {
                Cleaning { logged: false, remains: clean::remains(connection).await }
            }
            Self::Memory(_) => Cleaning::default(),
        }
    }

    /// Commits the change sets together and answers each. Those that removed rows are answered when
    /// what they removed is out of the log, and after an erasure out of every gap in the file.
    async fn commit(&mut self, group: Vec<Waiting>, state: &mut Cleaning) {
        if group.is_empty() {
            return;
        }
        let (sets, answers): (Vec<_>, Vec<_>) = group.into_iter().unzip();
        let outcomes = match self {
            Self::File(connection, _) => together(connection, &sets).await,
            Self::Memory(shared) => match lock(shared).await {
                Ok(mut connection) => together(&mut connection, &sets).await,
                Err(error) => Err(error),
            },
        };
        let outcomes = outcomes.unwrap_or_else(|error| sets.iter().map(|_| Err(again(&error))).collect());
        let mut removing = Vec::new();
        let mut erased = false;
        for ((outcome, answer), changes) in outcomes.into_iter().zip(answers).zip(&sets) {
            match &outcome {
                Ok(Outcome::Committed(committed)) if !committed.removed.is_empty() => {
                    erased |= changes.erase.is_some();
                    removing.push((outcome, answer));
                }
                _ => drop(answer.send(outcome)),
            }
        }
        if let Self::File(connection, busy_timeout) = self {
            state.remains |= !removing.is_empty();
            if erased {
                state.remains = !clean::rewrite(connection).await;
            }
            if state.logged || !removing.is_empty() {
                let patient = !removing.is_empty();
                state.logged = !clean::empty_log(connection, patient, *busy_timeout).await;
            }
        }
        for (outcome, answer) in removing {
            drop(answer.send(outcome));
        }
    }

    /// Rewrites a file that is small enough for that to go unnoticed.
    async fn rewrite_small(&mut self, state: &mut Cleaning) {
        let Self::File(connection, busy_timeout) = self else { return };
        if clean::is_small(connection).await && clean::rewrite(connection).await {
            state.logged = !clean::empty_log(connection, true, *busy_timeout).await;
        }
        // A larger file, or one that could not be rewritten, waits for the next erasure or opening.
        state.remains = false;
    }

    async fn open_generation(&mut self, model: &EmbeddingModel) -> Result<ModelId> {
        match self {
            Self::File(connection, _) => generations::open(&mut Connection::Sqlite(connection), model).await,
            Self::Memory(shared) => {
                let mut connection = lock(shared).await?;
                generations::open(&mut Connection::Sqlite(&mut connection), model).await
            }
        }
    }

    async fn close_generation(&mut self, model: ModelId) -> Result<bool> {
        match self {
            Self::File(connection, _) => generations::close(&mut Connection::Sqlite(connection), model).await,
            Self::Memory(shared) => {
                let mut connection = lock(shared).await?;
                generations::close(&mut Connection::Sqlite(&mut connection), model).await
            }
        }
    }

    async fn end(self) {
        let closing = match self {
            Self::File(connection, _) => connection.close().await,
            Self::Memory(shared) => match shared.lock().await.take() {
                Some(connection) => connection.close().await,
                None => Ok(()),
            },
        };
        if let Err(error) = closing {
            // Every acknowledged commit is durable; the next opening recovers the log.
            tracing::warn!(%error, "the database could not be closed in order");
        }
    }
}

/// What removals left to do in the file.
#[derive(Default)]
struct Cleaning {
    /// The log still holds removed rows.
    logged: bool,
    /// Gaps in the pages of the file may.
    remains: bool,
}

type Waiting = (Box<ChangeSet>, oneshot::Sender<Result<Outcome>>);

/// A transaction of its own.
const ALONE: Frame =
    Frame { begin: "BEGIN IMMEDIATE", end: "COMMIT", removed: Some(clean::MARK), projects: false };
/// A part of a transaction that can be undone.
const PART: Frame = Frame {
    begin: "SAVEPOINT change_set",
    end: "RELEASE change_set",
    removed: Some(clean::MARK),
    projects: false,
};

/// One transaction, in which a change set that is refused or fails leaves nothing behind.
async fn together(
    connection: &mut SqliteConnection,
    sets: &[Box<ChangeSet>],
) -> Result<Vec<Result<Outcome>>> {
    let connection = &mut Connection::Sqlite(connection);
    let outcomes = match sets {
        [only] => Ok(vec![apply(connection, only, &ALONE).await]),
        _ => each(connection, sets).await,
    };
    let committed = match outcomes.as_deref() {
        Ok([only]) => matches!(only, Ok(Outcome::Committed(_))),
        Ok(_) => true,
        Err(_) => false,
    };
    if !committed {
        // Where SQLite did not begin the transaction or ended it itself, this fails and nothing is lost.
        let _ended = connection.run_plain("ROLLBACK").await;
    }
    outcomes
}

async fn each(connection: &mut Connection<'_>, sets: &[Box<ChangeSet>]) -> Result<Vec<Result<Outcome>>> {
    connection.run_plain("BEGIN IMMEDIATE").await?;
    let mut outcomes = Vec::with_capacity(sets.len());
    for changes in sets {
        let outcome = apply(connection, changes, &PART).await;
        if !matches!(outcome, Ok(Outcome::Committed(_))) {
            connection.run_plain("ROLLBACK TO change_set; RELEASE change_set").await?;
        }
        outcomes.push(outcome);
    }
    connection.run_plain("COMMIT").await?;
    Ok(outcomes)
}

/// The error that one caller of several gets.
fn again(error: &Error) -> Error {
    Error::new(error.kind(), error.message())
}
