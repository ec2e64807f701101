//! The configuration, the files that it names, and the clock.

use super::{Check, Group, Request, mode_of, open_to_others};
use crate::config::{Config, SecretSource};
use crate::ops::policies;
use crate::time::Timestamp;

/// Before this there was no obreia: 2026-01-01.
const EARLIEST: Timestamp = Timestamp::from_secs(1_767_225_600);

pub(super) fn look(
    config: &Config,
    request: &Request<'_>,
    now: Timestamp,
    checks: &mut Vec<Check>,
) {
    let check = |check, subject: String| Check::ok(Group::Config, check, subject);
    match &config.file {
        Some(file) => {
            let found = check("file", file.display().to_string());
            let open = open_to_others(found.clone(), file, 0o022, "config-open");
            checks.push(open.unwrap_or(found));
        }
        None => {
            let found = check("file", "obreia.toml".to_owned());
            let found = found.warns(
                "no-configuration",
                "no obreia.toml was found: there is no keystore, and nothing that is signed is recorded",
            );
            checks.push(found.hint("make one with: obreia init DIR"));
        }
    }
    for (name, source) in secrets(config) {
        checks.push(secret(check("secret", name), &source, request));
    }
    for file in &config.policy.files {
        let found = check("policy", file.display().to_string());
        checks.push(match policies::read(file) {
            Ok(documents) => match documents.len() {
                1 => found,
                many => found.detail(format!("{many} policies")),
            },
            Err(failure) => found.failure(failure.code("policy-invalid")),
        });
    }
    checks.push(clock(now));
}

fn secrets(config: &Config) -> Vec<(String, SecretSource)> {
    let keystore = config.keystore.passphrase.clone();
    let keystore = keystore.map(|source| ("keystore.passphrase".to_owned(), source));
    let keys = config.keys.secrets();
    keystore.into_iter().chain(keys).collect()
}

/// That it is there, and not for everybody: its content is not looked at.
fn secret(check: Check, source: &SecretSource, request: &Request<'_>) -> Check {
    match source {
        SecretSource::File(path) => {
            let detail = path.display().to_string();
            if mode_of(path).is_none() {
                let check = check.warns("secret-missing", format!("{detail} is not there"));
                return check.hint("put it there, or correct the configuration");
            }
            // Those of a group may be meant: orchestrators mount secrets so.
            let check = check.detail(detail);
            open_to_others(check.clone(), path, 0o007, "secret-open").unwrap_or(check)
        }
        SecretSource::Env(name) => match request.environment.get(name) {
            Some(_) => check.detail(format!("environment variable {name}")),
            None => check
                .warns(
                    "secret-missing",
                    format!("environment variable {name} is not set"),
                )
                .hint("set it, or correct the configuration"),
        },
    }
}

/// Whether the time can be right; by it records, states of grace and tokens go.
fn clock(now: Timestamp) -> Check {
    let check = Check::ok(Group::Config, "clock", "this machine's clock");
    if now >= EARLIEST {
        return check.detail(now.whole_second().to_string());
    }
    let check = check.warns(
        "clock-wrong",
        format!("it says {}, which is past", now.whole_second()),
    );
    check.hint("set the clock, and keep it right with NTP")
}

#[cfg(test)]
mod tests {
    use super::super::Finding;
    use super::*;

    #[test]
    fn a_clock_that_cannot_be_right_is_told() {
        for (secs, found) in [
            (0, Finding::Warning),
            (1_767_225_599, Finding::Warning),
            (1_767_225_600, Finding::Ok),
        ] {
            assert_eq!(clock(Timestamp::from_secs(secs)).result, found);
        }
    }
}
