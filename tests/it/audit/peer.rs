//! Go's own implementation of notes, tiles and proofs reads what we write.

use super::{copied, fill, signed};
use crate::harness::{Output, Scratch, peer};
use crate::keys::run;

fn tlogcheck(scratch: &Scratch, args: &[&str], stdin: &[u8]) -> Option<Output> {
    let program = peer("tlogcheck")?;
    Some(
        scratch
            .obreia()
            .program(program)
            .args(args)
            .stdin(stdin)
            .run(),
    )
}

#[test]
fn go_reads_the_log_at_every_size() {
    let scratch = signed();
    let key = run(&scratch, &["audit", "key"])
        .ok()
        .stdout
        .trim()
        .to_owned();
    for (more, size) in [
        (0, 6),
        (248, 254),
        (2, 256),
        (2, 258),
        (254, 512),
        (490, 1002),
    ] {
        fill(&scratch, more);
        let Some(out) = tlogcheck(&scratch, &["log", "state/audit", &key], b"") else {
            return;
        };
        out.ok().stdout_has(&format!("whole: {size} records"));
    }
    // It can say no, too.
    let other = run(&signed(), &["audit", "key"])
        .ok()
        .stdout
        .trim()
        .to_owned();
    let out = tlogcheck(&scratch, &["log", "state/audit", &other], b"").unwrap();
    out.expect_code(1);
    for part in [
        "log/tile/0/001",
        "log/tile/entries/002",
        "log/tile/0/003.p/234",
    ] {
        let copy = copied(&scratch);
        let mut bytes = copy.read(part);
        let middle = bytes.len() / 2;
        bytes[middle] ^= 1;
        copy.write(part, bytes);
        let out = tlogcheck(&copy, &["log", "log", &key], b"").unwrap();
        out.expect_code(1);
    }
}

#[test]
fn go_checks_a_proof() {
    let scratch = signed();
    fill(&scratch, 600);
    let key = run(&scratch, &["audit", "key"])
        .ok()
        .stdout
        .trim()
        .to_owned();
    let proof = run(&scratch, &["audit", "prove", "request-123"])
        .ok()
        .json();
    for one in proof["records"].as_array().unwrap() {
        let record = hex::encode(obreia::canon::canonical(&one["record"]));
        let text = one["proof"].as_str().unwrap();
        let input = format!("{record}\n{text}");
        let Some(out) = tlogcheck(&scratch, &["proof", &key], input.as_bytes()) else {
            return;
        };
        out.ok().stdout_has("of 606");
        let other = format!("00{input}");
        let out = tlogcheck(&scratch, &["proof", &key], other.as_bytes()).unwrap();
        out.expect_code(1);
    }
}

#[test]
fn go_checks_that_a_log_grew() {
    let scratch = signed();
    let key = run(&scratch, &["audit", "key"]);
    let key = key.ok().stdout.trim().to_owned();
    for (more, size) in [(2, 8), (248, 256), (2, 258), (600, 858)] {
        let kept = scratch.read("state/audit/checkpoint");
        scratch.write("kept", &kept);
        let from = String::from_utf8_lossy(&kept);
        let from = from.lines().nth(1).unwrap();
        fill(&scratch, more);
        let proof = run(&scratch, &["audit", "prove", "--from", from]);
        let proof = proof.ok().json()["proof"].as_str().unwrap().to_owned();
        let check = |proof: &str| tlogcheck(&scratch, &["growth", &key, "kept"], proof.as_bytes());
        let Some(out) = check(&proof) else { return };
        out.ok()
            .stdout_has(&format!("grown: from {from} to {size}"));
        // Without its last hash it leads nowhere.
        let (path, newer) = proof.split_once("\n\n").unwrap();
        let (path, _) = path.rsplit_once('\n').unwrap();
        let short = check(&format!("{path}\n\n{newer}")).unwrap();
        short.expect_code(1);
    }
}

#[test]
fn go_signs_the_same_checkpoint_with_the_same_key() {
    let scratch = signed();
    let private = scratch.read_text("state/audit.key");
    let checkpoint = scratch.read_text("state/audit/checkpoint");
    let (text, _) = checkpoint.split_once("\n\n").unwrap();
    let text = format!("{text}\n");
    let Some(out) = tlogcheck(&scratch, &["sign", private.trim()], text.as_bytes()) else {
        return;
    };
    assert_eq!(out.ok().stdout, checkpoint);
}
