//! Names of files inside a model: `/`-separated, relative, one spelling each.

use std::cmp::Ordering;

use crate::limits;

/// The name that OpenSSF model-signing gives the one file of a single-file model.
pub const SINGLE: &str = ".";

/// Refuses a name that two programs could read as two different files, or
/// that leads out of the model.
///
/// # Errors
/// `NameError`, for anything but relative, normalised, `/`-separated text
/// without control characters or backslashes, within the limits.
pub fn check(name: &str) -> Result<(), NameError> {
    if name.len() > limits::MODEL_PATH {
        return Err(NameError::TooLong(name.len()));
    }
    if name.starts_with('/') {
        return Err(NameError::Absolute);
    }
    if name.contains('\\') {
        return Err(NameError::Backslash);
    }
    if name.contains(char::is_control) {
        return Err(NameError::Control);
    }
    let mut depth = 0;
    for part in name.split('/') {
        match part {
            "" => return Err(NameError::EmptyPart),
            "." => return Err(NameError::Dot),
            ".." => return Err(NameError::Parent),
            _ => depth += 1,
        }
    }
    if depth > limits::MODEL_DEPTH {
        return Err(NameError::TooDeep(depth));
    }
    Ok(())
}

/// The order in which model-signing lists resources: part by part, so that
/// `a/b` comes before `a-b`.
pub fn by_parts(a: &str, b: &str) -> Ordering {
    a.split('/').cmp(b.split('/'))
}

/// The name folded so that two names that a case-insensitive file system
/// takes for one become equal.
pub fn folded(name: &str) -> String {
    name.to_lowercase()
}

/// Why a text is not a name of a file in a model.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    /// Begins with `/`.
    #[error("it is absolute")]
    Absolute,
    /// Has a part `..`.
    #[error("it has a part \"..\"")]
    Parent,
    /// Has a part `.`.
    #[error("it has a part \".\"")]
    Dot,
    /// Empty, or `//`, or a final `/`.
    #[error("it has an empty part")]
    EmptyPart,
    /// Has a backslash, which other systems read as a separator.
    #[error("it has a backslash")]
    Backslash,
    /// Has a control character: NUL, newline and the like.
    #[error("it has a control character")]
    Control,
    /// Over the limit.
    #[error("it has {0} bytes, the limit is {limit}", limit = limits::MODEL_PATH)]
    TooLong(usize),
    /// Over the limit.
    #[error("it is {0} folders deep, the limit is {limit}", limit = limits::MODEL_DEPTH)]
    TooDeep(usize),
    /// Not UTF-8; only a file system can hold such a one.
    #[error("it is not UTF-8")]
    NotUtf8,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refusals() {
        for (name, error) in [
            ("/etc/passwd", NameError::Absolute),
            ("../x", NameError::Parent),
            ("a/../../x", NameError::Parent),
            ("a/..", NameError::Parent),
            ("./a", NameError::Dot),
            ("a/./b", NameError::Dot),
            (".", NameError::Dot),
            ("", NameError::EmptyPart),
            ("a//b", NameError::EmptyPart),
            ("a/", NameError::EmptyPart),
            ("a\\..\\b", NameError::Backslash),
            ("a\0b", NameError::Control),
            ("a\nb", NameError::Control),
            ("a\u{85}b", NameError::Control),
        ] {
            assert_eq!(check(name), Err(error), "{name:?}");
        }
        assert_eq!(check(&"x".repeat(4097)), Err(NameError::TooLong(4097)));
        assert_eq!(check(&vec!["d"; 65].join("/")), Err(NameError::TooDeep(65)));
    }

    #[test]
    fn honest_names_pass() {
        for name in [
            "a",
            "a/b.c",
            "..data/x",
            "...",
            "ünï/模型 1.bin",
            "a:b",
            "-",
        ] {
            assert_eq!(check(name), Ok(()), "{name:?}");
        }
    }

    #[test]
    fn order_is_by_parts_and_not_by_bytes() {
        let mut names = ["a-b", "a/b", "a", "a.b/c", "a/b-c", "a/b/c"];
        names.sort_by(|a, b| by_parts(a, b));
        assert_eq!(names, ["a", "a/b", "a/b/c", "a/b-c", "a-b", "a.b/c"]);
    }
}
