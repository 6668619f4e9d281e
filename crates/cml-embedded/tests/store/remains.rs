//! No byte of what was removed is left in the files of SQLite.

use std::path::Path;

use cml_core::{
    Subject,
    memory::{MemoryRecord, RecordVersion},
    ops::ListFacts,
};
use cml_embedded::store::{ChangeSet, RecordPut, Store};

use crate::{
    erase::{erase, everything},
    fixtures::*,
};

/// A word that stands in everything that is to disappear.
const MARK: &str = "Xylophonist";

/// How often `word` stands in the file, its log and its index.
fn occurrences(folder: &Path, word: &str) -> TestResult<usize> {
    let mut count = 0;
    for entry in std::fs::read_dir(folder)? {
        let bytes = std::fs::read(entry?.path())?;
        count += bytes.windows(word.len()).filter(|window| *window == word.as_bytes()).count();
    }
    Ok(count)
}

#[tokio::test]
async fn nothing_of_an_erased_subject_is_left_in_the_files() -> TestResult {
    for subject in [
        Subject::Tenant,
        Subject::Namespace("private".into()),
        Subject::User("ana".into()),
        Subject::Agent("Xylophonist-agent".into()),
        Subject::Session("Xylophonist-session".into()),
    ] {
        let (folder, store) = file().await?;
        for index in 0..60 {
            let long = index % 7 == 0;
            let theirs =
                everything(MARK, "Xylophonist-session", "Xylophonist-agent", "ana", "private", long)?;
            commit(&store, theirs).await?;
            commit(&store, everything("Neighbour", "other", "else", "bob", "default", long)?).await?;
        }
        assert!(occurrences(folder.path(), MARK)? > 0);
        let committed = erase(&store, subject.clone()).await?;
        assert!(committed.removed["records"] >= 60, "{subject:?} {:?}", committed.removed);
        // Entities and edges belong to a namespace and a user; the others only lose what mentions them.
        assert!(committed.removed["entities"] >= 120, "{subject:?}");
        assert_eq!(occurrences(folder.path(), MARK)?, 0, "{subject:?}");
        let left = if subject == Subject::Tenant { 0 } else { 60 };
        assert_eq!(store.stats(&scope()?).await?.total_memories, left);
        assert_eq!(store.facts(&scope()?, &ListFacts::new()).await?.total, left);
        assert_eq!(store.tenant("acme").await?.epoch, 1);
        store.close().await?;
        assert_eq!(occurrences(folder.path(), MARK)?, 0, "{subject:?} after closing");
    }
    Ok(())
}

#[tokio::test]
async fn nothing_of_a_deleted_record_is_left_in_the_files() -> TestResult {
    let (folder, store) = file().await?;
    for mark in ["Neighbour", MARK, "Neighbour"] {
        let mut changes = everything(mark, "s", "bot", "ana", "default", true)?;
        // What is not the record's own goes with its user or its session.
        changes.idempotency.clear();
        changes.sessions.clear();
        changes.events[0].payload.clear();
        let id = changes.records[0].record.id;
        commit(&store, changes).await?;
        if mark == MARK {
            assert!(occurrences(folder.path(), MARK)? > 0);
            let mut changes = ChangeSet::new("acme");
            changes.delete_records.push(id);
            let removed = commit(&store, changes).await?.removed;
            let tables = [
                "edges",
                "embeddings",
                "entities",
                "fact_evidence",
                "fact_versions",
                "facts",
                "mentions",
                "messages",
                "record_versions",
                "records",
                "terms",
            ];
            assert_eq!(removed.keys().collect::<Vec<_>>(), tables);
            assert_eq!(occurrences(folder.path(), MARK)?, 0);
        }
    }
    Ok(())
}

/// Rows that come, grow, shrink and go in random order move others within and between pages, where
/// copies of them stay.
#[tokio::test]
async fn nothing_is_left_in_the_gaps_of_pages_that_were_often_rewritten() -> TestResult {
    for erased in [false, true] {
        let (folder, store) = file().await?;
        let mut state = 0x2545_f491_4f6c_dd1d_u64;
        let mut random = move |below: u64| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            state % below
        };
        let mut live: Vec<MemoryRecord> = Vec::new();
        let words = |mark: &str, length: u64| format!("{mark} ").repeat(1 + (length as usize) % 40);
        for step in 0..600 {
            let mut changes = ChangeSet::new("acme");
            let chosen = random(live.len().max(1) as u64) as usize;
            match random(4) {
                0 if live.len() > 10 => changes.delete_records.push(live.swap_remove(chosen).id),
                1 if live.len() > 10 => {
                    let text = &mut live[chosen];
                    changes.versions.push(RecordVersion::new(text.clone(), at(step)));
                    text.version += 1;
                    text.text = words(&text.user_id, random(1000));
                    changes.turns.push(turn(text));
                    changes.records.push(RecordPut { record: text.clone(), dedup: None });
                }
                _ => {
                    let user = if random(2) == 0 { MARK } else { "Neighbour" };
                    let mut text = record(&words(user, random(1000)));
                    text.id = uuid::Uuid::from_u64_pair(random(u64::MAX), random(u64::MAX)).into();
                    text.user_id = user.into();
                    text.session_id = format!("s{}", random(5));
                    add(&mut changes, &text, DIMENSIONS);
                    live.push(text);
                }
            }
            commit(&store, changes).await?;
        }
        let (theirs, others): (Vec<_>, Vec<_>) = live.into_iter().partition(|text| text.user_id == MARK);
        if erased {
            erase(&store, Subject::User(MARK.into())).await?;
        } else {
            // Events hold no text, but they name their user.
            for text in theirs {
                let mut changes = ChangeSet::new("acme");
                changes.delete_records.push(text.id);
                commit(&store, changes).await?;
            }
            erase(&store, Subject::User("nobody".into())).await?;
            store.close().await?;
        }
        let left = occurrences(folder.path(), &format!("{MARK} "))?;
        assert_eq!(left, 0, "erased: {erased}");
        assert!(occurrences(folder.path(), "Neighbour ")? > others.len());
    }
    Ok(())
}
