//! What is signed through a provider, as cosign sees it: with the public key
//! alone. The tests of each provider bring the key.

use crate::harness::{Output, Scratch, peer};

const EVAL: &str = "https://example.acme/eval/v1";

/// cosign verifies what `run`, which is the binary in `scratch`, signs and
/// attests with `key`, and neither once the file is another. `k.pub` is the
/// public key; `told` is what cosign must be told about it.
pub(crate) fn cosign_verifies(
    scratch: &Scratch,
    key: &str,
    told: &[&str],
    run: &dyn Fn(&[&str]) -> Output,
) {
    let Some(cosign) = peer("cosign") else { return };
    scratch.write("blob", "some bytes\n");
    scratch.write("predicate.json", r#"{"score":0.9}"#);
    let signed = ["--key", key, "--force", "--output"];
    let sign = ["sign", "blob"];
    run(&[&sign[..], &signed, &["blob.json"]].concat()).ok();
    let attest = [
        "attest",
        "blob",
        "--type",
        EVAL,
        "--predicate",
        "predicate.json",
    ];
    run(&[&attest[..], &signed, &["attested.json"]].concat()).ok();
    let verify = |args: &[&str]| {
        let command = scratch.obreia().program(&cosign).args(args).args(told);
        command
            .args(["--key", "k.pub", "--insecure-ignore-tlog=true", "blob"])
            .run()
    };
    let blob = || verify(&["verify-blob", "--bundle", "blob.json"]);
    let attested = |kind| {
        let args = [
            "verify-blob-attestation",
            "--bundle",
            "attested.json",
            "--type",
            kind,
        ];
        verify(&args)
    };
    blob().ok();
    attested(EVAL).ok();
    assert_ne!(attested("https://example.acme/other/v1").code, Some(0));
    scratch.write("blob", "other bytes\n");
    assert_ne!(blob().code, Some(0), "{key}");
    assert_ne!(attested(EVAL).code, Some(0), "{key}");
}
