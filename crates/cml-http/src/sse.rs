//! Server-sent events, parsed as they arrive.
//!
//! <https://html.spec.whatwg.org/multipage/server-sent-events.html#parsing-an-event-stream>

use bytes::Bytes;
use cml_core::{BoxStream, Error, ErrorKind, Result, memory::MemoryItem};
use futures_util::{StreamExt as _, stream};

use crate::error;

/// What the type of such an answer holds.
pub(crate) const MEDIA_TYPE: &str = "event-stream";
/// Largest event, in bytes.
const MAX_EVENT_BYTES: usize = 16 << 20;

/// One event.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Event {
    /// Its type; empty for a plain message.
    pub(crate) name: String,
    /// Its data, lines joined by line feeds.
    pub(crate) data: String,
}

/// The events in `chunks`. An event that the end of the bytes cuts off is dropped; an error ends the
/// stream.
pub(crate) fn events(chunks: BoxStream<'static, Result<Bytes>>) -> BoxStream<'static, Result<Event>> {
    let state = Some((chunks, Parser::default()));
    stream::unfold(state, |state| async move {
        let (mut chunks, mut parser) = state?;
        loop {
            match parser.next() {
                Ok(Some(event)) => return Some((Ok(event), Some((chunks, parser)))),
                Ok(None) => {}
                Err(error) => return Some((Err(error), None)),
            }
            match chunks.next().await? {
                Ok(chunk) => parser.buffer.extend_from_slice(&chunk),
                Err(error) => return Some((Err(error), None)),
            }
        }
    })
    .boxed()
}

/// The items of a read, as `parse` reads them. The stream ends with `event: done`; without it, its last
/// item is an error.
pub(crate) fn items(
    events: BoxStream<'static, Result<Event>>,
    parse: fn(&str) -> serde_json::Result<MemoryItem>,
) -> BoxStream<'static, Result<MemoryItem>> {
    stream::unfold(Some(events), move |events| async move {
        let mut events = events?;
        let failed = |error: Error| Some((Err(error.with_operation("read_stream")), None));
        loop {
            let event = match events.next().await {
                Some(Ok(event)) => event,
                Some(Err(error)) => return failed(error),
                None => {
                    let error = Error::new(ErrorKind::Unavailable, "the answer was cut off before its end");
                    return failed(error);
                }
            };
            match event.name.as_str() {
                "done" => return None,
                "error" => return failed(error::told_by_stream(&event.data)),
                "" | "message" => match parse(&event.data) {
                    Ok(item) => return Some((Ok(item), Some(events))),
                    Err(error) => {
                        let message = "the server sent an item that is none";
                        return failed(Error::new(ErrorKind::Internal, message).with_source(error));
                    }
                },
                // A later version may tell more.
                _ => {}
            }
        }
    })
    .boxed()
}

#[derive(Debug, Default)]
struct Parser {
    buffer: Vec<u8>,
    /// Start of what is not parsed yet.
    start: usize,
    /// Up to where no line ends.
    searched: usize,
    event: Event,
    has_data: bool,
}

impl Parser {
    /// The next whole event of the buffer.
    fn next(&mut self) -> Result<Option<Event>> {
        while let Some(line) = self.line() {
            if line.is_empty() {
                let event = std::mem::take(&mut self.event);
                if std::mem::take(&mut self.has_data) {
                    return Ok(Some(event));
                }
                continue;
            }
            let line = String::from_utf8_lossy(&line);
            let (field, value) = line.split_once(':').unwrap_or((&line, ""));
            let value = value.strip_prefix(' ').unwrap_or(value);
            match field {
                "event" => value.clone_into(&mut self.event.name),
                "data" => {
                    if self.has_data {
                        self.event.data.push('\n');
                    }
                    self.has_data = true;
                    self.event.data.push_str(value);
                }
                _ => {}
            }
        }
        if self.buffer.len() - self.start + self.event.data.len() > MAX_EVENT_BYTES {
            return Err(Error::new(ErrorKind::Internal, "the server sent an event that is too large"));
        }
        Ok(None)
    }

    /// The next line, without its end: CR LF, LF or CR.
    fn line(&mut self) -> Option<Vec<u8>> {
        let from = self.searched.max(self.start);
        let Some(found) = self.buffer[from..].iter().position(|byte| matches!(byte, b'\n' | b'\r')) else {
            self.buffer.drain(..self.start);
            self.start = 0;
            self.searched = self.buffer.len();
            return None;
        };
        let end = from + found;
        // A CR at the end of the buffer may be half of a line end.
        if self.buffer[end] == b'\r' && end + 1 == self.buffer.len() {
            self.searched = end;
            return None;
        }
        let line = self.buffer[self.start..end].to_vec();
        let pair = self.buffer[end] == b'\r' && self.buffer[end + 1] == b'\n';
        self.start = end + 1 + usize::from(pair);
        Some(line)
    }
}

#[cfg(test)]
mod tests {
    use futures_util::{FutureExt as _, TryStreamExt as _};

    use super::*;

    fn parse(text: &str, chunk: usize) -> Result<Vec<Event>> {
        let chunks: Vec<_> =
            text.as_bytes().chunks(chunk).map(|bytes| Ok(Bytes::copy_from_slice(bytes))).collect();
        events(stream::iter(chunks).boxed()).try_collect().now_or_never().expect("nothing to wait for")
    }

    fn event(name: &str, data: &str) -> Event {
        Event { name: name.to_owned(), data: data.to_owned() }
    }

    #[test]
    fn events_are_the_same_however_the_bytes_are_cut() -> Result<()> {
        let text =
            ": hello\n\ndata: {\"a\":1}\n\nevent: done\r\ndata: x\r\ndata:é\r\n\r\nid: 7\rdata: z\r\r: end\n";
        let expected = [event("", "{\"a\":1}"), event("done", "x\né"), event("", "z")];
        for chunk in [1, 2, 3, 7, 1000] {
            assert_eq!(parse(text, chunk)?, expected, "chunks of {chunk}");
        }
        Ok(())
    }

    #[test]
    fn an_event_without_its_empty_line_is_dropped() -> Result<()> {
        assert_eq!(parse("data: 1\n\ndata: 2\n", 5)?, [event("", "1")]);
        assert_eq!(parse("event: done\n\n", 5)?, []);
        Ok(())
    }

    #[test]
    fn an_endless_event_is_refused() {
        let text = format!("data: {}", "x".repeat(MAX_EVENT_BYTES));
        assert!(parse(&text, 1 << 20).is_err());
    }
}
