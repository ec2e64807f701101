//! The files of the project, and what is wrong in them.

use std::fmt;
use std::fs;
use std::path::Path;

/// Folders that hold what was built or generated.
const SKIPPED: &[&str] = &[
    ".git",
    "target",
    "fuzz/target",
    "fuzz/corpus",
    "fuzz/artifacts",
];

pub(super) struct File {
    /// Relative to the project, with `/`.
    pub(super) path: String,
    pub(super) text: String,
}

impl File {
    pub(super) fn is_rust(&self) -> bool {
        self.path.ends_with(".rs")
    }
}

/// Every text file; what is not UTF-8 is known by its name alone.
pub(super) struct Tree {
    pub(super) files: Vec<File>,
}

impl Tree {
    pub(super) fn of_the_project() -> Self {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        let mut files = Vec::new();
        walk(root, "", &mut files);
        files.sort_by(|a, b| a.path.cmp(&b.path));
        assert!(
            files.iter().any(|f| f.path == "Cargo.toml"),
            "the project's root was not found"
        );
        Self { files }
    }

    /// A small tree for a checker's own tests.
    pub(super) fn of(files: &[(&str, &str)]) -> Self {
        let file = |(path, text): &(&str, &str)| File {
            path: (*path).to_owned(),
            text: (*text).to_owned(),
        };
        Self {
            files: files.iter().map(file).collect(),
        }
    }

    pub(super) fn get(&self, path: &str) -> Option<&File> {
        self.files.iter().find(|f| f.path == path)
    }

    /// Whether there is a file or a folder of that name.
    pub(super) fn has(&self, path: &str) -> bool {
        let folder = format!("{path}/");
        path.is_empty()
            || self
                .files
                .iter()
                .any(|f| f.path == path || f.path.starts_with(&folder))
    }
}

fn walk(dir: &Path, relative: &str, files: &mut Vec<File>) {
    for entry in fs::read_dir(dir).unwrap_or_else(|e| panic!("{}: {e}", dir.display())) {
        let entry = entry.expect("a folder entry");
        let name = entry
            .file_name()
            .into_string()
            .expect("a file name in UTF-8");
        let path = if relative.is_empty() {
            name.clone()
        } else {
            format!("{relative}/{name}")
        };
        if SKIPPED.contains(&path.as_str()) || name == "__pycache__" {
            continue;
        }
        let kind = entry.file_type().expect("a file type");
        if kind.is_dir() {
            walk(&entry.path(), &path, files);
        } else if kind.is_file() {
            let bytes = fs::read(entry.path()).unwrap_or_else(|e| panic!("{path}: {e}"));
            files.push(File {
                path,
                text: String::from_utf8(bytes).unwrap_or_default(),
            });
        }
    }
}

#[derive(Debug, PartialEq, Eq)]
pub(super) struct Violation {
    pub(super) file: String,
    /// From 1; 0 when it is about the file as a whole.
    pub(super) line: usize,
    pub(super) what: String,
}

impl Violation {
    pub(super) fn new(file: &str, line: usize, what: impl Into<String>) -> Self {
        Self {
            file: file.to_owned(),
            line,
            what: what.into(),
        }
    }
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {}", self.file, self.line, self.what)
    }
}

/// Fails with every violation, one a line.
#[track_caller]
pub(super) fn none(violations: &[Violation]) {
    let lines: Vec<String> = violations.iter().map(ToString::to_string).collect();
    assert!(
        violations.is_empty(),
        "{} violations:\n{}",
        lines.len(),
        lines.join("\n")
    );
}

/// Where the violations are, for a checker's own tests.
pub(super) fn places(violations: &[Violation]) -> Vec<String> {
    violations
        .iter()
        .map(|v| format!("{}:{}", v.file, v.line))
        .collect()
}

#[test]
#[should_panic(expected = "1 violations:\na.rs:3: bad")]
fn a_violation_fails_with_file_and_line() {
    none(&[Violation::new("a.rs", 3, "bad")]);
}
