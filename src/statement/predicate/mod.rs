//! Predicates that obreia knows by type: their names on the command line,
//! their type URIs, and what the specification of each asks of its members.
//!
//! The names and the URIs behind them are cosign's where cosign has one.

mod cyclonedx;
mod link;
mod model_card;
mod openvex;
mod resource;
mod scai;
mod slsa_v0_2;
mod slsa_v1;
mod spdx;
mod test_result;
mod vsa;
mod vuln;

use std::fmt;

use serde_json::Value;

use crate::sbom::SbomError;
use crate::shape::{Path, Shape, Violations, text};

pub use model_card::MODEL_CARD;
pub use slsa_v1::{Build, Dependency, provenance};

/// Predicate type of SLSA provenance v1.
pub const SLSA_V1: &str = "https://slsa.dev/provenance/v1";
/// Predicate type of SLSA verification summaries v1.
pub const VSA: &str = "https://slsa.dev/verification_summary/v1";
/// Predicate type of a CycloneDX document, whatever its version.
pub const CYCLONEDX: &str = "https://cyclonedx.org/bom";
/// Predicate type of an SPDX document, whatever its version.
pub const SPDX: &str = "https://spdx.dev/Document";
/// Predicate type of an OpenVEX document, whatever its version.
pub const OPENVEX: &str = "https://openvex.dev/ns";
/// Predicate type of in-toto test results.
pub const TEST_RESULT: &str = "https://in-toto.io/attestation/test-result/v0.1";

/// Names for `--type`, and the type URI that is written for each.
const NAMES: [(&str, &str); 14] = [
    ("custom", "https://cosign.sigstore.dev/attestation/v1"),
    ("cyclonedx", CYCLONEDX),
    ("link", link::V1),
    ("modelcard", MODEL_CARD),
    ("openvex", OPENVEX),
    ("scai", scai::V0_3),
    ("slsaprovenance", slsa_v0_2::V0_2),
    ("slsaprovenance02", slsa_v0_2::V0_2),
    ("slsaprovenance1", SLSA_V1),
    ("spdx", SPDX),
    ("spdxjson", SPDX),
    ("test-result", TEST_RESULT),
    ("vsa", VSA),
    ("vuln", vuln::V1),
];

/// Types of which every version is one family: the document itself says which version it has.
const FAMILIES: [&str; 3] = [CYCLONEDX, SPDX, OPENVEX];

/// The names that [`resolve`] knows, in alphabetical order.
pub fn names() -> impl Iterator<Item = &'static str> {
    NAMES.iter().map(|(name, _)| *name)
}

/// A predicate type: a URI, and what is known about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PredicateType {
    uri: String,
    rule: Option<Rule>,
}

/// How a known predicate is checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Rule {
    CycloneDx,
    Spdx,
    OpenVex,
    SlsaV02,
    SlsaV1,
    Vsa,
    Vuln,
    TestResult,
    Scai,
    LinkV1,
    LinkV03,
    ModelCard,
    Custom,
}

/// What a name of `--type` or a type URI stands for.
///
/// # Errors
/// `Name` for a word that is neither a known name nor a URI.
pub fn resolve(type_name_or_uri: &str) -> Result<PredicateType, PredicateError> {
    let uri = NAMES
        .iter()
        .find(|(name, _)| *name == type_name_or_uri)
        .map(|(_, uri)| *uri)
        .or_else(|| text::is_uri(type_name_or_uri).then_some(type_name_or_uri))
        .ok_or_else(|| PredicateError::Name(text::quoted(type_name_or_uri)))?;
    Ok(PredicateType {
        uri: uri.to_owned(),
        rule: rule(uri),
    })
}

fn rule(uri: &str) -> Option<Rule> {
    Some(match family(uri) {
        CYCLONEDX => Rule::CycloneDx,
        SPDX => Rule::Spdx,
        OPENVEX => Rule::OpenVex,
        slsa_v0_2::V0_2 => Rule::SlsaV02,
        SLSA_V1 => Rule::SlsaV1,
        VSA => Rule::Vsa,
        vuln::V1 => Rule::Vuln,
        TEST_RESULT => Rule::TestResult,
        scai::V0_3 | scai::V0_2 => Rule::Scai,
        link::V1 => Rule::LinkV1,
        link::V0_3 => Rule::LinkV03,
        MODEL_CARD => Rule::ModelCard,
        "https://cosign.sigstore.dev/attestation/v1" => Rule::Custom,
        _ => return None,
    })
}

/// The URI without its version, where all versions of it are one family.
fn family(uri: &str) -> &str {
    FAMILIES
        .into_iter()
        .find(|base| {
            uri.strip_prefix(base)
                .is_some_and(|rest| rest.is_empty() || version_suffix(rest).is_some())
        })
        .unwrap_or(uri)
}

/// The version in `/v1.6`.
fn version_suffix(rest: &str) -> Option<&str> {
    rest.strip_prefix("/v").filter(|version| {
        version
            .split('.')
            .all(|part| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit()))
    })
}

/// Whether two predicate types are the same for a policy: equal, or versions
/// of one family (`https://cyclonedx.org/bom` and `https://cyclonedx.org/bom/v1.6`).
///
/// Versions of other types are different types: SLSA provenance v0.2 and v1
/// have nothing in common but a name.
pub fn same_family(a: &str, b: &str) -> bool {
    family(a) == family(b)
}

impl PredicateType {
    /// The type URI, as a statement carries it.
    pub fn uri(&self) -> &str {
        &self.uri
    }

    /// Whether [`PredicateType::validate`] knows its specification.
    pub const fn is_known(&self) -> bool {
        self.rule.is_some()
    }

    /// Whether the predicate is a bill of materials.
    pub const fn is_sbom(&self) -> bool {
        matches!(self.rule, Some(Rule::CycloneDx | Rule::Spdx))
    }

    /// Checks a predicate against the specification of its type. One of an
    /// unknown type passes: nothing is known that it could break.
    ///
    /// # Errors
    /// `Invalid` with JSON paths relative to the predicate; `Sbom` where a
    /// bill of materials is none, or not one that is validated here.
    pub fn validate(&self, predicate: &Value) -> Result<(), PredicateError> {
        let Some(rule) = self.rule else {
            return Ok(());
        };
        let mut found = Violations::default();
        match rule {
            Rule::CycloneDx => cyclonedx::check(&self.uri, predicate, &mut found)?,
            Rule::Spdx => spdx::check(&self.uri, predicate, &mut found)?,
            Rule::OpenVex => openvex::check(predicate, &mut found),
            Rule::SlsaV02 => shape(&slsa_v0_2::PREDICATE, predicate, &mut found),
            Rule::SlsaV1 => slsa_v1::check(predicate, &mut found),
            Rule::Vsa => vsa::check(predicate, &mut found),
            Rule::Vuln => vuln::check(predicate, &mut found),
            Rule::TestResult => shape(&test_result::PREDICATE, predicate, &mut found),
            Rule::Scai => shape(&scai::PREDICATE, predicate, &mut found),
            Rule::LinkV1 => shape(&link::PREDICATE_V1, predicate, &mut found),
            Rule::LinkV03 => link::check_v0_3(predicate, &mut found),
            Rule::ModelCard => shape(&model_card::PREDICATE, predicate, &mut found),
            Rule::Custom => shape(&Shape::Map(&Shape::Any), predicate, &mut found),
        }
        if found.is_empty() {
            return Ok(());
        }
        Err(PredicateError::Invalid {
            uri: self.uri.clone(),
            violations: found,
        })
    }
}

fn shape(shape: &Shape, predicate: &Value, found: &mut Violations) {
    shape.check(predicate, &Path::ROOT, found);
}

impl fmt::Display for PredicateType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.uri)
    }
}

/// Why a predicate type or a predicate was refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PredicateError {
    /// Neither a name nor a URI.
    #[error(
        "{0} is no predicate type: give one of {names}, or a URI",
        names = names().collect::<Vec<_>>().join(", ")
    )]
    Name(String),
    /// It departs from the specification of its type.
    #[error("not a valid predicate of type {uri}: {violations}")]
    Invalid {
        /// The predicate type.
        uri: String,
        /// Where, and what was expected.
        violations: Violations,
    },
    /// A bill of materials that is none, or broken.
    #[error(transparent)]
    Sbom(#[from] SbomError),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_is_known_and_sorted() {
        for name in names() {
            assert!(resolve(name).unwrap().is_known(), "{name}");
        }
        assert!(names().is_sorted());
    }

    #[test]
    fn a_word_that_is_nothing_is_refused() {
        for bad in ["", "slsa", "SPDX", "https", "cyclonedx ", "a b:c"] {
            let error = resolve(bad).unwrap_err().to_string();
            assert!(error.contains("slsaprovenance1"), "{bad}: {error}");
        }
    }

    #[test]
    fn an_unknown_uri_passes_whatever_it_holds() {
        let predicate = resolve("https://example.org/review/v1").unwrap();
        assert!(!predicate.is_known());
        assert_eq!(predicate.validate(&Value::Null), Ok(()));
    }

    #[test]
    fn families() {
        for (a, b) in [
            (CYCLONEDX, "https://cyclonedx.org/bom/v1.4"),
            (
                "https://cyclonedx.org/bom/v1.6",
                "https://cyclonedx.org/bom/v1.4",
            ),
            (SPDX, "https://spdx.dev/Document/v2.3"),
            (SPDX, "https://spdx.dev/Document/v3"),
            (OPENVEX, "https://openvex.dev/ns/v0.2.0"),
            ("https://example.org/x", "https://example.org/x"),
        ] {
            assert!(same_family(a, b) && same_family(b, a), "{a} {b}");
        }
        for (a, b) in [
            (CYCLONEDX, SPDX),
            (CYCLONEDX, "https://cyclonedx.org/bom/vex"),
            (CYCLONEDX, "https://cyclonedx.org/bom/v"),
            (CYCLONEDX, "https://cyclonedx.org/bom/v1."),
            (CYCLONEDX, "https://cyclonedx.org/bom/v1.4/x"),
            (CYCLONEDX, "https://cyclonedx.org/bomb"),
            (SLSA_V1, "https://slsa.dev/provenance/v0.2"),
            ("https://example.org/x/v1", "https://example.org/x/v2"),
        ] {
            assert!(!same_family(a, b) && !same_family(b, a), "{a} {b}");
        }
    }
}
