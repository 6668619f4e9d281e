//! A way to Redis that can be cut.

use std::{
    io::{Read as _, Write as _},
    net::{Shutdown, SocketAddr, TcpListener, TcpStream},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    thread,
};

use crate::fixtures::Outcome;

/// Forwards connections to a Redis, while it may.
#[derive(Debug)]
pub(crate) struct Proxy(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    address: SocketAddr,
    target: String,
    /// Connections are closed as they come.
    cut: AtomicBool,
    /// What is sent is swallowed.
    mute: AtomicBool,
    accepted: AtomicUsize,
    open: Mutex<Vec<TcpStream>>,
}

impl Proxy {
    /// A way to the server of a URL.
    pub(crate) fn to(url: &str) -> Outcome<Self> {
        let listener = TcpListener::bind(("127.0.0.1", 0))?;
        let shared = Arc::new(Shared {
            address: listener.local_addr()?,
            target: authority(url)?.to_owned(),
            cut: AtomicBool::new(false),
            mute: AtomicBool::new(false),
            accepted: AtomicUsize::new(0),
            open: Mutex::default(),
        });
        let accepting = Arc::clone(&shared);
        thread::spawn(move || {
            for client in listener.incoming().flatten() {
                accepting.accepted.fetch_add(1, Ordering::SeqCst);
                if !accepting.cut.load(Ordering::SeqCst) {
                    // A server that is away for the proxy is away for its client.
                    drop(forward(&accepting, client));
                }
            }
        });
        Ok(Self(shared))
    }

    /// The URL of the same server by this way.
    pub(crate) fn url(&self, url: &str) -> Outcome<String> {
        Ok(url.replace(authority(url)?, &self.0.address.to_string()))
    }

    /// Ends every connection and lets no other come about.
    pub(crate) fn cut(&self) {
        self.0.cut.store(true, Ordering::SeqCst);
        for stream in self.0.open.lock().unwrap_or_else(PoisonError::into_inner).drain(..) {
            // It may have ended by itself.
            drop(stream.shutdown(Shutdown::Both));
        }
    }

    /// Lets connections stand, and nothing through.
    pub(crate) fn mute(&self) {
        self.0.mute.store(true, Ordering::SeqCst);
    }

    /// Lets everything through again; connections that were muted end.
    pub(crate) fn restore(&self) {
        self.cut();
        self.0.mute.store(false, Ordering::SeqCst);
        self.0.cut.store(false, Ordering::SeqCst);
    }

    /// Connections that came so far.
    pub(crate) fn accepted(&self) -> usize {
        self.0.accepted.load(Ordering::SeqCst)
    }
}

fn forward(shared: &Arc<Shared>, client: TcpStream) -> Outcome {
    let server = TcpStream::connect(&shared.target)?;
    let mut open = shared.open.lock().unwrap_or_else(PoisonError::into_inner);
    open.push(client.try_clone()?);
    open.push(server.try_clone()?);
    for (mut from, mut to) in [(client.try_clone()?, server.try_clone()?), (server, client)] {
        let shared = Arc::clone(shared);
        thread::spawn(move || {
            let mut buffer = [0; 4096];
            while let Ok(length @ 1..) = from.read(&mut buffer) {
                if !shared.mute.load(Ordering::SeqCst) && to.write_all(&buffer[..length]).is_err() {
                    break;
                }
            }
            drop(to.shutdown(Shutdown::Both));
        });
    }
    Ok(())
}

/// Host and port of a URL.
fn authority(url: &str) -> Outcome<&str> {
    let rest = url.split_once("://").ok_or("no URL")?.1;
    let rest = rest.rsplit_once('@').map_or(rest, |(_, rest)| rest);
    Ok(rest.split(['/', '?']).next().unwrap_or(rest))
}
