//! Bytes from and to files.

use std::{
    io::{self, Read as _},
    path::{Path, PathBuf},
    process,
    sync::atomic::{AtomicU64, Ordering},
};

use cml_core::{BoxStream, Error, ErrorKind, Result};
use futures_util::{StreamExt as _, stream};
use tokio::{
    fs::{self, File, OpenOptions},
    io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _},
};

use super::compress::{self, Reader};

/// Bytes of one read.
const CHUNK_BYTES: usize = 64 << 10;
/// First bytes of every SQLite database, <https://www.sqlite.org/fileformat.html>.
const SQLITE: &[u8] = b"SQLite format 3\0";

type Chunks = BoxStream<'static, Result<Vec<u8>>>;

pub(super) async fn open(path: &Path) -> Result<Reader> {
    let failed = |error: io::Error| at_path(path, "cannot be read", error);
    let file = File::open(path).await.map_err(failed)?;
    if file.metadata().await.map_err(failed)?.is_dir() {
        return Err(Error::invalid("path", format!("{} is a folder", path.display())));
    }
    compress::reader(path, file)
}

/// Everything that `reader` gives, and its first byte that is no white space.
pub(super) async fn chunks(
    mut reader: impl AsyncRead + Send + Unpin + 'static,
) -> Result<(Option<u8>, Chunks)> {
    let mut begin = Vec::new();
    let first = loop {
        let chunk = chunk(&mut reader).await?;
        let first = chunk.iter().copied().find(|byte| !byte.is_ascii_whitespace());
        let ended = chunk.is_empty();
        begin.extend(chunk);
        if first.is_some() || ended || begin.len() > CHUNK_BYTES {
            break first;
        }
    };
    let rest = stream::unfold(Some(reader), |reader| async move {
        let mut reader = reader?;
        match chunk(&mut reader).await {
            Ok(chunk) if chunk.is_empty() => None,
            Ok(chunk) => Some((Ok(chunk), Some(reader))),
            Err(error) => Some((Err(error), None)),
        }
    });
    Ok((first, stream::iter([Ok(begin)]).chain(rest).fuse().boxed()))
}

/// The next bytes; none at the end.
async fn chunk(reader: &mut (impl AsyncRead + Unpin)) -> Result<Vec<u8>> {
    let mut chunk = vec![0; CHUNK_BYTES];
    let read = reader.read(&mut chunk).await.map_err(|error| match error.kind() {
        io::ErrorKind::InvalidData | io::ErrorKind::UnexpectedEof | io::ErrorKind::Other => {
            Error::invalid("file", "is no complete zstd file").with_source(error)
        }
        _ => Error::new(ErrorKind::Unavailable, "the file cannot be read").with_source(error),
    })?;
    chunk.truncate(read);
    Ok(chunk)
}

/// Writes a file that stands under its name when it is complete, and not before.
pub(super) async fn save(path: &Path, chunks: Chunks) -> Result<()> {
    let mut temporary = Temporary::beside(path)?;
    let failed = |error: io::Error| at_path(path, "cannot be written", error);
    let file = temporary.create().await.map_err(failed)?;
    let handle = file.try_clone().await.map_err(failed)?;
    write(compress::writer(path, file)?, chunks).await?;
    handle.sync_all().await.map_err(failed)?;
    fs::rename(&temporary.path, path).await.map_err(failed)?;
    temporary.exists = false;
    Ok(())
}

pub(super) async fn write(mut writer: impl AsyncWrite + Send + Unpin, mut chunks: Chunks) -> Result<()> {
    let failed = |error: io::Error| {
        let message = match error.kind() {
            io::ErrorKind::StorageFull => "the disk is full",
            io::ErrorKind::BrokenPipe => "nobody reads the export any more",
            _ => "the export cannot be written",
        };
        Error::new(ErrorKind::Unavailable, message).with_source(error)
    };
    while let Some(chunk) = chunks.next().await {
        writer.write_all(&chunk?).await.map_err(failed)?;
    }
    writer.shutdown().await.map_err(failed)
}

/// A file that is removed unless it was renamed.
struct Temporary {
    path: PathBuf,
    exists: bool,
}

impl Temporary {
    fn beside(path: &Path) -> Result<Self> {
        static NUMBER: AtomicU64 = AtomicU64::new(0);
        let Some(name) = path.file_name() else {
            return Err(Error::invalid("path", format!("{} names no file", path.display())));
        };
        if path.is_dir() {
            return Err(Error::invalid("path", format!("{} is a folder", path.display())));
        }
        if !may_be_replaced(path).map_err(|error| at_path(path, "cannot be looked at", error))? {
            let message = format!("{} is a database or no plain file; name another", path.display());
            return Err(Error::invalid("path", message));
        }
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let mut hidden = std::ffi::OsString::from(".");
        hidden.push(name);
        hidden.push(format!(".{}-{number}.part", process::id()));
        Ok(Self { path: path.with_file_name(hidden), exists: false })
    }

    async fn create(&mut self) -> io::Result<File> {
        let mut options = OpenOptions::new();
        options.write(true).create(true).truncate(true);
        // An export holds everything that somebody said.
        #[cfg(unix)]
        options.mode(0o600);
        let file = options.open(&self.path).await?;
        self.exists = true;
        Ok(file)
    }
}

impl Drop for Temporary {
    fn drop(&mut self) {
        if self.exists {
            // What is left over is named as a part and harms nobody.
            let _left_over = std::fs::remove_file(&self.path);
        }
    }
}

/// Whether an export may take the place of what stands at `path`: nothing, or a plain file that is no
/// database.
fn may_be_replaced(path: &Path) -> io::Result<bool> {
    match std::fs::metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(true),
        Err(error) => return Err(error),
        // Opening anything else could wait for ever.
        Ok(found) if !found.is_file() => return Ok(false),
        Ok(_) => {}
    }
    let mut begin = Vec::new();
    std::fs::File::open(path)?.take(SQLITE.len() as u64).read_to_end(&mut begin)?;
    Ok(begin != SQLITE)
}

fn at_path(path: &Path, what: &str, error: io::Error) -> Error {
    let kind = match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::ResourceBusy => ErrorKind::Unavailable,
        _ => ErrorKind::InvalidInput,
    };
    let message = format!("{} {what}: {}", path.display(), reason(&error));
    match kind {
        ErrorKind::InvalidInput => Error::invalid("path", message),
        kind => Error::new(kind, message),
    }
    .with_source(error)
}

fn reason(error: &io::Error) -> &'static str {
    match error.kind() {
        io::ErrorKind::NotFound => "there is no such file or folder",
        io::ErrorKind::PermissionDenied => "it is not allowed",
        io::ErrorKind::StorageFull => "the disk is full",
        io::ErrorKind::ReadOnlyFilesystem => "the file system is read-only",
        _ => "the system refused it",
    }
}
