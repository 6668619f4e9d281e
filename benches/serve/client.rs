//! The least that HTTP/1.1 needs, so that the client costs little beside the server.

use std::{
    io::{Read as _, Write as _},
    net::SocketAddr,
};

use serde_json::Value;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

use crate::{BenchResult, serve::KEY};

/// A request as bytes.
pub(crate) struct Request(Vec<u8>);

impl Request {
    pub(crate) fn get(path: &str) -> Self {
        Self(format!("GET {path} HTTP/1.1\r\nHost: bench\r\n\r\n").into_bytes())
    }

    pub(crate) fn post(path: &str, body: &Value) -> Self {
        let body = body.to_string();
        let head = format!(
            "POST {path} HTTP/1.1\r\nHost: bench\r\nX-API-Key: {KEY}\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n",
            body.len()
        );
        Self((head + &body).into_bytes())
    }
}

/// A connection that is kept open.
pub(crate) struct Connection {
    stream: TcpStream,
    answer: Answer,
}

impl Connection {
    pub(crate) async fn open(address: SocketAddr) -> BenchResult<Self> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        Ok(Self { stream, answer: Answer::default() })
    }

    /// Sends a request and takes the whole answer; anything but 200 is an error.
    pub(crate) async fn send(&mut self, request: &Request) -> BenchResult {
        self.stream.write_all(&request.0).await?;
        self.answer.clear();
        while !self.answer.is_whole()? {
            if self.stream.read_buf(&mut self.answer.0).await? == 0 {
                return Err("the server closed the connection".into());
            }
        }
        self.answer.check()
    }
}

/// The same on a thread that may block.
pub(crate) struct Blocking {
    stream: std::net::TcpStream,
    answer: Answer,
}

impl Blocking {
    pub(crate) fn open(address: SocketAddr) -> BenchResult<Self> {
        let stream = std::net::TcpStream::connect(address)?;
        stream.set_nodelay(true)?;
        Ok(Self { stream, answer: Answer::default() })
    }

    pub(crate) fn send(&mut self, request: &Request) -> BenchResult {
        self.stream.write_all(&request.0)?;
        self.answer.clear();
        let mut chunk = [0; 16 << 10];
        while !self.answer.is_whole()? {
            let count = self.stream.read(&mut chunk)?;
            if count == 0 {
                return Err("the server closed the connection".into());
            }
            self.answer.0.extend_from_slice(&chunk[..count]);
        }
        self.answer.check()
    }
}

/// What was received of an answer.
#[derive(Default)]
struct Answer(Vec<u8>);

impl Answer {
    fn clear(&mut self) {
        self.0.clear();
    }

    fn is_whole(&self) -> BenchResult<bool> {
        let Some(head) = self.0.windows(4).position(|bytes| bytes == b"\r\n\r\n") else { return Ok(false) };
        let text = str::from_utf8(&self.0[..head])?;
        let length = text.lines().find_map(|line| {
            let (name, value) = line.split_once(':')?;
            name.eq_ignore_ascii_case("content-length").then(|| value.trim().parse::<usize>())
        });
        let length = length.ok_or("an answer without a content length")??;
        Ok(self.0.len() >= head + 4 + length)
    }

    fn check(&self) -> BenchResult {
        if self.0.starts_with(b"HTTP/1.1 200 ") {
            return Ok(());
        }
        Err(String::from_utf8_lossy(&self.0).into_owned().into())
    }
}
