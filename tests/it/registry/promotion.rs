//! Promotion between registries and layouts: what is refused or could not be
//! looked up moves no tag, and what was interrupted is completed by the next
//! run.

use serde_json::Value;

use super::between::{Act, Between};
use super::fake::{Fake, Kind};
use super::server::{ALL, Server};
use super::{key, sign, verify};
use super::{put_image, says_there_is_none};
use crate::harness::{Obreia, Output, Scratch};

fn promoting(scratch: &Scratch, from: &str, to: &str, more: &[&str]) -> Obreia {
    let key = key("p256.pub.pem");
    let command = scratch.obreia().args(["promote", from, to, "--key", &key]);
    command.args(["-o", "json"]).args(more)
}

fn promote(scratch: &Scratch, from: &str, to: &str, more: &[&str]) -> Output {
    promoting(scratch, from, to, more).run()
}

#[test]
fn an_image_is_promoted_from_any_to_any() {
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
    for (to, cas) in [
        (format!("{}/prod/app:live", hosts[1].host), "best-effort"),
        (format!("{}/prod/app:live", hosts[2].host), "best-effort"),
        ("oci-layout:air:live".to_owned(), "exact"),
        (format!("{}/prod/app:live", hosts[0].host), "best-effort"),
    ] {
        let said = promote(&scratch, &from, &to, &[]).ok().json();
        assert_eq!(said["promoted"], true, "{said}");
        assert_eq!(said["previous"], Value::Null, "{said}");
        assert_eq!(said["cas"], cas, "{said}");
        assert_eq!(said["copied"]["destination"], to.as_str());
        assert_eq!(said["at_destination"]["verdict"], "allowed");
        assert_eq!(said["at_destination"]["stage"], "promotion");
        verify(&scratch, &to).ok();
        let again = promote(&scratch, &from, &to, &[]).ok().json();
        assert_eq!(again["copied"]["bytes"], 0, "{again}");
        assert_eq!(again["previous"], said["digest"]);
        from = to;
    }
}

#[test]
fn in_every_registry_a_refusal_and_a_break_leave_the_tag_where_it_was() {
    for name in ALL {
        let Some(server) = Server::start(name) else {
            return;
        };
        let scratch = Scratch::new();
        let between = Between::new(&server.host);
        let old = put_image(&server.host, "prod/app", "live");
        put_image(&server.host, "test/app", "v2");
        let staging = format!("{}/test/app:v2", server.host);
        let live = format!("{}/prod/app:live", between.host);
        let now = || {
            let tree = ["tree", &live, "-o", "json"];
            let said = scratch.obreia().args(tree).run().ok().json();
            said["root"]["digest"].as_str().unwrap().to_owned()
        };
        let said = promote(&scratch, &staging, &live, &[]);
        let said = said.expect_code(1).json();
        assert_eq!(said["at_source"]["reasons"][0]["code"], "no-signature");
        assert_eq!(now(), old);
        sign(&scratch, &staging);
        // Nobody knows whether it was taken, so it is not sent a second time.
        between.next("PUT /v2/prod/app/manifests/live", Act::CutBefore);
        promote(&scratch, &staging, &live, &[]).expect_code(4);
        assert!(between.done(), "{name}");
        assert_eq!(now(), old);
        let wrong = ["--expect-previous", "none"];
        let out = promote(&scratch, &staging, &live, &wrong);
        assert_eq!(out.expect_code(1).json()["code"], "tag-moved", "{out}");
        assert_eq!(now(), old);
        let right = ["--expect-previous", &old];
        let said = promote(&scratch, &staging, &live, &right).ok().json();
        assert_eq!(said["copied"]["bytes"], 0, "{said}");
        assert_eq!(said["previous"], old.as_str());
        assert_eq!(now(), said["digest"].as_str().unwrap());
        verify(&scratch, &live).ok();
        // Nothing is expected of what an earlier run did already.
        promote(&scratch, &staging, &live, &right).ok();
    }
}

/// A staging registry and a production, in memory.
struct Case {
    scratch: Scratch,
    staging: Fake,
    production: Fake,
}

impl Case {
    fn new(kind: &Kind) -> Self {
        let case = Self {
            scratch: Scratch::new(),
            staging: Fake::new(Kind::default()),
            production: Fake::new(kind.clone()),
        };
        for tag in ["v1", "v2"] {
            put_image(case.staging.host(), "test/app", tag);
            sign(&case.scratch, &case.at(tag));
        }
        case
    }

    fn at(&self, tag: &str) -> String {
        format!("{}/test/app:{tag}", self.staging.host())
    }

    fn live(&self) -> String {
        format!("{}/prod/app:live", self.production.host())
    }

    fn promoting(&self, tag: &str) -> Obreia {
        promoting(&self.scratch, &self.at(tag), &self.live(), &[])
    }

    fn promote(&self, tag: &str) -> Output {
        self.promoting(tag).run()
    }

    fn tag(&self) -> Option<String> {
        self.production.tag("prod/app", "live")
    }

    fn is_whole(&self) {
        verify(&self.scratch, &self.live()).ok();
    }
}

fn kinds() -> [Kind; 2] {
    let older = Kind {
        referrers: false,
        conditions: false,
        ..Kind::default()
    };
    [Kind::default(), older]
}

#[test]
fn whatever_request_fails_the_tag_is_the_old_one_or_the_new_one_whole() {
    let unavailable = || (Act::Answer(503, "Retry-After: 0", String::new()), 5);
    let forbidden = || (Act::Answer(403, "", String::new()), 1);
    let lost = || (Act::CutAfter, 5);
    let [newer, older] = kinds();
    for (kind, (act, times)) in [
        (&newer, unavailable()),
        (&older, forbidden()),
        (&older, lost()),
    ] {
        let case = Case::new(kind);
        let front = &case.production.front;
        let new = case.staging.tag("test/app", "v2");
        let mut requests = 1;
        let mut passed = 0;
        while passed < requests {
            // A repository of its own for each request that fails.
            let name = format!("prod/at-{passed}");
            let live = format!("{}/{name}:live", front.host);
            let old = Some(put_image(&front.host, &name, "live"));
            front.seen();
            for _ in 0..passed {
                front.next("", Act::Slow(std::time::Duration::ZERO));
            }
            for _ in 0..times {
                front.next("", act.clone());
            }
            let out = promote(&case.scratch, &case.at("v2"), &live, &[]);
            assert!(
                front.forget() < times,
                "request {passed} was not made: {out}"
            );
            let tag = case.production.tag(&name, "live");
            if out.code != Some(0) {
                assert!(matches!(out.code, Some(4 | 5)), "{passed}: {out}");
                assert!(!says_there_is_none(&out), "{out}");
            }
            // The answer to the last of all may be lost, and not the tag.
            assert!(tag == old || tag == new, "{passed}: {out}");
            front.seen();
            let again = promote(&case.scratch, &case.at("v2"), &live, &[]);
            assert_eq!(again.ok().json()["promoted"], true);
            assert_eq!(case.production.tag(&name, "live"), new);
            // As many as a promotion makes where nothing fails, at the least.
            requests = requests.max(front.seen().len());
            passed += 1;
        }
        assert!(passed > 10, "only {passed} requests");
        let last = format!("{}/prod/at-{}:live", front.host, passed - 1);
        verify(&case.scratch, &last).ok();
    }
}

#[test]
fn a_look_up_that_fails_at_the_source_moves_no_tag_and_copies_nothing() {
    let answer = |status, more| Act::Answer(status, more, String::new());
    for (place, act) in [
        ("/manifests/v1", answer(403, "")),
        ("/manifests/v1", answer(429, "Retry-After: 999")),
        ("/referrers/", answer(401, "")),
        ("/referrers/", answer(403, "")),
        ("/manifests/sha256:", answer(403, "")),
        ("GET /v2/test/app/blobs/", answer(403, "")),
        ("/referrers/", Act::Garbage(9)),
    ] {
        let case = Case::new(&Kind::default());
        case.staging.front.next(place, act);
        let out = case.promote("v1");
        out.expect_code(4);
        assert!(case.staging.front.done(), "{place}: {out}");
        assert!(!says_there_is_none(&out), "{out}");
        assert_eq!(case.tag(), None);
        let writes = case.production.front.seen();
        assert!(
            writes.iter().all(|line| line.starts_with("GET ")),
            "{writes:?}"
        );
        case.promote("v1").ok();
        case.is_whole();
    }
    // What the tag leads to now is looked up before anything else is done there.
    let case = Case::new(&Kind::default());
    case.production
        .front
        .next("/manifests/live", answer(403, ""));
    let out = case.promote("v1");
    assert_eq!(out.expect_code(4).json()["code"], "registry-denied");
    assert_eq!(case.tag(), None);
}

#[test]
fn a_tag_that_somebody_else_moves_meanwhile_is_left_to_him() {
    for kind in kinds() {
        let case = Case::new(&kind);
        case.promote("v1").ok();
        let theirs = case.tag();
        // It was not there when this began, and then it was.
        let gone = Act::Answer(404, "", super::fake::NOT_THERE.to_owned());
        case.production
            .front
            .next("GET /v2/prod/app/manifests/live", gone.clone());
        let out = case.promote("v2");
        let said = out.expect_code(4).json();
        assert_eq!(said["code"], "tag-moved", "{out}");
        assert!(
            said["cause"]
                .as_str()
                .unwrap()
                .contains("and not to nothing")
        );
        assert_eq!(case.tag(), theirs);
        // Between the last look and the write, where the registry compares.
        let late = Act::Answer(412, "", String::new());
        case.production
            .front
            .next("PUT /v2/prod/app/manifests/live", late);
        let out = case.promote("v2");
        if kind.conditions {
            assert_eq!(out.expect_code(4).json()["code"], "tag-moved", "{out}");
        }
        assert_eq!(case.tag(), theirs);
        // Right after the write, where it does not.
        for _ in 0..2 {
            let pass = Act::Slow(std::time::Duration::ZERO);
            case.production
                .front
                .next("GET /v2/prod/app/manifests/live", pass);
        }
        case.production
            .front
            .next("GET /v2/prod/app/manifests/live", gone);
        let out = case.promote("v2");
        match kind.conditions {
            true => assert_eq!(out.ok().json()["cas"], "exact"),
            false => assert_eq!(out.expect_code(4).json()["code"], "tag-moved"),
        }
        case.production.front.forget();
    }
}

#[test]
fn of_two_at_once_the_tag_is_of_one_that_says_it_promoted() {
    for round in 0..4 {
        let case = Case::new(&Kind::default());
        let running = ["v1", "v2"].map(|tag| (tag, case.promoting(tag).spawn()));
        let mut won = Vec::new();
        for (tag, run) in running {
            let out = run.wait();
            match out.code {
                Some(0) => won.push(case.staging.tag("test/app", tag)),
                _ => assert_eq!(out.expect_code(4).json()["code"], "tag-moved", "{out}"),
            }
        }
        assert!(won.contains(&case.tag()), "round {round}");
        case.is_whole();
    }
}

#[test]
fn what_is_expected_must_make_sense() {
    let case = Case::new(&Kind::default());
    let expect = |to: &str, what: &str| {
        let more = ["--expect-previous", what];
        promote(&case.scratch, &case.at("v1"), to, &more)
    };
    expect(&case.live(), "sha256:12").expect_code(2);
    let digest = case.staging.tag("test/app", "v1").unwrap();
    let by_digest = format!("{}/test/app@{digest}", case.staging.host());
    let more = ["--expect-previous", "none"];
    promote(&case.scratch, &by_digest, "oci-layout:x", &more)
        .expect_code(2)
        .says("no tag");
    let at = format!("{}@{digest}", case.live());
    expect(&at, "none").expect_code(2);
    expect(&case.live(), &digest).expect_code(1);
    assert_eq!(case.tag(), None);
    expect(&case.live(), "none").ok();
    assert_eq!(case.tag(), Some(digest));
}
