//! Which module may import which.

use std::collections::{BTreeMap, BTreeSet};

use super::rust::{code, paths, without_tests};
use super::tree::{File, Tree, Violation};

/// The modules of each layer. A module imports its own layer and lower ones.
const LAYERS: &[&[&str]] = &[
    &["canon", "digest", "limits", "secret", "shape", "time"],
    &[
        "bundle",
        "crypto",
        "dsse",
        "model",
        "notation",
        "oci",
        "reference",
        "sbom",
        "statement",
        "tlog",
        "x509",
    ],
    &["custody", "policy", "promotion", "trust", "verify"],
    &[
        "attestations",
        "audit",
        "durable",
        "environment",
        "http",
        "keys",
        "process",
        "source",
        "storage",
    ],
    &["config", "ops"],
    &["cli"],
];
/// Layers up to this one are pure.
const PURE: usize = 2;
const ADAPTERS: usize = 3;
const USE_CASES: usize = 4;

/// What a pure layer does not name: I/O, the environment, the clock, a runtime.
const IMPURE: &[&[&str]] = &[
    &["std", "fs"],
    &["std", "env"],
    &["std", "net"],
    &["std", "process"],
    &["std", "os"],
    &["std", "time", "Instant"],
    &["std", "time", "SystemTime"],
    &["Instant", "now"],
    &["SystemTime", "now"],
    &["Timestamp", "now"],
    &["Zoned", "now"],
    &["axum"],
    &["clap"],
    &["indicatif"],
    &["reqwest"],
    &["rpassword"],
    &["rustix"],
    &["sqlx"],
    &["tempfile"],
    &["tokio"],
];
/// Methods of `Path` that look at the disk without naming `std::fs`.
const DISK: &[&str] = &[
    ".canonicalize()",
    ".exists()",
    ".read_dir()",
    ".symlink_metadata()",
    ".try_exists()",
];

/// Names a module that is not in the table, an import that goes up, I/O in a
/// pure layer, and a surface's library below it.
pub(super) fn check(tree: &Tree) -> Vec<Violation> {
    let mut found = Vec::new();
    for module in modules(tree) {
        if layer_of(&module).is_none() {
            let what = format!(
                "module {module} stands in no layer: add it to LAYERS in tests/it/tidy/layers.rs"
            );
            found.push(Violation::new("src/lib.rs", 0, what));
        }
    }
    for file in product(tree) {
        let Some((module, layer)) = module_of(&file.path).and_then(|m| Some((m, layer_of(m)?)))
        else {
            continue;
        };
        let code = without_tests(&code(&file.text));
        for (line, path) in paths(&code) {
            if let Some(what) = wrong_path(module, layer, &resolved(&file.path, &path)) {
                found.push(Violation::new(&file.path, line, what));
            }
        }
        if layer <= PURE {
            for (number, line) in code.lines().enumerate() {
                for method in DISK.iter().filter(|m| line.contains(**m)) {
                    found.push(Violation::new(
                        &file.path,
                        number + 1,
                        format!("{method} reads the disk in pure layer L{layer}"),
                    ));
                }
            }
        }
    }
    found
}

fn wrong_path(module: &str, layer: usize, path: &[String]) -> Option<String> {
    let names = |prefix: &[&str]| {
        path.len() >= prefix.len() && prefix.iter().zip(path).all(|(a, b)| a == b)
    };
    if layer <= PURE
        && let Some(impure) = IMPURE.iter().find(|p| names(p))
    {
        return Some(format!("{} in pure layer L{layer}", impure.join("::")));
    }
    if (layer == USE_CASES || layer == ADAPTERS) && (names(&["clap"]) || names(&["axum"])) {
        return Some(format!(
            "{} belongs to a surface, not to layer L{layer}",
            path[0]
        ));
    }
    let [root, imported, ..] = path else {
        return None;
    };
    if root != "crate" || imported == module {
        return None;
    }
    // What is no module is an item of the crate's root, which has none of its own.
    let other = layer_of(imported)?;
    if other > layer {
        return Some(format!(
            "{module} (L{layer}) imports {imported} (L{other}): imports go down only"
        ));
    }
    None
}

/// Names modules that import each other in a circle, by one import of it.
pub(super) fn check_circles(tree: &Tree) -> Vec<Violation> {
    let mut imports: BTreeMap<String, BTreeMap<String, (String, usize)>> = BTreeMap::new();
    for file in product(tree) {
        let Some(module) = module_of(&file.path) else {
            continue;
        };
        for (line, path) in paths(&without_tests(&code(&file.text))) {
            if let [root, imported, ..] = resolved(&file.path, &path).as_slice()
                && root == "crate"
                && imported != module
                && layer_of(imported).is_some()
            {
                let place = (file.path.clone(), line);
                imports
                    .entry(module.to_owned())
                    .or_default()
                    .entry(imported.clone())
                    .or_insert(place);
            }
        }
    }
    let mut found = Vec::new();
    for (module, imported) in &imports {
        for (other, (file, line)) in imported {
            if reaches(&imports, other, module, &mut BTreeSet::new()) {
                found.push(Violation::new(
                    file,
                    *line,
                    format!("{module} imports {other}, which imports {module} in turn"),
                ));
            }
        }
    }
    found
}

fn reaches<T>(
    imports: &BTreeMap<String, BTreeMap<String, T>>,
    from: &str,
    to: &str,
    seen: &mut BTreeSet<String>,
) -> bool {
    from == to
        || (seen.insert(from.to_owned())
            && imports
                .get(from)
                .is_some_and(|next| next.keys().any(|n| reaches(imports, n, to, seen))))
}

fn layer_of(module: &str) -> Option<usize> {
    LAYERS.iter().position(|layer| layer.contains(&module))
}

/// The product's own code: no binary, no root, no file of tests.
fn product(tree: &Tree) -> impl Iterator<Item = &File> {
    tree.files.iter().filter(|f| {
        let tests = f.path.ends_with("/tests.rs") || f.path.contains("/tests/");
        f.is_rust() && f.path.starts_with("src/") && !tests
    })
}

/// `src/keys/pem.rs` and `src/keys.rs` are of module `keys`.
fn module_of(path: &str) -> Option<&str> {
    let inside = path.strip_prefix("src/")?;
    let module = inside.split('/').next()?.trim_end_matches(".rs");
    (!matches!(module, "lib" | "main")).then_some(module)
}

fn modules(tree: &Tree) -> BTreeSet<String> {
    product(tree)
        .filter_map(|f| module_of(&f.path))
        .map(ToOwned::to_owned)
        .collect()
}

/// A path through `super` out of the module is one through `crate`.
fn resolved(file: &str, path: &[String]) -> Vec<String> {
    let inside = file
        .trim_start_matches("src/")
        .trim_end_matches(".rs")
        .trim_end_matches("/mod");
    let depth = inside.split('/').count();
    let up = path.iter().take_while(|s| *s == "super").count();
    if up == depth && up < path.len() {
        let mut resolved = vec!["crate".to_owned()];
        resolved.extend_from_slice(&path[up..]);
        return resolved;
    }
    path.to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tidy::tree::places;

    fn violations(path: &str, text: &str) -> Vec<String> {
        places(&check(&Tree::of(&[(path, text)])))
    }

    #[test]
    fn an_import_that_goes_up_is_found() {
        assert_eq!(
            violations("src/digest.rs", "\nuse crate::verify::Verdict;"),
            ["src/digest.rs:2"]
        );
        assert_eq!(
            violations("src/digest.rs", "use crate::{limits, keys::Key};"),
            ["src/digest.rs:1"]
        );
        assert_eq!(
            violations("src/dsse/wire.rs", "fn f() { super::super::ops::run() }"),
            ["src/dsse/wire.rs:1"]
        );
        assert_eq!(
            violations("src/dsse.rs", "use super::ops;"),
            ["src/dsse.rs:1"]
        );
    }

    #[test]
    fn imports_that_go_down_or_sideways_pass() {
        assert!(
            violations(
                "src/verify/check.rs",
                "use crate::digest::Digest; use super::super::trust::Key;"
            )
            .is_empty()
        );
        assert!(violations("src/ops/sign.rs", "use crate::keys::Key; use std::fs;").is_empty());
    }

    #[test]
    fn io_in_a_pure_layer_is_found() {
        for text in [
            "use std::fs;",
            "use std::{io, fs::File};",
            "fn f() { std::env::var(x) }",
            "use tokio::fs;",
            "use tokio;",
            "fn f() { let t = SystemTime::now(); }",
            "fn f(p: &Path) -> bool { p.exists() }",
        ] {
            assert_eq!(
                violations("src/policy/mod.rs", text),
                ["src/policy/mod.rs:1"],
                "{text}"
            );
        }
    }

    #[test]
    fn io_is_no_matter_in_comments_strings_tests_and_adapters() {
        let text = "// use std::fs;\nconst A: &str = \"std::fs::read\";\n#[cfg(test)]\nmod tests { use std::fs; }\n";
        assert!(violations("src/policy/mod.rs", text).is_empty());
        assert!(violations("src/source/file.rs", "use std::fs;").is_empty());
    }

    #[test]
    fn surfaces_stay_at_the_top() {
        assert_eq!(
            violations("src/ops/sign.rs", "use clap::Args;"),
            ["src/ops/sign.rs:1"]
        );
        assert!(violations("src/cli/sign.rs", "use clap::Args; use crate::ops::sign;").is_empty());
    }

    #[test]
    fn a_module_without_a_layer_is_found() {
        assert_eq!(violations("src/novelty/mod.rs", ""), ["src/lib.rs:0"]);
    }

    #[test]
    fn a_circle_is_found_even_inside_a_layer() {
        let tree = Tree::of(&[
            ("src/dsse.rs", "use crate::bundle::Bundle;"),
            ("src/bundle/mod.rs", "\nuse crate::statement::Statement;"),
            ("src/statement.rs", "use crate::dsse::Envelope;"),
            ("src/sbom.rs", "use crate::dsse::Envelope;"),
        ]);
        assert_eq!(
            places(&check_circles(&tree)),
            ["src/bundle/mod.rs:2", "src/dsse.rs:1", "src/statement.rs:1"]
        );
    }
}
