//! `cml serve`.

use std::{
    io::{self, Write as _},
    net::SocketAddr,
};

use clap::Args;
use cml::{Error, ErrorKind, Result, config::Mode};
use cml_server::{Keys, Server};
use tokio::signal;

use super::{exit::Done, log::LogFormat, setup::Setup};

/// The first line on stdout is `listening on http://ADDRESS:PORT`. A key that was made for this run is
/// printed on stderr.
#[derive(Debug, Args)]
pub(crate) struct Serve {
    /// Address and port; port 0 picks a free one [default: 127.0.0.1:8000] [env: CML_LISTEN]
    #[arg(long, value_name = "ADDRESS:PORT")]
    listen: Option<SocketAddr>,
    /// How log lines on stderr look
    #[arg(long, value_enum, default_value = "text", value_name = "FORMAT")]
    pub(crate) log_format: LogFormat,
}

impl Serve {
    pub(crate) async fn run(self, setup: Setup) -> Done {
        let config = &setup.config;
        if config.mode == Mode::Http {
            let error = Error::new(ErrorKind::Config, "mode: a server keeps memories itself, so not http");
            return Err(error.with_suggestion("use --mode lite, or --db PATH").into());
        }
        let (keys, made) = keys(config)?;
        setup.prepare()?;
        let backend = cml::connect::backend(config).await?;
        let server = Server::new(backend.clone(), config, keys)?;
        let bound = server.bind(self.listen.unwrap_or(config.server.listen)).await?;
        // Signals are caught before anybody is told that the server is there.
        let shutdown = shutdown()?;
        let address = bound.address();
        writeln!(io::stdout(), "listening on http://{address}")?;
        if let Some(key) = made {
            introduce(address, key.expose());
        }
        let served = bound.run(shutdown).await;
        let closed = backend.close().await;
        served?;
        Ok(closed?)
    }
}

/// The configured keys, or one made for this run.
fn keys(config: &cml::Config) -> Result<(Keys, Option<cml::config::SecretString>)> {
    let keys = Keys::from_config(config)?;
    if !keys.is_empty() {
        return Ok((keys, None));
    }
    let (keys, key) = Keys::generate();
    Ok((keys, Some(key)))
}

fn introduce(address: SocketAddr, key: &str) {
    // Nobody is left to tell when stderr is gone.
    let _gone = writeln!(
        io::stderr(),
        "no keys are configured; this admin key was made for this run:\n  {key}\n\
         send it as the header X-API-Key, or use it with\n  \
         CML_API_KEY={key} cml --url http://{address} stats\n\
         set CML_ADMIN_API_KEY, CML_API_KEY or CML_KEYS_FILE to have keys of your own"
    );
}

/// Ends with the first signal to stop.
#[cfg(unix)]
fn shutdown() -> Result<impl Future<Output = ()> + Send + 'static> {
    use signal::unix::{SignalKind, signal};
    let failed = |error| Error::new(ErrorKind::Unavailable, "signals cannot be caught").with_source(error);
    let mut interrupt = signal(SignalKind::interrupt()).map_err(failed)?;
    let mut terminate = signal(SignalKind::terminate()).map_err(failed)?;
    Ok(async move {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
    })
}

/// Ends with the first signal to stop.
#[cfg(not(unix))]
fn shutdown() -> Result<impl Future<Output = ()> + Send + 'static> {
    Ok(async {
        // Without the signal the process ends by other means.
        let _uncaught = signal::ctrl_c().await;
    })
}
