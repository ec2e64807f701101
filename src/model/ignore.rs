//! What a signer leaves out: OpenSSF model-signing's rule.
//!
//! Leaving out is the signer's convenience and never a licence: what a
//! signature does not cover is listed as uncovered, whoever ignored it.

use super::name::{self, NameError};

/// Where a model's signature lies by default, inside its folder.
pub const DEFAULT_SIGNATURE: &str = "model.sig";

/// What model-signing ignores beside the signature file, at the root of the model only.
pub const DEFAULT: [&str; 4] = [".git", ".gitattributes", ".github", ".gitignore"];

/// Paths that are left out, each with everything below it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct IgnoreRules(Vec<String>);

impl IgnoreRules {
    /// [`DEFAULT`].
    pub fn defaults() -> Self {
        Self(DEFAULT.map(str::to_owned).to_vec())
    }

    /// Nothing is left out.
    pub const fn none() -> Self {
        Self(Vec::new())
    }

    /// Leaves `path` out as well: a file or a folder, relative to the model.
    ///
    /// # Errors
    /// `NameError` when it is not such a path.
    pub fn and(mut self, path: &str) -> Result<Self, NameError> {
        let path = path.strip_suffix('/').unwrap_or(path);
        name::check(path)?;
        if !self.0.iter().any(|known| known == path) {
            self.0.push(path.to_owned());
        }
        Ok(self)
    }

    /// Whether `path` is left out.
    pub fn covers(&self, path: &str) -> bool {
        self.0.iter().any(|rule| {
            path.strip_prefix(rule.as_str())
                .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        })
    }

    /// The paths, in the order they were given.
    pub fn paths(&self) -> &[String] {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rule_covers_itself_and_what_is_below() {
        let rules = IgnoreRules::defaults().and("cache/").unwrap();
        for path in [".git", ".git/config", ".gitignore", "cache", "cache/a/b"] {
            assert!(rules.covers(path), "{path}");
        }
        for path in [".gitx", "sub/.git/config", "cache2", "cach", "x/cache"] {
            assert!(!rules.covers(path), "{path}");
        }
    }

    #[test]
    fn a_rule_cannot_lead_out() {
        assert_eq!(IgnoreRules::none().and("../x"), Err(NameError::Parent));
        assert_eq!(IgnoreRules::none().and("/x"), Err(NameError::Absolute));
        assert_eq!(IgnoreRules::none().and(""), Err(NameError::EmptyPart));
    }
}
