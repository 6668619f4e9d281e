//! The configuration file that the server was started with, changed as a whole or not at all.

use std::{
    collections::BTreeMap,
    fs,
    io::{self, Write as _},
    path::Path,
    sync::{Mutex, PoisonError},
};

use cml_core::{Config, Error, ErrorKind, Result, config::ConfigOption};

use super::layout;

/// One change at a time.
static CHANGE: Mutex<()> = Mutex::new(());

/// Puts values that their options allow into the file; everything else in it stays.
///
/// # Errors
/// `Conflict` where the file is not valid, or laid out so that a value cannot be put into it;
/// `Unavailable` where it cannot be read or written.
pub(super) fn write(path: &Path, changes: &[(&'static ConfigOption, String)]) -> Result<()> {
    let _one_at_a_time = CHANGE.lock().unwrap_or_else(PoisonError::into_inner);
    let before = fs::read_to_string(path).map_err(|error| away("read", error))?;
    let after = changed(&before, changes)?;
    if after == before {
        return Ok(());
    }
    replace(path, &after).map_err(|error| away("written", error))
}

fn changed(before: &str, changes: &[(&'static ConfigOption, String)]) -> Result<String> {
    let broken = |error: Error| {
        Error::new(ErrorKind::Conflict, format!("the configuration file is not valid: {}", error.message()))
    };
    Config::from_parts(Some(before), &BTreeMap::new()).map_err(broken)?;
    let variables = changes.iter().map(|(option, text)| (option.variable.to_owned(), text.clone())).collect();
    let wanted = Config::from_parts(Some(before), &variables)?;
    let after = changes.iter().fold(before.to_owned(), |text, (option, value)| {
        layout::set(&text, option.key, &layout::literal(value))
    });
    match Config::from_parts(Some(&after), &BTreeMap::new()) {
        Ok(config) if config == wanted => Ok(after),
        _ => Err(Error::new(ErrorKind::Conflict, "the configuration file is laid out in an unusual way")
            .with_suggestion("change it by hand, or give each option a line of its own")),
    }
}

/// Writes beside the file and renames, so that a reader sees the one or the other.
fn replace(path: &Path, text: &str) -> io::Result<()> {
    let path = path.canonicalize()?;
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let beside = path.with_file_name(format!(".{name}.{}", uuid::Uuid::new_v4()));
    let written = (|| {
        let mut file = fs::File::create_new(&beside)?;
        file.set_permissions(fs::metadata(&path)?.permissions())?;
        file.write_all(text.as_bytes())?;
        file.sync_all()?;
        fs::rename(&beside, &path)
    })();
    if written.is_err() {
        // The error that is returned says more than one about the rest of the temporary file.
        let _ = fs::remove_file(&beside);
    }
    written
}

fn away(what: &str, error: io::Error) -> Error {
    Error::new(ErrorKind::Unavailable, format!("the configuration file cannot be {what}")).with_source(error)
}

#[cfg(test)]
mod tests {
    use cml_core::config::OPTIONS;

    use super::*;

    fn change(key: &str, value: &str) -> Vec<(&'static ConfigOption, String)> {
        let option = OPTIONS.iter().find(|option| option.key == key);
        option.map(|option| (option, value.to_owned())).into_iter().collect()
    }

    #[test]
    fn a_change_keeps_what_else_is_in_the_file() -> Result<(), Box<dyn std::error::Error>> {
        let folder = tempfile::tempdir()?;
        let path = folder.path().join("cml.toml");
        fs::write(&path, "# ours\ntenant = \"acme\"\n\n[http]\napi_key = \"sk-1\" # rotate\ntimeout = 5\n")?;
        let mut changes = change("http.timeout", "7.5");
        changes.extend(change("engine.redaction", "false"));
        write(&path, &changes)?;
        assert_eq!(
            fs::read_to_string(&path)?,
            "# ours\ntenant = \"acme\"\n\n[http]\napi_key = \"sk-1\" # rotate\ntimeout = 7.5\n\n[engine]\n\
             redaction = false\n"
        );
        assert_eq!(fs::read_dir(folder.path())?.count(), 1);
        Ok(())
    }

    #[cfg(unix)]
    #[test]
    fn the_file_keeps_its_permissions_and_its_link() -> Result<(), Box<dyn std::error::Error>> {
        use std::os::unix::fs::{PermissionsExt as _, symlink};
        let folder = tempfile::tempdir()?;
        let (path, link) = (folder.path().join("real.toml"), folder.path().join("cml.toml"));
        fs::write(&path, "tenant = \"a\"\n")?;
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600))?;
        symlink(&path, &link)?;
        write(&link, &change("tenant", "b"))?;
        assert_eq!(fs::read_to_string(&path)?, "tenant = \"b\"\n");
        assert_eq!(fs::metadata(&path)?.permissions().mode() & 0o777, 0o600);
        assert!(fs::symlink_metadata(&link)?.is_symlink());
        Ok(())
    }

    #[test]
    fn a_file_that_cannot_take_the_value_stays_as_it_is() -> Result<(), Box<dyn std::error::Error>> {
        let folder = tempfile::tempdir()?;
        let path = folder.path().join("cml.toml");
        for text in ["http = { timeout = 5 }\n", "tenant = \n"] {
            fs::write(&path, text)?;
            let error = write(&path, &change("http.timeout", "7")).err();
            assert_eq!(error.map(|error| error.kind()), Some(ErrorKind::Conflict), "{text}");
            assert_eq!(fs::read_to_string(&path)?, text);
        }
        Ok(())
    }
}
