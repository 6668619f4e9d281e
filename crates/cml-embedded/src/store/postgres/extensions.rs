//! The extensions of the server that the schema needs.

use cml_core::{Error, ErrorKind, Result};
use sqlx::{Connection as _, Executor as _, PgConnection};

use super::error::{Place, code, failed, quoted};

/// What is needed: the name, the oldest version, and the package that holds it.
const NEEDED: [(&str, [u32; 2], &str); 2] =
    [("vector", [0, 8], "postgresql-NN-pgvector"), ("btree_gin", [1, 0], "postgresql-contrib")];

/// Makes those that are missing, as far as the user may, and says in which schemas they are.
pub(super) async fn ensure(
    connection: &mut PgConnection,
    place: &Place,
    lock: &'static str,
) -> Result<Vec<String>> {
    let mut schemas = Vec::with_capacity(NEEDED.len());
    for (name, oldest, package) in NEEDED {
        let found = match find(connection, name).await? {
            Some(found) => Some(found),
            None => {
                make(connection, name, package, place, lock).await?;
                find(connection, name).await?
            }
        };
        let (version, schema) = found.ok_or_else(|| missing(name, package, place))?;
        if parts(&version) < oldest {
            return Err(too_old(name, &version, oldest, package, place));
        }
        schemas.push(schema);
    }
    Ok(schemas)
}

/// The version and schema of an extension of the database.
async fn find(connection: &mut PgConnection, name: &str) -> Result<Option<(String, String)>> {
    sqlx::query_as(
        "SELECT e.extversion, n.nspname::text FROM pg_extension e JOIN pg_namespace n ON n.oid = \
         e.extnamespace WHERE e.extname = $1",
    )
    .bind(name)
    .fetch_optional(connection)
    .await
    .map_err(failed)
}

async fn make(
    connection: &mut PgConnection,
    name: &str,
    package: &str,
    place: &Place,
    lock: &'static str,
) -> Result<()> {
    let mut transaction = connection.begin().await.map_err(failed)?;
    transaction.execute(lock).await.map_err(failed)?;
    let sql = format!("CREATE EXTENSION IF NOT EXISTS {}", quoted(name));
    match transaction.execute(sqlx::raw_sql(sqlx::AssertSqlSafe(sql))).await {
        Ok(_) => transaction.commit().await.map_err(failed),
        Err(error) => match code(&error).as_deref() {
            // Not there, no right to make it, or no schema to make it in.
            Some("58P01" | "0A000" | "42501" | "3F000" | "22023") => Err(missing(name, package, place)),
            _ => Err(failed(error)),
        },
    }
}

fn missing(name: &str, package: &str, place: &Place) -> Error {
    let message =
        format!("postgres.url: the database {} lacks the extension {name}", quoted(&place.database));
    Error::new(ErrorKind::Config, message).with_suggestion(format!(
        "an administrator installs the package {package} (NN is the server's version) and runs CREATE \
         EXTENSION {name}; in this database"
    ))
}

fn too_old(name: &str, version: &str, [major, minor]: [u32; 2], package: &str, place: &Place) -> Error {
    let message = format!(
        "postgres.url: the extension {name} of the database {} has version {version}, at least \
         {major}.{minor}.0 is needed",
        quoted(&place.database)
    );
    Error::new(ErrorKind::Config, message).with_suggestion(format!(
        "an administrator updates the package {package} (NN is the server's version) and runs ALTER \
         EXTENSION {name} UPDATE; in this database"
    ))
}

/// The first two numbers of a version.
fn parts(version: &str) -> [u32; 2] {
    let mut numbers = version.split('.').map(|part| part.parse().unwrap_or_default());
    [numbers.next().unwrap_or_default(), numbers.next().unwrap_or_default()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_compared_by_their_numbers() {
        assert!(parts("0.7.4") < [0, 8]);
        assert!(parts("0.10.0") > [0, 8]);
        assert!(parts("1.0") > [0, 8]);
        assert_eq!(parts("0.8.6"), [0, 8]);
    }
}
