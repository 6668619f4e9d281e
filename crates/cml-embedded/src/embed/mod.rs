//! Text to vectors.

mod builtin;
mod dot;
mod static_model;
mod wordpiece;

pub use builtin::{StaticEmbedder, WordPieceCounter};
pub use dot::{dot_i8, quantise};
pub use static_model::{StaticModel, StaticModelError, StemVector};
pub use wordpiece::{VocabularyError, WordPiece};
