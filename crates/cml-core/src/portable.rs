//! The portable format as bytes: one JSON object a line, a header first, a trailer last.
//!
//! Between backends an export is a stream of [`ExportLine`] that begins with its header and has no
//! trailer: it is complete when it ends without an error. Files and HTTP bodies carry the trailer, which
//! counts the objects and holds the SHA-256 of every byte before it, so that a cut or edited file is
//! noticed before anything of it is stored.

pub mod original;
mod split;

use std::{collections::BTreeMap, mem};

use futures_util::{StreamExt as _, stream, stream::BoxStream};
use serde_json::Value;
use sha2::{Digest as _, Sha256};

use crate::{
    Error, Result,
    ops::{ExportLine, ExportTrailer, FORMAT_NAME, FORMAT_VERSION},
};

/// Longest line that is read, in bytes.
pub const MAX_LINE_BYTES: usize = 4 << 20;

/// Bytes that [`encode`] gathers before it hands them on.
const CHUNK_BYTES: usize = 64 << 10;

/// Lines to bytes, with the trailer at the end.
#[must_use]
pub fn encode(lines: BoxStream<'static, Result<ExportLine>>) -> BoxStream<'static, Result<Vec<u8>>> {
    let state = Some((lines, Encoder::default()));
    stream::unfold(state, |state| async move {
        let (mut lines, mut encoder) = state?;
        let mut chunk = Vec::new();
        while chunk.len() < CHUNK_BYTES {
            match lines.next().await {
                Some(line) => match line.and_then(|line| encoder.push(&line, &mut chunk)) {
                    Ok(()) => {}
                    Err(error) => return Some((Err(error), None)),
                },
                None => {
                    let ended = encoder.finish(&mut chunk).map(|()| chunk);
                    return Some((ended, None));
                }
            }
        }
        Some((Ok(chunk), Some((lines, encoder))))
    })
    .fuse()
    .boxed()
}

/// Bytes to lines, without the trailer.
///
/// # Errors
/// The stream's last item is `InvalidInput` naming the line where the bytes are no export, are from a
/// newer version, hold an unknown kind, are cut, or differ from what the trailer says; an error of
/// `chunks` is passed on.
#[must_use]
pub fn decode(chunks: BoxStream<'static, Result<Vec<u8>>>) -> BoxStream<'static, Result<ExportLine>> {
    let state = Some((chunks, Decoder::default(), Lines::default()));
    stream::unfold(state, |state| async move {
        let (mut chunks, mut decoder, mut lines) = state?;
        loop {
            while let Some(line) = lines.next() {
                match decoder.push(line) {
                    Ok(Some(line)) => return Some((Ok(line), Some((chunks, decoder, lines)))),
                    Ok(None) => {}
                    Err(error) => return Some((Err(error), None)),
                }
            }
            if lines.rest().len() > MAX_LINE_BYTES {
                return Some((Err(decoder.push(lines.rest()).err()?), None));
            }
            match chunks.next().await {
                Some(Ok(chunk)) => lines.push(&chunk),
                Some(Err(error)) => return Some((Err(error), None)),
                None => {
                    let rest = lines.rest();
                    let last = if rest.is_empty() { Ok(()) } else { decoder.push(rest).map(drop) };
                    let ended = last.and_then(|()| decoder.finish());
                    return ended.err().map(|error| (Err(error), None));
                }
            }
        }
    })
    .fuse()
    .boxed()
}

/// Bytes that arrive in chunks, cut at their line feeds.
#[derive(Debug, Default)]
struct Lines {
    bytes: Vec<u8>,
    /// Where the next line begins; what stands before it is done with.
    start: usize,
    /// How far `bytes` were looked at.
    at: usize,
}

impl Lines {
    fn push(&mut self, chunk: &[u8]) {
        self.bytes.drain(..self.start);
        self.at -= self.start;
        self.start = 0;
        self.bytes.extend_from_slice(chunk);
    }

    /// The next line with its line feed; none until more bytes are there.
    fn next(&mut self) -> Option<&[u8]> {
        let found = self.bytes[self.at..].iter().position(|byte| *byte == b'\n');
        self.at = found.map_or(self.bytes.len(), |offset| self.at + offset + 1);
        found?;
        let start = mem::replace(&mut self.start, self.at);
        Some(&self.bytes[start..self.at])
    }

    /// Bytes of a line that is not complete.
    fn rest(&self) -> &[u8] {
        &self.bytes[self.start..]
    }
}

/// What the trailer tells, counted line by line.
#[derive(Debug, Default)]
struct Tally {
    counts: BTreeMap<String, u64>,
    hash: Sha256,
}

impl Tally {
    fn add(&mut self, line: &ExportLine, bytes: &[u8]) {
        if !matches!(line, ExportLine::Header(_)) {
            *self.counts.entry(line.kind().to_owned()).or_default() += 1;
        }
        self.hash.update(bytes);
    }

    fn trailer(&self) -> ExportTrailer {
        let digest = self.hash.clone().finalize();
        let sha256 = digest.iter().map(|byte| format!("{byte:02x}")).collect();
        ExportTrailer { counts: self.counts.clone(), sha256 }
    }
}

#[derive(Debug, Default)]
struct Encoder {
    tally: Tally,
}

impl Encoder {
    fn push(&mut self, line: &ExportLine, chunk: &mut Vec<u8>) -> Result<()> {
        let start = chunk.len();
        write(line, chunk)?;
        self.tally.add(line, &chunk[start..]);
        Ok(())
    }

    fn finish(&self, chunk: &mut Vec<u8>) -> Result<()> {
        write(&ExportLine::Trailer(self.tally.trailer()), chunk)
    }
}

fn write(line: &ExportLine, chunk: &mut Vec<u8>) -> Result<()> {
    serde_json::to_writer(&mut *chunk, line).map_err(|error| {
        Error::new(crate::ErrorKind::Internal, "a row cannot be written as JSON").with_source(error)
    })?;
    chunk.push(b'\n');
    Ok(())
}

#[derive(Debug, Default)]
struct Decoder {
    tally: Tally,
    /// Lines taken so far.
    taken: u64,
    ended: bool,
}

impl Decoder {
    /// Takes a line with its line feed; the trailer and empty lines give none.
    fn push(&mut self, bytes: &[u8]) -> Result<Option<ExportLine>> {
        self.taken += 1;
        if bytes.len() > MAX_LINE_BYTES {
            return Err(self.broken("is too long"));
        }
        if bytes.iter().all(u8::is_ascii_whitespace) {
            self.tally.hash.update(bytes);
            return Ok(None);
        }
        if self.ended {
            return Err(self.broken("comes after the trailer"));
        }
        let value: Value = serde_json::from_slice(bytes).map_err(|error| {
            let what = if self.taken == 1 { "is no line of a cml export" } else { "is no JSON" };
            self.broken(what).with_source(error)
        })?;
        let kind = value.get("kind").and_then(Value::as_str).unwrap_or_default().to_owned();
        if (self.taken == 1) != (kind == "header") {
            return Err(self.broken("must be the header if, and only if, it is the first line"));
        }
        if kind == "header" {
            self.check_header(&value["value"])?;
        }
        if !ExportLine::KINDS.contains(&kind.as_str()) {
            return Err(self.broken(&format!("has the unknown kind \"{kind}\"")));
        }
        let line: ExportLine = serde_json::from_value(value)
            .map_err(|error| self.broken(&format!("is no valid {kind}: {error}")))?;
        if let ExportLine::Trailer(trailer) = &line {
            let own = self.tally.trailer();
            if trailer.counts != own.counts {
                return Err(self.broken("counts other objects than the file holds"));
            }
            if trailer.sha256 != own.sha256 {
                return Err(self.broken("holds another SHA-256 than that of the lines before it"));
            }
            self.ended = true;
            return Ok(None);
        }
        self.tally.add(&line, bytes);
        Ok(Some(line))
    }

    fn check_header(&self, header: &Value) -> Result<()> {
        if header["format"] != FORMAT_NAME {
            return Err(self.broken(&format!("is no header of the format {FORMAT_NAME}")));
        }
        match header["version"].as_u64() {
            Some(version) if version <= u64::from(FORMAT_VERSION) => Ok(()),
            version => Err(self
                .broken(&format!(
                    "is from version {} of the format, this program reads up to {FORMAT_VERSION}",
                    version.map_or_else(|| "?".to_owned(), |version| version.to_string())
                ))
                .with_suggestion("import it with a newer program")),
        }
    }

    fn finish(&self) -> Result<()> {
        if self.ended {
            return Ok(());
        }
        let what =
            if self.taken == 0 { "the file is empty" } else { "the file is cut: its trailer is missing" };
        Err(Error::invalid(format!("line {}", self.taken + 1), what)
            .with_suggestion("nothing was imported; export again"))
    }

    fn broken(&self, what: &str) -> Error {
        Error::invalid(format!("line {}", self.taken.max(1)), what)
    }
}

#[cfg(test)]
mod tests {
    use chrono::DateTime;
    use futures_executor::block_on;
    use futures_util::TryStreamExt as _;

    use super::*;
    use crate::{
        memory::{Metadata, Session},
        ops::ExportHeader,
    };

    fn lines() -> Vec<ExportLine> {
        let header = ExportHeader {
            format: FORMAT_NAME.to_owned(),
            version: FORMAT_VERSION,
            created_at: DateTime::UNIX_EPOCH,
            models: Vec::new(),
            counts: BTreeMap::from([("session".to_owned(), 2)]),
            origin: None,
            losses: Vec::new(),
        };
        let session = |id: &str| Session {
            session_id: id.to_owned(),
            tenant_id: "acme".to_owned(),
            namespace: String::new(),
            user_id: String::new(),
            agent_id: String::new(),
            name: String::new(),
            kind: String::new(),
            participants: Vec::new(),
            metadata: Metadata::new(),
            created_at: DateTime::UNIX_EPOCH,
            expires_at: None,
        };
        vec![
            ExportLine::Header(header),
            ExportLine::Session(session("monday")),
            ExportLine::Session(session("tuesday")),
        ]
    }

    fn bytes() -> Vec<u8> {
        let lines = stream::iter(lines().into_iter().map(Ok)).boxed();
        block_on(encode(lines).try_concat()).expect("valid lines")
    }

    fn read(bytes: &[u8], chunk: usize) -> Result<Vec<ExportLine>> {
        let chunks: Vec<_> = bytes.chunks(chunk).map(|chunk| Ok(chunk.to_vec())).collect();
        block_on(decode(stream::iter(chunks).boxed()).try_collect())
    }

    fn fault(bytes: &[u8]) -> String {
        read(bytes, 7).expect_err("a broken file").to_string()
    }

    #[test]
    fn what_was_encoded_is_decoded_however_it_is_cut_into_chunks() -> Result<()> {
        for chunk in [1, 7, 100_000] {
            assert_eq!(read(&bytes(), chunk)?, lines());
        }
        Ok(())
    }

    #[test]
    fn a_stream_that_ended_may_be_asked_again() {
        let mut chunks = encode(stream::iter(lines().into_iter().map(Ok)).boxed());
        while block_on(chunks.next()).is_some() {}
        assert!(block_on(chunks.next()).is_none());
        let mut lines = decode(stream::iter([Ok(bytes())]).boxed());
        while block_on(lines.next()).is_some() {}
        assert!(block_on(lines.next()).is_none());
    }

    #[test]
    fn a_line_that_is_too_long_is_refused_before_it_has_ended() -> Result<()> {
        let long = [bytes(), vec![b' '; MAX_LINE_BYTES + 1]].concat();
        for bytes in [long.clone(), [long, b"\n".to_vec()].concat()] {
            let error = read(&bytes, 1 << 16).expect_err("a long line").to_string();
            assert!(error.starts_with("line 5: is too long"), "{error}");
        }
        let blank = [bytes(), vec![b' '; MAX_LINE_BYTES]].concat();
        assert_eq!(read(&blank, 1 << 16)?, lines());
        Ok(())
    }

    #[test]
    fn a_broken_file_names_its_line() {
        let text = String::from_utf8(bytes()).expect("JSON");
        let rows: Vec<_> = text.lines().collect();
        let cut = rows[..3].join("\n");
        for (bytes, expected) in [
            (String::new(), "line 1: the file is empty"),
            ("PK\u{3}\u{4}".to_owned(), "line 1: is no line of a cml export"),
            (rows[1..].join("\n"), "line 1: must be the header"),
            (cut.clone(), "line 4: the file is cut"),
            (cut + "\n{\"kind\":\"sess", "line 4: is no JSON"),
            (text.replace("monday", "Monday"), "line 4: holds another SHA-256"),
            ([rows[0], rows[1], rows[3]].join("\n"), "line 3: counts other objects"),
            (text.replace("\"version\":1", "\"version\":9"), "line 1: is from version 9"),
            (text.replace("cml-export", "other"), "line 1: is no header"),
            (
                text.replacen("\"kind\":\"session\"", "\"kind\":\"dream\"", 1),
                "line 2: has the unknown kind \"dream\"",
            ),
            (format!("{text}{text}"), "line 5: comes after the trailer"),
        ] {
            let fault = fault(bytes.as_bytes());
            assert!(fault.starts_with(expected), "{fault}");
        }
    }
}
