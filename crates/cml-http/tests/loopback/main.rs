//! The client against a server on a loopback port: one of ours, and the original.

mod graph;
mod original;
mod ours;
mod support;
