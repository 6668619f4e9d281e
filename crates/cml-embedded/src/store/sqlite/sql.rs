//! Statements: run one, fetch its rows, compose one, put many rows.

use cml_core::{Result, Scope};
use serde::Serialize;
use sqlx::{AssertSqlSafe, Encode, SqlSafeStr, Sqlite, SqliteConnection, Type, sqlite::SqliteRow};
use uuid::Uuid;

use super::{
    error::failed,
    values::{Binds, Columns},
};
use crate::store::Select;

/// Runs a statement and says how many rows it changed.
pub(super) async fn run(
    connection: &mut SqliteConnection,
    sql: impl SqlSafeStr,
    binds: Binds,
) -> Result<u64> {
    let done = sqlx::query_with(sql, binds.finish()?).execute(connection).await.map_err(failed)?;
    Ok(done.rows_affected())
}

/// Runs a statement without placeholders.
pub(super) async fn run_plain(connection: &mut SqliteConnection, sql: impl SqlSafeStr) -> Result<u64> {
    run(connection, sql, Binds::default()).await
}

/// Every row of a query, each read by `read`.
pub(super) async fn all<T>(
    connection: &mut SqliteConnection,
    sql: impl SqlSafeStr,
    binds: Binds,
    read: impl Fn(&mut Columns<'_>) -> Result<T>,
) -> Result<Vec<T>> {
    let rows: Vec<SqliteRow> =
        sqlx::query_with(sql, binds.finish()?).fetch_all(connection).await.map_err(failed)?;
    rows.iter().map(|row| read(&mut Columns::new(row))).collect()
}

/// The first row of a query, if it has one, read by `read`.
pub(super) async fn first<T>(
    connection: &mut SqliteConnection,
    sql: impl SqlSafeStr,
    binds: Binds,
    read: impl Fn(&mut Columns<'_>) -> Result<T>,
) -> Result<Option<T>> {
    let row = sqlx::query_with(sql, binds.finish()?).fetch_optional(connection).await.map_err(failed)?;
    row.map(|row| read(&mut Columns::new(&row))).transpose()
}

/// The placeholders' values, added by `add`.
pub(super) fn binds(add: impl FnOnce(&mut Binds)) -> Binds {
    let mut binds = Binds::default();
    add(&mut binds);
    binds
}

/// A statement composed of fixed fragments; what callers give goes into placeholders alone.
#[derive(Default)]
pub(super) struct Sql {
    text: String,
    binds: Binds,
}

impl Sql {
    pub(super) fn new(text: &str) -> Self {
        Self { text: text.to_owned(), binds: Binds::default() }
    }

    pub(super) fn push(&mut self, text: &'static str) -> &mut Self {
        self.text.push_str(text);
        self
    }

    pub(super) fn bind<'t, T: Encode<'t, Sqlite> + Type<Sqlite>>(&mut self, value: T) -> &mut Self {
        self.binds.add(value);
        self
    }

    pub(super) fn bind_id(&mut self, id: &Uuid) -> &mut Self {
        self.binds.id(id);
        self
    }

    /// The value of a placeholder that is only there with the value.
    pub(super) fn bind_given(&mut self, value: Option<&str>) -> &mut Self {
        if let Some(value) = value {
            self.bind(value);
        }
        self
    }

    pub(super) fn bind_json(&mut self, value: &impl Serialize) -> &mut Self {
        self.binds.json(value);
        self
    }

    /// `LIMIT` and, where rows are passed over, `OFFSET`.
    pub(super) fn limit(&mut self, limit: usize, offset: usize) -> &mut Self {
        self.push(" LIMIT ?").bind(i64::try_from(limit).unwrap_or(i64::MAX));
        if offset > 0 {
            self.push(" OFFSET ?").bind(i64::try_from(offset).unwrap_or(i64::MAX));
        }
        self
    }

    /// `AND column IN (names)`, when there are names.
    pub(super) fn any_of<'n>(
        &mut self,
        column: &'static str,
        names: impl IntoIterator<Item = &'n str>,
    ) -> &mut Self {
        let names: Vec<&str> = names.into_iter().collect();
        if !names.is_empty() {
            self.push(" AND ").push(column).push(" IN (SELECT value FROM json_each(?))").binds.json(&names);
        }
        self
    }

    /// `tenant_id = ?` and what of the tenant `scope` sees; see [`Scope::sees`].
    pub(super) fn visible(&mut self, scope: &Scope) -> &mut Self {
        self.push("tenant_id = ?").bind(scope.tenant());
        if !scope.namespace().is_empty() {
            self.push(" AND namespace = ?").bind(scope.namespace());
        }
        if !scope.user().is_empty() {
            self.push(" AND user_id IN (?, '')").bind(scope.user());
        }
        if !scope.session().is_empty() {
            self.push(" AND session_id = ?").bind(scope.session());
        }
        self
    }

    /// `{column} IN (ids)`, where `column` begins with its conjunction.
    pub(super) fn in_ids<'i>(
        &mut self,
        column: &'static str,
        ids: impl IntoIterator<Item = &'i Uuid>,
    ) -> &mut Self {
        self.push(column).push(" IN (SELECT unhex(value) FROM json_each(?))").binds.ids(ids);
        self
    }

    /// `AND id ...` for the rows of `select`, in the order of ids.
    pub(super) fn select<Id>(&mut self, select: Select<'_, Id>, uuid: impl Fn(&Id) -> &Uuid) -> &mut Self {
        match select {
            Select::Ids(ids) => self.in_ids(" AND id", ids.iter().map(uuid)).push(" ORDER BY id"),
            Select::After(after, limit) => {
                if let Some(id) = &after {
                    self.push(" AND id > ?").binds.id(uuid(id));
                }
                self.push(" ORDER BY id").limit(limit, 0)
            }
        }
    }

    pub(super) fn into_parts(self) -> (AssertSqlSafe<String>, Binds) {
        (AssertSqlSafe(self.text), self.binds)
    }
}
