//! The `cml` command.

fn main() {}
