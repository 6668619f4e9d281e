//! The indexes that find near vectors: one per model that is not closed, over the vectors of view 0.
//!
//! An index has one dimension and cannot begin with the tenant, so that each is partial and the column
//! has none. pgvector goes on through an index until a filter let enough rows pass.

use std::time::Duration;

use cml_core::{Error, ErrorKind, Result, provider::EmbeddingModel};

use super::pool::Pool;
use crate::store::{
    ModelId,
    sql::{connection::Connection, value::Binds},
};

/// Most dimensions of a `halfvec` that an index takes.
const MOST_DIMENSIONS: usize = 4000;
/// How long to wait for another process that tends the same indexes.
const PAUSE: Duration = Duration::from_millis(500);
/// What the name of each index begins with; its model's number follows.
const NAME: &str = "embeddings_hnsw_";
/// Held by the connection that makes or removes indexes.
const LOCK: &str = "SELECT pg_try_advisory_lock(hashtextextended('cml.hnsw.' || current_schema(), 0))";

/// How near vectors are indexed and found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HnswOptions {
    /// Neighbours per vector, 2 to 100: more find more and take more memory. An index keeps what it was
    /// made with.
    pub m: u16,
    /// Candidates while an index is built, 4 to 1000 and at least twice `m`: more find more and build
    /// slower. An index keeps what it was made with.
    pub ef_construction: u16,
    /// Candidates of a search, 1 to 1000: more find more and search slower.
    pub ef_search: u16,
}

impl Default for HnswOptions {
    /// What pgvector takes itself, but for 100 candidates in place of 40.
    fn default() -> Self {
        Self { m: 16, ef_construction: 64, ef_search: 100 }
    }
}

impl HnswOptions {
    pub(super) fn check(&self) -> Result<()> {
        let out_of_range = |name: &str, range: &str| {
            Err(Error::new(ErrorKind::Config, format!("HnswOptions::{name}: must be {range}")))
        };
        if !(2..=100).contains(&self.m) {
            return out_of_range("m", "2 to 100");
        }
        if !(4..=1000).contains(&self.ef_construction) || self.ef_construction < 2 * self.m {
            return out_of_range("ef_construction", "4 to 1000 and at least twice m");
        }
        if !(1..=1000).contains(&self.ef_search) {
            return out_of_range("ef_search", "1 to 1000");
        }
        Ok(())
    }
}

/// Refuses a model whose vectors no index takes.
pub(super) fn check(model: &EmbeddingModel) -> Result<()> {
    if model.dimensions <= MOST_DIMENSIONS {
        return Ok(());
    }
    let message = format!(
        "the embedding model {} has {} dimensions, an index of pgvector takes at most {MOST_DIMENSIONS}",
        model.name, model.dimensions
    );
    Err(Error::new(ErrorKind::Config, message).with_suggestion("choose a model with fewer dimensions"))
}

/// An index: the model's number and dimensions.
type Wanted = (ModelId, i64);

/// Makes the index of a new schema, within the transaction that makes its tables.
pub(super) async fn make_for_new(connection: &mut Connection<'_>, options: &HnswOptions) -> Result<()> {
    for model in wanted(connection).await? {
        connection.run_plain(make(model, options, "")).await?;
    }
    Ok(())
}

/// Whether every model that is not closed has its index, and no other one is there.
pub(super) async fn is_tidy(connection: &mut Connection<'_>) -> Result<bool> {
    let (missing, needless) = difference(connection).await?;
    Ok(missing.is_empty() && needless.is_empty())
}

/// Makes the indexes that are missing and removes the needless ones, while others read and write.
pub(super) async fn tend(pool: &Pool, options: &HnswOptions) -> Result<()> {
    let mut connection = pool.apart().await?;
    let mut connection = Connection::Postgres(&mut connection);
    // Not by waiting in the database: whoever makes an index there waits for every open statement.
    while !held(&mut connection).await? {
        tokio::time::sleep(PAUSE).await;
    }
    let (missing, needless) = difference(&mut connection).await?;
    for name in needless {
        connection.run_plain(format!("DROP INDEX CONCURRENTLY IF EXISTS {name}")).await?;
    }
    for model in missing {
        connection.run_plain(make(model, options, "CONCURRENTLY")).await?;
    }
    // The lock goes with the connection.
    Ok(())
}

async fn held(connection: &mut Connection<'_>) -> Result<bool> {
    Ok(connection.first(LOCK, Binds::default(), |columns| columns.get()).await?.unwrap_or_default())
}

fn make((model, dimensions): Wanted, options: &HnswOptions, way: &str) -> String {
    let HnswOptions { m, ef_construction, .. } = options;
    format!(
        "CREATE INDEX {way} IF NOT EXISTS {NAME}{model} ON embeddings USING hnsw ((vector::halfvec({dimensions})) \
         halfvec_cosine_ops) WITH (m = {m}, ef_construction = {ef_construction}) WHERE model_id = {model} AND \
         view = 0"
    )
}

async fn wanted(connection: &mut Connection<'_>) -> Result<Vec<Wanted>> {
    connection
        .all("SELECT id, dimensions FROM models WHERE state <> 'closed'", Binds::default(), |columns| {
            Ok((columns.get()?, columns.get()?))
        })
        .await
}

/// Models without an index, and names of indexes without a model or left unfinished.
async fn difference(connection: &mut Connection<'_>) -> Result<(Vec<Wanted>, Vec<String>)> {
    let wanted = wanted(connection).await?;
    let found: Vec<(String, bool)> = connection
        .all(
            format!(
                "SELECT c.relname::text, i.indisvalid FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid \
                 WHERE i.indrelid = 'embeddings'::regclass AND starts_with(c.relname::text, '{NAME}')"
            ),
            Binds::default(),
            |columns| Ok((columns.text()?, columns.get()?)),
        )
        .await?;
    let name = |model: ModelId| format!("{NAME}{model}");
    let good = |index: &str| found.iter().any(|(name, valid)| name == index && *valid);
    let missing = wanted.iter().copied().filter(|(model, _)| !good(&name(*model))).collect();
    let needless = found
        .iter()
        .filter(|(index, valid)| !valid || !wanted.iter().any(|(model, _)| name(*model) == *index))
        .map(|(index, _)| index.clone())
        .collect();
    Ok((missing, needless))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_model_with_too_many_dimensions_is_refused() {
        assert!(check(&EmbeddingModel::new("small", 4000)).is_ok());
        let error = check(&EmbeddingModel::new("large", 4001)).expect_err("4001 dimensions");
        assert_eq!(error.kind(), ErrorKind::Config);
    }

    #[test]
    fn numbers_out_of_range_are_named() {
        assert!(HnswOptions::default().check().is_ok());
        let options = HnswOptions { m: 40, ..HnswOptions::default() };
        assert!(options.check().is_err_and(|error| error.message().contains("ef_construction")));
    }
}
