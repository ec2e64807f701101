//! Against a registry in memory, with something between that does wrong.

#[allow(dead_code)]
#[path = "../../../tests/it/harness/between.rs"]
pub(crate) mod between;
#[allow(dead_code)]
#[path = "../../../tests/it/registry/fake.rs"]
pub(crate) mod fake;

mod blobs;
mod entering;
mod lists;
mod words;

use std::future::Future;

use between::{Act, Call};
use fake::{Fake, Kind};
use serde_json::json;

use super::*;
use crate::crypto::sha256;
use crate::digest::Digest;
use crate::oci::{Descriptor, Document, Referrer, media_type, referrer};
use crate::reference::Select;
use crate::time::Timestamp;

pub(crate) fn wait<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap()
        .block_on(future)
}

pub(crate) fn repository(fake: &Fake, name: &str) -> Repository {
    // Nobody's own credentials come into a test.
    let access = Access {
        environment: crate::environment::Environment::default(),
        ..Access::default()
    };
    Registries::new(access)
        .repository(fake.host(), name)
        .unwrap()
}

/// A manifest with an empty configuration, told apart by `seed`.
fn image(seed: &str) -> (Descriptor, Vec<u8>) {
    let manifest = json!({
        "schemaVersion": 2, "mediaType": media_type::MANIFEST,
        "config": Descriptor::of(media_type::EMPTY, b"{}"), "layers": [],
        "annotations": {"seed": seed},
    });
    let bytes = manifest.to_string().into_bytes();
    (Descriptor::of(media_type::MANIFEST, &bytes), bytes)
}

pub(crate) fn pushed(repository: &Repository, tag: &str) -> Descriptor {
    let (descriptor, bytes) = image(tag);
    wait(async {
        repository
            .put_manifest(Some(tag), &descriptor, &bytes)
            .await
            .unwrap()
    });
    descriptor
}

fn bundle(seed: &str, subject: &Descriptor) -> Referrer {
    use crate::bundle::{Bundle, Content};
    let json = Bundle::by_key(
        "hint".into(),
        Content::Message {
            digest: None,
            signature: seed.as_bytes().to_vec(),
        },
    )
    .to_json();
    let bundle = Bundle::parse(&json).unwrap();
    referrer(&json, &bundle, subject, None, Timestamp::from_secs(1))
}

#[test]
fn a_tag_becomes_the_digest_of_the_bytes_that_came() {
    let fake = Fake::new(Kind::default());
    let repository = repository(&fake, "a/b");
    let stored = pushed(&repository, "v1");
    let tag = Select::Tag("v1".into());
    let found = wait(repository.resolve(&tag)).unwrap();
    assert_eq!(found.descriptor.digest, stored.digest);
    let again = wait(repository.resolve(&Select::Digest(stored.digest))).unwrap();
    assert_eq!(again.bytes, found.bytes);
    assert_eq!(wait(repository.tags()).unwrap(), ["v1"]);
}

#[test]
fn each_way_to_fail_has_its_own_name() {
    let fake = Fake::new(Kind::default());
    let repository = repository(&fake, "a");
    pushed(&repository, "v1");
    let tag = Select::Tag("v1".into());
    let fails = |act: Act| {
        for _ in 0..5 {
            fake.front.next("GET /v2/a/manifests", act.clone());
        }
        let fault = wait(repository.resolve(&tag)).unwrap_err();
        while !fake.front.done() {
            drop(wait(repository.resolve(&tag)));
        }
        (fault.class(), fault.to_string())
    };
    let answer = |status, body: &str| Act::Answer(status, "", body.to_owned());
    let denied = r#"{"errors":[{"code":"DENIED","message":"not you"}]}"#;
    let unknown = r#"{"errors":[{"code":"MANIFEST_UNKNOWN"}]}"#;
    let named = format!("GET http://{}/v2/a/manifests/v1", fake.host());
    for (act, class, words) in [
        (answer(404, unknown), Class::Absent, "not found"),
        (answer(404, ""), Class::Malformed, "own words"),
        (answer(404, "<html>"), Class::Malformed, "own words"),
        (answer(404, denied), Class::Malformed, "own words"),
        (
            answer(403, denied),
            Class::Denied,
            "403, not permitted (DENIED: not you)",
        ),
        (answer(401, ""), Class::Denied, "401, not permitted"),
        (answer(500, ""), Class::Unreachable, "answers 500"),
        (answer(429, ""), Class::Unreachable, "too many"),
        (Act::CutBefore, Class::Unreachable, "broke"),
        (answer(200, "<html>"), Class::Malformed, "not a manifest"),
        (
            Act::Alter(|text| format!("{text} ")),
            Class::Malformed,
            "another digest",
        ),
        (Act::Endless, Class::Malformed, "longer than"),
        (answer(418, ""), Class::Usage, "refused with 418"),
    ] {
        let (found, message) = fails(act);
        assert_eq!(found, class, "{message}");
        assert!(
            message.starts_with(&named) && message.contains(words),
            "{message}"
        );
    }
}

#[test]
fn bytes_that_are_not_of_the_digest_asked_for_are_refused() {
    let fake = Fake::new(Kind::default());
    let repository = repository(&fake, "a");
    let (descriptor, _) = image("this");
    let (_, other) = image("that");
    let digest = descriptor.digest.to_string();
    fake.lie("a", &digest, media_type::MANIFEST, &other);
    let fault = wait(repository.resolve(&Select::Digest(descriptor.digest))).unwrap_err();
    assert_eq!(fault.class(), Class::Malformed, "{fault}");
    assert!(wait(repository.document(&descriptor)).is_err());
    fake.set_tag("a", "v1", &digest);
    let fault = wait(repository.resolve(&Select::Tag("v1".into()))).unwrap_err();
    assert_eq!(fault.class(), Class::Malformed, "{fault}");
}

#[test]
fn trouble_that_passes_is_outlasted() {
    let fake = Fake::new(Kind::default());
    let repository = repository(&fake, "a");
    pushed(&repository, "v1");
    let tag = Select::Tag("v1".into());
    for act in [
        Act::Answer(500, "", String::new()),
        Act::Answer(429, "", String::new()),
        Act::Answer(429, "Retry-After: 0", String::new()),
        Act::CutBefore,
        Act::CutMid(20),
    ] {
        fake.front.next("GET /v2/a/manifests", act);
        let found = wait(repository.resolve(&tag));
        assert!(found.is_ok(), "{found:?}");
        assert!(fake.front.done());
    }
}

#[test]
fn offline_asks_nobody() {
    let access = Access {
        offline: true,
        ..Access::default()
    };
    let refused = Registries::new(access).repository("r.example", "a");
    assert!(matches!(refused, Err(RegistryFault::Offline { .. })));
}
