//! Rows kept on disk until a stream has ended without an error.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, BufRead as _, BufReader, BufWriter, Seek as _, Write as _},
    path::PathBuf,
};

use cml_core::{Error, ErrorKind, Result};
use serde::{Serialize, de::DeserializeOwned};

/// A file of rows that nobody else can read and that ends with its owner.
#[derive(Debug)]
pub(crate) struct Spool {
    file: BufWriter<File>,
    path: PathBuf,
}

impl Spool {
    /// # Errors
    /// `Unavailable` when the folder for temporary files takes none.
    pub(crate) fn new() -> Result<Self> {
        let path = std::env::temp_dir().join(format!("cml-{}.ndjson", uuid::Uuid::new_v4()));
        let mut options = OpenOptions::new();
        options.read(true).write(true).create_new(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let file = options.open(&path).map_err(failed)?;
        Ok(Self { file: BufWriter::new(file), path })
    }

    /// Appends a row.
    pub(crate) fn push(&mut self, row: &impl Serialize) -> Result<()> {
        serde_json::to_writer(&mut self.file, row).map_err(|error| failed(error.into()))?;
        self.file.write_all(b"\n").map_err(failed)
    }

    /// The rows in the order in which they were pushed.
    pub(crate) fn rows<T: DeserializeOwned>(&mut self) -> Result<impl Iterator<Item = Result<T>>> {
        self.file.flush().map_err(failed)?;
        let mut file = self.file.get_ref().try_clone().map_err(failed)?;
        file.rewind().map_err(failed)?;
        Ok(BufReader::new(file).lines().map(|line| {
            let line = line.map_err(failed)?;
            serde_json::from_str(&line).map_err(|error| failed(error.into()))
        }))
    }
}

impl Drop for Spool {
    fn drop(&mut self) {
        if let Err(error) = fs::remove_file(&self.path) {
            tracing::warn!(%error, "a temporary file could not be removed");
        }
    }
}

fn failed(error: io::Error) -> Error {
    Error::new(ErrorKind::Unavailable, "rows cannot be kept in a temporary file")
        .with_suggestion("is there space left in the folder for temporary files?")
        .with_source(error)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_come_back_in_order_and_the_file_goes() -> Result<()> {
        let mut spool = Spool::new()?;
        let path = spool.path.clone();
        for row in ["a\nb", "", "c"] {
            spool.push(&row)?;
        }
        let rows: Vec<String> = spool.rows()?.collect::<Result<_>>()?;
        assert_eq!(rows, ["a\nb", "", "c"]);
        drop(spool);
        assert!(!path.exists());
        Ok(())
    }
}
