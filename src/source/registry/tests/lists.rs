//! Lists: of tags, of referrers, and the one that clients keep.

use super::*;
use crate::oci::{Index, fallback_tag};

fn digests(listed: &Listed) -> Vec<Digest> {
    let mut all: Vec<_> = listed.entries.iter().map(|e| e.digest).collect();
    all.sort();
    all
}

#[test]
fn what_is_attached_is_listed_whoever_keeps_the_list() {
    for (referrers, conditions, cas) in [
        (true, true, Cas::Registry),
        (false, true, Cas::Exact),
        (false, false, Cas::BestEffort),
    ] {
        let fake = Fake::new(Kind {
            referrers,
            conditions,
            page: 2,
            ..Kind::default()
        });
        let repository = repository(&fake, "a");
        let subject = pushed(&repository, "v1");
        let other = pushed(&repository, "v2");
        assert_eq!(
            wait(repository.referrers(&subject.digest)).unwrap().entries,
            []
        );
        let mut all = Vec::new();
        for seed in ["1", "2", "3", "4", "5"] {
            let new = bundle(seed, &subject);
            let attached = wait(repository.attach(&subject, &new)).unwrap();
            assert_eq!((attached.cas, attached.existed), (cas, false));
            let again = wait(repository.attach(&subject, &new)).unwrap();
            assert!(again.existed && again.descriptor.digest == new.descriptor.digest);
            all.push(new.descriptor.digest);
        }
        all.sort();
        let listed = wait(repository.referrers(&subject.digest)).unwrap();
        assert_eq!((digests(&listed), listed.by_registry), (all, referrers));
        for entry in &listed.entries {
            assert!(entry.artifact_type.is_some());
            assert!(entry.annotation(media_type::BUNDLE_CONTENT).is_some());
        }
        assert_eq!(
            wait(repository.referrers(&other.digest)).unwrap().entries,
            []
        );
        let kept = fake.tag("a", &fallback_tag(&subject.digest));
        assert_eq!(kept.is_some(), !referrers);
    }
}

#[test]
fn nothing_hangs_on_what_is_not_there() {
    let fake = Fake::new(Kind::default());
    let repository = repository(&fake, "a");
    let (absent, _) = image("absent");
    let result = wait(repository.attach(&absent, &bundle("1", &absent)));
    assert!(matches!(
        result,
        Err(UploadError::Fault(RegistryFault::NotFound { .. }))
    ));
}

#[test]
fn only_two_times_not_found_is_nothing() {
    let fake = Fake::new(Kind {
        referrers: false,
        ..Kind::default()
    });
    let repository = repository(&fake, "a");
    let subject = pushed(&repository, "v1").digest;
    let list = || wait(repository.referrers(&subject));
    assert_eq!(list().unwrap().entries, []);
    let answer = |status, body: &str| Act::Answer(status, "", body.to_owned());
    for place in ["/referrers/", "/manifests/sha256-"] {
        for (act, class) in [
            (answer(401, ""), Class::Denied),
            (answer(403, ""), Class::Denied),
            (answer(429, "Retry-After: 99"), Class::Unreachable),
            (answer(500, ""), Class::Unreachable),
            (answer(405, ""), Class::Usage),
            (answer(200, "[]"), Class::Malformed),
            (answer(200, "{}"), Class::Malformed),
            (answer(200, "<html>"), Class::Malformed),
            (Act::CutBefore, Class::Unreachable),
        ] {
            for _ in 0..5 {
                fake.front.next(place, act.clone());
            }
            let fault = list().unwrap_err();
            assert_eq!(fault.class(), class, "{fault}");
            assert!(fault.to_string().contains(place), "{fault}");
            while !fake.front.done() {
                drop(list());
            }
        }
    }
}

#[test]
fn pages_that_fail_or_do_not_end_are_no_list() {
    let fake = Fake::new(Kind {
        page: 1,
        ..Kind::default()
    });
    let repository = repository(&fake, "a");
    let subject = pushed(&repository, "v1");
    for seed in ["1", "2", "3"] {
        wait(repository.attach(&subject, &bundle(seed, &subject))).unwrap();
    }
    let list = || wait(repository.referrers(&subject.digest));
    assert_eq!(list().unwrap().entries.len(), 3);
    for (status, class) in [(404, Class::Malformed), (403, Class::Denied)] {
        fake.front
            .next("last=2", Act::Answer(status, "", String::new()));
        assert_eq!(list().unwrap_err().class(), class);
    }
    let empty = String::from_utf8(Index::default().to_json()).unwrap();
    let here: &'static str = format!(
        "Link: </v2/a/referrers/{}?last=2>; rel=\"next\"",
        subject.digest
    )
    .leak();
    fake.front
        .next("last=2", Act::Answer(200, here, empty.clone()));
    let fault = list().unwrap_err();
    assert_eq!(fault.class(), Class::Malformed, "{fault}");
    assert!(fault.to_string().contains("do not end"), "{fault}");
    let away = "Link: <http://elsewhere.example/v2/>; rel=\"next\"";
    fake.front
        .next("/referrers/", Act::Answer(200, away, empty));
    assert!(list().unwrap_err().to_string().contains("somewhere else"));
    assert_eq!(wait(repository.tags()).unwrap().len(), 1);
}

#[test]
fn more_than_is_followed_is_said_and_never_cut() {
    let fake = Fake::new(Kind::default());
    let repository = repository(&fake, "a");
    let subject = pushed(&repository, "v1").digest;
    let page = |first: usize| {
        let entry = |at: usize| Descriptor::new(media_type::MANIFEST, sha256(&at.to_be_bytes()), 2);
        let index = Index {
            manifests: (first..first + 6000).map(entry).collect(),
            ..Index::default()
        };
        String::from_utf8(index.to_json()).unwrap()
    };
    let next: &'static str =
        format!("Link: </v2/a/referrers/{subject}?last=x>; rel=\"next\"").leak();
    fake.front
        .next("/referrers/", Act::Answer(200, next, page(0)));
    fake.front
        .next("/referrers/", Act::Answer(200, "", page(6000)));
    let fault = wait(repository.referrers(&subject)).unwrap_err();
    assert_eq!(fault.class(), Class::Limit, "{fault}");
}

#[test]
fn an_entry_is_believed_only_where_its_manifest_says_the_same() {
    let fake = Fake::new(Kind {
        referrers: false,
        ..Kind::default()
    });
    let repository = repository(&fake, "a");
    let subject = pushed(&repository, "v1");
    let other = pushed(&repository, "v2");
    let honest = bundle("1", &subject);
    wait(repository.attach(&subject, &honest)).unwrap();
    let stray = bundle("2", &other);
    wait(repository.attach(&other, &stray)).unwrap();
    let mut renamed = honest.descriptor.clone();
    renamed.artifact_type = Some("application/x".into());
    let mut resized = honest.descriptor.clone();
    resized.size += 1;
    let (plain, _) = image("v2");
    let missing = bundle("3", &subject).descriptor;
    for (entry, unreadable) in [
        (stray.descriptor, false),
        (renamed, false),
        (resized, false),
        (plain, false),
        (missing, true),
    ] {
        let about = wait(repository.about(vec![entry], &subject.digest));
        let trouble = about[0].document.as_ref().unwrap_err();
        let is_unreadable = matches!(trouble, crate::source::layout::Trouble::Unreadable(_));
        assert_eq!(is_unreadable, unreadable, "{trouble}");
    }
    let fine = wait(repository.about(vec![honest.descriptor], &subject.digest));
    assert!(matches!(fine[0].document, Ok(Document::Manifest(_))));
}

#[test]
fn two_who_attach_at_once_lose_nothing_where_that_can_be_had() {
    let fake = Fake::new(Kind {
        referrers: false,
        ..Kind::default()
    });
    let first = repository(&fake, "a");
    let subject = pushed(&first, "v1");
    std::thread::scope(|scope| {
        for who in 0..2 {
            let (fake, subject) = (&fake, &subject);
            scope.spawn(move || {
                let repository = repository(fake, "a");
                for round in 0..10 {
                    let new = bundle(&format!("{who}-{round}"), subject);
                    wait(repository.attach(subject, &new)).unwrap();
                }
            });
        }
    });
    let listed = wait(first.referrers(&subject.digest)).unwrap();
    assert_eq!(listed.entries.len(), 20);
}

#[test]
fn a_closure_is_walked_whole() {
    let fake = Fake::new(Kind::default());
    let repository = repository(&fake, "a");
    let child = pushed(&repository, "child");
    let index = Index {
        manifests: vec![child.clone()],
        ..Index::default()
    };
    let bytes = index.to_json();
    let root = Descriptor::of(media_type::INDEX, &bytes);
    wait(repository.put_manifest(Some("v1"), &root, &bytes)).unwrap();
    let on_child = bundle("1", &child);
    wait(repository.attach(&child, &on_child)).unwrap();
    let on_that = bundle("2", &on_child.descriptor);
    wait(repository.attach(&on_child.descriptor, &on_that)).unwrap();
    let legacy = format!("{}.sig", fallback_tag(&root.digest));
    let (signed, bytes) = image("legacy");
    wait(repository.put_manifest(Some(&legacy), &signed, &bytes)).unwrap();
    let found = wait(repository.resolve(&Select::Tag("v1".into()))).unwrap();
    let closure = wait(repository.closure(&found)).unwrap();
    assert_eq!(closure.children.len(), 1);
    assert_eq!(closure.children[0].referrers.len(), 1);
    assert_eq!(closure.children[0].referrers[0].referrers.len(), 1);
    assert!(closure.referrers[0].legacy.is_some());
}
