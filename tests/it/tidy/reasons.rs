//! Every reason code is explained and shown.

use obreia::verify::ReasonCode;

use super::docs::headings;
use super::tree::{Tree, Violation};

const PAGE: &str = "docs/reasons.md";
/// Codes whose case is still to be written; to be empty at the first release.
pub(super) const AWAITED: &[&str] = &[
    "signature-invalid",
    "no-signature",
    "message-digest-mismatch",
    "key-not-trusted",
    "key-revoked",
    "scheme-mismatch",
    "threshold-not-met",
    "bundle-malformed",
    "format-not-allowed",
    "payload-type",
    "statement-malformed",
    "predicate-invalid",
    "model-file-changed",
    "model-file-missing",
    "unsigned-files",
    "no-attestation",
    "too-old",
    "time-untrusted",
    "binding-missing",
    "no-policy",
    "policy-denied",
    "rules-failed",
    "mutable",
    "image-not-pinned",
    "image-not-proven",
    "evidence-ignored",
    "evidence-unreadable",
    "artifact-unreadable",
    "artifact-changed",
    "limit-exceeded",
    "message-too-large",
    "would-deny",
];

pub(super) fn codes() -> Vec<&'static str> {
    ReasonCode::ALL.iter().map(|code| code.as_str()).collect()
}

/// Every code has a section `## code`, and every section a code.
pub(super) fn check_page(tree: &Tree, codes: &[&str]) -> Vec<Violation> {
    let sections: Vec<(usize, &str)> = tree.get(PAGE).map_or_else(Vec::new, |page| {
        let second = |number: usize| {
            page.text
                .lines()
                .nth(number - 1)
                .is_some_and(|l| l.starts_with("## "))
        };
        headings(&page.text)
            .filter(|(number, _)| second(*number))
            .map(|(number, h)| (number, h.trim_matches('`')))
            .collect()
    });
    let missing = codes
        .iter()
        .filter(|code| !sections.iter().any(|(_, section)| section == *code));
    let unknown = sections
        .iter()
        .filter(|(_, section)| !codes.contains(section));
    missing
        .map(|code| Violation::new(PAGE, 0, format!("no section `## {code}`")))
        .chain(unknown.map(|(line, section)| {
            Violation::new(PAGE, *line, format!("`{section}` is no reason code"))
        }))
        .collect()
}

/// Every code is named by a test or by a case of the test data.
pub(super) fn check_cases(tree: &Tree, codes: &[&str], awaited: &[&str]) -> Vec<Violation> {
    let cases: Vec<&str> = tree
        .files
        .iter()
        .filter(|f| f.path.starts_with("tests/") || f.path.starts_with("testdata/"))
        .filter(|f| !f.path.starts_with("tests/it/tidy"))
        .map(|f| f.text.as_str())
        .collect();
    let mut found = Vec::new();
    for code in codes {
        let has_case = cases.iter().any(|text| has_word(text, code));
        if !has_case && !awaited.contains(code) {
            let what = format!("no case in tests/ or testdata/ names {code}");
            found.push(Violation::new("src/verify/reason.rs", 0, what));
        }
    }
    found
}

/// Whether the code stands there, not as a part of a longer one.
fn has_word(text: &str, code: &str) -> bool {
    let edge = |c: Option<char>| c.is_none_or(|c| !c.is_alphanumeric() && c != '-' && c != '_');
    text.match_indices(code).any(|(at, _)| {
        edge(text[..at].chars().next_back()) && edge(text[at + code.len()..].chars().next())
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tidy::tree::places;

    #[test]
    fn sections_and_codes_are_compared_both_ways() {
        let tree = Tree::of(&[(PAGE, "# Reasons\n## `here`\n## gone\n### here-too")]);
        assert_eq!(
            places(&check_page(&tree, &["here", "here-too"])),
            ["docs/reasons.md:0", "docs/reasons.md:3"]
        );
    }

    #[test]
    fn a_code_without_a_case_is_found() {
        let tree = Tree::of(&[
            ("tests/it/a.rs", "\"one\" not-two"),
            ("tests/it/tidy/b.rs", "two"),
            ("src/c.rs", "two"),
        ]);
        let found = check_cases(&tree, &["one", "two", "three"], &["three"]);
        assert_eq!(found.len(), 1);
        assert!(found[0].what.ends_with("names two"), "{found:?}");
    }
}
