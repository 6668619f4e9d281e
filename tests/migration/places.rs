//! The backends between which memories move.

use std::{future::pending, sync::Arc};

use cml::{
    Config, MemoryBackend, MemoryId,
    config::{Mode, SecretString},
};
use cml_server::{Keys, Server};
use tempfile::TempDir;

use crate::{TestResult, modes};

/// Every kind of place: the mode, and whether a server stands in between. What the server does with a
/// smaller mode behind it is what the conformance suite shows.
const KINDS: [(&str, Mode, bool); 4] = [
    ("lite", Mode::Lite, false),
    ("standard", Mode::Standard, false),
    ("full", Mode::Full, false),
    ("http-full", Mode::Full, true),
];

/// An open backend.
pub(crate) struct Place {
    pub(crate) name: &'static str,
    pub(crate) backend: Arc<dyn MemoryBackend>,
    pub(crate) has_graph_database: bool,
    _folder: TempDir,
}

/// Opens the places whose services there are, and says loudly which pairs are not run.
pub(crate) async fn open_all() -> TestResult<Vec<Place>> {
    let mut places: Vec<Place> = Vec::new();
    let mut absent = Vec::new();
    for (name, mode, served) in KINDS {
        let variable = |name: &str| std::env::var(name).ok();
        let schema = format!("move_{}", MemoryId::new().as_uuid().simple());
        match modes::config(mode, &schema, variable) {
            Ok(config) => places.push(open(name, config, served).await?),
            Err(missing) => absent.push((name, missing)),
        }
    }
    for (name, missing) in absent {
        let others = KINDS.map(|(other, ..)| other).into_iter().filter(|other| *other != name);
        let pairs: Vec<String> = others.map(|other| format!("{name}-to-{other} and back")).collect();
        eprintln!("NOT RUN, {missing} is not set: {}", pairs.join(", "));
    }
    Ok(places)
}

async fn open(name: &'static str, mut config: Config, served: bool) -> TestResult<Place> {
    let folder = tempfile::tempdir()?;
    config.db_path = Some(folder.path().join("memory.db"));
    let has_graph_database = config.mode == Mode::Full;
    let opened = cml::connect::backend(&config).await?;
    let backend = if served { serve(opened, &config).await? } else { opened };
    Ok(Place { name, backend, has_graph_database, _folder: folder })
}

/// The client on a server of its own, which listens on a free port.
async fn serve(backend: Arc<dyn MemoryBackend>, config: &Config) -> TestResult<Arc<dyn MemoryBackend>> {
    const SECRET: &str = "the key of the migration tests";
    let mut keys = Keys::default();
    keys.add(&SecretString::new(SECRET), "default", true);
    let bound = Server::new(backend, config, keys)?.bind(([127, 0, 0, 1], 0).into()).await?;
    let mut config = Config::default();
    config.mode = Mode::Http;
    config.http.base_url = format!("http://{}", bound.address());
    config.http.api_key = Some(SecretString::new(SECRET));
    tokio::spawn(bound.run(pending()));
    Ok(cml::connect::backend(&config).await?)
}
