//! The real cosign 2, which many still verify with: both ways, in every
//! registry. The rows stand in `docs/interop.md`.

use serde_json::Value;

use super::interop::{Case, EVAL};
use super::legacy::all_hold;
use super::server::ALL;
use super::{repository, wait};
use crate::harness::Output;
use obreia::digest::Digest;
use obreia::oci::{Document, Legacy};
use obreia::reference::Select;
use obreia::source::registry::Source;

/// What makes cosign 2 do without anybody's services.
const APART: &[&str] = &["--tlog-upload=false", "--key", "cosign.key", "-y"];
/// No authorities, no logs.
const NOBODY: &str = r#"{"mediaType":"application/vnd.dev.sigstore.trustedroot+json;version=0.1"}"#;
const BUNDLE: &str = "--new-bundle-format";
const BOTH: [&str; 2] = ["--format", "bundle,cosign-legacy"];

impl Case {
    fn second(registry: &'static str) -> Option<Self> {
        let case = Self::by("cosign2", registry)?;
        case.scratch.write("nobody.json", NOBODY);
        let said = case.command().arg("version").run();
        said.ok().says("v2.");
        Some(case)
    }

    fn two(&self, args: &[&str]) {
        self.command()
            .env("COSIGN_EXPERIMENTAL", "1")
            .args(args)
            .args(APART)
            .run()
            .ok();
    }

    fn two_verify(&self, args: &[&str]) -> Output {
        self.they_verify(&[args, &["--private-infrastructure=true"]].concat())
    }

    /// The bundles, for which it wants authorities to trust, also with a key.
    fn two_verify_bundles(&self, args: &[&str]) -> Output {
        let trusts = ["--trusted-root", "nobody.json", BUNDLE];
        self.two_verify(&[args, &trusts].concat())
    }

    /// The same image where nothing but what lies under that tag is about it:
    /// where there are bundles, cosign 2.6 looks at nothing else.
    fn older_alone(&self, name: &str, kind: Legacy) -> String {
        let digest: Digest = name.split('@').nth(1).unwrap().parse().unwrap();
        let [from, to] = ["test/app", "test/older"].map(|name| repository(self.host(), name));
        let tag = kind.tag(&digest);
        for (select, tag) in [
            (Select::Digest(digest), None),
            (Select::Tag(tag.clone()), Some(tag.as_str())),
        ] {
            let found = wait(from.resolve(&select)).unwrap();
            let Document::Manifest(manifest) = &found.document else {
                panic!("an index");
            };
            for blob in manifest.layers.iter().chain([&manifest.config]) {
                let bytes = wait(from.read_blob(blob, 1 << 20)).unwrap();
                wait(to.put_blob(blob, Source::Bytes(&bytes), None)).unwrap();
            }
            wait(to.put_manifest(tag, &found.descriptor, &found.bytes)).unwrap();
        }
        format!("{}/test/older@{digest}", self.host())
    }

    /// What hangs on it and what that holds, as we see it.
    fn tree(&self, name: &str) -> Value {
        let args = ["tree", name, "--key", "cosign.pub", "-o", "json"];
        self.ours(&args).ok().json()
    }

    /// How many signatures hang on it, all of which must hold.
    #[track_caller]
    fn all_held(&self, name: &str) -> usize {
        let said = self.tree(name);
        let about = said["root"]["referrers"].as_array().unwrap().iter();
        let held = about.flat_map(|one| one["holds"].as_array().unwrap());
        let held: Vec<&Value> = held.collect();
        assert!(held.iter().all(|one| one["verified"] == true), "{said}");
        held.len()
    }

    #[track_caller]
    fn holds_an_attestation(&self, name: &str) {
        let said = self.tree(name);
        let held = &said["root"]["referrers"][0]["holds"][0];
        assert_eq!(held["predicate_type"], EVAL, "{said}");
        assert_eq!(held["verified"], true, "{said}");
    }
}

/// That its words are a refusal to believe, and no fault of the command line.
#[track_caller]
fn refused(out: &Output) {
    assert_ne!(out.code, Some(0), "{out}");
    assert!(!out.to_string().contains("unknown flag"), "{out}");
}

#[test]
fn signatures_of_and_for_cosign_2() {
    for registry in ALL {
        let Some(case) = Case::second(registry) else {
            return;
        };
        let what = "signature, .sig";
        let theirs = case.image("theirs");
        case.two(&["sign", &theirs, "-a", "stage=prod"]);
        assert_eq!(all_hold(&case.we_verify(&theirs)), 1);
        case.ours(&["verify", &theirs, "--key", "other.pub", "-o", "json"])
            .expect_code(1)
            .stdout_has("signature-invalid");
        case.row(what, "cosign 2 → ours", "");
        let ours = case.image("ours");
        refused(&case.two_verify(&["verify", &ours]));
        case.we_sign(&[&["sign", &ours], &BOTH[..]].concat()).ok();
        let older = case.older_alone(&ours, Legacy::Signature);
        case.two_verify(&["verify", &older])
            .ok()
            .stdout_has("cosign container image signature");
        let stranger = ["verify", &older, "--key", "other.pub"];
        let ignoring = ["--insecure-ignore-tlog=true"];
        let command = case.command().args(stranger).args(ignoring);
        refused(&command.run());
        case.row(what, "ours → cosign 2", "");
        case.two(&["sign", &ours, "-a", "k=v"]);
        case.we_sign(&[&["sign", &theirs], &BOTH[..]].concat()).ok();
        for name in [&ours, &theirs] {
            assert_eq!(case.layers(name, Legacy::Signature), 2);
            case.two_verify_bundles(&["verify", name]).ok();
            let older = case.older_alone(name, Legacy::Signature);
            let both = case.two_verify(&["verify", &older]);
            assert_eq!(both.ok().json().as_array().unwrap().len(), 2);
            all_hold(&case.we_verify(name));
            // Ours twice, and theirs.
            assert_eq!(case.all_held(name), 3);
        }
        case.row(what, "both on one image", "");
    }
}

#[test]
fn attestations_of_and_for_cosign_2() {
    for registry in ALL {
        let Some(case) = Case::second(registry) else {
            return;
        };
        let what = "attestation, .att";
        let rest = ["--type", EVAL, "--predicate", "predicate.json"];
        let theirs = case.image("theirs");
        case.two(&[&["attest", &theirs], &rest[..]].concat());
        case.holds_an_attestation(&theirs);
        case.row(what, "cosign 2 → ours", "");
        let ours = case.image("ours");
        let verify = ["verify-attestation", &ours, "--type", EVAL];
        refused(&case.two_verify(&verify));
        case.we_sign(&[&["attest", &ours], &rest[..], &BOTH].concat())
            .ok();
        let older = case.older_alone(&ours, Legacy::Attestation);
        let verify = ["verify-attestation", &older, "--type", EVAL];
        case.two_verify(&verify).ok();
        let other = ["verify-attestation", &older, "--type", "https://x.acme/v1"];
        refused(&case.two_verify(&other));
        case.row(what, "ours → cosign 2", "");
        case.two(&[&["attest", &ours], &rest[..]].concat());
        assert_eq!(case.layers(&ours, Legacy::Attestation), 2);
        case.older_alone(&ours, Legacy::Attestation);
        case.two_verify(&verify).ok();
        case.row(what, "both on one image", "");
    }
}

#[test]
fn what_cosign_2_hangs_on_an_image() {
    for registry in ALL {
        let Some(case) = Case::second(registry) else {
            return;
        };
        let mode = "--registry-referrers-mode=oci-1-1";
        let theirs = case.image("theirs");
        case.two(&["sign", &theirs, mode]);
        assert_eq!(all_hold(&case.we_verify(&theirs)), 1);
        let said = case.tree(&theirs);
        let hung = &said["root"]["referrers"][0];
        assert_eq!(hung["what"], "cosign-legacy signature", "{said}");
        assert_eq!(hung["holds"][0]["verified"], true, "{said}");
        case.row("signature, referrer (oci-1-1)", "cosign 2 → ours", "");
    }
}

#[test]
fn an_index_and_its_children_for_cosign_2() {
    for registry in ALL {
        let Some(case) = Case::second(registry) else {
            return;
        };
        let host = case.host().to_owned();
        let children = case.index("ours");
        let name = format!("{host}/test/app:ours");
        let sign = ["sign", &name, "--recursive"];
        case.we_sign(&[&sign, &BOTH[..]].concat()).ok();
        for one in children.iter().chain([&name]) {
            case.two_verify_bundles(&["verify", one]).ok();
        }
        for one in &children {
            let older = case.older_alone(one, Legacy::Signature);
            case.two_verify(&["verify", &older]).ok();
        }
        case.row("index, --recursive", "ours → cosign 2", "");
        let children = case.index("theirs");
        let name = format!("{host}/test/app:theirs");
        case.two(&["sign", &name, "--recursive"]);
        for one in children.iter().chain([&name]) {
            assert_eq!(all_hold(&case.we_verify(one)), 1);
        }
        case.row("index, --recursive", "cosign 2 → ours", "");
    }
}

#[test]
fn bundles_of_and_for_cosign_2() {
    for registry in ALL {
        let Some(case) = Case::second(registry) else {
            return;
        };
        let ours = case.image("ours");
        case.we_sign(&["sign", &ours]).ok();
        // It takes no bundle without authorities that it could trust.
        refused(&case.two_verify(&["verify", &ours]));
        case.two_verify_bundles(&["verify", &ours]).ok();
        case.row("signature, bundle", "ours → cosign 2", "");
        let theirs = case.image("theirs");
        case.two(&["sign", &theirs, BUNDLE]);
        assert_eq!(all_hold(&case.we_verify(&theirs)), 1);
        case.row("signature, bundle", "cosign 2 → ours", "");
        let rest = ["--type", EVAL, "--predicate", "predicate.json"];
        let ours = case.image("said-by-us");
        case.we_sign(&[&["attest", &ours], &rest[..]].concat()).ok();
        let verify = ["verify-attestation", &ours, "--type", EVAL];
        case.two_verify_bundles(&verify).ok();
        case.row("attestation, bundle", "ours → cosign 2", "");
        let theirs = case.image("said-by-them");
        case.two(&[&["attest", &theirs, BUNDLE], &rest[..]].concat());
        case.holds_an_attestation(&theirs);
        case.row("attestation, bundle", "cosign 2 → ours", "");
    }
}
