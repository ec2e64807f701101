//! The embedded keystore, as far as it shows without its passphrase.

use std::path::Path;

use super::{Check, Group, Request, open_to_others};
use crate::audit::{self, AuditLog};
use crate::canon;
use crate::config::Config;
use crate::keys::KeyFault;
use crate::tlog::MAX_ENTRY;

/// How many of the newest records are searched for the last copy.
const SEARCHED: u64 = 100_000;
/// What leaves the keystore as it was.
const LEAVES_IT: [&str; 3] = ["sign", "probe", "backup"];

pub(super) async fn look(config: &Config, request: &Request<'_>, checks: &mut Vec<Check>) {
    // Without a configuration there is none, and that was told.
    let Some(state) = &config.state.dir else {
        return;
    };
    let file = state.join("keystore.db");
    let subject = file.display().to_string();
    let check = |check| Check::ok(Group::Keystore, check, subject.clone());
    let keys = match request.keyring.list().await {
        Ok(keys) => keys,
        Err(fault) => {
            checks.push(check("keystore").fault(fault));
            return;
        }
    };
    checks.push(check("keystore").detail(match keys.len() {
        1 => "1 key; its seals are verified when it is unlocked".to_owned(),
        many => format!("{many} keys; its seals are verified when it is unlocked"),
    }));
    checks.extend(open_to_others(check("mode"), &file, 0o077, "keystore-open"));
    let folder = Check::ok(Group::Keystore, "mode", state.display().to_string());
    checks.extend(open_to_others(folder, state, 0o022, "state-open"));
    if !keys.is_empty() {
        checks.push(copied(check("backup"), state));
    }
}

/// What the log tells of copies.
enum Copied {
    Never {
        searched_all: bool,
    },
    /// And so many changes since.
    At {
        time: String,
        changes: u64,
    },
}

fn copied(check: Check, state: &Path) -> Check {
    const HINT: &str = "obreia keystore backup FILE, and keep the file elsewhere";
    match last_copy(state) {
        Err(fault) => check.fault(fault),
        Ok(Copied::Never { searched_all }) => {
            let told = match searched_all {
                true => "it was never copied: with this disk its keys are gone".to_owned(),
                false => format!("the newest {SEARCHED} records tell of no copy"),
            };
            check.warns("no-backup", told).hint(HINT)
        }
        Ok(Copied::At { time, changes: 0 }) => check.detail(format!("copied at {time}")),
        Ok(Copied::At { time, changes }) => {
            let told = format!("it was changed {changes} times since it was copied at {time}");
            check.warns("backup-outdated", told).hint(HINT)
        }
    }
}

fn last_copy(state: &Path) -> Result<Copied, KeyFault> {
    let log = AuditLog::open(&audit::folder(state))?;
    let first = log.size().saturating_sub(SEARCHED);
    let mut found = Copied::Never {
        searched_all: first == 0,
    };
    for record in log.records_from(first) {
        let (_, entry) = record?;
        let Ok(record) = canon::parse(&entry, MAX_ENTRY as u64) else {
            continue;
        };
        if record["result"] != "ok" || record["provider"] != "embedded" {
            continue;
        }
        let operation = record["op"].as_str().unwrap_or_default();
        match (operation, &mut found) {
            ("backup", _) => {
                let time = record["time"].as_str().unwrap_or("?").to_owned();
                found = Copied::At { time, changes: 0 };
            }
            (operation, Copied::At { changes, .. }) if !LEAVES_IT.contains(&operation) => {
                *changes += 1;
            }
            _ => {}
        }
    }
    Ok(found)
}
