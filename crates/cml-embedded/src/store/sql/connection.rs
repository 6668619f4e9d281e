//! One connection of any SQL database, and running statements on it.

use cml_core::Result;
use sqlx::AssertSqlSafe;

use super::{
    dialect::Dialect,
    value::{Binds, Columns, Row},
};

/// A connection, or a transaction on one.
///
/// Statements are written with `?` for each placeholder, composed of fixed fragments; what callers give
/// goes into placeholders alone.
#[derive(Debug)]
pub(in crate::store) enum Connection<'c> {
    #[cfg(feature = "lite")]
    Sqlite(&'c mut sqlx::SqliteConnection),
    #[cfg(feature = "standard")]
    Postgres(&'c mut sqlx::PgConnection),
}

impl Connection<'_> {
    pub(in crate::store) const fn dialect(&self) -> Dialect {
        match self {
            #[cfg(feature = "lite")]
            Self::Sqlite(_) => Dialect::Sqlite,
            #[cfg(feature = "standard")]
            Self::Postgres(_) => Dialect::Postgres,
        }
    }

    /// Runs a statement and says how many rows it changed.
    pub(in crate::store) async fn run(&mut self, sql: impl Into<String>, binds: Binds) -> Result<u64> {
        let sql = sql.into();
        match self {
            #[cfg(feature = "lite")]
            Self::Sqlite(connection) => {
                use crate::store::sqlite::{error::failed, values::arguments};
                let query = sqlx::query_with(AssertSqlSafe(sql), arguments(binds.finish())?);
                Ok(query.execute(&mut **connection).await.map_err(failed)?.rows_affected())
            }
            #[cfg(feature = "standard")]
            Self::Postgres(connection) => {
                use crate::store::postgres::{
                    error::failed,
                    values::{arguments, numbered},
                };
                let query = sqlx::query_with(AssertSqlSafe(numbered(&sql)), arguments(binds.finish())?);
                Ok(query.execute(&mut **connection).await.map_err(failed)?.rows_affected())
            }
        }
    }

    /// Runs a statement without placeholders.
    pub(in crate::store) async fn run_plain(&mut self, sql: impl Into<String>) -> Result<u64> {
        self.run(sql, Binds::default()).await
    }

    /// Every row of a query, each read by `read`.
    pub(in crate::store) async fn all<T>(
        &mut self,
        sql: impl Into<String>,
        binds: Binds,
        read: impl Fn(&mut Columns<'_>) -> Result<T>,
    ) -> Result<Vec<T>> {
        let rows = self.rows(sql.into(), binds).await?;
        rows.iter().map(|row| read(&mut Columns::new(row))).collect()
    }

    /// The first row of a query, if it has one, read by `read`.
    pub(in crate::store) async fn first<T>(
        &mut self,
        sql: impl Into<String>,
        binds: Binds,
        read: impl Fn(&mut Columns<'_>) -> Result<T>,
    ) -> Result<Option<T>> {
        let row = self.row(sql.into(), binds).await?;
        row.map(|row| read(&mut Columns::new(&row))).transpose()
    }

    async fn rows(&mut self, sql: String, binds: Binds) -> Result<Vec<Row>> {
        match self {
            #[cfg(feature = "lite")]
            Self::Sqlite(connection) => {
                use crate::store::sqlite::{error::failed, values::arguments};
                let query = sqlx::query_with(AssertSqlSafe(sql), arguments(binds.finish())?);
                let rows = query.fetch_all(&mut **connection).await.map_err(failed)?;
                Ok(rows.into_iter().map(Row::Sqlite).collect())
            }
            #[cfg(feature = "standard")]
            Self::Postgres(connection) => {
                use crate::store::postgres::{
                    error::failed,
                    values::{arguments, numbered},
                };
                let query = sqlx::query_with(AssertSqlSafe(numbered(&sql)), arguments(binds.finish())?);
                let rows = query.fetch_all(&mut **connection).await.map_err(failed)?;
                Ok(rows.into_iter().map(Row::Postgres).collect())
            }
        }
    }

    async fn row(&mut self, sql: String, binds: Binds) -> Result<Option<Row>> {
        match self {
            #[cfg(feature = "lite")]
            Self::Sqlite(connection) => {
                use crate::store::sqlite::{error::failed, values::arguments};
                let query = sqlx::query_with(AssertSqlSafe(sql), arguments(binds.finish())?);
                Ok(query.fetch_optional(&mut **connection).await.map_err(failed)?.map(Row::Sqlite))
            }
            #[cfg(feature = "standard")]
            Self::Postgres(connection) => {
                use crate::store::postgres::{
                    error::failed,
                    values::{arguments, numbered},
                };
                let query = sqlx::query_with(AssertSqlSafe(numbered(&sql)), arguments(binds.finish())?);
                Ok(query.fetch_optional(&mut **connection).await.map_err(failed)?.map(Row::Postgres))
            }
        }
    }
}
