//! What is said about an artifact, as files: all of it or none, each what its
//! name says.

use obreia::crypto::sha256;
use serde_json::{Value, json};

use super::between::Act;
use super::fake::{Fake, Kind};
use super::server::{ALL, Server};
use super::{key, ours};
use super::{put_image, repository, wait};
use crate::harness::{Output, Scratch};
use obreia::oci::{Descriptor, media_type};

/// A signature and an attestation.
fn speak(scratch: &Scratch, name: &str) {
    let key = key("p256.pkcs8.pem");
    scratch.write("p.json", "{\"score\":1}");
    ours(scratch, &["sign", name, "--key", &key]).ok();
    let attest = ["attest", name, "--type", "https://example.acme/eval/v1"];
    let rest = ["--predicate", "p.json", "--key", &key];
    ours(scratch, &[&attest[..], &rest].concat()).ok();
}

/// The files that were written; each has the digest of its name.
#[track_caller]
fn files(scratch: &Scratch, out: &Output) -> Vec<String> {
    let said = out.ok().json();
    assert_eq!(said["schema"], "obreia.download/v1");
    let folder = said["directory"].as_str().unwrap().to_owned();
    let files = said["files"].as_array().unwrap();
    files
        .iter()
        .map(|file| {
            let path = format!("{folder}/{}", file["file"].as_str().unwrap());
            let digest = sha256(&scratch.read(&path));
            assert_eq!(file["digest"], digest.to_string());
            assert!(
                path.contains(&format!("/sha256-{}.", digest.hex())),
                "{path}"
            );
            path
        })
        .collect()
}

#[test]
fn bundles_come_out_of_every_registry_and_layout_and_verify() {
    let public = key("p256.pub.pem");
    for name in ALL {
        let Some(server) = Server::start(name) else {
            return;
        };
        let scratch = Scratch::new();
        let digest = put_image(&server.host, "test/app", "v1");
        let at = format!("{}/test/app:v1", server.host);
        speak(&scratch, &at);
        ours(&scratch, &["copy", &at, "oci-layout:l:v1"]).ok();
        let mut seen = Vec::new();
        for (at, to) in [(at.as_str(), "from-it"), ("oci-layout:l:v1", "from-layout")] {
            let download = ["download", at, to, "-o", "json"];
            let out = ours(&scratch, &download);
            let found = files(&scratch, &out);
            assert_eq!(found.len(), 2, "{out}");
            assert_eq!(out.json()["digest"], digest);
            for file in &found {
                assert!(file.ends_with(".sigstore.json"), "{file}");
                ours(&scratch, &["inspect", file]).ok();
            }
            let signed = found.iter().filter(|file| {
                let args = ["verify", at, "--key", &public, "--bundle", file.as_str()];
                ours(&scratch, &args).code == Some(0)
            });
            assert_eq!(signed.count(), 1, "the attestation is no signature");
            seen.push(
                found
                    .iter()
                    .map(|f| f.rsplit('/').next().unwrap().to_owned())
                    .collect::<Vec<_>>(),
            );
            // What is there stays there.
            let before = scratch.files();
            ours(&scratch, &download)
                .expect_code(2)
                .says("exists already")
                .says("--force");
            assert_eq!(scratch.files(), before);
            scratch.write(&found[0], "somebody's");
            files(
                &scratch,
                &ours(&scratch, &[&download[..], &["--force"]].concat()),
            );
        }
        seen.iter_mut().for_each(|names| names.sort_unstable());
        assert_eq!(seen[0], seen[1]);
    }
}

#[test]
fn nothing_said_is_no_file_and_no_error() {
    let (fake, scratch) = (Fake::new(Kind::default()), Scratch::new());
    put_image(fake.host(), "test/app", "v1");
    let at = format!("{}/test/app:v1", fake.host());
    let out = ours(&scratch, &["download", &at, "d", "-o", "json"]);
    assert_eq!(files(&scratch, &out), Vec::<String>::new());
    assert!(!scratch.join("d").exists());
    ours(&scratch, &["download", &at, "d"])
        .ok()
        .stdout_has("nothing is said about");
    for name in ["./d", "oci-layout:none:v1", "bare"] {
        ours(&scratch, &["download", name, "d"]).expect_code(2);
    }
    let none = format!("{}/test/app:none", fake.host());
    ours(&scratch, &["download", &none, "d"]).expect_code(2);
    ours(&scratch, &["--offline", "download", &at, "d"]).expect_code(4);
}

#[test]
fn what_cannot_be_looked_up_or_is_not_what_it_should_be_writes_nothing() {
    let answer = |status, more| Act::Answer(status, more, String::new());
    let flip: fn(&[u8]) -> Vec<u8> = |bytes| bytes.iter().map(|byte| byte ^ 1).collect();
    for (place, act, exit, code) in [
        ("/referrers/", answer(403, ""), 5, "registry-denied"),
        (
            "/referrers/",
            answer(429, "Retry-After: 999"),
            4,
            "registry-unreachable",
        ),
        ("/referrers/", Act::Garbage(9), 4, "registry-malformed"),
        ("/manifests/sha256:", answer(403, ""), 5, "registry-denied"),
        (
            "/manifests/sha256:",
            answer(429, "Retry-After: 999"),
            4,
            "registry-unreachable",
        ),
        (
            "GET /v2/test/app/blobs/",
            answer(403, ""),
            5,
            "registry-denied",
        ),
        (
            "GET /v2/test/app/blobs/",
            Act::Change(flip),
            4,
            "registry-malformed",
        ),
    ] {
        let (fake, scratch) = (Fake::new(Kind::default()), Scratch::new());
        put_image(fake.host(), "test/app", "v1");
        let at = format!("{}/test/app:v1", fake.host());
        speak(&scratch, &at);
        fake.front.next(place, act);
        let out = ours(&scratch, &["download", &at, "d", "-o", "json"]);
        assert_eq!(out.expect_code(exit).json()["code"], code, "{place}: {out}");
        assert!(fake.front.done(), "{place}");
        assert!(!scratch.join("d").exists(), "{place}: {out}");
        let out = ours(&scratch, &["download", &at, "d", "-o", "json"]);
        assert_eq!(files(&scratch, &out).len(), 2);
        // One that is listed and proven not to be there is told.
        let gone = Act::Answer(404, "", super::fake::NOT_THERE.to_owned());
        fake.front.next("/manifests/sha256:", gone);
        let out = ours(&scratch, &["download", &at, "e", "-o", "json"]);
        assert_eq!(files(&scratch, &out).len(), 1);
        assert_eq!(out.json()["skipped"].as_array().unwrap().len(), 1);
        out.stderr_has("left out: sha256:");
    }
}

#[test]
fn an_unwritable_place_is_told_and_nothing_is_left_half() {
    let (fake, scratch) = (Fake::new(Kind::default()), Scratch::new());
    put_image(fake.host(), "test/app", "v1");
    let at = format!("{}/test/app:v1", fake.host());
    speak(&scratch, &at);
    scratch.write("file", "x");
    ours(&scratch, &["download", &at, "file"]).expect_code(2);
    ours(&scratch, &["download", &at, "file/below"]).expect_code(2);
    assert_eq!(scratch.read_text("file"), "x");
    // A folder where the second file is to be: the first is taken back.
    let out = ours(&scratch, &["download", &at, "d", "-o", "json"]);
    let found = files(&scratch, &out);
    for file in &found {
        std::fs::remove_file(scratch.join(file)).unwrap();
    }
    std::fs::create_dir(scratch.join(&found[1])).unwrap();
    ours(&scratch, &["download", &at, "d", "--force"]).expect_code(4);
    let left = std::fs::read_dir(scratch.join("d")).unwrap().count();
    assert_eq!(left, 1, "{:?}", scratch.files());
}

#[test]
fn what_is_about_children_and_what_is_no_bundle() {
    let (fake, scratch) = (Fake::new(Kind::default()), Scratch::new());
    let child = put_image(fake.host(), "test/app", "amd64");
    let at = repository(fake.host(), "test/app");
    let select = obreia::reference::Select::Digest(child.parse().unwrap());
    let entry = wait(at.resolve(&select)).unwrap().descriptor;
    let index = json!({"schemaVersion": 2, "mediaType": media_type::INDEX, "manifests": [entry]});
    let bytes = index.to_string().into_bytes();
    let index = Descriptor::of(media_type::INDEX, &bytes);
    wait(at.put_manifest(Some("all"), &index, &bytes)).unwrap();
    let all = format!("{}/test/app:all", fake.host());
    speak(&scratch, &format!("{}/test/app@{child}", fake.host()));
    // An SBOM that somebody attached bare.
    let sbom = br#"{"bomFormat":"CycloneDX"}"#;
    let layer = Descriptor::of("application/vnd.cyclonedx+json", sbom);
    let empty = Descriptor::of(media_type::EMPTY, b"{}");
    let about = json!({"schemaVersion": 2, "mediaType": media_type::MANIFEST, "config": empty,
        "artifactType": "application/vnd.cyclonedx+json", "layers": [layer], "subject": index})
    .to_string()
    .into_bytes();
    let manifest = Descriptor::of(media_type::MANIFEST, &about);
    wait(async {
        use obreia::source::registry::Source;
        for (blob, bytes) in [(&layer, &sbom[..]), (&empty, b"{}")] {
            at.put_blob(blob, Source::Bytes(bytes), None).await.unwrap();
        }
        at.put_manifest(None, &manifest, &about).await.unwrap();
    });
    let own = files(
        &scratch,
        &ours(&scratch, &["download", &all, "own", "-o", "json"]),
    );
    let hex = |digest: &obreia::digest::Digest| format!("own/sha256-{}", digest.hex());
    assert_eq!(
        own,
        [
            format!("{}.manifest.json", hex(&manifest.digest)),
            format!("{}.cdx.json", hex(&layer.digest)),
        ]
    );
    let every = ["download", &all, "every", "--recursive", "-o", "json"];
    let out = ours(&scratch, &every);
    assert_eq!(files(&scratch, &out).len(), 4);
    let said: Value = out.json();
    let subjects: Vec<_> = said["files"]
        .as_array()
        .unwrap()
        .iter()
        .map(|f| &f["subject"])
        .collect();
    assert_eq!(
        subjects.iter().filter(|s| **s == child.as_str()).count(),
        2,
        "{said}"
    );
}

#[test]
fn a_bundle_is_inspected_where_it_hangs() {
    let (fake, scratch) = (Fake::new(Kind::default()), Scratch::new());
    let image = put_image(fake.host(), "test/app", "v1");
    let at = format!("{}/test/app:v1", fake.host());
    speak(&scratch, &at);
    ours(&scratch, &["copy", &at, "oci-layout:l:v1"]).ok();
    let out = ours(&scratch, &["download", &at, "d", "-o", "json"]);
    let said = out.ok().json();
    for file in said["files"].as_array().unwrap() {
        let of_file = format!("d/{}", file["file"].as_str().unwrap());
        let manifest = file["manifest"].as_str().unwrap();
        let show = |name: &str| ours(&scratch, &["inspect", name, "-o", "json"]);
        let expected = show(&of_file).ok().json();
        assert_eq!(expected["schema"], "obreia.bundle/v1");
        for place in [
            format!("{}/test/app", fake.host()),
            "oci-layout:l".to_owned(),
        ] {
            assert_eq!(show(&format!("{place}@{manifest}")).ok().json(), expected);
        }
    }
    let by_digest = format!("{}/test/app@{image}", fake.host());
    ours(&scratch, &["inspect", &by_digest])
        .expect_code(2)
        .says("holds no bundle")
        .says("obreia tree");
    fake.front.seen();
    // What is not named by digest may be a file's name, mistyped.
    ours(&scratch, &["inspect", &at]).expect_code(2);
    assert_eq!(fake.front.seen(), Vec::<String>::new());
    ours(&scratch, &["--offline", "inspect", &by_digest]).expect_code(4);
    let denied = Act::Answer(403, "", String::new());
    fake.front.next("/manifests/", denied);
    ours(&scratch, &["inspect", &by_digest]).expect_code(5);
}
