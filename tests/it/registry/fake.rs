//! A registry in memory, which does what it is told to leave out.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use base64::Engine as _;
use obreia::crypto::sha256;
use serde_json::{Value, json};

use super::between::{Between, Call, Said};

/// How a registry says that there is no such manifest.
pub(crate) const NOT_THERE: &str = r#"{"errors":[{"code":"MANIFEST_UNKNOWN"}]}"#;

/// What a registry can do, and what it wants.
#[derive(Clone, Debug)]
pub(crate) struct Kind {
    /// Whether it lists referrers.
    pub(crate) referrers: bool,
    /// Whether it honours `If-Match` and `If-None-Match`.
    pub(crate) conditions: bool,
    /// Whether it honours the second of the two as well.
    pub(crate) both: bool,
    /// Entries on one page of a list; 0 is all.
    pub(crate) page: usize,
    /// Whether a name and a password are wanted: `me` and `secret`.
    pub(crate) basic: bool,
    /// Whether a token is wanted, which is given for them.
    pub(crate) token: bool,
    /// Whether a blob of another repository is mounted.
    pub(crate) mounts: bool,
    /// Whether parts of a blob are given.
    pub(crate) ranges: bool,
    /// The `ETag` of every manifest: of its digest, unless it is told here.
    pub(crate) etag: Option<Option<&'static str>>,
}

impl Default for Kind {
    fn default() -> Self {
        Self {
            referrers: true,
            conditions: true,
            both: true,
            page: 0,
            basic: false,
            token: false,
            mounts: true,
            ranges: true,
            etag: None,
        }
    }
}

#[derive(Default)]
struct State {
    blobs: BTreeMap<String, Vec<u8>>,
    /// Which blob is in which repository.
    held: Vec<(String, String)>,
    manifests: BTreeMap<(String, String), (String, Vec<u8>)>,
    tags: BTreeMap<(String, String), String>,
    uploads: BTreeMap<String, Vec<u8>>,
    begun: usize,
    tokens: usize,
    /// The only token that is let in; one that is older is no more.
    token: String,
    /// Referrers that the registry does not list.
    unlisted: Vec<String>,
}

/// The registry; [`Between`] before it does wrong when told.
pub(crate) struct Fake {
    pub(crate) front: Between,
    state: Arc<Mutex<State>>,
}

impl Fake {
    pub(crate) fn new(kind: Kind) -> Self {
        Self::with(kind, Arc::default())
    }

    /// Another registry, with the same things in it.
    pub(crate) fn behind(&self, kind: Kind) -> Self {
        Self::with(kind, Arc::clone(&self.state))
    }

    fn with(kind: Kind, state: Arc<Mutex<State>>) -> Self {
        let own = Arc::clone(&state);
        let front = Between::before(move |call| {
            let mut state = own.lock().unwrap();
            Some(let_in(&kind, &mut state, call).unwrap_or_else(|| said(&kind, &mut state, call)))
        });
        Self { front, state }
    }

    /// `host:port`.
    pub(crate) fn host(&self) -> &str {
        &self.front.host
    }

    /// Makes the tokens that were given out worth nothing.
    pub(crate) fn expire_tokens(&self) {
        self.state.lock().unwrap().token = "none".to_owned();
    }

    /// How many tokens were given out.
    pub(crate) fn tokens(&self) -> usize {
        self.state.lock().unwrap().tokens
    }

    pub(crate) fn has_blob(&self, digest: &str) -> bool {
        self.state.lock().unwrap().blobs.contains_key(digest)
    }

    /// How many uploads were begun and neither ended nor given up.
    pub(crate) fn uploads(&self) -> usize {
        self.state.lock().unwrap().uploads.len()
    }

    /// What a tag leads to.
    pub(crate) fn tag(&self, repository: &str, tag: &str) -> Option<String> {
        let key = (repository.to_owned(), tag.to_owned());
        self.state.lock().unwrap().tags.get(&key).cloned()
    }

    /// Stores bytes under a digest that need not be theirs.
    pub(crate) fn lie(&self, repository: &str, digest: &str, media_type: &str, bytes: &[u8]) {
        let mut state = self.state.lock().unwrap();
        let key = (repository.to_owned(), digest.to_owned());
        state
            .manifests
            .insert(key, (media_type.to_owned(), bytes.to_vec()));
        state.blobs.insert(digest.to_owned(), bytes.to_vec());
        state.held.push((repository.to_owned(), digest.to_owned()));
    }

    /// The manifests that say they are about that one.
    pub(crate) fn about(&self, repository: &str, subject: &str) -> Vec<String> {
        let state = self.state.lock().unwrap();
        let about = |bytes: &[u8]| {
            let document: Value = serde_json::from_slice(bytes).unwrap_or_default();
            document["subject"]["digest"] == subject
        };
        let all = state.manifests.iter();
        all.filter(|((name, _), (_, bytes))| name == repository && about(bytes))
            .map(|((_, digest), _)| digest.clone())
            .collect()
    }

    /// Takes a referrer out of the registry's own list.
    pub(crate) fn unlist(&self, digest: &str) {
        let mut state = self.state.lock().unwrap();
        state.unlisted.push(digest.to_owned());
    }

    pub(crate) fn set_tag(&self, repository: &str, tag: &str, digest: &str) {
        let key = (repository.to_owned(), tag.to_owned());
        let mut state = self.state.lock().unwrap();
        state.tags.insert(key, digest.to_owned());
    }
}

fn error(status: u16, code: &str) -> Said {
    let body = json!({"errors": [{"code": code, "message": format!("{code} it is")}]});
    Said::new(status, body.to_string()).with("Content-Type", "application/json")
}

fn let_in(kind: &Kind, state: &mut State, call: &Call) -> Option<Said> {
    let credentials = base64::engine::general_purpose::STANDARD.encode("me:secret");
    let basic = call.header("authorization") == Some(&format!("Basic {credentials}"));
    if call.target.starts_with("/token") {
        if !basic {
            return Some(error(401, "UNAUTHORIZED"));
        }
        state.tokens += 1;
        state.token = format!("token-{}", state.tokens);
        let body = json!({"token": state.token, "expires_in": 300});
        return Some(Said::new(200, body.to_string()));
    }
    if kind.basic && !basic {
        let refused = error(401, "UNAUTHORIZED");
        return Some(refused.with("WWW-Authenticate", "Basic realm=\"x\""));
    }
    let bearer = format!("Bearer {}", state.token);
    if kind.token && call.header("authorization") != Some(&bearer) {
        let realm = format!(
            "Bearer realm=\"http://{}/token\",service=\"fake\",scope=\"x\"",
            call.header("host").unwrap_or_default()
        );
        return Some(error(401, "UNAUTHORIZED").with("WWW-Authenticate", realm));
    }
    None
}

fn said(kind: &Kind, state: &mut State, call: &Call) -> Said {
    let (path, query) = call.target.split_once('?').unwrap_or((&call.target, ""));
    let Some(path) = path.strip_prefix("/v2/") else {
        return error(404, "NOT_FOUND");
    };
    let value = |wanted: &str| {
        let mut pairs = query.split('&').filter_map(|pair| pair.split_once('='));
        pairs
            .find(|(name, _)| *name == wanted)
            .map(|(_, v)| v.to_owned())
    };
    if path.is_empty() {
        return Said::new(200, "{}");
    }
    for part in [
        "/manifests/",
        "/blobs/uploads/",
        "/blobs/",
        "/referrers/",
        "/tags/",
    ] {
        let Some((name, rest)) = path.split_once(part) else {
            continue;
        };
        return match part {
            "/manifests/" => manifest(kind, state, call, name, rest),
            "/blobs/uploads/" => upload(kind, state, call, name, rest, &value),
            "/blobs/" => blob(kind, state, call, name, rest),
            "/referrers/" => referrers(kind, state, name, rest, &value),
            _ => tags(kind, state, name, &value),
        };
    }
    error(404, "NOT_FOUND")
}

fn manifest(kind: &Kind, state: &mut State, call: &Call, name: &str, reference: &str) -> Said {
    let key = |reference: &str| (name.to_owned(), reference.to_owned());
    let digest = match reference.contains(':') {
        true => Some(reference.to_owned()),
        false => state.tags.get(&key(reference)).cloned(),
    };
    let digest = digest.filter(|digest| state.manifests.contains_key(&key(digest)));
    if call.method != "PUT" {
        let Some(digest) = digest else {
            return error(404, "MANIFEST_UNKNOWN");
        };
        let (media_type, bytes) = &state.manifests[&key(&digest)];
        let said = Said::new(200, bytes.clone())
            .with("Content-Type", media_type.clone())
            .with("Content-Length", bytes.len().to_string());
        let said = match kind.etag {
            None => said.with("ETag", format!("\"{digest}\"")),
            Some(Some(etag)) => said.with("ETag", etag),
            Some(None) => said,
        };
        return said.with("Docker-Content-Digest", digest);
    }
    if kind.conditions {
        let tag = digest.as_ref().map(|digest| format!("\"{digest}\""));
        let wanted = call.header("if-match").map(str::to_owned);
        if wanted.is_some() && wanted != tag
            || kind.both && call.header("if-none-match").is_some() && tag.is_some()
        {
            return error(412, "PRECONDITION_FAILED");
        }
    }
    let found = sha256(&call.body).to_string();
    if reference.contains(':') && reference != found {
        return error(400, "DIGEST_INVALID");
    }
    if !reference.contains(':') {
        state.tags.insert(key(reference), found.clone());
    }
    let media_type = call.header("content-type").unwrap_or_default().to_owned();
    state
        .manifests
        .insert(key(&found), (media_type, call.body.clone()));
    let mut said = Said::new(201, "").with("Docker-Content-Digest", found);
    let document: Value = serde_json::from_slice(&call.body).unwrap_or_default();
    if let (true, Some(subject)) = (kind.referrers, document["subject"]["digest"].as_str()) {
        said = said.with("OCI-Subject", subject);
    }
    said
}

fn blob(kind: &Kind, state: &State, call: &Call, name: &str, digest: &str) -> Said {
    let held = state.held.contains(&(name.to_owned(), digest.to_owned()));
    let Some(bytes) = state.blobs.get(digest).filter(|_| held) else {
        return error(404, "BLOB_UNKNOWN");
    };
    let range = call.header("range").filter(|_| kind.ranges);
    let first = range.and_then(|r| {
        r.strip_prefix("bytes=")?
            .strip_suffix('-')?
            .parse::<usize>()
            .ok()
    });
    let said = match first {
        Some(first) => Said::new(206, &bytes[first..]).with(
            "Content-Range",
            format!("bytes {first}-{}/{}", bytes.len() - 1, bytes.len()),
        ),
        None => Said::new(200, bytes.clone()),
    };
    let length = said.body.len().to_string();
    said.with("Content-Length", length)
}

fn upload(
    kind: &Kind,
    state: &mut State,
    call: &Call,
    name: &str,
    id: &str,
    value: &dyn Fn(&str) -> Option<String>,
) -> Said {
    if call.method == "POST" {
        if let (true, Some(digest), Some(from)) = (kind.mounts, value("mount"), value("from"))
            && state.held.contains(&(from, digest.clone()))
        {
            state.held.push((name.to_owned(), digest));
            return Said::new(201, "").with("Location", "/x");
        }
        state.begun += 1;
        let id = format!("u{}", state.begun);
        state.uploads.insert(id.clone(), Vec::new());
        return Said::new(202, "")
            .with("Location", format!("/v2/{name}/blobs/uploads/{id}?state=s"));
    }
    let here = format!("/v2/{name}/blobs/uploads/{id}?state=s");
    let Some(held) = state.uploads.get_mut(id) else {
        return error(404, "BLOB_UPLOAD_UNKNOWN");
    };
    let range = |held: &Vec<u8>| format!("0-{}", held.len().saturating_sub(1));
    match call.method.as_str() {
        "GET" => Said::new(204, "")
            .with("Location", here)
            .with("Range", range(held)),
        "PATCH" => {
            let first = call
                .header("content-range")
                .and_then(|r| r.split('-').next());
            if first.and_then(|f| f.parse().ok()) != Some(held.len()) {
                return error(416, "RANGE_INVALID").with("Range", range(held));
            }
            held.extend_from_slice(&call.body);
            Said::new(202, "")
                .with("Location", here)
                .with("Range", range(held))
        }
        "DELETE" => {
            state.uploads.remove(id);
            Said::new(204, "")
        }
        _ => {
            held.extend_from_slice(&call.body);
            let bytes = held.clone();
            state.uploads.remove(id);
            let digest = value("digest").unwrap_or_default();
            if sha256(&bytes).to_string() != digest {
                return error(400, "DIGEST_INVALID");
            }
            state.blobs.insert(digest.clone(), bytes);
            state.held.push((name.to_owned(), digest));
            Said::new(201, "")
        }
    }
}

fn referrers(
    kind: &Kind,
    state: &State,
    name: &str,
    subject: &str,
    value: &dyn Fn(&str) -> Option<String>,
) -> Said {
    if !kind.referrers {
        return error(404, "NOT_FOUND");
    }
    let mut found = Vec::new();
    for ((repository, digest), (media_type, bytes)) in &state.manifests {
        let document: Value = serde_json::from_slice(bytes).unwrap_or_default();
        let unlisted = state.unlisted.contains(digest);
        if unlisted || repository != name || document["subject"]["digest"] != subject {
            continue;
        }
        let kind = match &document["artifactType"] {
            Value::Null => document["config"]["mediaType"].clone(),
            kind => kind.clone(),
        };
        let mut entry = json!({"mediaType": media_type, "digest": digest, "size": bytes.len(),
            "artifactType": kind});
        if let Value::Object(notes) = &document["annotations"] {
            entry["annotations"] = notes.clone().into();
        }
        found.push(entry);
    }
    let (page, next) = cut(kind, found, value);
    let index = json!({"schemaVersion": 2,
        "mediaType": "application/vnd.oci.image.index.v1+json", "manifests": page});
    let said = Said::new(200, index.to_string())
        .with("Content-Type", "application/vnd.oci.image.index.v1+json");
    match next {
        Some(at) => said.with(
            "Link",
            format!("</v2/{name}/referrers/{subject}?last={at}>; rel=\"next\""),
        ),
        None => said,
    }
}

fn tags(kind: &Kind, state: &State, name: &str, value: &dyn Fn(&str) -> Option<String>) -> Said {
    let own = state
        .tags
        .keys()
        .filter(|(repository, _)| repository == name);
    let all: Vec<Value> = own.map(|(_, tag)| tag.as_str().into()).collect();
    if all.is_empty() {
        return error(404, "NAME_UNKNOWN");
    }
    let (page, next) = cut(kind, all, value);
    let said = Said::new(200, json!({"name": name, "tags": page}).to_string());
    match next {
        Some(at) => said.with(
            "Link",
            format!("</v2/{name}/tags/list?last={at}>; rel=\"next\""),
        ),
        None => said,
    }
}

/// One page of a list, and where the next begins.
fn cut(
    kind: &Kind,
    all: Vec<Value>,
    value: &dyn Fn(&str) -> Option<String>,
) -> (Vec<Value>, Option<usize>) {
    let first: usize = value("last")
        .and_then(|l| l.parse().ok())
        .unwrap_or_default();
    let count = if kind.page == 0 {
        usize::MAX
    } else {
        kind.page
    };
    let more = all.len() > first.saturating_add(count);
    let page = all.into_iter().skip(first).take(count).collect();
    (page, more.then(|| first + count))
}
