use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Mutex,
};

use async_trait::async_trait;
use cml_core::{
    EntityId,
    ops::{Entity, GraphRepair},
};
use uuid::Uuid;

use super::*;
use crate::store::{EntityNode, GraphChanges, OutboxStatus};

type TestResult = std::result::Result<(), Box<dyn std::error::Error>>;

const TENANT: &str = "acme";

/// Entities of one tenant by number, and what waits; the tables as a store would keep them.
#[derive(Debug, Default)]
struct Tables(Mutex<Rows>);

#[derive(Debug, Default)]
struct Rows {
    entities: BTreeMap<EntityId, String>,
    waiting: Vec<Waiting>,
    last: u64,
    holder: Option<Uuid>,
    paused: bool,
}

#[derive(Debug, Clone)]
struct Waiting {
    row: OutboxRow,
    dead: bool,
}

impl Tables {
    fn rows(&self) -> std::sync::MutexGuard<'_, Rows> {
        self.0.lock().expect("no test panics while it holds the rows")
    }

    /// Gives an entity a name, or none.
    fn put(&self, number: u128, name: Option<&str>) {
        let id = id(number);
        let mut rows = self.rows();
        match name {
            Some(name) => _ = rows.entities.insert(id, name.to_owned()),
            None => _ = rows.entities.remove(&id),
        }
        rows.add(Projected::Node(GraphKey::Entity(id)));
    }

    /// Lets what was put off be due.
    fn later(&self) {
        self.rows().paused = false;
    }

    fn waiting(&self) -> Vec<(u64, u32, bool)> {
        let rows = self.rows();
        rows.waiting.iter().map(|waiting| (waiting.row.seq, waiting.row.attempts, waiting.dead)).collect()
    }
}

impl Rows {
    fn add(&mut self, what: Projected) {
        self.last += 1;
        self.waiting.push(Waiting { row: OutboxRow { seq: self.last, what, attempts: 0 }, dead: false });
    }
}

#[async_trait]
impl GraphTables for Tables {
    async fn graph_rows(&self, tenant: &str, keys: &[GraphKey]) -> Result<GraphChanges> {
        let rows = self.rows();
        let mut changes = GraphChanges::default();
        for key in keys {
            if let GraphKey::Entity(id) = key {
                let node = rows.entities.get(id).map(|name| node(tenant, *id, name));
                changes.entities.insert(*id, node);
            }
        }
        Ok(changes)
    }

    async fn graph_keys(
        &self,
        _tenant: &str,
        kind: GraphKind,
        after: Option<&GraphKey>,
        limit: usize,
    ) -> Result<Vec<GraphKey>> {
        Ok(page(self.rows().entities.keys(), kind, after, limit))
    }

    fn outbox(&self) -> Option<&dyn Outbox> {
        Some(self)
    }
}

#[async_trait]
impl Outbox for Tables {
    fn added(&self) -> cml_core::BoxStream<'static, ()> {
        Box::pin(futures_util::stream::pending())
    }

    async fn lease(&self, length: Duration) -> Result<Option<Lease>> {
        let due = {
            let rows = self.rows();
            !rows.paused && rows.waiting.iter().any(|waiting| !waiting.dead)
        };
        if due { self.lease_of(TENANT, length).await } else { Ok(None) }
    }

    async fn lease_of(&self, tenant: &str, _length: Duration) -> Result<Option<Lease>> {
        let mut rows = self.rows();
        if rows.holder.is_some() {
            return Ok(None);
        }
        let token = Uuid::now_v7();
        rows.holder = Some(token);
        Ok(Some(Lease { tenant: tenant.to_owned(), token }))
    }

    async fn take(&self, lease: &Lease, _length: Duration, limit: usize) -> Result<Option<Vec<OutboxRow>>> {
        let rows = self.rows();
        let alive = rows.waiting.iter().filter(|waiting| !waiting.dead).map(|waiting| waiting.row.clone());
        Ok((rows.holder == Some(lease.token)).then(|| alive.take(limit).collect()))
    }

    async fn done(&self, lease: &Lease, done: &[u64]) -> Result<bool> {
        let mut rows = self.rows();
        let held = rows.holder == Some(lease.token);
        if held {
            rows.waiting.retain(|waiting| !done.contains(&waiting.row.seq));
        }
        Ok(held)
    }

    async fn failed(&self, lease: &Lease, row: u64, _error: &str, dead: bool) -> Result<bool> {
        let mut rows = self.rows();
        let held = rows.holder == Some(lease.token);
        if let Some(waiting) = rows.waiting.iter_mut().find(|waiting| held && waiting.row.seq == row) {
            waiting.row.attempts += 1;
            waiting.dead = dead;
        }
        Ok(held)
    }

    async fn give_back(&self, lease: &Lease, pause: Option<Duration>) -> Result<()> {
        let mut rows = self.rows();
        if rows.holder == Some(lease.token) {
            rows.holder = None;
            rows.paused = pause.is_some();
        }
        Ok(())
    }

    async fn status(&self, _tenant: Option<&str>) -> Result<OutboxStatus> {
        Ok(OutboxStatus::default())
    }

    async fn replay(&self, _tenant: &str) -> Result<u64> {
        Ok(0)
    }

    async fn rebuild(&self, _tenant: &str) -> Result<()> {
        let mut rows = self.rows();
        rows.waiting.clear();
        rows.add(Projected::Tenant);
        Ok(())
    }
}

/// A graph in memory that fails as it is told.
#[derive(Debug, Default)]
struct Copy(Mutex<Held>);

#[derive(Debug, Default)]
struct Held {
    entities: BTreeMap<EntityId, EntityNode>,
    /// Sizes of what was applied.
    applied: Vec<usize>,
    away: bool,
    /// Entities that cannot be applied.
    refused: BTreeSet<EntityId>,
    /// Given away to somebody else when something is applied.
    thief: Option<Arc<Tables>>,
}

impl Copy {
    fn held(&self) -> std::sync::MutexGuard<'_, Held> {
        self.0.lock().expect("no test panics while it holds the graph")
    }

    fn names(&self) -> Vec<String> {
        self.held().entities.values().map(|node| node.entity.name.clone()).collect()
    }
}

#[async_trait]
impl GraphProjection for Copy {
    async fn apply(&self, _tenant: &str, changes: &GraphChanges) -> Result<()> {
        let mut held = self.held();
        if held.away {
            return Err(Error::new(ErrorKind::Unavailable, "away"));
        }
        if changes.entities.keys().any(|id| held.refused.contains(id)) {
            return Err(Error::new(ErrorKind::Internal, "refused"));
        }
        held.applied.push(changes.entities.len());
        for (id, node) in &changes.entities {
            match node {
                Some(node) => _ = held.entities.insert(*id, node.clone()),
                None => _ = held.entities.remove(id),
            }
        }
        if let Some(tables) = &held.thief {
            tables.rows().holder = Some(Uuid::nil());
        }
        Ok(())
    }

    async fn clear(&self, _tenant: &str) -> Result<bool> {
        self.held().entities.clear();
        Ok(true)
    }

    async fn keys(
        &self,
        _tenant: &str,
        kind: GraphKind,
        after: Option<&GraphKey>,
        limit: usize,
    ) -> Result<Vec<GraphKey>> {
        Ok(page(self.held().entities.keys(), kind, after, limit))
    }

    async fn rows(&self, _tenant: &str, keys: &[GraphKey]) -> Result<GraphChanges> {
        let held = self.held();
        let mut changes = GraphChanges::default();
        for key in keys {
            if let GraphKey::Entity(id) = key {
                changes.entities.insert(*id, held.entities.get(id).cloned());
            }
        }
        Ok(changes)
    }
}

fn id(number: u128) -> EntityId {
    EntityId::from_uuid(Uuid::from_u128(number))
}

fn node(tenant: &str, id: EntityId, name: &str) -> EntityNode {
    let entity = Entity {
        id,
        tenant_id: tenant.to_owned(),
        namespace: "default".to_owned(),
        user_id: String::new(),
        name: name.to_owned(),
        entity_type: "person".to_owned(),
    };
    EntityNode { entity, edges: Vec::new() }
}

fn page<'k>(
    ids: impl Iterator<Item = &'k EntityId>,
    kind: GraphKind,
    after: Option<&GraphKey>,
    limit: usize,
) -> Vec<GraphKey> {
    let keys = ids.map(|id| GraphKey::Entity(*id)).filter(|key| after.is_none_or(|after| key > after));
    keys.filter(|key| key.kind() == kind).take(limit).collect()
}

fn place() -> (Arc<Tables>, Arc<Copy>, Projector<Copy>) {
    let (tables, graph) = (Arc::new(Tables::default()), Arc::new(Copy::default()));
    let projector =
        Projector { tables: Arc::clone(&tables) as Arc<dyn GraphTables>, graph: Arc::clone(&graph) };
    (tables, graph, projector)
}

async fn step(projector: &Projector<Copy>) -> Result<Step> {
    projector.step(0, || false).await
}

#[tokio::test]
async fn a_node_that_changed_often_is_projected_once_as_it_is_now() -> TestResult {
    let (tables, graph, projector) = place();
    for name in ["Ana", "Anna", "Anne"] {
        tables.put(1, Some(name));
    }
    tables.put(2, Some("Bob"));
    tables.put(2, None);
    assert!(matches!(step(&projector).await?, Step::Done));
    assert_eq!((graph.names(), graph.held().applied.clone()), (vec!["Anne".to_owned()], vec![2]));
    assert_eq!(tables.waiting(), []);
    assert!(matches!(step(&projector).await?, Step::Idle));
    assert_eq!(tables.rows().holder, None);
    Ok(())
}

#[tokio::test]
async fn what_waits_goes_in_portions() -> TestResult {
    let (tables, graph, projector) = place();
    (0..450).for_each(|number| tables.put(number, Some("Anna")));
    step(&projector).await?;
    assert_eq!(graph.held().applied, [200, 200, 50]);
    Ok(())
}

#[tokio::test]
async fn while_the_graph_is_away_everything_waits_and_nothing_is_counted() -> TestResult {
    let (tables, graph, projector) = place();
    tables.put(1, Some("Anna"));
    graph.held().away = true;
    for _ in 0..2 * ATTEMPTS {
        assert!(matches!(step(&projector).await?, Step::Away(_)));
        assert!(matches!(step(&projector).await?, Step::Idle), "not before the pause is over");
        tables.later();
    }
    assert_eq!(tables.waiting(), [(1, 0, false)]);
    graph.held().away = false;
    step(&projector).await?;
    assert_eq!((graph.names(), tables.waiting()), (vec!["Anna".to_owned()], vec![]));
    Ok(())
}

#[tokio::test]
async fn one_bad_row_does_not_hold_up_the_others_and_dies() -> TestResult {
    let (tables, graph, projector) = place();
    (1..=9).for_each(|number| tables.put(number, Some("Anna")));
    graph.held().refused.insert(id(4));
    for attempts in 1..ATTEMPTS {
        step(&projector).await?;
        assert_eq!(tables.waiting(), [(4, attempts, false)]);
        tables.later();
    }
    step(&projector).await?;
    tables.later();
    assert_eq!(tables.waiting(), [(4, ATTEMPTS, true)]);
    assert_eq!(graph.names().len(), 8);
    assert!(matches!(step(&projector).await?, Step::Idle));
    Ok(())
}

#[tokio::test]
async fn a_tenant_is_made_anew_from_nothing() -> TestResult {
    let (tables, graph, projector) = place();
    (0..=u128::from(500_u32)).for_each(|number| tables.put(number, Some("Anna")));
    graph.held().entities.insert(id(9999), node(TENANT, id(9999), "Nobody"));
    tables.rebuild(TENANT).await?;
    step(&projector).await?;
    assert_eq!((graph.names().len(), graph.held().applied.clone()), (501, vec![200, 200, 101]));
    assert_eq!(tables.waiting(), []);
    Ok(())
}

#[tokio::test]
async fn who_lost_the_lease_leaves_the_rows_to_the_next_holder() -> TestResult {
    let (tables, graph, projector) = place();
    tables.put(1, Some("Anna"));
    graph.held().thief = Some(Arc::clone(&tables));
    assert!(matches!(step(&projector).await?, Step::Done));
    assert_eq!(tables.waiting(), [(1, 0, false)]);
    assert_eq!(tables.rows().holder, Some(Uuid::nil()), "what another holds is not given back");
    Ok(())
}

#[tokio::test]
async fn who_is_to_stop_gives_the_lease_back() -> TestResult {
    let (tables, _graph, projector) = place();
    tables.put(1, Some("Anna"));
    assert!(matches!(projector.step(0, || true).await?, Step::Done));
    assert_eq!((tables.waiting(), tables.rows().holder), (vec![(1, 0, false)], None));
    Ok(())
}

#[tokio::test]
async fn a_repair_finds_and_mends_what_differs() -> TestResult {
    let (tables, graph, projector) = place();
    (0..600).for_each(|number| tables.put(number, Some("Anna")));
    step(&projector).await?;
    {
        let mut held = graph.held();
        held.entities.remove(&id(5));
        held.entities.remove(&id(599));
        held.entities.insert(id(7), node(TENANT, id(7), "Other"));
        (1000..1003)
            .for_each(|number| _ = held.entities.insert(id(number), node(TENANT, id(number), "Nobody")));
    }
    let report = projector.repair(TENANT).await?;
    let mut expected = GraphRepair::default();
    (expected.checked, expected.orphans, expected.missing, expected.different) = (600, 3, 2, 1);
    assert_eq!(report, expected);
    assert_eq!(graph.names(), vec!["Anna"; 600]);
    expected = GraphRepair::default();
    expected.checked = 600;
    assert_eq!(projector.repair(TENANT).await?, expected);
    assert_eq!(tables.rows().holder, None);
    Ok(())
}

#[test]
fn pauses_double_up_to_a_minute_and_never_fall_below_half() {
    assert_eq!(pause(0, 1.0), Duration::from_millis(500));
    assert_eq!(pause(0, 0.0), Duration::from_millis(250));
    assert_eq!(pause(3, 1.0), Duration::from_secs(4));
    assert_eq!((pause(7, 1.0), pause(4_000_000_000, 1.0)), (PAUSES.1, PAUSES.1));
    assert!((0..100).all(|_| (0.0..=1.0).contains(&random())));
}
