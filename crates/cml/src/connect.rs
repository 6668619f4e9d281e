//! Configuration to backend: the one place that knows which modes are compiled in.

use std::sync::Arc;

use cml_core::{
    Config, MemoryBackend, Progress, Result,
    config::Mode,
    provider::{Embedder, TokenCounter},
};

/// Parts of the caller's own, for the modes that run in this process.
#[derive(Clone, Default)]
pub(crate) struct Parts {
    pub(crate) embedder: Option<Arc<dyn Embedder>>,
    pub(crate) counter: Option<Arc<dyn TokenCounter>>,
    pub(crate) reembed: Option<Progress>,
}

/// The backend that `config` describes.
///
/// # Errors
/// `Unsupported` naming the cargo feature when the mode is not compiled in; `Config` and `Conflict` as
/// the backend says.
pub async fn backend(config: &Config) -> Result<Arc<dyn MemoryBackend>> {
    open(config, Parts::default()).await
}

pub(crate) async fn open(config: &Config, parts: Parts) -> Result<Arc<dyn MemoryBackend>> {
    match config.mode {
        #[cfg(feature = "embedded-lite")]
        Mode::Lite => embedded(config, parts).await,
        #[cfg(feature = "embedded-standard")]
        Mode::Standard => embedded(config, parts).await,
        #[cfg(feature = "embedded-full")]
        Mode::Full => embedded(config, parts).await,
        #[cfg(feature = "http")]
        Mode::Http => http(config).await,
        mode => not_compiled(mode, parts),
    }
}

#[cfg(any(feature = "embedded-lite", feature = "embedded-standard"))]
async fn embedded(config: &Config, parts: Parts) -> Result<Arc<dyn MemoryBackend>> {
    let mut builder = cml_embedded::EmbeddedBuilder::new(config.clone());
    if let Some(embedder) = parts.embedder {
        builder = builder.embedder(embedder);
    }
    if let Some(counter) = parts.counter {
        builder = builder.token_counter(counter);
    }
    if let Some(progress) = parts.reembed {
        builder = builder.reembed(progress);
    }
    Ok(Arc::new(builder.build().await?))
}

#[cfg(feature = "http")]
async fn http(config: &Config) -> Result<Arc<dyn MemoryBackend>> {
    Ok(Arc::new(cml_http::HttpBackend::connect(&config.http).await?))
}

fn not_compiled(mode: Mode, _parts: Parts) -> Result<Arc<dyn MemoryBackend>> {
    Err(mode.not_compiled())
}
