//! Generations of vectors: the one that serves, and the one that is made beside it.

use cml_core::{MemoryId, Result, provider::EmbeddingModel};
use sqlx::SqliteConnection;

use super::{
    error::malformed,
    rows::{RECORD, record},
    sql::{all, binds, first, run, run_plain},
    values::{Binds, Columns},
};
use crate::store::{Generations, ModelId, Unembedded};

/// Records that need a vector and have none by the model in the first placeholder.
const WITHOUT_VECTOR: &str = "FROM records r WHERE r.status <> 'deleted' AND NOT EXISTS (SELECT 1 FROM \
embeddings e WHERE e.tenant_id = r.tenant_id AND e.record_id = r.id AND e.model_id = ? AND e.view = 0)";

pub(super) async fn generations(connection: &mut SqliteConnection) -> Result<Generations> {
    let rows: Vec<(String, ModelId, EmbeddingModel)> = all(
        connection,
        "SELECT state, id, name, dimensions, max_tokens, additive FROM models WHERE state <> 'closed'",
        Binds::default(),
        |columns| {
            let (state, id, name) = (columns.text()?, columns.get()?, columns.text()?);
            let model = EmbeddingModel::new(name, size(columns)?)
                .with_max_tokens(size(columns)?)
                .with_additive(columns.get()?);
            Ok((state, id, model))
        },
    )
    .await?;
    let mut generations = Generations::default();
    for (state, id, model) in rows {
        match &*state {
            "serving" => generations.serving = Some((id, model)),
            _ => generations.opened = Some((id, model)),
        }
    }
    Ok(generations)
}

fn size(columns: &mut Columns<'_>) -> Result<usize> {
    usize::try_from(columns.get::<i64>()?).map_err(|_out_of_range| malformed("size"))
}

/// Values of a row of `models`.
pub(super) fn bind_model(binds: &mut Binds, model: &EmbeddingModel) {
    let size = |value: usize| i64::try_from(value).unwrap_or(i64::MAX);
    binds.add(&*model.name).add(size(model.dimensions)).add(size(model.max_tokens)).add(model.additive);
}

/// Opens a generation for `model`, or takes up the open one of the same name and dimensions. An open
/// one of another model is given up and its vectors are removed.
pub(super) async fn open(connection: &mut SqliteConnection, model: &EmbeddingModel) -> Result<ModelId> {
    transaction(connection, async |connection| {
        if let Some((id, opened)) = generations(connection).await?.opened {
            if opened.name == model.name && opened.dimensions == model.dimensions {
                return Ok(id);
            }
            for sql in [
                "DELETE FROM embeddings WHERE model_id = ?",
                "UPDATE models SET state = 'closed' WHERE id = ?",
            ] {
                run(connection, sql, one(id)).await?;
            }
        }
        let id = first(
            connection,
            "INSERT INTO models (name, dimensions, max_tokens, additive, state) VALUES (?, ?, ?, ?, \
             'opened') RETURNING id",
            binds(|binds| bind_model(binds, model)),
            |columns| columns.get(),
        )
        .await?;
        id.ok_or_else(|| malformed("model"))
    })
    .await
}

/// Lets `model` serve when every record has its vector by it.
pub(super) async fn close(connection: &mut SqliteConnection, model: ModelId) -> Result<bool> {
    transaction(connection, async |connection| {
        let sql = sqlx::AssertSqlSafe(format!("SELECT 1 {WITHOUT_VECTOR} LIMIT 1"));
        let missing = first(connection, sql, one(model), |columns| columns.get::<i64>()).await?;
        let known = first(
            connection,
            "SELECT 1 FROM models WHERE id = ? AND state <> 'closed'",
            one(model),
            |columns| columns.get::<i64>(),
        )
        .await?;
        if missing.is_some() || known.is_none() {
            return Ok(false);
        }
        for sql in [
            "UPDATE models SET state = 'closed' WHERE id <> ?",
            "UPDATE models SET state = 'serving' WHERE id = ?",
            "DELETE FROM embeddings WHERE model_id <> ?",
        ] {
            run(connection, sql, one(model)).await?;
        }
        Ok(true)
    })
    .await
}

/// Records without a vector by `model` and the text before each in its session, by tenant and id.
pub(super) async fn unembedded(
    connection: &mut SqliteConnection,
    model: ModelId,
    tenant: Option<&str>,
    after: Option<(&str, MemoryId)>,
    limit: usize,
) -> Result<Vec<Unembedded>> {
    let within = if tenant.is_some() { "AND r.tenant_id = ?" } else { "" };
    let past = if after.is_some() { "AND (r.tenant_id, r.id) > (?, ?)" } else { "" };
    let sql = sqlx::AssertSqlSafe(format!(
        "SELECT {RECORD}, (SELECT b.text FROM messages m JOIN messages b ON b.tenant_id = m.tenant_id AND \
         b.session_id = m.session_id AND b.seq < m.seq WHERE m.tenant_id = r.tenant_id AND m.id = \
         r.message_id ORDER BY b.seq DESC LIMIT 1) {WITHOUT_VECTOR} {within} {past} ORDER BY r.tenant_id, r.id LIMIT ?"
    ));
    let values = binds(|binds| {
        binds.add(model);
        if let Some(tenant) = tenant {
            binds.add(tenant);
        }
        if let Some((tenant, id)) = after {
            binds.add(tenant).id(id.as_uuid());
        }
        binds.add(i64::try_from(limit).unwrap_or(i64::MAX));
    });
    all(connection, sql, values, |columns| {
        Ok(Unembedded { record: record(columns)?, before: columns.get()? })
    })
    .await
}

/// How many records have no vector by `model`.
pub(super) async fn count_unembedded(connection: &mut SqliteConnection, model: ModelId) -> Result<u64> {
    let sql = sqlx::AssertSqlSafe(format!("SELECT count(*) {WITHOUT_VECTOR}"));
    Ok(first(connection, sql, one(model), |columns| columns.number()).await?.unwrap_or_default())
}

fn one(id: ModelId) -> Binds {
    binds(|binds| {
        binds.add(id);
    })
}

async fn transaction<T>(
    connection: &mut SqliteConnection,
    work: impl AsyncFnOnce(&mut SqliteConnection) -> Result<T>,
) -> Result<T> {
    run_plain(connection, "BEGIN IMMEDIATE").await?;
    let done = work(connection).await;
    let end = if done.is_ok() { "COMMIT" } else { "ROLLBACK" };
    let ended = run_plain(connection, end).await;
    let done = done?;
    ended?;
    Ok(done)
}
