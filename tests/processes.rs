//! Several processes on one file, and processes that are killed while they write.
//!
//! The test program runs itself as the other process: [`ROLE`] says what it is then.

use std::{
    collections::{HashMap, HashSet},
    env,
    io::{BufRead, BufReader, Lines, Write},
    path::Path,
    process::{Child, ChildStdin, ChildStdout, Command, ExitCode, Stdio},
    thread,
    time::Duration,
};

use cml::{
    Memory, MemoryId, Result,
    memory::{Evidence, MemoryRecord, Message},
    ops::{ListFacts, ListRequest, ReadRequest, WriteRequest},
};
use futures_util::TryStreamExt as _;
use libtest_mimic::{Arguments, Trial};

type TestResult<T = ()> = std::result::Result<T, Box<dyn std::error::Error + Send + Sync>>;

/// What a process is: `partner` or `victim`; without it, the test itself.
const ROLE: &str = "CML_TEST_ROLE";
/// The file it works on.
const FILE: &str = "CML_TEST_FILE";
/// The number of the run, part of every word that a victim writes.
const RUN: &str = "CML_TEST_RUN";

/// Memories that each of two processes writes at the same time.
const BURST: usize = 100;
/// Times that each of them writes and the other one looks.
const ROUNDS: usize = 20;

/// Times that a process is killed: this many files, and on each this many processes one after another.
const FILES: usize = 4;
const KILLS: usize = 25;
/// Longest life of a process after its first acknowledged write, in microseconds: some tens of writes.
const LIFE: u64 = 150_000;
/// Every so many processes one is killed earlier, at any moment of this time from its start: while it
/// makes or opens the file, reads the log of the one before, or writes for the first time.
const EARLY: usize = 5;
const EARLY_LIFE: u64 = 400_000;
/// Tasks of a victim that write at the same time, so that commits are joined.
const WRITERS: usize = 3;

fn main() -> TestResult<ExitCode> {
    let role = env::var(ROLE).unwrap_or_default();
    if !role.is_empty() {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
        runtime.block_on(async { if role == "victim" { victim().await } else { partner().await } })?;
        return Ok(ExitCode::SUCCESS);
    }
    let trial = |name: &str, test: fn() -> TestResult| {
        Trial::test(name, move || test().map_err(|error| error.to_string().into()))
    };
    let trials = vec![
        trial("two_processes_write_one_file_and_see_each_other", two_processes),
        trial("what_was_acknowledged_survives_a_hundred_kills", kills),
    ];
    Ok(libtest_mimic::run(&Arguments::from_args(), trials).exit_code())
}

/// This program in another role, with its standard output as lines.
struct Process {
    child: Child,
    input: ChildStdin,
    output: Lines<BufReader<ChildStdout>>,
}

impl Process {
    /// Starts it; it says `open` when it has opened the file.
    fn start(role: &str, file: &Path, run: usize) -> TestResult<Self> {
        let mut child = Command::new(env::current_exe()?)
            .env(ROLE, role)
            .env(FILE, file)
            .env(RUN, run.to_string())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let input = child.stdin.take().ok_or("no standard input")?;
        let output = BufReader::new(child.stdout.take().ok_or("no standard output")?).lines();
        Ok(Self { child, input, output })
    }

    fn line(&mut self) -> TestResult<String> {
        Ok(self.output.next().ok_or("the other process ended")??)
    }

    fn expect(&mut self, expected: &str) -> TestResult {
        let line = self.line()?;
        if line == expected {
            Ok(())
        } else {
            Err(format!("the other process says {line:?}, not {expected:?}").into())
        }
    }

    fn ask(&mut self, request: &str) -> TestResult {
        Ok(writeln!(self.input, "{request}")?)
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It may have ended already.
        let _ended = self.child.kill();
        let _ended = self.child.wait();
    }
}

/// Says a whole line at once, past any buffer, so that a line is said or not.
fn say(line: &str) -> std::io::Result<()> {
    let mut output = std::io::stdout().lock();
    output.write_all(format!("{line}\n").as_bytes())?;
    output.flush()
}

async fn open() -> TestResult<Memory> {
    let memory = Memory::lite().db_path(env::var(FILE)?).await?;
    say("open")?;
    Ok(memory)
}

/// Whether a search for a word finds the memory that has it.
async fn finds(memory: &Memory, word: &str) -> Result<Option<MemoryId>> {
    let answer = memory.search(ReadRequest::new(word).with_min_relevance(0.0)).await?;
    Ok(answer.memories.iter().find(|item| item.text.contains(word)).map(|item| item.id))
}

/// A word of its own for every number; the letters give no English endings.
fn word(prefix: &str, number: usize) -> String {
    let digits = number.to_string();
    let letters = digits.bytes().map(|digit| char::from(b"bcdfghjkmn"[usize::from(digit - b'0')]));
    prefix.chars().chain(letters).collect()
}

async fn burst(memory: &Memory, prefix: &str) -> Result<()> {
    for number in 0..BURST {
        memory.remember(format!("The box with the {} stands in the cellar", word(prefix, number))).await?;
    }
    Ok(())
}

/// Does what the standard input says until it ends: `burst`, `write WORD`, `find WORD`.
async fn partner() -> TestResult {
    let memory = open().await?;
    for line in std::io::stdin().lines() {
        let line = line?;
        match line.split_once(' ') {
            Some(("write", word)) => {
                memory.remember(format!("The jar with the {word} stands in the attic")).await?;
                say("written")?;
            }
            Some(("find", word)) => {
                say(if finds(&memory, word).await?.is_some() { "found" } else { "not found" })?;
            }
            _ => {
                burst(&memory, "zorq").await?;
                say("done")?;
            }
        }
    }
    memory.close().await?;
    Ok(())
}

fn two_processes() -> TestResult {
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("memories.db");
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    runtime.block_on(async {
        let memory = Memory::lite().db_path(&file).await?;
        let mut partner = Process::start("partner", &file, 0)?;
        partner.expect("open")?;

        partner.ask("burst")?;
        burst(&memory, "wulx").await?;
        partner.expect("done")?;
        assert_eq!(memory.stats().await?.total_memories, 2 * BURST as u64);
        for number in 0..BURST {
            let (theirs, ours) = (word("zorq", number), word("wulx", number));
            assert!(finds(&memory, &theirs).await?.is_some(), "{theirs} is not found here");
            partner.ask(&format!("find {ours}"))?;
            partner.expect("found")?;
        }

        for round in 0..ROUNDS {
            let (theirs, ours) = (word("krav", round), word("plim", round));
            partner.ask(&format!("write {theirs}"))?;
            partner.expect("written")?;
            assert!(finds(&memory, &theirs).await?.is_some(), "{theirs} is not found here");
            memory.remember(format!("The jar with the {ours} stands in the attic")).await?;
            partner.ask(&format!("find {ours}"))?;
            partner.expect("found")?;
        }
        memory.close().await?;
        Ok(())
    })
}

/// The text that a victim writes about a word. It states a fact, so that a write has rows in many tables.
fn text(word: &str) -> String {
    format!("I like {word} tea and keep it in the kitchen")
}

/// Writes until it is killed, and says the id and word of each memory when its write has returned.
///
/// Odd numbers go into the run's session, and some writes are batches.
async fn victim() -> TestResult {
    let memory = open().await?;
    let run: usize = env::var(RUN)?.parse()?;
    let mut writers = Vec::new();
    for writer in 0..WRITERS {
        let memory = memory.clone();
        writers.push(tokio::spawn(async move {
            let mut number = 0;
            loop {
                let size = if number % 10 == 4 { 4 } else { 1 };
                let words: Vec<String> = (number..number + size)
                    .map(|number| word("vost", (run * WRITERS + writer) * 100_000 + number))
                    .collect();
                let requests = words.iter().zip(number..).map(|(word, number)| {
                    let request = WriteRequest::new(text(word));
                    if number % 2 == 1 { request.with_session(format!("run-{run}")) } else { request }
                });
                for (written, word) in memory.batch_write(requests).await?.into_iter().zip(&words) {
                    let id = written?.memory_id.ok_or("the gate kept a text out")?;
                    say(&format!("{id} {word}"))?;
                }
                number += size;
            }
            #[expect(unreachable_code, reason = "names the type of the task's result")]
            TestResult::Ok(())
        }));
    }
    for writer in writers {
        writer.await??;
    }
    Ok(())
}

fn kills() -> TestResult {
    let lanes: Vec<_> = (0..FILES).map(|lane| thread::spawn(move || lane_of_kills(lane))).collect();
    let mut acknowledged = 0;
    for lane in lanes {
        acknowledged += lane.join().map_err(|_panic| "a check failed, see above")??;
    }
    // Most of them live long enough for more than one write.
    assert!(acknowledged > FILES * KILLS, "only {acknowledged} writes were acknowledged");
    Ok(())
}

/// Kills processes on one file one after another; the number of writes that they acknowledged.
fn lane_of_kills(lane: usize) -> TestResult<usize> {
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("memories.db");
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let mut moments = Numbers(lane as u64 + 1);
    let (mut checked, mut count) = (HashSet::new(), 0);
    for kill in 0..KILLS {
        let run = lane * KILLS + kill;
        let acknowledged = acknowledged_until_killed(&file, run, &mut moments)?;
        count += acknowledged.len();
        runtime
            .block_on(check(&file, &acknowledged, &mut checked))
            .map_err(|error| format!("file {lane} after kill {kill}: {error}"))?;
    }
    Ok(count)
}

/// Runs a victim for a while and kills it; what it had acknowledged.
fn acknowledged_until_killed(
    file: &Path,
    run: usize,
    moments: &mut Numbers,
) -> TestResult<HashMap<MemoryId, String>> {
    let mut victim = Process::start("victim", file, run)?;
    let mut said = Vec::new();
    let life = if run.is_multiple_of(EARLY) {
        EARLY_LIFE
    } else {
        victim.expect("open")?;
        said.push(victim.line()?);
        LIFE
    };
    // Its life, not a wait for something to happen.
    thread::sleep(Duration::from_micros(moments.below(life)));
    victim.child.kill()?;
    victim.child.wait()?;
    for line in &mut victim.output {
        said.push(line?);
    }
    said.iter().filter(|line| *line != "open").map(|line| acknowledgement(line)).collect()
}

fn acknowledgement(line: &str) -> TestResult<(MemoryId, String)> {
    let (id, word) = line.split_once(' ').ok_or_else(|| format!("a victim says {line:?}"))?;
    Ok((id.parse()?, word.to_owned()))
}

/// Opens the file after a kill: every acknowledged write is there, and no row is there without the others.
async fn check(
    file: &Path,
    acknowledged: &HashMap<MemoryId, String>,
    checked: &mut HashSet<MemoryId>,
) -> TestResult {
    let memory = Memory::lite().db_path(file).await?;
    let records: Vec<MemoryRecord> =
        memory.iter_memories(ListRequest::new().with_limit(1000usize)).try_collect().await?;
    assert_eq!(memory.stats().await?.total_memories, records.len() as u64);
    let by_id: HashMap<MemoryId, &MemoryRecord> = records.iter().map(|record| (record.id, record)).collect();
    assert_eq!(by_id.len(), records.len());
    for (id, word) in acknowledged {
        let record = by_id.get(id).ok_or_else(|| format!("the acknowledged write of {word} is lost"))?;
        assert_eq!(record.text, text(word));
    }
    for id in &*checked {
        assert!(by_id.contains_key(id), "{id} was there after an earlier kill");
    }

    let messages = messages(&memory).await?;
    for message in messages.values() {
        let record = message.memory_id.and_then(|id| by_id.get(&id)).ok_or("a message without its memory")?;
        assert_eq!((&record.text, record.message_id), (&message.text, message.id));
    }
    for record in &records {
        assert_eq!(messages.contains_key(&record.id), !record.session_id.is_empty(), "{}", record.text);
    }
    let facts = memory.list_facts(ListFacts::new().with_limit(1000usize)).await?;
    for fact in &facts.items {
        let known = |evidence: &Evidence| matches!(evidence, Evidence::Memory(id) if by_id.contains_key(id));
        assert!(!fact.evidence.is_empty() && fact.evidence.iter().all(known), "{fact:?}");
    }

    for record in &records {
        if checked.insert(record.id) {
            let detail = memory.get(cml::ops::GetRequest::new(record.id).with_facts(true)).await?;
            assert_eq!(detail.record.text, record.text);
            assert_eq!(detail.facts.len(), 1, "{}", record.text);
            let word = record.text.split(' ').nth(2).ok_or("a text of somebody else")?;
            assert_eq!(finds(&memory, word).await?, Some(record.id), "{word}");
        }
    }
    memory.close().await?;
    Ok(())
}

/// The messages of every session, by their memory.
async fn messages(memory: &Memory) -> TestResult<HashMap<MemoryId, Message>> {
    let mut found = HashMap::new();
    for session in memory.sessions().await? {
        let (mut after, mut number) = (0, 0);
        loop {
            let page = memory.messages(&session.session_id, after, 1000).await?;
            for message in page.messages {
                number += 1;
                assert_eq!(message.seq, number, "the log of {} has a gap", session.session_id);
                let id = message.memory_id.ok_or("a message without its memory")?;
                found.insert(id, message);
            }
            match page.next_after {
                Some(next) => after = next,
                None => break,
            }
        }
        assert!(number > 0, "{} is an empty session", session.session_id);
    }
    Ok(found)
}

/// A small linear congruential generator (Knuth, MMIX), so that the moments can be repeated.
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % limit
    }
}
