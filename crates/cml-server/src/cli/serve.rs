//! `cml serve`.

use std::{
    fs,
    io::{self, Write as _},
    net::SocketAddr,
    path::Path,
};

use clap::Args;
use cml::{
    Error, ErrorKind, Result,
    config::{Mode, SecretString},
    scope::DEFAULT_TENANT,
};
use cml_server::{Keys, Server};
use tokio::signal;

use super::{
    exit::Done,
    keys,
    log::LogFormat,
    setup::{KEPT_KEYS, Setup},
};

/// The first line on stdout is `listening on http://ADDRESS:PORT`. A key that was made because
/// none is configured is printed on stderr, once.
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
            return Err(error.with_suggestion("use --mode lite, standard or full, or --db PATH").into());
        }
        setup.prepare()?;
        let (keys, made) = keys(&setup)?;
        let backend = cml::connect::backend(config).await?;
        let server = Server::new(backend.clone(), config, keys)?;
        let bound = server.bind(self.listen.unwrap_or(config.server.listen)).await?;
        // Signals are caught before anybody is told that the server is there.
        let shutdown = shutdown()?;
        let address = bound.address();
        writeln!(io::stdout(), "listening on http://{address}")?;
        if let Some(key) = made {
            introduce(address, key.expose(), setup.own_folder.as_deref());
        }
        let served = bound.run(shutdown).await;
        let closed = backend.close().await;
        served?;
        Ok(closed?)
    }
}

/// The configured keys, or a fresh one. Beside the command's own file its hash is kept, so that it is made
/// once; a server of any other file gets one for this run.
fn keys(setup: &Setup) -> Result<(Keys, Option<SecretString>)> {
    let keys = Keys::from_config(&setup.config)?;
    if !keys.is_empty() {
        return Ok((keys, None));
    }
    let (keys, key) = Keys::generate();
    if let Some(folder) = &setup.own_folder {
        keep(&folder.join(KEPT_KEYS), &key)?;
    }
    Ok((keys, Some(key)))
}

fn keep(file: &Path, key: &SecretString) -> Result<()> {
    let table = keys::table(key.expose(), DEFAULT_TENANT, true);
    fs::write(file, format!("# made by the first `cml serve`\n{table}\n")).map_err(|error| {
        Error::new(ErrorKind::Config, format!("the key cannot be kept in {}", file.display()))
            .with_suggestion("set CML_ADMIN_API_KEY, CML_API_KEY or CML_KEYS_FILE")
            .with_source(error)
    })
}

fn introduce(address: SocketAddr, key: &str, kept: Option<&Path>) {
    let (span, advice) = match kept {
        Some(folder) => {
            let file = folder.join(KEPT_KEYS);
            (
                "for this and later runs, and is not shown again",
                format!("remove {} to have another one made", file.display()),
            )
        }
        None => (
            "for this run",
            "set CML_ADMIN_API_KEY, CML_API_KEY or CML_KEYS_FILE to have keys of your own".to_owned(),
        ),
    };
    // Nobody is left to tell when stderr is gone.
    let _gone = writeln!(
        io::stderr(),
        "no keys are configured; this admin key was made {span}:\n  {key}\n\
         send it as the header X-API-Key, or use it with\n  \
         CML_API_KEY={key} cml --url http://{address} stats\n{advice}"
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
