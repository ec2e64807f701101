//! Signatures and attestations in cosign's older formats, written beside
//! bundles, to a registry in memory.

use obreia::oci::{Descriptor, Legacy, media_type};
use obreia::reference::Select;
use obreia::source::registry::Source;
use serde_json::{Value, json};

use super::{allowed, policy, private, public, verify};
use crate::harness::between::Act;
use crate::harness::{Output, Scratch};
use crate::registry::fake::{Fake, Kind};
use crate::registry::{put_image, repository, wait};

const EVAL: &str = "https://example.acme/eval/v1";

struct Case {
    fake: Fake,
    scratch: Scratch,
    digest: String,
}

impl Case {
    fn new(kind: Kind) -> Self {
        let fake = Fake::new(kind);
        let digest = put_image(fake.host(), "test/app", "v1");
        let scratch = Scratch::new();
        scratch.write("p.json", "{\"score\":1}");
        Self {
            fake,
            scratch,
            digest,
        }
    }

    fn name(&self) -> String {
        format!("{}/test/app:v1", self.fake.host())
    }

    fn run(&self, command: &[&str], key: &str) -> Output {
        let (name, key) = (self.name(), private(key));
        let rest = [&name, "--key", &key, "-o", "json"];
        let formats = ["--format", "bundle,cosign-legacy"];
        let args = [command, &rest, &formats].concat();
        self.scratch.obreia().args(args).run()
    }

    fn sign(&self, key: &str) -> Output {
        self.run(&["sign"], key)
    }

    fn attest(&self) -> Output {
        self.run(&["attest", "--type", EVAL, "--predicate", "p.json"], "p256")
    }

    fn under(&self, kind: Legacy) -> Value {
        let tag = kind.tag(&self.digest.parse().unwrap());
        let at = repository(self.fake.host(), "test/app");
        let found = wait(at.resolve(&Select::Tag(tag))).unwrap();
        serde_json::from_slice(&found.bytes).unwrap()
    }

    fn blob(&self, descriptor: &Value) -> Value {
        let at = repository(self.fake.host(), "test/app");
        let descriptor: Descriptor = serde_json::from_value(descriptor.clone()).unwrap();
        let bytes = wait(at.read_blob(&descriptor, 1 << 20)).unwrap();
        serde_json::from_slice(&bytes).unwrap()
    }

    fn counts(&self, key: &str) {
        let more = format!("signatures: {{ from: [{key}], formats: [cosign-legacy] }}");
        let policy = policy(&self.scratch, "p", &[key], &more);
        let policy = policy.to_str().unwrap();
        allowed(&verify(&self.scratch, &[&self.name(), "--policy", policy]));
    }
}

fn kinds() -> [Kind; 3] {
    [(true, true), (false, true), (false, false)].map(|(referrers, conditions)| Kind {
        referrers,
        conditions,
        ..Kind::default()
    })
}

#[test]
fn what_is_written_has_the_shape_that_cosign_gives_it() {
    let case = Case::new(Kind::default());
    let said = case.sign("p256").ok().json();
    let tag = Legacy::Signature.tag(&case.digest.parse().unwrap());
    let older = &said["signed"][0]["cosign_legacy"];
    let repository = format!("{}/test/app", case.fake.host());
    assert_eq!(older["tag"], format!("{repository}:{tag}"), "{said}");
    let manifest = case.under(Legacy::Signature);
    assert_eq!(manifest["mediaType"], media_type::MANIFEST);
    assert_eq!(manifest["config"]["mediaType"], media_type::CONFIG);
    assert!(manifest.get("subject").is_none() && manifest.get("artifactType").is_none());
    let layer = &manifest["layers"][0];
    assert_eq!(layer["mediaType"], media_type::SIMPLE_SIGNING);
    let config = case.blob(&manifest["config"]);
    assert_eq!(config["rootfs"]["diff_ids"], json!([layer["digest"]]));
    let payload = case.blob(layer);
    assert_eq!(
        payload["critical"]["image"]["docker-manifest-digest"],
        case.digest
    );
    assert_eq!(
        payload["critical"]["identity"]["docker-reference"],
        repository
    );
    assert_eq!(payload["optional"], Value::Null);
    case.counts("p256");
    let said = case.attest().ok().json();
    assert_eq!(said["cosign_legacy"]["existed"], false, "{said}");
    let layer = case.under(Legacy::Attestation)["layers"][0].clone();
    assert_eq!(layer["mediaType"], media_type::DSSE);
    assert_eq!(
        layer["annotations"],
        json!({"dev.cosignproject.cosign/signature": "", "predicateType": EVAL})
    );
}

#[test]
fn again_is_once_and_what_others_put_there_stays() {
    for kind in kinds() {
        let case = Case::new(kind);
        // Somebody's layer, of which nothing is known here.
        let at = repository(case.fake.host(), "test/app");
        let theirs = Descriptor::of("application/x.theirs", b"theirs");
        wait(at.put_blob(&theirs, Source::Bytes(b"theirs"), None)).unwrap();
        let config = json!({"rootfs": {"type": "layers", "diff_ids": [theirs.digest]},
            "created": "2024-01-01T00:00:00Z"})
        .to_string();
        let config_at = Descriptor::of(media_type::CONFIG, config.as_bytes());
        let source = Source::Bytes(config.as_bytes());
        wait(at.put_blob(&config_at, source, None)).unwrap();
        let layer = json!({"mediaType": theirs.media_type, "digest": theirs.digest, "size": 6,
            "annotations": {"a": "b"}, "urls": ["https://x.example"]});
        let manifest = json!({"schemaVersion": 2, "mediaType": media_type::MANIFEST,
            "config": config_at, "layers": [layer], "annotations": {"c": "d"}});
        let bytes = manifest.to_string().into_bytes();
        let tag = Legacy::Signature.tag(&case.digest.parse().unwrap());
        let descriptor = Descriptor::of(media_type::MANIFEST, &bytes);
        wait(at.put_manifest(Some(&tag), &descriptor, &bytes)).unwrap();
        for (key, layers) in [("p256", 2), ("ed25519", 3)] {
            let said = case.sign(key).ok().json();
            assert_eq!(said["signed"][0]["cosign_legacy"]["existed"], false);
            let again = case.sign(key).ok().json();
            assert_eq!(again["signed"][0]["cosign_legacy"]["existed"], true);
            assert_eq!(again["signed"][0]["existed"], true, "{again}");
            assert_eq!(again["signed"][0]["bundle"], said["signed"][0]["bundle"]);
            let found = case.under(Legacy::Signature);
            assert_eq!(found["layers"].as_array().unwrap().len(), layers);
            assert_eq!(found["layers"][0], layer);
            assert_eq!(found["annotations"], json!({"c": "d"}));
            let config = case.blob(&found["config"]);
            assert_eq!(config["created"], "2024-01-01T00:00:00Z");
            let digests = config["rootfs"]["diff_ids"].as_array().unwrap();
            assert_eq!(digests.len(), layers, "{config}");
            case.counts(key);
        }
        case.attest().ok();
        let again = case.attest().ok().json();
        assert_eq!(again["cosign_legacy"]["existed"], true, "{again}");
        let found = case.under(Legacy::Attestation);
        assert_eq!(found["layers"].as_array().unwrap().len(), 1);
    }
}

#[test]
fn what_is_stored_in_part_ends_with_4_and_is_gone_on_with() {
    let answer = |status| Act::Answer(status, "", String::new());
    for status in [403, 500, 400] {
        let case = Case::new(Kind::default());
        // Not the look at what is there, but the write.
        let tag = Legacy::Signature.tag(&case.digest.parse().unwrap());
        let write = format!("PUT /v2/test/app/manifests/{tag}");
        case.fake.front.next(write, answer(status));
        let out = case.sign("p256");
        out.expect_code(4).says("only a part");
        assert!(case.fake.front.done(), "{out}");
        let out = case.sign("p256");
        let said = out.ok().json();
        assert_eq!(said["signed"][0]["existed"], true, "{said}");
        assert_eq!(said["signed"][0]["cosign_legacy"]["existed"], false);
        case.counts("p256");
    }
    // Nothing was stored yet: that is no part.
    let case = Case::new(Kind::default());
    case.fake
        .front
        .next("PUT /v2/test/app/manifests/sha256:", answer(403));
    case.sign("p256").expect_code(5);
}

#[test]
fn another_writer_in_between_is_not_lost() {
    let case = Case::new(kinds()[1].clone());
    let tag = Legacy::Signature.tag(&case.digest.parse().unwrap());
    case.sign("ed25519").ok();
    let refused = Act::Answer(412, "", String::new());
    case.fake
        .front
        .next(format!("PUT /v2/test/app/manifests/{tag}"), refused);
    let said = case.sign("p256").ok().json();
    assert_eq!(said["signed"][0]["cosign_legacy"]["cas"], "exact", "{said}");
    assert!(case.fake.front.done());
    case.counts("p256");
    case.counts("ed25519");
    // Where nothing can be had exactly, it is looked at again after writing.
    let case = Case::new(kinds()[2].clone());
    let said = case.sign("p256").ok().json();
    assert_eq!(said["signed"][0]["cosign_legacy"]["cas"], "best-effort");
    let seen = case.fake.front.seen();
    let wrote = format!("PUT /v2/test/app/manifests/{tag}");
    let at = seen.iter().position(|line| *line == wrote).unwrap();
    let looked = format!("GET /v2/test/app/manifests/{tag}");
    assert!(seen[at..].contains(&looked), "{seen:?}");
}

#[test]
fn nothing_is_sent_before_everything_is_signed() {
    let case = Case::new(Kind::default());
    let note = format!("k={}", "x".repeat(100 << 10));
    let notes: Vec<String> = (0..3).map(|n| format!("{n}{note}")).collect();
    let mut args = vec!["sign"];
    for note in &notes {
        args.extend(["-a", note]);
    }
    case.fake.front.seen();
    let out = case.run(&args, "p256");
    out.expect_code(2)
        .says("cosign-legacy")
        .says("the limit is");
    let seen = case.fake.front.seen();
    let sent = seen.iter().find(|line| !line.starts_with("GET "));
    assert_eq!(sent, None, "{seen:?}");
    let key = public("p256");
    verify(&case.scratch, &[&case.name(), "--key", &key]).expect_code(1);
}
