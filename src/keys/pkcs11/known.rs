//! What is known of a key once its token has shown it.

use super::module::{Found, Module};
use super::place::{Named, Place};
use super::public::public_key;
use super::uri::Uri;
use super::wire::Facts;
use super::{PROVIDER, Pkcs11Keys};
use crate::crypto::{KeyKind, PublicKey, Scheme};
use crate::custody::{KeyInfo, KeyState};
use crate::keys::known::{Known, KnownVersion};
use crate::keys::{Described, DescribedVersion, KeyFault};
use crate::reference::KeyRef;
use crate::trust::{TrustedKey, VersionState};

/// A key that a token showed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Shown {
    pub(super) id: String,
    /// The URI that names it, as it was given but in one spelling.
    pub(super) path: String,
    pub(super) public: PublicKey,
    pub(super) scheme: Scheme,
}

impl Shown {
    pub(super) fn new(
        module: &Module,
        found: &Found,
        uri: &Uri,
        facts: &Facts,
    ) -> Result<Self, KeyFault> {
        let path = uri.canonical();
        let wrong = |why: String| KeyFault::WrongAlgorithm {
            key: path.clone(),
            why,
        };
        let public = public_key(facts).map_err(|e| wrong(e.to_string()))?;
        let public = public.ok_or_else(|| KeyFault::BadRequest {
            key: path.clone(),
            why: "the token shows neither its public key nor a certificate with the same id"
                .to_owned(),
        })?;
        let scheme = fitting(uri, &module.place, &public)?;
        Ok(Self {
            id: id(found, facts),
            path,
            public,
            scheme,
        })
    }

    pub(super) fn info(&self) -> KeyInfo {
        KeyInfo {
            id: self.id.clone(),
            path: self.path.clone(),
            version: None,
            purpose: None,
            state: KeyState::Enabled,
            version_state: VersionState::Active,
            provider: PROVIDER,
        }
    }

    pub(super) fn described(&self) -> Described {
        Described {
            id: self.id.clone(),
            path: self.path.clone(),
            provider: PROVIDER,
            purpose: None,
            state: KeyState::Enabled,
            scheme: self.scheme,
            aliases: Vec::new(),
            created: None,
            versions: vec![DescribedVersion {
                version: None,
                state: VersionState::Active,
                grace_until: None,
                created: None,
                public_key: self.public.clone(),
            }],
            generation: None,
        }
    }
}

/// The scheme that the URI or the configuration states, else the one that
/// holds for such a key everywhere here.
///
/// # Errors
/// `WrongAlgorithm` where a key of that kind does not sign under it.
fn fitting(uri: &Uri, place: &Place, public: &PublicKey) -> Result<Scheme, KeyFault> {
    let configured = match public.kind() {
        KeyKind::Rsa { .. } => place.rsa,
        _ => None,
    };
    let scheme = uri
        .scheme
        .or(configured)
        .unwrap_or_else(|| public.default_scheme());
    if scheme.fits(public.kind()) {
        return Ok(scheme);
    }
    Err(KeyFault::WrongAlgorithm {
        key: uri.canonical(),
        why: format!("a {} key does not sign under {scheme}", public.kind()),
    })
}

/// The token's serial number and the key's own id or, without one, its label.
fn id(found: &Found, facts: &Facts) -> String {
    let own = if facts.id.is_empty() {
        String::from_utf8_lossy(&facts.label).into_owned()
    } else {
        hex::encode(&facts.id)
    };
    format!("{}/{own}", found.token.serial)
}

impl Pkcs11Keys {
    /// What was known of `uri` before; the public key of an object never
    /// changes, so it does not grow old. The scheme of an RSA key may be
    /// stated to be another one by now.
    pub(super) fn known(&self, uri: &Uri) -> Result<Option<TrustedKey>, KeyFault> {
        let key = key_ref(uri);
        let notes = &self.context.known;
        // Nothing is loaded for this, whoever names the module.
        let place = self.places.of(uri, Named::ByOperator);
        let known = match &place {
            Ok(place) => notes.any(&key, &place.name())?,
            // No module is meant that could show another key.
            Err(_) => notes.anywhere(&key)?,
        };
        let Some(known) = known else { return Ok(None) };
        let mut trusted = known.trusted(PROVIDER, &key)?.swap_remove(0);
        if let Ok(place) = &place {
            trusted.scheme = fitting(uri, place, &trusted.public_key)?;
        }
        Ok(Some(trusted))
    }

    pub(super) fn learn(&self, uri: &Uri, place: &Place, shown: &Shown) -> Result<Known, KeyFault> {
        let known = Known {
            at: self.context.known.now(),
            id: shown.id.clone(),
            versions: vec![KnownVersion {
                version: None,
                name: None,
                public_key: shown.public.to_pem(),
                scheme: shown.scheme.to_string(),
                state: VersionState::Active.as_str().to_owned(),
            }],
        };
        self.context
            .known
            .learn(PROVIDER, &key_ref(uri), &place.name(), known.clone())?;
        Ok(known)
    }
}

/// The one spelling under which a key is known.
pub(super) fn key_ref(uri: &Uri) -> KeyRef {
    KeyRef::Provider {
        scheme: PROVIDER.to_owned(),
        uri: uri.canonical(),
    }
}
