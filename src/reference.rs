//! Names: of artifacts and of keys. Parsing only; nothing is looked up here.

use std::fmt;

use crate::digest::{Digest, DigestError};

/// What a user may write where an artifact is expected.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ArtifactRef {
    /// A file or a directory: `./x`, `/x`, anything that exists, `file:x`, `dir:x`.
    Path {
        /// The path as given, without a forcing prefix.
        path: String,
        /// The reading that a prefix forced.
        forced: Option<PathKind>,
    },
    /// An image in an OCI image layout: `oci-layout:DIR[:tag|@digest]`.
    Layout {
        /// The layout's folder.
        dir: String,
        /// Which manifest in it.
        select: Select,
    },
    /// An image in a registry: `host/repo[:tag|@digest]`, `oci:host/repo…`.
    Registry {
        /// Host and optional port, lower case.
        host: String,
        /// Repository path.
        repository: String,
        /// Which manifest in it.
        select: Select,
    },
    /// A digest without the bytes: `sha256:HEX`.
    Digest(Digest),
}

/// The reading of a path that a prefix forces.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PathKind {
    /// `file:`
    File,
    /// `dir:`
    Directory,
}

/// Which manifest of a repository or layout.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Select {
    /// Neither tag nor digest was given: `latest` in a registry, the only manifest of a layout.
    Default,
    /// A mutable name.
    Tag(String),
    /// The digest of its bytes.
    Digest(Digest),
}

impl ArtifactRef {
    /// Reads `text`; `exists` tells whether a path exists.
    ///
    /// A bare word that neither exists nor names a registry host is refused,
    /// never guessed at.
    ///
    /// # Errors
    /// `RefError` naming the text and what was expected.
    pub fn parse(text: &str, exists: impl Fn(&str) -> bool) -> Result<Self, RefError> {
        if text.is_empty() || text.contains('\0') {
            return Err(RefError::Empty);
        }
        if let Some(path) = text.strip_prefix("file:") {
            return Ok(Self::path(path, Some(PathKind::File)));
        }
        if let Some(path) = text.strip_prefix("dir:") {
            return Ok(Self::path(path, Some(PathKind::Directory)));
        }
        if let Some(rest) = text.strip_prefix("oci-layout:") {
            return layout(rest, exists);
        }
        if let Some(rest) = text.strip_prefix("oci:") {
            return registry(rest);
        }
        if text.starts_with('/')
            || text.starts_with("./")
            || text.starts_with("../")
            || exists(text)
        {
            return Ok(Self::path(text, None));
        }
        if text.starts_with("sha256:") || text.starts_with("sha384:") || text.starts_with("sha512:")
        {
            return text
                .parse()
                .map(Self::Digest)
                .map_err(|error| RefError::Digest {
                    text: shown(text),
                    error,
                });
        }
        registry(text)
    }

    fn path(path: &str, forced: Option<PathKind>) -> Self {
        Self::Path {
            path: path.to_owned(),
            forced,
        }
    }
}

impl fmt::Display for ArtifactRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Path { path, .. } => f.write_str(path),
            Self::Layout { dir, select } => write!(f, "oci-layout:{dir}{select}"),
            Self::Registry {
                host,
                repository,
                select,
            } => write!(f, "{host}/{repository}{select}"),
            Self::Digest(digest) => write!(f, "{digest}"),
        }
    }
}

impl fmt::Display for Select {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => Ok(()),
            Self::Tag(tag) => write!(f, ":{tag}"),
            Self::Digest(digest) => write!(f, "@{digest}"),
        }
    }
}

fn layout(rest: &str, exists: impl Fn(&str) -> bool) -> Result<ArtifactRef, RefError> {
    if rest.is_empty() {
        return Err(RefError::Empty);
    }
    let done = |dir: &str, select| {
        Ok(ArtifactRef::Layout {
            dir: dir.to_owned(),
            select,
        })
    };
    if let Some((dir, digest)) = rest.rsplit_once('@')
        && digest.contains(':')
    {
        return done(dir, Select::Digest(parse_digest(rest, digest)?));
    }
    // A folder whose own name holds a colon is taken as it is.
    if exists(rest) {
        return done(rest, Select::Default);
    }
    match rest.rsplit_once(':') {
        Some((dir, tag)) if is_tag(tag) && !dir.is_empty() => {
            done(dir, Select::Tag(tag.to_owned()))
        }
        Some((_, tag)) if !tag.contains('/') => Err(RefError::Tag {
            text: shown(rest),
            tag: shown(tag),
        }),
        _ => done(rest, Select::Default),
    }
}

fn registry(text: &str) -> Result<ArtifactRef, RefError> {
    let unknown = || RefError::Unknown(shown(text));
    let (name, digest) = match text.split_once('@') {
        Some((name, digest)) => (name, Some(parse_digest(text, digest)?)),
        None => (text, None),
    };
    let (host, rest) = name.split_once('/').ok_or_else(unknown)?;
    // As every OCI client reads it: the first part is a host only if it looks like one.
    if !(host.contains('.') || host.contains(':') || host == "localhost") {
        return Err(unknown());
    }
    let (repository, tag) = match rest.rsplit_once(':') {
        Some((repository, tag)) => (repository, Some(tag)),
        None => (rest, None),
    };
    if let Some(tag) = tag
        && !is_tag(tag)
    {
        return Err(RefError::Tag {
            text: shown(text),
            tag: shown(tag),
        });
    }
    if !is_repository(repository) {
        return Err(RefError::Repository {
            text: shown(text),
            repository: shown(repository),
        });
    }
    let select = match (digest, tag) {
        (Some(digest), _) => Select::Digest(digest),
        (None, Some(tag)) => Select::Tag(tag.to_owned()),
        (None, None) => Select::Default,
    };
    Ok(ArtifactRef::Registry {
        host: host.to_ascii_lowercase(),
        repository: repository.to_owned(),
        select,
    })
}

fn parse_digest(text: &str, digest: &str) -> Result<Digest, RefError> {
    digest.parse().map_err(|error| RefError::Digest {
        text: shown(text),
        error,
    })
}

/// OCI distribution specification, "Pulling manifests": `[a-zA-Z0-9_][a-zA-Z0-9._-]{0,127}`.
pub fn is_tag(tag: &str) -> bool {
    tag.len() <= 128
        && tag
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'.' | b'-'))
        && tag
            .bytes()
            .next()
            .is_some_and(|b| b.is_ascii_alphanumeric() || b == b'_')
}

/// OCI distribution specification, "Pulling manifests": lower-case path components.
fn is_repository(name: &str) -> bool {
    name.len() <= 255
        && name.split('/').all(|part| {
            let inner = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit();
            part.bytes().next().is_some_and(inner)
                && part.bytes().last().is_some_and(inner)
                && part
                    .bytes()
                    .all(|b| inner(b) || matches!(b, b'.' | b'_' | b'-'))
        })
}

/// What a user may write where a key is expected.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KeyRef {
    /// `kms://purpose/env/…[?version=N]`, or `kms://alias`.
    Kms {
        /// Path segments, at least one; exactly one is an alias.
        path: KeyPath,
        /// The version asked for, from 1.
        version: Option<u32>,
    },
    /// A key file: PEM, or cosign's encrypted private key.
    File(String),
    /// A URI of another provider, kept whole.
    Provider {
        /// The scheme, lower case.
        scheme: String,
        /// The whole URI.
        uri: String,
    },
}

/// A key's canonical path: `model-sign/prod/acme/fraud`.
// req: N1, N2
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct KeyPath(String);

impl KeyPath {
    /// Reads a path of 1 to 8 segments of `[a-z0-9][a-z0-9._-]{0,63}`.
    ///
    /// # Errors
    /// `RefError::KeyPath` naming the text.
    pub fn parse(text: &str) -> Result<Self, RefError> {
        let segment = |s: &str| {
            s.len() <= 64
                && s.bytes()
                    .next()
                    .is_some_and(|b| b.is_ascii_lowercase() || b.is_ascii_digit())
                && s.bytes().all(|b| {
                    b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'.' | b'_' | b'-')
                })
        };
        let segments = text.split('/').count();
        if (1..=8).contains(&segments) && text.split('/').all(segment) {
            Ok(Self(text.to_owned()))
        } else {
            Err(RefError::KeyPath(shown(text)))
        }
    }

    /// The path as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The first segment: what the key is for.
    pub fn purpose(&self) -> &str {
        self.0.split('/').next().unwrap_or_default()
    }

    /// The second segment: where it is used; `None` for an alias.
    pub fn environment(&self) -> Option<&str> {
        self.0.split('/').nth(1)
    }

    /// Whether this is one bare word: an alias rather than a canonical path.
    pub fn is_alias(&self) -> bool {
        !self.0.contains('/')
    }
}

impl fmt::Display for KeyPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl KeyRef {
    /// Reads `text`: a URI where it has a scheme, else the path of a key file.
    ///
    /// # Errors
    /// `RefError` naming the text and what was expected.
    pub fn parse(text: &str) -> Result<Self, RefError> {
        if text.is_empty() || text.contains('\0') {
            return Err(RefError::Empty);
        }
        if let Some(rest) = text.strip_prefix("kms://") {
            let (path, version) = match rest.split_once('?') {
                None => (rest, None),
                Some((path, query)) => (path, Some(version_query(text, query)?)),
            };
            return Ok(Self::Kms {
                path: KeyPath::parse(path)?,
                version,
            });
        }
        if let Some(path) = text.strip_prefix("file:") {
            return Ok(Self::File(path.trim_start_matches("//").to_owned()));
        }
        let scheme = text.split(':').next().unwrap_or_default();
        if text.contains("://") || scheme == "pkcs11" && text.contains(':') {
            return Ok(Self::Provider {
                scheme: scheme.to_ascii_lowercase(),
                uri: text.to_owned(),
            });
        }
        Ok(Self::File(text.to_owned()))
    }
}

impl fmt::Display for KeyRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Kms {
                path,
                version: None,
            } => write!(f, "kms://{path}"),
            Self::Kms {
                path,
                version: Some(version),
            } => write!(f, "kms://{path}?version={version}"),
            Self::File(path) => f.write_str(path),
            Self::Provider { uri, .. } => f.write_str(&redacted(uri)),
        }
    }
}

impl KeyRef {
    /// The version that `?version=N` asks for, where it does.
    pub fn version(&self) -> Option<u32> {
        match self {
            Self::Kms { version, .. } => *version,
            Self::File(_) => None,
            Self::Provider { uri, .. } => parameters(uri)
                .find_map(|parameter| parameter.strip_prefix("version="))
                .and_then(|version| version.parse().ok())
                .filter(|version| *version > 0),
        }
    }

    /// The key itself, whatever version was asked for.
    #[must_use]
    pub fn without_version(&self) -> Self {
        match (self, self.version()) {
            (Self::Kms { path, .. }, Some(_)) => Self::Kms {
                path: path.clone(),
                version: None,
            },
            (Self::Provider { scheme, uri }, Some(_)) => {
                let mut whole = uri.split('?').next().unwrap_or_default().to_owned();
                let rest = parameters(uri).filter(|p| !p.starts_with("version="));
                for (at, parameter) in rest.enumerate() {
                    whole.push(if at == 0 { '?' } else { '&' });
                    whole.push_str(parameter);
                }
                Self::Provider {
                    scheme: scheme.clone(),
                    uri: whole,
                }
            }
            _ => self.clone(),
        }
    }
}

/// What stands behind the first `?` of a provider's URI, one by one.
fn parameters(uri: &str) -> impl Iterator<Item = &str> {
    let (_, query) = uri.split_once('?').unwrap_or_default();
    query.split('&').filter(|parameter| !parameter.is_empty())
}

/// A provider's URI without what may be a credential in it: a user name before
/// `@`, and the values of attributes that are named like secrets.
fn redacted(uri: &str) -> String {
    let mut shown = String::new();
    let rest = match uri.split_once("://") {
        Some((scheme, rest)) => {
            shown.push_str(scheme);
            shown.push_str("://");
            let host = rest.split(['/', '?', ';']).next().unwrap_or_default();
            match host.rsplit_once('@') {
                Some((user, _)) => {
                    shown.push_str("…@");
                    &rest[user.len() + 1..]
                }
                None => rest,
            }
        }
        None => uri,
    };
    for part in rest.split_inclusive(['?', '&', ';']) {
        let name = part.split('=').next().unwrap_or_default();
        let secret = ["pin-value", "password", "passwd", "secret", "token", "sig"];
        let ends = part.ends_with(['?', '&', ';']).then(|| part.len() - 1);
        // `token=` names a PKCS#11 token, which is no secret.
        let names_a_token = uri.starts_with("pkcs11:") && matches!(name, "token" | "pkcs11:token");
        if part.contains('=') && !names_a_token && secret.iter().any(|s| name.ends_with(s)) {
            shown.push_str(name);
            shown.push_str("=…");
            shown.push_str(ends.map_or("", |at| &part[at..]));
        } else {
            shown.push_str(part);
        }
    }
    shown
}

fn version_query(text: &str, query: &str) -> Result<u32, RefError> {
    query
        .strip_prefix("version=")
        .and_then(|v| v.parse().ok())
        .filter(|v| *v > 0)
        .ok_or_else(|| RefError::KeyQuery(shown(text)))
}

fn shown(text: &str) -> String {
    text.chars().take(256).collect()
}

/// Why a text is not a name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RefError {
    /// Nothing, or a NUL byte.
    #[error("the name is empty or holds a NUL byte")]
    Empty,
    /// Neither a path that exists nor a registry reference.
    #[error("{0:?} is neither an existing path nor a reference that names a registry host")]
    Unknown(String),
    /// A malformed digest.
    #[error("{text:?}: {error}")]
    Digest {
        /// The whole name.
        text: String,
        /// What is wrong.
        error: DigestError,
    },
    /// A malformed tag.
    #[error("{text:?}: {tag:?} is not a tag")]
    Tag {
        /// The whole name.
        text: String,
        /// The part that is not a tag.
        tag: String,
    },
    /// A malformed repository.
    #[error("{text:?}: {repository:?} is not a repository name")]
    Repository {
        /// The whole name.
        text: String,
        /// The part that is not a repository.
        repository: String,
    },
    /// A malformed key path.
    #[error(
        "{0:?} is not a key path: 1 to 8 segments of a-z, 0-9, '.', '_' and '-', as in model-sign/prod/acme/fraud"
    )]
    KeyPath(String),
    /// Anything but `?version=N`.
    #[error("{0:?}: only ?version=N, counted from 1, may follow a key path")]
    KeyQuery(String),
}

#[cfg(test)]
mod tests {
    use super::*;

    fn none(_: &str) -> bool {
        false
    }

    #[test]
    fn readings() {
        let digest = format!("sha256:{}", "0".repeat(64));
        let read = |text: &str| ArtifactRef::parse(text, none).map(|r| format!("{r:?}"));
        assert!(read("./x").unwrap().starts_with("Path"));
        assert!(read("dir:x").unwrap().contains("Directory"));
        assert!(read("oci-layout:a/b:v1").unwrap().contains("Tag(\"v1\")"));
        assert!(
            read(&format!("oci-layout:a@{digest}"))
                .unwrap()
                .contains("Digest")
        );
        assert!(
            read("localhost:5000/a/b")
                .unwrap()
                .contains("localhost:5000")
        );
        assert!(
            read("Registry.Example/a:v1")
                .unwrap()
                .contains("\"registry.example\"")
        );
        assert!(read(&digest).unwrap().starts_with("Digest"));
    }

    #[test]
    fn never_a_guess() {
        for bad in [
            "model",
            "alpine:3",
            "library/alpine",
            "",
            "r.io/UPPER",
            "r.io/a:b c",
            "sha256:00",
            "r.io/a@sha1:00",
        ] {
            assert!(ArtifactRef::parse(bad, none).is_err(), "{bad}");
        }
    }

    #[test]
    fn keys() {
        assert!(
            matches!(KeyRef::parse("kms://model-sign").unwrap(), KeyRef::Kms { path, .. } if path.is_alias())
        );
        assert!(matches!(
            KeyRef::parse("kms://model-sign/prod/acme/fraud?version=3").unwrap(),
            KeyRef::Kms {
                version: Some(3),
                ..
            }
        ));
        assert_eq!(
            KeyRef::parse("key.pem").unwrap(),
            KeyRef::File("key.pem".into())
        );
        for (uri, shown) in [
            ("pkcs11:token=a;object=b", "pkcs11:token=a;object=b"),
            ("pkcs11:object=b?pin-value=1", "pkcs11:object=b?pin-value=…"),
            ("vault://me:pw@host/a", "vault://…@host/a"),
            ("any://host/a?token=s&b=c", "any://host/a?token=…&b=c"),
        ] {
            assert_eq!(KeyRef::parse(uri).unwrap().to_string(), shown);
        }
        for bad in [
            "kms://",
            "kms:///a",
            "kms://A/b",
            "kms://a/../b",
            "kms://a?version=0",
            "kms://a?v=1",
        ] {
            assert!(KeyRef::parse(bad).is_err(), "{bad}");
        }
        for (uri, version, whole) in [
            ("openbao://a?version=3", Some(3), "openbao://a"),
            (
                "openbao://a?scheme=x&version=3",
                Some(3),
                "openbao://a?scheme=x",
            ),
            (
                "openbao://a?version=3&scheme=x",
                Some(3),
                "openbao://a?scheme=x",
            ),
            ("openbao://a?version=0", None, "openbao://a?version=0"),
            ("openbao://a?scheme=x", None, "openbao://a?scheme=x"),
            ("openbao://a", None, "openbao://a"),
        ] {
            let key = KeyRef::parse(uri).unwrap();
            assert_eq!(key.version(), version, "{uri}");
            assert_eq!(key.without_version().to_string(), whole);
        }
    }
}
