//! From arguments and settings to a memory.

use std::{fs, path::PathBuf};

use cml::{
    Config, Error, ErrorKind, Memory, Result,
    config::{Mode, Sources},
};
use directories::ProjectDirs;

use super::args::Global;

/// File in the command's own folder with the key that `cml serve` made at its first start, hashed.
pub(crate) const KEPT_KEYS: &str = "keys.toml";

/// What the command was told, by arguments and otherwise.
#[derive(Debug)]
pub(crate) struct Setup {
    pub(crate) config: Config,
    /// The folder of the command's own default file, made when it is first used.
    pub(crate) own_folder: Option<PathBuf>,
    session: Option<String>,
}

impl Setup {
    /// Settings with the arguments on top.
    ///
    /// # Errors
    /// `Config` naming the key and what it allows, or the file that cannot be read.
    pub(crate) fn new(global: &Global) -> Result<Self> {
        Self::from_sources(&sources(global)?, global)
    }

    pub(crate) fn from_sources(sources: &Sources, global: &Global) -> Result<Self> {
        let mut config = sources.config()?;
        if global.api_key.is_some() && config.mode == Mode::Http {
            // The key that was typed is meant for every call.
            config.http.admin_api_key = None;
        }
        let mut own_folder = None;
        if config.mode == Mode::Lite && !sources.sets("db_path") {
            let folder = data_folder()?;
            config.db_path = Some(folder.join("memory.db"));
            let kept = folder.join(KEPT_KEYS);
            if config.server.keys_file.is_none() && kept.exists() {
                config.server.keys_file = Some(kept);
            }
            own_folder = Some(folder);
        }
        Ok(Self { config, own_folder, session: global.session.clone() })
    }

    /// Opens the memory.
    ///
    /// # Errors
    /// As [`Memory::connect`].
    pub(crate) async fn open(&self) -> Result<Memory> {
        self.prepare()?;
        self.connect(&self.config).await
    }

    /// Opens what `config` describes, within the session that was named.
    ///
    /// # Errors
    /// As [`Memory::connect`].
    pub(crate) async fn connect(&self, config: &Config) -> Result<Memory> {
        let memory = Memory::connect(config).await?;
        match &self.session {
            Some(session) => memory.session(session),
            None => Ok(memory),
        }
    }

    /// Makes the folder of the default file.
    pub(crate) fn prepare(&self) -> Result<()> {
        let Some(folder) = &self.own_folder else { return Ok(()) };
        fs::create_dir_all(folder).map_err(|error| {
            let message = format!("the data folder {} cannot be made", folder.display());
            Error::new(ErrorKind::Config, message)
                .with_suggestion("name a file with --db or CML_DB_PATH")
                .with_source(error)
        })
    }
}

/// The sources of settings, with the arguments on top.
pub(crate) fn sources(global: &Global) -> Result<Sources> {
    let mut sources = Sources::read(global.config.clone())?;
    let secret = global.api_key.as_ref().map(|secret| &secret.0);
    for (key, text) in [
        ("http.base_url", &global.url),
        ("db_path", &global.db),
        ("tenant", &global.tenant),
        ("namespace", &global.namespace),
        ("user", &global.user),
        ("agent", &global.agent),
        ("http.api_key", &secret.cloned()),
    ] {
        if let Some(text) = text {
            sources.set(key, text);
        }
    }
    if let Some(mode) = mode(global)? {
        sources.set("mode", mode.as_str());
    }
    Ok(sources)
}

/// The mode that the arguments mean.
fn mode(global: &Global) -> Result<Option<Mode>> {
    let meant = match (&global.url, &global.db) {
        (Some(_), _) => Some((Mode::Http, "--url")),
        (_, Some(_)) => Some((Mode::Lite, "--db")),
        _ => None,
    };
    match (global.mode, meant) {
        (Some(mode), Some((other, flag))) if mode != other => {
            Err(Error::invalid("mode", format!("{flag} means the mode {other}, not {mode}")))
        }
        (mode, meant) => Ok(mode.or(meant.map(|(mode, _)| mode))),
    }
}

fn data_folder() -> Result<PathBuf> {
    let folders = ProjectDirs::from("", "", "cml").ok_or_else(|| {
        Error::new(ErrorKind::Config, "the user has no home folder to keep memories in")
            .with_suggestion("name a file with --db or CML_DB_PATH")
    })?;
    Ok(folders.data_dir().to_owned())
}
