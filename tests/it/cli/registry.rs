//! Images in a registry, through the commands; and above all what is said of a
//! registry that does not answer.

use serde_json::Value;

use super::{allowed, denied, private, public, verify};
use crate::harness::between::Act;
use crate::harness::{Output, Scratch};
use crate::registry::fake::{Fake, Kind};
use crate::registry::put_image;

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
    let error = &said["error"]["code"];
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
    for (place, status, code) in [
        ("/manifests/sha256-", 403, "registry-denied"),
        ("/manifests/sha256-", 429, "registry-unreachable"),
        ("/manifests/sha256:", 403, "evidence-unreadable"),
        // The bundle: where a key decides, nobody asks for the configuration.
        ("GET /v2/test/app/blobs/", 403, "evidence-unreadable"),
    ] {
        let (fake, scratch) = (without_list(), Scratch::new());
        put_image(fake.host(), "test/app", "v1");
        let name = at(&fake, ":v1");
        sign(&scratch, &name, &[]).ok();
        allowed(&check(&scratch, &name, &[]));
        fake.front.next(
            place,
            Act::Answer(status, "Retry-After: 999", String::new()),
        );
        let out = check(&scratch, &name, &[]);
        out.expect_code(4);
        assert_eq!(code_of(&out), code, "{out}");
    }
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
