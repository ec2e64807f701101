//! What the audit log says of it.

use super::*;

#[test]
fn custody_is_asked_and_its_answer_is_recorded() {
    let place = Place::with(&["pki-ca/dev"]);
    let fault = place.sign("kms://pki-ca/dev").unwrap_err();
    assert!(matches!(
        fault,
        KeyFault::NotPermitted {
            rule: "purpose-forbids",
            ..
        }
    ));
    let log = std::fs::read_to_string(place.state().join(AUDIT_LOG)).unwrap();
    let last = log.lines().last().unwrap();
    assert!(
        last.contains("\"decision\":\"deny\"") && last.contains("\"rule\":\"purpose-forbids\"")
    );
}

#[test]
fn no_log_no_signature() {
    let place = Place::with(&["model-sign/a"]);
    let log = place.state().join(AUDIT_LOG);
    let kept = std::fs::read(&log).unwrap();
    std::fs::remove_file(&log).unwrap();
    let fault = place.sign("kms://model-sign/a").unwrap_err();
    assert!(matches!(fault, KeyFault::Audit(_)), "{fault}");
    // Verifying records nothing and goes on.
    place.trusted("kms://model-sign/a").unwrap();
    std::fs::write(&log, &kept[..kept.len() - 40]).unwrap();
    place.sign("kms://model-sign/a").unwrap();
    let text = std::fs::read(&log).unwrap();
    crate::audit::check_chain(&log, &text).unwrap();
}

#[test]
fn intents_and_outcomes_pair_up_and_name_key_and_payload() {
    let place = Place::with(&["model-sign/a"]);
    let signed = place.sign("kms://model-sign/a").unwrap();
    let log = place.state().join(AUDIT_LOG);
    let text = std::fs::read_to_string(&log).unwrap();
    let records: Vec<serde_json::Value> = text
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let [.., intent, outcome] = records.as_slice() else {
        panic!("{text}");
    };
    assert_eq!(intent["phase"], "intent");
    assert_eq!(outcome["phase"], "outcome");
    assert_eq!(outcome["result"], "ok");
    assert_eq!(intent["request_id"], outcome["request_id"]);
    assert_eq!(intent["key"]["path"], "kms://model-sign/a");
    assert_eq!(intent["key"]["version"], 1);
    assert_eq!(intent["caller"], "uid:1000");
    assert_eq!(intent["payload"], crate::crypto::sha256(b"abc").to_string());
    assert_eq!(outcome["seq"].as_u64(), signed.receipt.map(|r| r.seq));
    assert!(!text.contains(PASS.0));
}
