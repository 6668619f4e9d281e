//! `cml graph`.

use std::{collections::HashMap, fmt::Write as _};

use clap::Subcommand;
use cml::{
    EntityId, Memory,
    ops::{ExploreGraph, GraphEdge, GraphNode, GraphRepair, GraphStats, GraphSync, SearchEntities, Subgraph},
};
use serde_json::json;

use super::{exit::Done, output::Output};

#[derive(Debug, Subcommand)]
pub(crate) enum Graph {
    /// Counts entities and relations
    Stats,
    /// The best connected entities and what relates them
    Overview {
        /// Most entities, 1 to 1000
        #[arg(long, short = 'n', value_name = "N", default_value_t = 100)]
        limit: usize,
    },
    /// What is around an entity
    Explore {
        /// Its name, in any case
        name: String,
        /// Steps from it, 1 to 5
        #[arg(long, value_name = "N", default_value_t = 2)]
        depth: u8,
        /// Most entities, 1 to 1000
        #[arg(long, short = 'n', value_name = "N", default_value_t = 200)]
        limit: usize,
    },
    /// Entities by a part of their name
    Search {
        /// The part, in any case
        text: String,
        /// Most entities, 1 to 100
        #[arg(long, short = 'n', value_name = "N", default_value_t = 25)]
        limit: usize,
    },
    /// How far the graph is behind the memories
    Sync,
    /// Tries again what the graph failed to take too often
    Replay,
    /// Makes the tenant's graph anew from its memories, in the background
    Rebuild,
    /// Compares the tenant's graph with its memories and mends what differs
    Repair,
}

impl Graph {
    pub(crate) async fn run(self, memory: &Memory, output: &Output) -> Done {
        let graph = memory.graph();
        match self {
            Self::Stats => {
                let stats = graph.stats().await?;
                output.answer(&stats, || counts(&stats))
            }
            Self::Overview { limit } => {
                let part = graph.overview(limit).await?;
                output.answer(&part, || drawn(&part))
            }
            Self::Explore { name, depth, limit } => {
                let request = ExploreGraph::new(name).with_depth(depth).with_limit(limit);
                let part = graph.explore(request).await?;
                output.answer(&part, || drawn(&part))
            }
            Self::Search { text, limit } => {
                let found = graph.search(SearchEntities::new(text).with_limit(limit)).await?;
                output.answer(&json!({ "results": found }), || lines(&found, node))
            }
            Self::Sync => {
                let sync = graph.sync().await?;
                output.answer(&sync, || behind(&sync))
            }
            Self::Replay => {
                let replayed = graph.replay().await?;
                output.answer(&json!({ "replayed": replayed }), || {
                    format!("{replayed} changes are tried again")
                })
            }
            Self::Rebuild => {
                graph.rebuild().await?;
                output.answer(&json!({ "started": true }), || {
                    "begun; `cml graph sync` says how much is left".to_owned()
                })
            }
            Self::Repair => {
                let repair = graph.repair().await?;
                output.answer(&repair, || mended(&repair))
            }
        }
    }
}

fn counts(stats: &GraphStats) -> String {
    let mut text = format!("{} entities, {} relations", stats.nodes, stats.edges);
    for (kind, count) in &stats.entity_types {
        // Writing into a string cannot fail.
        let _written = write!(text, "\n  {kind:<16} {count}");
    }
    text
}

fn drawn(part: &Subgraph) -> String {
    let names: HashMap<_, _> = part.nodes.iter().map(|node| (node.id, node.entity.as_str())).collect();
    let name = |id: &EntityId| names.get(id).copied().unwrap_or("?");
    let edge = |edge: &GraphEdge| {
        let GraphEdge { source, target, predicate, confidence, .. } = edge;
        format!("  {} -- {predicate} -> {}  {:.2}", name(source), name(target), confidence.get())
    };
    [lines(&part.nodes, node), lines(&part.edges, edge)].join("\n").trim_end().to_owned()
}

fn node(node: &GraphNode) -> String {
    let mentions = node.properties.get("mentions").map(|count| format!(", mentions: {count}"));
    format!("{}  {}{}", node.entity, node.entity_type, mentions.unwrap_or_default())
}

fn lines<T>(items: &[T], line: impl Fn(&T) -> String) -> String {
    items.iter().map(line).collect::<Vec<_>>().join("\n")
}

fn behind(sync: &GraphSync) -> String {
    let GraphSync { kept_in, pending, dead, oldest_pending_at, error, .. } = sync;
    let since = oldest_pending_at.map(|at| format!(" since {}", at.to_rfc3339())).unwrap_or_default();
    let error = error.as_ref().map(|error| format!("\nlast failure: {error}")).unwrap_or_default();
    format!("kept in {kept_in}: {pending} changes wait{since}, {dead} failed too often{error}")
}

fn mended(repair: &GraphRepair) -> String {
    let GraphRepair { checked, orphans, missing, different, .. } = repair;
    format!("{checked} nodes compared; mended: {orphans} orphans, {missing} missing, {different} different")
}
