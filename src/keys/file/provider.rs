use super::{FileKeys, cosign, read};
use crate::crypto::PrivateKey;
use crate::custody::{KeyInfo, KeyState};
use crate::keys::software::SoftwareSigner;
use crate::keys::{
    BoxFuture, Capabilities, KeyFault, KeyProvider, Locked, Signer, Unlock, Warning,
};
use crate::reference::KeyRef;
use crate::secret::Secret;
use crate::trust::VersionState;

const PROVIDER: &str = "file";

impl KeyProvider for FileKeys {
    fn schemes(&self) -> &'static [&'static str] {
        &["file"]
    }

    fn open<'a>(
        &'a self,
        key: &'a KeyRef,
        unlock: &'a dyn Unlock,
    ) -> BoxFuture<'a, Result<Box<dyn Signer>, KeyFault>> {
        Box::pin(async move {
            let KeyRef::File(path) = key else {
                return Err(KeyFault::NoProvider(key.to_string()));
            };
            let private = load(path, unlock)?;
            let public = private.public_key();
            let info = KeyInfo {
                id: public.id().hex(),
                path: path.clone(),
                version: None,
                purpose: None,
                state: KeyState::Enabled,
                version_state: VersionState::Active,
                provider: PROVIDER,
            };
            let scheme = public.default_scheme();
            Ok(Box::new(SoftwareSigner::new(info, scheme, private)) as Box<dyn Signer>)
        })
    }

    fn name(&self) -> &'static str {
        PROVIDER
    }

    fn probe(&self) -> BoxFuture<'_, Result<Vec<Warning>, KeyFault>> {
        Box::pin(async { Ok(Vec::new()) })
    }

    fn capabilities(&self) -> Capabilities<'_> {
        Capabilities::default()
    }
}

/// The private key in a file, opened with a password where it needs one.
pub(in crate::keys) fn load(path: &str, unlock: &dyn Unlock) -> Result<PrivateKey, KeyFault> {
    let pem = read::key_file(path)?;
    match read::label(pem.expose()) {
        None => Err(read::bad(path, "it is not a PEM document")),
        Some("PUBLIC KEY") => Err(KeyFault::OnlyPublic(path.to_owned())),
        Some(label) if cosign::is_label(label) => {
            cosign::open(path, &pem, &password(path, unlock)?)
        }
        Some(_) => PrivateKey::from_pem(pem.expose()).map_err(|e| read::bad(path, &e.to_string())),
    }
}

fn password(path: &str, unlock: &dyn Unlock) -> Result<Secret, KeyFault> {
    unlock
        .passphrase(&Locked::KeyFile(path.to_owned()))
        .map_err(|e| KeyFault::NoPassphrase {
            what: path.to_owned(),
            why: e.to_string(),
        })
}
