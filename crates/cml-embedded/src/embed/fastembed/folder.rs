//! Models in a folder.

use std::ffi::OsStr;
use std::fmt::Write;
use std::path::{Path, PathBuf};

use ::fastembed::{
    InitOptionsUserDefined, Pooling as FastembedPooling, TextEmbedding, TokenizerFiles,
    UserDefinedEmbeddingModel,
};
use cml_core::{Error, ErrorKind, Result};
use regex::bytes::Regex;
use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};

use super::options::{FastEmbedOptions, MAX_TOKENS, Pooling};
use super::unusable;

const MODEL_FILES: [&str; 4] =
    ["model.onnx", "model_quantized.onnx", "onnx/model.onnx", "onnx/model_quantized.onnx"];

/// The files of a model.
pub(super) struct ModelFolder {
    /// The folder's name and a digest of what decides the vectors.
    pub(super) name: String,
    /// Whether the model scales its inputs by the batch they are in.
    pub(super) one_by_one: bool,
    path: PathBuf,
    onnx: Vec<u8>,
    /// Weights outside the ONNX file, by the name it calls them.
    external: Vec<(String, Vec<u8>)>,
    tokenizer: TokenizerFiles,
    pooling: Pooling,
    max_tokens: usize,
}

impl ModelFolder {
    /// Reads the model in `folder`; `pooling` overrides what the folder says.
    pub(super) fn read(folder: &Path, pooling: Option<Pooling>) -> Result<Self> {
        let broken = |what: &str| Error::new(ErrorKind::Config, format!("{} {what}", folder.display()));
        let folder = folder
            .canonicalize()
            .map_err(|error| broken("is not a folder that can be read").with_source(error))?;
        let path = MODEL_FILES.iter().map(|file| folder.join(file)).find(|path| path.is_file()).ok_or_else(
            || {
                broken("has no model.onnx")
                    .with_suggestion("an ONNX export of the model and its tokenizer.json are needed")
            },
        )?;
        let tokenizer_path = folder.join("tokenizer.json");
        if !tokenizer_path.is_file() {
            return Err(broken("has no tokenizer.json"));
        }
        let onnx = bytes(&path)?;
        let external = external(&path)?;
        let tokenizer = bytes(&tokenizer_path)?;
        let config = object(&folder.join("config.json"))?;
        let sentence = object(&folder.join("sentence_bert_config.json"))?;
        let mut tokenizer_config = object(&folder.join("tokenizer_config.json"))?;
        complete(&mut tokenizer_config, &tokenizer)
            .map_err(|error| broken("has a tokenizer.json that is not JSON").with_source(error))?;

        let max_tokens = [
            config.get("max_position_embeddings"),
            sentence.get("max_seq_length"),
            tokenizer_config.get("model_max_length"),
        ]
        .into_iter()
        .flatten()
        // Some configurations write 1e30 for no limit.
        .filter_map(Value::as_f64)
        .fold(MAX_TOKENS, |least, limit| least.min(limit as usize))
        .max(1);
        let pooling = match pooling {
            Some(pooling) => pooling,
            None => declared_pooling(&folder.join("1_Pooling").join("config.json"))?,
        };

        let parts = [&onnx, &tokenizer].into_iter().chain(external.iter().map(|(_, weights)| weights));
        let digest = digest(parts, pooling, max_tokens);
        let stem = folder.file_name().and_then(OsStr::to_str).unwrap_or("model");
        Ok(Self {
            name: format!("{stem}-{digest}"),
            one_by_one: scales_by_batch(&onnx)?,
            path,
            onnx,
            external,
            tokenizer: TokenizerFiles {
                tokenizer_file: tokenizer,
                config_file: text(&config),
                special_tokens_map_file: text(&object(&folder.join("special_tokens_map.json"))?),
                tokenizer_config_file: text(&tokenizer_config),
            },
            pooling,
            max_tokens,
        })
    }

    /// Loads the model.
    pub(super) fn open(self, options: &FastEmbedOptions) -> Result<TextEmbedding> {
        let model =
            UserDefinedEmbeddingModel::new(self.onnx, self.tokenizer).with_pooling(match self.pooling {
                Pooling::Mean => FastembedPooling::Mean,
                Pooling::Cls => FastembedPooling::Cls,
            });
        let model = self
            .external
            .into_iter()
            .fold(model, |model, (name, weights)| model.with_external_initializer(name, weights));
        let mut init = InitOptionsUserDefined::new()
            .with_max_length(self.max_tokens)
            .with_intra_threads(options.effective_threads())
            // Idle threads of a calculation would otherwise spin for a while.
            .with_session_config("session.intra_op.allow_spinning", "0");
        if let Some(environment) = &options.environment {
            init = init.with_environment(environment.clone());
        }
        TextEmbedding::try_new_from_user_defined(model, init)
            .map_err(|error| unusable(&self.path.display().to_string(), error))
    }
}

fn bytes(path: &Path) -> Result<Vec<u8>> {
    std::fs::read(path).map_err(|error| {
        Error::new(ErrorKind::Config, format!("{} cannot be read", path.display())).with_source(error)
    })
}

/// The JSON object in a file; empty where there is no such file.
fn object(path: &Path) -> Result<Map<String, Value>> {
    if !path.is_file() {
        return Ok(Map::new());
    }
    serde_json::from_slice(&bytes(path)?).map_err(|error| {
        Error::new(ErrorKind::Config, format!("{} is not a JSON object", path.display())).with_source(error)
    })
}

fn text(object: &Map<String, Value>) -> Vec<u8> {
    json!(object).to_string().into_bytes()
}

/// The weights beside the ONNX file, `model.onnx_data` or `model.onnx.data`, in the order of their names.
fn external(onnx: &Path) -> Result<Vec<(String, Vec<u8>)>> {
    let stem = onnx.file_name().and_then(OsStr::to_str).unwrap_or_default();
    let prefixes = [format!("{stem}_data"), format!("{stem}.data")];
    let entries = onnx.parent().and_then(|folder| folder.read_dir().ok()).into_iter().flatten();
    let mut names: Vec<_> = entries
        .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
        .filter(|name| prefixes.iter().any(|prefix| name.starts_with(prefix)))
        .collect();
    names.sort_unstable();
    names
        .into_iter()
        .map(|name| {
            let weights = bytes(&onnx.with_file_name(&name))?;
            Ok((name, weights))
        })
        .collect()
}

/// Adds what fastembed requires of `tokenizer_config.json`: the longest input and the padding token.
fn complete(config: &mut Map<String, Value>, tokenizer: &[u8]) -> Result<(), serde_json::Error> {
    if !config.get("model_max_length").is_some_and(Value::is_number) {
        config.insert("model_max_length".to_owned(), json!(MAX_TOKENS));
    }
    let pad = config.get("pad_token");
    if !pad.is_some_and(|pad| pad.is_string() || pad["content"].is_string()) {
        let tokenizer: Value = serde_json::from_slice(tokenizer)?;
        let added = tokenizer["added_tokens"].as_array();
        // SentencePiece vocabularies write it in another way than BERT's.
        let sentencepiece =
            added.is_some_and(|tokens| tokens.iter().any(|token| token["content"] == "<pad>"));
        config.insert("pad_token".to_owned(), json!(if sentencepiece { "<pad>" } else { "[PAD]" }));
    }
    Ok(())
}

/// The pooling in a sentence-transformers configuration; the mean where there is none.
fn declared_pooling(path: &Path) -> Result<Pooling> {
    let config = object(path)?;
    let is_on = |mode: &str| config.get(mode).and_then(Value::as_bool) == Some(true);
    if config.is_empty() || is_on("pooling_mode_mean_tokens") {
        Ok(Pooling::Mean)
    } else if is_on("pooling_mode_cls_token") {
        Ok(Pooling::Cls)
    } else {
        let message = format!("{} asks for a pooling other than mean and cls", path.display());
        Err(Error::new(ErrorKind::Config, message))
    }
}

/// Whether a graph quantises its inputs as it runs: one scale for the whole tensor, so for the batch.
fn scales_by_batch(onnx: &[u8]) -> Result<bool> {
    let operators = Regex::new("DynamicQuantize(Linear|MatMul|LSTM)")
        .map_err(|error| Error::new(ErrorKind::Internal, "a fixed pattern is wrong").with_source(error))?;
    Ok(operators.is_match(onnx))
}

/// Eight hexadecimal digits of SHA-256 over what decides the vectors.
fn digest<'a>(parts: impl Iterator<Item = &'a Vec<u8>>, pooling: Pooling, max_tokens: usize) -> String {
    let mut hasher = Sha256::new();
    for part in parts {
        hasher.update((part.len() as u64).to_le_bytes());
        hasher.update(part);
    }
    hasher.update(format!("{pooling:?} {max_tokens}"));
    hasher.finalize().iter().take(4).fold(String::new(), |mut digits, byte| {
        // Writing to a string cannot fail.
        let _ = write!(digits, "{byte:02x}");
        digits
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_tokenizer_configuration_gets_the_vocabularys_padding() -> Result<(), serde_json::Error> {
        for (tokenizer, pad) in [
            (r#"{"added_tokens":[{"content":"[PAD]"}]}"#, "[PAD]"),
            (r#"{"added_tokens":[{"content":"<pad>"}]}"#, "<pad>"),
        ] {
            let mut config = Map::new();
            complete(&mut config, tokenizer.as_bytes())?;
            assert_eq!(config["pad_token"], pad);
            assert_eq!(config["model_max_length"], MAX_TOKENS);
        }
        Ok(())
    }

    #[test]
    fn a_graph_that_scales_by_batch_is_known_by_its_operators() -> Result<()> {
        assert!(scales_by_batch(b"\x08\xff\x0aDynamicQuantizeLinear\x00\xfe")?);
        assert!(!scales_by_batch(b"\x08\xffDequantizeLinear MatMul\x00")?);
        Ok(())
    }

    #[test]
    fn the_digest_depends_on_every_part() {
        let (a, b) = (b"a".to_vec(), b"b".to_vec());
        let first = digest([&a, &b].into_iter(), Pooling::Mean, 256);
        assert_eq!(first.len(), 8);
        assert_ne!(first, digest([&b, &a].into_iter(), Pooling::Mean, 256));
        assert_ne!(first, digest([&a, &b].into_iter(), Pooling::Cls, 256));
        assert_ne!(first, digest([&a, &b].into_iter(), Pooling::Mean, 512));
    }
}
