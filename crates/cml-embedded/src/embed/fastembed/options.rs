//! How a model is loaded and run.

use std::path::PathBuf;
use std::thread::available_parallelism;

use ort::environment::Environment;

/// Longest input in tokens, unless the model takes less.
pub(super) const MAX_TOKENS: usize = 512;

/// Threads of one calculation beyond which short texts gain nothing.
const MAX_DEFAULT_THREADS: usize = 4;

/// How the vectors of a text's tokens become the vector of the text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Pooling {
    /// Their average (MiniLM, MPNet, E5).
    Mean,
    /// The first one, of the token `[CLS]` (BGE, GTE, Arctic).
    Cls,
}

/// Settings of a [`FastEmbedder`](super::FastEmbedder).
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct FastEmbedOptions {
    /// The ONNX Runtime library, or the folder that holds it. When absent, the file that
    /// `ORT_DYLIB_PATH` names, else what the system's loader finds.
    pub onnxruntime: Option<PathBuf>,
    /// Where hub models are kept. When absent, the folder that `FASTEMBED_CACHE_DIR` names, else
    /// `cml/models` in the user's cache folder. `HF_HOME` comes before all of them.
    pub cache_dir: Option<PathBuf>,
    /// Threads of one calculation, at least 1. When absent, one per core and at most 4.
    pub threads: Option<usize>,
    /// Pooling of a model in a folder. When absent, as its `1_Pooling/config.json` says, else
    /// [`Pooling::Mean`]. Hub models bring their own.
    pub pooling: Option<Pooling>,
    /// Whether a download shows its progress on a terminal. True by default.
    pub show_progress: bool,
    /// The environment of a program that uses ONNX Runtime itself: there can be only one in a process.
    /// When absent, the one that all of fastembed shares is made at first use.
    pub environment: Option<Environment>,
}

impl FastEmbedOptions {
    /// The defaults.
    #[must_use]
    pub fn new() -> Self {
        Self {
            onnxruntime: None,
            cache_dir: None,
            threads: None,
            pooling: None,
            show_progress: true,
            environment: None,
        }
    }

    /// Sets the ONNX Runtime library, or the folder that holds it.
    #[must_use]
    pub fn with_onnxruntime(mut self, path: impl Into<PathBuf>) -> Self {
        self.onnxruntime = Some(path.into());
        self
    }

    /// Sets where hub models are kept.
    #[must_use]
    pub fn with_cache_dir(mut self, folder: impl Into<PathBuf>) -> Self {
        self.cache_dir = Some(folder.into());
        self
    }

    /// Sets the threads of one calculation; 0 counts as 1.
    #[must_use]
    pub fn with_threads(mut self, threads: usize) -> Self {
        self.threads = Some(threads);
        self
    }

    /// Sets the pooling of a model in a folder.
    #[must_use]
    pub fn with_pooling(mut self, pooling: Pooling) -> Self {
        self.pooling = Some(pooling);
        self
    }

    /// Sets whether a download shows its progress.
    #[must_use]
    pub fn with_progress(mut self, show: bool) -> Self {
        self.show_progress = show;
        self
    }

    /// Sets the environment of a program that uses ONNX Runtime itself.
    #[must_use]
    pub fn with_environment(mut self, environment: Environment) -> Self {
        self.environment = Some(environment);
        self
    }

    pub(super) fn effective_threads(&self) -> usize {
        self.threads
            .unwrap_or_else(|| {
                available_parallelism().map_or(1, |cores| cores.get().min(MAX_DEFAULT_THREADS))
            })
            .max(1)
    }
}

impl Default for FastEmbedOptions {
    fn default() -> Self {
        Self::new()
    }
}
