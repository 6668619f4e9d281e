//! Rows as lines of the portable format, page by page in the order of their keys.

use cml_core::{
    Result, Scope,
    memory::{Evidence, RecordVersion},
    ops::{EmbeddingRow, ExportLine, FactVersion, Mention},
};

use super::{
    connection::Connection,
    rows::{self, EVENT, FACT, MESSAGE, RECORD, SESSION},
    statement::Sql,
    value::Columns,
};
use crate::store::RowKind;

/// Names of [`View`](crate::store::View) in the portable format, by their number in the table.
const VIEWS: [&str; 2] = ["own", "context"];

/// See [`Store::export`](crate::store::Store::export).
pub(in crate::store) async fn page(
    connection: &mut Connection<'_>,
    scope: &Scope,
    kind: RowKind,
    after: Option<&ExportLine>,
    limit: usize,
) -> Result<Vec<ExportLine>> {
    let table = Table::of(kind);
    let mut sql = Sql::new(connection.dialect(), "SELECT ");
    for (index, columns) in table.columns.iter().enumerate() {
        sql.push(if index > 0 { ", " } else { "" }).push(columns);
    }
    sql.push(" FROM ").push(table.name).push(" WHERE ");
    table.seen(&mut sql, scope);
    if let Some(line) = after {
        sql.push(" AND (").push(table.key).push(") > (");
        bind_key(&mut sql, line);
        sql.push(")");
    }
    sql.push(" ORDER BY ").push(table.key).limit(limit, 0);
    sql.all(connection, |columns| line(kind, columns)).await
}

/// Number of a view in the table; none for a name that is no view.
pub(in crate::store) fn view_number(name: &str) -> Option<i64> {
    VIEWS.iter().position(|view| *view == name).and_then(|at| i64::try_from(at).ok())
}

/// Where the rows of a kind are.
struct Table {
    kind: RowKind,
    name: &'static str,
    /// Lists of columns, one after the other.
    columns: &'static [&'static str],
    /// What they are ordered by; a unique index begins with it, behind the tenant.
    key: &'static str,
}

impl Table {
    const fn of(kind: RowKind) -> Self {
        let (name, columns, key): (_, &[_], _) = match kind {
            RowKind::Session => ("sessions", &[SESSION], "session_id"),
            RowKind::Message => ("messages", &[MESSAGE], "session_id, seq"),
            RowKind::Record => ("records", &[RECORD], "id"),
            RowKind::RecordVersion => ("record_versions", &[RECORD, "recorded_at"], "id, version"),
            RowKind::Embedding => (
                "embeddings",
                &["record_id, (SELECT name FROM models WHERE id = model_id), view, norm, vector"],
                "view, record_id",
            ),
            RowKind::Entity => ("entities", &["tenant_id, id, namespace, user_id, name, entity_type"], "id"),
            RowKind::Mention => ("mentions", &["entity_id, memory_id, message_id"], "entity_id, memory_id"),
            RowKind::Edge => {
                ("edges", &["source, target, predicate, confidence"], "source, target, predicate")
            }
            RowKind::Fact => ("facts", &[FACT], "id"),
            RowKind::FactVersion => ("fact_versions", &[FACT, "replaced_at"], "id, version, replaced_at"),
            RowKind::Evidence => ("fact_evidence", &["fact_id, kind, target_id"], "fact_id, kind, target_id"),
            RowKind::Event => ("events", &[EVENT], "created_at, id"),
        };
        Self { kind, name, columns, key }
    }

    /// The condition that the scope sees a row.
    fn seen(&self, sql: &mut Sql, scope: &Scope) {
        let whole = *scope == scope.whole_tenant();
        match self.kind {
            RowKind::Embedding => {
                sql.push("tenant_id = ?").bind(scope.tenant());
                sql.push(
                    " AND model_id = (SELECT id FROM models WHERE state = 'serving') AND view IN (0, 1)",
                );
                if !whole {
                    exists(sql, scope, "records", "embeddings.record_id");
                }
            }
            RowKind::Entity => {
                sql.visible(&scope.without_session());
                if !scope.session().is_empty() {
                    sql.push(" AND EXISTS (SELECT 1 FROM mentions m WHERE m.tenant_id = ?")
                        .bind(scope.tenant());
                    sql.push(" AND m.entity_id = entities.id");
                    exists(sql, scope, "records", "m.memory_id");
                    sql.push(")");
                }
            }
            RowKind::Mention => {
                sql.push("tenant_id = ?").bind(scope.tenant());
                if !whole {
                    exists(sql, scope, "records", "mentions.memory_id");
                }
            }
            RowKind::Edge => {
                sql.push("tenant_id = ?").bind(scope.tenant());
                exists(sql, &scope.without_session(), "entities", "edges.source");
                exists(sql, &scope.without_session(), "entities", "edges.target");
            }
            RowKind::Evidence => {
                sql.push("tenant_id = ?").bind(scope.tenant());
                exists(sql, scope, "facts", "fact_evidence.fact_id");
                if !whole {
                    sql.push(" AND CASE kind WHEN 0 THEN TRUE");
                    exists(sql, scope, "records", "fact_evidence.target_id");
                    sql.push(" ELSE TRUE");
                    exists(sql, scope, "messages", "fact_evidence.target_id");
                    sql.push(" END");
                }
            }
            _ => {
                sql.visible(scope);
            }
        }
    }
}

/// `AND EXISTS` a visible row of `table` with the id in `column`.
pub(in crate::store) fn exists(sql: &mut Sql, scope: &Scope, table: &'static str, column: &'static str) {
    sql.push(" AND EXISTS (SELECT 1 FROM ").push(table).push(" WHERE ").visible(scope);
    sql.push(" AND ").push(table).push(".id = ").push(column).push(")");
}

/// Placeholders and values for the key of a line.
fn bind_key(sql: &mut Sql, line: &ExportLine) {
    match line {
        ExportLine::Session(row) => sql.push("?").bind(&*row.session_id),
        ExportLine::Message(row) => sql.push("?, ?").bind(&*row.session_id).bind(row.seq.cast_signed()),
        ExportLine::Record(row) => sql.push("?").bind_id(row.id.as_uuid()),
        ExportLine::RecordVersion(row) => {
            sql.push("?, ?").bind_id(row.record.id.as_uuid()).bind(row.record.version.cast_signed())
        }
        ExportLine::Embedding(row) => {
            sql.push("?, ?").bind(view_number(&row.view)).bind_id(row.memory_id.as_uuid())
        }
        ExportLine::Entity(row) => sql.push("?").bind_id(row.id.as_uuid()),
        ExportLine::Mention(row) => {
            sql.push("?, ?").bind_id(row.entity_id.as_uuid()).bind_id(row.memory_id.as_uuid())
        }
        ExportLine::Edge(row) => sql
            .push("?, ?, ?")
            .bind_id(row.source.as_uuid())
            .bind_id(row.target.as_uuid())
            .bind(&*row.predicate),
        ExportLine::Fact(row) => sql.push("?").bind_id(row.id.as_uuid()),
        ExportLine::FactVersion(row) => sql
            .push("?, ?, ?")
            .bind_id(row.fact.id.as_uuid())
            .bind(row.fact.version.cast_signed())
            .bind_time(row.recorded_at),
        ExportLine::Evidence { fact_id, evidence } => {
            let (kind, target) = rows::evidence_parts(evidence);
            sql.push("?, ?, ?").bind_id(fact_id.as_uuid()).bind(kind).bind_id(&target)
        }
        ExportLine::Event(row) => sql.push("?, ?").bind_time(row.created_at).bind_id(row.id.as_uuid()),
        // No page ends with any other line.
        _ => sql.push("NULL"),
    };
}

fn line(kind: RowKind, columns: &mut Columns<'_>) -> Result<ExportLine> {
    Ok(match kind {
        RowKind::Session => ExportLine::Session(rows::session(columns)?),
        RowKind::Message => ExportLine::Message(rows::message(columns)?),
        RowKind::Record => ExportLine::Record(Box::new(rows::record(columns)?)),
        RowKind::RecordVersion => {
            let version = RecordVersion::new(rows::record(columns)?, columns.time()?);
            ExportLine::RecordVersion(Box::new(version))
        }
        RowKind::Embedding => {
            let (memory_id, model) = (columns.id()?, columns.text()?);
            let view = VIEWS[usize::from(columns.get::<i64>()? == 1)].to_owned();
            let vector = columns.vector()?;
            let values = vector.values.iter().map(|value| value.to_f32()).collect();
            ExportLine::Embedding(EmbeddingRow { memory_id, model, view, vector: values, norm: vector.norm })
        }
        RowKind::Entity => ExportLine::Entity(rows::entity(columns)?),
        RowKind::Mention => ExportLine::Mention(Mention {
            entity_id: columns.id()?,
            memory_id: columns.id()?,
            message_id: columns.id()?,
        }),
        RowKind::Edge => ExportLine::Edge(rows::edge(columns)?),
        RowKind::Fact => ExportLine::Fact(rows::fact(columns)?),
        RowKind::FactVersion => {
            ExportLine::FactVersion(FactVersion { fact: rows::fact(columns)?, recorded_at: columns.time()? })
        }
        RowKind::Evidence => {
            let (fact_id, evidence): (_, Evidence) = (columns.id()?, rows::evidence(columns)?);
            ExportLine::Evidence { fact_id, evidence }
        }
        RowKind::Event => ExportLine::Event(rows::event(columns)?),
    })
}
