//! Schemas of their own in the database of `CML_TEST_POSTGRES_URL`.

use std::sync::atomic::{AtomicU32, Ordering};

use cml_core::config::SecretString;
use cml_embedded::store::postgres::PostgresOptions;
pub(crate) use cml_embedded::store::postgres::PostgresStore;
use sqlx::{AssertSqlSafe, Connection as _, Executor as _, PgConnection, Row as _};

use crate::fixtures::{TestResult, model};

/// A schema that is dropped at the end of its test, and with it the roles that the test made.
pub(crate) struct Schema {
    pub(crate) name: String,
    pub(crate) url: String,
    roles: Vec<String>,
}

/// The address of the server; without one the test says so and passes.
pub(crate) fn url() -> Option<String> {
    let url = std::env::var("CML_TEST_POSTGRES_URL").ok().filter(|url| !url.is_empty());
    if url.is_none() {
        eprintln!("SKIPPED: CML_TEST_POSTGRES_URL is not set, nothing was tested against PostgreSQL");
    }
    url
}

impl Schema {
    /// A name that no other test has.
    pub(crate) fn new() -> Option<Self> {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let name = format!("cml_test_{}_{number}", std::process::id());
        Some(Self { name, url: url()?, roles: Vec::new() })
    }

    pub(crate) fn options(&self) -> PostgresOptions {
        PostgresOptions {
            schema: self.name.clone(),
            max_connections: 4,
            ..PostgresOptions::new(SecretString::new(&*self.url), model())
        }
    }

    pub(crate) async fn open(&self) -> cml_core::Result<PostgresStore> {
        PostgresStore::open(self.options()).await
    }

    /// A connection of the test's own, as the administrator.
    pub(crate) async fn connect(&self) -> TestResult<PgConnection> {
        Ok(PgConnection::connect(&self.url).await?)
    }

    /// Runs statements as the administrator; `{schema}` stands for the name.
    pub(crate) async fn run(&self, sql: &str) -> TestResult {
        let sql = sql.replace("{schema}", &self.name);
        self.connect().await?.execute(sqlx::raw_sql(AssertSqlSafe(sql))).await?;
        Ok(())
    }

    /// The first column of the only row of a query.
    pub(crate) async fn number(&self, sql: &str) -> TestResult<i64> {
        let sql = sql.replace("{schema}", &self.name);
        Ok(sqlx::query(AssertSqlSafe(sql)).fetch_one(&mut self.connect().await?).await?.try_get(0)?)
    }

    /// A user without special rights; gives the options to open the schema as this user.
    pub(crate) async fn user(&mut self, suffix: &str) -> TestResult<PostgresOptions> {
        let role = format!("{}_{suffix}", self.name);
        self.run(&format!("CREATE ROLE {role} LOGIN PASSWORD 'secret-{suffix}'")).await?;
        self.roles.push(role.clone());
        let (_, place) = self.url.split_once('@').ok_or("the address names no user")?;
        let url = format!("postgres://{role}:secret-{suffix}@{place}");
        Ok(PostgresOptions { url: SecretString::new(url), ..self.options() })
    }

    /// Options with row-level security, as a user who owns the schema.
    pub(crate) async fn guarded(&mut self) -> TestResult<PostgresOptions> {
        let options = self.user("owner").await?;
        let role = self.role("owner");
        self.run(&format!("CREATE SCHEMA {{schema}} AUTHORIZATION {role}")).await?;
        Ok(PostgresOptions { row_level_security: true, ..options })
    }

    /// The role of [`user`](Self::user).
    pub(crate) fn role(&self, suffix: &str) -> String {
        format!("{}_{suffix}", self.name)
    }
}

/// Ends every connection that has used a table of the schema in its transaction.
pub(crate) fn end_all(schema: &str) -> String {
    format!(
        "SELECT pg_terminate_backend(a.pid) FROM pg_stat_activity a WHERE a.pid <> pg_backend_pid() AND EXISTS \
         (SELECT 1 FROM pg_locks l JOIN pg_class c ON c.oid = l.relation JOIN pg_namespace n ON n.oid = \
         c.relnamespace WHERE l.pid = a.pid AND l.database = a.datid AND n.nspname = '{schema}')"
    )
}

impl Drop for Schema {
    fn drop(&mut self) {
        let (name, url, roles) = (self.name.clone(), self.url.clone(), std::mem::take(&mut self.roles));
        let remove = async move {
            let mut connection = PgConnection::connect(&url).await?;
            let mut sql = format!(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename LIKE '{name}\\_%'; {}; SET \
                 client_min_messages TO error; DROP SCHEMA IF EXISTS {name} CASCADE;",
                end_all(&name)
            );
            for role in roles {
                sql.push_str(&format!("DROP OWNED BY {role}; DROP ROLE {role};"));
            }
            connection.execute(sqlx::raw_sql(AssertSqlSafe(sql))).await?;
            Ok::<(), sqlx::Error>(())
        };
        // The runtime of the test may be about to end.
        let removed = std::thread::spawn(|| {
            tokio::runtime::Builder::new_current_thread().enable_all().build().map(|it| it.block_on(remove))
        });
        if !matches!(removed.join(), Ok(Ok(Ok(())))) {
            eprintln!("the schema {} could not be removed", self.name);
        }
    }
}
