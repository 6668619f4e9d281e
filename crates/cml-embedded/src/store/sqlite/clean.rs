//! Removing the last bytes of removed rows from the file and its log.
//!
//! `secure_delete` overwrites rows and pages where they are freed. Two kinds of copies escape it: those
//! in the log, until it is moved into the file and emptied; and those that stay in the unused middle of
//! a page when SQLite moves its rows together or to a neighbour. The latter only go when the file is
//! written anew, which takes some milliseconds per megabyte.

use std::time::Duration;

use cml_core::Result;
use sqlx::{AssertSqlSafe, SqliteConnection};

use super::error::failed;
use crate::store::sql::{connection::Connection, value::Binds};

/// Longest wait for readers of what the log still holds.
const PATIENCE: Duration = Duration::from_secs(1);
/// A file of more bytes is only rewritten for an erasure.
const SMALL: i64 = 128 << 20;

/// Says that rows were removed and the file was not rewritten since, also to the next who opens it.
pub(super) const MARK: &str = "INSERT INTO meta (name, value) VALUES ('remains', '1') ON CONFLICT DO NOTHING";

/// Whether the file is marked.
pub(super) async fn remains(connection: &mut SqliteConnection) -> bool {
    let mark = number(connection, "SELECT 1 FROM meta WHERE name = 'remains'").await;
    // A failure here shows again at the first commit.
    matches!(mark, Ok(Some(_)))
}

/// Whether the file is rewritten without being asked.
pub(super) async fn is_small(connection: &mut SqliteConnection) -> bool {
    bytes(connection).await.is_ok_and(|bytes| bytes <= SMALL)
}

async fn bytes(connection: &mut SqliteConnection) -> Result<i64> {
    let sql = "SELECT page_count * page_size FROM pragma_page_count, pragma_page_size";
    Ok(number(connection, sql).await?.unwrap_or_default())
}

async fn number(connection: &mut SqliteConnection, sql: &str) -> Result<Option<i64>> {
    Connection::Sqlite(connection).first(sql, Binds::default(), |columns| columns.get()).await
}

async fn run_plain(connection: &mut SqliteConnection, sql: &str) -> Result<u64> {
    Connection::Sqlite(connection).run_plain(sql).await
}

/// Writes the file anew and takes the mark off; says whether it succeeded.
pub(super) async fn rewrite(connection: &mut SqliteConnection) -> bool {
    let rewritten = vacuum(connection).await;
    if let Err(error) = &rewritten {
        tracing::warn!(%error, "the file could not be rewritten after a removal");
    }
    rewritten.is_ok()
}

async fn vacuum(connection: &mut SqliteConnection) -> Result<()> {
    // The copy of a large database is made in a file, that of others in memory.
    let large = bytes(connection).await? > SMALL;
    if large {
        run_plain(connection, "PRAGMA temp_store = FILE").await?;
    }
    let done = run_plain(connection, "VACUUM").await;
    if large {
        run_plain(connection, "PRAGMA temp_store = MEMORY").await?;
    }
    done?;
    run_plain(connection, "DELETE FROM meta WHERE name = 'remains'").await?;
    Ok(())
}

/// Moves the log into the file and empties it. Says whether it succeeded: readers of an older state
/// may prevent it, then it is tried again after the next commit.
pub(super) async fn empty_log(
    connection: &mut SqliteConnection,
    patient: bool,
    busy_timeout: Duration,
) -> bool {
    let patience = if patient { PATIENCE.min(busy_timeout) } else { Duration::ZERO };
    let emptied = truncate(connection, patience).await;
    if let Err(error) = set_busy_timeout(connection, busy_timeout).await {
        tracing::warn!(%error, "the busy timeout could not be set back");
    }
    emptied.unwrap_or_else(|error| {
        tracing::warn!(%error, "the log could not be emptied");
        false
    })
}

async fn truncate(connection: &mut SqliteConnection, patience: Duration) -> Result<bool> {
    set_busy_timeout(connection, patience).await?;
    Ok(number(connection, "PRAGMA wal_checkpoint(TRUNCATE)").await? == Some(0))
}

async fn set_busy_timeout(connection: &mut SqliteConnection, timeout: Duration) -> Result<()> {
    let sql = format!("PRAGMA busy_timeout = {}", timeout.as_millis());
    sqlx::raw_sql(AssertSqlSafe(sql)).execute(connection).await.map_err(failed)?;
    Ok(())
}
