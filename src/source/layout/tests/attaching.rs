use super::*;

#[test]
fn attaching_is_found_both_ways_and_happens_once() {
    let place = place();
    let image = place.tagged("v1");
    let first = place
        .layout
        .attach(&image, &about(&image, b"one", 1))
        .unwrap();
    assert!(matches!(first, Attached::New(_)));
    // Packed at another time, it is still the same bundle.
    let again = place
        .layout
        .attach(&image, &about(&image, b"one", 2))
        .unwrap();
    assert_eq!(again, Attached::Already(first.descriptor().clone()));
    let second = place
        .layout
        .attach(&image, &about(&image, b"two", 3))
        .unwrap();
    let both = [first.descriptor().digest, second.descriptor().digest];
    let found = place
        .layout
        .graph()
        .unwrap()
        .referrers(&image.digest)
        .unwrap();
    assert_eq!(names(&found), both);
    // The fallback index alone.
    let tag = Select::Tag(fallback_tag(&image.digest));
    let Document::Index(fallback) = place.layout.resolve(&tag).unwrap().document else {
        panic!("an index");
    };
    assert_eq!(
        fallback
            .manifests
            .iter()
            .map(|d| d.digest)
            .collect::<Vec<_>>(),
        both
    );
    for entry in &fallback.manifests {
        assert_eq!(
            entry.artifact_type.as_deref(),
            Some(crate::bundle::MEDIA_TYPE)
        );
        assert_eq!(
            entry.annotations[media_type::BUNDLE_CONTENT],
            "message-signature"
        );
    }
    // Either list alone suffices.
    for keep_fallback in [true, false] {
        let copy = place.layout.index().unwrap();
        place
            .layout
            .update(|index| {
                index.manifests.retain(|d| {
                    let is_fallback =
                        d.annotation(media_type::REF_NAME) == Some(&fallback_tag(&image.digest));
                    let is_bundle = d.artifact_type.is_some();
                    if keep_fallback {
                        !is_bundle
                    } else {
                        !is_fallback
                    }
                });
                Ok(())
            })
            .unwrap();
        let found = place
            .layout
            .graph()
            .unwrap()
            .referrers(&image.digest)
            .unwrap();
        assert_eq!(names(&found), both, "{keep_fallback}");
        place
            .layout
            .update(|index| {
                *index = copy;
                Ok(())
            })
            .unwrap();
    }
    let other = place.image("other");
    assert!(
        place
            .layout
            .graph()
            .unwrap()
            .referrers(&other.digest)
            .unwrap()
            .is_empty()
    );
}

#[test]
fn nothing_attaches_to_what_is_not_there() {
    let place = place();
    let absent = Descriptor::of(media_type::MANIFEST, b"absent");
    let before = place.files();
    let err = place
        .layout
        .attach(&absent, &about(&absent, b"s", 1))
        .unwrap_err();
    assert!(matches!(err, LayoutError::BlobMissing { .. }), "{err}");
    assert_eq!(place.files(), before);
}

#[test]
fn a_run_cut_short_before_the_index_is_completed() {
    let place = place();
    let image = place.tagged("v1");
    let referrer = about(&image, b"s", 1);
    // What a crash after the blobs leaves.
    for (descriptor, bytes) in &referrer.blobs {
        place
            .layout
            .put_blob(&descriptor.media_type, bytes)
            .unwrap();
    }
    place
        .layout
        .put_blob(media_type::MANIFEST, &referrer.manifest)
        .unwrap();
    assert!(
        place
            .layout
            .graph()
            .unwrap()
            .referrers(&image.digest)
            .unwrap()
            .is_empty()
    );
    place.layout.attach(&image, &referrer).unwrap();
    let found = place
        .layout
        .graph()
        .unwrap()
        .referrers(&image.digest)
        .unwrap();
    assert_eq!(names(&found), [referrer.descriptor.digest]);
}

#[test]
fn writers_at_once_lose_nothing() {
    let place = place();
    let image = place.tagged("v1");
    std::thread::scope(|scope| {
        for thread in 0..4_u8 {
            let (place, image) = (&place, &image);
            scope.spawn(move || {
                for round in 0..5 {
                    // Opened anew, as another process would.
                    let layout = Layout::open(place.dir()).unwrap();
                    layout
                        .attach(image, &about(image, &[thread, round], 1))
                        .unwrap();
                }
            });
        }
    });
    let found = place
        .layout
        .graph()
        .unwrap()
        .referrers(&image.digest)
        .unwrap();
    assert_eq!(found.len(), 20);
    assert!(found.iter().all(|r| r.document.is_ok()));
}

#[test]
fn malformed_referrers_are_told_and_never_passed_over() {
    let place = place();
    let image = place.tagged("v1");
    let other = place.tagged("v2");
    let gone = place
        .layout
        .attach(&image, &about(&image, b"gone", 1))
        .unwrap();
    fs::remove_file(place.blob(gone.descriptor())).unwrap();
    // Listed as about `image`, and about another.
    let stray = about(&other, b"stray", 1);
    for (descriptor, bytes) in &stray.blobs {
        place
            .layout
            .put_blob(&descriptor.media_type, bytes)
            .unwrap();
    }
    place
        .layout
        .put_blob(media_type::MANIFEST, &stray.manifest)
        .unwrap();
    place
        .layout
        .update(|index| {
            place
                .layout
                .list_referrers(index, &image, std::slice::from_ref(&stray.descriptor))
        })
        .unwrap();
    let graph = place.layout.graph().unwrap();
    let found = graph.referrers(&image.digest).unwrap();
    let why: Vec<_> = found
        .iter()
        .filter_map(|r| r.document.as_ref().err())
        .map(ToString::to_string)
        .collect();
    assert_eq!(why.len(), 2, "{why:?}");
    assert!(why.iter().any(|w| w.contains("is missing")), "{why:?}");
    assert!(why.iter().any(|w| w.contains("its subject is")), "{why:?}");
    assert_eq!(graph.unreadable().len(), 1);
    let resolved = place.layout.resolve(&Select::Digest(image.digest)).unwrap();
    assert_eq!(place.layout.closure(&resolved).unwrap().unreadable.len(), 2);
}

#[test]
fn a_fallback_index_that_cannot_be_read_is_told_and_not_overwritten() {
    let place = place();
    let image = place.tagged("v1");
    place
        .layout
        .attach(&image, &about(&image, b"one", 1))
        .unwrap();
    let tag = fallback_tag(&image.digest);
    let fallback = place.layout.resolve(&Select::Tag(tag)).unwrap().descriptor;
    fs::write(place.blob(&fallback), "{}").unwrap();
    let found = place
        .layout
        .graph()
        .unwrap()
        .referrers(&image.digest)
        .unwrap();
    assert!(found.iter().any(|r| r.document.is_err()));
    assert!(
        place
            .layout
            .attach(&image, &about(&image, b"two", 1))
            .is_err()
    );
}

#[test]
fn cosigns_older_tags_are_listed_by_name() {
    let place = place();
    let image = place.tagged("v1");
    let signature = place.image("sig");
    let tag = format!("{}.sig", fallback_tag(&image.digest));
    place.layout.tag(&tag, &signature).unwrap();
    let found = place
        .layout
        .graph()
        .unwrap()
        .referrers(&image.digest)
        .unwrap();
    assert_eq!(found.len(), 1);
    assert_eq!(found[0].legacy, Some((tag, Legacy::Signature)));
    // Such a tag is none of the user's.
    let default = place.layout.resolve(&Select::Default).unwrap();
    assert_eq!(default.descriptor.digest, image.digest);
}

#[test]
fn a_layout_saved_by_cosign_is_looked_through() {
    let place = place();
    let image = place.tagged("v1");
    let attached = place
        .layout
        .attach(&image, &about(&image, b"one", 1))
        .unwrap();
    // `cosign save` lists the image with its mark, and nothing else.
    place
        .layout
        .update(|index| {
            index.manifests.retain(|d| d.digest == image.digest);
            assert_eq!(
                index.manifests[0].annotations["kind"],
                "dev.cosignproject.cosign/image"
            );
            Ok(())
        })
        .unwrap();
    let found = place
        .layout
        .graph()
        .unwrap()
        .referrers(&image.digest)
        .unwrap();
    assert_eq!(names(&found), [attached.descriptor().digest]);
}
