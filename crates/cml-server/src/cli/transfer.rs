//! `cml export`, `import`, `migrate`.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use clap::Args;
use cml::{
    Config, Error, Memory, Result,
    config::{Mode, SecretString},
    ops::{ExportOptions, ImportReport},
    transfer::{self, ExportReport, Lines},
};
use indicatif::ProgressBar;
use serde_json::json;

use super::{
    args::Secret,
    exit::{Done, Failure},
    output::Output,
    setup::Setup,
};

#[derive(Debug, Args)]
pub(crate) struct Export {
    /// The file, compressed if it ends in .zst; `-` writes standard output
    path: PathBuf,
    /// Leaves vectors out; they are made again on import
    #[arg(long)]
    no_vectors: bool,
    /// Writes the JSON list that the original system exports
    #[arg(long)]
    original: bool,
}

impl Export {
    pub(crate) async fn run(self, memory: &Memory, output: &Output) -> Done {
        let options = options(self.no_vectors || self.original);
        let bar = output.bar();
        let lines = watched(memory.export(options).await?, &bar);
        let to_stdout = self.path == Path::new("-");
        let written = match (to_stdout, self.original) {
            (true, true) => transfer::write_original(tokio::io::stdout(), lines).await,
            (true, false) => transfer::write(tokio::io::stdout(), lines).await,
            (false, true) => transfer::save_original(&self.path, lines).await,
            (false, false) => transfer::save(&self.path, lines).await,
        };
        bar.finish_and_clear();
        let failed = if to_stdout { Failure::of_output } else { Failure::Error };
        let report = written.map_err(failed)?;
        if to_stdout {
            output.note(&exported(&report));
            return Ok(());
        }
        let ExportReport { exported: counts, losses, .. } = &report;
        output.answer(&json!({ "exported": counts, "losses": losses }), || exported(&report))
    }
}

#[derive(Debug, Args)]
pub(crate) struct Import {
    /// The file, decompressed if it ends in .zst; `-` reads standard input
    path: PathBuf,
}

impl Import {
    pub(crate) async fn run(self, memory: &Memory, output: &Output) -> Done {
        let lines = if self.path == Path::new("-") {
            transfer::read(tokio::io::stdin()).await?
        } else {
            transfer::open(&self.path).await?
        };
        let bar = output.bar();
        let done = memory.import(watched(lines, &bar)).await;
        bar.finish_and_clear();
        let report = done?;
        output.answer(&report, || imported(&report))
    }
}

#[derive(Debug, Args)]
pub(crate) struct Migrate {
    /// Where memories are now: the address of a server, or a database file
    #[arg(long, value_name = "URL|PATH")]
    from: String,
    /// Where they go: the address of a server, or a database file
    #[arg(long, value_name = "URL|PATH")]
    to: String,
    /// Key of the server they come from
    #[arg(long, value_name = "KEY")]
    from_key: Option<Secret>,
    /// Key of the server they go to
    #[arg(long, value_name = "KEY")]
    to_key: Option<Secret>,
    /// Tenant they belong to; --tenant when absent
    #[arg(long, value_name = "ID")]
    from_tenant: Option<String>,
    /// Tenant they will belong to; --tenant when absent
    #[arg(long, value_name = "ID")]
    to_tenant: Option<String>,
    /// Leaves vectors out; they are made again
    #[arg(long)]
    no_vectors: bool,
}

impl Migrate {
    pub(crate) async fn run(self, setup: &Setup, output: &Output) -> Done {
        if is_file(&self.from) && !Path::new(&self.from).exists() {
            return Err(Error::invalid("from", "there is no such database file").into());
        }
        let from = side(&setup.config, &self.from, self.from_key, self.from_tenant).await?;
        let to = side(&setup.config, &self.to, self.to_key, self.to_tenant).await?;
        let bar = output.bar();
        let done = copy(&from, &to, options(self.no_vectors), &bar).await;
        bar.finish_and_clear();
        let closed = (from.close().await, to.close().await);
        let report = done?;
        closed.0?;
        closed.1?;
        output.answer(&report, || imported(&report))
    }
}

async fn copy(from: &Memory, to: &Memory, options: ExportOptions, bar: &ProgressBar) -> Result<ImportReport> {
    to.import(watched(from.export(options).await?, bar)).await
}

fn options(no_vectors: bool) -> ExportOptions {
    if no_vectors { transfer::without_vectors() } else { ExportOptions::default() }
}

fn is_file(place: &str) -> bool {
    !place.starts_with("http://") && !place.starts_with("https://")
}

/// The memory at `place`, otherwise as `config` says.
async fn side(config: &Config, place: &str, key: Option<Secret>, tenant: Option<String>) -> Result<Memory> {
    let mut config = config.clone();
    if is_file(place) {
        config.mode = Mode::Lite;
        config.db_path = Some(PathBuf::from(place));
    } else {
        config.mode = Mode::Http;
        config.http.base_url = place.trim_end_matches('/').to_owned();
    }
    if let Some(key) = key {
        config.http.api_key = Some(SecretString::new(key.0));
        config.http.admin_api_key = None;
    }
    if let Some(tenant) = tenant {
        config.tenant = tenant;
    }
    Memory::connect(&config).await
}

/// The same lines, shown on `bar`.
fn watched(lines: Lines, bar: &ProgressBar) -> Lines {
    let bar = bar.clone();
    transfer::watch(lines, move |step| {
        if let Some(total) = step.total {
            bar.set_length(total);
        }
        bar.set_position(step.lines);
        bar.set_message(step.kind);
    })
}

fn exported(report: &ExportReport) -> String {
    format!("exported: {}{}", list(&report.exported), losses(&report.losses))
}

fn imported(report: &ImportReport) -> String {
    let known = report.skipped.values().any(|count| *count > 0);
    let skipped = if known { format!("\nthere already: {}", list(&report.skipped)) } else { String::new() };
    format!("imported: {}{skipped}{}", list(&report.imported), losses(&report.losses))
}

fn list(counts: &BTreeMap<String, u64>) -> String {
    let counts: Vec<_> = counts.iter().map(|(kind, count)| format!("{count} {kind}")).collect();
    if counts.is_empty() { "nothing".to_owned() } else { counts.join(", ") }
}

fn losses(losses: &[String]) -> String {
    losses.iter().map(|loss| format!("\nlost: {loss}")).collect()
}
