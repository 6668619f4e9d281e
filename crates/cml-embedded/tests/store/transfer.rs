//! Pages of an export, what is known of rows that come in, and messages that keep their numbers.

use cml_core::{
    EntityId, MessageId, Subject,
    memory::{Evidence, RecordVersion},
    ops::{Edge, EmbeddingRow, Entity, ExportLine, FactVersion, Mention},
};
use cml_embedded::store::{ChangeSet, EmbeddingPut, Known, RowKind, Store, View};

use crate::fixtures::*;

on_each_store![
    pages_of_any_size_make_the_same_export,
    rows_are_known_as_absent_stored_out_of_reach_and_erased,
    placed_messages_keep_free_numbers_and_their_order,
    vectors_of_a_former_text_are_removed_and_new_ones_are_listed_as_changes,
];

/// Three rows or more of every kind.
async fn filled(kind: Kind) -> TestResult<TestStore> {
    let store = kind.store().await?;
    for index in 0..3_i64 {
        let mut text = record(&format!("text {index}"));
        text.session_id = format!("s{}", index % 2);
        let mut changes = write(&text);
        changes.sessions.push(session(&text));
        changes.embeddings.push(EmbeddingPut { view: View::Context, ..embedding(text.id, DIMENSIONS) });
        let mut former = text.clone();
        former.version = 0;
        changes.versions.push(RecordVersion::new(former, at(index)));
        let value = fact(&text, &format!("city {index}"));
        add_fact(&mut changes, &value);
        changes.evidence.push((value.id, Evidence::Message(text.message_id)));
        changes.fact_versions.push(FactVersion { fact: value, recorded_at: at(index) });
        let entity = |name: &str| Entity {
            id: EntityId::new(),
            tenant_id: text.tenant_id.clone(),
            namespace: text.namespace.clone(),
            user_id: String::new(),
            name: name.to_owned(),
            entity_type: "place".to_owned(),
        };
        changes.entities = vec![entity("here"), entity("there")];
        let ids: Vec<EntityId> = changes.entities.iter().map(|entity| entity.id).collect();
        changes.mentions.extend(ids.iter().map(|id| Mention {
            entity_id: *id,
            memory_id: text.id,
            message_id: text.message_id,
        }));
        for predicate in ["near", "north of"] {
            let predicate = predicate.to_owned();
            changes.edges.push(Edge { source: ids[0], target: ids[1], predicate, confidence: 0.1 + 0.2 });
        }
        commit(&*store, changes).await?;
    }
    Ok(store)
}

async fn lines(store: &dyn Store, kind: RowKind) -> TestResult<Vec<ExportLine>> {
    Ok(store.export(&scope()?, kind, None, 1000).await?)
}

async fn pages_of_any_size_make_the_same_export(kind: Kind) -> TestResult {
    let store = filled(kind).await?;
    for kind in RowKind::ALL {
        let whole = lines(&*store, kind).await?;
        assert!(whole.len() >= 2, "{kind:?}");
        assert!(whole.iter().all(|line| RowKind::of(line) == Some(kind)));
        for limit in 1..=whole.len() {
            let mut rows: Vec<ExportLine> = Vec::new();
            loop {
                let page = store.export(&scope()?, kind, rows.last(), limit).await?;
                let ended = page.len() < limit;
                rows.extend(page);
                if ended {
                    break;
                }
            }
            assert_eq!(rows, whole, "{kind:?} by {limit}");
        }
    }
    Ok(())
}

async fn rows_are_known_as_absent_stored_out_of_reach_and_erased(kind: Kind) -> TestResult {
    let (store, empty) = (filled(kind).await?, kind.store().await?);
    for kind in RowKind::ALL {
        let rows = lines(&*store, kind).await?;
        assert_eq!(store.known(&scope()?, &[]).await?, []);
        let stored = match kind {
            RowKind::Record | RowKind::Fact => Known::Stored(1),
            _ => Known::Stored(0),
        };
        assert_eq!(store.known(&scope()?, &rows).await?, vec![stored; rows.len()], "{kind:?}");
        let alone = match kind {
            RowKind::Session | RowKind::Message | RowKind::Record | RowKind::Fact | RowKind::Event => {
                Known::Absent(0)
            }
            _ => Known::OutOfReach,
        };
        assert_eq!(empty.known(&scope()?, &rows).await?, vec![alone; rows.len()], "{kind:?}");
    }

    let mut record = record("a record alone");
    record.version = 7;
    commit(&*store, ChangeSet { embeddings: Vec::new(), ..write(&record) }).await?;
    let vector = |view: &str| {
        ExportLine::Embedding(EmbeddingRow {
            memory_id: record.id,
            model: "test".to_owned(),
            view: view.to_owned(),
            vector: vec![0.0; DIMENSIONS],
            norm: 1.0,
        })
    };
    let known = store.known(&scope()?, &[vector("own"), vector("context")]).await?;
    assert_eq!(known, [Known::Absent(7), Known::Absent(7)]);
    let elsewhere = scope()?.with_namespace("elsewhere")?;
    let row = [ExportLine::Record(Box::new(record))];
    assert_eq!(store.known(&elsewhere, &row).await?, [Known::OutOfReach]);

    let mut erased = Vec::new();
    for kind in RowKind::ALL {
        erased.push((kind, lines(&*store, kind).await?));
    }
    let erase = ChangeSet { erase: Some(Subject::Tenant), ..ChangeSet::new("acme") };
    commit(&*store, erase).await?;
    for (kind, rows) in erased {
        let expected = match kind {
            RowKind::Entity | RowKind::Edge => Known::OutOfReach,
            _ => Known::Erased,
        };
        assert_eq!(store.known(&scope()?, &rows).await?, vec![expected; rows.len()], "{kind:?}");
    }
    Ok(())
}

async fn placed_messages_keep_free_numbers_and_their_order(kind: Kind) -> TestResult {
    let store = kind.store().await?;
    let place = async |numbers: &[u64]| -> TestResult<u64> {
        let mut changes = ChangeSet::new("acme");
        for number in numbers {
            let mut text = record(&format!("number {number}"));
            text.session_id = "s".into();
            let mut message = message(&text);
            message.seq = *number;
            let mut turn = turn(&text);
            (turn.id, turn.seq) = (message.id, 0);
            changes.turns.push(turn);
            changes.placed.push(message);
        }
        Ok(commit(&*store, changes).await?.moved)
    };
    let log = async || -> TestResult<Vec<(u64, String)>> {
        let messages = store.messages(&scope()?, "s", 0, 100).await?;
        Ok(messages.into_iter().map(|message| (message.seq, message.text)).collect())
    };
    assert_eq!(place(&[2, 5]).await?, 0);
    assert_eq!(place(&[1, 2, 3, 9]).await?, 2);
    let said = |number: u64, text: u64| (number, format!("number {text}"));
    assert_eq!(log().await?, [said(1, 1), said(2, 2), said(5, 5), said(6, 2), said(7, 3), said(9, 9)]);
    let turns = store.turns("acme", cml_embedded::store::Select::After(None, 100)).await?;
    let mut numbers: Vec<u64> = turns.iter().map(|turn| turn.seq).collect();
    numbers.sort_unstable();
    assert_eq!(numbers, [1, 2, 5, 6, 7, 9]);

    let mut text = record("appended");
    text.session_id = "s".into();
    let mut changes = ChangeSet::new("acme");
    changes.messages.push(message(&text));
    let mut placed = message(&text);
    (placed.id, placed.seq, placed.text) = (MessageId::new(), 20, "placed".into());
    changes.placed.push(placed);
    commit(&*store, changes).await?;
    assert_eq!(log().await?[6..], [(20, "placed".to_owned()), (21, "appended".to_owned())]);
    Ok(())
}

async fn vectors_of_a_former_text_are_removed_and_new_ones_are_listed_as_changes(kind: Kind) -> TestResult {
    let store = kind.store().await?;
    let text = record("text");
    commit(&*store, write(&text)).await?;
    let before = store.tenant("acme").await?.last_seq;
    commit(&*store, ChangeSet { unembed: vec![text.id], ..ChangeSet::new("acme") }).await?;
    assert_eq!(store.count_unembedded(1).await?, 1);
    let vectors = vec![embedding(text.id, DIMENSIONS)];
    commit(&*store, ChangeSet { embeddings: vectors, ..ChangeSet::new("acme") }).await?;
    assert_eq!(store.count_unembedded(1).await?, 0);
    let changes = store.changes("acme", before, 10).await?;
    let changed = cml_embedded::store::Changed::Record(text.id);
    assert_eq!(changes, cml_embedded::store::Tail::Rows(vec![(before + 1, changed)]));
    Ok(())
}
