//! What every provider must do, run against each adapter by its own tests.

#[path = "../../tests/it/harness/parts.rs"]
#[allow(dead_code)]
mod parts;

use super::{KeyFault, KeyProvider, Signer, Unlock};
use crate::crypto::Hasher;
use crate::digest::{Algorithm, Digest};
use crate::reference::KeyRef;

/// The real parts that adapters are held against.
#[allow(unused_imports)]
pub(super) use parts::peer;

/// `key` exists and may sign; `unlock` opens it, `wrong` does not (`None`
/// where the key needs no passphrase); `absent` does not exist.
pub(super) struct Case<'a> {
    pub(super) provider: &'a dyn KeyProvider,
    pub(super) key: KeyRef,
    pub(super) absent: KeyRef,
    /// What is said of it: that it is not there, and not that it could not be
    /// looked up.
    pub(super) missing: &'static str,
    pub(super) foreign: KeyRef,
    pub(super) unlock: &'a dyn Unlock,
    pub(super) wrong: Option<&'a dyn Unlock>,
    /// Whether `trusted` works for `key` itself.
    pub(super) public_is_known: bool,
}

pub(super) async fn holds(case: &Case<'_>) {
    let Case { provider, key, .. } = case;
    assert!(!provider.schemes().is_empty());
    provider.probe().await.unwrap();
    assert!(provider.reads(key) && !provider.reads(&case.foreign));

    let signer = provider.open(key, case.unlock).await.unwrap();
    signs(signer.as_ref()).await;
    if case.public_is_known {
        // What opens to sign is what is trusted to verify, and comes first.
        let trusted = provider.trusted(key).await.unwrap();
        assert_eq!(&trusted[0].public_key, signer.public_key());
        assert_eq!(trusted[0].scheme, signer.scheme());
        assert_eq!(trusted[0].key_id, signer.key().id);
    }

    if let Some(wrong) = case.wrong {
        let refused = provider.open(key, wrong).await.err();
        assert!(
            matches!(refused, Some(KeyFault::WrongPassphrase(_))),
            "{refused:?}"
        );
    }
    let opened = provider.open(&case.absent, case.unlock).await.map(drop);
    let trusted = provider.trusted(&case.absent).await.map(drop);
    for refused in [opened, trusted] {
        let code = refused.as_ref().map_err(KeyFault::code);
        assert_eq!(code, Err(case.missing), "{refused:?}");
    }
    assert!(provider.open(&case.foreign, case.unlock).await.is_err());
    assert!(provider.trusted(&case.foreign).await.is_err());
}

pub(super) async fn signs(signer: &dyn Signer) {
    let (scheme, public) = (signer.scheme(), signer.public_key());
    assert!(scheme.fits(public.kind()));
    for message in [&b""[..], b"abc", &[0; 100_000]] {
        let signature = signer.sign(message).await.unwrap();
        scheme.verify(public, message, &signature).unwrap();
        assert!(scheme.verify(public, b"another", &signature).is_err());
    }
    // The second trait is there exactly where the scheme has a hash, and signs the same.
    assert_eq!(signer.prehashed().is_some(), scheme.hash().is_some());
    if let (Some(prehashed), Some(hash)) = (signer.prehashed(), scheme.hash()) {
        let digest = digest(hash, b"abc");
        let signature = prehashed.sign_digest(&digest).await.unwrap();
        scheme.verify(public, b"abc", &signature).unwrap();
        let other = match hash {
            Algorithm::Sha256 => Algorithm::Sha512,
            Algorithm::Sha384 | Algorithm::Sha512 => Algorithm::Sha256,
        };
        let refused = prehashed.sign_digest(&self::digest(other, b"abc")).await;
        assert!(matches!(refused, Err(KeyFault::BadRequest { .. })));
    }
}

fn digest(hash: Algorithm, data: &[u8]) -> Digest {
    let mut hasher = Hasher::new(hash);
    hasher.update(data);
    hasher.finish()
}

/// A passphrase that is always the same.
pub(super) struct Fixed(pub(super) &'static str);

impl Unlock for Fixed {
    fn passphrase(&self, _: &super::Locked) -> Result<crate::secret::Secret, super::UnlockError> {
        Ok(crate::secret::Secret::from(self.0.to_owned()))
    }
}

pub(super) fn run<F: Future>(future: F) -> F::Output {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap()
        .block_on(future)
}
