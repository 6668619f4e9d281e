//! Long texts.

use cml::{
    memory::MemoryRecord,
    ops::{ListOrder, ListRequest, OrderBy, WriteRequest},
};

use crate::{
    case::{Case, CaseResult, cases},
    ctx::Ctx,
    texts::{at, open, sentences, some},
};

/// Writes 120 sentences in paragraphs of ten and returns them with the chunks, in order.
async fn write_long(ctx: &Ctx) -> CaseResult<(Vec<String>, Vec<MemoryRecord>)> {
    let lines = sentences(120);
    let text = lines.chunks(10).map(|lines| lines.join(" ")).collect::<Vec<_>>().join("\n\n");
    let request = WriteRequest::new(text).with_tags(["tale"]).with_timestamp(at("2024-03-06T10:00:00Z")?);
    let answer = ctx.try_write(request).await?;
    let first = some(answer.memory_id, "memory_id")?;
    let mut chunks = ctx.records().await?;
    chunks.sort_by_key(|record| record.chunk_index);
    assert_eq!(answer.chunks_created as usize, chunks.len());
    assert_eq!(chunks[0].id, first, "the answer names the first chunk");
    Ok((lines, chunks))
}

/// The sentences of a chunk, each with its full stop.
fn split(chunk: &str) -> Vec<String> {
    chunk.split_inclusive('.').map(|line| line.trim().to_owned()).filter(|line| !line.is_empty()).collect()
}

async fn a_short_text_is_one_chunk(ctx: &Ctx) -> CaseResult {
    let text = sentences(3).join(" ");
    let answer = ctx.try_write(text.as_str()).await?;
    assert_eq!(answer.chunks_created, 1);
    let record = ctx.get(some(answer.memory_id, "memory_id")?).await?;
    assert_eq!((record.chunk_index, record.text), (0, text));
    Ok(())
}

async fn a_long_text_becomes_chunks_of_one_message_in_order(ctx: &Ctx) -> CaseResult {
    let (_, chunks) = write_long(ctx).await?;
    assert!(chunks.len() > 1, "{} chunk", chunks.len());
    let indices: Vec<u32> = chunks.iter().map(|chunk| chunk.chunk_index).collect();
    assert_eq!(indices, (0..chunks.len() as u32).collect::<Vec<_>>());
    for chunk in &chunks {
        assert_eq!(chunk.message_id, chunks[0].message_id);
        assert_eq!(chunk.content_hash, chunks[0].content_hash, "the hash is that of the whole text");
        assert_eq!((chunk.timestamp, &chunk.context_tags), (chunks[0].timestamp, &chunks[0].context_tags));
    }
    assert!(
        chunks[0].content_hash.len() == 64 && chunks[0].content_hash.bytes().all(|b| b.is_ascii_hexdigit())
    );
    Ok(())
}

async fn chunks_begin_and_end_at_sentence_borders(ctx: &Ctx) -> CaseResult {
    let (lines, chunks) = write_long(ctx).await?;
    for chunk in &chunks {
        for sentence in split(&chunk.text) {
            assert!(lines.contains(&sentence), "no whole sentence: {sentence:?}");
        }
    }
    Ok(())
}

async fn chunks_overlap_by_one_sentence_and_lose_none(ctx: &Ctx) -> CaseResult {
    let (lines, chunks) = write_long(ctx).await?;
    let mut joined = split(&chunks[0].text);
    for chunk in &chunks[1..] {
        let sentences = split(&chunk.text);
        assert_eq!(joined.last(), sentences.first(), "one sentence of overlap");
        joined.extend(sentences.into_iter().skip(1));
    }
    assert_eq!(joined, lines);
    Ok(())
}

async fn chunks_have_about_400_tokens(ctx: &Ctx) -> CaseResult {
    let (_, chunks) = write_long(ctx).await?;
    for chunk in &chunks {
        // Every word and every full stop is at least one token; the overlap may come on top.
        let words = chunk.text.split_whitespace().count() + split(&chunk.text).len();
        assert!(words <= 450, "{words} words and full stops in chunk {}", chunk.chunk_index);
    }
    let words = chunks[0].text.split_whitespace().count();
    assert!(words > 100, "a chunk of {words} words is far from 400 tokens");
    Ok(())
}

async fn a_read_returns_the_best_chunk_of_a_message_and_no_other(ctx: &Ctx) -> CaseResult {
    let (lines, chunks) = write_long(ctx).await?;
    ctx.write_unrelated().await?;
    for sentence in [&lines[5], &lines[60], &lines[115]] {
        let found = ctx.read(open(sentence)).await?.memories;
        let of_message: Vec<_> =
            found.iter().filter(|item| chunks.iter().any(|chunk| chunk.id == item.id)).collect();
        assert_eq!(of_message.len(), 1, "one item for one message");
        assert_eq!(found[0].id, of_message[0].id);
        assert!(found[0].text.contains(sentence.as_str()), "the chunk that says it");
    }
    Ok(())
}

async fn a_long_text_without_borders_is_stored_in_full(ctx: &Ctx) -> CaseResult {
    let words: Vec<String> = (0..3000).map(|n| format!("w{n}")).collect();
    ctx.write(words.join(" ")).await?;
    let order = ListRequest::new().with_order_by(OrderBy::WrittenAt).with_order(ListOrder::Asc);
    let mut chunks = ctx.list(order.with_limit(1000usize)).await?.items;
    chunks.sort_by_key(|chunk| chunk.chunk_index);
    assert!(chunks.len() > 1);
    let stored: std::collections::HashSet<&str> =
        chunks.iter().flat_map(|chunk| chunk.text.split_whitespace()).collect();
    assert!(words.iter().all(|word| stored.contains(word.as_str())));
    Ok(())
}

async fn a_long_message_is_one_message_of_its_session(ctx: &Ctx) -> CaseResult {
    let text = sentences(120).join(" ");
    let id = ctx.session("s1")?.write(text.as_str()).await?;
    let log = ctx.messages("s1").await?;
    assert_eq!(log.len(), 1);
    assert_eq!((log[0].text.as_str(), log[0].memory_id), (text.as_str(), Some(id)));
    assert!(ctx.records().await?.iter().all(|chunk| chunk.message_id == log[0].id));
    Ok(())
}

pub(crate) const CASES: &[Case] = cases![
    a_short_text_is_one_chunk: List,
    a_long_text_becomes_chunks_of_one_message_in_order: List,
    chunks_begin_and_end_at_sentence_borders: List,
    chunks_overlap_by_one_sentence_and_lose_none: List,
    chunks_have_about_400_tokens: List,
    a_read_returns_the_best_chunk_of_a_message_and_no_other: List,
    a_long_text_without_borders_is_stored_in_full: List,
    a_long_message_is_one_message_of_its_session: List Sessions,
];
