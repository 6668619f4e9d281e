//! Where settings come from.

use std::{collections::BTreeMap, fmt, path::PathBuf};

use super::{Config, ConfigOption, OPTIONS};
use crate::{Error, ErrorKind, Result};

/// Where settings come from, read and not yet understood: a `cml.toml`, a `.env`, the environment.
///
/// `Debug` shows no value, for some are secrets.
#[derive(Clone, Default)]
#[non_exhaustive]
pub struct Sources {
    /// The configuration file that was read.
    pub file: Option<PathBuf>,
    /// Whether a `.env` in the working directory was read.
    pub dotenv: bool,
    settings: BTreeMap<String, String>,
    variables: BTreeMap<String, String>,
    overrides: BTreeMap<&'static str, String>,
}

impl fmt::Debug for Sources {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sources")
            .field("file", &self.file)
            .field("dotenv", &self.dotenv)
            .finish_non_exhaustive()
    }
}

impl Sources {
    /// Reads `file` (else the one that `CML_CONFIG` names, else `cml.toml` in the working directory if
    /// there is one), `.env` in the working directory, and the process environment.
    ///
    /// # Errors
    /// `Config` for a file that cannot be read.
    pub fn read(file: Option<PathBuf>) -> Result<Self> {
        let mut variables = BTreeMap::new();
        let dotenv = match dotenvy::from_path_iter(".env") {
            Ok(lines) => {
                for line in lines {
                    let (name, value) = line.map_err(|error| {
                        Error::new(ErrorKind::Config, ".env: a line is not NAME=value").with_source(error)
                    })?;
                    variables.insert(name, value);
                }
                true
            }
            Err(error) if error.not_found() => false,
            Err(error) => return Err(Error::new(ErrorKind::Config, ".env cannot be read").with_source(error)),
        };
        for (name, value) in std::env::vars_os() {
            let Some(name) = name.to_str().filter(|name| name.starts_with("CML_")) else { continue };
            let Ok(value) = value.into_string() else {
                return Err(Error::new(ErrorKind::Config, format!("{name}: must be UTF-8")));
            };
            variables.insert(name.to_owned(), value);
        }
        let file = match (file, variables.get("CML_CONFIG")) {
            (Some(path), _) => Some(path),
            (None, Some(path)) => Some(PathBuf::from(path)),
            (None, None) => Some(PathBuf::from("cml.toml")).filter(|path| path.exists()),
        };
        let text = file.as_ref().map(|path| {
            std::fs::read_to_string(path).map_err(|error| {
                let message = format!("the configuration file {} cannot be read", path.display());
                Error::new(ErrorKind::Config, message).with_source(error)
            })
        });
        Ok(Self { file, dotenv, ..Self::from_parts(text.transpose()?.as_deref(), variables)? })
    }

    pub(super) fn from_parts(file: Option<&str>, variables: BTreeMap<String, String>) -> Result<Self> {
        let mut settings = BTreeMap::new();
        if let Some(file) = file {
            let table: toml::Table = file.parse().map_err(|error: toml::de::Error| {
                Error::new(ErrorKind::Config, "cml.toml is not valid TOML").with_source(error)
            })?;
            flatten("", &table, &mut settings)?;
        }
        Ok(Self { settings, variables, ..Self::default() })
    }

    /// Sets the option with this key above every other source, as a command's own flags do. A key that
    /// is no option does nothing.
    pub fn set(&mut self, key: &'static str, text: impl Into<String>) {
        self.overrides.insert(key, text.into());
    }

    /// The settings as a configuration.
    ///
    /// # Errors
    /// `Config` naming the key or variable and what it allows.
    pub fn config(&self) -> Result<Config> {
        let mut config = Config { file: self.file.clone(), ..Config::default() };
        for (key, text) in &self.settings {
            let option = OPTIONS.iter().find(|option| option.key == key).ok_or_else(|| {
                Error::new(ErrorKind::Config, format!("cml.toml: unknown key {key}"))
                    .with_suggestion("docs/configuration.md lists every key")
            })?;
            config.apply(option, option.key, text)?;
        }
        for option in OPTIONS {
            if let Some(text) = self.variable(option) {
                config.apply(option, option.variable, text)?;
            }
            if let Some(text) = self.overrides.get(option.key) {
                config.apply(option, option.key, text)?;
            }
        }
        Ok(config)
    }

    /// Whether the option with this key, such as `db_path`, is set anywhere.
    #[must_use]
    pub fn sets(&self, key: &str) -> bool {
        let option = OPTIONS.iter().find(|option| option.key == key);
        self.settings.contains_key(key)
            || self.overrides.contains_key(key)
            || option.is_some_and(|option| self.variable(option).is_some())
    }

    /// The variables that set an option, without their values, in the order of [`OPTIONS`].
    pub fn variables(&self) -> impl Iterator<Item = &'static str> {
        let set = OPTIONS.iter().filter(|option| self.variable(option).is_some());
        set.map(|option| option.variable)
    }

    fn variable(&self, option: &ConfigOption) -> Option<&str> {
        self.variables.get(option.variable).map(String::as_str).filter(|text| !text.is_empty())
    }
}

fn flatten(prefix: &str, table: &toml::Table, settings: &mut BTreeMap<String, String>) -> Result<()> {
    for (name, value) in table {
        let key = if prefix.is_empty() { name.clone() } else { format!("{prefix}.{name}") };
        let text = match value {
            toml::Value::Table(inner) => {
                flatten(&key, inner, settings)?;
                continue;
            }
            toml::Value::String(text) => text.clone(),
            toml::Value::Integer(number) => number.to_string(),
            toml::Value::Float(number) => number.to_string(),
            toml::Value::Boolean(truth) => truth.to_string(),
            _ => {
                return Err(Error::new(ErrorKind::Config, format!("cml.toml: {key} must be a single value")));
            }
        };
        settings.insert(key, text);
    }
    Ok(())
}
