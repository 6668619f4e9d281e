//! Where the databases say the same thing in different words.

use chrono::{DateTime, Utc};
use serde_json::Value;

/// The SQL of a database.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::store) enum Dialect {
    #[cfg(feature = "lite")]
    Sqlite,
    #[cfg(feature = "standard")]
    Postgres,
}

/// What an element of a JSON list stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::store) enum Part {
    /// An id; hexadecimal in JSON.
    Id,
    /// A whole number.
    Number,
    /// A text.
    Text,
    /// An instant, written by [`Dialect::json_time`].
    Time,
}

/// Chooses by dialect.
macro_rules! by {
    ($dialect:expr, sqlite: $sqlite:expr, postgres: $postgres:expr) => {
        match $dialect {
            #[cfg(feature = "lite")]
            Dialect::Sqlite => $sqlite,
            #[cfg(feature = "standard")]
            Dialect::Postgres => $postgres,
        }
    };
}

/// Lists in placeholders.
impl Dialect {
    /// `... IN (ids)`, behind a column of ids, for one placeholder bound by `Binds::ids`.
    pub(in crate::store) const fn in_ids(self) -> &'static str {
        by!(self, sqlite: " IN (SELECT unhex(value) FROM json_each(?))", postgres: " = ANY(?)")
    }

    /// `... IN (names)`, behind a column of text, for one placeholder bound by `Binds::names`.
    pub(in crate::store) const fn in_names(self) -> &'static str {
        by!(self, sqlite: " IN (SELECT value FROM json_each(?))", postgres: " = ANY(?)")
    }

    /// The condition that the column `tags` holds one of the names in one placeholder, bound by
    /// `Binds::names`.
    pub(in crate::store) const fn tagged(self) -> &'static str {
        by!(
            self,
            sqlite: "tags <> '[]' AND EXISTS (SELECT 1 FROM json_each(tags) tag WHERE tag.value IN (SELECT \
                     value FROM json_each(?)))",
            postgres: "tags && ?"
        )
    }

    /// A row source `w` with the columns `key` (0, 1, ...) and `value` (JSON) for the elements of a JSON
    /// list, for one placeholder bound by `Binds::json`.
    pub(in crate::store) const fn each(self) -> &'static str {
        by!(
            self,
            sqlite: "json_each(?) w",
            postgres: "(SELECT ordinality - 1 AS key, value FROM json_array_elements(?) WITH ORDINALITY) w"
        )
    }

    /// Joins the table that is named next to `w` of [`each`](Self::each), row by row of `w`.
    pub(in crate::store) const fn join_to_each(self) -> &'static str {
        // SQLite keeps the order of a cross join.
        by!(self, sqlite: " CROSS JOIN ", postgres: " JOIN ")
    }

    /// The element `at` of the list `w.value`.
    pub(in crate::store) fn part(self, part: Part, at: usize) -> String {
        match part {
            Part::Id => self.id_at(at),
            Part::Number => self.number_at(at),
            Part::Text => format!("w.value ->> {at}"),
            Part::Time => self.time_at(at),
        }
    }

    /// The element `at` of the list `w.value` as an id; it is hexadecimal there.
    pub(in crate::store) fn id_at(self, at: usize) -> String {
        by!(
            self,
            sqlite: format!("unhex(w.value ->> {at})"),
            postgres: format!("(w.value ->> {at})::uuid")
        )
    }

    /// The element `at` of the list `w.value` as a number.
    pub(in crate::store) fn number_at(self, at: usize) -> String {
        by!(self, sqlite: format!("w.value ->> {at}"), postgres: format!("(w.value ->> {at})::bigint"))
    }

    /// The element `at` of the list `w.value` as an instant; see [`json_time`](Self::json_time).
    pub(in crate::store) fn time_at(self, at: usize) -> String {
        by!(self, sqlite: format!("w.value ->> {at}"), postgres: format!("(w.value ->> {at})::timestamptz"))
    }

    /// An instant in a JSON list.
    pub(in crate::store) fn json_time(self, instant: DateTime<Utc>) -> Value {
        by!(
            self,
            sqlite: instant.timestamp_micros().into(),
            postgres: instant.to_rfc3339_opts(chrono::SecondsFormat::Micros, true).into()
        )
    }

    /// The text that `w.value` is.
    pub(in crate::store) const fn text_of_value(self) -> &'static str {
        by!(self, sqlite: "w.value", postgres: "(w.value #>> '{}')")
    }

    /// The id that `w.value` is; it is hexadecimal there.
    pub(in crate::store) const fn id_of_value(self) -> &'static str {
        by!(self, sqlite: "unhex(w.value)", postgres: "(w.value #>> '{}')::uuid")
    }
}

/// Functions and statements.
impl Dialect {
    /// The function that gives the largest of its arguments.
    pub(in crate::store) const fn greatest(self) -> &'static str {
        by!(self, sqlite: "max", postgres: "greatest")
    }

    /// The function that says where its second argument begins in its first, 0 for nowhere.
    pub(in crate::store) const fn position(self) -> &'static str {
        by!(self, sqlite: "instr", postgres: "strpos")
    }

    /// The condition that the column `text` contains the lower-case ASCII text of one placeholder,
    /// whatever the case of its ASCII letters.
    pub(in crate::store) const fn text_contains(self) -> &'static str {
        by!(
            self,
            sqlite: "instr(lower(text), ?) > 0",
            postgres: "strpos(lower(text COLLATE \"C\"), ?) > 0"
        )
    }

    /// Bytes of the vector of the row `e` of `embeddings`: two per dimension.
    pub(in crate::store) const fn vector_size(self) -> &'static str {
        by!(self, sqlite: "octet_length(e.vector)", postgres: "2 * vector_dims(e.vector)")
    }

    /// Makes the table `gone` of the ids (of sessions: the names) of what a removal takes, unless it is
    /// there. It is the connection's own, and empty between transactions.
    pub(in crate::store) const fn make_gone(self) -> &'static str {
        by!(
            self,
            sqlite: "CREATE TEMP TABLE IF NOT EXISTS gone (kind TEXT NOT NULL, id BLOB NOT NULL, name TEXT \
                     NOT NULL DEFAULT '', PRIMARY KEY (kind, id, name)) WITHOUT ROWID",
            postgres: "CREATE TEMP TABLE IF NOT EXISTS gone (kind text NOT NULL, id uuid NOT NULL, name \
                       text NOT NULL DEFAULT '', PRIMARY KEY (kind, id, name)) ON COMMIT DELETE ROWS"
        )
    }

    /// Begins a transaction that opens or closes a generation of vectors.
    pub(in crate::store) const fn begin_generation(self) -> &'static str {
        by!(self, sqlite: "BEGIN IMMEDIATE", postgres: "BEGIN")
    }

    /// What stands behind a query of a row that others are to leave alone until the transaction ends.
    /// SQLite has one transaction at a time.
    pub(in crate::store) const fn keeps_row(self) -> Option<&'static str> {
        by!(self, sqlite: None, postgres: Some(" FOR UPDATE"))
    }

    /// Waits, within a transaction, for those that open or close a generation of vectors, and keeps
    /// them waiting until its end. SQLite has one transaction at a time.
    pub(in crate::store) const fn keep_models(self) -> Option<&'static str> {
        by!(
            self,
            sqlite: None,
            postgres: Some(
                "SELECT pg_advisory_xact_lock_shared(hashtextextended('cml.models.' || current_schema(), 0))"
            )
        )
    }

    /// Waits, within a transaction that opens or closes a generation of vectors, for those that
    /// [`keep_models`](Self::keep_models).
    pub(in crate::store) const fn change_models(self) -> Option<&'static str> {
        by!(
            self,
            sqlite: None,
            postgres: Some(
                "SELECT pg_advisory_xact_lock(hashtextextended('cml.models.' || current_schema(), 0))"
            )
        )
    }

    /// Whether one request may carry several statements with placeholders.
    pub(in crate::store) const fn takes_scripts(self) -> bool {
        by!(self, sqlite: true, postgres: false)
    }

    /// Whether a statement that puts rows may replace the same one several times.
    pub(in crate::store) const fn replaces_again(self) -> bool {
        by!(self, sqlite: true, postgres: false)
    }

    /// Whether several statements that change rows can be joined into one by `WITH`.
    pub(in crate::store) const fn joins_changes(self) -> bool {
        by!(self, sqlite: false, postgres: true)
    }
}
