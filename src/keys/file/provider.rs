use super::{FileKeys, cosign, read};
use crate::crypto::PrivateKey;
use crate::keys::software::SoftwareSigner;
use crate::keys::{
    BoxFuture, Capabilities, KeyFault, KeyProvider, Locked, Signer, Unlock, Warning,
};
use crate::reference::KeyRef;
use crate::secret::Secret;

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
            Ok(Box::new(SoftwareSigner::bare(PROVIDER, path, private)) as Box<dyn Signer>)
        })
    }

    fn name(&self) -> &'static str {
        PROVIDER
    }

    fn is_asked(&self) -> bool {
        false
    }

    fn probe(&self) -> BoxFuture<'_, Result<Vec<Warning>, KeyFault>> {
        Box::pin(async { Ok(Vec::new()) })
    }

    fn outlook<'a>(&'a self, key: &'a KeyRef) -> BoxFuture<'a, Result<Vec<Warning>, KeyFault>> {
        use std::os::unix::fs::PermissionsExt;

        Box::pin(async move {
            let KeyRef::File(path) = key else {
                return Err(KeyFault::NoProvider(key.to_string()));
            };
            let found = std::fs::metadata(path).map_err(|e| KeyFault::Unavailable {
                doing: "read",
                what: path.clone(),
                cause: e.to_string(),
            })?;
            let mode = found.permissions().mode() & 0o777;
            let told = (mode & 0o077 != 0).then(|| Warning {
                code: "key-file-open",
                text: format!("{path} is open to others than its owner (mode {mode:03o})"),
            });
            Ok(told.into_iter().collect())
        })
    }

    fn capabilities(&self) -> Capabilities<'_> {
        Capabilities::default()
    }
}

/// The private key in a file, opened with a password where it needs one.
pub(in crate::keys) fn load(path: &str, unlock: &dyn Unlock) -> Result<PrivateKey, KeyFault> {
    private_of(path, &read::key_file(path)?, unlock)
}

/// The private key in `pem`, which stands in the place called `name`.
pub(in crate::keys) fn private_of(
    name: &str,
    pem: &Secret,
    unlock: &dyn Unlock,
) -> Result<PrivateKey, KeyFault> {
    match read::label(pem.expose()) {
        None => Err(read::bad(name, "it is not a PEM document")),
        Some("PUBLIC KEY") => Err(KeyFault::OnlyPublic(name.to_owned())),
        Some(label) if cosign::is_label(label) => cosign::open(name, pem, &password(name, unlock)?),
        Some(_) => PrivateKey::from_pem(pem.expose()).map_err(|e| read::bad(name, &e.to_string())),
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
