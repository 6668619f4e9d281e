//! A cache in Redis or Valkey, version 5 or newer.
//!
//! Values of a tenant stand under keys that contain a random *generation*. Clearing the tenant replaces
//! it, so that what was kept before is out of reach at once, and then removes the old keys. A value is
//! kept only while the generation is still the one of its ticket: a vector that is made while its text is
//! erased is not kept.

mod clear;
mod error;
mod keys;
mod link;
mod listen;
mod scripts;

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use async_trait::async_trait;
use cml_core::{BoxStream, Error, ErrorKind, MemoryId, Result, config::SecretString};
use redis::{Client, Cmd, FromRedisValue, RedisResult};
use serde_json::Value;
use uuid::Uuid;

use self::{clear::Waiting, keys::Keys, link::Link};
use super::{Cache, CacheKey, Kept, Settled, Ticket, tls};

/// How long a generation is known that nobody asks for; longer than any value is kept.
const LIFE: Duration = Duration::from_secs(8 * 86_400);

/// Values of one request.
const VALUES: usize = 256;

/// Where Redis is, and how it is used.
#[derive(Debug, Clone)]
#[expect(clippy::exhaustive_structs, reason = "every part is needed")]
pub struct RedisOptions {
    /// `redis://` or `rediss://`, with user, password and database number.
    pub url: SecretString,
    /// Begins every key. Two databases that share a Redis need prefixes of their own.
    pub prefix: String,
    /// How long a call waits for Redis at most; some 50 ms.
    pub timeout: Duration,
}

/// A cache that every process of a store shares.
#[derive(Debug)]
pub struct RedisCache(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    link: Arc<Link>,
    keys: Keys,
    waiting: Waiting,
}

impl RedisCache {
    /// A cache at the given place; Redis may be away.
    ///
    /// # Errors
    /// `Config` for a URL that is none of Redis.
    pub fn open(options: &RedisOptions) -> Result<Self> {
        let url = options.url.expose();
        if url.starts_with("rediss") {
            tls::install_ring();
        }
        // The library's error may quote the URL, and with it the password.
        let client = Client::open(url).map_err(|_with_url| {
            Error::new(ErrorKind::Config, "the URL of Redis cannot be read")
                .with_suggestion("give it as redis://user:password@host:6379/0, or rediss:// with TLS")
        })?;
        Ok(Self(Arc::new(Inner {
            link: Link::new(client, options.timeout),
            keys: Keys::new(&options.prefix),
            waiting: Waiting::default(),
        })))
    }
}

impl Inner {
    async fn run<T: FromRedisValue>(&self, command: Cmd) -> RedisResult<T> {
        self.link.run(|mut connection| async move { command.query_async(&mut connection).await }).await
    }

    /// The answer, or nothing when Redis is away.
    async fn try_run<T: FromRedisValue>(&self, command: Cmd) -> Option<T> {
        let answer = self.run(command).await;
        answer.inspect_err(|error| tracing::debug!(%error, "nothing from redis")).ok()
    }

    async fn get(&self, tenant: &str, keys: &[CacheKey]) -> Option<Kept> {
        let mut kept = Kept::nothing(0);
        for keys in keys.chunks(VALUES) {
            let mut command = script(scripts::GET, &self.keys.generation(tenant));
            command.arg(Uuid::now_v7().simple().to_string());
            command.arg(LIFE.as_millis() as u64).arg(self.keys.values(tenant));
            command.arg(keys.iter().map(keys::end).collect::<Vec<_>>());
            let (generation, values): (String, Vec<Option<Vec<u8>>>) = self.try_run(command).await?;
            if values.len() != keys.len() || self.waiting.contains(tenant) {
                return None;
            }
            kept.values.extend(values);
            // Of several requests the first one counts: the earliest clear makes the ticket void.
            if kept.ticket.generation.is_empty() {
                kept.ticket = Ticket { tenant: tenant.to_owned(), generation };
            }
        }
        Some(kept)
    }

    async fn marks(&self, tenant: &str) -> Vec<String> {
        self.try_run(script(scripts::MARKS, &self.keys.marks(tenant))).await.unwrap_or_default()
    }
}

/// A script with its one key.
fn script(text: &str, key: &str) -> Cmd {
    let mut command = redis::cmd("EVAL");
    command.arg(text).arg(1).arg(key);
    command
}

fn millis(length: Duration) -> u64 {
    u64::try_from(length.as_millis()).unwrap_or(u64::MAX).clamp(1, i64::MAX as u64 / 4)
}

#[async_trait]
impl Cache for RedisCache {
    fn is_shared(&self) -> bool {
        true
    }

    async fn get(&self, tenant: &str, keys: &[CacheKey]) -> Kept {
        if keys.is_empty() || self.0.waiting.contains(tenant) {
            return Kept::nothing(keys.len());
        }
        self.0.get(tenant, keys).await.unwrap_or_else(|| Kept::nothing(keys.len()))
    }

    async fn put(&self, ticket: &Ticket, values: Vec<(CacheKey, Vec<u8>)>, length: Duration) {
        if ticket.generation.is_empty() {
            return;
        }
        for values in values.chunks(VALUES) {
            if self.0.waiting.contains(&ticket.tenant) {
                return;
            }
            let mut command = script(scripts::PUT, &self.0.keys.generation(&ticket.tenant));
            command.arg(&ticket.generation).arg(millis(length.min(LIFE)));
            command.arg(self.0.keys.values(&ticket.tenant));
            for (key, value) in values {
                command.arg(keys::end(key)).arg(value);
            }
            if self.0.try_run::<u64>(command).await != Some(1) {
                return;
            }
        }
    }

    async fn clear(&self, tenant: &str) -> bool {
        clear::clear(&self.0, tenant).await
    }

    async fn count(&self, name: &str, window: Duration) -> Option<(u64, Duration)> {
        let mut command = script(scripts::COUNT, &self.0.keys.counter(name));
        command.arg(millis(window));
        let (count, left): (u64, u64) = self.0.try_run(command).await?;
        Some((count, Duration::from_millis(left)))
    }

    async fn wake(&self, work: &str) {
        let mut command = redis::cmd("PUBLISH");
        command.arg(self.0.keys.channel()).arg(work);
        self.0.try_run::<u64>(command).await;
    }

    fn woken(&self) -> BoxStream<'static, String> {
        listen::messages(self.0.link.client().clone(), self.0.keys.channel())
    }

    async fn mark_labile(&self, tenant: &str, session: &str, memories: &[MemoryId], length: Duration) {
        if memories.is_empty() {
            return;
        }
        let mut command = script(scripts::MARK, &self.0.keys.marks(tenant));
        command.arg(millis(length));
        command.arg(memories.iter().map(|memory| keys::mark(session, *memory)).collect::<Vec<_>>());
        self.0.try_run::<u64>(command).await;
    }

    async fn labile(&self, tenant: &str) -> BTreeMap<String, Vec<MemoryId>> {
        let mut sessions: BTreeMap<String, Vec<MemoryId>> = BTreeMap::new();
        for mark in self.0.marks(tenant).await {
            if let Some((session, memory)) = keys::marked(&mark) {
                sessions.entry(session.to_owned()).or_default().push(memory);
            }
        }
        sessions.values_mut().for_each(|memories| memories.sort_unstable());
        sessions
    }

    async fn settle(&self, tenant: &str, settled: Settled<'_>) {
        let key = self.0.keys.marks(tenant);
        if settled == Settled::Tenant {
            let mut command = redis::cmd("UNLINK");
            command.arg(key);
            self.0.try_run::<u64>(command).await;
            return;
        }
        let mut marks = self.0.marks(tenant).await;
        marks.retain(|mark| match (settled, keys::marked(mark)) {
            (Settled::Session(name), Some((session, _))) => session == name,
            (Settled::Memories(ids), Some((_, memory))) => ids.contains(&memory),
            _ => true,
        });
        if !marks.is_empty() {
            let mut command = redis::cmd("ZREM");
            command.arg(key).arg(marks);
            self.0.try_run::<u64>(command).await;
        }
    }

    async fn ping(&self) -> Result<BTreeMap<String, Value>> {
        let mut pipeline = redis::pipe();
        pipeline.cmd("INFO").arg("server").cmd("INFO").arg("memory").cmd("DBSIZE");
        let asked =
            self.0.link.ask(|mut connection| async move { pipeline.query_async(&mut connection).await });
        let (server, memory, keys): (String, String, u64) =
            asked.await.map_err(|error| error::away(&error))?;
        let field = |info: &str, name: &str| -> Option<Value> {
            let value = info.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))?;
            Some(value.parse::<u64>().map_or_else(|_text| value.into(), Value::from))
        };
        let mut details = BTreeMap::from([("keys".to_owned(), keys.into())]);
        for (name, info, field_name) in [
            ("version", &server, "redis_version"),
            ("valkey_version", &server, "valkey_version"),
            ("used_memory_bytes", &memory, "used_memory"),
        ] {
            if let Some(value) = field(info, field_name) {
                details.insert(name.to_owned(), value);
            }
        }
        Ok(details)
    }
}
