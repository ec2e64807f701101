//! Being let in.

use super::*;
use crate::environment::Environment;

fn with_password(fake: &Fake, password: &str) -> (tempfile::TempDir, Repository) {
    use base64::Engine as _;
    let dir = tempfile::tempdir().unwrap();
    let auth = base64::engine::general_purpose::STANDARD.encode(format!("me:{password}"));
    let file = dir.path().join("auth.json");
    let text = json!({"auths": {fake.host(): {"auth": auth}}}).to_string();
    std::fs::write(&file, text).unwrap();
    let access = Access {
        auth_file: Some(file),
        environment: Environment::default(),
        ..Access::default()
    };
    let repository = Registries::new(access)
        .repository(fake.host(), "a")
        .unwrap();
    (dir, repository)
}

fn sent(calls: &[Call]) -> Vec<Option<&str>> {
    calls
        .iter()
        .map(|call| call.header("authorization"))
        .collect()
}

#[test]
fn a_password_is_sent_once_it_was_asked_for() {
    let fake = Fake::new(Kind {
        basic: true,
        ..Kind::default()
    });
    let (_dir, repository) = with_password(&fake, "secret");
    let stored = pushed(&repository, "v1");
    wait(repository.resolve(&Select::Digest(stored.digest))).unwrap();
    let calls = fake.front.calls();
    assert_eq!(calls.len(), 3, "{calls:?}");
    assert_eq!(sent(&calls).iter().filter(|s| s.is_none()).count(), 1);
    let (_dir, wrong) = with_password(&fake, "wrong");
    let fault = wait(wrong.resolve(&Select::Digest(stored.digest))).unwrap_err();
    assert_eq!(fault.class(), Class::Denied, "{fault}");
    assert!(!fault.to_string().contains("wrong"));
    let nobody = super::repository(&fake, "a");
    let fault = wait(nobody.resolve(&Select::Digest(stored.digest))).unwrap_err();
    assert_eq!(fault.class(), Class::Denied, "{fault}");
}

#[test]
fn ways_in_may_come_in_several_headers() {
    let fake = Fake::new(Kind::default());
    let (_dir, repository) = with_password(&fake, "secret");
    let two = "WWW-Authenticate: Negotiate\nWWW-Authenticate: Basic realm=\"x\"";
    fake.front
        .next("/v2/a/manifests/v1", Act::Answer(401, two, String::new()));
    pushed(&repository, "v1");
    let sent = sent(&fake.front.calls()).iter().flatten().count();
    assert_eq!(sent, 1);
}

#[test]
fn a_token_is_got_once_and_again_when_it_is_no_more() {
    let fake = Fake::new(Kind {
        token: true,
        ..Kind::default()
    });
    let (_dir, repository) = with_password(&fake, "secret");
    let stored = pushed(&repository, "v1");
    let select = Select::Digest(stored.digest);
    wait(repository.resolve(&select)).unwrap();
    wait(repository.resolve(&select)).unwrap();
    assert_eq!(fake.tokens(), 1, "one that may write may read");
    fake.expire_tokens();
    wait(repository.resolve(&select)).unwrap();
    assert_eq!(fake.tokens(), 2);
    let (_dir, wrong) = with_password(&fake, "wrong");
    let fault = wait(wrong.resolve(&select)).unwrap_err();
    assert_eq!(fault.class(), Class::Denied, "{fault}");
}

#[test]
fn a_token_that_ends_in_the_middle_of_an_upload_is_renewed() {
    let fake = Fake::new(Kind {
        token: true,
        ..Kind::default()
    });
    let (_dir, repository) = with_password(&fake, "secret");
    let bytes = vec![7; 9 << 20];
    let blob = Descriptor::of(media_type::OCTETS, &bytes);
    fake.front
        .next("PATCH", Act::Slow(std::time::Duration::from_millis(200)));
    std::thread::scope(|scope| {
        scope.spawn(|| {
            std::thread::sleep(std::time::Duration::from_millis(60));
            fake.expire_tokens();
        });
        wait(repository.put_blob(&blob, Source::Bytes(&bytes), None)).unwrap();
    });
    assert!(fake.has_blob(&blob.digest.to_string()));
    assert!(fake.tokens() >= 2);
}

#[test]
fn credentials_stay_with_the_registry_when_it_redirects() {
    let elsewhere = Fake::new(Kind::default());
    let beyond = super::repository(&elsewhere, "a");
    let blob = Descriptor::of(media_type::OCTETS, b"the blob");
    wait(beyond.put_blob(&blob, Source::Bytes(b"the blob"), None)).unwrap();
    elsewhere.front.calls();
    let fake = Fake::new(Kind {
        basic: true,
        ..Kind::default()
    });
    let (_dir, repository) = with_password(&fake, "secret");
    pushed(&repository, "v1");
    let to: &'static str = format!(
        "Location: http://{}/v2/a/blobs/{}",
        elsewhere.host(),
        blob.digest
    )
    .leak();
    fake.front
        .next("GET /v2/a/blobs", Act::Answer(307, to, String::new()));
    let found = wait(repository.read_blob(&blob, 100)).unwrap();
    assert_eq!(found, b"the blob");
    let calls = elsewhere.front.calls();
    assert_eq!(sent(&calls), [None], "{calls:?}");
}

#[test]
fn only_the_registry_that_was_named_is_spoken_to_in_clear() {
    let access = Access {
        plain_http: vec!["A.example:5000".into()],
        settings: Settings {
            plain_http: vec!["B.Example".into()],
            ..Settings::default()
        },
        ..Access::default()
    };
    let registries = Registries::new(access);
    let base = |host: &str| registries.repository(host, "x").unwrap().host.base.clone();
    assert_eq!(base("a.example:5000"), "http://a.example:5000");
    assert_eq!(base("b.example"), "http://b.example");
    assert_eq!(base("a.example"), "https://a.example");
    assert_eq!(base("c.example:5000"), "https://c.example:5000");
}

#[test]
fn redirects_end() {
    let fake = Fake::new(Kind::default());
    let repository = super::repository(&fake, "a");
    let blob = Descriptor::of(media_type::OCTETS, b"x");
    for _ in 0..6 {
        fake.front.next(
            "/v2/a/blobs",
            Act::Answer(302, "Location: /v2/a/blobs/1", String::new()),
        );
    }
    let fault = wait(repository.read_blob(&blob, 100)).unwrap_err();
    assert_eq!(fault.class(), Class::Malformed, "{fault}");
    for to in ["Location: ftp://x/", ""] {
        fake.front
            .next("/v2/a/blobs", Act::Answer(302, to, String::new()));
        assert!(wait(repository.read_blob(&blob, 100)).is_err());
    }
}
