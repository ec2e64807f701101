//! What the audit log says of it.

use super::*;
use crate::audit::AuditLog;

/// All records, as text, oldest first.
fn log(place: &Place) -> Vec<String> {
    let log = AuditLog::open(&audit::folder(&place.state())).unwrap();
    log.records()
        .map(|record| String::from_utf8(record.unwrap().1).unwrap())
        .collect()
}

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
    let log = log(&place);
    let last = log.last().unwrap();
    assert!(
        last.contains("\"decision\":\"deny\"") && last.contains("\"rule\":\"purpose-forbids\"")
    );
}

#[test]
fn no_log_no_signature() {
    let place = Place::with(&["model-sign/a"]);
    let journal = audit::folder(&place.state()).join("journal");
    let kept = std::fs::read(&journal).unwrap();
    std::fs::remove_file(&journal).unwrap();
    let fault = place.sign("kms://model-sign/a").unwrap_err();
    assert!(matches!(fault, KeyFault::Audit(_)), "{fault}");
    // Verifying records nothing and goes on.
    place.trusted("kms://model-sign/a").unwrap();
    std::fs::write(&journal, kept).unwrap();
    place.sign("kms://model-sign/a").unwrap();
    let key = audit::public_key(&place.state()).unwrap();
    let report = audit::verify(&audit::folder(&place.state()), &key, &[]).unwrap();
    assert_eq!((report.problems, report.unfinished_count), (Vec::new(), 0));
}

#[test]
fn intents_and_outcomes_pair_up_and_name_key_and_payload() {
    let place = Place::with(&["model-sign/a"]);
    let signed = place.sign("kms://model-sign/a").unwrap();
    let log = log(&place);
    let text = log.concat();
    let records: Vec<serde_json::Value> = log
        .iter()
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
