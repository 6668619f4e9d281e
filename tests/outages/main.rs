//! Servers that die, are away or refuse while memories are written, read and forgotten.
//!
//! The tests start servers of their own with `scripts/services`, and kill them. Where a server cannot be had,
//! the tests that need it say so and are not run. The program also runs itself as another process, see
//! `child.rs`.

mod child;
mod disk;
mod full;
mod killed;
mod ledger;
mod load;
#[path = "../support/modes.rs"]
mod modes;
#[path = "../support/patience.rs"]
mod patience;
mod postgres;
mod proxy;
mod refusals;
mod servers;

use std::{process::ExitCode, sync::Arc};

use cml::config::Mode;
use futures_util::future::LocalBoxFuture;
use libtest_mimic::{Arguments, Completion, Failed, Trial};
use tokio::runtime::{Builder, Handle};

use crate::servers::Servers;

type TestResult<T = ()> = Result<T, Failed>;

/// A test.
struct Test {
    name: &'static str,
    /// The mode whose services it needs.
    mode: Mode,
    run: for<'s> fn(&'s Servers) -> LocalBoxFuture<'s, TestResult>,
}

/// Lists tests by the names of their functions.
macro_rules! tests {
    ($($mode:ident: $module:ident::$name:ident,)*) => {
        &[$(Test {
            name: stringify!($name),
            mode: Mode::$mode,
            run: |servers| Box::pin($module::$name(servers)),
        }),*]
    };
}

const TESTS: &[Test] = tests![
    Standard: postgres::two_processes_see_each_others_writes,
    Standard: postgres::what_was_acknowledged_survives_the_death_of_postgres,
    Standard: postgres::cut_connections_lose_and_double_nothing,
    Standard: postgres::connections_that_the_server_ends_lose_and_double_nothing,
    Standard: postgres::a_full_pool_refuses_and_recovers,
    Standard: refusals::without_postgres_no_mode_opens,
    Standard: refusals::each_remedy_leads_on_until_the_database_will_do,
    Standard: refusals::vectors_of_another_size_are_refused,
    Standard: disk::a_full_disk_leaves_nothing_half_done,
    Full: full::without_redis_everything_goes_on,
    Full: full::without_neo4j_everything_goes_on,
    Full: full::both_may_be_away_at_the_start,
    Full: killed::a_process_that_dies_leaves_nothing_unprojected,
];

fn main() -> Result<ExitCode, Failed> {
    let runtime = Builder::new_multi_thread().worker_threads(4).enable_all().build()?;
    if let Some(role) = child::role() {
        runtime.block_on(child::run(&role))?;
        return Ok(ExitCode::SUCCESS);
    }
    let mut arguments = Arguments::from_args();
    // They kill the servers of each other.
    arguments.test_threads = Some(1);
    let servers = Arc::new(if arguments.list { Servers::none() } else { Servers::start() });
    let trials = TESTS.iter().map(|test| trial(runtime.handle(), &servers, test)).collect();
    let conclusion = libtest_mimic::run(&arguments, trials);
    drop(servers);
    Ok(conclusion.exit_code())
}

fn trial(runtime: &Handle, servers: &Arc<Servers>, test: &'static Test) -> Trial {
    let (runtime, servers) = (runtime.clone(), Arc::clone(servers));
    Trial::ignorable_test(test.name, move || {
        if let Err(missing) = servers.config(test.mode, "none") {
            return Ok(Completion::ignored_with(format!("NOT RUN: no server for {missing}")));
        }
        runtime.block_on((test.run)(&servers)).map(|()| Completion::Completed)
    })
}
