use std::path::PathBuf;
use std::sync::Arc;

use super::Global;
use crate::config::{Config, Environment};
use crate::ops::keyring::{self, Keyring, Notices};
use crate::ops::{Failure, SystemClock};
use crate::time::{Clock, Timestamp};

/// What every command knows of its process: environment, configuration, time.
#[derive(Debug)]
pub struct Context {
    /// The environment at start.
    pub environment: Environment,
    /// Whether no network connection may be opened.
    pub offline: bool,
    config_file: Option<PathBuf>,
}

impl Context {
    /// From the global options and the process.
    pub fn new(global: &Global) -> Self {
        Self {
            environment: Environment::of_process(),
            offline: global.offline,
            config_file: global.config.clone(),
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

    /// The present time.
    pub fn now(&self) -> Timestamp {
        SystemClock.now()
    }
}
