//! A process dies between a commit and its projection.

use std::{collections::HashMap, time::Duration};

use cml::{Memory, MemoryId, config::Mode, memory::MemoryRecord, ops::ListRequest};
use futures_util::TryStreamExt as _;

use crate::{
    TestResult,
    child::Process,
    patience::graph_follows,
    postgres::Numbers,
    servers::{Servers, open},
};

/// Processes that are killed, one after another.
const KILLS: usize = 20;
/// Longest life of a process after its first acknowledged write, in microseconds.
const LIFE: u64 = 150_000;

pub(crate) async fn a_process_that_dies_leaves_nothing_unprojected(servers: &Servers) -> TestResult {
    let config = servers.fresh(Mode::Full)?;
    // The tables are made; what this handle would project is left to the processes.
    let first = open(&config).await?;
    let tenant = first.scope().tenant().to_owned();
    first.close().await?;
    let (mut moments, mut acknowledged) = (Numbers(3), HashMap::new());
    for kill in 0..KILLS {
        let mut victim = Process::start(servers, "victim", &config, &tenant)?;
        victim.expect("open")?;
        let mut said = vec![victim.line()?];
        if kill % 2 == 0 {
            // Its life, not a wait for something to happen.
            tokio::time::sleep(Duration::from_micros(moments.below(LIFE))).await;
        }
        said.extend(victim.kill()?);
        for line in said {
            let (id, text) = line.split_once(' ').ok_or_else(|| format!("a victim says {line:?}"))?;
            acknowledged.insert(id.parse::<MemoryId>()?, text.to_owned());
        }
    }

    let memory = Memory::connect(&config).await?.tenant(tenant)?;
    let graph = memory.backend().graph()?;
    let records: Vec<MemoryRecord> =
        memory.iter_memories(ListRequest::new().with_limit(1000usize)).try_collect().await?;
    let texts: HashMap<MemoryId, &str> = records.iter().map(|record| (record.id, &*record.text)).collect();
    for (id, text) in &acknowledged {
        assert_eq!(texts.get(id), Some(&text.as_str()), "an acknowledged write is lost");
    }
    let found = graph_follows(memory.backend().as_ref(), memory.scope()).await?;
    assert!(found.checked > records.len() as u64, "{found:?}");
    graph.rebuild(memory.scope()).await?;
    let rebuilt = graph_follows(memory.backend().as_ref(), memory.scope()).await?;
    assert_eq!(rebuilt, found);
    memory.close().await?;
    Ok(())
}
