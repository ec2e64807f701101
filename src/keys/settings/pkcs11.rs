use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::RsaScheme;
use crate::environment::SecretSource;

/// `[keys.pkcs11]`: HSMs and smart cards.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Pkcs11 {
    /// The module that holds where a URI names none; with only one that is
    /// it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub module: Option<String>,
    /// `[keys.pkcs11.modules.NAME]`
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub modules: BTreeMap<String, Pkcs11Module>,
}

/// One vendor's library.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Pkcs11Module {
    /// The shared library; relative to the configuration file.
    pub path: PathBuf,
    /// Where the PIN of its tokens is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pin: Option<SecretSource>,
    /// How many calls it may have at once; 1 for one that is not thread-safe.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub threads: Option<usize>,
    /// Environment variables that it gets to see beyond the usual ones;
    /// `PREFIX_*` are all that begin so.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub environment: Vec<String>,
    /// The scheme that its RSA keys sign under: `rsa-pkcs1-sha256` unless
    /// another is named.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rsa: Option<RsaScheme>,
}

impl Pkcs11 {
    /// The same, with relative files taken from `base`.
    #[must_use]
    pub fn placed_in(mut self, base: &Path) -> Self {
        for module in self.modules.values_mut() {
            module.path = base.join(&module.path);
            module.pin = module.pin.take().map(|pin| pin.placed_in(base));
        }
        self
    }
}
