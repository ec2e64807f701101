//! Registries that lie, and others that change what is there meanwhile.

use std::sync::Arc;

use obreia::oci::{Descriptor, Document, media_type};
use obreia::reference::Select;
use obreia::source::registry::{Repository, Source};
use serde_json::{Value, json};

use super::between::{Act, Said};
use super::fake::{Fake, Kind};
use super::server::{ALL, Server};
use super::{key, ours, put_image, repository, says_there_is_none, sign, wait};
use crate::harness::{Output, Scratch};

/// As the command says it to a program.
fn verify(scratch: &Scratch, name: &str) -> Output {
    let key = key("p256.pub.pem");
    ours(scratch, &["verify", name, "--key", &key, "-o", "json"])
}

fn at(fake: &Fake, what: &str) -> String {
    format!("{}/test/app{what}", fake.host())
}

fn without_list() -> Fake {
    Fake::new(Kind {
        referrers: false,
        ..Kind::default()
    })
}

/// Puts a document under a tag, or under its digest alone.
fn put(at: &Repository, tag: Option<&str>, media_type: &str, document: &Value) -> Descriptor {
    let bytes = document.to_string().into_bytes();
    let descriptor = Descriptor::of(media_type, &bytes);
    wait(at.put_manifest(tag, &descriptor, &bytes)).unwrap();
    descriptor
}

fn index(entries: &[Value]) -> Value {
    json!({"schemaVersion": 2, "mediaType": media_type::INDEX, "manifests": entries})
}

fn entry(at: &Repository, digest: &str) -> Value {
    let select = Select::Digest(digest.parse().unwrap());
    json!(wait(at.resolve(&select)).unwrap().descriptor)
}

/// RFC 1952, without a name and with a check sum that holds.
fn gzip(plain: &[u8]) -> Vec<u8> {
    let mut check = !0_u32;
    for byte in plain {
        check ^= u32::from(*byte);
        for _ in 0..8 {
            check = (check >> 1) ^ (0xedb8_8320 & (check & 1).wrapping_neg());
        }
    }
    let mut packed = vec![0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255];
    packed.extend(miniz_oxide::deflate::compress_to_vec(plain, 6));
    packed.extend((!check).to_le_bytes());
    packed.extend(u32::try_from(plain.len()).unwrap().to_le_bytes());
    packed
}

/// Nobody asks for packed answers, so none is unpacked, however small it looks.
#[test]
fn what_comes_packed_is_not_unpacked() {
    let bomb = gzip(&vec![b' '; 16 << 20]);
    assert!(bomb.len() < 100_000);
    for place in [
        "/manifests/v1",
        "/referrers/",
        "/manifests/sha256:",
        "GET /v2/test/app/blobs/",
    ] {
        let (fake, scratch) = (Fake::new(Kind::default()), Scratch::new());
        put_image(fake.host(), "test/app", "v1");
        sign(&scratch, &at(&fake, ":v1"));
        fake.front.calls();
        verify(&scratch, &at(&fake, ":v1")).ok();
        for call in fake.front.calls() {
            assert_eq!(call.header("accept-encoding"), None, "{call:?}");
        }
        let bomb = bomb.clone();
        let packed: [Arc<dyn Fn(Said) -> Said + Send + Sync>; 2] = [
            // The very content, which would be right once it is unpacked.
            Arc::new(|said: Said| Said {
                body: gzip(&said.body),
                ..said
            }),
            Arc::new(move |said: Said| Said {
                body: bomb.clone(),
                ..said
            }),
        ];
        for turn in packed {
            let turn = move |said| turn(said).with("Content-Encoding", "gzip");
            fake.front.next(place, Act::Turned(Arc::new(turn)));
            let out = verify(&scratch, &at(&fake, ":v1"));
            out.expect_code(4);
            assert!(!says_there_is_none(&out), "{place}: {out}");
            assert!(fake.front.done(), "{place}");
        }
    }
}

#[test]
fn an_index_that_says_it_contains_itself_is_caught_by_its_digest() {
    let (fake, scratch) = (Fake::new(Kind::default()), Scratch::new());
    put_image(fake.host(), "test/app", "v1");
    let to = repository(fake.host(), "test/app");
    // No bytes hold their own digest: one of the two is a lie.
    let claimed = format!("sha256:{:064x}", 1);
    let own = json!({"mediaType": media_type::INDEX, "digest": claimed, "size": 0});
    let size = index(std::slice::from_ref(&own)).to_string().len() + 2;
    let own = json!({"mediaType": media_type::INDEX, "digest": claimed, "size": size});
    let whole = index(&[own]);
    assert_eq!(whole.to_string().len(), size);
    put(&to, Some("self"), media_type::INDEX, &whole);
    let bytes = whole.to_string().into_bytes();
    fake.lie("test/app", &claimed, media_type::INDEX, &bytes);
    let (name, private) = (at(&fake, ":self"), key("p256.pkcs8.pem"));
    fake.front.seen();
    for args in [
        &["sign", &name, "--recursive", "--key", &private][..],
        &["tree", &name],
        &["copy", &name, "oci-layout:l:v1"],
    ] {
        ours(&scratch, args)
            .expect_code(4)
            .says("its bytes hash to");
    }
    let out = verify(&scratch, &at(&fake, &format!("@{claimed}")));
    out.expect_code(4);
    assert!(!says_there_is_none(&out), "{out}");
    let asked = fake.front.seen().len();
    assert!(asked < 40, "{asked}");
    assert!(!scratch.join("l").exists());
}

/// An index that is about its own child and lists what lists that child: a
/// circle of honest digests, which real registries take.
#[test]
fn circles_of_honest_digests_end() {
    for name in ALL {
        let Some(server) = Server::start(name) else {
            return;
        };
        let scratch = Scratch::new();
        let child = put_image(&server.host, "test/app", "child");
        let to = repository(&server.host, "test/app");
        let child = entry(&to, &child);
        let root = put(
            &to,
            Some("v1"),
            media_type::INDEX,
            &index(&vec![child.clone(); 50]),
        );
        let mut about = index(&[json!(root)]);
        about["subject"] = child.clone();
        about["artifactType"] = "application/vnd.acme.set+json".into();
        let about = put(&to, None, media_type::INDEX, &about);
        let mut listed = json!(about);
        listed["artifactType"] = "application/vnd.acme.set+json".into();
        let subject = serde_json::from_value(child).unwrap();
        let listed = serde_json::from_value(listed).unwrap();
        wait(to.list_missing(&subject, &[listed])).unwrap();
        let from = format!("{}/test/app:v1", server.host);
        for to in [
            "oci-layout:l:v1".to_owned(),
            format!("{}/test/moved:v1", server.host),
        ] {
            ours(&scratch, &["copy", &from, &to]).ok();
            let said = ours(&scratch, &["tree", &to, "-o", "json"]).ok().json();
            assert!(said.to_string().contains(&about.digest.to_string()));
        }
    }
}

/// What is verified, signed or copied is what the tag led to when it was asked.
#[test]
fn a_tag_that_moves_meanwhile_moves_nothing_here() {
    for tags in [["signed", "bare"], ["bare", "signed"]] {
        let (fake, scratch) = (Fake::new(Kind::default()), Scratch::new());
        let digests = ["signed", "bare"].map(|tag| put_image(fake.host(), "test/app", tag));
        sign(&scratch, &at(&fake, ":signed"));
        let of = |tag: &str| digests[usize::from(tag == "bare")].clone();
        let [first, second] = tags.map(of);
        let moving = |round: usize| {
            let tag = format!("moving-{round}");
            fake.set_tag("test/app", &tag, &first);
            let (own, second) = (fake.behind(Kind::default()), second.clone());
            let place = format!("GET /v2/test/app/manifests/{tag}");
            let turn = move |said| {
                own.set_tag("test/app", &tag, &second);
                said
            };
            fake.front.next(place, Act::Turned(Arc::new(turn)));
            at(&fake, &format!(":moving-{round}"))
        };
        let out = verify(&scratch, &moving(1));
        let allowed = tags[0] == "signed";
        out.expect_code(if allowed { 0 } else { 1 });
        assert_eq!(out.json()["artifact"]["identity"], first, "{out}");
        assert_eq!(says_there_is_none(&out), !allowed, "{out}");
        let to = Fake::new(Kind::default());
        let name = format!("{}/test/app:v1", to.host());
        ours(&scratch, &["copy", &moving(2), &name]).ok();
        assert_eq!(to.tag("test/app", "v1").as_ref(), Some(&first));
        let before = [&first, &second].map(|one| fake.about("test/app", one).len());
        let (name, private) = (moving(3), key("ed25519.pkcs8.pem"));
        let args = ["sign", &name, "--key", &private, "-o", "json"];
        let said = ours(&scratch, &args).ok().json();
        assert!(said.to_string().contains(&first), "{said}");
        let after = [&first, &second].map(|one| fake.about("test/app", one).len());
        assert_eq!(after, [before[0] + 1, before[1]]);
        assert!(fake.front.done());
    }
}

/// The entries of an honest list, which clients keep.
fn kept(fake: &Fake, image: &str) -> Vec<Value> {
    let at = repository(fake.host(), "test/app");
    let tag = Select::Tag(image.replace(':', "-"));
    match wait(at.resolve(&tag)).unwrap().document {
        Document::Index(index) => index.manifests.iter().map(|one| json!(one)).collect(),
        Document::Manifest(_) => panic!("no list"),
    }
}

#[test]
fn lists_that_lie_are_told_and_hide_nothing() {
    let fake = without_list();
    let scratch = Scratch::new();
    let digest = put_image(fake.host(), "test/app", "v1");
    let other = put_image(fake.host(), "test/app", "v2");
    for tag in [":v1", ":v2"] {
        sign(&scratch, &at(&fake, tag));
    }
    let honest = kept(&fake, &digest).remove(0);
    let stray = kept(&fake, &other).remove(0);
    let with = |name: &str, value: Value| {
        let mut entry = honest.clone();
        entry[name] = value;
        entry
    };
    let size = honest["size"].as_u64().unwrap();
    let bundle = honest["artifactType"].clone();
    let mut plain = stray.clone();
    plain["digest"] = other.as_str().into();
    plain["size"] = entry(&repository(fake.host(), "test/app"), &other)["size"].clone();
    let to = repository(fake.host(), "test/app");
    let tag = digest.replace(':', "-");
    let list = |entries: &[Value]| put(&to, Some(&tag), media_type::INDEX, &index(entries));
    let name = at(&fake, ":v1");
    for (what, lie) in [
        ("another image's", stray.clone()),
        ("an image that is about nothing", plain),
        ("longer than it is", with("size", (size + 1).into())),
        ("shorter than it is", with("size", (size - 1).into())),
        ("a size of nobody's", with("size", (1_u64 << 40).into())),
        (
            "no type of its own",
            with(
                "mediaType",
                "application/vnd.oci.image.config.v1+json".into(),
            ),
        ),
    ] {
        // By itself: nothing is found, and why is told.
        list(std::slice::from_ref(&lie));
        let out = verify(&scratch, &name);
        println!(
            "| {what} | exit {:?} | {} |",
            out.code,
            out.json()["reasons"]
        );
        assert!(matches!(out.code, Some(1 | 4)), "{what}: {out}");
        assert!(!says_there_is_none(&out), "{what}: {out}");
        // Beside an honest one that has another digest, it takes nothing away.
        list(&[stray.clone(), lie.clone(), honest.clone()]);
        if lie["digest"] != honest["digest"] {
            verify(&scratch, &name).ok();
        }
        // And nothing is copied that is not what it says.
        let to = Fake::new(Kind::default());
        let copied = format!("{}/test/app:v1", to.host());
        let out = ours(&scratch, &["copy", &name, &copied]);
        assert!(matches!(out.code, Some(0 | 2 | 4)), "{what}: {out}");
        assert!(
            out.code != Some(0) || out.stderr.contains("not copied"),
            "{what}: {out}"
        );
    }
    // Called something else, it is not looked into; that is no absence of it.
    list(&[with("artifactType", "application/vnd.acme+json".into())]);
    let out = verify(&scratch, &name);
    assert_ne!(out.code, Some(0), "{out}");
    list(&[with("artifactType", bundle)]);
    verify(&scratch, &name).ok();
}

#[test]
fn ten_thousand_entries_are_looked_through_and_one_more_is_too_many() {
    let (fake, scratch) = (without_list(), Scratch::new());
    let digest = put_image(fake.host(), "test/app", "v1");
    let name = at(&fake, ":v1");
    sign(&scratch, &name);
    let honest = kept(&fake, &digest);
    let to = repository(fake.host(), "test/app");
    let tag = digest.replace(':', "-");
    let many = |count: usize| {
        let other = |number: usize| {
            json!({"mediaType": media_type::MANIFEST, "digest": format!("sha256:{number:064x}"),
                "size": 400, "artifactType": "application/vnd.acme.licence+json"})
        };
        let entries: Vec<Value> = (1..count).map(other).chain(honest.clone()).collect();
        let bytes = index(&entries).to_string().into_bytes();
        assert!(bytes.len() < 4 << 20);
        let descriptor = Descriptor::of(media_type::INDEX, &bytes);
        let key = descriptor.digest.to_string();
        fake.lie("test/app", &key, media_type::INDEX, &bytes);
        fake.set_tag("test/app", &tag, &key);
    };
    many(10_000);
    fake.front.seen();
    verify(&scratch, &name).ok();
    let asked = fake.front.seen();
    assert!(asked.len() <= 5, "{asked:?}");
    many(10_001);
    let out = verify(&scratch, &name);
    out.expect_code(4);
    assert!(!says_there_is_none(&out), "{out}");
    assert!(out.to_string().contains("10000"), "{out}");
    // What may be evidence is fetched: that many are refused before any is.
    let entries: Vec<Value> = (0..2_000)
        .map(|number| {
            let mut one = honest[0].clone();
            one["digest"] = format!("sha256:{number:064x}").into();
            one
        })
        .collect();
    put(&to, Some(&tag), media_type::INDEX, &index(&entries));
    fake.front.seen();
    let out = verify(&scratch, &name);
    out.expect_code(4);
    assert_eq!(out.json()["reasons"][0]["code"], "limit-exceeded", "{out}");
    let asked = fake.front.seen();
    let entries = |line: &&String| line.contains("/manifests/sha256:0");
    assert_eq!(asked.iter().filter(entries).count(), 0, "{asked:?}");
}

/// Where a registry sends us, our credentials do not follow; and a layer that
/// never ends is given up at its size.
#[test]
fn a_body_without_an_end_fills_nothing() {
    let (fake, scratch) = (Fake::new(Kind::default()), Scratch::new());
    put_image(fake.host(), "test/app", "v1");
    let name = at(&fake, ":v1");
    sign(&scratch, &name);
    for (place, args) in [
        (
            "GET /v2/test/app/blobs/",
            &["copy", &name, "oci-layout:l:v1"][..],
        ),
        ("/referrers/", &["copy", &name, "oci-layout:l:v1"]),
        ("/manifests/sha256:", &["tree", &name]),
        ("/manifests/v1", &["tree", &name]),
    ] {
        fake.front.next(place, Act::Endless);
        let out = ours(&scratch, args);
        // A tree tells what it could not read.
        assert!(
            out.code == Some(4) || place == "/manifests/sha256:",
            "{place}: {out}"
        );
        assert!(fake.front.done(), "{place}");
        verify(&scratch, "oci-layout:l:v1").expect_code(2);
    }
    let blob = Descriptor::of(media_type::OCTETS, b"x");
    let to = repository(fake.host(), "test/app");
    wait(to.put_blob(&blob, Source::Bytes(b"x"), None)).unwrap();
    fake.front.next("GET", Act::Endless);
    assert!(wait(to.read_blob(&blob, 100)).is_err());
}
