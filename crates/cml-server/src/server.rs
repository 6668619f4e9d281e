//! Building, binding and running the server.

use std::{fmt, net::SocketAddr, sync::Arc, time::Duration};

use axum::{
    Router,
    http::{HeaderName, HeaderValue, Method, StatusCode, Uri, header},
    middleware::from_fn_with_state,
    response::{IntoResponse as _, Response},
};
use cml_core::{Config, Error, ErrorKind, MemoryBackend, Result, wire};
use tokio::{net::TcpListener, sync::oneshot};
use tower_http::{
    CompressionLevel,
    catch_panic::CatchPanicLayer,
    compression::{
        CompressionLayer,
        predicate::{NotForContentType, Predicate as _, SizeAbove},
    },
    cors::CorsLayer,
};

use crate::{app::App, connections, error::Failure, keys::Keys, observe::observe, routes};

/// Answers below this size are not compressed.
const COMPRESS_ABOVE: u16 = 1024;
/// How often samples are moved into their buckets.
const UPKEEP: Duration = Duration::from_secs(5);
/// How long requests in flight may take beyond the longest request, once the server shuts down.
const GRACE: Duration = Duration::from_secs(5);

/// A server that listens to nobody yet.
pub struct Server {
    app: App,
    router: Router,
}

/// A server with an address.
#[derive(Debug)]
pub struct Bound {
    server: Server,
    listener: TcpListener,
    address: SocketAddr,
}

impl Server {
    /// A server over `backend` that accepts `keys`. Without a key it refuses everything that needs one.
    ///
    /// # Errors
    /// `Config` naming a web origin that cannot stand in a header.
    pub fn new(backend: Arc<dyn MemoryBackend>, config: &Config, keys: Keys) -> Result<Self> {
        let routes = routes::all();
        let app = App::new(backend, config, keys, &routes);
        let mut router = routes
            .router(&app)
            .fallback(unknown_route)
            .method_not_allowed_fallback(unknown_method)
            .with_state(app.clone())
            .layer(CatchPanicLayer::custom(panicked));
        if let Some(cors) = cors(&config.server.cors_origins)? {
            router = router.layer(cors);
        }
        let router = router.layer(from_fn_with_state(app.clone(), observe)).layer(
            CompressionLayer::new().quality(CompressionLevel::Fastest).compress_when(
                SizeAbove::new(COMPRESS_ABOVE).and(NotForContentType::const_new("text/event-stream")),
            ),
        );
        Ok(Self { app, router })
    }

    /// Takes the address; connections wait from now on. Port 0 picks a free port.
    ///
    /// # Errors
    /// `Config` when the address is taken or not allowed.
    pub async fn bind(self, listen: SocketAddr) -> Result<Bound> {
        let failed = |error: std::io::Error| {
            Error::new(ErrorKind::Config, format!("cannot listen on {listen}: {error}"))
                .with_suggestion("set server.listen (CML_LISTEN) to a free address and port")
                .with_source(error)
        };
        let listener = TcpListener::bind(listen).await.map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        Ok(Bound { server: self, listener, address })
    }
}

impl Bound {
    /// The address that the server listens on.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Serves until `shutdown` resolves; then takes no more connections, finishes the requests in
    /// flight and returns. Requests that go on for longer than the longest request are cut. The backend
    /// stays open.
    ///
    /// # Errors
    /// None at present: where no connection can be accepted, it is tried again.
    pub async fn run(self, shutdown: impl Future<Output = ()> + Send + 'static) -> Result<()> {
        let Server { app, router } = self.server;
        let (stopping, stopped) = oneshot::channel();
        let limit = app.config().server.request_timeout + GRACE;
        let shutdown = async move {
            shutdown.await;
            // Nobody listens any more when the server ended by itself.
            let _ = stopping.send(());
        };
        let serving = connections::serve(self.listener, router, shutdown);
        let cut = async move {
            match stopped.await {
                Ok(()) => tokio::time::sleep(limit).await,
                Err(_ended) => std::future::pending().await,
            }
        };
        let upkeep = async move {
            loop {
                tokio::time::sleep(UPKEEP).await;
                app.metrics().upkeep();
            }
        };
        tokio::select! {
            () = serving => Ok(()),
            () = cut => {
                tracing::warn!("requests were cut by the shutdown");
                Ok(())
            }
            () = upkeep => Ok(()),
        }
    }
}

impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Server").field("config", self.app.config()).finish_non_exhaustive()
    }
}

async fn unknown_route() -> Failure {
    Failure::from(Error::new(ErrorKind::NotFound, "Not Found"))
}

async fn unknown_method(method: Method, uri: Uri) -> Failure {
    tracing::debug!(%method, path = uri.path(), "no such method");
    Failure::from(Error::new(ErrorKind::Unsupported, "Method Not Allowed"))
        .with_status(StatusCode::METHOD_NOT_ALLOWED)
}

/// What a panic says may hold texts, so it is not told.
fn panicked(_cause: Box<dyn std::any::Any + Send>) -> Response {
    Failure::from(Error::new(ErrorKind::Internal, "a handler panicked")).into_response()
}

fn cors(origins: &[String]) -> Result<Option<CorsLayer>> {
    if origins.is_empty() {
        return Ok(None);
    }
    let origins = origins.iter().map(|origin| {
        HeaderValue::from_str(origin).map_err(|error| {
            Error::new(ErrorKind::Config, "server.cors_origins: must be web origins").with_source(error)
        })
    });
    let sent = [
        wire::header::API_KEY,
        wire::header::TENANT,
        wire::header::REQUEST_ID,
        wire::header::IDEMPOTENCY_KEY,
        wire::header::EVAL_MODE,
        wire::header::REQUESTED_WITH,
    ];
    let shown = [
        wire::header::REQUEST_ID,
        wire::header::RESPONSE_TIME,
        wire::header::TENANT,
        wire::header::RETRY_AFTER,
    ];
    Ok(Some(
        CorsLayer::new()
            .allow_origin(origins.collect::<Result<Vec<_>>>()?)
            .allow_methods([Method::GET, Method::POST, Method::PUT, Method::PATCH, Method::DELETE])
            .allow_headers(
                sent.into_iter()
                    .map(HeaderName::from_static)
                    .chain([header::CONTENT_TYPE, header::ACCEPT])
                    .collect::<Vec<_>>(),
            )
            .expose_headers(shown.map(HeaderName::from_static)),
    ))
}
