//! Putting many rows by few statements.

use std::collections::HashSet;

use cml_core::Result;

use super::{
    connection::Connection,
    dialect::Dialect,
    value::{Binds, binds},
};

/// How rows get into a table.
pub(in crate::store) struct Put {
    table: &'static str,
    /// Lists of columns, one after the other.
    columns: &'static [&'static str],
    conflict: Conflict,
}

/// What happens to a row whose identity is taken.
pub(in crate::store) enum Conflict {
    /// The statement fails.
    Fail,
    /// The row that is there stays.
    Keep,
    /// The row takes its place; names the columns of the identity.
    Replace(&'static str),
}

impl Put {
    pub(in crate::store) const fn new(
        table: &'static str,
        columns: &'static [&'static str],
        conflict: Conflict,
    ) -> Self {
        Self { table, columns, conflict }
    }

    fn columns(&self) -> impl Iterator<Item = &'static str> {
        self.columns.iter().flat_map(|list| list.split(", "))
    }

    /// The rows without those whose identity comes again later, for a database that replaces a row
    /// only once in a statement.
    fn last_of_each<'r, T>(
        &self,
        identity: &str,
        rows: &'r [T],
        bind: impl Fn(&mut Binds, &T),
    ) -> Vec<&'r T> {
        let places: Vec<usize> =
            identity.split(", ").filter_map(|column| self.columns().position(|own| own == column)).collect();
        let mut seen = HashSet::with_capacity(rows.len());
        let mut last: Vec<&T> = rows
            .iter()
            .rev()
            .filter(|row| {
                let values = binds(|binds| bind(binds, row));
                seen.insert(
                    places
                        .iter()
                        .filter_map(|place| Some(format!("{:?}", values.at(*place)?)))
                        .collect::<Vec<_>>(),
                )
            })
            .collect();
        last.reverse();
        last
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
                let sets: Vec<String> =
                    others.map(|column| format!("{column} = excluded.{column}")).collect();
                text.push_str(&sets.join(", "));
            }
        }
        text
    }
}

/// Rows per statement: few counts, so that few statements are kept prepared. A row of `records` has 34
/// values and SQLite takes at most 32 766 in a statement.
const BLOCKS: [usize; 5] = [100, 20, 5, 2, 1];

/// How the statements of a batch reach the database.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    /// One by one.
    Alone,
    /// One request with all of them, one after the other.
    Script,
    /// As one statement, as long as each changes another table: within it none sees what another did.
    Joined,
}

/// Statements that run one after the other.
///
/// Handing a statement to the database and waiting for it costs about as much as a small insert, so
/// those of a small change set are handed over together. The text of all of them is then what is kept
/// prepared, which is why larger ones, whose mixture of block sizes hardly recurs, run statement by
/// statement.
pub(in crate::store) struct Batch<'b, 'c> {
    connection: &'b mut Connection<'c>,
    way: Way,
    statements: Vec<String>,
    binds: Binds,
}

impl<'b, 'c> Batch<'b, 'c> {
    pub(in crate::store) fn new(connection: &'b mut Connection<'c>, together: bool) -> Self {
        let dialect = connection.dialect();
        let way = match together {
            true if dialect.takes_scripts() => Way::Script,
            true if dialect.joins_changes() => Way::Joined,
            _ => Way::Alone,
        };
        Self { connection, way, statements: Vec::new(), binds: Binds::default() }
    }

    pub(in crate::store) const fn dialect(&self) -> Dialect {
        self.connection.dialect()
    }

    /// Puts `rows` by as few statements as the block sizes allow; `bind` adds the values of one row.
    pub(in crate::store) async fn put<T>(
        &mut self,
        table: &Put,
        rows: &[T],
        bind: impl Fn(&mut Binds, &T),
    ) -> Result<()> {
        let rows: Vec<&T> = match table.conflict {
            Conflict::Replace(identity) if !self.dialect().replaces_again() => {
                table.last_of_each(identity, rows, &bind)
            }
            _ => rows.iter().collect(),
        };
        let mut left = &*rows;
        while !left.is_empty() {
            let fits = |size: &usize| *size <= left.len();
            let size = match self.way {
                Way::Joined => left.len().min(BLOCKS[0]),
                _ => BLOCKS.into_iter().find(fits).unwrap_or(1),
            };
            let (block, rest) = left.split_at(size);
            left = rest;
            let add = |binds: &mut Binds| block.iter().for_each(|row| bind(binds, row));
            self.run(table.statement(size), add).await?;
        }
        Ok(())
    }

    /// Runs a statement, composed of fixed fragments, whose values `add` gives; at once or with the others.
    pub(in crate::store) async fn run(
        &mut self,
        statement: impl Into<String>,
        add: impl FnOnce(&mut Binds),
    ) -> Result<()> {
        let statement = statement.into();
        if self.way == Way::Joined && !self.joins(&statement) {
            self.flush().await?;
        }
        self.statements.push(statement);
        add(&mut self.binds);
        if self.way == Way::Alone { self.flush().await } else { Ok(()) }
    }

    /// Whether a statement changes another table than each of those that wait.
    fn joins(&self, statement: &str) -> bool {
        let table = changed_table(statement);
        table.is_some() && self.statements.iter().all(|before| changed_table(before) != table)
    }

    /// Runs what is left.
    pub(in crate::store) async fn finish(mut self) -> Result<()> {
        self.flush().await
    }

    async fn flush(&mut self) -> Result<()> {
        let (statements, binds) = (std::mem::take(&mut self.statements), std::mem::take(&mut self.binds));
        if statements.is_empty() {
            return Ok(());
        }
        let text = match self.way {
            Way::Joined => joined(&statements),
            Way::Alone | Way::Script => statements.join(";"),
        };
        self.connection.run(text, binds).await?;
        Ok(())
    }
}

/// The table whose rows a statement changes.
fn changed_table(statement: &str) -> Option<&str> {
    ["INSERT INTO ", "DELETE FROM ", "UPDATE "]
        .into_iter()
        .find_map(|verb| statement.strip_prefix(verb))
        .and_then(|rest| rest.split(' ').next())
}

/// One statement that does what all of them do.
fn joined(statements: &[String]) -> String {
    let Some((last, before)) = statements.split_last() else { return String::new() };
    let named: Vec<String> =
        before.iter().enumerate().map(|(index, statement)| format!("c{index} AS ({statement})")).collect();
    if named.is_empty() { last.clone() } else { format!("WITH {} {last}", named.join(", ")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statements_on_several_tables_become_one() {
        let statements = ["INSERT INTO a (x) VALUES (?)", "DELETE FROM b WHERE x = ?", "UPDATE c SET x = ?"];
        assert_eq!(statements.map(changed_table), [Some("a"), Some("b"), Some("c")]);
        assert_eq!(changed_table("COMMIT"), None);
        let statements = statements.map(str::to_owned);
        assert_eq!(
            joined(&statements),
            "WITH c0 AS (INSERT INTO a (x) VALUES (?)), c1 AS (DELETE FROM b WHERE x = ?) UPDATE c SET x = ?"
        );
        assert_eq!(joined(&statements[..1]), statements[0]);
    }

    #[test]
    fn of_rows_with_one_identity_the_last_is_kept() {
        let put = Put::new("t", &["a, b", "c"], Conflict::Replace("a, c"));
        let rows = [(1_i64, 1_i64, "x"), (1, 2, "y"), (1, 3, "x")];
        let kept = put.last_of_each("a, c", &rows, |binds, (a, b, c)| {
            binds.add(*a).add(*b).add(*c);
        });
        assert_eq!(kept, [&rows[1], &rows[2]]);
    }

    #[test]
    fn a_statement_has_a_group_of_placeholders_per_row_and_replaces_what_is_no_identity() {
        let put = Put::new("t", &["a, b", "c"], Conflict::Replace("a"));
        assert_eq!(
            put.statement(2),
            "INSERT INTO t (a, b, c) VALUES (?, ?, ?), (?, ?, ?) ON CONFLICT (a) DO UPDATE SET b = \
             excluded.b, c = excluded.c"
        );
    }
}
