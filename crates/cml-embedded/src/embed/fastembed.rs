//! ONNX models as a provider, through fastembed and ONNX Runtime.

mod folder;
mod hub;
mod options;
#[cfg(feature = "fastembed")]
mod runtime;
mod worker;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

use ::fastembed::TextEmbedding;
use async_trait::async_trait;
use cml_core::{
    Error, ErrorKind, Result,
    provider::{Embedder, Embedding, EmbeddingModel},
};

use self::folder::ModelFolder;
#[cfg(feature = "fastembed")]
use self::runtime::load;
use self::worker::Worker;

pub use self::options::{FastEmbedOptions, Pooling};

/// Longest vector a store keeps.
const MAX_DIMENSIONS: usize = 4096;

/// ONNX Runtime is linked into the program.
#[cfg(not(feature = "fastembed"))]
fn load(_: Option<&Path>) -> Result<()> {
    Ok(())
}

/// Vectors from an ONNX model, computed in this process by a thread of its own.
///
/// The model runs on ONNX Runtime 1.24 or newer. With feature `fastembed` that library is loaded at run
/// time, once per process: where several embedders name different files, the first one stays. With
/// `fastembed-download` alone it is fetched when the program is built and linked into it.
///
/// Texts are cut at the model's longest input. A text's vector does not depend on the texts it is
/// embedded with: a model that quantises its inputs as it runs takes them one by one, because its
/// scale would otherwise be shared by a whole batch. Texts are embedded as they are: models that were
/// trained with prefixes (`query: ` and `passage: ` of the E5 family) work without them, a little less
/// precisely.
///
/// Concurrent calls share the thread in turns, so that a short text does not wait for a long list.
/// Dropping the embedder ends the thread and waits for the batch it is busy with.
///
/// ```no_run
/// use cml_embedded::embed::{FastEmbedOptions, FastEmbedder};
///
/// # fn main() -> cml_core::Result<()> {
/// let options = FastEmbedOptions::new().with_onnxruntime("/opt/onnxruntime/lib/libonnxruntime.so");
/// let embedder = FastEmbedder::hub(Some("BAAI/bge-small-en-v1.5"), &options)?;
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct FastEmbedder {
    model: EmbeddingModel,
    worker: Worker,
}

impl FastEmbedder {
    /// A model of the Hugging Face hub, fetched at its first use and kept in the cache folder.
    ///
    /// `model` is its code (`BAAI/bge-small-en-v1.5`, `Qdrant/all-MiniLM-L6-v2-onnx`) or fastembed's name
    /// for it (`BGESmallENV15Q`), in any case; `None` takes all-MiniLM-L6-v2. Where a code stands for
    /// several variants it means the one that is not quantised.
    ///
    /// Blocks while it downloads, loads and tries the model: seconds, or minutes at the first use. Call it
    /// inside `spawn_blocking` from async code.
    ///
    /// # Errors
    /// `Config` when ONNX Runtime is missing or too old, the model is unknown, or the cache folder cannot
    /// be written; `Unavailable` when the files cannot be fetched.
    pub fn hub(model: Option<&str>, options: &FastEmbedOptions) -> Result<Self> {
        let found = hub::find(model)?;
        guard("loading the model", || {
            load(options.onnxruntime.as_deref())?;
            Self::start(hub::name(&found), hub::open(&found, options)?, hub::one_by_one(&found))
        })
    }

    /// A model in a folder.
    ///
    /// The folder holds `model.onnx` (or `model_quantized.onnx`, or one of them in a folder `onnx`) and
    /// `tokenizer.json`. `config.json`, `tokenizer_config.json`, `special_tokens_map.json`,
    /// `sentence_bert_config.json` and `1_Pooling/config.json` are read where they exist. The model is
    /// named after the folder and a digest of what decides its vectors.
    ///
    /// Blocks while it loads and tries the model, for about a second: call it inside `spawn_blocking` from
    /// async code.
    ///
    /// # Errors
    /// `Config` when ONNX Runtime is missing or too old, or when a file is missing or cannot be used; the
    /// message names it.
    pub fn local(folder: &Path, options: &FastEmbedOptions) -> Result<Self> {
        let folder = ModelFolder::read(folder, options.pooling)?;
        guard("loading the model", || {
            load(options.onnxruntime.as_deref())?;
            let (name, one_by_one) = (folder.name.clone(), folder.one_by_one);
            Self::start(name, folder.open(options)?, one_by_one)
        })
    }

    /// Learns the vector length from one text and hands the model to its thread.
    fn start(name: String, mut embedding: TextEmbedding, one_by_one: bool) -> Result<Self> {
        let probe = embedding.embed(["probe"], None).map_err(|error| {
            Error::new(ErrorKind::Config, format!("the model {name} does not give sentence vectors"))
                .with_source(error)
        })?;
        let dimensions = probe.first().map_or(0, Vec::len);
        if !(1..=MAX_DIMENSIONS).contains(&dimensions) {
            let message =
                format!("the model {name} gives vectors of length {dimensions}, not 1 to {MAX_DIMENSIONS}");
            return Err(Error::new(ErrorKind::Config, message));
        }
        let max_tokens =
            embedding.tokenizer.get_truncation().map_or(options::MAX_TOKENS, |cut| cut.max_length);
        tracing::debug!(model = name, dimensions, max_tokens, "embedding model loaded");
        Ok(Self {
            model: EmbeddingModel::new(name, dimensions).with_max_tokens(max_tokens),
            worker: Worker::start(embedding, one_by_one)?,
        })
    }
}

#[async_trait]
impl Embedder for FastEmbedder {
    fn model(&self) -> &EmbeddingModel {
        &self.model
    }

    async fn embed(&self, texts: &[&str]) -> Result<Vec<Embedding>> {
        if texts.is_empty() {
            return Ok(Vec::new());
        }
        let vectors = self.worker.embed(texts.iter().map(|&text| text.to_owned()).collect()).await?;
        Ok(vectors.into_iter().map(|vector| Embedding::from_unit(vector, 1.0)).collect())
    }
}

/// What `work` answers, or `Internal` when it panics.
///
/// The panic's message is left out: a tokenizer's may quote the text.
fn guard<T>(doing: &str, work: impl FnOnce() -> Result<T>) -> Result<T> {
    catch_unwind(AssertUnwindSafe(work))
        .unwrap_or_else(|_| Err(Error::new(ErrorKind::Internal, format!("fastembed panicked while {doing}"))))
}

/// A model that fastembed cannot open.
fn unusable(what: &str, error: ::fastembed::Error) -> Error {
    let suggestion = match &error {
        ::fastembed::Error::EnvironmentRequired => {
            "the program made an ONNX Runtime environment of its own: pass it to FastEmbedOptions::with_environment"
        }
        _ => "an ONNX text embedding model and the tokenizer.json it was trained with are needed",
    };
    Error::new(ErrorKind::Config, format!("{what} cannot be used as an embedding model"))
        .with_suggestion(suggestion)
        .with_source(error)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_is_an_error_without_its_message() {
        let error = guard::<()>("testing", || panic!("some text")).expect_err("a panic");
        assert_eq!(error.kind(), ErrorKind::Internal);
        assert_eq!(error.message(), "fastembed panicked while testing");
    }
}
