use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::RsaScheme;

/// `[keys.gcp]`: Google Cloud KMS. Everything has the default that Google's own
/// tools have.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Gcp {
    /// The service's address instead of Google's: `https://host`, or `http://`
    /// at a loopback address.
    pub endpoint: Option<String>,
    /// A credentials file, instead of `GOOGLE_APPLICATION_CREDENTIALS` and what
    /// `gcloud` left.
    pub credentials_file: Option<PathBuf>,
    /// The project that pays, instead of `GOOGLE_CLOUD_QUOTA_PROJECT`.
    pub quota_project: Option<String>,
    /// Certificates of further authorities to believe at `endpoint`, PEM.
    pub ca: Option<PathBuf>,
    /// What RSA keys that are made sign under. One that is there has its
    /// scheme from Google.
    pub rsa: Option<RsaScheme>,
}

impl Gcp {
    /// The same, with relative files taken from `base`.
    #[must_use]
    pub fn placed_in(mut self, base: &Path) -> Self {
        for file in [&mut self.credentials_file, &mut self.ca] {
            *file = file.as_ref().map(|file| base.join(file));
        }
        self
    }
}
