//! What the guarded command is: the same process, and the very file that was verified.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use super::{private, public, refused, sign, signed_blob};
use crate::harness::{Obreia, Scratch};

fn guard(scratch: &Scratch, args: &[&str]) -> Obreia {
    let key = public("p256");
    scratch.obreia().args(["guard", "--key", &key]).args(args)
}

#[test]
fn the_command_has_the_guards_process_id() {
    let scratch = signed_blob("p256");
    let running = guard(&scratch, &["app.bin", "--", "sh", "-c", "echo $$"]).spawn();
    let id = running.id();
    let out = running.wait();
    assert_eq!(out.ok().stdout.trim(), id.to_string());
}

#[test]
fn exit_codes_pass_through() {
    let scratch = signed_blob("p256");
    for code in [0, 1, 7, 70, 125, 126, 255] {
        let script = format!("exit {code}");
        guard(&scratch, &["app.bin", "--", "sh", "-c", &script])
            .run()
            .expect_code(code);
    }
}

#[test]
fn signals_pass_through() {
    let scratch = signed_blob("p256");
    let script = "trap 'exit 42' TERM; echo ready; while :; do sleep 0.05; done";
    let mut child = guard(&scratch, &["app.bin", "--", "sh", "-c", script])
        .command()
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut ready = [0; 5];
    std::io::Read::read_exact(child.stdout.as_mut().unwrap(), &mut ready).unwrap();
    assert_eq!(&ready, b"ready");
    let pid = rustix::process::Pid::from_child(&child);
    rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(42));
    // Dying by one is dying by one.
    let out = guard(&scratch, &["app.bin", "--", "sh", "-c", "kill -KILL $$"]).run();
    assert_eq!((out.code, out.signal), (None, Some(9)), "{out}");
    // And nothing is blocked or ignored that was not before.
    let script = "grep -E '^Sig(Blk|Ign)' /proc/self/status";
    let plain = Command::new("sh").args(["-c", script]).output().unwrap();
    let guarded = guard(&scratch, &["app.bin", "--", "sh", "-c", script]).run();
    assert_eq!(guarded.ok().stdout.as_bytes(), plain.stdout);
}

#[test]
fn arguments_environment_and_input_pass_through() {
    let scratch = signed_blob("p256");
    let script = "printf '%s|' \"$0\" \"$@\"; echo \"$GREETING\"; cat";
    let out = guard(
        &scratch,
        &[
            "app.bin",
            "--",
            "sh",
            "-c",
            script,
            "zero",
            "--key",
            "two three",
            "",
        ],
    )
    .env("GREETING", "hello")
    .stdin("the input")
    .run();
    assert_eq!(out.ok().stdout, "zero|--key|two three||hello\nthe input");
}

/// A signed program at that path that says "good".
fn program(scratch: &Scratch, path: &str) {
    write_program(scratch, path, "good");
    sign(scratch, path, "p256");
}

fn write_program(scratch: &Scratch, path: &str, says: &str) {
    let at = scratch.write(path, format!("#!/bin/sh\necho {says}\n"));
    fs::set_permissions(at, fs::Permissions::from_mode(0o755)).unwrap();
}

#[test]
fn a_program_that_is_a_target_runs_through_the_verified_descriptor() {
    let scratch = Scratch::new();
    program(&scratch, "tool");
    let out = guard(&scratch, &["tool", "--", "./tool"]).run();
    assert_eq!(out.ok().stdout, "good\n");
    // The kernel hands a script its own name: it is the descriptor, not the path.
    let at = scratch.write("which", "#!/bin/sh\necho \"$0\"\n");
    fs::set_permissions(at, fs::Permissions::from_mode(0o755)).unwrap();
    sign(&scratch, "which", "p256");
    let out = guard(&scratch, &["which", "--", "./which"]).run();
    assert!(out.ok().stdout.starts_with("/proc/self/fd/"), "{out}");
    // Found by PATH it is the same file.
    let path = format!("{}:/usr/bin:/bin", scratch.path().display());
    let out = guard(&scratch, &["which", "--", "which"])
        .env("PATH", &path)
        .run();
    assert!(out.ok().stdout.starts_with("/proc/self/fd/"), "{out}");
}

/// Puts one of two files in a place, in turns, until dropped.
struct Swapper(Arc<AtomicBool>, Option<thread::JoinHandle<()>>);

impl Swapper {
    fn new(scratch: &Scratch, place: &str, files: [&str; 2]) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let place = scratch.join(place);
        let files = files.map(|f| scratch.join(f));
        let next = scratch.join("next");
        let thread = thread::spawn(move || {
            while !stopped.load(Ordering::Relaxed) {
                for file in &files {
                    let _taken = fs::remove_file(&next);
                    fs::hard_link(file, &next).expect("link");
                    fs::rename(&next, &place).expect("rename");
                    thread::sleep(Duration::from_micros(700));
                }
            }
        });
        Self(stop, Some(thread))
    }
}

impl Drop for Swapper {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
        if let Some(thread) = self.1.take() {
            thread.join().expect("the swapper");
        }
    }
}

#[test]
fn a_program_swapped_between_verification_and_use_never_runs() {
    let scratch = Scratch::new();
    program(&scratch, "tool");
    write_program(&scratch, "evil", "evil");
    fs::copy(scratch.join("tool"), scratch.join("good")).unwrap();
    let _swapper = Swapper::new(&scratch, "tool", ["evil", "good"]);
    let mut ran = 0;
    for _ in 0..60 {
        let out = guard(&scratch, &["tool", "--", "./tool"]).run();
        assert!(!out.stdout.contains("evil"), "{out}");
        ran += usize::from(out.code == Some(0));
        assert!(matches!(out.code, Some(0 | 125 | 126)), "{out}");
    }
    assert!(ran < 60, "the swap was never seen");
}

#[test]
fn a_model_swapped_between_verification_and_use_is_used_as_it_was() {
    let scratch = super::signed_model();
    scratch.write("evil", "evil");
    fs::copy(scratch.join("m/weights.bin"), scratch.join("good")).unwrap();
    let _swapper = Swapper::new(&scratch, "m/weights.bin", ["evil", "good"]);
    let good = "\u{7}".repeat(4096);
    for i in 0..40 {
        let into = format!("into{i}");
        let place = format!("{into}/m/weights.bin");
        let out = guard(&scratch, &["m", "--into", &into, "--", "cat", &place]).run();
        match out.code {
            Some(0) => assert_eq!(out.stdout, good),
            Some(125 | 126) => assert!(!scratch.join(&place).exists(), "{out}"),
            _ => panic!("{out}"),
        }
    }
}

#[test]
fn the_copy_stays_what_it_is_when_the_original_changes() {
    let scratch = super::signed_model();
    let script = "echo evil > m/weights.bin; cmp into/m/weights.bin m/weights.bin; wc -c < into/m/weights.bin";
    let out = guard(&scratch, &["m", "--into", "into", "--", "sh", "-c", script]).run();
    assert_eq!(out.ok().stdout.lines().last(), Some("4096"), "{out}");
}

#[test]
fn the_copy_is_private_and_has_no_links() {
    let scratch = super::model();
    symlink("config.json", scratch.join("m/link.json")).unwrap();
    let args = ["sign", "m", "--allow-symlinks", "--key", &private("p256")];
    scratch.obreia().args(args).run().ok();
    guard(&scratch, &["m", "--allow-symlinks", "--into", "into"])
        .run()
        .ok();
    let link = scratch.join("into/m/link.json").symlink_metadata().unwrap();
    assert!(link.is_file());
    assert_eq!(link.permissions().mode() & 0o777, 0o600);
    let folder = scratch.join("into/m").metadata().unwrap();
    assert_eq!(folder.permissions().mode() & 0o777, 0o700);
}

#[test]
fn a_program_in_a_model_runs_only_as_it_was_signed() {
    let scratch = super::model();
    write_program(&scratch, "m/bin/serve", "good");
    sign(&scratch, "m", "p256");
    let out = guard(&scratch, &["m", "--", "m/bin/serve"]).run();
    assert_eq!(out.ok().stdout, "good\n");
    let out = guard(&scratch, &["m", "--into", "into", "--", "into/m/bin/serve"]).run();
    assert_eq!(out.ok().stdout, "good\n");
    // One that no signature covers is not run, even where the operator lets it lie there.
    write_program(&scratch, "m/cache/serve", "evil");
    let ignore = ["m", "--ignore-path", "cache", "--"];
    let out = guard(&scratch, &[&ignore[..], &["m/cache/serve"]].concat()).run();
    refused(&out, 126, &["is not what was verified"]);
    // A link in the model to something outside is a part of the model.
    symlink("../evil", scratch.join("m/cache/link")).unwrap();
    write_program(&scratch, "evil", "evil");
    let out = guard(
        &scratch,
        &[
            "m",
            "--ignore-path",
            "cache",
            "--symlinks-within",
            ".",
            "--",
            "m/cache/link",
        ],
    )
    .run();
    assert_ne!(out.code, Some(0), "{out}");
    out.stdout_lacks("evil");
}

#[test]
fn a_program_in_the_copy_runs_through_its_descriptor() {
    let scratch = super::model();
    let at = scratch.write("m/which", "#!/bin/sh\necho \"$0\"\n");
    fs::set_permissions(at, fs::Permissions::from_mode(0o755)).unwrap();
    sign(&scratch, "m", "p256");
    let out = guard(&scratch, &["m", "--into", "into", "--", "into/m/which"]).run();
    assert!(out.ok().stdout.starts_with("/proc/self/fd/"), "{out}");
    // Evidence is no part of what was signed, and is not run.
    let signature = scratch.join("m/model.sig");
    fs::set_permissions(signature, fs::Permissions::from_mode(0o755)).unwrap();
    let out = guard(
        &scratch,
        &["m", "--into", "again", "--", "again/m/model.sig"],
    )
    .run();
    refused(&out, 126, &["is not what was verified"]);
}

#[test]
fn a_link_in_a_model_is_a_part_of_it_through_a_linked_folder_too() {
    let scratch = super::model();
    sign(&scratch, "m", "p256");
    write_program(&scratch, "evil", "evil");
    fs::create_dir(scratch.join("m/cache")).unwrap();
    symlink("../../evil", scratch.join("m/cache/link")).unwrap();
    symlink("m/cache", scratch.join("way")).unwrap();
    for program in ["m/cache/link", "way/link"] {
        let args = [
            "m",
            "--ignore-path",
            "cache",
            "--symlinks-within",
            ".",
            "--",
        ];
        let out = guard(&scratch, &[&args[..], &[program]].concat()).run();
        refused(&out, 126, &["is not what was verified"]);
        out.stdout_lacks("evil");
    }
}

#[test]
fn the_original_of_a_copy_runs_only_while_it_is_what_was_verified() {
    let scratch = Scratch::new();
    program(&scratch, "tool");
    let out = guard(&scratch, &["tool", "--into", "a", "--", "./tool"]).run();
    assert_eq!(out.ok().stdout, "good\n");
    write_program(&scratch, "evil", "evil");
    fs::copy(scratch.join("tool"), scratch.join("good")).unwrap();
    let _swapper = Swapper::new(&scratch, "tool", ["evil", "good"]);
    for i in 0..40 {
        let into = format!("into{i}");
        let out = guard(&scratch, &["tool", "--into", &into, "--", "./tool"]).run();
        assert!(!out.stdout.contains("evil"), "{out}");
    }
}
