//! `cml get`, `cml list`, `cml update`.

use std::fmt::Write as _;

use chrono::{DateTime, Utc};
use clap::Args;
use cml::{
    Memory, MemoryId,
    memory::{MemoryDetail, MemoryStatus, MemoryType, MetadataFilter},
    ops::{At, Feedback, GetRequest, ListOrder, ListRequest, OrderBy, UpdateRequest},
};
use futures_util::TryStreamExt as _;
use serde_json::Value;

use super::{
    exit::Done,
    output::Output,
    parse::{self, Metadata, names},
};

#[derive(Debug, Args)]
pub(crate) struct Get {
    /// The memory
    #[arg(value_parser = parse::id::<MemoryId>)]
    id: MemoryId,
    /// As of this version, from 1
    #[arg(long, value_name = "N", conflicts_with = "at")]
    at_version: Option<u64>,
    /// As it was stored at this instant
    #[arg(long, value_name = "TIME", value_parser = parse::instant)]
    at: Option<DateTime<Utc>>,
    /// Adds its former states
    #[arg(long)]
    versions: bool,
    /// Adds the facts it is evidence of
    #[arg(long)]
    facts: bool,
}

impl Get {
    pub(crate) async fn run(self, memory: &Memory, output: &Output) -> Done {
        let at = match (self.at_version, self.at) {
            (Some(version), _) => At::Version(version),
            (None, Some(instant)) => At::Time(instant),
            (None, None) => At::Latest,
        };
        let request =
            GetRequest::new(self.id).with_at(at).with_versions(self.versions).with_facts(self.facts);
        let detail = memory.get(request).await?;
        output.answer(&detail, || sheet(&detail))
    }
}

/// Every field of a record that says something, one a line, under its JSON name.
fn sheet(detail: &MemoryDetail) -> String {
    let mut sheet = format!("{}\n", detail.record.text);
    let Ok(Value::Object(fields)) = serde_json::to_value(&detail.record) else { return sheet };
    // Writing into a string cannot fail.
    for (name, value) in fields.iter().filter(|(name, value)| *name != "text" && says_something(value)) {
        let value = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        let _written = write!(sheet, "\n{name:<18} {value}");
    }
    for version in &detail.versions {
        let (number, until) = (version.record.version, version.recorded_at.to_rfc3339());
        let _written = write!(sheet, "\nversion {number} until {until}: {}", version.record.text);
    }
    for fact in &detail.facts {
        let _written = write!(sheet, "\nfact {} = {} ({})", fact.key(), fact.value, fact.id);
    }
    sheet
}

fn says_something(value: &Value) -> bool {
    match value {
        Value::Null => false,
        Value::String(text) => !text.is_empty(),
        Value::Array(items) => !items.is_empty(),
        Value::Object(fields) => !fields.is_empty(),
        _ => true,
    }
}

#[derive(Debug, Args)]
pub(crate) struct List {
    /// Only these types, separated by commas
    #[arg(long, visible_alias = "type", value_name = "TYPE", value_delimiter = ',', value_parser = names!(MemoryType))]
    types: Vec<MemoryType>,
    /// Only these statuses, separated by commas
    #[arg(long, value_delimiter = ',', value_parser = names!(MemoryStatus))]
    status: Vec<MemoryStatus>,
    /// Only memories with one of these tags, separated by commas
    #[arg(long, visible_alias = "tag", short = 't', value_delimiter = ',')]
    tags: Vec<String>,
    /// Said, or telling of something, at or after this instant
    #[arg(long, value_name = "TIME", value_parser = parse::instant)]
    since: Option<DateTime<Utc>>,
    /// Said, or telling of something, before this instant
    #[arg(long, value_name = "TIME", value_parser = parse::instant)]
    until: Option<DateTime<Utc>>,
    /// Condition on metadata, as JSON
    #[arg(long, value_name = "JSON", value_parser = parse::filter)]
    filter: Option<MetadataFilter>,
    /// Only texts that hold this, letter case ignored
    #[arg(long, value_name = "TEXT")]
    search: Option<String>,
    /// Only memories written by these agents, separated by commas
    #[arg(long, value_name = "ID", value_delimiter = ',')]
    agents: Vec<String>,
    /// The column that orders it
    #[arg(long, default_value = "written_at", value_parser = names!(OrderBy))]
    order_by: OrderBy,
    /// The direction
    #[arg(long, default_value = "desc", value_parser = names!(ListOrder))]
    order: ListOrder,
    /// Most items of the page, 1 to 1000
    #[arg(long, short = 'n', value_name = "N", default_value_t = 100)]
    limit: usize,
    /// Where the former page ended
    #[arg(long)]
    cursor: Option<String>,
    /// Every page; with --json one record a line
    #[arg(long, conflicts_with = "cursor")]
    all: bool,
}

impl List {
    pub(crate) async fn run(self, memory: &Memory, output: &Output) -> Done {
        if self.all {
            let mut records = memory.iter_memories(self.request());
            while let Some(record) = records.try_next().await? {
                output.answer(&record, || parse::row(&record))?;
            }
            return Ok(());
        }
        let page = memory.list(self.request()).await?;
        if let Some(cursor) = &page.next_cursor {
            output.note(&format!("more with --all, or --cursor {cursor}"));
        }
        output.answer(&page, || page.items.iter().map(parse::row).collect::<Vec<_>>().join("\n"))
    }

    fn request(self) -> ListRequest {
        let mut request = ListRequest::new();
        request.memory_types = self.types;
        request.statuses = self.status;
        request.context_filter = self.tags;
        request.since = self.since;
        request.until = self.until;
        request.filter = self.filter;
        request.search = self.search;
        request.agents = self.agents;
        request.order_by = self.order_by;
        request.order = self.order;
        request.limit = self.limit;
        request.cursor = self.cursor;
        request
    }
}

#[derive(Debug, Args)]
pub(crate) struct Update {
    /// The memory
    #[arg(value_parser = parse::id::<MemoryId>)]
    id: MemoryId,
    /// The new text
    #[arg(long)]
    text: Option<String>,
    /// How sure it is, 0 to 1
    #[arg(long, value_name = "SHARE")]
    confidence: Option<f64>,
    /// How much it matters, 0 to 1
    #[arg(long, value_name = "SHARE")]
    importance: Option<f64>,
    /// Fields to merge, a JSON object; a null deletes its key
    #[arg(long, value_name = "JSON", value_parser = parse::object)]
    metadata: Option<Metadata>,
    /// What you say of it
    #[arg(long, value_parser = names!(Feedback))]
    feedback: Option<Feedback>,
    /// The new tags, separated by commas
    #[arg(long, visible_alias = "tag", short = 't', value_delimiter = ',')]
    tags: Option<Vec<String>>,
    /// The new type
    #[arg(long = "type", value_name = "TYPE", value_parser = names!(MemoryType))]
    memory_type: Option<MemoryType>,
    /// From when the statement holds
    #[arg(long, value_name = "TIME", value_parser = parse::instant)]
    valid_from: Option<DateTime<Utc>>,
    /// Until when the statement held
    #[arg(long, value_name = "TIME", value_parser = parse::instant)]
    valid_to: Option<DateTime<Utc>>,
    /// Fails unless the memory has this version
    #[arg(long, value_name = "N")]
    expected_version: Option<u64>,
}

impl Update {
    pub(crate) async fn run(self, memory: &Memory, output: &Output) -> Done {
        let mut request = UpdateRequest::new(self.id);
        request.text = self.text;
        request.confidence = self.confidence;
        request.importance = self.importance;
        request.metadata = self.metadata;
        request.feedback = self.feedback;
        request.context_tags = self.tags;
        request.memory_type = self.memory_type;
        request.valid_from = self.valid_from;
        request.valid_to = self.valid_to;
        request.expected_version = self.expected_version;
        let answer = memory.update(request).await?;
        output.answer(&answer, || format!("{} (version {})", answer.message, answer.version))
    }
}
