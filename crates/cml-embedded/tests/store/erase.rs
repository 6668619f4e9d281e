//! Erasure by every subject, and removal of single records.

use cml_core::{
    EntityId, MemoryId, MessageId, Subject,
    memory::{Evidence, FactStatus, MemoryRecord, RecordVersion},
    ops::{Edge, Entity, FactVersion, ListEvents, ListRequest, Mention},
};
use cml_embedded::store::{
    ChangeSet, Changed, Committed, IdempotencyRow, RecordPut, Removal, Select, Store, Tail,
};
use serde_json::json;

use crate::fixtures::*;

on_each_store![
    a_tenant_that_is_erased_goes_on_counting,
    a_fact_that_rests_on_others_too_stays_without_the_name,
    a_message_goes_with_its_last_record,
    a_removal_names_the_messages_that_follow_it,
];

/// A record of ana's and everything that hangs on it; every text holds `mark`.
pub(crate) fn everything(
    mark: &str,
    session_id: &str,
    agent: &str,
    user: &str,
    namespace: &str,
    long: bool,
) -> TestResult<ChangeSet> {
    let filler = if long { "and so on ".repeat(2000) } else { String::new() };
    let mut text = record(&format!("{mark} was here {filler}"));
    text.namespace = namespace.into();
    text.user_id = user.into();
    text.agent_id = agent.into();
    text.session_id = session_id.into();
    text.speaker = format!("{mark} speaker");
    text.key = Some(format!("{mark} key {}", text.id));
    text.context_tags = vec![format!("{mark} tag")];
    text.metadata =
        json!({"field": format!("{mark} metadata {filler}")}).as_object().cloned().unwrap_or_default();
    let mut changes = write(&text);
    changes.turns[0].terms = format!("{mark} terms {filler}");
    if let Some(message) = changes.messages.first_mut() {
        message.turn_id = format!("{mark} turn");
    }
    changes.versions.push(RecordVersion::new(text.clone(), at(1)));
    let mut header = session(&text);
    header.name = format!("{mark} name");
    header.participants = vec![format!("{mark} participant")];
    changes.sessions.push(header);
    changes.events[0].payload =
        json!({"reason": format!("{mark} payload")}).as_object().cloned().unwrap_or_default();
    let statement = fact(&text, &format!("{mark} value"));
    changes.fact_versions.push(FactVersion { fact: statement.clone(), recorded_at: at(1) });
    add_fact(&mut changes, &statement);
    let entity = |name: &str| Entity {
        id: EntityId::new(),
        tenant_id: "acme".into(),
        namespace: namespace.into(),
        user_id: user.into(),
        name: format!("{mark} {name}"),
        entity_type: "person".into(),
    };
    let (one, two) = (entity("one"), entity("two"));
    for entity in [&one, &two] {
        changes.mentions.push(Mention {
            entity_id: entity.id,
            memory_id: text.id,
            message_id: text.message_id,
        });
    }
    changes.edges.push(Edge {
        source: one.id,
        target: two.id,
        predicate: format!("{mark} knows"),
        confidence: 0.5,
    });
    changes.entities.extend([one, two]);
    let mut scope = scope()?.with_user(user)?.with_namespace(namespace)?;
    if !session_id.is_empty() {
        scope = scope.with_session(session_id)?;
    }
    if !agent.is_empty() {
        scope = scope.with_agent(agent)?;
    }
    changes.idempotency.push(IdempotencyRow {
        key: format!("write:{mark} {}", text.id),
        request: [1; 16],
        answer: json!({"id": format!("{mark} answer")}),
        scope,
        expires_at: at(1_000_000_000),
    });
    Ok(changes)
}

pub(crate) async fn erase(store: &dyn Store, subject: Subject) -> TestResult<Committed> {
    let mut changes = ChangeSet::new("acme");
    changes.erase = Some(subject);
    commit(store, changes).await
}

async fn a_tenant_that_is_erased_goes_on_counting(kind: Kind) -> TestResult {
    let store = kind.store().await?;
    let text = record("text");
    commit(&*store, write(&text)).await?;
    let mut other = record("other tenant");
    other.tenant_id = "globex".into();
    commit(&*store, write(&other)).await?;
    let committed = erase(&*store, Subject::Tenant).await?;
    assert_eq!(committed.seq, 4);
    let changed = vec![(3, Changed::Record(text.id)), (4, Changed::Turn(text.message_id))];
    assert_eq!(store.changes("acme", 2, 10).await?, Tail::Rows(changed));
    assert_eq!(store.tenant("acme").await?.epoch, 1);
    assert_eq!(store.records("globex", &[other.id]).await?, [other]);
    assert!(store.turns("acme", Select::After(None, 10)).await?.is_empty());
    let tenants = store.tenants().await?;
    assert_eq!(tenants.iter().map(|tenant| tenant.memory_count).collect::<Vec<_>>(), [0, 1]);
    assert_eq!(store.events(&scope()?, &ListEvents::new()).await?.total, 0);
    Ok(())
}

async fn a_fact_that_rests_on_others_too_stays_without_the_name(kind: Kind) -> TestResult {
    let store = kind.store().await?;
    let said = |session: &str| {
        let mut text = record("I live in Porto");
        text.session_id = session.into();
        text
    };
    let (first, second) = (said("a"), said("b"));
    let mut shared = fact(&first, "Porto");
    shared.evidence = vec![Evidence::Memory(first.id), Evidence::Message(second.message_id)];
    let mut alone = fact(&first, "Faro");
    alone.status = FactStatus::Superseded;
    alone.superseded_by_id = Some(shared.id);
    shared.supersedes_id = Some(alone.id);
    let mut changes = write(&first);
    add(&mut changes, &second, DIMENSIONS);
    add_fact(&mut changes, &shared);
    add_fact(&mut changes, &alone);
    commit(&*store, changes).await?;
    let seq = store.tenant("acme").await?.last_seq;

    let committed = erase(&*store, Subject::Session("a".into())).await?;
    assert_eq!((committed.removed["facts"], committed.removed["messages"]), (1, 1));
    assert!(store.fact("acme", alone.id).await?.is_none());
    let left = store.fact("acme", shared.id).await?.ok_or("no fact")?;
    assert_eq!((left.session_id.as_str(), left.supersedes_id), ("", None));
    assert_eq!(left.evidence, [Evidence::Message(second.message_id)]);
    let Tail::Rows(rows) = store.changes("acme", seq, 10).await? else { return Err("gone".into()) };
    let changed: Vec<Changed> = rows.into_iter().map(|(_, changed)| changed).collect();
    for expected in [
        Changed::Record(first.id),
        Changed::Turn(first.message_id),
        Changed::Fact(alone.id),
        Changed::Fact(shared.id),
    ] {
        assert!(changed.contains(&expected), "{expected:?}");
    }
    erase(&*store, Subject::Session("b".into())).await?;
    assert!(store.fact("acme", shared.id).await?.is_none());
    Ok(())
}

async fn a_message_goes_with_its_last_record(kind: Kind) -> TestResult {
    let store = kind.store().await?;
    let mut chunks: Vec<MemoryRecord> = (0..3).map(|index| record(&format!("part {index}"))).collect();
    let message_id = chunks[0].message_id;
    for (index, chunk) in (0..).zip(chunks.iter_mut()) {
        chunk.session_id = "s".into();
        (chunk.message_id, chunk.chunk_index) = (message_id, index);
    }
    let mut changes = write(&chunks[0]);
    changes
        .records
        .extend(chunks[1..].iter().map(|record| RecordPut { record: record.clone(), dedup: None }));
    // Said again: it has no record of its own.
    let mut again = message(&chunks[0]);
    again.id = MessageId::new();
    changes.messages.push(again.clone());
    let mut newer = record("newer");
    newer.supersedes_id = Some(chunks[0].id);
    add(&mut changes, &newer, DIMENSIONS);
    commit(&*store, changes).await?;

    let delete = async |ids: Vec<MemoryId>| {
        let mut changes = ChangeSet::new("acme");
        changes.delete_records = ids;
        commit(&*store, changes).await
    };
    let removed = delete(vec![chunks[0].id, MemoryId::new()]).await?.removed;
    assert_eq!((removed["records"], removed["messages"]), (1, 1));
    let stayed = store.messages_by_id("acme", &[message_id, again.id]).await?;
    assert_eq!(stayed.len(), 1);
    assert_eq!((stayed[0].id, stayed[0].memory_id), (message_id, Some(chunks[1].id)));
    assert_eq!(store.records("acme", &[newer.id]).await?[0].supersedes_id, None);
    assert_eq!(store.turns("acme", Select::Ids(&[message_id])).await?.len(), 1);

    let removed = delete(vec![chunks[1].id, chunks[2].id]).await?.removed;
    assert_eq!((removed["records"], removed["messages"], removed["terms"]), (2, 1, 1));
    assert!(store.messages_by_id("acme", &[message_id]).await?.is_empty());
    assert_eq!(store.list(&scope()?, &ListRequest::new(), None, 10).await?.len(), 1);
    assert_eq!(store.tenant("acme").await?.epoch, 0);
    assert!(delete(vec![chunks[1].id]).await?.removed.is_empty());
    Ok(())
}

async fn a_removal_names_the_messages_that_follow_it(kind: Kind) -> TestResult {
    let store = kind.store().await?;
    let mut texts = Vec::new();
    for (index, user) in ["ana", "bob", "ana", "ana", "bob"].into_iter().enumerate() {
        let mut text = record(&format!("text {index}"));
        (text.session_id, text.user_id) = ("s".into(), user.into());
        commit(&*store, write(&text)).await?;
        texts.push(text);
    }
    let found = async |removal: Removal| -> TestResult<Vec<(MemoryId, Option<String>)>> {
        let followers = store.followers("acme", &removal).await?;
        Ok(followers.into_iter().map(|follower| (follower.records[0].id, follower.before)).collect())
    };
    let expected = vec![(texts[1].id, None), (texts[4].id, Some("text 1".to_owned()))];
    assert_eq!(found(Removal::Subject(Subject::User("ana".into()))).await?, expected);
    let expected = vec![(texts[2].id, Some("text 0".to_owned()))];
    assert_eq!(found(Removal::Records(vec![texts[1].id])).await?, expected);
    assert!(found(Removal::Subject(Subject::Session("s".into()))).await?.is_empty());
    assert!(found(Removal::Records(vec![])).await?.is_empty());
    Ok(())
}
