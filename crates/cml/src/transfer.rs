//! Moving memories: between two of them, and to and from files.
//!
//! An export is a stream of [`Lines`]; what is done with it is a matter of where it goes.
//!
//! ```
//! # #[cfg(feature = "embedded-lite")]
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> cml::Result<()> {
//! use cml::{Memory, ops::ExportOptions, transfer};
//!
//! let (from, to) = (Memory::lite().await?, Memory::lite().await?);
//! let lines = from.export(ExportOptions::default()).await?;
//! let lines = transfer::watch(lines, |step| println!("{} {}", step.lines, step.kind));
//! let report = to.import(lines).await?;
//! assert!(report.losses.is_empty());
//! # Ok(())
//! # }
//! # #[cfg(not(feature = "embedded-lite"))]
//! # fn main() {}
//! ```

mod compress;
mod file;

use std::{
    collections::BTreeMap,
    path::Path,
    sync::{Arc, Mutex, PoisonError},
};

use cml_core::{
    BoxStream, Result,
    ops::{ExportLine, ExportOptions, ImportReport},
    portable,
};
use futures_util::{StreamExt as _, TryStreamExt as _};
use tokio::io::{AsyncRead, AsyncWrite};

use crate::Memory;

/// The lines of an export: the header first, no trailer, complete when it ends without an error.
pub type Lines = BoxStream<'static, Result<ExportLine>>;

/// How far a transfer has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Step {
    /// Objects that went by, the header not counted.
    pub lines: u64,
    /// Kind of the last one: `record`, `fact` ...
    pub kind: &'static str,
    /// Objects in all, as far as the header counts them.
    pub total: Option<u64>,
}

/// What an export holds.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct ExportReport {
    /// Objects written, by kind.
    pub exported: BTreeMap<String, u64>,
    /// What could not be carried over, one sentence each.
    pub losses: Vec<String>,
}

impl Memory {
    /// Everything that this handle can see, in the portable format.
    ///
    /// # Errors
    /// `Unsupported` unless the backend can move memories.
    pub async fn export(&self, options: ExportOptions) -> Result<Lines> {
        self.backend.transfer()?.export(&self.scope, options).await
    }

    /// Puts an export into this handle's tenant. Repeating it puts in nothing twice; a run that was cut
    /// off is finished by running it again.
    ///
    /// # Errors
    /// `InvalidInput` naming the line of a broken export, of which nothing was stored; `Unsupported`
    /// unless the backend can move memories.
    pub async fn import(&self, lines: Lines) -> Result<ImportReport> {
        self.backend.transfer()?.import(&self.scope, lines).await
    }

    /// Copies everything that this handle can see into `to`.
    ///
    /// # Errors
    /// As [`export`](Self::export) and [`import`](Self::import).
    pub async fn migrate(&self, to: &Memory) -> Result<ImportReport> {
        to.import(self.export(ExportOptions::default()).await?).await
    }

    /// Writes an export to a file, which appears when it is complete and replaces an older one. A name
    /// that ends in `.zst` is compressed.
    ///
    /// # Errors
    /// As [`export`](Self::export); `InvalidInput` for a path that cannot be written, or where a database
    /// or no plain file stands; `Unavailable` for a full disk, `Unsupported` for `.zst` without the cargo
    /// feature `zstd`.
    pub async fn export_to(&self, path: impl AsRef<Path>, options: ExportOptions) -> Result<ExportReport> {
        save(path, self.export(options).await?).await
    }

    /// Writes the memories to a file as the JSON list that the original system exports, and says what it
    /// has no place for.
    ///
    /// # Errors
    /// As [`export_to`](Self::export_to).
    pub async fn export_original(&self, path: impl AsRef<Path>) -> Result<ExportReport> {
        save_original(path, self.export(without_vectors()).await?).await
    }

    /// Imports a file: an export, or the JSON list that the original system exports. A name that ends in
    /// `.zst` is decompressed.
    ///
    /// # Errors
    /// As [`import`](Self::import) and [`open`].
    pub async fn import_from(&self, path: impl AsRef<Path>) -> Result<ImportReport> {
        self.import(open(path).await?).await
    }
}

/// Options of an export that leaves vectors out; they can be made again from the texts.
#[must_use]
pub fn without_vectors() -> ExportOptions {
    let mut options = ExportOptions::default();
    options.vectors = false;
    options
}

/// The same lines; `tell` learns of each as it goes by.
#[must_use]
pub fn watch(lines: Lines, mut tell: impl FnMut(Step) + Send + 'static) -> Lines {
    let mut step = Step { lines: 0, kind: "header", total: None };
    let lines = lines.inspect_ok(move |line| {
        match line {
            ExportLine::Header(header) => {
                step.total = Some(header.counts.values().sum()).filter(|total| *total > 0);
            }
            _ => step.lines += 1,
        }
        step.kind = line.kind();
        tell(step);
    });
    lines.boxed()
}

/// The lines of a file.
///
/// # Errors
/// `InvalidInput` when it cannot be read, `Unsupported` for `.zst` without the cargo feature `zstd`. What
/// is wrong with its content is the stream's last item: `InvalidInput` naming the line, or the entry of a
/// list.
pub async fn open(path: impl AsRef<Path>) -> Result<Lines> {
    read(file::open(path.as_ref()).await?).await
}

/// The lines that `reader` gives: an export, or the JSON list that the original system exports.
///
/// # Errors
/// `InvalidInput` or `Unavailable` when nothing can be read.
pub async fn read(reader: impl AsyncRead + Send + Unpin + 'static) -> Result<Lines> {
    let (first, chunks) = file::chunks(reader).await?;
    Ok(match first {
        Some(b'[') => portable::original::decode(chunks),
        _ => portable::decode(chunks),
    })
}

/// Writes `lines` to a file as an export; see [`Memory::export_to`].
///
/// # Errors
/// As [`Memory::export_to`], and the error of `lines`.
pub async fn save(path: impl AsRef<Path>, lines: Lines) -> Result<ExportReport> {
    let (lines, report) = tally(lines);
    file::save(path.as_ref(), portable::encode(lines)).await?;
    Ok(taken(&report))
}

/// Writes `lines` to a file as the JSON list of the original system; see [`Memory::export_original`].
///
/// # Errors
/// As [`save`].
pub async fn save_original(path: impl AsRef<Path>, lines: Lines) -> Result<ExportReport> {
    let (chunks, report) = original(lines);
    file::save(path.as_ref(), chunks).await?;
    Ok(taken(&report))
}

/// Writes `lines` to `writer` as an export.
///
/// # Errors
/// `Unavailable` when it cannot be written, and the error of `lines`.
pub async fn write(writer: impl AsyncWrite + Send + Unpin, lines: Lines) -> Result<ExportReport> {
    let (lines, report) = tally(lines);
    file::write(writer, portable::encode(lines)).await?;
    Ok(taken(&report))
}

/// Writes `lines` to `writer` as the JSON list of the original system.
///
/// # Errors
/// As [`write()`].
pub async fn write_original(writer: impl AsyncWrite + Send + Unpin, lines: Lines) -> Result<ExportReport> {
    let (chunks, report) = original(lines);
    file::write(writer, chunks).await?;
    Ok(taken(&report))
}

type Report = Arc<Mutex<ExportReport>>;

fn taken(report: &Report) -> ExportReport {
    report.lock().unwrap_or_else(PoisonError::into_inner).clone()
}

fn tally(lines: Lines) -> (Lines, Report) {
    let report = Report::default();
    let counted = Arc::clone(&report);
    let lines = lines.inspect_ok(move |line| {
        let mut report = counted.lock().unwrap_or_else(PoisonError::into_inner);
        match line {
            ExportLine::Header(header) => report.losses.clone_from(&header.losses),
            line => *report.exported.entry(line.kind().to_owned()).or_default() += 1,
        }
    });
    (lines.boxed(), report)
}

fn original(lines: Lines) -> (BoxStream<'static, Result<Vec<u8>>>, Report) {
    let report = Report::default();
    let told = Arc::clone(&report);
    let chunks = portable::original::encode(lines, move |encoder| {
        let mut report = told.lock().unwrap_or_else(PoisonError::into_inner);
        report.exported.insert("record".to_owned(), encoder.memories());
        report.losses = encoder.losses();
    });
    (chunks, report)
}

#[cfg(test)]
mod tests {
    use cml_core::{
        Error, ErrorKind,
        memory::{Metadata, Session},
        ops::{ExportHeader, FORMAT_NAME, FORMAT_VERSION},
    };
    use futures_util::stream;

    use super::*;

    type Done = std::result::Result<(), Box<dyn std::error::Error>>;

    fn lines() -> Vec<ExportLine> {
        let now = chrono::DateTime::UNIX_EPOCH;
        let header = ExportHeader {
            format: FORMAT_NAME.to_owned(),
            version: FORMAT_VERSION,
            created_at: now,
            models: Vec::new(),
            counts: BTreeMap::from([("session".to_owned(), 1)]),
            origin: None,
            losses: vec!["nobody knows".to_owned()],
        };
        let session = Session {
            session_id: "monday".to_owned(),
            tenant_id: "acme".to_owned(),
            namespace: String::new(),
            user_id: String::new(),
            agent_id: String::new(),
            name: String::new(),
            kind: String::new(),
            participants: Vec::new(),
            metadata: Metadata::new(),
            created_at: now,
            expires_at: None,
        };
        vec![ExportLine::Header(header), ExportLine::Session(session)]
    }

    fn stream(last: Option<Error>) -> Lines {
        stream::iter(lines().into_iter().map(Ok).chain(last.map(Err))).boxed()
    }

    fn files(folder: &Path) -> std::io::Result<Vec<String>> {
        let names = std::fs::read_dir(folder)?;
        names.map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned())).collect()
    }

    #[tokio::test]
    async fn what_was_saved_is_opened() -> Done {
        let folder = tempfile::tempdir()?;
        let names: &[&str] = if cfg!(feature = "zstd") { &["a.jsonl", "a.jsonl.zst"] } else { &["a.jsonl"] };
        for name in names {
            let path = folder.path().join(name);
            let report = save(&path, stream(None)).await?;
            assert_eq!(report.exported, BTreeMap::from([("session".to_owned(), 1)]));
            assert_eq!(report.losses, ["nobody knows"]);
            let back: Vec<_> = open(&path).await?.try_collect().await?;
            assert_eq!(back, lines());
            let plain = std::fs::read(&path)?.starts_with(b"{");
            assert_eq!(plain, *name == "a.jsonl");
        }
        assert_eq!(files(folder.path())?.len(), names.len());
        Ok(())
    }

    #[tokio::test]
    async fn an_export_that_fails_leaves_the_older_file() -> Done {
        let folder = tempfile::tempdir()?;
        let path = folder.path().join("a.jsonl");
        std::fs::write(&path, "older")?;
        let failure = Error::new(ErrorKind::Unavailable, "gone");
        let error = save(&path, stream(Some(failure))).await.expect_err("the stream fails");
        assert_eq!(error.message(), "gone");
        assert_eq!(std::fs::read_to_string(&path)?, "older");
        assert_eq!(files(folder.path())?, ["a.jsonl"]);
        Ok(())
    }

    #[tokio::test]
    async fn an_export_replaces_no_database_and_no_device() -> Done {
        let folder = tempfile::tempdir()?;
        let path = folder.path().join("memory.db");
        let database = b"SQLite format 3\0 and its pages";
        std::fs::write(&path, database)?;
        let devices: &[&Path] = if cfg!(unix) { &[Path::new("/dev/null")] } else { &[] };
        for path in devices.iter().copied().chain([path.as_path()]) {
            let error = save(path, stream(None)).await.expect_err("no place for an export");
            assert_eq!(error.kind(), ErrorKind::InvalidInput);
            assert_eq!(error.fields()[0].field, "path");
            assert!(error.message().contains("is a database or no plain file"), "{error}");
        }
        assert_eq!(std::fs::read(&path)?, database);
        assert_eq!(files(folder.path())?, ["memory.db"]);
        Ok(())
    }

    #[tokio::test]
    async fn a_list_is_told_from_an_export_by_its_first_byte() -> Done {
        let read_all = |text: &'static str| async move {
            let lines: Vec<_> = read(text.as_bytes()).await?.try_collect().await?;
            Ok::<_, Error>(lines)
        };
        let lines = read_all(" \n []").await?;
        assert!(matches!(&lines[..], [ExportLine::Header(header)] if header.origin.is_some()));
        let error = read_all("PK").await.expect_err("no export");
        assert!(error.message().starts_with("line 1: "), "{error}");
        let error = read_all("").await.expect_err("nothing");
        assert!(error.message().contains("empty"), "{error}");
        Ok(())
    }

    #[tokio::test]
    async fn a_watcher_sees_every_line() -> Done {
        let (send, seen) = std::sync::mpsc::channel();
        let watched = watch(stream(None), move |step| {
            // The test listens as long as it runs.
            let _heard = send.send(step);
        });
        assert_eq!(watched.try_collect::<Vec<_>>().await?.len(), 2);
        let steps: Vec<_> = seen.iter().map(|step| (step.lines, step.kind, step.total)).collect();
        assert_eq!(steps, [(0, "header", Some(1)), (1, "session", Some(1))]);
        Ok(())
    }

    #[tokio::test]
    async fn a_path_that_cannot_be_used_is_named() -> Done {
        let folder = tempfile::tempdir()?;
        for path in [folder.path().join("absent"), folder.path().to_owned()] {
            let error = open(&path).await.err().ok_or("no file to read")?;
            assert_eq!(error.kind(), ErrorKind::InvalidInput);
        }
        for path in [folder.path().join("absent/a.jsonl"), folder.path().to_owned()] {
            let error = save(&path, stream(None)).await.expect_err("no place to write");
            assert_eq!(error.kind(), ErrorKind::InvalidInput);
            assert!(error.message().contains(&folder.path().display().to_string()), "{error}");
        }
        Ok(())
    }
}
