//! The binary, run with nothing of the developer's environment.

use std::ffi::{OsStr, OsString};
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use super::{Output, Scratch};

/// How long one run may take before it is killed and the test fails: well
/// above anything a debug build does on a loaded machine of two cores.
const DEADLINE: Duration = Duration::from_secs(120);

/// A command line of the binary under test.
pub(crate) struct Obreia {
    program: PathBuf,
    scratch: Scratch,
    args: Vec<OsString>,
    env: Vec<(OsString, Option<OsString>)>,
    stdin: Option<Vec<u8>>,
    dir: PathBuf,
    deadline: Duration,
}

impl Obreia {
    /// In a scratch folder of its own.
    pub(crate) fn new() -> Self {
        Self::in_scratch(&Scratch::new())
    }

    pub(crate) fn in_scratch(scratch: &Scratch) -> Self {
        Self {
            program: PathBuf::from(env!("CARGO_BIN_EXE_obreia")),
            scratch: scratch.clone(),
            args: Vec::new(),
            env: Vec::new(),
            stdin: None,
            dir: scratch.path(),
            deadline: DEADLINE,
        }
    }

    /// Another program in the same scrubbed environment: a peer, `sh`, `openssl`.
    pub(crate) fn program(mut self, program: impl AsRef<Path>) -> Self {
        self.program = program.as_ref().to_owned();
        self
    }

    pub(crate) fn arg(mut self, arg: impl AsRef<OsStr>) -> Self {
        self.args.push(arg.as_ref().to_owned());
        self
    }

    pub(crate) fn args<I, S>(mut self, args: I) -> Self
    where
        I: IntoIterator<Item = S>,
        S: AsRef<OsStr>,
    {
        self.args
            .extend(args.into_iter().map(|a| a.as_ref().to_owned()));
        self
    }

    pub(crate) fn env(mut self, name: impl AsRef<OsStr>, value: impl AsRef<OsStr>) -> Self {
        self.env
            .push((name.as_ref().to_owned(), Some(value.as_ref().to_owned())));
        self
    }

    /// Takes away one of the variables that the harness sets.
    pub(crate) fn without_env(mut self, name: impl AsRef<OsStr>) -> Self {
        self.env.push((name.as_ref().to_owned(), None));
        self
    }

    /// What the command reads; without it, standard input is empty.
    pub(crate) fn stdin(mut self, bytes: impl AsRef<[u8]>) -> Self {
        self.stdin = Some(bytes.as_ref().to_owned());
        self
    }

    /// The working folder; relative paths are taken from the scratch folder.
    pub(crate) fn dir(mut self, dir: impl AsRef<Path>) -> Self {
        self.dir = self.scratch.path().join(dir);
        self
    }

    pub(crate) fn deadline(mut self, deadline: Duration) -> Self {
        self.deadline = deadline;
        self
    }

    /// The command as it will be started, for tests that start it themselves.
    pub(crate) fn command(&self) -> Command {
        let home = self.scratch.home();
        let mut command = Command::new(&self.program);
        command.args(&self.args).current_dir(&self.dir).env_clear();
        if let Some(path) = std::env::var_os("PATH") {
            command.env("PATH", path);
        }
        command
            .env("HOME", &home)
            .env("XDG_CONFIG_HOME", home.join(".config"))
            .env("XDG_CACHE_HOME", home.join(".cache"))
            .env("XDG_DATA_HOME", home.join(".local/share"))
            .env("XDG_STATE_HOME", home.join(".local/state"))
            .env("TMPDIR", home.parent().unwrap_or(&home))
            .env("TZ", "UTC")
            .env("LC_ALL", "C.UTF-8")
            .env("NO_COLOR", "1")
            .env("RUST_BACKTRACE", "1");
        // Offline: whatever asks for the network by way of a proxy, as HTTP
        // clients do, meets a closed port. Servers of the test's own are reached.
        for name in [
            "HTTP_PROXY",
            "HTTPS_PROXY",
            "ALL_PROXY",
            "http_proxy",
            "https_proxy",
            "all_proxy",
        ] {
            command.env(name, "http://127.0.0.1:9");
        }
        // Ours shows no proxy what stays on the machine, whatever is set.
        if self.program != Path::new(env!("CARGO_BIN_EXE_obreia")) {
            command.env("NO_PROXY", "127.0.0.1,localhost,::1");
        }
        for (name, value) in &self.env {
            match value {
                Some(value) => command.env(name, value),
                None => command.env_remove(name),
            };
        }
        command
    }

    /// Starts it and leaves it running.
    pub(crate) fn spawn(self) -> Running {
        let mut command = self.command();
        command
            .stdin(if self.stdin.is_some() {
                Stdio::piped()
            } else {
                Stdio::null()
            })
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let mut child = command
            .spawn()
            .unwrap_or_else(|e| panic!("cannot start {}: {e}", self.program.display()));
        if let (Some(bytes), Some(mut pipe)) = (self.stdin, child.stdin.take()) {
            // In a thread: a command that writes before it reads must not hang us.
            // One that never reads closes the pipe, which is its right.
            std::thread::spawn(move || {
                let _closed_early = pipe.write_all(&bytes);
            });
        }
        let stdout = drain(child.stdout.take().expect("piped"));
        let stderr = drain(child.stderr.take().expect("piped"));
        Running {
            shown: shown(&self.program, &self.args),
            child,
            stdout,
            stderr,
            deadline: self.deadline,
            _scratch: self.scratch,
        }
    }

    /// Runs it to its end.
    pub(crate) fn run(self) -> Output {
        self.spawn().wait()
    }
}

/// A started command.
pub(crate) struct Running {
    shown: String,
    child: Child,
    stdout: JoinHandle<Vec<u8>>,
    stderr: JoinHandle<Vec<u8>>,
    deadline: Duration,
    /// Keeps the folder until the command has ended.
    _scratch: Scratch,
}

impl Running {
    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// SIGKILL, as a crash or the kernel's out-of-memory killer sends it.
    pub(crate) fn kill(mut self) -> Output {
        self.child.kill().expect("kill");
        self.wait()
    }

    pub(crate) fn wait(mut self) -> Output {
        let started = Instant::now();
        let mut pause = Duration::from_millis(1);
        let status = loop {
            if let Some(status) = self.child.try_wait().expect("wait") {
                break status;
            }
            if started.elapsed() > self.deadline {
                let _already_gone = self.child.kill();
                let _reaped = self.child.wait();
                panic!("{} did not end within {:?}", self.shown, self.deadline);
            }
            std::thread::sleep(pause);
            pause = (pause * 2).min(Duration::from_millis(20));
        };
        let stdout = self.stdout.join().expect("the reader of stdout");
        let stderr = self.stderr.join().expect("the reader of stderr");
        Output::new(self.shown, status, stdout, &stderr)
    }
}

fn drain(mut from: impl Read + Send + 'static) -> JoinHandle<Vec<u8>> {
    std::thread::spawn(move || {
        let mut bytes = Vec::new();
        from.read_to_end(&mut bytes).expect("the command's output");
        bytes
    })
}

fn shown(program: &Path, args: &[OsString]) -> String {
    let mut line = program
        .file_name()
        .unwrap_or_default()
        .to_string_lossy()
        .into_owned();
    for arg in args {
        line.push(' ');
        line.push_str(&arg.to_string_lossy());
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sh(script: &str) -> Obreia {
        Obreia::new().program("sh").args(["-c", script])
    }

    #[test]
    fn nothing_of_the_developers_environment_is_seen() {
        let allowed = [
            "PATH",
            "HOME",
            "TMPDIR",
            "TZ",
            "LC_ALL",
            "NO_COLOR",
            "RUST_BACKTRACE",
            "PWD",
            "OLDPWD",
            "SHLVL",
            "_",
        ];
        for line in sh("env").run().expect_code(0).stdout.lines() {
            let name = line.split('=').next().unwrap_or_default();
            let proxy = name.to_ascii_lowercase().ends_with("_proxy");
            assert!(
                allowed.contains(&name) || name.starts_with("XDG_") || proxy,
                "{line}"
            );
        }
    }

    #[test]
    fn home_lies_in_the_scratch_folder() {
        let scratch = Scratch::new();
        let out = scratch
            .obreia()
            .program("sh")
            .args(["-c", "echo $HOME"])
            .run();
        assert_eq!(Path::new(out.stdout.trim()), scratch.home());
    }

    #[test]
    fn code_streams_and_stdin_arrive() {
        let out = sh("cat; echo no >&2; exit 7").stdin("in").run();
        out.expect_code(7);
        assert_eq!((out.stdout.as_str(), out.stderr.as_str()), ("in", "no\n"));
    }

    #[test]
    fn much_output_on_both_streams_does_not_hang() {
        let out = sh("head -c 300000 /dev/zero >&2; head -c 300000 /dev/zero").run();
        assert_eq!((out.stdout.len(), out.stderr.len()), (300_000, 300_000));
    }

    #[test]
    #[should_panic(expected = "did not end within")]
    fn a_command_that_hangs_fails_the_test() {
        sh("exec sleep 60")
            .deadline(Duration::from_millis(50))
            .run();
    }

    #[test]
    fn a_killed_command_has_a_signal_and_no_code() {
        let out = sh("exec sleep 60").spawn().kill();
        assert_eq!((out.code, out.signal), (None, Some(9)));
    }
}
