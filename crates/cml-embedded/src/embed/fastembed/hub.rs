//! Models of the Hugging Face hub.

use std::path::PathBuf;

use ::fastembed::{
    EmbeddingModel, Error as FastembedError, ModelInfo, QuantizationMode, TextEmbedding, TextInitOptions,
};
use cml_core::{Error, ErrorKind, Result};

use super::options::{FastEmbedOptions, MAX_TOKENS};
use super::unusable;

/// Owners whose models fastembed takes from another owner's export; in lower case.
const ORIGINALS: [&str; 6] = ["baai", "intfloat", "qdrant", "sentence-transformers", "snowflake", "xenova"];

/// The model of that code or name.
pub(super) fn find(name: Option<&str>) -> Result<ModelInfo<EmbeddingModel>> {
    let Some(name) = name else {
        return find(Some("AllMiniLML6V2"));
    };
    let mut models = TextEmbedding::list_supported_models();
    // The plain variants first; then by name, because the list is in no order.
    models.sort_by_cached_key(|info| (is_reduced(&info.model), info.model.to_string()));
    let wanted = name.trim().to_ascii_lowercase();
    let same_name = |info: &&ModelInfo<EmbeddingModel>| info.model.to_string().to_ascii_lowercase() == wanted;
    let same_code = |info: &&ModelInfo<EmbeddingModel>| info.model_code.to_ascii_lowercase() == wanted;
    let original = match wanted.split_once('/') {
        Some((owner, model)) if ORIGINALS.contains(&owner) => Some(model),
        Some(_) => None,
        None => Some(wanted.as_str()),
    };
    let same_original =
        |info: &&ModelInfo<EmbeddingModel>| original == Some(plain_code(&info.model_code).as_str());
    let found = models
        .iter()
        .find(same_name)
        .or_else(|| models.iter().find(same_code))
        .or_else(|| models.iter().find(same_original));
    found.cloned().ok_or_else(|| {
        let mut codes: Vec<_> = models.iter().map(|info| info.model_code.as_str()).collect();
        codes.sort_unstable();
        codes.dedup();
        Error::new(ErrorKind::Config, format!("embedding.model: fastembed does not know the model {name}"))
            .with_suggestion(format!("choose one of {}, or a folder with model.onnx", codes.join(", ")))
    })
}

/// The name a store remembers: the code, and the file where several share it.
pub(super) fn name(info: &ModelInfo<EmbeddingModel>) -> String {
    let file = info.model_file.rsplit('/').next().unwrap_or_default();
    match file.strip_suffix(".onnx") {
        Some("model") | None => info.model_code.clone(),
        Some(variant) => format!("{}/{variant}", info.model_code),
    }
}

/// Whether the model scales its inputs by the batch they are in.
pub(super) fn one_by_one(info: &ModelInfo<EmbeddingModel>) -> bool {
    TextEmbedding::get_quantization_mode(&info.model) == QuantizationMode::Dynamic
}

/// Fetches what the cache lacks and loads the model.
pub(super) fn open(info: &ModelInfo<EmbeddingModel>, options: &FastEmbedOptions) -> Result<TextEmbedding> {
    let cache = options.cache_dir.clone().unwrap_or_else(default_cache);
    std::fs::create_dir_all(&cache).map_err(|error| {
        Error::new(ErrorKind::Config, format!("the model cache {} cannot be written", cache.display()))
            .with_source(error)
    })?;
    let mut init = TextInitOptions::new(info.model.clone())
        .with_cache_dir(cache)
        .with_show_download_progress(options.show_progress)
        .with_max_length(max_tokens(&info.model))
        .with_intra_threads(options.effective_threads())
        // Idle threads of a calculation would otherwise spin for a while.
        .with_session_config("session.intra_op.allow_spinning", "0");
    if let Some(environment) = &options.environment {
        init = init.with_environment(environment.clone());
    }
    TextEmbedding::try_new(init).map_err(|error| match error {
        FastembedError::ModelRetrieval { .. } | FastembedError::Other(_) | FastembedError::Io(_) => {
            let message = format!("the files of the model {} cannot be fetched from the hub", info.model_code);
            Error::new(ErrorKind::Unavailable, message)
                .with_suggestion(
                    "check the network and HF_ENDPOINT, or bring a folder with model.onnx and tokenizer.json and \
                     set CML_EMBEDDING_PATH to it, or use the built-in model",
                )
                .with_source(error)
        }
        error => unusable(&format!("the model {}", info.model_code), error),
    })
}

/// The longest input a model was tuned for: sentence-transformers cuts MiniLM's earlier than its
/// tokenizer says.
fn max_tokens(model: &EmbeddingModel) -> usize {
    match model {
        EmbeddingModel::AllMiniLML6V2 | EmbeddingModel::AllMiniLML6V2Q => 256,
        _ => MAX_TOKENS,
    }
}

fn is_reduced(model: &EmbeddingModel) -> bool {
    TextEmbedding::get_quantization_mode(model) != QuantizationMode::None
        || matches!(model, EmbeddingModel::EmbeddingGemma300MQ4)
}

/// A code without its owner and the marks of an export, in lower case.
fn plain_code(code: &str) -> String {
    let code = code.to_ascii_lowercase();
    let model = code.rsplit('/').next().unwrap_or_default();
    model.trim_end_matches("-q").trim_end_matches("-onnx").to_owned()
}

fn default_cache() -> PathBuf {
    let folder = |variable| std::env::var_os(variable).filter(|value| !value.is_empty()).map(PathBuf::from);
    if let Some(cache) = folder("FASTEMBED_CACHE_DIR") {
        return cache;
    }
    folder("XDG_CACHE_HOME")
        .or_else(|| folder("LOCALAPPDATA"))
        .or_else(|| Some(folder("HOME")?.join(".cache")))
        .map_or_else(|| PathBuf::from(".fastembed_cache"), |cache| cache.join("cml").join("models"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(name: &str) -> Result<EmbeddingModel> {
        find(Some(name)).map(|info| info.model)
    }

    #[test]
    fn a_model_is_found_by_code_by_original_and_by_name() -> Result<()> {
        for (name, model) in [
            ("Qdrant/all-MiniLM-L6-v2-onnx", EmbeddingModel::AllMiniLML6V2),
            ("sentence-transformers/all-MiniLM-L6-v2", EmbeddingModel::AllMiniLML6V2),
            ("all-minilm-l6-v2", EmbeddingModel::AllMiniLML6V2),
            ("Xenova/all-MiniLM-L6-v2", EmbeddingModel::AllMiniLML6V2Q),
            ("AllMiniLML6V2Q", EmbeddingModel::AllMiniLML6V2Q),
            ("BAAI/bge-small-en-v1.5", EmbeddingModel::BGESmallENV15),
            ("bgesmallenv15q", EmbeddingModel::BGESmallENV15Q),
            ("nomic-ai/nomic-embed-text-v1.5", EmbeddingModel::NomicEmbedTextV15),
            ("onnx-community/embeddinggemma-300m-ONNX", EmbeddingModel::EmbeddingGemma300M),
            ("intfloat/multilingual-e5-large", EmbeddingModel::MultilingualE5Large),
            (
                "sentence-transformers/paraphrase-multilingual-MiniLM-L12-v2",
                EmbeddingModel::ParaphraseMLMiniLML12V2,
            ),
        ] {
            assert_eq!(found(name)?, model, "{name}");
        }
        assert_eq!(find(None)?.model, EmbeddingModel::AllMiniLML6V2);
        Ok(())
    }

    #[test]
    fn another_owners_model_is_not_taken_for_a_known_one() {
        let error = found("someone/bge-small-en-v1.5").expect_err("a model that fastembed does not have");
        assert_eq!(error.kind(), ErrorKind::Config);
        assert!(
            error.suggestion().is_some_and(|known| known.contains("Qdrant/all-MiniLM-L6-v2-onnx")),
            "{error}"
        );
    }

    #[test]
    fn every_model_has_a_name_of_its_own() {
        let models = TextEmbedding::list_supported_models();
        let names: std::collections::BTreeSet<_> = models.iter().map(name).collect();
        assert_eq!(names.len(), models.len());
    }
}
