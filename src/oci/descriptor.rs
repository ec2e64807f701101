use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::media_type;
use crate::crypto::sha256;
use crate::digest::Digest;

/// Names and values of an annotation map.
pub type Annotations = BTreeMap<String, String>;

/// A reference to bytes: what they are, their digest and their number
/// (image-spec, "OCI Content Descriptors").
///
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Descriptor {
    /// What the bytes are.
    pub media_type: String,
    /// The digest of the bytes.
    pub digest: Digest,
    /// Their number.
    pub size: u64,
    /// What the manifest that is referred to carries, where it is an artifact.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub artifact_type: Option<String>,
    /// Notes; unsigned, so they identify nothing.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub annotations: Annotations,
    /// Which machines an image in an index is for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub platform: Option<Platform>,
    /// What other tools wrote there (`urls`, `data`, …): kept, because an index
    /// that is updated must not lose it.
    #[serde(flatten)]
    pub other: BTreeMap<String, Value>,
}

impl Descriptor {
    /// A descriptor without notes.
    pub fn new(media_type: impl Into<String>, digest: Digest, size: u64) -> Self {
        Self {
            media_type: media_type.into(),
            digest,
            size,
            artifact_type: None,
            annotations: Annotations::new(),
            platform: None,
            other: BTreeMap::new(),
        }
    }

    /// The descriptor of bytes that are at hand, by SHA-256.
    pub fn of(media_type: impl Into<String>, bytes: &[u8]) -> Self {
        Self::new(media_type, sha256(bytes), bytes.len() as u64)
    }

    /// Media type, digest and size without any notes.
    #[must_use]
    pub fn bare(&self) -> Self {
        Self::new(self.media_type.clone(), self.digest, self.size)
    }

    /// An annotation's value.
    pub fn annotation(&self, name: &str) -> Option<&str> {
        self.annotations.get(name).map(String::as_str)
    }
}

/// The machines that an image is for.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Platform {
    /// Operating system, as Go spells it.
    pub os: String,
    /// Processor architecture, as Go spells it.
    pub architecture: String,
    /// Variant of the architecture.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub variant: Option<String>,
    /// `os.version` and `os.features`, which Windows images carry.
    #[serde(flatten)]
    pub other: BTreeMap<String, Value>,
}

impl std::fmt::Display for Platform {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}", self.os, self.architecture)?;
        match &self.variant {
            Some(variant) => write!(f, "/{variant}"),
            None => Ok(()),
        }
    }
}

/// Text that names no platform.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a platform is OS/ARCHITECTURE or OS/ARCHITECTURE/VARIANT, such as linux/arm64")]
pub struct PlatformError;

impl std::str::FromStr for Platform {
    type Err = PlatformError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let words: Vec<&str> = text.split('/').collect();
        let word = |w: &&str| {
            let plain = |b: u8| b.is_ascii_alphanumeric() || b"._-".contains(&b);
            (1..=64).contains(&w.len()) && w.bytes().all(plain)
        };
        if !words.iter().all(word) {
            return Err(PlatformError);
        }
        let (os, architecture, variant) = match words.as_slice() {
            [os, architecture] => (os, architecture, None),
            [os, architecture, variant] => (os, architecture, Some((*variant).to_owned())),
            _ => return Err(PlatformError),
        };
        Ok(Self {
            os: (*os).to_owned(),
            architecture: (*architecture).to_owned(),
            variant,
            other: BTreeMap::new(),
        })
    }
}

impl Platform {
    /// Whether an image for this platform is what `wanted` asks for: of any
    /// variant, where that names none.
    pub fn is_for(&self, wanted: &Self) -> bool {
        self.os == wanted.os
            && self.architecture == wanted.architecture
            && (wanted.variant.is_none() || self.known_variant() == wanted.known_variant())
    }

    /// arm64 has one variant that goes without saying (image-spec, "Platform Variants").
    fn known_variant(&self) -> Option<&str> {
        match (self.architecture.as_str(), self.variant.as_deref()) {
            ("arm64", None) => Some("v8"),
            (_, variant) => variant,
        }
    }

    /// What BuildKit says of what is no image: no machine asks for it.
    pub fn is_unknown(&self) -> bool {
        self.os == "unknown" && self.architecture == "unknown"
    }
}

impl Descriptor {
    /// Whether an index lists it as what BuildKit says about another of its
    /// entries: by its note, and for no machine that there is.
    pub fn is_buildkits_attestation(&self) -> bool {
        self.annotation(media_type::BUILDKIT_KIND) == Some(media_type::BUILDKIT_ATTESTATION)
            && self.platform.as_ref().is_some_and(Platform::is_unknown)
    }
}

/// Of what indexes list, the manifests and indexes that are known as such, each
/// digest once: as it is listed first.
pub fn each_once(mut entries: Vec<Descriptor>) -> Vec<Descriptor> {
    let mut seen = BTreeSet::new();
    entries.retain(|entry| {
        let kind = &entry.media_type;
        (media_type::is_manifest(kind) || media_type::is_index(kind)) && seen.insert(entry.digest)
    });
    entries
}

#[cfg(test)]
mod tests {
    use super::*;

    fn platform(text: &str) -> Platform {
        text.parse().unwrap()
    }

    #[test]
    fn an_image_is_for_what_asks_for_it() {
        for (image, wanted, expected) in [
            ("linux/amd64", "linux/amd64", true),
            ("linux/amd64", "linux/arm64", false),
            ("linux/amd64", "windows/amd64", false),
            ("linux/arm/v7", "linux/arm", true),
            ("linux/arm/v7", "linux/arm/v7", true),
            ("linux/arm/v7", "linux/arm/v6", false),
            ("linux/arm", "linux/arm/v6", false),
            ("linux/arm64", "linux/arm64/v8", true),
            ("linux/arm64/v8", "linux/arm64", true),
            ("linux/arm64/v9", "linux/arm64/v8", false),
        ] {
            let found = platform(image).is_for(&platform(wanted));
            assert_eq!(found, expected, "{image} for {wanted}");
        }
    }

    #[test]
    fn what_is_no_platform_is_refused() {
        for text in [
            "",
            "linux",
            "linux/",
            "/amd64",
            "a/b/c/d",
            "linux/a b",
            "linux/\n",
        ] {
            assert_eq!(text.parse::<Platform>(), Err(PlatformError), "{text:?}");
        }
    }

    #[test]
    fn only_what_no_machine_asks_for_is_no_image() {
        let mut entry = Descriptor::of(media_type::MANIFEST, b"x");
        let note = (
            media_type::BUILDKIT_KIND.to_owned(),
            media_type::BUILDKIT_ATTESTATION.to_owned(),
        );
        entry.annotations.extend([note]);
        assert!(!entry.is_buildkits_attestation());
        entry.platform = Some(platform("linux/amd64"));
        assert!(!entry.is_buildkits_attestation());
        entry.platform = Some(platform("unknown/unknown"));
        assert!(entry.is_buildkits_attestation());
        entry.annotations.clear();
        assert!(!entry.is_buildkits_attestation());
    }
}
