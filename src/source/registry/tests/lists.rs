//! Lists: of tags, of referrers, and the one that clients keep.

use super::*;
use crate::oci::{Index, fallback_tag};
use crate::source::layout::Trouble;

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
fn what_a_registry_lists_does_not_hide_what_clients_listed_before() {
    let before = Kind {
        referrers: false,
        ..Kind::default()
    };
    let fake = Fake::new(before);
    let older = repository(&fake, "a");
    let subject = pushed(&older, "v1");
    let old = bundle("old", &subject);
    wait(older.attach(&subject, &old)).unwrap();
    // The registry learns to list; what it had is in the clients' list alone.
    let knows = fake.behind(Kind::default());
    let repository = repository(&knows, "a");
    let hidden = old.descriptor.digest.to_string();
    fake.unlist(&hidden);
    assert_eq!(
        digests(&wait(repository.referrers(&subject.digest)).unwrap()),
        [old.descriptor.digest]
    );
    let new = bundle("new", &subject);
    wait(repository.attach(&subject, &new)).unwrap();
    let listed = wait(repository.referrers(&subject.digest)).unwrap();
    assert_eq!(listed.entries.len(), 2, "{listed:?}");
    assert!(listed.is_by_registry(&new.descriptor.digest));
    assert!(!listed.is_by_registry(&old.descriptor.digest));
    let again = wait(repository.attach(&subject, &old)).unwrap();
    assert!(again.existed);
    assert_ne!(again.cas, Cas::Registry);
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

/// The row of the time-out in the table of the verdicts.
#[test]
fn a_registry_that_says_nothing_is_a_look_up_that_failed() {
    use std::sync::Arc;
    use std::time::Duration;

    let fake = Fake::new(Kind {
        referrers: false,
        ..Kind::default()
    });
    let mut repository = repository(&fake, "a");
    let subject = pushed(&repository, "v1").digest;
    let host = Arc::get_mut(&mut repository.host).unwrap();
    host.patience = Duration::from_millis(500);
    for place in ["/referrers/", "/manifests/sha256-"] {
        fake.front.next(place, Act::Silent);
        let fault = wait(repository.referrers(&subject)).unwrap_err();
        assert_eq!(fault.class(), Class::Unreachable, "{fault}");
        let request = format!("GET http://{}/v2/a/", fake.host());
        assert!(fault.to_string().starts_with(&request), "{fault}");
    }
    fake.front.next("/manifests/v1", Act::Silent);
    let fault = wait(repository.resolve(&Select::Tag("v1".into()))).unwrap_err();
    assert_eq!(fault.class(), Class::Unreachable, "{fault}");
}

#[test]
fn a_404_of_somebody_else_is_not_nothing() {
    let fake = Fake::new(Kind {
        referrers: false,
        ..Kind::default()
    });
    let elsewhere = Fake::new(Kind::default());
    let repository = repository(&fake, "a");
    let subject = pushed(&repository, "v1").digest;
    let tag = format!("/manifests/{}", fallback_tag(&subject));
    let denied = r#"{"errors":[{"code":"DENIED"}]}"#;
    for body in ["", "404 page not found", "<html>", "{}", denied] {
        let act = Act::Answer(404, "", body.to_owned());
        fake.front.next(&tag, act.clone());
        let fault = wait(repository.referrers(&subject)).unwrap_err();
        assert_eq!(fault.class(), Class::Malformed, "{fault}");
        fake.front.next(format!("{tag}.sig"), act.clone());
        let legacy = wait(repository.legacy(&subject)).unwrap();
        let trouble = legacy[0].document.as_ref().unwrap_err();
        assert!(matches!(trouble, Trouble::Unreadable(_)), "{trouble}");
        // Not even the first answer, where that is the list's second page.
        fake.front.next("/referrers/", act);
        assert_eq!(wait(repository.referrers(&subject)).unwrap().entries, []);
    }
    // Another host knows nothing of what is there, whatever it says.
    let to: &'static str = format!("Location: http://{}{tag}", elsewhere.host()).leak();
    fake.front.next(&tag, Act::Answer(307, to, String::new()));
    let fault = wait(repository.referrers(&subject)).unwrap_err();
    assert_eq!(fault.class(), Class::Malformed, "{fault}");
    assert!(elsewhere.front.calls().is_empty());
    assert!(fake.front.done());
}

#[test]
fn what_came_damaged_is_a_look_up_that_failed() {
    let fake = Fake::new(Kind::default());
    let repository = repository(&fake, "a");
    let subject = pushed(&repository, "v1");
    let one = bundle("1", &subject);
    wait(repository.attach(&subject, &one)).unwrap();
    let entry = one.descriptor.clone();
    let place = format!("/manifests/{}", entry.digest);
    type Change = fn(&[u8]) -> Vec<u8>;
    let changes: [Change; 4] = [
        |_| b"<html>".to_vec(),
        |bytes| bytes[..bytes.len() / 2].to_vec(),
        |bytes| [bytes, b" "].concat(),
        |_| Vec::new(),
    ];
    for change in changes {
        fake.front.next(&place, Act::Change(change));
        let about = wait(repository.about(vec![entry.clone()], &subject.digest));
        let trouble = about[0].document.as_ref().unwrap_err();
        assert!(matches!(trouble, Trouble::Unreadable(_)), "{trouble}");
    }
    fake.front.next(&place, Act::Endless);
    let about = wait(repository.about(vec![entry.clone()], &subject.digest));
    assert!(matches!(about[0].document, Err(Trouble::Unreadable(_))));
    // The very bytes, and no manifest.
    let text = Descriptor::of(media_type::MANIFEST, b"{}");
    fake.lie("a", &text.digest.to_string(), media_type::MANIFEST, b"{}");
    let about = wait(repository.about(vec![text], &subject.digest));
    assert!(matches!(about[0].document, Err(Trouble::Malformed(_))));
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
    // The way to the rest may stand in a second header, or be illegible.
    let two: &'static str = format!("Link: </style>; rel=preload\n{here}").leak();
    for (more, words) in [
        (two, "do not end"),
        ("Link: </v2/a", "cannot be read"),
        ("Link: </v2/\u{e4}>; rel=\"next\"", "cannot be read"),
        (
            "Link: </v2/1>; rel=\"next\", </v2/2>; rel=\"next\"",
            "more than one",
        ),
    ] {
        fake.front
            .next("last=2", Act::Answer(200, more, empty.clone()));
        let fault = list().unwrap_err();
        assert_eq!(fault.class(), Class::Malformed, "{fault}");
        assert!(fault.to_string().contains(words), "{fault}");
    }
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
fn what_would_fill_the_memory_is_not_asked_for() {
    let fake = Fake::new(Kind {
        referrers: false,
        ..Kind::default()
    });
    let repository = repository(&fake, "a");
    let subject = pushed(&repository, "v1");
    let list = |count: usize, size: u64| {
        let entry =
            |at: usize| Descriptor::new(media_type::MANIFEST, sha256(&at.to_be_bytes()), size);
        let index = Index {
            manifests: (0..count).map(entry).collect(),
            ..Index::default()
        };
        let bytes = index.to_json();
        let at = Descriptor::of(media_type::INDEX, &bytes);
        let tag = fallback_tag(&subject.digest);
        wait(repository.put_manifest(Some(&tag), &at, &bytes)).unwrap();
    };
    let resolved = wait(repository.resolve(&Select::Digest(subject.digest))).unwrap();
    for (count, size) in [(1001, 2), (40, crate::limits::MANIFEST)] {
        list(count, size);
        fake.front.seen();
        let fault = wait(repository.closure(&resolved)).unwrap_err();
        assert_eq!(fault.class(), Class::Limit, "{fault}");
        let fault = wait(repository.attach(&subject, &bundle("1", &subject)));
        let Err(UploadError::Fault(fault)) = fault else {
            panic!("{fault:?}");
        };
        assert_eq!(fault.class(), Class::Limit, "{fault}");
        let seen = fake.front.seen();
        let of_entries =
            |line: &&String| line.starts_with("GET") && line.contains("/manifests/sha256:");
        assert_eq!(seen.iter().filter(of_entries).count(), 0, "{seen:?}");
    }
}

#[test]
fn a_manifest_that_is_longer_than_was_said_is_not_read_on() {
    let fake = Fake::new(Kind::default());
    let repository = repository(&fake, "a");
    let subject = pushed(&repository, "v1");
    let long = |_: &[u8]| vec![b' '; 200 << 10];
    fake.front.next("/manifests/sha256:", Act::Change(long));
    let fault = wait(repository.document(&subject)).unwrap_err();
    assert!(fault.to_string().contains("longer than 65536"), "{fault}");
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
    // As it is, and as cosign 2.6 lists it.
    let mut former = honest.descriptor.clone();
    former.artifact_type = Some(media_type::EMPTY.into());
    for entry in [honest.descriptor, former] {
        let fine = wait(repository.about(vec![entry], &subject.digest));
        assert!(matches!(fine[0].document, Ok(Document::Manifest(_))));
    }
}

#[test]
fn a_list_whose_answer_was_lost_is_read_again_and_not_sent_again() {
    for conditions in [true, false] {
        for lost in [Act::CutAfter, Act::Answer(502, "", String::new())] {
            let fake = Fake::new(Kind {
                referrers: false,
                conditions,
                ..Kind::default()
            });
            let repository = repository(&fake, "a");
            let subject = pushed(&repository, "v1");
            let list = format!("manifests/{}", fallback_tag(&subject.digest));
            fake.front.next(format!("PUT /v2/a/{list}"), lost);
            fake.front.seen();
            let new = bundle("1", &subject);
            wait(repository.attach(&subject, &new)).unwrap();
            assert!(fake.front.done());
            let seen = fake.front.seen();
            let of_list: Vec<&str> = seen
                .iter()
                .filter(|line| line.contains(&list))
                .filter_map(|line| line.split(' ').next())
                .collect();
            let first = of_list.iter().position(|word| *word == "PUT").unwrap();
            assert_eq!(of_list[first + 1], "GET", "{of_list:?}");
            let listed = wait(repository.referrers(&subject.digest)).unwrap();
            assert_eq!(digests(&listed), [new.descriptor.digest]);
        }
    }
}

#[test]
fn a_list_that_is_written_calls_itself_what_it_is_sent_as() {
    let fake = Fake::new(Kind {
        referrers: false,
        ..Kind::default()
    });
    let repository = repository(&fake, "a");
    let subject = pushed(&repository, "v1");
    let old = bundle("1", &subject).descriptor;
    let docker = Index {
        media_type: Some(media_type::DOCKER_LIST.to_owned()),
        manifests: vec![old.clone()],
        ..Index::default()
    };
    let bytes = docker.to_json();
    let at = Descriptor::of(media_type::DOCKER_LIST, &bytes);
    let tag = fallback_tag(&subject.digest);
    wait(repository.put_manifest(Some(&tag), &at, &bytes)).unwrap();
    let new = bundle("2", &subject);
    wait(repository.attach(&subject, &new)).unwrap();
    let kept = wait(repository.resolve(&Select::Tag(tag))).unwrap();
    assert_eq!(kept.descriptor.media_type, media_type::INDEX);
    assert_eq!(kept.document.media_type(), media_type::INDEX);
    let mut both = [old.digest, new.descriptor.digest];
    both.sort();
    let listed = wait(repository.referrers(&subject.digest)).unwrap();
    assert_eq!(digests(&listed), both);
}

#[test]
fn a_tag_is_not_moved_twice_by_one_write() {
    let fake = Fake::new(Kind::default());
    let repository = repository(&fake, "a");
    let (descriptor, bytes) = image("mine");
    let put = || wait(repository.put_manifest(Some("v1"), &descriptor, &bytes));
    let line = "PUT /v2/a/manifests/v1";
    // Written, and the answer lost.
    fake.front.next(line, Act::CutAfter);
    put().unwrap();
    // Not written, and not sent again: others may have moved it meanwhile.
    pushed(&repository, "other");
    fake.set_tag("a", "v1", &image("other").0.digest.to_string());
    fake.front.next(line, Act::Answer(502, "", String::new()));
    fake.front.seen();
    assert_eq!(put().unwrap_err().class(), Class::Unreachable);
    let seen = fake.front.seen();
    assert_eq!(seen.iter().filter(|one| one.contains(line)).count(), 1);
    let other = image("other").0.digest.to_string();
    assert_eq!(fake.tag("a", "v1"), Some(other));
}

#[test]
fn exact_is_said_only_of_what_was_held_on_to() {
    for etag in [None, Some("W/\"x\"")] {
        let fake = Fake::new(Kind {
            referrers: false,
            etag: Some(etag),
            ..Kind::default()
        });
        let repository = repository(&fake, "a");
        let subject = pushed(&repository, "v1");
        wait(repository.attach(&subject, &bundle("1", &subject))).unwrap();
        let second = wait(repository.attach(&subject, &bundle("2", &subject))).unwrap();
        assert_eq!(second.cas, Cas::BestEffort);
        let listed = wait(repository.referrers(&subject.digest)).unwrap();
        assert_eq!(listed.entries.len(), 2);
    }
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
