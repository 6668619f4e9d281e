//! Moving memories from every kind of backend to every other: the target exports what the source did, line
//! for line.
//!
//! The rows are those of `source.rs`: ten thousand memories with everything that hangs on them. Each place
//! gets them once; then each place's export goes into an empty tenant of each other place. Where the graph is
//! kept in a database of its own, it is compared with the tables afterwards.
//!
//! `cargo test --test migration -- standard-to-full` runs one pair.

mod lines;
#[path = "../support/modes.rs"]
mod modes;
#[path = "../support/patience.rs"]
mod patience;
mod places;
mod source;

use std::{process::ExitCode, sync::Arc};

use cml::Scope;
use libtest_mimic::{Arguments, Failed, Trial};
use tokio::{
    runtime::{Handle, Runtime},
    sync::OnceCell,
};

use crate::{lines::Lines, places::Place};

type TestResult<T = ()> = Result<T, Failed>;

/// A place, and what it exports when it holds the rows of the source.
struct Home {
    place: Place,
    exported: OnceCell<Lines>,
}

fn main() -> TestResult<ExitCode> {
    let arguments = Arguments::from_args();
    let runtime = Runtime::new()?;
    let homes: Vec<Arc<Home>> = runtime
        .block_on(places::open_all())?
        .into_iter()
        .map(|place| Arc::new(Home { place, exported: OnceCell::new() }))
        .collect();
    let source: Arc<OnceCell<Lines>> = Arc::default();
    let mut trials = Vec::new();
    for from in &homes {
        for to in homes.iter().filter(|to| to.place.name != from.place.name) {
            trials.push(trial(runtime.handle(), &source, from, to));
        }
    }
    let conclusion = libtest_mimic::run(&arguments, trials);
    for home in &homes {
        runtime.block_on(home.place.backend.close())?;
    }
    Ok(conclusion.exit_code())
}

fn trial(runtime: &Handle, source: &Arc<OnceCell<Lines>>, from: &Arc<Home>, to: &Arc<Home>) -> Trial {
    let (runtime, source) = (runtime.clone(), Arc::clone(source));
    let (from, to) = (Arc::clone(from), Arc::clone(to));
    Trial::test(format!("{}-to-{}", from.place.name, to.place.name), move || {
        runtime.block_on(async {
            let source = source.get_or_try_init(source::lines).await?;
            let exported = from.exported.get_or_try_init(|| home(&from.place, source)).await?;
            moved(&to.place, exported).await.map(drop)
        })
    })
}

/// What a place exports that was given the rows of the source.
async fn home(place: &Place, source: &Lines) -> TestResult<Lines> {
    moved(place, source).await.map_err(|failed| {
        let message = failed.message().unwrap_or("no message");
        Failed::from(format!("{} cannot take the rows of the source: {message}", place.name))
    })
}

/// Puts an export into an empty tenant of a place, and checks that the tenant exports the same.
async fn moved(place: &Place, exported: &Lines) -> TestResult<Lines> {
    let scope = Scope::new(format!("moved-{}", cml::MemoryId::new()))?;
    let transfer = place.backend.transfer()?;
    let report = transfer.import(&scope, exported.stream()).await?;
    assert_eq!((report.skipped.len(), report.losses.len()), (0, 0), "{report:?}");
    assert_eq!(report.imported.values().sum::<u64>(), exported.rows().len() as u64);
    let again = Lines::of(&scope, transfer.export(&scope, Default::default()).await?).await?;
    again.check_equal(exported)?;
    if place.has_graph_database {
        let found = patience::graph_follows(place.backend.as_ref(), &scope).await?;
        assert!(found.checked > source::RECORDS as u64, "{found:?}");
    }
    Ok(again)
}
