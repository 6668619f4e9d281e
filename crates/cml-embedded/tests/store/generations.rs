//! Two generations of vectors side by side.

use cml_core::{memory::MemoryStatus, provider::EmbeddingModel};
use cml_embedded::store::{ChangeSet, Precondition, Select};

use crate::fixtures::*;

on_each_store![
    a_generation_serves_when_every_record_has_its_vector,
    another_model_takes_the_place_of_an_open_generation,
];

async fn a_generation_serves_when_every_record_has_its_vector(kind: Kind) -> TestResult {
    let store = kind.store().await?;
    let mut texts = Vec::new();
    for index in 0..3 {
        let mut text = record(&format!("text {index}"));
        text.session_id = "s".into();
        commit(&*store, write(&text)).await?;
        texts.push(text);
    }
    let mut deleted = record("deleted");
    deleted.status = MemoryStatus::Deleted;
    commit(&*store, write(&deleted)).await?;
    let mut other = record("other tenant");
    other.tenant_id = "globex".into();
    commit(&*store, write(&other)).await?;

    let next = EmbeddingModel::new("next", 4).with_max_tokens(7).with_additive(true);
    let id = store.open_generation(&next).await?;
    assert_eq!(id, 2);
    assert_eq!(store.open_generation(&next).await?, id);
    let generations = store.generations().await?;
    assert_eq!(generations.serving, Some((1, model())));
    assert_eq!(generations.opened, Some((id, next.clone())));

    assert_eq!(store.count_unembedded(id).await?, 4);
    let first = store.unembedded(id, None, None, 3).await?;
    let last = &first[2].record;
    let rest = store.unembedded(id, None, Some((&last.tenant_id, last.id)), 10).await?;
    let waiting = store.unembedded(id, None, None, 10).await?;
    assert_eq!((first.len(), rest.len(), waiting.len()), (3, 1, 4));
    assert_eq!(store.unembedded(id, Some("globex"), None, 10).await?.len(), 1);
    let before: Vec<_> = waiting.iter().map(|row| (row.record.id, row.before.as_deref())).collect();
    assert!(before.contains(&(texts[0].id, None)) && before.contains(&(texts[2].id, Some("text 1"))));

    assert!(!store.close_generation(id).await?);
    for text in texts.iter().chain([&other]) {
        let mut changes = ChangeSet::new(&*text.tenant_id);
        let mut put = embedding(text.id, 4);
        put.model = id;
        changes.embeddings.push(put);
        commit(&*store, changes).await?;
    }
    assert!(store.close_generation(id).await?);
    assert_eq!(store.generations().await?.serving, Some((id, next)));
    assert!(store.generations().await?.opened.is_none());
    assert!(holds(&*store, Precondition::Model(id)).await?);
    assert!(!holds(&*store, Precondition::Model(1)).await?);
    assert!(store.indexed("acme", 1, Select::Ids(&[texts[0].id])).await?[0].own.is_none());
    assert!(store.indexed("acme", id, Select::Ids(&[texts[0].id])).await?[0].own.is_some());
    assert!(!store.close_generation(1).await?);
    Ok(())
}

async fn another_model_takes_the_place_of_an_open_generation(kind: Kind) -> TestResult {
    let store = kind.store().await?;
    let text = record("text");
    commit(&*store, write(&text)).await?;
    let first = store.open_generation(&EmbeddingModel::new("a", 4)).await?;
    let mut changes = ChangeSet::new("acme");
    let mut put = embedding(text.id, 4);
    put.model = first;
    changes.embeddings.push(put);
    commit(&*store, changes).await?;
    let second = store.open_generation(&EmbeddingModel::new("b", 4)).await?;
    assert_ne!(first, second);
    assert!(store.indexed("acme", first, Select::Ids(&[text.id])).await?[0].own.is_none());
    assert!(!store.close_generation(first).await?);
    Ok(())
}
