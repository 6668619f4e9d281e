//! The suite on Redis.

use std::{sync::Arc, time::Duration};

use cml_core::config::SecretString;
use cml_embedded::store::redis::{RedisCache, RedisOptions};
use uuid::Uuid;

use crate::{
    fixtures::Outcome,
    suite::{self, soon},
};

/// A part of a Redis for one test. What it wrote is removed when the test is over.
#[derive(Debug)]
pub(crate) struct Server {
    pub(crate) url: String,
    pub(crate) prefix: String,
}

impl Server {
    /// The server of the environment, if it names one.
    pub(crate) fn of_environment() -> Option<Self> {
        let Ok(url) = std::env::var("CML_TEST_REDIS_URL") else {
            eprintln!("SKIPPED: CML_TEST_REDIS_URL names no Redis");
            return None;
        };
        Some(Self { url, prefix: format!("cml-test-{}", Uuid::now_v7().simple()) })
    }

    /// The cache of one more process.
    pub(crate) fn cache(&self) -> Outcome<Arc<RedisCache>> {
        open(&self.url, &self.prefix)
    }

    /// Every key of the test.
    pub(crate) fn keys(&self) -> Outcome<Vec<String>> {
        let mut connection = redis::Client::open(self.url.as_str())?.get_connection()?;
        Ok(redis::cmd("KEYS").arg(format!("{}*", self.prefix)).query(&mut connection)?)
    }

    /// Keys of values.
    pub(crate) fn values(&self) -> Outcome<usize> {
        Ok(self.keys()?.iter().filter(|key| key.contains(":value:")).count())
    }

    pub(crate) fn bytes(&self) -> Outcome<Vec<u8>> {
        let mut connection = redis::Client::open(self.url.as_str())?.get_connection()?;
        let mut bytes = Vec::new();
        for key in self.keys()?.into_iter().filter(|key| key.contains(":value:")) {
            bytes.extend(key.as_bytes());
            bytes.extend(redis::cmd("GET").arg(key).query::<Vec<u8>>(&mut connection)?);
        }
        Ok(bytes)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let removed = self.keys().and_then(|keys| {
            let mut connection = redis::Client::open(self.url.as_str())?.get_connection()?;
            keys.iter().try_for_each(|key| Ok(redis::cmd("DEL").arg(key).exec(&mut connection)?))
        });
        if let Err(error) = removed {
            eprintln!("keys of {} stay: {error}", self.prefix);
        }
    }
}

/// A cache that waits long enough for a busy machine.
pub(crate) fn open(url: &str, prefix: &str) -> Outcome<Arc<RedisCache>> {
    let timeout = Duration::from_secs(5);
    let options = RedisOptions { url: SecretString::new(url), prefix: prefix.to_owned(), timeout };
    Ok(Arc::new(RedisCache::open(&options)?))
}

#[tokio::test]
async fn the_cache_of_all_processes() -> Outcome {
    let Some(server) = Server::of_environment() else { return Ok(()) };
    let (cache, other) = (server.cache()?, server.cache()?);
    let (cache, other) = (cache.as_ref(), other.as_ref());
    let whole = async {
        suite::marks(cache).await?;
        suite::marks_end(cache, |_passes| {}).await?;
        suite::wake_ups(cache).await?;
        suite::values(cache, other).await?;
        suite::values_end(cache).await?;
        suite::clears(cache, other).await?;
        suite::counters(cache, other).await
    };
    soon(whole).await?
}

#[tokio::test]
async fn names_of_tenants_are_not_to_be_read_in_it() -> Outcome {
    let Some(server) = Server::of_environment() else { return Ok(()) };
    let cache = server.cache()?;
    suite::values(cache.as_ref(), cache.as_ref()).await?;
    suite::marks(cache.as_ref()).await?;
    let keys = server.keys()?;
    assert!(!keys.is_empty() && keys.iter().all(|key| !key.contains("acme") && !key.contains("globex")));
    Ok(())
}

#[tokio::test]
async fn health_tells_what_answers() -> Outcome {
    use cml_embedded::store::Cache as _;
    let Some(server) = Server::of_environment() else { return Ok(()) };
    let details = server.cache()?.ping().await?;
    assert!(details["version"].is_string() && details["used_memory_bytes"].is_u64(), "{details:?}");
    assert!(details["keys"].is_u64());
    Ok(())
}

#[test]
fn a_url_of_something_else_is_refused_without_being_told() {
    for url in ["http://user:s3cret@localhost/0", "redis://:s3cret@localhost/none", "s3cret"] {
        let options = RedisOptions {
            url: SecretString::new(url),
            prefix: "cml".to_owned(),
            timeout: Duration::from_millis(50),
        };
        let error = RedisCache::open(&options).expect_err(url);
        assert_eq!(error.kind(), cml_core::ErrorKind::Config);
        assert!(!format!("{error} {error:?} {options:?}").contains(":s3cret"), "{error:?} {options:?}");
    }
}
