//! Keys that are born in the token and never leave it.

use cryptoki::error::{Error, RvError};
use cryptoki::mechanism::Mechanism;
use cryptoki::object::{Attribute, AttributeType, ObjectClass, ObjectHandle};
use cryptoki::session::Session;
use cryptoki::types::Ulong;

use super::find::{flag, named, private_facts};
use super::held::{Held, Key};
use super::trouble::{told, trouble};
use crate::keys::pkcs11::wire::{Facts, Kind, Object, Trouble, TroubleKind};

/// OBJECT IDENTIFIERs of curves, in DER.
const P256: &[u8] = &[0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07];
const P384: &[u8] = &[0x06, 0x05, 0x2b, 0x81, 0x04, 0x00, 0x22];
const P521: &[u8] = &[0x06, 0x05, 0x2b, 0x81, 0x04, 0x00, 0x23];
/// RFC 8410's name, of which PKCS #11 3.0 knew nothing yet…
const ED25519: &[u8] = &[0x06, 0x03, 0x2b, 0x65, 0x70];
/// …while its own is a PrintableString: `edwards25519`.
const ED25519_NAME: &[u8] = &[
    0x13, 0x0c, b'e', b'd', b'w', b'a', b'r', b'd', b's', b'2', b'5', b'5', b'1', b'9',
];
/// 65537
const EXPONENT: [u8; 3] = [1, 0, 1];

impl Held {
    /// Makes a key pair that signs, that nobody can take out of the token,
    /// and whose label and id nothing else there has.
    pub(super) fn generate(
        &self,
        slot: u64,
        kind: Kind,
        label: &str,
        id: &[u8],
    ) -> Result<Facts, Trouble> {
        let (session, epoch) = self.writing(slot)?;
        let by_label = Object {
            label: Some(label.to_owned()),
            id: None,
        };
        let by_id = Object {
            label: None,
            id: Some(id.to_owned()),
        };
        for object in [&by_label, &by_id] {
            if count(&session, object)? > 0 {
                return Err(told(TroubleKind::Exists, "the name is taken"));
            }
        }
        let (public, handle) = pair(&session, kind, label, id)?;
        let key = Key {
            slot,
            epoch,
            handle,
            made_with: Some(public),
        };
        let checked = kept_secret(&session, handle).and_then(|()| {
            // Two that asked for the same name at once both see two of it.
            if count(&session, &by_label)? > 1 {
                return Err(told(TroubleKind::Exists, "the name was taken meanwhile"));
            }
            let mut facts = private_facts(&session, handle)?;
            facts.key = self.number(key)?;
            Ok(facts)
        });
        checked.map_err(|first| match destroy(&session, key) {
            Ok(()) => first,
            // Not as a loss, which is tried again: the name is taken now.
            Err(second) => told(
                match first.kind {
                    TroubleKind::Lost | TroubleKind::Absent => TroubleKind::Other,
                    kind => kind,
                },
                format!(
                    "{}; and what was made could not be destroyed again ({})",
                    first.text, second.text
                ),
            ),
        })
    }

    /// Destroys a key pair that was made by this very process.
    pub(super) fn destroy(&self, key: u64) -> Result<(), Trouble> {
        let key = self.key(key)?;
        let (session, _) = self.writing(key.slot)?;
        destroy(&session, key)
    }
}

fn destroy(session: &Session, key: Key) -> Result<(), Trouble> {
    let Some(public) = key.made_with else {
        return Err(told(
            TroubleKind::NotPermitted,
            "only a key that was just made is destroyed",
        ));
    };
    let private = session.destroy_object(key.handle);
    let public = session.destroy_object(public);
    private.and(public).map_err(|e| trouble(&e))
}

/// Private keys of that name.
fn count(session: &Session, object: &Object) -> Result<usize, Trouble> {
    Ok(named(session, ObjectClass::PRIVATE_KEY, object)?.len())
}

fn pair(
    session: &Session,
    kind: Kind,
    label: &str,
    id: &[u8],
) -> Result<(ObjectHandle, ObjectHandle), Trouble> {
    let common = [
        Attribute::Token(true),
        Attribute::Label(label.as_bytes().to_owned()),
        Attribute::Id(id.to_owned()),
    ];
    let private = [
        Attribute::Private(true),
        Attribute::Sensitive(true),
        Attribute::Extractable(false),
        Attribute::Sign(true),
    ];
    let public = [Attribute::Private(false), Attribute::Verify(true)];
    let private = [&common[..], &private].concat();
    let make = |mechanism: Mechanism<'_>, own: &[Attribute]| {
        let public = [&common[..], &public, own].concat();
        session.generate_key_pair(&mechanism, &public, &private)
    };
    let curve = |oid: &[u8]| [Attribute::EcParams(oid.to_owned())];
    let made = match kind {
        Kind::P256 => make(Mechanism::EccKeyPairGen, &curve(P256)),
        Kind::P384 => make(Mechanism::EccKeyPairGen, &curve(P384)),
        Kind::P521 => make(Mechanism::EccKeyPairGen, &curve(P521)),
        Kind::Ed25519 => match make(Mechanism::EccEdwardsKeyPairGen, &curve(ED25519)) {
            Err(Error::Pkcs11(
                RvError::DomainParamsInvalid
                | RvError::CurveNotSupported
                | RvError::AttributeValueInvalid
                | RvError::TemplateInconsistent,
                _,
            )) => make(Mechanism::EccEdwardsKeyPairGen, &curve(ED25519_NAME)),
            made => made,
        },
        Kind::Rsa(bits) => make(
            Mechanism::RsaPkcsKeyPairGen,
            &[
                Attribute::ModulusBits(Ulong::new(bits.into())),
                Attribute::PublicExponent(EXPONENT.to_vec()),
            ],
        ),
    };
    made.map_err(|e| trouble(&e))
}

/// A token may leave out what it was told; then the key is not kept.
fn kept_secret(session: &Session, key: ObjectHandle) -> Result<(), Trouble> {
    let sensitive = flag(session, key, AttributeType::Sensitive)?;
    let extractable = flag(session, key, AttributeType::Extractable)?;
    if sensitive == Some(true) && extractable == Some(false) {
        return Ok(());
    }
    Err(told(
        TroubleKind::Exposed,
        "the token did not make the key sensitive and not extractable, so it was destroyed again",
    ))
}
