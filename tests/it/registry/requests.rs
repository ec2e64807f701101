//! How many requests things take: numbers, never times. And who loses when two
//! attach to one image at the same moment.

use std::sync::Barrier;

use obreia::crypto::sha256;
use obreia::oci::{Descriptor, Referrer, media_type};
use obreia::source::registry::{Cas, Repository};
use serde_json::json;

use super::between::Between;
use super::fake::{Fake, Kind};
use super::server::{ALL, Server};
use super::{key, sign, verify};
use super::{put_image, repository, wait};
use crate::harness::Scratch;

/// Something of that kind that is about `subject`, told apart by its words.
fn about(subject: &Descriptor, kind: &str, words: &str) -> Referrer {
    let layer = Descriptor::of(kind, words.as_bytes());
    let empty = Descriptor::of(media_type::EMPTY, b"{}");
    let manifest = json!({"schemaVersion": 2, "mediaType": media_type::MANIFEST,
        "artifactType": kind, "config": empty, "layers": [layer], "subject": subject.bare()})
    .to_string()
    .into_bytes();
    let mut descriptor = Descriptor::of(media_type::MANIFEST, &manifest);
    descriptor.artifact_type = Some(kind.to_owned());
    Referrer {
        descriptor,
        manifest,
        blobs: vec![(layer, words.into()), (empty, b"{}".to_vec())],
    }
}

fn subject(at: &Repository, digest: &str) -> Descriptor {
    let select = obreia::reference::Select::Digest(digest.parse().unwrap());
    wait(at.resolve(&select)).unwrap().descriptor
}

/// Each asked for once, in any order.
fn once(asked: &[String]) -> usize {
    let mut once = asked.to_vec();
    once.sort_unstable();
    once.dedup();
    assert_eq!(once.len(), asked.len(), "{asked:?}");
    asked.len()
}

#[test]
fn verifying_asks_for_what_it_needs_and_for_nothing_twice() {
    for name in ALL {
        let Some(server) = Server::start(name) else {
            return;
        };
        let scratch = Scratch::new();
        let digest = put_image(&server.host, "test/app", "v1");
        let between = Between::new(&server.host);
        let at = |what: &str| format!("{}/test/app{what}", between.host);
        sign(&scratch, &at(":v1"));
        let many = repository(&server.host, "test/app");
        let of = subject(&many, &digest);
        // The list, the referrer, the bundle; and the tag under which clients
        // keep the list where the registry keeps none.
        let by_digest = match *name {
            "olareg" => 3,
            _ => 4,
        };
        // What is called something else than evidence is not looked into.
        for round in [0, 50] {
            for number in 0..round {
                let words = format!("licence {number}");
                let referrer = about(&of, "application/vnd.acme.licence+json", &words);
                wait(many.attach(&of, &referrer)).unwrap();
            }
            between.seen();
            for (what, most) in [
                (":v1".to_owned(), by_digest + 1),
                (format!("@{digest}"), by_digest),
            ] {
                verify(&scratch, &at(&what)).ok();
                let asked = between.seen();
                assert!(once(&asked) <= most, "{name}: {asked:#?}");
                println!(
                    "| {name} | verify{what:.3}, {} about it | {} requests |",
                    round + 1,
                    asked.len()
                );
            }
        }
    }
}

/// A registry with one image in it that is signed; its name by digest.
fn signed(scratch: &Scratch, kind: Kind) -> (Fake, String) {
    let fake = Fake::new(kind);
    let digest = put_image(fake.host(), "test/app", "v1");
    sign(scratch, &format!("{}/test/app:v1", fake.host()));
    let name = format!("{}/test/app@{digest}", fake.host());
    fake.front.seen();
    (fake, name)
}

#[test]
fn an_image_that_is_named_by_digest_takes_three_requests() {
    let scratch = Scratch::new();
    let (fake, name) = signed(&scratch, Kind::default());
    verify(&scratch, &name).ok();
    let asked = fake.front.seen();
    assert_eq!(once(&asked), 3, "{asked:#?}");
    let digest = name.split('@').nth(1).unwrap();
    // Neither the image nor a list that others keep is asked for.
    let unasked = |line: &String| {
        !line.ends_with(&format!("/manifests/{digest}")) && !line.contains("/manifests/sha256-")
    };
    assert!(asked.iter().all(unasked), "{asked:#?}");
    let tag = format!("{}/test/app:v1", fake.host());
    verify(&scratch, &tag).ok();
    assert_eq!(once(&fake.front.seen()), 4);
    // A policy that asks for signatures takes no more than a key does.
    scratch.write("key.pub", std::fs::read(key("p256.pub.pem")).unwrap());
    let policy = "apiVersion: obreia/v1\nkind: VerificationPolicy\nmetadata: { name: p }\nspec:\n  match: [ { kind: image, name: '**' } ]\n  authorities: [ { name: a, key: key.pub } ]\n";
    scratch.write("p.yaml", policy);
    let args = ["verify", name.as_str(), "--policy", "p.yaml"];
    scratch.obreia().args(args).run().ok();
    assert_eq!(once(&fake.front.seen()), 3);
    // One that could speak of what is in it has to see it: image and configuration.
    scratch.write("p.yaml", policy.replace("kind: image, ", ""));
    scratch.obreia().args(args).run().ok();
    assert_eq!(once(&fake.front.seen()), 3);
    scratch.write(
        "p.yaml",
        format!(
            "{policy}---\n{}",
            policy
                .replace("kind: image", "kind: model")
                .replace("name: p }", "name: q }")
        ),
    );
    scratch.obreia().args(args).run().ok();
    let asked = fake.front.seen();
    assert!(
        asked
            .iter()
            .any(|line| line.contains("/manifests/") && line.contains(digest)),
        "{asked:#?}"
    );
}

#[test]
fn where_clients_keep_the_list_it_is_one_request_more() {
    let scratch = Scratch::new();
    let lists_nothing = Kind {
        referrers: false,
        ..Kind::default()
    };
    let (fake, name) = signed(&scratch, lists_nothing);
    verify(&scratch, &name).ok();
    assert_eq!(once(&fake.front.seen()), 4);
    let tag = format!("{}/test/app:v1", fake.host());
    verify(&scratch, &tag).ok();
    assert_eq!(once(&fake.front.seen()), 5);
}

#[test]
fn without_a_token_it_takes_one_refusal_and_one_token_more() {
    let scratch = Scratch::new();
    let fake = Fake::new(Kind::default());
    let digest = put_image(fake.host(), "test/app", "v1");
    sign(&scratch, &format!("{}/test/app:v1", fake.host()));
    let wants = fake.behind(Kind {
        token: true,
        ..Kind::default()
    });
    let credentials =
        base64::Engine::encode(&base64::engine::general_purpose::STANDARD, "me:secret");
    let auth = json!({"auths": {wants.host(): {"auth": credentials}}});
    scratch.write("auth.json", auth.to_string());
    let name = format!("{}/test/app@{digest}", wants.host());
    let public = key("p256.pub.pem");
    let args = [
        "verify",
        &name,
        "--key",
        &public,
        "--registry-auth",
        "auth.json",
    ];
    scratch.obreia().args(args).run().ok();
    let asked = wants.front.seen();
    let tokens = asked.iter().filter(|line| line.contains("/token")).count();
    let lists = asked
        .iter()
        .filter(|line| line.contains("/referrers/"))
        .count();
    assert_eq!((asked.len(), tokens, lists), (5, 1, 2), "{asked:#?}");
}

#[test]
fn of_fifty_referrers_the_relevant_ones_are_fetched() {
    let scratch = Scratch::new();
    let (fake, name) = signed(&scratch, Kind::default());
    scratch.write("predicate.json", r#"{"x": 1}"#);
    let private = key("p256.pkcs8.pem");
    for number in 0..25 {
        let kind = format!("https://example.com/kind-{number}");
        let args = [
            "attest",
            &name,
            "--type",
            &kind,
            "--predicate",
            "predicate.json",
            "--key",
            &private,
        ];
        scratch.obreia().args(args).run().ok();
    }
    let at = repository(fake.host(), "test/app");
    let of = subject(&at, name.split('@').nth(1).unwrap());
    for number in 0..24 {
        let referrer = about(
            &of,
            "application/vnd.acme.licence+json",
            &format!("{number}"),
        );
        wait(at.attach(&of, &referrer)).unwrap();
    }
    fake.front.seen();
    verify(&scratch, &name).ok();
    let asked = fake.front.seen();
    assert_eq!(once(&asked), 3, "{asked:#?}");
    // A stranger's key makes everything be looked at, before it is denied: what
    // the list says of an entry hides nothing.
    let other = key("p384.pub.pem");
    let args = ["verify", &name, "--key", &other, "-o", "json"];
    let denied = scratch.obreia().args(args).run().expect_code(1).json();
    assert_eq!(denied["evidence"].as_array().unwrap().len(), 26);
    let asked = fake.front.seen();
    // Twice 26, the list, the clients' list, two older tags, and the image.
    assert_eq!(once(&asked), 52 + 5, "{asked:#?}");
}

/// Takes what the registry lists about an image, and puts it under the tag
/// where clients keep lists.
fn kept_by_clients(fake: &Fake, name: &str) {
    let digest = name.split('@').nth(1).unwrap();
    let mut entries = Vec::new();
    for one in fake.about("test/app", digest) {
        fake.unlist(&one);
        let at = repository(fake.host(), "test/app");
        entries.push(subject(&at, &one));
    }
    let index = json!({"schemaVersion": 2, "mediaType": media_type::INDEX, "manifests": entries});
    let bytes = index.to_string();
    let of = Descriptor::of(media_type::INDEX, bytes.as_bytes());
    let tag = digest.replace(':', "-");
    let at = repository(fake.host(), "test/app");
    wait(at.put_manifest(Some(&tag), &of, bytes.as_bytes())).unwrap();
    fake.front.seen();
}

#[test]
fn nothing_is_denied_before_every_place_was_looked_at() {
    let scratch = Scratch::new();
    let (fake, name) = signed(&scratch, Kind::default());
    kept_by_clients(&fake, &name);
    // The registry lists nothing, and clients do.
    let out = verify(&scratch, &name);
    out.ok();
    let asked = fake.front.seen();
    assert!(
        asked.iter().any(|line| line.contains("/manifests/sha256-")),
        "{asked:#?}"
    );
    // It cannot be looked at: then nothing is known.
    let tag = format!(
        "/manifests/{}",
        name.split('@').nth(1).unwrap().replace(':', "-")
    );
    fake.front.next(
        tag.clone(),
        super::between::Act::Answer(403, "", String::new()),
    );
    let public = key("p256.pub.pem");
    let args = ["verify", &name, "--key", &public, "-o", "json"];
    let out = scratch.obreia().args(args).run();
    out.expect_code(4);
    assert!(fake.front.done());
    assert!(!super::says_there_is_none(&out));
    // Nor is the absence of the image a verdict: it is an error as ever.
    let nowhere = format!("{}/test/app@sha256:{}", fake.host(), "0".repeat(64));
    verify(&scratch, &nowhere).expect_code(2);
}

#[test]
fn signing_and_promoting_ask_for_a_bounded_number_of_things() {
    let scratch = Scratch::new();
    let (staging, production) = (Fake::new(Kind::default()), Fake::new(Kind::default()));
    put_image(staging.host(), "test/app", "v1");
    let from = format!("{}/test/app:v1", staging.host());
    staging.front.seen();
    sign(&scratch, &from);
    let asked = staging.front.seen();
    println!("sign: {} requests", asked.len());
    assert!(asked.len() <= 15, "{asked:#?}");
    let key = key("p256.pub.pem");
    let to = format!("{}/prod/app:live", production.host());
    let promote = || {
        let args = ["promote", &from, &to, "--key", &key];
        scratch.obreia().args(args).run().ok();
        production.front.seen()
    };
    let first = promote();
    let again = promote();
    println!(
        "promote: {} requests, and {} where all is there",
        first.len(),
        again.len()
    );
    assert!(first.len() <= 45, "{first:#?}");
    assert!(again.len() <= 34, "{again:#?}");
    // What is there is neither read nor sent again.
    let blobs = |line: &&String| line.contains("/blobs/") && !line.starts_with("HEAD");
    let moved: Vec<_> = again.iter().filter(blobs).collect();
    assert!(
        moved.iter().all(|line| line.starts_with("GET ")),
        "{moved:?}"
    );
    let layer = sha256(b"a layer of v1").to_string();
    assert!(moved.iter().all(|line| !line.contains(&layer)), "{moved:?}");
}

/// Two attach at once, that often; how many of the pieces are not found after.
fn race(host: &str, rounds: usize) -> (usize, Cas) {
    race_after(host, rounds, 0)
}

/// The same, where that many pieces hang there already.
fn race_after(host: &str, rounds: usize, before: usize) -> (usize, Cas) {
    let mut lost = 0;
    let mut kept_by = None;
    for round in 0..rounds {
        let name = format!("race/at-{round}");
        let digest = put_image(host, &name, "v1");
        let of = subject(&repository(host, &name), &digest);
        for number in 0..before {
            let piece = about(&of, "application/vnd.acme.note+json", &format!("n{number}"));
            wait(repository(host, &name).attach(&of, &piece)).unwrap();
        }
        let both = Barrier::new(2);
        let pieces: Vec<_> = ["one", "two"]
            .map(|words| about(&of, "application/vnd.acme.note+json", words))
            .into();
        let done: Vec<Cas> = std::thread::scope(|scope| {
            let running: Vec<_> = pieces
                .iter()
                .map(|piece| {
                    let (both, of, name) = (&both, &of, &name);
                    scope.spawn(move || {
                        // A process of its own knows nothing of the other's.
                        let at = repository(host, name);
                        both.wait();
                        wait(at.attach(of, piece)).unwrap().cas
                    })
                })
                .collect();
            running.into_iter().map(|one| one.join().unwrap()).collect()
        });
        assert_eq!(done[0], done[1]);
        kept_by = Some(done[0]);
        let listed = wait(repository(host, &name).referrers(&of.digest)).unwrap();
        let found = pieces.iter().filter(|piece| {
            let mut entries = listed.entries.iter();
            entries.any(|entry| entry.digest == piece.descriptor.digest)
        });
        let found = found.count();
        assert!(found >= 1, "round {round}: both are gone");
        assert_eq!(
            found + before,
            listed.entries.len(),
            "round {round}: something else is listed"
        );
        lost += 2 - found;
    }
    (lost, kept_by.unwrap())
}

#[test]
fn of_two_who_attach_at_once_none_is_lost_where_they_are_kept_apart() {
    const ROUNDS: usize = 100;
    for name in ALL {
        let Some(server) = Server::start(name) else {
            return;
        };
        let (lost, cas) = race(&server.host, ROUNDS);
        println!(
            "| {name} | two attach at once, {ROUNDS} rounds | cas: {} | {lost} of {} lost |",
            cas.as_str(),
            2 * ROUNDS
        );
        let expected = match *name {
            "olareg" => Cas::Registry,
            _ => Cas::BestEffort,
        };
        assert_eq!(cas, expected, "{name}");
    }
    // olareg loses one now and then, of what it said that it lists. None of
    // these honours `If-Match`; one that does loses nothing.
    let exact = Fake::new(Kind {
        referrers: false,
        ..Kind::default()
    });
    assert_eq!(race(exact.host(), ROUNDS), (0, Cas::Exact));
    println!("| in memory, `If-Match` and `If-None-Match` | exact | 0 of 200 lost |");
    let listing = Fake::new(Kind::default());
    assert_eq!(race(listing.host(), ROUNDS), (0, Cas::Registry));
    // One that honours `If-Match` alone keeps apart whoever finds a list there;
    // of two who make it at once it is not said.
    let half = Fake::new(Kind {
        referrers: false,
        both: false,
        ..Kind::default()
    });
    assert_eq!(race_after(half.host(), ROUNDS, 1), (0, Cas::Exact));
    println!("| in memory, `If-Match` alone, to a list that is there | exact | 0 of 200 lost |");
    let digest = put_image(half.host(), "test/app", "v1");
    let at = repository(half.host(), "test/app");
    let of = subject(&at, &digest);
    let first = about(&of, "application/vnd.acme.note+json", "first");
    assert_eq!(wait(at.attach(&of, &first)).unwrap().cas, Cas::BestEffort);
}

#[test]
fn a_piece_is_put_before_it_is_listed() {
    let fake = Fake::new(Kind {
        referrers: false,
        ..Kind::default()
    });
    let digest = put_image(fake.host(), "test/app", "v1");
    let at = repository(fake.host(), "test/app");
    let of = subject(&at, &digest);
    let piece = about(&of, "application/vnd.acme.note+json", "x");
    fake.front.seen();
    wait(at.attach(&of, &piece)).unwrap();
    let asked = fake.front.seen();
    let place = |part: &str| {
        asked
            .iter()
            .position(|line| line.starts_with(part))
            .unwrap()
    };
    let blob = place("PUT /v2/test/app/blobs/");
    let manifest = place(&format!(
        "PUT /v2/test/app/manifests/{}",
        piece.descriptor.digest
    ));
    let list = place("PUT /v2/test/app/manifests/sha256-");
    assert!(blob < manifest && manifest < list, "{asked:#?}");
}
