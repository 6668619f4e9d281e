//! The same questions to the tables of PostgreSQL.

use std::sync::atomic::{AtomicU32, Ordering};

use cml_core::{config::SecretString, provider::EmbeddingModel};
use cml_embedded::store::{
    Store as _,
    postgres::{PostgresOptions, PostgresStore},
};
use sqlx::{AssertSqlSafe, Connection as _, Executor as _, PgConnection};

use super::{
    fixtures::TestResult,
    questions::{self, questions},
    sql::SqlSubject,
};

/// A store in a schema of its own; without a server the test says so and passes.
async fn open() -> TestResult<Option<(SqlSubject<PostgresStore>, String, String)>> {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let Some(url) = std::env::var("CML_TEST_POSTGRES_URL").ok().filter(|url| !url.is_empty()) else {
        eprintln!("SKIPPED: CML_TEST_POSTGRES_URL is not set, nothing was tested against PostgreSQL");
        return Ok(None);
    };
    let schema = format!("cml_test_graph_{}_{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
    let options = PostgresOptions {
        schema: schema.clone(),
        max_connections: 2,
        ..PostgresOptions::new(SecretString::new(&*url), EmbeddingModel::new("test", 8))
    };
    let store = PostgresStore::open(options).await?;
    Ok(Some((SqlSubject { store, tenant: "acme".into() }, schema, url)))
}

macro_rules! answers {
    ($($case:ident,)+) => {$(
        #[tokio::test]
        async fn $case() -> TestResult {
            let Some((subject, schema, url)) = open().await? else { return Ok(()) };
            let answered = questions::$case(&subject).await;
            subject.store.close().await?;
            let drop = format!("SET client_min_messages TO error; DROP SCHEMA {schema} CASCADE");
            PgConnection::connect(&url).await?.execute(sqlx::raw_sql(AssertSqlSafe(drop))).await?;
            answered
        }
    )+};
}

questions!(answers);
