//! What a look-up says: there, not there, or not known. The table of the
//! verdicts in `docs/interop.md`, as far as `cli/registry.rs` has not got it.

use serde_json::json;

use super::between::{Act, Between};
use super::fake::{Fake, Kind};
use super::server::{ALL, Server};
use super::{key, ours, put_image, repository, says_there_is_none, sign, wait};
use crate::harness::{Output, Scratch};
use obreia::oci::{Descriptor, media_type};
use obreia::source::registry::Source;

fn verify(scratch: &Scratch, name: &str) -> Output {
    let key = key("p256.pub.pem");
    ours(scratch, &["verify", name, "--key", &key, "-o", "json"])
}

fn answer(status: u16, more: &'static str, body: &str) -> Act {
    Act::Answer(status, more, body.to_owned())
}

fn errors(code: &str) -> String {
    json!({"errors": [{"code": code, "message": "in words"}]}).to_string()
}

/// Each with its own exit and its own words: a repository or a tag that does
/// not exist is known not to; one that we may not see may be there.
#[test]
fn absent_is_not_forbidden() {
    let rows = [
        (404, errors("NAME_UNKNOWN"), 2, 2, "not found (NAME_UNKNOWN"),
        (
            404,
            errors("MANIFEST_UNKNOWN"),
            2,
            2,
            "not found (MANIFEST_UNKNOWN",
        ),
        (
            401,
            errors("UNAUTHORIZED"),
            4,
            5,
            "401, not permitted (UNAUTHORIZED",
        ),
        (403, errors("DENIED"), 4, 5, "403, not permitted (DENIED"),
        // Neither: somebody else's words, or a refusal that says 404.
        (
            404,
            errors("DENIED"),
            4,
            4,
            "not in the registry's own words",
        ),
        (
            404,
            "<html>".to_owned(),
            4,
            4,
            "not in the registry's own words",
        ),
    ];
    for (status, body, verified, read, words) in rows {
        let (fake, scratch) = (Fake::new(Kind::default()), Scratch::new());
        put_image(fake.host(), "test/app", "v1");
        let name = format!("{}/test/app:v1", fake.host());
        sign(&scratch, &name);
        let key = key("p256.pkcs8.pem");
        for (args, exit) in [
            (&["tree", &name][..], read),
            (&["download", &name, "out"], read),
            (&["copy", &name, "oci-layout:l"], read),
            (&["pull", &name, "out"], read),
            (&["sign", &name, "--key", &key], read),
        ] {
            fake.front.next("/manifests/v1", answer(status, "", &body));
            ours(&scratch, args).expect_code(exit).says(words);
        }
        fake.front.next("/manifests/v1", answer(status, "", &body));
        let out = verify(&scratch, &name);
        out.expect_code(verified).says(words);
        assert!(!says_there_is_none(&out), "{out}");
        assert!(fake.front.done());
        verify(&scratch, &name).ok();
    }
}

#[test]
fn what_real_registries_say_of_what_is_not_there() {
    for name in ALL {
        let Some(server) = Server::start(name) else {
            return;
        };
        let scratch = Scratch::new();
        put_image(&server.host, "test/app", "v1");
        for what in ["test/app:none", "test/none:v1"] {
            let at = format!("{}/{what}", server.host);
            let (repository, tag) = what.split_once(':').unwrap();
            verify(&scratch, &at)
                .expect_code(2)
                .says("not found (")
                .says(&format!("{repository}/manifests/{tag}"));
        }
    }
}

/// A list comes in pages, and one that fails is no end of it.
#[test]
fn a_page_that_failed_is_no_end_of_the_list() {
    let rows = [
        (answer(404, "", ""), 1, "registry-malformed"),
        (
            answer(404, "", &errors("NAME_UNKNOWN")),
            1,
            "registry-malformed",
        ),
        (answer(401, "", ""), 1, "registry-denied"),
        (answer(403, "", ""), 1, "registry-denied"),
        (
            answer(429, "Retry-After: 999", ""),
            1,
            "registry-unreachable",
        ),
        (answer(429, "", ""), 5, "registry-unreachable"),
        (answer(408, "", ""), 1, "registry-unreachable"),
        (answer(500, "", ""), 5, "registry-unreachable"),
        (answer(504, "", ""), 5, "registry-unreachable"),
        (Act::CutBefore, 5, "registry-unreachable"),
        (Act::CutMid(9), 5, "registry-unreachable"),
        (Act::Garbage(99), 1, "registry-malformed"),
        (answer(200, "", "[]"), 1, "registry-malformed"),
        (Act::Endless, 1, "registry-malformed"),
    ];
    for (act, times, code) in rows {
        let (fake, scratch) = (
            Fake::new(Kind {
                page: 1,
                ..Kind::default()
            }),
            Scratch::new(),
        );
        put_image(fake.host(), "test/app", "v1");
        let name = format!("{}/test/app:v1", fake.host());
        sign(&scratch, &name);
        // What is wanted is on one of the two pages, and the other one fails.
        let other = key("ed25519.pkcs8.pem");
        ours(&scratch, &["sign", &name, "--key", &other]).ok();
        fake.front.seen();
        verify(&scratch, &name).ok();
        let pages = fake.front.seen();
        let pages = pages.iter().filter(|line| line.contains("/referrers/"));
        assert_eq!(pages.count(), 2);
        for _ in 0..times {
            fake.front.next("last=1", act.clone());
        }
        let out = verify(&scratch, &name);
        out.expect_code(4);
        assert_eq!(out.json()["reasons"][0]["code"], code, "{out}");
        let detail = &out.json()["reasons"][0]["detail"];
        let request = format!("GET http://{}/v2/test/app/referrers/", fake.host());
        assert!(detail.as_str().unwrap().contains(&request), "{out}");
        assert!(!says_there_is_none(&out), "{out}");
        assert!(fake.front.done(), "{out}");
        verify(&scratch, &name).ok();
    }
}

/// What came whole, has its digest and is no bundle: that is told.
#[test]
fn a_bundle_that_cannot_be_read_is_told_and_never_passed_over() {
    for bytes in [&b"{}"[..], b"<html>", b"", b"[1", br#"{"mediaType":"x"}"#] {
        let (fake, scratch) = (Fake::new(Kind::default()), Scratch::new());
        let digest = put_image(fake.host(), "test/app", "v1");
        let name = format!("{}/test/app:v1", fake.host());
        let to = repository(fake.host(), "test/app");
        let select = obreia::reference::Select::Digest(digest.parse().unwrap());
        let subject = wait(to.resolve(&select)).unwrap().descriptor;
        let kind = "application/vnd.dev.sigstore.bundle.v0.3+json";
        let layer = Descriptor::of(kind, bytes);
        let empty = Descriptor::of(media_type::EMPTY, b"{}");
        let manifest = json!({"schemaVersion": 2, "mediaType": media_type::MANIFEST,
            "artifactType": kind, "config": empty, "layers": [layer], "subject": subject})
        .to_string();
        let at = Descriptor::of(media_type::MANIFEST, manifest.as_bytes());
        wait(async {
            for (blob, bytes) in [(&layer, bytes), (&empty, b"{}")] {
                to.put_blob(blob, Source::Bytes(bytes), None).await.unwrap();
            }
            to.put_manifest(None, &at, manifest.as_bytes())
                .await
                .unwrap();
        });
        let out = verify(&scratch, &name);
        out.expect_code(1).says("bundle-malformed");
        assert!(out.to_string().contains(&at.digest.to_string()), "{out}");
        let said = ours(&scratch, &["tree", &name, "-o", "json"]).ok().json();
        let told = &said["root"]["referrers"][0]["unreadable"];
        assert!(told.as_str().unwrap().contains("not a bundle"), "{said}");
        // Beside one that holds it is told as well, and does no harm.
        sign(&scratch, &name);
        let out = verify(&scratch, &name);
        out.ok();
        assert!(out.to_string().contains(&at.digest.to_string()), "{out}");
    }
}

/// With a real registry behind, whatever list it keeps.
#[test]
fn nothing_at_all_is_proven_by_every_registry_and_by_no_failure() {
    for name in ALL {
        let Some(server) = Server::start(name) else {
            return;
        };
        let (scratch, between) = (Scratch::new(), Between::new(&server.host));
        put_image(&server.host, "test/app", "v1");
        let at = format!("{}/test/app:v1", between.host);
        let out = verify(&scratch, &at);
        out.expect_code(1);
        assert!(says_there_is_none(&out), "{out}");
        for place in ["/referrers/", "/manifests/sha256-"] {
            for act in [
                answer(403, "", ""),
                answer(429, "Retry-After: 999", ""),
                Act::Garbage(9),
                Act::Endless,
            ] {
                between.next(place, act);
                let out = verify(&scratch, &at);
                out.expect_code(4);
                assert!(!says_there_is_none(&out), "{name}: {out}");
                assert!(between.done(), "{name} {place}");
            }
        }
    }
}
