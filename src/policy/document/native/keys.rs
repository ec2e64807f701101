//! Whose word counts.

use serde_saphyr::Spanned;

use super::super::yaml::place;
use super::super::{AuthoritySource, KeySource};
use super::Reader;
use super::wire::{Authority, KeyEntry};
use crate::crypto::{PublicKey, Scheme};
use crate::digest::Algorithm;
use crate::policy::error::PolicyError;
use crate::reference::KeyRef;
use crate::trust::{TrustedKey, VersionState};

impl Reader<'_> {
    pub(super) fn authorities(
        &self,
        list: &Spanned<Vec<Spanned<Authority>>>,
    ) -> Result<Vec<AuthoritySource>, PolicyError> {
        if list.value.is_empty() {
            return Err(self.field(
                place(self.file, list),
                "spec.authorities",
                "is empty: nobody's word would count",
            ));
        }
        let mut found: Vec<AuthoritySource> = Vec::new();
        for (i, entry) in list.value.iter().enumerate() {
            let authority = self.authority(i, entry)?;
            if found.iter().any(|a| a.name == authority.name) {
                return Err(self.field(
                    place(self.file, &entry.value.name),
                    format!("spec.authorities[{i}].name"),
                    format!("{:?} is the name of two authorities", authority.name),
                ));
            }
            found.push(authority);
        }
        Ok(found)
    }

    fn authority(
        &self,
        i: usize,
        entry: &Spanned<Authority>,
    ) -> Result<AuthoritySource, PolicyError> {
        let path = format!("spec.authorities[{i}]");
        let authority = &entry.value;
        let name = self.name(&authority.name, &format!("{path}.name"))?;
        for (field, value, detail) in [
            (
                "identity",
                &authority.identity,
                "authorities known by a certificate's identity need a trust root",
            ),
            (
                "keyset",
                &authority.keyset,
                "signed key sets; list the public keys under keys",
            ),
        ] {
            if let Some(value) = value {
                return Err(PolicyError::Unsupported {
                    at: place(self.file, value),
                    field: format!("{path}.{field}"),
                    detail: detail.to_owned(),
                });
            }
        }
        let named = (&authority.key, &authority.keys, &authority.certificates);
        let mut certificates = None;
        let keys = match named {
            (Some(key), None, None) => vec![self.key_reference(key, format!("{path}.key"))?],
            (None, None, Some(wire)) => {
                certificates = Some(self.certificates(wire, &format!("{path}.certificates"))?);
                Vec::new()
            }
            (None, Some(keys), None) if !keys.value.is_empty() => keys
                .value
                .iter()
                .enumerate()
                .map(|(k, key)| self.key_entry(key, format!("{path}.keys[{k}]")))
                .collect::<Result<_, _>>()?,
            _ => {
                return Err(self.field(
                    place(self.file, entry),
                    path,
                    format!("authority {name:?} needs exactly one of key, keys and certificates, and it must not be empty"),
                ));
            }
        };
        Ok(AuthoritySource {
            name,
            keys,
            certificates,
        })
    }

    fn key_reference(
        &self,
        key: &Spanned<String>,
        field: String,
    ) -> Result<KeySource, PolicyError> {
        let at = place(self.file, key);
        if key.value.contains("-----BEGIN") {
            let public = PublicKey::from_pem(key.value.as_bytes())
                .map_err(|e| self.field(at, field, e.to_string()))?;
            let path = format!("sha256:{}", &public.id().hex()[..16]);
            return Ok(KeySource::Public(Box::new(TrustedKey::bare(public, path))));
        }
        KeyRef::parse(&key.value).map_err(|e| self.field(at.clone(), &field, e.to_string()))?;
        Ok(KeySource::Reference {
            text: key.value.clone(),
            at,
            field,
        })
    }

    fn key_entry(&self, key: &Spanned<KeyEntry>, field: String) -> Result<KeySource, PolicyError> {
        let fail = |detail: String| self.field(place(self.file, key), field.clone(), detail);
        let (pem, known) = match &key.value {
            KeyEntry::Pem(pem) => (pem, None),
            KeyEntry::Known(known) => (&known.pem, Some(known)),
        };
        if pem.contains("PRIVATE KEY") {
            // Said before anything else, and without a word of what it holds.
            return Err(fail(
                "holds a private key; a policy holds public keys only. Take it out and treat the key as exposed".to_owned(),
            ));
        }
        let public = PublicKey::from_pem(pem.as_bytes()).map_err(|e| {
            fail(format!(
                "{e}; a key in another file or in a KMS is named with key instead"
            ))
        })?;
        let path = format!("sha256:{}", &public.id().hex()[..16]);
        let mut trusted = TrustedKey::bare(public, path);
        if let Some(known) = known {
            if let Some(id) = &known.id {
                let fits =
                    !id.is_empty() && id.len() <= 128 && id.bytes().all(|b| b.is_ascii_graphic());
                if !fits {
                    return Err(fail(
                        "id is not 1 to 128 visible ASCII characters".to_owned(),
                    ));
                }
                trusted.key_id.clone_from(id);
            }
            if let Some(path) = &known.path {
                trusted.path.clone_from(path);
            }
            trusted.version = known.version;
            if let Some(state) = &known.state {
                trusted.state = VersionState::from_name(state).ok_or_else(|| {
                    fail(format!(
                        "state {state:?} is not active, grace, verify-only or retired"
                    ))
                })?;
            }
            if let Some(scheme) = &known.scheme {
                trusted.scheme = scheme_of(scheme)
                    .filter(|s| s.fits(trusted.public_key.kind()))
                    .ok_or_else(|| {
                        fail(format!(
                            "{scheme:?} is not a signature scheme of a {} key",
                            trusted.public_key.kind()
                        ))
                    })?;
            }
        }
        Ok(KeySource::Public(Box::new(trusted)))
    }
}

/// The scheme of that name.
pub(super) fn scheme_of(name: &str) -> Option<Scheme> {
    let rsa = [Algorithm::Sha256, Algorithm::Sha384, Algorithm::Sha512];
    [
        Scheme::EcdsaP256Sha256,
        Scheme::EcdsaP384Sha384,
        Scheme::EcdsaP521Sha512,
        Scheme::Ed25519,
    ]
    .into_iter()
    .chain(rsa.map(Scheme::RsaPkcs1))
    .chain(rsa.map(Scheme::RsaPss))
    .find(|scheme| scheme.to_string() == name)
}
