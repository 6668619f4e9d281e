//! What is known of rows that come in: stored, erased, or nothing.

use std::collections::HashSet;

use cml_core::{Result, Scope, memory::Evidence, ops::ExportLine};
use serde_json::{Value, json};
use uuid::Uuid;

use super::{
    connection::Connection,
    dialect::{Dialect, Part},
    edges,
    erase::tombstone,
    export::view_number,
    rows,
    statement::Sql,
};
use crate::store::{Digest, Known, RowKind};

/// See [`Store::known`](crate::store::Store::known); the connection is a snapshot.
pub(in crate::store) async fn known(
    connection: &mut Connection<'_>,
    scope: &Scope,
    lines: &[ExportLine],
) -> Result<Vec<Known>> {
    let Some(kind) = lines.first().and_then(RowKind::of) else {
        return Ok(vec![Known::OutOfReach; lines.len()]);
    };
    let mut sql = Sql::new(connection.dialect(), "SELECT ");
    push_stored(&mut sql, kind, scope);
    sql.push(", ");
    push_reach(&mut sql, kind, scope);
    let dialect = connection.dialect();
    let keys: Vec<Value> = lines.iter().map(|line| key(line, dialect)).collect();
    sql.push(" FROM ").each(&keys).push(" ORDER BY w.key");
    let found: Vec<(Option<i64>, Option<i64>)> =
        sql.all(connection, |columns| Ok((columns.get()?, columns.get()?))).await?;
    let own = matches!(kind, RowKind::Session | RowKind::Message | RowKind::Record | RowKind::Fact);
    let mut known: Vec<Known> = found
        .into_iter()
        .map(|found| match found {
            (Some(_), None) if own => Known::OutOfReach,
            (Some(version), _) => Known::Stored(version.cast_unsigned()),
            (None, None) if own => Known::Absent(0),
            (None, Some(version)) => Known::Absent(version.cast_unsigned()),
            (None, None) => Known::OutOfReach,
        })
        .collect();
    let erased = erased(connection, scope.tenant(), lines, &known).await?;
    for (known, line) in known.iter_mut().zip(lines) {
        if !matches!(known, Known::Stored(_)) && tombs(line).iter().any(|tomb| erased.contains(tomb)) {
            *known = Known::Erased;
        }
    }
    Ok(known)
}

/// The key of a line as a JSON list; ids are hexadecimal.
fn key(line: &ExportLine, dialect: Dialect) -> Value {
    let hex = |id: &Uuid| id.simple().to_string();
    match line {
        ExportLine::Session(row) => json!([row.session_id]),
        ExportLine::Message(row) => json!([hex(row.id.as_uuid())]),
        ExportLine::Record(row) => json!([hex(row.id.as_uuid())]),
        ExportLine::RecordVersion(row) => json!([hex(row.record.id.as_uuid()), row.record.version]),
        ExportLine::Embedding(row) => json!([hex(row.memory_id.as_uuid()), view_number(&row.view)]),
        ExportLine::Entity(row) => json!([hex(row.id.as_uuid())]),
        ExportLine::Mention(row) => json!([hex(row.entity_id.as_uuid()), hex(row.memory_id.as_uuid())]),
        ExportLine::Edge(row) => {
            json!([hex(row.source.as_uuid()), hex(row.target.as_uuid()), row.predicate])
        }
        ExportLine::Fact(row) => json!([hex(row.id.as_uuid())]),
        ExportLine::FactVersion(row) => {
            json!([hex(row.fact.id.as_uuid()), row.fact.version, dialect.json_time(row.recorded_at)])
        }
        ExportLine::Evidence { fact_id, evidence } => {
            let (kind, target) = rows::evidence_parts(evidence);
            json!([hex(fact_id.as_uuid()), kind, hex(&target)])
        }
        ExportLine::Event(row) => json!([dialect.json_time(row.created_at), hex(row.id.as_uuid())]),
        _ => Value::Null,
    }
}

/// The version of the row that is stored, 0 where its kind has none; NULL when there is none.
fn push_stored(sql: &mut Sql, kind: RowKind, scope: &Scope) {
    use Part::{Id, Number, Text, Time};
    let (head, key): (_, &[_]) = match kind {
        RowKind::Session => ("0 FROM sessions", &[("session_id", Text)]),
        RowKind::Message => ("0 FROM messages", &[("id", Id)]),
        RowKind::Record => ("version FROM records", &[("id", Id)]),
        RowKind::RecordVersion => ("0 FROM record_versions", &[("id", Id), ("version", Number)]),
        RowKind::Embedding => ("0 FROM embeddings", &[("record_id", Id), ("view", Number)]),
        RowKind::Entity => ("0 FROM entities", &[("id", Id)]),
        RowKind::Mention => ("0 FROM mentions", &[("entity_id", Id), ("memory_id", Id)]),
        RowKind::Edge => ("0 FROM edges", &[("source", Id), ("target", Id), ("predicate", Text)]),
        RowKind::Fact => ("version FROM facts", &[("id", Id)]),
        RowKind::FactVersion => {
            ("0 FROM fact_versions", &[("id", Id), ("version", Number), ("replaced_at", Time)])
        }
        RowKind::Evidence => {
            ("0 FROM fact_evidence", &[("fact_id", Id), ("kind", Number), ("target_id", Id)])
        }
        RowKind::Event => ("0 FROM events", &[("created_at", Time), ("id", Id)]),
    };
    sql.push("(SELECT ").push(head).push(" WHERE tenant_id = ?").bind(scope.tenant());
    if kind == RowKind::Embedding {
        sql.push(" AND model_id = (SELECT id FROM models WHERE state = 'serving')");
    }
    sql.equal(key).push(")");
}

/// Not NULL when the scope sees the row that is stored, or what the row hangs on: then the version of
/// that, or 0.
fn push_reach(sql: &mut Sql, kind: RowKind, scope: &Scope) {
    use Part::{Id, Number, Text};
    match kind {
        RowKind::Session => {
            sql.push("(SELECT 0 FROM sessions WHERE ").visible(scope);
            sql.push(" AND session_id = ").part(Text, 0).push(")");
        }
        RowKind::Message => {
            sql.push("(SELECT 0 FROM messages WHERE ").visible(scope);
            sql.push(" AND id = ").part(Id, 0).push(")");
        }
        RowKind::Record | RowKind::Embedding => {
            sql.push("(SELECT version FROM records WHERE ").visible(scope);
            sql.push(" AND id = ").part(Id, 0).push(")");
        }
        RowKind::RecordVersion => {
            // A former state is older than the present one.
            sql.push("(SELECT version FROM records WHERE ").visible(scope);
            sql.push(" AND id = ").part(Id, 0).push(" AND version > ").part(Number, 1).push(")");
        }
        RowKind::Mention => {
            sql.push("(SELECT version FROM records WHERE ").visible(scope);
            sql.push(" AND id = ").part(Id, 1).push(")");
        }
        RowKind::Entity => {
            sql.push("(SELECT 0 FROM mentions WHERE tenant_id = ?").bind(scope.tenant());
            sql.push(" AND entity_id = ").part(Id, 0).push(" LIMIT 1)");
        }
        RowKind::Edge => {
            sql.push("CASE WHEN TRUE");
            exists_part(sql, &scope.without_session(), "entities", 0);
            exists_part(sql, &scope.without_session(), "entities", 1);
            sql.push(" THEN 0 END");
        }
        RowKind::Fact | RowKind::FactVersion => {
            sql.push("(SELECT 0 FROM facts WHERE ").visible(scope);
            sql.push(" AND id = ").part(Id, 0).push(")");
        }
        RowKind::Evidence => {
            sql.push("CASE WHEN TRUE");
            exists_part(sql, scope, "facts", 0);
            sql.push(" AND CASE ").part(Number, 1).push(" WHEN 0 THEN TRUE");
            exists_part(sql, scope, "records", 2);
            sql.push(" ELSE TRUE");
            exists_part(sql, scope, "messages", 2);
            sql.push(" END THEN 0 END");
        }
        RowKind::Event => {
            sql.push("0");
        }
    }
}

/// `AND EXISTS` a visible row of `table` whose id is the element `at` of the key.
fn exists_part(sql: &mut Sql, scope: &Scope, table: &'static str, at: usize) {
    sql.push(" AND EXISTS (SELECT 1 FROM ").push(table).push(" WHERE ").visible(scope);
    sql.push(" AND id = ").part(Part::Id, at).push(")");
}

/// Tombstones that keep a line out: its own, and those of what it hangs on.
fn tombs(line: &ExportLine) -> Vec<Digest> {
    let record = |id: &Uuid| tombstone("records", id.as_bytes());
    let fact = |id: &Uuid| tombstone("facts", id.as_bytes());
    match line {
        ExportLine::Session(row) => vec![tombstone("sessions", row.session_id.as_bytes())],
        ExportLine::Message(row) => vec![tombstone("messages", row.id.as_uuid().as_bytes())],
        ExportLine::Record(row) => vec![record(row.id.as_uuid())],
        ExportLine::RecordVersion(row) => vec![record(row.record.id.as_uuid())],
        ExportLine::Embedding(row) => vec![record(row.memory_id.as_uuid())],
        ExportLine::Mention(row) => vec![record(row.memory_id.as_uuid())],
        ExportLine::Edge(row) => vec![edges::tombstone(&row.source, &row.target, &row.predicate)],
        ExportLine::Fact(row) => vec![fact(row.id.as_uuid())],
        ExportLine::FactVersion(row) => {
            let id = row.fact.id.as_uuid();
            vec![fact(id), tombstone("fact_versions", id.as_bytes())]
        }
        ExportLine::Evidence { fact_id, evidence } => {
            let target = match evidence {
                Evidence::Message(id) => tombstone("messages", id.as_uuid().as_bytes()),
                other => record(&rows::evidence_parts(other).1),
            };
            vec![fact(fact_id.as_uuid()), target]
        }
        ExportLine::Event(row) => vec![tombstone("events", row.id.as_uuid().as_bytes())],
        _ => Vec::new(),
    }
}

/// Which tombstones of the lines that are not stored exist.
async fn erased(
    connection: &mut Connection<'_>,
    tenant: &str,
    lines: &[ExportLine],
    known: &[Known],
) -> Result<HashSet<Digest>> {
    let wanted: Vec<Uuid> = lines
        .iter()
        .zip(known)
        .filter(|(_, known)| !matches!(known, Known::Stored(_)))
        .flat_map(|(line, _)| tombs(line))
        .map(Uuid::from_bytes)
        .collect();
    if wanted.is_empty() {
        return Ok(HashSet::new());
    }
    let mut sql = Sql::new(connection.dialect(), "SELECT digest FROM tombstones WHERE tenant_id = ?");
    sql.bind(tenant).in_ids(" AND digest", &wanted);
    let found = sql.all(connection, |columns| Ok(columns.id::<Uuid>()?.into_bytes())).await?;
    Ok(found.into_iter().collect())
}
