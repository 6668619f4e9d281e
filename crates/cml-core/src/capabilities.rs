//! What a backend can do, known before it is asked.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::{Error, Result, string_enum};

string_enum! {
    /// A part of the contract that not every backend has.
    pub enum Capability("capability") {
        /// Namespaces on reads, updates and forgets, not only on writes.
        Namespaces = "namespaces",
        /// Users as data subjects.
        Users = "users",
        /// Metadata filters.
        MetadataFilter = "metadata_filter",
        /// Reads as of an instant.
        AsOf = "as_of",
        /// The relevance floor.
        MinRelevance = "min_relevance",
        /// Idempotency keys.
        Idempotency = "idempotency",
        /// Keys of memories and expiry.
        Keys = "keys",
        /// `expected_version` on updates.
        ExpectedVersion = "expected_version",
        /// `dry_run` on forget.
        ForgetDryRun = "forget_dry_run",
        /// Records in full and lists.
        List = "list",
        /// `erase` of any subject, not only of a tenant.
        Erase = "erase",
        /// Session log and context.
        Sessions = "sessions",
        /// Listing and retracting facts.
        Facts = "facts",
        /// Editing, superseding and merging facts.
        FactEditing = "fact_editing",
        /// The event log.
        Events = "events",
        /// The list of tenants.
        Tenants = "tenants",
        /// Vectors by another model.
        Reembed = "reembed",
        /// Revision of recalled memories.
        Reconsolidation = "reconsolidation",
        /// Episodes to gists and facts.
        Consolidation = "consolidation",
        /// The forgetting policy.
        Forgetting = "forgetting",
        /// The knowledge graph.
        Graph = "graph",
        /// Export and import.
        Transfer = "transfer",
    }
}

/// What a backend is and can do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct Capabilities {
    /// What kind of backend it is: `embedded`, `http`.
    pub backend: String,
    /// Its mode: `lite`, `standard`, `full`, or that of the server.
    pub mode: String,
    /// Its version.
    pub version: String,
    /// Most results of one read.
    pub max_results: usize,
    /// The parts of the contract that it has.
    pub supported: BTreeSet<Capability>,
}

impl Capabilities {
    /// A backend with these parts of the contract.
    #[must_use]
    pub fn new(
        backend: impl Into<String>,
        mode: impl Into<String>,
        version: impl Into<String>,
        supported: impl IntoIterator<Item = Capability>,
    ) -> Self {
        Self {
            backend: backend.into(),
            mode: mode.into(),
            version: version.into(),
            max_results: crate::ops::MAX_RESULTS,
            supported: supported.into_iter().collect(),
        }
    }

    /// Whether it has this part.
    #[must_use]
    pub fn has(&self, capability: Capability) -> bool {
        self.supported.contains(&capability)
    }

    /// Passes when it has this part.
    ///
    /// # Errors
    /// `Unsupported` naming the part.
    pub fn require(&self, capability: Capability) -> Result<()> {
        if self.has(capability) {
            Ok(())
        } else {
            Err(Error::unsupported(
                capability.as_str(),
                format!("the {} backend has no such verb", self.backend),
            ))
        }
    }
}
