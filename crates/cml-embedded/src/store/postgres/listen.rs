//! Notifications between the processes of one schema.
//!
//! They say that a tenant may have something new, sooner than the next poll would find it. They can be
//! lost, and nothing depends on them.

use std::{fmt, sync::OnceLock, time::Duration};

use sqlx::postgres::{PgConnectOptions, PgListener, PgPoolOptions};
use tokio::{sync::broadcast, task::AbortHandle};

/// Notifications that a receiver may be behind.
const KEPT: usize = 1024;
/// How long to wait before listening again.
const PAUSE: Duration = Duration::from_secs(1);
/// Longest text that a notification carries.
const LONGEST: usize = 7000;

/// Names of tenants that something was committed for, from any process.
pub(super) struct Hints {
    channel: String,
    connect: PgConnectOptions,
    started: OnceLock<Started>,
}

impl fmt::Debug for Hints {
    /// Without how to connect, which holds a password.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Hints").field("channel", &self.channel).finish_non_exhaustive()
    }
}

#[derive(Debug)]
struct Started {
    sender: broadcast::Sender<String>,
    task: AbortHandle,
}

impl Drop for Started {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Hints {
    pub(super) const fn new(channel: String, connect: PgConnectOptions) -> Self {
        Self { channel, connect, started: OnceLock::new() }
    }

    /// Receives from now on. The first call begins to listen, on a connection of its own.
    pub(super) fn subscribe(&self) -> broadcast::Receiver<String> {
        let started = self.started.get_or_init(|| {
            let (sender, _) = broadcast::channel(KEPT);
            let task = tokio::spawn(listen(self.connect.clone(), self.channel.clone(), sender.clone()));
            Started { sender, task: task.abort_handle() }
        });
        started.sender.subscribe()
    }

    /// Stops listening; receivers get nothing any more.
    pub(super) fn stop(&self) {
        if let Some(started) = self.started.get() {
            started.task.abort();
        }
    }
}

/// The channel of a schema.
pub(super) fn channel(schema: &str) -> String {
    format!("cml_{schema}")
}

/// What a notification about `tenant` carries; one that is too long is told by nobody.
pub(super) fn payload(tenant: &str) -> Option<&str> {
    (tenant.len() <= LONGEST).then_some(tenant)
}

async fn listen(connect: PgConnectOptions, channel: String, sender: broadcast::Sender<String>) {
    loop {
        if let Err(error) = receive(&connect, &channel, &sender).await {
            let error = super::error::failed(error);
            tracing::debug!(%error, "notifications of the database do not arrive");
        }
        tokio::time::sleep(PAUSE).await;
    }
}

/// Passes on what arrives until the connection is lost.
async fn receive(
    connect: &PgConnectOptions,
    channel: &str,
    sender: &broadcast::Sender<String>,
) -> sqlx::Result<()> {
    let pool = PgPoolOptions::new().max_connections(1).connect_with(connect.clone()).await?;
    let mut listener = PgListener::connect_with(&pool).await?;
    listener.listen(channel).await?;
    // `None` is a connection that was lost and made anew.
    while let Some(notification) = listener.try_recv().await? {
        // Without a receiver nobody needs to know.
        let _unheard = sender.send(notification.payload().to_owned());
    }
    Ok(())
}
