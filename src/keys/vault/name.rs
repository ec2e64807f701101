//! `openbao://[mount/]name[?version=N][&scheme=…][&namespace=…]`: cosign's
//! grammar, in which a name alone is in the default mount, and what it lacks.

use crate::crypto::Scheme;
use crate::keys::{KeyFault, RsaScheme, uri};
use crate::reference::KeyRef;

/// The schemes of Vault's keys; they mean the same.
pub(super) const SCHEMES: &[&str] = &["openbao", "hashivault", "vault"];
/// Longest mount, namespace or name, in bytes.
const LONGEST: usize = 255;

/// What a URI says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Name {
    /// The URI as given, without a version.
    pub(super) key: KeyRef,
    /// The same as people and records see it.
    pub(super) shown: String,
    pub(super) mount: Option<String>,
    pub(super) name: String,
    pub(super) namespace: Option<String>,
    /// The scheme of an RSA key.
    pub(super) rsa: Option<Scheme>,
    pub(super) version: Option<u32>,
}

impl Name {
    /// Reads a key's URI.
    pub(super) fn parse(key: &KeyRef) -> Result<Self, KeyFault> {
        let bad = |why: &str| uri::bad(key, why);
        let (path, query) = uri::parts(key)?;
        let (mount, name) = match path.rsplit_once('/') {
            Some((mount, name)) => (Some(mount), name),
            None => (None, path),
        };
        if !is_name(name) {
            return Err(bad(
                "a name has letters, digits, '_', '-' and '.', and begins and ends with a letter, digit or '_'",
            ));
        }
        if mount.is_some_and(|mount| !is_path(mount)) {
            return Err(bad("what stands before the name is not a mount's path"));
        }
        let mut found = Self {
            key: key.without_version(),
            shown: key.without_version().to_string(),
            mount: mount.map(ToOwned::to_owned),
            name: name.to_owned(),
            namespace: None,
            rsa: None,
            version: None,
        };
        let mut seen = Vec::new();
        for parameter in query.split('&').filter(|p| !p.is_empty()) {
            let (what, value) = parameter.split_once('=').unwrap_or((parameter, ""));
            if seen.contains(&what) {
                return Err(bad(&format!("{what} is given twice")));
            }
            seen.push(what);
            match what {
                "version" => {
                    let version = value.parse().ok().filter(|version| *version > 0);
                    found.version = Some(version.ok_or_else(|| bad("versions count from 1"))?);
                }
                "scheme" => {
                    let scheme = RsaScheme::from_name(value).ok_or_else(|| {
                        bad("scheme is for RSA keys: rsa-pkcs1-sha256, rsa-pss-sha256, …")
                    })?;
                    found.rsa = Some(scheme.0);
                }
                "namespace" => {
                    let namespace = value.trim_matches('/');
                    if !is_path(namespace) {
                        return Err(bad("namespace is not a namespace's path"));
                    }
                    found.namespace = Some(namespace.to_owned());
                }
                _ => return Err(bad("only version, scheme and namespace may follow '?'")),
            }
        }
        Ok(found)
    }

    /// No key, but the default mount, for what concerns all of it.
    pub(super) fn any(scheme: &str) -> Self {
        let uri = format!("{scheme}://");
        Self {
            shown: uri.clone(),
            key: KeyRef::Provider {
                scheme: scheme.to_owned(),
                uri,
            },
            mount: None,
            name: String::new(),
            namespace: None,
            rsa: None,
            version: None,
        }
    }

    /// The mount that `openbao://MOUNT/[?namespace=…]` names; without `MOUNT/`
    /// the default one.
    pub(super) fn of_mount(place: &KeyRef) -> Result<Self, KeyFault> {
        let bad = || {
            let why = "a mount is named as openbao://MOUNT/, the default one as openbao://";
            uri::bad(place, why)
        };
        let (path, query) = uri::parts(place)?;
        let KeyRef::Provider { scheme, .. } = place else {
            return Err(bad());
        };
        if !(path.is_empty() || path.ends_with('/')) {
            return Err(bad());
        }
        let query = match query {
            "" => String::new(),
            query => format!("?{query}"),
        };
        // What stands there is read as it is for keys.
        let any = Self::parse(&KeyRef::Provider {
            scheme: scheme.clone(),
            uri: format!("{scheme}://{path}any{query}"),
        })?;
        if any.version.is_some() || any.rsa.is_some() {
            return Err(bad());
        }
        Ok(Self {
            shown: place.to_string(),
            key: place.clone(),
            name: String::new(),
            ..any
        })
    }

    /// The key of that name in this mount.
    pub(super) fn in_it(&self, name: &str) -> KeyRef {
        let KeyRef::Provider { scheme, .. } = &self.key else {
            return self.key.clone();
        };
        let mount = match &self.mount {
            Some(mount) => format!("{mount}/"),
            None => String::new(),
        };
        let namespace = match &self.namespace {
            Some(namespace) => format!("?namespace={namespace}"),
            None => String::new(),
        };
        KeyRef::Provider {
            scheme: scheme.clone(),
            uri: format!("{scheme}://{mount}{name}{namespace}"),
        }
    }

    /// As shown, with the version that was asked for.
    pub(super) fn with_version(&self) -> String {
        match self.version {
            Some(version) => format!("{} version {version}", self.shown),
            None => self.shown.clone(),
        }
    }
}

/// The names that the server itself takes.
pub(super) fn is_name(name: &str) -> bool {
    let word = |b: u8| b.is_ascii_alphanumeric() || b == b'_';
    let ends = name.bytes().next().is_some_and(word) && name.bytes().last().is_some_and(word);
    ends && name.len() <= LONGEST && name.bytes().all(|b| word(b) || matches!(b, b'-' | b'.'))
}

/// A path of such segments, each of which stands in a URL as it is.
pub(super) fn is_path(path: &str) -> bool {
    let segment = |s: &str| {
        !s.is_empty()
            && !s.bytes().all(|b| b == b'.')
            && s.bytes()
                .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'.'))
    };
    path.len() <= LONGEST && path.split('/').all(segment)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::digest::Algorithm;

    fn read(uri: &str) -> Result<Name, KeyFault> {
        Name::parse(&KeyRef::parse(uri).unwrap())
    }

    #[test]
    fn cosigns_names_and_more() {
        for scheme in SCHEMES {
            let name = read(&format!("{scheme}://my-key_1.x")).unwrap();
            assert_eq!((name.name.as_str(), name.mount), ("my-key_1.x", None));
        }
        let name = read("openbao://team/transit/k?version=3&scheme=rsa-pss-sha512&namespace=a/b/")
            .unwrap();
        assert_eq!(name.mount.as_deref(), Some("team/transit"));
        assert_eq!((name.name.as_str(), name.version), ("k", Some(3)));
        assert_eq!(name.rsa, Some(Scheme::RsaPss(Algorithm::Sha512)));
        assert_eq!(name.namespace.as_deref(), Some("a/b"));
        assert!(name.with_version().ends_with(" version 3"));
        assert!(!name.shown.contains("version"));
    }

    #[test]
    fn a_mount_is_named_without_a_key() {
        let mount = |uri: &str| Name::of_mount(&KeyRef::parse(uri).unwrap());
        let any = mount("openbao://").unwrap();
        assert_eq!((any.mount.clone(), any.namespace.clone()), (None, None));
        assert_eq!(any.in_it("k").to_string(), "openbao://k");
        let team = mount("hashivault://team/transit/?namespace=a/b").unwrap();
        assert_eq!(team.mount.as_deref(), Some("team/transit"));
        let key = team.in_it("k").to_string();
        assert_eq!(key, "hashivault://team/transit/k?namespace=a/b");
        assert_eq!(read(&key).unwrap().namespace.as_deref(), Some("a/b"));
        for bad in [
            "openbao://k",
            "openbao://../",
            "openbao://a//",
            "openbao:///",
            "openbao://a/?version=1",
            "openbao://a/?scheme=rsa-pss-sha256",
            "openbao://a/?x=1",
        ] {
            assert!(matches!(mount(bad), Err(KeyFault::BadUri { .. })), "{bad}");
        }
    }

    #[test]
    fn no_other_path_can_be_reached() {
        for uri in [
            "openbao://",
            "openbao:///k",
            "openbao://../sys/k",
            "openbao://a/../../sys/k",
            "openbao://a//k",
            "openbao://a/",
            "openbao://-k",
            "openbao://k.",
            "openbao://k%2fx",
            "openbao://k x",
            "openbao://user@host/k",
            "openbao://k#x",
            "openbao://k?version=0",
            "openbao://k?version=-1",
            "openbao://k?version=1&version=2",
            "openbao://k?scheme=ed25519",
            "openbao://k?scheme=rsa",
            "openbao://k?namespace=../x",
            "openbao://k?mount=x",
            "openbao://é",
        ] {
            let refused = read(uri);
            assert!(matches!(refused, Err(KeyFault::BadUri { .. })), "{uri}");
        }
        assert!(read(&format!("openbao://{}", "k".repeat(256))).is_err());
    }
}
