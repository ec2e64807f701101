use std::path::PathBuf;
use std::sync::Arc;

use super::Global;
use crate::config::{Config, Environment};
use crate::ops::keyring::{self, Keyring, Notices};
use crate::ops::{Failure, SystemClock};
use crate::reference::ArtifactRef;
use crate::source::registry::{Access, Registries, Settings};
use crate::time::{Clock, Timestamp};

/// What every command knows of its process: environment, configuration, time.
#[derive(Debug)]
pub struct Context {
    /// The environment at start.
    pub environment: Environment,
    /// Whether no network connection may be opened.
    pub offline: bool,
    config_file: Option<PathBuf>,
    registry_auth: Option<PathBuf>,
    plain_http: Vec<String>,
}

impl Context {
    /// From the global options and the process.
    pub fn new(global: &Global) -> Self {
        Self {
            environment: Environment::of_process(),
            offline: global.offline,
            config_file: global.config.clone(),
            registry_auth: global.registry_auth.clone(),
            plain_http: global.plain_http.clone(),
        }
    }

    /// The configuration in force. Read when asked for, so that a command that
    /// needs none works beside a broken one.
    ///
    /// # Errors
    /// Where it is invalid (exit 3).
    pub fn config(&self) -> Result<Config, Failure> {
        Ok(Config::load(
            self.config_file.as_deref(),
            &self.environment,
        )?)
    }

    /// The keys that the configuration gives access to.
    ///
    /// # Errors
    /// Where it is invalid (exit 3).
    pub fn keyring(&self) -> Result<Keyring, Failure> {
        Ok(self.keyring_of(&self.config()?))
    }

    /// The keys that `config` gives access to.
    pub fn keyring_of(&self, config: &Config) -> Keyring {
        let mut settings = keyring::settings(config, &self.environment, self.offline);
        // This very program, even where its file was replaced since it started.
        settings.helper = Some(PathBuf::from("/proc/self/exe"));
        settings.notices = Notices::to(super::output::remark);
        Keyring::new(settings, Arc::new(SystemClock))
    }

    /// How registries are reached. The configuration is read only where
    /// `needed` says that a registry was named, so that a broken one is not in
    /// the way of anything else.
    ///
    /// # Errors
    /// Where it is invalid (exit 3).
    pub fn registries(&self, needed: bool) -> Result<Registries, Failure> {
        let settings = match needed {
            true => self.config()?.registries,
            false => Settings::default(),
        };
        Ok(Registries::new(Access {
            settings,
            auth_file: self.registry_auth.clone(),
            plain_http: self.plain_http.clone(),
            offline: self.offline,
            environment: self.environment.clone(),
        }))
    }

    /// The same for an artifact that was named.
    ///
    /// # Errors
    /// As [`Context::registries`].
    pub fn registries_of(&self, artifact: &ArtifactRef) -> Result<Registries, Failure> {
        self.registries(matches!(artifact, ArtifactRef::Registry { .. }))
    }

    /// The present time.
    pub fn now(&self) -> Timestamp {
        SystemClock.now()
    }
}
