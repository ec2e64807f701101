//! Every code of a key fault is shown by a run of the binary.

use obreia::keys::KeyFault;

use super::tree::{Tree, Violation};

/// Codes that no run of the tests' binary can say, each with the reason.
pub(super) const AWAITED: &[&str] = &[
    // The tests' binary has every provider built in.
    "not-compiled",
];

pub(super) fn codes() -> Vec<&'static str> {
    KeyFault::CODES.iter().map(|(code, _)| *code).collect()
}

/// Every code is what a run of the binary is held to, exit code, JSON and hint
/// included: `….fails("code", …)` in a test that runs it. One that is awaited
/// has no such case, and is a code.
pub(super) fn check_cases(tree: &Tree, codes: &[&str], awaited: &[&str]) -> Vec<Violation> {
    let cases: Vec<&str> = tree
        .files
        .iter()
        .filter(|f| {
            ["tests/it/keys/", "tests/it/cli/"]
                .iter()
                .any(|p| f.path.starts_with(p))
        })
        .flat_map(|f| f.text.split(".fails(").skip(1))
        .filter_map(|call| call.trim_start().strip_prefix('"')?.split('"').next())
        .collect();
    let mut found = Vec::new();
    for code in codes {
        let what = match (cases.contains(code), awaited.contains(code)) {
            (false, false) => format!("no run of the binary is expected to say {code}"),
            (true, true) => format!("{code} is awaited, and has its case"),
            _ => continue,
        };
        found.push(Violation::new("src/keys/fault/codes.rs", 0, what));
    }
    for code in awaited.iter().filter(|code| !codes.contains(code)) {
        let what = format!("{code} is awaited, and is no code");
        found.push(Violation::new("tests/it/tidy/faults.rs", 0, what));
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tidy::tree::places;

    #[test]
    fn a_code_that_no_run_says_is_found() {
        let tree = Tree::of(&[
            (
                "tests/it/keys/a.rs",
                "run().fails(\"one\", \"\"); run()\n.fails(\n  \"two\",\n \"\")",
            ),
            // A mention is no case, nor is one that runs no binary.
            ("tests/it/keys/b.rs", "\"three\", error[three], [\"three\"]"),
            ("tests/it/tidy/c.rs", ".fails(\"three\", \"\")"),
            ("src/d.rs", ".fails(\"three\", \"\")"),
        ]);
        let found = check_cases(&tree, &["one", "two", "three", "four"], &["four"]);
        assert_eq!(places(&found), ["src/keys/fault/codes.rs:0"]);
        assert!(found[0].what.ends_with("say three"), "{found:?}");
    }

    #[test]
    fn what_is_awaited_in_vain_is_found() {
        let tree = Tree::of(&[("tests/it/cli/a.rs", "out.fails(\"one\", \"hint\")")]);
        let found = check_cases(&tree, &["one", "two"], &["one", "two", "three"]);
        assert!(found[0].what.contains("one is awaited, and has its case"));
        assert!(found[1].what.contains("three is awaited, and is no code"));
        assert_eq!(found.len(), 2);
    }
}
