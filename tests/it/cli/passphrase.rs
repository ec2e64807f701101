//! Passphrases that a person types: asked for twice where they are set, and
//! never shown.

use std::fs::File;
use std::io::{Read, Write};
use std::path::PathBuf;
use std::process::{Child, ChildStdin, Stdio};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use rustix::termios::{LocalModes, tcgetattr};

use crate::harness::{Obreia, Scratch, not_run};

const PASSPHRASE: &str = "correct horse battery";
/// Well above what a debug build takes for a passphrase on a loaded machine.
const PATIENCE: Duration = Duration::from_secs(60);

/// The binary on a terminal of its own, and somebody who types.
struct Terminal {
    child: Child,
    keyboard: Option<ChildStdin>,
    shown: Arc<Mutex<Vec<u8>>>,
    reader: Option<JoinHandle<()>>,
    device: File,
}

impl Terminal {
    /// `None` where there is no `script` to make one.
    fn start(scratch: &Scratch, args: &[&str]) -> Option<Self> {
        let words: Vec<String> = args.iter().map(|word| format!("'{word}'")).collect();
        // One line is read first, so that the test sees that this terminal shows what is typed.
        let shell = format!(
            "stty echo\ntty\nread -r ignored\nexec '{}' {}\n",
            env!("CARGO_BIN_EXE_obreia"),
            words.join(" ")
        );
        let home = scratch.home().join("run.sh");
        std::fs::write(&home, shell).expect("the script");
        let run = Obreia::in_scratch(scratch)
            .program("script")
            .args(["-qec", &format!("sh '{}'", home.display()), "/dev/null"])
            .env("TERM", "xterm");
        let mut command = run.command();
        if run.command().arg("--version").output().is_err() {
            not_run("script is missing: install the system package bsdutils");
            return None;
        }
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::inherit())
            .spawn()
            .expect("script");
        let shown = Arc::new(Mutex::new(Vec::new()));
        let mut from = child.stdout.take().expect("piped");
        let to = Arc::clone(&shown);
        let reader = thread::spawn(move || {
            let mut buffer = [0; 1024];
            while let Ok(count @ 1..) = from.read(&mut buffer) {
                to.lock().unwrap().extend_from_slice(&buffer[..count]);
            }
        });
        let device = wait("the terminal's name", || {
            let text = text_of(&shown);
            let (line, _) = text.split_once('\n')?;
            Some(PathBuf::from(line.trim()))
        });
        let flags = rustix::fs::OFlags::RDWR | rustix::fs::OFlags::NOCTTY;
        let device = rustix::fs::open(device, flags, rustix::fs::Mode::empty()).expect("the tty");
        let mut terminal = Self {
            keyboard: child.stdin.take(),
            child,
            shown,
            reader: Some(reader),
            device: File::from(device),
        };
        terminal.write("seen");
        wait("what was typed", || {
            terminal.shown().contains("seen").then_some(())
        });
        Some(terminal)
    }

    fn shown(&self) -> String {
        text_of(&self.shown)
    }

    fn write(&mut self, line: &str) {
        let keyboard = self.keyboard.as_mut().expect("the keyboard");
        keyboard.write_all(line.as_bytes()).unwrap();
        keyboard.write_all(b"\n").unwrap();
    }

    /// Types a line once it was asked for by these words and is not shown.
    fn answer(&mut self, asked: &str, line: &str) {
        wait(asked, || self.shown().contains(asked).then_some(()));
        wait("hidden input", || {
            let modes = tcgetattr(&self.device).unwrap().local_modes;
            (!modes.contains(LocalModes::ECHO)).then_some(())
        });
        self.write(line);
    }

    /// The exit code, and all that the terminal showed.
    fn end(mut self) -> (i32, String) {
        let code = wait("the end", || self.child.try_wait().unwrap())
            .code()
            .expect("a code");
        drop(self.keyboard.take());
        self.reader.take().unwrap().join().unwrap();
        (code, self.shown())
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        let _ended = self.child.kill();
        let _reaped = self.child.wait();
    }
}

fn text_of(shown: &Mutex<Vec<u8>>) -> String {
    String::from_utf8_lossy(&shown.lock().unwrap()).into_owned()
}

#[track_caller]
fn wait<T>(what: &str, mut ready: impl FnMut() -> Option<T>) -> T {
    let started = Instant::now();
    loop {
        if let Some(found) = ready() {
            return found;
        }
        assert!(started.elapsed() < PATIENCE, "waited for {what}");
        thread::sleep(Duration::from_millis(2));
    }
}

/// A scratch folder in which `init` was answered at a terminal.
fn place() -> Option<Scratch> {
    let scratch = Scratch::new();
    let mut terminal = Terminal::start(&scratch, &["init", "."])?;
    terminal.answer("New passphrase of keystore ./state", PASSPHRASE);
    terminal.answer("The same again", PASSPHRASE);
    let (code, shown) = terminal.end();
    assert_eq!(code, 0, "{shown}");
    assert!(!shown.contains(PASSPHRASE), "{shown}");
    Some(scratch)
}

#[test]
fn typed_twice_it_makes_a_keystore_and_opens_it_unseen() {
    let Some(scratch) = place() else { return };
    let mut terminal = Terminal::start(&scratch, &["key", "create", "kms://model-sign/a"]).unwrap();
    terminal.answer("Passphrase of keystore", PASSPHRASE);
    let (code, shown) = terminal.end();
    assert_eq!(code, 0, "{shown}");
    assert!(shown.contains("made kms://model-sign/a"), "{shown}");
    assert!(!shown.contains(PASSPHRASE), "{shown}");
    // It is the one that was typed, without the line's end.
    scratch.write("pass", PASSPHRASE);
    let args = [
        "key",
        "create",
        "kms://model-sign/b",
        "--passphrase-file",
        "pass",
    ];
    scratch.obreia().args(args).run().ok();
}

#[test]
fn a_wrong_one_is_not_permitted_and_not_shown() {
    let Some(scratch) = place() else { return };
    let before = scratch.read("state/keystore.db");
    let mut terminal = Terminal::start(&scratch, &["key", "create", "kms://model-sign/a"]).unwrap();
    terminal.answer("Passphrase of keystore", "hunter2 hunter2");
    let (code, shown) = terminal.end();
    assert_eq!(code, 5, "{shown}");
    assert!(shown.contains("the passphrase does not open"), "{shown}");
    assert!(!shown.contains("hunter2"), "{shown}");
    assert_eq!(scratch.read("state/keystore.db"), before);
}

#[test]
fn two_that_differ_and_an_empty_one_make_nothing() {
    for (first, again, says) in [
        (PASSPHRASE, "correct horse batery", "differ"),
        ("", "", "empty"),
    ] {
        let scratch = Scratch::new();
        let Some(mut terminal) = Terminal::start(&scratch, &["init", "here"]) else {
            return;
        };
        terminal.answer("New passphrase of keystore", first);
        if !first.is_empty() {
            terminal.answer("The same again", again);
        }
        let (code, shown) = terminal.end();
        assert_eq!(code, 2, "{shown}");
        assert!(shown.contains(says), "{shown}");
        assert!(!shown.contains("batery"), "{shown}");
        assert_eq!(scratch.files(), Vec::<String>::new());
    }
}

#[test]
fn a_new_one_is_typed_twice_and_the_old_one_once() {
    let Some(scratch) = place() else { return };
    let before = scratch.read("state/keystore.db");
    let mut terminal = Terminal::start(&scratch, &["keystore", "passwd"]).unwrap();
    terminal.answer("New passphrase of keystore", "one");
    terminal.answer("The same again", "two");
    assert_eq!(terminal.end().0, 2);
    assert_eq!(scratch.read("state/keystore.db"), before);
    let mut terminal = Terminal::start(&scratch, &["keystore", "passwd"]).unwrap();
    terminal.answer("New passphrase of keystore", "battery staple");
    terminal.answer("The same again", "battery staple");
    // Its own words, which the two above do not contain.
    terminal.answer("\nPassphrase of keystore", PASSPHRASE);
    let (code, shown) = terminal.end();
    assert_eq!(code, 0, "{shown}");
    assert!(
        !shown.contains(PASSPHRASE) && !shown.contains("staple"),
        "{shown}"
    );
    let create = |passphrase: &str, path: &str| {
        let args = ["key", "create", path];
        scratch
            .obreia()
            .env("OBREIA_PASSPHRASE", passphrase)
            .args(args)
            .run()
    };
    create(PASSPHRASE, "kms://model-sign/a").expect_code(5);
    create("battery staple", "kms://model-sign/a").ok();
}
