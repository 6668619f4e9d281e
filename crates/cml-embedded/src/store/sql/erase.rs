//! Removal of subjects and of single records, with everything that hangs on them.
//!
//! What goes is first collected by id in the connection's own table `gone`, then removed from every
//! table; what merely points at it is cut loose. The kinds in `gone`: `record`, `message`, `turn`,
//! `fact`, `entity`, `session` (by name), `event`; with `touched` behind the kind, those that lose
//! something of theirs and stay if anything is left; with `version` behind it, those that lose former
//! states.

use cml_core::{FactId, MemoryId, Result, Subject};
use sha2::{Digest as _, Sha256};
use uuid::Uuid;

use super::{
    batch::Batch,
    commit::Log,
    connection::Connection,
    edges, puts,
    statement::Sql,
    value::{Binds, Columns, binds},
};
use crate::store::{Changed, Digest, EdgeKey, GraphKey, edge_key};

/// Removes every row of `subject`.
pub(in crate::store) async fn subject(
    connection: &mut Connection<'_>,
    tenant: &str,
    subject: &Subject,
    log: &mut Log,
) -> Result<()> {
    connection.run_plain(connection.dialect().make_gone()).await?;
    let mut removal = Removal { connection, tenant, log };
    let whole = Whole::of(subject);
    for (kind, table) in [
        ("record", "records"),
        ("message", "messages"),
        ("turn", "terms"),
        ("event", "events"),
        ("fact version", "fact_versions"),
    ] {
        removal.collect(kind, table, &whole).await?;
    }
    let mut sql =
        removal.sql("INSERT INTO gone (kind, id, name) SELECT 'session', ?, session_id FROM sessions");
    sql.bind_id(&Uuid::nil());
    whole.restrict(&mut sql, tenant);
    removal.statement(sql).await?;
    // A fact that one agent or session shares with others stays as long as it rests on theirs.
    let kind = if whole.shared { "fact touched" } else { "fact" };
    for (kind, table) in [(kind, "facts"), ("entity", "entities")] {
        if kind == "entity" && whole.shared {
            continue;
        }
        removal.collect(kind, table, &whole).await?;
    }
    removal
        .with_tenant(
            "INSERT INTO gone (kind, id) SELECT 'message touched', id FROM messages WHERE tenant_id = ? AND \
             memory_id IN (SELECT id FROM gone WHERE kind = 'record')",
        )
        .await?;
    removal.cascade().await?;
    for table in ["record_versions", "fact_versions", "sessions", "events", "jobs", "idempotency"] {
        let mut sql = removal.sql("DELETE FROM ");
        whole.restrict(sql.push(table), tenant);
        removal.delete(table, sql).await?;
    }
    if whole.shared {
        // Those that are left rest on others; they no longer name the one who is gone.
        let mut sql = removal.sql("UPDATE facts SET ");
        whole.restrict(sql.push(whole.column).push(" = ''"), tenant);
        removal.statement(sql).await?;
    }
    if matches!(subject, Subject::Tenant) {
        for table in ["embeddings", "fact_evidence", "mentions", "edges"] {
            let mut sql = removal.sql("DELETE FROM ");
            whole.restrict(sql.push(table), tenant);
            removal.delete(table, sql).await?;
        }
        // What waits to be projected is nothing that the subject left.
        removal.with_tenant("DELETE FROM outbox WHERE tenant_id = ?").await?;
        removal.with_tenant("UPDATE tenants SET settings = '{}' WHERE tenant_id = ?").await?;
    }
    removal.finish().await
}

/// Removes records, and each message and turn that loses its last one.
pub(in crate::store) async fn records(
    connection: &mut Connection<'_>,
    tenant: &str,
    ids: &[MemoryId],
    log: &mut Log,
) -> Result<()> {
    if ids.is_empty() {
        return Ok(());
    }
    connection.run_plain(connection.dialect().make_gone()).await?;
    let mut removal = Removal { connection, tenant, log };
    let mut sql =
        removal.sql("INSERT INTO gone (kind, id) SELECT 'record', id FROM records WHERE tenant_id = ?");
    sql.bind(tenant).in_ids(" AND id", ids.iter().map(MemoryId::as_uuid));
    removal.statement(sql).await?;
    // The records' own messages, and those of their sessions that only strengthened them; a message
    // goes when it has no record left.
    removal
        .with_tenant(
            "INSERT INTO gone (kind, id) SELECT 'message touched', r.message_id FROM gone g JOIN \
             records r ON r.tenant_id = ? AND r.id = g.id WHERE g.kind = 'record' ON CONFLICT DO NOTHING",
        )
        .await?;
    removal
        .with_tenant(
            "INSERT INTO gone (kind, id) SELECT 'message touched', m.id FROM messages m WHERE \
             m.tenant_id = ? AND m.session_id IN (SELECT r.session_id FROM gone g JOIN records r ON \
             r.tenant_id = ? AND r.id = g.id WHERE g.kind = 'record' AND r.session_id <> '') AND \
             m.memory_id IN (SELECT id FROM gone WHERE kind = 'record') ON CONFLICT DO NOTHING",
        )
        .await?;
    removal
        .with_tenant(
            "INSERT INTO gone (kind, id) SELECT 'message', g.id FROM gone g WHERE g.kind = 'message touched' \
             AND NOT EXISTS (SELECT 1 FROM records o WHERE o.tenant_id = ? AND o.message_id = g.id AND o.id \
             NOT IN (SELECT id FROM gone WHERE kind = 'record'))",
        )
        .await?;
    removal
        .with_tenant(
            "INSERT INTO gone (kind, id) SELECT 'turn', t.id FROM gone g JOIN terms t ON t.tenant_id = ? AND \
             t.id = g.id WHERE g.kind = 'message'",
        )
        .await?;
    removal.cascade().await?;
    removal.finish().await
}

/// Which rows are a subject's.
struct Whole<'s> {
    /// The condition beside the tenant's, and its column.
    and: &'static str,
    column: &'static str,
    name: Option<&'s str>,
    /// Whether others may have part in the subject's facts.
    shared: bool,
}

impl<'s> Whole<'s> {
    /// The condition that a row of `tenant` is the subject's.
    fn restrict(&self, sql: &mut Sql, tenant: &str) {
        sql.push(" WHERE tenant_id = ?").bind(tenant).push(self.and).bind_given(self.name);
    }

    fn of(subject: &'s Subject) -> Self {
        let part = |and, column, name: &'s String, shared| Self { and, column, name: Some(name), shared };
        match subject {
            Subject::Namespace(name) => part(" AND namespace = ?", "namespace", name, false),
            Subject::User(name) => part(" AND user_id = ?", "user_id", name, false),
            Subject::Agent(name) => part(" AND agent_id = ?", "agent_id", name, true),
            Subject::Session(name) => part(" AND session_id = ?", "session_id", name, true),
            _ => Self { and: "", column: "", name: None, shared: false },
        }
    }
}

struct Removal<'r, 'c> {
    connection: &'r mut Connection<'c>,
    tenant: &'r str,
    log: &'r mut Log,
}

impl Removal<'_, '_> {
    /// Collects the ids of the subject's rows in `table`.
    async fn collect(&mut self, kind: &'static str, table: &'static str, whole: &Whole<'_>) -> Result<()> {
        let mut sql = self.sql("INSERT INTO gone (kind, id) SELECT ?, id FROM ");
        whole.restrict(sql.bind(kind).push(table), self.tenant);
        sql.push(" ON CONFLICT DO NOTHING");
        self.statement(sql).await?;
        Ok(())
    }

    /// Removes the collected records, messages and turns with what hangs on them, then the facts and
    /// entities that nothing holds any more.
    async fn cascade(&mut self) -> Result<()> {
        self.with_tenant(
            "INSERT INTO gone (kind, id) SELECT 'fact touched', e.fact_id FROM gone g JOIN \
             fact_evidence e ON e.tenant_id = ? AND e.target_id = g.id WHERE g.kind IN ('record', \
             'message') ON CONFLICT DO NOTHING",
        )
        .await?;
        self.with_tenant(
            "INSERT INTO gone (kind, id) SELECT 'entity touched', m.entity_id FROM gone g JOIN \
             mentions m ON m.tenant_id = ? AND m.memory_id = g.id WHERE g.kind = 'record' ON CONFLICT DO NOTHING",
        )
        .await?;
        for (table, column, kind) in [
            ("fact_evidence", "target_id", "record"),
            ("fact_evidence", "target_id", "message"),
            ("mentions", "memory_id", "record"),
        ] {
            self.delete_gone(table, column, kind).await?;
        }
        self.with_tenant(
            "INSERT INTO gone (kind, id) SELECT 'fact', g.id FROM gone g WHERE g.kind = 'fact \
             touched' AND NOT EXISTS (SELECT 1 FROM fact_evidence e WHERE e.tenant_id = ? AND e.fact_id = \
             g.id) ON CONFLICT DO NOTHING",
        )
        .await?;
        self.with_tenant(
            "INSERT INTO gone (kind, id) SELECT 'entity', g.id FROM gone g WHERE g.kind = 'entity \
             touched' AND NOT EXISTS (SELECT 1 FROM mentions m WHERE m.tenant_id = ? AND m.entity_id = \
             g.id) ON CONFLICT DO NOTHING",
        )
        .await?;
        self.cut_edges().await?;
        for (table, column, kind) in [
            ("records", "id", "record"),
            ("record_versions", "id", "record"),
            ("messages", "id", "message"),
            ("terms", "id", "turn"),
            ("facts", "id", "fact"),
            ("fact_versions", "id", "fact"),
            ("fact_evidence", "fact_id", "fact"),
            ("entities", "id", "entity"),
            ("mentions", "entity_id", "entity"),
            ("edges", "source", "entity"),
            ("edges", "target", "entity"),
        ] {
            self.delete_gone(table, column, kind).await?;
        }
        let embeddings = format!(
            "DELETE FROM embeddings WHERE {} AND model_id IN (SELECT id FROM models) AND view IN (0, 1)",
            among("record_id", "record")
        );
        let rows = self.with_tenant(&embeddings).await?;
        self.log.removed("embeddings", rows);
        self.cut_links().await
    }

    /// Removes the edges in which facts show that are gone. Those of former facts went when they ended; an
    /// edge of the same name may be a current fact's.
    async fn cut_edges(&mut self) -> Result<()> {
        let sql = format!(
            "SELECT namespace, user_id, subject, predicate, value FROM facts WHERE {} AND status = 'current'",
            among("id", "fact")
        );
        let read = |columns: &mut Columns<'_>| {
            let (namespace, user, subject) = (columns.text()?, columns.text()?, columns.text()?);
            Ok(edge_key(&namespace, &user, &subject, &columns.text()?, &columns.text()?))
        };
        let values = self.tenants(&sql);
        let keys: Vec<EdgeKey> = self.connection.all(sql, values, read).await?;
        if keys.is_empty() {
            return Ok(());
        }
        let values = binds(|binds| edges::bind(binds, self.tenant, &keys));
        let rows = self.connection.run(edges::removal(self.connection.dialect()), values).await?;
        edges::bury(&mut Batch::new(self.connection, false), self.tenant, &keys).await?;
        self.log.removed("edges", rows);
        self.log.nodes.extend(keys.into_iter().map(|(source, ..)| GraphKey::Entity(source)));
        Ok(())
    }

    /// Rows that stay no longer point at those that are gone.
    async fn cut_links(&mut self) -> Result<()> {
        for (table, column, kind) in
            [("records", "supersedes_id", "record"), ("records", "superseded_by_id", "record")]
        {
            let sql = format!("UPDATE {table} SET {column} = NULL WHERE {}", among(column, kind));
            self.with_tenant(&sql).await?;
        }
        for column in ["supersedes_id", "superseded_by_id"] {
            let sql =
                format!("UPDATE facts SET {column} = NULL WHERE {} RETURNING id", among(column, "fact"));
            let values = self.tenants(&sql);
            let facts: Vec<FactId> = self.connection.all(sql, values, |columns| columns.id()).await?;
            self.log.nodes.extend(facts.into_iter().map(GraphKey::Fact));
        }
        let sql = format!(
            "UPDATE messages SET memory_id = (SELECT r.id FROM records r WHERE r.tenant_id = \
             messages.tenant_id AND r.message_id = messages.id ORDER BY r.chunk_index LIMIT 1) WHERE {} AND \
             {}",
            among("id", "message touched"),
            "memory_id IN (SELECT id FROM gone WHERE kind = 'record')"
        );
        self.with_tenant(&sql).await?;
        Ok(())
    }

    /// Removes the rows of `table` whose `column` holds a collected id of `kind`.
    async fn delete_gone(
        &mut self,
        table: &'static str,
        column: &'static str,
        kind: &'static str,
    ) -> Result<()> {
        let sql = format!("DELETE FROM {table} WHERE {}", among(column, kind));
        let rows = self.with_tenant(&sql).await?;
        self.log.removed(table, rows);
        Ok(())
    }

    /// Leaves tombstones, lists the changes, and forgets what was collected.
    async fn finish(&mut self) -> Result<()> {
        for (kind, table) in [
            ("record", "records"),
            ("message", "messages"),
            ("fact", "facts"),
            ("session", "sessions"),
            ("event", "events"),
            ("fact version", "fact_versions"),
        ] {
            let tombstones: Vec<Digest> = self
                .gone(kind, |columns| match (kind, columns.id::<Uuid>()?) {
                    ("session", _) => Ok(tombstone(table, columns.text()?.as_bytes())),
                    (_, id) => Ok(tombstone(table, id.as_bytes())),
                })
                .await?;
            let tenant = self.tenant;
            let mut batch = Batch::new(self.connection, false);
            batch.put(&puts::TOMBSTONE, &tombstones, puts::tombstone(tenant)).await?;
        }
        for id in self.ids("record").await? {
            self.log.changed.push(Changed::Record(id.into()));
            self.log.nodes.push(GraphKey::Record(id.into()));
        }
        let turns = self.ids("turn").await?.into_iter().map(|id| Changed::Turn(id.into()));
        self.log.changed.extend(turns);
        for kind in ["fact", "fact touched"] {
            for id in self.ids(kind).await? {
                self.log.changed.push(Changed::Fact(id.into()));
                self.log.nodes.push(GraphKey::Fact(id.into()));
            }
        }
        let entities = self.ids("entity").await?;
        self.log.nodes.extend(entities.into_iter().map(|id| GraphKey::Entity(id.into())));
        let sessions = self
            .gone("session", |columns| {
                let _none: Uuid = columns.id()?;
                columns.text()
            })
            .await?;
        self.log.nodes.extend(sessions.into_iter().map(GraphKey::Session));
        self.connection.run_plain("DELETE FROM gone").await?;
        Ok(())
    }

    async fn ids(&mut self, kind: &'static str) -> Result<Vec<Uuid>> {
        self.gone(kind, |columns| columns.id()).await
    }

    async fn gone<T>(
        &mut self,
        kind: &'static str,
        read: impl Fn(&mut Columns<'_>) -> Result<T>,
    ) -> Result<Vec<T>> {
        let values = binds(|binds| {
            binds.add(kind);
        });
        let sql = "SELECT id, name FROM gone WHERE kind = ? ORDER BY id, name";
        self.connection.all(sql, values, read).await
    }

    /// Runs a statement whose only value is the tenant, in each of its placeholders.
    async fn with_tenant(&mut self, sql: &str) -> Result<u64> {
        let values = self.tenants(sql);
        self.connection.run(sql, values).await
    }

    fn tenants(&self, sql: &str) -> Binds {
        binds(|binds| {
            sql.matches('?').for_each(|_| _ = binds.add(self.tenant));
        })
    }

    fn sql(&self, text: &str) -> Sql {
        Sql::new(self.connection.dialect(), text)
    }

    async fn statement(&mut self, sql: Sql) -> Result<u64> {
        sql.run(self.connection).await
    }

    async fn delete(&mut self, table: &'static str, sql: Sql) -> Result<()> {
        let rows = self.statement(sql).await?;
        self.log.removed(table, rows);
        Ok(())
    }
}

/// The condition that a row is the tenant's and its `column` holds a collected id of `kind`.
fn among(column: &str, kind: &str) -> String {
    format!("tenant_id = ? AND {column} IN (SELECT id FROM gone WHERE kind = '{kind}')")
}

/// First 16 bytes of the SHA-256 of a table's name and an id.
pub(in crate::store) fn tombstone(table: &str, id: &[u8]) -> Digest {
    let hash = Sha256::new().chain_update(table).chain_update(id).finalize();
    let mut digest = [0; 16];
    digest.copy_from_slice(&hash[..16]);
    digest
}
