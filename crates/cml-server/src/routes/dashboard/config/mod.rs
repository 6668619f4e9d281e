//! The configuration: what holds, and changes for the next start.

mod file;
mod layout;

use axum::{Json, extract::State, http::StatusCode};
use cml_core::{
    Config, Error, ErrorKind,
    config::{ConfigOption, OPTIONS, OptionValue},
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::doc;
use crate::{
    app::App,
    auth::AdminCaller,
    error::{Answer, Failure},
    extract::Body,
    routes::Routes,
};

/// What a secret shows of itself.
const MASK: &str = "***";

/// The switch that a key must not turn on: it holds keys back.
const ALLOW_RESET: &str = "server.allow_reset";

pub(super) fn routes() -> Routes {
    Routes::new()
        .get("/dashboard/config", snapshot, doc("Every option, without secrets").answer::<Snapshot>())
        .put(
            "/dashboard/config",
            update,
            doc("Writes options into the configuration file, for the next start")
                .body::<Update>()
                .answer::<Updated>(),
        )
}

/// The options in their sections.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
struct Snapshot {
    sections: Vec<Section>,
}

/// The options of a table of `cml.toml`.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
struct Section {
    /// The table; `general` for those outside of tables.
    name: String,
    items: Vec<Item>,
}

/// An option.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
struct Item {
    /// Its key in `cml.toml`, with its table.
    key: String,
    /// What holds now; `***` for a secret, null for none.
    value: Value,
    default_value: Value,
    is_secret: bool,
    /// Whether this server changes it on request.
    is_editable: bool,
    /// `default` or `set`.
    source: String,
    /// What it does and what it allows.
    description: String,
    requires_restart: bool,
    is_required: bool,
    env_var: String,
    /// The values allowed, where they are few.
    options: Option<Vec<String>>,
}

impl Item {
    fn new(option: &ConfigOption, config: &Config) -> Self {
        let (value, default) = (option.value(config), option.value(&Config::default()));
        let source = if value == default { "default" } else { "set" };
        let options = match &value {
            OptionValue::Choice(_, names) => Some(names.iter().map(|name| (*name).to_owned()).collect()),
            _ => None,
        };
        Self {
            key: option.key.to_owned(),
            is_secret: matches!(value, OptionValue::Secret(_)),
            is_editable: refusal(option).is_none(),
            value: shown(value),
            default_value: shown(default),
            source: source.to_owned(),
            description: option.description.to_owned(),
            requires_restart: true,
            is_required: false,
            env_var: option.variable.to_owned(),
            options,
        }
    }
}

async fn snapshot(State(app): State<App>, _: AdminCaller) -> Json<Snapshot> {
    let mut sections: Vec<Section> = Vec::new();
    for option in OPTIONS {
        let name = option.key.split_once('.').map_or("general", |(table, _)| table);
        let item = Item::new(option, app.config());
        match sections.iter_mut().find(|section| section.name == name) {
            Some(section) => section.items.push(item),
            None => sections.push(Section { name: name.to_owned(), items: vec![item] }),
        }
    }
    Json(Snapshot { sections })
}

/// Options to change.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
struct Update {
    /// New values by key, each a string, a number or a truth value.
    #[serde(default)]
    updates: Map<String, Value>,
}

/// What became of a change.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
struct Updated {
    success: bool,
    message: String,
}

async fn update(
    State(app): State<App>,
    _: AdminCaller,
    Body(Update { updates }): Body<Update>,
) -> Answer<Updated> {
    let mut changes = Vec::new();
    let mut errors = Vec::new();
    for (key, value) in updates {
        let field = format!("updates.{key}");
        let Some(option) = OPTIONS.iter().find(|option| option.key == key) else {
            errors.push(Error::invalid(field, "is no option; GET /dashboard/config lists them"));
            continue;
        };
        match (refusal(option), text(option, &value)) {
            (Some(Refusal::Protected), _) => return Err(protected(option)),
            (Some(Refusal::Fixed), _) => errors.push(Error::invalid(field, "cannot be changed over REST")),
            (None, Ok(text)) => changes.push((option, text)),
            (None, Err(allowed)) => errors.push(Error::invalid(field, allowed)),
        }
    }
    if changes.is_empty() && errors.is_empty() {
        errors.push(Error::invalid("updates", "must name at least one option"));
    }
    if let Some(error) = Error::join(errors) {
        return Err(Failure::from(error).with_status(StatusCode::BAD_REQUEST));
    }
    let file = app.config().file.clone().ok_or_else(|| {
        Error::new(ErrorKind::Conflict, "the server was started without a configuration file")
            .with_suggestion("start it beside a cml.toml, or name one by --config or CML_CONFIG")
    })?;
    let overridden: Vec<&str> = changes
        .iter()
        .map(|(option, _)| option.variable)
        .filter(|variable| std::env::var_os(variable).is_some_and(|value| !value.is_empty()))
        .collect();
    let count = changes.len();
    let written = tokio::task::spawn_blocking(move || file::write(&file, &changes)).await;
    written
        .map_err(|error| Error::new(ErrorKind::Internal, "the change was cut off").with_source(error))??;
    let mut message = format!("{count} options saved; restart the server to apply them");
    if !overridden.is_empty() {
        message = format!("{message}; the environment overrides {}", overridden.join(", "));
    }
    Ok(Json(Updated { success: true, message }))
}

/// Why an option is not changed over REST.
enum Refusal {
    /// It is a secret, or says where something is.
    Protected,
    /// It guards against the holders of keys.
    Fixed,
}

fn refusal(option: &ConfigOption) -> Option<Refusal> {
    match option.value(&Config::default()) {
        OptionValue::Secret(_) | OptionValue::Url(_) | OptionValue::Path(_) => Some(Refusal::Protected),
        _ if option.key == ALLOW_RESET => Some(Refusal::Fixed),
        _ => None,
    }
}

fn protected(option: &ConfigOption) -> Failure {
    let message = format!("{} is a secret, an address or a path and cannot be changed over REST", option.key);
    let error = Error::new(ErrorKind::PermissionDenied, message);
    error.with_suggestion("change it in the configuration file or the environment").into()
}

/// The text of a new value that the option allows.
///
/// # Errors
/// What it allows.
fn text(option: &ConfigOption, value: &Value) -> Result<String, String> {
    let text = match value {
        Value::String(text) => text.trim().to_owned(),
        Value::Number(number) => number.to_string(),
        Value::Bool(truth) => truth.to_string(),
        _ => return Err("must be a string, a number or a truth value".to_owned()),
    };
    if text.is_empty() {
        return Err("must not be empty".to_owned());
    }
    let alone = [(option.variable.to_owned(), text.clone())].into();
    match Config::from_parts(None, &alone) {
        Ok(_) => Ok(text),
        Err(error) => {
            Err(error.message().split_once(": ").map_or("is not valid", |(_, rule)| rule).to_owned())
        }
    }
}

fn shown(value: OptionValue) -> Value {
    match value {
        OptionValue::Secret(true) => MASK.into(),
        OptionValue::Url(text) | OptionValue::Path(text) | OptionValue::Text(text) => text.into(),
        OptionValue::Choice(name, _) => name.into(),
        OptionValue::Whole(number) => number.into(),
        OptionValue::Number(number) => number.into(),
        OptionValue::Truth(truth) => truth.into(),
        _ => Value::Null,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_addresses_and_paths_are_protected_and_everything_else_is_not() {
        let protected: Vec<_> = OPTIONS
            .iter()
            .filter(|option| matches!(refusal(option), Some(Refusal::Protected)))
            .map(|option| option.key)
            .collect();
        for key in [
            "http.api_key",
            "http.admin_api_key",
            "http.base_url",
            "db_path",
            "server.keys_file",
            "postgres.url",
            "neo4j.url",
            "neo4j.password",
            "redis.url",
        ] {
            assert!(protected.contains(&key), "{key}");
        }
        assert!(!protected.contains(&"engine.chunk_tokens") && !protected.contains(&"server.listen"));
    }
}
