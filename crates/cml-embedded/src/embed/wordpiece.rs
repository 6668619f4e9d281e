//! Text to WordPiece ids, as BERT's uncased tokenizer does it.

use rustc_hash::FxHashMap;
use unicode_normalization::UnicodeNormalization;

mod tables;

/// Longer words, in characters after normalisation, become the unknown piece as a whole.
const MAX_WORD_CHARS: usize = 100;

/// Bytes that [`MAX_WORD_CHARS`] characters take at most.
const MAX_WORD_BYTES: usize = MAX_WORD_CHARS * 4;

/// A WordPiece vocabulary and the tokenizer over it.
///
/// Text is cleaned of control characters, decomposed, stripped of accents and lower-cased, and split at
/// white space, punctuation and CJK ideographs. Each word is then the fewest pieces that a greedy search for the
/// longest match finds from left to right, or one unknown piece where that search fails.
///
/// The ids are those of Hugging Face `tokenizers` with the files of `bert-base-uncased`, without special
/// tokens and without truncation. One thing differs: a special token spelled out in the text, such as
/// `[SEP]`, is ordinary text.
///
/// Wu et al. (2016), "Google's Neural Machine Translation System", section 4.1; Devlin et al. (2019).
#[derive(Clone)]
pub struct WordPiece {
    /// Pieces that begin a word.
    initial: Pieces,
    /// Pieces that continue a word, without their `##`.
    inner: Pieces,
    unknown: u32,
    len: usize,
}

impl WordPiece {
    /// Reads a vocabulary: one piece per line, whose id is the line's number counted from 0.
    ///
    /// # Errors
    ///
    /// [`VocabularyError`] when the vocabulary has no `[UNK]`, holds a piece twice, or has more than
    /// `u32::MAX` pieces.
    pub fn new(vocab: &str) -> Result<Self, VocabularyError> {
        let mut initial = Pieces::default();
        let mut inner = Pieces::default();
        let mut len = 0;
        initial.ids.reserve(vocab.len() / 8);
        for line in vocab.lines() {
            let id = u32::try_from(len).map_err(|_too_many| VocabularyError::TooLong)?;
            let fresh = match line.strip_prefix("##") {
                Some(rest) if !rest.is_empty() => inner.insert(rest, id),
                _ => initial.insert(line, id),
            };
            if !fresh {
                return Err(VocabularyError::Duplicate { line: len + 1 });
            }
            len += 1;
        }
        let unknown = initial.get(b"[UNK]").ok_or(VocabularyError::NoUnknown)?;
        Ok(Self { initial, inner, unknown, len })
    }

    /// The ids of a text's pieces, in the order of the text.
    #[must_use]
    pub fn encode(&self, text: &str) -> Vec<u32> {
        let mut ids = Vec::with_capacity(text.len() / 4 + 1);
        self.for_each(text, |id| ids.push(id));
        ids
    }

    /// Number of a text's pieces, unknown ones included.
    #[must_use]
    pub fn count(&self, text: &str) -> usize {
        let mut count = 0;
        self.for_each(text, |_| count += 1);
        count
    }

    /// Calls `emit` with the id of each piece, in the order of the text, without allocating for ASCII text.
    pub fn for_each(&self, text: &str, mut emit: impl FnMut(u32)) {
        let bytes = text.as_bytes();
        let mut word = Word::default();
        let mut at = 0;
        while let Some(&byte) = bytes.get(at) {
            at += 1;
            match byte {
                b'a'..=b'z' | b'0'..=b'9' => word.push_byte(byte),
                b'A'..=b'Z' => word.push_byte(byte.to_ascii_lowercase()),
                b' ' | b'\t' | b'\n' | b'\r' => self.finish(&mut word, &mut emit),
                b'!'..=b'~' => self.isolate(byte.into(), &mut word, &mut emit),
                0x80.. => {
                    let start = at - 1;
                    at = start + foreign_len(&bytes[start..]);
                    self.split_foreign(&text[start..at], &mut word, &mut emit);
                }
                _ => debug_assert!(is_dropped(byte.into())),
            }
        }
        self.finish(&mut word, &mut emit);
    }

    /// The id that stands for words the vocabulary cannot spell.
    #[must_use]
    pub fn unknown(&self) -> u32 {
        self.unknown
    }

    /// Number of pieces in the vocabulary.
    #[must_use]
    #[expect(clippy::len_without_is_empty, reason = "a vocabulary holds at least the unknown piece")]
    pub fn len(&self) -> usize {
        self.len
    }

    /// The pieces that begin a word, with their ids, in no particular order.
    pub fn initial_pieces(&self) -> impl Iterator<Item = (&str, u32)> {
        self.initial.ids.iter().filter_map(|(piece, &id)| Some((str::from_utf8(piece).ok()?, id)))
    }

    /// Splits a run that begins outside ASCII.
    ///
    /// Decomposition orders marks across a whole run, so the run is normalised as one.
    fn split_foreign(&self, run: &str, word: &mut Word, emit: &mut impl FnMut(u32)) {
        let letters = run
            .chars()
            .filter(|&c| !is_dropped(c))
            .nfd()
            .filter(|&c| !tables::contains(tables::MARKS, c))
            .flat_map(char::to_lowercase);
        for c in letters {
            if c.is_whitespace() {
                self.finish(word, emit);
            } else if is_ideograph(c) || is_punctuation(c) {
                self.isolate(c, word, emit);
            } else {
                word.push(c);
            }
        }
    }

    /// Ends the current word and emits `c` as a word of its own.
    fn isolate(&self, c: char, word: &mut Word, emit: &mut impl FnMut(u32)) {
        self.finish(word, emit);
        word.push(c);
        self.finish(word, emit);
    }

    /// Emits the current word's pieces and starts a new word.
    fn finish(&self, word: &mut Word, emit: &mut impl FnMut(u32)) {
        if word.chars == 0 {
            return;
        }
        match word.bytes() {
            Some(bytes) => match self.initial.get(bytes) {
                Some(id) => emit(id),
                None => self.split_word(bytes, emit),
            },
            None => emit(self.unknown),
        }
        word.clear();
    }

    /// Emits a word that is not a piece itself.
    fn split_word(&self, word: &[u8], emit: &mut impl FnMut(u32)) {
        // Pieces wait here because a failure further on turns the whole word unknown.
        let mut found = [0; MAX_WORD_CHARS];
        let mut count = 0;
        let mut rest = word;
        while !rest.is_empty() {
            let pieces = if count == 0 { &self.initial } else { &self.inner };
            let Some((id, len)) = pieces.longest_prefix(rest) else {
                return emit(self.unknown);
            };
            found[count] = id;
            count += 1;
            rest = &rest[len..];
        }
        found[..count].iter().for_each(|&id| emit(id));
    }
}

impl std::fmt::Debug for WordPiece {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("WordPiece")
            .field("len", &self.len)
            .field("unknown", &self.unknown)
            .finish_non_exhaustive()
    }
}

/// Why a vocabulary cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum VocabularyError {
    /// The unknown piece is missing.
    #[error("the vocabulary has no [UNK]")]
    NoUnknown,
    /// A piece stands on two lines.
    #[error("line {line} of the vocabulary repeats an earlier piece")]
    Duplicate {
        /// The second of the two lines, counted from 1.
        line: usize,
    },
    /// Ids are 32 bits wide.
    #[error("the vocabulary has too many pieces")]
    TooLong,
}

/// Ids by the bytes of the piece. A key that ends inside a character matches nothing, so that searches
/// need not look for character boundaries.
#[derive(Clone, Default)]
struct Pieces {
    ids: FxHashMap<Box<[u8]>, u32>,
    /// Bytes of the longest piece.
    longest: usize,
}

impl Pieces {
    /// Whether the piece is new.
    fn insert(&mut self, piece: &str, id: u32) -> bool {
        self.longest = self.longest.max(piece.len());
        self.ids.insert(piece.as_bytes().into(), id).is_none()
    }

    fn get(&self, piece: &[u8]) -> Option<u32> {
        self.ids.get(piece).copied()
    }

    /// The longest piece that `word` begins with, and its length in bytes.
    fn longest_prefix(&self, word: &[u8]) -> Option<(u32, usize)> {
        (1..=word.len().min(self.longest)).rev().find_map(|len| Some((self.get(&word[..len])?, len)))
    }
}

/// The normalised word being read. It counts on past the longest word that is looked up, but keeps no more.
struct Word {
    buffer: [u8; MAX_WORD_BYTES],
    len: usize,
    chars: usize,
}

impl Word {
    fn push(&mut self, c: char) {
        if self.chars < MAX_WORD_CHARS {
            self.len += c.encode_utf8(&mut self.buffer[self.len..]).len();
        }
        self.chars += 1;
    }

    fn push_byte(&mut self, byte: u8) {
        if self.chars < MAX_WORD_CHARS {
            self.buffer[self.len] = byte;
            self.len += 1;
        }
        self.chars += 1;
    }

    /// The word, unless it is too long to look up.
    fn bytes(&self) -> Option<&[u8]> {
        (self.chars <= MAX_WORD_CHARS).then_some(&self.buffer[..self.len])
    }

    fn clear(&mut self) {
        self.len = 0;
        self.chars = 0;
    }
}

impl Default for Word {
    fn default() -> Self {
        Self { buffer: [0; MAX_WORD_BYTES], len: 0, chars: 0 }
    }
}

/// Bytes up to the next ASCII character that stays in the text.
fn foreign_len(bytes: &[u8]) -> usize {
    bytes.iter().position(|&b| b.is_ascii() && !is_dropped(b.into())).unwrap_or(bytes.len())
}

fn is_dropped(c: char) -> bool {
    if c.is_ascii() {
        c.is_ascii_control() && !matches!(c, '\t' | '\n' | '\r')
    } else {
        tables::contains(tables::DROPPED, c)
    }
}

fn is_punctuation(c: char) -> bool {
    c.is_ascii_punctuation() || tables::contains(tables::PUNCTUATION, c)
}

/// Whether `c` is in one of the CJK ideograph blocks that BERT writes spaces around.
fn is_ideograph(c: char) -> bool {
    matches!(u32::from(c),
        0x3400..=0x4DBF
        | 0x4E00..=0x9FFF
        | 0xF900..=0xFAFF
        | 0x20000..=0x2A6DF
        | 0x2A700..=0x2B81F
        | 0x2B920..=0x2CEAF
        | 0x2F800..=0x2FA1F)
}

#[cfg(test)]
mod tests {
    use super::*;

    const VOCAB: &str = "[UNK]\nun\n##aff\n##able\nhello\n,\n中\ncafe\nab\n##c\ni\n##ß";

    fn ids(text: &str) -> Result<Vec<u32>, VocabularyError> {
        Ok(WordPiece::new(VOCAB)?.encode(text))
    }

    #[test]
    fn longest_match_wins_and_a_failure_spoils_the_word() -> Result<(), VocabularyError> {
        assert_eq!(ids("Unaffable")?, [1, 2, 3]);
        assert_eq!(ids("unaffx hello")?, [0, 4]);
        assert_eq!(ids("abc")?, [8, 9]);
        assert_eq!(ids("iß")?, [10, 11]);
        Ok(())
    }

    #[test]
    fn text_is_cleaned_stripped_and_split() -> Result<(), VocabularyError> {
        assert_eq!(ids("Café,hello")?, [7, 5, 4]);
        assert_eq!(ids("CAFE\u{301}\u{200b}\u{301}")?, [7]);
        assert_eq!(ids("hel\u{0}lo\u{a0}hel\u{ad}lo\u{1}")?, [4, 4]);
        assert_eq!(ids("hello中hello")?, [4, 6, 4]);
        assert_eq!(ids("İ")?, [10]);
        assert_eq!(ids(" \u{fffd}\u{301}\t")?, [] as [u32; 0]);
        Ok(())
    }

    #[test]
    fn words_over_a_hundred_characters_are_unknown() -> Result<(), VocabularyError> {
        let wordpiece = WordPiece::new("[UNK]\na\n##a\né\n##\u{20ac}\n€")?;
        assert_eq!(wordpiece.count(&"a".repeat(100)), 100);
        assert_eq!(wordpiece.encode(&"a".repeat(101)), [0]);
        assert_eq!(wordpiece.count(&"€".repeat(100)), 100);
        assert_eq!(wordpiece.encode(&format!("{} a", "€".repeat(5_000))), [0, 1]);
        Ok(())
    }

    #[test]
    fn vocabularies_without_unknown_or_with_repeats_are_refused() {
        assert_eq!(WordPiece::new("a\nb").err(), Some(VocabularyError::NoUnknown));
        assert_eq!(WordPiece::new("").err(), Some(VocabularyError::NoUnknown));
        assert_eq!(WordPiece::new("[UNK]\n##a\n##a").err(), Some(VocabularyError::Duplicate { line: 3 }));
    }

    #[test]
    fn tables_are_sorted() {
        for table in [tables::DROPPED, tables::MARKS, tables::PUNCTUATION] {
            assert!(table.iter().all(|(start, end)| start <= end));
            assert!(table.is_sorted_by(|a, b| a.1 < b.0));
        }
    }
}
