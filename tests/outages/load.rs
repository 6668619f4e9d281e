//! A mixed load: tasks that write, change, forget and read, and remember what they were told.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use cml::{
    ErrorKind, Memory, MemoryId, Result,
    ops::{ForgetRequest, ReadRequest, TurnRequest, UpdateRequest, WriteRequest},
};
use tokio::task::JoinHandle;

use crate::{TestResult, ledger::Ledger};

const TASKS: usize = 8;

/// Longest time of one call; it ends a test that would hang.
const HANG: Duration = Duration::from_secs(60);

/// What becomes of a call that is `Unavailable`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Calls {
    /// None may be.
    MustSucceed,
    /// It is made again until it succeeds.
    MayBeRefused,
}

/// A load that runs.
pub(crate) struct Load {
    stop: Arc<AtomicBool>,
    tasks: Vec<JoinHandle<TestResult<Ledger>>>,
}

impl Load {
    /// Starts the tasks.
    pub(crate) fn start(memory: &Memory, calls: Calls) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let tasks = (0..TASKS)
            .map(|number| {
                let worker = Worker { memory: memory.clone(), number, calls, told: Ledger::default() };
                tokio::spawn(worker.run(Arc::clone(&stop)))
            })
            .collect();
        Self { stop, tasks }
    }

    /// Lets it go on for a while.
    pub(crate) async fn go_on(&self, milliseconds: u64) {
        tokio::time::sleep(Duration::from_millis(milliseconds)).await;
    }

    /// Lets every task end the step that it is in; what they were told.
    pub(crate) async fn end(self) -> TestResult<Ledger> {
        self.stop.store(true, Ordering::Relaxed);
        let mut told = Ledger::default();
        for task in self.tasks {
            told.join(task.await??);
        }
        Ok(told)
    }
}

struct Worker {
    memory: Memory,
    number: usize,
    calls: Calls,
    told: Ledger,
}

impl Worker {
    async fn run(mut self, stop: Arc<AtomicBool>) -> TestResult<Ledger> {
        let mut round = 0;
        // However slow it is, there is something to check.
        while round < 2 || !stop.load(Ordering::Relaxed) {
            self.round(round).await.map_err(|failed| {
                let message = failed.message().unwrap_or("no message");
                format!("task {}, round {round}: {message}", self.number)
            })?;
            round += 1;
        }
        Ok(self.told)
    }

    /// Writes alone, as a batch and as a turn; reads, changes, reads, forgets, reads.
    async fn round(&mut self, round: usize) -> TestResult {
        let number = self.number * 100_000 + round;
        let word = |part: &str| word(part, number);
        let single = format!("{} keeps the {} in a drawer.", name(&word("a")), word("lorv"));
        let id = self.write(&[&single], None).await?[0];
        self.finds(&word("lorv"), id, true).await?;

        let session = format!("s{}", self.number % 3);
        let batch = ["plim", "krav", "wulx"].map(|part| format!("The {} is on shelf {round}.", word(part)));
        let batch_ids = self.write(&batch.each_ref().map(String::as_str), Some(&session)).await?;
        self.turn(round, &session, &word("tepp")).await?;

        let changed = format!("{} took the {} from Vobora.", name(&word("b")), word("zorq"));
        let request = UpdateRequest::new(id).with_text(changed.as_str()).with_idempotency_key(word("u"));
        let memory = self.memory.clone();
        self.call(|| memory.update(request.clone())).await?;
        self.told.kept.insert(id, changed);
        self.finds(&word("zorq"), id, true).await?;

        let victim = batch_ids[round % 3];
        let request = ForgetRequest::ids([victim]).with_idempotency_key(word("f"));
        self.call(|| memory.forget(request.clone())).await?;
        self.told.gone.extend(self.told.kept.remove_entry(&victim));
        self.finds(&word(["plim", "krav", "wulx"][round % 3]), victim, false).await
    }

    /// Writes texts under keys of their own.
    async fn write(&mut self, texts: &[&str], session: Option<&str>) -> TestResult<Vec<MemoryId>> {
        let request = |text: &&str| {
            let request = WriteRequest::new(*text).with_idempotency_key(format!("w {text}"));
            if let Some(session) = session { request.with_session(session) } else { request }
        };
        let requests: Vec<WriteRequest> = texts.iter().map(request).collect();
        let memory = self.memory.clone();
        let answers = self
            .call(|| async {
                memory.batch_write(requests.clone()).await?.into_iter().collect::<Result<Vec<_>>>()
            })
            .await?;
        let mut ids = Vec::new();
        for (text, answer) in texts.iter().zip(answers) {
            let id = answer.memory_id.ok_or_else(|| format!("the gate kept out: {text}"))?;
            self.told.kept.insert(id, (*text).to_owned());
            if let Some(session) = session {
                self.told.said.entry(session.to_owned()).or_default().push((*text).to_owned());
            }
            ids.push(id);
        }
        Ok(ids)
    }

    async fn turn(&mut self, round: usize, session: &str, word: &str) -> TestResult {
        let (question, answer) = (format!("Who has the {word}?"), format!("Vobora has the {word}."));
        let request = TurnRequest::new(question.as_str())
            .with_assistant_response(answer.as_str())
            .with_turn_id(format!("t{}-{round}", self.number))
            .with_idempotency_key(format!("t {word}"));
        let memory = self.memory.session(session)?;
        self.call(|| memory.turn(request.clone())).await?;
        self.told.said.entry(session.to_owned()).or_default().extend([question, answer]);
        Ok(())
    }

    /// A read after a write sees it; after a forget it does not.
    async fn finds(&mut self, word: &str, id: MemoryId, expected: bool) -> TestResult {
        let memory = self.memory.clone();
        let request = ReadRequest::new(word).with_min_relevance(0.0).with_max_results(50usize);
        let found = self.call(|| memory.search(request.clone())).await?;
        if found.memories.iter().any(|item| item.id == id) == expected {
            return Ok(());
        }
        Err(format!("stale: {word} is {}found", if expected { "not " } else { "" }).into())
    }

    /// Makes a call, and makes it again as long as that may help.
    async fn call<T, F>(&mut self, call: impl Fn() -> F) -> TestResult<T>
    where
        F: Future<Output = Result<T>>,
    {
        loop {
            let answer = tokio::time::timeout(HANG, call()).await.map_err(|_elapsed| "a call hangs")?;
            match answer {
                Ok(answer) => return Ok(answer),
                Err(error) if self.calls == Calls::MayBeRefused && error.kind() == ErrorKind::Unavailable => {
                    tokio::time::sleep(Duration::from_millis(20)).await;
                }
                Err(error) => return Err(format!("{}: {error}", error.kind()).into()),
            }
        }
    }
}

/// A word of its own for every number; the letters give no English endings.
pub(crate) fn word(prefix: &str, number: usize) -> String {
    let digits = number.to_string();
    let letters = digits.bytes().map(|digit| char::from(b"bcdfghjkmn"[usize::from(digit - b'0')]));
    prefix.chars().chain(letters).collect()
}

/// A name made of a word.
pub(crate) fn name(word: &str) -> String {
    let letters = word.chars().flat_map(|letter| [letter, 'o']);
    format!("V{}", letters.collect::<String>())
}
