//! The backends that the suite runs on.

use std::sync::Arc;

use cml::{Config, MemoryBackend};
use libtest_mimic::Failed;
use tempfile::TempDir;

use crate::case::CaseResult;

/// Every backend by name, and how to prepare an empty one. A further backend is one more line.
const BACKENDS: &[(&str, Prepare)] = &[("lite-memory", lite_memory), ("lite-file", lite_file)];

type Prepare = fn() -> CaseResult<Setup>;

/// What a backend is opened with.
struct Setup {
    config: Config,
    /// Whether its memories outlive the handle.
    durable: bool,
    folder: Option<TempDir>,
}

fn lite_memory() -> CaseResult<Setup> {
    Ok(Setup { config: Config::default(), durable: false, folder: None })
}

fn lite_file() -> CaseResult<Setup> {
    let folder = tempfile::tempdir()?;
    let mut config = Config::default();
    config.db_path = Some(folder.path().join("memory.db"));
    Ok(Setup { config, durable: true, folder: Some(folder) })
}

/// An open backend, with what must live as long as it does.
pub(crate) struct Place {
    pub(crate) name: &'static str,
    pub(crate) backend: Arc<dyn MemoryBackend>,
    pub(crate) durable: bool,
    config: Config,
    prepare: Prepare,
    _folder: Option<TempDir>,
}

impl Place {
    async fn open(
        name: &'static str,
        prepare: Prepare,
        change: impl FnOnce(&mut Config),
    ) -> CaseResult<Self> {
        let Setup { mut config, durable, folder } = prepare()?;
        change(&mut config);
        let backend = cml::connect::backend(&config).await?;
        Ok(Self { name, backend, durable, config, prepare, _folder: folder })
    }

    /// Another empty backend of this kind, with a changed configuration.
    pub(crate) async fn another(&self, change: impl FnOnce(&mut Config)) -> CaseResult<Arc<Self>> {
        Ok(Arc::new(Self::open(self.name, self.prepare, change).await?))
    }

    /// A second handle on the same memories.
    pub(crate) async fn reconnect(&self) -> CaseResult<Arc<dyn MemoryBackend>> {
        if !self.durable {
            return Err(Failed::from("its memories end with the handle"));
        }
        Ok(cml::connect::backend(&self.config).await?)
    }
}

/// Opens every backend of the suite.
pub(crate) async fn open_all() -> Result<Vec<Arc<Place>>, Box<dyn std::error::Error>> {
    let mut places = Vec::new();
    for &(name, prepare) in BACKENDS {
        let opened = Place::open(name, prepare, |_| {}).await;
        let place = opened.map_err(|failed| {
            format!("{name} cannot be opened: {}", failed.message().unwrap_or("no message"))
        })?;
        places.push(Arc::new(place));
    }
    Ok(places)
}
