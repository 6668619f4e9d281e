//! The task that projects, from the start of an engine to its end.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use cml_core::BoxStream;
use futures_util::StreamExt as _;
use tokio::{
    sync::{Notify, watch},
    task::JoinHandle,
};

use super::project::{Projector, Step, pause, random};
use crate::store::GraphDatabase;

/// How often the outbox is looked at without a hint.
const POLL: Duration = Duration::from_secs(1);

/// Longest wait for a step that runs when the worker is to end; the lease runs out by itself.
const PATIENCE: Duration = Duration::from_secs(10);

/// A task that projects. It ends when this is dropped.
#[derive(Debug)]
pub(super) struct Worker {
    hint: Arc<Notify>,
    stop: watch::Sender<bool>,
    task: Mutex<Option<JoinHandle<()>>>,
}

impl Worker {
    /// `added` hints at rows that some process left.
    pub(super) fn start(projector: Projector<dyn GraphDatabase>, added: BoxStream<'static, ()>) -> Self {
        let hint = Arc::new(Notify::new());
        let (stop, stopped) = watch::channel(false);
        let task = tokio::spawn(run(projector, Arc::clone(&hint), added, stopped));
        Self { hint, stop, task: Mutex::new(Some(task)) }
    }

    /// Lets it look at once.
    pub(super) fn wake(&self) {
        self.hint.notify_one();
    }

    /// Lets it end after the step that runs.
    pub(super) async fn stop(&self) {
        self.stop.send_replace(true);
        let task = self.task.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(mut task) = task
            && tokio::time::timeout(PATIENCE, &mut task).await.is_err()
        {
            tracing::warn!("the graph database did not answer in time, its lease runs out");
            task.abort();
        }
    }
}

async fn run(
    projector: Projector<dyn GraphDatabase>,
    hint: Arc<Notify>,
    mut added: BoxStream<'static, ()>,
    mut stop: watch::Receiver<bool>,
) {
    // Steps that went wrong, one after the other.
    let mut wrong = 0;
    loop {
        let stopping = stop.clone();
        let wait = match projector.step(wrong, || is_over(&stopping)).await {
            Ok(Step::Done) => {
                wrong = 0;
                Duration::ZERO
            }
            Ok(Step::Idle) => {
                wrong = 0;
                POLL
            }
            Ok(Step::Away(error)) | Err(error) => {
                if wrong == 0 {
                    tracing::warn!(%error, "changes wait for the graph");
                }
                wrong = (wrong + 1).min(16);
                pause(wrong - 1, random())
            }
        };
        if is_over(&stop) {
            return;
        }
        if wait.is_zero() {
            continue;
        }
        tokio::select! {
            () = hint.notified(), if wrong == 0 => {}
            Some(()) = added.next(), if wrong == 0 => {}
            () = tokio::time::sleep(wait) => {}
            _ = stop.changed() => {}
        }
        if is_over(&stop) {
            return;
        }
    }
}

/// Whether the worker is to end, or was dropped.
fn is_over(stop: &watch::Receiver<bool>) -> bool {
    *stop.borrow() || stop.has_changed().is_err()
}
