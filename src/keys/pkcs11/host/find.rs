//! Objects, and what they show.

use cryptoki::object::{
    Attribute, AttributeType, CertificateType, KeyType, ObjectClass, ObjectHandle,
};
use cryptoki::session::Session;

use super::held::{Held, Key, Sessions};
use super::trouble::{told, trouble};
use crate::keys::pkcs11::wire::{Facts, Family, Object, Trouble, TroubleKind};
use crate::limits;

impl Held {
    pub(super) fn private(
        &self,
        sessions: &mut Sessions,
        slot: u64,
        object: &Object,
    ) -> Result<Facts, Trouble> {
        self.with_session(sessions, slot, |session, epoch| {
            let handle = one(
                named(session, ObjectClass::PRIVATE_KEY, object)?,
                "private keys",
            )?;
            let key = Key {
                slot,
                epoch,
                handle,
                made_with: None,
            };
            let mut facts = private_facts(session, handle)?;
            let says = |attribute| flag(session, handle, attribute);
            facts.leaves = match (
                says(AttributeType::Extractable)?,
                says(AttributeType::Sensitive)?,
            ) {
                (Some(true), _) | (_, Some(false)) => Some(true),
                (Some(false), Some(true)) => Some(false),
                _ => None,
            };
            facts.key = self.number(key)?;
            Ok(facts)
        })
    }

    pub(super) fn public(
        &self,
        sessions: &mut Sessions,
        slot: u64,
        object: &Object,
    ) -> Result<Facts, Trouble> {
        self.with_session(sessions, slot, |session, _| {
            let keys = named(session, ObjectClass::PUBLIC_KEY, object)?;
            if !keys.is_empty() {
                return facts(session, one(keys, "public keys")?);
            }
            let certificates = named(session, ObjectClass::CERTIFICATE, object)?;
            let certificate = one(certificates, "certificates")?;
            Ok(Facts {
                label: bytes(session, certificate, AttributeType::Label)?.unwrap_or_default(),
                id: bytes(session, certificate, AttributeType::Id)?.unwrap_or_default(),
                certificate: bytes(session, certificate, AttributeType::Value)?,
                // Whatever it is, the certificate says it.
                family: Family::Ec,
                ..Facts::default()
            })
        })
    }

    pub(super) fn list(&self, sessions: &mut Sessions, slot: u64) -> Result<Vec<Facts>, Trouble> {
        self.with_session(sessions, slot, |session, _| {
            let every = Object {
                label: None,
                id: None,
            };
            let keys = named(session, ObjectClass::PUBLIC_KEY, &every)?;
            keys.into_iter().map(|key| facts(session, key)).collect()
        })
    }
}

/// The private key's own facts, with those of the public key and certificate
/// that go with it where it does not show its public half itself.
pub(super) fn private_facts(session: &Session, key: ObjectHandle) -> Result<Facts, Trouble> {
    let mut facts = facts(session, key)?;
    let same = if facts.id.is_empty() {
        Attribute::Label(facts.label.clone())
    } else {
        Attribute::Id(facts.id.clone())
    };
    let public = [
        Attribute::Class(ObjectClass::PUBLIC_KEY),
        same.clone(),
        Attribute::Token(true),
    ];
    for public in find(session, &public)? {
        let half = self::facts(session, public)?;
        if half.family == facts.family {
            facts.ec_params = half.ec_params.or(facts.ec_params);
            facts.ec_point = half.ec_point.or(facts.ec_point);
            facts.modulus = half.modulus.or(facts.modulus);
            facts.exponent = half.exponent.or(facts.exponent);
            break;
        }
    }
    let certificate = [
        Attribute::Class(ObjectClass::CERTIFICATE),
        Attribute::CertificateType(CertificateType::X_509),
        same,
    ];
    if let Some(certificate) = find(session, &certificate)?.first() {
        facts.certificate = bytes(session, *certificate, AttributeType::Value)?;
    }
    Ok(facts)
}

fn facts(session: &Session, object: ObjectHandle) -> Result<Facts, Trouble> {
    // This one every key has, so a session that is gone shows here.
    let asked = [AttributeType::KeyType];
    let family = session.get_attributes(object, &asked);
    let family = match family.map_err(|e| trouble(&e))?.first() {
        Some(Attribute::KeyType(KeyType::EC)) => Family::Ec,
        Some(Attribute::KeyType(KeyType::EC_EDWARDS)) => Family::Edwards,
        Some(Attribute::KeyType(KeyType::RSA)) => Family::Rsa,
        _ => Family::Other,
    };
    let part = |wanted: bool, attribute| {
        let value = match wanted {
            true => bytes(session, object, attribute)?,
            false => None,
        };
        Ok::<_, Trouble>(value.filter(|value| !value.is_empty()))
    };
    let curve = matches!(family, Family::Ec | Family::Edwards);
    let rsa = family == Family::Rsa;
    Ok(Facts {
        key: 0,
        label: bytes(session, object, AttributeType::Label)?.unwrap_or_default(),
        id: bytes(session, object, AttributeType::Id)?.unwrap_or_default(),
        signs: flag(session, object, AttributeType::Sign)?,
        leaves: None,
        asks_each_time: flag(session, object, AttributeType::AlwaysAuthenticate)? == Some(true),
        spki: part(true, AttributeType::PublicKeyInfo)?,
        family,
        ec_params: part(curve, AttributeType::EcParams)?,
        ec_point: part(curve, AttributeType::EcPoint)?,
        modulus: part(rsa, AttributeType::Modulus)?,
        exponent: part(rsa, AttributeType::PublicExponent)?,
        certificate: None,
    })
}

/// An attribute of bytes, asked for alone: modules differ in what they do
/// with a question of which they know a part. `None` where there is none, or
/// the module does not show it.
///
/// # Errors
/// Where the module could not look: that is no "none".
fn bytes(
    session: &Session,
    object: ObjectHandle,
    attribute: AttributeType,
) -> Result<Option<Vec<u8>>, Trouble> {
    Ok(match shown(session, object, attribute)? {
        Some(
            Attribute::Label(bytes)
            | Attribute::Id(bytes)
            | Attribute::Value(bytes)
            | Attribute::PublicKeyInfo(bytes)
            | Attribute::EcParams(bytes)
            | Attribute::EcPoint(bytes)
            | Attribute::Modulus(bytes)
            | Attribute::PublicExponent(bytes),
        ) => Some(bytes),
        _ => None,
    })
}

fn shown(
    session: &Session,
    object: ObjectHandle,
    attribute: AttributeType,
) -> Result<Option<Attribute>, Trouble> {
    let values = session.get_attributes(object, &[attribute]);
    Ok(values.map_err(|e| trouble(&e))?.into_iter().next())
}

pub(super) fn flag(
    session: &Session,
    object: ObjectHandle,
    attribute: AttributeType,
) -> Result<Option<bool>, Trouble> {
    Ok(match shown(session, object, attribute)? {
        Some(
            Attribute::Sign(flag)
            | Attribute::AlwaysAuthenticate(flag)
            | Attribute::Sensitive(flag)
            | Attribute::Extractable(flag),
        ) => Some(flag),
        _ => None,
    })
}

/// The objects of a class that a URI names.
pub(super) fn named(
    session: &Session,
    class: ObjectClass,
    object: &Object,
) -> Result<Vec<ObjectHandle>, Trouble> {
    let mut template = vec![Attribute::Class(class)];
    if let Some(label) = &object.label {
        template.push(Attribute::Label(label.clone().into_bytes()));
    }
    if let Some(id) = &object.id {
        template.push(Attribute::Id(id.clone()));
    }
    find(session, &template)
}

fn find(session: &Session, template: &[Attribute]) -> Result<Vec<ObjectHandle>, Trouble> {
    let found = session.iter_objects(template);
    let found = found.map_err(|e| trouble(&e))?;
    found
        .take(limits::TOKEN_KEYS)
        .map(|handle| handle.map_err(|e| trouble(&e)))
        .collect()
}

fn one(found: Vec<ObjectHandle>, what: &str) -> Result<ObjectHandle, Trouble> {
    match found[..] {
        [only] => Ok(only),
        [] => Err(told(TroubleKind::Missing, format!("no {what}"))),
        _ => Err(told(
            TroubleKind::Several,
            format!("it fits {} {what}", found.len()),
        )),
    }
}
