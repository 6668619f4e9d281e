//! Comparing a graph database with the tables.

use std::{collections::BTreeSet, time::Duration};

use cml_core::{Error, ErrorKind, Result, ops::GraphRepair};

use super::project::{LEASE, Projector};
use crate::store::{GraphChanges, GraphKey, GraphKind, GraphProjection, Lease, Outbox};

/// Nodes compared at once.
const PAGE: usize = 200;

/// How long to wait for who holds the tenant, and how often to ask.
const PATIENCE: u32 = 200;
const PAUSE: Duration = Duration::from_millis(100);

impl<G: GraphProjection + ?Sized> Projector<G> {
    /// Compares a tenant's graph with the tables, and mends what differs. What waits to be projected counts
    /// as different.
    ///
    /// # Errors
    /// `Unavailable` when the graph is away; `Conflict` when somebody else held the tenant all the time.
    pub(super) async fn repair(&self, tenant: &str) -> Result<GraphRepair> {
        let Some(outbox) = self.tables.outbox() else { return Ok(GraphRepair::default()) };
        let lease = hold(outbox, tenant).await?;
        let repaired = self.compare(outbox, &lease).await;
        outbox.give_back(&lease, None).await?;
        repaired
    }

    async fn compare(&self, outbox: &dyn Outbox, lease: &Lease) -> Result<GraphRepair> {
        let tenant = &*lease.tenant;
        let mut report = GraphRepair::default();
        for kind in GraphKind::ALL {
            let mut after = None;
            loop {
                if outbox.take(lease, LEASE, 0).await?.is_none() {
                    return Err(taken(tenant));
                }
                let stored = self.tables.graph_keys(tenant, kind, after.as_ref(), PAGE).await?;
                let held = self.graph.keys(tenant, kind, after.as_ref(), PAGE).await?;
                // Beyond the end of the shorter full page nothing can be said yet.
                let ends = [&stored, &held].map(|keys| keys.last().filter(|_| keys.len() == PAGE).cloned());
                let end = ends.into_iter().flatten().min();
                let within = |key: &&GraphKey| end.as_ref().is_none_or(|end| *key <= end);
                let stored: BTreeSet<&GraphKey> = stored.iter().filter(within).collect();
                let held: BTreeSet<&GraphKey> = held.iter().filter(within).collect();
                report.checked += stored.len() as u64;
                report.orphans += held.difference(&stored).count() as u64;
                report.missing += stored.difference(&held).count() as u64;
                let both: Vec<GraphKey> = stored.intersection(&held).map(|key| (*key).clone()).collect();
                let different = self.different(tenant, &both).await?;
                report.different += different.len() as u64;
                let mut wrong: Vec<GraphKey> =
                    stored.symmetric_difference(&held).map(|key| (*key).clone()).collect();
                wrong.extend(different);
                if !wrong.is_empty() {
                    self.nodes(tenant, &wrong).await?;
                }
                match end {
                    Some(end) => after = Some(end),
                    None => break,
                }
            }
        }
        Ok(report)
    }

    async fn different(&self, tenant: &str, keys: &[GraphKey]) -> Result<Vec<GraphKey>> {
        if keys.is_empty() {
            return Ok(Vec::new());
        }
        let stored = self.tables.graph_rows(tenant, keys).await?;
        let held = self.graph.rows(tenant, keys).await?;
        Ok(keys.iter().filter(|key| !same(&stored, &held, key)).cloned().collect())
    }
}

/// Whether both hold the same of a node.
fn same(stored: &GraphChanges, held: &GraphChanges, key: &GraphKey) -> bool {
    match key {
        GraphKey::Record(id) => stored.records.get(id) == held.records.get(id),
        GraphKey::Fact(id) => stored.facts.get(id) == held.facts.get(id),
        GraphKey::Session(name) => stored.sessions.get(name) == held.sessions.get(name),
        GraphKey::Entity(id) => stored.entities.get(id) == held.entities.get(id),
    }
}

async fn hold(outbox: &dyn Outbox, tenant: &str) -> Result<Lease> {
    for _ in 0..PATIENCE {
        if let Some(lease) = outbox.lease_of(tenant, LEASE).await? {
            return Ok(lease);
        }
        tokio::time::sleep(PAUSE).await;
    }
    Err(taken(tenant))
}

fn taken(tenant: &str) -> Error {
    Error::new(ErrorKind::Conflict, "the tenant's graph is being brought up to date by somebody else")
        .with_suggestion("try again")
        .with_context("tenant", tenant)
}
