//! Nothing of an erased text stays in the cache.

use std::sync::Arc;

use cml_core::{
    Scope, Subject,
    ops::{EraseRequest, ForgetAction, ForgetRequest, ReadRequest, WriteRequest},
};
use cml_embedded::clock::ManualClock;

use crate::{
    fixtures::{Hashed, Outcome, engine, eventually, start, store},
    redis::Server,
};

#[tokio::test]
async fn an_erasure_clears_the_cache_of_its_tenant_before_it_returns() -> Outcome {
    let Some(server) = Server::of_environment() else { return Ok(()) };
    let (clock, store) = (ManualClock::new(start()), store().await?);
    let engine = engine(&store, server.cache()?, Hashed::new(), &clock).await?;
    let [acme, globex] = [Scope::new("acme")?, Scope::new("globex")?];
    for subject in [
        Subject::Tenant,
        Subject::User("ana".into()),
        Subject::Session("s1".into()),
        Subject::Agent("a".into()),
    ] {
        for scope in [&acme, &globex] {
            let scope = scope.clone().with_user("ana")?.with_session("s1")?;
            engine.write_batch(&scope, vec![WriteRequest::new("The zeppelin is blue")]).await?;
            engine.read(&scope, ReadRequest::new("zeppelin")).await?;
            engine.session_context(&scope, "s1", 100).await?;
        }
        let bytes = server.bytes()?;
        assert!(!String::from_utf8_lossy(&bytes).contains("eppelin"), "no text is kept");
        let before = server.values()?;
        engine.erase(&acme, EraseRequest::new(subject)).await?;
        let after = server.values()?;
        assert!(after > 0 && after < before, "{before} values, then {after}");
        engine.erase(&globex, EraseRequest::new(Subject::Tenant)).await?;
        assert_eq!(server.values()?, 0);
    }
    Ok(())
}

#[tokio::test]
async fn vectors_of_deleted_memories_go() -> Outcome {
    let Some(server) = Server::of_environment() else { return Ok(()) };
    let (clock, store) = (ManualClock::new(start()), store().await?);
    let engine = Arc::new(engine(&store, server.cache()?, Hashed::new(), &clock).await?);
    let scope = Scope::new("acme")?;
    let mut ids = Vec::new();
    for written in engine.write_batch(&scope, vec![WriteRequest::new("The boat is blue")]).await? {
        ids.extend(written?.memory_id);
    }
    assert_eq!(server.values()?, 1);
    engine.forget(&scope, ForgetRequest::ids(ids).with_action(ForgetAction::Delete)).await?;
    eventually(async || server.values().is_ok_and(|values| values == 0)).await
}
