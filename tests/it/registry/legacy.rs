//! cosign's formats before bundles, as the real cosign still writes and reads
//! them; in every registry. The rows stand in `docs/interop.md`.

use serde_json::Value;

use super::interop::{Case, EVAL};
use super::server::ALL;
use super::{repository, wait};
use crate::harness::Output;
use obreia::oci::{Document, Legacy};
use obreia::reference::Select;

/// What makes cosign 3 do as cosign 2 did.
const AS_BEFORE: &[&str] = &[
    "--new-bundle-format=false",
    "--use-signing-config=false",
    "--tlog-upload=false",
];

impl Case {
    fn they_sign_as_before(&self, args: &[&str], more: &[&str]) {
        self.command()
            .env("COSIGN_EXPERIMENTAL", "1")
            .args(args)
            .args(AS_BEFORE)
            .args(more)
            .args(["--key", "cosign.key", "-y"])
            .run()
            .ok();
    }

    fn they_verify_as_before(&self, args: &[&str]) -> Output {
        self.they_verify(&[args, &["--new-bundle-format=false"]].concat())
    }

    /// How many layers lie under cosign's tag for that image.
    pub(super) fn layers(&self, name: &str, kind: Legacy) -> usize {
        let digest = name.split('@').nth(1).unwrap().parse().unwrap();
        let at = repository(self.host(), "test/app");
        let found = wait(at.resolve(&Select::Tag(kind.tag(&digest)))).unwrap();
        match found.document {
            Document::Manifest(manifest) => manifest.layers.len(),
            Document::Index(_) => panic!("an index"),
        }
    }
}

/// How many pieces of evidence there are, all of which must hold.
pub(super) fn all_hold(out: &Output) -> usize {
    let said: Value = out.ok().json();
    let evidence = said["evidence"].as_array().unwrap();
    assert!(evidence.iter().all(|one| one["verified"] == true), "{said}");
    evidence.len()
}

#[test]
fn older_signatures_both_ways() {
    for registry in ALL {
        let Some(case) = Case::new(registry) else {
            return;
        };
        let what = "signature, cosign-legacy";
        let theirs = case.image("theirs");
        case.they_sign_as_before(&["sign", &theirs, "-a", "stage=prod"], &[]);
        assert_eq!(all_hold(&case.we_verify(&theirs)), 1);
        // By the right key, and about this image alone.
        case.ours(&["verify", &theirs, "--key", "other.pub", "-o", "json"])
            .expect_code(1)
            .stdout_has("signature-invalid");
        case.row(what, "cosign → ours", "");
        let ours = case.image("ours");
        let sign = ["sign", &ours, "--format", "bundle,cosign-legacy"];
        assert_ne!(case.they_verify_as_before(&["verify", &ours]).code, Some(0));
        let said = case.we_sign(&sign).ok().json();
        let cas = said["signed"][0]["cosign_legacy"]["cas"].as_str().unwrap();
        let note = format!(" (cas: {cas})");
        case.they_verify_as_before(&["verify", &ours])
            .ok()
            .stdout_has("cosign container image signature");
        case.they_verify(&["verify", &ours]).ok();
        case.row(what, "ours → cosign", &note);
        // Signing again adds nothing, whoever of the two does it.
        let said = case.we_sign(&sign).ok().json();
        assert_eq!(said["signed"][0]["existed"], true, "{said}");
        assert_eq!(said["signed"][0]["cosign_legacy"]["existed"], true);
        assert_eq!(case.layers(&ours, Legacy::Signature), 1);
        // A stranger's stays where it is, and so does ours.
        let stranger = ["sign", &ours, "--key", "other.key"];
        case.command()
            .args(stranger)
            .args(AS_BEFORE)
            .arg("-y")
            .run()
            .ok();
        assert_eq!(case.layers(&ours, Legacy::Signature), 2);
        case.they_sign_as_before(&["sign", &ours, "-a", "k=v"], &[]);
        case.we_sign(&["sign", &theirs, "--format", "bundle,cosign-legacy"])
            .ok();
        assert_eq!(case.layers(&ours, Legacy::Signature), 3);
        for name in [&ours, &theirs] {
            case.they_verify_as_before(&["verify", name]).ok();
            case.we_verify(name).ok();
        }
        case.row(what, "both on one image", "");
    }
}

#[test]
fn older_attestations_both_ways() {
    for registry in ALL {
        let Some(case) = Case::new(registry) else {
            return;
        };
        let what = "attestation, cosign-legacy";
        let theirs = case.image("theirs");
        let rest = ["--type", EVAL, "--predicate", "predicate.json"];
        case.they_sign_as_before(&[&["attest", &theirs], &rest[..]].concat(), &[]);
        let tree = |name: &str| -> Value {
            let args = ["tree", name, "--key", "cosign.pub", "-o", "json"];
            case.ours(&args).ok().json()
        };
        let said = tree(&theirs);
        let held = &said["root"]["referrers"][0]["holds"][0];
        assert_eq!(held["predicate_type"], EVAL, "{said}");
        assert_eq!(held["verified"], true, "{said}");
        case.row(what, "cosign → ours", "");
        let ours = case.image("ours");
        let attest = ["attest", &ours, "--format", "bundle,cosign-legacy"];
        case.we_sign(&[&attest, &rest[..]].concat()).ok();
        let verify = ["verify-attestation", &ours, "--type", EVAL];
        case.they_verify_as_before(&verify).ok();
        case.they_verify(&verify).ok();
        let other = ["verify-attestation", &ours, "--type", "https://x.acme/v1"];
        assert_ne!(case.they_verify_as_before(&other).code, Some(0));
        case.row(what, "ours → cosign", "");
        let said = case.we_sign(&[&attest, &rest[..]].concat()).ok().json();
        assert_eq!(said["cosign_legacy"]["existed"], true, "{said}");
        case.they_sign_as_before(&[&["attest", &ours], &rest[..]].concat(), &[]);
        assert_eq!(case.layers(&ours, Legacy::Attestation), 2);
        case.they_verify_as_before(&verify).ok();
        case.row(what, "both on one image", "");
    }
}

#[test]
fn older_signatures_that_hang_on_the_image() {
    for registry in ALL {
        let Some(case) = Case::new(registry) else {
            return;
        };
        let theirs = case.image("theirs");
        let mode = ["--registry-referrers-mode=oci-1-1"];
        case.they_sign_as_before(&["sign", &theirs], &mode);
        assert_eq!(all_hold(&case.we_verify(&theirs)), 1);
        let said: Value = case
            .ours(&["tree", &theirs, "--key", "cosign.pub", "-o", "json"])
            .ok()
            .json();
        let hung = &said["root"]["referrers"][0];
        assert_eq!(hung["what"], "cosign-legacy signature", "{said}");
        let held = &hung["holds"][0];
        assert_eq!(held["format"], "cosign-legacy", "{said}");
        assert_eq!(held["verified"], true, "{said}");
        case.row("signature, cosign 2 referrer", "cosign → ours", "");
    }
}
