//! Artifacts moved whole, by us and by others, between registries and layouts.

use super::put_image;
use super::server::{ALL, Server};
use super::{key, ours, sign, verify};
use crate::harness::{Scratch, peer};

#[test]
fn an_image_is_copied_with_what_is_about_it_from_any_to_any() {
    let scratch = Scratch::new();
    let mut hosts = Vec::new();
    for name in ALL {
        let Some(server) = Server::start(name) else {
            return;
        };
        hosts.push(server);
    }
    put_image(&hosts[0].host, "test/app", "v1");
    let first = format!("{}/test/app:v1", hosts[0].host);
    sign(&scratch, &first);
    let mut from = first;
    for to in [
        "oci-layout:one:v1".to_owned(),
        format!("{}/test/app:v1", hosts[1].host),
        format!("{}/test/app:v1", hosts[2].host),
        // Beside it, where blobs are mounted.
        format!("{}/test/beside:v2", hosts[2].host),
        "oci-layout:two:v1".to_owned(),
    ] {
        let dry = ours(&scratch, &["copy", &from, &to, "--dry-run"]);
        dry.ok().stdout_has("would copy 6 of 6 blobs");
        ours(&scratch, &["copy", &from, &to]).ok();
        verify(&scratch, &to).ok();
        ours(&scratch, &["copy", &from, &to])
            .ok()
            .stdout_has("0 of 6 blobs");
        from = to;
    }
}

#[test]
fn a_model_is_pushed_and_pulled() {
    for name in ALL {
        let Some(server) = Server::start(name) else {
            return;
        };
        let scratch = Scratch::new();
        scratch.write("m/config.json", "{}");
        // Larger than what is sent at once.
        scratch.write("m/weights.bin", vec![7; 9 << 20]);
        sign(&scratch, "m");
        let at = format!("{}/test/model:v1", server.host);
        ours(&scratch, &["push", "m", &at]).ok();
        verify(&scratch, &at).ok();
        ours(&scratch, &["pull", &at, "out"]).ok();
        verify(&scratch, "out").ok();
        assert_eq!(
            scratch.read("out/weights.bin"),
            scratch.read("m/weights.bin")
        );
        scratch.write("out/config.json", "{ }");
        verify(&scratch, "out").expect_code(1);
    }
}

/// An image that is signed both ways, and about which something is said.
fn spoken_of(scratch: &Scratch, host: &str) -> (String, String) {
    let digest = put_image(host, "test/app", "v1");
    let name = format!("{host}/test/app:v1");
    let key = key("p256.pkcs8.pem");
    let both = ["--format", "bundle,cosign-legacy", "--key", &key];
    ours(scratch, &[&["sign", &name], &both[..]].concat()).ok();
    scratch.write("p.json", "{\"score\":1}");
    let attest = ["attest", &name, "--type", "https://example.acme/eval/v1"];
    let rest = ["--predicate", "p.json", "--key", &key];
    ours(scratch, &[&attest[..], &rest].concat()).ok();
    (name, digest)
}

/// What of it is found at a place, in the format that it has there.
fn found(scratch: &Scratch, name: &str) -> Vec<String> {
    let args = ["tree", name, "--key", &key("p256.pub.pem"), "-o", "json"];
    let said = ours(scratch, &args).ok().json();
    let about = said["root"]["referrers"].as_array().unwrap().iter();
    let mut found: Vec<String> = about
        .flat_map(|one| one["holds"].as_array().into_iter().flatten())
        .map(|held| {
            assert_eq!(held["verified"], true, "{said}");
            let said = held["predicate_type"].as_str().unwrap_or_default();
            let eval = said.contains("eval");
            let what = if eval { "attestation" } else { "signature" };
            format!("{what}, {}", held["format"].as_str().unwrap_or("bundle"))
        })
        .collect();
    found.sort_unstable();
    found
}

const ALL_OF_IT: [&str; 3] = [
    "attestation, bundle",
    "signature, bundle",
    "signature, cosign-legacy",
];
const BUNDLES: [&str; 2] = ["attestation, bundle", "signature, bundle"];

#[test]
fn regctl_moves_what_we_attached_without_loss() {
    let Some(regctl) = peer("regctl") else { return };
    for name in ALL {
        let Some(server) = Server::start(name) else {
            return;
        };
        let scratch = Scratch::new();
        let (from, _) = spoken_of(&scratch, &server.host);
        assert_eq!(found(&scratch, &from), ALL_OF_IT);
        let host = format!("reg={},tls=disabled", server.host);
        let copy = ["image", "copy", "--referrers", "--digest-tags"];
        let regctl = |from: &str, to: &str| {
            let command = scratch.obreia().program(&regctl);
            let command = command.args(["--host", &host]).args(copy);
            command.args([from, to]).run().ok();
        };
        let moved = format!("{}/test/moved:v1", server.host);
        regctl(&from, &moved);
        assert_eq!(found(&scratch, &moved), ALL_OF_IT);
        regctl(&from, "ocidir://dir:v1");
        assert_eq!(found(&scratch, "oci-layout:dir:v1"), ALL_OF_IT);
        let again = format!("{}/test/again:v1", server.host);
        regctl("ocidir://dir:v1", &again);
        assert_eq!(found(&scratch, &again), ALL_OF_IT);
        for name in [&moved, &again, "oci-layout:dir:v1"] {
            verify(&scratch, name).ok();
        }
        println!("| {name} | bundles and .sig | moved by regctl, by way of a layout too | holds |");
    }
}

#[test]
fn oras_lists_and_moves_what_we_attached() {
    let Some(oras) = peer("oras") else { return };
    for name in ALL {
        let Some(server) = Server::start(name) else {
            return;
        };
        let scratch = Scratch::new();
        let (from, _) = spoken_of(&scratch, &server.host);
        let oras = |args: &[&str]| scratch.obreia().program(&oras).args(args).run();
        let out = oras(&["discover", "--plain-http", "--format", "json", &from]);
        let listed = out.ok().json();
        let listed = listed["manifests"].as_array().unwrap();
        assert_eq!(listed.len(), 2, "{out}");
        let kind = "application/vnd.dev.sigstore.bundle.v0.3+json";
        assert!(
            listed.iter().all(|one| one["artifactType"] == kind),
            "{out}"
        );
        println!("| {name} | bundles | listed by oras discover | holds |");
        let moved = format!("{}/test/moved:v1", server.host);
        let plain = ["--from-plain-http", "--to-plain-http"];
        oras(&[&["copy", "-r"], &plain[..], &[&from, &moved]].concat()).ok();
        // It knows what hangs on an image, and nothing of cosign's tags.
        assert_eq!(found(&scratch, &moved), BUNDLES);
        let layout = ["copy", "-r", "--from-plain-http", "--to-oci-layout"];
        oras(&[&layout[..], &[&from, "dir:v1"]].concat()).ok();
        assert_eq!(found(&scratch, "oci-layout:dir:v1"), BUNDLES);
        let again = format!("{}/test/again:v1", server.host);
        let layout = ["copy", "-r", "--from-oci-layout", "--to-plain-http"];
        oras(&[&layout[..], &["dir:v1", &again]].concat()).ok();
        assert_eq!(found(&scratch, &again), BUNDLES);
        for name in [&moved, &again, "oci-layout:dir:v1"] {
            verify(&scratch, name).ok();
        }
        println!("| {name} | bundles | moved by oras, by way of a layout too | holds |");
        println!("| {name} | .sig | moved by oras | left behind |");
        // A layout of ours, by oras.
        ours(&scratch, &["copy", &from, "oci-layout:ours:v1"]).ok();
        let of_ours = format!("{}/test/of-ours:v1", server.host);
        oras(&[&layout[..], &["ours:v1", &of_ours]].concat()).ok();
        assert_eq!(found(&scratch, &of_ours), BUNDLES);
        // And what was left behind comes with us.
        ours(&scratch, &["copy", &from, &moved]).ok();
        assert_eq!(found(&scratch, &moved), ALL_OF_IT);
    }
}

#[test]
fn skopeo_leaves_behind_what_hangs_on_an_image_unless_told_each_name() {
    let Some(skopeo) = peer("skopeo") else { return };
    for name in ALL {
        let Some(server) = Server::start(name) else {
            return;
        };
        let scratch = Scratch::new();
        let (from, digest) = spoken_of(&scratch, &server.host);
        let to = format!("{}/test/moved", server.host);
        let skopeo = |args: &[&str]| {
            let plain = ["--src-tls-verify=false", "--dest-tls-verify=false"];
            let command = scratch.obreia().program(&skopeo);
            let command = command.args(["--insecure-policy", "copy"]).args(plain);
            command.args(args).run()
        };
        let verify = |name: &str| {
            let key = key("p256.pub.pem");
            let out = ours(&scratch, &["verify", name, "--key", &key, "-o", "json"]);
            let identity = out.json()["artifact"]["identity"].clone();
            (out, identity)
        };
        // It packs layers unless it is told not to; then that is another image.
        let (source, other) = (format!("docker://{from}"), format!("{to}:other"));
        skopeo(&[&source, &format!("docker://{other}")]).ok();
        let (out, identity) = verify(&other);
        out.expect_code(1).stdout_has("no-signature");
        assert_ne!(identity, digest);
        // The same image, of which nothing is known there.
        let moved = format!("{to}:v1");
        let same = "--preserve-digests";
        skopeo(&[same, &source, &format!("docker://{moved}")]).ok();
        let (out, identity) = verify(&moved);
        out.expect_code(1).stdout_has("no-signature");
        assert_eq!(identity, digest);
        println!("| {name} | bundles and .sig | moved by skopeo | left behind |");
        // By name, one after the other.
        let older = format!("{}.sig", digest.replace(':', "-"));
        let at = |repository: &str| format!("docker://{}/test/{repository}:{older}", server.host);
        skopeo(&[same, &at("app"), &at("moved")]).ok();
        assert_eq!(found(&scratch, &moved), ["signature, cosign-legacy"]);
        verify(&moved).0.ok();
        println!("| {name} | .sig | moved by skopeo, by its tag | holds |");
        // And whole, by us.
        ours(&scratch, &["copy", &from, &moved]).ok();
        assert_eq!(found(&scratch, &moved), ALL_OF_IT);
    }
}

#[test]
fn what_could_not_be_looked_up_is_not_left_behind() {
    use super::between::Act;
    use super::fake::{Fake, Kind};

    let answer = |status, more| Act::Answer(status, more, String::new());
    for (act, exit) in [(answer(403, ""), 5), (answer(429, "Retry-After: 999"), 4)] {
        let (fake, scratch) = (Fake::new(Kind::default()), Scratch::new());
        put_image(fake.host(), "test/app", "v1");
        let at = format!("{}/test/app:v1", fake.host());
        sign(&scratch, &at);
        // The manifest of what hangs on it.
        fake.front.next("/manifests/sha256:", act);
        let out = ours(&scratch, &["copy", &at, "oci-layout:l:v1"]);
        out.expect_code(exit).stderr_has("/manifests/sha256:");
        assert!(!scratch.join("l").exists());
        // One that is proven not to be there is told.
        let gone = Act::Answer(404, "", super::fake::NOT_THERE.to_owned());
        fake.front.next("/manifests/sha256:", gone);
        let out = ours(&scratch, &["copy", &at, "oci-layout:l:v1"]);
        out.ok().stderr_has("not copied: sha256:");
        ours(&scratch, &["copy", &at, "oci-layout:l:v1"]).ok();
        verify(&scratch, "oci-layout:l:v1").ok();
    }
}
