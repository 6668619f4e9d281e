//! The analysed words of messages and memories, as their write would have made them.

use std::collections::{BTreeMap, HashMap};

use cml_core::{
    MessageId,
    memory::{MemoryRecord, Message},
};

use crate::{
    digest::sha256,
    engine::{
        draft::{Content, hex},
        write::{message_turn, turn_row},
    },
    search::TurnAnalysis,
    store::TurnRow,
};

/// Turns of messages; one that is empty, because it held a secret, has none.
pub(super) fn of_messages(messages: &[Message]) -> Vec<TurnRow> {
    let said = messages.iter().filter(|message| !message.text.is_empty());
    said.filter_map(|message| message_turn(message, &read(&message.text))).collect()
}

/// Turns of texts, given by their records. A text that was not changed since it was said is that of its
/// message; any other is put together from its chunks.
pub(super) fn of_records(
    texts: BTreeMap<MessageId, Vec<MemoryRecord>>,
    messages: &HashMap<MessageId, Message>,
) -> Vec<TurnRow> {
    let turn = |(id, mut records): (MessageId, Vec<MemoryRecord>)| {
        records.sort_by_key(|record| record.chunk_index);
        let first = records.first()?;
        let said = messages.get(&id).filter(|message| hash(&message.text) == first.content_hash);
        let content = match said {
            Some(message) => read(&message.text),
            None => read(&joined(records.iter().map(|record| record.text.as_str()))),
        };
        turn_row(first, &content)
    };
    texts.into_iter().filter_map(turn).collect()
}

fn hash(text: &str) -> String {
    hex(&sha256(&[text.as_bytes()]))
}

fn read(text: &str) -> Content {
    Content { analysis: Some(TurnAnalysis::of(text)), ..Content::default() }
}

/// The text of which these are the chunks; neighbours may share a sentence.
fn joined<'c>(chunks: impl Iterator<Item = &'c str>) -> String {
    let mut text = String::new();
    for chunk in chunks {
        let shared = shared(&text, chunk);
        if shared == 0 && !text.is_empty() {
            text.push(' ');
        }
        text.push_str(&chunk[shared..]);
    }
    text
}

/// Bytes of whole words with which `next` begins and `text` ends; the most there are.
fn shared(text: &str, next: &str) -> usize {
    let border = |before: Option<char>| before.is_none_or(char::is_whitespace);
    let ends = next.char_indices().map(|(at, _)| at).chain([next.len()]).skip(1);
    ends.filter(|&end| {
        text.ends_with(&next[..end])
            && border(text[..text.len() - end].chars().next_back())
            && border(next[end..].chars().next())
    })
    .last()
    .unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::extract::chunk;

    #[test]
    fn chunks_are_joined_without_what_they_share() {
        let text: String =
            (0..60).map(|n| format!("Sentence number {n} is about shelf {}. ", n % 7)).collect();
        let text = text.trim_end();
        for tokens in [12, 30, 1000] {
            let chunks = chunk(text, tokens, &|part| part.split_whitespace().count());
            assert_eq!(joined(chunks.iter().map(String::as_str)), text, "{tokens}");
        }
    }

    #[test]
    fn only_whole_words_are_shared() {
        assert_eq!(joined(["we met in a car", "car park"].into_iter()), "we met in a car park");
        assert_eq!(joined(["it was a scar", "car park"].into_iter()), "it was a scar car park");
        assert_eq!(joined(["é", "é"].into_iter()), "é");
    }
}
