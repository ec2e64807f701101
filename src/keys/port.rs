use super::{BoxFuture, KeyFault, KeyReader, NewKey};
use crate::crypto::{KeyKind, PrivateKey, PublicKey, Scheme};
use crate::custody::{KeyInfo, KeyState, Purpose};
use crate::digest::Digest;
use crate::environment::SecretSource;
use crate::reference::KeyRef;
use crate::secret::Secret;
use crate::time::{Span, Timestamp};
use crate::trust::VersionState;

/// One opened key version.
pub trait Signer: Send + Sync {
    /// What is known of it.
    fn key(&self) -> &KeyInfo;

    /// Its public key, as of opening.
    fn public_key(&self) -> &PublicKey;

    /// The one scheme it signs under.
    fn scheme(&self) -> Scheme;

    /// Signs `message`; the implementor hashes. Not idempotent: two calls may
    /// give two signatures. A key that was disabled or replaced since it was
    /// opened does not sign.
    ///
    /// # Errors
    /// `KeyFault`; only `Unavailable` and `Busy` may be tried again.
    fn sign<'a>(&'a self, message: &'a [u8]) -> BoxFuture<'a, Result<Vec<u8>, KeyFault>>;

    /// The second trait, where the scheme has a hash.
    fn prehashed(&self) -> Option<&dyn PrehashSigner>;
}

/// A signer of digests that others computed.
pub trait PrehashSigner: Send + Sync {
    /// Signs a message of which `digest` is the digest, in the scheme's hash.
    ///
    /// # Errors
    /// As [`Signer::sign`].
    fn sign_digest<'a>(&'a self, digest: &'a Digest) -> BoxFuture<'a, Result<Vec<u8>, KeyFault>>;
}

/// A backend that holds keys.
pub trait KeyProvider: KeyReader {
    /// The URI schemes it answers to, lower case.
    fn schemes(&self) -> &'static [&'static str];

    /// Opens the active version of `key`, or the one that it names.
    ///
    /// # Errors
    /// `KeyFault`.
    fn open<'a>(
        &'a self,
        key: &'a KeyRef,
        unlock: &'a dyn Unlock,
    ) -> BoxFuture<'a, Result<Box<dyn Signer>, KeyFault>>;

    /// Its name, in records and messages.
    fn name(&self) -> &'static str;

    /// Whether there is one place behind all its keys, which [`probe`] asks;
    /// where there is none, only what is set up is looked at.
    ///
    /// [`probe`]: KeyProvider::probe
    fn is_asked(&self) -> bool;

    /// Whether the backend answers at all, and what works now and will not
    /// for long: of the backend, and of what was opened through this adapter.
    /// Unlocks nothing.
    ///
    /// # Errors
    /// `KeyFault`.
    fn probe(&self) -> BoxFuture<'_, Result<Vec<Warning>, KeyFault>>;

    /// What works now with `key` and will not for long, and what somebody who
    /// relies on it should know: what the backend shows of it without signing.
    /// Unlocks nothing. Nothing is known where the backend shows nothing.
    ///
    /// # Errors
    /// `KeyFault`; a backend that does not let it be read says `Refused`.
    fn outlook<'a>(&'a self, key: &'a KeyRef) -> BoxFuture<'a, Result<Vec<Warning>, KeyFault>> {
        let _shows_nothing = key;
        Box::pin(std::future::ready(Ok(Vec::new())))
    }

    /// The names under which public keys of `key` are noted, where it can be
    /// spelled in several ways or has notes of its versions.
    ///
    /// # Errors
    /// `BadUri`.
    fn noted_as(&self, key: &KeyRef) -> Result<Vec<KeyRef>, KeyFault> {
        Ok(vec![key.without_version()])
    }

    /// What else the backend can do.
    fn capabilities(&self) -> Capabilities<'_>;
}

/// Something that works now and will fail later, or may.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Warning {
    /// Kebab case, for scripts: `token-expires`.
    pub code: &'static str,
    /// What, and when; never a credential.
    pub text: String,
}

impl Warning {
    /// What to do.
    pub fn hint(&self) -> Option<&'static str> {
        Some(match self.code {
            "token-expires" => "get another one, or let an agent keep the file that holds it fresh",
            "token-root" => {
                "use a token that may do what docs/providers.md lists, and no more: this one may do everything"
            }
            "certificate-expires" => "renew the certificate in time",
            "key-expires" => "make a new version or a new key in time, and let policies trust both",
            "key-extractable" => {
                "make a key that its backend never gives out; this one may have a copy elsewhere"
            }
            "key-file-open" | "program-open" => "take the rights of others away, with chmod",
            "deletion-allowed" => "forbid its deletion where the key is; a deleted key is gone",
            "pin-count-low" | "pin-last-try" => {
                "see who tries wrong PINs, and log in with the right one once"
            }
            "pin-locked" => "let the token's security officer reset the PIN",
            "whole-messages-only" => {
                "sign attestations with it, and files with another key: of those only the digest is at hand"
            }
            _ => return None,
        })
    }
}

/// What a backend can do beyond signing; `None` is what it cannot.
#[derive(Clone, Copy, Default)]
pub struct Capabilities<'a> {
    /// Tell of keys.
    pub describe: Option<&'a dyn DescribeKey>,
    /// Make keys.
    pub generate: Option<&'a dyn GenerateKey>,
    /// Take in keys that were made elsewhere.
    pub import: Option<&'a dyn ImportKey>,
    /// Give a key a new version.
    pub rotate: Option<&'a dyn RotateKey>,
    /// Enable and disable keys.
    pub lifecycle: Option<&'a dyn Lifecycle>,
    /// Retire single versions.
    pub retire: Option<&'a dyn RetireVersion>,
}

/// Makes keys. A key is durable before it is returned. Of two that ask for
/// the same name, one gets it and the other `Exists`, as far as the backend
/// tells them apart: one that leaves a key that is there as it is, and says
/// nothing, may show the same new key to both.
pub trait GenerateKey: Send + Sync {
    /// Makes a key of `kind`.
    ///
    /// # Errors
    /// `KeyFault`.
    fn generate<'a>(
        &'a self,
        new: &'a NewKey,
        kind: KeyKind,
        unlock: &'a dyn Unlock,
    ) -> BoxFuture<'a, Result<Described, KeyFault>>;
}

/// Takes in keys; names as [`GenerateKey`] has them.
pub trait ImportKey: Send + Sync {
    /// Takes in a key that was made elsewhere.
    ///
    /// # Errors
    /// `KeyFault`.
    fn import<'a>(
        &'a self,
        new: &'a NewKey,
        private: &'a PrivateKey,
        unlock: &'a dyn Unlock,
    ) -> BoxFuture<'a, Result<Described, KeyFault>>;
}

/// Gives keys new versions; durable on return.
pub trait RotateKey: Send + Sync {
    /// A new active version; the old one keeps verifying, in grace for
    /// `grace` and then verify-only.
    ///
    /// # Errors
    /// `KeyFault`.
    fn rotate<'a>(
        &'a self,
        key: &'a KeyRef,
        grace: Span,
        unlock: &'a dyn Unlock,
    ) -> BoxFuture<'a, Result<Described, KeyFault>>;
}

/// Changes what keys may do; durable on return.
pub trait Lifecycle: Send + Sync {
    /// Enables or disables a key. Idempotent.
    ///
    /// # Errors
    /// `KeyFault`.
    fn set_state<'a>(
        &'a self,
        key: &'a KeyRef,
        state: KeyState,
        unlock: &'a dyn Unlock,
    ) -> BoxFuture<'a, Result<Described, KeyFault>>;
}

/// Ends single versions; durable on return.
pub trait RetireVersion: Send + Sync {
    /// Lets a version that is not active verify nothing any more. Idempotent,
    /// and final.
    ///
    /// # Errors
    /// `KeyFault`.
    fn retire<'a>(
        &'a self,
        key: &'a KeyRef,
        version: u32,
        unlock: &'a dyn Unlock,
    ) -> BoxFuture<'a, Result<Described, KeyFault>>;
}

/// Tells of keys, without unlocking any.
pub trait DescribeKey: Send + Sync {
    /// One key.
    ///
    /// # Errors
    /// `KeyFault`.
    fn describe<'a>(&'a self, key: &'a KeyRef) -> BoxFuture<'a, Result<Described, KeyFault>>;

    /// All keys that can be listed, in the order of their paths.
    ///
    /// # Errors
    /// `KeyFault`.
    fn list(&self) -> BoxFuture<'_, Result<Vec<Described>, KeyFault>>;

    /// Those of one place: a token, a mount, a vault. A backend that is one
    /// place as a whole is named by its scheme alone, as in `awskms://`.
    ///
    /// # Errors
    /// `KeyFault`; `BadUri` where `place` is none.
    fn list_in<'a>(&'a self, place: &'a KeyRef) -> BoxFuture<'a, Result<Vec<Described>, KeyFault>> {
        match beyond_scheme(place) {
            None => self.list(),
            Some(scheme) => Box::pin(std::future::ready(Err(KeyFault::BadUri {
                uri: place.to_string(),
                why: format!("what is listed there is named by its scheme alone, as in {scheme}"),
            }))),
        }
    }
}

/// The scheme of a URI that says more than its scheme.
pub(super) fn beyond_scheme(place: &KeyRef) -> Option<&str> {
    let KeyRef::Provider { uri, .. } = place else {
        return None;
    };
    let end = uri.find(':').map_or(uri.len(), |at| at + 1);
    let end = match uri.get(end..) {
        Some(rest) if rest.starts_with("//") => end + 2,
        _ => end,
    };
    (uri.len() > end).then(|| &uri[..end])
}

/// A key with all its versions, without material.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Described {
    /// The provider's own id: a UUID, an ARN; the name where it has nothing else.
    pub id: String,
    /// `kms://…`, or the provider's URI, without a version.
    pub path: String,
    /// The provider that holds it.
    pub provider: &'static str,
    /// What it is for; `None` where the provider does not say.
    pub purpose: Option<Purpose>,
    /// Whether it may be used.
    pub state: KeyState,
    /// The scheme all its versions sign under.
    pub scheme: Scheme,
    /// Other names, sorted.
    pub aliases: Vec<String>,
    /// When it was made, where the provider says.
    pub created: Option<Timestamp>,
    /// Its versions, from 1.
    pub versions: Vec<DescribedVersion>,
    /// The embedded keystore's generation that this tells of; each change adds
    /// one. `None` of other providers.
    pub generation: Option<u64>,
}

/// One version of a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DescribedVersion {
    /// From 1; `None` where the provider has no versions.
    pub version: Option<u32>,
    /// What it may do now.
    pub state: VersionState,
    /// When its grace ends, where it is in grace.
    pub grace_until: Option<Timestamp>,
    /// When it was made, where the provider says.
    pub created: Option<Timestamp>,
    /// Its public key.
    pub public_key: PublicKey,
}

/// Something that a passphrase opens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Locked {
    /// The keystore in that state folder.
    Keystore(String),
    /// An encrypted key file.
    KeyFile(String),
    /// An HSM or smart card, by its PIN.
    Token {
        /// Its label.
        token: String,
        /// Where the configuration says that its PIN is. Whoever has no better
        /// source fetches it from there.
        configured: Option<SecretSource>,
    },
}

/// Where passphrases come from: a file, the environment, a person.
pub trait Unlock: Send + Sync {
    /// The passphrase that opens `what`. Asked at most once per opening.
    ///
    /// # Errors
    /// `UnlockError`.
    fn passphrase(&self, what: &Locked) -> Result<Secret, UnlockError>;
}

/// Why there is no passphrase.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UnlockError {
    /// Nobody gave one, and nobody can be asked.
    #[error("no passphrase was given and there is no terminal to ask on")]
    NotGiven,
    /// An empty one.
    #[error("the passphrase is empty")]
    Empty,
    /// The one that was given before did not open it, and none is tried again.
    #[error("the one that was given was refused, and it is not tried again")]
    Refused,
    /// The two that were typed differ.
    #[error("the two passphrases differ")]
    Mismatch,
    /// What should hold it cannot be read.
    #[error("cannot read the passphrase from {from}: {cause}")]
    Unreadable {
        /// The file, or the terminal.
        from: String,
        /// What the operating system said.
        cause: String,
    },
}
