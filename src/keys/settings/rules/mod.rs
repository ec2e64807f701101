//! `[[keys.rule]]` and `[keys.alias]`: which `kms://` names are whose keys.
//!
//! Pure: nothing is asked here, and rules that contradict themselves are not
//! read at all.

mod pattern;
mod read;
mod template;

#[cfg(test)]
mod tests;

pub use read::{Aliases, Rules};

use pattern::Pattern;
use template::Template;

use crate::limits;
use crate::reference::{KeyPath, KeyRef};

/// `match` and `to` of one rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rule {
    number: usize,
    place: String,
    /// As written.
    matches: String,
    /// As written.
    to: String,
    pattern: Pattern,
    template: Template,
}

/// What a rule says of a path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hit<'a> {
    /// The rule: the first one that matches.
    pub rule: &'a Rule,
    /// The provider's key, or why this path can be none of its.
    pub key: Result<KeyRef, String>,
}

impl Rule {
    /// Reads one rule; `before` are those that come first.
    ///
    /// # Errors
    /// What is wrong with it, without what `to` holds.
    fn read(matches: &str, to: &str, before: &[Self]) -> Result<Self, String> {
        let pattern = Pattern::parse(matches)?;
        let template = Template::parse(to, &pattern.wildcards())?;
        if before.len() >= limits::KEY_RULES {
            return Err(format!("there are more than {} rules", limits::KEY_RULES));
        }
        for earlier in before {
            if earlier.pattern.covers(&pattern) {
                return Err(format!(
                    "it never holds: rule {}, {:?}, comes first and matches all that this one does",
                    earlier.number, earlier.matches
                ));
            }
            if template.fixed().is_some() && template.fixed() == earlier.template.fixed() {
                return Err(format!(
                    "it leads to the same key as rule {}: one key has one name, and others are aliases in [keys.alias]",
                    earlier.number
                ));
            }
        }
        let number = before.len() + 1;
        Ok(Self {
            number,
            place: format!("rule {number}"),
            matches: matches.to_owned(),
            to: to.to_owned(),
            pattern,
            template,
        })
    }

    /// From 1, in the order of the file.
    pub const fn number(&self) -> usize {
        self.number
    }

    /// Where it stands: `obreia.toml:12`, or `rule 1` without a file.
    pub fn place(&self) -> &str {
        &self.place
    }

    /// `match`, as written.
    pub fn matches(&self) -> &str {
        &self.matches
    }

    /// `to`, as written; it holds no credential.
    pub fn to(&self) -> &str {
        &self.to
    }

    /// The scheme of what it leads to.
    pub fn scheme(&self) -> &str {
        self.template.scheme()
    }

    /// The one path that it matches, where it has no wildcard.
    pub fn exact(&self) -> Option<KeyPath> {
        KeyPath::parse(&self.pattern.exact()?).ok()
    }

    fn key(&self, path: &KeyPath) -> Option<Result<KeyRef, String>> {
        let captures = self.pattern.captures(path)?;
        Some(
            self.template
                .uri(path, &captures)
                .and_then(|uri| match KeyRef::parse(&uri) {
                    Ok(key @ KeyRef::Provider { .. }) if uri.len() <= limits::KEY_URI => Ok(key),
                    _ => Err("that makes no URI of a key".to_owned()),
                }),
        )
    }
}

/// The same key, in version `version`, as its provider writes that.
///
/// # Errors
/// Where it has no numbered versions, or names one already.
pub fn with_version(key: &KeyRef, version: u32) -> Result<KeyRef, String> {
    let KeyRef::Provider { scheme, uri } = key else {
        return Err("only a provider's key is meant here".to_owned());
    };
    let pinned = || Err("its rule names a version already".to_owned());
    if key.version().is_some() {
        return pinned();
    }
    let uri = match scheme.as_str() {
        "hashivault" | "openbao" | "vault" => match uri.contains('?') {
            true => format!("{uri}&version={version}"),
            false => format!("{uri}?version={version}"),
        },
        "gcpkms" if uri.contains("/cryptoKeyVersions/") || uri.contains("/versions/") => {
            return pinned();
        }
        "gcpkms" => match uri.split_once('?') {
            Some((key, query)) => format!("{key}/cryptoKeyVersions/{version}?{query}"),
            None => format!("{uri}/cryptoKeyVersions/{version}"),
        },
        _ => return Err(format!("keys of {scheme}: have no numbered versions")),
    };
    Ok(KeyRef::Provider {
        scheme: scheme.clone(),
        uri,
    })
}
