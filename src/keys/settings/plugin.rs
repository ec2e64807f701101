use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::RsaScheme;

/// `[keys.plugin.NAME]`: the plugin that answers to `NAME://`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default, rename_all = "kebab-case")]
pub struct Plugin {
    /// The program; without it `sigstore-kms-NAME` in a folder of `PATH`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub program: Option<PathBuf>,
    /// The scheme that its RSA keys sign under, as `rsa-pss-sha256`; without
    /// it Sigstore's convention, `rsa-pkcs1-sha256`. The protocol does not say.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rsa: Option<RsaScheme>,
    /// How long one run may take, in seconds; never longer than any provider
    /// may (30).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub timeout_seconds: Option<u16>,
}

impl Plugin {
    /// The same, with a relative program taken from `base`.
    #[must_use]
    pub fn placed_in(mut self, base: &Path) -> Self {
        if let Some(program) = &mut self.program {
            *program = base.join(&program);
        }
        self
    }
}
