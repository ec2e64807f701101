use super::FileKeys;
use crate::crypto::KeyKind;
use crate::keys::contract::{Case, Fixed, holds, run};
use crate::keys::{FaultClass, KeyFault, KeyProvider, KeyReader};
use crate::reference::KeyRef;

fn file(name: &str) -> KeyRef {
    KeyRef::File(format!(
        "{}/testdata/keys/{name}",
        env!("CARGO_MANIFEST_DIR")
    ))
}

fn contract(name: &str, password: &'static str, encrypted: bool) {
    run(holds(&Case {
        provider: &FileKeys,
        key: file(name),
        absent: file("absent.pem"),
        missing: "bad-key-file",
        foreign: KeyRef::parse("kms://model-sign/dev").unwrap(),
        unlock: &Fixed(password),
        wrong: encrypted.then_some(&Fixed("wrong")),
        public_is_known: !encrypted,
    }));
}

#[test]
fn contract_holds_for_pem() {
    for name in [
        "p256.pkcs8.pem",
        "p256.sec1.pem",
        "p384.pkcs8.pem",
        "p384.sec1.pem",
        "p521.pkcs8.pem",
        "p521.sec1.pem",
        "ed25519.pkcs8.pem",
        "rsa2048.pkcs8.pem",
        "rsa2048.pkcs1.pem",
    ] {
        contract(name, "not asked for", false);
    }
}

#[test]
fn contract_holds_for_cosign() {
    contract("cosign.key", "throw-away", true);
    contract("cosign-empty.key", "", true);
    contract("cosign-rsa.key", "throw-away", true);
}

#[test]
fn the_older_label_of_cosign_opens_too() {
    let KeyRef::File(path) = file("cosign.key") else {
        unreachable!("a file");
    };
    let text = std::fs::read_to_string(path)
        .unwrap()
        .replace("ENCRYPTED SIGSTORE", "ENCRYPTED COSIGN");
    let dir = tempfile::tempdir().unwrap();
    let old = dir.path().join("old.key");
    std::fs::write(&old, text).unwrap();
    let key = KeyRef::File(old.display().to_string());
    let signer = run(FileKeys.open(&key, &Fixed("throw-away"))).unwrap();
    assert_eq!(signer.public_key().kind(), KeyKind::EcP256);
}

#[test]
fn the_public_half_in_a_file_is_the_same_key() {
    for (private, public) in [
        ("p256.pkcs8.pem", "p256.pub.pem"),
        ("p256.sec1.pem", "p256.pub.pem"),
        ("p384.sec1.pem", "p384.pub.pem"),
        ("p521.sec1.pem", "p521.pub.pem"),
        ("ed25519.pkcs8.pem", "ed25519.pub.pem"),
        ("rsa2048.pkcs1.pem", "rsa2048.pub.pem"),
    ] {
        let private = run(FileKeys.trusted(&file(private))).unwrap();
        let public = run(FileKeys.trusted(&file(public))).unwrap();
        assert_eq!(private[0].public_key, public[0].public_key);
    }
    for (private, public) in [
        ("cosign.key", "cosign.pub"),
        ("cosign-rsa.key", "rsa2048.pub.pem"),
    ] {
        let private = run(FileKeys.open(&file(private), &Fixed("throw-away"))).unwrap();
        let public = run(FileKeys.trusted(&file(public))).unwrap();
        assert_eq!(private.public_key(), &public[0].public_key);
    }
}

#[test]
fn what_cannot_sign_is_refused_by_name() {
    for (name, says) in [
        ("p256.pub.pem", "is a public key"),
        ("p256.encrypted-pkcs8.pem", "encrypted in OpenSSL's way"),
        ("p256.encrypted-sec1.pem", "encrypted in OpenSSL's way"),
        (
            "rsa1024.pkcs8.pem",
            "malformed, inconsistent or of an unsupported kind",
        ),
        (
            "secp256k1.sec1.pem",
            "malformed, inconsistent or of an unsupported kind",
        ),
    ] {
        let fault = run(FileKeys.open(&file(name), &Fixed("throw-away"))).err();
        let text = fault.as_ref().map(ToString::to_string).unwrap_or_default();
        assert!(text.contains(says) && text.contains(name), "{name}: {text}");
        assert_eq!(fault.map(|f| f.class()), Some(FaultClass::Usage), "{name}");
    }
}

#[test]
fn an_encrypted_key_is_not_opened_to_verify() {
    for name in ["cosign.key", "p256.encrypted-pkcs8.pem"] {
        assert!(matches!(
            run(FileKeys.trusted(&file(name))),
            Err(KeyFault::OnlyEncrypted(_))
        ));
    }
}

#[test]
fn broken_files_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    let whole = std::fs::read(
        std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/keys/cosign.key"),
    )
    .unwrap();
    let refused = |name: &str, bytes: &[u8]| {
        let path = dir.path().join(name);
        std::fs::write(&path, bytes).unwrap();
        let key = KeyRef::File(path.display().to_string());
        for fault in [
            run(FileKeys.open(&key, &Fixed("throw-away"))).err(),
            run(FileKeys.trusted(&key)).err(),
        ] {
            let fault = fault.unwrap_or_else(|| panic!("{name} was accepted"));
            assert_eq!(fault.class(), FaultClass::Usage, "{name}: {fault}");
        }
    };
    refused("empty", b"");
    refused("binary", &[0xff; 300]);
    refused("large", &vec![b'-'; 65_537]);
    refused("truncated", &whole[..whole.len() / 2]);
    let KeyRef::File(path) = file("cosign.key") else {
        unreachable!("a file");
    };
    let (label, json) = {
        let text = std::fs::read(&path).unwrap();
        let (label, json) = pem_rfc7468::decode_vec(text.trim_ascii()).unwrap();
        (label.to_owned(), String::from_utf8(json).unwrap())
    };
    let rewrapped = |json: &str| {
        pem_rfc7468::encode_string(&label, pem_rfc7468::LineEnding::LF, json.as_bytes()).unwrap()
    };
    let more = json.replace("\"N\":65536", "\"N\":1073741824");
    assert_ne!(more, json);
    let path = dir.path().join("huge");
    std::fs::write(&path, rewrapped(&more)).unwrap();
    let key = KeyRef::File(path.display().to_string());
    let fault = run(FileKeys.open(&key, &Fixed("throw-away")))
        .err()
        .unwrap();
    assert!(fault.to_string().contains("N=1073741824"), "{fault}");
}
