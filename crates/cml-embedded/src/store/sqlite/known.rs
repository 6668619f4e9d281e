//! What is known of rows that come in: stored, erased, or nothing.

use std::collections::HashSet;

use cml_core::{Result, Scope, memory::Evidence, ops::ExportLine};
use serde_json::{Value, json};
use sqlx::SqliteConnection;
use uuid::Uuid;

use super::{
    erase::tombstone,
    export::{exists, view_number},
    rows,
    sql::{Sql, all, binds},
};
use crate::store::{Digest, Known, RowKind};

/// See [`Store::known`](crate::store::Store::known); the connection is a snapshot.
pub(super) async fn known(
    connection: &mut SqliteConnection,
    scope: &Scope,
    lines: &[ExportLine],
) -> Result<Vec<Known>> {
    let Some(kind) = lines.first().and_then(RowKind::of) else {
        return Ok(vec![Known::OutOfReach; lines.len()]);
    };
    let mut sql = Sql::new("SELECT ");
    push_stored(&mut sql, kind, scope);
    sql.push(", ");
    push_reach(&mut sql, kind, scope);
    let keys: Vec<Value> = lines.iter().map(key).collect();
    sql.push(" FROM json_each(?) w ORDER BY w.key").bind_json(&keys);
    let (text, binds) = sql.into_parts();
    let found: Vec<(Option<i64>, Option<i64>)> =
        all(connection, text, binds, |columns| Ok((columns.get()?, columns.get()?))).await?;
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
fn key(line: &ExportLine) -> Value {
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
            json!([hex(row.fact.id.as_uuid()), row.fact.version, row.recorded_at.timestamp_micros()])
        }
        ExportLine::Evidence { fact_id, evidence } => {
            let (kind, target) = rows::evidence_parts(evidence);
            json!([hex(fact_id.as_uuid()), kind, hex(&target)])
        }
        ExportLine::Event(row) => json!([row.created_at.timestamp_micros(), hex(row.id.as_uuid())]),
        _ => Value::Null,
    }
}

/// The first part of a key as an id.
const ID: &str = "unhex(w.value ->> 0)";

/// The version of the row that is stored, 0 where its kind has none; NULL when there is none.
fn push_stored(sql: &mut Sql, kind: RowKind, scope: &Scope) {
    let (head, condition) = match kind {
        RowKind::Session => ("0 FROM sessions", "session_id = w.value ->> 0"),
        RowKind::Message => ("0 FROM messages", "id = unhex(w.value ->> 0)"),
        RowKind::Record => ("version FROM records", "id = unhex(w.value ->> 0)"),
        RowKind::RecordVersion => {
            ("0 FROM record_versions", "id = unhex(w.value ->> 0) AND version = w.value ->> 1")
        }
        RowKind::Embedding => (
            "0 FROM embeddings",
            "model_id = (SELECT id FROM models WHERE state = 'serving') AND view = w.value ->> 1 AND \
             record_id = unhex(w.value ->> 0)",
        ),
        RowKind::Entity => ("0 FROM entities", "id = unhex(w.value ->> 0)"),
        RowKind::Mention => {
            ("0 FROM mentions", "entity_id = unhex(w.value ->> 0) AND memory_id = unhex(w.value ->> 1)")
        }
        RowKind::Edge => (
            "0 FROM edges",
            "source = unhex(w.value ->> 0) AND target = unhex(w.value ->> 1) AND predicate = w.value ->> 2",
        ),
        RowKind::Fact => ("version FROM facts", "id = unhex(w.value ->> 0)"),
        RowKind::FactVersion => (
            "0 FROM fact_versions",
            "id = unhex(w.value ->> 0) AND version = w.value ->> 1 AND replaced_at = w.value ->> 2",
        ),
        RowKind::Evidence => (
            "0 FROM fact_evidence",
            "fact_id = unhex(w.value ->> 0) AND kind = w.value ->> 1 AND target_id = unhex(w.value ->> 2)",
        ),
        RowKind::Event => ("0 FROM events", "created_at = w.value ->> 0 AND id = unhex(w.value ->> 1)"),
    };
    sql.push("(SELECT ").push(head).push(" WHERE tenant_id = ?").bind(scope.tenant());
    sql.push(" AND ").push(condition).push(")");
}

/// Not NULL when the scope sees the row that is stored, or what the row hangs on: then the version of
/// that, or 0.
fn push_reach(sql: &mut Sql, kind: RowKind, scope: &Scope) {
    match kind {
        RowKind::Session => {
            sql.push("(SELECT 0 FROM sessions WHERE ")
                .visible(scope)
                .push(" AND session_id = w.value ->> 0)");
        }
        RowKind::Message => {
            sql.push("(SELECT 0 FROM messages WHERE ").visible(scope).push(" AND id = ").push(ID).push(")");
        }
        RowKind::Record | RowKind::Embedding => {
            sql.push("(SELECT version FROM records WHERE ").visible(scope);
            sql.push(" AND id = ").push(ID).push(")");
        }
        RowKind::RecordVersion => {
            // A former state is older than the present one.
            sql.push("(SELECT version FROM records WHERE ").visible(scope);
            sql.push(" AND id = ").push(ID).push(" AND version > w.value ->> 1)");
        }
        RowKind::Mention => {
            sql.push("(SELECT version FROM records WHERE ").visible(scope);
            sql.push(" AND id = unhex(w.value ->> 1))");
        }
        RowKind::Entity => {
            sql.push("(SELECT 0 FROM mentions WHERE tenant_id = ?").bind(scope.tenant());
            sql.push(" AND entity_id = ").push(ID).push(" LIMIT 1)");
        }
        RowKind::Edge => {
            sql.push("CASE WHEN TRUE");
            exists(sql, &scope.without_session(), "entities", ID);
            exists(sql, &scope.without_session(), "entities", "unhex(w.value ->> 1)");
            sql.push(" THEN 0 END");
        }
        RowKind::Fact | RowKind::FactVersion => {
            sql.push("(SELECT 0 FROM facts WHERE ").visible(scope).push(" AND id = ").push(ID).push(")");
        }
        RowKind::Evidence => {
            sql.push("CASE WHEN TRUE");
            exists(sql, scope, "facts", ID);
            sql.push(" AND CASE w.value ->> 1 WHEN 0 THEN TRUE");
            exists(sql, scope, "records", "unhex(w.value ->> 2)");
            sql.push(" ELSE TRUE");
            exists(sql, scope, "messages", "unhex(w.value ->> 2)");
            sql.push(" END THEN 0 END");
        }
        RowKind::Event => {
            sql.push("0");
        }
    }
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
    connection: &mut SqliteConnection,
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
    let values = binds(|binds| {
        binds.add(tenant).ids(&wanted);
    });
    let found = all(
        connection,
        "SELECT digest FROM tombstones WHERE tenant_id = ? AND digest IN (SELECT unhex(value) FROM \
         json_each(?))",
        values,
        |columns| Ok(columns.id::<Uuid>()?.into_bytes()),
    )
    .await?;
    Ok(found.into_iter().collect())
}
