//! Images in a registry, through the commands; and above all what is said of a
//! registry that does not answer.

use std::os::unix::fs::PermissionsExt;

use serde_json::Value;

use super::{allowed, denied, policy, private, public, verify};
use crate::harness::between::Act;
use crate::harness::{Output, Scratch};
use crate::registry::fake::{Fake, Kind};
use crate::registry::{put_image, repository, wait};
use obreia::oci::{Descriptor, media_type};

fn without_list() -> Fake {
    Fake::new(Kind {
        referrers: false,
        ..Kind::default()
    })
}

fn at(fake: &Fake, tag: &str) -> String {
    format!("{}/test/app{tag}", fake.host())
}

fn sign(scratch: &Scratch, name: &str, more: &[&str]) -> Output {
    let key = private("ed25519");
    let args = [&["sign", name, "--key", &key], more].concat();
    scratch.obreia().args(args).run()
}

fn check(scratch: &Scratch, name: &str, more: &[&str]) -> Output {
    let key = public("ed25519");
    verify(scratch, &[&[name, "--key", &key], more].concat())
}

fn code_of(out: &Output) -> String {
    let said = out.json();
    let reason = &said["reasons"][0]["code"];
    let error = &said["code"];
    reason
        .as_str()
        .or(error.as_str())
        .unwrap_or_default()
        .to_owned()
}

#[test]
fn an_image_is_signed_and_verified_and_its_tag_asked_for_once() {
    for fake in [Fake::new(Kind::default()), without_list()] {
        let scratch = Scratch::new();
        let digest = put_image(fake.host(), "test/app", "v1");
        sign(&scratch, &at(&fake, ":v1"), &[])
            .ok()
            .stdout_has("signed image");
        fake.front.seen();
        let said = allowed(&check(&scratch, &at(&fake, ":v1"), &[]));
        assert_eq!(said["artifact"]["identity"], digest);
        assert_eq!(said["artifact"]["read_as"], "registry");
        let asked = fake.front.seen();
        let tag = asked.iter().filter(|line| line.contains("/manifests/v1"));
        assert_eq!(tag.count(), 1, "{asked:?}");
        assert!(
            asked.iter().all(|line| line.starts_with("GET ")),
            "{asked:?}"
        );
        allowed(&check(&scratch, &at(&fake, &format!("@{digest}")), &[]));
        let other = put_image(fake.host(), "test/app", "other");
        denied(
            &check(&scratch, &at(&fake, &format!("@{other}")), &[]),
            "no-signature",
        );
    }
}

#[test]
fn signing_twice_with_what_makes_equal_signatures_attaches_once() {
    for fake in [Fake::new(Kind::default()), without_list()] {
        let scratch = Scratch::new();
        put_image(fake.host(), "test/app", "v1");
        let name = at(&fake, ":v1");
        let first = sign(&scratch, &name, &["-o", "json"]).json();
        assert_eq!(first["signed"][0]["existed"], false);
        assert!(first["signed"][0]["cas"].is_string());
        let again = sign(&scratch, &name, &["-o", "json"]).json();
        assert_eq!(again["signed"][0]["existed"], true);
        assert_eq!(again["signed"][0]["bundle"], first["signed"][0]["bundle"]);
    }
}

/// The table of the three verdicts, a row each: what the list of referrers
/// answers, how often, how `verify` ends and what it says.
#[test]
fn a_failed_look_up_is_never_no_signature() {
    let answer = |status, more, body: &str| Act::Answer(status, more, body.to_owned());
    let rows = [
        (answer(404, "", ""), 1, 1, "no-signature"),
        (answer(401, "", ""), 1, 4, "registry-denied"),
        (answer(403, "", ""), 1, 4, "registry-denied"),
        (
            answer(429, "Retry-After: 999", ""),
            1,
            4,
            "registry-unreachable",
        ),
        (answer(500, "", ""), 5, 4, "registry-unreachable"),
        (answer(503, "", ""), 5, 4, "registry-unreachable"),
        (Act::CutBefore, 5, 4, "registry-unreachable"),
        (answer(200, "", "<html>"), 1, 4, "registry-malformed"),
        (answer(200, "", "{}"), 1, 4, "registry-malformed"),
        (
            answer(200, "Link: </v2/x>; rel=\"next\"", EMPTY),
            1,
            4,
            "registry-malformed",
        ),
        (Act::Endless, 1, 4, "registry-malformed"),
    ];
    for (act, times, exit, code) in rows {
        let (fake, scratch) = (without_list(), Scratch::new());
        put_image(fake.host(), "test/app", "v1");
        for _ in 0..times {
            fake.front.next("/referrers/", act.clone());
        }
        let out = check(&scratch, &at(&fake, ":v1"), &[]);
        out.expect_code(exit);
        assert_eq!(code_of(&out), code, "{out}");
        assert!(fake.front.done(), "{out}");
        if exit == 4 {
            let request = format!("GET http://{}/v2/", fake.host());
            assert!(
                out.json()["reasons"][0]["detail"]
                    .as_str()
                    .unwrap()
                    .starts_with(&request)
            );
        }
    }
}

const EMPTY: &str =
    r#"{"schemaVersion":2,"mediaType":"application/vnd.oci.image.index.v1+json","manifests":[]}"#;

#[test]
fn the_fallback_list_and_each_piece_are_look_ups_too() {
    let answer = |status| Act::Answer(status, "Retry-After: 999", String::new());
    let page = || Act::Answer(200, "", "<html>".to_owned());
    let (list, piece, bundle) = (
        "/manifests/sha256-",
        "/manifests/sha256:",
        "GET /v2/test/app/blobs/",
    );
    for (place, act, code) in [
        (list, answer(403), "registry-denied"),
        (list, answer(429), "registry-unreachable"),
        (list, answer(404), "registry-malformed"),
        (list, page(), "registry-malformed"),
        (piece, answer(403), "evidence-unreadable"),
        (piece, answer(404), "evidence-unreadable"),
        (piece, page(), "evidence-unreadable"),
        (piece, Act::Change(flip), "evidence-unreadable"),
        (bundle, answer(403), "evidence-unreadable"),
        (bundle, page(), "evidence-unreadable"),
        (bundle, Act::Change(flip), "evidence-unreadable"),
    ] {
        let (fake, scratch) = (without_list(), Scratch::new());
        put_image(fake.host(), "test/app", "v1");
        let name = at(&fake, ":v1");
        sign(&scratch, &name, &[]).ok();
        allowed(&check(&scratch, &name, &[]));
        fake.front.next(place, act);
        let out = check(&scratch, &name, &[]);
        out.expect_code(4);
        assert_eq!(code_of(&out), code, "{out}");
        assert!(fake.front.done(), "{out}");
    }
}

fn flip(bytes: &[u8]) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    if let Some(last) = bytes.iter_mut().rev().nth(3) {
        *last ^= 1;
    }
    bytes
}

#[test]
fn whoever_attaches_is_told_what_kept_others_apart() {
    for (conditions, cas) in [(true, "exact"), (false, "best-effort")] {
        let (scratch, fake) = (
            Scratch::new(),
            Fake::new(Kind {
                referrers: false,
                conditions,
                ..Kind::default()
            }),
        );
        put_image(fake.host(), "test/app", "v1");
        scratch.write("p.json", "{\"score\":1}");
        scratch.write("m/config.json", "{}");
        sign(&scratch, "m", &[]).ok();
        let (name, key) = (at(&fake, ":v1"), private("ed25519"));
        let model = format!("{}/test/model:v1", fake.host());
        let ours = |args: &[&str]| scratch.obreia().args(args).args(["-o", "json"]).run();
        let attest = ["attest", &name, "--type", "https://example.acme/eval/v1"];
        let rest = ["--predicate", "p.json", "--key", &key];
        assert_eq!(ours(&[&attest[..], &rest].concat()).json()["cas"], cas);
        let pushed = ours(&["push", "m", &model]).json();
        assert_eq!(pushed["evidence"][0]["cas"], cas, "{pushed}");
    }
}

#[test]
fn rules_do_not_pass_what_came_damaged_for_absent() {
    let (fake, scratch) = (Fake::new(Kind::default()), Scratch::new());
    put_image(fake.host(), "test/app", "v1");
    let (name, key) = (at(&fake, ":v1"), private("ed25519"));
    scratch.write("p.json", "{\"score\":1}");
    let attest = ["attest", &name, "--type", "https://example.acme/recall/v1"];
    let rest = ["--predicate", "p.json", "--key", &key];
    scratch
        .obreia()
        .args([&attest[..], &rest].concat())
        .run()
        .ok();
    let rules = "rules:\n  name: r.rego\n  rego: |\n    package obreia\n    allow := true\n    \
         deny contains \"recalled\" if some a in input.attestations";
    policy(&scratch, "p", &["ed25519"], rules);
    let image = fake.tag("test/app", "v1").unwrap();
    let place = format!("/manifests/{}", fake.about("test/app", &image)[0]);
    sign(&scratch, &name, &[]).ok();
    let look = || verify(&scratch, &[&name, "--policy", "p.yaml"]);
    denied(&look(), "policy-denied");
    for act in [
        Act::Change(flip),
        Act::Change(|_| b"<html>".to_vec()),
        Act::Answer(404, "", String::new()),
    ] {
        fake.front.next(&place, act);
        look().expect_code(4);
        assert!(fake.front.done());
    }
    denied(&look(), "policy-denied");
}

/// A manifest whose parts say that they are that large.
fn put_large(fake: &Fake, config: u64, artifact: Option<&str>, layer: u64) {
    let of = |kind: &str, size: u64| {
        let digest = format!("sha256:{size:064x}");
        serde_json::json!({"mediaType": kind, "digest": digest, "size": size,
            "annotations": {"org.opencontainers.image.title": "f"}})
    };
    let config = match artifact {
        Some(_) => serde_json::json!(Descriptor::of(media_type::EMPTY, b"{}")),
        None => of(media_type::CONFIG, config),
    };
    let mut manifest = serde_json::json!({"schemaVersion": 2,
        "mediaType": media_type::MANIFEST, "config": config,
        "layers": [of(media_type::OCTETS, layer)]});
    if let Some(artifact) = artifact {
        manifest["artifactType"] = artifact.into();
    }
    let bytes = manifest.to_string().into_bytes();
    let descriptor = Descriptor::of(media_type::MANIFEST, &bytes);
    let at = repository(fake.host(), "test/app");
    wait(at.put_manifest(Some("large"), &descriptor, &bytes)).unwrap();
}

#[test]
fn what_an_unsigned_manifest_says_does_not_fill_the_disk() {
    for (config, artifact, layer) in [
        (5 << 20, None, 1),
        (1 << 60, None, 1),
        (2, Some(media_type::FILE), 1 << 60),
    ] {
        let (fake, scratch) = (Fake::new(Kind::default()), Scratch::new());
        put_large(&fake, config, artifact, layer);
        policy(&scratch, "p", &["ed25519"], "");
        fake.front.seen();
        // By a key alone an image's configuration is not asked for at all.
        let out = verify(&scratch, &[&at(&fake, ":large"), "--policy", "p.yaml"]);
        out.expect_code(2);
        assert_eq!(code_of(&out), "limit-exceeded", "{out}");
        let seen = fake.front.seen();
        assert!(
            seen.iter().all(|line| !line.contains("/blobs/")),
            "{seen:?}"
        );
    }
}

#[test]
fn a_list_of_large_things_is_refused_before_they_are_asked_for() {
    let (fake, scratch) = (without_list(), Scratch::new());
    let digest = put_image(fake.host(), "test/app", "v1");
    let entries: Vec<Value> = (0..40)
        .map(|at| {
            let digest = format!("sha256:{at:064x}");
            serde_json::json!({"mediaType": media_type::MANIFEST, "digest": digest,
                "size": 4 << 20})
        })
        .collect();
    let index = serde_json::json!({"schemaVersion": 2, "mediaType": media_type::INDEX,
        "manifests": entries});
    let bytes = index.to_string().into_bytes();
    let descriptor = Descriptor::of(media_type::INDEX, &bytes);
    let to = repository(fake.host(), "test/app");
    let tag = digest.replace(':', "-");
    wait(to.put_manifest(Some(&tag), &descriptor, &bytes)).unwrap();
    let name = at(&fake, ":v1");
    fake.front.seen();
    let out = check(&scratch, &name, &[]);
    out.expect_code(4);
    assert_eq!(code_of(&out), "limit-exceeded", "{out}");
    scratch
        .obreia()
        .args(["tree", &name])
        .run()
        .expect_code(2)
        .says("bytes of evidence");
    let seen = fake.front.seen();
    let asked = |line: &&String| line.contains("/manifests/sha256:0000");
    assert_eq!(seen.iter().filter(asked).count(), 0, "{seen:?}");
}

#[test]
fn the_artifact_itself_is_there_or_not_or_cannot_be_asked_for() {
    let (fake, scratch) = (Fake::new(Kind::default()), Scratch::new());
    put_image(fake.host(), "test/app", "v1");
    let name = at(&fake, ":v1");
    check(&scratch, &at(&fake, ":none"), &[])
        .expect_code(2)
        .says("not found (MANIFEST_UNKNOWN");
    let denied = || Act::Answer(403, "", String::new());
    fake.front.next("/manifests/v1", denied());
    check(&scratch, &name, &[])
        .expect_code(4)
        .says("403, not permitted");
    fake.front.next("/manifests/v1", denied());
    sign(&scratch, &name, &[])
        .expect_code(5)
        .says("403, not permitted");
    fake.front.next("PUT /v2/test/app/manifests", denied());
    sign(&scratch, &name, &[]).expect_code(5);
    let gone = "127.0.0.1:9/test/app:v1";
    check(&scratch, gone, &[])
        .expect_code(4)
        .says("GET http://127.0.0.1:9/v2/test/app/manifests/v1");
    fake.front.seen();
    check(&scratch, &name, &["--offline"])
        .expect_code(4)
        .says("offline");
    sign(&scratch, &name, &["--offline"])
        .expect_code(4)
        .says("offline");
    assert_eq!(fake.front.seen(), Vec::<String>::new());
}

fn copy(scratch: &Scratch, from: &str, to: &str) -> Output {
    scratch.obreia().args(["copy", from, to]).run()
}

#[test]
fn a_copy_without_the_signature_that_could_not_be_read_is_none() {
    let answer = |status, body: &str| Act::Answer(status, "", body.to_owned());
    for (act, times) in [
        (answer(503, ""), 5),
        (answer(403, ""), 1),
        (answer(200, "<html>"), 1),
        (Act::Change(flip), 1),
    ] {
        let (fake, scratch) = (Fake::new(Kind::default()), Scratch::new());
        let digest = put_image(fake.host(), "test/app", "v1");
        let name = at(&fake, ":v1");
        sign(&scratch, &name, &[]).ok();
        let signature = fake.about("test/app", &digest);
        let to = Fake::new(Kind::default());
        for _ in 0..times {
            let place = format!("/manifests/{}", signature[0]);
            fake.front.next(place, act.clone());
        }
        let out = copy(&scratch, &name, &at(&to, ":v1"));
        assert!(matches!(out.code, Some(4 | 5)), "{out}");
        assert!(fake.front.done(), "{out}");
        assert_eq!(to.tag("test/app", "v1"), None, "{out}");
        copy(&scratch, &name, &at(&to, ":v1")).ok();
        allowed(&check(&scratch, &at(&to, ":v1"), &[]));
    }
}

#[test]
fn a_blob_that_was_not_mounted_after_all_is_missed() {
    let (fake, scratch) = (Fake::new(Kind::default()), Scratch::new());
    put_image(fake.host(), "test/app", "v1");
    let (name, beside) = (at(&fake, ":v1"), format!("{}/test/beside:v1", fake.host()));
    // It says that it has taken the blob, and has not.
    fake.front
        .next("POST /v2/test/beside", Act::Answer(201, "", String::new()));
    copy(&scratch, &name, &beside)
        .expect_code(4)
        .says("did not arrive");
    assert_eq!(fake.tag("test/beside", "v1"), None);
    copy(&scratch, &name, &beside).ok();
}

/// What is refused to a reader may be there all the same.
#[test]
fn a_refusal_to_give_is_no_usage_error() {
    let (fake, scratch) = (Fake::new(Kind::default()), Scratch::new());
    put_image(fake.host(), "test/app", "v1");
    let name = at(&fake, ":v1");
    let answer = |status| Act::Answer(status, "", "<html>".to_owned());
    for status in [400, 404, 406, 410, 418, 451] {
        fake.front.next("/manifests/v1", answer(status));
        let out = check(&scratch, &name, &[]);
        out.expect_code(4);
        assert_eq!(code_of(&out), "registry-malformed", "{out}");
    }
    for status in [400, 413] {
        fake.front
            .next("PUT /v2/test/app/manifests", answer(status));
        sign(&scratch, &name, &[]).expect_code(2);
    }
}

#[test]
fn a_credential_helper_that_fails_is_a_look_up_that_failed() {
    let (scratch, open) = (Scratch::new(), Fake::new(Kind::default()));
    let fake = open.behind(Kind {
        basic: true,
        ..Kind::default()
    });
    put_image(open.host(), "test/app", "v1");
    let helper = scratch.write(
        "bin/docker-credential-locked",
        "#!/bin/sh\ncat >/dev/null\necho hunter2-is-locked\nexit 1\n",
    );
    std::fs::set_permissions(helper, std::fs::Permissions::from_mode(0o755)).unwrap();
    let auth = serde_json::json!({"credHelpers": {fake.host(): "locked"}});
    scratch.write("auth.json", auth.to_string());
    let path = std::env::var("PATH").unwrap_or_default();
    let path = format!("{}:{path}", scratch.path().join("bin").display());
    let key = public("ed25519");
    let args = ["verify", &at(&fake, ":v1"), "--key", &key];
    let more = ["--registry-auth", "auth.json", "-o", "json"];
    let out = scratch
        .obreia()
        .env("PATH", path)
        .args([&args[..], &more].concat())
        .run();
    out.expect_code(4).stderr_lacks("hunter2");
    assert_eq!(code_of(&out), "registry-unreachable", "{out}");
}

#[test]
fn a_folder_is_not_pulled_without_the_signature_that_could_not_be_read() {
    let (fake, scratch) = (Fake::new(Kind::default()), Scratch::new());
    scratch.write("m/config.json", "{}");
    sign(&scratch, "m", &[]).ok();
    let name = format!("{}/test/model:v1", fake.host());
    let ours = |args: &[&str]| scratch.obreia().args(args).run();
    ours(&["push", "m", &name]).ok();
    let digest = fake.tag("test/model", "v1").unwrap();
    let bundle = fake.about("test/model", &digest);
    for place in [
        "/referrers/".to_owned(),
        format!("/manifests/{}", bundle[0]),
    ] {
        let denied = Act::Answer(403, "", String::new());
        fake.front.next(&place, denied);
        let out = ours(&["pull", &name, "out"]);
        assert!(matches!(out.code, Some(4 | 5)), "{place}: {out}");
        assert!(!scratch.path().join("out").exists(), "{place}: {out}");
        assert!(fake.front.done(), "{place}: {out}");
    }
    ours(&["pull", &name, "out"]).ok();
    allowed(&check(&scratch, "out", &[]));
}

#[test]
fn credentials_come_from_a_file_that_is_named_and_are_never_shown() {
    let scratch = Scratch::new();
    let open = Fake::new(Kind::default());
    let fake = Fake::new(Kind {
        token: true,
        ..Kind::default()
    });
    put_image(open.host(), "test/app", "v1");
    // `me:secret`, and a wrong one.
    let file = |name: &str, auth: &str| {
        let text = serde_json::json!({"auths": {fake.host(): {"auth": auth}}}).to_string();
        scratch.write(name, text);
    };
    file("right.json", "bWU6c2VjcmV0");
    file("wrong.json", "bWU6aHVudGVyMg==");
    scratch.write("broken.json", "{");
    let name = at(&fake, ":v1");
    let with = |file: &str| check(&scratch, &name, &["--registry-auth", file]);
    with("right.json").expect_code(2).says("not found");
    with("wrong.json")
        .expect_code(4)
        .says("401, not permitted")
        .stderr_lacks("hunter2");
    with("broken.json").expect_code(3);
    with("nowhere.json").expect_code(3);
    check(&scratch, &name, &[]).expect_code(4).says("401");
}

#[test]
fn what_hangs_on_an_image_is_shown_as_a_tree() {
    let (fake, scratch) = (Fake::new(Kind::default()), Scratch::new());
    let digest = put_image(fake.host(), "test/app", "v1");
    sign(&scratch, &at(&fake, ":v1"), &[]).ok();
    scratch.write("p.json", "{\"score\":1}");
    let (name, key) = (at(&fake, ":v1"), private("ed25519"));
    let attest = ["attest", &name, "--type", "https://example.acme/eval/v1"];
    let rest = ["--predicate", "p.json", "--key", &key];
    scratch
        .obreia()
        .args([&attest[..], &rest].concat())
        .run()
        .ok();
    let key = public("ed25519");
    let out = scratch
        .obreia()
        .args(["tree", &name, "--key", &key, "-o", "json"])
        .run();
    let said: Value = out.ok().json();
    assert_eq!(said["root"]["digest"], digest);
    let about = said["root"]["referrers"].as_array().unwrap();
    assert_eq!(about.len(), 2, "{out}");
    assert!(
        about.iter().all(|one| one["holds"][0]["verified"] == true),
        "{out}"
    );
    fake.front
        .next("/referrers/", Act::Answer(403, "", String::new()));
    scratch
        .obreia()
        .args(["tree", &name])
        .run()
        .expect_code(5)
        .says("/referrers/");
}
