//! `cml export`, `import`, `migrate`.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use clap::Args;
use cml::{
    Error, Memory, Result,
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
    /// Key of the server they come from; needed where both are servers [env: CML_FROM_KEY]
    #[arg(long, value_name = "KEY")]
    from_key: Option<Secret>,
    /// Key of the server they go to; needed where both are servers [env: CML_TO_KEY]
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
        let (from_file, to_file) = (is_file("from", &self.from)?, is_file("to", &self.to)?);
        if from_file && !Path::new(&self.from).exists() {
            return Err(Error::invalid("from", "there is no such database file").into());
        }
        let from_key = self.from_key.or_else(|| variable("CML_FROM_KEY"));
        let to_key = self.to_key.or_else(|| variable("CML_TO_KEY"));
        if !from_file && !to_file {
            // A configured key belongs to one of the two, and nobody knows which.
            needed("from_key", from_key.as_ref(), "give it with --from-key or CML_FROM_KEY")?;
            needed("to_key", to_key.as_ref(), "give it with --to-key or CML_TO_KEY")?;
        }
        let from = side(setup, &self.from, from_file, from_key, self.from_tenant).await?;
        let to = side(setup, &self.to, to_file, to_key, self.to_tenant).await?;
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

/// Whether `place` is a file, and not the address of a server.
fn is_file(field: &'static str, place: &str) -> Result<bool> {
    if place.starts_with("http://") || place.starts_with("https://") {
        return Ok(false);
    }
    let begin = place.split('/').next().unwrap_or_default();
    let host_and_port =
        begin.rsplit_once(':').is_some_and(|(host, port)| !host.is_empty() && port.parse::<u16>().is_ok());
    if host_and_port || place.contains("://") {
        return Err(Error::invalid(field, "looks like an address, not like a database file")
            .with_suggestion("begin the address of a server with http:// or https://, a file's with ./"));
    }
    Ok(true)
}

/// A key from the environment; an empty one is none.
fn variable(name: &str) -> Option<Secret> {
    std::env::var(name).ok().filter(|key| !key.is_empty()).map(Secret)
}

fn needed(field: &'static str, key: Option<&Secret>, suggestion: &str) -> Result<()> {
    match key {
        Some(_) => Ok(()),
        None => {
            Err(Error::invalid(field, "is needed where both sides are servers").with_suggestion(suggestion))
        }
    }
}

/// The memory at `place`, otherwise as `setup` says.
async fn side(
    setup: &Setup,
    place: &str,
    is_file: bool,
    key: Option<Secret>,
    tenant: Option<String>,
) -> Result<Memory> {
    let mut config = setup.config.clone();
    if is_file {
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
    setup.connect(&config).await
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_told_from_an_address() {
        let told = |place| is_file("to", place).ok();
        for place in ["memory.db", "./notes:1", "/data/a:1", ":memory:", "C:\\memory.db"] {
            assert_eq!(told(place), Some(true), "{place}");
        }
        for place in ["http://localhost:8000", "https://memory.example"] {
            assert_eq!(told(place), Some(false), "{place}");
        }
        for place in ["localhost:8000", "127.0.0.1:8000/api", "[::1]:8000", "HTTP://localhost"] {
            assert_eq!(told(place), None, "{place}");
        }
    }
}
