//! `cml forget`, `cml erase`.

use chrono::{DateTime, Utc};
use clap::{Args, ValueEnum};
use cml::{
    Error, Memory, MemoryId, Subject,
    memory::MetadataFilter,
    ops::{EraseResponse, ForgetAction, ForgetRequest},
};

use super::{
    exit::Done,
    output::Output,
    parse::{self, names},
};

#[derive(Debug, Args)]
pub(crate) struct Forget {
    /// These memories; unknown ids are skipped
    #[arg(value_parser = parse::id::<MemoryId>)]
    ids: Vec<MemoryId>,
    /// Strong matches of this query
    #[arg(long)]
    query: Option<String>,
    /// Said before this instant
    #[arg(long, value_name = "TIME", value_parser = parse::instant)]
    before: Option<DateTime<Utc>>,
    /// Condition on metadata, as JSON
    #[arg(long, value_name = "JSON", value_parser = parse::filter)]
    filter: Option<MetadataFilter>,
    /// What happens to them
    #[arg(long, default_value = "delete", value_parser = names!(ForgetAction))]
    action: ForgetAction,
    /// Lists them and changes nothing
    #[arg(long)]
    dry_run: bool,
    /// Deletes without asking
    #[arg(long, short)]
    yes: bool,
}

impl Forget {
    pub(crate) async fn run(self, memory: &Memory, output: &Output) -> Done {
        let mut request = ForgetRequest::ids(self.ids);
        request.query = self.query;
        request.before = self.before;
        request.filter = self.filter;
        request.action = self.action;
        request.dry_run = self.dry_run;
        request.validate()?;
        if self.action == ForgetAction::Delete && !self.dry_run {
            output.confirm(self.yes, "delete the selected memories for good?")?;
        }
        let answer = memory.forget(request).await?;
        output.answer(&answer, || {
            let matches = answer.matches.iter().map(|item| format!("\n{}  {}", item.id, item.text));
            format!("{}{}", answer.message, matches.collect::<String>())
        })
    }
}

/// Whose rows are erased.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Kind {
    /// Everything of the tenant.
    Tenant,
    /// One named part of it.
    Namespace,
    /// One data subject.
    User,
    /// Everything that one agent wrote.
    Agent,
    /// One conversation.
    Session,
}

#[derive(Debug, Args)]
pub(crate) struct Erase {
    /// What kind of subject it is
    #[arg(value_enum)]
    kind: Kind,
    /// Its id; a tenant is named with --tenant
    #[arg(required_if_eq_any = [("kind", "namespace"), ("kind", "user"), ("kind", "agent"), ("kind", "session")])]
    id: Option<String>,
    /// Erases without asking
    #[arg(long, short)]
    yes: bool,
}

impl Erase {
    pub(crate) async fn run(self, memory: &Memory, output: &Output) -> Done {
        if *memory.scope() != memory.scope().whole_tenant() {
            let error = Error::invalid("subject", "erase reaches the whole tenant");
            let suggestion =
                "leave out --namespace, --user, --agent and --session, and settings that mean the same";
            return Err(error.with_suggestion(suggestion).into());
        }
        let id = self.id.unwrap_or_default();
        let tenant = memory.scope().tenant();
        let subject = match self.kind {
            Kind::Tenant if id.is_empty() || id == tenant => Subject::Tenant,
            Kind::Tenant => {
                let error = Error::invalid("subject", format!("the tenant of this call is {tenant}"));
                return Err(error.with_suggestion("name the tenant to erase with --tenant").into());
            }
            Kind::Namespace => Subject::Namespace(id),
            Kind::User => Subject::User(id),
            Kind::Agent => Subject::Agent(id),
            Kind::Session => Subject::Session(id),
        };
        subject.validate()?;
        let (kind, id) = subject.parts();
        let name = if id.is_empty() { tenant } else { id };
        output.confirm(self.yes, &format!("erase every trace of the {kind} {name} in {tenant}?"))?;
        let answer = memory.erase(subject).await?;
        output.answer(&answer, || counts(&answer))
    }
}

/// What was removed, by table.
pub(crate) fn counts(answer: &EraseResponse) -> String {
    let rows = answer.counts.iter().filter(|(_, count)| **count > 0);
    let rows = rows.map(|(table, count)| format!("\n  {table:<16} {count}"));
    format!("{} memories erased{}", answer.affected_count, rows.collect::<String>())
}
