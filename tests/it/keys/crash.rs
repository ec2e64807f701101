//! SIGKILL at any point, and a disk that is full: what was acknowledged is
//! there, what was not is whole or absent.

use std::time::Instant;

use obreia::audit::{self, Event, Phase};
use obreia::time::Timestamp;

use super::knife::Knife;
use super::{block_on, listed, obreia, place, records, run};
use crate::harness::{Output, Scratch};

const ROUNDS: u32 = 24;

/// Starts the command again and again and kills it around its end; `after`
/// tells whether that one said that it was done. How often it was started.
fn killed(
    scratch: &Scratch,
    args: impl Fn(u32) -> Vec<String>,
    mut after: impl FnMut(u32, Output) -> bool,
) -> u32 {
    let started = Instant::now();
    let first: Vec<String> = args(0);
    obreia(
        scratch,
        &first.iter().map(String::as_str).collect::<Vec<_>>(),
    )
    .run()
    .expect_code(0);
    let mut knife = Knife::new(started.elapsed(), ROUNDS);
    let mut last = 0;
    while let Some(round) = knife.next() {
        let args = args(round);
        let args: Vec<&str> = args.iter().map(String::as_str).collect();
        let out = knife.cut(obreia(scratch, &args));
        knife.ended(after(round, out));
        last = round;
    }
    last
}

#[test]
fn key_create() {
    let scratch = place();
    let path = |round| format!("kms://model-sign/k{round}");
    let args = |round| vec!["key".into(), "create".into(), path(round)];
    let mut acknowledged = vec![path(0)];
    killed(&scratch, args, |round, out| {
        // What it said before it died is an acknowledgement too.
        let done = out.code == Some(0) || out.stdout.contains("made ");
        if done {
            acknowledged.push(path(round));
        }
        // Never torn: what is there can be read, after each kill.
        listed(&scratch);
        done
    });
    let there = listed(&scratch);
    for path in &acknowledged {
        assert!(there.contains(path), "{path} was acknowledged and is gone");
    }
    // Every seal, the keyed hash and the log's chain hold, and the keys work.
    scratch.write("a.txt", "hello");
    run(&scratch, &["sign", "a.txt", "--key", &path(0)]).expect_code(0);
    let records = records(&scratch);
    for path in &there {
        let intended = records.iter().any(|record| {
            record["phase"] == "intent"
                && record["op"] == "create"
                && record["key"]["path"] == **path
        });
        assert!(intended, "{path} was made without an intent on record");
    }
    for record in records {
        if record["phase"] == "outcome" && record["op"] == "create" && record["result"] == "ok" {
            let path = record["key"]["path"].as_str().unwrap().to_owned();
            assert!(there.contains(&path), "{path} is on record and not there");
        }
    }
}

#[test]
fn sign() {
    let scratch = place();
    run(&scratch, &["key", "create", "kms://model-sign/a"]).expect_code(0);
    let file = |round| format!("f{round}.txt");
    let args = |round| {
        scratch.write(file(round), format!("contents {round}"));
        ["sign", &file(round), "--key", "kms://model-sign/a"]
            .map(str::to_owned)
            .to_vec()
    };
    let mut acknowledged = vec![0];
    let last = killed(&scratch, args, |round, out| {
        let done = out.code == Some(0) || out.stdout.contains("signed ");
        if done {
            acknowledged.push(round);
        }
        done
    });
    let records = records(&scratch);
    let outcomes = records
        .iter()
        .filter(|r| r["phase"] == "outcome" && r["op"] == "sign" && r["result"] == "ok")
        .count();
    let mut bundles = 0;
    for round in 0..=last {
        let bundle = scratch.join(format!("{}.sigstore.json", file(round)));
        if bundle.exists() {
            bundles += 1;
            // There, so it is whole.
            run(
                &scratch,
                &["verify", &file(round), "--key", "kms://model-sign/a"],
            )
            .expect_code(0);
        } else {
            assert!(
                !acknowledged.contains(&round),
                "round {round} was acknowledged"
            );
        }
    }
    assert!(
        outcomes >= bundles,
        "{bundles} bundles, {outcomes} on record"
    );
    run(
        &scratch,
        &["sign", &file(0), "--key", "kms://model-sign/a", "--force"],
    )
    .expect_code(0);
}

/// An event whose frame in the journal has about `bytes` more than an empty one.
fn pad(scratch: &Scratch, bytes: usize) {
    let event = Event {
        time: Timestamp::from_secs(0),
        phase: Phase::Outcome,
        request_id: "pad".into(),
        front: "x".repeat(bytes.min(3_000)),
        caller: "x".into(),
        method: "x".into(),
        operation: "x".into(),
        key: None,
        provider: None,
        decision: "deny".into(),
        rule: "x".into(),
        payload: None,
        result: None,
        latency_us: None,
        provider_request: None,
        generation: None,
        changes_keystore: false,
    };
    block_on(audit::open(&scratch.join("state")).append(&event)).unwrap();
}

fn log_len(scratch: &Scratch) -> usize {
    scratch.read("state/audit/journal").len()
}

/// Signs while no file may grow beyond `blocks` of 512 bytes.
fn sign_within(scratch: &Scratch, blocks: usize) -> Output {
    let script = format!(
        "trap '' XFSZ; ulimit -f {blocks}; exec {} sign a.txt --key kms://model-sign/a",
        env!("CARGO_BIN_EXE_obreia")
    );
    obreia(scratch, &["-c", &script]).program("sh").run()
}

#[test]
fn a_full_disk_under_the_log_lets_no_signature_out() {
    let scratch = place();
    scratch.write("a.txt", "hello");
    run(&scratch, &["key", "create", "kms://model-sign/a"]).expect_code(0);
    let sign = ["sign", "a.txt", "--key", "kms://model-sign/a", "--output"];
    let before = log_len(&scratch);
    run(&scratch, &[&sign[..], &["x"]].concat()).expect_code(0);
    let both = log_len(&scratch) - before;
    // SQLite's own files need some space under the same limit.
    while log_len(&scratch) < 100 << 10 {
        pad(&scratch, 3_000);
    }
    // Room for nothing, then for the intent and not for the outcome, which is
    // the longer one.
    for (room, phases) in [(both / 4, 0), (both * 3 / 4, 1)] {
        // Up to where exactly `room` is left below a whole block.
        loop {
            let blocks = (log_len(&scratch) + room).div_ceil(512);
            let missing = blocks * 512 - room - log_len(&scratch);
            if missing < 40 {
                break;
            }
            pad(&scratch, 17);
        }
        let blocks = (log_len(&scratch) + room).div_ceil(512);
        let records_before = records(&scratch).len();
        sign_within(&scratch, blocks)
            .expect_code(4)
            .stderr_has("the audit log")
            .stderr_has("cannot be written")
            .stderr_has("free space");
        assert!(!scratch.join("a.txt.sigstore.json").exists());
        assert_eq!(records(&scratch).len() - records_before, phases);
    }
    run(&scratch, &["sign", "a.txt", "--key", "kms://model-sign/a"]).expect_code(0);
}

#[test]
fn a_log_that_is_gone_or_no_file_lets_no_signature_out() {
    let scratch = place();
    scratch.write("a.txt", "hello");
    run(&scratch, &["key", "create", "kms://model-sign/a"]).expect_code(0);
    let log = scratch.join("state/audit/journal");
    let kept = scratch.read("state/audit/journal");
    let refused = |says: &str| {
        // Key files are recorded too, where there is a log to record them in.
        let file = crate::harness::testdata("keys/p256.pkcs8.pem");
        for key in ["kms://model-sign/a", file.to_str().unwrap()] {
            run(&scratch, &["sign", "a.txt", "--key", key])
                .expect_code(4)
                .stderr_has(says);
            assert!(!scratch.join("a.txt.sigstore.json").exists());
        }
    };
    std::fs::remove_file(&log).unwrap();
    refused("is missing");
    std::os::unix::fs::symlink("/dev/full", &log).unwrap();
    refused("is not a regular file");
    std::fs::remove_file(&log).unwrap();
    std::fs::create_dir(&log).unwrap();
    refused("is not a regular file");
    std::fs::remove_dir(&log).unwrap();
    scratch.write("state/audit/journal", "somebody wrote here\n");
    refused("is broken");
    scratch.write("state/audit/journal", kept);
    run(&scratch, &["sign", "a.txt", "--key", "kms://model-sign/a"]).expect_code(0);
}
