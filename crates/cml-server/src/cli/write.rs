//! `cml write`.

use std::mem;

use chrono::{DateTime, Utc};
use clap::Args;
use cml::{
    Error, Memory, Result,
    memory::{MemoryType, Role},
    ops::{Extract, WriteRequest, WriteResponse},
};
use cml_core::wire::{MAX_BATCH, WriteResult};

use super::{
    exit::{self, Done, Failure},
    input::{self, Lines},
    output::Output,
    parse::{self, Metadata, names},
};

#[derive(Debug, Args)]
pub(crate) struct Write {
    /// The text; `-` or nothing reads standard input
    text: Option<String>,
    /// Reads many texts from standard input: one JSON object a line, such as {"content": "..."}
    #[arg(long, conflicts_with_all = ["text", "tags", "memory_type", "role", "speaker", "key", "timestamp", "expires", "metadata", "timezone", "raw", "turn_id", "idempotency_key"])]
    batch: bool,
    /// Tags to filter by, separated by commas
    #[arg(long, visible_alias = "tag", short = 't', value_delimiter = ',')]
    tags: Vec<String>,
    /// The kind of memory; detected when absent
    #[arg(long = "type", value_name = "TYPE", value_parser = names!(MemoryType))]
    memory_type: Option<MemoryType>,
    /// Who says it
    #[arg(long, value_parser = names!(Role))]
    role: Option<Role>,
    /// Name of who says it
    #[arg(long, value_name = "NAME")]
    speaker: Option<String>,
    /// Your own identity for the memory: a later write with it replaces the text
    #[arg(long)]
    key: Option<String>,
    /// When it was said; now when absent
    #[arg(long, value_name = "TIME", value_parser = parse::instant)]
    timestamp: Option<DateTime<Utc>>,
    /// From when it is no longer returned
    #[arg(long, value_name = "TIME", value_parser = parse::instant)]
    expires: Option<DateTime<Utc>>,
    /// Your own fields, a JSON object
    #[arg(long, value_name = "JSON", value_parser = parse::object)]
    metadata: Option<Metadata>,
    /// IANA zone in which dates in the text are meant
    #[arg(long, value_name = "ZONE")]
    timezone: Option<String>,
    /// Stores the text as it is: documents, source code
    #[arg(long)]
    raw: bool,
    /// Your own id of the turn: a repeat of it in the session returns the first answer
    #[arg(long, value_name = "ID")]
    turn_id: Option<String>,
    /// Makes a repeat of this very command return the first answer, for 24 hours
    #[arg(long, value_name = "KEY")]
    idempotency_key: Option<String>,
    /// Says why it was stored or skipped
    #[arg(long)]
    explain: bool,
}

impl Write {
    pub(crate) async fn run(self, memory: &Memory, output: &Output) -> Done {
        if self.batch {
            return Batch::new(memory, output, self.explain).run().await;
        }
        let answer = memory.write(self.request().await?).await?;
        output.answer(&answer, || match &answer.eval_reason {
            Some(reason) => format!("{answer}: {reason}"),
            None => answer.to_string(),
        })
    }

    async fn request(self) -> Result<WriteRequest> {
        let mut request = WriteRequest::new(input::text("content", self.text).await?);
        request.context_tags = self.tags;
        request.memory_type = self.memory_type;
        request.role = self.role;
        request.speaker = self.speaker;
        request.key = self.key;
        request.timestamp = self.timestamp;
        request.expires_at = self.expires;
        request.metadata = self.metadata.unwrap_or_default();
        request.user_timezone = self.timezone;
        request.extract = self.raw.then_some(Extract::Raw);
        request.turn_id = self.turn_id;
        request.idempotency_key = self.idempotency_key;
        request.eval_mode = self.explain;
        Ok(request)
    }
}

/// Many texts from standard input. A line that fails fails alone and is named; the command then ends
/// with the code of the first failure.
struct Batch<'a> {
    memory: &'a Memory,
    output: &'a Output,
    explain: bool,
    /// Requests with the numbers of their lines.
    waiting: Vec<(u64, WriteRequest)>,
    stored: u64,
    skipped: u64,
    failed: u64,
    code: Option<u8>,
}

impl<'a> Batch<'a> {
    fn new(memory: &'a Memory, output: &'a Output, explain: bool) -> Self {
        let waiting = Vec::new();
        Self { memory, output, explain, waiting, stored: 0, skipped: 0, failed: 0, code: None }
    }

    async fn run(mut self) -> Done {
        let bar = self.output.bar();
        let mut lines = Lines::new();
        while let Some((number, line)) = lines.next().await? {
            match self.request(line) {
                Ok(request) => self.waiting.push((number, request)),
                Err(error) => {
                    // Answers stay in the order of the lines.
                    self.send().await?;
                    self.tell(number, Err(error))?;
                }
            }
            if self.waiting.len() == MAX_BATCH {
                self.send().await?;
            }
            bar.set_position(self.stored + self.skipped + self.failed);
        }
        self.send().await?;
        bar.finish_and_clear();
        let Self { stored, skipped, failed, .. } = self;
        self.output.note(&format!("{stored} stored, {skipped} skipped, {failed} failed"));
        self.code.map_or(Ok(()), |code| Err(Failure::Code(code)))
    }

    fn request(&self, line: Vec<u8>) -> Result<WriteRequest> {
        let line = input::utf8("line", line)?;
        let mut request: WriteRequest = serde_json::from_str(&line)
            .map_err(|error| Error::invalid("line", format!("is no write request: {error}")))?;
        request.eval_mode |= self.explain;
        Ok(request)
    }

    async fn send(&mut self) -> Done {
        let (numbers, requests): (Vec<_>, Vec<_>) = mem::take(&mut self.waiting).into_iter().unzip();
        if requests.is_empty() {
            return Ok(());
        }
        let answers = self.memory.batch_write(requests).await?;
        numbers.into_iter().zip(answers).try_for_each(|(number, answer)| self.tell(number, answer))
    }

    fn tell(&mut self, number: u64, answer: Result<WriteResponse>) -> Done {
        match answer {
            Ok(answer) => {
                let count = if answer.memory_id.is_some() { &mut self.stored } else { &mut self.skipped };
                *count += 1;
                if self.output.is_json() { self.print(&WriteResult::Done(answer)) } else { Ok(()) }
            }
            Err(error) => {
                self.failed += 1;
                self.code.get_or_insert(exit::code_of(error.kind()));
                if self.output.is_json() {
                    return self.print(&WriteResult::Failed { error: exit::body(&error) });
                }
                self.output.complain(&format!("error: line {number}: {}", error.message()));
                Ok(())
            }
        }
    }

    fn print(&self, answer: &WriteResult) -> Done {
        match self.output.object(answer) {
            // The texts are to be stored even if nobody reads the answers any more.
            Err(Failure::ClosedPipe) => Ok(()),
            printed => printed,
        }
    }
}
