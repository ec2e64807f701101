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
pub(super) use provider::load;

use super::{BoxFuture, KeyFault, KeyReader};
use crate::crypto::PublicKey;
use crate::reference::KeyRef;
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
            let pem = read::key_file(path)?;
            let public = match read::label(pem.expose()) {
                Some("PUBLIC KEY") => {
                    PublicKey::from_pem(pem.expose()).map_err(|error| KeyFault::BadPublicKey {
                        path: path.clone(),
                        error,
                    })?
                }
                Some("CERTIFICATE") => {
                    return Err(read::bad(
                        path,
                        "it is a certificate, and verifying with certificates is not supported yet",
                    ));
                }
                label => derive::public_of(path, label, &pem)?,
            };
            Ok(vec![TrustedKey::bare(public, path.clone())])
        })
    }
}
