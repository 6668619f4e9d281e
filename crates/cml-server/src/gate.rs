//! What a request passes before its handler: key, rate, rights, room, time.

use std::{net::SocketAddr, time::Duration};

use axum::{
    extract::{ConnectInfo, Request, State},
    http::header::EXPECT,
    middleware::Next,
    response::{IntoResponse, Response},
};
use cml_core::{Error, ErrorKind, config::SecretString, wire::header};
use tokio::{
    sync::SemaphorePermit,
    time::{Instant, timeout_at},
};

use crate::{
    app::App,
    auth::{self, Caller},
    context::Context,
    error::Failure,
    extract::drain,
    limits::Who,
};

/// How much of a refused body is read.
const REFUSED_BYTES: usize = 1 << 20;

/// What a route asks of a request.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Access {
    /// No key is needed, and nothing is limited.
    pub(crate) open: bool,
    /// The key must be an administrative one.
    pub(crate) admin: bool,
    /// It is a change that a browser could be tricked into.
    pub(crate) csrf: bool,
    /// It may take as long as it takes.
    pub(crate) unbounded: bool,
}

/// Lets a request through to its handler, or answers why not.
pub(crate) async fn gate(
    State((app, access)): State<(App, Access)>,
    mut request: Request,
    next: Next,
) -> Response {
    if access.open {
        return next.run(request).await;
    }
    if let Err(failure) = admit(&app, access, &mut request).await {
        if !request.headers().contains_key(EXPECT) {
            drain(&mut request.into_body().into_data_stream(), REFUSED_BYTES).await;
        }
        return failure.into_response();
    }
    let limit = app.config().server.request_timeout;
    let deadline = Instant::now() + limit;
    let permit = match timeout_at(deadline, room(&app)).await {
        Ok(Ok(permit)) => permit,
        Ok(Err(failure)) => return failure.into_response(),
        Err(_elapsed) => return busy().into_response(),
    };
    if access.unbounded {
        let answer = next.run(request).await;
        drop(permit);
        return answer;
    }
    let answer = timeout_at(deadline, next.run(request)).await;
    drop(permit);
    answer.unwrap_or_else(|_elapsed| late(limit).into_response())
}

async fn admit(app: &App, access: Access, request: &mut Request) -> Result<(), Failure> {
    let headers = request.headers();
    let given = auth::given(headers);
    let secret = given.and_then(|key| str::from_utf8(key).ok()).unwrap_or_default();
    let Some(key) = app.keys().find(secret).filter(|_| !secret.is_empty()) else {
        let from = request.extensions().get::<ConnectInfo<SocketAddr>>().copied();
        if let Some(ConnectInfo(address)) = from {
            app.limits().check(app.backend(), &Who::Address(address.ip())).await?;
        }
        return Err(if given.is_none() { auth::no_key() } else { auth::wrong_key() }.into());
    };
    let masked = SecretString::new(secret).to_string();
    let caller = Caller::new(key, headers).map_err(|error| Failure::from(error).at("header"))?;
    if let Some(context) = Context::current() {
        context.set_caller(caller.tenant(), &masked);
    }
    app.limits().check(app.backend(), &Who::Key(key.id(), masked)).await?;
    if access.admin && !caller.admin() {
        return Err(auth::denied().into());
    }
    if access.csrf && headers.get(header::REQUESTED_WITH).is_none_or(|value| value != "XMLHttpRequest") {
        return Err(Error::new(ErrorKind::PermissionDenied, "CSRF header required")
            .with_suggestion("send X-Requested-With: XMLHttpRequest")
            .into());
    }
    request.extensions_mut().insert(caller);
    Ok(())
}

async fn room(app: &App) -> Result<SemaphorePermit<'_>, Failure> {
    app.permits().acquire().await.map_err(|_closed| busy())
}

fn busy() -> Failure {
    Error::new(ErrorKind::Unavailable, "the server is busy")
        .with_suggestion("send the request again")
        .with_retry_after(Duration::from_secs(1))
        .into()
}

fn late(limit: Duration) -> Failure {
    let message = format!("the request took longer than {} s", limit.as_secs_f64());
    Error::new(ErrorKind::Timeout, message)
        .with_suggestion("ask for less at once, or raise server.request_timeout")
        .into()
}
