//! `cargo xtask`: the one test command and other chores.
fn main() {}
