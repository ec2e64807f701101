//! Things from outside: the real parts, reference data, our own test data.
//!
//! A test that needs one and cannot have it never passes in silence: it fails,
//! or it is named as not run.

use std::io::Write;
use std::path::{Path, PathBuf};

/// What the operating system's packages bring, with the package's name.
const SYSTEM: &[(&str, &str)] = &[("cc", "gcc"), ("openssl", "openssl")];

/// The program of that name: one that `scripts/peers` installs, or one of the
/// system's. `None` only in a quick run (`scripts/test --quick`), where the
/// test has been named as not run; otherwise a missing part fails the test.
#[track_caller]
pub(crate) fn peer(name: &str) -> Option<PathBuf> {
    let quick = std::env::var_os("OBREIA_TEST_QUICK").is_some_and(|v| v == "1");
    let path = std::env::var_os("PATH").unwrap_or_default();
    if quick && !SYSTEM.iter().any(|(system, _)| *system == name) {
        not_run(&format!("{name} is left out of a quick run"));
        return None;
    }
    match find(&root().join("target/peers/bin"), &path, name) {
        Ok(found) => Some(found),
        Err(why) => panic!("{why}"),
    }
}

fn find(peers: &Path, path: &std::ffi::OsStr, name: &str) -> Result<PathBuf, String> {
    if let Some((_, package)) = SYSTEM.iter().find(|(system, _)| *system == name) {
        return std::env::split_paths(path)
            .map(|dir| dir.join(name))
            .find(|at| at.is_file())
            .ok_or_else(|| format!("{name} is not on PATH: install the system package {package}"));
    }
    let at = peers.join(name);
    if at.is_file() {
        // Not canonicalised: a virtual environment's python is known by its path.
        return Ok(at);
    }
    Err(format!(
        "{} is missing: run scripts/peers once",
        at.display()
    ))
}

/// Reference data of that name laid beside the project, or `None` when this
/// machine has none, in which case the test has been named as not run.
pub(crate) fn shared_data(name: &str) -> Option<PathBuf> {
    let at = root().join("../shared/data").join(name);
    if at.is_dir() {
        return Some(at);
    }
    not_run("no shared data");
    None
}

/// A file or folder of `testdata/`.
#[track_caller]
pub(crate) fn testdata(name: &str) -> PathBuf {
    let at = root().join("testdata").join(name);
    assert!(at.exists(), "{} is missing", at.display());
    at
}

/// Names the running test as not run, where a person sees it: on the terminal
/// although the test passes, and in the list that `scripts/test` prints last.
pub(crate) fn not_run(why: &str) {
    let thread = std::thread::current();
    let line = format!("not run: {}: {why}\n", thread.name().unwrap_or("a test"));
    // The handle and not the macro: the test runner hides what the macro prints.
    let mut stderr = std::io::stderr().lock();
    let _closed = stderr.write_all(line.as_bytes());
    if let Some(list) = std::env::var_os("OBREIA_TEST_NOT_RUN") {
        let mut list = std::fs::OpenOptions::new()
            .create(true)
            .append(true)
            .open(list)
            .expect("the list of tests not run");
        list.write_all(line.as_bytes())
            .expect("the list of tests not run");
    }
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_peer_names_the_command_that_installs_it() {
        let why = find(Path::new("/nowhere"), "".as_ref(), "cosign").unwrap_err();
        assert!(
            why.ends_with("cosign is missing: run scripts/peers once"),
            "{why}"
        );
    }

    #[test]
    fn a_missing_system_program_names_its_package() {
        let why = find(Path::new("/nowhere"), "/nowhere".as_ref(), "openssl").unwrap_err();
        assert!(why.contains("system package openssl"), "{why}");
    }

    #[test]
    fn a_peer_that_is_there_is_found() {
        let folder = tempfile::tempdir().unwrap();
        let at = folder.path().join("cosign");
        std::fs::write(&at, "").unwrap();
        assert_eq!(find(folder.path(), "".as_ref(), "cosign"), Ok(at));
    }
}
