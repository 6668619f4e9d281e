//! Files whose name ends in `.zst` are compressed with zstd.

use std::path::Path;

use cml_core::Result;
use tokio::{
    fs::File,
    io::{AsyncRead, AsyncWrite, BufReader, BufWriter},
};

/// Where an export is read from.
pub(super) type Reader = Box<dyn AsyncRead + Send + Unpin>;
/// Where an export is written to.
pub(super) type Writer = Box<dyn AsyncWrite + Send + Unpin>;

pub(super) fn is_compressed(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension == "zst")
}

/// Reads `file` as its name says.
pub(super) fn reader(path: &Path, file: File) -> Result<Reader> {
    let file = BufReader::new(file);
    if is_compressed(path) { decompress(file) } else { Ok(Box::new(file)) }
}

/// Writes `file` as the name `path` says.
pub(super) fn writer(path: &Path, file: File) -> Result<Writer> {
    let file = BufWriter::new(file);
    if is_compressed(path) { compress(file) } else { Ok(Box::new(file)) }
}

#[cfg(feature = "zstd")]
fn decompress(file: BufReader<File>) -> Result<Reader> {
    let mut decoder = async_compression::tokio::bufread::ZstdDecoder::new(file);
    decoder.multiple_members(true);
    Ok(Box::new(decoder))
}

#[cfg(feature = "zstd")]
fn compress(file: BufWriter<File>) -> Result<Writer> {
    Ok(Box::new(async_compression::tokio::write::ZstdEncoder::new(file)))
}

#[cfg(not(feature = "zstd"))]
fn decompress(_file: BufReader<File>) -> Result<Reader> {
    Err(not_compiled())
}

#[cfg(not(feature = "zstd"))]
fn compress(_file: BufWriter<File>) -> Result<Writer> {
    Err(not_compiled())
}

#[cfg(not(feature = "zstd"))]
fn not_compiled() -> cml_core::Error {
    cml_core::Error::unsupported("a file compressed with zstd", "enable the cargo feature `zstd`")
}
