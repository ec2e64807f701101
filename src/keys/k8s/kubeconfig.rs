//! kubeconfig files (client-go, `clientcmd/api/v1`): what is needed to ask an
//! API server for one secret. What would turn a check off, and ways of
//! logging in that are not here, are refused by name.

use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::de::IgnoredAny;
use serde::{Deserialize, Deserializer};

use super::access::unusable;
use crate::durable;
use crate::keys::KeyFault;
use crate::limits;
use crate::secret::Secret;

#[derive(Deserialize)]
struct Document {
    #[serde(default, rename = "current-context")]
    current: Option<String>,
    #[serde(default)]
    clusters: Option<Vec<NamedCluster>>,
    #[serde(default)]
    users: Option<Vec<NamedUser>>,
    #[serde(default)]
    contexts: Option<Vec<NamedContext>>,
}

#[derive(Deserialize)]
struct NamedCluster {
    name: String,
    cluster: Cluster,
}

#[derive(Deserialize)]
struct NamedUser {
    name: String,
    #[serde(default)]
    user: Option<User>,
}

#[derive(Deserialize)]
struct NamedContext {
    name: String,
    context: Context,
}

/// Where an API server is.
#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) struct Cluster {
    #[serde(default)]
    pub(super) server: String,
    #[serde(default, rename = "certificate-authority")]
    pub(super) authority: Option<PathBuf>,
    #[serde(
        default,
        rename = "certificate-authority-data",
        deserialize_with = "secret"
    )]
    pub(super) authority_data: Option<Secret>,
    #[serde(default)]
    insecure_skip_tls_verify: bool,
    #[serde(default)]
    tls_server_name: Option<IgnoredAny>,
    #[serde(default)]
    proxy_url: Option<IgnoredAny>,
}

/// Who asks.
#[derive(Default, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) struct User {
    #[serde(default, deserialize_with = "secret")]
    pub(super) token: Option<Secret>,
    #[serde(default, rename = "tokenFile")]
    pub(super) token_file: Option<PathBuf>,
    #[serde(default, rename = "client-certificate")]
    pub(super) certificate: Option<PathBuf>,
    #[serde(
        default,
        rename = "client-certificate-data",
        deserialize_with = "secret"
    )]
    pub(super) certificate_data: Option<Secret>,
    #[serde(default, rename = "client-key")]
    pub(super) key: Option<PathBuf>,
    #[serde(default, rename = "client-key-data", deserialize_with = "secret")]
    pub(super) key_data: Option<Secret>,
    #[serde(default)]
    exec: Option<Exec>,
    #[serde(default)]
    auth_provider: Option<IgnoredAny>,
    #[serde(default)]
    username: Option<IgnoredAny>,
    #[serde(default, rename = "as")]
    impersonated: Option<IgnoredAny>,
}

#[derive(Deserialize)]
struct Exec {
    #[serde(default)]
    command: String,
}

#[derive(Deserialize)]
struct Context {
    #[serde(default)]
    cluster: String,
    #[serde(default)]
    user: String,
}

fn secret<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Secret>, D::Error> {
    let text = Option::<String>::deserialize(deserializer)?;
    Ok(text.filter(|text| !text.is_empty()).map(Secret::from))
}

/// The cluster and the user of a context, of `files` merged as kubectl does:
/// the first that says something is heard.
pub(super) fn chosen(
    files: &[PathBuf],
    context: Option<&str>,
) -> Result<(Cluster, User), KeyFault> {
    let (mut clusters, mut users, mut contexts) = (Vec::new(), Vec::new(), Vec::new());
    let mut current = context.map(ToOwned::to_owned);
    let mut found = false;
    for file in files {
        // Of several files those that are not there are passed over.
        if files.len() > 1 && !file.exists() {
            continue;
        }
        found = true;
        let document = read(file)?;
        let folder = file.parent().unwrap_or(Path::new("."));
        if current.as_deref().unwrap_or_default().is_empty() {
            current = document.current;
        }
        let read_clusters = document.clusters.into_iter().flatten();
        clusters.extend(read_clusters.map(|c| (c.name, c.cluster.beside(folder))));
        let read_users = document.users.into_iter().flatten();
        users.extend(read_users.map(|u| {
            let user = u.user.unwrap_or_default();
            (u.name, user.beside(folder))
        }));
        let read_contexts = document.contexts.into_iter().flatten();
        contexts.extend(read_contexts.map(|c| (c.name, c.context)));
    }
    if !found {
        return Err(unusable("none of the files that KUBECONFIG names is there"));
    }
    let Some(current) = current.filter(|name| !name.is_empty()) else {
        return Err(unusable(
            "the kubeconfig has no current-context; set one, or [keys.k8s] context",
        ));
    };
    let context = named(contexts, "context", &current)?;
    let cluster = named(clusters, "cluster", &context.cluster)?;
    let user = match context.user.as_str() {
        "" => User::default(),
        name => named(users, "user", name)?,
    };
    refuse(&cluster, &context.cluster, &user, &context.user)?;
    Ok((cluster, user))
}

fn named<T>(all: Vec<(String, T)>, what: &str, name: &str) -> Result<T, KeyFault> {
    let found = all.into_iter().find(|(found, _)| found == name);
    found
        .map(|(_, found)| found)
        .ok_or_else(|| unusable(&format!("the kubeconfig has no {what} {name:?}")))
}

fn refuse(
    cluster: &Cluster,
    cluster_name: &str,
    user: &User,
    user_name: &str,
) -> Result<(), KeyFault> {
    let cluster_says = |what: &str| {
        Err(unusable(&format!(
            "cluster {cluster_name:?} of the kubeconfig {what}"
        )))
    };
    let user_says = |what: &str| {
        Err(unusable(&format!(
            "user {user_name:?} of the kubeconfig {what}; use a token (kubectl create token) or a client certificate"
        )))
    };
    if cluster.insecure_skip_tls_verify {
        return cluster_says(
            "has insecure-skip-tls-verify, so that anybody could answer for it; give its certificate-authority instead",
        );
    }
    if cluster.tls_server_name.is_some() {
        return cluster_says("has tls-server-name, which is not supported");
    }
    if cluster.proxy_url.is_some() {
        return cluster_says("has proxy-url, which is not supported; set HTTPS_PROXY");
    }
    if let Some(exec) = &user.exec {
        let command: String = exec.command.chars().take(128).collect();
        return user_says(&format!(
            "logs in by running {command:?} (exec), which is not supported"
        ));
    }
    if user.auth_provider.is_some() {
        return user_says("logs in by an auth-provider, which is not supported");
    }
    if user.username.is_some() {
        return user_says("logs in by name and password, which API servers take no longer");
    }
    if user.impersonated.is_some() {
        return user_says("acts as somebody else (as), which is not supported");
    }
    Ok(())
}

fn read(file: &Path) -> Result<Document, KeyFault> {
    let bytes =
        Secret::new(durable::read(file, limits::CONFIG).map_err(|e| unusable(&e.to_string()))?);
    let bad = |why: String| unusable(&format!("{} is no kubeconfig: {why}", file.display()));
    let text = std::str::from_utf8(bytes.expose()).map_err(|_| bad("not UTF-8".to_owned()))?;
    let options = serde_saphyr::options! {
        budget: serde_saphyr::budget! {
            max_depth: 32,
            max_nodes: 100_000,
            max_documents: 1,
            max_anchors: 0,
            max_aliases: 0,
        },
        with_snippet: false,
    };
    serde_saphyr::from_str_with_options(text, options).map_err(|error| {
        // The place alone: the text around it may be a token.
        match error.without_snippet().location() {
            Some(at) => bad(format!("line {}, column {}", at.line(), at.column())),
            None => bad("it cannot be read as YAML".to_owned()),
        }
    })
}

/// A `…-data` field.
pub(super) fn decoded(what: &str, text: &Secret) -> Result<Secret, KeyFault> {
    STANDARD
        .decode(text.expose().trim_ascii())
        .map(Secret::new)
        .map_err(|_| unusable(&format!("{what} of the kubeconfig is not base64")))
}

impl Cluster {
    fn beside(mut self, folder: &Path) -> Self {
        self.authority = self.authority.map(|file| folder.join(file));
        self
    }
}

impl User {
    fn beside(mut self, folder: &Path) -> Self {
        for file in [&mut self.token_file, &mut self.certificate, &mut self.key] {
            *file = file.take().map(|file| folder.join(file));
        }
        self
    }
}
