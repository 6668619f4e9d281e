//! The verbs: what is asked and what is answered, side by side.

mod admin;
mod erase;
mod facts;
mod forget;
mod graph;
mod health;
mod list;
mod maintain;
mod read;
mod session;
mod stats;
mod transfer;
mod turn;
mod update;
mod write;

pub use admin::TenantSummary;
pub use erase::{EraseRequest, EraseResponse};
pub use facts::{FactList, ListFacts};
pub use forget::{ForgetAction, ForgetRequest, ForgetResponse};
pub use graph::{
    ExploreGraph, GraphEdge, GraphNode, GraphRepair, GraphStats, GraphSync, MAX_DEPTH, MAX_NODES,
    MENTIONED_WITH, SearchEntities, Subgraph,
};
pub use health::{Component, ComponentStatus, Health};
pub use list::{At, GetRequest, ListOrder, ListPage, ListRequest, OrderBy};
pub use maintain::{EventPage, LabileSession, LabileStatus, ListEvents, ListJobs, ReembedProgress};
pub use read::{
    Channel, DEFAULT_CONTEXT_TOKENS, MAX_RESULTS, ReadFormat, ReadRequest, ReadResponse, RetrievalMeta,
    Sufficiency,
};
pub use session::{CreateSession, MessagePage, SessionContext};
pub use stats::Stats;
pub use transfer::{
    Edge, EmbeddingRow, Entity, ExportHeader, ExportLine, ExportOptions, ExportTrailer, FORMAT_NAME,
    FORMAT_VERSION, FactVersion, ImportReport, Mention,
};
pub use turn::{TurnRequest, TurnResponse};
pub use update::{Feedback, UpdateRequest, UpdateResponse};
pub use write::{
    Enrich, Extract, MAX_CONTENT_CHARS, MAX_METADATA_BYTES, WriteOutcome, WriteRequest, WriteResponse,
};

use crate::{Error, Result};

/// Collects the field errors of a request, so that one answer names all of them.
#[derive(Default)]
struct Checks(Vec<Error>);

impl Checks {
    fn require(&mut self, holds: bool, field: &str, message: impl Into<String>) {
        if !holds {
            self.0.push(Error::invalid(field, message));
        }
    }

    fn add(&mut self, result: Result<()>) {
        self.0.extend(result.err());
    }

    fn id(&mut self, field: &str, id: Option<&String>) {
        if let Some(id) = id {
            self.add(crate::scope::check_id(field, id, crate::scope::MAX_ID_CHARS));
        }
    }

    fn zone(&mut self, name: Option<&String>) {
        if let Some(name) = name {
            self.add(crate::time::zone(name).map(|_zone| ()));
        }
    }

    fn finish(self) -> Result<()> {
        Error::join(self.0).map_or(Ok(()), Err)
    }
}

/// Consuming setters of a request: `=> field: some <T>` wraps the value, `=> field: <T>` takes it.
macro_rules! setters {
    ($($(#[$doc:meta])* $name:ident => $field:ident: $($kind:ident)? <$type:ty>;)*) => {$(
        $(#[$doc])*
        #[must_use]
        pub fn $name(mut self, value: impl Into<$type>) -> Self {
            self.$field = $crate::ops::setters!(@wrap value.into() $(, $kind)?);
            self
        }
    )*};
    (@wrap $value:expr, some) => { Some($value) };
    (@wrap $value:expr) => { $value };
}
use setters;
