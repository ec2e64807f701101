//! Predicate types by family: an SBOM's type says its version, and a policy
//! that asks for an SBOM should not have to list them.

use super::suggest::nearest;
use crate::statement::{COSIGN_SIGN, MODEL_SIGNATURE};

/// Short names, and the type URIs that each stands for; a URI stands for its
/// versions (`URI/v…`) too.
const FAMILIES: &[(&str, &[&str])] = &[
    ("custom", &["https://cosign.sigstore.dev/attestation/v1"]),
    ("cyclonedx", &["https://cyclonedx.org/bom"]),
    ("link", &["https://in-toto.io/Link/v1"]),
    ("openvex", &["https://openvex.dev/ns"]),
    ("release", &["https://in-toto.io/attestation/release"]),
    ("scai", &["https://in-toto.io/attestation/scai"]),
    ("slsaprovenance", &["https://slsa.dev/provenance/v0.2"]),
    ("slsaprovenance02", &["https://slsa.dev/provenance/v0.2"]),
    ("slsaprovenance1", &["https://slsa.dev/provenance/v1"]),
    ("spdx", &["https://spdx.dev/Document"]),
    ("spdxjson", &["https://spdx.dev/Document"]),
    (
        "test-result",
        &["https://in-toto.io/attestation/test-result"],
    ),
    ("vsa", &[VSA]),
    (
        "vuln",
        &[
            "https://cosign.sigstore.dev/attestation/vuln/v1",
            "https://in-toto.io/attestation/vulns",
        ],
    ),
];

/// Predicate type of verification summaries.
pub(super) const VSA: &str = "https://slsa.dev/verification_summary/v1";

/// Whether a policy that asks for `asked`, a short name or a type URI, is met
/// by an attestation of `predicate_type`.
pub fn matches(asked: &str, predicate_type: &str) -> bool {
    match FAMILIES.iter().find(|(name, _)| *name == asked) {
        Some((_, uris)) => uris.iter().any(|uri| is_version_of(uri, predicate_type)),
        None => is_version_of(asked, predicate_type),
    }
}

/// `uri` itself, or `uri/v` followed by a version number.
fn is_version_of(uri: &str, predicate_type: &str) -> bool {
    let Some(rest) = predicate_type.strip_prefix(uri.trim_end_matches('/')) else {
        return false;
    };
    let rest = rest.strip_suffix('/').unwrap_or(rest);
    rest.is_empty()
        || rest.strip_prefix("/v").is_some_and(|version| {
            version.starts_with(|c: char| c.is_ascii_digit())
                && version.bytes().all(|b| b.is_ascii_digit() || b == b'.')
        })
}

/// Whether `asked` can be asked for as an attestation.
///
/// # Errors
/// What is wrong with it, for people.
pub(super) fn check(asked: &str) -> Result<(), String> {
    if asked == COSIGN_SIGN || asked == MODEL_SIGNATURE {
        return Err(format!(
            "{asked:?} is a signature, not an attestation; ask for it under signatures"
        ));
    }
    let uri = asked.contains("://") || asked.starts_with("urn:") || asked.starts_with("tag:");
    if uri || FAMILIES.iter().any(|(name, _)| *name == asked) {
        return Ok(());
    }
    let hint = nearest(asked, FAMILIES.iter().map(|(name, _)| *name))
        .map(|near| format!("; did you mean {near:?}?"))
        .unwrap_or_default();
    let names: Vec<_> = FAMILIES.iter().map(|(name, _)| *name).collect();
    Err(format!(
        "{asked:?} is neither a type URI nor one of {}{hint}",
        names.join(", ")
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_of_one_family() {
        for (asked, found) in [
            ("cyclonedx", "https://cyclonedx.org/bom"),
            ("cyclonedx", "https://cyclonedx.org/bom/v1.6"),
            ("spdx", "https://spdx.dev/Document/v2.3"),
            (
                "https://cyclonedx.org/bom",
                "https://cyclonedx.org/bom/v1.4",
            ),
            ("https://e.example/eval/v1", "https://e.example/eval/v1"),
        ] {
            assert!(matches(asked, found), "{asked} {found}");
        }
    }

    #[test]
    fn no_prefix_games() {
        for (asked, found) in [
            ("cyclonedx", "https://cyclonedx.org/bombastic"),
            ("cyclonedx", "https://cyclonedx.org/bom/v1.6/../x"),
            ("cyclonedx", "https://cyclonedx.org/bom/vex"),
            ("slsaprovenance1", "https://slsa.dev/provenance/v0.2"),
            ("slsaprovenance1", "https://slsa.dev/provenance/v10"),
            (
                "https://cyclonedx.org/bom/v1.4",
                "https://cyclonedx.org/bom",
            ),
            ("https://e.example/eval/v1", "https://e.example/eval/v2"),
        ] {
            assert!(!matches(asked, found), "{asked} {found}");
        }
    }

    #[test]
    fn names_are_checked() {
        assert!(check("vsa").is_ok() && check("https://e.example/x").is_ok());
        let err = check("cyclondx").unwrap_err();
        assert!(err.contains("did you mean \"cyclonedx\""), "{err}");
        assert!(check(COSIGN_SIGN).is_err());
    }
}
