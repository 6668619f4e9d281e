//! Keys, indexes and policies.

use std::{collections::BTreeSet, time::Duration};

use cml_core::provider::EmbeddingModel;
use cml_embedded::store::{
    Store,
    postgres::{PostgresOptions, PostgresStore},
};
use sqlx::{AssertSqlSafe, Connection as _, PgConnection, Row as _};

use super::fixture::Schema;
use crate::fixtures::*;

/// Tables that are the same for all tenants.
const COMMON: [&str; 3] = ["meta", "migrations", "models"];

#[tokio::test]
async fn every_key_begins_with_the_tenant() -> TestResult {
    let Some(schema) = Schema::new() else { return Ok(()) };
    schema.open().await?.close().await?;
    let sql = format!(
        "SELECT t.relname::text, i.relname::text, m.amname::text, a.attname::text FROM pg_index x JOIN pg_class \
         i ON i.oid = x.indexrelid JOIN pg_class t ON t.oid = x.indrelid JOIN pg_am m ON m.oid = i.relam JOIN \
         pg_namespace n ON n.oid = t.relnamespace LEFT JOIN pg_attribute a ON a.attrelid = t.oid AND a.attnum = \
         x.indkey[0] WHERE n.nspname = '{}'",
        schema.name
    );
    let rows = sqlx::query(AssertSqlSafe(sql)).fetch_all(&mut schema.connect().await?).await?;
    let mut tables = BTreeSet::new();
    for row in &rows {
        let (table, index): (String, String) = (row.try_get(0)?, row.try_get(1)?);
        let (method, column): (String, Option<String>) = (row.try_get(2)?, row.try_get(3)?);
        if COMMON.contains(&&*table) || method == "hnsw" {
            continue;
        }
        assert_eq!(column.as_deref(), Some("tenant_id"), "{table}.{index}");
        tables.insert(table);
    }
    assert!(tables.len() > 18, "{tables:?}");
    // Every other table has a key, and its tenant in it.
    let without = schema
        .number(
            "SELECT count(*) FROM pg_class t JOIN pg_namespace n ON n.oid = t.relnamespace WHERE n.nspname = \
             '{schema}' AND t.relkind = 'r' AND NOT EXISTS (SELECT 1 FROM pg_index i WHERE i.indrelid = t.oid AND \
             i.indisprimary)",
        )
        .await?;
    assert_eq!(without, 0);
    Ok(())
}

/// Models that have an index of their vectors.
async fn indexed(schema: &Schema) -> TestResult<Vec<String>> {
    let sql = format!(
        "SELECT c.relname::text FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid JOIN pg_am m ON m.oid = \
         c.relam JOIN pg_namespace n ON n.oid = c.relnamespace WHERE n.nspname = '{}' AND m.amname = 'hnsw' AND \
         i.indisvalid ORDER BY 1",
        schema.name
    );
    Ok(sqlx::query_scalar(AssertSqlSafe(sql)).fetch_all(&mut schema.connect().await?).await?)
}

/// Waits for the indexes that are made and removed in the background.
async fn become_indexed(schema: &Schema, wanted: &[&str]) -> TestResult {
    for _ in 0..600 {
        if indexed(schema).await? == wanted {
            return Ok(());
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert_eq!(indexed(schema).await?, wanted);
    Ok(())
}

#[tokio::test]
async fn each_generation_of_vectors_has_its_index() -> TestResult {
    let Some(schema) = Schema::new() else { return Ok(()) };
    let store = schema.open().await?;
    assert_eq!(indexed(&schema).await?, ["embeddings_hnsw_1"]);
    let text = record("text");
    commit(&store, write(&text)).await?;
    let next = store.open_generation(&EmbeddingModel::new("next", 4)).await?;
    become_indexed(&schema, &["embeddings_hnsw_1", "embeddings_hnsw_2"]).await?;
    let mut changes = cml_embedded::store::ChangeSet::new("acme");
    let mut put = embedding(text.id, 4);
    put.model = next;
    changes.embeddings.push(put);
    commit(&store, changes).await?;
    assert!(store.close_generation(next).await?);
    become_indexed(&schema, &["embeddings_hnsw_2"]).await?;
    assert!(store.open_generation(&EmbeddingModel::new("large", 4001)).await.is_err());
    store.close().await?;

    // What is missing is made after the next opening.
    schema.run("DROP INDEX {schema}.embeddings_hnsw_2").await?;
    let store = schema.open().await?;
    become_indexed(&schema, &["embeddings_hnsw_2"]).await?;
    store.close().await?;
    Ok(())
}

#[tokio::test]
async fn words_are_split_out_of_the_stored_terms() -> TestResult {
    let Some(schema) = Schema::new() else { return Ok(()) };
    let store = schema.open().await?;
    let text = record("text");
    let mut changes = write(&text);
    changes.turns[0].terms = format!("paint*12 sunris {} caf\u{e9}*2", "x".repeat(5000));
    commit(&store, changes).await?;
    let sql = format!("SELECT words FROM {}.terms", schema.name);
    let words: Vec<String> =
        sqlx::query_scalar(AssertSqlSafe(sql)).fetch_one(&mut schema.connect().await?).await?;
    assert_eq!(words, ["paint", "sunris", "", "caf\u{e9}"]);
    store.close().await?;
    Ok(())
}

#[tokio::test]
async fn with_row_level_security_the_database_shows_only_the_tenant() -> TestResult {
    let Some(mut schema) = Schema::new() else { return Ok(()) };
    // A superuser is exempt from it.
    let error = PostgresStore::open(PostgresOptions { row_level_security: true, ..schema.options() }).await;
    let error = error.expect_err("a superuser");
    assert!(error.message().starts_with("postgres.row_level_security: "), "{error}");

    let options = schema.guarded().await?;
    let store = PostgresStore::open(options.clone()).await?;
    let text = record("text");
    let mut other = record("other");
    other.tenant_id = "globex".into();
    commit(&store, write(&text)).await?;
    commit(&store, write(&other)).await?;
    assert_eq!(store.records("acme", &[text.id, other.id]).await?, std::slice::from_ref(&text));
    assert_eq!(store.tenants().await?.len(), 2);

    let mut connection = PgConnection::connect(options.url.expose()).await?;
    let count = format!("SELECT count(*) FROM {}.records", schema.name);
    let mut seen = async |setting: &'static str| {
        sqlx::query(setting).execute(&mut connection).await?;
        sqlx::query_scalar::<_, i64>(AssertSqlSafe(count.clone())).fetch_one(&mut connection).await
    };
    assert_eq!(seen("SELECT 1").await?, 0);
    assert_eq!(seen("SELECT set_config('cml.tenant', 'acme', false)").await?, 1);
    assert_eq!(seen("SELECT set_config('cml.tenant', 'nobody', false)").await?, 0);
    assert_eq!(seen("SELECT set_config('cml.admin', 'on', false)").await?, 2);

    // A store that does not ask for it keeps to it.
    store.close().await?;
    let store = PostgresStore::open(PostgresOptions { row_level_security: false, ..options }).await?;
    assert_eq!(store.records("acme", &[text.id]).await?, [text]);
    store.close().await?;
    Ok(())
}
