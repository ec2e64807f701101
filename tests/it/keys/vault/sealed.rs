//! A server on the disk: not initialised, sealed, unsealed, sealed again.

use serde_json::json;

use super::{Bao, with};
use crate::harness::{Output, peer};
use crate::keys::place;

#[test]
fn a_sealed_server_says_so_and_works_again_when_unsealed() {
    let Some(program) = peer("bao") else { return };
    let mut bao = Bao::on_disk(&program);
    let scratch = place();
    scratch.write("a.txt", "hello");
    let sign = |bao: &Bao, name: &str| -> Output {
        let args = ["sign", "a.txt", "--key", "openbao://k", "--output", name];
        with(&scratch, &bao.address(), &bao.token, &args).run()
    };
    sign(&bao, "1")
        .expect_code(4)
        .stderr_has("error[kms-sealed]")
        .stderr_has("is not initialised");
    let share = bao.initialise();
    sign(&bao, "1")
        .expect_code(4)
        .stderr_has("error[kms-sealed]")
        .stderr_has("is sealed")
        .stderr_has("unseal the key service");
    bao.unseal(&share);
    bao.admin("PUT", "sys/mounts/transit", &json!({"type": "transit"}));
    bao.key("k", "ecdsa-p256");
    sign(&bao, "1").expect_code(0);
    bao.admin("PUT", "sys/seal", &json!({}));
    // The public key is known, so that it is the signing that is refused.
    sign(&bao, "2")
        .expect_code(4)
        .stderr_has("error[kms-sealed]");
    let verify = ["verify", "a.txt", "--key", "openbao://k", "--bundle", "1"];
    with(&scratch, &bao.address(), &bao.token, &verify)
        .run()
        .expect_code(0);
    bao.unseal(&share);
    sign(&bao, "2").expect_code(0);
    // The server's own end.
    let (address, token) = (bao.address(), bao.token.clone());
    drop(bao);
    let args = ["sign", "a.txt", "--key", "openbao://k", "--output", "3"];
    with(&scratch, &address, &token, &args)
        .run()
        .expect_code(4)
        .stderr_has("error[kms-unreachable]");
    assert!(!scratch.join("3").exists());
    // Each attempt stands in the log, with what became of it.
    let log = String::from_utf8_lossy(&scratch.read("state/audit/journal")).into_owned();
    for result in ["ok", "kms-sealed", "kms-unreachable"] {
        assert!(
            log.contains(&format!("\"result\":\"{result}\"")),
            "{result}: {log}"
        );
    }
}
