//! `obreia doctor registry`: what it says of each real registry, what of one
//! that can more or less, and that it leaves nothing behind.

use serde_json::Value;

use super::between::{Act, Between};
use super::fake::{Fake, Kind};
use super::put_image;
use super::server::{ALL, Server};
use crate::harness::{Output, Scratch};

fn doctor(scratch: &Scratch, name: &str, more: &[&str]) -> Output {
    let args = ["doctor", "registry", name, "-o", "json"];
    scratch.obreia().args([&args[..], more].concat()).run()
}

#[track_caller]
fn report(out: &Output, exit: i32) -> Value {
    let report = out.expect_code(exit).json();
    assert_eq!(report["schema"], "obreia.doctor/v1", "{out}");
    assert_eq!(report["exit"], exit, "{out}");
    report
}

/// What came of a check, and its code.
#[track_caller]
fn came(report: &Value, check: &str) -> (String, String) {
    let checks = report["checks"].as_array().unwrap();
    let mut found = checks.iter().filter(|c| c["check"] == check);
    let (Some(one), None) = (found.next(), found.next()) else {
        panic!("{check} in {report:#}");
    };
    assert_eq!(one["group"], "registry");
    let text = |name: &str| one[name].as_str().unwrap_or_default().to_owned();
    if one["result"] != "ok" {
        assert!(!text("detail").is_empty(), "{one}");
    }
    (text("result"), text("code"))
}

fn ok() -> (String, String) {
    ("ok".to_owned(), String::new())
}

fn warning(code: &str) -> (String, String) {
    ("warning".to_owned(), code.to_owned())
}

#[test]
fn each_real_registry_is_what_the_page_says() {
    for name in ALL {
        let Some(server) = Server::start(name) else {
            return;
        };
        let scratch = Scratch::new();
        put_image(&server.host, "test/app", "v1");
        let between = Between::new(&server.host);
        let at = format!("{}/test/app:v1", between.host);
        let read = report(&doctor(&scratch, &at, &[]), 0);
        let asked = between.seen();
        let reads = |line: &String| line.starts_with("GET ") || line.starts_with("HEAD ");
        assert!(asked.iter().all(reads), "{asked:?}");
        for check in ["reach", "pull", "parts"] {
            assert_eq!(came(&read, check), ok(), "{name}");
        }
        let lists = match *name {
            "olareg" => ok(),
            _ => warning("referrers-fallback"),
        };
        assert_eq!(came(&read, "referrers"), lists, "{name}");
        let before = tags(&scratch, &server);
        let written = report(&doctor(&scratch, &at, &["--write"]), 0);
        assert_eq!(came(&written, "push"), ok(), "{name}");
        assert_eq!(came(&written, "chunks"), ok(), "{name}: {written:#}");
        assert_eq!(came(&written, "mount"), ok(), "{name}: {written:#}");
        assert_eq!(came(&written, "if-match"), warning("no-if-match"), "{name}");
        let cancelled = written.to_string().contains("given up again");
        assert!(cancelled, "{name}: {written:#}");
        assert_eq!(tags(&scratch, &server), before);
        println!(
            "| {name} | {} | chunks, resume, mount, range | no If-Match |",
            lists.0
        );
    }
}

/// The tags, and what hangs on the image.
fn tags(scratch: &Scratch, server: &Server) -> String {
    let at = super::repository(&server.host, "test/app");
    let tags = super::wait(at.tags()).unwrap();
    let name = format!("{}/test/app:v1", server.host);
    let tree = scratch.obreia().args(["tree", &name]).run();
    format!("{tags:?} {}", tree.ok().stdout)
}

#[test]
fn one_that_can_more_and_one_that_can_less() {
    let scratch = Scratch::new();
    let full = Fake::new(Kind::default());
    let least = Fake::new(Kind {
        referrers: false,
        conditions: false,
        mounts: false,
        ranges: false,
        ..Kind::default()
    });
    for (fake, expected) in [
        (&full, [ok(), ok(), ok(), ok()]),
        (
            &least,
            [
                warning("whole-blobs-only"),
                warning("referrers-fallback"),
                warning("no-mount"),
                warning("no-if-match"),
            ],
        ),
    ] {
        put_image(fake.host(), "test/app", "v1");
        let at = format!("{}/test/app:v1", fake.host());
        let said = report(&doctor(&scratch, &at, &["--write"]), 0);
        let found = ["parts", "referrers", "mount", "if-match"].map(|c| came(&said, c));
        assert_eq!(found, expected, "{said:#}");
        assert_eq!(fake.uploads(), 0, "an upload was left behind");
        // Pieces that are refused, and pieces of which nothing is told.
        let refused = Act::Answer(405, "", String::new());
        fake.front.next("PATCH", refused);
        let said = report(&doctor(&scratch, &at, &["--write"]), 0);
        assert_eq!(came(&said, "chunks"), warning("no-chunks"));
        fake.front.next(
            "GET /v2/test/app/blobs/uploads",
            Act::Answer(404, "", String::new()),
        );
        let said = report(&doctor(&scratch, &at, &["--write"]), 0);
        assert_eq!(came(&said, "chunks"), warning("no-resume"));
        assert!(fake.front.done());
    }
    // No tag is named, and none is called latest; and nothing is there at all.
    let at = format!("{}/test/app", full.host());
    assert_eq!(came(&report(&doctor(&scratch, &at, &[]), 0), "pull"), ok());
    let at = format!("{}/test/none", full.host());
    let said = report(&doctor(&scratch, &at, &[]), 0);
    assert_eq!(came(&said, "pull"), warning("nothing-there"));
    let text = scratch.obreia().args(["doctor", "registry", &at]).run();
    text.ok()
        .stdout_has("warning[nothing-there]")
        .stdout_has("hint: name an image");
}

#[test]
fn what_is_refused_has_failed_and_what_does_not_answer_is_not_known() {
    let scratch = Scratch::new();
    let fake = Fake::new(Kind::default());
    put_image(fake.host(), "test/app", "v1");
    let at = format!("{}/test/app:v1", fake.host());
    let answer = |status, more| Act::Answer(status, more, String::new());
    for (place, status, more, exit, check, result, code) in [
        ("GET /v2/", 403, "", 5, "reach", "failed", "registry-denied"),
        (
            "GET /v2/",
            404,
            "",
            4,
            "reach",
            "undetermined",
            "registry-malformed",
        ),
        (
            "GET /v2/",
            429,
            "Retry-After: 999",
            4,
            "reach",
            "undetermined",
            "registry-unreachable",
        ),
        (
            "/manifests/v1",
            403,
            "",
            5,
            "pull",
            "failed",
            "registry-denied",
        ),
        (
            "/referrers/",
            403,
            "",
            5,
            "referrers",
            "failed",
            "registry-denied",
        ),
        (
            "/referrers/",
            200,
            "",
            4,
            "referrers",
            "undetermined",
            "registry-malformed",
        ),
        ("POST", 403, "", 5, "push", "failed", "registry-denied"),
        ("PUT", 403, "", 5, "if-match", "failed", "registry-denied"),
        (
            "PUT",
            429,
            "Retry-After: 999",
            4,
            "if-match",
            "undetermined",
            "registry-unreachable",
        ),
    ] {
        fake.front.next(place, answer(status, more));
        let out = doctor(&scratch, &at, &["--write"]);
        let said = report(&out, exit);
        assert_eq!(
            came(&said, check),
            (result.to_owned(), code.to_owned()),
            "{place}"
        );
        assert!(fake.front.done(), "{place}");
        let hint = said["checks"].as_array().unwrap().iter();
        assert!(hint.clone().any(|c| c["hint"].is_string()), "{said:#}");
    }
    let gone = "127.0.0.1:9/test/app:v1";
    let said = report(&doctor(&scratch, gone, &[]), 4);
    assert_eq!(came(&said, "reach").1, "registry-unreachable");
    fake.front.seen();
    let said = report(&doctor(&scratch, &at, &["--offline"]), 4);
    assert_eq!(came(&said, "reach").0, "undetermined");
    assert_eq!(fake.front.seen(), Vec::<String>::new());
    for name in ["oci-layout:x", "./x", "bare"] {
        doctor(&scratch, name, &[]).expect_code(2);
    }
    scratch.write("obreia.toml", "version = 1\n[registries]\nplain = 1\n");
    let said = report(&doctor(&scratch, &at, &[]), 3);
    assert_eq!(came(&said, "reach").1, "config-invalid");
}

#[test]
fn how_it_lets_us_in_is_told_and_wrong_credentials_have_failed() {
    let scratch = Scratch::new();
    for (kind, words) in [
        (
            Kind {
                basic: true,
                ..Kind::default()
            },
            "let in by a name and a password",
        ),
        (
            Kind {
                token: true,
                ..Kind::default()
            },
            "let in by a token",
        ),
    ] {
        let fake = Fake::new(kind);
        let at = format!("{}/test/app:v1", fake.host());
        // `me:secret`, and a wrong one.
        for (file, auth) in [
            ("right.json", "bWU6c2VjcmV0"),
            ("wrong.json", "bWU6aHVudGVyMg=="),
        ] {
            let text = serde_json::json!({"auths": {fake.host(): {"auth": auth}}});
            scratch.write(file, text.to_string());
        }
        let out = doctor(&scratch, &at, &["--registry-auth", "right.json"]);
        assert!(report(&out, 0).to_string().contains(words), "{out}");
        let out = doctor(&scratch, &at, &["--registry-auth", "wrong.json"]);
        assert_eq!(came(&report(&out, 5), "reach").1, "registry-denied");
        out.stdout_lacks("hunter2").stderr_lacks("hunter2");
        assert_eq!(
            came(&report(&doctor(&scratch, &at, &[]), 5), "reach").1,
            "registry-denied"
        );
        let out = doctor(&scratch, &at, &["--registry-auth", "none.json"]);
        assert_eq!(came(&report(&out, 3), "reach").0, "failed");
    }
}
