//! Carries what waits in a store's outbox into a graph database.
//!
//! A row names a node; the node is read as it is now. So rows may come twice or late, and of several for one
//! node the last is enough. One holder per tenant keeps the order; who dies is replaced when the lease
//! runs out.

use std::{
    collections::BTreeMap,
    hash::{BuildHasher as _, Hasher as _, RandomState},
    sync::Arc,
    time::Duration,
};

use cml_core::{Error, ErrorKind, Result};

use crate::store::{GraphKey, GraphKind, GraphProjection, GraphTables, Lease, Outbox, OutboxRow, Projected};

/// Rows of one step.
const ROWS: usize = 200;

/// How long a tenant is held without a sign of life; a step takes far less.
pub(super) const LEASE: Duration = Duration::from_secs(30);

/// Failures after which a row is passed over.
const ATTEMPTS: u32 = 5;

/// Shortest and longest pause after a failure.
const PAUSES: (Duration, Duration) = (Duration::from_millis(500), Duration::from_secs(60));

/// Who projects: the tables with their outbox, and the graph database.
#[derive(Debug)]
pub(super) struct Projector<G: ?Sized> {
    pub(super) tables: Arc<dyn GraphTables>,
    pub(super) graph: Arc<G>,
}

impl<G: ?Sized> Clone for Projector<G> {
    fn clone(&self) -> Self {
        Self { tables: Arc::clone(&self.tables), graph: Arc::clone(&self.graph) }
    }
}

/// How a step ended.
#[derive(Debug)]
pub(super) enum Step {
    /// Nothing is due.
    Idle,
    /// A tenant has nothing left that is due, or somebody else holds it.
    Done,
    /// The graph database is away.
    Away(Error),
}

impl<G: GraphProjection + ?Sized> Projector<G> {
    /// Projects what waits of one tenant. `away` counts the steps that found the graph database away, one
    /// after the other; `stop` says when to give up in between.
    pub(super) async fn step(&self, away: u32, stop: impl Fn() -> bool) -> Result<Step> {
        let Some(outbox) = self.tables.outbox() else { return Ok(Step::Idle) };
        let Some(lease) = outbox.lease(LEASE).await? else { return Ok(Step::Idle) };
        while !stop() {
            let Some(rows) = outbox.take(&lease, LEASE, ROWS).await? else { return Ok(Step::Done) };
            if rows.is_empty() {
                break;
            }
            match self.project(outbox, &lease, rows).await {
                Ok(Progress::All) => {}
                Ok(Progress::Lost) => return Ok(Step::Done),
                Ok(Progress::Failed(attempts)) => {
                    outbox.give_back(&lease, Some(pause(attempts, random()))).await?;
                    return Ok(Step::Done);
                }
                Err(error) if is_away(&error) => {
                    outbox.give_back(&lease, Some(pause(away, random()))).await?;
                    return Ok(Step::Away(error));
                }
                Err(error) => return Err(error),
            }
        }
        outbox.give_back(&lease, None).await?;
        Ok(Step::Done)
    }

    /// Projects these rows, each node once.
    async fn project(&self, outbox: &dyn Outbox, lease: &Lease, rows: Vec<OutboxRow>) -> Result<Progress> {
        let whole = rows.iter().filter(|row| row.what == Projected::Tenant).max_by_key(|row| row.attempts);
        if let Some(whole) = whole {
            return match self.everything(outbox, lease).await {
                Ok(true) => done(outbox, lease, rows.iter().map(|row| row.seq).collect()).await,
                Ok(false) => Ok(Progress::Lost),
                Err(error) if is_away(&error) => Err(error),
                Err(error) => failed(outbox, lease, std::slice::from_ref(whole), &error).await,
            };
        }
        let mut nodes: BTreeMap<GraphKey, Vec<OutboxRow>> = BTreeMap::new();
        for row in rows {
            if let Projected::Node(key) = row.what.clone() {
                nodes.entry(key).or_default().push(row);
            }
        }
        let mut progress = Progress::All;
        let mut parts = vec![nodes.into_iter().collect::<Vec<_>>()];
        while let Some(mut part) = parts.pop() {
            let keys: Vec<GraphKey> = part.iter().map(|(key, _)| key.clone()).collect();
            let rows = || part.iter().flat_map(|(_, rows)| rows);
            let step = match self.nodes(&lease.tenant, &keys).await {
                Ok(()) => done(outbox, lease, rows().map(|row| row.seq).collect()).await?,
                Err(error) if is_away(&error) => return Err(error),
                Err(error) if part.len() == 1 => {
                    let rows: Vec<OutboxRow> = rows().cloned().collect();
                    failed(outbox, lease, &rows, &error).await?
                }
                Err(_) => {
                    let rest = part.split_off(part.len() / 2);
                    parts.extend([rest, part]);
                    continue;
                }
            };
            match step {
                Progress::Lost => return Ok(Progress::Lost),
                Progress::Failed(attempts) => progress = progress.or_failed(attempts),
                Progress::All => {}
            }
        }
        Ok(progress)
    }

    /// Brings nodes up to date.
    pub(super) async fn nodes(&self, tenant: &str, keys: &[GraphKey]) -> Result<()> {
        let rows = self.tables.graph_rows(tenant, keys).await?;
        self.graph.apply(tenant, &rows).await
    }

    /// Makes a tenant's graph anew; `false` when the lease was lost on the way.
    async fn everything(&self, outbox: &dyn Outbox, lease: &Lease) -> Result<bool> {
        while !self.graph.clear(&lease.tenant).await? {
            if outbox.take(lease, LEASE, 0).await?.is_none() {
                return Ok(false);
            }
        }
        for kind in GraphKind::ALL {
            let mut after = None;
            loop {
                if outbox.take(lease, LEASE, 0).await?.is_none() {
                    return Ok(false);
                }
                let keys = self.tables.graph_keys(&lease.tenant, kind, after.as_ref(), ROWS).await?;
                if keys.is_empty() {
                    break;
                }
                self.nodes(&lease.tenant, &keys).await?;
                after = keys.last().cloned();
            }
        }
        Ok(true)
    }
}

/// Whether the graph database cannot be used at all, so that no row is to blame: it does not answer, or
/// what we were told about it does not hold, its password for one.
pub(super) fn is_away(error: &Error) -> bool {
    matches!(error.kind(), ErrorKind::Unavailable | ErrorKind::Config)
}

/// What became of rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Progress {
    All,
    /// Some failed, the most unlucky so often.
    Failed(u32),
    /// Somebody else holds the tenant.
    Lost,
}

impl Progress {
    fn or_failed(self, attempts: u32) -> Self {
        match self {
            Self::Failed(other) => Self::Failed(other.max(attempts)),
            _ => Self::Failed(attempts),
        }
    }
}

async fn done(outbox: &dyn Outbox, lease: &Lease, rows: Vec<u64>) -> Result<Progress> {
    Ok(if outbox.done(lease, &rows).await? { Progress::All } else { Progress::Lost })
}

/// Counts the failure of rows; those that failed too often are passed over from then on.
async fn failed(outbox: &dyn Outbox, lease: &Lease, rows: &[OutboxRow], error: &Error) -> Result<Progress> {
    let mut most = 0;
    for row in rows {
        let attempts = row.attempts + 1;
        let dead = attempts >= ATTEMPTS;
        tracing::warn!(tenant = %lease.tenant, seq = row.seq, attempts, dead, %error, "a change did not reach the graph");
        if !outbox.failed(lease, row.seq, error.message(), dead).await? {
            return Ok(Progress::Lost);
        }
        most = most.max(attempts);
    }
    Ok(Progress::Failed(most))
}

/// Exponential backoff with equal jitter: between half and all of `0.5 s * 2^before`, at most a minute;
/// `random` is 0..=1. Brooker, "Exponential Backoff And Jitter", AWS Architecture Blog, 2015.
pub(super) fn pause(before: u32, random: f64) -> Duration {
    let longest = PAUSES.0.saturating_mul(2_u32.saturating_pow(before)).min(PAUSES.1);
    longest.mul_f64(0.5 + 0.5 * random)
}

/// A number in 0..=1, another one each time.
pub(super) fn random() -> f64 {
    // Every state is seeded by the system.
    let hash = RandomState::new().build_hasher().finish();
    #[expect(clippy::cast_precision_loss, reason = "a share needs no more digits")]
    let share = (hash >> 11) as f64 / (u64::MAX >> 11) as f64;
    share
}

#[cfg(test)]
mod tests;
