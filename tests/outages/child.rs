//! This program as another process.

use std::{
    env,
    io::{BufRead as _, BufReader, Lines, Write as _},
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
};

use cml::{
    Config, Memory,
    config::Mode,
    ops::{ReadRequest, WriteRequest},
};

use crate::{
    TestResult,
    load::{name, word},
    modes,
    servers::Servers,
};

/// What the process is: `partner` or `victim`; without it, the tests.
const ROLE: &str = "CML_TEST_ROLE";
const SCHEMA: &str = "CML_TEST_SCHEMA";
const TENANT: &str = "CML_TEST_TENANT";
const MODE: &str = "CML_TEST_MODE";

/// Tasks of a victim that write at the same time, so that commits are joined.
const WRITERS: usize = 3;

/// The role of this process, if it has one.
pub(crate) fn role() -> Option<String> {
    env::var(ROLE).ok()
}

/// Plays the role.
pub(crate) async fn run(role: &str) -> TestResult {
    let mode: Mode = env::var(MODE)?.parse()?;
    let config = modes::config(mode, &env::var(SCHEMA)?, |variable| env::var(variable).ok())?;
    let memory = Memory::connect(&config).await?.tenant(env::var(TENANT)?)?;
    say("open")?;
    if role == "victim" { victim(memory).await } else { partner(memory).await }
}

/// Another process, with its standard output as lines. It is killed when this is dropped.
pub(crate) struct Process {
    child: Child,
    input: ChildStdin,
    output: Lines<BufReader<ChildStdout>>,
}

impl Process {
    /// Starts it on the tables of `config`; it says `open` when it has opened them.
    pub(crate) fn start(servers: &Servers, role: &str, config: &Config, tenant: &str) -> TestResult<Self> {
        let mut child = Command::new(env::current_exe()?)
            .envs(servers.variables())
            .env(ROLE, role)
            .env(MODE, config.mode.to_string())
            .env(SCHEMA, &config.postgres.schema)
            .env(TENANT, tenant)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let input = child.stdin.take().ok_or("no standard input")?;
        let output = BufReader::new(child.stdout.take().ok_or("no standard output")?).lines();
        Ok(Self { child, input, output })
    }

    pub(crate) fn line(&mut self) -> TestResult<String> {
        Ok(self.output.next().ok_or("the other process ended")??)
    }

    pub(crate) fn expect(&mut self, expected: &str) -> TestResult {
        let line = self.line()?;
        if line == expected {
            return Ok(());
        }
        Err(format!("the other process says {line:?}, not {expected:?}").into())
    }

    pub(crate) fn ask(&mut self, request: &str) -> TestResult {
        Ok(writeln!(self.input, "{request}")?)
    }

    /// Kills it; what it had said and nobody has read.
    pub(crate) fn kill(mut self) -> TestResult<Vec<String>> {
        self.child.kill()?;
        self.child.wait()?;
        Ok((&mut self.output).collect::<Result<_, _>>()?)
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

/// Does what the standard input says until it ends: `write WORD`, `find WORD`.
async fn partner(memory: Memory) -> TestResult {
    for line in std::io::stdin().lines() {
        let line = line?;
        match line.split_once(' ') {
            Some(("write", word)) => {
                memory.remember(format!("The jar with the {word} stands in the attic.")).await?;
                say("written")?;
            }
            Some(("find", word)) => {
                let found = memory.search(ReadRequest::new(word).with_min_relevance(0.0)).await?;
                let found = found.memories.iter().any(|item| item.text.contains(word));
                say(if found { "found" } else { "not found" })?;
            }
            _ => return Err(format!("what is {line:?}?").into()),
        }
    }
    memory.close().await?;
    Ok(())
}

/// Writes until it is killed, and says the id of each memory with its text when its write has returned.
async fn victim(memory: Memory) -> TestResult {
    let run = usize::try_from(std::process::id())? * WRITERS;
    let mut writers = Vec::new();
    for writer in 0..WRITERS {
        let memory = memory.clone();
        writers.push(tokio::spawn(async move {
            for number in 0_usize.. {
                let word = word("vost", (run + writer) * 100_000 + number);
                let text = format!("{} works at {} and likes {word} tea.", name(&word), name("bank"));
                let request = WriteRequest::new(text.as_str()).with_session(format!("run-{run}"));
                let id = memory.write(request).await?.memory_id.ok_or("the gate kept a text out")?;
                say(&format!("{id} {text}"))?;
            }
            TestResult::Ok(())
        }));
    }
    for writer in writers {
        writer.await??;
    }
    Ok(())
}
