//! `awskms://[host[:port]]/ID[?scheme=…]`: cosign's grammar, with every
//! partition of AWS and the scheme of RSA keys beside it.

use crate::crypto::Scheme;
use crate::keys::{KeyFault, RsaScheme, uri};
use crate::reference::KeyRef;

pub(super) const SCHEME: &str = "awskms";
/// Longest name of an alias, `alias/` included, in bytes.
const LONGEST_ALIAS: usize = 256;

/// What a URI says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Name {
    /// The URI as given: what people and records see.
    pub(super) shown: String,
    /// Host and port.
    pub(super) endpoint: Option<String>,
    /// What AWS is given: an id, an ARN, `alias/…`.
    pub(super) id: String,
    /// The region that the ARN names.
    pub(super) region: Option<String>,
    /// The scheme of an RSA key.
    pub(super) rsa: Option<Scheme>,
}

impl Name {
    pub(super) fn parse(key: &KeyRef) -> Result<Self, KeyFault> {
        let bad = |why: &str| uri::bad(key, why);
        let (rest, query) = uri::parts(key)?;
        let (host, id) = rest.split_once('/').ok_or_else(|| {
            bad("without an endpoint three slashes come before the key: awskms:///alias/NAME")
        })?;
        if !host.is_empty() && !is_endpoint(host) {
            return Err(bad("the endpoint is not host or host:port"));
        }
        let region = match region_of(id) {
            Some(region) => Some(region),
            None if is_id(id) || is_alias(id) => None,
            None => {
                return Err(bad(
                    "a key is named by its id (a UUID, or mrk-…), its ARN or alias/NAME",
                ));
            }
        };
        Ok(Self {
            shown: key.to_string(),
            endpoint: Some(host.to_owned()).filter(|host| !host.is_empty()),
            id: id.to_owned(),
            region,
            rsa: scheme(query).map_err(|why| bad(&why))?,
        })
    }

    /// The alias that is named without region and account: what a new key can be called.
    pub(super) fn alias(&self) -> Option<&str> {
        Some(self.id.as_str()).filter(|id| id.starts_with("alias/"))
    }
}

/// Whether two ids, of which each may be an ARN, are of one key.
pub(super) fn same_key(one: &str, other: &str) -> bool {
    if one.starts_with("arn:") && other.starts_with("arn:") {
        return one == other;
    }
    let last = |id: &str| id.rsplit('/').next().map(ToOwned::to_owned);
    last(one) == last(other)
}

fn scheme(query: &str) -> Result<Option<Scheme>, String> {
    let mut found = None;
    for parameter in query.split('&').filter(|p| !p.is_empty()) {
        match parameter.split_once('=') {
            Some(("scheme", _)) if found.is_some() => {
                return Err("scheme is given twice".to_owned());
            }
            Some(("scheme", value)) => {
                let scheme = RsaScheme::from_name(value)
                    .ok_or("scheme is for RSA keys: rsa-pkcs1-sha256, rsa-pss-sha256, …")?;
                found = Some(scheme.0);
            }
            Some(("version", _)) => {
                return Err(
                    "keys of AWS KMS have no versions: a new key has an id of its own".to_owned(),
                );
            }
            _ => return Err("only scheme may follow '?'".to_owned()),
        }
    }
    Ok(found)
}

fn is_endpoint(host: &str) -> bool {
    let (host, port) = match host.split_once(':') {
        Some((host, port)) => (host, port.parse::<u16>().is_ok_and(|port| port > 0)),
        None => (host, true),
    };
    let label = |label: &str| {
        !label.is_empty()
            && label
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || b == b'-')
    };
    port && host.len() <= 253 && host.split('.').all(label)
}

/// A UUID, or the id of a key that is in several regions.
fn is_id(id: &str) -> bool {
    let hex = |text: &str| text.bytes().all(|b| b.is_ascii_hexdigit());
    if let Some(id) = id.strip_prefix("mrk-") {
        return id.len() == 32 && hex(id);
    }
    let mut lengths = [8, 4, 4, 4, 12].into_iter();
    let parts = id
        .split('-')
        .all(|part| hex(part) && lengths.next() == Some(part.len()));
    parts && lengths.next().is_none()
}

fn is_alias(id: &str) -> bool {
    let name = id.strip_prefix("alias/").unwrap_or_default();
    !name.is_empty()
        && id.len() <= LONGEST_ALIAS
        && name
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'/' | b'_' | b'-'))
}

/// The region of an ARN of a key or an alias: `arn:aws:kms:REGION:ACCOUNT:key/ID`.
fn region_of(arn: &str) -> Option<String> {
    let mut parts = arn.splitn(6, ':');
    let word = |text: &str| {
        !text.is_empty()
            && text
                .bytes()
                .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
    };
    let (head, partition, service) = (parts.next()?, parts.next()?, parts.next()?);
    let (region, account, resource) = (parts.next()?, parts.next()?, parts.next()?);
    let fits = head == "arn"
        && partition.starts_with("aws")
        && word(partition)
        && service == "kms"
        && word(region)
        && account.len() == 12
        && account.bytes().all(|b| b.is_ascii_digit())
        && (resource.strip_prefix("key/").is_some_and(is_id) || is_alias(resource));
    fits.then(|| region.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::digest::Algorithm;

    const UUID: &str = "1234abcd-12ab-34cd-56ef-1234567890ab";

    fn read(uri: &str) -> Result<Name, KeyFault> {
        Name::parse(&KeyRef::parse(uri).unwrap())
    }

    #[test]
    fn cosigns_names_and_other_partitions() {
        for id in [
            UUID.to_owned(),
            format!("mrk-{}", "0a".repeat(16)),
            "alias/Release_signing/2026-11".to_owned(),
        ] {
            for host in [
                "",
                "localhost:4566",
                "vpce-1.kms.eu-west-1.vpce.amazonaws.com",
            ] {
                let name = read(&format!("awskms://{host}/{id}")).unwrap();
                assert_eq!((name.id.as_str(), name.region), (id.as_str(), None));
                assert_eq!(name.endpoint.unwrap_or_default(), host);
            }
        }
        for (arn, region) in [
            (
                format!("arn:aws:kms:us-east-2:111122223333:key/{UUID}"),
                "us-east-2",
            ),
            (
                format!("arn:aws-us-gov:kms:us-gov-west-1:111122223333:key/{UUID}"),
                "us-gov-west-1",
            ),
            (
                "arn:aws-cn:kms:cn-north-1:111122223333:alias/a/b".to_owned(),
                "cn-north-1",
            ),
            (
                "arn:aws-eusc:kms:eusc-de-east-1:111122223333:alias/a".to_owned(),
                "eusc-de-east-1",
            ),
        ] {
            let name = read(&format!("awskms:///{arn}")).unwrap();
            assert_eq!((name.id, name.region.as_deref()), (arn, Some(region)));
        }
        let name = read("awskms:///alias/x?scheme=rsa-pss-sha384").unwrap();
        assert_eq!(name.rsa, Some(Scheme::RsaPss(Algorithm::Sha384)));
        assert_eq!(name.alias(), Some("alias/x"));
    }

    #[test]
    fn nothing_else_is_a_key() {
        let arn = |rest: &str| format!("awskms:///arn:{rest}");
        for uri in [
            "awskms://".to_owned(),
            "awskms:///".to_owned(),
            "awskms://alias".to_owned(),
            // The host that a missing slash makes of the alias.
            "awskms://alias/x".to_owned(),
            format!("awskms://{UUID}"),
            format!("awskms:///{UUID}0"),
            format!("awskms:///{}", &UUID[1..]),
            format!("awskms:///{UUID}-"),
            "awskms:///1234abcd12ab34cd56ef1234567890ab".to_owned(),
            "awskms:///mrk-12".to_owned(),
            "awskms:///alias/".to_owned(),
            "awskms:///alias/a b".to_owned(),
            "awskms:///alias/a:b".to_owned(),
            format!("awskms:///alias/{}", "a".repeat(251)),
            "awskms:///Alias/a".to_owned(),
            format!("awskms:////{UUID}"),
            format!("awskms://user@host/{UUID}"),
            format!("awskms://user:pw@host/{UUID}"),
            format!("awskms://host:0/{UUID}"),
            format!("awskms://host:99999/{UUID}"),
            format!("awskms://host:/{UUID}"),
            format!("awskms://a..b/{UUID}"),
            format!("awskms://[::1]:80/{UUID}"),
            arn(&format!("aws:kms:us-east-2:11112222333:key/{UUID}")),
            arn(&format!("aws:s3:us-east-2:111122223333:key/{UUID}")),
            arn(&format!("gcp:kms:us-east-2:111122223333:key/{UUID}")),
            arn(&format!("aws:kms::111122223333:key/{UUID}")),
            arn(&format!("aws:kms:us-east-2:111122223333:{UUID}")),
            arn(&format!("aws:kms:us-east-2/x:111122223333:key/{UUID}")),
            arn("aws:kms:us-east-2:111122223333:key/"),
            format!("awskms:///{UUID}?version=1"),
            format!("awskms:///{UUID}?scheme=ed25519"),
            format!("awskms:///{UUID}?scheme=pss"),
            format!("awskms:///{UUID}?scheme=rsa-pss-sha1"),
            format!("awskms:///{UUID}?scheme=rsa-pss-sha256&scheme=rsa-pss-sha256"),
            format!("awskms:///{UUID}?region=x"),
        ] {
            let refused = read(&uri);
            assert!(
                matches!(refused, Err(KeyFault::BadUri { .. })),
                "{uri}: {refused:?}"
            );
        }
    }

    #[test]
    fn an_id_and_its_arn_are_one_key() {
        let arn = format!("arn:aws:kms:us-east-2:111122223333:key/{UUID}");
        let elsewhere = arn.replace("east", "west");
        assert!(same_key(&arn, UUID) && same_key(UUID, &arn) && same_key(&arn, &arn));
        assert!(!same_key(&arn, &elsewhere) && !same_key(UUID, "alias/x"));
        assert!(!same_key(&arn, &UUID.replace('1', "2")));
    }
}
