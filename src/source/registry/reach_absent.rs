//! Without a client: every registry is refused by name.

use std::path::PathBuf;

use super::Settings;
use crate::environment::Environment;

/// How registries are reached by this process.
#[derive(Clone, Debug, Default)]
pub struct Access {
    /// What the configuration says.
    pub settings: Settings,
    /// Credentials that were named on the command line.
    pub auth_file: Option<PathBuf>,
    /// Hosts, with their ports, that are spoken to without TLS, beside those of
    /// the configuration.
    pub plain_http: Vec<String>,
    /// No connection may be opened.
    pub offline: bool,
    /// The environment at start.
    pub environment: Environment,
}

/// The registries of this process: none.
#[derive(Debug, Default)]
pub struct Registries;

impl Registries {
    /// None.
    pub fn new(_access: Access) -> Self {
        Self
    }
}
