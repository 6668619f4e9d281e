//! A loopback server that answers what a test says and keeps what it was asked.

use std::{
    error::Error as StdError,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use axum::{
    Router,
    body::{Body, to_bytes},
    extract::Request,
    http::{HeaderMap, StatusCode, header::CONTENT_TYPE},
};
use cml_core::{Config, config::SecretString};
use cml_http::HttpBackend;
use serde_json::Value;

pub(crate) type TestResult<T = ()> = Result<T, Box<dyn StdError>>;

/// A request as it arrived.
#[derive(Debug, Clone)]
pub(crate) struct Asked {
    /// Method and path below `/api/v1`.
    pub(crate) route: String,
    pub(crate) query: Vec<(String, String)>,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Value,
    pub(crate) text: String,
    /// Whether the body was cut off.
    pub(crate) cut: bool,
}

impl Asked {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }

    pub(crate) fn query(&self, name: &str) -> Vec<&str> {
        self.query.iter().filter(|(key, _)| key == name).map(|(_, value)| value.as_str()).collect()
    }
}

/// What is answered: status, content type, body.
pub(crate) type Reply = (u16, &'static str, String);

pub(crate) fn json(body: &(impl ToString + ?Sized)) -> Reply {
    (200, "application/json", body.to_string())
}

pub(crate) fn status(status: u16, body: &str) -> Reply {
    (status, "application/json", body.to_owned())
}

/// The server, and everything that it was asked.
pub(crate) struct Loopback {
    pub(crate) url: String,
    asked: Arc<Mutex<Vec<Asked>>>,
}

impl Loopback {
    pub(crate) async fn start(answer: impl Fn(&Asked) -> Reply + Send + Sync + 'static) -> TestResult<Self> {
        let asked = Arc::new(Mutex::new(Vec::new()));
        let (log, answer) = (Arc::clone(&asked), Arc::new(answer));
        let router = Router::new().fallback(move |request: Request| {
            let (log, answer) = (Arc::clone(&log), Arc::clone(&answer));
            async move {
                let asked = take(request).await;
                let (status, media_type, body) = answer(&asked);
                log.lock().unwrap_or_else(PoisonError::into_inner).push(asked);
                let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
                (status, [(CONTENT_TYPE, media_type)], Body::from(body))
            }
        });
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
        let url = format!("http://{}", listener.local_addr()?);
        tokio::spawn(async move { axum::serve(listener, router).await });
        Ok(Self { url, asked })
    }

    /// A client with a key, an admin key, and retries that do not wait.
    pub(crate) fn backend(&self) -> TestResult<HttpBackend> {
        let mut config = Config::default().http;
        config.base_url = format!("{}/", self.url);
        config.api_key = Some(SecretString::new("user-key"));
        config.admin_api_key = Some(SecretString::new("admin-key"));
        config.retry_delay = Duration::ZERO;
        config.timeout = Duration::from_secs(20);
        Ok(HttpBackend::new(&config)?)
    }

    /// Everything asked at `route`, in order.
    pub(crate) fn asked(&self, route: &str) -> Vec<Asked> {
        let asked = self.asked.lock().unwrap_or_else(PoisonError::into_inner);
        asked.iter().filter(|asked| asked.route == route).cloned().collect()
    }

    /// The only request at `route`.
    pub(crate) fn once(&self, route: &str) -> TestResult<Asked> {
        match self.asked(route).as_slice() {
            [asked] => Ok(asked.clone()),
            many => Err(format!("{route} was asked {} times", many.len()).into()),
        }
    }
}

async fn take(request: Request) -> Asked {
    let (parts, body) = request.into_parts();
    let path = parts.uri.path().strip_prefix("/api/v1").unwrap_or("outside");
    let query = parts.uri.query().unwrap_or_default();
    let query = reqwest::Url::parse(&format!("http://x/?{query}"))
        .map(|url| url.query_pairs().into_owned().collect())
        .unwrap_or_default();
    let bytes = to_bytes(body, usize::MAX).await;
    let cut = bytes.is_err();
    let bytes = bytes.unwrap_or_default();
    Asked {
        route: format!("{} {path}", parts.method),
        query,
        headers: parts.headers,
        body: serde_json::from_slice(&bytes).unwrap_or_default(),
        text: String::from_utf8_lossy(&bytes).into_owned(),
        cut,
    }
}
