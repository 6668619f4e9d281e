//! The entries of a JSON list, found while its bytes arrive.

use std::mem;

/// Cuts a list into its entries. It looks at brackets, quotes and commas only; whether an entry is good
/// JSON is for its reader to say.
#[derive(Debug, Default)]
pub(super) struct Splitter {
    bytes: Vec<u8>,
    /// Where the entry begins; what stands before it is done with.
    start: usize,
    /// How far `bytes` were looked at.
    at: usize,
    state: State,
    /// Brackets open inside the entry.
    depth: usize,
    quoted: bool,
    escaped: bool,
    begun: bool,
    /// The last thing found was a comma.
    comma: bool,
}

#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum State {
    #[default]
    Before,
    Inside,
    After,
}

impl Splitter {
    pub(super) fn push(&mut self, chunk: &[u8]) {
        self.bytes.drain(..self.start);
        self.at -= self.start;
        self.start = 0;
        self.bytes.extend_from_slice(chunk);
    }

    /// Bytes of an entry that is not complete.
    pub(super) fn held(&self) -> usize {
        self.bytes.len() - self.start
    }

    /// Whether the list has ended.
    pub(super) fn is_complete(&self) -> bool {
        self.state == State::After
    }

    /// The next entry; none until more bytes are there.
    pub(super) fn next(&mut self) -> Result<Option<Vec<u8>>, &'static str> {
        while let Some(byte) = self.bytes.get(self.at).copied() {
            self.at += 1;
            match self.state {
                State::Before => self.open(byte)?,
                State::After if byte.is_ascii_whitespace() => self.forget(),
                State::After => return Err("something follows the list"),
                State::Inside => {
                    if let Some(entry) = self.look(byte)? {
                        return Ok(Some(entry));
                    }
                }
            }
        }
        Ok(None)
    }

    fn open(&mut self, byte: u8) -> Result<(), &'static str> {
        match byte {
            b'[' => self.state = State::Inside,
            byte if byte.is_ascii_whitespace() => {}
            _ => return Err("is in no JSON list"),
        }
        self.forget();
        Ok(())
    }

    fn look(&mut self, byte: u8) -> Result<Option<Vec<u8>>, &'static str> {
        if self.quoted {
            self.quoted = self.escaped || byte != b'"';
            self.escaped = !self.escaped && byte == b'\\';
            return Ok(None);
        }
        match byte {
            b',' | b']' if self.depth == 0 => return self.end(byte),
            byte if byte.is_ascii_whitespace() => {
                if !self.begun {
                    self.forget();
                }
                return Ok(None);
            }
            b'[' | b'{' if self.begun && self.depth == 0 => return Err("must be followed by a comma"),
            b'[' | b'{' => self.depth += 1,
            b']' | b'}' => self.depth = self.depth.saturating_sub(1),
            b'"' => self.quoted = true,
            _ => {}
        }
        self.begun = true;
        Ok(None)
    }

    /// An entry ends with a comma or with the list.
    fn end(&mut self, byte: u8) -> Result<Option<Vec<u8>>, &'static str> {
        let last = byte == b']';
        if !self.begun && (!last || self.comma) {
            return Err("is empty");
        }
        if last {
            self.state = State::After;
        }
        let entry = self.bytes[self.start..self.at - 1].to_vec();
        self.forget();
        self.comma = !last;
        Ok(mem::take(&mut self.begun).then_some(entry))
    }

    /// Is done with what was looked at.
    fn forget(&mut self) {
        self.start = self.at;
    }
}
