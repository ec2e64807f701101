//! Where a document departs from its specification.

use std::fmt;

/// A place in a document, without a copy of anything: a chain of steps on the stack.
#[derive(Clone, Copy, Debug)]
pub struct Path<'a> {
    parent: Option<&'a Path<'a>>,
    step: Step<'a>,
}

#[derive(Clone, Copy, Debug)]
enum Step<'a> {
    Root,
    Key(&'a str),
    Index(usize),
}

impl Path<'static> {
    /// The whole document.
    pub const ROOT: Self = Self {
        parent: None,
        step: Step::Root,
    };
}

impl<'a> Path<'a> {
    /// The member of that name.
    pub const fn key(&'a self, key: &'a str) -> Self {
        Self {
            parent: Some(self),
            step: Step::Key(key),
        }
    }

    /// The entry with that position.
    pub const fn index(&'a self, index: usize) -> Self {
        Self {
            parent: Some(self),
            step: Step::Index(index),
        }
    }
}

/// As a JSON Pointer (RFC 6901), but `/` for the whole document.
impl fmt::Display for Path<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(parent) = self.parent
            && !matches!(parent.step, Step::Root)
        {
            parent.fmt(f)?;
        }
        match self.step {
            Step::Root => f.write_str("/"),
            Step::Key(key) => write!(f, "/{}", key.replace('~', "~0").replace('/', "~1")),
            Step::Index(index) => write!(f, "/{index}"),
        }
    }
}

/// One departure from a specification.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// JSON Pointer of the place, `/` for the whole document.
    pub path: String,
    /// What is wrong there, and what was expected.
    pub reason: String,
}

/// The departures of one document: the first [`Violations::LISTED`] of them, and how many there are.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Violations {
    listed: Vec<Violation>,
    unlisted: usize,
}

impl Violations {
    /// How many are kept and shown.
    pub const LISTED: usize = 10;

    /// Adds one.
    pub fn add(&mut self, path: &Path<'_>, reason: &str) {
        if self.is_full() {
            self.unlisted += 1;
        } else {
            self.listed.push(Violation {
                path: path.to_string(),
                reason: reason.to_owned(),
            });
        }
    }

    /// The first ones.
    pub fn listed(&self) -> &[Violation] {
        &self.listed
    }

    /// Whether there is none.
    pub const fn is_empty(&self) -> bool {
        self.listed.is_empty()
    }

    /// Whether no more is kept.
    pub const fn is_full(&self) -> bool {
        self.listed.len() >= Self::LISTED
    }
}

impl fmt::Display for Violations {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, violation) in self.listed.iter().enumerate() {
            let separator = if i == 0 { "" } else { "; " };
            write!(f, "{separator}{} {}", violation.path, violation.reason)?;
        }
        if self.unlisted > 0 {
            write!(f, "; and {} more", self.unlisted)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths() {
        let array = Path::ROOT.key("a~/b");
        assert_eq!(Path::ROOT.to_string(), "/");
        assert_eq!(array.to_string(), "/a~0~1b");
        assert_eq!(array.index(3).key("c").to_string(), "/a~0~1b/3/c");
    }

    #[test]
    fn lists_ten_and_counts_the_rest() {
        let mut found = Violations::default();
        assert!(found.is_empty());
        for i in 0..13 {
            found.add(&Path::ROOT.index(i), "is wrong");
        }
        assert_eq!(found.listed().len(), 10);
        let text = found.to_string();
        assert!(text.starts_with("/0 is wrong; /1 is wrong"), "{text}");
        assert!(text.ends_with("; and 3 more"), "{text}");
    }
}
