//! What the documents promise.

use std::collections::BTreeSet;

use obreia::ops::Exit;

use super::tree::{File, Tree, Violation};

/// Every relative link of a Markdown file leads to a file, and to a heading.
pub(super) fn check_links(tree: &Tree) -> Vec<Violation> {
    let mut found = Vec::new();
    for file in tree.files.iter().filter(|f| f.path.ends_with(".md")) {
        for (line, link) in links(&file.text) {
            if let Some(what) = broken(tree, file, &link) {
                found.push(Violation::new(&file.path, line, what));
            }
        }
    }
    found
}

fn broken(tree: &Tree, from: &File, link: &str) -> Option<String> {
    if link.contains("://") || link.starts_with("mailto:") {
        return None;
    }
    let (path, heading) = link
        .split_once('#')
        .map_or((link, None), |(path, heading)| (path, Some(heading)));
    let Some(path) = (if path.is_empty() {
        Some(from.path.clone())
    } else {
        relative_to(&from.path, path)
    }) else {
        return Some(format!("link to {link}, outside the project"));
    };
    if !tree.has(&path) {
        return Some(format!("link to {link}, but there is no {path}"));
    }
    let heading = heading?;
    let has = tree
        .get(&path)
        .is_some_and(|f| headings(&f.text).any(|(_, text)| slug(text) == heading));
    (!has).then(|| format!("link to {link}, but {path} has no such heading"))
}

/// A path relative to the folder of a file; `None` when it leads out of the tree.
fn relative_to(file: &str, path: &str) -> Option<String> {
    let mut parts: Vec<&str> = file.split('/').collect();
    parts.pop();
    for part in path.trim_end_matches('/').split('/') {
        match part {
            "." | "" => {}
            ".." => {
                parts.pop()?;
            }
            part => parts.push(part),
        }
    }
    Some(parts.join("/"))
}

/// The lines that are no code block, from 1.
fn prose(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let mut fenced = false;
    text.lines().enumerate().filter_map(move |(number, line)| {
        let fence = line.trim_start().starts_with("```");
        fenced ^= fence;
        (!fenced && !fence).then_some((number + 1, line))
    })
}

fn links(text: &str) -> Vec<(usize, String)> {
    let mut found = Vec::new();
    for (number, line) in prose(text) {
        // What stands between backticks is no link: every second part of the line.
        let outside: String = line.split('`').step_by(2).collect();
        for after in outside.split("](").skip(1) {
            if let Some((link, _)) = after.split_once(')') {
                found.push((
                    number,
                    link.split(' ').next().unwrap_or_default().to_owned(),
                ));
            }
        }
    }
    found
}

pub(super) fn headings(text: &str) -> impl Iterator<Item = (usize, &str)> {
    prose(text)
        .filter(|(_, line)| line.starts_with('#'))
        .map(|(number, line)| (number, line.trim_start_matches('#').trim()))
}

fn slug(heading: &str) -> String {
    let kept = heading
        .chars()
        .filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'));
    kept.collect::<String>().to_lowercase().replace(' ', "-")
}

pub(super) fn check_changelog(tree: &Tree) -> Vec<Violation> {
    let has = tree
        .get("CHANGELOG.md")
        .is_some_and(|f| headings(&f.text).any(|(_, h)| h == "[Unreleased]"));
    let missing = Violation::new("CHANGELOG.md", 0, "no section [Unreleased]");
    if has { Vec::new() } else { vec![missing] }
}

/// Every dependency has a line ``- `name`: why`` in docs/decisions.md, and every
/// such line a dependency.
pub(super) fn check_dependencies(tree: &Tree) -> Vec<Violation> {
    const PAGE: &str = "docs/decisions.md";
    let (Some(manifest), Some(page)) = (tree.get("Cargo.toml"), tree.get(PAGE)) else {
        return vec![Violation::new(
            PAGE,
            0,
            "there is no such page, or no Cargo.toml",
        )];
    };
    let dependencies = dependencies(&manifest.text);
    let reasons: Vec<(usize, &str)> = prose(&page.text)
        .filter_map(|(number, line)| Some((number, line.strip_prefix("- `")?.split_once("`: ")?.0)))
        .collect();
    let mut found = Vec::new();
    for name in &dependencies {
        if !reasons.iter().any(|(_, reason)| reason == name) {
            let line = manifest
                .text
                .lines()
                .position(|l| l.split(['=', '.', ' ']).next() == Some(name));
            let what = format!("dependency {name} has no line in {PAGE}");
            found.push(Violation::new(
                "Cargo.toml",
                line.map_or(0, |at| at + 1),
                what,
            ));
        }
    }
    for (line, name) in reasons {
        if !dependencies.contains(name) {
            found.push(Violation::new(
                PAGE,
                line,
                format!("{name} is no dependency of Cargo.toml"),
            ));
        }
    }
    found
}

fn dependencies(manifest: &str) -> BTreeSet<String> {
    const TABLES: [&str; 3] = ["dependencies", "dev-dependencies", "build-dependencies"];
    let manifest: toml::Table = manifest.parse().expect("Cargo.toml");
    let targets = manifest.get("target").and_then(toml::Value::as_table);
    let places = targets
        .into_iter()
        .flat_map(|t| t.values())
        .filter_map(toml::Value::as_table)
        .chain([&manifest]);
    places
        .flat_map(|place| {
            TABLES
                .iter()
                .filter_map(|table| place.get(*table)?.as_table())
        })
        .flat_map(|table| table.keys().cloned())
        .collect()
}

/// Every code that a process of ours ends with.
pub(super) fn exit_codes() -> Vec<u8> {
    use Exit::{Bug, Config, Denied, Done, NotPermitted, Undetermined, Usage};
    // A new variant does not compile here until it is listed below.
    let listed = |exit: Exit| match exit {
        Done | Denied | Usage | Config | Undetermined | NotPermitted | Bug => exit.code(),
    };
    let mut codes = [Done, Denied, Usage, Config, Undetermined, NotPermitted, Bug]
        .map(listed)
        .to_vec();
    // The guard's own, when it was to start a command.
    codes.extend([125, 126]);
    codes
}

pub(super) fn check_exit_codes(tree: &Tree, codes: &[u8]) -> Vec<Violation> {
    const PAGE: &str = "docs/exit-codes.md";
    let rows: Vec<(usize, u8)> = tree.get(PAGE).map_or_else(Vec::new, |page| {
        prose(&page.text)
            .filter_map(|(number, line)| {
                Some((
                    number,
                    line.strip_prefix("| ")?.split(' ').next()?.parse().ok()?,
                ))
            })
            .collect()
    });
    let missing = codes
        .iter()
        .filter(|code| !rows.iter().any(|(_, row)| row == *code));
    let unknown = rows.iter().filter(|(_, row)| !codes.contains(row));
    missing
        .map(|code| Violation::new(PAGE, 0, format!("exit code {code} is missing")))
        .chain(
            unknown.map(|(line, row)| {
                Violation::new(PAGE, *line, format!("no process ends with {row}"))
            }),
        )
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tidy::tree::places;

    #[test]
    fn broken_links_are_found() {
        let page = "# One thing: `x`!\n[a](b.md) [c](#one-thing-x)\n[d](nowhere.md)\n[e](b.md#none)\n\
                    [f](../../up.md) [g](https://a.example/)\n```\n[h](no.md)\n```\n`[i](no.md)` [j](#absent)\n[k](sub/)";
        let tree = Tree::of(&[
            ("docs/a.md", page),
            ("docs/b.md", "# B"),
            ("docs/sub/c.md", ""),
        ]);
        assert_eq!(
            places(&check_links(&tree)),
            ["docs/a.md:3", "docs/a.md:4", "docs/a.md:5", "docs/a.md:9"]
        );
    }

    #[test]
    fn a_changelog_without_unreleased_is_found() {
        assert_eq!(
            places(&check_changelog(&Tree::of(&[(
                "CHANGELOG.md",
                "## [1.0.0]"
            )]))),
            ["CHANGELOG.md:0"]
        );
        assert!(check_changelog(&Tree::of(&[("CHANGELOG.md", "## [Unreleased]")])).is_empty());
    }

    #[test]
    fn dependencies_and_reasons_are_compared_both_ways() {
        let manifest = "[dependencies]\na = \"1\"\nb = \"1\"\n[target.'cfg(unix)'.dev-dependencies]\nc = \"1\"\n";
        let tree = Tree::of(&[
            ("Cargo.toml", manifest),
            (
                "docs/decisions.md",
                "- `a`: why\n- `gone`: why\n`c`: no line",
            ),
        ]);
        assert_eq!(
            places(&check_dependencies(&tree)),
            ["Cargo.toml:3", "Cargo.toml:5", "docs/decisions.md:2"]
        );
    }

    #[test]
    fn exit_codes_are_compared_both_ways() {
        let tree = Tree::of(&[("docs/exit-codes.md", "| code |\n| 0 | done |\n| 9 | gone |")]);
        assert_eq!(
            places(&check_exit_codes(&tree, &[0, 1])),
            ["docs/exit-codes.md:0", "docs/exit-codes.md:3"]
        );
    }
}
