//! What callers were told, and whether the store holds exactly that.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use cml::{
    Config, Memory, MemoryId,
    memory::{MemoryRecord, MemoryStatus, OperationType},
    ops::{ListEvents, ListRequest},
};
use futures_util::TryStreamExt as _;

use crate::TestResult;

/// What was acknowledged.
#[derive(Debug, Default)]
pub(crate) struct Ledger {
    /// Texts of the memories that were written or changed.
    pub(crate) kept: BTreeMap<MemoryId, String>,
    /// Texts of the memories that were forgotten.
    pub(crate) gone: BTreeMap<MemoryId, String>,
    /// What was said in turns and writes, by session, and may have been forgotten since.
    pub(crate) said: BTreeMap<String, Vec<String>>,
}

impl Ledger {
    /// Takes what another one holds.
    pub(crate) fn join(&mut self, other: Self) {
        self.kept.extend(other.kept);
        self.gone.extend(other.gone);
        for (session, texts) in other.said {
            self.said.entry(session).or_default().extend(texts);
        }
    }

    /// Checks that `memory` holds what was acknowledged, each once, and nothing else; and that a second handle
    /// sees the same.
    pub(crate) async fn check(&self, memory: &Memory, config: &Config) -> TestResult {
        assert!(
            !self.kept.is_empty() && !self.gone.is_empty() && !self.said.is_empty(),
            "too little was done"
        );
        let records: Vec<MemoryRecord> =
            memory.iter_memories(ListRequest::new().with_limit(1000usize)).try_collect().await?;
        let by_id: HashMap<MemoryId, &MemoryRecord> =
            records.iter().map(|record| (record.id, record)).collect();
        assert_eq!(by_id.len(), records.len(), "an id comes twice");
        for (id, text) in &self.kept {
            let record = by_id.get(id).ok_or_else(|| format!("lost: {text}"))?;
            assert_eq!((&record.text, record.status), (text, MemoryStatus::Active));
        }
        for id in self.gone.keys() {
            let back = by_id.get(id).filter(|record| record.status != MemoryStatus::Deleted);
            assert!(back.is_none(), "forgotten, and there again: {}", back.map_or("", |record| &record.text));
        }
        let said: BTreeSet<&String> = self.said.values().flatten().collect();
        let mut texts = BTreeSet::new();
        for record in records.iter().filter(|record| !self.gone.contains_key(&record.id)) {
            assert!(texts.insert(&record.text), "twice: {}", record.text);
            let known = self.kept.contains_key(&record.id) || said.contains(&record.text);
            assert!(known, "nobody was told of: {}", record.text);
        }
        self.check_sessions(memory).await?;

        let again = ListEvents::new().with_operation(OperationType::Reinforce);
        assert_eq!(memory.events(again).await?.total, 0, "a repeated call was carried out twice");
        let other = Memory::connect(config).await?.tenant(memory.scope().tenant())?;
        assert_eq!(other.stats().await?, memory.stats().await?);
        other.close().await?;
        Ok(())
    }

    /// Every session's log holds what was said in it and not forgotten, each once; no number was given to
    /// anything else.
    async fn check_sessions(&self, memory: &Memory) -> TestResult {
        for (session, expected) in &self.said {
            let (mut log, mut after) = (Vec::new(), 0);
            loop {
                let page = memory.messages(session, after, 1000).await?;
                log.extend(page.messages);
                match page.next_after {
                    Some(next) => after = next,
                    None => break,
                }
            }
            assert!(log.is_sorted_by_key(|message| message.seq), "{session} is out of order");
            let most = log.last().map_or(0, |message| message.seq);
            assert!(
                most <= expected.len() as u64,
                "{session} has number {most} for {} messages",
                expected.len()
            );
            let gone: BTreeSet<&String> = self.gone.values().collect();
            let mut left: Vec<&String> = expected.iter().filter(|text| !gone.contains(text)).collect();
            let mut found: Vec<&String> = log.iter().map(|message| &message.text).collect();
            left.sort();
            found.sort();
            assert_eq!(found, left, "{session}");
        }
        Ok(())
    }
}
