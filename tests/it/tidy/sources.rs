//! Rules for single files: length, names, `unsafe`, features, places.

use std::path::Path;

use super::rust::{code, is_word};
use super::tree::{Tree, Violation};

const LONGEST: usize = 700;
const LONG: usize = 300;
/// Names that say nothing about what is inside.
const VAGUE: &[&str] = &[
    "common", "helper", "helpers", "misc", "shared", "util", "utils",
];
/// Files that put the parts together, where a feature decides what there is,
/// beside each port's `registry.rs`.
const REGISTRIES: &[&str] = &["src/lib.rs", "src/main.rs", "src/cli/mod.rs"];
/// Hosts of package registries, in pieces so that this file does not name them.
const HOSTS: &[&[&str]] = &[
    &["crates", "io"],
    &["pypi", "org"],
    &[concat!("python", "hosted"), "org"],
    &["proxy", "golang", "org"],
    &["sum", "golang", "org"],
    &["npmjs", "org"],
    &["npmjs", "com"],
    &["maven", "org"],
    &["repo", "maven", "apache", "org"],
    &["deb", "debian", "org"],
];
/// Written by cargo, which names where each package is from.
const LOCKS: &[&str] = &["Cargo.lock", "fuzz/Cargo.lock"];

/// Rust files over 300 lines, longest first: not wrong, but worth a look.
pub(super) fn long(tree: &Tree) -> Vec<(String, usize)> {
    let mut long: Vec<(String, usize)> = sizes(tree)
        .filter(|(_, lines)| *lines > LONG)
        .map(|(path, lines)| (path.to_owned(), lines))
        .collect();
    long.sort_by_key(|(_, lines)| std::cmp::Reverse(*lines));
    long
}

fn sizes(tree: &Tree) -> impl Iterator<Item = (&str, usize)> {
    tree.files
        .iter()
        .filter(|f| f.is_rust())
        .map(|f| (f.path.as_str(), f.text.lines().count()))
}

pub(super) fn check_size(tree: &Tree) -> Vec<Violation> {
    sizes(tree)
        .filter(|(_, lines)| *lines > LONGEST)
        .map(|(path, lines)| {
            Violation::new(
                path,
                LONGEST + 1,
                format!("{lines} lines: split it ({LONGEST} at most)"),
            )
        })
        .collect()
}

pub(super) fn check_names(tree: &Tree) -> Vec<Violation> {
    let mut found = Vec::new();
    for file in tree.files.iter().filter(|f| f.is_rust()) {
        let mut parts = file.path.trim_end_matches(".rs").split('/');
        if let Some(part) = parts.find(|part| VAGUE.contains(part)) {
            found.push(Violation::new(
                &file.path,
                0,
                format!("`{part}` says nothing: name it for what it does"),
            ));
        }
        for (number, line) in code(&file.text).lines().enumerate() {
            let words: Vec<&str> = line
                .split(|c| !is_word(c))
                .filter(|w| !w.is_empty())
                .collect();
            if let Some([_, name]) = words
                .windows(2)
                .find(|w| w[0] == "mod" && VAGUE.contains(&w[1]))
            {
                found.push(Violation::new(
                    &file.path,
                    number + 1,
                    format!("module `{name}` says nothing: name it for what it does"),
                ));
            }
        }
    }
    found
}

pub(super) fn check_unsafe(tree: &Tree) -> Vec<Violation> {
    let mut found = Vec::new();
    for file in tree.files.iter().filter(|f| f.is_rust()) {
        for (number, line) in code(&file.text).lines().enumerate() {
            if line.split(|c| !is_word(c)).any(|word| word == "unsafe") {
                found.push(Violation::new(&file.path, number + 1, "unsafe"));
            }
        }
    }
    found
}

/// `cfg(feature = …)` outside the registries stands on `mod` and `use` alone.
pub(super) fn check_features(tree: &Tree) -> Vec<Violation> {
    let mut found = Vec::new();
    for file in &tree.files {
        if !file.is_rust() || !file.path.starts_with("src/") || is_registry(&file.path) {
            continue;
        }
        let code = code(&file.text);
        let lines: Vec<&str> = code.lines().collect();
        for (number, line) in lines.iter().enumerate() {
            let asks = line.contains("cfg") && line.split(|c| !is_word(c)).any(|w| w == "feature");
            if asks
                && !(line.trim_start().starts_with("#[cfg(") && names_a_module(&lines[number..]))
            {
                found.push(Violation::new(
                    &file.path,
                    number + 1,
                    "a feature is asked for outside a registry, and not on a `mod` or `use`",
                ));
            }
        }
    }
    found
}

fn is_registry(path: &str) -> bool {
    path.ends_with("/registry.rs") || REGISTRIES.contains(&path)
}

/// Whether what these attributes stand on is a `mod` or `use`.
fn names_a_module(lines: &[&str]) -> bool {
    let item = lines
        .iter()
        .map(|l| l.trim())
        .find(|l| !l.is_empty() && !l.starts_with("#["));
    let mut words = item
        .unwrap_or_default()
        .split_whitespace()
        .filter(|w| !w.starts_with("pub"));
    matches!(words.next(), Some("mod" | "use"))
}

/// Absolute paths of the machine that runs the tests.
pub(super) fn this_machine() -> Vec<String> {
    let mut paths = vec![
        ["", "work", "main"].join("/"),
        ["", "work", "shared"].join("/"),
    ];
    paths.push(env!("CARGO_MANIFEST_DIR").to_owned());
    paths.extend(std::env::var("HOME"));
    // A path as short as `/src` is part of too many others.
    paths
        .retain(|path| Path::new(path).components().count() > 2 || path == &["", "root"].join("/"));
    paths
}

pub(super) fn check_places(tree: &Tree, machine: &[String]) -> Vec<Violation> {
    let hosts: Vec<String> = HOSTS.iter().map(|parts| parts.join(".")).collect();
    let mut found = Vec::new();
    for file in tree
        .files
        .iter()
        .filter(|f| !LOCKS.contains(&f.path.as_str()))
    {
        for (number, line) in file.text.lines().enumerate() {
            for host in hosts.iter().filter(|h| names(line, h)) {
                found.push(Violation::new(
                    &file.path,
                    number + 1,
                    format!("names the package registry {host}"),
                ));
            }
            for path in machine.iter().filter(|p| names(line, p)) {
                found.push(Violation::new(
                    &file.path,
                    number + 1,
                    format!("names {path}, a place on this machine"),
                ));
            }
        }
    }
    found
}

/// Whether the text stands in the line, not as a part of longer words.
fn names(line: &str, text: &str) -> bool {
    let edge = |c: Option<char>| c.is_none_or(|c| !is_word(c) && c != '-');
    line.match_indices(text).any(|(at, _)| {
        edge(line[..at].chars().next_back()) && edge(line[at + text.len()..].chars().next())
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tidy::tree::places;

    #[test]
    fn a_long_file_is_named() {
        let (text, longer) = ("x\n".repeat(700), "x\n".repeat(701));
        let tree = Tree::of(&[("src/a.rs", &text), ("tests/it/b.rs", &longer)]);
        assert_eq!(places(&check_size(&tree)), ["tests/it/b.rs:701"]);
        assert_eq!(long(&tree).len(), 2);
    }

    #[test]
    fn vague_names_are_found() {
        let tree = Tree::of(&[
            ("src/utils/a.rs", ""),
            ("src/b.rs", "\npub mod common;"),
            ("src/commons.rs", "// mod misc"),
        ]);
        assert_eq!(
            places(&check_names(&tree)),
            ["src/utils/a.rs:0", "src/b.rs:2"]
        );
    }

    #[test]
    fn unsafe_is_found_but_not_in_words_or_text() {
        let tree = Tree::of(&[(
            "src/a.rs",
            "unsafe_code\n// unsafe\nfn f() { unsafe { g() } }\n\"unsafe\"",
        )]);
        assert_eq!(places(&check_unsafe(&tree)), ["src/a.rs:3"]);
    }

    #[test]
    fn features_stand_on_modules_or_in_registries() {
        let on_module = "#[cfg(feature = \"sign\")]\n#[path = \"x.rs\"]\npub(crate) mod a;\n#[cfg(not(feature = \"sign\"))]\nuse b;";
        let on_function =
            "\n#[cfg(feature = \"sign\")]\nfn f() {}\nfn g() { if cfg!(feature = \"sign\") {} }";
        let tree = Tree::of(&[
            ("src/a.rs", on_module),
            ("src/lib.rs", on_function),
            ("src/keys/registry.rs", on_function),
            ("src/b.rs", on_function),
        ]);
        assert_eq!(places(&check_features(&tree)), ["src/b.rs:2", "src/b.rs:4"]);
    }

    #[test]
    fn registries_and_machine_paths_are_found() {
        let host = HOSTS[0].join(".");
        let text = format!(
            "see {host}/x\nmy{host}\n/there/main/a\n/there/mainland\nhttps://static.{host}"
        );
        let tree = Tree::of(&[("docs/a.md", &text), ("Cargo.lock", &text)]);
        let machine = ["/there/main".to_owned()];
        assert_eq!(
            places(&check_places(&tree, &machine)),
            ["docs/a.md:1", "docs/a.md:3", "docs/a.md:5"]
        );
    }
}
