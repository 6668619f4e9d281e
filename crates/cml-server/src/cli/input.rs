//! Texts from arguments and standard input.

use std::io::{self, IsTerminal as _};

use cml::{Error, ErrorKind, Result};
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, BufReader, Stdin};

/// `argument`, or all of standard input where it is `-` or missing.
///
/// # Errors
/// `InvalidInput` naming `field` for bytes that are no UTF-8, and for a missing argument where nothing
/// is piped in.
pub(crate) async fn text(field: &'static str, argument: Option<String>) -> Result<String> {
    match argument {
        Some(text) if text != "-" => Ok(text),
        None if io::stdin().is_terminal() => {
            Err(Error::invalid(field, "is missing").with_suggestion("give it as an argument, or pipe it in"))
        }
        _ => {
            let mut bytes = Vec::new();
            tokio::io::stdin().read_to_end(&mut bytes).await.map_err(unreadable)?;
            utf8(field, bytes)
        }
    }
}

/// The lines of standard input.
pub(crate) struct Lines(BufReader<Stdin>, u64);

impl Lines {
    pub(crate) fn new() -> Self {
        Self(BufReader::new(tokio::io::stdin()), 0)
    }

    /// The next line that is not empty, with its number from 1.
    pub(crate) async fn next(&mut self) -> Result<Option<(u64, Vec<u8>)>> {
        loop {
            let mut line = Vec::new();
            if self.0.read_until(b'\n', &mut line).await.map_err(unreadable)? == 0 {
                return Ok(None);
            }
            self.1 += 1;
            if !line.trim_ascii().is_empty() {
                return Ok(Some((self.1, line)));
            }
        }
    }
}

/// `bytes` as text.
///
/// # Errors
/// `InvalidInput` naming `field` and the first byte that is no UTF-8.
pub(crate) fn utf8(field: &str, bytes: Vec<u8>) -> Result<String> {
    String::from_utf8(bytes).map_err(|error| {
        let at = error.utf8_error().valid_up_to() + 1;
        Error::invalid(field, format!("must be UTF-8, which byte {at} is not"))
            .with_suggestion("convert it first, for example with iconv")
    })
}

fn unreadable(error: io::Error) -> Error {
    Error::new(ErrorKind::Unavailable, "standard input cannot be read").with_source(error)
}
