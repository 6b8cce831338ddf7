//! chaperone.
fn main() {}
