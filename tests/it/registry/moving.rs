//! Artifacts moved whole, by us and by others, between registries and layouts.

use super::put_image;
use super::server::{ALL, Server};
use super::{ours, sign, verify};
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

#[test]
fn regctl_moves_what_we_attached_without_loss() {
    let Some(regctl) = peer("regctl") else { return };
    for name in ALL {
        let Some(server) = Server::start(name) else {
            return;
        };
        let scratch = Scratch::new();
        put_image(&server.host, "test/app", "v1");
        let at = |repository: &str| format!("{}/test/{repository}:v1", server.host);
        sign(&scratch, &at("app"));
        let host = format!("reg={},tls=disabled", server.host);
        let args = [
            "--host",
            &host,
            "image",
            "copy",
            "--referrers",
            "--digest-tags",
        ];
        let moved = scratch.obreia().program(&regctl).args(args);
        moved.args([at("app"), at("moved")]).run().ok();
        verify(&scratch, &at("moved")).ok();
        println!("| {name} | signature, bundle | moved by regctl | holds |");
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
