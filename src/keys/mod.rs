//! Keys: opened, used and administered through one pipeline.
//!
//! Providers are adapters, private to this module. Everybody else sees
//! [`Keyring`] and [`Key`]; each use of a key goes *custody → audit intent
//! durable → deadline(provider) → self-check → audit outcome*, and nothing
//! hands out a signer without it.

mod env;
mod fault;
mod file;
mod keyring;
mod notices;
mod reader;
mod registry;
mod route;
mod settings;

#[cfg(feature = "sign")]
mod administer;
#[cfg(feature = "aws")]
mod aws;
#[cfg(feature = "azure")]
mod azure;
#[cfg(feature = "sign")]
mod context;
#[cfg(feature = "sign")]
mod deadline;
#[cfg(feature = "sign")]
mod embedded;
#[cfg(feature = "sign")]
mod examine;
#[cfg(feature = "sign")]
mod expiry;
#[cfg(feature = "gcp")]
mod gcp;
#[cfg(feature = "sign")]
mod harden;
#[cfg(feature = "sign")]
mod id;
#[cfg(feature = "sign")]
mod k8s;
#[cfg(feature = "sign")]
mod key;
#[cfg(feature = "sign")]
mod known;
#[cfg(feature = "sign")]
mod naming;
#[cfg(any(feature = "azure", feature = "gcp"))]
mod noted;
#[cfg(feature = "sign")]
mod open;
#[cfg(feature = "sign")]
mod pkcs11;
#[cfg(feature = "sign")]
mod plugin;
#[cfg(feature = "sign")]
mod port;
#[cfg(feature = "sign")]
mod prehash;
#[cfg(feature = "sign")]
mod provenance;
#[cfg(feature = "sign")]
mod record;
#[cfg(feature = "sign")]
mod said;
#[cfg(feature = "sign")]
mod software;
#[cfg(feature = "sign")]
mod uri;
#[cfg(feature = "sign")]
mod vault;

#[cfg(not(feature = "sign"))]
#[path = "deadline_absent.rs"]
mod deadline;

#[cfg(test)]
#[cfg(feature = "sign")]
mod contract;
#[cfg(test)]
#[cfg(feature = "sign")]
mod keeping;
#[cfg(test)]
#[cfg(feature = "sign")]
mod matrix_tests;
#[cfg(test)]
#[cfg(feature = "sign")]
mod pipeline_tests;
#[cfg(test)]
#[cfg(feature = "sign")]
mod route_tests;
#[cfg(any(feature = "azure", feature = "gcp"))]
#[cfg(test)]
#[allow(dead_code)]
#[path = "../../tests/it/keys/standin/mod.rs"]
mod standin;

pub use fault::{Damage, FaultClass, KeyFault, Stored};
pub use keyring::Keyring;
pub use notices::Notices;
pub use reader::KeyReader;
pub use route::{ByRule, Route};
pub use settings::{
    Aliases, Aws, Azure, AzureLogin, ClientCertificate, Gcp, Hit, K8s, Keys, Pkcs11, Pkcs11Module,
    Plugin, RsaScheme, Rule, Rules, Settings, Vault, VaultAuth,
};

#[cfg(feature = "sign")]
pub use administer::{Administer, NewKey};
#[cfg(feature = "sign")]
pub use embedded::{Restored, init};
#[cfg(feature = "sign")]
pub use key::{Key, Operation, Performed, Probed, SignInput, Signed};
#[cfg(feature = "sign")]
pub use pkcs11::host as host_pkcs11_module;
#[cfg(feature = "sign")]
pub use plugin::protocol as plugin_protocol;
#[cfg(feature = "sign")]
pub use port::{
    Capabilities, DescribeKey, Described, DescribedVersion, GenerateKey, ImportKey, KeyProvider,
    Lifecycle, Locked, PrehashSigner, RetireVersion, RotateKey, Signer, Unlock, UnlockError,
    Warning,
};

/// A future that a port's method returns, boxed so that ports are objects.
pub type BoxFuture<'a, T> = std::pin::Pin<Box<dyn Future<Output = T> + Send + 'a>>;
