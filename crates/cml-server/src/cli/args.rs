//! What can be said on the command line.

use clap::{Args, Parser, Subcommand};
use cml::config::Mode;

use super::{
    doctor::Doctor,
    facts::Facts,
    forget::{Erase, Forget},
    graph::Graph,
    keys::{Completions, HashKey},
    maintenance::{Events, Jobs},
    parse::names,
    read::Read,
    records::{Get, List, Update},
    serve::Serve,
    sessions::Sessions,
    transfer::{Export, Import, Migrate},
    turn::Turn,
    write::Write,
};

const EXIT_CODES: &str = "\
Exit codes:
  0  done
  1  failed; or not well (health, doctor), or an answer of no
  2  wrong usage, input or configuration
  3  not found
  4  conflict with what is stored
  5  the key is missing, wrong, or may not do this
  6  away: the server or database cannot be reached, is too slow or asks to wait
  7  not supported by this backend

Settings come from flags, then CML_* variables, then .env, then cml.toml, then defaults.
Without any of them memories are kept in a file in the user's data directory.";

/// Memory for AI agents: store, recall, revise and forget, in a local file or on a server.
#[derive(Debug, Parser)]
#[command(name = "cml", version, after_help = EXIT_CODES, arg_required_else_help = true)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) global: Global,
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// Options of every verb.
#[derive(Debug, Args)]
#[command(next_help_heading = "Global options")]
pub(crate) struct Global {
    /// Configuration file, instead of cml.toml in the working directory [env: CML_CONFIG]
    #[arg(long, global = true, value_name = "FILE")]
    pub(crate) config: Option<std::path::PathBuf>,
    /// Server to use, such as http://localhost:8000 (mode http) [env: CML_BASE_URL]
    #[arg(long, global = true, value_name = "URL", conflicts_with = "db")]
    pub(crate) url: Option<String>,
    /// Database file to use (mode lite); `:memory:` keeps nothing [env: CML_DB_PATH]
    #[arg(long, global = true, value_name = "PATH")]
    pub(crate) db: Option<String>,
    /// Where memories are kept [env: CML_MODE]
    #[arg(long, global = true, value_parser = names!(Mode))]
    pub(crate) mode: Option<Mode>,
    /// Tenant, the boundary between customers [env: CML_TENANT_ID]
    #[arg(long, global = true, value_name = "ID")]
    pub(crate) tenant: Option<String>,
    /// Only this part of the tenant [env: CML_NAMESPACE]
    #[arg(long, global = true, value_name = "NAME")]
    pub(crate) namespace: Option<String>,
    /// Only this data subject [env: CML_USER_ID]
    #[arg(long, global = true, value_name = "ID")]
    pub(crate) user: Option<String>,
    /// Author of what is written [env: CML_AGENT_ID]
    #[arg(long, global = true, value_name = "ID")]
    pub(crate) agent: Option<String>,
    /// Only this conversation
    #[arg(long, global = true, value_name = "ID")]
    pub(crate) session: Option<String>,
    /// Key of the server, for administrative calls as well; a variable keeps it out of the list of
    /// processes [env: CML_API_KEY, CML_ADMIN_API_KEY]
    #[arg(long, global = true, value_name = "KEY")]
    pub(crate) api_key: Option<Secret>,
    /// Prints JSON: the answer on stdout, {"error": ...} on stderr
    #[arg(long, global = true)]
    pub(crate) json: bool,
    /// Prints no notes and no progress
    #[arg(long, short, global = true, conflicts_with = "verbose")]
    pub(crate) quiet: bool,
    /// Logs more on stderr: -v info, -vv debug, -vvv trace [env: RUST_LOG]
    #[arg(long, short, global = true, action = clap::ArgAction::Count)]
    pub(crate) verbose: u8,
}

/// A key given as an argument; `Debug` hides it.
#[derive(Clone)]
pub(crate) struct Secret(pub(crate) String);

impl From<String> for Secret {
    fn from(secret: String) -> Self {
        Self(secret)
    }
}

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("***")
    }
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Serves memories over REST until it is interrupted
    Serve(Serve),
    /// Stores a text, or many from standard input
    #[command(visible_alias = "remember")]
    Write(Box<Write>),
    /// Recalls what answers a query
    #[command(visible_alias = "search")]
    Read(Box<Read>),
    /// Recalls for a user's message; stores the exchange if there is an answer
    Turn(Turn),
    /// Shows one memory in full
    Get(Get),
    /// Lists memories of any status
    List(Box<List>),
    /// Archives, silences or deletes selected memories
    Forget(Forget),
    /// Removes every trace of a tenant, namespace, user, agent or session
    Erase(Erase),
    /// Changes a memory
    Update(Box<Update>),
    /// Counts memories
    Stats,
    /// Writes everything into a file that any backend can import
    Export(Export),
    /// Reads what `export` wrote, or the original system's JSON export
    Import(Import),
    /// Copies everything from one backend to another
    Migrate(Migrate),
    /// Conversations
    #[command(subcommand)]
    Sessions(Sessions),
    /// Facts and constraints
    #[command(subcommand)]
    Facts(Facts),
    /// The knowledge graph: entities and what relates them
    #[command(subcommand)]
    Graph(Graph),
    /// Background work
    #[command(subcommand)]
    Jobs(Jobs),
    /// What happened, newest first
    Events(Events),
    /// Every tenant with its counts (admin)
    Tenants,
    /// Whether the backend and its components work
    Health,
    /// Explains a set-up that does not work, step by step, and what to do
    Doctor(Doctor),
    /// Prints completions for a shell
    Completions(Completions),
    /// Prints the hash of a key as the server's keys file holds it
    HashKey(HashKey),
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn the_arguments_do_not_contradict_each_other() {
        Cli::command().debug_assert();
    }

    #[test]
    fn the_graph_has_its_verbs() {
        for verb in [
            &["stats"][..],
            &["overview", "-n", "5"],
            &["explore", "Ana", "--depth", "3"],
            &["search", "an", "--limit", "5"],
            &["sync"],
            &["replay"],
            &["rebuild"],
            &["repair"],
        ] {
            let cli = Cli::try_parse_from([&["cml", "graph"], verb].concat());
            assert!(matches!(cli, Ok(Cli { command: Command::Graph(_), .. })), "{verb:?}");
        }
        assert!(Cli::try_parse_from(["cml", "graph", "explore"]).is_err());
    }

    #[test]
    fn a_key_is_not_shown() -> Result<(), clap::Error> {
        let cli = Cli::try_parse_from(["cml", "--api-key", "sk-secret", "stats"])?;
        assert!(!format!("{cli:?}").contains("sk-secret"));
        Ok(())
    }
}
