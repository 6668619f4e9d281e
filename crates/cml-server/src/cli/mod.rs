//! The command: arguments, the memory that they mean, one verb each.

mod args;
mod doctor;
mod exit;
mod facts;
mod forget;
mod graph;
mod input;
mod keys;
mod log;
mod maintenance;
mod output;
mod parse;
mod read;
mod records;
mod serve;
mod sessions;
mod setup;
mod transfer;
mod turn;
mod write;

use std::process::ExitCode;

use clap::{CommandFactory as _, Parser as _};
use cml::{Error, ErrorKind, Memory};

use self::{
    args::{Cli, Command},
    exit::{Done, Failure},
    output::Output,
    setup::Setup,
};

/// Runs the command of this process.
pub(crate) fn run() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            // Nobody is left to tell when the terminal is gone.
            let _gone = error.print();
            return exit::code(error.exit_code());
        }
    };
    let output = Output::new(&cli.global);
    let verbose = cli.global.verbose > 0;
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            let error = Error::new(ErrorKind::Unavailable, "no thread could be started").with_source(error);
            return exit::report(&output, verbose, Err(error.into()));
        }
    };
    let done = runtime.block_on(dispatch(cli, &output));
    // A thread may still wait for standard input.
    runtime.shutdown_background();
    exit::report(&output, verbose, done)
}

async fn dispatch(cli: Cli, output: &Output) -> Done {
    let Cli { global, command } = cli;
    log::start(&global, &command);
    match command {
        Command::Completions(arguments) => arguments.run(&mut Cli::command(), output),
        Command::HashKey(arguments) => arguments.run(&global, output).await,
        Command::Doctor(arguments) => arguments.run(&global, output).await,
        Command::Serve(arguments) => arguments.run(Setup::new(&global)?).await,
        Command::Migrate(arguments) => arguments.run(&Setup::new(&global)?, output).await,
        command => {
            let memory = Setup::new(&global)?.open().await?;
            let done = verb(command, &memory, output).await;
            let closed = memory.close().await;
            done?;
            Ok(closed?)
        }
    }
}

async fn verb(command: Command, memory: &Memory, output: &Output) -> Done {
    match command {
        Command::Write(arguments) => arguments.run(memory, output).await,
        Command::Read(arguments) => arguments.run(memory, output).await,
        Command::Turn(arguments) => arguments.run(memory, output).await,
        Command::Get(arguments) => arguments.run(memory, output).await,
        Command::List(arguments) => arguments.run(memory, output).await,
        Command::Update(arguments) => arguments.run(memory, output).await,
        Command::Forget(arguments) => arguments.run(memory, output).await,
        Command::Erase(arguments) => arguments.run(memory, output).await,
        Command::Stats => maintenance::stats(memory, output).await,
        Command::Health => maintenance::health(memory, output).await,
        Command::Tenants => maintenance::tenants(memory, output).await,
        Command::Events(arguments) => arguments.run(memory, output).await,
        Command::Jobs(command) => command.run(memory, output).await,
        Command::Sessions(command) => command.run(memory, output).await,
        Command::Facts(command) => command.run(memory, output).await,
        Command::Graph(command) => command.run(memory, output).await,
        Command::Export(arguments) => arguments.run(memory, output).await,
        Command::Import(arguments) => arguments.run(memory, output).await,
        _ => Err(Failure::from(Error::new(ErrorKind::Internal, "the verb needs no memory"))),
    }
}
