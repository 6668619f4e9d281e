//! Configurations of the modes, made of the variables that `scripts/services` prints.

use cml::{
    Config,
    config::{Mode, SecretString},
};

/// Addresses of the services; `scripts/services up` prints them.
pub(crate) const POSTGRES: &str = "CML_TEST_POSTGRES_URL";
pub(crate) const NEO4J: &str = "CML_TEST_NEO4J_URL";
pub(crate) const REDIS: &str = "CML_TEST_REDIS_URL";

/// A configuration of `mode` whose tables and keys carry `name`; `look` gives the variables.
///
/// # Errors
/// The variable that is missing.
pub(crate) fn config(
    mode: Mode,
    name: &str,
    look: impl Fn(&str) -> Option<String>,
) -> Result<Config, &'static str> {
    let need = |variable: &'static str| look(variable).ok_or(variable);
    let mut config = Config::default();
    config.mode = mode;
    config.postgres.max_connections = 4;
    name.clone_into(&mut config.postgres.schema);
    name.clone_into(&mut config.redis.prefix);
    if matches!(mode, Mode::Standard | Mode::Full) {
        config.postgres.url = Some(SecretString::new(need(POSTGRES)?));
    }
    if mode == Mode::Full {
        config.redis.url = Some(SecretString::new(need(REDIS)?));
        config.neo4j.url = Some(need(NEO4J)?);
        if let Some(user) = look("CML_TEST_NEO4J_USER") {
            config.neo4j.user = user;
        }
        if let Some(password) = look("CML_TEST_NEO4J_PASSWORD") {
            config.neo4j.password = SecretString::new(password);
        }
        if let Some(database) = look("CML_TEST_NEO4J_DATABASE") {
            config.neo4j.database = database;
        }
    }
    Ok(config)
}
