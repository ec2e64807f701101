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

/// The platform of an image below an index, what came of it, and why.
type Child = (String, String, Vec<String>);

/// The verdict, its reasons, and for each image below its platform, verdict and reasons.
fn told(out: &Output) -> (String, Vec<String>, Vec<Child>) {
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

fn below(first: (&str, &[&str]), second: (&str, &[&str])) -> Vec<Child> {
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
    // What is not there was not looked at.
    let out = place.verify(":sparse", &["--policy", "every.yaml"]);
    out.expect_code(4);
    let missing = ("undetermined", &["artifact-unreadable"][..]);
    assert_eq!(told(&out).2, below(ALLOWED, missing));
}

/// An entry, as BuildKit lists what it says about others.
fn as_note(entry: &Value) -> Value {
    let mut note = entry.clone();
    note["platform"] = json!({"os": "unknown", "architecture": "unknown"});
    note["annotations"] = json!({"vnd.docker.reference.type": "attestation-manifest"});
    note
}

/// An image that is listed twice runs where one of the two entries says so.
#[test]
fn an_image_is_judged_for_each_entry_that_leads_to_it() {
    let place = Place::new();
    place.sign_image(1);
    let [evil, signed] = place.images.clone();
    let every = ["--policy", "every.yaml"];
    for (tag, entries) in [
        ("a", [as_note(&evil), evil.clone(), signed.clone()]),
        ("b", [evil.clone(), as_note(&evil), signed.clone()]),
        ("c", [signed.clone(), as_note(&evil), evil.clone()]),
    ] {
        let digest = index(&place.fake, tag, &entries);
        let out = place.verify(&format!(":{tag}"), &every);
        out.expect_code(1);
        assert_eq!(told(&out).1, ["child-denied"], "{tag}");
        assert_eq!(told(&out).2.len(), 2, "{tag}");
        let run = |args: &[&str]| place.scratch.obreia().args(args).run();
        let named = place.named(&format!("@{digest}"));
        run(&["guard", &named, "--policy", "every.yaml"]).expect_code(1);
        let to = place.named(":promoted");
        run(&["promote", &named, &to, "--policy", "every.yaml"]).expect_code(1);
        assert_eq!(place.fake.tag("test/app", "promoted"), None);
        let layout = format!("oci-layout:{tag}:v1");
        run(&["copy", &place.named(&format!(":{tag}")), &layout]).ok();
        let out = run(&["verify", &layout, "--policy", "every.yaml", "-o", "json"]);
        out.expect_code(1);
        assert_eq!(told(&out).1, ["child-denied"], "{tag}");
    }
    // It can be selected by the second of its entries too.
    let mut second = signed.clone();
    second["platform"] = json!({"os": "linux", "architecture": "arm64", "variant": "v8"});
    let mut first = signed;
    first["platform"] = json!({"os": "linux", "architecture": "s390x"});
    index(&place.fake, "twice", &[first, second]);
    place.by_key(":twice", &["--platform", "linux/arm64"]).ok();
}

/// Some machines look at the platform alone.
#[test]
fn an_entry_of_a_kind_that_nobody_knows_is_an_image_too() {
    let place = Place::new();
    place.sign_image(1);
    let [mut evil, signed] = place.images.clone();
    evil["mediaType"] = "application/vnd.x+json".into();
    let digest = index(&place.fake, "v2", &[evil.clone(), signed.clone()]);
    let out = place.verify(":v2", &["--policy", "every.yaml"]);
    out.expect_code(1);
    assert_eq!(told(&out).1, ["child-denied"]);
    out.stdout_has("application/vnd.x+json");
    let named = place.named(&format!("@{digest}"));
    let run = |args: &[&str]| place.scratch.obreia().args(args).run();
    run(&["guard", &named, "--policy", "every.yaml"]).expect_code(1);
    run(&["copy", &place.named(":v2"), "oci-layout:l:v1"]).ok();
    run(&["verify", "oci-layout:l:v1", "--policy", "every.yaml"])
        .expect_code(1)
        .stdout_has("application/vnd.x+json");
    // It is the image of its platform as well.
    let platform = ["--policy", "platform.yaml", "--platform", "linux/amd64"];
    let out = place.verify(":v2", &platform);
    out.expect_code(1);
    assert_eq!(out.json()["artifact"]["identity"], evil["digest"]);
    index(&place.fake, "v3", &[evil, place.images[0].clone(), signed]);
    let out = place.verify(":v3", &platform);
    out.expect_code(1);
    assert_eq!(told(&out).1, ["no-signature"]);
}

/// The node asks for the tag again, whatever of it was judged.
#[test]
fn a_selected_platform_pins_no_tag() {
    let place = Place::new();
    place.sign(":v1", &["--recursive"]);
    let public = key(PUBLIC);
    let platform = ["--platform", "linux/amd64"];
    let guard = |rest: &str| {
        let name = place.named(rest);
        let run = place
            .scratch
            .obreia()
            .args(["guard", &name, "--key", &public]);
        run.args(platform).run()
    };
    guard(":v1").expect_code(1).says("image-not-pinned");
    guard(&format!("@{}", place.digest)).ok();
    let startup = [&platform[..], &["--stage", "startup"]].concat();
    let out = place.by_key(":v1", &startup);
    out.expect_code(1);
    assert!(
        told(&out).1.contains(&"image-not-pinned".to_owned()),
        "{out}"
    );
    let run = |args: &[&str]| place.scratch.obreia().args(args).run();
    run(&["copy", &place.named(":v1"), "oci-layout:l:v1"]).ok();
    let layout = ["verify", "oci-layout:l:v1", "--key", &public];
    run(&[&layout[..], &startup].concat())
        .expect_code(1)
        .stdout_has("image-not-pinned");
}

#[test]
fn what_was_not_looked_at_for_a_platform_may_be_there() {
    let place = Place::new();
    place.sign(":v1", &[]);
    let wanted = ["--policy", "index.yaml", "--platform", "linux/arm64"];
    // The index by its digest, where nothing says what its digest is of.
    let by_digest = format!("@{}", place.digest);
    place.verify(&by_digest, &wanted).ok();
    let run = |args: &[&str]| place.scratch.obreia().args(args).run();
    run(&["download", &place.named(":v1"), "out"]).ok();
    let mut files = place.scratch.files().into_iter();
    let bundle = files.find(|file| file.starts_with("out/")).unwrap();
    let with_bundle = [&wanted[..], &["--bundle", &bundle]].concat();
    place.verify(&by_digest, &with_bundle).ok();
    // An index in the index, which is not given.
    let inner: Value = {
        let select = obreia::reference::Select::Digest(place.digest.parse().unwrap());
        let at = repository(place.fake.host(), "test/app");
        json!(wait(at.resolve(&select)).unwrap().descriptor)
    };
    index(&place.fake, "outer", &[inner]);
    place.sign(":outer", &[]);
    place.verify(":outer", &wanted).ok();
    let lost = Act::Answer(403, "", String::new());
    let line = format!("GET /v2/test/app/manifests/{}", place.digest);
    place.fake.front.next(line, lost);
    let out = place.verify(":outer", &wanted);
    out.expect_code(4);
    assert!(place.fake.front.done());
    assert!(
        !told(&out).1.contains(&"platform-missing".to_owned()),
        "{out}"
    );
}

#[test]
fn an_index_that_nobody_signed_is_not_believed_about_platforms() {
    let place = Place::new();
    place.sign_image(1);
    let mut lying = place.images[1].clone();
    lying["platform"] = place.images[0]["platform"].clone();
    index(&place.fake, "lies", &[lying]);
    for policies in [
        &["--policy", "every.yaml"][..],
        &["--policy", "every.yaml", "--policy", "platform.yaml"],
    ] {
        let args = [policies, &["--platform", "linux/amd64"]].concat();
        let out = place.verify(":lies", &args);
        out.expect_code(1);
        assert!(
            told(&out).1.contains(&"platform-missing".to_owned()),
            "{out}"
        );
    }
}

#[test]
fn only_images_that_a_policy_asks_for_would_be_denied() {
    let place = Place::new();
    place.sign(":v1", &[]);
    for (of_index, would_deny) in [("index", false), ("every", true)] {
        let file = format!("{of_index}.yaml");
        let text = std::fs::read_to_string(place.scratch.join(&file)).unwrap();
        place.scratch.write(&file, format!("{text}  mode: warn\n"));
        let out = place.verify(":v1", &["--policy", &file]);
        out.ok();
        assert_eq!(out.json()["would_deny"], would_deny, "{of_index}");
    }
}

/// By its digest it is allowed, whatever an index says of it.
#[test]
fn an_image_is_judged_by_what_it_is_and_not_as_it_is_listed() {
    let place = Place::new();
    place.scratch.write("model/weights.bin", "weights");
    let run = |args: &[&str]| place.scratch.obreia().args(args).run();
    run(&["sign", "model", "--key", &key(KEY)]).ok();
    let name = place.named(":model");
    run(&["push", "model", &name]).ok();
    let public = key(PUBLIC);
    let alone = run(&["verify", &name, "--policy", "index.yaml", "-o", "json"]);
    let digest = place.fake.tag("test/app", "model").unwrap();
    let select = obreia::reference::Select::Digest(digest.parse().unwrap());
    let at = repository(place.fake.host(), "test/app");
    let entry = json!(wait(at.resolve(&select)).unwrap().descriptor);
    index(&place.fake, "models", &[entry]);
    let by_key = run(&["verify", &name, "--key", &public, "-o", "json"]);
    by_key.ok();
    let below = place.by_key(":models", &[]);
    assert_eq!(told(&below).2[0].1, "allowed", "{alone} {below}");
}
