//! `cml facts`.

use chrono::{DateTime, Utc};
use clap::Subcommand;
use cml::{
    FactId, Memory,
    memory::{Fact, FactCategory},
    ops::ListFacts,
};

use super::{
    exit::Done,
    output::Output,
    parse::{self, names},
};

#[derive(Debug, Subcommand)]
pub(crate) enum Facts {
    /// Facts and constraints, newest validity first
    List {
        /// Only this category
        #[arg(long, value_parser = names!(FactCategory))]
        category: Option<FactCategory>,
        /// Only about this subject: user, user/sister, a name
        #[arg(long)]
        subject: Option<String>,
        /// Only this slot
        #[arg(long)]
        slot: Option<String>,
        /// Superseded and retracted facts as well
        #[arg(long)]
        all: bool,
        /// What held at this instant
        #[arg(long, value_name = "TIME", value_parser = parse::instant)]
        as_of: Option<DateTime<Utc>>,
        /// Most facts returned, 1 to 1000
        #[arg(long, short = 'n', value_name = "N", default_value_t = 100)]
        limit: usize,
        /// Facts to pass over
        #[arg(long, value_name = "N", default_value_t = 0)]
        offset: usize,
    },
    /// One fact
    Get {
        /// The fact
        #[arg(value_parser = parse::id::<FactId>)]
        id: FactId,
    },
    /// Withdraws a fact: it holds no longer, and stays readable by time
    Retract {
        /// The fact
        #[arg(value_parser = parse::id::<FactId>)]
        id: FactId,
    },
}

impl Facts {
    pub(crate) async fn run(self, memory: &Memory, output: &Output) -> Done {
        match self {
            Self::List { category, subject, slot, all, as_of, limit, offset } => {
                let mut request = ListFacts::new();
                request.category = category;
                request.subject = subject;
                request.slot = slot;
                request.current_only = !all;
                request.as_of = as_of;
                request.limit = limit;
                request.offset = offset;
                let facts = memory.list_facts(request).await?;
                output.answer(&facts, || facts.items.iter().map(row).collect::<Vec<_>>().join("\n"))
            }
            Self::Get { id } => {
                let fact = memory.fact(id).await?;
                output.answer(&fact, || row(&fact))
            }
            Self::Retract { id } => {
                let fact = memory.retract_fact(id).await?;
                output.answer(&fact, || row(&fact))
            }
        }
    }
}

/// One line: id, key, value, since when, until when, status unless current.
fn row(fact: &Fact) -> String {
    let until = fact.valid_to.map(|until| format!(" until {}", until.date_naive()));
    let status = match fact.status {
        cml::memory::FactStatus::Current => String::new(),
        status => format!(" ({status})"),
    };
    format!(
        "{}  {} = {}  since {}{}{status}",
        fact.id,
        fact.key(),
        fact.value,
        fact.valid_from.date_naive(),
        until.unwrap_or_default()
    )
}
