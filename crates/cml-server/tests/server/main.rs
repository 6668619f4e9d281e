//! The server over loopback: what travels, what is refused, what is limited.

mod client;
mod fake;
mod keys;
mod limits;
mod operation;
mod routes;
mod shapes;
mod stream;
mod transfer;

use std::{error::Error, sync::Arc};

use cml_core::{Config, MemoryBackend, config::SecretString};
use cml_server::{Keys, Server};
use tokio::{sync::oneshot, task::JoinHandle};

use crate::client::Client;

type Outcome<T = ()> = Result<T, Box<dyn Error>>;

const USER: &str = "user-key-of-acme";
const OTHER: &str = "user-key-of-globex";
const ADMIN: &str = "admin-key";

/// A server that ends with the test.
struct Running {
    client: Client,
    stop: Option<oneshot::Sender<()>>,
    ended: JoinHandle<cml_core::Result<()>>,
}

impl Running {
    /// A server over a fresh local memory.
    async fn lite() -> Outcome<Self> {
        Self::start(cml::connect::backend(&Config::default()).await?, &Config::default()).await
    }

    /// A server over `backend` with one user key each of the tenants acme and globex, and an admin key.
    async fn start(backend: Arc<dyn MemoryBackend>, config: &Config) -> Outcome<Self> {
        let mut keys = Keys::default();
        keys.add(&SecretString::new(USER), "acme", false);
        keys.add(&SecretString::new(OTHER), "globex", false);
        keys.add(&SecretString::new(ADMIN), "default", true);
        Self::with_keys(backend, config, keys).await
    }

    async fn with_keys(backend: Arc<dyn MemoryBackend>, config: &Config, keys: Keys) -> Outcome<Self> {
        let bound = Server::new(backend, config, keys)?.bind(([127, 0, 0, 1], 0).into()).await?;
        let client = Client::new(bound.address());
        let (stop, stopped) = oneshot::channel::<()>();
        let ended = tokio::spawn(bound.run(async move { drop(stopped.await) }));
        Ok(Self { client, stop: Some(stop), ended })
    }

    /// Tells the server to end.
    fn stop(&mut self) {
        self.stop.take();
    }
}
