//! Memories that the graph proposes to a search.

use std::time::Duration;

use cml_core::{MemoryId, Scope, ops::Channel};

use super::Graph;
use crate::store::Near;

/// Longest wait for the graph in a read.
const DEADLINE: Duration = Duration::from_millis(50);

/// Relations followed, neighbours of each entity, memories proposed.
const HOPS: u8 = 2;
const FAN_OUT: usize = 10;
const MOST: usize = 100;

/// What the graph proposes; it never scores.
#[derive(Debug, Clone, Default)]
pub(in crate::engine) struct Proposal {
    pub(in crate::engine) memories: Vec<MemoryId>,
    pub(in crate::engine) channel: Option<Channel>,
}

impl Graph {
    /// Memories near to the entities of these names. A failure, or an answer that comes too late, proposes
    /// nothing and is noted.
    pub(in crate::engine) async fn propose(&self, scope: &Scope, names: Vec<String>) -> Proposal {
        if names.is_empty() {
            return Proposal::default();
        }
        let near = Near { names, hops: HOPS, fan_out: FAN_OUT, limit: MOST };
        let (memories, error) = match tokio::time::timeout(DEADLINE, self.near(scope, &near)).await {
            Ok(Ok(found)) => (found.into_iter().map(|near| near.id).collect(), None),
            Ok(Err(error)) => (Vec::new(), Some(error.message().to_owned())),
            Err(_) => (Vec::new(), Some("no answer in time".to_owned())),
        };
        let channel = Channel { name: "graph".to_owned(), candidates: memories.len(), error };
        Proposal { memories, channel: Some(channel) }
    }
}
