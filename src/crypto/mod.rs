//! Cryptography: hashes, public keys and signature verification, on aws-lc-rs alone.
//!
//! Nothing in this module touches the random generator: verifying must not
//! pay for its start.

mod hash;
mod public_key;
mod scheme;

pub use hash::{Hasher, MultiHasher, sha256};
pub use public_key::{KeyError, KeyKind, PublicKey};
pub use scheme::{Scheme, SignatureError};
