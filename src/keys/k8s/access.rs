//! Which API server is asked, and who is asking.

use std::path::{Path, PathBuf};

use super::PROVIDER;
use super::kubeconfig::{self, Cluster, User};
use crate::durable;
use crate::environment::Environment;
use crate::http::Options;
use crate::keys::settings::K8s;
use crate::keys::{KeyFault, Warning, expiry};
use crate::limits;
use crate::secret::Secret;
use crate::time::Timestamp;

const SERVICE_ACCOUNT: &str = "/var/run/secrets/kubernetes.io/serviceaccount";

/// Where the API server is, and what proves who asks.
pub(super) struct Access {
    /// `https://host[:port][/path]`, without a slash at its end.
    pub(super) server: String,
    /// The header's value.
    pub(super) bearer: Option<Secret>,
    /// The way of logging in.
    pub(super) how: &'static str,
    authority: Option<Vec<u8>>,
    identity: Option<Secret>,
}

/// As kubectl looks: a kubeconfig, and inside a pod its service account.
pub(super) fn find(settings: &K8s, environment: &Environment) -> Result<Access, KeyFault> {
    let files = match (&settings.kubeconfig, environment.get("KUBECONFIG")) {
        (Some(file), _) => vec![file.clone()],
        (None, Some(list)) => std::env::split_paths(&list)
            .filter(|file| !file.as_os_str().is_empty())
            .collect(),
        (None, None) => environment
            .get("HOME")
            .map(|home| Path::new(&home).join(".kube/config"))
            .filter(|file| file.exists())
            .into_iter()
            .collect(),
    };
    if !files.is_empty() {
        let (cluster, user) = kubeconfig::chosen(&files, settings.context.as_deref())?;
        return from_kubeconfig(cluster, user);
    }
    in_cluster(settings, environment)
}

fn from_kubeconfig(cluster: Cluster, user: User) -> Result<Access, KeyFault> {
    let server = checked(&cluster.server)?;
    let authority = match (cluster.authority_data, cluster.authority) {
        (Some(data), _) => Some(kubeconfig::decoded("certificate-authority-data", &data)?),
        (None, Some(file)) => Some(Secret::new(read(&file)?)),
        (None, None) => None,
    };
    let pem = |what, data: Option<Secret>, file: Option<PathBuf>| match (data, file) {
        (Some(data), _) => kubeconfig::decoded(what, &data).map(Some),
        (None, Some(file)) => Ok(Some(Secret::new(read(&file)?))),
        (None, None) => Ok(None),
    };
    let certificate = pem(
        "client-certificate-data",
        user.certificate_data,
        user.certificate,
    )?;
    let key = pem("client-key-data", user.key_data, user.key)?;
    let identity = match (certificate, key) {
        (Some(certificate), Some(key)) => {
            let both = [certificate.expose(), b"\n", key.expose()].concat();
            Some(Secret::new(both))
        }
        (None, None) => None,
        _ => {
            return Err(unusable(
                "the user has a client certificate without its key, or a key without its certificate",
            ));
        }
    };
    let token = match (user.token, user.token_file) {
        // kubectl's order: a file is read anew, so it is the fresher one.
        (_, Some(file)) => Some(Secret::new(read(&file)?)),
        (token, None) => token,
    };
    let how = match (&token, &identity) {
        (Some(_), _) => "token",
        (None, Some(_)) => "client certificate",
        (None, None) => "nothing",
    };
    Ok(Access {
        server,
        bearer: token.as_ref().map(bearer),
        how,
        authority: authority.map(|pem| pem.expose().to_vec()),
        identity,
    })
}

fn in_cluster(settings: &K8s, environment: &Environment) -> Result<Access, KeyFault> {
    let (Some(host), Some(port)) = (
        environment.get("KUBERNETES_SERVICE_HOST"),
        environment.get("KUBERNETES_SERVICE_PORT"),
    ) else {
        return Err(unusable(
            "there is no kubeconfig (KUBECONFIG, ~/.kube/config, [keys.k8s] kubeconfig), and this is no pod of a cluster",
        ));
    };
    let folder = settings
        .service_account
        .clone()
        .unwrap_or_else(|| PathBuf::from(SERVICE_ACCOUNT));
    let host = match host.contains(':') {
        true => format!("[{host}]"),
        false => host,
    };
    Ok(Access {
        server: checked(&format!("https://{host}:{port}"))?,
        bearer: Some(bearer(&Secret::new(read(&folder.join("token"))?))),
        how: "token",
        authority: Some(read(&folder.join("ca.crt"))?),
        identity: None,
    })
}

impl Access {
    /// What says itself when it ends of what proves who asks.
    pub(super) fn outlook(&self, now: Timestamp) -> Vec<Warning> {
        let bearer = self.bearer.as_ref().and_then(|bearer| {
            let token = bearer.expose().strip_prefix(b"Bearer ")?;
            expiry::of_jwt(token)
        });
        let identity = self.identity.as_ref();
        let certificate = identity.and_then(|pem| expiry::of_pem(pem.expose()));
        [
            ("token-expires", "the token", bearer, expiry::SOON),
            (
                "certificate-expires",
                "the client certificate",
                certificate,
                expiry::MONTH,
            ),
        ]
        .into_iter()
        .filter_map(|(code, what, end, within)| expiry::warning(code, what, end, now, within))
        .collect()
    }

    /// The connection's settings. A kubeconfig's authority counts alone, as
    /// with kubectl: another's certificate is not the cluster's.
    pub(super) fn options(&self) -> Result<Options, KeyFault> {
        Ok(Options {
            authorities: self.authority.iter().cloned().collect(),
            only_these: self.authority.is_some(),
            identity: self
                .identity
                .as_ref()
                .map(|pem| Secret::new(pem.expose().to_vec())),
            ..Options::default()
        })
    }
}

/// A server that a token may be sent to: over TLS, or on this machine.
fn checked(server: &str) -> Result<String, KeyFault> {
    let server = server.trim_end_matches('/');
    let local = server.strip_prefix("http://").is_some_and(|rest| {
        let host = rest.split('/').next().unwrap_or_default();
        let host = host.rsplit_once(':').map_or(host, |(host, _)| host);
        matches!(host, "localhost" | "127.0.0.1" | "[::1]")
    });
    if server.starts_with("https://") || local {
        return Ok(server.to_owned());
    }
    Err(unusable(
        "the API server's address must begin with https://, or be http:// on this machine (kubectl proxy)",
    ))
}

fn bearer(token: &Secret) -> Secret {
    Secret::new([b"Bearer ", token.expose().trim_ascii()].concat())
}

fn read(path: &Path) -> Result<Vec<u8>, KeyFault> {
    durable::read(path, limits::CONFIG).map_err(|e| unusable(&e.to_string()))
}

/// Something about the configuration of the cluster's access.
pub(super) fn unusable(why: &str) -> KeyFault {
    KeyFault::NotConfigured {
        provider: PROVIDER,
        why: why.to_owned(),
    }
}
