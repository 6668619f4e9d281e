//! Redis and Neo4j die, and come back.

use cml::{Memory, config::Mode, ops::ReadRequest};

use crate::{
    TestResult,
    load::{Calls, Load},
    patience::{graph_follows, patiently},
    servers::{Servers, open},
};

pub(crate) async fn without_redis_everything_goes_on(servers: &Servers) -> TestResult {
    goes_on_without(servers, "redis").await
}

pub(crate) async fn without_neo4j_everything_goes_on(servers: &Servers) -> TestResult {
    goes_on_without(servers, "neo4j").await
}

/// No call fails and none answers with what was before, while the server is away and when it is back.
async fn goes_on_without(servers: &Servers, name: &'static str) -> TestResult {
    let config = servers.fresh(Mode::Full)?;
    let memory = open(&config).await?;
    becomes(&memory, "healthy").await?;
    let load = Load::start(&memory, Calls::MustSucceed);
    load.go_on(1_000).await;
    servers.order("kill", name).await?;
    becomes(&memory, "degraded").await?;
    load.go_on(1_000).await;
    servers.order("restart", name).await?;
    becomes(&memory, "healthy").await?;
    load.go_on(1_000).await;
    let told = load.end().await?;
    told.check(&memory, &config).await?;
    graph_follows(memory.backend().as_ref(), memory.scope()).await?;
    memory.close().await?;
    Ok(())
}

pub(crate) async fn both_may_be_away_at_the_start(servers: &Servers) -> TestResult {
    servers.order("kill", "redis").await?;
    servers.order("kill", "neo4j").await?;
    let config = servers.fresh(Mode::Full)?;
    let memory = open(&config).await?;
    let written = memory.remember("Vobora lent the zither to Vomira.").await?;
    let found = memory.search(ReadRequest::new("zither").with_min_relevance(0.0)).await?;
    assert_eq!(found.memories.first().map(|item| item.id), written);
    becomes(&memory, "degraded").await?;
    servers.order("restart", "redis").await?;
    servers.order("restart", "neo4j").await?;
    becomes(&memory, "healthy").await?;
    let found = graph_follows(memory.backend().as_ref(), memory.scope()).await?;
    assert!(found.checked > 0, "{found:?}");
    memory.close().await?;
    Ok(())
}

async fn becomes(memory: &Memory, status: &str) -> TestResult {
    patiently(async || {
        let health = memory.health().await?;
        if !health.is_working() {
            return Err(format!("{health:?}").into());
        }
        Ok(if health.status == status { Ok(()) } else { Err(format!("{:?}", health.components)) })
    })
    .await
}
