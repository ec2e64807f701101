use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::environment::SecretSource;

/// `[registries]`: how registries are reached. What is not said here is as
/// Docker's own configuration has it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Settings {
    /// Credentials in the form of Docker's `config.json`, instead of the user's.
    pub auth_file: Option<PathBuf>,
    /// Hosts, with their ports, that are spoken to without TLS.
    pub plain_http: Vec<String>,
    /// Hosts of this machine, with their ports, that are spoken to with TLS.
    pub tls: Vec<String>,
    /// Certificates of further authorities, PEM, beside the system's.
    pub authorities: Vec<PathBuf>,
    /// What connections show a registry, by its host, with its port; nobody
    /// else sees it, wherever that registry sends us.
    pub client: BTreeMap<String, Client>,
}

/// A TLS client certificate.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Client {
    /// The certificate and those that lead to its authority, PEM.
    pub certificate: PathBuf,
    /// Its private key, PEM.
    pub key: SecretSource,
}

impl Settings {
    /// The same with relative paths taken from `base`.
    #[must_use]
    pub fn placed_in(mut self, base: &Path) -> Self {
        let place = |path: &mut PathBuf| *path = base.join(&path);
        self.auth_file.iter_mut().for_each(place);
        self.authorities.iter_mut().for_each(place);
        let placed = |client: Client| Client {
            certificate: base.join(client.certificate),
            key: client.key.placed_in(base),
        };
        self.client = self
            .client
            .into_iter()
            .map(|(host, client)| (host, placed(client)))
            .collect();
        self
    }
}
