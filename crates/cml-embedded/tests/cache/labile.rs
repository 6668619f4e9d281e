//! Memories that a turn recalled are open to revision for a while.

use std::sync::Arc;

use chrono::TimeDelta;
use cml_core::{
    MemoryId, Scope, Subject,
    ops::{EraseRequest, ForgetAction, ForgetRequest, TurnRequest, WriteRequest},
};
use cml_embedded::{clock::ManualClock, engine::Engine, store::LocalCache};

use crate::fixtures::{Hashed, Outcome, engine, start, store};

async fn marked(engine: &Engine, scope: &Scope) -> Outcome<Vec<(String, Vec<MemoryId>)>> {
    let status = engine.labile(scope).await?;
    assert_eq!(status.tenant_id, scope.tenant());
    Ok(status.sessions.into_iter().map(|session| (session.session_id, session.memories)).collect())
}

async fn ids(engine: &Engine, scope: &Scope, texts: &[&str]) -> Outcome<Vec<MemoryId>> {
    let writes = texts.iter().map(|text| WriteRequest::new(*text)).collect();
    let mut ids = Vec::new();
    for written in engine.write_batch(scope, writes).await? {
        ids.extend(written?.memory_id);
    }
    Ok(ids)
}

#[tokio::test]
async fn what_a_turn_recalled_is_labile_for_its_session() -> Outcome {
    let clock = ManualClock::new(start());
    let cache = Arc::new(LocalCache::new(Arc::new(clock.clone())));
    let engine = engine(&store().await?, cache, Hashed::new(), &clock).await?;
    let tenant = Scope::new("acme")?;
    let [one, two] = [tenant.clone().with_session("one")?, tenant.clone().with_session("two")?];
    let ana = tenant.clone().with_user("ana")?;
    let shellfish = ids(&engine, &tenant, &["I am allergic to shellfish"]).await?;
    let boat = ids(&engine, &ana, &["The blue boat lies in the old harbour"]).await?;

    engine.turn(&tenant, TurnRequest::new("where does the blue boat lie")).await?;
    assert_eq!(marked(&engine, &tenant).await?, [], "a turn without a session opens nothing");
    engine.turn(&one, TurnRequest::new("am I allergic to shellfish")).await?;
    clock.set(start() + TimeDelta::minutes(2));
    engine.turn(&two, TurnRequest::new("where does the blue boat lie")).await?;
    let (first, second) = (("one".to_owned(), shellfish.clone()), ("two".to_owned(), boat.clone()));
    assert_eq!(marked(&engine, &tenant).await?, [first, second.clone()]);
    let bob = tenant.clone().with_user("bob")?;
    assert_eq!(marked(&engine, &bob).await?.len(), 1, "nobody sees the memories of others");
    assert_eq!(marked(&engine, &Scope::new("globex")?).await?, []);

    clock.set(start() + TimeDelta::minutes(5));
    assert_eq!(marked(&engine, &tenant).await?, [second], "after five minutes it is over");
    engine.forget(&tenant, ForgetRequest::ids(boat).with_action(ForgetAction::Delete)).await?;
    assert_eq!(marked(&engine, &tenant).await?, []);

    engine.turn(&one, TurnRequest::new("am I allergic to shellfish")).await?;
    assert_eq!(marked(&engine, &tenant).await?.len(), 1);
    engine.erase(&tenant, EraseRequest::new(Subject::User("ana".into()))).await?;
    assert_eq!(marked(&engine, &tenant).await?.len(), 1, "what is left stays open");
    engine.erase(&tenant, EraseRequest::new(Subject::Tenant)).await?;
    assert!(engine.cache().labile("acme").await.is_empty());
    Ok(())
}
