//! Preconditions, numbering, groups, the list of changes, and what a write observes.

use std::{
    collections::HashSet,
    task::{Context, Waker},
};

use cml_core::{
    MemoryId, MessageId, Score,
    memory::{Evidence, FactStatus, RecordVersion, Role},
    ops::ListEvents,
};
use cml_embedded::store::{
    Access, ChangeSet, Changed, IdempotencyRow, KeyOf, Outcome, Precondition, RecordPut, Reinforcement,
    Select, SlotOf, Tail, TenantState, TurnOf, Wanted,
};
use serde_json::json;

use crate::fixtures::*;

on_each_store![
    a_write_comes_back_as_it_was,
    each_precondition_holds_or_refuses,
    an_idempotency_key_is_used_until_it_expires,
    writers_share_commits_and_each_is_applied_once,
    of_writers_with_the_same_precondition_one_wins_and_the_others_leave_nothing,
    a_change_set_that_fails_leaves_nothing_and_disturbs_no_other,
    a_dropped_commit_is_applied_whole,
    messages_are_numbered_in_their_session,
    observe_answers_what_exists,
    the_newest_record_of_a_digest_counts,
    reinforcement_raises_and_access_counts_without_a_change,
    the_list_of_changes_has_no_gap,
    a_long_list_of_changes_is_cut,
    rows_are_added_once,
];

async fn a_write_comes_back_as_it_was(kind: Kind) -> TestResult {
    let store = kind.store().await?;
    let mut rich = record("Ana moved to Lisbon");
    rich.user_id = "ana".into();
    rich.agent_id = "bot".into();
    rich.session_id = "s".into();
    rich.key = Some("home".into());
    rich.context_tags = vec!["b".into(), "a \"quoted\"".into()];
    rich.metadata = json!({"z": 1, "a": [0.1, null, "ü"]}).as_object().cloned().unwrap_or_default();
    rich.confidence = Score::clamped(0.1 + 0.2);
    rich.last_accessed_at = Some(at(9));
    rich.event_start = Some(at(-100));
    rich.event_end = Some(at(-50));
    rich.valid_to = Some(at(1000));
    rich.expires_at = Some(at(2000));
    rich.supersedes_id = Some(MemoryId::new());
    rich.content_hash = "no hash".into();
    let mut changes = write(&rich);
    changes.versions.push(RecordVersion::new(rich.clone(), at(5)));
    changes.messages[0].turn_id = "t1".into();
    let committed = commit(&*store, changes).await?;
    assert_eq!(committed.seq, 2);

    assert_eq!(store.records("acme", &[MemoryId::new(), rich.id]).await?, [rich.clone()]);
    assert_eq!(store.records_of("acme", &[rich.message_id]).await?, [rich.clone()]);
    assert_eq!(store.versions("acme", rich.id).await?, [RecordVersion::new(rich.clone(), at(5))]);
    assert!(store.records("other", &[rich.id]).await?.is_empty());

    let indexed = store.indexed("acme", 1, Select::After(None, 10)).await?;
    assert_eq!(indexed.len(), 1);
    assert_eq!(indexed[0].own.as_ref(), Some(&embedding(rich.id, DIMENSIONS).vector));
    assert_eq!(
        (indexed[0].id, indexed[0].turn, indexed[0].context.as_ref()),
        (rich.id, rich.message_id, None)
    );
    assert_eq!(indexed[0].event, Some((at(-100).timestamp_micros(), at(-50).timestamp_micros())));
    assert_eq!((indexed[0].tags.clone(), indexed[0].superseded), (rich.context_tags.clone(), false));
    assert_eq!(indexed[0].metadata.as_deref(), Some(r#"{"a":[0.1,null,"ü"],"z":1}"#));
    assert_eq!(store.indexed("acme", 1, Select::Ids(&[rich.id])).await?.len(), 1);
    assert!(store.indexed("acme", 1, Select::After(Some(rich.id), 10)).await?.is_empty());
    assert!(store.indexed("acme", 2, Select::Ids(&[rich.id])).await?[0].own.is_none());

    let mut expected = turn(&rich);
    expected.seq = 1;
    assert_eq!(store.turns("acme", Select::After(None, 10)).await?, [expected.clone()]);
    assert_eq!(store.turns("acme", Select::Ids(&[rich.message_id])).await?, [expected]);
    let events = store.events(&scope()?, &ListEvents::new()).await?;
    assert_eq!((events.total, events.items[0].memory_ids.clone()), (1, vec![rich.id]));
    Ok(())
}

async fn each_precondition_holds_or_refuses(kind: Kind) -> TestResult {
    let store = kind.store().await?;
    let mut first = record("I live in Porto");
    first.session_id = "s".into();
    first.key = Some("home".into());
    let residence = fact(&first, "Porto");
    let mut changes = write(&first);
    changes.messages[0].turn_id = "t1".into();
    add_fact(&mut changes, &residence);
    let scope = scope()?.with_session("s")?;
    changes.idempotency.push(IdempotencyRow {
        key: "write:k".into(),
        request: [1; 16],
        answer: json!({"id": first.id}),
        scope,
        expires_at: at(60),
    });
    commit(&*store, changes).await?;

    let digest = *first.id.as_uuid().as_bytes();
    let key = |key: &str| KeyOf { namespace: "default".into(), user: String::new(), key: key.into() };
    let slot = |slot: &str| SlotOf {
        namespace: "default".into(),
        user: String::new(),
        subject: "user".into(),
        slot: slot.into(),
    };
    let said = |turn: &str, role| TurnOf { session: "s".into(), role, turn_id: turn.into() };
    for (precondition, expected) in [
        (Precondition::Version(first.id, 1), true),
        (Precondition::Version(first.id, 2), false),
        (Precondition::Version(MemoryId::new(), 1), false),
        (Precondition::Dedup(digest, Some(first.id)), true),
        (Precondition::Dedup(digest, None), false),
        (Precondition::Dedup([9; 16], None), true),
        (Precondition::Dedup([9; 16], Some(first.id)), false),
        (Precondition::Key(key("home"), Some(first.id)), true),
        (Precondition::Key(key("home"), None), false),
        (Precondition::Key(key("else"), None), true),
        (Precondition::Slot(slot("residence"), vec![residence.id]), true),
        (Precondition::Slot(slot("residence"), vec![]), false),
        (Precondition::Slot(slot("employer"), vec![]), true),
        (Precondition::Turn(said("t1", Role::User)), false),
        (Precondition::Turn(said("t1", Role::Assistant)), true),
        (Precondition::Turn(said("t2", Role::User)), true),
        (Precondition::Unused("write:other".into()), true),
        (Precondition::Epoch(0), true),
        (Precondition::Epoch(1), false),
        (Precondition::Seq(3), true),
        (Precondition::Seq(2), false),
        (Precondition::Model(1), true),
        (Precondition::Model(2), false),
    ] {
        assert_eq!(holds(&*store, precondition.clone()).await?, expected, "{precondition:?}");
    }
    Ok(())
}

async fn an_idempotency_key_is_used_until_it_expires(kind: Kind) -> TestResult {
    let store = kind.store().await?;
    let row = |expires: i64| IdempotencyRow {
        key: "write:k".into(),
        request: [1; 16],
        answer: json!({"id": 1}),
        scope: fallible_scope(),
        expires_at: at(expires),
    };
    let keyed = |now: i64, expires: i64| {
        let mut text = record("once");
        text.written_at = at(now);
        let mut changes = write(&text);
        changes.require.push(Precondition::Unused("write:k".into()));
        changes.idempotency.push(row(expires));
        changes
    };
    commit(&*store, keyed(0, 60)).await?;
    let refused = store.commit(keyed(59, 120)).await?;
    assert_eq!(refused, Outcome::Refused(Precondition::Unused("write:k".into())));
    let wanted = Wanted { idempotency: vec!["write:k".into()], now: at(59), ..Wanted::default() };
    assert_eq!(store.observe("acme", &wanted).await?.idempotency.get("write:k"), Some(&row(60)));
    commit(&*store, keyed(60, 120)).await?;
    assert_eq!(store.observe("acme", &wanted).await?.idempotency.get("write:k"), Some(&row(120)));
    let later = Wanted { now: at(120), ..wanted };
    assert!(store.observe("acme", &later).await?.idempotency.is_empty());
    Ok(())
}

fn fallible_scope() -> cml_core::Scope {
    scope().unwrap_or_default()
}

async fn writers_share_commits_and_each_is_applied_once(kind: Kind) -> TestResult {
    let store = kind.shared_store().await?;
    let writers: Vec<_> = (0..64)
        .map(|index| {
            let store = store.clone();
            tokio::spawn(async move {
                let mut text = record(&format!("text {index}"));
                text.session_id = "s".into();
                commit(&*store, write(&text)).await?;
                TestResult::Ok(text.id)
            })
        })
        .collect();
    let mut ids = Vec::new();
    for writer in writers {
        ids.push(writer.await??);
    }
    assert_eq!(store.records("acme", &ids).await?.len(), 64);
    let messages = store.messages(&scope()?, "s", 0, 100).await?;
    assert_eq!(messages.iter().map(|message| message.seq).collect::<Vec<_>>(), (1..=64).collect::<Vec<_>>());
    let turns = store.turns("acme", Select::After(None, 100)).await?;
    for turn in turns {
        let message = messages.iter().find(|message| message.id == turn.id);
        assert_eq!(message.map(|message| message.seq), Some(turn.seq));
    }
    assert_eq!(store.tenant("acme").await?, TenantState { last_seq: 128, epoch: 0 });
    Ok(())
}

async fn of_writers_with_the_same_precondition_one_wins_and_the_others_leave_nothing(
    kind: Kind,
) -> TestResult {
    let store = kind.shared_store().await?;
    let writers: Vec<_> = (0..32)
        .map(|index| {
            let store = store.clone();
            let mut changes = write(&record(&format!("text {index}")));
            let digest = [7; 16];
            changes.records[0].dedup = Some(digest);
            changes.require.push(Precondition::Dedup(digest, None));
            tokio::spawn(async move { store.commit(changes).await })
        })
        .collect();
    let mut committed = 0;
    for writer in writers {
        committed += usize::from(matches!(writer.await??, Outcome::Committed(_)));
    }
    assert_eq!(committed, 1);
    assert_eq!(store.stats(&scope()?).await?.total_memories, 1);
    assert_eq!(store.turns("acme", Select::After(None, 100)).await?.len(), 1);
    assert_eq!(store.tenant("acme").await?.last_seq, 2);
    Ok(())
}

async fn a_change_set_that_fails_leaves_nothing_and_disturbs_no_other(kind: Kind) -> TestResult {
    let store = kind.shared_store().await?;
    let mut taken = record("first");
    taken.session_id = "s".into();
    taken.key = Some("key".into());
    commit(&*store, write(&taken)).await?;
    let writers: Vec<_> = (0..16)
        .map(|index| {
            let store = store.clone();
            let mut text = record("next");
            text.session_id = "s".into();
            // The key belongs to another record, which no precondition has found out.
            text.key = (index % 2 == 0).then(|| "key".into());
            tokio::spawn(async move { store.commit(write(&text)).await })
        })
        .collect();
    let mut failed = 0;
    for writer in writers {
        match writer.await? {
            Ok(_) => {}
            Err(error) => {
                assert_eq!(error.kind(), cml_core::ErrorKind::Conflict);
                failed += 1;
            }
        }
    }
    assert_eq!(failed, 8);
    let numbers: Vec<u64> =
        store.messages(&scope()?, "s", 0, 100).await?.iter().map(|message| message.seq).collect();
    assert_eq!(numbers, (1..=9).collect::<Vec<_>>());
    assert_eq!(store.tenant("acme").await?.last_seq, 18);
    Ok(())
}

async fn a_dropped_commit_is_applied_whole(kind: Kind) -> TestResult {
    let store = kind.store().await?;
    let text = record("dropped");
    {
        let mut commit = store.commit(write(&text));
        // Handed over at the first poll, not awaited to the end.
        assert!(commit.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
    }
    commit(&*store, ChangeSet::new("acme")).await?;
    assert_eq!(store.records("acme", &[text.id]).await?, [text]);
    assert_eq!(store.indexed("acme", 1, Select::After(None, 10)).await?.len(), 1);
    Ok(())
}

async fn messages_are_numbered_in_their_session(kind: Kind) -> TestResult {
    let store = kind.store().await?;
    let mut changes = ChangeSet::new("acme");
    for (index, session) in ["a", "b", "a", "", "a"].into_iter().enumerate() {
        let mut text = record(&format!("text {index}"));
        text.session_id = session.into();
        add(&mut changes, &text, DIMENSIONS);
    }
    commit(&*store, changes).await?;
    let mut late = record("late");
    late.session_id = "a".into();
    commit(&*store, write(&late)).await?;
    let numbers = async |session: &str| -> TestResult<Vec<u64>> {
        let messages = store.messages(&scope()?, session, 0, 10).await?;
        Ok(messages.iter().map(|message| message.seq).collect())
    };
    assert_eq!(numbers("a").await?, [1, 2, 3, 4]);
    assert_eq!(numbers("b").await?, [1]);
    assert_eq!(store.messages(&scope()?, "a", 2, 1).await?[0].seq, 3);
    // A turn that is put again without its message keeps the message's number.
    let mut again = ChangeSet::new("acme");
    again.turns.push(turn(&late));
    commit(&*store, again).await?;
    assert_eq!(store.turns("acme", Select::Ids(&[late.message_id])).await?[0].seq, 4);
    let wanted = Wanted { last_messages: vec!["a".into(), "none".into()], ..Wanted::default() };
    let observed = store.observe("acme", &wanted).await?;
    assert_eq!(observed.last_messages["a"].id, late.message_id);
    assert_eq!(observed.last_messages.len(), 1);
    Ok(())
}

async fn observe_answers_what_exists(kind: Kind) -> TestResult {
    let store = kind.store().await?;
    assert_eq!(store.observe("acme", &Wanted::default()).await?.state, TenantState::default());
    let mut text = record("I live in Porto");
    text.session_id = "s".into();
    text.key = Some("home".into());
    let residence = fact(&text, "Porto");
    let mut closed = fact(&text, "Faro");
    closed.status = FactStatus::Superseded;
    let mut changes = write(&text);
    changes.messages[0].turn_id = "t1".into();
    let mut second = text.clone();
    (second.id, second.chunk_index, second.key) = (MemoryId::new(), 1, None);
    changes.records.push(RecordPut { record: second, dedup: None });
    add_fact(&mut changes, &residence);
    add_fact(&mut changes, &closed);
    commit(&*store, changes).await?;
    let of = TurnOf { session: "s".into(), role: Role::User, turn_id: "t1".into() };
    let key = KeyOf { namespace: "default".into(), user: String::new(), key: "home".into() };
    let slot = SlotOf {
        namespace: "default".into(),
        user: String::new(),
        subject: "user".into(),
        slot: "residence".into(),
    };
    let digest = *text.id.as_uuid().as_bytes();
    let wanted = Wanted {
        dedup: vec![digest, [3; 16]],
        keys: vec![key.clone()],
        slots: vec![slot.clone()],
        turns: vec![of.clone()],
        ..Wanted::default()
    };
    let observed = store.observe("acme", &wanted).await?;
    assert_eq!((observed.model, observed.state.last_seq), (1, 5));
    assert_eq!(observed.dedup.get(&digest), Some(&text));
    assert_eq!(observed.dedup.len(), 1);
    assert_eq!(observed.keys.get(&key), Some(&text));
    assert_eq!(observed.slots.get(&slot), Some(&vec![residence.clone()]));
    assert_eq!(observed.turns[&of].0.id, text.message_id);
    assert_eq!(observed.turns[&of].1, 2);
    assert!(store.observe("other", &wanted).await?.dedup.is_empty());

    assert_eq!(store.facts_of("acme", &[text.id]).await?.len(), 2);
    let found = store.fact("acme", residence.id).await?.ok_or("no fact")?;
    assert_eq!(found.evidence, [Evidence::Memory(text.id)]);
    assert_eq!(store.indexed_facts("acme", Select::After(None, 10)).await?.len(), 2);
    Ok(())
}

async fn the_newest_record_of_a_digest_counts(kind: Kind) -> TestResult {
    let store = kind.store().await?;
    let (old, new) = (record("same"), record("same"));
    for text in [&new, &old] {
        let mut changes = write(text);
        changes.records[0].dedup = Some([5; 16]);
        commit(&*store, changes).await?;
    }
    assert!(holds(&*store, Precondition::Dedup([5; 16], Some(new.id))).await?);
    Ok(())
}

async fn reinforcement_raises_and_access_counts_without_a_change(kind: Kind) -> TestResult {
    let store = kind.store().await?;
    let text = record("said again");
    commit(&*store, write(&text)).await?;
    let mut changes = ChangeSet::new("acme");
    for confidence in [0.9, 0.5] {
        changes.reinforced.push(Reinforcement {
            id: text.id,
            confidence: Score::new(confidence)?,
            at: at(10),
        });
    }
    let seq = commit(&*store, changes).await?.seq;
    assert_eq!(seq, 4);
    let mut changes = ChangeSet::new("acme");
    changes.accessed.push(Access { id: text.id, count: 2, at: at(30) });
    changes.accessed.push(Access { id: text.id, count: 1, at: at(20) });
    changes.accessed.push(Access { id: MemoryId::new(), count: 1, at: at(20) });
    assert_eq!(commit(&*store, changes).await?.seq, 4);
    let stored = store.records("acme", &[text.id]).await?.remove(0);
    assert_eq!(
        (stored.access_count, stored.last_accessed_at, stored.confidence.get()),
        (5, Some(at(30)), 0.9)
    );
    assert_eq!(stored.version, 1);
    Ok(())
}

async fn the_list_of_changes_has_no_gap(kind: Kind) -> TestResult {
    let store = kind.store().await?;
    let text = record("text");
    let residence = fact(&text, "Porto");
    let mut changes = write(&text);
    add_fact(&mut changes, &residence);
    commit(&*store, changes).await?;
    let expected = vec![
        (1, Changed::Record(text.id)),
        (2, Changed::Turn(text.message_id)),
        (3, Changed::Fact(residence.id)),
    ];
    assert_eq!(store.changes("acme", 0, 10).await?, Tail::Rows(expected.clone()));
    assert_eq!(store.changes("acme", 1, 1).await?, Tail::Rows(vec![expected[1]]));
    assert_eq!(store.changes("acme", 3, 10).await?, Tail::Rows(vec![]));
    // A number that was never given comes from another file's history.
    assert_eq!(store.changes("acme", 4, 10).await?, Tail::Gone);
    assert_eq!(store.changes("none", 0, 10).await?, Tail::Rows(vec![]));
    Ok(())
}

async fn a_long_list_of_changes_is_cut(kind: Kind) -> TestResult {
    let store = kind.store().await?;
    let template = turn(&record(""));
    // 211 000 changes, so that the list was cut to its last 200 000 at 210 000.
    for _ in 0..211 {
        let mut changes = ChangeSet::new("acme");
        changes.turns = (0..1000).map(|_| template.clone()).collect();
        commit(&*store, changes).await?;
    }
    assert_eq!(store.changes("acme", 9_999, 1).await?, Tail::Gone);
    let Tail::Rows(rows) = store.changes("acme", 10_000, usize::MAX).await? else {
        return Err("gone".into());
    };
    assert_eq!((rows.len(), rows[0].0), (201_000, 10_001));
    Ok(())
}

async fn rows_are_added_once(kind: Kind) -> TestResult {
    let store = kind.store().await?;
    let text = record("text");
    let mut changes = write(&text);
    let residence = fact(&text, "Porto");
    add_fact(&mut changes, &residence);
    changes.evidence.push((residence.id, Evidence::Memory(text.id)));
    changes.sessions.push(session(&text));
    changes.events.push(event(&text));
    commit(&*store, changes.clone()).await?;
    let mut other = changes;
    other.sessions[0].name = "another name".into();
    commit(&*store, other).await?;
    assert_eq!(store.sessions(&scope()?).await?, [session(&text)]);
    assert_eq!(store.events(&scope()?, &ListEvents::new()).await?.total, 2);
    assert_eq!(store.facts_of("acme", &[text.id]).await?[0].evidence.len(), 1);
    let ids: HashSet<MemoryId> =
        store.indexed("acme", 1, Select::After(None, 10)).await?.iter().map(|row| row.id).collect();
    assert_eq!(ids.len(), 1);
    assert!(store.messages_by_id("acme", &[MessageId::new()]).await?.is_empty());
    Ok(())
}
