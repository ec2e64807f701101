//! Every reason code is explained and shown.

use obreia::verify::ReasonCode;

use super::docs::headings;
use super::tree::{Tree, Violation};

const PAGE: &str = "docs/reasons.md";
/// Codes that no run of the binary can give yet, and why. The list only gets
/// shorter: one that has its case and stands here still is a violation too.
pub(super) const AWAITED: &[&str] = &[];

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

/// Every code is what some run of the binary is expected to say: in quotes in
/// `tests/it/cli/`, or in a case of `testdata/vectors/verify/`.
pub(super) fn check_cases(tree: &Tree, codes: &[&str], awaited: &[&str]) -> Vec<Violation> {
    let cases: Vec<&str> = tree
        .files
        .iter()
        .filter(|f| {
            f.path.starts_with("tests/it/cli/")
                || f.path.starts_with("testdata/vectors/verify/") && f.path.ends_with("/case.toml")
        })
        .map(|f| f.text.as_str())
        .collect();
    let mut found = Vec::new();
    for code in codes {
        let quoted = format!("\"{code}\"");
        let has_case = cases.iter().any(|text| text.contains(&quoted));
        if !has_case && !awaited.contains(code) {
            let what = format!("no run of the binary is expected to say {code}");
            found.push(Violation::new("src/verify/reason.rs", 0, what));
        }
        if has_case && awaited.contains(code) {
            let what = format!("{code} has its case: take it from AWAITED");
            found.push(Violation::new("tests/it/tidy/reasons.rs", 0, what));
        }
    }
    found
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
    fn an_awaited_code_with_its_case_is_found() {
        let case = ("testdata/vectors/verify/a/case.toml", "reasons = [\"one\"]");
        let tree = Tree::of(&[case]);
        assert_eq!(
            places(&check_cases(&tree, &["one"], &["one"])),
            ["tests/it/tidy/reasons.rs:0"]
        );
    }

    #[test]
    fn a_code_that_no_run_says_is_found() {
        let tree = Tree::of(&[
            ("tests/it/cli/a.rs", "\"one\", \"not-two\", two"),
            ("tests/it/b.rs", "\"two\""),
            ("testdata/vectors/verify/a/p.yaml", "\"two\""),
            ("src/c.rs", "\"two\""),
        ]);
        let found = check_cases(&tree, &["one", "two", "three"], &["three"]);
        assert_eq!(found.len(), 1);
        assert!(found[0].what.ends_with("say two"), "{found:?}");
    }
}
