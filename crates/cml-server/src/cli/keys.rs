//! `cml hash-key`, `cml completions`.

use clap::{Args, Command};
use clap_complete::Shell;
use cml::{
    Error,
    scope::{DEFAULT_TENANT, MAX_ID_CHARS, check_id},
};
use cml_server::Keys;
use serde_json::json;

use super::{
    args::{Global, Secret},
    exit::Done,
    input,
    output::Output,
};

#[derive(Debug, Args)]
pub(crate) struct HashKey {
    /// The key; `-` or nothing reads it from standard input, which keeps it out of the list of processes
    key: Option<Secret>,
    /// The key may choose a tenant and use administrative verbs
    #[arg(long)]
    admin: bool,
}

impl HashKey {
    /// Prints the table that the keys file needs for the key, whose tenant is --tenant.
    pub(crate) async fn run(self, global: &Global, output: &Output) -> Done {
        let key = input::text("key", self.key.map(|key| key.0)).await?;
        let key = key.trim();
        if key.is_empty() {
            return Err(Error::invalid("key", "must not be empty").into());
        }
        let tenant = global.tenant.as_deref().unwrap_or(DEFAULT_TENANT);
        check_id("tenant", tenant, MAX_ID_CHARS)?;
        let (hash, admin) = (Keys::hash(key), self.admin);
        let table = json!({ "hash": hash, "tenant": tenant, "admin": admin });
        // Without control characters a JSON string is a TOML string.
        output.answer(&table, || {
            format!("[[keys]]\nhash = {}\ntenant = {}\nadmin = {admin}", table["hash"], table["tenant"])
        })
    }
}

#[derive(Debug, Args)]
pub(crate) struct Completions {
    /// The shell
    #[arg(value_enum)]
    shell: Shell,
}

impl Completions {
    pub(crate) fn run(&self, command: &mut Command, output: &Output) -> Done {
        let mut script = Vec::new();
        clap_complete::generate(self.shell, command, "cml", &mut script);
        output.text(&String::from_utf8_lossy(&script))
    }
}
