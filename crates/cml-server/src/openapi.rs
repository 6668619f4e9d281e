//! The OpenAPI 3.1 document of the routes.

use std::collections::BTreeSet;

use bytes::Bytes;
use cml_core::{
    ops::{MAX_CONTENT_CHARS, MAX_RESULTS},
    scope::{MAX_ID_CHARS, MAX_KEY_CHARS},
    wire::{API, ErrorBody, MAX_BATCH, header},
};
use schemars::{Schema, SchemaGenerator, generate::SchemaSettings};
use serde_json::{Map, Value, json};

use crate::routes::{Content, Doc, Entry, Routes, SchemaOf};

const COMPONENTS: &str = "#/components/schemas/";

/// The document as JSON.
pub(crate) fn document(routes: &Routes) -> Bytes {
    let settings = SchemaSettings::draft2020_12().with(|settings| {
        settings.definitions_path = "/components/schemas".into();
        settings.meta_schema = None;
    });
    let mut generator = SchemaGenerator::new(settings);
    let error = generator.subschema_for::<ErrorBody>();
    let mut paths = Map::new();
    let mut bodies = BTreeSet::new();
    for entry in routes.entries() {
        let operation = operation(entry, &error, &mut generator);
        let body = operation.pointer("/requestBody/content/application~1json/schema/$ref");
        let body = body.and_then(Value::as_str).and_then(|path| path.strip_prefix(COMPONENTS));
        bodies.extend(body.map(str::to_owned));
        let item = paths.entry(entry.path.clone()).or_insert_with(|| json!({}));
        item[entry.method.as_str().to_ascii_lowercase()] = operation;
    }
    let mut schemas = generator.take_definitions(true);
    for name in bodies {
        if let Some(properties) =
            schemas.get_mut(&name).and_then(|schema| schema["properties"].as_object_mut())
        {
            properties.iter_mut().for_each(|(name, property)| constrain(name, property));
        }
    }
    let mut document = json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Cognitive memory layer",
            "version": env!("CARGO_PKG_VERSION"),
            "description": env!("CARGO_PKG_DESCRIPTION"),
            "license": { "name": env!("CARGO_PKG_LICENSE"), "identifier": env!("CARGO_PKG_LICENSE") },
        },
        "paths": paths,
        "components": {
            "schemas": schemas,
            "securitySchemes": {
                "apiKey": { "type": "apiKey", "in": "header", "name": "X-API-Key" },
            },
        },
    });
    tidy(&mut document);
    Bytes::from(document.to_string())
}

/// Descriptions come from the documentation of the types: programs and links in them are of no use here.
fn tidy(value: &mut Value) {
    match value {
        Value::Object(fields) => {
            if let Some(Value::String(text)) = fields.get_mut("description") {
                let prose = text.split("\n\n```").next().unwrap_or_default();
                *text = prose.replace("[`", "`").replace("`]", "`");
            }
            fields.values_mut().for_each(tidy);
        }
        Value::Array(values) => values.iter_mut().for_each(tidy),
        _ => {}
    }
}

/// Adds what a field of a request allows beyond its type.
fn constrain(name: &str, property: &mut Value) {
    let rules = match name {
        "content" | "user_message" | "assistant_response" | "text" => {
            json!({ "minLength": 1, "maxLength": MAX_CONTENT_CHARS })
        }
        "query" => json!({ "maxLength": MAX_CONTENT_CHARS }),
        "namespace" | "user_id" | "agent_id" | "session_id" | "tenant_id" | "turn_id" | "speaker"
        | "idempotency_key" => json!({ "minLength": 1, "maxLength": MAX_ID_CHARS }),
        "key" => json!({ "minLength": 1, "maxLength": MAX_KEY_CHARS }),
        "max_results" => json!({ "minimum": 1, "maximum": MAX_RESULTS }),
        "limit" => json!({ "minimum": 1, "maximum": 1000 }),
        "max_context_tokens" => json!({ "minimum": 1 }),
        "ttl_hours" => json!({ "minimum": 1, "maximum": 87_600 }),
        "confidence" | "importance" | "min_relevance" => json!({ "minimum": 0, "maximum": 1 }),
        "turns" => json!({ "minItems": 1, "maxItems": MAX_BATCH }),
        _ => return,
    };
    if let (Some(property), Value::Object(rules)) = (property.as_object_mut(), rules) {
        for (rule, value) in rules {
            property.insert(rule, value);
        }
    }
}

fn operation(entry: &Entry, error: &Schema, generator: &mut SchemaGenerator) -> Value {
    let doc = &entry.doc;
    let mut parameters = path_parameters(&entry.path);
    for query in &doc.queries {
        parameters.extend(query_parameters(*query, generator));
    }
    if !doc.open {
        parameters.push(header_parameter(
            header::TENANT,
            "The tenant, where the key may choose one",
            &json!({ "type": "string", "minLength": 1, "maxLength": 100 }),
        ));
    }
    if entry.csrf() {
        parameters.push(header_parameter(
            header::REQUESTED_WITH,
            "Without it a change is refused",
            &json!({ "type": "string", "enum": ["XMLHttpRequest"] }),
        ));
    }
    let mut operation = json!({
        "operationId": operation_id(entry),
        "summary": doc.summary,
        "tags": [doc.tag],
        "responses": responses(doc, error, generator),
    });
    if !parameters.is_empty() {
        operation["parameters"] = parameters.into();
    }
    if let Some(body) = &doc.body {
        operation["requestBody"] = json!({ "required": true, "content": content(body, generator) });
    }
    operation["security"] = if doc.open { json!([]) } else { json!([{ "apiKey": [] }]) };
    operation
}

/// `post_memory_write`: unique, as method and path are.
fn operation_id(entry: &Entry) -> String {
    let path = entry.path.strip_prefix(API).unwrap_or(&entry.path);
    let end = if path.len() > 1 && path.ends_with('/') { "_" } else { "" };
    let words = path.split(|c: char| !c.is_ascii_alphanumeric()).filter(|word| !word.is_empty());
    let words: Vec<_> = words.collect();
    format!("{}_{}{end}", entry.method.as_str().to_ascii_lowercase(), words.join("_"))
}

/// `{id}` is a UUID, but for sessions; every other name is a caller's own id.
fn path_parameters(path: &str) -> Vec<Value> {
    let own = path.contains("/session/") || path.contains("/sessions/");
    let names = path.split('/').filter_map(|part| part.strip_prefix('{')?.strip_suffix('}'));
    names
        .map(|name| {
            let schema = match name {
                "id" if !own => json!({ "type": "string", "format": "uuid" }),
                _ => json!({ "type": "string", "minLength": 1, "maxLength": 100 }),
            };
            json!({ "name": name, "in": "path", "required": true, "schema": schema })
        })
        .collect()
}

fn header_parameter(name: &str, description: &str, schema: &Value) -> Value {
    json!({ "name": name, "in": "header", "required": false, "description": description, "schema": schema })
}

/// One parameter per field. Objects travel as JSON text.
fn query_parameters(query: SchemaOf, generator: &mut SchemaGenerator) -> Vec<Value> {
    let schema = query(generator).to_value();
    let required: Vec<_> = schema["required"].as_array().into_iter().flatten().cloned().collect();
    let Some(properties) = schema["properties"].as_object() else { return Vec::new() };
    properties
        .iter()
        .map(|(name, property)| {
            let mut property = property.clone();
            constrain(name, &mut property);
            let description = property.as_object_mut().and_then(|property| property.remove("description"));
            let mut parameter = json!({
                "name": name,
                "in": "query",
                "required": required.contains(&json!(name)),
            });
            if let Some(description) = description {
                parameter["description"] = description;
            }
            if name == "filter" {
                parameter["content"] = json!({ "application/json": { "schema": property } });
            } else {
                parameter["schema"] = without_null(property);
            }
            parameter
        })
        .collect()
}

/// A query has no null: the parameter is absent.
fn without_null(mut schema: Value) -> Value {
    if let Some(types) = schema["type"].as_array_mut() {
        types.retain(|name| name != "null");
        if let [only] = types.as_slice() {
            schema["type"] = only.clone();
        }
    }
    if let Some(choices) = schema["anyOf"].as_array_mut() {
        choices.retain(|choice| choice["type"] != "null");
        if let [only] = choices.as_slice() {
            return only.clone();
        }
    }
    if schema["type"].is_null()
        && let Some(fields) = schema.as_object_mut()
    {
        fields.remove("type");
    }
    if schema["anyOf"].is_null()
        && let Some(fields) = schema.as_object_mut()
    {
        fields.remove("anyOf");
    }
    schema
}

fn content(content: &Content, generator: &mut SchemaGenerator) -> Value {
    let schema = content.schema.map_or_else(
        || match content.content_type {
            "application/json" => json!({ "type": "object" }),
            _ => json!({ "type": "string" }),
        },
        |schema| schema(generator).to_value(),
    );
    json!({ content.content_type: { "schema": schema } })
}

fn responses(doc: &Doc, error: &Schema, generator: &mut SchemaGenerator) -> Value {
    let success = doc.answer.as_ref().map_or_else(|| json!({}), |answer| content(answer, generator));
    let mut responses = json!({ "200": { "description": "Success", "content": success } });
    let failures: &[(&str, &str, bool)] = &[
        ("401", "No key, or a wrong one", !doc.open),
        ("403", "The key may not do this", !doc.open),
        ("404", "Unknown id", !doc.open),
        ("409", "The stored state contradicts the request", !doc.open),
        ("413", "The body is too large", doc.body.is_some()),
        ("415", "The body's encoding is not read", doc.body.is_some()),
        ("422", "The request breaks a rule", !doc.open),
        ("429", "Too many requests", !doc.open),
        ("500", "A bug", true),
        ("501", "The backend lacks the verb", true),
        ("503", "The store cannot be reached", true),
        ("504", "The deadline passed", true),
    ];
    for (status, description, applies) in failures {
        if *applies {
            responses[*status] = json!({
                "description": description,
                "content": { "application/json": { "schema": error } },
            });
        }
    }
    debug_assert!(error.get("$ref").and_then(Value::as_str).is_some_and(|path| path.starts_with(COMPONENTS)));
    responses
}
