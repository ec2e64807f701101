use std::path::PathBuf;
use std::time::Duration;

use super::{PluginKeys, scheme_of};
use crate::crypto::{PublicKey, Scheme};
use crate::keys::KeyFault;
use crate::limits;
use crate::reference::KeyRef;
use crate::trust::TrustedKey;

/// What a URI means to a plugin.
pub(super) struct Target {
    /// As it is written: the rest of the program's name.
    pub(super) scheme: String,
    /// What follows `://`, without `?version=N`.
    pub(super) resource: String,
    pub(super) version: Option<u32>,
    /// The URI as messages show it, without a version.
    shown: String,
    pub(super) program: Option<PathBuf>,
    pub(super) timeout: Option<Duration>,
    rsa: Option<Scheme>,
}

impl PluginKeys {
    pub(super) fn target(&self, key: &KeyRef) -> Result<Target, KeyFault> {
        let whole = key.without_version();
        let shown = whole.to_string();
        let KeyRef::Provider { scheme, uri } = &whole else {
            return Err(KeyFault::NoProvider(shown));
        };
        let bad = |why: &str| KeyFault::BadUri {
            uri: shown.clone(),
            why: why.to_owned(),
        };
        if self.taken.contains(&scheme.as_str()) {
            return Err(KeyFault::NoProvider(shown));
        }
        let Some((written, resource)) = uri.split_once("://") else {
            return Err(KeyFault::NoProvider(shown));
        };
        // It becomes part of a file's name.
        let inner = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'+' | b'-' | b'.' | b'_');
        let first = written.bytes().next();
        if written.len() > 64
            || !first.is_some_and(|b| b.is_ascii_alphanumeric())
            || !written.bytes().all(inner)
        {
            return Err(bad(
                "a scheme is a letter or digit, then letters, digits, +, -, . and _",
            ));
        }
        if resource.is_empty() || resource.len() > limits::PLUGIN_KEY {
            return Err(bad(&format!(
                "between :// and {} bytes later stands the key's name",
                limits::PLUGIN_KEY
            )));
        }
        let settings = self.settings.get(scheme).cloned().unwrap_or_default();
        Ok(Target {
            scheme: written.to_owned(),
            resource: resource.to_owned(),
            version: key.version(),
            shown,
            program: settings.program,
            timeout: settings
                .timeout_seconds
                .map(|seconds| Duration::from_secs(seconds.into())),
            rsa: settings.rsa.map(|rsa| rsa.0),
        })
    }
}

impl Target {
    pub(super) fn scheme_of(&self, public: &PublicKey) -> Scheme {
        scheme_of(public, self.rsa)
    }

    pub(super) fn trusted(&self, public: PublicKey) -> TrustedKey {
        TrustedKey {
            scheme: self.scheme_of(&public),
            version: self.version,
            ..TrustedKey::bare(public, self.shown.clone())
        }
    }
}
