//! Opening: which files are ours, and bringing a schema up to date.

use std::{
    fs, io,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use cml_core::{Error, ErrorKind, Result, provider::EmbeddingModel};
use sqlx::{ConnectOptions as _, Connection as _, SqliteConnection, sqlite::SqliteConnectOptions};

use super::{
    connection::options,
    error::{config, failed, is_busy, is_damaged, not_ours, open_failed},
};
use crate::store::{
    graph::walk::folded,
    sql::{connection::Connection, generations},
};

/// "cmlm" in ASCII: the `application_id` of our files, so that no other file is taken for one of them.
const APPLICATION_ID: i64 = 0x636d_6c6d;

/// One script per version of the schema, from 1.
const MIGRATIONS: &[&str] =
    &[include_str!("migrations/0001_init.sql"), include_str!("migrations/0002_graph.sql")];

/// How long to wait between attempts at what SQLite does not wait for itself.
const PAUSE: Duration = Duration::from_millis(5);

/// Opens the file at `path`, or a database in memory, with an up-to-date schema; a new one serves
/// vectors of `model`. The connection is the writer's.
pub(super) async fn open(
    path: Option<&Path>,
    busy_timeout: Duration,
    model: &EmbeddingModel,
) -> Result<(SqliteConnectOptions, SqliteConnection)> {
    let Some(path) = path else {
        let options = options(None, busy_timeout);
        let mut connection = options.connect().await.map_err(failed)?;
        migrate(&mut connection, Path::new(":memory:"), model).await?;
        return Ok((options, connection));
    };
    let path = &absolute(path)?;
    check_place(path)?;
    probe(path).await?;
    let options = options(Some(path), busy_timeout);
    let mut connection = options.connect().await.map_err(|error| open_failed(path, error))?;
    migrate(&mut connection, path, model).await?;
    write_ahead(&mut connection, path, busy_timeout).await?;
    Ok((options, connection))
}

fn absolute(path: &Path) -> Result<PathBuf> {
    std::path::absolute(path).map_err(|error| config(path, "is no path").with_source(error))
}

/// Refuses what is no file, has no folder, or must not be written.
fn check_place(path: &Path) -> Result<()> {
    match fs::metadata(path) {
        Ok(found) if found.is_dir() => return Err(config(path, "is a folder")),
        Ok(found) if found.permissions().readonly() => return Err(config(path, "is read-only")),
        Ok(_) => {}
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(config(path, "cannot be read").with_source(error)),
    }
    match path.parent().map(fs::metadata) {
        Some(Ok(folder)) if !folder.is_dir() => Err(config(path, "is in something that is no folder")),
        Some(Ok(folder)) if folder.permissions().readonly() => Err(config(path, "is in a read-only folder")),
        Some(Err(error)) => Err(config(path, "is in a folder that does not exist").with_source(error)),
        _ => Ok(()),
    }
}

/// Looks at a file that exists without changing it or anything beside it, and refuses what is not ours.
///
/// The file is read by SQLite, because closing any other handle on it would release the locks that
/// another store of this process holds (<https://www.sqlite.org/howtocorrupt.html>, 2.2).
async fn probe(path: &Path) -> Result<()> {
    if fs::metadata(path).map_or(0, |found| found.len()) == 0 {
        return Ok(());
    }
    let options = SqliteConnectOptions::new()
        .filename(path)
        .immutable(true)
        .read_only(true)
        .disable_statement_logging();
    let mut connection = match options.connect().await {
        Ok(connection) => connection,
        Err(error) if is_damaged(&error) => return Ok(()),
        Err(error) => return Err(open_failed(path, error)),
    };
    let found = application_id(&mut connection).await;
    connection.close().await.map_err(failed)?;
    match found {
        Ok(APPLICATION_ID) => Ok(()),
        Ok(_) => Err(not_ours(path)),
        // Without its log, a file whose writer was killed while it moved pages over looks damaged. The
        // opening that follows reads both.
        Err(error) if is_damaged(&error) => Ok(()),
        Err(error) => Err(open_failed(path, error)),
    }
}

async fn application_id(connection: &mut SqliteConnection) -> sqlx::Result<i64> {
    sqlx::query_scalar("PRAGMA application_id").fetch_one(connection).await
}

/// Runs the scripts that the database lacks in one transaction, which other processes wait for.
///
/// The identity of the file is written before it becomes a write-ahead one, so that it stands in the
/// file itself and [`probe`] finds it.
async fn migrate(connection: &mut SqliteConnection, path: &Path, model: &EmbeddingModel) -> Result<()> {
    let newest = MIGRATIONS.len();
    if version(connection, path).await? == newest {
        return Ok(());
    }
    begin_exclusive(connection, path).await?;
    let applied = apply(connection, path, model).await;
    let end = if applied.is_ok() { "COMMIT" } else { "ROLLBACK" };
    let ended = Connection::Sqlite(connection).run_plain(end).await;
    applied.and(ended.map(|_| ()))
}

async fn begin_exclusive(connection: &mut SqliteConnection, path: &Path) -> Result<()> {
    sqlx::query("BEGIN EXCLUSIVE").execute(connection).await.map_err(|error| open_failed(path, error))?;
    Ok(())
}

async fn apply(connection: &mut SqliteConnection, path: &Path, model: &EmbeddingModel) -> Result<()> {
    let found = version(connection, path).await?;
    for script in MIGRATIONS.iter().skip(found) {
        sqlx::raw_sql(*script).execute(&mut *connection).await.map_err(failed)?;
    }
    if found == 1 {
        fold_names(connection).await?;
    }
    if found == 0 {
        sqlx::raw_sql("PRAGMA application_id = 1668115565")
            .execute(&mut *connection)
            .await
            .map_err(failed)?;
        let mut connection = Connection::Sqlite(&mut *connection);
        connection
            .run_plain(
                "INSERT INTO meta (name, value) VALUES ('created_at', strftime('%Y-%m-%dT%H:%M:%SZ', 'now'))",
            )
            .await?;
        generations::first(&mut connection, model).await?;
    }
    let sql = format!("PRAGMA user_version = {}", MIGRATIONS.len());
    sqlx::raw_sql(sqlx::AssertSqlSafe(sql)).execute(&mut *connection).await.map_err(failed)?;
    Ok(())
}

/// Fills `entities.name_key`, which came with the second script: SQLite knows no case beyond ASCII.
async fn fold_names(connection: &mut SqliteConnection) -> Result<()> {
    let names: Vec<(String, Vec<u8>, String)> = sqlx::query_as("SELECT tenant_id, id, name FROM entities")
        .fetch_all(&mut *connection)
        .await
        .map_err(failed)?;
    for (tenant, id, name) in names {
        sqlx::query("UPDATE entities SET name_key = ? WHERE tenant_id = ? AND id = ?")
            .bind(folded(&name))
            .bind(tenant)
            .bind(id)
            .execute(&mut *connection)
            .await
            .map_err(failed)?;
    }
    Ok(())
}

/// The schema's version, 0 in an empty database.
async fn version(connection: &mut SqliteConnection, path: &Path) -> Result<usize> {
    let sql = "SELECT (SELECT user_version FROM pragma_user_version), (SELECT application_id FROM \
         pragma_application_id), (SELECT count(*) FROM sqlite_schema)";
    let found: (i64, i64, i64) =
        sqlx::query_as(sql).fetch_one(connection).await.map_err(|error| open_failed(path, error))?;
    match found {
        (0, 0, 0) => Ok(0),
        (version, APPLICATION_ID, _) => known(version),
        _ => Err(not_ours(path)),
    }
}

fn known(version: i64) -> Result<usize> {
    usize::try_from(version).ok().filter(|version| (1..=MIGRATIONS.len()).contains(version)).ok_or_else(
        || {
            Error::new(
                ErrorKind::Conflict,
                format!(
                    "the database has schema version {version}, this program knows up to {}",
                    MIGRATIONS.len()
                ),
            )
            .with_suggestion("open it with a newer release")
        },
    )
}

/// Switches a file to a write-ahead log, which SQLite refuses at once while another process looks at it.
async fn write_ahead(connection: &mut SqliteConnection, path: &Path, patience: Duration) -> Result<()> {
    let begun = Instant::now();
    loop {
        let mode: sqlx::Result<String> =
            sqlx::query_scalar("PRAGMA journal_mode = WAL").fetch_one(&mut *connection).await;
        match mode {
            Ok(mode) if mode == "wal" => break,
            Ok(_) => {
                return Err(config(path, "is on a file system that SQLite's write-ahead log cannot use"));
            }
            Err(error) if is_busy(&error) && begun.elapsed() < patience => tokio::time::sleep(PAUSE).await,
            Err(error) => return Err(open_failed(path, error)),
        }
    }
    // The log keeps at most this many bytes after a checkpoint.
    sqlx::query("PRAGMA journal_size_limit = 67108864").execute(connection).await.map_err(failed)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    type TestResult = std::result::Result<(), Box<dyn std::error::Error>>;

    #[tokio::test]
    async fn a_file_of_the_first_version_is_brought_up_to_date() -> TestResult {
        let folder = tempfile::tempdir()?;
        let path = folder.path().join("memory.db");
        let model = EmbeddingModel::new("test", 4);
        let mut connection = options(Some(&path), PAUSE).connect().await?;
        sqlx::raw_sql(MIGRATIONS[0]).execute(&mut connection).await?;
        sqlx::raw_sql(
            "INSERT INTO entities (tenant_id, id, namespace, user_id, name, entity_type) VALUES ('acme', \
             x'00112233445566778899aabbccddeeff', 'default', '', 'Åsa', 'person'); INSERT INTO models (name, \
             dimensions, max_tokens, additive, state) VALUES ('test', 4, 512, 0, 'serving'); PRAGMA \
             application_id = 1668115565; PRAGMA user_version = 1",
        )
        .execute(&mut connection)
        .await?;
        connection.close().await?;
        let (_, mut connection) = open(Some(&path), Duration::from_secs(1), &model).await?;
        let key: String =
            sqlx::query_scalar("SELECT name_key FROM entities").fetch_one(&mut connection).await?;
        let version: i64 = sqlx::query_scalar("PRAGMA user_version").fetch_one(&mut connection).await?;
        assert_eq!((key.as_str(), usize::try_from(version)?), ("åsa", MIGRATIONS.len()));
        Ok(())
    }
}
