//! A `cml serve` of the program's own, on a free port and with a file in a temporary folder.

use std::{
    error::Error,
    ffi::OsStr,
    io::{BufRead as _, BufReader},
    process::{Child, ChildStdout, Command, Stdio},
};

use tempfile::TempDir;

type ServeResult<T = ()> = Result<T, Box<dyn Error + Send + Sync>>;

/// The administrative key that the server accepts.
pub(crate) const KEY: &str = "key-of-this-program";

/// A running server; it is ended at the latest when it is dropped.
pub(crate) struct Server {
    /// Its address: `http://127.0.0.1:PORT`.
    pub(crate) url: String,
    /// Its process.
    pub(crate) child: Child,
    /// Kept open, so that whatever else the server prints finds a reader.
    _stdout: BufReader<ChildStdout>,
    _folder: TempDir,
}

impl Server {
    /// Starts `binary`, a `cml`, and waits until it listens.
    pub(crate) fn start(binary: impl AsRef<OsStr>) -> ServeResult<Self> {
        let binary = std::path::absolute(binary.as_ref())?;
        let folder = tempfile::tempdir()?;
        let mut child = Command::new(&binary)
            .args(["serve", "--listen", "127.0.0.1:0"])
            .current_dir(folder.path())
            .env("CML_ADMIN_API_KEY", KEY)
            .env("CML_DB_PATH", folder.path().join("memories.db"))
            .env("RUST_LOG", "warn")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .map_err(|error| format!("{} cannot be started: {error}", binary.display()))?;
        let mut stdout = BufReader::new(child.stdout.take().ok_or("the server has no standard output")?);
        let mut line = String::new();
        stdout.read_line(&mut line)?;
        let Some(url) = line.trim().strip_prefix("listening on ").map(str::to_owned) else {
            child.kill()?;
            child.wait()?;
            return Err(format!("the first line of the server is {line:?}").into());
        };
        Ok(Self { url, child, _stdout: stdout, _folder: folder })
    }

    /// Asks the server to end, and waits until it has ended well.
    pub(crate) fn stop(mut self) -> ServeResult {
        Command::new("kill").arg(self.child.id().to_string()).status()?;
        let status = self.child.wait()?;
        if status.success() { Ok(()) } else { Err(format!("the server ended with {status}").into()) }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It has ended already where `stop` was called.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
