//! The routes of administration, below `/dashboard` and `/admin`. All of them need an administrative key.

mod bulk;
mod components;
mod config;
mod detail;
mod events;
mod evidence;
mod export;
mod facts;
mod graph;
mod jobs;
mod labile;
mod lineage;
mod maintenance;
mod memories;
mod outcome;
mod overview;
mod quality;
mod reset;
mod retrieval;
mod scopes;
mod sessions;
mod tally;
mod tenants;
mod timeline;
mod traffic;
mod walk;

use super::{Doc, Routes, memory::in_query};

/// Every route of administration.
pub(crate) fn routes() -> Routes {
    [
        tenants::routes(),
        components::routes(),
        overview::routes(),
        timeline::routes(),
        memories::routes(),
        detail::routes(),
        lineage::routes(),
        bulk::routes(),
        export::routes(),
        facts::routes(),
        evidence::routes(),
        events::routes(),
        sessions::routes(),
        traffic::routes(),
        graph::routes(),
        config::routes(),
        retrieval::routes(),
        maintenance::routes(),
        labile::routes(),
        jobs::routes(),
        quality::routes(),
        reset::routes(),
    ]
    .into_iter()
    .fold(Routes::new(), Routes::merge)
}

/// What OpenAPI says of a route.
fn doc(summary: &'static str) -> Doc {
    Doc::new(summary).admin().tag("dashboard")
}

/// `text`, or none where it is empty.
fn some(text: String) -> Option<String> {
    Some(text).filter(|text| !text.is_empty())
}

/// Number of pages, at least 1.
fn page_count(total: u64, per_page: usize) -> u64 {
    total.div_ceil(per_page.max(1) as u64).max(1)
}
