//! Sentences, paragraphs, and chunks at their borders.

use std::ops::Range;

/// Abbreviations after which a full stop ends no sentence.
const ABBREVIATIONS: &[&str] = &[
    "mr", "mrs", "ms", "mx", "dr", "prof", "st", "rev", "hon", "gen", "col", "capt", "lt", "sgt", "e.g",
    "eg", "i.e", "ie", "vs", "v", "cf", "approx", "ca", "fig", "figs", "eq", "sec", "ch", "vol", "pp", "ed",
    "eds", "est", "dept", "mt", "ft", "tel", "min", "max", "incl", "excl", "jan", "feb", "mar", "apr", "jun",
    "jul", "aug", "sep", "sept", "oct", "nov", "dec", "mon", "tue", "tues", "wed", "thu", "thurs", "fri",
    "sat", "z.b", "bzw",
];

/// Abbreviations that also stand at the end of a sentence: only a small letter or digit continues it.
const FINAL_ABBREVIATIONS: &[&str] = &[
    "etc", "a.m", "p.m", "am", "pm", "inc", "ltd", "co", "corp", "jr", "sr", "u.s", "u.k", "u.s.a", "d.c",
    "ph.d", "b.sc", "m.sc", "ave", "blvd", "rd", "no", "al",
];

/// Byte ranges of the sentences of `text`, in order, without the white space around them.
///
/// Full stops in abbreviations, initials, numbers and list markers end nothing; a line break does,
/// unless the next line goes on in small letters.
#[must_use]
pub fn sentences(text: &str) -> Vec<Range<usize>> {
    let mut ranges = Vec::new();
    let mut start = 0;
    let mut chars = text.char_indices().peekable();
    while let Some((at, c)) = chars.next() {
        let end = match c {
            '\n' if line_break_ends(&text[start..at], &text[at + 1..]) => at,
            '。' | '！' | '？' => at + c.len_utf8(),
            '.' | '!' | '?' | '…' => {
                let mut end = at + c.len_utf8();
                while let Some((next_at, next)) = chars.peek().copied()
                    && matches!(next, '.' | '!' | '?' | '…' | '"' | '\'' | ')' | ']' | '”' | '’' | '»')
                {
                    end = next_at + next.len_utf8();
                    chars.next();
                }
                let rest = &text[end..];
                if !rest.is_empty() && !rest.starts_with(char::is_whitespace) {
                    continue;
                }
                if text[at..end].starts_with(['!', '?']) || stop_ends(&text[start..at], &text[at..end], rest)
                {
                    end
                } else {
                    continue;
                }
            }
            _ => continue,
        };
        push_trimmed(text, start..end, &mut ranges);
        start = end;
    }
    push_trimmed(text, start..text.len(), &mut ranges);
    ranges
}

/// Byte ranges of the paragraphs of `text`: what blank lines separate, trimmed.
#[must_use]
pub fn paragraphs(text: &str) -> Vec<Range<usize>> {
    let mut ranges = Vec::new();
    let (mut start, mut line_start) = (0, 0);
    for line in text.split_inclusive('\n') {
        if line.trim().is_empty() {
            push_trimmed(text, start..line_start, &mut ranges);
            start = line_start + line.len();
        }
        line_start += line.len();
    }
    push_trimmed(text, start..text.len(), &mut ranges);
    ranges
}

/// Cuts `text` into chunks of about `max_tokens` at sentence and paragraph borders, one sentence of
/// overlap between neighbours.
///
/// `count` gives the tokens of a piece. No chunk is over `max_tokens`: a longer sentence is split at
/// words, a longer word at characters. A text that fits is one chunk, equal to the text.
#[must_use]
pub fn chunk(text: &str, max_tokens: usize, count: &dyn Fn(&str) -> usize) -> Vec<String> {
    let max = max_tokens.max(1);
    if count(text) <= max {
        return vec![text.to_owned()];
    }
    let units = units(text, max, count);
    let mut chunks: Vec<Range<usize>> = Vec::new();
    let mut current: Vec<&Unit> = Vec::new();
    let mut tokens = 0;
    for unit in &units {
        let full = tokens + unit.tokens > max || (unit.new_paragraph && tokens * 5 > max * 3);
        if full && let (Some(first), Some(last)) = (current.first(), current.last().copied()) {
            chunks.push(first.range.start..last.range.end);
            current.clear();
            tokens = 0;
            if last.tokens + unit.tokens <= max && count(&text[last.range.start..unit.range.end]) <= max {
                current.push(last);
                tokens = last.tokens;
            }
        }
        if let Some(first) = current.first()
            && count(&text[first.range.start..unit.range.end]) > max
        {
            // Tokens of the parts may add up to less than those of the whole.
            let end = current.last().map_or(unit.range.start, |last| last.range.end);
            if chunks.last().is_none_or(|chunk| chunk.end < end) {
                chunks.push(first.range.start..end);
            }
            current.clear();
            tokens = 0;
        }
        current.push(unit);
        tokens += unit.tokens;
    }
    if let (Some(first), Some(last)) = (current.first(), current.last()) {
        chunks.push(first.range.start..last.range.end);
    }
    chunks.into_iter().map(|range| text[range].to_owned()).collect()
}

struct Unit {
    range: Range<usize>,
    tokens: usize,
    new_paragraph: bool,
}

/// The sentences of `text`, the over-long ones in pieces that fit.
fn units(text: &str, max: usize, count: &dyn Fn(&str) -> usize) -> Vec<Unit> {
    let mut units = Vec::new();
    for paragraph in paragraphs(text) {
        let mut new_paragraph = true;
        for sentence in sentences(&text[paragraph.clone()]) {
            let range = paragraph.start + sentence.start..paragraph.start + sentence.end;
            for range in fitting(text, range, max, count) {
                let tokens = count(&text[range.clone()]);
                units.push(Unit { range, tokens, new_paragraph });
                new_paragraph = false;
            }
        }
    }
    units
}

/// Splits a range into pieces of at most `max` tokens, at words where possible.
fn fitting(text: &str, range: Range<usize>, max: usize, count: &dyn Fn(&str) -> usize) -> Vec<Range<usize>> {
    if count(&text[range.clone()]) <= max {
        return vec![range];
    }
    let mut pieces = Vec::new();
    let mut start = range.start;
    while start < range.end {
        let rest = &text[start..range.end];
        let rest_trimmed = rest.trim_start();
        start = range.end - rest_trimmed.len();
        if rest_trimmed.is_empty() {
            break;
        }
        let word_ends: Vec<usize> = rest_trimmed
            .char_indices()
            .filter(|(at, c)| *at > 0 && c.is_whitespace())
            .map(|(at, _)| start + at)
            .chain([range.end])
            .collect();
        let fits = |end: usize| count(text[start..end].trim_end()) <= max;
        let words = word_ends.partition_point(|&end| fits(end));
        let end = if words > 0 {
            word_ends[words - 1]
        } else {
            let word = &text[start..word_ends[0]];
            let char_ends: Vec<usize> =
                word.char_indices().map(|(at, c)| start + at + c.len_utf8()).collect();
            char_ends[char_ends.partition_point(|&end| fits(end)).max(1) - 1]
        };
        pieces.push(start..start + text[start..end].trim_end().len());
        start = end;
    }
    pieces
}

fn push_trimmed(text: &str, range: Range<usize>, ranges: &mut Vec<Range<usize>>) {
    if range.start >= range.end {
        return;
    }
    let piece = &text[range.clone()];
    let left = piece.len() - piece.trim_start().len();
    let piece = piece.trim();
    if !piece.is_empty() {
        ranges.push(range.start + left..range.start + left + piece.len());
    }
}

fn line_break_ends(before: &str, after: &str) -> bool {
    let before = before.trim_end();
    let after_line = after.trim_start_matches([' ', '\t', '\r']);
    if before.is_empty() || after_line.is_empty() || after_line.starts_with('\n') {
        return true;
    }
    !after_line.starts_with(char::is_lowercase) || before.ends_with([':', ';'])
}

/// Whether a full stop (`marks`, perhaps with more marks) after `before` ends a sentence.
fn stop_ends(before: &str, marks: &str, rest: &str) -> bool {
    let next = rest.trim_start();
    if next.is_empty() || rest.trim_start_matches([' ', '\t', '\r']).starts_with('\n') {
        return true;
    }
    if marks.starts_with("..") || marks.starts_with('…') {
        return !next.starts_with(char::is_lowercase);
    }
    if marks.len() > 1 {
        return true;
    }
    let word =
        before.rsplit(|c: char| c.is_whitespace() || matches!(c, '(' | '"' | '“')).next().unwrap_or("");
    let only_word = before.trim_start().len() == word.len();
    if only_word && word.len() <= 3 && word.chars().all(|c| c.is_ascii_digit()) {
        return false; // list marker
    }
    let mut letters = word.chars();
    if let (Some(first), None) = (letters.next(), letters.next())
        && first.is_alphabetic()
        && (first.is_uppercase() && first != 'I' || only_word)
    {
        return false; // initial or list marker
    }
    let lower = word.to_lowercase();
    if ABBREVIATIONS.contains(&lower.as_str()) {
        return lower == "sat" && !next.starts_with(|c: char| c.is_ascii_digit());
    }
    if FINAL_ABBREVIATIONS.contains(&lower.as_str()) {
        return !next.starts_with(|c: char| c.is_lowercase() || c.is_ascii_digit());
    }
    true
}

#[cfg(test)]
mod tests {
    use super::super::same;
    use super::*;

    fn split(text: &str) -> Vec<&str> {
        sentences(text).into_iter().map(|range| &text[range]).collect()
    }

    #[test]
    fn sentences_end_at_marks_and_not_inside_abbreviations_or_numbers() {
        let mut wrong = Vec::new();
        for (text, expected) in [
            ("I live in Berlin. I work at Acme.", vec!["I live in Berlin.", "I work at Acme."]),
            ("Dr. Smith paid 3.50 for v1.2.3. Fine!", vec!["Dr. Smith paid 3.50 for v1.2.3.", "Fine!"]),
            ("i moved. i work now.", vec!["i moved.", "i work now."]),
            ("We meet at 5 p.m. tomorrow.", vec!["We meet at 5 p.m. tomorrow."]),
            ("We meet at 5 p.m. Bring cake.", vec!["We meet at 5 p.m.", "Bring cake."]),
            ("J. R. Tolkien wrote it. Yes.", vec!["J. R. Tolkien wrote it.", "Yes."]),
            ("Really?! No way... maybe so", vec!["Really?!", "No way... maybe so"]),
            ("1. Mix it.\n2. Bake it.", vec!["1. Mix it.", "2. Bake it."]),
            ("a wrapped\nline stays\n\nNew one", vec!["a wrapped\nline stays", "New one"]),
            ("Name: Anna\nCity: Berlin", vec!["Name: Anna", "City: Berlin"]),
            ("He said \"go.\" Then left.", vec!["He said \"go.\"", "Then left."]),
            ("e.g. apples etc. are fine", vec!["e.g. apples etc. are fine"]),
            ("好的。再见！", vec!["好的。", "再见！"]),
            ("  \n ", vec![]),
        ] {
            same(&mut wrong, text, split(text), expected);
        }
        assert_eq!(wrong, Vec::<String>::new());
    }

    fn words(text: &str) -> usize {
        text.split_whitespace().map(|word| word.chars().count().div_ceil(8)).sum()
    }

    #[test]
    fn short_text_is_one_chunk_equal_to_itself() {
        assert_eq!(chunk(" Hello there. ", 10, &words), [" Hello there. "]);
    }

    #[test]
    fn chunks_stay_below_the_limit_overlap_by_a_sentence_and_lose_nothing() {
        let text: String = (0..60).map(|n| format!("This is sentence number {n} of it. ")).collect();
        let chunks = chunk(&text, 30, &words);
        assert!(chunks.len() > 10);
        for pair in chunks.windows(2) {
            let last = split(&pair[0]).last().copied().unwrap_or("");
            assert!(pair[1].starts_with(last), "{last:?} opens {:?}", pair[1]);
        }
        for n in 0..60 {
            assert!(chunks.iter().any(|chunk| chunk.contains(&format!("number {n} "))));
        }
        assert!(chunks.iter().all(|chunk| words(chunk) <= 30));
    }

    #[test]
    fn long_sentences_and_words_are_split() {
        let text = format!("{} {} end", "word ".repeat(50), "ä".repeat(500));
        for limit in [1, 2, 7, 20] {
            let chunks = chunk(&text, limit, &words);
            assert!(chunks.iter().all(|chunk| words(chunk) <= limit));
            let letters = chunks.concat().chars().filter(|c| *c == 'ä').count();
            assert!(letters >= 500);
        }
    }
}
