//! Following the rows of a store: applying them, and removing a tenant.

use std::collections::BTreeMap;

use async_trait::async_trait;
use cml_core::{Result, memory::Evidence};
use neo4rs::{BoltMap, BoltType, Query};
use serde::Deserialize;

use super::{
    Neo4jGraph, rows,
    schema::{bounds, key},
};
use crate::store::{
    EntityNode, GraphChanges, GraphKey, GraphKind, GraphProjection, RecordNode, graph::walk::folded,
};

/// Rows of one statement.
const ROWS: usize = 500;

/// Nodes removed in one transaction by [`GraphProjection::clear`].
const CLEARED: i64 = 1_000;

/// Placeholders that nodes lead to, which may be left alone when these are put or removed.
const PLACEHOLDERS: &str = "
    UNWIND $keys AS key
    MATCH (:CmlNode {key: key})-[:CML_EDGE|CML_MENTIONS|CML_SUPPORTED_BY|CML_IN_SESSION]->(t:CmlNode)
    WHERE t.pending RETURN DISTINCT t.key AS key";

/// Every relationship belongs to the node that it begins at.
const UNLINK: &str = "
    UNWIND $keys AS key
    MATCH (:CmlNode {key: key})-[l:CML_EDGE|CML_MENTIONS|CML_SUPPORTED_BY|CML_IN_SESSION]->(:CmlNode)
    DELETE l";

const PUT: &str = "UNWIND $rows AS row MERGE (n:CmlNode {key: row.key}) SET n = row";

const REMOVE: &str = "UNWIND $rows AS row MATCH (n:CmlNode {key: row.key}) SET n = row";

const SWEEP: &str = "
    UNWIND $keys AS key
    MATCH (n:CmlNode {key: key}) WHERE n.pending AND NOT (n)--() DELETE n";

const CLEAR: &str = "
    MATCH (n:CmlNode) WHERE n.key > $from AND n.key < $to
    WITH n LIMIT $limit DETACH DELETE n RETURN count(*) AS removed";

/// Makes relationships of one type, with placeholders where the targets are not there yet.
fn link(relation: &str) -> String {
    format!(
        "UNWIND $rows AS row
        MATCH (n:CmlNode {{key: row.from}})
        MERGE (t:CmlNode {{key: row.to.key}}) ON CREATE SET t = row.to
        CREATE (n)-[l:{relation}]->(t) SET l = row.properties"
    )
}

#[async_trait]
impl GraphProjection for Neo4jGraph {
    async fn apply(&self, tenant: &str, changes: &GraphChanges) -> Result<()> {
        let plan = Plan::of(tenant, changes)?;
        if plan.keys.is_empty() {
            return Ok(());
        }
        // Read apart from the transaction: one that is left alone meanwhile is found by a later repair.
        let mut loose = plan.removed.iter().filter_map(|row| text_of(row, "key")).collect::<Vec<_>>();
        for keys in plan.keys.chunks(ROWS) {
            let query = self.client.names().query(PLACEHOLDERS).param("keys", keys);
            loose.extend(self.client.read::<Key>(query).await?.into_iter().map(|row| row.key));
        }
        loose.sort_unstable();
        loose.dedup();
        let mut queries = Vec::new();
        self.batches(&mut queries, UNLINK, "keys", &plan.keys);
        self.batches(&mut queries, PUT, "rows", &plan.nodes);
        self.batches(&mut queries, REMOVE, "rows", &plan.removed);
        for (relation, rows) in &plan.links {
            self.batches(&mut queries, &link(relation), "rows", rows);
        }
        self.batches(&mut queries, SWEEP, "keys", &loose);
        self.client.write(queries).await
    }

    async fn clear(&self, tenant: &str) -> Result<bool> {
        // What relationships begin at goes first, so that few are left at the nodes that all lead to.
        for kind in [GraphKind::Fact, GraphKind::Record, GraphKind::Entity, GraphKind::Session] {
            let (from, to) = bounds(tenant, name(kind));
            let query = self.client.names().query(CLEAR);
            let query = query.param("from", &*from).param("to", &*to).param("limit", CLEARED);
            if self.client.write_one::<i64>(query).await? == CLEARED {
                return Ok(false);
            }
        }
        Ok(true)
    }

    async fn keys(
        &self,
        tenant: &str,
        kind: GraphKind,
        after: Option<&GraphKey>,
        limit: usize,
    ) -> Result<Vec<GraphKey>> {
        rows::keys(&self.client, tenant, kind, after, limit).await
    }

    async fn rows(&self, tenant: &str, keys: &[GraphKey]) -> Result<GraphChanges> {
        let mut found = GraphChanges::default();
        for keys in keys.chunks(ROWS) {
            rows::rows(&self.client, tenant, keys, &mut found).await?;
        }
        Ok(found)
    }
}

impl Neo4jGraph {
    /// One statement per so many rows.
    fn batches<T: Into<BoltType> + Clone>(
        &self,
        queries: &mut Vec<Query>,
        text: &str,
        parameter: &str,
        rows: &[T],
    ) {
        let batch = |rows| self.client.names().query(text).param(parameter, rows);
        queries.extend(rows.chunks(ROWS).map(batch));
    }
}

#[derive(Deserialize)]
struct Key {
    key: String,
}

/// Name of a kind in keys and properties.
pub(super) const fn name(kind: GraphKind) -> &'static str {
    match kind {
        GraphKind::Record => "record",
        GraphKind::Fact => "fact",
        GraphKind::Session => "session",
        GraphKind::Entity => "entity",
    }
}

/// What is to be written.
struct Plan<'a> {
    tenant: &'a str,
    /// Keys of all nodes that are named.
    keys: Vec<String>,
    nodes: Vec<BoltType>,
    /// Nodes that go, as the placeholders that stay of them while something leads there.
    removed: Vec<BoltType>,
    /// Relationships by type.
    links: BTreeMap<&'static str, Vec<BoltType>>,
}

impl<'a> Plan<'a> {
    fn of(tenant: &'a str, changes: &GraphChanges) -> Result<Self> {
        let (keys, nodes, removed) = Default::default();
        let mut plan = Self { tenant, keys, nodes, removed, links: BTreeMap::new() };
        for (id, session) in &changes.sessions {
            let row = session.as_ref().map(|session| {
                let properties = scoped(&session.namespace, &session.user_id);
                Ok((properties, [("row", json(session)?)].to_vec()))
            });
            plan.node(GraphKind::Session, id, row.transpose()?);
        }
        for (id, entity) in &changes.entities {
            plan.node(GraphKind::Entity, id, entity.as_ref().map(entity_row));
            for edge in entity.iter().flat_map(|entity| &entity.edges) {
                let properties =
                    map([("predicate", (&*edge.predicate).into()), ("confidence", edge.confidence.into())]);
                let to = (GraphKind::Entity, edge.target.to_string());
                plan.link("CML_EDGE", (GraphKind::Entity, id), to, properties);
            }
        }
        for (id, record) in &changes.records {
            plan.node(GraphKind::Record, id, record.as_ref().map(record_row));
            let Some(record) = record else { continue };
            for entity in &record.mentions {
                let to = (GraphKind::Entity, entity.to_string());
                plan.link("CML_MENTIONS", (GraphKind::Record, id), to, map([]));
            }
            plan.in_session((GraphKind::Record, id), &record.session);
        }
        for (id, fact) in &changes.facts {
            let row = fact.as_ref().map(|fact| {
                let properties = scoped(&fact.namespace, &fact.user_id);
                let more = [
                    ("subject", (&*fact.subject).into()),
                    ("predicate", (&*fact.predicate).into()),
                    ("category", fact.category.as_str().into()),
                    ("status", fact.status.as_str().into()),
                    ("row", json(fact)?),
                ];
                Ok((properties, more.to_vec()))
            });
            plan.node(GraphKind::Fact, id, row.transpose()?);
            let Some(fact) = fact else { continue };
            for evidence in &fact.evidence {
                if let Evidence::Memory(memory) = evidence {
                    let to = (GraphKind::Record, memory.to_string());
                    plan.link("CML_SUPPORTED_BY", (GraphKind::Fact, id), to, map([]));
                }
            }
            plan.in_session((GraphKind::Fact, id), &fact.session_id);
        }
        Ok(plan)
    }

    fn node(&mut self, kind: GraphKind, id: &impl ToString, properties: Option<Properties>) {
        let id = id.to_string();
        self.keys.push(key(self.tenant, name(kind), &id));
        match properties {
            Some((scope, more)) => {
                let mut row = self.identity(kind, &id);
                row.extend(scope);
                row.extend(more);
                self.nodes.push(map(row));
            }
            None => self.removed.push(self.placeholder(kind, &id)),
        }
    }

    fn link(
        &mut self,
        relation: &'static str,
        (kind, id): (GraphKind, &impl ToString),
        (to_kind, to_id): (GraphKind, String),
        properties: BoltType,
    ) {
        let row = map([
            ("from", key(self.tenant, name(kind), id.to_string()).into()),
            ("to", self.placeholder(to_kind, &to_id)),
            ("properties", properties),
        ]);
        self.links.entry(relation).or_default().push(row);
    }

    fn in_session(&mut self, from: (GraphKind, &impl ToString), session: &str) {
        if !session.is_empty() {
            self.link("CML_IN_SESSION", from, (GraphKind::Session, session.to_owned()), map([]));
        }
    }

    fn placeholder(&self, kind: GraphKind, id: &str) -> BoltType {
        let mut row = self.identity(kind, id);
        row.push(("pending", true.into()));
        map(row)
    }

    fn identity(&self, kind: GraphKind, id: &str) -> Vec<Property> {
        vec![
            ("key", key(self.tenant, name(kind), id).into()),
            ("tenant", self.tenant.into()),
            ("kind", name(kind).into()),
            ("id", id.into()),
        ]
    }
}

type Property = (&'static str, BoltType);

/// Namespace and user, and what else a node holds beside its identity.
type Properties = ([Property; 2], Vec<Property>);

fn scoped(namespace: &str, user: &str) -> [Property; 2] {
    [("namespace", namespace.into()), ("user", user.into())]
}

fn entity_row(node: &EntityNode) -> Properties {
    let entity = &node.entity;
    let more = [
        ("name", (&*entity.name).into()),
        ("name_lower", folded(&entity.name).into()),
        ("type", (&*entity.entity_type).into()),
    ];
    (scoped(&entity.namespace, &entity.user_id), more.to_vec())
}

fn record_row(record: &RecordNode) -> Properties {
    let more = [("type", record.memory_type.as_str().into()), ("status", record.status.as_str().into())];
    (scoped(&record.namespace, &record.user), more.to_vec())
}

fn json(row: &impl serde::Serialize) -> Result<BoltType> {
    let text = serde_json::to_string(row).map_err(|error| {
        cml_core::Error::new(cml_core::ErrorKind::Internal, "a row cannot be written as JSON")
            .with_source(error)
    })?;
    Ok(text.into())
}

fn map(pairs: impl IntoIterator<Item = Property>) -> BoltType {
    BoltType::Map(pairs.into_iter().map(|(name, value)| (name.into(), value)).collect::<BoltMap>())
}

fn text_of(row: &BoltType, property: &str) -> Option<String> {
    match row {
        BoltType::Map(map) => map.get(property).ok(),
        _ => None,
    }
}
