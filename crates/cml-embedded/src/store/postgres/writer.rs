//! Commits: how those of a tenant are joined, tried again, and found out about.
//!
//! The change sets of one tenant that wait are applied in one transaction, a savepoint each, by a task
//! that ends when nothing waits; tenants do not wait for each other. A transaction that was not
//! acknowledged is tried again on another connection. Where the connection was lost while the commit
//! was under way, the token that the transaction leaves in `commits` tells whether it took place.

use std::{
    collections::{HashMap, hash_map::Entry},
    fmt,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use cml_core::{Error, ErrorKind, Result};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};
use uuid::Uuid;

use super::{
    error::{Class, class},
    listen,
    pool::{Pool, Whose},
};
use crate::store::{
    ChangeSet, Outcome,
    sql::{
        commit::{Frame, apply},
        connection::Connection,
        error::closed,
        lookup,
        value::binds,
    },
};

/// Most change sets of one transaction.
const GROUP: usize = 64;
/// Change sets that may wait before callers wait to hand theirs over.
const QUEUE: u32 = 1024;
/// How long a commit is tried again.
const PATIENCE: Duration = Duration::from_secs(10);
/// The first pause between two attempts; each is twice the one before.
const FIRST_PAUSE: Duration = Duration::from_millis(20);
/// The longest pause between two attempts.
const LONGEST_PAUSE: Duration = Duration::from_secs(1);
/// The whole of a transaction.
const WHOLE: Frame = Frame { begin: "", end: "", removed: None, projects: false };
/// A part of a transaction that can be undone.
const PART: Frame =
    Frame { begin: "SAVEPOINT change_set", end: "RELEASE change_set", removed: None, projects: false };

/// Applies change sets.
#[derive(Clone)]
pub(super) struct Writer(Arc<Inner>);

struct Inner {
    pool: Arc<Pool>,
    projects: bool,
    channel: String,
    /// Change sets that wait, by tenant; a tenant is listed while a task works for it.
    queues: Mutex<HashMap<String, Vec<Waiting>>>,
    room: Arc<Semaphore>,
}

struct Waiting {
    changes: ChangeSet,
    answer: oneshot::Sender<Result<Outcome>>,
    _room: OwnedSemaphorePermit,
}

/// What became of a transaction that was not acknowledged.
enum Unfinished {
    /// Nothing of it was applied.
    Undone(Error),
    /// It may have been applied; then these are its outcomes.
    InDoubt(Error, Outcomes),
}

type Outcomes = Vec<Result<Outcome>>;

impl fmt::Debug for Writer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Writer").field("room", &self.0.room.available_permits()).finish_non_exhaustive()
    }
}

impl Writer {
    /// With `projects`, each commit fills the outbox and notifies on `channel`.
    pub(super) fn new(pool: Arc<Pool>, projects: bool, channel: String) -> Self {
        let room = Arc::new(Semaphore::new(QUEUE as usize));
        Self(Arc::new(Inner { pool, projects, channel, queues: Mutex::default(), room }))
    }

    pub(super) async fn commit(&self, changes: ChangeSet) -> Result<Outcome> {
        let room = Arc::clone(&self.0.room).acquire_owned().await.map_err(|_closed| closed())?;
        let (answer, outcome) = oneshot::channel();
        let tenant = changes.tenant.clone();
        let waiting = Waiting { changes, answer, _room: room };
        let begun = match self.0.queues().entry(tenant.clone()) {
            Entry::Occupied(mut queue) => {
                queue.get_mut().push(waiting);
                false
            }
            Entry::Vacant(place) => {
                place.insert(vec![waiting]);
                true
            }
        };
        if begun {
            tokio::spawn(work(Arc::clone(&self.0), tenant));
        }
        outcome.await.map_err(|_lost| Error::new(ErrorKind::Internal, "the task that commits was lost"))?
    }

    /// Waits for what is queued; later commits are refused.
    pub(super) async fn stop(&self) {
        // An error says that it was stopped before.
        if let Ok(_all) = self.0.room.acquire_many(QUEUE).await {
            self.0.room.close();
        }
    }
}

impl Inner {
    fn queues(&self) -> std::sync::MutexGuard<'_, HashMap<String, Vec<Waiting>>> {
        self.queues.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What waits for the tenant, at most a group of it; nothing ends its task.
    fn next(&self, tenant: &str) -> Vec<Waiting> {
        let mut queues = self.queues();
        let Some(queue) = queues.get_mut(tenant) else { return Vec::new() };
        if queue.is_empty() {
            queues.remove(tenant);
            return Vec::new();
        }
        let size = queue.len().min(GROUP);
        queue.drain(..size).collect()
    }
}

async fn work(inner: Arc<Inner>, tenant: String) {
    loop {
        let group = inner.next(&tenant);
        if group.is_empty() {
            return;
        }
        // A task of its own, so that a panic ends the group and not the tenant's queue.
        let (inner, tenant) = (Arc::clone(&inner), tenant.clone());
        if let Err(error) = tokio::spawn(async move { inner.commit(&tenant, group).await }).await {
            tracing::error!(%error, "a commit ended early");
        }
    }
}

impl Inner {
    /// Commits the change sets together and answers each.
    async fn commit(&self, tenant: &str, group: Vec<Waiting>) {
        let mut sets = Vec::with_capacity(group.len());
        let mut answers = Vec::with_capacity(group.len());
        for Waiting { changes, answer, _room } in group {
            sets.push(changes);
            answers.push((answer, _room));
        }
        let outcomes = self.persist(tenant, &sets).await;
        let outcomes = outcomes.unwrap_or_else(|error| sets.iter().map(|_| Err(again(&error))).collect());
        for (outcome, (answer, _room)) in outcomes.into_iter().zip(answers) {
            // Who no longer waits need not know.
            let _gone = answer.send(outcome);
        }
    }

    /// Tries until the transaction is acknowledged, is refused for good, or patience ends.
    async fn persist(&self, tenant: &str, sets: &[ChangeSet]) -> Result<Outcomes> {
        let begun = Instant::now();
        let mut pause = FIRST_PAUSE;
        // What an attempt of unknown end would have answered, under its token.
        let mut doubt: Option<(Uuid, Outcomes)> = None;
        loop {
            let error = match doubt.take() {
                Some((token, outcomes)) => match self.took_place(tenant, token).await {
                    Ok(true) => return Ok(outcomes),
                    // It was not applied, so that it is tried anew.
                    Ok(false) if begun.elapsed() + pause > PATIENCE => {
                        let message = "connections were lost again and again, nothing was stored";
                        return Err(Error::new(ErrorKind::Unavailable, message));
                    }
                    Ok(false) => {
                        tokio::time::sleep(pause).await;
                        pause = (pause * 2).min(LONGEST_PAUSE);
                        continue;
                    }
                    Err(error) => {
                        doubt = Some((token, outcomes));
                        error
                    }
                },
                None => {
                    let token = Uuid::now_v7();
                    match self.attempt(tenant, sets, token).await {
                        Ok(outcomes) => return Ok(outcomes),
                        Err(Unfinished::Undone(error)) => error,
                        Err(Unfinished::InDoubt(error, outcomes)) => {
                            doubt = Some((token, outcomes));
                            error
                        }
                    }
                }
            };
            self.pool.note(&error);
            if class(&error) == Class::Lasting || begun.elapsed() + pause > PATIENCE {
                return Err(if doubt.is_some() { unknown(error) } else { error });
            }
            // Random bits keep processes apart that failed together.
            let share = f64::from(Uuid::now_v7().as_bytes()[15]) / 512.0 + 0.5;
            tokio::time::sleep(pause.mul_f64(share)).await;
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }

    /// One transaction, in which a change set that is refused or fails leaves nothing behind.
    async fn attempt(
        &self,
        tenant: &str,
        sets: &[ChangeSet],
        token: Uuid,
    ) -> std::result::Result<Outcomes, Unfinished> {
        let mut transaction = self.pool.begin(Whose::Tenant(tenant)).await?;
        let mut connection = transaction.connection();
        if sets.iter().any(|set| set.erase.is_some()) {
            connection.run_plain("SET LOCAL statement_timeout TO 0").await?;
        }
        let outcomes = match sets {
            [only] => vec![self.apply_alone(&mut connection, only).await?],
            _ => self.apply_each(&mut connection, sets).await?,
        };
        let committed = outcomes.iter().any(|outcome| matches!(outcome, Ok(Outcome::Committed(_))));
        if !committed {
            return Ok(outcomes);
        }
        self.sign(&mut connection, tenant, token).await?;
        match transaction.commit().await {
            Ok(()) => Ok(outcomes),
            Err(error) if class(&error) == Class::Lost => Err(Unfinished::InDoubt(error, outcomes)),
            Err(error) => Err(Unfinished::Undone(error)),
        }
    }

    async fn apply_alone(&self, connection: &mut Connection<'_>, set: &ChangeSet) -> Result<Result<Outcome>> {
        lasting(apply(connection, set, &Frame { projects: self.projects, ..WHOLE }).await)
    }

    async fn apply_each(&self, connection: &mut Connection<'_>, sets: &[ChangeSet]) -> Result<Outcomes> {
        let mut outcomes = Vec::with_capacity(sets.len());
        for set in sets {
            let outcome = lasting(apply(connection, set, &Frame { projects: self.projects, ..PART }).await)?;
            if !matches!(outcome, Ok(Outcome::Committed(_))) {
                connection.run_plain("ROLLBACK TO change_set").await?;
                connection.run_plain("RELEASE change_set").await?;
            }
            outcomes.push(outcome);
        }
        Ok(outcomes)
    }

    /// Leaves the token, and tells the other processes.
    async fn sign(&self, connection: &mut Connection<'_>, tenant: &str, token: Uuid) -> Result<()> {
        let sql = "INSERT INTO commits (tenant_id, token) VALUES (?, ?)";
        let values = binds(|binds| {
            binds.add(tenant).id(&token);
        });
        connection.run(sql, values).await?;
        // About one commit in 256 takes old tokens away.
        if token.as_bytes()[15] == 0 {
            let sql = "DELETE FROM commits WHERE tenant_id = ? AND committed_at < now() - interval '1 hour'";
            let values = binds(|binds| {
                binds.add(tenant);
            });
            connection.run(sql, values).await?;
        }
        if let Some(payload) = listen::payload(tenant).filter(|_| self.projects) {
            let values = binds(|binds| {
                binds.add(&*self.channel).add(payload);
            });
            connection.run("SELECT pg_notify(?, ?)", values).await?;
        }
        Ok(())
    }

    /// Whether the transaction that left `token` was committed. Waits until it has ended: it held the
    /// row of the tenant.
    async fn took_place(&self, tenant: &str, token: Uuid) -> Result<bool> {
        let mut transaction = self.pool.begin(Whose::Tenant(tenant)).await?;
        let mut connection = transaction.connection();
        lookup::begin(&mut connection, tenant, "", false).await?;
        let values = binds(|binds| {
            binds.add(tenant).id(&token);
        });
        let sql = "SELECT 1::bigint FROM commits WHERE tenant_id = ? AND token = ?";
        Ok(connection.first(sql, values, |columns| columns.get::<i64>()).await?.is_some())
    }
}

impl From<Error> for Unfinished {
    fn from(error: Error) -> Self {
        Self::Undone(error)
    }
}

/// Takes out what another attempt may mend.
fn lasting(outcome: Result<Outcome>) -> Result<Result<Outcome>> {
    match outcome {
        Err(error) if class(&error) != Class::Lasting => Err(error),
        outcome => Ok(outcome),
    }
}

/// The error that one caller of several gets.
fn again(error: &Error) -> Error {
    let copy = Error::new(error.kind(), error.message());
    match error.suggestion() {
        Some(suggestion) => copy.with_suggestion(suggestion),
        None => copy,
    }
}

fn unknown(error: Error) -> Error {
    Error::new(
        ErrorKind::Timeout,
        "the connection to the database was lost while a commit was under way; it is not known whether it \
         was applied",
    )
    .with_suggestion("repeat a write under its idempotency key")
    .with_source(error)
}
