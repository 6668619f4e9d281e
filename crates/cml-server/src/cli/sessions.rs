//! `cml sessions`.

use clap::Subcommand;
use cml::{
    Memory,
    memory::Session,
    ops::{CreateSession, SessionContext},
};
use cml_core::wire::SessionList;

use super::{
    exit::Done,
    forget,
    output::Output,
    parse::{self, Metadata},
};

#[derive(Debug, Subcommand)]
pub(crate) enum Sessions {
    /// Conversations, newest first
    List,
    /// Opens a conversation with a fresh id
    Create {
        /// A name for people
        #[arg(long)]
        name: Option<String>,
        /// What it is for, such as chat or task
        #[arg(long)]
        kind: Option<String>,
        /// Names of those who speak in it, separated by commas
        #[arg(long, value_name = "NAME", value_delimiter = ',')]
        participants: Vec<String>,
        /// Hours until its working context ends, 1 to 87600
        #[arg(long, value_name = "N")]
        ttl_hours: Option<u32>,
        /// Your own fields, a JSON object
        #[arg(long, value_name = "JSON", value_parser = parse::object)]
        metadata: Option<Metadata>,
    },
    /// The log of a conversation, in order
    Messages {
        /// The conversation
        id: String,
        /// Number of the message after which the page begins
        #[arg(long, value_name = "N", default_value_t = 0)]
        after: u64,
        /// Most messages, 1 to 1000
        #[arg(long, short = 'n', value_name = "N", default_value_t = 100)]
        limit: usize,
    },
    /// The working context of a conversation
    Context {
        /// The conversation
        id: String,
        /// Token budget of the text
        #[arg(long, value_name = "N", default_value_t = 2000)]
        max_tokens: usize,
    },
    /// Removes a conversation with everything said in it
    Clear {
        /// The conversation
        id: String,
        /// Removes without asking
        #[arg(long, short)]
        yes: bool,
    },
}

impl Sessions {
    pub(crate) async fn run(self, memory: &Memory, output: &Output) -> Done {
        match self {
            Self::List => {
                let list = SessionList { sessions: memory.sessions().await? };
                output.answer(&list, || list.sessions.iter().map(row).collect::<Vec<_>>().join("\n"))
            }
            Self::Create { name, kind, participants, ttl_hours, metadata } => {
                let mut request = CreateSession::new();
                request.name = name;
                request.kind = kind;
                request.participants = participants;
                request.ttl_hours = ttl_hours;
                request.metadata = metadata.unwrap_or_default();
                let session = memory.create_session(request).await?;
                output.answer(&session, || session.session_id.clone())
            }
            Self::Messages { id, after, limit } => messages(memory, output, &id, after, limit).await,
            Self::Context { id, max_tokens } => context(memory, output, &id, max_tokens).await,
            Self::Clear { id, yes } => {
                output.confirm(yes, &format!("remove everything said in the session {id}?"))?;
                let answer = memory.clear_session(&id).await?;
                output.answer(&answer, || forget::counts(&answer))
            }
        }
    }
}

fn row(session: &Session) -> String {
    let line = format!("{}  {}  {}", session.session_id, session.created_at.to_rfc3339(), session.name);
    line.trim_end().to_owned()
}

async fn messages(memory: &Memory, output: &Output, id: &str, after: u64, limit: usize) -> Done {
    let page = memory.messages(id, after, limit).await?;
    if let Some(next) = page.next_after {
        output.note(&format!("more with --after {next}"));
    }
    output.answer(&page, || {
        let line = |message: &cml::memory::Message| {
            let speaker = match message.speaker.as_str() {
                "" => message.role.to_string(),
                name => name.to_owned(),
            };
            format!("{} {} {speaker}: {}", message.seq, message.said_at.to_rfc3339(), message.text)
        };
        page.messages.iter().map(line).collect::<Vec<_>>().join("\n")
    })
}

async fn context(memory: &Memory, output: &Output, id: &str, max_tokens: usize) -> Done {
    let sessions = memory.backend().sessions()?;
    let context: SessionContext = sessions.context(memory.scope(), id, max_tokens).await?;
    output.answer(&context, || context.context_string.clone())
}
