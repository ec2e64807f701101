//! Which policies speak about an artifact. A name is read one way only, so
//! that no other spelling of it slips past a pattern.

use std::fmt;

use globset::{GlobBuilder, GlobMatcher};

use crate::verify::ArtifactKind;

/// A compiled pattern, and its text.
#[derive(Clone)]
pub(super) struct Glob {
    text: String,
    matcher: GlobMatcher,
}

impl Glob {
    pub(super) fn is_match(&self, text: &str) -> bool {
        self.matcher.is_match(text)
    }

    pub(super) fn text(&self) -> &str {
        &self.text
    }
}

impl fmt::Debug for Glob {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The compiled form is pages long.
        write!(f, "Glob({:?})", self.text)
    }
}

/// One entry of a policy's `match`.
#[derive(Clone, Debug)]
pub struct Pattern {
    kind: Option<ArtifactKind>,
    text: String,
    globs: Vec<Glob>,
}

impl Pattern {
    /// A pattern for names of `kind` (`None`: of any kind). `*` and `?` never
    /// cross `/`; `**` does, and stands between slashes or at an end.
    ///
    /// # Errors
    /// What is wrong with it, for people.
    pub fn new(kind: Option<ArtifactKind>, text: &str) -> Result<Self, String> {
        if text.is_empty() {
            return Err("the pattern is empty; ** stands for every name".to_owned());
        }
        let mut globs = vec![glob(&path(text))?];
        if kind.is_none_or(|k| k == ArtifactKind::Image) {
            for form in image_forms(text, true) {
                globs.push(glob(&form)?);
            }
        }
        Ok(Self {
            kind,
            text: text.to_owned(),
            globs,
        })
    }

    /// The kind it speaks about; `None` for any.
    pub const fn kind(&self) -> Option<ArtifactKind> {
        self.kind
    }

    /// The pattern as it was written.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Whether it speaks about an artifact of one of these kinds, called `name` by the operator.
    pub fn matches(&self, kinds: &[ArtifactKind], name: &str) -> bool {
        let fits = |kind: ArtifactKind| self.kind.is_none_or(|k| k == kind);
        kinds.iter().any(|&kind| fits(kind))
            && forms(kinds, name)
                .iter()
                .any(|form| self.globs.iter().any(|g| g.is_match(form)))
    }
}

/// Every spelling under which a pattern may know an artifact.
fn forms(kinds: &[ArtifactKind], name: &str) -> Vec<String> {
    if let Some(layout) = name.strip_prefix("oci-layout:") {
        // With and without the tag or digest: a pattern for the folder speaks for all in it.
        let bare = match layout.rsplit_once('@') {
            Some((dir, _)) => dir,
            None => match layout.rsplit_once(':') {
                Some((dir, tag)) if !tag.contains('/') => dir,
                _ => layout,
            },
        };
        return vec![path(layout), path(bare)];
    }
    if let Some(rest) = name
        .strip_prefix("file:")
        .or_else(|| name.strip_prefix("dir:"))
    {
        return vec![path(rest)];
    }
    let mut forms = vec![path(name.strip_prefix("oci:").unwrap_or(name))];
    if kinds.contains(&ArtifactKind::Image) {
        forms.extend(image_forms(name, false));
    }
    forms.sort_unstable();
    forms.dedup();
    forms
}

/// The full forms of an image's name: with its host, with and without tag and digest.
///
/// A pattern keeps its tag where it has one; a name is known without its tag too.
fn image_forms(name: &str, pattern: bool) -> Vec<String> {
    let name = name.strip_prefix("oci:").unwrap_or(name);
    if name.starts_with(['/', '.']) || name.is_empty() {
        return Vec::new();
    }
    let (rest, digest) = match name.split_once('@') {
        Some((rest, digest)) => (rest, Some(digest)),
        None => (name, None),
    };
    let (repository, tag) = match rest.rsplit_once(':') {
        Some((repository, tag)) if !tag.contains('/') => (repository, Some(tag)),
        _ => (rest, None),
    };
    let repository = with_host(repository);
    if pattern {
        let tag = tag.map(|t| format!(":{t}")).unwrap_or_default();
        let digest = digest.map(|d| format!("@{d}")).unwrap_or_default();
        return vec![format!("{repository}{tag}{digest}")];
    }
    let mut forms = vec![repository.clone()];
    if let Some(tag) = tag.or(digest.is_none().then_some("latest")) {
        forms.push(format!("{repository}:{tag}"));
    }
    if let Some(digest) = digest {
        forms.push(format!("{repository}@{digest}"));
        if let Some(tag) = tag {
            forms.push(format!("{repository}:{tag}@{digest}"));
        }
    }
    forms
}

/// `host/repository` as clients resolve it: hosts in lower case, without the
/// default port or a final dot; Docker Hub and its `library/` where no host is named.
fn with_host(repository: &str) -> String {
    let repository = path(repository);
    let (first, rest) = match repository.split_once('/') {
        Some((first, rest)) => (first, Some(rest)),
        None => (repository.as_str(), None),
    };
    let host = match rest {
        // `**/x` may stand for any host; it is left as it is.
        Some(_) if first == "**" => return repository,
        Some(_)
            if first.contains('.')
                || first.contains(':')
                || first.eq_ignore_ascii_case("localhost") =>
        {
            first.to_ascii_lowercase()
        }
        None if first == "**" => return repository,
        None => return format!("docker.io/library/{first}"),
        Some(_) => return format!("docker.io/{repository}"),
    };
    let host = host.strip_suffix(":443").unwrap_or(&host);
    let host = host.strip_suffix('.').unwrap_or(host);
    let rest = rest.unwrap_or_default();
    match host {
        "docker.io" | "index.docker.io" | "registry-1.docker.io" | "registry.hub.docker.com" => {
            if rest.contains('/') {
                format!("docker.io/{rest}")
            } else {
                format!("docker.io/library/{rest}")
            }
        }
        _ => format!("{host}/{rest}"),
    }
}

/// A path without `.`, `..`, `//` and a final `/`, as far as text tells.
fn path(text: &str) -> String {
    let absolute = text.starts_with('/');
    let mut parts: Vec<&str> = Vec::new();
    for part in text.split('/') {
        match part {
            "" | "." => {}
            ".." => match parts.last() {
                Some(&last) if last != ".." => {
                    parts.pop();
                }
                // Nothing is above the root.
                _ if absolute => {}
                _ => parts.push(".."),
            },
            part => parts.push(part),
        }
    }
    match (absolute, parts.is_empty()) {
        (true, _) => format!("/{}", parts.join("/")),
        (false, true) => ".".to_owned(),
        (false, false) => parts.join("/"),
    }
}

/// Compiles a pattern where `*` never crosses `/`.
pub(super) fn glob(text: &str) -> Result<Glob, String> {
    let bad = text
        .split('/')
        .any(|part| part.contains("**") && part != "**");
    if bad {
        return Err(format!(
            "{text:?}: ** stands alone between slashes; write dir/** for everything under dir"
        ));
    }
    if text.is_empty() || text.len() > 4096 || text.chars().any(char::is_control) {
        return Err(
            "a pattern has 1 to 4096 characters, none of them a control character".to_owned(),
        );
    }
    GlobBuilder::new(text)
        .literal_separator(true)
        .backslash_escape(true)
        .build()
        .map(|g| Glob {
            text: text.to_owned(),
            matcher: g.compile_matcher(),
        })
        .map_err(|e| format!("{text:?}: {}", e.kind()))
}

/// A pattern of files of a model that need no signature: a file, everything
/// under a folder, or either with `*`.
pub(super) fn ignore_path(text: &str) -> Result<[Glob; 2], String> {
    let bare = text.trim_end_matches('/');
    let canonical = path(bare);
    if bare.is_empty()
        || bare.starts_with('/')
        || bare.split('/').any(|part| part == "..")
        || canonical != bare
    {
        return Err(format!(
            "{text:?} is not a path inside a model, such as docs or .git"
        ));
    }
    Ok([glob(bare)?, glob(&format!("{bare}/**"))?])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn image(pattern: &str, name: &str) -> bool {
        Pattern::new(Some(ArtifactKind::Image), pattern)
            .unwrap()
            .matches(&[ArtifactKind::Image], name)
    }

    fn model(pattern: &str, name: &str) -> bool {
        Pattern::new(Some(ArtifactKind::Model), pattern)
            .unwrap()
            .matches(&[ArtifactKind::Model], name)
    }

    #[test]
    fn one_image_under_all_its_names() {
        let pattern = "registry.acme.example/prod/**";
        for name in [
            "registry.acme.example/prod/app",
            "registry.acme.example/prod/a/b:v1",
            "Registry.ACME.example/prod/app:v1",
            "registry.acme.example:443/prod/app",
            "registry.acme.example./prod/app",
            "oci:registry.acme.example/prod/app",
            "registry.acme.example//prod/app",
            "registry.acme.example/x/../prod/app",
            "registry.acme.example/prod/app@sha256:00",
            "registry.acme.example/prod/app:v1@sha256:00",
        ] {
            assert!(image(pattern, name), "{name}");
        }
        for name in [
            "registry.acme.example:5000/prod/app",
            "registry.acme.example/staging/app",
            "registry.acme.example/production/app",
            "evil.example/registry.acme.example/prod/app",
            "registry.acme.example.evil.example/prod/app",
        ] {
            assert!(!image(pattern, name), "{name}");
        }
    }

    #[test]
    fn docker_hub_has_many_names() {
        for pattern in [
            "alpine",
            "docker.io/library/alpine",
            "index.docker.io/alpine",
        ] {
            for name in ["alpine", "alpine:3", "docker.io/alpine", "library/alpine"] {
                assert!(image(pattern, name), "{pattern} {name}");
            }
        }
        assert!(image("docker.io/acme/*", "acme/app"));
        assert!(!image("docker.io/library/*", "acme/app"));
    }

    #[test]
    fn tags() {
        assert!(image("r.example/app", "r.example/app:v1"));
        assert!(image("r.example/app:v*", "r.example/app:v1"));
        assert!(!image("r.example/app:v*", "r.example/app:w1"));
        assert!(image("r.example/app:latest", "r.example/app"));
        assert!(image("r.example:5000/app", "r.example:5000/app:v1"));
    }

    #[test]
    fn star_never_crosses() {
        assert!(model("fraud/*", "fraud/v1"));
        assert!(!model("fraud/*", "fraud/v1/weights"));
        assert!(model("fraud/**", "fraud/v1/weights"));
        assert!(!model("*", "fraud/v1"));
        assert!(model("**", "fraud/v1") && model("**", "/srv/x"));
    }

    #[test]
    fn paths_have_one_spelling() {
        for name in [
            "./fraud/v1",
            "fraud//v1",
            "fraud/./v1/",
            "other/../fraud/v1",
            "dir:./fraud/v1",
        ] {
            assert!(model("fraud/**", name), "{name}");
        }
        assert!(!model("fraud/**", "fraud/../other"));
        assert!(!model("fraud/**", "../fraud/v1"));
        assert!(model("/srv/models/*", "/srv/x/../models/a"));
        assert!(model("/srv/*", "/../srv/a"));
    }

    #[test]
    fn layouts() {
        assert!(image("out/prod", "oci-layout:./out/prod:v1"));
        assert!(image("out/**", "oci-layout:out/prod@sha256:00"));
        assert!(!image("out/prod", "oci-layout:out/staging:v1"));
    }

    #[test]
    fn kinds() {
        let any = Pattern::new(None, "fraud/**").unwrap();
        assert!(any.matches(&[ArtifactKind::Blob], "fraud/x"));
        let models = Pattern::new(Some(ArtifactKind::Model), "**").unwrap();
        assert!(!models.matches(&[ArtifactKind::Image], "r.example/x"));
        assert!(models.matches(&[ArtifactKind::Image, ArtifactKind::Model], "r.example/x"));
    }

    #[test]
    fn refused() {
        for bad in ["", "a**", "a/**b", "[", "a/{b", "a\nb"] {
            assert!(Pattern::new(None, bad).is_err(), "{bad:?}");
        }
        for bad in ["", "/", "/a", "../a", "a/../b", "./a", "a//b"] {
            assert!(ignore_path(bad).is_err(), "{bad:?}");
        }
        let [file, under] = ignore_path(".git/").unwrap();
        assert!(file.is_match(".git") && under.is_match(".git/a/b"));
        assert!(!under.is_match(".gitignore"));
    }
}
