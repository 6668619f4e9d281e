//! Composing statements.

use cml_core::{Result, Scope};
use serde::Serialize;
use uuid::Uuid;

use super::{
    connection::Connection,
    dialect::{Dialect, Part},
    value::{Binds, Columns, Value},
};
use crate::store::Select;

/// A statement composed of fixed fragments; what callers give goes into placeholders alone.
#[derive(Debug)]
pub(in crate::store) struct Sql {
    dialect: Dialect,
    text: String,
    binds: Binds,
}

/// Running it.
impl Sql {
    /// Every row, each read by `read`.
    pub(in crate::store) async fn all<T>(
        self,
        connection: &mut Connection<'_>,
        read: impl Fn(&mut Columns<'_>) -> Result<T>,
    ) -> Result<Vec<T>> {
        connection.all(self.text, self.binds, read).await
    }

    /// The first row, if there is one, read by `read`.
    pub(in crate::store) async fn first<T>(
        self,
        connection: &mut Connection<'_>,
        read: impl Fn(&mut Columns<'_>) -> Result<T>,
    ) -> Result<Option<T>> {
        connection.first(self.text, self.binds, read).await
    }

    /// Says how many rows it changed.
    pub(in crate::store) async fn run(self, connection: &mut Connection<'_>) -> Result<u64> {
        connection.run(self.text, self.binds).await
    }
}

impl Sql {
    pub(in crate::store) fn new(dialect: Dialect, text: &str) -> Self {
        Self { dialect, text: text.to_owned(), binds: Binds::default() }
    }

    pub(in crate::store) fn push(&mut self, text: &'static str) -> &mut Self {
        self.text.push_str(text);
        self
    }

    /// A number that must stand in the text, where a placeholder would hide it from the planner.
    #[cfg(feature = "standard")]
    pub(in crate::store) fn literal(&mut self, number: i64) -> &mut Self {
        self.text.push_str(&number.to_string());
        self
    }

    pub(in crate::store) fn bind(&mut self, value: impl Into<Value>) -> &mut Self {
        self.binds.add(value);
        self
    }

    pub(in crate::store) fn bind_id(&mut self, id: &Uuid) -> &mut Self {
        self.binds.id(id);
        self
    }

    pub(in crate::store) fn bind_time(&mut self, instant: chrono::DateTime<chrono::Utc>) -> &mut Self {
        self.binds.time(instant);
        self
    }

    /// An instant, in microseconds since 1970.
    pub(in crate::store) fn bind_micros(&mut self, micros: i64) -> &mut Self {
        self.binds.micros(micros);
        self
    }

    /// Names for a placeholder that takes a list.
    #[cfg(feature = "standard")]
    pub(in crate::store) fn bind_names(&mut self, names: &[&str]) -> &mut Self {
        self.binds.names(names.iter().copied());
        self
    }

    /// Ids for a placeholder that takes a list.
    #[cfg(feature = "standard")]
    pub(in crate::store) fn bind_ids<'i>(&mut self, ids: impl IntoIterator<Item = &'i Uuid>) -> &mut Self {
        self.binds.ids(ids);
        self
    }

    /// The value of a placeholder that is only there with the value.
    pub(in crate::store) fn bind_given(&mut self, value: Option<&str>) -> &mut Self {
        if let Some(value) = value {
            self.bind(value);
        }
        self
    }

    /// The row source `w` of the elements of a list; see [`Dialect::each`].
    pub(in crate::store) fn each(&mut self, list: &impl Serialize) -> &mut Self {
        self.text.push_str(self.dialect.each());
        self.binds.json(list);
        self
    }

    /// The element `at` of the list `w.value`.
    pub(in crate::store) fn part(&mut self, part: Part, at: usize) -> &mut Self {
        self.text.push_str(&self.dialect.part(part, at));
        self
    }

    /// Joins the table (with its alias) to the elements of [`each`](Self::each), with the tenant in `column`.
    pub(in crate::store) fn join(
        &mut self,
        table: &'static str,
        tenant: &str,
        column: &'static str,
    ) -> &mut Self {
        self.push(self.dialect.join_to_each()).push(table);
        self.push(" ON ").push(column).push(" = ?").bind(tenant)
    }

    /// `AND column = part` for each column: the first is the first element of the list `w.value`.
    pub(in crate::store) fn equal(&mut self, columns: &[(&'static str, Part)]) -> &mut Self {
        for (at, (column, part)) in columns.iter().enumerate() {
            self.push(" AND ").push(column).push(" = ").part(*part, at);
        }
        self
    }

    /// `LIMIT` and, where rows are passed over, `OFFSET`.
    pub(in crate::store) fn limit(&mut self, limit: usize, offset: usize) -> &mut Self {
        self.push(" LIMIT ?").bind(i64::try_from(limit).unwrap_or(i64::MAX));
        if offset > 0 {
            self.push(" OFFSET ?").bind(i64::try_from(offset).unwrap_or(i64::MAX));
        }
        self
    }

    /// `AND column IN (names)`, when there are names.
    pub(in crate::store) fn any_of<'n>(
        &mut self,
        column: &'static str,
        names: impl IntoIterator<Item = &'n str>,
    ) -> &mut Self {
        let names: Vec<&str> = names.into_iter().collect();
        if !names.is_empty() {
            let list = self.dialect.in_names();
            self.push(" AND ").push(column).push(list).binds.names(names);
        }
        self
    }

    /// The condition that the column `tags` holds one of the names.
    pub(in crate::store) fn tagged<'n>(&mut self, names: impl IntoIterator<Item = &'n str>) -> &mut Self {
        self.push(self.dialect.tagged()).binds.names(names);
        self
    }

    /// The condition that the column `text` contains a lower-case ASCII text.
    pub(in crate::store) fn text_contains(&mut self, search: &str) -> &mut Self {
        self.push(self.dialect.text_contains()).bind(search)
    }

    /// `tenant_id = ?` and what of the tenant `scope` sees; see [`Scope::sees`].
    pub(in crate::store) fn visible(&mut self, scope: &Scope) -> &mut Self {
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

    /// [`visible`](Self::visible), in these namespaces when there are any.
    #[cfg(feature = "standard")]
    pub(in crate::store) fn visible_in(&mut self, visible: crate::store::Visible<'_>) -> &mut Self {
        self.visible(visible.scope).any_of("namespace", visible.namespaces.iter().map(String::as_str))
    }

    /// `{column} IN (ids)`, where `column` begins with its conjunction.
    pub(in crate::store) fn in_ids<'i>(
        &mut self,
        column: &'static str,
        ids: impl IntoIterator<Item = &'i Uuid>,
    ) -> &mut Self {
        let list = self.dialect.in_ids();
        self.push(column).push(list).binds.ids(ids);
        self
    }

    /// `AND id ...` for the rows of `select`, in the order of ids.
    pub(in crate::store) fn select<Id>(
        &mut self,
        select: Select<'_, Id>,
        uuid: impl Fn(&Id) -> &Uuid,
    ) -> &mut Self {
        match select {
            Select::Ids(ids) => self.in_ids(" AND id", ids.iter().map(uuid)).push(" ORDER BY id"),
            Select::After(after, limit) => {
                if let Some(id) = &after {
                    self.push(" AND id > ?").bind_id(uuid(id));
                }
                self.push(" ORDER BY id").limit(limit, 0)
            }
        }
    }
}
