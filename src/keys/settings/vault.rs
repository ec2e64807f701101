use std::path::{Path, PathBuf};

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::crypto::Scheme;
use crate::environment::SecretSource;

/// `[keys.vault]`: Vault or OpenBao, and its transit engine. What is not said
/// here comes from the environment, as Vault's own tools have it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Vault {
    /// `https://host:8200`.
    pub address: Option<String>,
    /// Where the transit engine is mounted.
    pub mount: Option<String>,
    /// The namespace of the mount and of the login.
    pub namespace: Option<String>,
    /// Certificates of the authorities that the server may have its own from,
    /// PEM, beside the system's.
    pub ca: Option<PathBuf>,
    /// What the connection itself shows the server.
    pub client: Option<ClientCertificate>,
    /// The scheme that RSA keys sign under, where the URI names none.
    pub rsa: Option<RsaScheme>,
    /// Whether `http://` to another machine may carry the token in clear.
    pub allow_http: bool,
    /// How to log in.
    pub auth: Option<VaultAuth>,
}

/// A TLS client certificate.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ClientCertificate {
    /// The certificate and those that lead to its authority, PEM.
    pub certificate: PathBuf,
    /// Its private key, PEM.
    pub key: SecretSource,
}

/// A way to get a token.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "method", rename_all = "lowercase", deny_unknown_fields)]
pub enum VaultAuth {
    /// A token that is there already.
    Token {
        /// The token. A file is read again when the token in it ran out.
        token: SecretSource,
    },
    /// `AppRole`.
    AppRole {
        /// Where the method is mounted; `approle`.
        mount: Option<String>,
        /// The role's id.
        role_id: SecretSource,
        /// The role's secret id, where the role wants one.
        secret_id: Option<SecretSource>,
    },
    /// A JSON Web Token of some issuer.
    Jwt {
        /// Where the method is mounted; `jwt`.
        mount: Option<String>,
        /// The role, where not the default one.
        role: Option<String>,
        /// The JSON Web Token.
        jwt: SecretSource,
    },
    /// The service account of a Kubernetes pod.
    Kubernetes {
        /// Where the method is mounted; `kubernetes`.
        mount: Option<String>,
        /// The role.
        role: String,
        /// The service account's token, where not in its usual file.
        jwt: Option<SecretSource>,
    },
    /// The TLS client certificate.
    Cert {
        /// Where the method is mounted; `cert`.
        mount: Option<String>,
        /// The role, where not any that fits.
        role: Option<String>,
    },
}

/// A scheme of RSA keys: `rsa-pkcs1-sha256`, `rsa-pss-sha256`, ….
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RsaScheme(pub(in crate::keys) Scheme);

impl RsaScheme {
    /// The scheme of that name, where it is one of RSA keys.
    pub(in crate::keys) fn from_name(name: &str) -> Option<Self> {
        Scheme::from_name(name)
            .filter(|scheme| matches!(scheme, Scheme::RsaPkcs1(_) | Scheme::RsaPss(_)))
            .map(Self)
    }
}

impl Serialize for RsaScheme {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for RsaScheme {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let name = String::deserialize(deserializer)?;
        Self::from_name(&name).ok_or_else(|| {
            serde::de::Error::custom(format!(
                "{name:?} is none of rsa-pkcs1-sha256, rsa-pkcs1-sha384, rsa-pkcs1-sha512, rsa-pss-sha256, rsa-pss-sha384, rsa-pss-sha512"
            ))
        })
    }
}

impl Vault {
    /// Where its secrets are, with the key of each.
    pub(super) fn secrets(&self) -> Vec<(String, SecretSource)> {
        let client = self
            .client
            .as_ref()
            .map(|client| ("client.key", &client.key));
        let auth = match &self.auth {
            None | Some(VaultAuth::Cert { .. }) => Vec::new(),
            Some(VaultAuth::Token { token }) => vec![("auth.token", token)],
            Some(VaultAuth::AppRole {
                role_id, secret_id, ..
            }) => {
                let mut both = vec![("auth.role_id", role_id)];
                both.extend(secret_id.as_ref().map(|id| ("auth.secret_id", id)));
                both
            }
            Some(VaultAuth::Jwt { jwt, .. }) => vec![("auth.jwt", jwt)],
            Some(VaultAuth::Kubernetes { jwt, .. }) => {
                let jwt = jwt.as_ref().map(|jwt| ("auth.jwt", jwt));
                jwt.into_iter().collect()
            }
        };
        let all = client.into_iter().chain(auth);
        all.map(|(key, source)| (format!("keys.vault.{key}"), source.clone()))
            .collect()
    }

    /// The same, with relative files taken from `base`.
    pub(super) fn placed_in(mut self, base: &Path) -> Self {
        self.ca = self.ca.map(|ca| base.join(ca));
        self.client = self.client.map(|client| ClientCertificate {
            certificate: base.join(client.certificate),
            key: client.key.placed_in(base),
        });
        self.auth = self.auth.map(|auth| auth.placed_in(base));
        self
    }
}

impl VaultAuth {
    fn placed_in(self, base: &Path) -> Self {
        let from = |source: SecretSource| source.placed_in(base);
        match self {
            Self::Token { token } => Self::Token { token: from(token) },
            Self::AppRole {
                mount,
                role_id,
                secret_id,
            } => Self::AppRole {
                mount,
                role_id: from(role_id),
                secret_id: secret_id.map(from),
            },
            Self::Jwt { mount, role, jwt } => Self::Jwt {
                mount,
                role,
                jwt: from(jwt),
            },
            Self::Kubernetes { mount, role, jwt } => Self::Kubernetes {
                mount,
                role,
                jwt: jwt.map(from),
            },
            Self::Cert { mount, role } => Self::Cert { mount, role },
        }
    }
}
