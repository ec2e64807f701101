//! Which API server is asked, and who is asking.

use std::path::{Path, PathBuf};

use super::PROVIDER;
use super::kubeconfig::{self, Cluster, User};
use crate::crypto::sha256;
use crate::durable;
use crate::environment::Environment;
use crate::http::{Options, is_private};
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
        bearer: token.as_ref().map(bearer).transpose()?,
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
        bearer: Some(bearer(&Secret::new(read(&folder.join("token"))?))?),
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

    /// What tells this cluster from others: clusters on one machine share
    /// their address one after the other.
    pub(super) fn cluster(&self) -> String {
        let authority = self.authority.as_deref().unwrap_or_default();
        format!("{} {}", self.server, sha256(authority).hex())
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
    let url = reqwest::Url::parse(server).ok();
    let usable = url.is_some_and(|url| {
        let plain = url.username().is_empty() && url.password().is_none();
        plain && url.query().is_none() && url.fragment().is_none() && is_private(&url)
    });
    if usable {
        return Ok(server.trim_end_matches('/').to_owned());
    }
    Err(unusable(
        "the API server's address must begin with https://, or be http:// on this machine (kubectl proxy), and hold no user name, query or fragment",
    ))
}

fn bearer(token: &Secret) -> Result<Secret, KeyFault> {
    let token = token.expose().trim_ascii();
    if token.is_empty() || !token.iter().all(u8::is_ascii_graphic) {
        return Err(unusable(
            "the token is empty, or holds something else than letters, digits and signs: one token stands in its file, in one line",
        ));
    }
    Ok(Secret::new([b"Bearer ", token].concat()))
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_goes_over_tls_or_stays_on_the_machine() {
        for server in [
            "https://k8s.example:6443/",
            "https://k8s.example/api",
            "http://localhost:8001",
            "http://127.0.0.1:8001/",
            "http://[::1]:8001",
        ] {
            let kept = checked(server).unwrap();
            assert_eq!(kept, server.trim_end_matches('/'));
        }
        for server in [
            "http://localhost:80@evil.example/",
            "http://127.0.0.1:80@evil.example",
            "https://user@k8s.example",
            "http://localhost.evil.example",
            "http://10.0.0.1",
            "https://k8s.example?x=1",
            "k8s.example",
            "",
        ] {
            assert!(checked(server).is_err(), "{server}");
        }
    }

    #[test]
    fn what_cannot_stand_in_a_header_is_refused_and_not_shown() {
        for bad in ["", "hunter2\nanother", "hunter2 x"] {
            let refused = bearer(&Secret::from(bad.to_owned())).unwrap_err();
            assert!(refused.to_string().contains("token"), "{refused}");
            assert!(!refused.to_string().contains("hunter2"), "{refused}");
        }
        let good = bearer(&Secret::from("abc.def\n".to_owned())).unwrap();
        assert_eq!(good.expose(), b"Bearer abc.def");
    }
}
