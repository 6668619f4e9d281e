//! Opening, refusing, migrating.

use std::time::Duration;

use cml_core::{Error, ErrorKind, config::SecretString, provider::EmbeddingModel};
use cml_embedded::store::{
    Store,
    postgres::{HnswOptions, PostgresOptions, PostgresStore},
};
use sqlx::{Connection as _, Executor as _, PgConnection};

use super::fixture::Schema;
use crate::fixtures::*;

async fn refused(options: PostgresOptions) -> TestResult<Error> {
    let secret = options.url.expose().to_owned();
    let Err(error) = PostgresStore::open(options).await else { return Err("it was opened".into()) };
    let shown = format!("{error} {error:?}");
    if let Some((_, password)) =
        secret.split_once('@').and_then(|(user, _)| user.rsplit_once(':')).filter(|(_, it)| it.len() > 4)
    {
        assert!(!shown.contains(password), "{shown}");
    }
    Ok(error)
}

fn at_url(schema: &Schema, url: &str) -> PostgresOptions {
    PostgresOptions {
        url: SecretString::new(url),
        connect_timeout: Duration::from_secs(2),
        ..schema.options()
    }
}

#[tokio::test]
async fn an_address_that_does_not_do_is_named() -> TestResult {
    let Some(schema) = Schema::new() else { return Ok(()) };
    let (head, place) = schema.url.split_once('@').ok_or("no user")?;
    let (place, database) = place.split_once('/').ok_or("no database")?;
    let (user, _) = head.rsplit_once(':').ok_or("no password")?;
    let cases = [
        ("mysql://root:hunter22@127.0.0.1/x".to_owned(), ErrorKind::Config, "postgres://"),
        ("postgres://user:hun ter22@:x/y".to_owned(), ErrorKind::Config, "no valid address"),
        (format!("{head}@no-such-host.invalid:5432/x"), ErrorKind::Config, "not known"),
        (format!("{head}@127.0.0.1:1/x"), ErrorKind::Unavailable, "no server answers"),
        (format!("{user}:wrong-password@{place}/{database}"), ErrorKind::Config, "password"),
        (format!("{head}@{place}/no_such_database"), ErrorKind::Config, "does not exist"),
    ];
    for (url, kind, reason) in cases {
        let error = refused(at_url(&schema, &url)).await?;
        assert_eq!(error.kind(), kind, "{error}");
        assert!(error.message().starts_with("postgres.url: "), "{error}");
        assert!(error.message().contains(reason), "{error}");
        assert!(error.suggestion().is_some(), "{error}");
    }
    Ok(())
}

#[tokio::test]
async fn settings_out_of_range_are_named_before_anything_is_made() -> TestResult {
    let Some(schema) = Schema::new() else { return Ok(()) };
    for name in
        ["", "Cml", "1cml", "cml-x", "pg_cml", "information_schema", "x\"; DROP TABLE y", &"x".repeat(41)]
    {
        let error = refused(PostgresOptions { schema: name.to_owned(), ..schema.options() }).await?;
        assert_eq!(error.kind(), ErrorKind::Config);
        assert!(error.message().starts_with("postgres.schema: "), "{error}");
    }
    let error = refused(PostgresOptions { max_connections: 0, ..schema.options() }).await?;
    assert!(error.message().starts_with("postgres.max_connections: "), "{error}");
    let hnsw = HnswOptions { ef_search: 0, ..HnswOptions::default() };
    let error = refused(PostgresOptions { hnsw, ..schema.options() }).await?;
    assert!(error.message().starts_with("HnswOptions::ef_search: "), "{error}");
    let error =
        refused(PostgresOptions { model: EmbeddingModel::new("large", 4001), ..schema.options() }).await?;
    assert!(error.message().contains("4000"), "{error}");
    let made = schema.number("SELECT count(*) FROM pg_namespace WHERE nspname = '{schema}'").await?;
    assert_eq!(made, 0);
    Ok(())
}

#[tokio::test]
async fn a_right_that_is_missing_is_named_with_its_grant() -> TestResult {
    let Some(mut schema) = Schema::new() else { return Ok(()) };
    let options = schema.user("guest").await?;
    let role = schema.role("guest");
    let error = refused(options.clone()).await?;
    assert_eq!(error.kind(), ErrorKind::Config);
    assert!(error.suggestion().is_some_and(|it| it.starts_with("GRANT CREATE ON DATABASE")), "{error}");

    schema.run("CREATE SCHEMA {schema}").await?;
    let error = refused(options.clone()).await?;
    assert!(error.suggestion().is_some_and(|it| it.starts_with("GRANT USAGE, CREATE ON SCHEMA")), "{error}");
    let tables = "SELECT count(*) FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE \
                  n.nspname = '{schema}'";
    assert_eq!(schema.number(tables).await?, 0);

    // Somebody else's tables.
    schema.open().await?.close().await?;
    schema.run(&format!("GRANT USAGE ON SCHEMA {{schema}} TO {role}")).await?;
    let error = refused(options.clone()).await?;
    assert!(error.suggestion().is_some_and(|it| it.contains("ON ALL TABLES IN SCHEMA")), "{error}");
    let grants = format!(
        "GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA {{schema}} TO {role}; GRANT USAGE ON ALL \
         SEQUENCES IN SCHEMA {{schema}} TO {role}"
    );
    schema.run(&grants).await?;
    let store = PostgresStore::open(options).await?;
    let text = record("text");
    commit(&store, write(&text)).await?;
    assert_eq!(store.records("acme", &[text.id]).await?, [text]);
    store.close().await?;
    Ok(())
}

#[tokio::test]
async fn tables_of_something_else_are_left_as_they_are() -> TestResult {
    let Some(schema) = Schema::new() else { return Ok(()) };
    schema.run("CREATE SCHEMA {schema}; CREATE TABLE {schema}.records (x int)").await?;
    let error = refused(schema.options()).await?;
    assert_eq!(error.kind(), ErrorKind::Config);
    assert!(error.message().contains("something else"), "{error}");
    schema.run("CREATE TABLE {schema}.migrations (x int)").await?;
    assert!(refused(schema.options()).await?.message().contains("something else"));
    let tables = "SELECT count(*) FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE \
                  n.nspname = '{schema}'";
    assert_eq!(schema.number(tables).await?, 2);
    Ok(())
}

#[tokio::test]
async fn a_newer_schema_is_a_conflict() -> TestResult {
    let Some(schema) = Schema::new() else { return Ok(()) };
    schema.open().await?.close().await?;
    schema.run("INSERT INTO {schema}.migrations (version) VALUES (999)").await?;
    let error = refused(schema.options()).await?;
    assert_eq!(error.kind(), ErrorKind::Conflict);
    assert!(error.message().contains("999"), "{error}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn many_may_make_the_same_schema_at_once() -> TestResult {
    for _ in 0..3 {
        let Some(schema) = Schema::new() else { return Ok(()) };
        let opening: Vec<_> = (0..8)
            .map(|index| {
                // Different options, so that each has connections of its own.
                let options = PostgresOptions { max_connections: 2 + index, ..schema.options() };
                tokio::spawn(async move {
                    let store = PostgresStore::open(options).await?;
                    commit(&store, write(&record(&format!("text {index}")))).await?;
                    store.close().await?;
                    TestResult::Ok(())
                })
            })
            .collect();
        for opened in opening {
            opened.await??;
        }
        let store = schema.open().await?;
        assert_eq!(store.stats(&scope()?).await?.total_memories, 8);
        assert_eq!(store.tenant("acme").await?.last_seq, 16);
        store.close().await?;
    }
    Ok(())
}

#[tokio::test]
async fn a_schema_keeps_its_model_and_what_was_committed() -> TestResult {
    let Some(schema) = Schema::new() else { return Ok(()) };
    let store = schema.open().await?;
    let text = record("text");
    commit(&store, write(&text)).await?;
    store.close().await?;
    store.close().await?;
    assert_eq!(store.tenant("acme").await.expect_err("closed").kind(), ErrorKind::Unavailable);
    assert_eq!(store.commit(write(&text)).await.expect_err("closed").kind(), ErrorKind::Unavailable);
    let options = PostgresOptions { model: EmbeddingModel::new("another", 3), ..schema.options() };
    let store = PostgresStore::open(options).await?;
    assert_eq!(store.records("acme", &[text.id]).await?, [text]);
    assert_eq!(store.generations().await?.serving, Some((1, model())));
    let ping = store.ping().await?;
    assert_eq!(ping["schema"], *schema.name);
    assert!(ping["pgvector"].is_string() && ping["postgresql"].is_string());
    store.close().await?;
    Ok(())
}

#[tokio::test]
async fn a_server_that_must_not_be_written_or_is_full_is_refused() -> TestResult {
    let Some(mut schema) = Schema::new() else { return Ok(()) };
    let options = schema.user("guest").await?;
    let role = schema.role("guest");
    schema.run(&format!("ALTER ROLE {role} SET default_transaction_read_only = on")).await?;
    let error = refused(options.clone()).await?;
    assert_eq!(error.kind(), ErrorKind::Config);
    assert!(error.message().contains("read-only"), "{error}");
    schema.run(&format!("ALTER ROLE {role} CONNECTION LIMIT 0")).await?;
    let error = refused(options.clone()).await?;
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    assert!(error.message().contains("no more connections"), "{error}");
    schema.run(&format!("ALTER ROLE {role} NOLOGIN")).await?;
    assert_eq!(refused(options).await?.kind(), ErrorKind::Config);
    Ok(())
}

#[tokio::test]
async fn an_extension_that_is_missing_or_old_is_named_with_what_mends_it() -> TestResult {
    let Some(mut schema) = Schema::new() else { return Ok(()) };
    let guest = schema.user("guest").await?;
    let database = Database::new(&schema).await?;
    let guest = PostgresOptions { url: database.address(guest.url.expose())?, ..guest };
    let error = refused(guest).await?;
    assert_eq!(error.kind(), ErrorKind::Config);
    assert!(error.message().contains("lacks the extension vector"), "{error}");
    let remedy = error.suggestion().unwrap_or_default();
    assert!(remedy.contains("CREATE EXTENSION vector;") && remedy.contains("pgvector"), "{error}");

    // Who may, makes it.
    let options = PostgresOptions { url: database.address(&schema.url)?, ..schema.options() };
    PostgresStore::open(options.clone()).await?.close().await?;

    let mut connection = PgConnection::connect(options.url.expose()).await?;
    connection.execute("UPDATE pg_extension SET extversion = '0.7.4' WHERE extname = 'vector'").await?;
    connection.close().await?;
    let error = refused(options).await?;
    assert_eq!(error.kind(), ErrorKind::Config);
    assert!(error.message().contains("0.7.4") && error.message().contains("0.8.0"), "{error}");
    assert!(error.suggestion().is_some_and(|it| it.contains("ALTER EXTENSION vector UPDATE;")), "{error}");
    database.remove(&schema).await
}

/// An empty database beside that of the tests.
struct Database(String);

impl Database {
    async fn new(schema: &Schema) -> TestResult<Self> {
        schema.run("CREATE DATABASE {schema} TEMPLATE template0").await?;
        Ok(Self(schema.name.clone()))
    }

    /// The address with this database in place of the other.
    fn address(&self, url: &str) -> TestResult<SecretString> {
        let (server, _) = url.rsplit_once('/').ok_or("the address names no database")?;
        Ok(SecretString::new(format!("{server}/{}", self.0)))
    }

    async fn remove(self, schema: &Schema) -> TestResult {
        schema.run("DROP DATABASE {schema} WITH (FORCE)").await
    }
}
