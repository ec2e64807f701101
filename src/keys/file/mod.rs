//! Key files: PEM, and cosign's encrypted private keys.

mod read;

#[cfg(feature = "sign")]
mod cosign;
#[cfg(feature = "sign")]
mod derive;
#[cfg(feature = "sign")]
mod provider;

#[cfg(test)]
#[cfg(feature = "sign")]
mod tests;

#[cfg(not(feature = "sign"))]
#[path = "derive_absent.rs"]
mod derive;

#[cfg(feature = "sign")]
pub(super) use provider::{load, private_of};

use super::{BoxFuture, KeyFault, KeyReader};
use crate::crypto::PublicKey;
use crate::reference::KeyRef;
use crate::secret::Secret;
use crate::trust::TrustedKey;

/// Keys in files, each named by its path.
pub(super) struct FileKeys;

impl KeyReader for FileKeys {
    fn reads(&self, key: &KeyRef) -> bool {
        matches!(key, KeyRef::File(_))
    }

    fn trusted<'a>(&'a self, key: &'a KeyRef) -> BoxFuture<'a, Result<Vec<TrustedKey>, KeyFault>> {
        Box::pin(async move {
            let KeyRef::File(path) = key else {
                return Err(KeyFault::NoProvider(key.to_string()));
            };
            Ok(vec![public_of(path, &read::key_file(path)?)?])
        })
    }
}

/// The public key in `pem`, which stands in the place called `name`.
pub(super) fn public_of(name: &str, pem: &Secret) -> Result<TrustedKey, KeyFault> {
    let public = match read::label(pem.expose()) {
        Some("PUBLIC KEY") => {
            PublicKey::from_pem(pem.expose()).map_err(|error| KeyFault::BadPublicKey {
                path: name.to_owned(),
                error,
            })?
        }
        Some("CERTIFICATE") => {
            return Err(read::bad(
                name,
                "it is a certificate, and verifying with certificates is not supported yet",
            ));
        }
        label => derive::public_of(name, label, pem)?,
    };
    Ok(TrustedKey::bare(public, name.to_owned()))
}
