//! The configuration: what it shows, and what it lets change.

use std::fs;

use cml_core::{
    Config,
    config::{OPTIONS, SecretString},
};
use serde_json::{Value, json};

use crate::{Outcome, World, field};

fn item<'v>(snapshot: &'v Value, key: &str) -> Option<&'v Value> {
    let sections = snapshot["sections"].as_array()?;
    sections.iter().flat_map(|section| section["items"].as_array()).flatten().find(|item| item["key"] == key)
}

#[tokio::test]
async fn every_option_is_shown_and_no_secret() -> Outcome {
    let mut config = Config::default();
    config.http.admin_api_key = Some(SecretString::new("very-secret-key"));
    config.server.rate_limit_rpm = 600;
    config.http.base_url = "http://ana:hidden@localhost:1".to_owned();
    config.postgres.url = Some(SecretString::new("postgres://ana:hidden@db.example:5432/cml"));
    config.neo4j.url = Some("bolt://graph.example:7687".to_owned());
    config.neo4j.password = SecretString::new("hidden");
    config.redis.url = Some(SecretString::new("redis://:hidden@cache.example"));
    let world = World::with(&config).await?;
    let snapshot = world.get("/dashboard/config").await?;
    let text = snapshot.to_string();
    assert!(!text.contains("very-secret") && !text.contains("hidden"));
    assert_eq!(
        field(&snapshot["sections"], "name"),
        ["general", "http", "postgres", "neo4j", "redis", "embedding", "engine", "server"]
    );
    for option in OPTIONS {
        let item = item(&snapshot, option.key).ok_or(option.key)?;
        assert_eq!(
            (&item["env_var"], &item["description"]),
            (&json!(option.variable), &json!(option.description))
        );
        assert_eq!((&item["requires_restart"], &item["is_required"]), (&json!(true), &json!(false)));
    }
    let shown =
        |key: &str, name: &str| item(&snapshot, key).map(|item| item[name].clone()).unwrap_or_default();
    assert_eq!(shown("http.admin_api_key", "value"), "***");
    assert_eq!(shown("neo4j.password", "value"), "***");
    assert_eq!(shown("postgres.url", "value"), "postgres://***@db.example:5432");
    assert_eq!(shown("neo4j.url", "value"), "bolt://graph.example:7687");
    assert_eq!(shown("redis.url", "value"), "redis://***@cache.example");
    assert_eq!(
        (shown("http.api_key", "value"), shown("http.api_key", "is_secret")),
        (Value::Null, json!(true))
    );
    assert_eq!(
        (shown("server.rate_limit_rpm", "value"), shown("server.rate_limit_rpm", "default_value")),
        (json!(600), json!(0))
    );
    assert_eq!(
        (shown("server.rate_limit_rpm", "source"), shown("mode", "source")),
        (json!("set"), json!("default"))
    );
    assert_eq!(shown("mode", "options"), json!(["http", "lite", "standard", "full"]));
    assert_eq!(shown("http.timeout", "value"), 30.0);
    assert_eq!(shown("engine.redaction", "value"), true);
    for (key, editable) in [
        ("http.api_key", false),
        ("http.base_url", false),
        ("postgres.url", false),
        ("neo4j.password", false),
        ("redis.url", false),
        ("postgres.max_connections", true),
        ("db_path", false),
        ("server.cors_origins", false),
        ("server.allow_reset", false),
        ("http.timeout", true),
        ("mode", true),
    ] {
        assert_eq!(shown(key, "is_editable"), editable, "{key}");
    }
    Ok(())
}

#[tokio::test]
async fn secrets_and_places_are_refused_and_faults_are_named() -> Outcome {
    let world = World::new().await?;
    let put = async |updates: Value| {
        world.refused("PUT", "/dashboard/config", &json!({ "updates": updates })).await
    };
    for key in
        ["http.api_key", "http.admin_api_key", "http.base_url", "db_path", "postgres.url", "neo4j.password"]
    {
        let (status, body) = put(json!({ key: "x" })).await?;
        assert_eq!((status, &body["code"]), (403, &json!("permission_denied")), "{key}");
    }
    for (updates, path, rule) in [
        (json!({}), json!(["body", "updates"]), "at least one"),
        (json!({ "http.timeuot": 5 }), json!(["body", "updates", "http", "timeuot"]), "no option"),
        (json!({ "http.timeout": 0 }), json!(["body", "updates", "http", "timeout"]), "number of seconds"),
        (json!({ "http.timeout": "" }), json!(["body", "updates", "http", "timeout"]), "empty"),
        (json!({ "http.timeout": [5] }), json!(["body", "updates", "http", "timeout"]), "a string"),
        (json!({ "mode": "cloud" }), json!(["body", "updates", "mode"]), "one of"),
        (
            json!({ "server.allow_reset": true }),
            json!(["body", "updates", "server", "allow_reset"]),
            "cannot be changed",
        ),
    ] {
        let (status, body) = put(updates).await?;
        assert_eq!((status, &body["detail"][0]["loc"]), (400, &path), "{body}");
        assert!(body["detail"][0]["msg"].as_str().is_some_and(|msg| msg.contains(rule)), "{body}");
    }
    let (_, body) = put(json!({ "http.timeout": 0, "mode": "cloud" })).await?;
    assert_eq!(body["detail"].as_array().map(Vec::len), Some(2));
    Ok(())
}

#[tokio::test]
async fn a_change_is_written_into_the_file_for_the_next_start() -> Outcome {
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("cml.toml");
    let updates = json!({ "updates": { "http.timeout": 7.5, "engine.redaction": false, "tenant": "acme" } });
    let without = World::new().await?.refused("PUT", "/dashboard/config", &updates).await?;
    let mut config = Config::default();
    config.file = Some(file.clone());
    let world = World::with(&config).await?;
    fs::write(&file, "# ours\n[http]\napi_key = \"sk-1\" # keep\ntimeout = 5\n")?;
    let faulty = world
        .refused("PUT", "/dashboard/config", &json!({ "updates": { "tenant": "b", "mode": "x" } }))
        .await?;
    let untouched = fs::read_to_string(&file)?;
    let written = world.admin("PUT", "/dashboard/config").json(&updates).send().await?.ok()?;
    let after = fs::read_to_string(&file)?;
    let files = fs::read_dir(folder.path())?.count();

    assert_eq!((without.0, &without.1["code"]), (409, &json!("conflict")));
    assert!(without.1["suggestion"].as_str().is_some_and(|text| text.contains("cml.toml")));
    assert_eq!(faulty.0, 400);
    assert!(untouched.contains("timeout = 5") && !untouched.contains("tenant"));
    assert_eq!(written["success"], true);
    assert!(
        written["message"]
            .as_str()
            .is_some_and(|text| text.starts_with("3 options saved") && text.contains("restart"))
    );
    assert!(after.contains("# ours") && after.contains("api_key = \"sk-1\" # keep"), "{after}");
    assert_eq!(files, 1);
    let config = Config::from_parts(Some(&after), &[].into())?;
    assert_eq!(config.http.timeout.as_secs_f64(), 7.5);
    assert_eq!((config.engine.redaction, config.tenant.as_str()), (false, "acme"));
    assert_eq!(world.get("/dashboard/config").await?["sections"][0]["items"][1]["value"], "default");
    Ok(())
}
