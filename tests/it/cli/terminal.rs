//! What is for a terminal stays on a terminal.

use super::{blob, private, public, signed_blob};
use crate::harness::{Obreia, Output, Scratch, not_run};

const ESCAPE: char = '\u{1b}';

/// Runs the binary on a pseudo-terminal; both streams come back as one.
fn on_a_terminal(scratch: &Scratch, args: &[&str], color: bool) -> Option<Output> {
    let words: Vec<String> = std::iter::once(&env!("CARGO_BIN_EXE_obreia"))
        .chain(args)
        .map(|word| format!("'{word}'"))
        .collect();
    let mut run = Obreia::in_scratch(scratch)
        .program("script")
        .args(["-qec", &words.join(" "), "/dev/null"])
        .env("TERM", "xterm");
    if color {
        run = run.without_env("NO_COLOR");
    }
    if run.command().arg("--version").output().is_err() {
        not_run("script is missing: install the system package bsdutils");
        return None;
    }
    Some(run.run())
}

#[test]
fn colours_on_a_terminal_only_and_not_where_nobody_wants_them() {
    let scratch = signed_blob("p256");
    let key = public("p256");
    let args = ["verify", "app.bin", "--key", &key];
    let Some(out) = on_a_terminal(&scratch, &args, true) else {
        return;
    };
    assert!(out.ok().stdout.contains(ESCAPE), "{out}");
    let out = on_a_terminal(&scratch, &args, false).unwrap();
    assert!(!out.ok().stdout.contains(ESCAPE), "{out}");
    let out = scratch.obreia().args(args).without_env("NO_COLOR").run();
    assert!(!out.ok().to_string().contains(ESCAPE), "{out}");
}

#[test]
fn progress_on_a_terminal_only_and_not_where_nobody_wants_it() {
    let scratch = Scratch::new();
    let path = scratch.write("big.bin", "x");
    let file = std::fs::File::options().write(true).open(path).unwrap();
    file.set_len(4 << 30).unwrap();
    let key = public("p256");
    let args = ["verify", "big.bin", "--key", &key];
    let Some(out) = on_a_terminal(&scratch, &args, false) else {
        return;
    };
    assert!(out.stdout.contains("/s"), "throughput is shown\n{out}");
    for silent in ["--no-progress", "-q"] {
        let out = on_a_terminal(&scratch, &[&args[..], &[silent]].concat(), false).unwrap();
        assert!(!out.stdout.contains("/s"), "{out}");
    }
    let out = scratch.obreia().args(args).run();
    assert!(out.stderr.is_empty(), "{out}");
}

#[test]
fn quiet_leaves_errors_and_verdicts() {
    let scratch = blob();
    let args = ["sign", "app.bin", "-q", "--key", &private("p256")];
    let out = scratch.obreia().args(args).run();
    assert_eq!((out.ok().stdout.as_str(), out.stderr.as_str()), ("", ""));
    let out = scratch.obreia().args(args).args(["--output", "."]).run();
    assert!(!out.stderr.is_empty(), "{out}");
    let args = ["verify", "app.bin", "-q", "--key", &public("p256")];
    scratch.obreia().args(args).run().ok().stdout_has("ALLOWED");
}
