//! The matrix: what we attach, cosign finds and verifies, and the other way
//! round; in every registry. Its rows are printed and stand in
//! `docs/interop.md`.

use std::path::PathBuf;

use serde_json::{Value, json};

use super::server::{ALL, Server};
use super::{put_image, repository, wait};
use crate::harness::{Obreia, Output, Scratch, peer};
use crate::interop::cosign::NO_SERVICES;
use obreia::oci::{Descriptor, media_type};

pub(super) const EVAL: &str = "https://example.acme/eval/v1";

pub(super) struct Case {
    pub(super) scratch: Scratch,
    cosign: PathBuf,
    server: Server,
    registry: &'static str,
}

impl Case {
    pub(super) fn new(registry: &'static str) -> Option<Self> {
        Self::by("cosign", registry)
    }

    /// With that program as cosign.
    pub(super) fn by(program: &str, registry: &'static str) -> Option<Self> {
        let cosign = peer(program)?;
        let server = Server::start(registry)?;
        let scratch = Scratch::new();
        scratch.write("none.json", NO_SERVICES);
        scratch.write("predicate.json", br#"{"score":0.9}"#);
        let case = Self {
            scratch,
            cosign,
            server,
            registry,
        };
        case.cosign(&["generate-key-pair"]).ok();
        let other = ["generate-key-pair", "--output-key-prefix", "other"];
        case.cosign(&other).ok();
        Some(case)
    }

    pub(super) fn host(&self) -> &str {
        &self.server.host
    }

    pub(super) fn image(&self, tag: &str) -> String {
        let digest = put_image(&self.server.host, "test/app", tag);
        format!("{}/test/app@{digest}", self.server.host)
    }

    fn cosign(&self, args: &[&str]) -> Output {
        self.command().args(args).run()
    }

    pub(super) fn command(&self) -> Obreia {
        self.scratch
            .obreia()
            .program(&self.cosign)
            .env("COSIGN_PASSWORD", "correct horse")
    }

    fn they_sign(&self, args: &[&str]) {
        self.command()
            .args(args)
            .args(["--key", "cosign.key", "--signing-config", "none.json", "-y"])
            .run()
            .ok();
    }

    pub(super) fn they_verify(&self, args: &[&str]) -> Output {
        self.command()
            .args(args)
            .args(["--key", "cosign.pub", "--insecure-ignore-tlog=true"])
            .run()
    }

    pub(super) fn ours(&self, args: &[&str]) -> Output {
        self.scratch
            .obreia()
            .env("COSIGN_PASSWORD", "correct horse")
            .env("OBREIA_PASSPHRASE", "correct horse")
            .args(args)
            .run()
    }

    /// With cosign's own key, so that both sides have one pair.
    pub(super) fn we_sign(&self, args: &[&str]) -> Output {
        self.scratch.write("pw", "correct horse");
        let key = [
            "--key",
            "cosign.key",
            "--passphrase-file",
            "pw",
            "-o",
            "json",
        ];
        self.ours(&[args, &key].concat())
    }

    pub(super) fn we_verify(&self, name: &str) -> Output {
        self.ours(&["verify", name, "--key", "cosign.pub", "-o", "json"])
    }

    pub(super) fn row(&self, what: &str, direction: &str, note: &str) {
        println!("| {} | {what} | {direction} | holds{note} |", self.registry);
    }
}

#[test]
fn signatures_both_ways() {
    for registry in ALL {
        let Some(case) = Case::new(registry) else {
            return;
        };
        let ours = case.image("ours");
        // Nothing yet is a proven nothing.
        case.we_verify(&ours)
            .expect_code(1)
            .stdout_has("no-signature");
        assert_ne!(case.they_verify(&["verify", &ours]).code, Some(0));
        let said = case.we_sign(&["sign", &ours]).ok().json();
        let cas = said["signed"][0]["cas"].as_str().unwrap().to_owned();
        case.they_verify(&["verify", &ours]).ok();
        case.we_verify(&ours).ok();
        case.row(
            "signature, bundle",
            "ours → cosign",
            &format!(" (cas: {cas})"),
        );
        let theirs = case.image("theirs");
        case.they_sign(&["sign", &theirs]);
        case.we_verify(&theirs).ok().stdout_has("allowed");
        case.row("signature, bundle", "cosign → ours", "");
        // Both on one image: neither loses the other's. What we say again we
        // say once, so ours has a note.
        case.they_sign(&["sign", &ours]);
        case.we_sign(&["sign", &theirs, "-a", "k=v"]).ok();
        for name in [&ours, &theirs] {
            let said = case.we_verify(name).ok().json();
            let evidence = said["evidence"].as_array().unwrap();
            assert_eq!(evidence.len(), 2, "{said}");
            assert!(evidence.iter().all(|one| one["verified"] == true), "{said}");
            case.they_verify(&["verify", name]).ok();
        }
        case.row("signature, bundle", "both on one image", "");
    }
}

#[test]
fn attestations_both_ways() {
    for registry in ALL {
        let Some(case) = Case::new(registry) else {
            return;
        };
        let ours = case.image("ours");
        let attest = [
            "attest",
            &ours,
            "--type",
            EVAL,
            "--predicate",
            "predicate.json",
        ];
        case.we_sign(&attest).ok();
        let verify = ["verify-attestation", &ours, "--type", EVAL];
        case.they_verify(&verify).ok();
        assert_ne!(
            case.they_verify(&[
                "verify-attestation",
                &ours,
                "--type",
                "https://other.acme/v1"
            ])
            .code,
            Some(0)
        );
        case.row("attestation, bundle", "ours → cosign", "");
        let theirs = case.image("theirs");
        case.they_sign(&[
            "attest",
            "--type",
            EVAL,
            "--predicate",
            "predicate.json",
            &theirs,
        ]);
        let out = case.ours(&["tree", &theirs, "--key", "cosign.pub", "-o", "json"]);
        let said: Value = out.ok().json();
        let held = &said["root"]["referrers"][0]["holds"][0];
        assert_eq!(held["predicate_type"], EVAL, "{said}");
        assert_eq!(held["verified"], true, "{said}");
        case.row("attestation, bundle", "cosign → ours", "");
    }
}

impl Case {
    /// Puts an index under that tag; its children, as `HOST/test/app@DIGEST`.
    pub(super) fn index(&self, tag: &str) -> [String; 2] {
        let children = ["amd64", "arm64"].map(|child| self.image(&format!("{tag}-{child}")));
        let at = repository(&self.server.host, "test/app");
        let entries: Vec<Descriptor> = children
            .iter()
            .map(|name| {
                let digest = name.split('@').nth(1).unwrap().parse().unwrap();
                let select = obreia::reference::Select::Digest(digest);
                wait(at.resolve(&select)).unwrap().descriptor
            })
            .collect();
        let index =
            json!({"schemaVersion": 2, "mediaType": media_type::INDEX, "manifests": entries});
        let bytes = index.to_string().into_bytes();
        let descriptor = Descriptor::of(media_type::INDEX, &bytes);
        wait(at.put_manifest(Some(tag), &descriptor, &bytes)).unwrap();
        children
    }
}

#[test]
fn an_index_and_its_children() {
    for registry in ALL {
        let Some(case) = Case::new(registry) else {
            return;
        };
        let children = case.index("index");
        let name = format!("{}/test/app:index", case.server.host);
        let said = case.we_sign(&["sign", &name, "--recursive"]).ok().json();
        assert_eq!(said["signed"].as_array().unwrap().len(), 3);
        for one in children.iter().chain([&name]) {
            case.they_verify(&["verify", one]).ok();
            case.we_verify(one).ok();
        }
        case.row("index, --recursive", "ours → cosign", "");
    }
}
