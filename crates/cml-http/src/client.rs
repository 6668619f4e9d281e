//! Requests: headers, keys, timeouts, limits, retries, log.

use std::time::{Duration, Instant};

use bytes::Bytes;
use cml_core::{
    BoxStream, Error, ErrorKind, Result,
    config::{HttpConfig, SecretString},
    wire::{NDJSON, header},
};
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use reqwest::{
    Body, Request, Response, StatusCode, Url,
    header::{ACCEPT, CONTENT_TYPE, HeaderValue},
    redirect,
};
use serde::de::DeserializeOwned;

use crate::{
    call::Call,
    error::{self, Cause, Failure},
    retry::Retry,
    tls::{self, Trust},
};

/// Largest body of an answer that is read as a whole.
const MAX_ANSWER_BYTES: usize = 64 << 20;
/// How much of the body of an error is kept.
const MAX_ERROR_BYTES: usize = 64 << 10;
/// Longest wait for a connection.
const MAX_CONNECT_TIME: Duration = Duration::from_secs(10);
/// Idle connections kept to the server, and for how long; the published SDK keeps as many.
const MAX_IDLE: usize = 20;
const MAX_IDLE_TIME: Duration = Duration::from_secs(90);
/// Finds a connection whose other end vanished.
const KEEPALIVE: Duration = Duration::from_secs(30);
const MAX_REDIRECTS: usize = 5;

const JSON: HeaderValue = HeaderValue::from_static("application/json");

/// A client of one server; a clone shares its connections.
#[derive(Clone)]
pub(crate) struct Client {
    http: reqwest::Client,
    base: Url,
    api_key: Option<HeaderValue>,
    admin_key: Option<HeaderValue>,
    timeout: Duration,
    retry: Retry,
}

impl std::fmt::Debug for Client {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Client")
            .field("base_url", &self.base.as_str())
            .field("timeout", &self.timeout)
            .field("retry", &self.retry)
            .finish_non_exhaustive()
    }
}

/// An answer that was read as a whole.
#[derive(Debug)]
pub(crate) struct Answer {
    status: StatusCode,
    request_id: String,
    body: Vec<u8>,
}

impl Answer {
    /// The answer as a value.
    ///
    /// # Errors
    /// `Internal` when it is none.
    pub(crate) fn json<T: DeserializeOwned>(&self) -> Result<T> {
        serde_json::from_slice(&self.body).map_err(|error| {
            let message = "the server's answer is not what the protocol says";
            error::misunderstood(message, self.status, &self.request_id, &self.body).with_source(error)
        })
    }
}

impl Client {
    /// # Errors
    /// `Config` naming the setting that does not work.
    pub(crate) fn new(config: &HttpConfig) -> Result<Self> {
        let base = base_url(&config.base_url)?;
        if config.timeout.is_zero() {
            return Err(Error::new(ErrorKind::Config, "timeout: must be more than 0 seconds"));
        }
        let trust = match (base.scheme(), config.verify_ssl) {
            ("http", _) => Trust::Nobody,
            (_, true) => Trust::System,
            (_, false) => Trust::Anybody,
        };
        let http = reqwest::Client::builder()
            .tls_backend_preconfigured(tls::config(trust)?)
            .user_agent(concat!("cml-rust/", env!("CARGO_PKG_VERSION")))
            .redirect(redirect::Policy::custom(same_origin))
            .referer(false)
            .connect_timeout(config.timeout.min(MAX_CONNECT_TIME))
            .pool_max_idle_per_host(MAX_IDLE)
            .pool_idle_timeout(MAX_IDLE_TIME)
            .tcp_keepalive(KEEPALIVE)
            .http2_keep_alive_interval(KEEPALIVE)
            .build()
            .map_err(|error| {
                Error::new(ErrorKind::Config, "no HTTP client can be made").with_source(error)
            })?;
        Ok(Self {
            http,
            base,
            api_key: key("api_key", config.api_key.as_ref())?,
            admin_key: key("admin_api_key", config.admin_api_key.as_ref())?,
            timeout: config.timeout,
            retry: Retry::new(config),
        })
    }

    /// Whether calls carry a key.
    pub(crate) fn has_api_key(&self) -> bool {
        self.api_key.is_some()
    }

    /// Whether administrative calls carry a key of their own.
    pub(crate) fn has_admin_key(&self) -> bool {
        self.admin_key.is_some()
    }

    /// The answer to `call` as a value.
    ///
    /// # Errors
    /// As the server says; `Unavailable` and `Timeout` where it says nothing, `Internal` for an answer
    /// that is none.
    pub(crate) async fn json<T: DeserializeOwned>(&self, call: Call) -> Result<T> {
        self.answer(&call).await?.json()
    }

    /// The answer to `call`, read as a whole within the timeout if it has one.
    async fn answer(&self, call: &Call) -> Result<Answer> {
        let mut attempts = Attempts::new(self.retry, call);
        loop {
            match self.answer_once(call, &attempts.id).await {
                Ok(answer) => return Ok(answer),
                Err(failure) => attempts.again(failure).await?,
            }
        }
    }

    async fn answer_once(&self, call: &Call, id: &str) -> Result<Answer, Failure> {
        let mut request = self.request(call, id)?;
        *request.timeout_mut() = (!call.unhurried).then_some(self.timeout);
        let response = self.send(call, id, request).await?;
        let response = typed(response, id, "json").await?;
        read(response, id).await
    }

    /// The body of the answer to `call`, as it arrives; `media_type` is part of its type. Between two
    /// chunks the timeout may pass, in all there is no limit.
    pub(crate) async fn stream(
        &self,
        call: &Call,
        media_type: &str,
    ) -> Result<BoxStream<'static, Result<Bytes>>> {
        let mut attempts = Attempts::new(self.retry, call);
        let response = loop {
            match self.stream_once(call, &attempts.id, media_type).await {
                Ok(response) => break response,
                Err(failure) => attempts.again(failure).await?,
            }
        };
        let chunks = response.bytes_stream().map_err(|error| error::transport(error).error).boxed();
        Ok(within(chunks, self.timeout))
    }

    async fn stream_once(&self, call: &Call, id: &str, media_type: &str) -> Result<Response, Failure> {
        let request = self.request(call, id)?;
        let begin = async { typed(self.send(call, id, request).await?, id, media_type).await };
        tokio::time::timeout(self.timeout, begin).await.map_err(|late| Failure {
            error: Error::new(ErrorKind::Timeout, "the server did not answer in time").with_source(late),
            cause: Cause::Unknown,
        })?
    }

    /// Sends a body that is made meanwhile, once, without a limit of time.
    pub(crate) async fn upload<T: DeserializeOwned>(&self, call: Call, body: Body) -> Result<T> {
        let id = uuid::Uuid::new_v4().to_string();
        let mut request = self.request(&call, &id)?;
        request.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(NDJSON));
        *request.body_mut() = Some(body);
        let outcome = async { read(self.send(&call, &id, request).await?, &id).await };
        outcome.await.map_err(|failure: Failure| failure.error)?.json()
    }

    fn request(&self, call: &Call, id: &str) -> Result<Request> {
        let mut request = Request::new(call.method.clone(), call.url(&self.base)?);
        let headers = request.headers_mut();
        headers.insert(ACCEPT, HeaderValue::from_static("application/json, text/event-stream, */*;q=0.1"));
        headers.insert(header::REQUEST_ID, text("request_id", id)?);
        if let Some(tenant) = &call.tenant {
            headers.insert(header::TENANT, text("tenant_id", tenant)?);
        }
        let admin_key = self.admin_key.as_ref().filter(|_| call.admin);
        if let Some(key) = admin_key.or(self.api_key.as_ref()) {
            headers.insert(header::API_KEY, key.clone());
        }
        if call.eval_mode {
            headers.insert(header::EVAL_MODE, HeaderValue::from_static("true"));
        }
        if call.changes_dashboard() {
            headers.insert(header::REQUESTED_WITH, HeaderValue::from_static("XMLHttpRequest"));
        }
        if let Some(body) = &call.body {
            headers.insert(CONTENT_TYPE, JSON);
            *request.body_mut() = Some(body.clone().into());
        }
        Ok(request)
    }

    /// One attempt: a success whose body is yet to be read, or what the server says instead.
    async fn send(&self, call: &Call, id: &str, request: Request) -> Result<Response, Failure> {
        let started = Instant::now();
        let outcome = self.http.execute(request).await;
        let ms = millis(started.elapsed());
        let (method, path) = (&call.method, call.route);
        let response = match outcome {
            Ok(response) => response,
            Err(error) => {
                let failure = error::transport(error);
                tracing::debug!(%method, path, request_id = id, ms, error = failure.error.message(), "request");
                return Err(failure);
            }
        };
        let status = response.status();
        tracing::debug!(%method, path, request_id = id, status = status.as_u16(), ms, "request");
        if !status.is_success() {
            if status == StatusCode::TOO_MANY_REQUESTS {
                tracing::warn!(%method, path, request_id = id, "the server limits the rate of requests");
            }
            let headers = response.headers().clone();
            let body = tokio::time::timeout(self.timeout, read_some(response, MAX_ERROR_BYTES)).await;
            return Err(error::answer(status, &headers, &body.unwrap_or_default(), id));
        }
        let used = response.headers().get(header::TENANT).map(HeaderValue::as_bytes);
        match (&call.tenant, used) {
            (Some(asked), Some(used)) if !call.any_tenant && used != asked.as_bytes() => {
                Err(other_tenant(asked, &String::from_utf8_lossy(used)).into())
            }
            _ => Ok(response),
        }
    }
}

/// The attempts at one call, all with the same request id.
struct Attempts<'a> {
    retry: Retry,
    call: &'a Call,
    id: String,
    done: u32,
}

impl<'a> Attempts<'a> {
    fn new(retry: Retry, call: &'a Call) -> Self {
        Self { retry, call, id: uuid::Uuid::new_v4().to_string(), done: 0 }
    }

    /// Waits until the next attempt may begin.
    ///
    /// # Errors
    /// That of the failure when another attempt is of no use.
    async fn again(&mut self, failure: Failure) -> Result<()> {
        let Some(wait) = self.retry.wait(self.done, &failure, self.call.repeat) else {
            return Err(failure.error);
        };
        self.done += 1;
        tracing::debug!(
            method = %self.call.method,
            path = self.call.route,
            request_id = self.id,
            attempt = self.done,
            wait_ms = millis(wait),
            kind = %failure.error.kind(),
            "sending a request again"
        );
        tokio::time::sleep(wait).await;
        Ok(())
    }
}

/// The key belongs to another tenant, in which the server answers.
pub(crate) fn other_tenant(asked: &str, used: &str) -> Error {
    let used = if used.is_empty() { "its own tenant".to_owned() } else { format!("tenant {used}") };
    Error::new(
        ErrorKind::PermissionDenied,
        format!("the key may not use tenant {asked}: it belongs to {used}"),
    )
    .with_suggestion("use the key of that tenant, or an admin key")
}

fn base_url(text: &str) -> Result<Url> {
    let wrong = |what: &str| {
        Error::new(ErrorKind::Config, format!("base_url: {what}"))
            .with_suggestion("an address such as http://localhost:8000")
    };
    let url: Url = text
        .trim()
        .trim_end_matches('/')
        .parse()
        .map_err(|error| wrong("must be the address of a server").with_source(error))?;
    if !matches!(url.scheme(), "http" | "https") || url.host_str().is_none_or(str::is_empty) {
        return Err(wrong("must begin with http:// or https:// and a host"));
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(wrong("must not hold a user name or password"));
    }
    if url.query().is_some() || url.fragment().is_some() {
        return Err(wrong("must not hold a query or fragment"));
    }
    Ok(url)
}

fn key(name: &str, key: Option<&SecretString>) -> Result<Option<HeaderValue>> {
    let Some(key) = key.filter(|key| !key.expose().is_empty()) else { return Ok(None) };
    let mut value = HeaderValue::from_str(key.expose()).map_err(|_hides_the_key| {
        Error::new(ErrorKind::Config, format!("{name}: holds characters that a key cannot have"))
    })?;
    value.set_sensitive(true);
    Ok(Some(value))
}

/// A header's value as UTF-8.
fn text(field: &str, text: &str) -> Result<HeaderValue> {
    HeaderValue::from_bytes(text.as_bytes())
        .map_err(|error| Error::invalid(field, "cannot be sent as a header").with_source(error))
}

/// Follows what keeps method, body and server; everything else is left as it is answered.
fn same_origin(attempt: redirect::Attempt<'_>) -> redirect::Action {
    let keeps_method = matches!(attempt.status().as_u16(), 307 | 308);
    let same = attempt.previous().first().is_some_and(|first| first.origin() == attempt.url().origin());
    if keeps_method && same && attempt.previous().len() <= MAX_REDIRECTS {
        attempt.follow()
    } else {
        attempt.stop()
    }
}

fn request_id(response: &Response, sent: &str) -> String {
    let told = response.headers().get(header::REQUEST_ID).and_then(|id| id.to_str().ok());
    told.unwrap_or(sent).to_owned()
}

/// `response`, if its type holds `media_type` or it has none.
async fn typed(response: Response, sent_id: &str, media_type: &str) -> Result<Response, Failure> {
    let told = response.headers().get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
    if told.is_none_or(|told| told.to_ascii_lowercase().contains(media_type)) {
        return Ok(response);
    }
    let (status, id) = (response.status(), request_id(&response, sent_id));
    let body = read_some(response, MAX_ERROR_BYTES).await;
    let message = format!("the server's answer is no {media_type}");
    Err(error::misunderstood(&message, status, &id, &body).into())
}

/// The whole body.
async fn read(response: Response, sent_id: &str) -> Result<Answer, Failure> {
    let (status, request_id) = (response.status(), request_id(&response, sent_id));
    let too_large = |id: String| {
        let limit = MAX_ANSWER_BYTES >> 20;
        let error =
            Error::new(ErrorKind::Internal, format!("the server's answer is larger than {limit} MiB"));
        let error = error.with_suggestion("ask for less at a time");
        Failure::from(error.with_answer(status.as_u16(), Some(id), None))
    };
    let announced = response.content_length().unwrap_or_default();
    if announced > MAX_ANSWER_BYTES as u64 {
        return Err(too_large(request_id));
    }
    let mut body = Vec::with_capacity(announced as usize);
    let mut chunks = response.bytes_stream();
    while let Some(chunk) = chunks.next().await {
        let chunk = chunk.map_err(error::transport)?;
        if body.len() + chunk.len() > MAX_ANSWER_BYTES {
            return Err(too_large(request_id));
        }
        body.extend_from_slice(&chunk);
    }
    Ok(Answer { status, request_id, body })
}

/// The beginning of the body of an answer that failed anyway.
async fn read_some(response: Response, limit: usize) -> Vec<u8> {
    let mut body = Vec::new();
    let mut chunks = response.bytes_stream();
    while body.len() < limit
        && let Some(Ok(chunk)) = chunks.next().await
    {
        body.extend_from_slice(&chunk);
    }
    body.truncate(limit);
    body
}

/// `chunks`, each of which must arrive within `timeout` of the one before it.
fn within(chunks: BoxStream<'static, Result<Bytes>>, timeout: Duration) -> BoxStream<'static, Result<Bytes>> {
    stream::unfold(Some(chunks), move |chunks| async move {
        let mut chunks = chunks?;
        match tokio::time::timeout(timeout, chunks.next()).await {
            Ok(chunk) => chunk.map(|chunk| (chunk, Some(chunks))),
            Err(late) => {
                let error = Error::new(ErrorKind::Timeout, "the server stopped sending").with_source(late);
                Some((Err(error), None))
            }
        }
    })
    .boxed()
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
