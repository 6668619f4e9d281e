//! Reading back what the graph holds, in the form in which it was applied.

use std::{collections::HashSet, str::FromStr};

use cml_core::{
    EntityId, MemoryId, Result,
    memory::{Evidence, Fact, Session},
    ops::{Edge, Entity},
};
use serde::{Deserialize, de::DeserializeOwned};

use super::{
    client::Client,
    error::malformed,
    project::name,
    schema::{bounds, key},
};
use crate::store::{EntityNode, GraphChanges, GraphKey, GraphKind, RecordNode};

/// A placeholder is no row while something leads to it.
const KEYS: &str = "
    MATCH (n:CmlNode) WHERE n.key > $from AND n.key < $to AND (n.pending IS NULL OR NOT (n)--())
    RETURN n.id AS id ORDER BY n.key LIMIT $limit";

const ENTITIES: &str = "
    UNWIND $keys AS key MATCH (n:CmlNode {key: key}) WHERE n.pending IS NULL
    OPTIONAL MATCH (n)-[l:CML_EDGE]->(t:CmlNode)
    RETURN n.id AS id, n.namespace AS namespace, n.user AS user, n.name AS name, n.type AS type,
        collect(CASE WHEN l IS NULL THEN null
            ELSE {target: t.id, predicate: l.predicate, confidence: l.confidence} END) AS edges";

const RECORDS: &str = "
    UNWIND $keys AS key MATCH (n:CmlNode {key: key}) WHERE n.pending IS NULL
    OPTIONAL MATCH (n)-[:CML_IN_SESSION]->(s:CmlNode)
    OPTIONAL MATCH (n)-[:CML_MENTIONS]->(t:CmlNode)
    RETURN n.id AS id, n.namespace AS namespace, n.user AS user, n.type AS type, n.status AS status,
        coalesce(s.id, '') AS session, collect(t.id) AS mentions";

const SESSIONS: &str = "
    UNWIND $keys AS key MATCH (n:CmlNode {key: key}) WHERE n.pending IS NULL RETURN n.row AS row";

const FACTS: &str = "
    UNWIND $keys AS key MATCH (n:CmlNode {key: key}) WHERE n.pending IS NULL
    OPTIONAL MATCH (n)-[:CML_IN_SESSION]->(s:CmlNode)
    OPTIONAL MATCH (n)-[:CML_SUPPORTED_BY]->(t:CmlNode)
    RETURN n.row AS row, coalesce(s.id, '') AS session, collect(t.id) AS evidence";

/// A page of keys.
pub(super) async fn keys(
    client: &Client,
    tenant: &str,
    kind: GraphKind,
    after: Option<&GraphKey>,
    limit: usize,
) -> Result<Vec<GraphKey>> {
    let (first, to) = bounds(tenant, name(kind));
    let from = after.map_or(first, |after| node_key(tenant, after));
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    let query = client.names().query(KEYS).param("from", from).param("to", to).param("limit", limit);
    let key = |row: Id| {
        Ok(match kind {
            GraphKind::Record => GraphKey::Record(parsed(&row.id, "id")?),
            GraphKind::Fact => GraphKey::Fact(parsed(&row.id, "id")?),
            GraphKind::Session => GraphKey::Session(row.id),
            GraphKind::Entity => GraphKey::Entity(parsed(&row.id, "id")?),
        })
    };
    client.read(query).await?.into_iter().map(key).collect()
}

/// Adds what the graph holds of these keys.
pub(super) async fn rows(
    client: &Client,
    tenant: &str,
    keys: &[GraphKey],
    found: &mut GraphChanges,
) -> Result<()> {
    for key in keys {
        match key {
            GraphKey::Record(id) => drop(found.records.insert(*id, None)),
            GraphKey::Fact(id) => drop(found.facts.insert(*id, None)),
            GraphKey::Session(id) => drop(found.sessions.insert(id.clone(), None)),
            GraphKey::Entity(id) => drop(found.entities.insert(*id, None)),
        }
    }
    let read = Read { client, tenant, keys };
    for row in read.of::<EntityRow>(GraphKind::Entity, ENTITIES).await? {
        let (id, node) = row.node(tenant)?;
        found.entities.insert(id, Some(node));
    }
    for row in read.of::<RecordRow>(GraphKind::Record, RECORDS).await? {
        let (id, node) = row.node()?;
        found.records.insert(id, Some(node));
    }
    for row in read.of::<SessionRow>(GraphKind::Session, SESSIONS).await? {
        let session: Session = json(&row.row)?;
        found.sessions.insert(session.session_id.clone(), Some(session));
    }
    for row in read.of::<FactRow>(GraphKind::Fact, FACTS).await? {
        let fact = row.fact()?;
        found.facts.insert(fact.id, Some(fact));
    }
    Ok(())
}

struct Read<'a> {
    client: &'a Client,
    tenant: &'a str,
    keys: &'a [GraphKey],
}

impl Read<'_> {
    async fn of<T: DeserializeOwned + Send + 'static>(&self, kind: GraphKind, text: &str) -> Result<Vec<T>> {
        let of_kind = self.keys.iter().filter(|key| key.kind() == kind);
        let keys: Vec<String> = of_kind.map(|key| node_key(self.tenant, key)).collect();
        if keys.is_empty() {
            return Ok(Vec::new());
        }
        self.client.read(self.client.names().query(text).param("keys", keys)).await
    }
}

fn node_key(tenant: &str, of: &GraphKey) -> String {
    let kind = name(of.kind());
    match of {
        GraphKey::Record(id) => key(tenant, kind, id),
        GraphKey::Fact(id) => key(tenant, kind, id),
        GraphKey::Session(id) => key(tenant, kind, id),
        GraphKey::Entity(id) => key(tenant, kind, id),
    }
}

#[derive(Deserialize)]
struct Id {
    id: String,
}

#[derive(Deserialize)]
struct EntityRow {
    id: String,
    namespace: String,
    user: String,
    name: String,
    r#type: String,
    edges: Vec<EdgeRow>,
}

#[derive(Deserialize)]
struct EdgeRow {
    target: String,
    predicate: String,
    confidence: f64,
}

impl EntityRow {
    fn node(self, tenant: &str) -> Result<(EntityId, EntityNode)> {
        let id = parsed(&self.id, "id")?;
        let edge = |row: EdgeRow| {
            let target = parsed(&row.target, "id")?;
            Ok(Edge { source: id, target, predicate: row.predicate, confidence: row.confidence })
        };
        let mut edges = self.edges.into_iter().map(edge).collect::<Result<Vec<_>>>()?;
        edges.sort_by(|a, b| (a.target, &a.predicate).cmp(&(b.target, &b.predicate)));
        let entity = Entity {
            id,
            tenant_id: tenant.to_owned(),
            namespace: self.namespace,
            user_id: self.user,
            name: self.name,
            entity_type: self.r#type,
        };
        Ok((id, EntityNode { entity, edges }))
    }
}

#[derive(Deserialize)]
struct RecordRow {
    id: String,
    namespace: String,
    user: String,
    session: String,
    r#type: String,
    status: String,
    mentions: Vec<String>,
}

impl RecordRow {
    fn node(self) -> Result<(MemoryId, RecordNode)> {
        let mut mentions: Vec<EntityId> =
            self.mentions.iter().map(|id| parsed(id, "id")).collect::<Result<_>>()?;
        mentions.sort_unstable();
        let node = RecordNode {
            namespace: self.namespace,
            user: self.user,
            session: self.session,
            memory_type: parsed(&self.r#type, "type")?,
            status: parsed(&self.status, "status")?,
            mentions,
        };
        Ok((parsed(&self.id, "id")?, node))
    }
}

#[derive(Deserialize)]
struct SessionRow {
    row: String,
}

#[derive(Deserialize)]
struct FactRow {
    row: String,
    session: String,
    evidence: Vec<String>,
}

impl FactRow {
    /// The row with what its relationships say, so that one that was lost or added shows.
    fn fact(self) -> Result<Fact> {
        let mut fact: Fact = json(&self.row)?;
        fact.session_id = self.session;
        let linked: HashSet<MemoryId> =
            self.evidence.iter().map(|id| parsed(id, "id")).collect::<Result<_>>()?;
        fact.evidence.retain(|evidence| match evidence {
            Evidence::Memory(id) => linked.contains(id),
            _ => true,
        });
        let mut added: Vec<MemoryId> =
            linked.into_iter().filter(|id| !fact.evidence.contains(&Evidence::Memory(*id))).collect();
        added.sort_unstable();
        fact.evidence.extend(added.into_iter().map(Evidence::Memory));
        Ok(fact)
    }
}

/// The error of the parser may quote the row, so it is not kept.
fn json<T: DeserializeOwned>(text: &str) -> Result<T> {
    serde_json::from_str(text).ok().ok_or_else(|| malformed("row"))
}

/// A value of a property, or an error that names it.
pub(super) fn parsed<T: FromStr>(text: &str, property: &str) -> Result<T> {
    text.parse().ok().ok_or_else(|| malformed(property))
}
