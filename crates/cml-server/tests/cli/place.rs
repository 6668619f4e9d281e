//! A folder to run the command in, what a run prints, and a server.

use std::{
    error::Error,
    io::{BufRead as _, BufReader, Write as _},
    process::{Child, Command, Output, Stdio},
};

use serde_json::Value;
use tempfile::TempDir;

pub(crate) type Result<T = (), E = Box<dyn Error>> = std::result::Result<T, E>;

/// A folder of its own, in which the command finds no settings but those of the test.
pub(crate) struct Place {
    pub(crate) folder: TempDir,
}

impl Place {
    pub(crate) fn new() -> Result<Self> {
        Ok(Self { folder: tempfile::tempdir()? })
    }

    pub(crate) fn path(&self, name: &str) -> String {
        self.folder.path().join(name).display().to_string()
    }

    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_cml"));
        command.args(arguments).current_dir(self.folder.path());
        for (name, _) in std::env::vars_os() {
            if name.to_string_lossy().starts_with("CML_") || name == "RUST_LOG" {
                command.env_remove(name);
            }
        }
        command.env("HOME", self.folder.path()).env_remove("XDG_DATA_HOME").stdin(Stdio::null());
        command
    }

    /// Runs the command on the file `memory.db`.
    pub(crate) fn run(&self, arguments: &[&str]) -> Result<Run> {
        let file = self.path("memory.db");
        Run::of(self.command(arguments).env("CML_DB_PATH", file).output()?)
    }

    pub(crate) fn run_with(&self, input: &[u8], arguments: &[&str]) -> Result<Run> {
        let mut child = self
            .command(arguments)
            .env("CML_DB_PATH", self.path("memory.db"))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()?;
        // A command that refuses its arguments does not read.
        let _unread = child.stdin.take().ok_or("no stdin")?.write_all(input);
        Run::of(child.wait_with_output()?)
    }

    pub(crate) fn json(&self, arguments: &[&str]) -> Result<Value> {
        self.run(&[arguments, &["--json"]].concat())?.ok()?.json()
    }
}

#[derive(Debug)]
pub(crate) struct Run {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Run {
    pub(crate) fn of(output: Output) -> Result<Self> {
        let Output { status, stdout, stderr } = output;
        Ok(Self {
            code: status.code(),
            stdout: String::from_utf8(stdout)?,
            stderr: String::from_utf8(stderr)?,
        })
    }

    pub(crate) fn ok(self) -> Result<Self> {
        if self.code == Some(0) { Ok(self) } else { Err(format!("{self:?}").into()) }
    }

    pub(crate) fn json(&self) -> Result<Value> {
        Ok(serde_json::from_str(&self.stdout)?)
    }

    #[track_caller]
    pub(crate) fn failed(&self, code: i32, part: &str) {
        assert_eq!(self.code, Some(code), "{self:?}");
        assert!(self.stderr.contains(part), "{self:?}");
    }
}

pub(crate) fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

/// A server on a free port, ended with the test.
pub(crate) struct Served {
    pub(crate) child: Child,
    pub(crate) url: String,
}

pub(crate) const KEY: &str = "an-admin-key-for-tests";

impl Served {
    pub(crate) fn start(place: &Place) -> Result<Self> {
        let mut child = place
            .command(&["serve", "--listen", "127.0.0.1:0", "--db", &place.path("server.db")])
            .env("CML_ADMIN_API_KEY", KEY)
            .env("CML_API_KEY", "a-user-key")
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()?;
        let mut line = String::new();
        BufReader::new(child.stdout.take().ok_or("no stdout")?).read_line(&mut line)?;
        let url = line.trim().strip_prefix("listening on ").ok_or("no first line")?.to_owned();
        Ok(Self { child, url })
    }

    pub(crate) fn run(&self, place: &Place, key: &str, arguments: &[&str]) -> Result<Run> {
        let arguments = [arguments, &["--url", &self.url]].concat();
        Run::of(place.command(&arguments).env("CML_API_KEY", key).output()?)
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        // It may have ended already.
        let _ended = self.child.kill();
        let _ended = self.child.wait();
    }
}
