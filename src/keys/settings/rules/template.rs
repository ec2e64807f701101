use super::pattern::Wildcard;
use crate::limits;
use crate::reference::{KeyPath, KeyRef};

/// The URI that a rule leads to, with places for what its pattern matched.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Template {
    scheme: String,
    parts: Vec<Part>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Part {
    Text(String),
    /// `{N}`: what the Nth wildcard stands for.
    Capture(usize),
    /// `{N:slug}`: the same with `--` for `/`.
    CaptureSlug(usize),
    /// `{path}`: the whole path.
    Path,
    /// `{slug}`: the whole path with `--` for `/`.
    Slug,
}

/// Schemes where a slash ends the key's name and begins something else.
const NO_SLASH: [&str; 7] = [
    "azurekms",
    "env",
    "gcpkms",
    "hashivault",
    "k8s",
    "openbao",
    "vault",
];

impl Template {
    /// Reads `text`, for a pattern with these wildcards. The errors never
    /// quote it: what should not be in it may be.
    pub(super) fn parse(text: &str, wildcards: &[Wildcard]) -> Result<Self, String> {
        if text.len() > limits::KEY_URI {
            return Err(format!("`to` has more than {} bytes", limits::KEY_URI));
        }
        if text.is_empty() || !text.bytes().all(|b| b.is_ascii_graphic()) {
            return Err(
                "`to` is a URI: printable ASCII without blanks, the rest percent-encoded"
                    .to_owned(),
            );
        }
        let template = Self {
            scheme: scheme(text)?,
            parts: parts(text, wildcards.len())?,
        };
        let sample = template.fill("x", &vec!["x"; wildcards.len()]);
        let credentials = match KeyRef::parse(&sample) {
            Ok(key @ KeyRef::Provider { .. }) => key.to_string() != sample,
            _ => return Err("`to` is not the URI of a key".to_owned()),
        };
        if credentials {
            return Err(
                "`to` holds a credential; it belongs into a file or the environment, as docs/providers.md says for each provider"
                    .to_owned(),
            );
        }
        template.takes_all(wildcards)?;
        template.has_no_slash(wildcards)?;
        Ok(template)
    }

    /// The URI for `path`, of which the wildcards captured `captures`.
    ///
    /// # Errors
    /// Why this path can have no such URI.
    pub(super) fn uri(&self, path: &KeyPath, captures: &[&str]) -> Result<String, String> {
        let one_name = |text: &str| {
            if text.contains("--") {
                return Err(format!(
                    "{text} has `--` in it, which is what `/` becomes: another key would have the same name"
                ));
            }
            Ok(())
        };
        for part in &self.parts {
            match part {
                Part::Slug => one_name(path.as_str())?,
                Part::CaptureSlug(at) => one_name(captures.get(*at).unwrap_or(&""))?,
                Part::Text(_) | Part::Capture(_) | Part::Path => {}
            }
        }
        let refused = path.as_str().chars().find(|c| !self.takes(*c));
        if let (Some(c), None) = (refused, self.fixed()) {
            return Err(format!("{} names have no {c:?}", self.scheme));
        }
        Ok(self.fill(path.as_str(), captures))
    }

    /// Whether it leads every path to the same key.
    pub(super) fn fixed(&self) -> Option<&str> {
        match self.parts.as_slice() {
            [Part::Text(text)] => Some(text),
            _ => None,
        }
    }

    pub(super) fn scheme(&self) -> &str {
        &self.scheme
    }

    fn fill(&self, path: &str, captures: &[&str]) -> String {
        let capture = |at: &usize| captures.get(*at).copied().unwrap_or_default();
        let slug = |text: &str| text.replace('/', "--");
        self.parts
            .iter()
            .map(|part| match part {
                Part::Text(text) => text.clone(),
                Part::Capture(at) => self.escaped(capture(at)),
                Part::CaptureSlug(at) => slug(capture(at)),
                Part::Path => self.escaped(path),
                Part::Slug => slug(path),
            })
            .collect()
    }

    /// As this scheme writes it. Of what a path can hold, only the slash has
    /// a meaning of its own anywhere.
    fn escaped(&self, text: &str) -> String {
        match self.scheme.as_str() {
            // RFC 7512, section 2.3: a slash in an attribute of the path is encoded.
            "pkcs11" => text.replace('/', "%2F"),
            _ => text.to_owned(),
        }
    }

    /// Whether names of this scheme have that character, of those that a path can hold.
    fn takes(&self, c: char) -> bool {
        match self.scheme.as_str() {
            "azurekms" => c != '_' && c != '.',
            "awskms" | "gcpkms" => c != '.',
            "k8s" => c != '_',
            "env" => c != '-' && c != '.',
            _ => true,
        }
    }

    /// Two names must not lead to one key.
    fn takes_all(&self, wildcards: &[Wildcard]) -> Result<(), String> {
        let whole = |part: &Part| matches!(part, Part::Path | Part::Slug);
        if self.parts.iter().any(whole) {
            return Ok(());
        }
        let unused = (0..wildcards.len()).find(|at| {
            let used =
                |part: &Part| matches!(part, Part::Capture(n) | Part::CaptureSlug(n) if n == at);
            !self.parts.iter().any(used)
        });
        match unused {
            Some(at) => Err(format!(
                "`to` leaves out {{{}}}, so that several names would be one key: use it, or write one rule without wildcards and aliases in [keys.alias]",
                at + 1
            )),
            None => Ok(()),
        }
    }

    fn has_no_slash(&self, wildcards: &[Wildcard]) -> Result<(), String> {
        if !NO_SLASH.contains(&self.scheme.as_str()) {
            return Ok(());
        }
        for part in &self.parts {
            let (what, instead) = match part {
                Part::Path => ("{path}".to_owned(), "{slug}".to_owned()),
                Part::Capture(at) if wildcards.get(*at) == Some(&Wildcard::Rest) => {
                    let at = at + 1;
                    (format!("{{{at}}}"), format!("{{{at}:slug}}"))
                }
                _ => continue,
            };
            return Err(format!(
                "{what} has slashes, and names of {}:// have none: write {instead}",
                self.scheme
            ));
        }
        Ok(())
    }
}

/// What stands before the first `:`, if it is another provider's scheme.
fn scheme(text: &str) -> Result<String, String> {
    let scheme = text.split(':').next().unwrap_or_default();
    let is_uri = text.contains("://") || text.starts_with("pkcs11:");
    match scheme {
        "kms" => Err("`to` is a kms:// name itself; for a second name use [keys.alias]".to_owned()),
        "file" => Err(key_file()),
        _ if !is_uri => Err(key_file()),
        _ if scheme.is_empty()
            || !scheme.bytes().all(|b| {
                b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'-' | b'+' | b'.')
            }) =>
        {
            Err("`to` begins with no scheme in lower case, as in openbao://".to_owned())
        }
        _ => Ok(scheme.to_owned()),
    }
}

fn key_file() -> String {
    "`to` is a key file, which has no custody of its own; take it in with: obreia key import FILE KEY"
        .to_owned()
}

fn parts(text: &str, wildcards: usize) -> Result<Vec<Part>, String> {
    let mut parts = Vec::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('{') {
        let (name, after) = after
            .split_once('}')
            .ok_or("`to` has a `{` without its `}`")?;
        if !before.is_empty() {
            parts.push(Part::Text(before.to_owned()));
        }
        parts.push(placeholder(name, wildcards)?);
        rest = after;
    }
    if !rest.is_empty() {
        parts.push(Part::Text(rest.to_owned()));
    }
    let stray = |part: &Part| matches!(part, Part::Text(text) if text.contains('}'));
    if parts.iter().any(stray) {
        return Err("`to` has a `}` without its `{`".to_owned());
    }
    Ok(parts)
}

fn placeholder(name: &str, wildcards: usize) -> Result<Part, String> {
    let unknown = || {
        let known = match wildcards {
            0 => "{slug} or {path}; `match` has no wildcards for {1}".to_owned(),
            n => format!("{{slug}}, {{path}} or {{1}} to {{{n}}}"),
        };
        format!(
            "`to` has the unknown placeholder {{{}}}: write {known}",
            shown(name)
        )
    };
    match name {
        "path" => return Ok(Part::Path),
        "slug" => return Ok(Part::Slug),
        _ => {}
    }
    let (number, slug) = match name.split_once(':') {
        Some((number, "slug")) => (number, true),
        Some(_) => return Err(unknown()),
        None => (name, false),
    };
    match number.parse::<usize>() {
        Ok(n) if (1..=wildcards).contains(&n) && number == n.to_string() => Ok(if slug {
            Part::CaptureSlug(n - 1)
        } else {
            Part::Capture(n - 1)
        }),
        _ => Err(unknown()),
    }
}

/// A placeholder's name where it can be nothing else.
fn shown(name: &str) -> &str {
    let is_name = |c: char| c.is_ascii_alphanumeric() || c == ':';
    if name.len() <= 16 && name.chars().all(is_name) {
        name
    } else {
        "…"
    }
}
