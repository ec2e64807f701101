//! Images for several platforms: what holds for the index, for the image of one
//! platform, and for every one.

use obreia::crypto::sha256;
use obreia::oci::{Descriptor, media_type};
use obreia::source::registry::Source;
use serde_json::{Value, json};

use crate::harness::{Output, Scratch, testdata};
use crate::registry::between::Act;
use crate::registry::fake::{Fake, Kind};
use crate::registry::{repository, wait};

const KEY: &str = "p256.pkcs8.pem";
const PUBLIC: &str = "p256.pub.pem";

fn key(name: &str) -> String {
    testdata("keys").join(name).display().to_string()
}

/// Puts an image for that platform; how an index lists it.
fn image(fake: &Fake, platform: &str) -> Value {
    let (os, architecture) = platform.split_once('/').unwrap();
    let config = json!({"os": os, "architecture": architecture, "config": {},
        "rootfs": {"type": "layers", "diff_ids": []}})
    .to_string();
    let config_at = Descriptor::of(media_type::CONFIG, config.as_bytes());
    let manifest = json!({"schemaVersion": 2, "mediaType": media_type::MANIFEST,
        "config": config_at, "layers": []})
    .to_string();
    let at = repository(fake.host(), "test/app");
    let descriptor = Descriptor::of(media_type::MANIFEST, manifest.as_bytes());
    wait(async {
        let source = Source::Bytes(config.as_bytes());
        at.put_blob(&config_at, source, None).await.unwrap();
        let bytes = manifest.as_bytes();
        at.put_manifest(None, &descriptor, bytes).await.unwrap();
    });
    let mut entry = json!(descriptor);
    entry["platform"] = json!({"os": os, "architecture": architecture});
    entry
}

/// Puts an index of those; its digest.
fn index(fake: &Fake, tag: &str, entries: &[Value]) -> String {
    let index = json!({"schemaVersion": 2, "mediaType": media_type::INDEX, "manifests": entries});
    let bytes = index.to_string();
    let of = Descriptor::of(media_type::INDEX, bytes.as_bytes());
    let at = repository(fake.host(), "test/app");
    wait(at.put_manifest(Some(tag), &of, bytes.as_bytes())).unwrap();
    of.digest.to_string()
}

struct Place {
    scratch: Scratch,
    fake: Fake,
    /// How the index lists them.
    images: [Value; 2],
    /// Of the index.
    digest: String,
}

impl Place {
    /// An index of two images, none of them signed.
    fn new() -> Self {
        let fake = Fake::new(Kind::default());
        let images = ["linux/amd64", "linux/arm64"].map(|platform| image(&fake, platform));
        let digest = index(&fake, "v1", &images);
        let scratch = Scratch::new();
        scratch.write("key.pub", std::fs::read(key(PUBLIC)).unwrap());
        for of_index in ["index", "platform", "every"] {
            scratch.write(format!("{of_index}.yaml"), format!(
                "apiVersion: obreia/v1\nkind: VerificationPolicy\nmetadata: {{ name: {of_index} }}\nspec:\n  match: [ {{ kind: image, name: \"**\" }} ]\n  authorities: [ {{ name: a, key: key.pub }} ]\n  index: {of_index}\n"
            ));
        }
        Self {
            scratch,
            fake,
            images,
            digest,
        }
    }

    fn named(&self, rest: &str) -> String {
        format!("{}/test/app{rest}", self.fake.host())
    }

    fn digest_of(&self, image: usize) -> String {
        self.images[image]["digest"].as_str().unwrap().to_owned()
    }

    fn sign(&self, rest: &str, more: &[&str]) {
        let (name, private) = (self.named(rest), key(KEY));
        let args = ["sign", &name, "--key", &private];
        self.scratch.obreia().args(args).args(more).run().ok();
    }

    fn sign_image(&self, image: usize) {
        self.sign(&format!("@{}", self.digest_of(image)), &[]);
    }

    fn verify(&self, rest: &str, more: &[&str]) -> Output {
        let name = self.named(rest);
        let args = ["verify", &name, "-o", "json"];
        self.scratch.obreia().args(args).args(more).run()
    }

    fn by_key(&self, rest: &str, more: &[&str]) -> Output {
        let public = key(PUBLIC);
        self.verify(rest, &[&["--key", &public], more].concat())
    }
}

/// The verdict, its reasons, and for each image below its platform, verdict and reasons.
fn told(out: &Output) -> (String, Vec<String>, Vec<(String, String, Vec<String>)>) {
    fn codes(verdict: &Value) -> Vec<String> {
        let reasons = verdict["reasons"].as_array().unwrap();
        let code = |reason: &Value| reason["code"].as_str().unwrap().to_owned();
        reasons.iter().map(code).collect()
    }
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let verdict = out.json();
    let children = verdict["children"].as_array().cloned().unwrap_or_default();
    let child = |child: &Value| {
        let platform = text(&child["artifact"]["platform"]);
        (platform, text(&child["verdict"]), codes(child))
    };
    let children = children.iter().map(child).collect();
    (text(&verdict["verdict"]), codes(&verdict), children)
}

fn below(first: (&str, &[&str]), second: (&str, &[&str])) -> Vec<(String, String, Vec<String>)> {
    let one = |platform: &str, (verdict, codes): (&str, &[&str])| {
        let codes = codes.iter().map(|code| (*code).to_owned()).collect();
        (platform.to_owned(), verdict.to_owned(), codes)
    };
    vec![one("linux/amd64", first), one("linux/arm64", second)]
}

const ALLOWED: (&str, &[&str]) = ("allowed", &[]);
const UNSIGNED: (&str, &[&str]) = ("denied", &["no-signature"]);

#[test]
fn of_an_index_it_is_told_what_holds_for_each_image() {
    let place = Place::new();
    let nothing = place.by_key(":v1", &[]);
    nothing.expect_code(1);
    assert_eq!(told(&nothing).2, below(UNSIGNED, UNSIGNED));
    place.sign(":v1", &[]);
    place.sign_image(1);
    for rest in [":v1".to_owned(), format!("@{}", place.digest)] {
        let out = place.by_key(&rest, &[]);
        out.ok();
        let (verdict, reasons, children) = told(&out);
        assert_eq!((verdict.as_str(), reasons.len()), ("allowed", 0), "{rest}");
        assert_eq!(children, below(UNSIGNED, ALLOWED), "{rest}");
        let verdict = out.json();
        assert_eq!(verdict["artifact"]["identity"], place.digest);
        assert_eq!(
            verdict["children"][1]["artifact"]["identity"],
            place.images[1]["digest"]
        );
        assert_eq!(verdict["children"][1]["evidence"][0]["verified"], true);
    }
    let (name, public) = (place.named(":v1"), key(PUBLIC));
    let args = ["verify", &name, "--key", &public];
    let out = place.scratch.obreia().args(args).run();
    out.ok().stdout_has("below it, each by itself");
    out.stdout_has(&format!("denied linux/amd64 {}", place.digest_of(0)));
    out.stdout_has(&format!("allowed linux/arm64 {}", place.digest_of(1)));
}

#[test]
fn what_is_in_a_layout_is_told_alike() {
    let place = Place::new();
    place.sign(":v1", &[]);
    place.sign_image(0);
    let name = place.named(":v1");
    let run = |args: &[&str]| place.scratch.obreia().args(args).run();
    run(&["copy", &name, "oci-layout:l:v1"]).ok();
    let public = key(PUBLIC);
    let out = run(&["verify", "oci-layout:l:v1", "--key", &public, "-o", "json"]);
    out.ok();
    assert_eq!(told(&out).2, below(ALLOWED, UNSIGNED));
    let out = run(&[
        "verify",
        "oci-layout:l:v1",
        "--policy",
        "every.yaml",
        "-o",
        "json",
    ]);
    out.expect_code(1);
    assert_eq!(told(&out).1, ["child-denied"]);
    let args = [
        "verify",
        "oci-layout:l:v1",
        "--policy",
        "platform.yaml",
        "--platform",
    ];
    run(&[&args[..], &["linux/amd64"]].concat()).ok();
    run(&[&args[..], &["linux/arm64"]].concat())
        .expect_code(1)
        .stdout_has("no-signature");
    run(&[&args[..], &["linux/s390x"]].concat())
        .expect_code(1)
        .stdout_has("platform-missing");
}

#[test]
fn a_policy_can_demand_every_image() {
    let place = Place::new();
    // The index's own signature is not asked for, and stands in for none.
    place.sign(":v1", &[]);
    let every = ["--policy", "every.yaml"];
    let out = place.verify(":v1", &every);
    out.expect_code(1);
    assert_eq!(told(&out).1, ["child-denied", "child-denied"]);
    place.sign_image(0);
    let out = place.verify(":v1", &every);
    out.expect_code(1);
    let (_, reasons, children) = told(&out);
    assert_eq!(reasons, ["child-denied"]);
    assert_eq!(children, below(ALLOWED, UNSIGNED));
    let detail = out.json()["reasons"][0]["detail"].to_string();
    assert!(
        detail.contains("linux/arm64") && detail.contains("no-signature"),
        "{detail}"
    );
    // What could not be looked up about one of them is no denial.
    let lost = || Act::Answer(403, "", String::new());
    place
        .fake
        .front
        .next(format!("/referrers/{}", place.digest_of(1)), lost());
    let out = place.verify(":v1", &every);
    out.expect_code(4);
    assert_eq!(told(&out).1, ["registry-denied"]);
    assert!(place.fake.front.done());
    place.sign_image(1);
    let out = place.verify(":v1", &every);
    out.ok();
    assert_eq!(told(&out).2, below(ALLOWED, ALLOWED));
    // Beside one that demands the index, both must be met.
    let both = ["--policy", "every.yaml", "--policy", "index.yaml"];
    place.verify(":v1", &both).ok();
    let unsigned = index(
        &place.fake,
        "v2",
        &[place.images[1].clone(), place.images[0].clone()],
    );
    assert_ne!(unsigned, place.digest);
    place.verify(":v2", &every).ok();
    let out = place.verify(":v2", &both);
    out.expect_code(1);
    assert_eq!(told(&out).1, ["no-signature"]);
    // Where something starts on that word, nothing is different.
    let pinned = place.named(&format!("@{unsigned}"));
    let guard = |policy: &str| {
        let args = ["guard", &pinned, "--policy", policy];
        place.scratch.obreia().args(args).run()
    };
    guard("every.yaml").ok();
    guard("index.yaml").expect_code(1);
    guard("platform.yaml")
        .expect_code(2)
        .stderr_has("--platform");
}

#[test]
fn signing_an_index_with_all_below_it_meets_every_demand() {
    let place = Place::new();
    place.sign(":v1", &["--recursive"]);
    for policy in ["index.yaml", "every.yaml"] {
        let out = place.verify(":v1", &["--policy", policy]);
        out.ok();
        assert_eq!(told(&out).2, below(ALLOWED, ALLOWED), "{policy}");
    }
    for platform in ["linux/amd64", "linux/arm64", "linux/arm64/v8"] {
        place
            .verify(
                ":v1",
                &["--policy", "platform.yaml", "--platform", platform],
            )
            .ok();
    }
}

#[test]
fn an_index_without_images_meets_no_demand_for_every_one() {
    let place = Place::new();
    place.sign(":v1", &["--recursive"]);
    let mut provenance = place.images[0].clone();
    provenance["platform"] = json!({"os": "unknown", "architecture": "unknown"});
    provenance["annotations"] = json!({"vnd.docker.reference.type": "attestation-manifest"});
    for (tag, entries) in [("empty", &[][..]), ("provenance", &[provenance][..])] {
        index(&place.fake, tag, entries);
        let out = place.verify(&format!(":{tag}"), &["--policy", "every.yaml"]);
        out.expect_code(1);
        assert_eq!(told(&out).1, ["child-denied"], "{tag}");
    }
    // What BuildKit says of an image is no image, and what only says so of itself is one.
    let stranger = image(&place.fake, "linux/s390x");
    let mut note = stranger.clone();
    note["annotations"] = json!({"vnd.docker.reference.type": "attestation-manifest"});
    let [first, second] = place.images.clone();
    index(
        &place.fake,
        "note",
        &[first.clone(), second.clone(), note.clone()],
    );
    place
        .verify(":note", &["--policy", "every.yaml"])
        .expect_code(1);
    note["platform"] = json!({"os": "unknown", "architecture": "unknown"});
    index(&place.fake, "note", &[first, second, note]);
    place.verify(":note", &["--policy", "every.yaml"]).ok();
}

#[test]
fn the_image_of_the_selected_platform_is_what_is_judged() {
    let place = Place::new();
    place.sign(":v1", &[]);
    place.sign_image(1);
    let arm = place.by_key(":v1", &["--platform", "linux/arm64"]);
    arm.ok();
    let verdict = arm.json();
    assert_eq!(verdict["artifact"]["identity"], place.images[1]["digest"]);
    assert_eq!(verdict["artifact"]["platform"], "linux/arm64");
    // The index's signature is not the image's.
    let amd = place.by_key(":v1", &["--platform", "linux/amd64"]);
    amd.expect_code(1);
    assert_eq!(told(&amd).1, ["no-signature"]);
    let none = place.by_key(":v1", &["--platform", "linux/s390x"]);
    none.expect_code(1);
    assert_eq!(told(&none).1[0], "platform-missing");
    // Named by itself, it is held to what it says.
    let named = format!("@{}", place.digest_of(1));
    place.by_key(&named, &["--platform", "linux/arm64"]).ok();
    let other = place.by_key(&named, &["--platform", "linux/amd64"]);
    other.expect_code(1);
    assert_eq!(told(&other).1, ["platform-missing"]);
    // A policy that demands the index has its say beside.
    place
        .verify(
            ":v1",
            &["--policy", "index.yaml", "--platform", "linux/arm64"],
        )
        .ok();
    let none = place.verify(
        ":v1",
        &["--policy", "index.yaml", "--platform", "linux/s390x"],
    );
    none.expect_code(1);
    place
        .verify(":v1", &["--policy", "platform.yaml"])
        .expect_code(2);
    place
        .verify(":v1", &["--policy", "platform.yaml", "--platform", "arm64"])
        .expect_code(2);
    let public = key(PUBLIC);
    let args = [
        "verify",
        "key.pub",
        "--key",
        &public,
        "--platform",
        "linux/arm64",
    ];
    place.scratch.obreia().args(args).run().expect_code(2);
}

#[test]
fn an_index_that_lists_an_image_for_another_platform_is_not_believed() {
    let place = Place::new();
    place.sign(":v1", &["--recursive"]);
    let mut lying = place.images[0].clone();
    lying["platform"] = json!({"os": "linux", "architecture": "riscv64"});
    index(&place.fake, "lies", &[lying.clone()]);
    let out = place.by_key(":lies", &["--platform", "linux/riscv64"]);
    out.expect_code(1);
    assert_eq!(told(&out).1, ["platform-missing"]);
    // Of two for the same platform none is taken by chance.
    let mut second = place.images[1].clone();
    second["platform"] = lying["platform"].clone();
    index(&place.fake, "two", &[lying, second]);
    place
        .by_key(":two", &["--platform", "linux/riscv64"])
        .expect_code(2);
    let nowhere = sha256(b"nowhere").to_string();
    let mut missing = place.images[1].clone();
    missing["digest"] = nowhere.into();
    index(&place.fake, "sparse", &[place.images[0].clone(), missing]);
    let out = place.verify(":sparse", &["--policy", "every.yaml"]);
    out.expect_code(1);
    assert_eq!(told(&out).2, below(ALLOWED, UNSIGNED));
}
