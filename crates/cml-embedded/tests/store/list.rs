//! Lists: order, pages, filters, what a scope sees.

use std::collections::HashSet;

use cml_core::{
    MemoryId, Scope, Score,
    memory::{FactStatus, MemoryRecord, MemoryStatus, MemoryType, OperationType},
    ops::{ListEvents, ListFacts, ListOrder, ListRequest, OrderBy},
};
use cml_embedded::store::{ChangeSet, PageKey, Store};

use crate::fixtures::*;

on_each_store![
    pages_over_equal_keys_skip_and_repeat_nothing_while_others_write,
    a_list_is_filtered,
    a_search_beyond_ascii_goes_through_every_page,
    a_scope_sees_its_own,
    facts_are_listed_as_of_an_instant,
    events_are_listed_newest_first_and_counted,
    stats_count_and_measure,
];

fn key(request: &ListRequest, record: &MemoryRecord) -> PageKey {
    let (number, text) = match request.order_by {
        OrderBy::Timestamp => (record.timestamp.timestamp_micros() as f64, ""),
        OrderBy::Confidence => (record.confidence.get(), ""),
        OrderBy::Importance => (record.importance.get(), ""),
        OrderBy::AccessCount => (record.access_count as f64, ""),
        OrderBy::Type => (0.0, record.memory_type.as_str()),
        OrderBy::Status => (0.0, record.status.as_str()),
        _ => (record.written_at.timestamp_micros() as f64, ""),
    };
    PageKey { order_by: request.order_by, order: request.order, number, text: text.to_owned(), id: record.id }
}

async fn pages_over_equal_keys_skip_and_repeat_nothing_while_others_write(kind: Kind) -> TestResult {
    let store = kind.store().await?;
    let mut changes = ChangeSet::new("acme");
    for index in 0..60_usize {
        let mut text = record(&format!("text {index}"));
        // Many rows of the same key, and a third, which no decimal fraction names.
        text.timestamp = at((index % 3) as i64);
        text.written_at = at((index % 2) as i64);
        text.confidence = Score::new((index % 3) as f64 / 3.0)?;
        text.access_count = (index % 4) as u64;
        text.memory_type = MemoryType::ALL[index % 3];
        text.status = MemoryStatus::ALL[index % 2];
        add(&mut changes, &text, DIMENSIONS);
    }
    let before: HashSet<MemoryId> = changes.records.iter().map(|put| put.record.id).collect();
    commit(&*store, changes).await?;
    for order_by in OrderBy::ALL {
        for order in ListOrder::ALL {
            let request = ListRequest::new().with_order_by(*order_by).with_order(*order);
            let (mut seen, mut after) = (Vec::new(), None);
            loop {
                let page = store.list(&scope()?, &request, after.as_ref(), 7).await?;
                let Some(last) = page.last() else { break };
                after = Some(key(&request, last));
                seen.extend(page.iter().map(|record| record.id));
                if seen.len() < 60 {
                    let mut between = record("between");
                    between.timestamp = at(1);
                    commit(&*store, write(&between)).await?;
                }
            }
            let old: Vec<MemoryId> = seen.iter().filter(|id| before.contains(id)).copied().collect();
            assert_eq!(old.len(), 60, "{order_by} {order}");
            assert_eq!(old.iter().copied().collect::<HashSet<_>>(), before, "{order_by} {order}");
            assert_eq!(seen.iter().collect::<HashSet<_>>().len(), seen.len(), "{order_by} {order}");
        }
    }
    Ok(())
}

async fn a_list_is_filtered(kind: Kind) -> TestResult {
    let store = kind.store().await?;
    let mut texts = Vec::new();
    for index in 0..4 {
        let mut text = record(["plain 100% text", "ÄRGER im Büro", "Plain_text", "other"][index]);
        text.memory_type = MemoryType::ALL[index];
        text.status = MemoryStatus::ALL[index];
        text.context_tags = vec![format!("tag{index}"), "every".into()];
        text.timestamp = at(index as i64 * 100);
        text.written_at = at(index as i64);
        text.namespace = format!("n{index}");
        text.agent_id = format!("a{index}");
        text.session_id = format!("s{index}");
        texts.push(text);
    }
    // Tells of something long before it was said.
    texts[3].event_start = Some(at(-1000));
    texts[3].event_end = Some(at(-900));
    for text in &texts {
        commit(&*store, write(text)).await?;
    }
    let found = async |request: ListRequest| -> TestResult<Vec<usize>> {
        let mut rows = Vec::new();
        for row in store.list(&scope()?, &request, None, 10).await? {
            rows.push(texts.iter().position(|text| *text == row).ok_or("unknown row")?);
        }
        Ok(rows)
    };
    let all = ListRequest::new;
    assert_eq!(found(all()).await?, [3, 2, 1, 0]);
    assert_eq!(found(all().with_memory_types([MemoryType::ALL[1], MemoryType::ALL[2]])).await?, [2, 1]);
    assert_eq!(found(all().with_statuses([MemoryStatus::Active])).await?, [0]);
    assert_eq!(found(all().with_tags(["tag0", "tag3", "none"])).await?, [3, 0]);
    assert_eq!(found(all().with_tags(["tag"])).await?, [0_usize; 0]);
    assert_eq!(found(all().with_search("plain")).await?, [2, 0]);
    assert_eq!(found(all().with_search("100%")).await?, [0]);
    assert_eq!(found(all().with_search("n_t")).await?, [2]);
    assert_eq!(found(all().with_search("ärger IM büro")).await?, [1]);
    assert_eq!(found(all().with_search("im bü")).await?, [1]);
    assert_eq!(found(all().with_session("s2")).await?, [2]);
    assert_eq!(found(all().with_since(at(200))).await?, [3, 2]);
    assert_eq!(found(all().with_until(at(0))).await?, [3]);
    assert_eq!(found(all().with_since(at(-950)).with_until(at(-940))).await?, [3]);
    assert_eq!(found(all().with_since(at(-900)).with_until(at(0))).await?, [0_usize; 0]);
    let mut named = all();
    named.namespaces = vec!["n1".into(), "n3".into()];
    named.agents = vec!["a1".into()];
    assert_eq!(found(named).await?, [1]);
    Ok(())
}

async fn a_search_beyond_ascii_goes_through_every_page(kind: Kind) -> TestResult {
    let store = kind.store().await?;
    let mut changes = ChangeSet::new("acme");
    for index in 0..1200 {
        let mut text = record(if index % 400 == 399 { "Straße nach ÉVORA" } else { "nothing" });
        text.written_at = at(index);
        add(&mut changes, &text, DIMENSIONS);
    }
    commit(&*store, changes).await?;
    let request = ListRequest::new().with_search("évora");
    let found = store.list(&scope()?, &request, None, 2).await?;
    assert_eq!(found.iter().map(|text| text.written_at).collect::<Vec<_>>(), [at(1199), at(799)]);
    let rest = store.list(&scope()?, &request, Some(&key(&request, &found[1])), 2).await?;
    assert_eq!(rest.len(), 1);
    Ok(())
}

async fn visible(store: &dyn Store, scope: &Scope) -> TestResult<[u64; 6]> {
    let records = store.list(scope, &ListRequest::new(), None, 100).await?.len() as u64;
    let messages = store.messages(scope, "s", 0, 100).await?.len() as u64;
    let events = store.events(scope, &ListEvents::new()).await?;
    assert_eq!(events.total, events.items.len() as u64);
    let facts = store.facts(scope, &ListFacts::new()).await?;
    assert_eq!(facts.total, facts.items.len() as u64);
    let stats = store.stats(scope).await?;
    let sessions = store.sessions(scope).await?.len() as u64;
    Ok([records, messages, events.total, facts.total, stats.total_memories, sessions])
}

async fn a_scope_sees_its_own(kind: Kind) -> TestResult {
    let store = kind.store().await?;
    for (namespace, user, session_id) in
        [("default", "ana", "s"), ("default", "", "s"), ("default", "bob", "s"), ("notes", "ana", "t")]
    {
        let mut text = record("text");
        (text.namespace, text.user_id, text.session_id) = (namespace.into(), user.into(), session_id.into());
        let mut changes = write(&text);
        changes.sessions.push(session(&text));
        let mut statement = fact(&text, "Porto");
        statement.slot = String::new();
        add_fact(&mut changes, &statement);
        commit(&*store, changes).await?;
    }
    let whole = scope()?;
    assert_eq!(visible(&*store, &whole).await?, [4, 3, 4, 4, 4, 2]);
    assert_eq!(visible(&*store, &whole.clone().with_namespace("default")?).await?, [3, 3, 3, 3, 3, 1]);
    assert_eq!(visible(&*store, &whole.clone().with_user("ana")?).await?, [3, 2, 3, 3, 3, 2]);
    assert_eq!(visible(&*store, &whole.clone().with_session("t")?).await?, [1, 0, 1, 1, 1, 1]);
    assert_eq!(visible(&*store, &whole.with_tenant("other")?).await?, [0; 6]);
    Ok(())
}

async fn facts_are_listed_as_of_an_instant(kind: Kind) -> TestResult {
    let store = kind.store().await?;
    let text = record("text");
    let (mut old, mut new) = (fact(&text, "Lisbon"), fact(&text, "Berlin"));
    (old.status, old.valid_to) = (FactStatus::Superseded, Some(at(50)));
    new.valid_from = at(50);
    let mut changes = write(&text);
    add_fact(&mut changes, &old);
    add_fact(&mut changes, &new);
    commit(&*store, changes).await?;
    let values = async |request: ListFacts| -> TestResult<Vec<String>> {
        Ok(store.facts(&scope()?, &request).await?.items.into_iter().map(|fact| fact.value).collect())
    };
    assert_eq!(values(ListFacts::new()).await?, ["Berlin"]);
    assert_eq!(values(ListFacts::new().with_current_only(false)).await?, ["Berlin", "Lisbon"]);
    assert_eq!(values(ListFacts::new().with_as_of(at(49))).await?, ["Lisbon"]);
    assert_eq!(values(ListFacts::new().with_as_of(at(50))).await?, ["Berlin"]);
    assert_eq!(values(ListFacts::new().with_subject("nobody")).await?, [""; 0]);
    assert_eq!(
        values(ListFacts::new().with_current_only(false).with_limit(1_usize).with_offset(1_usize)).await?,
        ["Lisbon"]
    );
    Ok(())
}

async fn events_are_listed_newest_first_and_counted(kind: Kind) -> TestResult {
    let store = kind.store().await?;
    for index in 0..5 {
        let mut text = record("text");
        text.written_at = at(index);
        let mut changes = write(&text);
        if index == 3 {
            changes.events[0].operation = OperationType::Update;
        }
        commit(&*store, changes).await?;
    }
    let page = store.events(&scope()?, &ListEvents::new().with_limit(2_usize).with_offset(1_usize)).await?;
    assert_eq!(page.total, 5);
    assert_eq!(page.items.iter().map(|event| event.created_at).collect::<Vec<_>>(), [at(3), at(2)]);
    let page = store
        .events(&scope()?, &ListEvents::new().with_operation(OperationType::Write).with_since(at(2)))
        .await?;
    assert_eq!(page.items.iter().map(|event| event.created_at).collect::<Vec<_>>(), [at(4), at(2)]);
    Ok(())
}

async fn stats_count_and_measure(kind: Kind) -> TestResult {
    let store = kind.store().await?;
    let (mut one, mut two) = (record("12345"), record("1234567890"));
    (one.timestamp, two.timestamp) = (at(7), at(3));
    (one.confidence, two.confidence) = (Score::new(0.25)?, Score::new(0.75)?);
    two.status = MemoryStatus::Silent;
    commit(&*store, write(&one)).await?;
    commit(&*store, write(&two)).await?;
    let stats = store.stats(&scope()?).await?;
    assert_eq!((stats.total_memories, stats.active_memories, stats.silent_memories), (2, 1, 1));
    assert_eq!((stats.oldest_memory, stats.newest_memory), (Some(at(3)), Some(at(7))));
    assert!((stats.avg_confidence - 0.5).abs() < 1e-12);
    // Two texts, two empty objects, two vectors.
    let bytes = 15 + 2 * 2 + 2 * 2 * DIMENSIONS;
    assert!((stats.estimated_size_mb - bytes as f64 / 1e6).abs() < 1e-12);
    assert_eq!(store.stats(&Scope::new("none")?).await?, cml_core::ops::Stats::default());
    Ok(())
}
