use crate::custody::Purpose;
use crate::reference::KeyPath;

/// Which canonical paths a rule speaks of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Pattern(Vec<Segment>);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Segment {
    /// This segment.
    Exact(String),
    /// `*`: any one segment.
    One,
    /// `**`, at the end alone: all that follow, at least one.
    Rest,
}

/// What a pattern's wildcards stand for, in their order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wildcard {
    /// One segment.
    One,
    /// One or more segments, with the slashes between them.
    Rest,
}

impl Pattern {
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        if text.contains("://") {
            return Err("`match` is a path: leave kms:// out".to_owned());
        }
        let parts: Vec<&str> = text.split('/').collect();
        if parts.len() > 8 {
            return Err("`match` has more than the 8 segments of a key path".to_owned());
        }
        if parts.len() < 2 {
            return Err(
                "`match` needs a purpose and an environment at least, as in model-sign/prod; one word is an alias, for [keys.alias]"
                    .to_owned(),
            );
        }
        let last = parts.len() - 1;
        let segments: Result<_, String> = parts
            .iter()
            .enumerate()
            .map(|(at, part)| segment(part, at == last))
            .collect();
        let segments: Vec<Segment> = segments?;
        if let Some(Segment::Exact(purpose)) = segments.first() {
            // The flag: a purpose of one's own is fine, a useless one is a slip.
            Purpose::for_new_key(purpose, true).map_err(|e| e.to_string())?;
        }
        Ok(Self(segments))
    }

    /// What the wildcards stand for in `path`, or `None` where it does not match.
    pub(super) fn captures<'a>(&self, path: &'a KeyPath) -> Option<Vec<&'a str>> {
        let mut found = Vec::new();
        let mut rest = Some(path.as_str());
        for segment in &self.0 {
            let text = rest?;
            let (first, after) = match text.split_once('/') {
                Some((first, after)) => (first, Some(after)),
                None => (text, None),
            };
            match segment {
                Segment::Exact(wanted) if wanted == first => {}
                Segment::Exact(_) => return None,
                Segment::One => found.push(first),
                Segment::Rest => {
                    found.push(text);
                    return Some(found);
                }
            }
            rest = after;
        }
        rest.is_none().then_some(found)
    }

    /// Its wildcards, in their order.
    pub(super) fn wildcards(&self) -> Vec<Wildcard> {
        self.0
            .iter()
            .filter_map(|segment| match segment {
                Segment::Exact(_) => None,
                Segment::One => Some(Wildcard::One),
                Segment::Rest => Some(Wildcard::Rest),
            })
            .collect()
    }

    /// The one path that it matches, where it has no wildcard.
    pub(super) fn exact(&self) -> Option<String> {
        let exact: Option<Vec<&str>> = self
            .0
            .iter()
            .map(|segment| match segment {
                Segment::Exact(text) => Some(text.as_str()),
                Segment::One | Segment::Rest => None,
            })
            .collect();
        exact.map(|parts| parts.join("/"))
    }

    /// Whether everything that `other` matches is matched by this one too.
    pub(super) fn covers(&self, other: &Self) -> bool {
        covers(&self.0, &other.0)
    }
}

fn segment(part: &str, is_last: bool) -> Result<Segment, String> {
    match part {
        "*" => Ok(Segment::One),
        "**" if is_last => Ok(Segment::Rest),
        "**" => Err("`**` may only be the last segment of `match`".to_owned()),
        part if part.contains('*') => Err(format!(
            "{part:?} in `match`: `*` stands for a whole segment, not for a part of one"
        )),
        part => KeyPath::parse(part)
            .map(|part| Segment::Exact(part.as_str().to_owned()))
            .map_err(|_| {
                format!("{part:?} in `match` can be no segment of a key path (a-z, 0-9, '.', '_' and '-')")
            }),
    }
}

fn covers(these: &[Segment], those: &[Segment]) -> bool {
    match (these, those) {
        ([], []) => true,
        ([Segment::Rest, ..], [_, ..]) => true,
        (_, [Segment::Rest, ..]) | ([], _) | (_, []) => false,
        ([Segment::One, these @ ..], [_, those @ ..]) => covers(these, those),
        ([Segment::Exact(this), these @ ..], [Segment::Exact(that), those @ ..]) => {
            this == that && covers(these, those)
        }
        ([Segment::Exact(_), ..], [Segment::One, ..]) => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn captures(pattern: &str, path: &str) -> Option<Vec<String>> {
        let path = KeyPath::parse(path).unwrap();
        let found = Pattern::parse(pattern).unwrap();
        found
            .captures(&path)
            .map(|c| c.into_iter().map(ToOwned::to_owned).collect())
    }

    #[test]
    fn what_matches_and_what_does_not() {
        for (pattern, path, expected) in [
            ("model-sign/prod", "model-sign/prod", Some(&[][..])),
            ("model-sign/prod", "model-sign/prod/a", None),
            ("model-sign/prod", "model-sign", None),
            ("model-sign/prod/*", "model-sign/prod", None),
            ("model-sign/prod/*", "model-sign/prod/a/b", None),
            ("model-sign/*/a", "model-sign/dev/a", Some(&["dev"][..])),
            ("model-sign/*/a", "model-sign/dev/b", None),
            ("model-sign/**", "model-sign", None),
            ("model-sign/**", "model-signer/prod", None),
            ("model-sign/**", "model-sign/prod", Some(&["prod"][..])),
            ("*/prod/**", "a/prod/b/c", Some(&["a", "b/c"][..])),
        ] {
            let found = captures(pattern, path);
            let expected = expected.map(|e| e.iter().map(ToString::to_string).collect());
            assert_eq!(found, expected, "{pattern} {path}");
        }
    }

    #[test]
    fn patterns_that_are_none() {
        for bad in [
            "",
            "model-sign",
            "kms://model-sign/prod",
            "model-sign/prod?version=1",
            "model-sign/**/a",
            "model-sign/fraud-*",
            "model-sign/Prod",
            "model-sign/../prod",
            "model-sign//prod",
            "model-sign/prod/",
            "/model-sign/prod",
            "modle/prod",
            "a/b/c/d/e/f/g/h/i",
        ] {
            assert!(Pattern::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn what_covers_what() {
        for (this, that, expected) in [
            ("model-sign/a", "model-sign/a", true),
            ("model-sign/*", "model-sign/a", true),
            ("model-sign/*", "model-sign/*", true),
            ("model-sign/a", "model-sign/*", false),
            ("model-sign/*", "model-sign/**", false),
            ("model-sign/**", "model-sign/*/*", true),
            ("*/**", "model-sign/a/b", true),
            ("model-sign/*/b", "model-sign/a/*", false),
            ("model-sign/a/**", "model-sign/a", false),
        ] {
            let [this_one, that_one] = [this, that].map(|p| Pattern::parse(p).unwrap());
            assert_eq!(this_one.covers(&that_one), expected, "{this} {that}");
        }
    }
}
