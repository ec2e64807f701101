//! Several artifacts verified by one call.

use serde_json::Value;

use super::between::Act;
use super::fake::{Fake, Kind};
use super::{key, put_image, sign};
use crate::harness::{Output, Scratch};

/// A registry with as many images, all but the last signed; their names.
fn images(scratch: &Scratch, fake: &Fake, count: usize) -> Vec<String> {
    let named = |number: usize| {
        let tag = format!("v{number}");
        let digest = put_image(fake.host(), "test/app", &tag);
        if number + 1 < count {
            sign(scratch, &format!("{}/test/app:{tag}", fake.host()));
        }
        format!("{}/test/app@{digest}", fake.host())
    };
    let names = (0..count).map(named).collect();
    fake.front.seen();
    names
}

fn verify(scratch: &Scratch, names: &[String], more: &[&str]) -> Output {
    let public = key("p256.pub.pem");
    let run = scratch.obreia().arg("verify").args(names);
    run.args(["--key", &public]).args(more).run()
}

fn verdicts(out: &Output) -> (String, Vec<String>) {
    let document = out.json();
    assert_eq!(document["schema"], "obreia.verdicts/v1");
    let each = document["verdicts"].as_array().unwrap().iter();
    let text = |value: &Value| value["verdict"].as_str().unwrap().to_owned();
    (text(&document), each.map(text).collect())
}

#[test]
fn many_digests_share_connections_and_each_takes_three_requests() {
    const COUNT: usize = 20;
    let scratch = Scratch::new();
    let fake = Fake::new(Kind::default());
    let names = images(&scratch, &fake, COUNT + 1);
    let before = fake.front.connections();
    let out = verify(&scratch, &names[..COUNT], &["-o", "json"]);
    out.ok();
    let (all, each) = verdicts(&out);
    assert_eq!(
        (all.as_str(), each),
        ("allowed", vec!["allowed".to_owned(); COUNT])
    );
    let asked = fake.front.seen();
    assert_eq!(asked.len(), 3 * COUNT, "{asked:#?}");
    // As many as requests are under way at one registry, and no more.
    let connections = fake.front.connections() - before;
    assert!(connections <= 8, "{connections} connections");
    let out = verify(&scratch, &names[..COUNT], &[]);
    let line = format!("{COUNT} artifacts verified: {COUNT} allowed, 0 denied, 0 undetermined");
    out.ok().stdout_has(&line);
}

#[test]
fn the_worst_verdict_is_the_calls() {
    let scratch = Scratch::new();
    let fake = Fake::new(Kind::default());
    let names = images(&scratch, &fake, 3);
    let unsigned = verify(&scratch, &names, &["-o", "json"]);
    unsigned.expect_code(1);
    let (all, each) = verdicts(&unsigned);
    assert_eq!(all, "denied");
    assert_eq!(each, ["allowed", "allowed", "denied"]);
    // In the order in which they were named.
    for (name, verdict) in names
        .iter()
        .zip(unsigned.json()["verdicts"].as_array().unwrap())
    {
        assert_eq!(verdict["artifact"]["name"], name.as_str());
    }
    // One that could not be looked at leaves the others as they are.
    let refused = |fake: &Fake| {
        let digest = names[0].split('@').nth(1).unwrap();
        let answer = Act::Answer(403, "", String::new());
        fake.front.next(format!("/referrers/{digest}"), answer);
    };
    refused(&fake);
    let out = verify(&scratch, &names[..2], &["-o", "json"]);
    out.expect_code(4);
    assert_eq!(verdicts(&out).1, ["undetermined", "allowed"]);
    refused(&fake);
    // A denial is one whatever else is not known.
    let out = verify(&scratch, &names, &["-o", "json"]);
    out.expect_code(1);
    assert_eq!(verdicts(&out).1, ["undetermined", "allowed", "denied"]);
    // One that is not there has an error in its place.
    let nowhere = format!("{}/test/app@sha256:{}", fake.host(), "0".repeat(64));
    let out = verify(
        &scratch,
        &[nowhere.clone(), names[1].clone()],
        &["-o", "json"],
    );
    out.expect_code(4);
    assert_eq!(verdicts(&out).1, ["undetermined", "allowed"]);
    let first = &out.json()["verdicts"][0];
    assert_eq!(first["error"]["code"], "artifact-unreadable");
    assert_eq!(first["artifact"]["name"], nowhere.as_str());
    let out = verify(&scratch, &[nowhere.clone(), names[1].clone()], &[]);
    out.expect_code(4)
        .stdout_has(&format!("UNDETERMINED {nowhere}"));
}

#[test]
fn a_file_names_them_too() {
    let scratch = Scratch::new();
    let fake = Fake::new(Kind::default());
    let names = images(&scratch, &fake, 3);
    scratch.write("targets", format!("# what runs\n\n  {}  \r\n", names[0]));
    let file = ["--targets-file", "targets", "-o", "json"];
    let out = verify(&scratch, &[], &file);
    out.ok();
    // A list stays one, however short.
    assert_eq!(verdicts(&out).1, ["allowed"]);
    let out = verify(&scratch, &names[2..], &file);
    out.expect_code(1);
    assert_eq!(verdicts(&out).1, ["denied", "allowed"]);
    let public = key("p256.pub.pem");
    let args = ["verify", "--targets-file", "-", "--key", &public];
    let piped = |text: &str| scratch.obreia().args(args).stdin(text).run();
    piped(&names.join("\n"))
        .expect_code(1)
        .stdout_has("1 denied");
    // Nothing named is nothing verified, and no success.
    piped("# nothing\n").expect_code(2).stderr_has("names none");
    piped("what/is this\n").expect_code(2);
    scratch.write("binary", [0xff, 0xfe]);
    verify(&scratch, &[], &["--targets-file", "binary"]).expect_code(2);
    let out = scratch.obreia().args(["verify", "--key", &public]).run();
    out.expect_code(2);
    let out = verify(&scratch, &names, &["--name", "x"]);
    out.expect_code(2).stderr_has("--name is for one artifact");
    let out = verify(&scratch, &names, &["--signature", "x"]);
    out.expect_code(2).stderr_has("--signature");
}
