//! PINs: where they come from, and that they are tried once.

use super::{Hsm, PIN, failed};

#[test]
fn a_pin_comes_from_where_it_was_said_to_be() {
    let Some(hsm) = Hsm::new() else { return };
    hsm.scratch.write("a.txt", "hello");
    let uri = hsm.create("k", "p256");
    let right = hsm.scratch.write("right", format!("{PIN}\n"));
    let wrong = hsm.scratch.write("wrong", "000000");
    let sign = |uri: &str| hsm.bare(&["sign", "a.txt", "--force", "--key", uri]);
    let source = format!("{uri}?pin-source={}", right.display());

    sign(&uri).env("PKCS11_PIN", PIN).run().ok();
    sign(&uri).env("COSIGN_PKCS11_PIN", PIN).run().ok();
    sign(&uri).args(["--passphrase-file", "right"]).run().ok();
    sign(&source).run().ok();
    // What is nearer to the key comes first.
    sign(&source).env("PKCS11_PIN", "000000").run().ok();
    sign(&uri)
        .args(["--passphrase-file", "right"])
        .env("PKCS11_PIN", "000000")
        .run()
        .ok();
    sign(&uri)
        .env("PKCS11_PIN", PIN)
        .env("COSIGN_PKCS11_PIN", "000000")
        .run()
        .ok();

    for pin in ["{ file = \"right\" }", "{ env = \"HSM_PIN\" }"] {
        hsm.configure(&format!("pin = {pin}"));
        sign(&uri).env("HSM_PIN", PIN).run().ok();
        sign(&uri)
            .env("HSM_PIN", PIN)
            .env("PKCS11_PIN", "000000")
            .run()
            .expect_code(5);
    }
    // Known under the name without its source, too.
    hsm.scratch
        .obreia()
        .args(["verify", "a.txt", "--key", &source])
        .run()
        .ok();
    let source = format!("{uri}?pin-source={}", wrong.display());
    let refused = sign(&source)
        .env("PKCS11_PIN", PIN)
        .args(["-o", "json"])
        .run();
    failed(&refused, 5, "kms-login");
}

#[test]
fn without_a_pin_or_with_one_in_the_open_nothing_is_signed() {
    let Some(hsm) = Hsm::new() else { return };
    hsm.scratch.write("a.txt", "hello");
    let uri = hsm.create("k", "p256");
    hsm.scratch.write("empty", "\n");
    let cases = [
        (uri.clone(), 2, "no-passphrase", "PKCS11_PIN"),
        (
            format!("{uri}?pin-source=/nonexistent/pin"),
            3,
            "not-configured",
            "pin-source",
        ),
        (
            format!("{uri}?pin-source={}", hsm.scratch.join("empty").display()),
            2,
            "no-passphrase",
            "empty",
        ),
        (
            format!("{uri}?pin-value={PIN}"),
            2,
            "bad-request",
            "pin-source=FILE, or set PKCS11_PIN",
        ),
    ];
    for (uri, exit, code, says) in cases {
        let out = hsm
            .bare(&["sign", "a.txt", "-o", "json", "--key", &uri])
            .run();
        let text = failed(&out, exit, code);
        assert!(text.contains(says), "{uri}: {text}");
        assert!(!out.to_string().replace(&uri, "").contains(PIN), "{out}");
    }
    hsm.configure(&format!("pin = {PIN:?}"));
    let out = hsm.bare(&["sign", "a.txt", "--key", &uri]).run();
    out.expect_code(3);
}

#[test]
fn a_wrong_pin_is_tried_once() {
    let Some(hsm) = Hsm::faulty() else { return };
    hsm.scratch.write("a.txt", "hello");
    let uri = hsm.create("k", "p256");
    let before = hsm.noted("login");
    let sign = hsm.bare(&["sign", "a.txt", "-o", "json", "--key", &uri]);
    let out = sign.env("PKCS11_PIN", "000000").run();
    let text = failed(&out, 5, "kms-login");
    assert!(
        text.contains("CKR_PIN_INCORRECT") && text.contains("credential"),
        "{text}"
    );
    assert_eq!(hsm.noted("login"), before + 1);
    assert!(!out.to_string().contains("000000"), "{out}");
    assert!(!hsm.scratch.join("a.txt.sigstore.json").exists());
}

#[test]
fn a_login_that_fails_otherwise_is_not_tried_again_either() {
    let Some(hsm) = Hsm::faulty() else { return };
    hsm.scratch.write("a.txt", "hello");
    let uri = hsm.create("k", "p256");
    for (mode, exit, code) in [
        ("login-fails", 4, "provider-failed"),
        ("login-locks", 5, "pin-locked"),
        // A token that is gone once the PIN was sent may have counted it.
        ("login-absent", 4, "no-token"),
    ] {
        let before = hsm.noted("login");
        hsm.mode(mode);
        let out = hsm.run(&["sign", "a.txt", "-o", "json", "--key", &uri]);
        failed(&out, exit, code);
        assert_eq!(hsm.noted("login"), before + 1, "{mode}");
    }
}

#[test]
fn the_last_try_is_left_to_a_person() {
    let Some(hsm) = Hsm::faulty() else { return };
    hsm.scratch.write("a.txt", "hello");
    let uri = hsm.create("k", "p256");
    let before = hsm.noted("login");
    for (mode, says) in [
        ("locked", "is locked"),
        ("final-try", "one try left"),
        ("locked final-try", "is locked"),
    ] {
        hsm.mode(mode);
        let out = hsm.run(&["sign", "a.txt", "-o", "json", "--key", &uri]);
        let text = out.fails("pin-locked", "security officer reset the PIN");
        assert!(text.to_string().contains(says), "{text}");
    }
    assert_eq!(hsm.noted("login"), before);
    // One that was wrong once does not keep the right one out.
    hsm.mode("count-low");
    hsm.run(&["sign", "a.txt", "--key", &uri]).ok();
}
