//! Statements: run one, fetch its rows, compose one, put many rows.

use cml_core::{Result, Scope};
use serde::Serialize;
use sqlx::{AssertSqlSafe, Encode, SqlSafeStr, Sqlite, SqliteConnection, Type, sqlite::SqliteRow};
use uuid::Uuid;

use super::{
    error::failed,
    rows::{Binds, Columns},
};
use crate::store::Select;

/// Runs a statement and says how many rows it changed.
pub(super) async fn run(connection: &mut SqliteConnection, sql: impl SqlSafeStr, binds: Binds) -> Result<u64> {
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
    pub(super) fn any_of<'n>(&mut self, column: &'static str, names: impl IntoIterator<Item = &'n str>) -> &mut Self {
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
    pub(super) fn in_ids<'i>(&mut self, column: &'static str, ids: impl IntoIterator<Item = &'i Uuid>) -> &mut Self {
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

/// How rows get into a table.
pub(super) struct Put {
    table: &'static str,
    /// Lists of columns, one after the other.
    columns: &'static [&'static str],
    conflict: Conflict,
}

/// What happens to a row whose identity is taken.
pub(super) enum Conflict {
    /// The statement fails.
    Fail,
    /// The row that is there stays.
    Keep,
    /// The row takes its place; names the columns of the identity.
    Replace(&'static str),
}

impl Put {
    pub(super) const fn new(table: &'static str, columns: &'static [&'static str], conflict: Conflict) -> Self {
        Self { table, columns, conflict }
    }

    fn columns(&self) -> impl Iterator<Item = &'static str> {
        self.columns.iter().flat_map(|list| list.split(", "))
    }

    /// The statement for this many rows.
    fn statement(&self, rows: usize) -> String {
        let columns: Vec<&str> = self.columns().collect();
        let group = format!("({}?)", "?, ".repeat(columns.len() - 1));
        let mut text = format!("INSERT INTO {} ({}) VALUES ", self.table, columns.join(", "));
        text.reserve((group.len() + 2) * rows);
        for index in 0..rows {
            text.push_str(if index > 0 { ", " } else { "" });
            text.push_str(&group);
        }
        match self.conflict {
            Conflict::Fail => {}
            Conflict::Keep => text.push_str(" ON CONFLICT DO NOTHING"),
            Conflict::Replace(identity) => {
                let kept: Vec<&str> = identity.split(", ").collect();
                text.push_str(" ON CONFLICT (");
                text.push_str(identity);
                text.push_str(") DO UPDATE SET ");
                let others = columns.iter().filter(|column| !kept.contains(column));
                let sets: Vec<String> = others.map(|column| format!("{column} = excluded.{column}")).collect();
                text.push_str(&sets.join(", "));
            }
        }
        text
    }
}

/// Rows per statement: few counts, so that few statements are kept prepared. A row of `records` has 34
/// values and a statement takes at most 32 766.
const BLOCKS: [usize; 4] = [64, 16, 4, 1];

/// Puts `rows` by as few statements as the block sizes allow; `bind` adds the values of one row.
pub(super) async fn put<T>(
    connection: &mut SqliteConnection,
    table: &Put,
    rows: &[T],
    bind: impl Fn(&mut Binds, &T),
) -> Result<()> {
    let mut left = rows;
    while let Some(size) = BLOCKS.into_iter().find(|size| *size <= left.len()) {
        let (block, rest) = left.split_at(size);
        left = rest;
        let mut binds = Binds::default();
        for row in block {
            bind(&mut binds, row);
        }
        run(connection, AssertSqlSafe(table.statement(size)), binds).await?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_statement_has_a_group_of_placeholders_per_row_and_replaces_what_is_no_identity() {
        let put = Put::new("t", &["a, b", "c"], Conflict::Replace("a"));
        assert_eq!(
            put.statement(2),
            "INSERT INTO t (a, b, c) VALUES (?, ?, ?), (?, ?, ?) \
             ON CONFLICT (a) DO UPDATE SET b = excluded.b, c = excluded.c"
        );
    }
}
