//! The conformance suite: what every backend must do, one file per subject, one case per sentence.
//!
//! `cargo test --test conformance` runs it on every backend of
//! `backends.rs`; `-- lite-file::forget` runs one subject on one of them.

mod backends;
mod case;
mod ctx;
#[path = "../support/modes.rs"]
mod modes;
mod texts;

mod batch;
mod chunks;
mod concurrency;
mod constraints;
mod dedup_and_keys;
mod erase;
mod errors;
mod events;
mod facts;
mod filters;
mod forget;
mod gate;
mod get_list;
mod graph;
mod idempotency;
mod import;
mod kinds_and_dates;
mod lifecycle;
mod packet;
mod read;
mod relevance;
mod scope_isolation;
mod sessions;
mod stats_health;
mod stream;
mod supersession;
mod time_and_speakers;
mod transfer;
mod turn;
mod update;
mod write;

use std::{error::Error, process::ExitCode, sync::Arc};

use libtest_mimic::{Arguments, Completion, Trial};
use tokio::runtime::{Handle, Runtime};

use crate::{backends::Place, case::Case, ctx::Ctx};

const SUBJECTS: &[(&str, &[Case])] = &[
    ("scope_isolation", scope_isolation::CASES),
    ("write", write::CASES),
    ("gate", gate::CASES),
    ("gate", gate::ANOTHER),
    ("chunks", chunks::CASES),
    ("kinds_and_dates", kinds_and_dates::CASES),
    ("facts", facts::CASES),
    ("supersession", supersession::CASES),
    ("dedup_and_keys", dedup_and_keys::CASES),
    ("idempotency", idempotency::CASES),
    ("batch", batch::CASES),
    ("read", read::CASES),
    ("filters", filters::CASES),
    ("relevance", relevance::CASES),
    ("constraints", constraints::CASES),
    ("time_and_speakers", time_and_speakers::CASES),
    ("packet", packet::CASES),
    ("stream", stream::CASES),
    ("turn", turn::CASES),
    ("get_list", get_list::CASES),
    ("sessions", sessions::CASES),
    ("stats_health", stats_health::CASES),
    ("events", events::CASES),
    ("update", update::CASES),
    ("graph", graph::CASES),
    ("forget", forget::CASES),
    ("erase", erase::CASES),
    ("transfer", transfer::CASES),
    ("import", import::CASES),
    ("errors", errors::CASES),
    ("concurrency", concurrency::CASES),
    ("lifecycle", lifecycle::CASES),
    ("lifecycle", lifecycle::REOPENING),
];

fn main() -> Result<ExitCode, Box<dyn Error>> {
    let arguments = Arguments::from_args();
    let runtime = Runtime::new()?;
    let places = runtime.block_on(backends::open_all())?;
    let mut trials = Vec::new();
    for place in &places {
        for (subject, cases) in SUBJECTS {
            trials.extend(cases.iter().map(|case| trial(runtime.handle(), place, subject, case)));
        }
    }
    let conclusion = libtest_mimic::run(&arguments, trials);
    for place in &places {
        runtime.block_on(place.backend.close())?;
    }
    Ok(conclusion.exit_code())
}

fn trial(runtime: &Handle, place: &Arc<Place>, subject: &str, case: &'static Case) -> Trial {
    let (runtime, place) = (runtime.clone(), Arc::clone(place));
    let name = format!("{}::{subject}::{}", place.name, case.name);
    Trial::ignorable_test(name, move || {
        if let Some(reason) = case.skip_reason(&place) {
            return Ok(Completion::ignored_with(reason));
        }
        let ctx = Ctx::new(place)?;
        runtime.block_on((case.run)(&ctx)).map(|()| Completion::Completed)
    })
}
