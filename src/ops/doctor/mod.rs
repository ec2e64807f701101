//! What works, what does not, and what will not for long: looked at before
//! somebody needs it. Only keys that are to be tried are used, as on record
//! as any use.

mod audit;
mod config;
mod keys;
mod keystore;
mod policies;
pub mod registry;
mod report;
mod unlocking;

use std::path::Path;

pub use report::{Check, Finding, Group, KeySeen, Latency, Report};

use super::Failure;
use crate::config::{Config, Environment};
use crate::custody::Caller;
use crate::keys::{Keyring, Unlock};
use crate::reference::KeyRef;

/// What is to be looked at, and by whom.
pub struct Request<'a> {
    /// The groups.
    pub groups: &'a [Group],
    /// The keys; none are all that are configured.
    pub keys: &'a [KeyRef],
    /// Whether to sign with keys.
    pub probe: bool,
    /// The configuration, or why there is none that can be used.
    pub config: Result<&'a Config, Failure>,
    /// The keys that it gives access to.
    pub keyring: &'a Keyring,
    /// The environment that secrets may be in.
    pub environment: &'a Environment,
    /// Who asks.
    pub caller: &'a Caller,
    /// Where passphrases come from.
    pub unlock: &'a dyn Unlock,
}

/// Looks at everything that was asked for. What goes wrong is an answer.
pub async fn examine(request: Request<'_>) -> Report {
    let mut checks = Vec::new();
    let now = request.keyring.clock().now();
    match &request.config {
        Ok(config) => {
            for group in request.groups {
                match group {
                    Group::Config => config::look(config, &request, now, &mut checks),
                    Group::Audit => audit::look(config, now, &mut checks),
                    Group::Keystore => keystore::look(config, &request, &mut checks).await,
                    Group::Keys => keys::look(config, &request, &mut checks).await,
                    // By name only: [`registry::examine`].
                    Group::Registry => {}
                }
            }
        }
        Err(failure) => {
            let file = Check::ok(Group::Config, "file", "obreia.toml");
            checks.push(file.failure(failure.clone().code("config-invalid")));
            let rest = request.groups.iter().filter(|g| **g != Group::Config);
            checks.extend(rest.map(|group| {
                let check = Check::ok(*group, "group", group.as_str());
                check.undetermined(
                    "no-configuration",
                    "not looked at: the configuration cannot be used",
                )
            }));
        }
    }
    Report::new(checks, request.keyring.settings().offline, now)
}

/// The permission bits of a file or folder that is there.
fn mode_of(path: &Path) -> Option<u32> {
    use std::os::unix::fs::PermissionsExt;

    let found = path.metadata().ok()?;
    Some(found.permissions().mode() & 0o777)
}

/// A warning where others than its owner have `bits` of a file's rights.
fn open_to_others(check: Check, path: &Path, bits: u32, code: &'static str) -> Option<Check> {
    let mode = mode_of(path).filter(|mode| mode & bits != 0)?;
    let may = match mode & bits & 0o022 {
        0 => "read",
        _ => "change",
    };
    let check = check.warns(
        code,
        format!("others than its owner may {may} it (mode {mode:03o})"),
    );
    Some(check.hint(format!(
        "take the rights of others away: chmod {:03o} {}",
        mode & !bits,
        path.display()
    )))
}
