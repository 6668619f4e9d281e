//! The knowledge graph, over a backend with a small one.

use std::sync::Arc;

use async_trait::async_trait;
use cml_core::{
    Config, EntityId, Error, Graph, Result, Scope, Score,
    config::{Mode, SecretString},
    memory::Metadata,
    ops::{ExploreGraph, GraphEdge, GraphNode, GraphRepair, GraphStats, GraphSync, SearchEntities, Subgraph},
};
use serde_json::{Value, json};

use crate::{
    Outcome, World, fault, field,
    runs::{Jobs, with_jobs},
};

const ANA: &str = "0192d1f0-0000-7000-8000-00000000000a";
const LISBON: &str = "0192d1f0-0000-7000-8000-00000000000b";

/// What was asked, told as the type of the entities.
fn asked(scope: Option<&Scope>) -> String {
    scope.map_or("all".to_owned(), |scope| {
        format!("{}/{}/{}", scope.tenant(), scope.namespace(), scope.user())
    })
}

fn node(scope: Option<&Scope>, id: &str, entity: &str) -> Result<GraphNode> {
    let mut properties = Metadata::new();
    properties.insert("mentions".to_owned(), json!(2));
    Ok(GraphNode {
        id: id.parse()?,
        tenant_id: scope.map_or("acme", Scope::tenant).to_owned(),
        namespace: "notes".to_owned(),
        entity: entity.to_owned(),
        entity_type: asked(scope),
        properties,
    })
}

fn part(scope: &Scope, center: Option<EntityId>) -> Result<Subgraph> {
    let mut part = Subgraph::default();
    part.nodes = vec![node(Some(scope), ANA, "Ana")?, node(Some(scope), LISBON, "Lisbon")?];
    part.edges = vec![GraphEdge {
        source: ANA.parse()?,
        target: LISBON.parse()?,
        predicate: "lives_in".to_owned(),
        confidence: Score::new(0.5)?,
        properties: Metadata::new(),
    }];
    part.center = center;
    Ok(part)
}

#[async_trait]
impl Graph for Jobs {
    async fn stats(&self, scope: Option<&Scope>) -> Result<GraphStats> {
        let mut stats = GraphStats::default();
        (stats.nodes, stats.edges, stats.tenants) = (2, 1, vec!["acme".to_owned()]);
        stats.entity_types.insert(asked(scope), 2);
        Ok(stats)
    }

    async fn overview(&self, scope: &Scope, limit: usize) -> Result<Subgraph> {
        if limit > 1000 {
            return Err(Error::invalid("limit", "must be 1 to 1000"));
        }
        let mut part = part(scope, None)?;
        part.nodes.truncate(limit);
        Ok(part)
    }

    async fn explore(&self, scope: &Scope, request: ExploreGraph) -> Result<Subgraph> {
        if request.entity != "ana" {
            return Ok(Subgraph::default());
        }
        let mut part = part(scope, Some(ANA.parse()?))?;
        part.nodes.truncate(request.depth.into());
        Ok(part)
    }

    async fn search(&self, scope: Option<&Scope>, request: SearchEntities) -> Result<Vec<GraphNode>> {
        let mut found = vec![node(scope, ANA, "Ana")?, node(scope, LISBON, "Lisbon")?];
        found.retain(|node| node.entity.contains(&request.query));
        found.truncate(request.limit);
        Ok(found)
    }

    async fn sync(&self, scope: Option<&Scope>) -> Result<GraphSync> {
        let mut sync = GraphSync::default();
        (sync.kept_in, sync.pending) = (asked(scope), 3);
        Ok(sync)
    }

    async fn replay(&self, scope: &Scope) -> Result<u64> {
        Ok(scope.tenant().len() as u64)
    }

    async fn rebuild(&self, _: &Scope) -> Result<()> {
        Ok(())
    }

    async fn repair(&self, scope: &Scope) -> Result<GraphRepair> {
        let mut repair = GraphRepair::default();
        (repair.checked, repair.orphans) = (scope.tenant().len() as u64, 1);
        Ok(repair)
    }
}

async fn world() -> Outcome<World> {
    World::over(Arc::new(with_jobs()), &Config::default()).await
}

/// Whose graph an answer is about.
fn whose(answer: &Value) -> Vec<&str> {
    field(&answer["nodes"], "entity_type")
}

#[tokio::test]
async fn the_size_is_that_of_every_tenant_or_of_what_is_chosen() -> Outcome {
    let world = world().await?;
    let all = world.get("/dashboard/graph/stats").await?;
    assert_eq!(
        all,
        json!({
            "total_nodes": 2, "total_edges": 1, "entity_types": { "all": 2 }, "tenants_with_graph": ["acme"],
        })
    );
    for (query, asked) in [
        ("tenant_id=acme", "acme//"),
        ("tenant_id=acme&namespace=notes&user_id=ana", "acme/notes/ana"),
        ("namespace=notes", "default/notes/"),
    ] {
        let one = world.get(&format!("/dashboard/graph/stats?{query}")).await?;
        assert_eq!(one["entity_types"], json!({ asked: 2 }), "{query}");
    }
    Ok(())
}

#[tokio::test]
async fn a_part_of_the_graph_names_entities_and_relations() -> Outcome {
    let world = world().await?;
    let node = |id: &str, entity: &str| {
        json!({
            "id": id, "tenant_id": "acme", "namespace": "notes", "entity": entity,
            "entity_type": "acme//", "properties": { "mentions": 2 },
        })
    };
    let around = world.get("/dashboard/graph/explore?tenant_id=acme&entity=ana&scope_id=default").await?;
    assert_eq!(
        around,
        json!({
            "nodes": [node(ANA, "Ana"), node(LISBON, "Lisbon")],
            "edges": [{
                "source": ANA, "target": LISBON, "predicate": "lives_in", "confidence": 0.5, "properties": {},
            }],
            "center": ANA, "center_entity": "Ana",
        })
    );
    let near = world.get("/dashboard/graph/explore?tenant_id=acme&entity=ana&depth=1").await?;
    assert_eq!(field(&near["nodes"], "entity"), ["Ana"]);
    let nothing = world.get("/dashboard/graph/explore?tenant_id=acme&entity=Nobody").await?;
    assert_eq!(nothing, json!({ "nodes": [], "edges": [], "center": null, "center_entity": null }));
    let overview = world.get("/dashboard/graph/overview?tenant_id=acme&limit=1").await?;
    assert_eq!(
        (field(&overview["nodes"], "entity"), &overview["center_entity"]),
        (vec!["Ana"], &json!(null))
    );
    let (status, body) = world.refused("GET", "/dashboard/graph/overview?limit=1001", &json!({})).await?;
    assert_eq!((status, fault(&body)), (422, ("query", "limit")));
    Ok(())
}

#[tokio::test]
async fn a_scope_id_is_a_namespace_unless_nothing_was_chosen() -> Outcome {
    let world = world().await?;
    for (query, asked) in [
        ("", "default//"),
        ("tenant_id=acme", "acme//"),
        ("tenant_id=acme&scope_id=acme", "acme//"),
        ("tenant_id=acme&scope_id=default", "acme//"),
        ("tenant_id=acme&scope_id=notes", "acme/notes/"),
        ("tenant_id=acme&scope_id=default&namespace=default", "acme/default/"),
        ("scope_id=notes&user_id=ana", "default/notes/ana"),
    ] {
        let overview = world.get(&format!("/dashboard/graph/overview?{query}")).await?;
        assert_eq!(whose(&overview), [asked, asked], "{query}");
        let around = world.get(&format!("/dashboard/graph/explore?entity=ana&{query}")).await?;
        assert_eq!(whose(&around), [asked, asked], "{query}");
    }
    let header = world.admin("GET", "/dashboard/graph/overview").header("X-Tenant-ID", "globex");
    assert_eq!(whose(&header.send().await?.ok()?), ["globex//", "globex//"]);
    Ok(())
}

#[tokio::test]
async fn entities_are_found_in_every_tenant_or_in_one() -> Outcome {
    let world = world().await?;
    let all = world.get("/dashboard/graph/search?query=is").await?;
    assert_eq!(
        (field(&all["results"], "entity"), field(&all["results"], "entity_type")),
        (vec!["Lisbon"], vec!["all"])
    );
    let hit = &all["results"][0];
    assert_eq!((&hit["tenant_id"], &hit["scope_id"]), (&json!("acme"), &json!("notes")));
    let one = world.get("/dashboard/graph/search?query=n&tenant_id=globex&limit=1").await?;
    assert_eq!(field(&one["results"], "entity_type"), ["globex//"]);
    Ok(())
}

#[tokio::test]
async fn the_graph_is_followed_and_mended() -> Outcome {
    let world = world().await?;
    let sync = world.get("/graph/sync").await?;
    assert_eq!((&sync["kept_in"], &sync["pending"], &sync["dead"]), (&json!("all"), &json!(3), &json!(0)));
    assert_eq!(world.get("/graph/sync?tenant_id=acme").await?["kept_in"], "acme//");
    let post = async |path: &str| {
        world.client.api("POST", path).key(crate::ADMIN).header("X-Tenant-ID", "acme").send().await?.ok()
    };
    assert_eq!(post("/graph/replay").await?, json!({ "replayed": 4 }));
    assert_eq!(post("/graph/rebuild").await?, json!({ "started": true }));
    let repair = post("/graph/repair").await?;
    assert_eq!(repair, json!({ "checked": 4, "orphans": 1, "missing": 0, "different": 0 }));
    Ok(())
}

#[tokio::test]
async fn the_graphs_password_is_never_told() -> Outcome {
    let none = json!({ "server_url": "", "server_user": "", "server_password": "***" });
    assert_eq!(World::new().await?.get("/dashboard/graph/neo4j-config").await?, none);
    let mut config = Config::default();
    config.neo4j.url = Some("bolt://graph.example:7687".to_owned());
    config.neo4j.password = SecretString::new("hidden");
    assert_eq!(World::with(&config).await?.get("/dashboard/graph/neo4j-config").await?, none);
    config.mode = Mode::Full;
    let told = World::with(&config).await?.get("/dashboard/graph/neo4j-config").await?;
    assert_eq!(
        told,
        json!({
            "server_url": "bolt://graph.example:7687", "server_user": "neo4j", "server_password": "***",
        })
    );
    Ok(())
}
