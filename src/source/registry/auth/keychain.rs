//! Programs that keep credentials (Docker's "credential helper protocol"):
//! started with what they need of the environment, bounded in time and output,
//! and ended with all that they started.

use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use serde::Deserialize;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::process::{Child, Command};
use zeroize::Zeroizing;

use super::Credential;
use crate::environment::Environment;
use crate::limits;
use crate::process::Group;
use crate::secret::Secret;

/// What helpers of keychains, desktops and clouds look for. Our own secrets,
/// and those that others gave us, are none of their business.
const SEEN: [&str; 18] = [
    "PATH",
    "HOME",
    "USER",
    "LOGNAME",
    "LANG",
    "TZ",
    "TMPDIR",
    "DISPLAY",
    "WAYLAND_DISPLAY",
    "DBUS_SESSION_BUS_ADDRESS",
    "GNUPGHOME",
    "GPG_TTY",
    "SSL_CERT_FILE",
    "SSL_CERT_DIR",
    "REGISTRY_AUTH_FILE",
    "IDENTITY_ENDPOINT",
    "IDENTITY_HEADER",
    "KUBECONFIG",
];
/// And by how their names begin.
const BEGIN: [&str; 9] = [
    "LC_",
    "XDG_",
    "DOCKER_",
    "PASSWORD_STORE_",
    "AWS_",
    "GOOGLE_",
    "CLOUDSDK_",
    "AZURE_",
    "ACR_",
];
/// Proxies are named in either case.
const PROXIES: [&str; 4] = ["HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY"];

fn is_seen(name: &str) -> bool {
    SEEN.contains(&name)
        || BEGIN.iter().any(|begin| name.starts_with(begin))
        || PROXIES.iter().any(|proxy| proxy.eq_ignore_ascii_case(name))
}

/// Why a helper gave nothing. Never in its own words: a credential may stand in
/// them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Failed {
    /// It is none that can be run.
    NotThere,
    /// It ended as one that failed. It may be locked, or its own service not
    /// there just now.
    Ended,
    /// It did not end in time, and was ended.
    Late,
    /// It printed what is no credential.
    Nonsense,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Answer {
    username: String,
    secret: String,
}

/// Asks `docker-credential-NAME` for what it keeps for a server; `None` where
/// it says that it keeps nothing.
pub(super) async fn ask(
    name: &str,
    server: &str,
    environment: &Environment,
    patience: Duration,
) -> Result<Option<Credential>, Failed> {
    let program = find(name, environment).ok_or(Failed::NotThere)?;
    let mut child = Command::new(program)
        .arg("get")
        .env_clear()
        .envs(environment.only(is_seen))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .process_group(0)
        .kill_on_drop(true)
        .spawn()
        .map_err(|_| Failed::NotThere)?;
    let mut group = Group::of(&child);
    let ended = tokio::time::timeout(patience, printed(&mut child, server)).await;
    // Dropping the group ends what is left of it.
    let (printed, succeeded) = ended.map_err(|_| Failed::Late)??;
    group.0 = None;
    if !succeeded {
        // They say so in words, and with an exit code that means any failure.
        let words = String::from_utf8_lossy(&printed);
        return match words.contains("credentials not found") {
            true => Ok(None),
            false => Err(Failed::Ended),
        };
    }
    let answer: Answer = serde_json::from_slice(&printed).map_err(|_| Failed::Nonsense)?;
    let secret = Secret::from(answer.secret);
    Ok(Some(match answer.username.as_str() {
        "<token>" => Credential::Identity(secret),
        _ => Credential::Password {
            name: answer.username,
            password: secret,
        },
    }))
}

/// The one of that name in a folder of `PATH`; folders that are not named from
/// the root are passed over: what lies where somebody works is not to be run.
fn find(name: &str, environment: &Environment) -> Option<PathBuf> {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    if name.is_empty() || !name.chars().all(plain) {
        return None;
    }
    let name = format!("docker-credential-{name}");
    let runs = |path: &PathBuf| {
        path.metadata()
            .is_ok_and(|m| m.is_file() && m.permissions().mode() & 0o111 != 0)
    };
    let folders = environment.get("PATH").unwrap_or_default();
    std::env::split_paths(&folders)
        .filter(|folder| folder.is_absolute())
        .map(|folder| folder.join(&name))
        .find(runs)
}

/// What it prints, and whether it succeeded.
async fn printed(child: &mut Child, server: &str) -> Result<(Zeroizing<Vec<u8>>, bool), Failed> {
    let (Some(mut stdin), Some(stdout)) = (child.stdin.take(), child.stdout.take()) else {
        return Err(Failed::NotThere);
    };
    // One that does not read may answer all the same.
    let _ = stdin.write_all(server.as_bytes()).await;
    drop(stdin);
    let most = limits::HELPER_ANSWER;
    let mut bytes = Zeroizing::new(Vec::with_capacity(most + 1));
    let mut stdout = stdout.take(most as u64 + 1);
    let read = stdout.read_to_end(&mut bytes).await;
    if read.is_err() || bytes.len() > most {
        return Err(Failed::Nonsense);
    }
    let status = child.wait().await.map_err(|_| Failed::Ended)?;
    Ok((bytes, status.success()))
}

#[cfg(test)]
mod tests {
    use std::path::Path;
    use std::time::Instant;

    use super::*;

    fn asked(folder: &Path, script: &str, patience: Duration) -> Result<Option<String>, Failed> {
        let file = folder.join("docker-credential-x");
        std::fs::write(&file, format!("#!/bin/sh\n{script}\n")).unwrap();
        std::fs::set_permissions(&file, PermissionsExt::from_mode(0o755)).unwrap();
        let path = std::env::var("PATH").unwrap();
        let environment = Environment::from([
            ("PATH", format!("{}:{path}", folder.display()).as_str()),
            ("HOME", folder.to_str().unwrap()),
            ("AWS_PROFILE", "seen"),
            ("https_proxy", "seen"),
            ("OBREIA_PASSPHRASE", "hidden"),
            ("MY_TOKEN", "hidden"),
        ]);
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        let found = runtime.block_on(ask("x", "r.example", &environment, patience))?;
        Ok(found.map(|found| match found {
            Credential::Password { name, password } => {
                format!("{name}:{}", String::from_utf8_lossy(password.expose()))
            }
            Credential::Identity(token) => String::from_utf8_lossy(token.expose()).into_owned(),
        }))
    }

    const LONG: Duration = Duration::from_secs(100);

    #[test]
    fn what_a_helper_says() {
        let folder = tempfile::tempdir().unwrap();
        let says = |script: &str| asked(folder.path(), script, LONG);
        let answer = "read server; echo \"{\\\"ServerURL\\\":\\\"\\\",\\\"Username\\\":\\\"me\\\",\\\"Secret\\\":\\\"$server\\\"}\"";
        assert_eq!(says(answer), Ok(Some("me:r.example".to_owned())));
        let token = r#"echo '{"Username":"<token>","Secret":"t"}'"#;
        assert_eq!(says(token), Ok(Some("t".to_owned())));
        let none = "echo credentials not found in native keychain; exit 1";
        assert_eq!(says(none), Ok(None));
        for (script, failed) in [
            ("echo locked; exit 1", Failed::Ended),
            ("kill -9 $$", Failed::Ended),
            ("echo hunter2", Failed::Nonsense),
            ("true", Failed::Nonsense),
            ("cat /dev/zero", Failed::Nonsense),
            ("yes | head -c 70000; exit 1", Failed::Nonsense),
        ] {
            assert_eq!(says(script), Err(failed), "{script}");
        }
    }

    #[test]
    fn a_helper_sees_what_it_needs_and_no_more() {
        let folder = tempfile::tempdir().unwrap();
        let script = "env >\"$HOME/seen\"; exit 1";
        assert_eq!(asked(folder.path(), script, LONG), Err(Failed::Ended));
        let seen = std::fs::read_to_string(folder.path().join("seen")).unwrap();
        for name in ["PATH=", "HOME=", "AWS_PROFILE=seen", "https_proxy=seen"] {
            assert!(seen.contains(name), "{name}: {seen}");
        }
        assert!(!seen.contains("hidden"), "{seen}");
    }

    #[test]
    fn one_that_hangs_is_ended_with_all_that_it_started() {
        let folder = tempfile::tempdir().unwrap();
        let script = "sleep 1000 & echo $! >\"$HOME/child\"; wait";
        let begun = Instant::now();
        // It may take long until it was started at all.
        let mut patience = Duration::from_millis(200);
        let child = folder.path().join("child");
        while !child.exists() && begun.elapsed() < LONG {
            assert_eq!(asked(folder.path(), script, patience), Err(Failed::Late));
            patience *= 2;
        }
        let child = std::fs::read_to_string(&child).unwrap();
        let stat = format!("/proc/{}/stat", child.trim());
        let gone = || {
            // One that was ended and not yet waited for is gone too.
            std::fs::read_to_string(&stat).map_or(true, |stat| stat.contains(") Z "))
        };
        while !gone() {
            assert!(begun.elapsed() < LONG * 2, "{stat} lives on");
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    #[test]
    fn only_what_is_named_and_lies_in_the_path_is_run() {
        let environment = Environment::from([("PATH", "bin:.:/nowhere")]);
        for name in ["", "../x", "a/b", "a b", "x"] {
            assert_eq!(find(name, &environment), None, "{name}");
        }
    }
}
