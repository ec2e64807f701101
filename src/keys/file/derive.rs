use super::{cosign, read};
use crate::crypto::{PrivateKey, PublicKey};
use crate::keys::KeyFault;
use crate::secret::Secret;

/// The public key of a private one that needs no password.
pub(super) fn public_of(
    path: &str,
    label: Option<&str>,
    pem: &Secret,
) -> Result<PublicKey, KeyFault> {
    match label {
        None => Err(read::bad(path, "it is not a PEM document")),
        Some(label) if cosign::is_label(label) || label == "ENCRYPTED PRIVATE KEY" => {
            Err(KeyFault::OnlyEncrypted(path.to_owned()))
        }
        Some(_) => PrivateKey::from_pem(pem.expose())
            .map(|key| key.public_key().clone())
            .map_err(|e| read::bad(path, &e.to_string())),
    }
}
