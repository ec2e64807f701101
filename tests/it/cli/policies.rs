//! Policies as the commands meet them.

use super::{allowed, denied, policy, refused, signed_blob, verify};

#[test]
fn a_policy_with_a_private_key_is_refused_and_does_not_show_it() {
    let scratch = signed_blob("p256");
    let secret = std::fs::read_to_string(super::private("p256")).unwrap();
    let pem = secret.trim().replace('\n', "\n            ");
    scratch.write(
        "p.yaml",
        format!(
            "apiVersion: obreia/v1\nkind: VerificationPolicy\nmetadata: {{ name: p }}\nspec:\n  match: [{{ name: \"**\" }}]\n  authorities:\n    - name: a\n      keys:\n        - |\n            {pem}\n"
        ),
    );
    let out = verify(&scratch, &["app.bin", "--policy", "p.yaml"]);
    refused(&out, 3, &["private key"]);
    let line = secret.lines().nth(1).unwrap();
    assert!(!out.to_string().contains(line), "it is shown");
}

#[test]
fn a_policy_that_cannot_be_read_as_one_is_exit_3() {
    let scratch = signed_blob("p256");
    policy(&scratch, "p", &["p256"], "");
    let good = scratch.read_text("p.yaml");
    for (change, to) in [
        ("obreia/v1", "obreia/v9"),
        ("authorities:", "authoritys:"),
        ("metadata:", "metadata: {}\nmetadata:"),
        ("p256.pub.pem", "absent.pem"),
        ("match: [{ name: \"**\" }]", "match: []"),
    ] {
        assert!(good.contains(change), "{change}");
        scratch.write("bad.yaml", good.replacen(change, to, 1));
        let out = verify(&scratch, &["app.bin", "--policy", "bad.yaml"]);
        assert!(matches!(out.code, Some(2..=4)), "{change}\n{out}");
        out.stderr_has("error");
    }
    scratch.write("bad.yaml", "");
    refused(
        &verify(&scratch, &["app.bin", "--policy", "bad.yaml"]),
        3,
        &["bad.yaml"],
    );
    allowed(&verify(&scratch, &["app.bin", "--policy", "p.yaml"]));
}

#[test]
fn a_threshold_of_more_than_there_are_is_refused() {
    let scratch = signed_blob("p256");
    policy(
        &scratch,
        "p",
        &["p256"],
        "signatures: { from: [p256], threshold: 2 }",
    );
    refused(
        &verify(&scratch, &["app.bin", "--policy", "p.yaml"]),
        3,
        &["threshold"],
    );
    policy(
        &scratch,
        "q",
        &["p256", "p384"],
        "signatures: { from: [p256, p384], threshold: 2 }",
    );
    denied(
        &verify(&scratch, &["app.bin", "--policy", "q.yaml"]),
        "threshold-not-met",
    );
}
