//! Cryptography: hashes, keys, signatures and their verification, on aws-lc-rs alone.
//!
//! Nothing here but private keys touches the random generator: verifying must
//! not pay for its start.

#[cfg(any(feature = "sign", feature = "notation"))]
mod ecdsa;
mod hash;
mod parts;
#[cfg(feature = "sign")]
mod private;
mod public_key;
mod scheme;

#[cfg(any(feature = "sign", feature = "notation"))]
pub use ecdsa::ecdsa_der;
pub use hash::{Hasher, MultiHasher, sha256};
pub use parts::{PublicParts, curve_der};
#[cfg(feature = "sign")]
pub use private::{PrivateKey, PrivateKeyError};
pub use public_key::{KeyError, KeyKind, PublicKey};
pub use scheme::{Scheme, SignatureError};
