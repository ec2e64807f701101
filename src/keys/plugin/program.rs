//! One run of a plugin: bounded in time and output, and ended whole.

use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rustix::process::Pid;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::process::{ChildStderr, ChildStdin, ChildStdout, Command};
use tokio::task::JoinSet;

use super::PluginKeys;
use super::protocol::{PREFIX, VERSION};
use super::words::{Words, plain};
use crate::environment::Environment;
use crate::keys::KeyFault;
use crate::limits;
use crate::process::{Group, end};

/// How long output is waited for once the program has ended: another process
/// of its may hold the pipe.
const AFTERWARDS: Duration = Duration::from_millis(500);
/// What opens our own keystore is none of a plugin's business, and neither are
/// the secrets that the configuration names for it and for other providers.
const WITHHELD: [&str; 2] = ["OBREIA_PASSPHRASE", "OBREIA_NEW_PASSPHRASE"];

/// A program that speaks the protocol.
#[derive(Clone, Debug)]
pub(super) struct Program {
    /// As messages call it.
    pub(super) name: String,
    path: PathBuf,
}

impl Program {
    /// The one that is configured, or `sigstore-kms-SCHEME` in a folder of
    /// `PATH`. Folders that are not named from the root are passed over: what
    /// lies where somebody works is not to be run.
    ///
    /// # Errors
    /// `NotConfigured`, naming it.
    pub(super) fn find(
        scheme: &str,
        configured: Option<&Path>,
        environment: &Environment,
    ) -> Result<Self, KeyFault> {
        let name = format!("{PREFIX}{scheme}");
        let runs = |path: &Path| {
            path.metadata()
                .is_ok_and(|m| m.is_file() && m.permissions().mode() & 0o111 != 0)
        };
        let found = match configured {
            Some(path) => runs(path).then(|| path.to_owned()),
            None => {
                let folders = environment.get("PATH").unwrap_or_default();
                std::env::split_paths(&folders)
                    .filter(|folder| folder.is_absolute())
                    .map(|folder| folder.join(&name))
                    .find(|path| runs(path))
            }
        };
        found
            .map(|path| Self {
                name: name.clone(),
                path,
            })
            .ok_or_else(|| KeyFault::NotConfigured {
                provider: super::PROVIDER,
                why: match configured {
                    Some(path) => format!(
                        "{} ([keys.plugin.{scheme}] program) is no program that can be run",
                        path.display()
                    ),
                    None => format!(
                        "{scheme}:// is no provider of obreia's own, and there is no program {name} in a folder of PATH"
                    ),
                },
            })
    }

    /// Where it is.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Runs it once and returns what it printed. Whatever happens, it is over
    /// after `deadline`; where it is ended then, so is every process of its
    /// group.
    ///
    /// # Errors
    /// `Plugin`, telling how it failed.
    pub(super) async fn run(
        &self,
        request: &str,
        message: Vec<u8>,
        deadline: Duration,
        keys: &PluginKeys,
    ) -> Result<Printed, KeyFault> {
        let mut command = Command::new(&self.path);
        command
            .arg(VERSION)
            .arg(request)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .process_group(0)
            .kill_on_drop(true);
        let own = keys.withheld.iter().map(String::as_str);
        for name in own.chain(WITHHELD) {
            command.env_remove(name);
        }
        let mut child = command
            .spawn()
            .map_err(|e| self.failed(format!("cannot be started: {e}")))?;
        let mut group = Group::of(&child);
        let seen = Arc::new(Mutex::new(Seen::default()));
        let mut pipes = JoinSet::new();
        if let Some(stdin) = child.stdin.take() {
            pipes.spawn(feed(stdin, message));
        }
        if let Some(stdout) = child.stdout.take() {
            pipes.spawn(collect(stdout, Arc::clone(&seen), group.0));
        }
        if let Some(stderr) = child.stderr.take() {
            let words = Words::new(&self.name, &keys.notices);
            pipes.spawn(pass_on(stderr, words, Arc::clone(&seen)));
        }
        let ended = tokio::time::timeout(deadline, child.wait()).await;
        let status = match ended {
            Ok(status) => status.map_err(|e| self.failed(format!("cannot be waited for: {e}")))?,
            // Dropping the group ends it.
            Err(_) => {
                return Err(self.failed(format!(
                    "did not answer within {} s and was ended",
                    (deadline.as_secs_f32() * 10.0).round() / 10.0
                )));
            }
        };
        // Its number may be another process' from here on.
        group.0 = None;
        let rest = async { while pipes.join_next().await.is_some() {} };
        let _held_open = tokio::time::timeout(AFTERWARDS, rest).await;
        let mut seen = lock(&seen);
        if seen.too_much {
            return Err(self.failed(format!(
                "printed more than {} bytes and was ended",
                limits::PLUGIN_ANSWER
            )));
        }
        if let Some(signal) = status.signal() {
            return Err(self.failed(format!("was ended by signal {signal}{}", seen.last_words())));
        }
        Ok(Printed {
            answer: std::mem::take(&mut seen.answer),
            status,
            last_words: seen.last_words(),
        })
    }

    /// A fault of this plugin, in words of ours.
    pub(super) fn failed(&self, failure: String) -> KeyFault {
        KeyFault::Plugin {
            plugin: self.name.clone(),
            failure,
        }
    }
}

/// What a program printed until it ended by itself.
pub(super) struct Printed {
    pub(super) answer: Vec<u8>,
    pub(super) status: ExitStatus,
    /// `; its last words: …`, or nothing.
    pub(super) last_words: String,
}

#[derive(Default)]
struct Seen {
    answer: Vec<u8>,
    too_much: bool,
    last: String,
}

impl Seen {
    fn last_words(&self) -> String {
        match self.last.is_empty() {
            true => String::new(),
            false => format!("; its last words: {}", plain(&self.last, 200)),
        }
    }
}

fn lock(seen: &Mutex<Seen>) -> MutexGuard<'_, Seen> {
    seen.lock().unwrap_or_else(PoisonError::into_inner)
}

async fn feed(mut stdin: ChildStdin, message: Vec<u8>) {
    // A program need not read what it does not need.
    let _ = stdin.write_all(&message).await;
    let _ = stdin.shutdown().await;
}

async fn collect(mut stdout: ChildStdout, seen: Arc<Mutex<Seen>>, group: Option<Pid>) {
    let mut chunk = vec![0; 16 << 10];
    while let Ok(read) = stdout.read(&mut chunk).await {
        if read == 0 {
            return;
        }
        let mut seen = lock(&seen);
        if seen.answer.len() + read > limits::PLUGIN_ANSWER {
            seen.too_much = true;
            end(group);
            return;
        }
        seen.answer.extend_from_slice(&chunk[..read]);
    }
}

async fn pass_on(mut stderr: ChildStderr, mut words: Words, seen: Arc<Mutex<Seen>>) {
    let mut chunk = vec![0; 4 << 10];
    // Read to the end, whatever is shown of it: a full pipe would stop it.
    while let Ok(read) = stderr.read(&mut chunk).await {
        if read == 0 {
            break;
        }
        if let Some(last) = words.take(&chunk[..read]) {
            lock(&seen).last = last;
        }
    }
    if let Some(last) = words.finish() {
        lock(&seen).last = last;
    }
}
