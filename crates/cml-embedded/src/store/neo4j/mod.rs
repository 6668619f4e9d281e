//! The knowledge graph in Neo4j 5.
//!
//! SQL is the truth; this is a projection of it that can be thrown away and made again. [`Neo4jGraph`] is
//! written by [`GraphProjection`](super::GraphProjection) and asked by [`GraphStore`](super::GraphStore).
//!
//! | in the graph | what |
//! |---|---|
//! | `(:CmlNode)` | an entity, a record (no text), a fact, a session; `kind` says which |
//! | `-[:CML_EDGE {predicate, confidence}]->` | entity to entity |
//! | `-[:CML_MENTIONS]->` | record to entity |
//! | `-[:CML_SUPPORTED_BY]->` | fact to record |
//! | `-[:CML_IN_SESSION]->` | record and fact to session |
//!
//! **Names.** Labels, relationship types, constraint and index begin with a prefix, so that the database
//! may hold a graph of the host's own. They are made at the first use and after a connection was lost.
//!
//! **Tenants.** The community edition has one database and no node keys. So every node has one `key`,
//! `tenant`, `kind` and `id` joined by a control character that no id may hold, under a unique constraint.
//! Every statement begins at nodes found by such a key or by the tenant, and a relationship is only ever
//! made between keys of one tenant: a walk cannot leave it. Namespace and user are compared at each node.
//!
//! **Placeholders.** A relationship may come before its target, and stays when its target goes. The target
//! is then a node with `pending`, which nobody sees. One that nothing leads to any more is removed on the
//! way, or found by [`keys`](super::GraphProjection::keys).

mod client;
mod error;
mod options;
mod project;
mod rows;
mod schema;
mod traverse;

use cml_core::Result;

use self::client::Client;
pub use self::options::Neo4jOptions;

/// A knowledge graph in Neo4j.
///
/// It connects when it is first asked, and again by itself after the server was away. Calls are bounded by
/// [`Neo4jOptions::timeout`], and a call whose future is dropped goes on to its end.
///
/// Errors of every call: `Unavailable` while the server is away or does not answer in time; `Config` naming
/// `neo4j.url`, `neo4j.user`, `neo4j.password` or `neo4j.database` when it refuses us; `Internal` for a
/// refused statement.
#[derive(Debug, Clone)]
pub struct Neo4jGraph {
    client: Client,
}

impl Neo4jGraph {
    /// A graph at a server, which may be away.
    ///
    /// # Errors
    /// `Config` naming the option that cannot be used.
    pub fn new(options: Neo4jOptions) -> Result<Self> {
        options.validate()?;
        Ok(Self { client: Client::new(options) })
    }
}
