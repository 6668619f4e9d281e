//! Text to vectors.

mod builtin;
mod dot;
#[cfg(any(feature = "fastembed", feature = "fastembed-download"))]
mod fastembed;
mod static_model;
mod wordpiece;

pub use builtin::{StaticEmbedder, WordPieceCounter};
pub use dot::{dot_i8, quantise};
#[cfg(any(feature = "fastembed", feature = "fastembed-download"))]
pub use fastembed::{FastEmbedOptions, FastEmbedder, Pooling};
pub use static_model::{StaticModel, StaticModelError, StemVector};
pub use wordpiece::{VocabularyError, WordPiece};
