use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::RsaScheme;
use crate::environment::SecretSource;

/// `[keys.azure]`: Azure Key Vault and Managed HSM. Everything has the default
/// that Microsoft's own tools have; secrets stand elsewhere.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Azure {
    /// Where vaults are asked instead of at their own names: `https://host`,
    /// or `http://` at a loopback address.
    pub endpoint: Option<String>,
    /// Where to log in instead of `AZURE_AUTHORITY_HOST`, same forms.
    pub authority: Option<String>,
    /// How to log in; without it, the first way that is set up.
    pub login: Option<AzureLogin>,
    /// The tenant, instead of `AZURE_TENANT_ID`.
    pub tenant_id: Option<String>,
    /// The application or user-assigned identity, instead of `AZURE_CLIENT_ID`.
    pub client_id: Option<String>,
    /// The application's secret, instead of `AZURE_CLIENT_SECRET`.
    pub client_secret: Option<SecretSource>,
    /// The file of a federated token, instead of `AZURE_FEDERATED_TOKEN_FILE`.
    pub federated_token_file: Option<PathBuf>,
    /// Certificates of further authorities to believe, PEM.
    pub ca: Option<PathBuf>,
    /// The scheme that RSA keys sign under, where the URI names none.
    pub rsa: Option<RsaScheme>,
}

/// A way to log in to Microsoft Entra.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum AzureLogin {
    /// An application's id and secret.
    ClientSecret,
    /// A federated token in a file, as Kubernetes and CI services give it.
    WorkloadIdentity,
    /// The identity of the machine.
    ManagedIdentity,
    /// Whoever is logged in to `az`.
    Cli,
}

impl Azure {
    /// The same, with relative files taken from `base`.
    #[must_use]
    pub fn placed_in(mut self, base: &Path) -> Self {
        self.client_secret = self.client_secret.map(|secret| secret.placed_in(base));
        for file in [&mut self.federated_token_file, &mut self.ca] {
            *file = file.as_ref().map(|file| base.join(file));
        }
        self
    }
}
