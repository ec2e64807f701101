//! Stands in where private keys are not compiled in.

use super::read;
use crate::crypto::PublicKey;
use crate::keys::KeyFault;
use crate::secret::Secret;

pub(super) fn public_of(path: &str, _: Option<&str>, _: &Secret) -> Result<PublicKey, KeyFault> {
    Err(read::bad(
        path,
        "it is no public key in PEM, and this build reads no private ones",
    ))
}
