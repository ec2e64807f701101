use std::time::Duration;

use crate::environment::Environment;
use crate::secret::Secret;

/// How connections are made.
#[derive(Debug)]
pub struct Options {
    /// No socket is opened.
    pub offline: bool,
    /// Certificates of further authorities, PEM, beside the system's.
    pub authorities: Vec<Vec<u8>>,
    /// Those alone count, and the system's do not.
    pub only_these: bool,
    /// A client certificate with its private key, both PEM, one after the other.
    pub identity: Option<Secret>,
    /// How long a connection may take to come about.
    pub connect: Duration,
    /// Where `HTTPS_PROXY`, `ALL_PROXY` and `NO_PROXY` are looked up.
    pub environment: Environment,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            offline: false,
            authorities: Vec::new(),
            only_these: false,
            identity: None,
            connect: Duration::from_secs(5),
            environment: Environment::of_process(),
        }
    }
}
