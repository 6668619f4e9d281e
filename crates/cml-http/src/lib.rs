//! The contract over REST: the place of the HTTP backend, which is not built yet.
//!
//! Asking for `Mode::Http` is `Unsupported` until it is.
