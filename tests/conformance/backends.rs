//! The backends that the suite runs on.

use std::{future::pending, sync::Arc};

use cml::{
    Config, MemoryBackend, MemoryId,
    config::{Candidates, Mode, SecretString},
};
use cml_server::{Keys, Server};
use futures_util::future::BoxFuture;
use libtest_mimic::Failed;
use tempfile::TempDir;

use crate::{
    case::{CaseResult, Needs},
    modes,
};

/// Every backend by name, what it needs of the environment, and how to prepare an empty one. A further
/// backend is one more line.
const BACKENDS: &[Kind] = &[
    Kind::new("lite-memory", Needs::Another, &[], |change| Box::pin(lite_memory(change))),
    Kind::new("lite-file", Needs::Reopening, &[], |change| Box::pin(lite_file(change))),
    Kind::new("http-lite", Needs::Reopening, &[], |change| Box::pin(served(lite_file(change)))),
    Kind::new("standard", Needs::Reopening, STANDARD, |change| Box::pin(standard(change))),
    Kind::new("standard-database", Needs::Reopening, STANDARD, |change| Box::pin(standard_database(change))),
    Kind::new("http-standard", Needs::Reopening, STANDARD, |change| Box::pin(served(standard(change)))),
    Kind::new("full", Needs::Reopening, FULL, |change| Box::pin(full(change))),
    Kind::new("http-full", Needs::Reopening, FULL, |change| Box::pin(served(full(change)))),
    Kind::new("http-url", Needs::Nothing, &[URL], |change| Box::pin(http_url(change))),
];

/// Names the backends to run on, separated by commas; without it, all whose variables are set.
const CHOICE: &str = "CML_CONFORMANCE";

/// The variable that names a running server to test, whose key stands in [`KEY`]: an admin key.
const URL: &str = "CML_TEST_URL";
const KEY: &str = "CML_TEST_API_KEY";

/// The variables without which there is no such mode.
const STANDARD: &[&str] = &[modes::POSTGRES];
const FULL: &[&str] = &[modes::POSTGRES, modes::NEO4J, modes::REDIS];

type Change = fn(&mut Config);

/// A kind of backend.
#[derive(Clone, Copy)]
struct Kind {
    name: &'static str,
    /// The most that a case may need of it.
    offers: Needs,
    /// Variables of the environment without which there is none.
    variables: &'static [&'static str],
    open: fn(Change) -> BoxFuture<'static, CaseResult<Opened>>,
}

impl Kind {
    const fn new(
        name: &'static str,
        offers: Needs,
        variables: &'static [&'static str],
        open: fn(Change) -> BoxFuture<'static, CaseResult<Opened>>,
    ) -> Self {
        Self { name, offers, variables, open }
    }

    fn missing(&self) -> Option<&'static str> {
        self.variables.iter().copied().find(|name| std::env::var_os(name).is_none())
    }
}

/// A backend, with what opens it again and what must live as long as it does.
struct Opened {
    backend: Arc<dyn MemoryBackend>,
    config: Config,
    folder: Option<TempDir>,
}

async fn lite_memory(change: Change) -> CaseResult<Opened> {
    connected(Config::default(), change, None).await
}

async fn lite_file(change: Change) -> CaseResult<Opened> {
    let folder = tempfile::tempdir()?;
    let mut config = Config::default();
    config.db_path = Some(folder.path().join("memory.db"));
    connected(config, change, Some(folder)).await
}

/// PostgreSQL, in a schema of its own.
async fn standard(change: Change) -> CaseResult<Opened> {
    connected(config(Mode::Standard)?, change, None).await
}

/// PostgreSQL, with candidates from the database even for a handful of memories.
async fn standard_database(change: Change) -> CaseResult<Opened> {
    let mut config = config(Mode::Standard)?;
    config.engine.candidates = Candidates::Database;
    config.engine.index_max_turns = 0;
    connected(config, change, None).await
}

/// PostgreSQL, Neo4j and Redis.
async fn full(change: Change) -> CaseResult<Opened> {
    connected(config(Mode::Full)?, change, None).await
}

fn config(mode: Mode) -> CaseResult<Config> {
    let schema = format!("suite_{}", MemoryId::new().as_uuid().simple());
    let config = modes::config(mode, &schema, |variable| std::env::var(variable).ok());
    config.map_err(|missing| Failed::from(format!("{missing} is not set")))
}

/// The client on a server of its own, which listens on a free port.
async fn served(opening: impl Future<Output = CaseResult<Opened>>) -> CaseResult<Opened> {
    const SECRET: &str = "the key of the conformance suite";
    let served = opening.await?;
    let mut keys = Keys::default();
    keys.add(&SecretString::new(SECRET), "default", true);
    let server = Server::new(Arc::clone(&served.backend), &served.config, keys)?;
    let bound = server.bind(([127, 0, 0, 1], 0).into()).await?;
    let mut config = Config::default();
    config.mode = Mode::Http;
    config.http.base_url = format!("http://{}", bound.address());
    config.http.api_key = Some(SecretString::new(SECRET));
    tokio::spawn(bound.run(pending()));
    connected(config, |_| {}, served.folder).await
}

/// The client on the server that the environment names.
async fn http_url(_change: Change) -> CaseResult<Opened> {
    let mut config = Config::default();
    config.mode = Mode::Http;
    config.http.base_url = std::env::var(URL)?;
    config.http.api_key = std::env::var(KEY).ok().map(SecretString::new);
    connected(config, |_| {}, None).await
}

async fn connected(mut config: Config, change: Change, folder: Option<TempDir>) -> CaseResult<Opened> {
    change(&mut config);
    let backend = cml::connect::backend(&config).await?;
    Ok(Opened { backend, config, folder })
}

/// An open backend of a kind.
pub(crate) struct Place {
    pub(crate) name: &'static str,
    pub(crate) backend: Arc<dyn MemoryBackend>,
    pub(crate) offers: Needs,
    kind: Kind,
    config: Config,
    _folder: Option<TempDir>,
}

impl Place {
    async fn open(kind: Kind, change: Change) -> CaseResult<Self> {
        let Opened { backend, config, folder } = (kind.open)(change).await?;
        Ok(Self { name: kind.name, backend, offers: kind.offers, kind, config, _folder: folder })
    }

    /// Another empty backend of this kind, with a changed configuration.
    pub(crate) async fn another(&self, change: Change) -> CaseResult<Arc<Self>> {
        Ok(Arc::new(Self::open(self.kind, change).await?))
    }

    /// A second handle on the same memories.
    pub(crate) async fn reconnect(&self) -> CaseResult<Arc<dyn MemoryBackend>> {
        if self.offers < Needs::Reopening {
            return Err(Failed::from("its memories end with the handle"));
        }
        Ok(cml::connect::backend(&self.config).await?)
    }
}

/// Opens the backends of the suite, and says loudly which it could not.
pub(crate) async fn open_all() -> Result<Vec<Arc<Place>>, Box<dyn std::error::Error>> {
    let mut places = Vec::new();
    for kind in chosen()? {
        let place = Place::open(kind, |_| {}).await.map_err(|failed| {
            format!("{} cannot be opened: {}", kind.name, failed.message().unwrap_or("no message"))
        })?;
        places.push(Arc::new(place));
    }
    Ok(places)
}

fn chosen() -> Result<Vec<Kind>, String> {
    let Ok(names) = std::env::var(CHOICE) else {
        let (run, left): (Vec<Kind>, Vec<Kind>) = BACKENDS.iter().partition(|kind| kind.missing().is_none());
        for kind in left {
            eprintln!("NOT RUN on {}: {} is not set", kind.name, kind.missing().unwrap_or_default());
        }
        return Ok(run);
    };
    let kind = |name: &str| {
        let kind = BACKENDS.iter().find(|kind| kind.name == name).copied();
        let kind = kind.ok_or_else(|| format!("{CHOICE}: there is no backend {name:?}"))?;
        match kind.missing() {
            Some(variable) => Err(format!("{CHOICE}: {name} needs {variable}")),
            None => Ok(kind),
        }
    };
    names.split(',').filter(|name| !name.is_empty()).map(kind).collect()
}
