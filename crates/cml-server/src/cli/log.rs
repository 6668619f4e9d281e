//! Logs of this process, on stderr.

use std::io;

use clap::ValueEnum;
use tracing_subscriber::{EnvFilter, filter::LevelFilter};

use super::args::{Command, Global};

/// How log lines look.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum LogFormat {
    /// One line of text each.
    Text,
    /// One JSON object each.
    Json,
}

/// Starts to log: what `RUST_LOG` says, else warnings, and more with each `-v`; a server logs requests.
pub(crate) fn start(global: &Global, command: &Command) {
    let (base, format) = match command {
        Command::Serve(serve) => (1, serve.log_format),
        _ => (0, LogFormat::Text),
    };
    let level = match base + usize::from(global.verbose) {
        _ if global.quiet => LevelFilter::ERROR,
        0 => LevelFilter::WARN,
        1 => LevelFilter::INFO,
        2 => LevelFilter::DEBUG,
        _ => LevelFilter::TRACE,
    };
    let filter = EnvFilter::builder().with_default_directive(level.into()).from_env_lossy();
    let log = tracing_subscriber::fmt().with_env_filter(filter).with_writer(io::stderr);
    match format {
        LogFormat::Text => log.with_ansi(io::IsTerminal::is_terminal(&io::stderr())).init(),
        LogFormat::Json => log.json().init(),
    }
}
