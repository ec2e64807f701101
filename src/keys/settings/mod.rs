//! What keys are to be had from where. The tree of this module mirrors
//! `[keys]` in the configuration and the folders of the providers.

mod aws;
mod azure;
mod gcp;
mod k8s;
mod pkcs11;
mod plugin;
mod rules;
mod vault;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::Notices;
use crate::environment::{Environment, SecretSource};

pub use aws::Aws;
pub use azure::{Azure, AzureLogin};
pub use gcp::Gcp;
pub use k8s::K8s;
pub use pkcs11::{Pkcs11, Pkcs11Module};
pub use plugin::Plugin;
pub(super) use rules::with_version;
pub use rules::{Aliases, Hit, Rule, Rules};
pub use vault::{ClientCertificate, RsaScheme, Vault, VaultAuth};

/// What a keyring is made from.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The state folder that `obreia init` made: `keystore.db` and the audit
    /// log lie in it. Without one there are key files and other providers'
    /// keys alone, and what they sign is not recorded.
    pub state: Option<PathBuf>,
    /// How long a provider may take for one signature.
    pub deadline: Duration,
    /// No network connection may be opened.
    pub offline: bool,
    /// The process's environment: where providers' own tools look for
    /// addresses and credentials.
    pub environment: Environment,
    /// The program that is started to hold a PKCS#11 module, which is obreia
    /// itself; without one there are no keys in HSMs.
    pub helper: Option<PathBuf>,
    /// `[keys]`
    pub keys: Keys,
    /// Environment variables that hold secrets by the configuration's word:
    /// no plugin sees them.
    pub withheld: Vec<String>,
    /// Where words of providers go that are meant for a person.
    pub notices: Notices,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            state: None,
            deadline: Duration::from_secs(30),
            offline: false,
            environment: Environment::default(),
            helper: None,
            keys: Keys::default(),
            withheld: Vec::new(),
            notices: Notices::default(),
        }
    }
}

/// `[keys]`: the providers, and which names are theirs.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Keys {
    /// `[keys.aws]`
    pub aws: Aws,
    /// `[keys.k8s]`
    pub k8s: K8s,
    /// `[keys.pkcs11]`
    pub pkcs11: Pkcs11,
    /// `[[keys.rule]]`: which names are another provider's.
    #[serde(rename = "rule")]
    pub rules: Rules,
    /// `[keys.alias]`: short names.
    #[serde(rename = "alias")]
    pub aliases: Aliases,
    /// `[keys.vault]`
    pub vault: Vault,
    /// `[keys.azure]`
    pub azure: Azure,
    /// `[keys.gcp]`
    pub gcp: Gcp,
    /// `[keys.plugin.NAME]`
    pub plugin: BTreeMap<String, Plugin>,
}

impl Keys {
    /// The same, with relative files taken from `base`.
    #[must_use]
    pub fn placed_in(mut self, base: &Path) -> Self {
        self.azure = self.azure.placed_in(base);
        self.gcp = self.gcp.placed_in(base);
        self.pkcs11 = self.pkcs11.placed_in(base);
        self.aws = self.aws.placed_in(base);
        for plugin in self.plugin.values_mut() {
            *plugin = std::mem::take(plugin).placed_in(base);
        }
        self.k8s = self.k8s.placed_in(base);
        self.vault = self.vault.placed_in(base);
        self
    }

    /// Where the secrets are that are named here, with the key of each.
    pub fn secrets(&self) -> Vec<(String, SecretSource)> {
        let mut found = self.vault.secrets();
        if let Some(secret) = &self.azure.client_secret {
            found.push(("keys.azure.client_secret".to_owned(), secret.clone()));
        }
        for (name, module) in &self.pkcs11.modules {
            if let Some(pin) = &module.pin {
                found.push((format!("keys.pkcs11.modules.{name}.pin"), pin.clone()));
            }
        }
        found
    }

    /// The same, with rules that name their line in `file`, which holds `text`.
    #[must_use]
    pub fn placed(self, file: &Path, text: &str) -> Self {
        Self {
            rules: self.rules.placed(file, text),
            ..self
        }
    }
}
