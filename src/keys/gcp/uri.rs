//! `gcpkms://projects/P/locations/L/keyRings/R/cryptoKeys/K`, with
//! `/cryptoKeyVersions/N`, cosign's `/versions/N` or `?version=N` after it.

use crate::keys::{KeyFault, uri};
use crate::reference::KeyRef;

/// A key, or one version of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Name {
    /// The key's resource name: `projects/P/…/cryptoKeys/K`.
    pub(super) key: String,
    /// From 1.
    pub(super) version: Option<u32>,
}

impl Name {
    /// # Errors
    /// `NoProvider` for a URI of another scheme, else `BadUri`.
    pub(super) fn parse(key: &KeyRef) -> Result<Self, KeyFault> {
        let bad = |why: &str| uri::bad(key, why);
        let whole = key.without_version();
        let rest = match &whole {
            KeyRef::Provider { scheme, uri } if scheme == "gcpkms" => {
                uri.split_once("://").map_or("", |(_, rest)| rest)
            }
            _ => return Err(KeyFault::NoProvider(key.to_string())),
        };
        let parts: Vec<&str> = rest.split('/').collect();
        let (key_parts, version_parts) = parts.split_at(parts.len().min(8));
        if !is_path(
            key_parts,
            &["projects", "locations", "keyRings", "cryptoKeys"],
        ) {
            return Err(bad(
                "it is gcpkms://projects/P/locations/L/keyRings/R/cryptoKeys/K, with nothing left out",
            ));
        }
        let number = |text: &str| text.parse().ok().filter(|n: &u32| *n > 0);
        let in_path = match version_parts {
            [] => None,
            ["cryptoKeyVersions" | "versions", text] => {
                Some(number(text).ok_or_else(|| bad("a version is a number, counted from 1"))?)
            }
            _ => return Err(bad("after the key only /cryptoKeyVersions/N may follow")),
        };
        if in_path.is_some() && key.version().is_some() {
            return Err(bad("it names a version twice"));
        }
        Ok(Self {
            key: key_parts.join("/"),
            version: in_path.or(key.version()),
        })
    }

    /// A key that the service itself named, of that key ring.
    pub(super) fn of(ring: &str, resource: &str) -> Option<Self> {
        let rest = resource.strip_prefix(ring)?.strip_prefix('/')?;
        let parts: Vec<&str> = rest.split('/').collect();
        is_path(&parts, &["cryptoKeys"]).then(|| Self {
            key: resource.to_owned(),
            version: None,
        })
    }

    /// The key without version.
    pub(super) fn whole(&self) -> KeyRef {
        as_ref(format!("gcpkms://{}", self.key))
    }

    /// One version, as everything here names versions.
    pub(super) fn one(&self, version: u32) -> KeyRef {
        as_ref(format!("gcpkms://{}?version={version}", self.key))
    }

    /// The key or version that was asked for.
    pub(super) fn asked(&self) -> KeyRef {
        match self.version {
            Some(version) => self.one(version),
            None => self.whole(),
        }
    }

    /// What is remembered of one version, apart from the key's list of them.
    pub(super) fn note(&self, version: u32) -> KeyRef {
        as_ref(format!("gcpkms://{}", self.resource(version)))
    }

    /// What is remembered as the newest version; nobody can write that as a URI.
    pub(super) fn newest(&self) -> KeyRef {
        as_ref(format!("gcpkms://{}/", self.key))
    }

    /// A version's resource name.
    pub(super) fn resource(&self, version: u32) -> String {
        format!("{}/cryptoKeyVersions/{version}", self.key)
    }
}

/// The key ring that `gcpkms://projects/P/locations/L/keyRings/R` names; `None`
/// where none is.
///
/// # Errors
/// `BadUri` for a key, and for what is no key ring.
pub(super) fn ring_of(place: &KeyRef) -> Result<Option<String>, KeyFault> {
    let rest = match place {
        KeyRef::Provider { scheme, uri } if scheme == "gcpkms" => {
            uri.split_once("://").map_or("", |(_, rest)| rest)
        }
        _ => return Err(KeyFault::NoProvider(place.to_string())),
    };
    if rest.is_empty() {
        return Ok(None);
    }
    let ring = rest.strip_suffix('/').unwrap_or(rest);
    let parts: Vec<&str> = ring.split('/').collect();
    match is_path(&parts, &["projects", "locations", "keyRings"]) {
        true => Ok(Some(ring.to_owned())),
        false => Err(KeyFault::BadUri {
            uri: place.to_string(),
            why: "a key ring is named as gcpkms://projects/P/locations/L/keyRings/R".to_owned(),
        }),
    }
}

/// Whether those are the words in `fixed`, each with a name behind it.
fn is_path(parts: &[&str], fixed: &[&str]) -> bool {
    let letters = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.' | b':');
    let segment =
        |s: &&str| (1..=128).contains(&s.len()) && s.bytes().all(letters) && !s.starts_with('.');
    parts.len() == 2 * fixed.len()
        && parts.iter().step_by(2).eq(fixed.iter())
        && parts.iter().skip(1).step_by(2).all(segment)
}

fn as_ref(uri: String) -> KeyRef {
    KeyRef::Provider {
        scheme: "gcpkms".to_owned(),
        uri,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str = "projects/acme.com:p/locations/europe-west3/keyRings/r_1/cryptoKeys/models";

    fn parse(uri: &str) -> Result<Name, KeyFault> {
        Name::parse(&KeyRef::parse(uri).unwrap())
    }

    #[test]
    fn a_version_can_be_written_three_ways() {
        let whole = parse(&format!("gcpkms://{KEY}")).unwrap();
        assert_eq!((whole.key.as_str(), whole.version), (KEY, None));
        for version in ["/cryptoKeyVersions/7", "/versions/7", "?version=7"] {
            let name = parse(&format!("gcpkms://{KEY}{version}")).unwrap();
            assert_eq!(
                (&name.key, name.version),
                (&whole.key, Some(7)),
                "{version}"
            );
            assert_eq!(
                name.asked().to_string(),
                format!("gcpkms://{KEY}?version=7")
            );
        }
        assert_eq!(whole.resource(7), format!("{KEY}/cryptoKeyVersions/7"));
    }

    #[test]
    fn a_key_ring_is_named_without_a_key() {
        const RING: &str = "projects/acme.com:p/locations/europe-west3/keyRings/r_1";
        let ring = |rest: &str| ring_of(&KeyRef::parse(&format!("gcpkms://{rest}")).unwrap());
        assert_eq!(ring(RING), Ok(Some(RING.to_owned())));
        assert_eq!(ring(&format!("{RING}/")), Ok(Some(RING.to_owned())));
        assert_eq!(ring(""), Ok(None));
        for bad in [
            KEY,
            "projects/p",
            "projects/p/locations/l",
            "projects/p/locations/l/keyRings/",
            "projects/p/locations/l/keyRings/..",
            "projects/p/locations/l/keyRings/r?version=1",
        ] {
            assert!(matches!(ring(bad), Err(KeyFault::BadUri { .. })), "{bad}");
        }
        assert!(Name::of(RING, KEY).is_some());
        for other in [
            RING,
            "projects/p/locations/l/keyRings/r/cryptoKeys/k",
            &format!("{KEY}/cryptoKeyVersions/1"),
            &format!("{RING}2/cryptoKeys/k"),
            &format!("{RING}/cryptoKeys/.."),
        ] {
            assert_eq!(Name::of(RING, other), None, "{other}");
        }
    }

    #[test]
    fn what_names_no_key_is_refused() {
        for rest in [
            "",
            "projects/p",
            "projects/p/locations/l/keyRings/r/cryptoKeys/",
            "projects/p/locations/l/keyRings/../cryptoKeys/k",
            "projects/p/locations/l/keyRings/r/cryptokeys/k",
            "projects/p/locations/l/keyRings/r/cryptoKeys/k/",
            "projects/p/locations/l/keyRings/r/cryptoKeys/k/versions",
            "projects/p/locations/l/keyRings/r/cryptoKeys/k/versions/0",
            "projects/p/locations/l/keyRings/r/cryptoKeys/k/versions/x",
            "projects/p/locations/l/keyRings/r/cryptoKeys/k/versions/1/x",
            "projects/p/locations/l/keyRings/r/cryptoKeys/k/versions/1?version=1",
            "projects/p/locations/l/keyRings/r/cryptoKeys/k?version=x",
            "projects/p/locations/l/keyRings/r/cryptoKeys/k:asymmetricSign?x=",
        ] {
            let uri = format!("gcpkms://{rest}");
            assert!(matches!(parse(&uri), Err(KeyFault::BadUri { .. })), "{uri}");
        }
        assert!(matches!(
            parse("azurekms://a/k"),
            Err(KeyFault::NoProvider(_))
        ));
    }
}
