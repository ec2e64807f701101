//! cosign's older tags, copied to where others have put signatures under them.

use obreia::oci::{Descriptor, Document, media_type};
use obreia::reference::Select;
use obreia::source::registry::{Repository, Source};
use serde_json::{Value, json};

use super::fake::{Fake, Kind};
use super::{ours, put_image, repository, wait};
use crate::harness::{Output, Scratch};

fn at(fake: &Fake, tag: &str) -> String {
    format!("{}/test/app{tag}", fake.host())
}

fn copy(scratch: &Scratch, from: &str, to: &str) -> Output {
    ours(scratch, &["copy", from, to])
}

/// An older manifest of cosign's with these signatures, under an image's tag.
fn put_older(fake: &Fake, image: &str, signatures: &[&str]) -> String {
    let payload = b"{}";
    let layers: Vec<Value> = signatures
        .iter()
        .map(|one| {
            let mut layer =
                Descriptor::of("application/vnd.dev.cosign.simplesigning.v1+json", payload);
            let name = "dev.cosignproject.cosign/signature";
            layer.annotations.insert(name.into(), (*one).into());
            serde_json::to_value(layer).unwrap()
        })
        .collect();
    let config = Descriptor::of(media_type::CONFIG, payload);
    let manifest = json!({"schemaVersion": 2, "mediaType": media_type::MANIFEST,
        "config": config, "layers": layers});
    let bytes = manifest.to_string().into_bytes();
    let descriptor = Descriptor::of(media_type::MANIFEST, &bytes);
    let to = repository(fake.host(), "test/app");
    let tag = format!("{}.sig", image.replace(':', "-"));
    wait(to.put_blob(&config, Source::Bytes(payload), None)).unwrap();
    wait(to.put_manifest(Some(&tag), &descriptor, &bytes)).unwrap();
    descriptor.digest.to_string()
}

/// The signatures that lie under an older tag, in their order.
fn older_at(to: &Repository, tag: &str) -> Vec<String> {
    let found = wait(to.resolve(&Select::Tag(tag.to_owned()))).unwrap();
    let Document::Manifest(manifest) = found.document else {
        panic!("an index");
    };
    let config = wait(to.read_blob(&manifest.config, 1 << 20)).unwrap();
    let config: Value = serde_json::from_slice(&config).unwrap();
    let counted = config["rootfs"]["diff_ids"].as_array().map(Vec::len);
    assert!(counted.is_none_or(|counted| counted == manifest.layers.len()));
    let name = "dev.cosignproject.cosign/signature";
    let layers = manifest.layers.iter();
    let signatures = layers.map(|layer| layer.annotation(name).unwrap().to_owned());
    signatures.collect()
}

/// What is there, what is copied, and what is there afterwards.
type Lists = (
    &'static [&'static str],
    &'static [&'static str],
    &'static [&'static str],
);
const OLDER: [Lists; 6] = [
    (&[], &["a"], &["a"]),
    (&["a"], &["a"], &["a"]),
    (&["a"], &["a", "b"], &["a", "b"]),
    (&["a", "b"], &["b"], &["a", "b"]),
    (&["a"], &["b"], &["a", "b"]),
    (&["a", "b"], &["b", "c", "d"], &["a", "b", "c", "d"]),
];

#[test]
fn a_copy_takes_no_older_signature_away() {
    for (there, copied, after) in OLDER {
        let (from, to) = (Fake::new(Kind::default()), Fake::new(Kind::default()));
        let scratch = Scratch::new();
        let digest = put_image(from.host(), "test/app", "v1");
        put_older(&from, &digest, copied);
        let tag = format!("{}.sig", digest.replace(':', "-"));
        put_image(to.host(), "test/app", "other");
        if !there.is_empty() {
            put_older(&to, &digest, there);
        }
        // Again, nothing changes.
        for _ in 0..2 {
            copy(&scratch, &at(&from, ":v1"), &at(&to, ":v1")).ok();
            assert_eq!(
                older_at(&repository(to.host(), "test/app"), &tag),
                after,
                "{there:?} {copied:?}"
            );
            assert_eq!(to.tag("test/app", "v1").as_ref(), Some(&digest));
        }
    }
}

#[test]
fn a_copy_into_a_layout_takes_no_older_signature_away_either() {
    for by_layout in [false, true] {
        for (there, copied, after) in OLDER {
            let (fake, out) = (Fake::new(Kind::default()), Fake::new(Kind::default()));
            let scratch = Scratch::new();
            let digest = put_image(fake.host(), "test/app", "v1");
            let tag = format!("{}.sig", digest.replace(':', "-"));
            if !there.is_empty() {
                put_older(&fake, &digest, there);
                copy(&scratch, &at(&fake, ":v1"), "oci-layout:l:v1").ok();
            }
            put_older(&fake, &digest, copied);
            let mut from = at(&fake, ":v1");
            if by_layout {
                copy(&scratch, &from, "oci-layout:between:v1").ok();
                from = "oci-layout:between:v1".to_owned();
            }
            for _ in 0..2 {
                copy(&scratch, &from, "oci-layout:l:v1").ok();
            }
            copy(&scratch, "oci-layout:l:v1", &at(&out, ":v1")).ok();
            assert_eq!(
                older_at(&repository(out.host(), "test/app"), &tag),
                after,
                "{there:?} {copied:?} {by_layout}"
            );
        }
    }
}

#[test]
fn what_cannot_be_kept_beside_another_is_not_copied() {
    let (from, to) = (Fake::new(Kind::default()), Fake::new(Kind::default()));
    let scratch = Scratch::new();
    let digest = put_image(from.host(), "test/app", "v1");
    put_image(to.host(), "test/app", "other");
    let tag = format!("{}.sig", digest.replace(':', "-"));
    put_older(&from, &digest, &["a"]);
    // An image of somebody's, where signatures should be.
    let theirs = put_image(to.host(), "test/app", &tag);
    let config = Descriptor::of("application/vnd.acme+json", b"{}");
    let manifest = json!({"schemaVersion": 2, "mediaType": media_type::MANIFEST,
        "config": config, "layers": [config]})
    .to_string();
    let other = Descriptor::of(media_type::MANIFEST, manifest.as_bytes());
    let there = repository(to.host(), "test/app");
    wait(there.put_blob(&config, Source::Bytes(b"{}"), None)).unwrap();
    wait(there.put_manifest(Some(&tag), &other, manifest.as_bytes())).unwrap();
    copy(&scratch, &at(&from, ":v1"), &at(&to, ":v1"))
        .expect_code(2)
        .says("would be lost");
    assert_eq!(
        to.tag("test/app", &tag),
        Some(other.digest.to_string()),
        "{theirs}"
    );
    assert_eq!(to.tag("test/app", "v1"), None);
    copy(&scratch, &at(&to, ":other"), "oci-layout:l:other").ok();
    let whole = format!("{}/test/app:{tag}", to.host());
    copy(&scratch, &whole, &format!("oci-layout:l:{tag}")).ok();
    let before = scratch.read("l/index.json");
    copy(&scratch, &at(&from, ":v1"), "oci-layout:l:v1")
        .expect_code(2)
        .says("would be lost");
    assert_eq!(scratch.read("l/index.json"), before);
}
