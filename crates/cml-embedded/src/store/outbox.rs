//! What waits to be projected.
//!
//! A commit of a store that projects adds one row per node that it touched, in the same transaction.
//! A row holds no payload: whoever projects reads the node as it is then.

use std::{fmt::Debug, time::Duration};

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use cml_core::{BoxStream, Result};
use uuid::Uuid;

use super::GraphKey;

/// The outbox of a store. Instants are those of the database's clock.
#[async_trait]
pub trait Outbox: Debug + Send + Sync + 'static {
    /// Takes the tenant with the longest waiting row that nobody else holds, for so long. `None` when no
    /// row is due.
    async fn lease(&self, length: Duration) -> Result<Option<Lease>>;

    /// Takes this tenant for so long, whether anything of it is due or not. `None` while somebody else
    /// holds it.
    async fn lease_of(&self, tenant: &str, length: Duration) -> Result<Option<Lease>>;

    /// The next rows, oldest first, and the lease is held for `length` from now. `None` when it was lost.
    /// A limit of 0 only prolongs the lease.
    async fn take(&self, lease: &Lease, length: Duration, limit: usize) -> Result<Option<Vec<OutboxRow>>>;

    /// Removes rows that were projected; `false`, and nothing changed, when the lease was lost.
    async fn done(&self, lease: &Lease, rows: &[u64]) -> Result<bool>;

    /// Counts a failure of one row. With `dead` it is passed over from now on, until it is replayed.
    async fn failed(&self, lease: &Lease, row: u64, error: &str, dead: bool) -> Result<bool>;

    /// Ends the lease. The tenant is due again after `pause`; without one, at once.
    async fn give_back(&self, lease: &Lease, pause: Option<Duration>) -> Result<()>;

    /// Hints, which may be lost, that some process left rows. Ends never.
    fn added(&self) -> BoxStream<'static, ()>;

    /// How much waits: of one tenant or of all.
    async fn status(&self, tenant: Option<&str>) -> Result<OutboxStatus>;

    /// Makes the dead rows of a tenant due again, and says how many.
    async fn replay(&self, tenant: &str) -> Result<u64>;

    /// Lets everything of a tenant be projected anew, in place of what waits and of what is dead.
    async fn rebuild(&self, tenant: &str) -> Result<()>;
}

/// The right to project one tenant, until it runs out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lease {
    /// The tenant.
    pub tenant: String,
    /// Who holds it.
    pub token: Uuid,
}

/// A row of the outbox.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OutboxRow {
    /// Its number, rising within the tenant.
    pub seq: u64,
    /// What is to be projected.
    pub what: Projected,
    /// Failures so far.
    pub attempts: u32,
}

/// What is to be projected.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Projected {
    /// One node.
    Node(GraphKey),
    /// Everything of the tenant, from nothing.
    Tenant,
}

/// How much waits.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct OutboxStatus {
    /// Rows that wait, dead ones not counted.
    pub pending: u64,
    /// Rows that failed too often.
    pub dead: u64,
    /// Since when the oldest row waits.
    pub oldest: Option<DateTime<Utc>>,
    /// What the last row failed with.
    pub error: Option<String>,
}
