//! `cml hash-key`, `cml completions`.

use clap::{Args, Command};
use clap_complete::Shell;
use cml::Error;
use cml_server::Keys;
use serde_json::json;

use super::{
    args::{Global, Secret},
    exit::Done,
    input,
    output::Output,
    setup,
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
    /// Prints the table that the keys file needs for the key, whose tenant is the configured one.
    pub(crate) async fn run(self, global: &Global, output: &Output) -> Done {
        let key = input::text("key", self.key.map(|key| key.0)).await?;
        let key = key.trim();
        if key.is_empty() {
            return Err(Error::invalid("key", "must not be empty").into());
        }
        let tenant = setup::sources(global)?.config()?.tenant;
        let (hash, admin) = (Keys::hash(key), self.admin);
        let object = json!({ "hash": hash, "tenant": tenant, "admin": admin });
        output.answer(&object, || table(key, &tenant, admin))
    }
}

/// The table of a keys file for this key.
pub(crate) fn table(key: &str, tenant: &str, admin: bool) -> String {
    // Without control characters a JSON string is a TOML string.
    let (hash, tenant) = (json!(Keys::hash(key)), json!(tenant));
    format!("[[keys]]\nhash = {hash}\ntenant = {tenant}\nadmin = {admin}")
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
