//! cosign's signatures and attestations before bundles, and statements that
//! nobody signed, in a registry and in a layout.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use obreia::dsse::{self, Envelope};
use obreia::oci::{Descriptor, Legacy, media_type};
use obreia::source::registry::Source;
use serde_json::{Value, json};

use super::forge::Forger;
use super::{allowed, denied, policy, private, public, undetermined, verify};
use crate::harness::between::Act;
use crate::harness::{Output, Scratch};
use crate::registry::fake::{Fake, Kind};
use crate::registry::{put_image, repository, wait};

const EVAL: &str = "https://example.acme/eval/v1";
const SIG: &str = ".sig";

/// An image in a registry in memory, and a signer who signs anything.
struct Case {
    fake: Fake,
    scratch: Scratch,
    digest: String,
    signer: Forger,
}

/// A layer: media type, bytes, annotations.
type Layer<'a> = (&'a str, Vec<u8>, Value);

impl Case {
    fn new() -> Self {
        let fake = Fake::new(Kind::default());
        let digest = put_image(fake.host(), "test/app", "v1");
        Self {
            fake,
            digest,
            scratch: Scratch::new(),
            signer: Forger::of("p256"),
        }
    }

    fn name(&self) -> String {
        format!("{}/test/app@{}", self.fake.host(), self.digest)
    }

    fn payload(&self) -> String {
        format!(
            r#"{{"critical":{{"identity":{{"docker-reference":"r.example/app"}},"image":{{"docker-manifest-digest":"{}"}},"type":"cosign container image signature"}},"optional":{{"stage":"prod"}}}}"#,
            self.digest
        )
    }

    fn signed(&self, payload: &str) -> Layer<'static> {
        let signature = STANDARD.encode(self.signer.raw(payload.as_bytes()));
        let noted = json!({"dev.cosignproject.cosign/signature": signature});
        (media_type::SIMPLE_SIGNING, payload.into(), noted)
    }

    fn envelope(&self, payload_type: &str, payload: &Value) -> Vec<u8> {
        let payload = payload.to_string().into_bytes();
        let envelope = Envelope {
            payload_type: payload_type.to_owned(),
            signature: self.signer.raw(&dsse::pae(payload_type, &payload)),
            payload,
            keyid: String::new(),
        };
        dsse::Wire::from(&envelope).to_json()
    }

    fn statement(&self) -> Value {
        let hex = self.digest.trim_start_matches("sha256:");
        json!({"_type": "https://in-toto.io/Statement/v0.1", "predicateType": EVAL,
            "subject": [{"name": "r.example/app", "digest": {"sha256": hex}}],
            "predicate": {"score": 1}})
    }

    fn manifest(&self, layers: &[Layer<'_>], more: Value) -> Vec<u8> {
        let at = repository(self.fake.host(), "test/app");
        let mut listed = Vec::new();
        for (kind, bytes, annotations) in layers {
            let layer = Descriptor::of(*kind, bytes);
            wait(at.put_blob(&layer, Source::Bytes(bytes), None)).unwrap();
            let mut layer = json!(layer);
            layer["annotations"] = annotations.clone();
            listed.push(layer);
        }
        let config = Descriptor::of(media_type::CONFIG, b"{}");
        wait(at.put_blob(&config, Source::Bytes(b"{}"), None)).unwrap();
        let mut manifest = json!({"schemaVersion": 2, "mediaType": media_type::MANIFEST,
            "config": config, "layers": listed});
        for (name, value) in more.as_object().unwrap() {
            manifest[name] = value.clone();
        }
        manifest.to_string().into_bytes()
    }

    fn tag(&self, end: &str, kind: &str, bytes: &[u8]) {
        let tag = format!("{}{end}", self.digest.replace(':', "-"));
        let at = repository(self.fake.host(), "test/app");
        let descriptor = Descriptor::of(kind, bytes);
        wait(at.put_manifest(Some(&tag), &descriptor, bytes)).unwrap();
    }

    fn put(&self, end: &str, layers: &[Layer<'_>]) {
        let manifest = self.manifest(layers, json!({}));
        self.tag(end, media_type::MANIFEST, &manifest);
    }

    /// Hangs a manifest on the image as OCI 1.1 has it.
    fn refer(&self, artifact_type: &str, layers: &[Layer<'_>]) {
        let at = repository(self.fake.host(), "test/app");
        let digest = self.digest.parse().unwrap();
        let select = obreia::reference::Select::Digest(digest);
        let subject = wait(at.resolve(&select)).unwrap().descriptor.bare();
        let more = json!({"artifactType": artifact_type, "subject": subject});
        let manifest = self.manifest(layers, more);
        let descriptor = Descriptor::of(media_type::MANIFEST, &manifest);
        wait(at.put_manifest(None, &descriptor, &manifest)).unwrap();
    }

    fn verify(&self, more: &[&str]) -> Output {
        verify(&self.scratch, &[&[&*self.name()], more].concat())
    }

    fn by_key(&self) -> Output {
        self.verify(&["--key", &public("p256")])
    }

    fn under(&self, more: &str) -> Output {
        let policy = policy(&self.scratch, "p", &["p256"], more);
        self.verify(&["--policy", policy.to_str().unwrap()])
    }
}

#[test]
fn a_signature_counts_where_its_format_is_named() {
    let case = Case::new();
    denied(&case.by_key(), "no-signature");
    case.put(SIG, &[case.signed(&case.payload())]);
    let said = allowed(&case.by_key());
    let evidence = &said["evidence"][0];
    assert_eq!(evidence["kind"], "signature", "{said}");
    assert_eq!(evidence["verified"], true, "{said}");
    allowed(&case.under("signatures: { from: [p256], formats: [cosign-legacy] }"));
    denied(
        &case.under("signatures: { from: [p256] }"),
        "format-not-allowed",
    );
    // What it says binds where it counts, and nowhere else.
    let bound = |formats: &str| {
        format!(
            "signatures: {{ from: [p256], formats: [{formats}] }}\nbinding: {{ from: [p256], stage: prod }}"
        )
    };
    allowed(&case.under(&bound("cosign-legacy")));
    let key = private("p256");
    let args = ["sign", &case.name(), "--key", &key];
    case.scratch.obreia().args(args).run().ok();
    denied(&case.under(&bound("bundle")), "binding-missing");
}

#[test]
fn what_holds_by_no_key_or_about_nothing_of_ours_is_told_by_its_reason() {
    let other = put_image(Case::new().fake.host(), "test/app", "other");
    type Make = fn(&Case, &str) -> Layer<'static>;
    let rows: [(Make, &str, &str); 12] = [
        (
            |case, other| case.signed(&case.payload().replace(&case.digest, other)),
            "digest-mismatch",
            "is about manifest",
        ),
        (
            |case, _| {
                let mut layer = case.signed(&case.payload());
                let (_, _, other) = case.signed(&case.payload().replace("prod", "dev"));
                layer.2 = other;
                layer
            },
            "signature-invalid",
            "",
        ),
        (
            |case, _| {
                let stranger = Case {
                    signer: Forger::of("ed25519"),
                    digest: case.digest.clone(),
                    ..Case::new()
                };
                stranger.signed(&case.payload())
            },
            "signature-invalid",
            "",
        ),
        (
            |case, _| case.signed(&(case.payload() + &" ".repeat(256 << 10))),
            "bundle-malformed",
            "the limit is 262144",
        ),
        (
            |case, _| {
                let (kind, bytes, _) = case.signed(&case.payload());
                (kind, bytes, json!({}))
            },
            "bundle-malformed",
            "no annotation dev.cosignproject.cosign/signature",
        ),
        (
            |case, _| {
                let (kind, bytes, _) = case.signed(&case.payload());
                let noted = json!({"dev.cosignproject.cosign/signature": "?"});
                (kind, bytes, noted)
            },
            "bundle-malformed",
            "not base64",
        ),
        (
            |case, _| case.signed("{\"critical\":"),
            "bundle-malformed",
            "not a simple-signing payload",
        ),
        (
            |case, _| case.signed(&case.payload().replacen('{', "{\"critical\":{},", 1)),
            "bundle-malformed",
            "not a simple-signing payload",
        ),
        (
            |case, _| {
                case.signed(
                    &case
                        .payload()
                        .replace("cosign container", "atomic container"),
                )
            },
            "bundle-malformed",
            "critical.type",
        ),
        (
            |case, _| case.signed(&case.payload().replace("\"image\"", "\"new\":1,\"image\"")),
            "bundle-malformed",
            "unknown field",
        ),
        (
            |case, _| {
                (
                    "application/x.other",
                    case.payload().into_bytes(),
                    json!({}),
                )
            },
            "bundle-malformed",
            "application/x.other",
        ),
        (
            |case, _| {
                let (kind, bytes, _) = case.signed(&case.payload());
                let noted = json!({"dev.cosignproject.cosign/signature": "AAAA",
                    "dev.sigstore.cosign/certificate": "-----BEGIN CERTIFICATE-----"});
                (kind, bytes, noted)
            },
            "format-not-allowed",
            "certificate",
        ),
    ];
    for (make, code, says) in rows {
        let case = Case::new();
        case.put(SIG, &[make(&case, &other)]);
        let out = case.by_key();
        let said = denied(&out, code);
        assert!(said.to_string().contains(says), "{says}: {out}");
        // Beside one that counts it is told, and changes nothing.
        let broken = make(&case, &other);
        case.put(SIG, &[broken, case.signed(&case.payload())]);
        let said = allowed(&case.by_key());
        assert_eq!(said["evidence"][0]["verified"], false, "{said}");
        assert_eq!(said["evidence"][1]["verified"], true, "{said}");
    }
}

#[test]
fn what_lies_under_the_tag_and_is_no_signature_is_told() {
    let empty = |case: &Case| case.put(SIG, &[]);
    let index = |case: &Case| {
        let index = json!({"schemaVersion": 2, "mediaType": media_type::INDEX, "manifests": []});
        case.tag(SIG, media_type::INDEX, index.to_string().as_bytes());
    };
    for (put, says) in [
        (&empty as &dyn Fn(&Case), "no layer is one"),
        (&index, "leads to an index"),
    ] {
        let case = Case::new();
        put(&case);
        let said = denied(&case.by_key(), "bundle-malformed");
        assert!(said.to_string().contains(says), "{said}");
    }
}

/// The table of the three verdicts for a tag: what it answers, how often, and
/// what is said.
#[test]
fn a_tag_that_cannot_be_asked_for_is_no_absence() {
    let answer = |status, more, body: &str| Act::Answer(status, more, body.to_owned());
    let rows = [
        (answer(401, "", ""), 1, "registry-denied"),
        (answer(403, "", ""), 1, "registry-denied"),
        (
            answer(429, "Retry-After: 999", ""),
            1,
            "registry-unreachable",
        ),
        (answer(500, "", ""), 5, "registry-unreachable"),
        (Act::CutBefore, 5, "registry-unreachable"),
        (answer(200, "", "<html>"), 1, "registry-malformed"),
    ];
    for end in [".sig", ".att"] {
        for (act, times, code) in rows.clone() {
            let case = Case::new();
            for _ in 0..times {
                case.fake.front.next(end, act.clone());
            }
            let said = undetermined(&case.by_key(), code);
            assert!(case.fake.front.done(), "{said}");
            let detail = said["reasons"][0]["detail"].as_str().unwrap();
            assert!(detail.contains(end), "{detail}");
        }
    }
    let case = Case::new();
    case.put(SIG, &[case.signed(&case.payload())]);
    // A layer that does not come is a look-up that failed, too.
    case.fake
        .front
        .next("GET /v2/test/app/blobs/", answer(403, "", ""));
    undetermined(&case.by_key(), "evidence-unreadable");
    // What is there and suffices does not wait for the other tag.
    case.fake.front.next(".att", answer(403, "", ""));
    let said = allowed(&case.by_key());
    assert!(said.to_string().contains("registry-denied"), "{said}");
}

#[test]
fn tags_are_asked_for_only_where_something_could_depend_on_them() {
    let case = Case::new();
    let key = private("p256");
    let args = ["sign", &case.name(), "--key", &key];
    case.scratch.obreia().args(args).run().ok();
    let asked = |case: &Case| {
        let seen = case.fake.front.seen();
        seen.iter().any(|line| line.contains(SIG))
    };
    asked(&case);
    allowed(&case.by_key());
    assert!(!asked(&case));
    // A rule can ask what is not there.
    case.scratch
        .write("r.rego", "package obreia\n\nallow if true\n");
    allowed(&case.under("signatures: { from: [p256] }\nrules: r.rego"));
    assert!(asked(&case));
    case.verify(&["--key", &public("ed25519")]).expect_code(1);
    assert!(asked(&case));
}

#[test]
fn an_attestation_in_a_bare_envelope_is_checked_like_one_in_a_bundle() {
    let case = Case::new();
    let asks = format!(
        "signatures: {{ threshold: 0 }}\nattestations: [{{ type: \"{EVAL}\", from: [p256] }}]"
    );
    let noted = || json!({"dev.cosignproject.cosign/signature": "", "predicateType": EVAL});
    let good = case.envelope(dsse::IN_TOTO, &case.statement());
    denied(&case.under(&asks), "no-attestation");
    case.put(".att", &[(media_type::DSSE, good.clone(), noted())]);
    let said = allowed(&case.under(&asks));
    assert_eq!(said["evidence"][0]["kind"], "attestation", "{said}");
    // An attestation is no signature.
    denied(&case.by_key(), "no-signature");
    // cosign 2 also hung them on the image.
    let hung = Case::new();
    let own = hung.envelope(dsse::IN_TOTO, &hung.statement());
    hung.refer(media_type::IN_TOTO, &[(media_type::DSSE, own, noted())]);
    allowed(&hung.under(&asks));
    let altered = |change: fn(&mut Value)| {
        let mut json: Value = serde_json::from_slice(&good).unwrap();
        change(&mut json);
        json.to_string().into_bytes()
    };
    let mut of_another = case.statement();
    of_another["subject"][0]["digest"]["sha256"] = json!("00".repeat(32));
    for (envelope, reason) in [
        (case.envelope(dsse::IN_TOTO, &of_another), "digest-mismatch"),
        (
            altered(|json| json["signatures"][0]["sig"] = json!("AAAA")),
            "signature-invalid",
        ),
        (
            altered(|json| {
                let twice = json["signatures"][0].clone();
                json["signatures"].as_array_mut().unwrap().push(twice);
            }),
            "bundle-malformed",
        ),
        (
            altered(|json| json["signatures"] = json!([])),
            "bundle-malformed",
        ),
        (altered(|json| json["more"] = json!(1)), "bundle-malformed"),
        (
            case.envelope("application/x.other", &case.statement()),
            "payload-type",
        ),
        (
            case.envelope(dsse::IN_TOTO, &json!({"_type": "x"})),
            "statement-malformed",
        ),
        (b"{".to_vec(), "bundle-malformed"),
    ] {
        case.put(".att", &[(media_type::DSSE, envelope, noted())]);
        let said = case.under(&asks).expect_code(1).json();
        let evidence = &said["evidence"][0];
        assert_eq!(evidence["verified"], false, "{said}");
        assert_eq!(evidence["reasons"][0]["code"], reason, "{said}");
    }
}

#[test]
fn what_nobody_signed_is_shown_and_believed_by_nobody() {
    let case = Case::new();
    let statement = case.statement().to_string().into_bytes();
    let noted = json!({"in-toto.io/predicate-type": EVAL});
    let layer = (media_type::IN_TOTO, statement, noted);
    case.refer(media_type::IN_TOTO, std::slice::from_ref(&layer));
    let asks = format!(
        "signatures: {{ threshold: 0 }}\nattestations: [{{ type: \"{EVAL}\", from: [p256] }}]"
    );
    let said = denied(&case.under(&asks), "format-not-allowed");
    assert!(said.to_string().contains("nobody signed"), "{said}");
    denied(&case.by_key(), "no-signature");
    // As BuildKit writes it: beside the image in an index.
    let at = repository(case.fake.host(), "test/app");
    let manifest = case.manifest(&[layer], json!({}));
    let mut attestation = Descriptor::of(media_type::MANIFEST, &manifest);
    wait(at.put_manifest(None, &attestation, &manifest)).unwrap();
    for (name, value) in [
        (media_type::BUILDKIT_KIND, media_type::BUILDKIT_ATTESTATION),
        (media_type::BUILDKIT_ABOUT, &case.digest),
    ] {
        attestation
            .annotations
            .insert(name.to_owned(), value.to_owned());
    }
    let select = obreia::reference::Select::Tag("v1".to_owned());
    let image = wait(at.resolve(&select)).unwrap().descriptor;
    let index = json!({"schemaVersion": 2, "mediaType": media_type::INDEX,
        "manifests": [image, attestation]})
    .to_string();
    let descriptor = Descriptor::of(media_type::INDEX, index.as_bytes());
    wait(at.put_manifest(Some("index"), &descriptor, index.as_bytes())).unwrap();
    let name = format!("{}/test/app:index", case.fake.host());
    let tree = |more: &[&str]| {
        let args = [&["tree", &name], more].concat();
        case.scratch.obreia().args(args).run()
    };
    let said: Value = tree(&["-o", "json"]).ok().json();
    let built = &said["root"]["children"][1];
    assert_eq!(built["what"], "BuildKit attestation", "{said}");
    assert_eq!(built["holds"][0]["format"], "unsigned", "{said}");
    assert_eq!(built["holds"][0]["predicate_type"], EVAL, "{said}");
    assert!(built["holds"][0]["verified"].is_null(), "{said}");
    let about = format!("about {}", case.digest);
    assert!(built["name"].as_str().unwrap().contains(&about), "{said}");
    tree(&[]).ok().stdout_has("unsigned").stdout_has(EVAL);
    let hung = &said["root"]["children"][0]["referrers"][0];
    assert_eq!(hung["holds"][0]["format"], "unsigned", "{said}");
    // No word of it reaches a decision about the index.
    let policy = policy(&case.scratch, "p", &["p256"], &asks);
    let out = verify(
        &case.scratch,
        &[&name, "--policy", policy.to_str().unwrap()],
    );
    denied(&out, "no-attestation");
}

#[test]
fn the_tree_tells_older_signatures_apart_by_who_made_them() {
    let case = Case::new();
    let payload = case.payload();
    let stranger = STANDARD.encode(Forger::of("ed25519").raw(payload.as_bytes()));
    let noted = json!({"dev.cosignproject.cosign/signature": stranger});
    let theirs = (
        media_type::SIMPLE_SIGNING,
        payload.clone().into_bytes(),
        noted,
    );
    case.put(SIG, &[theirs, case.signed(&payload)]);
    // A bundle that suffices does not keep them from being looked at.
    let key = private("p256");
    let args = ["sign", &case.name(), "--key", &key];
    case.scratch.obreia().args(args).run().ok();
    let key = public("p256");
    let args = ["tree", &case.name(), "--key", &key, "-o", "json"];
    let said: Value = case.scratch.obreia().args(args).run().ok().json();
    let about = said["root"]["referrers"].as_array().unwrap();
    let older = about
        .iter()
        .find(|one| one["what"] == "cosign-legacy signature");
    let older = older.unwrap_or_else(|| panic!("{said}"));
    let verified: Vec<_> = older["holds"]
        .as_array()
        .unwrap()
        .iter()
        .map(|held| held["verified"].as_bool())
        .collect();
    assert_eq!(verified, [Some(false), Some(true)], "{said}");
    assert_eq!(older["holds"][1]["reference"], "r.example/app", "{said}");
}

#[test]
fn in_a_layout_the_same_is_read_without_a_registry() {
    let case = Case::new();
    case.put(SIG, &[case.signed(&case.payload())]);
    let envelope = case.envelope(dsse::IN_TOTO, &case.statement());
    case.put(".att", &[(media_type::DSSE, envelope, json!({}))]);
    let name = format!("{}/test/app:v1", case.fake.host());
    let copy = ["copy", &name, "oci-layout:l:v1"];
    case.scratch.obreia().args(copy).run().ok();
    let altered = case.payload() + " ";
    drop(case.fake);
    let key = public("p256");
    let check = || verify(&case.scratch, &["oci-layout:l:v1", "--key", &key]);
    let said = allowed(&check());
    assert_eq!(said["evidence"].as_array().unwrap().len(), 2, "{said}");
    assert_eq!(said["evidence"][1]["kind"], "attestation", "{said}");
    assert_eq!(said["evidence"][1]["verified"], true, "{said}");
    // The payload's bytes are looked at, and not only named.
    let index: Value = serde_json::from_slice(&case.scratch.read("l/index.json")).unwrap();
    let tag = Legacy::Signature.tag(&case.digest.parse().unwrap());
    let entries = index["manifests"].as_array().unwrap();
    let entry = entries
        .iter()
        .find(|one| one["annotations"]["org.opencontainers.image.ref.name"] == *tag)
        .unwrap();
    let blob = |digest: &Value| {
        let hex = digest.as_str().unwrap().trim_start_matches("sha256:");
        format!("l/blobs/sha256/{hex}")
    };
    let manifest: Value =
        serde_json::from_slice(&case.scratch.read(blob(&entry["digest"]))).unwrap();
    case.scratch
        .write(blob(&manifest["layers"][0]["digest"]), altered);
    denied(&check(), "bundle-malformed");
}
