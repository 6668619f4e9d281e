//! The contract as a server over REST.
//!
//! [`Server`] answers the routes of [`cml_core::wire`] over any backend. Keys decide the tenant of a
//! call; an administrative key may choose one. The server never opens or closes a backend.
//!
//! ```
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> cml::Result<()> {
//! use cml_server::{Keys, Server};
//!
//! let config = cml::Config::default();
//! let backend = cml::connect::backend(&config).await?;
//! let (keys, _secret) = Keys::generate();
//! let bound = Server::new(backend, &config, keys)?.bind(([127, 0, 0, 1], 0).into()).await?;
//! println!("listening on http://{}", bound.address());
//! bound.run(async {}).await
//! # }
//! ```

mod app;
mod auth;
mod connections;
mod context;
mod error;
mod extract;
mod gate;
mod health;
mod keys;
mod limits;
mod metrics;
mod observe;
mod openapi;
mod routes;
mod server;
mod traffic;

pub use keys::Keys;
pub use server::{Bound, Server};
