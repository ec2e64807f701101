use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::RsaScheme;

/// `[keys.aws]`: AWS KMS. What is not said here comes from the environment and
/// from the files of AWS' own tools, credentials always do.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Aws {
    /// `https://host[:port]`, where not the region's own; `http://` for this
    /// machine alone.
    pub endpoint: Option<String>,
    /// The region of keys that are not named by their ARN.
    pub region: Option<String>,
    /// The profile that region and credentials come from. It comes before
    /// credentials in the environment.
    pub profile: Option<String>,
    /// Certificates of the authorities that the endpoint may have its own
    /// from, PEM, beside the system's.
    pub ca: Option<PathBuf>,
    /// The scheme that RSA keys sign under, where the URI names none.
    pub rsa: Option<RsaScheme>,
}

impl Aws {
    /// The same, with relative files taken from `base`.
    pub(super) fn placed_in(mut self, base: &Path) -> Self {
        self.ca = self.ca.map(|ca| base.join(ca));
        self
    }
}
