//! How often the server is asked, and what of it is seen afterwards.

use super::{Act, Between, ROOT, run, server, with};
use crate::harness::Scratch;
use crate::keys::place;

const READ: &str = "GET /v1/transit/keys/counted";
const SIGN: &str = "PUT /v1/transit/sign/counted/sha2-256";

#[test]
fn one_request_for_a_signature_and_none_for_verifying() {
    let Some(bao) = server() else { return };
    bao.key("counted", "ecdsa-p256");
    let between = Between::new(&bao.host);
    let (scratch, address) = (place(), between.address());
    scratch.write("a.txt", "hello");
    let sign = || {
        run(
            &scratch,
            &address,
            &["sign", "a.txt", "--key", "openbao://counted", "--force"],
        )
    };
    sign().expect_code(0);
    assert_eq!(
        between.seen(),
        [READ, SIGN],
        "the public key is not known yet"
    );
    for _ in 0..3 {
        sign().expect_code(0);
        assert_eq!(between.seen(), [SIGN]);
    }
    let verify = |more: &[&str]| {
        let args = [&["verify", "a.txt", "--key", "openbao://counted"], more].concat();
        run(&scratch, &address, &args)
    };
    verify(&[]).expect_code(0);
    run(&scratch, &address, &["key", "public", "openbao://counted"]).expect_code(0);
    verify(&["--offline"]).expect_code(0);
    // Verifying needs no token either.
    scratch
        .obreia()
        .env("VAULT_ADDR", &address)
        .args(["verify", "a.txt", "--key", "openbao://counted"])
        .run()
        .expect_code(0);
    scratch
        .obreia()
        .args(["verify", "a.txt", "--key", "openbao://counted", "--offline"])
        .run()
        .expect_code(0);
    assert!(between.seen().is_empty());
    // What is known of a key is known of this server's key alone.
    let other = Between::new(&bao.host);
    run(
        &scratch,
        &other.address(),
        &["verify", "a.txt", "--key", "openbao://counted"],
    )
    .expect_code(0);
    assert_eq!(other.seen(), [READ]);
}

#[test]
fn offline_nothing_is_asked() {
    let Some(bao) = server() else { return };
    bao.key("counted-offline", "ecdsa-p256");
    let between = Between::new(&bao.host);
    let (scratch, address) = (place(), between.address());
    scratch.write("a.txt", "hello");
    let key = "openbao://counted-offline";
    for args in [
        &["sign", "a.txt", "--key", key, "--offline"][..],
        &["verify", "a.txt", "--key", key, "--offline"],
        &["key", "show", key, "--offline"],
        &["key", "rotate", key, "--offline"],
    ] {
        run(&scratch, &address, args)
            .expect_code(4)
            .stderr_has("error[offline]");
    }
    assert!(between.seen().is_empty());
}

#[test]
fn the_token_is_nowhere_afterwards() {
    let Some(bao) = server() else { return };
    bao.key("silent", "ecdsa-p256");
    let between = Between::new(&bao.host);
    let (scratch, address) = (place(), between.address());
    scratch.write("a.txt", "hello");
    let key = "openbao://silent";
    let told = |token: &str, args: &[&str]| with(&scratch, &address, token, args).run();
    let mut outputs = Vec::new();
    for args in [
        &["sign", "a.txt", "--key", key, "-vv"][..],
        &[
            "sign", "a.txt", "--key", key, "-vv", "-o", "json", "--force",
        ],
        &["verify", "a.txt", "--key", key, "-vv", "--explain"],
        &["key", "show", key, "-vv"],
        &["key", "rotate", key, "-vv"],
        &["key", "list", "openbao://", "-o", "json"],
        &["config", "show", "--origin"],
        &["sign", "a.txt", "--key", "openbao://absent-silent", "-vv"],
    ] {
        outputs.push(told(ROOT, args));
    }
    // A server that says what it was sent, and a token that is not taken.
    for status in [400, 403, 500, 503] {
        let echo = format!("{{\"errors\":[\"1 error occurred: got {ROOT}\"]}}");
        between.next("sign/silent", Act::Answer(status, "", echo));
        let out = told(ROOT, &["sign", "a.txt", "--key", key, "--force", "-vv"]);
        assert_ne!(out.code, Some(0));
        out.stderr_has("…");
        outputs.push(out);
    }
    assert!(between.done());
    let wrong = "s.a-token-that-is-not-taken";
    outputs.push(told(
        wrong,
        &["sign", "a.txt", "--key", key, "--force", "-vv"],
    ));
    outputs
        .last()
        .unwrap()
        .expect_code(5)
        .stderr_has("error[kms-login]");
    for out in &outputs {
        for token in [ROOT, wrong] {
            assert!(!out.to_string().contains(token), "{out}");
        }
    }
    for file in everything(&scratch) {
        let text = String::from_utf8_lossy(&std::fs::read(&file).unwrap()).into_owned();
        for token in [ROOT, wrong] {
            assert!(!text.contains(token), "{} holds a token", file.display());
        }
    }
    let log = everything(&scratch);
    assert!(
        log.iter()
            .any(|file| file.to_string_lossy().contains("audit"))
    );
    assert!(
        log.iter()
            .any(|file| file.to_string_lossy().contains("known-keys"))
    );
}

fn everything(scratch: &Scratch) -> Vec<std::path::PathBuf> {
    let mut found = Vec::new();
    let mut folders = vec![scratch.path(), scratch.home()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let entry = entry.unwrap();
            if entry.file_type().unwrap().is_dir() {
                folders.push(entry.path());
            } else {
                found.push(entry.path());
            }
        }
    }
    found
}
