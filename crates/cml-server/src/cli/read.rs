//! `cml read`.

use chrono::{DateTime, Utc};
use clap::{Args, ValueEnum};
use cml::{
    Memory,
    memory::{MemoryType, MetadataFilter},
    ops::{ReadFormat, ReadRequest},
};

use super::{
    exit::Done,
    input,
    output::Output,
    parse::{self, names},
};

/// How the answer is laid out.
#[derive(Debug, Clone, Copy, ValueEnum)]
enum Layout {
    /// Grouped into constraints, facts, preferences and episodes.
    Packet,
    /// One flat list.
    List,
    /// The text for a prompt.
    #[value(alias = "llm_context")]
    LlmContext,
}

#[derive(Debug, Args)]
pub(crate) struct Read {
    /// What to recall, in words; `-` reads standard input, "" lists the newest
    query: Option<String>,
    /// Most items returned, 1 to 1000
    #[arg(long, short = 'n', value_name = "N", default_value_t = 10)]
    max_results: usize,
    /// Only these types, separated by commas
    #[arg(long, visible_alias = "type", value_name = "TYPE", value_delimiter = ',', value_parser = names!(MemoryType))]
    types: Vec<MemoryType>,
    /// Only memories with one of these tags, separated by commas
    #[arg(long, visible_alias = "tag", short = 't', value_delimiter = ',')]
    tags: Vec<String>,
    /// Said, or telling of something, at or after this instant
    #[arg(long, value_name = "TIME", value_parser = parse::instant)]
    since: Option<DateTime<Utc>>,
    /// Said, or telling of something, before this instant
    #[arg(long, value_name = "TIME", value_parser = parse::instant)]
    until: Option<DateTime<Utc>>,
    /// What held at this instant
    #[arg(long, value_name = "TIME", value_parser = parse::instant)]
    as_of: Option<DateTime<Utc>>,
    /// What "now" is for dates in the query
    #[arg(long, value_name = "TIME", value_parser = parse::instant)]
    reference_time: Option<DateTime<Utc>>,
    /// How the answer is laid out
    #[arg(long, short, value_enum, default_value = "packet")]
    format: Layout,
    /// Condition on metadata, as JSON
    #[arg(long, value_name = "JSON", value_parser = parse::filter)]
    filter: Option<MetadataFilter>,
    /// Least relevance of an item, 0 to 1; 0 for no floor
    #[arg(long, value_name = "SHARE")]
    min_relevance: Option<f64>,
    /// Token budget of the text for a prompt
    #[arg(long, value_name = "N")]
    max_tokens: Option<usize>,
    /// Only memories written by these agents, separated by commas
    #[arg(long, value_name = "ID", value_delimiter = ',')]
    agents: Vec<String>,
    /// Who asks, where several people speak
    #[arg(long, value_name = "NAME")]
    speaker: Option<String>,
    /// IANA zone in which dates in the query are meant
    #[arg(long, value_name = "ZONE")]
    timezone: Option<String>,
    /// Says why each item is there (in JSON)
    #[arg(long)]
    explain: bool,
}

impl Read {
    pub(crate) async fn run(self, memory: &Memory, output: &Output) -> Done {
        let layout = self.format;
        let answer = memory.read(self.request().await?).await?;
        for warning in &answer.warnings {
            output.note(&format!("warning: {warning}"));
        }
        output.answer(&answer, || match layout {
            Layout::LlmContext => answer.context(),
            Layout::Packet | Layout::List => answer.to_string(),
        })
    }

    async fn request(self) -> cml::Result<ReadRequest> {
        let mut request = ReadRequest::new(input::text("query", self.query).await?.trim_end());
        request.max_results = self.max_results;
        request.memory_types = self.types;
        request.context_filter = self.tags;
        request.since = self.since;
        request.until = self.until;
        request.as_of = self.as_of;
        request.reference_time = self.reference_time;
        request.format = match self.format {
            Layout::Packet => ReadFormat::Packet,
            Layout::List => ReadFormat::List,
            Layout::LlmContext => ReadFormat::LlmContext,
        };
        request.filter = self.filter;
        request.min_relevance = self.min_relevance;
        request.max_context_tokens = self.max_tokens;
        request.agents = self.agents;
        request.speaker = self.speaker;
        request.user_timezone = self.timezone;
        request.explain = self.explain;
        Ok(request)
    }
}
