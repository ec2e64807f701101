//! `azurekms://[vault-host]/key[/version][?scheme=…]`, as cosign has it, with
//! the scheme of an RSA key beside it.

use crate::crypto::Scheme;
use crate::keys::KeyFault;
use crate::reference::KeyRef;

/// The services' domains: what a vault's host ends with, and what a token for
/// it is asked for.
const DOMAINS: [&str; 6] = [
    "vault.azure.net",
    "vault.azure.cn",
    "vault.usgovcloudapi.net",
    "managedhsm.azure.net",
    "managedhsm.azure.cn",
    "managedhsm.usgovcloudapi.net",
];

/// A key, or one version of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Name {
    /// The vault's whole host name, lower case.
    pub(super) host: String,
    pub(super) key: String,
    /// 32 hexadecimal digits.
    pub(super) version: Option<String>,
    /// What the URI says that the key signs under.
    pub(super) scheme: Option<Scheme>,
}

impl Name {
    /// # Errors
    /// `NoProvider` for a URI of another scheme, else `BadUri`.
    pub(super) fn parse(key: &KeyRef) -> Result<Self, KeyFault> {
        let bad = |why: &str| KeyFault::BadUri {
            uri: key.to_string(),
            why: why.to_owned(),
        };
        let rest = match key {
            KeyRef::Provider { scheme, uri } if scheme == "azurekms" => {
                uri.split_once("://").map_or("", |(_, rest)| rest)
            }
            _ => return Err(KeyFault::NoProvider(key.to_string())),
        };
        let (path, query) = match rest.split_once('?') {
            Some((path, query)) => (path, Some(query)),
            None => (rest, None),
        };
        let scheme = match query {
            None => None,
            Some(query) => {
                let name = query.strip_prefix("scheme=").ok_or_else(|| {
                    bad("only ?scheme= may follow it; a version is a part of the path")
                })?;
                Some(Scheme::from_name(name).ok_or_else(|| bad("there is no such scheme"))?)
            }
        };
        let mut parts = path.split('/');
        let host = vault_host(parts.next().unwrap_or_default()).ok_or_else(|| {
            bad("the vault is a name, or a host such as name.vault.azure.net or name.managedhsm.azure.net")
        })?;
        let named = parts.next().unwrap_or_default();
        let letters = |b: u8| b.is_ascii_alphanumeric() || b == b'-';
        if !(1..=127).contains(&named.len()) || !named.bytes().all(letters) {
            return Err(bad(
                "a key's name has 1 to 127 letters, digits and hyphens, as in azurekms://vault/key",
            ));
        }
        let version = parts.next().map(str::to_ascii_lowercase);
        let hex = |v: &String| v.len() == 32 && v.bytes().all(|b| b.is_ascii_hexdigit());
        if version.as_ref().is_some_and(|v| !hex(v)) || parts.next().is_some() {
            return Err(bad(
                "after the key may follow one version, of 32 hexadecimal digits",
            ));
        }
        Ok(Self {
            host,
            key: named.to_owned(),
            version,
            scheme,
        })
    }

    /// A key that the vault itself named.
    pub(super) fn of(host: &str, key: &str) -> Self {
        Self {
            host: host.to_owned(),
            key: key.to_owned(),
            version: None,
            scheme: None,
        }
    }

    /// The key without version and scheme.
    pub(super) fn whole(&self) -> KeyRef {
        as_ref(format!("azurekms://{}/{}", self.host, self.key))
    }

    /// One version of the key.
    pub(super) fn one(&self, version: &str) -> KeyRef {
        as_ref(format!("azurekms://{}/{}/{version}", self.host, self.key))
    }

    /// What is remembered as the newest version goes by this name, which nobody
    /// can write as a URI.
    pub(super) fn newest(&self) -> KeyRef {
        as_ref(format!("azurekms://{}/{}/", self.host, self.key))
    }

    /// The key or version that was asked for.
    pub(super) fn asked(&self) -> KeyRef {
        match &self.version {
            Some(version) => self.one(version),
            None => self.whole(),
        }
    }

    /// The service's own identifier of the key.
    pub(super) fn id(&self) -> String {
        format!("https://{}/keys/{}", self.host, self.key)
    }

    /// Whether the vault is a Managed HSM.
    pub(super) fn is_hsm(&self) -> bool {
        self.host.contains(".managedhsm.")
    }
}

/// The vault that `azurekms://VAULT` names; `None` where none is.
///
/// # Errors
/// `BadUri` for a key, and for what is no vault.
pub(super) fn vault_of(place: &KeyRef) -> Result<Option<String>, KeyFault> {
    let rest = match place {
        KeyRef::Provider { scheme, uri } if scheme == "azurekms" => {
            uri.split_once("://").map_or("", |(_, rest)| rest)
        }
        _ => return Err(KeyFault::NoProvider(place.to_string())),
    };
    if rest.is_empty() {
        return Ok(None);
    }
    let named = rest.strip_suffix('/').unwrap_or(rest);
    vault_host(named).map(Some).ok_or_else(|| KeyFault::BadUri {
        uri: place.to_string(),
        why: "a vault is named as azurekms://NAME, or by its whole host".to_owned(),
    })
}

/// What a token for the vault is asked for: `https://vault.azure.net`.
pub(super) fn audience(host: &str) -> String {
    let domain = host.split_once('.').map_or(host, |(_, domain)| domain);
    format!("https://{domain}")
}

fn as_ref(uri: String) -> KeyRef {
    KeyRef::Provider {
        scheme: "azurekms".to_owned(),
        uri,
    }
}

fn vault_host(text: &str) -> Option<String> {
    let text = text.to_ascii_lowercase();
    let (label, domain) = text.split_once('.').unwrap_or((&text, DOMAINS[0]));
    let letters = |b: u8| b.is_ascii_alphanumeric() || b == b'-';
    let good = !label.is_empty() && label.len() <= 63 && label.bytes().all(letters);
    (good && DOMAINS.contains(&domain)).then(|| format!("{label}.{domain}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const VERSION: &str = "0123456789abcdef0123456789ABCDEF";

    fn parse(uri: &str) -> Result<Name, KeyFault> {
        Name::parse(&KeyRef::parse(uri).unwrap())
    }

    #[test]
    fn a_bare_vault_is_one_of_the_public_cloud() {
        let name = parse("azurekms://Acme/models").unwrap();
        assert_eq!(
            name.whole(),
            parse("azurekms://acme.vault.azure.net/models")
                .unwrap()
                .asked()
        );
        assert_eq!(name.id(), "https://acme.vault.azure.net/keys/models");
        assert_eq!(audience(&name.host), "https://vault.azure.net");
        assert!(!name.is_hsm());
        assert!(
            parse("azurekms://acme.managedhsm.azure.cn/m")
                .unwrap()
                .is_hsm()
        );
    }

    #[test]
    fn a_vault_is_named_without_a_key() {
        let vault = |uri: &str| vault_of(&KeyRef::parse(uri).unwrap());
        let acme = Ok(Some("acme.vault.azure.net".to_owned()));
        assert_eq!(vault("azurekms://acme"), acme);
        assert_eq!(vault("azurekms://Acme.vault.azure.net/"), acme);
        assert_eq!(vault("azurekms://"), Ok(None));
        for bad in [
            "azurekms://acme/models",
            "azurekms:///",
            "azurekms://a.example.com",
        ] {
            assert!(matches!(vault(bad), Err(KeyFault::BadUri { .. })), "{bad}");
        }
    }

    #[test]
    fn a_version_and_a_scheme_are_read() {
        let uri = format!("azurekms://acme/models/{VERSION}?scheme=rsa-pss-sha256");
        let name = parse(&uri).unwrap();
        assert_eq!(name.version, Some(VERSION.to_lowercase()));
        assert_eq!(name.scheme, Scheme::from_name("rsa-pss-sha256"));
        assert_eq!(
            name.asked().to_string(),
            format!(
                "azurekms://acme.vault.azure.net/models/{}",
                VERSION.to_lowercase()
            )
        );
    }

    #[test]
    fn what_names_no_key_is_refused() {
        for uri in [
            "azurekms://",
            "azurekms:///models",
            "azurekms://acme",
            "azurekms://acme/",
            "azurekms://acme/models/",
            "azurekms://acme/models/1",
            "azurekms://acme/models?version=1",
            "azurekms://acme/models?scheme=md5",
            "azurekms://acme/mo_dels",
            "azurekms://acme/../models",
            "azurekms://acme.example.com/models",
            "azurekms://acme.vault.azure.net.example.com/models",
            "azurekms://acme.vault.azure.net:8443/models",
            "azurekms://user@acme.vault.azure.net/models",
        ] {
            assert!(matches!(parse(uri), Err(KeyFault::BadUri { .. })), "{uri}");
        }
        assert!(matches!(
            parse("awskms:///alias/a"),
            Err(KeyFault::NoProvider(_))
        ));
    }
}
