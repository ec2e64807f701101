//! Keys behind plugins, as a user names them: `pem://…` is the demonstration
//! in `testdata/plugins`, `faulty://…` does all that a plugin can do wrong.

use serde_json::Value;

use super::{obreia, place, records};
use crate::harness::{Obreia, Scratch, testdata};

/// The binary, with our plugins before all others.
fn with(scratch: &Scratch, args: &[&str]) -> Obreia {
    let path = std::env::var("PATH").unwrap_or_default();
    let path = format!("{}:{path}", testdata("plugins").display());
    obreia(scratch, args)
        .env("PATH", path)
        .env("PEM_PLUGIN_LOG", scratch.join("runs"))
}

/// The methods that the demonstration was asked since the last look.
fn runs(scratch: &Scratch) -> Vec<String> {
    let log = scratch.join("runs");
    let text = std::fs::read_to_string(&log).unwrap_or_default();
    let _none_yet = std::fs::remove_file(&log);
    text.lines().map(str::to_owned).collect()
}

fn key(name: &str) -> String {
    format!("pem://{}", testdata("keys").join(name).display())
}

#[test]
fn one_run_signs_none_verifies_and_both_are_recorded() {
    let scratch = place();
    scratch.write("f", "some bytes");
    let key = key("p256.pkcs8.pem");
    let sign = ["sign", "f", "--key", &key, "--force"];
    with(&scratch, &sign).run().ok();
    assert_eq!(runs(&scratch), ["publicKey", "signMessage"]);
    with(&scratch, &sign).run().ok();
    assert_eq!(runs(&scratch), ["signMessage"]);
    let verify = ["verify", "f", "--key", &key];
    for offline in [&[][..], &["--offline"]] {
        let args = [&verify[..], offline].concat();
        with(&scratch, &args).run().ok();
    }
    assert_eq!(runs(&scratch), [""; 0]);
    // The very same public key, by another way.
    let public = testdata("keys").join("p256.pub.pem");
    let args = ["verify", "f", "--key", public.to_str().unwrap()];
    with(&scratch, &args).run().ok();

    let log = records(&scratch);
    let last: Vec<&Value> = log.iter().rev().take(2).collect();
    for (record, phase) in last.iter().zip(["outcome", "intent"]) {
        assert_eq!(record["phase"], phase);
        assert_eq!(record["op"], "sign");
        assert_eq!(record["provider"], "plugin");
        assert_eq!(record["key"]["path"], key.as_str());
    }
    assert_eq!(last[0]["result"], "ok");
}

#[test]
fn keys_of_every_kind_sign() {
    let scratch = Scratch::new();
    for name in ["p384", "p521", "ed25519", "rsa2048"] {
        scratch.write("f", format!("signed with {name}"));
        let key = key(&format!("{name}.pkcs8.pem"));
        with(&scratch, &["sign", "f", "--key", &key, "--force"])
            .run()
            .ok();
        let public = testdata("keys").join(format!("{name}.pub.pem"));
        let args = ["verify", "f", "--key", public.to_str().unwrap()];
        with(&scratch, &args).run().ok();
    }
}

#[test]
fn a_plugin_that_fails_is_told_from_one_that_is_not_there() {
    let scratch = Scratch::new();
    scratch.write("f", "some bytes");
    for (name, says) in [
        ("garbage", "gave an answer that is not one JSON object"),
        ("flood", "printed more than 65536 bytes"),
        ("signal", "was ended by signal 9"),
        ("silent", "its last words: no such token"),
        ("refuses", "says: the token is locked"),
        ("paints", "says: no\\u{1b}[2J\\nALLOWED"),
    ] {
        let uri = format!("faulty://{name}");
        for args in [
            &["sign", "f", "--key", &uri, "-o", "json"][..],
            &["verify", "f", "--key", &uri, "-o", "json"],
        ] {
            scratch.write("f.sigstore.json", "{}");
            let args = [args, if args[0] == "sign" { &["--force"] } else { &[] }].concat();
            let out = with(&scratch, &args).run();
            let error = out.fails("plugin-failed", "run the plugin by hand");
            let cause = error["cause"].as_str().unwrap();
            assert!(
                cause.starts_with("sigstore-kms-faulty ") && cause.contains(says),
                "{out}"
            );
            out.stderr_lacks("\u{1b}");
        }
    }
    with(
        &scratch,
        &["sign", "f", "--key", "acme://key", "-o", "json"],
    )
    .run()
    .expect_code(3)
    .stderr_has("error[not-configured]")
    .stderr_has("no program sigstore-kms-acme in a folder of PATH")
    .stderr_has("docs/providers.md");
}

#[test]
fn a_signature_that_is_none_goes_no_further() {
    let scratch = place();
    scratch.write("f", "some bytes");
    let out = with(
        &scratch,
        &["sign", "f", "--key", "faulty://key", "-o", "json"],
    )
    .run();
    out.fails("self-check-failed", "the signature was thrown away");
    assert!(!scratch.join("f.sigstore.json").exists());
    assert_eq!(
        records(&scratch).pop().unwrap()["result"],
        "self-check-failed"
    );
}

#[test]
fn a_plugin_that_hangs_is_ended_in_time() {
    let scratch = place();
    scratch.write("f", "some bytes");
    let config = scratch.read_text("obreia.toml");
    let plugin = "\n[keys.plugin.faulty]\ntimeout-seconds = 5\n";
    scratch.write("obreia.toml", format!("{config}{plugin}"));
    let pids = scratch.join("pids");
    let out = with(
        &scratch,
        &["sign", "f", "--key", "faulty://hang", "-o", "json"],
    )
    .env("FAULTY_PIDS", &pids)
    .run();
    let error = out.expect_code(4).json();
    assert_eq!(error["code"], "plugin-failed");
    assert_eq!(
        error["cause"],
        "sigstore-kms-faulty did not answer within 5 s and was ended"
    );
    out.stderr_has("sigstore-kms-faulty: waiting for the token");
    for pid in scratch.read_text("pids").split_whitespace() {
        let stat = || std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        let begun = std::time::Instant::now();
        while !stat().is_empty() && !stat().contains(") Z ") {
            assert!(begun.elapsed().as_secs() < 60, "{}", stat());
            std::thread::sleep(std::time::Duration::from_millis(5));
        }
    }
}

#[test]
fn its_environment_is_ours_but_for_our_own_passphrases() {
    let scratch = place();
    let out = with(&scratch, &["key", "public", "faulty://environment"])
        .env("COSIGN_PASSWORD", "theirs")
        .env("MY_TOKEN", "t")
        .run();
    out.ok()
        .stdout_has("BEGIN PUBLIC KEY")
        .stderr_has("passphrase= password=theirs token=t");
    // What the configuration says holds a secret is withheld too.
    let config = scratch.read_text("obreia.toml");
    let more = "\n[keys.pkcs11.modules.hsm]\npath = \"/m.so\"\npin = { env = \"MY_TOKEN\" }\n";
    scratch.write("obreia.toml", format!("{config}{more}"));
    std::fs::remove_dir_all(scratch.join("state/known-keys")).unwrap();
    with(&scratch, &["key", "public", "faulty://environment"])
        .env("MY_TOKEN", "t")
        .run()
        .ok()
        .stderr_has("passphrase= password= token=");
}

#[test]
fn a_scheme_that_is_none_of_rsa_is_refused_where_it_is_configured() {
    let scratch = place();
    let config = scratch.read_text("obreia.toml");
    let hsm = "[keys.pkcs11.modules.hsm]\npath = \"/m.so\"";
    for section in ["[keys.plugin.faulty]", hsm] {
        for bad in ["pss", "ed25519", ""] {
            let text = format!("{config}\n{section}\nrsa = {bad:?}\n");
            scratch.write("obreia.toml", text);
            let out = with(&scratch, &["key", "public", "faulty://key"]).run();
            out.expect_code(3).stderr_has("is none of rsa-pkcs1-sha256");
        }
    }
}

#[test]
fn offline_no_plugin_runs() {
    let scratch = place();
    scratch.write("f", "some bytes");
    let key = key("p256.pkcs8.pem");
    let out = with(
        &scratch,
        &["sign", "f", "--key", &key, "--offline", "-o", "json"],
    )
    .run();
    assert_eq!(out.expect_code(4).json()["code"], "offline");
    let out = with(
        &scratch,
        &["verify", "f", "--key", &key, "--offline", "-o", "json"],
    )
    .run();
    assert_eq!(out.expect_code(4).json()["code"], "offline");
    assert_eq!(runs(&scratch), [""; 0]);
}

#[test]
fn keys_are_made_and_shown() {
    let scratch = place();
    let key = format!("pem://{}", scratch.join("new.pem").display());
    let made = with(&scratch, &["key", "create", &key, "-o", "json"]).run();
    let made = made.ok().json();
    assert_eq!(made["key"]["path"], key.as_str());
    assert_eq!(made["key"]["provider"], "plugin");
    let shown = with(&scratch, &["key", "show", &key, "-o", "json"]).run();
    assert_eq!(shown.ok().json()["key"], made["key"]);
    with(&scratch, &["key", "create", &key])
        .run()
        .expect_code(4)
        .stderr_has("exists already");
    with(&scratch, &["key", "rotate", &key])
        .run()
        .expect_code(2)
        .stderr_has("plugin keys cannot be rotated");
}

#[test]
fn no_program_stands_in_for_a_provider_of_our_own() {
    let scratch = Scratch::new();
    scratch.write("f", "some bytes");
    scratch.write("bin/.keep", "");
    for scheme in [
        "awskms",
        "gcpkms",
        "azurekms",
        "hashivault",
        "pkcs11",
        "k8s",
        "kms",
    ] {
        let link = scratch.join(format!("bin/sigstore-kms-{scheme}"));
        std::os::unix::fs::symlink(testdata("plugins/sigstore-kms-pem"), link).unwrap();
    }
    let path = format!(
        "{}:{}",
        scratch.join("bin").display(),
        std::env::var("PATH").unwrap_or_default()
    );
    for (uri, feature) in [
        ("awskms:///alias/x", Some("aws")),
        ("gcpkms://projects/p", Some("gcp")),
        ("azurekms://vault/key", Some("azure")),
        ("hashivault://k", None),
        ("pkcs11://x", None),
        ("k8s://a/b", None),
        ("kms://model-sign/a", None),
    ] {
        let args = ["sign", "f", "--key", uri, "--offline", "-o", "json"];
        let out = with(&scratch, &args).env("PATH", &path).run();
        let code = out.json()["code"].as_str().unwrap().to_owned();
        assert_ne!(code, "plugin-failed", "{out}");
        if let (Some(feature), "not-compiled") = (feature, code.as_str()) {
            out.expect_code(3)
                .stderr_has("not built into this obreia")
                .stderr_has(&format!("--features {feature}"));
        }
        assert_eq!(runs(&scratch), [""; 0], "{uri}");
    }
}
