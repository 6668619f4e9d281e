//! Waiting for what must happen by itself.

use std::time::{Duration, Instant};

use cml::{MemoryBackend, Scope, ops::GraphRepair};
use libtest_mimic::Failed;

/// Longest wait; it ends a test that would hang.
const PATIENCE: Duration = Duration::from_secs(300);

/// Asks again and again until the answer is `Ok`; after a long time its `Err` is the failure.
pub(crate) async fn patiently<T>(
    mut ask: impl AsyncFnMut() -> Result<Result<T, String>, Failed>,
) -> Result<T, Failed> {
    let begun = Instant::now();
    loop {
        match ask().await? {
            Ok(answer) => return Ok(answer),
            Err(state) if begun.elapsed() > PATIENCE => return Err(format!("it never came: {state}").into()),
            Err(_) => tokio::time::sleep(Duration::from_millis(100)).await,
        }
    }
}

/// Waits until everything was carried into the graph database; then it must hold what the tables hold.
pub(crate) async fn graph_follows(backend: &dyn MemoryBackend, scope: &Scope) -> Result<GraphRepair, Failed> {
    let graph = backend.graph()?;
    patiently(async || {
        let sync = graph.sync(Some(scope)).await?;
        if (sync.kept_in.as_str(), sync.dead) != ("neo4j", 0) {
            return Err(format!("{sync:?}").into());
        }
        Ok(if sync.pending == 0 { Ok(()) } else { Err(format!("{sync:?}")) })
    })
    .await?;
    let found = graph.repair(scope).await?;
    if (found.orphans, found.missing, found.different) == (0, 0, 0) {
        return Ok(found);
    }
    Err(format!("the graph differs from the tables: {found:?}").into())
}
