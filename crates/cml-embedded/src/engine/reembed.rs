//! Making every vector again with another model, while the former one serves.

use std::{collections::BTreeMap, sync::Arc};

use cml_core::{
    MemoryId, Progress, Result, Scope,
    memory::{EventType, OperationType},
    ops::ReembedProgress,
    provider::Embedder,
};

use super::{
    Engine,
    draft::spoken,
    generation::Serving,
    plan::{Plan, payload},
};
use crate::store::{ModelId, Precondition, Store, Unembedded, View};

/// Records of one embedding batch and one commit.
const BATCH: usize = 256;

impl Engine {
    /// Makes every vector of the store again with `embedder`, which then serves this engine.
    ///
    /// Reads and writes go on with the former model. A run that was cut off goes on where it stopped.
    ///
    /// # Errors
    /// `Unavailable` when the store or the model is away; what was made stays.
    pub async fn reembed(&self, embedder: Arc<dyn Embedder>, progress: Progress) -> Result<u64> {
        let (id, done) = make_generation(self.store.as_ref(), &embedder, &progress).await?;
        self.generation.set(Serving { id, embedder });
        self.indexes.clear();
        self.surveys.clear();
        let scope = Scope::default();
        let mut plan = Plan::new(scope.tenant(), self.clock.now());
        let detail =
            payload([("records", done.into()), ("model", self.generation.get().model().name.clone().into())]);
        plan.event(&scope, EventType::Maintenance, OperationType::Reembed, Vec::new(), detail);
        self.store.commit(plan.changes).await?;
        Ok(done)
    }

    /// Makes the vectors that records of `tenant` lack by the model that serves.
    ///
    /// # Errors
    /// `Unavailable` when the store or the model is away, `Conflict` when another model serves by now.
    pub(super) async fn embed_missing(&self, tenant: &str) -> Result<u64> {
        let mut made = 0;
        loop {
            self.generation.check(self.store.as_ref()).await?;
            let serving = self.generation.get();
            let mut after = None;
            let before = made;
            loop {
                let past = after.map(|id| (tenant, id));
                let rows = self.store.unembedded(serving.id, Some(tenant), past, BATCH).await?;
                let Some(last) = rows.last() else { break };
                after = Some(last.record.id);
                made += rows.len() as u64;
                let serves = Precondition::Model(serving.id);
                embed_rows(self.store.as_ref(), &serving, rows, Some(serves)).await?;
            }
            // A text that changed meanwhile still waits for its vector.
            if made == before {
                return Ok(made);
            }
        }
    }
}

/// Makes a complete generation of vectors and lets it serve the store; the number of vectors made.
///
/// # Errors
/// `Unavailable` when the store or the model is away; what was made stays.
pub(crate) async fn make_generation(
    store: &dyn Store,
    embedder: &Arc<dyn Embedder>,
    progress: &Progress,
) -> Result<(ModelId, u64)> {
    let id = store.open_generation(embedder.model()).await?;
    let serving = Serving { id, embedder: Arc::clone(embedder) };
    let mut done = 0;
    let mut total = store.count_unembedded(id).await?;
    let mut after: Option<(String, MemoryId)> = None;
    loop {
        let past = after.as_ref().map(|(tenant, id)| (tenant.as_str(), *id));
        let rows = store.unembedded(id, None, past, BATCH).await?;
        progress(ReembedProgress::new(done, total.max(done)));
        let Some(last) = rows.last() else {
            // Others may have written since; then there is more to do.
            if store.close_generation(id).await? {
                return Ok((id, done));
            }
            total = done + store.count_unembedded(id).await?;
            after = None;
            continue;
        };
        after = Some((last.record.tenant_id.clone(), last.record.id));
        done += rows.len() as u64;
        embed_rows(store, &serving, rows, None).await?;
    }
}

/// Makes the vectors of `rows`; a tenant's rows are left as they are where `require` does not hold.
async fn embed_rows(
    store: &dyn Store,
    serving: &Serving,
    rows: Vec<Unembedded>,
    require: Option<Precondition>,
) -> Result<()> {
    let own: Vec<_> = rows.iter().map(|row| spoken(&row.record.speaker, &row.record.text)).collect();
    let own: Vec<&str> = own.iter().map(AsRef::as_ref).collect();
    let own = serving.embed(&own).await?;
    let with_context =
        |row: &&Unembedded| !serving.model().additive && row.before.is_some() && row.record.chunk_index == 0;
    let contexts: Vec<String> = rows
        .iter()
        .filter(with_context)
        .map(|row| format!("{}\n{}", row.before.as_deref().unwrap_or_default(), row.record.text))
        .collect();
    let contexts: Vec<&str> = contexts.iter().map(String::as_str).collect();
    let mut contexts = serving.embed(&contexts).await?.into_iter();

    let mut plans: BTreeMap<&str, Plan> = BTreeMap::new();
    for (row, vector) in rows.iter().zip(&own) {
        let tenant = row.record.tenant_id.as_str();
        let plan = plans.entry(tenant).or_insert_with(|| Plan::new(tenant, row.record.written_at));
        plan.add_vector(row.record.id, serving.id, View::Own, Some(vector));
        if with_context(&row) {
            plan.add_vector(row.record.id, serving.id, View::Context, contexts.next().as_ref());
        }
        // A text that changed meanwhile is taken up again by the next round.
        plan.require(Precondition::Version(row.record.id, row.record.version));
    }
    for mut plan in plans.into_values() {
        plan.changes.require.extend(require.clone());
        store.commit(plan.changes).await?;
    }
    Ok(())
}
