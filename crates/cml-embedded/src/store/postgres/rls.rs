//! Guarding the rows of a tenant by the database itself.
//!
//! Every transaction says whose rows it is about; the policies of the tables show it no others. Once
//! turned on, it stays on for every program that opens the schema, whatever its settings.

use cml_core::{Error, ErrorKind, Result};
use sqlx::{AssertSqlSafe, Connection as _, Executor as _, PgConnection};

use super::{
    PostgresOptions,
    error::{code, failed, quoted},
};

/// Refuses a user who is exempt from what the options ask for.
pub(super) async fn check_user(connection: &mut PgConnection, options: &PostgresOptions) -> Result<()> {
    if !options.row_level_security {
        return Ok(());
    }
    let exempt: bool =
        sqlx::query_scalar("SELECT rolsuper OR rolbypassrls FROM pg_roles WHERE rolname = current_user")
            .fetch_one(connection)
            .await
            .map_err(failed)?;
    if exempt {
        let message = "postgres.row_level_security: the user is exempt from it, being a superuser or having \
                       BYPASSRLS";
        return Err(Error::new(ErrorKind::Config, message)
            .with_suggestion("connect as a user without these rights, who owns the schema"));
    }
    Ok(())
}

/// Turns row-level security on where the options ask for it, and says whether it is on.
pub(super) async fn ensure(
    connection: &mut PgConnection,
    options: &PostgresOptions,
    lock: &'static str,
) -> Result<bool> {
    let tables = tables(connection, &options.schema).await?;
    if !options.row_level_security {
        return Ok(tables.iter().any(|(_, guarded)| *guarded));
    }
    if tables.iter().all(|(_, guarded)| *guarded) {
        return Ok(true);
    }
    let mut transaction = connection.begin().await.map_err(failed)?;
    transaction.execute(lock).await.map_err(failed)?;
    for (table, guarded) in self::tables(&mut transaction, &options.schema).await? {
        if guarded {
            continue;
        }
        let table = quoted(&table);
        let sql = format!(
            "ALTER TABLE {table} ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY; CREATE POLICY cml_tenant \
             ON {table} USING (tenant_id = current_setting('cml.tenant', true) OR \
             current_setting('cml.admin', true) = 'on')"
        );
        transaction.execute(sqlx::raw_sql(AssertSqlSafe(sql))).await.map_err(refused)?;
    }
    transaction.commit().await.map_err(failed)?;
    Ok(true)
}

/// Tables with a tenant, and whether each is guarded.
async fn tables(connection: &mut PgConnection, schema: &str) -> Result<Vec<(String, bool)>> {
    sqlx::query_as(
        "SELECT c.relname::text, c.relrowsecurity AND c.relforcerowsecurity FROM pg_class c JOIN pg_namespace \
         n ON n.oid = c.relnamespace JOIN pg_attribute a ON a.attrelid = c.oid WHERE n.nspname = $1 AND \
         c.relkind IN ('r', 'p') AND a.attname = 'tenant_id' ORDER BY 1",
    )
    .bind(schema)
    .fetch_all(connection)
    .await
    .map_err(failed)
}

fn refused(error: sqlx::Error) -> Error {
    if code(&error).as_deref() == Some("42501") {
        let message = "postgres.row_level_security: only the owner of the tables may turn it on";
        return Error::new(ErrorKind::Config, message).with_source(failed(error));
    }
    failed(error)
}
