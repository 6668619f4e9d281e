//! Opening: which server will do, and bringing a schema up to date.

use std::time::{Duration, Instant};

use cml_core::{Error, ErrorKind, Result, provider::EmbeddingModel};
use sqlx::{
    AssertSqlSafe, ConnectOptions as _, Connection as _, Executor as _, PgConnection,
    postgres::PgConnectOptions,
};

use super::{
    PostgresOptions,
    error::{Place, code, failed, quoted, url},
    extensions, hnsw, rls,
};
use crate::store::sql::{connection::Connection, generations};

/// One script per version of the schema, from 1.
const MIGRATIONS: &[&str] = &[include_str!("migrations/0001_init.sql")];
/// Oldest version of the server.
const OLDEST_SERVER: i32 = 15;
/// Longest name of a schema; names of indexes are made of it.
const LONGEST_SCHEMA: usize = 40;
/// The lock that whoever migrates any schema of the database holds: "cmlm" in ASCII.
const LOCK: &str = "SELECT pg_advisory_xact_lock(1668115565)";
/// Prepared statements kept per connection.
const STATEMENTS: usize = 256;
/// How long to wait between attempts while the server starts.
const PAUSE: Duration = Duration::from_millis(200);

/// A database with an up-to-date schema.
#[derive(Debug)]
pub(super) struct Opened {
    pub(super) connect: PgConnectOptions,
    /// Where the tables are, and the types of the extensions.
    pub(super) search_path: String,
    pub(super) row_level_security: bool,
    /// Whether the indexes of vectors are as they should be.
    pub(super) tidy: bool,
}

/// Checks the server, and makes or updates the schema; a new one serves vectors of the options' model.
pub(super) async fn open(options: &PostgresOptions) -> Result<Opened> {
    check_options(options)?;
    let connect = connect_options(options)?;
    let place = Place {
        host: connect.get_host().to_owned(),
        port: connect.get_port(),
        user: connect.get_username().to_owned(),
        database: connect.get_database().unwrap_or_else(|| connect.get_username()).to_owned(),
    };
    let mut connection = reach(&connect, &place, options.connect_timeout).await?;
    let opened = prepare(&mut connection, options, &place).await;
    // The outcome is known; a connection that cannot be closed in order is dropped.
    let _closed = connection.close().await;
    let (search_path, row_level_security, tidy) = opened?;
    Ok(Opened { connect, search_path, row_level_security, tidy })
}

fn check_options(options: &PostgresOptions) -> Result<()> {
    let schema = &*options.schema;
    let starts = schema.starts_with(|first: char| first.is_ascii_lowercase() || first == '_');
    let plain = |one: char| one.is_ascii_lowercase() || one.is_ascii_digit() || one == '_';
    if !starts || !schema.chars().all(plain) || schema.len() > LONGEST_SCHEMA {
        return Err(schema_error(&format!(
            "must begin with a lower-case letter and hold 1 to {LONGEST_SCHEMA} lower-case letters, digits \
             and underscores"
        )));
    }
    if schema.starts_with("pg_") || schema == "information_schema" {
        return Err(schema_error("must not be one of the server's own"));
    }
    if options.max_connections == 0 {
        return Err(Error::new(ErrorKind::Config, "postgres.max_connections: must be at least 1"));
    }
    hnsw::check(&options.model)?;
    options.hnsw.check()
}

fn connect_options(options: &PostgresOptions) -> Result<PgConnectOptions> {
    let text = options.url.expose();
    if !["postgres://", "postgresql://"].iter().any(|scheme| text.starts_with(scheme)) {
        return Err(url("must begin with postgres://"));
    }
    // The error may quote the address, and with it the password.
    let connect: PgConnectOptions = text.parse().map_err(|_unreadable: sqlx::Error| {
        url("is no valid address; percent-encode what is special in the user and password")
    })?;
    let level = tracing::log::LevelFilter::Trace;
    Ok(connect
        .application_name("cml")
        .statement_cache_capacity(STATEMENTS)
        .log_statements(level)
        .log_slow_statements(level, Duration::MAX))
}

/// Connects, and waits for a server that starts.
async fn reach(connect: &PgConnectOptions, place: &Place, patience: Duration) -> Result<PgConnection> {
    let begun = Instant::now();
    loop {
        let left = patience.saturating_sub(begun.elapsed());
        match tokio::time::timeout(left, connect.connect()).await {
            Ok(Ok(connection)) => return Ok(connection),
            Ok(Err(error)) if code(&error).as_deref() == Some("57P03") && begun.elapsed() < patience => {
                tokio::time::sleep(PAUSE).await;
            }
            Ok(Err(error)) => return Err(place.refused(error)),
            Err(_elapsed) => {
                return Err(place.away(&format!(
                    "the server at {}:{} did not answer within {} ms",
                    place.host,
                    place.port,
                    patience.as_millis()
                )));
            }
        }
    }
}

async fn prepare(
    connection: &mut PgConnection,
    options: &PostgresOptions,
    place: &Place,
) -> Result<(String, bool, bool)> {
    connection.execute("SET client_min_messages TO warning").await.map_err(failed)?;
    check_server(connection, place).await?;
    rls::check_user(connection, options).await?;
    let newest = MIGRATIONS.len();
    let allowed = rights(connection, &options.schema, place).await?;
    let found = match allowed {
        Some(_) => version(connection, &options.schema, place).await?.unwrap_or_default(),
        None => 0,
    };
    known(found)?;
    let extensions = extensions::ensure(connection, place, LOCK).await?;
    match allowed {
        None => make_schema(connection, &options.schema, place).await?,
        Some(Allowed { create: false }) if found < newest => {
            return Err(may_not_make(&options.schema, place));
        }
        Some(_) => {}
    }
    let search_path = search_path(&options.schema, &extensions);
    execute(connection, &format!("SET search_path TO {search_path}")).await?;
    while version(connection, &options.schema, place).await?.unwrap_or_default() < newest {
        migrate(connection, options, place).await?;
    }
    check_rights(connection, &options.schema, place).await?;
    let row_level_security = rls::ensure(connection, options, LOCK).await?;
    let mut connection = Connection::Postgres(connection);
    let tidy = hnsw::is_tidy(&mut connection).await?;
    Ok((search_path, row_level_security, tidy))
}

async fn check_server(connection: &mut PgConnection, place: &Place) -> Result<()> {
    let (version, standby, encoding): (i32, bool, String) = sqlx::query_as(
        "SELECT current_setting('server_version_num')::int4, pg_is_in_recovery() OR \
         current_setting('transaction_read_only')::bool, current_setting('server_encoding')",
    )
    .fetch_one(connection)
    .await
    .map_err(failed)?;
    let Place { host, port, database, .. } = place;
    if version < OLDEST_SERVER * 10_000 {
        return Err(url(&format!(
            "the server at {host}:{port} is PostgreSQL {}, at least {OLDEST_SERVER} is needed",
            version / 10_000
        )));
    }
    if standby {
        return Err(url(&format!("the server at {host}:{port} is read-only: a standby, or set so"))
            .with_suggestion("name the primary server in postgres.url (CML_POSTGRES_URL)"));
    }
    if encoding != "UTF8" {
        return Err(url(&format!("the database {database} has the encoding {encoding}, UTF8 is needed"))
            .with_suggestion("CREATE DATABASE name ENCODING 'UTF8' TEMPLATE template0;"));
    }
    Ok(())
}

/// What the user may do in a schema that exists, beside using it.
#[derive(Clone, Copy)]
struct Allowed {
    create: bool,
}

/// The user's rights on the schema; `None` where it does not exist.
async fn rights(connection: &mut PgConnection, schema: &str, place: &Place) -> Result<Option<Allowed>> {
    let rights: Option<(bool, bool)> = sqlx::query_as(
        "SELECT has_schema_privilege(oid, 'USAGE'), has_schema_privilege(oid, 'CREATE') FROM pg_namespace \
         WHERE nspname = $1",
    )
    .bind(schema)
    .fetch_optional(connection)
    .await
    .map_err(failed)?;
    match rights {
        Some((true, create)) => Ok(Some(Allowed { create })),
        Some(_) => Err(may_not_make(schema, place)),
        None => Ok(None),
    }
}

fn may_not_make(schema: &str, place: &Place) -> Error {
    schema_error(&format!("the user {} may not make tables in the schema {schema}", place.user))
        .with_suggestion(format!(
            "GRANT USAGE, CREATE ON SCHEMA {} TO {};",
            quoted(schema),
            quoted(&place.user)
        ))
}

async fn make_schema(connection: &mut PgConnection, schema: &str, place: &Place) -> Result<()> {
    let sql = format!("CREATE SCHEMA IF NOT EXISTS {}", quoted(schema));
    let made = connection.execute(sqlx::raw_sql(AssertSqlSafe(sql))).await;
    match made {
        Ok(_) => Ok(()),
        // Made by another process at the same time.
        Err(error) if matches!(code(&error).as_deref(), Some("23505" | "42P06")) => Ok(()),
        Err(error) if code(&error).as_deref() == Some("42501") => {
            let grant =
                format!("GRANT CREATE ON DATABASE {} TO {};", quoted(&place.database), quoted(&place.user));
            let message = format!("the user {} may not make the schema {schema}", place.user);
            Err(schema_error(&message).with_suggestion(grant).with_source(failed(error)))
        }
        Err(error) => Err(failed(error)),
    }
}

/// The version of the schema; `None` where there is none of ours.
async fn version(connection: &mut PgConnection, schema: &str, place: &Place) -> Result<Option<usize>> {
    let there: bool = sqlx::query_scalar(
        "SELECT EXISTS (SELECT 1 FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE n.nspname = \
         $1 AND c.relname = 'migrations')",
    )
    .bind(schema)
    .fetch_one(&mut *connection)
    .await
    .map_err(failed)?;
    if !there {
        return Ok(None);
    }
    let sql = format!("SELECT coalesce(max(version), 0)::bigint FROM {}.migrations", quoted(schema));
    let version: i64 = match sqlx::query_scalar(AssertSqlSafe(sql)).fetch_one(connection).await {
        Ok(version) => version,
        Err(error) => {
            return Err(match code(&error).as_deref() {
                Some("42703") => not_ours(schema),
                Some("42501") => lacks(schema, "migrations", place),
                _ => failed(error),
            });
        }
    };
    Ok(Some(usize::try_from(version).unwrap_or(usize::MAX)))
}

fn known(version: usize) -> Result<()> {
    let newest = MIGRATIONS.len();
    if version <= newest {
        return Ok(());
    }
    let message = format!("the schema has version {version}, this program knows up to {newest}");
    Err(Error::new(ErrorKind::Conflict, message).with_suggestion("open it with a newer release"))
}

/// Runs the next script in a transaction of its own, which other processes wait for.
async fn migrate(connection: &mut PgConnection, options: &PostgresOptions, place: &Place) -> Result<()> {
    let schema = &*options.schema;
    let mut transaction = connection.begin().await.map_err(failed)?;
    transaction.execute(LOCK).await.map_err(failed)?;
    let found = version(&mut transaction, schema, place).await?.unwrap_or_default();
    known(found)?;
    let Some(script) = MIGRATIONS.get(found) else { return Ok(()) };
    if let Err(error) = transaction.execute(sqlx::raw_sql(*script)).await {
        return Err(match code(&error).as_deref() {
            Some("42P07" | "42710") => not_ours(schema),
            Some("42501") => may_not_make(schema, place),
            _ => failed(error),
        });
    }
    if found == 0 {
        fill(&mut transaction, &options.model).await?;
        let mut connection = Connection::Postgres(&mut transaction);
        hnsw::make_for_new(&mut connection, &options.hnsw).await?;
    }
    sqlx::query("INSERT INTO migrations (version) VALUES ($1)")
        .bind(i64::try_from(found + 1).unwrap_or(i64::MAX))
        .execute(&mut *transaction)
        .await
        .map_err(failed)?;
    transaction.commit().await.map_err(failed)
}

/// The first rows of a new schema.
async fn fill(connection: &mut PgConnection, model: &EmbeddingModel) -> Result<()> {
    let mut connection = Connection::Postgres(connection);
    connection
        .run_plain(
            "INSERT INTO meta (name, value) VALUES ('created_at', to_char(now() AT TIME ZONE 'UTC', \
             'YYYY-MM-DD\"T\"HH24:MI:SS\"Z\"'))",
        )
        .await?;
    generations::first(&mut connection, model).await?;
    Ok(())
}

/// Refuses a schema whose tables belong to others who did not grant enough.
async fn check_rights(connection: &mut PgConnection, schema: &str, place: &Place) -> Result<()> {
    let lacking: Option<String> = sqlx::query_scalar(
        "SELECT c.relname::text FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE n.nspname = \
         $1 AND c.relkind IN ('r', 'p') AND NOT (has_table_privilege(c.oid, 'SELECT') AND \
         has_table_privilege(c.oid, 'INSERT') AND has_table_privilege(c.oid, 'UPDATE') AND \
         has_table_privilege(c.oid, 'DELETE')) LIMIT 1",
    )
    .bind(schema)
    .fetch_optional(&mut *connection)
    .await
    .map_err(failed)?;
    if let Some(table) = lacking {
        return Err(lacks(schema, &table, place));
    }
    // Removals collect what goes in a temporary table.
    let sql = "SELECT current_database()::text, has_database_privilege(current_database(), 'TEMPORARY')";
    let (database, temporary): (String, bool) =
        sqlx::query_as(sql).fetch_one(connection).await.map_err(failed)?;
    if temporary {
        return Ok(());
    }
    let (database, user) = (quoted(&database), quoted(&place.user));
    let message = format!("the user {} lacks the right to make temporary tables", place.user);
    Err(schema_error(&message).with_suggestion(format!("GRANT TEMPORARY ON DATABASE {database} TO {user};")))
}

fn lacks(schema: &str, table: &str, place: &Place) -> Error {
    let message = format!("the user {} lacks a right on the table {table}", place.user);
    schema_error(&message).with_suggestion(format!(
        "GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA {} TO {};",
        quoted(schema),
        quoted(&place.user)
    ))
}

/// The schema, then where the types and functions of the extensions are.
fn search_path(schema: &str, extensions: &[String]) -> String {
    let mut names = vec![quoted(schema)];
    for extension in extensions {
        let name = quoted(extension);
        if !names.contains(&name) {
            names.push(name);
        }
    }
    names.join(", ")
}

async fn execute(connection: &mut PgConnection, sql: &str) -> Result<()> {
    connection.execute(sqlx::raw_sql(AssertSqlSafe(sql.to_owned()))).await.map_err(failed)?;
    Ok(())
}

fn schema_error(message: &str) -> Error {
    Error::new(ErrorKind::Config, format!("postgres.schema: {message}"))
}

fn not_ours(schema: &str) -> Error {
    schema_error(&format!("the schema {schema} holds tables of something else and was left as it is"))
        .with_suggestion("set postgres.schema (CML_POSTGRES_SCHEMA) to another name")
}
