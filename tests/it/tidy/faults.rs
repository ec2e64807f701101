//! Every code of a key fault is shown by a run of the binary.

use obreia::keys::KeyFault;

use super::tree::{Tree, Violation};

/// Codes that no run of the binary is held to yet. The list only gets shorter.
pub(super) const AWAITED: &[&str] = &[
    "bad-key-file",
    "bad-request",
    "busy",
    "damaged",
    "deadline",
    "denied",
    "disabled",
    "exists",
    "kms-login",
    "kms-refused",
    "kms-sealed",
    "kms-throttled",
    "kms-tls",
    "kms-unreachable",
    "no-keystore",
    "no-passphrase",
    "no-provider",
    "no-such-key",
    "no-token",
    "not-compiled",
    "not-configured",
    "offline",
    "pending-deletion",
    "pin-locked",
    "plugin-failed",
    "provider-failed",
    "public-key-changed",
    "retired",
    "self-check-failed",
    "unavailable",
    "unsupported",
    "wrong-algorithm",
    "wrong-passphrase",
    "wrong-usage",
];

pub(super) fn codes() -> Vec<&'static str> {
    KeyFault::CODES.iter().map(|(code, _)| *code).collect()
}

/// Every code stands in the brackets of a message in a test that runs the
/// binary, or in quotes if it is no common word.
pub(super) fn check_cases(tree: &Tree, codes: &[&str], awaited: &[&str]) -> Vec<Violation> {
    let cases: Vec<&str> = tree
        .files
        .iter()
        .filter(|f| {
            ["tests/it/keys/", "tests/it/cli/"]
                .iter()
                .any(|p| f.path.starts_with(p))
        })
        .map(|f| f.text.as_str())
        .collect();
    let mut found = Vec::new();
    for code in codes {
        let (quoted, told) = (format!("\"{code}\""), format!("[{code}]"));
        let has_case = cases
            .iter()
            .any(|text| text.contains(&told) || code.contains('-') && text.contains(&quoted));
        if !has_case && !awaited.contains(code) {
            let what = format!("no run of the binary is expected to say {code}");
            found.push(Violation::new("src/keys/fault/codes.rs", 0, what));
        }
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
            ("tests/it/keys/a.rs", "\"on-e\", error[two], \"three\""),
            ("tests/it/tidy/b.rs", "[three]"),
            ("src/c.rs", "[three]"),
        ]);
        let found = check_cases(&tree, &["on-e", "two", "three", "four"], &["four"]);
        assert_eq!(places(&found), ["src/keys/fault/codes.rs:0"]);
        assert!(found[0].what.ends_with("say three"), "{found:?}");
    }
}
