//! The built-in English embedding table: one int8 row of 256 values for each of 30,522 WordPieces.
//!
//! A sentence's vector is the unit vector of the sum of `weights[id] * embeddings[id]` over its pieces,
//! with the pieces of BERT's uncased WordPiece. The table is English only and ignores word order; how
//! it was made and measured is in the README.
//!
//! This crate holds data. `cml_embedded::embed::StaticModel` reads it.

/// The model's name, which a store keeps beside the vectors made with it.
///
/// A table that gives other vectors gets another name.
pub const NAME: &str = "static-en-256-v1";

/// Length of a vector.
pub const DIMENSIONS: usize = 256;

/// The table as a [safetensors](https://github.com/huggingface/safetensors) file.
///
/// It holds `embeddings`, int8 of shape `[30522, 256]`, and `weights`, little-endian f32 of shape
/// `[30522]`, the scale of each row.
pub const TENSORS: &[u8] = include_bytes!("../data/model.safetensors");

/// The WordPiece vocabulary, one piece per line in the order of the rows.
pub const VOCAB: &str = include_str!("../data/vocab.txt");
