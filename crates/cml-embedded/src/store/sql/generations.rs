//! Generations of vectors: the one that serves, and the one that is made beside it.

use cml_core::{MemoryId, Result, provider::EmbeddingModel};

use super::{
    connection::Connection,
    error::malformed,
    rows::{RECORD, record},
    statement::Sql,
    value::{Binds, Columns, binds},
};
use crate::store::{Generations, ModelId, Unembedded};

/// Records that need a vector and have none by the model in the first placeholder.
const WITHOUT_VECTOR: &str = "FROM records r WHERE r.status <> 'deleted' AND NOT EXISTS (SELECT 1 FROM \
embeddings e WHERE e.tenant_id = r.tenant_id AND e.record_id = r.id AND e.model_id = ? AND e.view = 0)";

pub(in crate::store) async fn generations(connection: &mut Connection<'_>) -> Result<Generations> {
    let rows: Vec<(String, ModelId, EmbeddingModel)> = connection
        .all(
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

/// Lets a new database serve vectors of `model`.
pub(in crate::store) async fn first(
    connection: &mut Connection<'_>,
    model: &EmbeddingModel,
) -> Result<ModelId> {
    insert(connection, model, "serving").await
}

async fn insert(
    connection: &mut Connection<'_>,
    model: &EmbeddingModel,
    state: &'static str,
) -> Result<ModelId> {
    let sql = "INSERT INTO models (name, dimensions, max_tokens, additive, state) VALUES (?, ?, ?, ?, ?) \
               RETURNING id";
    let values = binds(|binds| {
        bind_model(binds, model);
        binds.add(state);
    });
    let id = connection.first(sql, values, |columns| columns.get()).await?;
    id.ok_or_else(|| malformed("model"))
}

/// Values of a row of `models`.
pub(in crate::store) fn bind_model(binds: &mut Binds, model: &EmbeddingModel) {
    let size = |value: usize| i64::try_from(value).unwrap_or(i64::MAX);
    binds.add(&*model.name).add(size(model.dimensions)).add(size(model.max_tokens)).add(model.additive);
}

/// Opens a generation for `model`, or takes up the open one of the same name and dimensions. An open
/// one of another model is given up and its vectors are removed.
pub(in crate::store) async fn open(
    connection: &mut Connection<'_>,
    model: &EmbeddingModel,
) -> Result<ModelId> {
    transaction(connection, async |connection| {
        if let Some((id, opened)) = generations(connection).await?.opened {
            if opened.name == model.name && opened.dimensions == model.dimensions {
                return Ok(id);
            }
            for sql in [
                "DELETE FROM embeddings WHERE model_id = ?",
                "UPDATE models SET state = 'closed' WHERE id = ?",
            ] {
                connection.run(sql, one(id)).await?;
            }
        }
        insert(connection, model, "opened").await
    })
    .await
}

/// Lets `model` serve when every record has its vector by it.
pub(in crate::store) async fn close(connection: &mut Connection<'_>, model: ModelId) -> Result<bool> {
    transaction(connection, async |connection| {
        let sql = format!("SELECT 1 {WITHOUT_VECTOR} LIMIT 1");
        let missing = connection.first(sql, one(model), |columns| columns.get::<i64>()).await?;
        let known = connection
            .first("SELECT 1 FROM models WHERE id = ? AND state <> 'closed'", one(model), |columns| {
                columns.get::<i64>()
            })
            .await?;
        if missing.is_some() || known.is_none() {
            return Ok(false);
        }
        for sql in [
            "UPDATE models SET state = 'closed' WHERE id <> ?",
            "UPDATE models SET state = 'serving' WHERE id = ?",
            "DELETE FROM embeddings WHERE model_id <> ?",
        ] {
            connection.run(sql, one(model)).await?;
        }
        Ok(true)
    })
    .await
}

/// Records without a vector by `model` and the text before each in its session, by tenant and id.
pub(in crate::store) async fn unembedded(
    connection: &mut Connection<'_>,
    model: ModelId,
    tenant: Option<&str>,
    after: Option<(&str, MemoryId)>,
    limit: usize,
) -> Result<Vec<Unembedded>> {
    let mut sql = Sql::new(connection.dialect(), "SELECT ");
    sql.push(RECORD).push(
        ", (SELECT b.text FROM messages m JOIN messages b ON b.tenant_id = m.tenant_id AND b.session_id = \
         m.session_id AND b.seq < m.seq WHERE m.tenant_id = r.tenant_id AND m.id = r.message_id ORDER BY \
         b.seq DESC LIMIT 1) ",
    );
    sql.push(WITHOUT_VECTOR).bind(model);
    if let Some(tenant) = tenant {
        sql.push(" AND r.tenant_id = ?").bind(tenant);
    }
    if let Some((tenant, id)) = after {
        sql.push(" AND (r.tenant_id, r.id) > (?, ?)").bind(tenant).bind_id(id.as_uuid());
    }
    sql.push(" ORDER BY r.tenant_id, r.id").limit(limit, 0);
    sql.all(connection, |columns| Ok(Unembedded { record: record(columns)?, before: columns.get()? })).await
}

/// How many records have no vector by `model`.
pub(in crate::store) async fn count_unembedded(
    connection: &mut Connection<'_>,
    model: ModelId,
) -> Result<u64> {
    let sql = format!("SELECT count(*) {WITHOUT_VECTOR}");
    Ok(connection.first(sql, one(model), |columns| columns.number()).await?.unwrap_or_default())
}

fn one(id: ModelId) -> Binds {
    binds(|binds| {
        binds.add(id);
    })
}

async fn transaction<T>(
    connection: &mut Connection<'_>,
    work: impl AsyncFnOnce(&mut Connection<'_>) -> Result<T>,
) -> Result<T> {
    let dialect = connection.dialect();
    connection.run_plain(dialect.begin_generation()).await?;
    let waited = match dialect.change_models() {
        Some(change) => connection.run_plain(change).await.map(|_| ()),
        None => Ok(()),
    };
    let done = match waited {
        Ok(()) => work(connection).await,
        Err(error) => Err(error),
    };
    let end = if done.is_ok() { "COMMIT" } else { "ROLLBACK" };
    let ended = connection.run_plain(end).await;
    let done = done?;
    ended?;
    Ok(done)
}
