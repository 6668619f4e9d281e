//! Edges that come and go.

use cml_core::{EntityId, Result, ops::Edge};
use uuid::Uuid;

use super::{
    batch::Batch,
    dialect::{Dialect, Part},
    erase, puts,
    value::Binds,
};
use crate::store::{Digest, EdgeKey};

/// Puts edges, which hold again if they were cut.
pub(super) async fn put(batch: &mut Batch<'_, '_>, tenant: &str, edges: &[Edge]) -> Result<()> {
    if edges.is_empty() {
        return Ok(());
    }
    let digests: Vec<Uuid> = edges
        .iter()
        .map(|edge| Uuid::from_bytes(tombstone(&edge.source, &edge.target, &edge.predicate)))
        .collect();
    let buried = format!("DELETE FROM tombstones WHERE tenant_id = ? AND digest{}", batch.dialect().in_ids());
    batch
        .run(buried, |binds| {
            binds.add(tenant).ids(&digests);
        })
        .await?;
    batch.put(&puts::EDGE, edges, puts::edge(tenant)).await
}

/// Removes edges, and leaves a mark so that no import brings them back.
pub(super) async fn cut(batch: &mut Batch<'_, '_>, tenant: &str, keys: &[EdgeKey]) -> Result<()> {
    if keys.is_empty() {
        return Ok(());
    }
    batch.run(removal(batch.dialect()), |binds| bind(binds, tenant, keys)).await?;
    bury(batch, tenant, keys).await
}

/// Leaves a mark for edges that are gone.
pub(super) async fn bury(batch: &mut Batch<'_, '_>, tenant: &str, keys: &[EdgeKey]) -> Result<()> {
    let marks: Vec<Digest> =
        keys.iter().map(|(source, target, predicate)| tombstone(source, target, predicate)).collect();
    batch.put(&puts::TOMBSTONE, &marks, puts::tombstone(tenant)).await
}

/// What is left of an edge that was cut.
pub(super) fn tombstone(source: &EntityId, target: &EntityId, predicate: &str) -> Digest {
    let id = [source.as_uuid().as_bytes().as_slice(), target.as_uuid().as_bytes(), predicate.as_bytes()];
    erase::tombstone("edges", &id.concat())
}

/// The statement that removes edges of a tenant; its values are those of [`bind`].
pub(super) fn removal(dialect: Dialect) -> String {
    format!(
        "DELETE FROM edges WHERE tenant_id = ? AND (source, target, predicate) IN (SELECT {}, {}, {} FROM {})",
        dialect.part(Part::Id, 0),
        dialect.part(Part::Id, 1),
        dialect.part(Part::Text, 2),
        dialect.each(),
    )
}

/// The values of [`removal`].
pub(super) fn bind(binds: &mut Binds, tenant: &str, keys: &[EdgeKey]) {
    let digits = |id: &EntityId| id.as_uuid().simple().to_string();
    let list: Vec<(String, String, &str)> = keys
        .iter()
        .map(|(source, target, predicate)| (digits(source), digits(target), predicate.as_str()))
        .collect();
    binds.add(tenant).json(&list);
}
