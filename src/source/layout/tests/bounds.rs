//! What is bounded, and what changes while it is read or copied.

use std::io::Write;

use super::*;
use crate::limits;

fn file(place: &Place, blob: &Descriptor) -> fs::File {
    let path = place.blob(blob);
    fs::OpenOptions::new().write(true).open(path).unwrap()
}

#[test]
fn a_blob_of_another_size_is_refused_before_it_is_read() {
    let place = place();
    let mut blob = place
        .layout
        .put_blob("application/x.test", b"1234")
        .unwrap();
    for size in [3, 5] {
        blob.size = size;
        assert!(matches!(
            place.layout.open_blob(&blob),
            Err(LayoutError::BlobSize { found: 4, .. })
        ));
    }
}

#[test]
fn a_blob_that_grows_or_shrinks_while_it_is_read_is_refused() {
    let place = place();
    let blob = place
        .layout
        .put_blob("application/x.test", b"1234")
        .unwrap();
    let read = |change: &dyn Fn()| {
        let mut reader = place.layout.open_blob(&blob).unwrap();
        change();
        let mut bytes = Vec::new();
        let error = reader.read_to_end(&mut bytes).unwrap_err();
        (place.layout.blob_error(&blob.digest, error), bytes.len())
    };
    let (error, _) = read(&|| file(&place, &blob).write_all(b"1234more").unwrap());
    assert!(
        matches!(error, LayoutError::BlobSize { found: 8, .. }),
        "{error}"
    );
    file(&place, &blob).set_len(4).unwrap();
    let (error, read) = read(&|| file(&place, &blob).set_len(2).unwrap());
    assert!(
        matches!(error, LayoutError::BlobSize { found: 2, .. }),
        "{error}"
    );
    assert_eq!(read, 2);
}

#[test]
fn more_referrers_than_are_considered_are_refused_by_number() {
    let place = place();
    let image = place.tagged("v1");
    // An attacker's list costs nothing: none of these is there.
    let entries: Vec<Value> = (0..=limits::EVIDENCE)
        .map(|n| {
            let digest = sha256(n.to_string().as_bytes());
            json!({"mediaType": media_type::MANIFEST, "digest": digest, "size": 7})
        })
        .collect();
    let list = |entries: &[Value]| {
        let list =
            json!({"schemaVersion": 2, "mediaType": media_type::INDEX, "manifests": entries});
        let list = place.manifest(list);
        place
            .layout
            .tag(&fallback_tag(&image.digest), &list)
            .unwrap();
        let graph = place.layout.graph().unwrap();
        graph.referrers(&image.digest).map(|found| found.len())
    };
    assert_eq!(list(&entries[1..]).unwrap(), limits::EVIDENCE);
    assert!(matches!(
        list(&entries),
        Err(LayoutError::TooMany {
            limit: limits::EVIDENCE,
            ..
        })
    ));
}

#[test]
fn a_closure_of_more_than_is_followed_is_refused_by_number() {
    let place = place();
    // Itself, its configuration and its layer, after that many others.
    let image = place.tagged("v1");
    let resolved = place.layout.resolve(&Select::Digest(image.digest)).unwrap();
    let after = |others| place.layout.closure_after(&resolved, others).map(drop);
    after(limits::CLOSURE - 3).unwrap();
    assert!(matches!(
        after(limits::CLOSURE - 2),
        Err(LayoutError::TooMany {
            limit: limits::CLOSURE,
            ..
        })
    ));
}

#[test]
fn what_belongs_to_an_image_here_and_not_there_fails_the_copy() {
    let (from, to) = (place(), place());
    let image = from.tagged("v1");
    // Two entries under one of cosign's older tags: a layout can hold both,
    // and moving a tag keeps one.
    let tag = format!("{}.sig", fallback_tag(&image.digest));
    let (one, two) = (from.image("one"), from.image("two"));
    from.layout
        .update(|index| {
            for signature in [&one, &two] {
                let mut entry = signature.clone();
                let named = (media_type::REF_NAME.to_owned(), tag.clone());
                entry.annotations.extend([named]);
                index.manifests.push(entry);
            }
            Ok(())
        })
        .unwrap();
    let resolved = from.layout.resolve(&Select::Tag("v1".into())).unwrap();
    let closure = from.layout.closure(&resolved).unwrap();
    assert_eq!(closure.referrers.len(), 2);
    let failed = to.layout.take(&from.layout, &closure, &()).unwrap_err();
    // Of the one that has no tag there, nothing can be found.
    assert!(
        matches!(failed, LayoutError::BlobMissing { .. }),
        "{failed}"
    );
}
