//! The backends that the suite runs on.

use std::{future::pending, sync::Arc};

use cml::{Config, MemoryBackend, config::Mode, config::SecretString};
use cml_server::{Keys, Server};
use futures_util::future::BoxFuture;
use libtest_mimic::Failed;
use tempfile::TempDir;

use crate::case::{CaseResult, Needs};

/// Every backend by name, and how to prepare an empty one. A further backend is one more line.
const BACKENDS: &[Kind] = &[
    Kind { name: "lite-memory", offers: Needs::Another, open: |change| Box::pin(lite_memory(change)) },
    Kind { name: "lite-file", offers: Needs::Reopening, open: |change| Box::pin(lite_file(change)) },
    Kind { name: "http-lite", offers: Needs::Reopening, open: |change| Box::pin(http_lite(change)) },
];

/// The variable that names a running server to test, whose key stands in [`KEY`]: an admin key.
const URL: &str = "CML_TEST_URL";
const KEY: &str = "CML_TEST_API_KEY";

type Change = fn(&mut Config);

/// A kind of backend.
#[derive(Clone, Copy)]
struct Kind {
    name: &'static str,
    /// The most that a case may need of it.
    offers: Needs,
    open: fn(Change) -> BoxFuture<'static, CaseResult<Opened>>,
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

/// The client on a server of its own, which listens on a free port and keeps its memories in a file.
async fn http_lite(change: Change) -> CaseResult<Opened> {
    const SECRET: &str = "the key of the conformance suite";
    let served = lite_file(change).await?;
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

/// Opens every backend of the suite.
pub(crate) async fn open_all() -> Result<Vec<Arc<Place>>, Box<dyn std::error::Error>> {
    let mut kinds = BACKENDS.to_vec();
    if std::env::var_os(URL).is_some() {
        kinds.push(Kind {
            name: "http-url",
            offers: Needs::Nothing,
            open: |change| Box::pin(http_url(change)),
        });
    }
    let mut places = Vec::new();
    for kind in kinds {
        let place = Place::open(kind, |_| {}).await.map_err(|failed| {
            format!("{} cannot be opened: {}", kind.name, failed.message().unwrap_or("no message"))
        })?;
        places.push(Arc::new(place));
    }
    Ok(places)
}
