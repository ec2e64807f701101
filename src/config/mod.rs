//! `obreia.toml`: found, read strictly, and able to say where each value is from.
//!
//! The tree of this module mirrors the file: one section, one struct.

mod find;
mod refusal;

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

pub use crate::environment::{Environment, SecretError, SecretSource};
pub use find::candidates;

use crate::durable;
use crate::keys::Keys;
use crate::limits;
pub use crate::source::registry::Settings as Registries;

/// The configuration in force.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Config {
    /// The file it was read from; `None` when there is none and defaults hold.
    pub file: Option<PathBuf>,
    /// `[state]`
    pub state: State,
    /// `[keystore]`
    pub keystore: Keystore,
    /// `[policy]`
    pub policy: Policy,
    /// `[keys]`
    pub keys: Keys,
    /// `[registries]`
    pub registries: Registries,
}

/// Where obreia keeps what must not be lost.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct State {
    /// Folder of the keystore and the audit log; relative to the configuration file.
    pub dir: Option<PathBuf>,
}

/// The embedded keystore.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Keystore {
    /// Where its passphrase comes from, if it need not be asked for.
    pub passphrase: Option<SecretSource>,
}

/// Policies that hold where a command names none.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Policy {
    /// Policy files; relative to the configuration file.
    #[serde(default)]
    pub files: Vec<PathBuf>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Document {
    version: u32,
    #[serde(default)]
    state: State,
    #[serde(default)]
    keystore: Keystore,
    #[serde(default)]
    policy: Policy,
    #[serde(default)]
    keys: Keys,
    #[serde(default)]
    registries: Registries,
}

impl Config {
    /// Finds and reads the configuration.
    ///
    /// `named` is the file that the user named; without one the first that
    /// exists of `./obreia.toml`, the user's and `/etc/obreia/obreia.toml`
    /// holds, and where none does the defaults.
    ///
    /// # Errors
    /// Where a file that was named, or found, cannot be used.
    pub fn load(named: Option<&Path>, environment: &Environment) -> Result<Self, ConfigError> {
        let file = match named {
            Some(file) => file.to_owned(),
            None => match candidates(environment).into_iter().find(|f| f.exists()) {
                Some(file) => {
                    trust_found(&file)?;
                    file
                }
                None => return Ok(Self::default()),
            },
        };
        let bytes = durable::read(&file, limits::CONFIG)
            .map_err(|e| ConfigError::Unreadable(e.to_string()))?;
        Self::parse(&file, &bytes)
    }

    /// Reads a configuration file's text; relative paths in it are taken from the file's folder.
    ///
    /// # Errors
    /// Where it is not UTF-8, not TOML, of another version, or has an unknown key.
    pub fn parse(file: &Path, bytes: &[u8]) -> Result<Self, ConfigError> {
        let invalid = |why: String| ConfigError::Invalid {
            file: file.to_owned(),
            why,
        };
        let text = std::str::from_utf8(bytes).map_err(|_| invalid("not UTF-8".to_owned()))?;
        let document: Document =
            toml::from_str(text).map_err(|e| invalid(refusal::told(text, &e)))?;
        if document.version != 1 {
            return Err(invalid(format!(
                "version is {}, this obreia reads version 1",
                document.version
            )));
        }
        let base = match file.parent() {
            Some(parent) if !parent.as_os_str().is_empty() => parent.to_owned(),
            _ => PathBuf::from("."),
        };
        let mut config = Self {
            file: Some(file.to_owned()),
            state: document.state,
            keystore: document.keystore,
            policy: document.policy,
            keys: document.keys.placed_in(&base).placed(file, text),
            registries: document.registries.placed_in(&base),
        };
        config.state.dir =
            Some(base.join(config.state.dir.as_deref().unwrap_or(Path::new("state"))));
        for policy in &mut config.policy.files {
            *policy = base.join(&policy);
        }
        if let Some(SecretSource::File(path)) = &mut config.keystore.passphrase {
            *path = base.join(&path);
        }
        Ok(config)
    }

    /// The state folder.
    ///
    /// # Errors
    /// `NoState` where no configuration was found: a command that needs keys
    /// never makes up a place for them.
    pub fn state_dir(&self) -> Result<&Path, ConfigError> {
        self.state.dir.as_deref().ok_or(ConfigError::NoState)
    }
}

/// A file that was found rather than named must be the user's own, or root's,
/// and nobody else's to write: who can put an `obreia.toml` where somebody
/// works would choose his policies and keys.
fn trust_found(file: &Path) -> Result<(), ConfigError> {
    use std::os::unix::fs::MetadataExt;

    let found = file
        .metadata()
        .map_err(|e| ConfigError::Unreadable(e.to_string()))?;
    let user = rustix::process::geteuid().as_raw();
    let why = if found.uid() != user && found.uid() != 0 {
        format!("it belongs to user {}", found.uid())
    } else if found.mode() & 0o002 != 0 {
        "everybody may write it".to_owned()
    } else {
        return Ok(());
    };
    Err(ConfigError::NotOwn {
        file: file.to_owned(),
        why,
    })
}

/// Why there is no usable configuration.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ConfigError {
    /// A file could not be read.
    #[error("cannot read the file: {0}")]
    Unreadable(String),
    /// A file is not a configuration.
    #[error("{}: {why}", .file.display())]
    Invalid {
        /// The file.
        file: PathBuf,
        /// What is wrong, with line and column where known.
        why: String,
    },
    /// A file that was found, not named, is somebody else's.
    #[error("{} was found but is not used: {why}", .file.display())]
    NotOwn {
        /// The file.
        file: PathBuf,
        /// Whose it is.
        why: String,
    },
    /// Nothing says where the keystore is.
    #[error("no obreia.toml was found, so there is no keystore")]
    NoState,
}

impl ConfigError {
    /// What to do about it.
    pub const fn hint(&self) -> &'static str {
        match self {
            Self::Unreadable(_) => "check the path and its permissions",
            Self::Invalid { .. } => "docs/configuration.md lists every key",
            Self::NotOwn { .. } => "name it with --config if it is to hold, or make it your own",
            Self::NoState => {
                "run `obreia init DIR` and work in DIR, or name one with --config DIR/obreia.toml"
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Config, ConfigError> {
        Config::parse(Path::new("/etc/x/obreia.toml"), text.as_bytes())
    }

    #[test]
    fn paths_are_relative_to_the_file() {
        let config = parse("version = 1\n[policy]\nfiles = [\"p.yaml\"]\n").unwrap();
        assert_eq!(config.state_dir().unwrap(), Path::new("/etc/x/state"));
        assert_eq!(config.policy.files, [PathBuf::from("/etc/x/p.yaml")]);
    }

    #[test]
    fn refusals() {
        for bad in [
            "",
            "version = 2",
            "version = 1\nkeystroe = {}",
            "version = 1\n[keystore]\npassphrase = \"hunter2\"",
            "version = 1\n[keystore]\npassphrase = { file = \"a\", env = \"B\" }",
            "version = 1\nversion = 1",
        ] {
            assert!(
                matches!(parse(bad), Err(ConfigError::Invalid { .. })),
                "{bad}"
            );
        }
        assert_eq!(Config::default().state_dir(), Err(ConfigError::NoState));
    }
}
