//! What the integration tests share: a scratch folder, the binary in a
//! scrubbed environment, output that explains itself, and the real parts.
//!
//! ```ignore
//! let scratch = Scratch::new();
//! scratch.write("a.bin", b"abc");
//! let out = scratch.obreia().args(["verify", "a.bin", "--key", "k.pem"]).run();
//! out.expect_code(1).stdout_has("digest-mismatch");
//! insta::assert_snapshot!(Normaliser::new(&scratch).digests().output(&out));
//! ```

// Not every area uses every part of the harness in every state of the tree.
#![allow(dead_code, unused_imports)]

pub(crate) mod between;
mod command;
mod normalise;
pub(crate) mod notary;
mod output;
mod parts;
mod scratch;

pub(crate) use command::{Obreia, Running};
pub(crate) use normalise::Normaliser;
pub(crate) use output::Output;
pub(crate) use parts::{not_run, peer, shared_data, testdata};
pub(crate) use scratch::Scratch;
