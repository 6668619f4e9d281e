//! What a commit leaves behind for those who project: one row per node that it touched.

use std::collections::BTreeSet;

use cml_core::{EntityId, Result};
use serde_json::{Value, json};

use super::{commit::Log, connection::Connection, dialect::Part, statement::Sql};
use crate::store::{ChangeSet, GraphKey, GraphKind};

/// Beyond this many nodes of one change set everything of the tenant is projected anew.
const LISTED: usize = 50_000;

/// `kind` of a row that stands for everything of the tenant.
const TENANT: i64 = 4;

/// Nodes that a change set touched.
#[derive(Debug, Default)]
struct Touched {
    /// Those that are other than before.
    changed: BTreeSet<GraphKey>,
    /// Those that are new unless they were there.
    added: BTreeSet<GraphKey>,
}

impl Touched {
    fn of(changes: &ChangeSet, log: &Log) -> Self {
        let mut changed: BTreeSet<GraphKey> = log.nodes.iter().cloned().collect();
        changed.extend(changes.records.iter().map(|put| GraphKey::Record(put.record.id)));
        changed.extend(changes.facts.iter().map(|fact| GraphKey::Fact(fact.id)));
        changed.extend(changes.evidence.iter().map(|(fact, _)| GraphKey::Fact(*fact)));
        changed.extend(changes.mentions.iter().map(|mention| GraphKey::Record(mention.memory_id)));
        changed.extend(changes.cut.iter().map(|(source, ..)| GraphKey::Entity(*source)));
        changed.extend(changes.edges.iter().map(|edge| GraphKey::Entity(edge.source)));
        let entities = changes.entities.iter().map(|entity| GraphKey::Entity(entity.id));
        let sessions = changes.sessions.iter().map(|session| GraphKey::Session(session.session_id.clone()));
        let added = entities.chain(sessions).filter(|key| !changed.contains(key)).collect();
        Self { changed, added }
    }

    /// Kind, id, name, and whether the row is left out where the node is there.
    fn rows(&self) -> Vec<Value> {
        let row = |key: &GraphKey, added: bool| {
            let (kind, id, name) = parts(key);
            json!([kind, id, name, i64::from(added)])
        };
        let changed = self.changed.iter().map(|key| row(key, false));
        changed.chain(self.added.iter().map(|key| row(key, true))).collect()
    }
}

/// Adds the rows of a change set, before anything but its removals was applied.
pub(in crate::store) async fn note(
    connection: &mut Connection<'_>,
    changes: &ChangeSet,
    log: &Log,
) -> Result<()> {
    let touched = Touched::of(changes, log);
    let erased = matches!(changes.erase, Some(cml_core::Subject::Tenant));
    let rows = if erased || touched.changed.len() + touched.added.len() > LISTED {
        vec![json!([TENANT, null, "", 0])]
    } else {
        touched.rows()
    };
    if rows.is_empty() {
        return Ok(());
    }
    let count = i64::try_from(rows.len()).unwrap_or(i64::MAX);
    let tenant = &*changes.tenant;
    let mut sql = Sql::new(
        connection.dialect(),
        "WITH numbered AS (INSERT INTO tenants (tenant_id, last_seq, epoch, last_outbox) VALUES (?, 0, 0, ?) ON \
         CONFLICT (tenant_id) DO UPDATE SET last_outbox = tenants.last_outbox + excluded.last_outbox RETURNING \
         last_outbox) INSERT INTO outbox (tenant_id, seq, kind, id, name, attempts, dead, added_at) SELECT ?, \
         numbered.last_outbox - ? + w.key + 1, ",
    );
    sql.bind(tenant).bind(count).bind(tenant).bind(count);
    sql.part(Part::Number, 0).push(", ").part(Part::Id, 1).push(", ").part(Part::Text, 2);
    sql.push(", 0, false, now() FROM numbered, ").each(&rows).push(" WHERE ").part(Part::Number, 3);
    sql.push(" = 0 OR NOT EXISTS (SELECT 1 FROM entities WHERE tenant_id = ?").bind(tenant);
    sql.push(" AND id = ").part(Part::Id, 1);
    sql.push(") AND NOT EXISTS (SELECT 1 FROM sessions WHERE tenant_id = ?").bind(tenant);
    sql.push(" AND session_id = ").part(Part::Text, 2).push(")");
    sql.run(connection).await?;
    Ok(())
}

/// How a key stands in a row: its kind, its id in hexadecimal digits, its name.
fn parts(key: &GraphKey) -> (i64, Option<String>, &str) {
    let kind = match key.kind() {
        GraphKind::Record => 0,
        GraphKind::Fact => 1,
        GraphKind::Session => 2,
        GraphKind::Entity => 3,
    };
    let id = match key {
        GraphKey::Record(id) => Some(id.as_uuid()),
        GraphKey::Fact(id) => Some(id.as_uuid()),
        GraphKey::Entity(id) => Some(EntityId::as_uuid(id)),
        GraphKey::Session(_) => None,
    };
    let name = match key {
        GraphKey::Session(name) => name,
        _ => "",
    };
    (kind, id.map(|id| id.simple().to_string()), name)
}
