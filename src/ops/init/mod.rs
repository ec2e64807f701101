//! A place for keys: configuration, keystore, audit log, first policy.

use std::fs::DirBuilder;
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::Serialize;

use super::{Exit, Failure, SystemClock};
use crate::audit;
use crate::config::{Config, Environment};
use crate::custody::Caller;
use crate::durable::{self, Existing, FileError};
use crate::keys;
use crate::secret::Secret;

const CONFIG: &str = include_str!("obreia.toml");
const POLICY: &str = include_str!("policy.yaml");

/// What was made.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Made {
    /// The configuration.
    pub config: PathBuf,
    /// The state folder.
    pub state: PathBuf,
    /// The first policy; `None` beside a configuration that was there before.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub policy: Option<PathBuf>,
}

/// Makes `dir/obreia.toml`, `dir/state/` and `dir/policies/first.yaml`. The
/// configuration comes last: where it stands, the rest does too. Beside a
/// configuration that somebody wrote, which has no state folder yet, that
/// folder alone is made.
///
/// `passphrase` is asked for once nothing is known to be in the way.
///
/// # Errors
/// Where any of it exists, which is left as it is, or cannot be written.
pub async fn init(
    dir: &Path,
    passphrase: impl FnOnce(&Path) -> Result<Secret, Failure>,
    caller: &Caller,
) -> Result<Made, Failure> {
    let policy = dir.join("policies/first.yaml");
    let made = Made {
        config: dir.join("obreia.toml"),
        state: dir.join("state"),
        policy: Some(policy.clone()),
    };
    if made.config.is_file() {
        let config = Config::load(Some(&made.config), &Environment::default())?;
        let state = config.state_dir()?.to_owned();
        if !audit::begun(&state) {
            let passphrase = passphrase(&state)?;
            keys::init(&state, &passphrase, caller, Arc::new(SystemClock)).await?;
            return Ok(Made {
                config: made.config,
                state,
                policy: None,
            });
        }
    }
    for path in [&made.config, &made.state] {
        if path.symlink_metadata().is_ok() {
            return Err(Failure::new(
                Exit::Usage,
                format!("{} exists already", path.display()),
            )
            .hint(if path == &made.config {
                "nothing was changed; use it as it is, or name another folder"
            } else {
                "nothing was changed; if an earlier init was interrupted and no key was made yet, remove that folder and run init again"
            }));
        }
    }
    let passphrase = passphrase(&made.state)?;
    make_folder(dir, 0o755)?;
    keys::init(&made.state, &passphrase, caller, Arc::new(SystemClock)).await?;
    make_folder(&dir.join("policies"), 0o755)?;
    match durable::write(&policy, POLICY.as_bytes(), 0o644, Existing::Refuse) {
        // A policy that somebody wrote before is theirs.
        Ok(()) | Err(FileError::Exists(_)) => {}
        Err(e) => return Err(e.into()),
    }
    durable::write(&made.config, CONFIG.as_bytes(), 0o644, Existing::Refuse)?;
    Ok(made)
}

fn make_folder(dir: &Path, mode: u32) -> Result<(), Failure> {
    match DirBuilder::new().mode(mode).create(dir) {
        Ok(()) => Ok(()),
        Err(e) if e.kind() == io::ErrorKind::AlreadyExists && dir.is_dir() => Ok(()),
        Err(e) => Err(
            Failure::new(Exit::Usage, format!("cannot make {}", dir.display()))
                .cause(e)
                .hint("name a folder whose parent exists and can be written"),
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_valid() {
        let config = Config::parse(Path::new("/x/obreia.toml"), CONFIG.as_bytes()).unwrap();
        assert_eq!(config.state_dir().unwrap(), Path::new("/x/state"));
        assert_eq!(
            config.policy.files,
            [PathBuf::from("/x/policies/first.yaml")]
        );
        crate::policy::Document::parse("first.yaml", POLICY.as_bytes()).unwrap();
    }
}
