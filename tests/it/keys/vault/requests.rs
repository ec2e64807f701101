//! How often the server is asked.

use super::{Between, run, server};
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
