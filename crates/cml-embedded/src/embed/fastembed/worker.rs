//! The thread that runs a model.

use std::collections::VecDeque;
use std::sync::mpsc::{self, Receiver, Sender};
use std::thread::{Builder, JoinHandle};

use ::fastembed::TextEmbedding;
use cml_core::{Error, ErrorKind, Result};
use tokio::sync::oneshot;

use super::guard;

/// Texts embedded together: larger batches gain little on a CPU and make others wait longer.
const BATCH: usize = 16;

const THREAD_NAME: &str = "cml-fastembed";

type Vectors = Vec<Vec<f32>>;

/// A handle on the thread; dropping it ends the thread.
#[derive(Debug)]
pub(super) struct Worker {
    /// `None` only while it is dropped.
    jobs: Option<Sender<Job>>,
    thread: Option<JoinHandle<()>>,
}

impl Worker {
    /// Hands `model` to a new thread; `one_by_one` keeps texts apart.
    pub(super) fn start(model: TextEmbedding, one_by_one: bool) -> Result<Self> {
        let (jobs, incoming) = mpsc::channel();
        let batch = if one_by_one { 1 } else { BATCH };
        let thread = Builder::new()
            .name(THREAD_NAME.to_owned())
            .spawn(move || run(model, batch, &incoming))
            .map_err(|error| {
                Error::new(ErrorKind::Internal, "the embedding thread cannot be started").with_source(error)
            })?;
        Ok(Self { jobs: Some(jobs), thread: Some(thread) })
    }

    /// One vector per text, in order.
    pub(super) async fn embed(&self, texts: Vec<String>) -> Result<Vectors> {
        let stopped = || Error::new(ErrorKind::Internal, "the embedding thread has stopped");
        let (reply, answer) = oneshot::channel();
        let sent = self.jobs.as_ref().and_then(|jobs| jobs.send(Job::new(texts, reply)).ok());
        sent.ok_or_else(stopped)?;
        answer.await.map_err(|error| stopped().with_source(error))?
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        self.jobs = None;
        if let Some(thread) = self.thread.take() {
            // It catches panics of the model; another one would have been reported already.
            let _ = thread.join();
        }
    }
}

/// The texts of one call.
#[derive(Debug)]
struct Job {
    texts: Vec<String>,
    /// Positions in `texts`, those still to do, the shortest text last.
    todo: Vec<usize>,
    vectors: Vectors,
    reply: oneshot::Sender<Result<Vectors>>,
}

impl Job {
    fn new(texts: Vec<String>, reply: oneshot::Sender<Result<Vectors>>) -> Self {
        // Texts of a batch are padded to its longest, so those of similar length go together.
        let mut todo: Vec<usize> = (0..texts.len()).collect();
        todo.sort_by_key(|&index| std::cmp::Reverse(texts[index].len()));
        Self { vectors: vec![Vec::new(); texts.len()], texts, todo, reply }
    }

    /// Embeds the next `batch` texts.
    fn step(&mut self, model: &mut TextEmbedding, batch: usize) -> Result<()> {
        let next = self.todo.split_off(self.todo.len().saturating_sub(batch));
        let texts: Vec<&str> = next.iter().map(|&index| self.texts[index].as_str()).collect();
        let vectors = guard("embedding", || {
            model.embed(&texts, None).map_err(|error| {
                Error::new(ErrorKind::Internal, "the embedding model failed").with_source(error)
            })
        })?;
        if vectors.len() != next.len() {
            return Err(Error::new(ErrorKind::Internal, "the embedding model left a text out"));
        }
        for (index, vector) in next.into_iter().zip(vectors) {
            self.vectors[index] = vector;
        }
        Ok(())
    }
}

/// Serves the jobs in turns, a batch each, until every handle is gone.
fn run(mut model: TextEmbedding, batch: usize, incoming: &Receiver<Job>) {
    let mut jobs = VecDeque::new();
    loop {
        if jobs.is_empty() {
            let Ok(job) = incoming.recv() else { return };
            jobs.push_back(job);
        }
        jobs.extend(incoming.try_iter());
        let Some(mut job) = jobs.pop_front() else { continue };
        if job.reply.is_closed() {
            continue;
        }
        let answer = match job.step(&mut model, batch) {
            Ok(()) if job.todo.is_empty() => Ok(job.vectors),
            Ok(()) => {
                jobs.push_back(job);
                continue;
            }
            Err(error) => Err(error),
        };
        // A caller that has given up does not miss its answer.
        let _ = job.reply.send(answer);
    }
}
