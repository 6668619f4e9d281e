//! A database file of this machine.

use std::{
    fs::{self, File},
    io::{self, Read as _},
    path::Path,
    process,
};

use cml::{Config, Error, ErrorKind, Memory, ops::ComponentStatus};

use super::{super::setup::Setup, Findings};

/// First bytes of every SQLite database, <https://www.sqlite.org/fileformat.html>.
const SQLITE: &[u8] = b"SQLite format 3\0";

const OTHER_FILE: &str = "name another file with --db or CML_DB_PATH";

/// Looks at the file, then opens it as any verb would. A file that does not exist is not made.
pub(super) async fn examine(setup: &Setup, findings: &mut Findings) {
    let mut config = setup.config.clone();
    let found = match &config.db_path {
        None => {
            findings.warn(
                "file",
                "memories are kept in memory and end with the process".to_owned(),
                OTHER_FILE,
            );
            false
        }
        Some(path) => match look(path, setup, findings) {
            Ok(found) => found,
            Err(Refused) => return,
        },
    };
    if !found {
        config.db_path = None;
    }
    open(&config, found, findings).await;
}

/// A finding says why the file cannot be used.
struct Refused;

/// Whether the file is there, or could be made.
fn look(path: &Path, setup: &Setup, findings: &mut Findings) -> Result<bool, Refused> {
    let shown = path.display();
    match fs::metadata(path) {
        Ok(found) if found.is_dir() => return refuse(findings, format!("{shown} is a folder"), OTHER_FILE),
        Ok(_) => {}
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            return absent(path, setup.own_folder.is_some(), findings);
        }
        Err(error) => return refuse(findings, format!("{shown} cannot be looked at: {error}"), OTHER_FILE),
    }
    match beginning(path) {
        Err(error) => {
            refuse(findings, format!("{shown} cannot be read: {error}"), "allow this user to read it")
        }
        Ok(bytes) if bytes.is_empty() || bytes.starts_with(SQLITE) => {
            findings.ok("file", format!("{shown} is a database"));
            Ok(true)
        }
        Ok(bytes) if bytes.starts_with(b"{") || bytes.starts_with(b"[") => refuse(
            findings,
            format!("{shown} is no database; it may be an export"),
            "import it with `cml import`, and name another file with --db or CML_DB_PATH",
        ),
        Ok(_) => refuse(findings, format!("{shown} is no database and was left as it is"), OTHER_FILE),
    }
}

fn refuse(findings: &mut Findings, message: String, remedy: &str) -> Result<bool, Refused> {
    findings.fail("file", message, remedy);
    Err(Refused)
}

/// Whether a file that is not there could be made; the command makes its own folder as well.
fn absent(path: &Path, own_folder: bool, findings: &mut Findings) -> Result<bool, Refused> {
    let mut folders = path.ancestors().skip(1).map(|folder| match folder.as_os_str().is_empty() {
        true => Path::new("."),
        false => folder,
    });
    let folder = folders.find(|folder| folder.is_dir() || !own_folder).unwrap_or(Path::new("."));
    if !folder.is_dir() {
        let message = format!("the folder {} does not exist", folder.display());
        return refuse(findings, message, "make the folder, or name another file with --db or CML_DB_PATH");
    }
    if !is_writable(folder) {
        let message = format!("no file can be made in {}", folder.display());
        let remedy = "allow this user to write there, or name another file with --db or CML_DB_PATH";
        return refuse(findings, message, remedy);
    }
    findings.ok("file", format!("{} does not exist yet; its first use makes it", path.display()));
    Ok(false)
}

fn is_writable(folder: &Path) -> bool {
    let probe = folder.join(format!(".cml-doctor-{}", process::id()));
    let made = File::create_new(&probe).is_ok();
    made && fs::remove_file(&probe).is_ok()
}

fn beginning(path: &Path) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    File::open(path)?.take(SQLITE.len() as u64).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// Opens the database, or one in memory where there is none yet, which loads the model as well.
async fn open(config: &Config, found: bool, findings: &mut Findings) {
    let memory = match Memory::connect(config).await {
        Ok(memory) => memory,
        Err(error) => return findings.error("open", &error, remedy(&error)),
    };
    if found {
        findings.ok("open", "the database is ours and of a version that this program knows".to_owned());
    }
    components(&memory, findings).await;
    if found {
        match memory.stats().await {
            Ok(stats) => findings.ok("memories", format!("{} in the scope", stats.total_memories)),
            Err(error) => findings.error("memories", &error, "restore the file from a backup"),
        }
    }
    if let Err(error) = memory.close().await {
        findings.error("close", &error, remedy(&error));
    }
}

pub(super) async fn components(memory: &Memory, findings: &mut Findings) {
    let health = match memory.health().await {
        Ok(health) => health,
        Err(error) => return findings.error("health", &error, remedy(&error)),
    };
    for component in health.components {
        let name = component.name;
        let details = component.details.iter().map(|(key, value)| format!(" {key}={value}"));
        let details: String = details.collect();
        let latency = component.latency_ms.map(|latency| format!(" in {latency:.1} ms")).unwrap_or_default();
        let error = component.error.map(|error| format!(": {error}")).unwrap_or_default();
        match component.status {
            ComponentStatus::Ok => findings.ok("component", format!("{name} works{latency}{details}")),
            ComponentStatus::Error => {
                findings.fail("component", format!("{name} does not work{error}"), "look at its own logs");
            }
            status => {
                findings.warn("component", format!("{name} is {status}{error}"), "look at its own logs")
            }
        }
    }
}

fn remedy(error: &Error) -> &'static str {
    match error.kind() {
        ErrorKind::Unavailable => {
            "wait for the other process, free the disk, or restore the file from a backup"
        }
        ErrorKind::Unsupported => "use a program with this part compiled in",
        _ => OTHER_FILE,
    }
}
