//! The contract over REST.
