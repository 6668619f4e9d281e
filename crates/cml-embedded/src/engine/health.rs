//! How the engine's own parts do.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use cml_core::Result;
use serde_json::Value;

use super::Engine;

impl Engine {
    /// The present instant by the engine's clock.
    #[must_use]
    pub fn now(&self) -> DateTime<Utc> {
        self.clock.now()
    }

    /// Embeds a word, and says with which model.
    ///
    /// # Errors
    /// As the embedder fails.
    pub async fn probe_embedder(&self) -> Result<BTreeMap<String, Value>> {
        let serving = self.generation.get();
        serving.embeddings(&["memory"]).await?;
        let model = serving.model();
        Ok(BTreeMap::from([
            ("model".to_owned(), model.name.clone().into()),
            ("dimensions".to_owned(), model.dimensions.into()),
        ]))
    }

    /// How many tenants have an index in memory, and how large they are.
    #[must_use]
    pub fn index_details(&self) -> BTreeMap<String, Value> {
        let (bytes, tenants) = self.indexes.memory();
        BTreeMap::from([("bytes".to_owned(), bytes.into()), ("tenants".to_owned(), tenants.into())])
    }
}
