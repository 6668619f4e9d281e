//! Servers of the tests' own.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
    time::Duration,
};

use cml::{
    Config, Memory, MemoryId,
    config::{Mode, SecretString},
};
use tempfile::TempDir;

use crate::{TestResult, modes};

/// A set of servers, which ends with this.
pub(crate) struct Servers {
    /// Data, logs and state; none where nothing was started.
    folder: Option<TempDir>,
    variables: BTreeMap<String, String>,
}

/// Where PostgreSQL is.
#[derive(Clone)]
pub(crate) struct Address {
    pub(crate) user: String,
    pub(crate) password: String,
    /// `HOST:PORT`.
    pub(crate) place: String,
    pub(crate) database: String,
}

impl Servers {
    /// No servers: for a list of the tests.
    pub(crate) const fn none() -> Self {
        Self { folder: None, variables: BTreeMap::new() }
    }

    /// Starts what can be started, and says loudly what could not be.
    pub(crate) fn start() -> Self {
        Self::try_start().unwrap_or_else(|failed| {
            eprintln!("NOT RUN: no server can be started: {}", failed.message().unwrap_or("no message"));
            Self::none()
        })
    }

    fn try_start() -> TestResult<Self> {
        let folder = tempfile::tempdir()?;
        let output = services(folder.path(), &["up"])?;
        if !output.status.success() {
            eprintln!("NOT RUN: tests that need a server that cannot be started, see above");
        }
        let text = String::from_utf8(output.stdout)?;
        let exports = text.lines().filter_map(|line| line.strip_prefix("export ")?.split_once('='));
        let variables = exports.map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
        Ok(Self { folder: Some(folder), variables })
    }

    /// `kill`, `stop` or `restart` of a server.
    pub(crate) async fn order(&self, command: &'static str, name: &'static str) -> TestResult {
        let folder = self.folder()?.to_owned();
        let output = tokio::task::spawn_blocking(move || services(&folder, &[command, name])).await??;
        if output.status.success() { Ok(()) } else { Err(format!("{name} does not {command}").into()) }
    }

    /// A configuration whose tables and keys carry `name`.
    ///
    /// # Errors
    /// The variable of a server that there is not.
    pub(crate) fn config(&self, mode: Mode, name: &str) -> Result<Config, &'static str> {
        let mut config = modes::config(mode, name, |variable| self.variables.get(variable).cloned())?;
        // What fails is to fail while the test looks.
        config.postgres.acquire_timeout = Duration::from_secs(2);
        config.postgres.connect_timeout = Duration::from_secs(5);
        config.neo4j.timeout = Duration::from_secs(5);
        Ok(config)
    }

    /// A configuration with a name that nobody else has.
    pub(crate) fn fresh(&self, mode: Mode) -> TestResult<Config> {
        Ok(self.config(mode, &format!("t{}", MemoryId::new().as_uuid().simple()))?)
    }

    /// The variables that name the servers.
    pub(crate) const fn variables(&self) -> &BTreeMap<String, String> {
        &self.variables
    }

    /// Where PostgreSQL is.
    pub(crate) fn postgres(&self) -> TestResult<Address> {
        let url = self.variables.get(modes::POSTGRES).ok_or("no PostgreSQL")?;
        let parts = || {
            let (login, rest) = url.strip_prefix("postgres://")?.split_once('@')?;
            let ((user, password), (place, database)) = (login.split_once(':')?, rest.split_once('/')?);
            let [user, password, place, database] = [user, password, place, database].map(str::to_owned);
            Some(Address { user, password, place, database })
        };
        Ok(parts().ok_or("another address of PostgreSQL than the script gives")?)
    }

    /// Runs statements as the superuser, each of its own; what the last of them selects.
    pub(crate) async fn sql(&self, database: &str, statements: &[&str]) -> TestResult<String> {
        let bin = std::fs::read_to_string(self.folder()?.join("data/postgres/bin"))?;
        let mut psql = Command::new(PathBuf::from(bin.trim()).join("psql"));
        psql.args(["-XqAt", "-v", "ON_ERROR_STOP=1", "-d", &self.postgres()?.on(database).url()]);
        for statement in statements {
            psql.args(["-c", statement]);
        }
        let output = tokio::task::spawn_blocking(move || psql.output()).await??;
        if output.status.success() {
            return Ok(String::from_utf8(output.stdout)?.trim().to_owned());
        }
        Err(format!("{statements:?}: {}", String::from_utf8_lossy(&output.stderr)).into())
    }

    /// Data, logs and state of the servers.
    pub(crate) fn folder(&self) -> TestResult<&Path> {
        Ok(self.folder.as_ref().ok_or("no servers were started")?.path())
    }
}

impl Drop for Servers {
    fn drop(&mut self) {
        if let Some(folder) = &self.folder
            && !services(folder.path(), &["down"]).is_ok_and(|output| output.status.success())
        {
            eprintln!("some servers of the tests could not be ended: {}", folder.path().display());
        }
    }
}

impl Address {
    pub(crate) fn url(&self) -> String {
        let Self { user, password, place, database } = self;
        format!("postgres://{user}:{password}@{place}/{database}")
    }

    pub(crate) fn on(self, database: &str) -> Self {
        Self { database: database.to_owned(), ..self }
    }

    pub(crate) fn at(self, place: &impl ToString) -> Self {
        Self { place: place.to_string(), ..self }
    }

    pub(crate) fn by(self, user: &str, password: &str) -> Self {
        Self { user: user.to_owned(), password: password.to_owned(), ..self }
    }

    /// Lets a configuration use this address.
    pub(crate) fn set(&self, config: &mut Config) {
        config.postgres.url = Some(SecretString::new(self.url()));
    }
}

/// A handle on a tenant of its own.
pub(crate) async fn open(config: &Config) -> TestResult<Memory> {
    Ok(Memory::connect(config).await?.tenant(format!("t-{}", MemoryId::new()))?)
}

/// Runs `scripts/services` on the servers of a folder; its messages are shown.
fn services(folder: &Path, arguments: &[&str]) -> TestResult<Output> {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../scripts/services");
    let mut command = Command::new(script);
    command.args(arguments).env("CML_SERVICES_OWN", "1").env("CML_SERVICES_DIR", folder);
    Ok(command.stdin(Stdio::null()).stderr(Stdio::inherit()).output()?)
}
