//! PostgreSQL dies, cuts connections, or has none left.

use std::time::Duration;

use cml::{
    ErrorKind, Memory,
    config::Mode,
    ops::{ListRequest, ReadRequest},
};

use crate::{
    TestResult,
    child::Process,
    load::{Calls, Load, word},
    proxy::Proxy,
    servers::{Servers, open},
};

pub(crate) async fn what_was_acknowledged_survives_the_death_of_postgres(servers: &Servers) -> TestResult {
    let config = servers.fresh(Mode::Standard)?;
    let memory = open(&config).await?;
    let load = Load::start(&memory, Calls::MayBeRefused);
    for _ in 0..3 {
        load.go_on(700).await;
        servers.order("kill", "postgres").await?;
        load.go_on(300).await;
        servers.order("restart", "postgres").await?;
    }
    load.go_on(700).await;
    let told = load.end().await?;
    told.check(&memory, &config).await?;
    memory.close().await?;
    Ok(())
}

pub(crate) async fn cut_connections_lose_and_double_nothing(servers: &Servers) -> TestResult {
    let mut config = servers.fresh(Mode::Standard)?;
    let address = servers.postgres()?;
    let proxy = Proxy::start(address.place.clone()).await?;
    address.at(&proxy.address).set(&mut config);
    let memory = open(&config).await?;
    let load = Load::start(&memory, Calls::MayBeRefused);
    let mut moments = Numbers(1);
    for _ in 0..40 {
        load.go_on(moments.below(120)).await;
        proxy.cut();
    }
    let told = load.end().await?;
    told.check(&memory, &config).await?;
    memory.close().await?;
    Ok(())
}

pub(crate) async fn connections_that_the_server_ends_lose_and_double_nothing(
    servers: &Servers,
) -> TestResult {
    let config = servers.fresh(Mode::Standard)?;
    let memory = open(&config).await?;
    let load = Load::start(&memory, Calls::MayBeRefused);
    let mut moments = Numbers(2);
    let mut ended = 0;
    for _ in 0..15 {
        load.go_on(moments.below(200)).await;
        let end = "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE pid <> pg_backend_pid() \
                   AND datname = current_database() AND backend_type = 'client backend'";
        ended += servers.sql(&servers.postgres()?.database, &[end]).await?.parse::<usize>()?;
    }
    assert!(ended > 0, "no connection was ended");
    let told = load.end().await?;
    told.check(&memory, &config).await?;
    memory.close().await?;
    Ok(())
}

pub(crate) async fn a_full_pool_refuses_and_recovers(servers: &Servers) -> TestResult {
    let mut config = servers.fresh(Mode::Standard)?;
    config.postgres.max_connections = 2;
    config.postgres.acquire_timeout = Duration::from_millis(50);
    let memory = open(&config).await?;
    let calls: Vec<_> = (0..64).map(|number| tokio::spawn(busy(memory.clone(), number))).collect();
    let mut written = Vec::new();
    for (number, call) in calls.into_iter().enumerate() {
        match call.await? {
            Ok(()) => written.push(number),
            Err(error) => assert_eq!(error.kind(), ErrorKind::Unavailable, "{error}"),
        }
    }
    for number in 64..80 {
        busy(memory.clone(), number).await?;
        written.push(number);
    }
    for number in written {
        let found = memory.search(ReadRequest::new(word("lorv", number)).with_min_relevance(0.0)).await?;
        assert!(found.memories.iter().any(|item| item.text == text(number)), "{}", text(number));
    }
    memory.close().await?;
    Ok(())
}

fn text(number: usize) -> String {
    format!("The {} hangs in the hall.", word("lorv", number))
}

/// Writes and reads, so that connections of either kind are needed.
async fn busy(memory: Memory, number: usize) -> cml::Result<()> {
    memory.list(ListRequest::new().with_limit(1000usize)).await?;
    memory.remember(text(number)).await?;
    Ok(())
}

pub(crate) async fn two_processes_see_each_others_writes(servers: &Servers) -> TestResult {
    let config = servers.fresh(Mode::Standard)?;
    let memory = open(&config).await?;
    let mut partner = Process::start(servers, "partner", &config, memory.scope().tenant())?;
    partner.expect("open")?;
    for round in 0..40 {
        let (theirs, ours) = (word("krav", round), word("plim", round));
        partner.ask(&format!("write {theirs}"))?;
        partner.expect("written")?;
        let found = memory.search(ReadRequest::new(theirs.as_str()).with_min_relevance(0.0)).await?;
        assert!(found.memories.iter().any(|item| item.text.contains(&theirs)), "{theirs} is not found here");
        memory.remember(format!("The jar with the {ours} stands in the attic.")).await?;
        partner.ask(&format!("find {ours}"))?;
        partner.expect("found")?;
    }
    drop(partner);
    memory.close().await?;
    Ok(())
}

/// A small linear congruential generator (Knuth, MMIX), so that the moments can be repeated.
pub(crate) struct Numbers(pub(crate) u64);

impl Numbers {
    pub(crate) fn below(&mut self, limit: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % limit
    }
}
