//! Connections: accepted, bounded in their silence, and ended together.

use std::{io::ErrorKind, net::SocketAddr, pin::pin, time::Duration};

use axum::{Router, extract::ConnectInfo};
use hyper_util::{
    rt::{TokioExecutor, TokioIo, TokioTimer},
    server::conn::auto,
    service::TowerToHyperService,
};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::watch,
    task::JoinSet,
    time::{sleep, timeout},
};
use tower_http::add_extension::AddExtension;

/// How long a client may take for the headers of a request, its first or the next on its connection.
const HEADERS: Duration = Duration::from_secs(30);
/// How often a quiet HTTP/2 client is asked whether it is there, and how long it may take to say so.
const PING: Duration = Duration::from_secs(30);
const PONG: Duration = Duration::from_secs(20);
/// What a connection of HTTP/2 begins with.
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
/// How long to wait for the rest of a preface.
const REST: Duration = Duration::from_millis(10);
/// How long to wait after a connection could not be accepted, for want of file descriptors mostly.
const RECOVERY: Duration = Duration::from_secs(1);

/// Serves until `shutdown` resolves and the requests in flight are answered. Who drops it cuts them.
pub(crate) async fn serve(listener: TcpListener, router: Router, shutdown: impl Future<Output = ()>) {
    let mut shutdown = pin!(shutdown);
    let (stop, stopping) = watch::channel(());
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((stream, address)) => {
                    connections.spawn(connection(stream, address, router.clone(), stopping.clone()));
                }
                Err(error) if is_of_one_connection(error.kind()) => {}
                Err(error) => {
                    tracing::error!(%error, "no connection can be accepted");
                    sleep(RECOVERY).await;
                }
            },
            Some(_ended) = connections.join_next() => {}
            () = &mut shutdown => break,
        }
    }
    drop((listener, stop));
    while connections.join_next().await.is_some() {}
}

async fn connection(
    stream: TcpStream,
    address: SocketAddr,
    router: Router,
    mut stopping: watch::Receiver<()>,
) {
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%error, "a connection keeps its delay");
    }
    let begun = tokio::select! {
        begun = timeout(HEADERS, begins(&stream)) => begun.unwrap_or(false),
        _stopped = stopping.changed() => false,
    };
    if !begun {
        return;
    }
    let mut builder = auto::Builder::new(TokioExecutor::new());
    builder.http1().timer(TokioTimer::new()).header_read_timeout(HEADERS);
    builder.http2().timer(TokioTimer::new()).keep_alive_interval(PING).keep_alive_timeout(PONG);
    let service = TowerToHyperService::new(AddExtension::new(router, ConnectInfo(address)));
    let mut serving = pin!(builder.serve_connection(TokioIo::new(stream), service));
    let served = tokio::select! {
        served = serving.as_mut() => served,
        _stopped = stopping.changed() => {
            serving.as_mut().graceful_shutdown();
            serving.await
        }
    };
    if let Err(error) = served {
        tracing::debug!(error, "a connection broke");
    }
}

/// Whether the client says enough to tell its protocol: hyper would wait for that without a limit.
async fn begins(stream: &TcpStream) -> bool {
    let mut first = [0; PREFACE.len()];
    loop {
        match stream.peek(&mut first).await {
            Ok(0) | Err(_) => return false,
            Ok(length) if length == first.len() || !PREFACE.starts_with(&first[..length]) => return true,
            Ok(_) => sleep(REST).await,
        }
    }
}

fn is_of_one_connection(kind: ErrorKind) -> bool {
    matches!(kind, ErrorKind::ConnectionRefused | ErrorKind::ConnectionAborted | ErrorKind::ConnectionReset)
}
