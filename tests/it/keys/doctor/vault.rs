//! Keys in a real OpenBao, and a faulty server before it.

use serde_json::json;

use super::*;
use crate::keys::vault::{Act, Between, ROOT, policy, server, with};

const ID: &str = "12345678-0000-4000-8000-00000000b0a0";

fn says(status: u16, text: &str) -> Act {
    Act::Answer(status, "", json!({ "errors": [text] }).to_string())
}

/// The server's answer, with an id that is known.
fn named(body: &str) -> String {
    let mut body: Value = serde_json::from_str(body).unwrap();
    body["request_id"] = ID.into();
    body.to_string()
}

fn doctor(scratch: &Scratch, address: &str, key: &str) -> Output {
    let args = ["doctor", "keys", key, "-o", "json"];
    with(scratch, address, ROOT, &args).run()
}

#[test]
fn a_key_is_tried_with_one_signature_and_its_request_is_on_record() {
    let Some(bao) = server() else { return };
    bao.key("doctored", "ecdsa-p384");
    let between = Between::new(&bao.host);
    let scratch = place();
    between.next("/sign/", Act::Alter(named));
    let key = "openbao://doctored";
    let told = report(&doctor(&scratch, &between.address(), key), 0);
    let seen = &check(&told, "key", key)["key"];
    assert_eq!(
        (&seen["scheme"], &seen["hash"], &seen["version"]),
        (&"ecdsa-p384-sha384".into(), &"sha384".into(), &1.into())
    );
    is(check(&told, "provider", "vault"), "warning", "token-root");
    let asked = between.seen();
    let signed = asked.iter().filter(|line| line.contains("/sign/")).count();
    assert_eq!(signed, 1, "{asked:?}");
    for part in ["/keys/doctored", "sys/health", "lookup-self"] {
        assert!(asked.iter().any(|line| line.contains(part)), "{asked:?}");
    }
    // By the server's id the record is found, and no other.
    let args = ["audit", "search", "--request", ID, "-o", "json"];
    let found = run(&scratch, &args).ok().json();
    assert_eq!(found["found"], 1, "{found:#}");
    let record = &found["records"][0];
    assert_eq!(record["phase"], "outcome");
    assert_eq!(
        (&record["op"], &record["provider_request"]),
        (&"probe".into(), &ID.into())
    );
    let shown = run(&scratch, &["audit", "show"]);
    shown.ok().stdout_has(ID);
}

#[test]
fn signing_has_the_servers_request_on_record_too() {
    let Some(bao) = server() else { return };
    bao.key("recorded", "ecdsa-p256");
    let scratch = place();
    scratch.write("a.txt", "hello");
    let args = ["sign", "a.txt", "--key", "openbao://recorded", "--force"];
    with(&scratch, &bao.address(), ROOT, &args).run().ok();
    let log = records(&scratch);
    let [.., intent, outcome] = log.as_slice() else {
        panic!("{log:?}");
    };
    assert!(intent["provider_request"].is_null());
    let id = outcome["provider_request"].as_str().unwrap();
    assert_eq!((id.len(), id.matches('-').count()), (36, 4), "{id}");
    // What stands where the id should be is not taken for one.
    let between = Between::new(&bao.host);
    between.next(
        "/sign/",
        Act::Alter(|body| {
            let mut body: Value = serde_json::from_str(body).unwrap();
            body["request_id"] = ROOT.into();
            body.to_string()
        }),
    );
    with(&scratch, &between.address(), ROOT, &args).run().ok();
    let last = records(&scratch).pop().unwrap();
    assert_eq!(last["result"], "ok");
    assert!(last["provider_request"].is_null(), "{last:#}");
}

#[test]
fn what_will_not_do_for_long_is_told() {
    let Some(bao) = server() else { return };
    bao.key("leaving", "ed25519");
    bao.admin(
        "PUT",
        "transit/keys/leaving/config",
        &json!({"exportable": true, "deletion_allowed": true}),
    );
    let token = bao.token(&policy("leaving"), json!({"ttl": "1h", "renewable": false}));
    let scratch = place();
    let args = ["doctor", "keys", "openbao://leaving", "-o", "json"];
    let doctor = with(&scratch, &bao.address(), &token, &args).run();
    let told = report(&doctor, 0);
    assert_eq!(
        warnings(&told),
        ["key-extractable", "deletion-allowed", "token-expires"]
    );
    let token_ends = check(&told, "provider", "vault");
    assert!(
        token_ends["detail"]
            .as_str()
            .unwrap()
            .contains("cannot be renewed")
    );
    assert!(!doctor.to_string().contains(&token));
    // One that may not do enough says so, where the key is.
    let poor = bao.token(
        "path \"transit/keys/leaving\" { capabilities = [\"read\"] }",
        json!({}),
    );
    let told = report(&with(&scratch, &bao.address(), &poor, &args).run(), 5);
    is(check(&told, "key", "leaving"), "failed", "kms-refused");
}

#[test]
fn a_server_that_does_not_do_its_part() {
    let Some(bao) = server() else { return };
    bao.key("ailing", "ecdsa-p256");
    let key = "openbao://ailing";
    let between = Between::new(&bao.host);
    for (part, act, exit, result, code) in [
        (
            "/sign/",
            says(503, "Vault is sealed"),
            4,
            "undetermined",
            "kms-sealed",
        ),
        (
            "/sign/",
            Act::CutAfter,
            4,
            "undetermined",
            "kms-unreachable",
        ),
        (
            "/sign/",
            Act::Garbage(100),
            4,
            "undetermined",
            "provider-failed",
        ),
        (
            "/sign/",
            says(500, "internal"),
            4,
            "undetermined",
            "provider-failed",
        ),
        (
            "/sign/",
            says(403, "1 error occurred: * permission denied"),
            5,
            "failed",
            "kms-refused",
        ),
        (
            "/sign/",
            Act::Alter(another),
            4,
            "failed",
            "self-check-failed",
        ),
        ("/keys/ailing", says(404, ""), 3, "failed", "no-such-key"),
        (
            "/keys/ailing",
            Act::Alter(|b| b.replace("\"derived\":false", "\"derived\":true")),
            5,
            "failed",
            "wrong-usage",
        ),
    ] {
        let scratch = place();
        between.next(part, act);
        let told = report(&doctor(&scratch, &between.address(), key), exit);
        let found = check(&told, "key", key);
        is(found, result, code);
        assert!(found["hint"].is_string(), "{found:#}");
        assert!(between.done());
        // No second try, which could have been a second signature.
        let signed = between
            .seen()
            .iter()
            .filter(|l| l.contains("/sign/"))
            .count();
        assert!(signed <= 1, "{code}");
    }
}

/// A signature with its last bits turned.
fn another(body: &str) -> String {
    let at = body.find("vault:v1:").unwrap() + "vault:v1:".len() + 60;
    let mut bytes = body.as_bytes().to_vec();
    bytes[at] = if bytes[at] == b'A' { b'B' } else { b'A' };
    String::from_utf8(bytes).unwrap()
}

#[test]
fn a_server_that_is_not_there_is_no_reason_not_to_look_at_the_rest() {
    if server().is_none() {
        return;
    }
    let scratch = place();
    run(&scratch, &["key", "create", KEY]).ok();
    let mut config = scratch.read_text("obreia.toml");
    config.push_str("[[keys.rule]]\nmatch = \"model-sign/far\"\nto = \"openbao://far\"\n");
    scratch.write("obreia.toml", config);
    let args = ["doctor", "keys", "-o", "json"];
    let out = with(&scratch, "http://127.0.0.1:9", ROOT, &args).run();
    let told = report(&out, 4);
    let far = check(&told, "key", "model-sign/far");
    is(far, "undetermined", "kms-unreachable");
    assert_eq!(far["key"]["uri"], "openbao://far");
    is(
        check(&told, "provider", "vault"),
        "undetermined",
        "kms-unreachable",
    );
    assert_eq!(check(&told, "key", KEY)["result"], "ok");
}

#[test]
fn offline_no_packet_is_sent_and_what_was_not_seen_is_told() {
    let Some(bao) = server() else { return };
    bao.key("far", "ecdsa-p256");
    let between = Between::new(&bao.host);
    let scratch = place();
    run(&scratch, &["key", "create", KEY]).ok();
    let offline = |keys: &[&str]| {
        let args = [&["--offline", "doctor", "keys", "-o", "json"], keys].concat();
        with(&scratch, &between.address(), ROOT, &args).run()
    };
    let told = report(&offline(&["openbao://far", KEY]), 4);
    assert_eq!(told["offline"], true);
    let far = check(&told, "key", "openbao://far");
    is(far, "undetermined", "offline");
    assert!(far["key"]["fingerprint"].is_null());
    // What is on this machine is tried all the same.
    assert_eq!(check(&told, "key", KEY)["result"], "ok");
    assert_eq!(between.seen(), [""; 0]);
    // A public key that is known is told, and that it was not tried too.
    report(&doctor(&scratch, &between.address(), "openbao://far"), 0);
    between.seen();
    let told = report(&offline(&["openbao://far"]), 4);
    let far = check(&told, "key", "openbao://far");
    is(far, "undetermined", "offline");
    assert_eq!(far["key"]["fingerprint"].as_str().unwrap().len(), 64);
    assert_eq!(between.seen(), [""; 0]);
}

#[test]
fn a_server_that_is_not_configured() {
    let scratch = place();
    let args = ["doctor", "keys", "openbao://k", "-o", "json"];
    let told = report(&run(&scratch, &args), 3);
    is(
        check(&told, "key", "openbao://k"),
        "failed",
        "not-configured",
    );
    is(
        check(&told, "provider", "vault"),
        "failed",
        "not-configured",
    );
    let old = with(&scratch, "http://127.0.0.1:9", "", &args).run();
    let told = report(&old, 3);
    is(
        check(&told, "key", "openbao://k"),
        "failed",
        "not-configured",
    );
    let server = check(&told, "provider", "vault");
    is(server, "undetermined", "kms-unreachable");
}

#[test]
fn a_mounts_keys_are_listed() {
    let Some(bao) = server() else { return };
    bao.admin("PUT", "second/keys/listed", &json!({"type": "ecdsa-p256"}));
    let scratch = place();
    let list = |place: &str| {
        with(
            &scratch,
            &bao.address(),
            ROOT,
            &["key", "list", place, "-o", "json"],
        )
        .run()
    };
    let found = list("openbao://second/").ok().json();
    let paths: Vec<&str> = found["keys"]
        .as_array()
        .unwrap()
        .iter()
        .map(|key| key["path"].as_str().unwrap())
        .collect();
    assert!(paths.contains(&"openbao://second/listed"), "{paths:?}");
    assert!(
        paths
            .iter()
            .all(|path| path.starts_with("openbao://second/"))
    );
    for (place, exit, code) in [
        ("openbao://absent/", 3, "not-configured"),
        ("openbao://listed", 2, "bad-request"),
        ("openbao://../", 2, "bad-request"),
        ("env://", 2, "unsupported"),
        ("awskms://host/", 2, "bad-request"),
    ] {
        let error = list(place).expect_code(exit).json();
        assert_eq!(error["code"], code, "{place}");
    }
}
