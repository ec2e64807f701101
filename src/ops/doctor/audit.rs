//! The audit log: without one, nothing is signed.

use std::fs::OpenOptions;
use std::path::Path;

use rustix::fs::{Access, access, statvfs};

use super::{Check, Finding, Group, open_to_others};
use crate::audit::{self, AuditFault, AuditLog};
use crate::canon;
use crate::config::Config;
use crate::ops::Failure;
use crate::time::Timestamp;
use crate::tlog::MAX_ENTRY;

/// Free space below which it is told, in bytes: some 60 000 records, and what
/// is written beside them.
const LOW: u64 = 64 << 20;
/// By how much the newest record may be ahead of the clock, in seconds.
const AHEAD: i64 = 300;

pub(super) fn look(config: &Config, now: Timestamp, checks: &mut Vec<Check>) {
    let Some(state) = &config.state.dir else {
        let check = Check::ok(Group::Audit, "log", "audit log");
        let check = check.warns(
            "no-audit-log",
            "there is none: nothing that is signed is recorded",
        );
        checks.push(check.hint("make a state folder with: obreia init DIR"));
        return;
    };
    let folder = audit::folder(state);
    let subject = folder.display().to_string();
    let check = |check| Check::ok(Group::Audit, check, subject.clone());
    let log = audit::public_key(state).and_then(|_| AuditLog::open(&folder));
    let log = match log {
        Ok(log) => log,
        Err(fault) => {
            checks.push(fails(check("log"), fault));
            return;
        }
    };
    let newest = newest(&log);
    let told = match newest {
        Some(time) => format!("{} records, the newest of {time}", log.size()),
        None => format!("{} records", log.size()),
    };
    checks.push(check("log").detail(format!("{told}; obreia audit verify looks at all of them")));
    if let Some(behind) = newest.and_then(|newest| behind(newest, now)) {
        checks.push(behind);
    }
    let key = state.join("audit.key");
    let of_key = Check::ok(Group::Audit, "key", key.display().to_string());
    checks.extend(open_to_others(of_key, &key, 0o077, "audit-key-open"));
    checks.push(match writable(&folder) {
        Ok(()) => check("writable").detail("takes records"),
        Err(fault) => fails(check("writable"), fault),
    });
    checks.push(space(check("space"), free(&folder)));
}

/// A log that is not there or broken has failed, and one that is only in use
/// or on a disk that does not answer may be asked again.
fn fails(check: Check, fault: AuditFault) -> Check {
    let result = match fault.code() {
        "audit-busy" | "audit-unavailable" => Finding::Undetermined,
        _ => Finding::Failed,
    };
    check.found(result, Failure::from(fault))
}

fn newest(log: &AuditLog) -> Option<Timestamp> {
    let last = log.records_from(log.size().saturating_sub(1)).last()?;
    let (_, entry) = last.ok()?;
    let record = canon::parse(&entry, MAX_ENTRY as u64).ok()?;
    record["time"].as_str()?.parse().ok()
}

fn behind(newest: Timestamp, now: Timestamp) -> Option<Check> {
    let ahead = newest.secs().saturating_sub(now.secs());
    (ahead > AHEAD).then(|| {
        Check::ok(Group::Audit, "clock", "this machine's clock")
            .warns(
                "clock-behind",
                format!("the newest record is of {newest}, which is {ahead} s from now"),
            )
            .hint("set the clock, and keep it right with NTP")
    })
}

/// Whether a record could be added; none is.
fn writable(folder: &Path) -> Result<(), AuditFault> {
    let refused = |path: &Path, e: std::io::Error| AuditFault::Io {
        path: path.to_owned(),
        doing: "written",
        kind: e.kind(),
        cause: e.to_string(),
    };
    access(folder, Access::WRITE_OK | Access::EXEC_OK).map_err(|e| refused(folder, e.into()))?;
    let journal = folder.join("journal");
    let opened = OpenOptions::new().append(true).open(&journal);
    opened.map(drop).map_err(|e| refused(&journal, e))
}

fn free(folder: &Path) -> Result<u64, std::io::Error> {
    let space = statvfs(folder)?;
    Ok(space.f_bavail.saturating_mul(space.f_frsize))
}

fn space(check: Check, free: Result<u64, std::io::Error>) -> Check {
    match free {
        Ok(free) if free >= LOW => check.detail(format!("{} MiB free", free >> 20)),
        Ok(free) => {
            let check = check.warns(
                "low-disk-space",
                format!("{} MiB free, and a full disk stops signing", free >> 20),
            );
            check.hint("free space where the state folder is")
        }
        Err(e) => check.undetermined("audit-unavailable", format!("cannot ask the disk: {e}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_disk_that_fills_up_is_told_and_one_that_does_not_answer_is_no_good_news() {
        let check = || Check::ok(Group::Audit, "space", "audit");
        assert_eq!(space(check(), Ok(LOW)).result, Finding::Ok);
        let low = space(check(), Ok(LOW - 1));
        assert_eq!(
            (low.result, low.code),
            (Finding::Warning, Some("low-disk-space"))
        );
        let unknown = space(check(), Err(std::io::Error::other("gone")));
        assert_eq!(unknown.result, Finding::Undetermined);
    }

    #[test]
    fn a_clock_behind_the_log_is_told() {
        let at = Timestamp::from_secs;
        assert_eq!(behind(at(1_000 + AHEAD), at(1_000)), None);
        assert_eq!(behind(at(1_000), at(2_000)), None);
        let told = behind(at(1_001 + AHEAD), at(1_000)).unwrap();
        assert_eq!(told.code, Some("clock-behind"));
    }
}
