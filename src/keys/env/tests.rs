use super::EnvKeys;
use crate::environment::Environment;
use crate::keys::contract::{Case, Fixed, holds, run};
use crate::keys::{FaultClass, KeyProvider, KeyReader};
use crate::reference::KeyRef;

fn text(name: &str) -> String {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/testdata/keys");
    std::fs::read_to_string(format!("{folder}/{name}")).unwrap()
}

fn keys(name: &str) -> EnvKeys {
    EnvKeys::new(&Environment::from([("SIGNING_KEY", text(name).as_str())]))
}

fn uri(text: &str) -> KeyRef {
    KeyRef::parse(text).unwrap()
}

fn contract(name: &str, password: &'static str, encrypted: bool) {
    run(holds(&Case {
        provider: &keys(name),
        key: uri("env://SIGNING_KEY"),
        absent: uri("env://ANOTHER_KEY"),
        missing: "not-configured",
        foreign: KeyRef::File("SIGNING_KEY".into()),
        unlock: &Fixed(password),
        wrong: encrypted.then_some(&Fixed("wrong")),
        public_is_known: !encrypted,
    }));
}

#[test]
fn contract_holds() {
    for name in ["p256.pkcs8.pem", "p384.sec1.pem", "ed25519.pkcs8.pem"] {
        contract(name, "not asked for", false);
    }
    contract("cosign.key", "throw-away", true);
    contract("cosign-empty.key", "", true);
}

#[test]
fn a_public_key_verifies_and_does_not_sign() {
    let keys = keys("cosign.pub");
    let key = uri("env://SIGNING_KEY");
    let trusted = run(keys.trusted(&key)).unwrap();
    assert_eq!(trusted[0].path, "env://SIGNING_KEY");
    let fault = run(keys.open(&key, &Fixed(""))).err().unwrap();
    assert!(
        fault
            .to_string()
            .contains("env://SIGNING_KEY is a public key"),
        "{fault}"
    );
}

#[test]
fn names_that_are_no_variables() {
    for bad in [
        "env://",
        "env://A-B",
        "env://1A",
        "env://A/B",
        "env://A?version=1",
    ] {
        let fault = run(keys("p256.pkcs8.pem").trusted(&uri(bad))).unwrap_err();
        assert_eq!(fault.class(), FaultClass::Usage, "{bad}");
        assert!(fault.to_string().contains("env://NAME"), "{fault}");
    }
}

#[test]
fn what_is_no_key_is_refused_without_being_shown() {
    let huge = "-".repeat(65_537);
    for (value, class, says) in [
        ("", FaultClass::Config, "SIGNING_KEY is not set"),
        ("hunter2", FaultClass::Usage, "not a PEM document"),
        (huge.as_str(), FaultClass::Usage, "larger than 65536 bytes"),
    ] {
        let keys = EnvKeys::new(&Environment::from([("SIGNING_KEY", value)]));
        for fault in [
            run(keys.trusted(&uri("env://SIGNING_KEY"))).err(),
            run(keys.open(&uri("env://SIGNING_KEY"), &Fixed(""))).err(),
        ] {
            let fault = fault.unwrap();
            assert_eq!(fault.class(), class, "{fault}");
            assert!(fault.to_string().contains(says), "{fault}");
            assert!(!fault.to_string().contains("hunter2"));
        }
    }
}
