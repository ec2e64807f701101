use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use tempfile::TempDir;

use super::*;
use crate::bundle::{Bundle, Content};
use crate::crypto::sha256;
use crate::oci::{Legacy, Referrer, fallback_tag, media_type, referrer};
use crate::reference::Select;
use crate::time::Timestamp;

mod attaching;
mod bounds;

struct Place {
    root: TempDir,
    layout: Layout,
}

fn place() -> Place {
    let root = tempfile::tempdir().unwrap();
    let layout = Layout::create(root.path().join("l")).unwrap();
    Place { root, layout }
}

impl Place {
    fn dir(&self) -> PathBuf {
        self.root.path().join("l")
    }

    /// A small image, told apart by `seed`.
    fn image(&self, seed: &str) -> Descriptor {
        let config = json!({"os": "linux", "architecture": "amd64", "seed": seed}).to_string();
        let config = self
            .layout
            .put_blob(media_type::CONFIG, config.as_bytes())
            .unwrap();
        let layer = self
            .layout
            .put_blob("application/vnd.oci.image.layer.v1.tar", seed.as_bytes());
        self.manifest(json!({
            "schemaVersion": 2,
            "mediaType": media_type::MANIFEST,
            "config": config,
            "layers": [layer.unwrap()],
        }))
    }

    fn manifest(&self, value: Value) -> Descriptor {
        let media_type = value["mediaType"].as_str().unwrap().to_owned();
        self.layout
            .put_blob(&media_type, value.to_string().as_bytes())
            .unwrap()
    }

    fn index(&self, manifests: &[&Descriptor]) -> Descriptor {
        self.manifest(json!({
            "schemaVersion": 2, "mediaType": media_type::INDEX, "manifests": manifests,
        }))
    }

    fn tagged(&self, tag: &str) -> Descriptor {
        let image = self.image(tag);
        self.layout.tag(tag, &image).unwrap();
        image
    }

    fn blob(&self, of: &Descriptor) -> PathBuf {
        self.dir().join("blobs/sha256").join(of.digest.hex())
    }

    fn files(&self) -> Vec<String> {
        fn walk(dir: &Path, found: &mut Vec<String>) {
            for entry in fs::read_dir(dir).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() {
                    walk(&path, found);
                } else {
                    found.push(path.display().to_string());
                }
            }
        }
        let mut found = Vec::new();
        walk(self.root.path(), &mut found);
        found.sort();
        found
    }
}

fn bundle(signature: &[u8]) -> Vec<u8> {
    Bundle::by_key(
        "h".into(),
        Content::Message {
            digest: None,
            signature: signature.to_vec(),
        },
    )
    .to_json()
}

fn about(subject: &Descriptor, signature: &[u8], secs: i64) -> Referrer {
    let json = bundle(signature);
    let parsed = Bundle::parse(&json).unwrap();
    referrer(&json, &parsed, subject, None, Timestamp::from_secs(secs))
}

fn names(found: &[Referring]) -> Vec<Digest> {
    found.iter().map(|r| r.descriptor.digest).collect()
}

#[test]
fn reading_creates_nothing() {
    let root = tempfile::tempdir().unwrap();
    let err = Layout::open(root.path().join("none"))
        .unwrap_err()
        .to_string();
    assert!(err.contains("it has no file oci-layout"), "{err}");
    assert!(Layout::open(root.path()).is_err());
    assert_eq!(fs::read_dir(root.path()).unwrap().count(), 0);
    let place = place();
    let before = place.files();
    Layout::open(place.dir()).unwrap();
    assert!(place.layout.resolve(&Select::Default).is_err());
    assert_eq!(place.files(), before);
}

#[test]
fn another_version_and_a_missing_index_are_refused() {
    let place = place();
    fs::write(
        place.dir().join("oci-layout"),
        r#"{"imageLayoutVersion":"2.0.0"}"#,
    )
    .unwrap();
    let err = Layout::open(place.dir()).unwrap_err().to_string();
    assert!(err.contains("version \"2.0.0\""), "{err}");
    let place = self::place();
    fs::remove_file(place.dir().join("index.json")).unwrap();
    let err = Layout::open(place.dir()).unwrap_err().to_string();
    assert!(err.contains("it has no file index.json"), "{err}");
    // What creation left unfinished is completed.
    Layout::create(place.dir()).unwrap();
    fs::write(place.dir().join("index.json"), "{").unwrap();
    assert!(matches!(
        Layout::open(place.dir()),
        Err(LayoutError::Document { .. })
    ));
}

#[test]
fn a_folder_of_something_else_is_not_made_a_layout() {
    let root = tempfile::tempdir().unwrap();
    fs::write(root.path().join("thesis.doc"), "x").unwrap();
    let err = Layout::create(root.path()).unwrap_err().to_string();
    assert!(err.contains("thesis.doc"), "{err}");
    assert_eq!(fs::read_dir(root.path()).unwrap().count(), 1);
}

#[test]
fn tag_digest_and_default_lead_to_the_same_bytes() {
    let place = place();
    let image = place.tagged("v1");
    let by_tag = place.layout.resolve(&Select::Tag("v1".into())).unwrap();
    let by_digest = place.layout.resolve(&Select::Digest(image.digest)).unwrap();
    let by_default = place.layout.resolve(&Select::Default).unwrap();
    for found in [&by_tag, &by_digest, &by_default] {
        assert_eq!(sha256(&found.bytes), image.digest);
    }
    let err = place.layout.resolve(&Select::Tag("v2".into())).unwrap_err();
    assert!(
        err.to_string().ends_with("has no tag \"v2\"; it has v1"),
        "{err}"
    );
    let absent = sha256(b"absent");
    let err = place.layout.resolve(&Select::Digest(absent)).unwrap_err();
    assert!(matches!(err, LayoutError::BlobMissing { digest, .. } if digest == absent));
    // An index's child is not listed and still has a digest.
    let child = place.image("child");
    assert!(place.layout.resolve(&Select::Digest(child.digest)).is_ok());
    // A layer is no manifest.
    let layer = sha256(b"v1");
    let err = place.layout.resolve(&Select::Digest(layer)).unwrap_err();
    assert!(matches!(err, LayoutError::Document { .. }), "{err}");
}

#[test]
fn default_is_refused_where_several_could_be_meant() {
    let place = place();
    assert!(matches!(
        place.layout.resolve(&Select::Default),
        Err(LayoutError::Empty(_))
    ));
    place.tagged("b");
    place.tagged("a");
    let err = place
        .layout
        .resolve(&Select::Default)
        .unwrap_err()
        .to_string();
    assert!(
        err.contains("name one: ") && err.contains('a') && err.contains('b'),
        "{err}"
    );
    // Two tags on one image are one image.
    let place = self::place();
    let image = place.tagged("a");
    place.layout.tag("b", &image).unwrap();
    assert_eq!(
        place
            .layout
            .resolve(&Select::Default)
            .unwrap()
            .descriptor
            .digest,
        image.digest
    );
}

#[test]
fn referrers_do_not_make_the_default_ambiguous() {
    let place = place();
    let image = place.image("only");
    place
        .layout
        .update(|index| {
            index.manifests.push(image.clone());
            Ok(())
        })
        .unwrap();
    place
        .layout
        .attach(&image, &about(&image, b"s", 1))
        .unwrap();
    let found = place.layout.resolve(&Select::Default).unwrap();
    assert_eq!(found.descriptor.digest, image.digest);
}

#[test]
fn one_tag_on_two_images_is_refused() {
    let place = place();
    place.tagged("v1");
    let mut other = place.image("other");
    other
        .annotations
        .insert(media_type::REF_NAME.into(), "v1".into());
    place
        .layout
        .update(|index| {
            index.manifests.push(other);
            Ok(())
        })
        .unwrap();
    let err = place.layout.resolve(&Select::Tag("v1".into())).unwrap_err();
    assert!(matches!(err, LayoutError::TagTwice { .. }), "{err}");
}

#[test]
fn a_moved_tag_leaves_the_old_image_reachable() {
    let place = place();
    let old = place.tagged("v1");
    let new = place.image("new");
    place.layout.tag("v1", &new).unwrap();
    place.layout.tag("v1", &new).unwrap();
    let index = place.layout.index().unwrap();
    assert_eq!(index.manifests.len(), 2);
    assert!(place.layout.resolve(&Select::Digest(old.digest)).is_ok());
    let now = place.layout.resolve(&Select::Default).unwrap();
    assert_eq!(now.descriptor.digest, new.digest);
    let absent = Descriptor::of(media_type::MANIFEST, b"absent");
    assert!(matches!(
        place.layout.tag("v1", &absent),
        Err(LayoutError::BlobMissing { .. })
    ));
}

#[test]
fn changed_blobs_are_named() {
    let place = place();
    let image = place.tagged("v1");
    let mut bytes = fs::read(place.blob(&image)).unwrap();
    bytes[5] ^= 1;
    fs::write(place.blob(&image), &bytes).unwrap();
    let err = place.layout.resolve(&Select::Tag("v1".into())).unwrap_err();
    assert!(matches!(err, LayoutError::BlobChanged { digest, .. } if digest == image.digest));
    assert!(err.to_string().contains(&image.digest.to_string()), "{err}");
    assert!(err.is_violation());
    bytes.push(b' ');
    fs::write(place.blob(&image), &bytes).unwrap();
    let err = place.layout.resolve(&Select::Tag("v1".into())).unwrap_err();
    assert!(matches!(err, LayoutError::BlobSize { .. }), "{err}");
    // A layer, read as a stream: the end is where it is told.
    let layer = Descriptor::of("application/x.test", b"v1");
    fs::write(place.blob(&layer), "v2").unwrap();
    let mut reader = place.layout.open_blob(&layer).unwrap();
    let err = reader.read_to_end(&mut Vec::new()).unwrap_err();
    assert!(err.to_string().contains("holds other bytes"), "{err}");
    assert!(matches!(
        place.layout.check_blob(&layer),
        Err(LayoutError::BlobChanged { .. })
    ));
    // Stored again, it is whole again.
    place.layout.put_blob("application/x.test", b"v1").unwrap();
    place.layout.check_blob(&layer).unwrap();
}

#[test]
fn sizes_that_lie_are_refused() {
    let place = place();
    let mut image = place.image("x");
    image.size += 1;
    assert!(matches!(
        place.layout.read_document(&image),
        Err(LayoutError::BlobSize { .. })
    ));
    image.size = u64::MAX / 2;
    assert!(matches!(
        place.layout.read_document(&image),
        Err(LayoutError::BlobLarge { .. })
    ));
}

#[test]
fn what_is_stored_must_be_what_it_is_called() {
    let place = place();
    let before = place.files();
    let wanted = Descriptor::of("application/x.test", b"right");
    for (wrong, kind) in [
        ("wrong", "other bytes"),
        ("rig", "3 bytes"),
        ("right and more", "6 bytes"),
    ] {
        let err = place
            .layout
            .put_checked(&wanted, &mut wrong.as_bytes())
            .unwrap_err();
        assert!(err.to_string().contains(kind), "{err}");
    }
    assert_eq!(place.files(), before);
    place
        .layout
        .put_checked(&wanted, &mut &b"right"[..])
        .unwrap();
    // It is there: nothing is asked for again.
    struct Never;
    impl Read for Never {
        fn read(&mut self, _: &mut [u8]) -> std::io::Result<usize> {
            panic!("read although it is there")
        }
    }
    place.layout.put_checked(&wanted, &mut Never).unwrap();
}

#[test]
fn pipes_are_not_waited_for() {
    let place = place();
    let blob = Descriptor::of("application/x.test", b"pipe");
    let status = std::process::Command::new("mkfifo")
        .arg(place.blob(&blob))
        .status();
    assert!(status.unwrap().success());
    assert!(matches!(
        place.layout.open_blob(&blob),
        Err(LayoutError::NotRegular(_))
    ));
}

#[test]
fn other_tools_fields_survive_an_update() {
    let place = place();
    let image = place.image("x");
    let index = json!({
        "schemaVersion": 2, "x-top": 1,
        "manifests": [{
            "mediaType": image.media_type, "digest": image.digest, "size": image.size,
            "urls": ["https://a.example"], "x-more": {"y": [1]},
            "platform": {"os": "windows", "architecture": "amd64", "os.features": ["win32k"]},
        }],
    });
    fs::write(place.dir().join("index.json"), index.to_string()).unwrap();
    place.layout.tag("v1", &image).unwrap();
    let bytes = fs::read(place.dir().join("index.json")).unwrap();
    let mut after: Value = serde_json::from_slice(&bytes).unwrap();
    let annotations = after["manifests"][0]
        .as_object_mut()
        .unwrap()
        .remove("annotations");
    assert_eq!(annotations.unwrap()[media_type::REF_NAME], "v1");
    assert_eq!(after, index);
}

#[test]
fn children_are_bounded_and_each_listed_once() {
    let place = place();
    let (a, b) = (place.image("a"), place.image("b"));
    let inner = place.index(&[&a]);
    let outer = place.index(&[&inner, &b, &a, &b]);
    let (document, _) = place.layout.read_document(&outer).unwrap();
    let found = place.layout.children(&document).unwrap();
    assert_eq!(
        found.iter().map(|d| d.digest).collect::<Vec<_>>(),
        [inner.digest, a.digest, b.digest]
    );
    let (document, _) = place.layout.read_document(&a).unwrap();
    assert_eq!(place.layout.children(&document).unwrap(), []);
    assert_eq!(
        place
            .layout
            .platform(&document)
            .unwrap()
            .unwrap()
            .to_string(),
        "linux/amd64"
    );
    let mut nested = a;
    for _ in 0..20 {
        nested = place.index(&[&nested]);
    }
    let (document, _) = place.layout.read_document(&nested).unwrap();
    assert!(matches!(
        place.layout.children(&document),
        Err(LayoutError::TooDeep { .. })
    ));
    place.layout.tag("deep", &nested).unwrap();
    let resolved = place.layout.resolve(&Select::Default).unwrap();
    assert!(matches!(
        place.layout.closure(&resolved),
        Err(LayoutError::TooDeep { .. })
    ));
}

#[test]
fn the_closure_has_everything_in_an_order_to_copy_in() {
    let place = place();
    let (a, b) = (place.image("a"), place.image("b"));
    let index = place.index(&[&a, &b]);
    place.layout.tag("v1", &index).unwrap();
    let on_index = place
        .layout
        .attach(&index, &about(&index, b"1", 1))
        .unwrap();
    let on_child = place.layout.attach(&a, &about(&a, b"2", 1)).unwrap();
    let on_referrer = on_child.descriptor().clone();
    let deep = place
        .layout
        .attach(&on_referrer, &about(&on_referrer, b"3", 1))
        .unwrap();
    let resolved = place.layout.resolve(&Select::Tag("v1".into())).unwrap();
    let pieces = place.layout.closure(&resolved).unwrap().pieces();
    let at = |digest: Digest| {
        pieces
            .iter()
            .position(|p| p.descriptor.digest == digest)
            .unwrap()
    };
    assert!(at(a.digest) < at(index.digest));
    assert!(at(b.digest) < at(index.digest));
    assert!(at(sha256(b"a")) < at(a.digest));
    for attached in [&on_index, &on_child, &deep] {
        at(attached.descriptor().digest);
    }
    // 2 images of 3, the index, 3 referrers of 2, and the empty configuration once.
    assert_eq!(pieces.len(), 6 + 1 + 6 + 1);
    fs::remove_file(place.blob(&b)).unwrap();
    assert!(matches!(
        place.layout.closure(&resolved),
        Err(LayoutError::BlobMissing { .. })
    ));
}

#[test]
fn creators_at_once_share_one_lock() {
    for _ in 0..20 {
        let root = tempfile::tempdir().unwrap();
        let dir = root.path().join("l");
        std::thread::scope(|scope| {
            for i in 0..6 {
                let dir = &dir;
                scope.spawn(move || {
                    let layout = Layout::create(dir).unwrap();
                    layout
                        .update(|index| {
                            let name = format!("t{i}");
                            let mut entry = Descriptor::of(media_type::MANIFEST, name.as_bytes());
                            entry.annotations.insert(media_type::REF_NAME.into(), name);
                            index.manifests.push(entry);
                            Ok(())
                        })
                        .unwrap();
                });
            }
        });
        let index = Layout::open(&dir).unwrap().index().unwrap();
        assert_eq!(index.manifests.len(), 6);
    }
}

// What the test above meets only now and then: the folder had no marker when
// it was looked for, and has one when it is listed.
#[test]
fn a_layout_that_somebody_made_meanwhile_is_no_foreign_folder() {
    let place = place();
    assert!(place.dir().join("index.json").exists());
    super::open::refuse_others(&place.dir()).unwrap();
    fs::remove_file(place.dir().join("oci-layout")).unwrap();
    let refused = super::open::refuse_others(&place.dir()).unwrap_err();
    assert!(
        refused
            .to_string()
            .contains("\"index.json\" and no file oci-layout"),
        "{refused}"
    );
    // What a killed run of ours leaves is none of somebody else's.
    fs::remove_file(place.dir().join("index.json")).unwrap();
    fs::write(place.dir().join(".obreia-x.tmp"), "").unwrap();
    super::open::refuse_others(&place.dir()).unwrap();
}

#[test]
fn the_file_that_is_locked_is_never_replaced() {
    let place = place();
    let inode = || {
        use std::os::unix::fs::MetadataExt;
        fs::metadata(place.dir().join("oci-layout")).unwrap().ino()
    };
    let before = inode();
    let held = place.layout.lock().unwrap();
    super::open::mark(&place.dir()).unwrap();
    assert_eq!(inode(), before);
    drop(held);
}
