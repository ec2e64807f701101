//! The integration tests: one binary.

// Tests say what went wrong by panicking, and name what they left out on the
// terminal; the lints' own exemption covers only the bodies of `#[test]`s.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    clippy::print_stderr
)]

mod audit;
mod cli;
mod formats;
mod harness;
mod interop;
mod keys;
mod layout;
mod mlbom;
mod model;
mod policy;
mod predicate;
mod quickstart;
mod registry;
mod sbom;
mod source;
mod tidy;
mod vectors;
