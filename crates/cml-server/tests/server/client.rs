//! A client that sends exactly what a test says.

use std::net::SocketAddr;

use serde_json::Value;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

use crate::Outcome;

/// Sends requests to one server, one connection each.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Client {
    address: SocketAddr,
}

/// A request, header by header.
#[derive(Debug, Clone)]
pub(crate) struct Request {
    address: SocketAddr,
    method: String,
    path: String,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
}

/// An answer.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
    /// Whether a chunked body came to its end.
    pub(crate) complete: bool,
}

impl Client {
    pub(crate) fn new(address: SocketAddr) -> Self {
        Self { address }
    }

    /// A request below `/api/v1`.
    pub(crate) fn api(&self, method: &str, path: &str) -> Request {
        self.root(method, &format!("/api/v1{path}"))
    }

    pub(crate) fn root(&self, method: &str, path: &str) -> Request {
        Request {
            address: self.address,
            method: method.to_owned(),
            path: path.to_owned(),
            headers: Vec::new(),
            body: Vec::new(),
        }
    }

    /// A `POST` of JSON with a key.
    pub(crate) async fn post(&self, path: &str, key: &str, body: &Value) -> Outcome<Reply> {
        self.api("POST", path).key(key).json(body).send().await
    }

    /// A `GET` with a key.
    pub(crate) async fn get(&self, path: &str, key: &str) -> Outcome<Reply> {
        self.api("GET", path).key(key).send().await
    }
}

impl Request {
    pub(crate) fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    pub(crate) fn key(self, key: &str) -> Self {
        self.header("X-API-Key", key)
    }

    pub(crate) fn json(self, body: &Value) -> Self {
        self.body(body.to_string())
    }

    pub(crate) fn body(mut self, body: impl Into<Vec<u8>>) -> Self {
        self.body = body.into();
        self
    }

    /// Sends the request and leaves the connection open.
    pub(crate) async fn open(self) -> Outcome<TcpStream> {
        let Self { address, method, path, headers, body } = self;
        let mut stream = TcpStream::connect(address).await?;
        let mut head = format!("{method} {path} HTTP/1.1\r\nhost: test\r\nconnection: close\r\n");
        for (name, value) in &headers {
            head += &format!("{name}: {value}\r\n");
        }
        if !headers.iter().any(|(name, _)| name == "content-length") {
            head += &format!("content-length: {}\r\n", body.len());
        }
        stream.write_all(format!("{head}\r\n").as_bytes()).await?;
        stream.write_all(&body).await?;
        Ok(stream)
    }

    /// Sends the request and reads the answer to its end.
    pub(crate) async fn send(self) -> Outcome<Reply> {
        let mut stream = self.open().await?;
        let mut bytes = Vec::new();
        stream.read_to_end(&mut bytes).await?;
        Reply::parse(&bytes)
    }
}

impl Reply {
    pub(crate) fn parse(bytes: &[u8]) -> Outcome<Self> {
        let end = bytes.windows(4).position(|window| window == b"\r\n\r\n").ok_or("no end of the headers")?;
        let head = str::from_utf8(&bytes[..end])?;
        let mut lines = head.split("\r\n");
        let status = lines.next().and_then(|line| line.split(' ').nth(1)).ok_or("no status")?.parse()?;
        let headers: Vec<_> = lines
            .filter_map(|line| line.split_once(": "))
            .map(|(name, value)| (name.to_ascii_lowercase(), value.to_owned()))
            .collect();
        let rest = &bytes[end + 4..];
        let chunked = headers.iter().any(|(name, value)| name == "transfer-encoding" && value == "chunked");
        let (body, complete) = if chunked { unchunk(rest)? } else { (rest.to_vec(), true) };
        Ok(Self { status, headers, body, complete })
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    pub(crate) fn json(&self) -> Outcome<Value> {
        Ok(serde_json::from_slice(&self.body)?)
    }

    /// The JSON of a success.
    pub(crate) fn ok(&self) -> Outcome<Value> {
        if self.status == 200 { self.json() } else { Err(format!("{}: {}", self.status, self.text()).into()) }
    }
}

fn unchunk(mut rest: &[u8]) -> Outcome<(Vec<u8>, bool)> {
    let mut body = Vec::new();
    while let Some(end) = rest.windows(2).position(|window| window == b"\r\n") {
        let length = usize::from_str_radix(str::from_utf8(&rest[..end])?, 16)?;
        rest = &rest[end + 2..];
        if length == 0 {
            return Ok((body, true));
        }
        body.extend(&rest[..length.min(rest.len())]);
        rest = rest.get(length + 2..).unwrap_or_default();
    }
    Ok((body, false))
}
