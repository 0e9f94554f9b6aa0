//! The `bestow` command.
fn main() {}
