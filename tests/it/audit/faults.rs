//! A log that is full, read-only, changed, cut or taken away; and the
//! signature that does not leave.

use super::{copied, fill, parts, put_back, sign, signed};
use crate::harness::{Scratch, not_run, testdata};
use crate::keys::{obreia, place, run};

/// Nothing is signed, by that reason, and the log does not verify, at that place.
#[track_caller]
fn refused(scratch: &Scratch, code: &str, at: &str) {
    sign(scratch)
        .expect_code(4)
        .stderr_has(&format!("error[{code}]"))
        .stderr_has("hint:");
    run(scratch, &["audit", "verify"])
        .expect_code(1)
        .stdout_has("BROKEN")
        .stdout_has(at);
}

#[test]
fn a_flipped_bit() {
    let scratch = signed();
    let journal = scratch.read("state/audit/journal");
    let mut bad = journal.clone();
    bad[journal.len() / 2] ^= 1;
    scratch.write("state/audit/journal", bad);
    refused(&scratch, "audit-broken", "journal");
    scratch.write("state/audit/journal", &journal);
    for part in ["state/audit/checkpoint", "state/audit.head"] {
        let good = scratch.read(part);
        let mut bad = good.clone();
        bad[good.len() - 20] ^= 1;
        scratch.write(part, bad);
        refused(&scratch, "audit-broken", part.rsplit('/').next().unwrap());
        scratch.write(part, good);
    }
    sign(&scratch).ok();
    run(&scratch, &["audit", "verify"]).ok();
}

#[test]
fn tiles_and_entries_that_were_changed_or_cut() {
    let scratch = signed();
    fill(&scratch, 400);
    run(&scratch, &["audit", "verify"])
        .ok()
        .stdout_has("406 records");
    for part in [
        "tile/0/000",
        "tile/entries/000",
        "tile/1/000.p/1",
        "tile/0/001.p/150",
    ] {
        let path = format!("state/audit/{part}");
        let good = scratch.read(&path);
        let mut flipped = good.clone();
        flipped[good.len() / 2] ^= 1;
        for bad in [&flipped[..], &good[..good.len() / 2], b""] {
            scratch.write(&path, bad);
            let out = run(&scratch, &["audit", "verify", "-o", "json"]);
            let json = out.expect_code(1).json();
            assert_eq!(json["verdict"], "broken");
            let problems = json["problems"].as_array().unwrap();
            assert!(
                problems.iter().any(|p| p["place"] == part),
                "{part}: {problems:?}"
            );
        }
        std::fs::remove_file(scratch.join(&path)).unwrap();
        run(&scratch, &["audit", "verify"])
            .expect_code(1)
            .stdout_has(&format!("{part}: it is missing"));
        scratch.write(&path, good);
    }
    run(&scratch, &["audit", "verify"]).ok();
}

#[test]
fn what_is_gone_of_ones_own_log_does_not_hold() {
    for part in ["audit/journal", "audit.key", "audit"] {
        let scratch = signed();
        let gone = scratch.join("gone");
        std::fs::rename(scratch.join(format!("state/{part}")), &gone).unwrap();
        run(&scratch, &["audit", "verify"]).expect_code(1);
        std::fs::rename(&gone, scratch.join(format!("state/{part}"))).unwrap();
        run(&scratch, &["audit", "verify"]).ok();
    }
    // Others may have a copy without the journal.
    let scratch = signed();
    let key = run(&scratch, &["audit", "key"]).ok().stdout.clone();
    std::fs::remove_file(scratch.join("state/audit/journal")).unwrap();
    let verify = [
        "audit",
        "verify",
        "--log",
        "state/audit",
        "--key",
        key.trim(),
    ];
    run(&scratch, &verify).ok();
}

#[test]
fn a_configuration_without_a_keystore_is_told_how_to_get_one() {
    let scratch = Scratch::new();
    scratch.write("a.txt", "hello");
    scratch.write("obreia.toml", "version = 1\n[state]\ndir = \"kept\"\n");
    let key = testdata("keys").join("p256.pkcs8.pem");
    let sign = ["sign", "a.txt", "--key", key.to_str().unwrap()];
    run(&scratch, &sign)
        .expect_code(4)
        .stderr_has("error[audit-missing]")
        .stderr_has("there is no audit log yet")
        .stderr_has("obreia init DIR");
    let before = scratch.read("obreia.toml");
    run(&scratch, &["init", "."]).ok();
    assert_eq!(scratch.read("obreia.toml"), before);
    assert!(scratch.join("kept/keystore.db").exists());
    assert!(!scratch.join("policies").exists());
    run(&scratch, &sign).ok();
    run(&scratch, &["init", "."])
        .expect_code(2)
        .stderr_has("exists already");
    // A log that was there and is gone is another matter.
    std::fs::remove_dir_all(scratch.join("kept/audit")).unwrap();
    for file in ["audit.key", "audit.head"] {
        std::fs::remove_file(scratch.join("kept").join(file)).unwrap();
    }
    run(&scratch, &[&sign[..], &["--force"]].concat())
        .expect_code(4)
        .stderr_has("put the log back from its copy");
}

#[test]
fn a_deleted_checkpoint_and_a_truncated_journal() {
    let scratch = signed();
    let checkpoint = scratch.read("state/audit/checkpoint");
    std::fs::remove_file(scratch.join("state/audit/checkpoint")).unwrap();
    refused(&scratch, "audit-broken", "checkpoint: it is missing");
    scratch.write("state/audit/checkpoint", checkpoint);
    let journal = scratch.read("state/audit/journal");
    scratch.write("state/audit/journal", &journal[..journal.len() - 100]);
    refused(&scratch, "audit-broken", "journal");
    scratch.write("state/audit/journal", &journal[..100]);
    refused(&scratch, "audit-broken", "journal");
    scratch.write("state/audit/journal", journal);
    sign(&scratch).ok();
}

#[test]
fn an_older_copy_of_the_log() {
    let scratch = signed();
    let older = copied(&scratch);
    sign(&scratch).ok();
    std::fs::rename(scratch.join("state/audit"), scratch.join("newer")).unwrap();
    for file in older.files() {
        if let Some(name) = file.strip_prefix("log/") {
            scratch.write(format!("state/audit/{name}"), older.read(&file));
        }
    }
    refused(&scratch, "audit-rolled-back", "audit.head");
    std::fs::remove_dir_all(scratch.join("state/audit")).unwrap();
    std::fs::rename(scratch.join("newer"), scratch.join("state/audit")).unwrap();
    sign(&scratch).ok();
    run(&scratch, &["audit", "verify"])
        .ok()
        .stdout_has("10 records");
}

#[test]
fn an_older_copy_of_the_log_and_of_all_that_tells_of_it() {
    let scratch = signed();
    let older = parts(&scratch);
    run(&scratch, &["key", "rotate", "kms://model-sign/a"]).ok();
    let newer = parts(&scratch);
    let put = |parts: &[(String, Vec<u8>)]| put_back(&scratch, parts);
    put(&older);
    sign(&scratch)
        .expect_code(4)
        .stderr_has("error[audit-rolled-back]")
        .stderr_has("an older copy of the log");
    put(&newer);
    sign(&scratch).ok();
    // Where the newer one is lost for good.
    put(&older);
    run(&scratch, &["keystore", "backup", "copy.db"]).ok();
    run(&scratch, &["keystore", "restore", "copy.db", "--force"]).ok();
    sign(&scratch).ok();
    run(&scratch, &["audit", "verify"]).ok();
}

#[test]
fn a_log_of_an_earlier_build() {
    let scratch = signed();
    std::fs::remove_dir_all(scratch.join("state/audit")).unwrap();
    scratch.write("state/audit.log", "{}\n");
    sign(&scratch)
        .expect_code(4)
        .stderr_has("error[audit-old-form]")
        .stderr_has("obreia init");
    std::fs::remove_file(scratch.join("state/audit.log")).unwrap();
    sign(&scratch)
        .expect_code(4)
        .stderr_has("error[audit-missing]");
    let key = scratch.join("state/audit.key");
    let scratch = signed();
    std::fs::remove_file(scratch.join("state/audit.key")).unwrap();
    sign(&scratch)
        .expect_code(4)
        .stderr_has("error[audit-missing]");
    scratch.write("state/audit.key", "PRIVATE+KEY+x+00000000+AAAA");
    sign(&scratch)
        .expect_code(4)
        .stderr_has("error[audit-broken]")
        .stderr_lacks("AAAA");
    drop(key);
}

/// The state folder on a small disk of its own: filled, freed, made read-only.
#[test]
fn a_disk_that_is_full_or_read_only() {
    let scratch = place();
    scratch.write("a.txt", "hello");
    scratch.write(
        "k.pem",
        std::fs::read(testdata("keys/p256.pkcs8.pem")).unwrap(),
    );
    let script = r#"
        set -e
        cp -a state kept
        mount -t tmpfs -o size=1m none state || exit 77
        cp -a kept/. state/
        set +e
        sign() { "$OBREIA" sign a.txt --key k.pem --output "$1.json"; echo "$1 $?"; }
        dd if=/dev/zero of=state/fill bs=4k 2>/dev/null
        sign full
        rm state/fill
        sign freed
        mount -o remount,ro state
        sign readonly
        mount -o remount,rw state
        sign writable
        "$OBREIA" audit verify
        echo "verify $?"
    "#;
    let out = obreia(&scratch, &["-rm", "sh", "-c", script])
        .program("unshare")
        .env("OBREIA", env!("CARGO_BIN_EXE_obreia"));
    if out.command().output().is_err() {
        return not_run("unshare is missing: install the system package util-linux");
    }
    std::fs::remove_dir_all(scratch.join("kept")).unwrap_or_default();
    for left in ["freed.json", "writable.json"] {
        std::fs::remove_file(scratch.join(left)).unwrap_or_default();
    }
    let out = out.run();
    if matches!(out.code, Some(1 | 77)) && !out.stdout.contains("full") {
        return not_run("this user may not mount a small disk of his own");
    }
    for line in ["full 4", "freed 0", "readonly 4", "writable 0", "verify 0"] {
        out.stdout_has(line);
    }
    out.stderr_has("error[audit-full]")
        .stderr_has("free space")
        .stderr_has("error[audit-read-only]")
        .stderr_has("make the state folder writable");
    for left in ["full.json", "readonly.json"] {
        assert!(!scratch.join(left).exists(), "{left}");
    }
}

#[test]
fn processes_that_sign_at_once_make_one_log() {
    let scratch = signed();
    let key = testdata("keys/p256.pkcs8.pem");
    let running: Vec<_> = (0..8)
        .map(|n| {
            let bundle = format!("b{n}.json");
            let args = [
                "sign",
                "a.txt",
                "--key",
                key.to_str().unwrap(),
                "--output",
                &bundle,
            ];
            obreia(&scratch, &args).spawn()
        })
        .collect();
    for one in running {
        one.wait().ok();
    }
    let out = run(&scratch, &["audit", "verify", "-o", "json"]);
    let json = out.ok().json();
    assert_eq!(json["size"], 6 + 16);
    assert_eq!(json["unfinished_count"], 0);
}
