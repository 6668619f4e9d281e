//! Putting many rows by few statements.

use cml_core::Result;
use sqlx::{AssertSqlSafe, SqliteConnection};

use super::{sql::run, values::Binds};

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
    pub(super) const fn new(
        table: &'static str,
        columns: &'static [&'static str],
        conflict: Conflict,
    ) -> Self {
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
                let sets: Vec<String> =
                    others.map(|column| format!("{column} = excluded.{column}")).collect();
                text.push_str(&sets.join(", "));
            }
        }
        text
    }
}

/// Rows per statement: few counts, so that few statements are kept prepared. A row of `records` has 34
/// values and a statement takes at most 32 766.
const BLOCKS: [usize; 5] = [100, 20, 5, 2, 1];

/// Statements that run one after the other.
///
/// Handing a statement to the thread of a connection and waiting for it costs about as much as a small
/// insert, so those of a small change set are handed over together. The text of all of them is then
/// what is kept prepared, which is why larger ones, whose mixture of block sizes hardly recurs, run
/// statement by statement.
pub(super) struct Batch<'c> {
    connection: &'c mut SqliteConnection,
    together: bool,
    text: String,
    binds: Binds,
}

impl<'c> Batch<'c> {
    pub(super) fn new(connection: &'c mut SqliteConnection, together: bool) -> Self {
        Self { connection, together, text: String::new(), binds: Binds::default() }
    }

    /// Puts `rows` by as few statements as the block sizes allow; `bind` adds the values of one row.
    pub(super) async fn put<T>(
        &mut self,
        table: &Put,
        rows: &[T],
        bind: impl Fn(&mut Binds, &T),
    ) -> Result<()> {
        let mut left = rows;
        while let Some(size) = BLOCKS.into_iter().find(|size| *size <= left.len()) {
            let (block, rest) = left.split_at(size);
            left = rest;
            let add = |binds: &mut Binds| block.iter().for_each(|row| bind(binds, row));
            self.run(&table.statement(size), add).await?;
        }
        Ok(())
    }

    /// Runs a statement, composed of fixed fragments, whose values `add` gives; at once or with the others.
    pub(super) async fn run(&mut self, statement: &str, add: impl FnOnce(&mut Binds)) -> Result<()> {
        self.text.push_str(statement);
        self.text.push(';');
        add(&mut self.binds);
        if self.together { Ok(()) } else { self.flush().await }
    }

    /// Runs what is left.
    pub(super) async fn finish(mut self) -> Result<()> {
        if self.text.is_empty() { Ok(()) } else { self.flush().await }
    }

    async fn flush(&mut self) -> Result<()> {
        let (text, binds) = (std::mem::take(&mut self.text), std::mem::take(&mut self.binds));
        run(self.connection, AssertSqlSafe(text), binds).await?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
