//! Verifying never starts the cryptographic library's random generator, which
//! costs more processor time than everything else that it does.

use super::{private, public, signed_blob, signed_model};
use crate::harness::{Obreia, Scratch, not_run};

/// How much each call of getrandom asked for; `None` where calls cannot be traced here.
fn asked_for(scratch: &Scratch, args: &[&str]) -> Option<Vec<usize>> {
    let run = Obreia::in_scratch(scratch)
        .program("strace")
        .args(["-f", "-o", "trace", "-e", "trace=getrandom,open,openat"])
        .arg(env!("CARGO_BIN_EXE_obreia"))
        .args(args);
    match run.command().output() {
        Ok(out) if out.status.success() => {}
        _ => {
            not_run("strace does not work here: install the system package strace");
            return None;
        }
    }
    let trace = scratch.read_text("trace");
    let devices = trace.lines().filter(|l| l.contains("random\""));
    assert_eq!(devices.count(), 0, "{trace}");
    let calls = trace.lines().filter(|l| l.contains("getrandom("));
    Some(calls.map(length).collect())
}

/// The second argument of `getrandom("…"..., LENGTH, FLAGS) = N`.
fn length(call: &str) -> usize {
    let mut arguments = call.rsplit(", ");
    let _flags_and_result = arguments.next();
    let length = arguments.next().expect("a length");
    length.parse().unwrap_or_else(|_| panic!("{call}"))
}

#[test]
fn verifying_asks_for_no_randomness_but_hash_seeds() {
    let scratch = signed_blob("p256");
    let sign = ["sign", "app.bin", "--force", "--key", &private("p256")];
    let Some(signing) = asked_for(&scratch, &sign) else {
        return;
    };
    // The library's generator asks for 32 bytes and more to seed itself.
    assert!(signing.iter().any(|n| *n >= 32), "{signing:?}");
    let model = signed_model();
    for (scratch, artifact) in [(&scratch, "app.bin"), (&model, "m")] {
        for command in ["verify", "guard"] {
            let args = [command, artifact, "--key", &public("p256")];
            let verifying = asked_for(scratch, &args).expect("it was traced before");
            // What is left seeds the standard library's hash maps and the allocator.
            assert!(
                verifying.iter().all(|n| *n <= 16),
                "{command}: {verifying:?}"
            );
        }
    }
}
