use aws_sdk_kms::types::{KeyMetadata, KeyState as State, KeyUsageType};

use super::fault::Asked;
use super::name::{Name, same_key};
use super::place::Place;
use super::{AwsKeys, PROVIDER, spec};
use crate::crypto::{KeyKind, PublicKey, Scheme};
use crate::digest::Algorithm;
use crate::keys::KeyFault;
use crate::keys::known::{Known, KnownKeys, KnownVersion};
use crate::reference::KeyRef;
use crate::trust::VersionState;

/// What RSA keys sign under where nobody says otherwise: what cosign takes,
/// and what Sigstore's clients verify by default.
const RSA: Scheme = Scheme::RsaPkcs1(Algorithm::Sha256);

/// A public key that AWS showed.
pub(super) struct Shown {
    /// The key's ARN.
    pub(super) id: String,
    pub(super) public_key: PublicKey,
    pub(super) scheme: Scheme,
}

impl AwsKeys {
    /// What is known of the key; AWS is asked where that is not fresh.
    pub(super) async fn known(&self, key: &KeyRef) -> Result<Known, KeyFault> {
        let name = Name::parse(key)?;
        let notes = &self.context.known;
        let at = self.places.name(&name);
        if self.context.offline {
            let known = notes.any(key, &at)?;
            let known = known.ok_or(KeyFault::Offline { provider: PROVIDER })?;
            return self.as_stated(&name, known);
        }
        if let Some(known) = notes.fresh(key, &at)?
            && self.still_fits(&name, &known)
        {
            return Ok(known);
        }
        let place = self.places.of(&name).await?;
        let asked = self.shown(&place, &name).await;
        let (metadata, mut shown) = asked.inspect_err(|fault| self.doubt(key, &name, fault))?;
        if let Some(arn) = metadata.and_then(|metadata| metadata.arn)
            && same_key(&arn, &shown.id)
        {
            shown.id = arn;
        }
        let known = Known {
            at: self.context.known.now(),
            id: shown.id,
            versions: vec![KnownVersion {
                version: None,
                name: None,
                public_key: shown.public_key.to_pem(),
                scheme: shown.scheme.to_string(),
                state: VersionState::Active.as_str().to_owned(),
            }],
        };
        self.learn(key, &name, &known)?;
        Ok(known)
    }

    /// The key as AWS shows it now, which lets it be used.
    async fn shown(
        &self,
        place: &Place,
        name: &Name,
    ) -> Result<(Option<KeyMetadata>, Shown), KeyFault> {
        let metadata = match self.metadata(place, name).await {
            Ok(metadata) => Some(metadata),
            // The right to sign and to read the public key is enough.
            Err(KeyFault::Refused { .. }) => None,
            Err(fault) => return Err(fault),
        };
        if let Some(metadata) = &metadata {
            usable(name, metadata)?;
        }
        Ok((metadata, self.public_key(place, name).await?))
    }

    fn doubt(&self, key: &KeyRef, name: &Name, fault: &KeyFault) {
        doubt(&self.context.known, key, &self.places.name(name), fault);
    }

    /// Takes note of what AWS showed. An alias that names another key than
    /// before is no longer the key that was trusted.
    fn learn(&self, key: &KeyRef, name: &Name, known: &Known) -> Result<(), KeyFault> {
        let at = self.places.name(name);
        match self.context.known.any(key, &at)? {
            Some(before) if !same_key(&before.id, &known.id) => {
                Err(replaced(name, &before.id, &known.id))
            }
            _ => self.context.known.learn(PROVIDER, key, &at, known.clone()),
        }
    }

    /// Whether a note is about the key as it would be asked for now: the
    /// region may be configured anew, and AWS says whether a key signs under
    /// the scheme that is stated by now.
    fn still_fits(&self, name: &Name, known: &Known) -> bool {
        let region = self.places.region(name);
        let region = region.is_none_or(|region| {
            known
                .id
                .split(':')
                .nth(3)
                .is_none_or(|known| known == region)
        });
        let scheme = known.versions.first().is_some_and(|version| {
            let scheme = Scheme::from_name(&version.scheme);
            let key = PublicKey::from_pem(version.public_key.as_bytes());
            key.is_ok_and(|key| scheme.is_some() && self.scheme(name, key.kind()) == scheme)
        });
        region && scheme
    }

    /// A note with the scheme that is stated by now, which may be another than
    /// when it was taken.
    fn as_stated(&self, name: &Name, mut known: Known) -> Result<Known, KeyFault> {
        for version in &mut known.versions {
            if let Ok(key) = PublicKey::from_pem(version.public_key.as_bytes()) {
                version.scheme = self.scheme_of(name, key.kind())?.to_string();
            }
        }
        Ok(known)
    }

    fn scheme(&self, name: &Name, kind: KeyKind) -> Option<Scheme> {
        let rsa = self.settings.rsa.map_or(RSA, |rsa| rsa.0);
        spec::scheme_of(kind, name.rsa, rsa)
    }

    /// The scheme of a key of that kind.
    pub(super) fn scheme_of(&self, name: &Name, kind: KeyKind) -> Result<Scheme, KeyFault> {
        self.scheme(name, kind)
            .ok_or_else(|| KeyFault::WrongAlgorithm {
                key: name.shown.clone(),
                why: format!("it is a key of {kind}, and the scheme named is one of RSA keys"),
            })
    }

    /// `DescribeKey`
    pub(super) async fn metadata(
        &self,
        place: &Place,
        name: &Name,
    ) -> Result<KeyMetadata, KeyFault> {
        let asked = Asked {
            place,
            key: &name.shown,
            action: "kms:DescribeKey",
        };
        let sent = place.client.describe_key().key_id(&name.id).send().await;
        let output = sent.map_err(|e| asked.failed(&e))?;
        output.key_metadata.ok_or_else(|| KeyFault::Provider {
            provider: PROVIDER,
            cause: format!("it described {} without saying anything", name.shown),
        })
    }

    /// `GetPublicKey`
    pub(super) async fn public_key(&self, place: &Place, name: &Name) -> Result<Shown, KeyFault> {
        let asked = Asked {
            place,
            key: &name.shown,
            action: "kms:GetPublicKey",
        };
        let sent = place.client.get_public_key().key_id(&name.id).send().await;
        let output = sent.map_err(|e| asked.failed(&e))?;
        signs(name, output.key_usage())?;
        let lacks = |what| KeyFault::Provider {
            provider: PROVIDER,
            cause: format!("it showed {} without its {what}", name.shown),
        };
        let unfit = |why: String| KeyFault::WrongAlgorithm {
            key: name.shown.clone(),
            why,
        };
        let der = output.public_key().ok_or_else(|| lacks("public key"))?;
        let public_key =
            PublicKey::from_spki_der(der.as_ref()).map_err(|e| unfit(e.to_string()))?;
        let scheme = self.scheme_of(name, public_key.kind())?;
        let offered = output.signing_algorithms();
        if offered.is_empty() {
            return Err(KeyFault::WrongUsage {
                key: name.shown.clone(),
                usage: "something else".to_owned(),
            });
        }
        if !offered.contains(&spec::algorithm(scheme)) {
            let offered: Vec<&str> = offered.iter().map(|spec| spec.as_str()).collect();
            return Err(unfit(format!(
                "it does not sign under {scheme}, only under {}",
                offered.join(", ")
            )));
        }
        Ok(Shown {
            id: output.key_id().ok_or_else(|| lacks("id"))?.to_owned(),
            public_key,
            scheme,
        })
    }
}

/// Lets the key be asked for anew where AWS said that what is noted no longer
/// holds.
pub(super) fn doubt(notes: &KnownKeys, key: &KeyRef, at: &str, fault: &KeyFault) {
    match fault {
        KeyFault::Disabled(_) | KeyFault::PendingDeletion(_) => notes.ended(PROVIDER, key, at),
        KeyFault::NoSuchKey(_) | KeyFault::WrongUsage { .. } | KeyFault::Refused { .. } => {
            notes.doubt(PROVIDER, key, at);
        }
        _ => {}
    }
}

/// Refuses a key that is not for signing, or does nothing now.
pub(super) fn usable(name: &Name, metadata: &KeyMetadata) -> Result<(), KeyFault> {
    signs(name, metadata.key_usage())?;
    let key = name.shown.clone();
    match metadata.key_state() {
        None | Some(State::Enabled | State::Updating) => Ok(()),
        Some(State::Disabled) => Err(KeyFault::Disabled(key)),
        Some(State::PendingDeletion | State::PendingReplicaDeletion) => {
            Err(KeyFault::PendingDeletion(key))
        }
        Some(other) => Err(KeyFault::Provider {
            provider: PROVIDER,
            cause: format!("{key} is in state {}", other.as_str()),
        }),
    }
}

fn signs(name: &Name, usage: Option<&KeyUsageType>) -> Result<(), KeyFault> {
    match usage {
        None | Some(KeyUsageType::SignVerify) => Ok(()),
        Some(other) => Err(KeyFault::WrongUsage {
            key: name.shown.clone(),
            usage: other.as_str().to_owned(),
        }),
    }
}

/// The name stands for another key than it did.
pub(super) fn replaced(name: &Name, before: &str, now: &str) -> KeyFault {
    KeyFault::PublicKeyChanged {
        provider: PROVIDER,
        key: format!("{} (it was {before}, and is {now})", name.shown),
    }
}
