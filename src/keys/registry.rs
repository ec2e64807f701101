//! The adapters, by name: the one place that knows them all, and the features
//! that they need.

use std::sync::Arc;

use super::{KeyFault, Settings, env, file};
use crate::reference::KeyRef;
use crate::time::Clock;

/// What an adapter is seen as: a build that only verifies reads public keys.
#[cfg(feature = "sign")]
pub(super) type Adapter = dyn super::KeyProvider;
#[cfg(not(feature = "sign"))]
pub(super) type Adapter = dyn super::KeyReader;

/// The schemes of our own providers, in whatever build: none is a plugin's.
#[cfg(feature = "sign")]
const TAKEN: &[&str] = &[
    "awskms",
    "azurekms",
    "env",
    "file",
    "gcpkms",
    "hashivault",
    "k8s",
    "kms",
    "openbao",
    "pkcs11",
    "vault",
];

/// All adapters of this build, and what they share.
pub(super) struct Registered {
    pub(super) adapters: Vec<Box<Adapter>>,
    #[cfg(feature = "sign")]
    pub(super) known: super::known::KnownKeys,
}

#[cfg(feature = "sign")]
pub(super) fn open(settings: &Settings, clock: &Arc<dyn Clock>) -> Registered {
    let context = super::context::Context::new(settings, clock);
    let keys = &settings.keys;
    let mut adapters: Vec<Box<Adapter>> = vec![
        Box::new(file::FileKeys),
        Box::new(env::EnvKeys::new(&settings.environment)),
        Box::new(super::k8s::K8sKeys::new(&context, &keys.k8s)),
        Box::new(super::vault::VaultKeys::new(keys, &context)),
    ];
    #[cfg(feature = "aws")]
    adapters.push(Box::new(super::aws::AwsKeys::new(settings, &context)));
    if let Some(state) = &settings.state {
        let keys = super::embedded::EmbeddedKeys::new(state, Arc::clone(clock));
        adapters.push(Box::new(keys));
    }
    #[cfg(feature = "azure")]
    adapters.push(Box::new(super::azure::AzureKeys::new(
        &settings.keys.azure,
        &context,
    )));
    #[cfg(feature = "gcp")]
    adapters.push(Box::new(super::gcp::GcpKeys::new(&keys.gcp, &context)));
    adapters.push(Box::new(super::pkcs11::Pkcs11Keys::new(
        settings,
        context.clone(),
    )));
    // Last: what nobody else answers to.
    adapters.push(Box::new(super::plugin::PluginKeys::new(
        &context,
        &keys.plugin,
        settings,
        TAKEN,
    )));
    Registered {
        adapters,
        known: context.known,
    }
}

#[cfg(not(feature = "sign"))]
pub(super) fn open(settings: &Settings, _: &Arc<dyn Clock>) -> Registered {
    Registered {
        adapters: vec![
            Box::new(file::FileKeys),
            Box::new(env::EnvKeys::new(&settings.environment)),
        ],
    }
}

/// Why no adapter answers to `key`.
pub(super) fn absent(key: &KeyRef) -> KeyFault {
    let shown = key.to_string();
    match key {
        KeyRef::Kms { .. } => KeyFault::NoKeystore(shown),
        KeyRef::File(_) => KeyFault::NoProvider(shown),
        KeyRef::Provider { scheme, .. } => match feature(scheme) {
            Some(feature) => KeyFault::NotCompiled {
                scheme: scheme.clone(),
                feature,
            },
            None => KeyFault::NoProvider(shown),
        },
    }
}

/// The feature that a scheme's provider stands behind.
fn feature(scheme: &str) -> Option<&'static str> {
    match scheme {
        "awskms" => Some("aws"),
        "azurekms" => Some("azure"),
        "gcpkms" => Some("gcp"),
        _ => None,
    }
}
