//! The routes of administration over loopback: contents, filters, pages, tenants, status codes.

mod access;
#[path = "../server/client.rs"]
#[expect(dead_code, reason = "the other suite uses all of it")]
mod client;
mod config;
mod counts;
mod facts;
#[path = "../server/fake.rs"]
mod fake;
mod graph;
mod history;
mod labile;
mod memories;
mod retrieval;
mod runs;
mod unsupported;

use std::{error::Error, sync::Arc};

use cml_core::{Config, MemoryBackend, config::SecretString};
use cml_server::{Keys, Server};
use serde_json::{Value, json};

use crate::client::{Client, Reply, Request};

type Outcome<T = ()> = Result<T, Box<dyn Error>>;

const USER: &str = "user-key-of-acme";
const ADMIN: &str = "admin-key";

/// A server over a fresh local memory with a user key of the tenant acme and an admin key.
struct World {
    client: Client,
}

impl World {
    async fn new() -> Outcome<Self> {
        Self::with(&Config::default()).await
    }

    async fn with(config: &Config) -> Outcome<Self> {
        Self::over(cml::connect::backend(&Config::default()).await?, config).await
    }

    async fn over(backend: Arc<dyn MemoryBackend>, config: &Config) -> Outcome<Self> {
        let mut keys = Keys::default();
        keys.add(&SecretString::new(USER), "acme", false);
        keys.add(&SecretString::new(ADMIN), "default", true);
        let bound = Server::new(backend, config, keys)?.bind(([127, 0, 0, 1], 0).into()).await?;
        let client = Client::new(bound.address());
        tokio::spawn(bound.run(std::future::pending()));
        Ok(Self { client })
    }

    /// A request by the administrator, with the header that changes need.
    fn admin(&self, method: &str, path: &str) -> Request {
        self.client.api(method, path).key(ADMIN).header("X-Requested-With", "XMLHttpRequest")
    }

    /// What the administrator gets.
    async fn get(&self, path: &str) -> Outcome<Value> {
        self.admin("GET", path).send().await?.ok()
    }

    /// What the administrator's post is answered.
    async fn post(&self, path: &str, body: &Value) -> Outcome<Value> {
        self.admin("POST", path).json(body).send().await?.ok()
    }

    /// The status and body of an answer to the administrator.
    async fn refused(&self, method: &str, path: &str, body: &Value) -> Outcome<(u16, Value)> {
        let reply: Reply = self.admin(method, path).json(body).send().await?;
        Ok((reply.status, reply.json()?))
    }

    /// Stores a memory in a tenant and returns its id.
    async fn write(&self, tenant: &str, body: &Value) -> Outcome<String> {
        let request = self.client.api("POST", "/memory/write").key(ADMIN).header("X-Tenant-ID", tenant);
        let answer = request.json(body).send().await?.ok()?;
        Ok(answer["memory_id"].as_str().ok_or_else(|| format!("not stored: {answer}"))?.to_owned())
    }

    /// Stores a text of one type, said at an instant.
    async fn say(&self, tenant: &str, text: &str, at: &str) -> Outcome<String> {
        let body =
            json!({ "content": text, "timestamp": at, "memory_type": "observation", "extract": "raw" });
        self.write(tenant, &body).await
    }
}

/// The values of one field of each item.
fn field<'v>(items: &'v Value, name: &str) -> Vec<&'v str> {
    let items = items.as_array().map(Vec::as_slice).unwrap_or_default();
    items.iter().filter_map(|item| item[name].as_str()).collect()
}

/// The field of the first fault that a 422 or 400 tells of.
fn fault(body: &Value) -> (&str, &str) {
    let first = &body["detail"][0];
    let last = first["loc"].as_array().and_then(|loc| loc.last()).and_then(Value::as_str);
    (first["loc"][0].as_str().unwrap_or_default(), last.unwrap_or_default())
}
