//! Removal of subjects and of single records.

use cml_core::{MemoryId, Result, Subject};
use sqlx::SqliteConnection;

use super::commit::Log;

pub(super) async fn subject(
    connection: &mut SqliteConnection,
    tenant: &str,
    subject: &Subject,
    log: &mut Log,
) -> Result<()> {
    let _ = (connection, tenant, subject, log);
    Ok(())
}

pub(super) async fn records(
    connection: &mut SqliteConnection,
    tenant: &str,
    ids: &[MemoryId],
    log: &mut Log,
) -> Result<()> {
    let _ = (connection, tenant, ids, log);
    Ok(())
}
