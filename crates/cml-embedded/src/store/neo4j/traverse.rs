//! Answering questions; the walks are those of every graph.

use std::collections::BTreeMap;

use async_trait::async_trait;
use cml_core::{
    EntityId, Error, ErrorKind, MemoryId, Result, Scope, Score,
    memory::Metadata,
    ops::{ExploreGraph, GraphEdge, GraphNode, GraphStats, SearchEntities, Subgraph},
};
use serde::{Deserialize, de::DeserializeOwned};

use super::{Neo4jGraph, project::name, rows::parsed, schema::key};
use crate::store::{
    GraphKind, GraphStore, Near, NearMemory,
    graph::walk::{self, COUNTED, ConnectedEntity, GraphRows, TOGETHER, folded},
};

/// Entities of one tenant, by the index of names, where placeholders are not.
const OF_TENANT: &str = "MATCH (n:CmlNode)
    WHERE n.kind = 'entity' AND n.tenant = $tenant AND n.name_lower IS NOT NULL AND seen(n)";

/// Entities of every tenant.
const OF_ALL: &str = "MATCH (n:CmlNode)
    WHERE n.kind = 'entity' AND n.tenant IS NOT NULL AND n.name_lower IS NOT NULL AND seen(n)";

/// Named entities.
const OF_KEYS: &str = "UNWIND $keys AS key MATCH (n:CmlNode {key: key}) WHERE seen(n)";

/// How entities `n` are connected, in the form of [`EntityRow`].
const CONNECTED: &str = "
    WITH n, COUNT { (r:CmlNode)-[:CML_MENTIONS]->(n) WHERE seen(r) } AS mentions,
        COUNT { (n)-[:CML_EDGE]-(m:CmlNode) WHERE m <> n AND seen(m) } AS edges
    RETURN n.id AS id, n.tenant AS tenant, n.namespace AS namespace, n.name AS name, n.type AS type,
        mentions, edges";

#[async_trait]
impl GraphStore for Neo4jGraph {
    async fn stats(&self, scope: Option<&Scope>) -> Result<GraphStats> {
        let entities = of(scope);
        let types = format!("{entities} RETURN n.tenant AS tenant, n.type AS type, count(*) AS nodes");
        let edges =
            format!("{entities} MATCH (n)-[:CML_EDGE]->(m:CmlNode) WHERE seen(m) RETURN count(*) AS number");
        let mut stats = GraphStats::default();
        for row in self.about::<TypeRow>(&types, scope, |query| query).await? {
            stats.nodes += row.nodes;
            *stats.entity_types.entry(row.r#type).or_default() += row.nodes;
            stats.tenants.push(row.tenant);
        }
        stats.tenants.sort_unstable();
        stats.tenants.dedup();
        stats.edges =
            self.about::<Number>(&edges, scope, |query| query).await?.iter().map(|row| row.number).sum();
        Ok(stats)
    }

    async fn overview(&self, scope: &Scope, limit: usize) -> Result<Subgraph> {
        walk::overview(self, scope, limit).await
    }

    async fn explore(&self, scope: &Scope, request: &ExploreGraph) -> Result<Subgraph> {
        walk::explore(self, scope, request).await
    }

    async fn search(&self, scope: Option<&Scope>, request: &SearchEntities) -> Result<Vec<GraphNode>> {
        let text = format!(
            "{} AND n.name_lower CONTAINS $part {CONNECTED}
            ORDER BY mentions + edges DESC, n.name, n.id LIMIT $limit",
            of(scope)
        );
        let part = folded(&request.query);
        let rows = self
            .about::<EntityRow>(&text, scope, |query| {
                query.param("part", part).param("limit", most(request.limit))
            })
            .await?;
        rows.into_iter().map(|row| Ok(row.entity()?.node)).collect()
    }

    async fn near(&self, scope: &Scope, request: &Near) -> Result<Vec<NearMemory>> {
        walk::near(self, scope, request).await
    }

    async fn ping(&self) -> Result<BTreeMap<String, serde_json::Value>> {
        let text = "CALL dbms.components() YIELD versions, edition
            RETURN versions[0] AS version, edition AS edition";
        let query = self.client.names().query(text);
        let row = self.client.read::<Server>(query).await?.into_iter().next();
        let row = row.ok_or_else(|| Error::new(ErrorKind::Internal, "neo4j does not say what it is"))?;
        Ok(BTreeMap::from([
            ("version".to_owned(), row.version.into()),
            ("edition".to_owned(), row.edition.into()),
        ]))
    }
}

#[async_trait]
impl GraphRows for Neo4jGraph {
    async fn named(&self, scope: &Scope, names: &[String]) -> Result<Vec<EntityId>> {
        let text = format!("{OF_TENANT} AND n.name_lower IN $names RETURN n.id AS id");
        let rows = self.about::<Id>(&text, Some(scope), |query| query.param("names", names)).await?;
        rows.iter().map(|row| parsed(&row.id, "id")).collect()
    }

    async fn entities(&self, scope: &Scope, ids: &[EntityId]) -> Result<Vec<ConnectedEntity>> {
        let text = format!("{OF_KEYS} {CONNECTED}");
        self.around::<EntityRow>(&text, scope, ids, 0).await?.into_iter().map(EntityRow::entity).collect()
    }

    async fn best(&self, scope: &Scope, limit: usize) -> Result<Vec<ConnectedEntity>> {
        let text = format!("{OF_TENANT} {CONNECTED} ORDER BY mentions + edges DESC, n.id LIMIT $limit");
        let rows =
            self.about::<EntityRow>(&text, Some(scope), |query| query.param("limit", most(limit))).await?;
        rows.into_iter().map(EntityRow::entity).collect()
    }

    async fn neighbours(&self, scope: &Scope, ids: &[EntityId], fan_out: usize) -> Result<Vec<EntityId>> {
        let text = format!(
            "{OF_KEYS}
            CALL {{
                WITH n
                CALL {{
                    WITH n MATCH (n)-[l:CML_EDGE]-(m:CmlNode) WHERE m <> n AND seen(m)
                    RETURN m, l.confidence AS confidence, null AS memory
                    UNION ALL
                    WITH n MATCH (n)<-[:CML_MENTIONS]-(r:CmlNode) WHERE seen(r)
                    WITH n, r ORDER BY r.id DESC LIMIT $counted
                    MATCH (r)-[:CML_MENTIONS]->(m:CmlNode) WHERE m <> n AND seen(m)
                    RETURN m, null AS confidence, r AS memory
                }}
                WITH m, max(confidence) AS stored, count(memory) AS memories
                WITH m, memories, CASE WHEN stored > {TOGETHER} THEN stored ELSE {TOGETHER} END AS confidence
                ORDER BY confidence DESC, memories DESC, m.id LIMIT $limit
                RETURN m
            }}
            RETURN DISTINCT m.id AS id"
        );
        self.around::<Id>(&text, scope, ids, fan_out).await?.iter().map(|row| parsed(&row.id, "id")).collect()
    }

    async fn edges(&self, scope: &Scope, ids: &[EntityId], limit: usize) -> Result<Vec<GraphEdge>> {
        let text = format!(
            "{OF_KEYS}
            MATCH (n)-[l:CML_EDGE]->(m:CmlNode) WHERE m.key IN $keys AND seen(m)
            RETURN n.id AS source, m.id AS target, l.predicate AS predicate, l.confidence AS confidence
            ORDER BY confidence DESC, source, target, predicate LIMIT $limit"
        );
        let edge = |row: EdgeRow| {
            Ok(GraphEdge {
                source: parsed(&row.source, "id")?,
                target: parsed(&row.target, "id")?,
                predicate: row.predicate,
                confidence: Score::clamped(row.confidence),
                properties: Metadata::new(),
            })
        };
        self.around::<EdgeRow>(&text, scope, ids, limit).await?.into_iter().map(edge).collect()
    }

    async fn pairs(
        &self,
        scope: &Scope,
        ids: &[EntityId],
        limit: usize,
    ) -> Result<Vec<(EntityId, EntityId, u64)>> {
        let text = format!(
            "{OF_KEYS}
            MATCH (n)<-[:CML_MENTIONS]-(r:CmlNode)-[:CML_MENTIONS]->(m:CmlNode)
            WHERE n.id < m.id AND m.key IN $keys AND seen(r) AND seen(m)
            RETURN n.id AS source, m.id AS target, count(r) AS memories
            ORDER BY memories DESC, source, target LIMIT $limit"
        );
        let pair = |row: PairRow| Ok((parsed(&row.source, "id")?, parsed(&row.target, "id")?, row.memories));
        self.around::<PairRow>(&text, scope, ids, limit).await?.into_iter().map(pair).collect()
    }

    async fn mentioning(&self, scope: &Scope, ids: &[EntityId], limit: usize) -> Result<Vec<MemoryId>> {
        let text = format!(
            "{OF_KEYS}
            MATCH (r:CmlNode)-[:CML_MENTIONS]->(n) WHERE seen(r)
            RETURN DISTINCT r.id AS id ORDER BY id DESC LIMIT $limit"
        );
        self.around::<Id>(&text, scope, ids, limit).await?.iter().map(|row| parsed(&row.id, "id")).collect()
    }
}

impl Neo4jGraph {
    /// Rows of a statement about what a scope sees.
    async fn about<T: DeserializeOwned + Send + 'static>(
        &self,
        text: &str,
        scope: Option<&Scope>,
        with: impl FnOnce(neo4rs::Query) -> neo4rs::Query + Send,
    ) -> Result<Vec<T>> {
        self.client.read(with(self.client.names().scoped(text, scope))).await
    }

    /// Rows of a statement that begins at entities.
    async fn around<T: DeserializeOwned + Send + 'static>(
        &self,
        text: &str,
        scope: &Scope,
        ids: &[EntityId],
        limit: usize,
    ) -> Result<Vec<T>> {
        let keys: Vec<String> =
            ids.iter().map(|id| key(scope.tenant(), name(GraphKind::Entity), id)).collect();
        self.about(text, Some(scope), |query| {
            query.param("keys", keys).param("limit", most(limit)).param("counted", most(COUNTED))
        })
        .await
    }
}

const fn of(scope: Option<&Scope>) -> &'static str {
    if scope.is_some() { OF_TENANT } else { OF_ALL }
}

fn most(limit: usize) -> i64 {
    i64::try_from(limit).unwrap_or(i64::MAX)
}

#[derive(Deserialize)]
struct Id {
    id: String,
}

#[derive(Deserialize)]
struct Number {
    number: u64,
}

#[derive(Deserialize)]
struct Server {
    version: String,
    edition: String,
}

#[derive(Deserialize)]
struct TypeRow {
    tenant: String,
    r#type: String,
    nodes: u64,
}

#[derive(Deserialize)]
struct EntityRow {
    id: String,
    tenant: String,
    namespace: String,
    name: String,
    r#type: String,
    mentions: u64,
    edges: u64,
}

impl EntityRow {
    fn entity(self) -> Result<ConnectedEntity> {
        let node = GraphNode {
            id: parsed(&self.id, "id")?,
            tenant_id: self.tenant,
            namespace: self.namespace,
            entity: self.name,
            entity_type: self.r#type,
            properties: Metadata::new(),
        };
        Ok(ConnectedEntity::new(node, self.mentions, self.edges))
    }
}

#[derive(Deserialize)]
struct EdgeRow {
    source: String,
    target: String,
    predicate: String,
    confidence: f64,
}

#[derive(Deserialize)]
struct PairRow {
    source: String,
    target: String,
    memories: u64,
}
