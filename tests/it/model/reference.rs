//! Models that model-signing's own releases signed, where their data lies beside the project.

use std::fs;
use std::path::Path;

use obreia::crypto::PublicKey;
use obreia::model::manifest::Comparison;

use super::{compare, signed_manifest};
use crate::harness::{Scratch, shared_data};

fn key(data: &Path) -> PublicKey {
    let text = fs::read_to_string(data.join("keys/signing-key-pub.pem")).unwrap();
    // Their file tells the key in words first.
    let at = text.find("-----BEGIN").unwrap();
    PublicKey::from_pem(&text.as_bytes()[at..]).unwrap()
}

#[test]
fn signatures_of_past_releases_verify() {
    let Some(data) = shared_data("model-signing") else {
        return;
    };
    let key = key(&data);
    for (set, model, uncovered) in [
        ("v0.3.1-elliptic-key", "signme-1", &[][..]),
        ("v1.0.0-elliptic-key", "signme-1", &[]),
        ("v1.0.1-elliptic-key", ".", &["ignore-me"]),
    ] {
        let set = data.join(set);
        let manifest = signed_manifest(&set.join("model.sig"), &key).unwrap();
        let expected = Comparison {
            uncovered: uncovered.iter().map(|s| (*s).to_owned()).collect(),
            ..Comparison::default()
        };
        assert_eq!(
            compare(&manifest, &set.join(model)),
            expected,
            "{}",
            set.display()
        );
    }
}

#[test]
fn their_changed_models_do_not() {
    let Some(data) = shared_data("model-signing") else {
        return;
    };
    let set = data.join("v1.0.1-elliptic-key");
    let manifest = signed_manifest(&set.join("model.sig"), &key(&data)).unwrap();
    let scratch = Scratch::new();
    for name in ["signme-1", "signme-2"] {
        scratch.write(format!("m/{name}"), fs::read(set.join(name)).unwrap());
    }
    let model = scratch.join("m");
    assert_eq!(compare(&manifest, &model), Comparison::default());
    scratch.write("m/signme-2", "other");
    assert_eq!(compare(&manifest, &model).changed, ["signme-2"]);
    fs::remove_file(model.join("signme-2")).unwrap();
    assert_eq!(compare(&manifest, &model).missing, ["signme-2"]);
    scratch.write("m/Signme-2", fs::read(set.join("signme-2")).unwrap());
    assert_eq!(
        compare(&manifest, &model).case_changed,
        [("signme-2".to_owned(), "Signme-2".to_owned())]
    );
}

#[test]
fn a_certificates_signature_is_not_one_by_a_key() {
    let Some(data) = shared_data("model-signing") else {
        return;
    };
    let bundle = data.join("v1.0.1-certificate/model.sig");
    let other = obreia::bundle::Bundle::parse(&fs::read(&bundle).unwrap()).unwrap();
    assert!(matches!(
        other.material,
        obreia::bundle::Material::Certificates(_)
    ));
}
